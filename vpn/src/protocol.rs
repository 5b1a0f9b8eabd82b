//! The seam between our data plane and the protocol core: WireGuard's messages as we tell them apart,
//! and the narrow traits a core offers. Owns no state; a core of our own hand can take boringtun's place here.
//! Only the responder's half is asked for: the server never initiates.

use std::time::{Duration, Instant};

use crate::address::{SeatIndex, TUNNEL_MTU};
use crate::drops::DropReason;
use crate::key::{PresharedKey, PublicKey};

pub const INITIATION_LEN: usize = 148;
pub const RESPONSE_LEN: usize = 92;
pub const COOKIE_REPLY_LEN: usize = 64;

/// Header and tag around an inner packet.
pub const DATA_OVERHEAD: usize = 32;

/// The longest datagram that a device with our MTU sends: 1280 is already a multiple of the padding.
pub const DATAGRAM_MAX: usize = TUNNEL_MTU as usize + DATA_OVERHEAD;

/// Age at which a session may neither seal nor open any more (WireGuard's Reject-After-Time).
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

const TYPE_INITIATION: u32 = 1;
const TYPE_RESPONSE: u32 = 2;
const TYPE_COOKIE: u32 = 3;
const TYPE_DATA: u32 = 4;

/// What a responder can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Initiation(&'a [u8; INITIATION_LEN]),
    Data { receiver: u32 },
}

/// Tells messages apart by their fixed fields alone; nothing is verified yet.
pub fn classify(datagram: &[u8]) -> Result<Message<'_>, DropReason> {
    if datagram.is_empty() {
        return Err(DropReason::Empty);
    }
    if datagram.len() > DATAGRAM_MAX {
        return Err(DropReason::Oversize);
    }
    match (word(datagram, 0), datagram.len()) {
        (Some(TYPE_INITIATION), INITIATION_LEN) => {
            datagram.try_into().map(Message::Initiation).map_err(|_| DropReason::Malformed)
        }
        (Some(TYPE_DATA), DATA_OVERHEAD..) => {
            let receiver = word(datagram, 4).ok_or(DropReason::Malformed)?;
            Ok(Message::Data { receiver })
        }
        (Some(TYPE_RESPONSE), RESPONSE_LEN) | (Some(TYPE_COOKIE), COOKIE_REPLY_LEN) => {
            Err(DropReason::Unexpected)
        }
        _ => Err(DropReason::Malformed),
    }
}

/// The little-endian word at `at`.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

/// A protocol core: the server's key, and the making of one peer per seat.
pub trait Protocol {
    type Peer: Peer;

    /// Whose initiation is this? Decrypts only the static key; the peer itself verifies the rest.
    fn identify(&self, initiation: &[u8; INITIATION_LEN]) -> Option<PublicKey>;

    fn peer(&self, key: &PublicKey, psk: &PresharedKey, seat: SeatIndex) -> Self::Peer;
}

/// The sessions of one seat. Buffers handed in are at least `DATAGRAM_MAX` long.
pub trait Peer {
    /// Verifies an initiation and writes the response.
    fn respond(
        &mut self,
        now: Instant,
        initiation: &[u8; INITIATION_LEN],
        out: &mut [u8],
    ) -> Result<usize, PeerError>;

    /// Opens a data message into `out`.
    fn open(&mut self, now: Instant, datagram: &[u8], out: &mut [u8]) -> Result<Opened, PeerError>;

    /// Seals an inner packet into `out`, under the newest session that the device has confirmed.
    fn seal(&mut self, now: Instant, packet: &[u8], out: &mut [u8]) -> Result<usize, PeerError>;

    /// When the youngest session ends; `None` when there is none.
    fn expires(&self) -> Option<Instant>;

    /// Forgets the keys when every session has ended.
    fn expire(&mut self, now: Instant);
}

/// An authenticated message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Length of the inner packet in `out`; 0 is a keepalive.
    pub len: usize,
    /// The first message of its session: the handshake is completed, the device has proved the key.
    pub completed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerError {
    NoSession,
    Replayed,
    /// Does not verify.
    Refused,
    /// Verified, but what it carries is no IP packet.
    Inner,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_apart_by_type_and_length() {
        let message = |kind: u32, len: usize| {
            let mut bytes = vec![0; len];
            bytes[..4].copy_from_slice(&kind.to_le_bytes());
            bytes
        };
        let verdict = |bytes: Vec<u8>| classify(&bytes).err();
        assert_eq!(verdict(vec![]), Some(DropReason::Empty));
        assert_eq!(verdict(vec![1]), Some(DropReason::Malformed));
        assert_eq!(verdict(vec![4, 0, 0]), Some(DropReason::Malformed));
        assert_eq!(verdict(message(1, 148)), None);
        assert_eq!(verdict(message(1, 147)), Some(DropReason::Malformed));
        assert_eq!(verdict(message(1, 149)), Some(DropReason::Malformed));
        assert_eq!(verdict(message(0x0100_0001, 148)), Some(DropReason::Malformed), "reserved bytes");
        assert_eq!(verdict(message(2, 92)), Some(DropReason::Unexpected));
        assert_eq!(verdict(message(3, 64)), Some(DropReason::Unexpected));
        assert_eq!(verdict(message(4, 31)), Some(DropReason::Malformed));
        assert_eq!(verdict(message(4, 32)), None);
        assert_eq!(verdict(message(4, DATAGRAM_MAX)), None);
        assert_eq!(verdict(message(4, DATAGRAM_MAX + 1)), Some(DropReason::Oversize));
        assert_eq!(verdict(message(5, 40)), Some(DropReason::Malformed));
    }
}
