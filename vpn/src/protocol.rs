//! WireGuard's messages as a responder tells them apart, and the protocol's constants. Owns no state; pure.
//! Only the responder's half is here: the server never initiates.

use std::time::Duration;

use crate::drops::DropReason;

pub const INITIATION_LEN: usize = 148;
pub const RESPONSE_LEN: usize = 92;
pub const COOKIE_REPLY_LEN: usize = 64;

/// In front of an inner packet: type, receiver, counter.
pub const DATA_HEADER: usize = 16;

/// Header and tag around an inner packet.
pub const DATA_OVERHEAD: usize = DATA_HEADER + 16;

/// Inner packets are padded to a multiple of this, up to `PADDED_MAX`.
pub const PADDING: usize = 16;
pub const PADDED_MAX: usize = 1420;

/// Age at which a session may neither seal nor open any more (WireGuard's Reject-After-Time).
pub const SESSION_LIFETIME: Duration = Duration::from_secs(180);

const TYPE_INITIATION: u32 = 1;
pub const TYPE_RESPONSE: u32 = 2;
pub const TYPE_COOKIE: u32 = 3;
pub const TYPE_DATA: u32 = 4;

/// What a responder can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    Initiation(&'a [u8; INITIATION_LEN]),
    Data { receiver: u32 },
}

/// Tells messages apart by their fixed fields alone; nothing is verified yet. `longest` is the longest
/// datagram that a device with our MTU sends.
pub fn classify(datagram: &[u8], longest: usize) -> Result<Message<'_>, DropReason> {
    if datagram.is_empty() {
        return Err(DropReason::Empty);
    }
    if datagram.len() > longest {
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
        const DATAGRAM_MAX: usize = 1312;
        let verdict = |bytes: Vec<u8>| classify(&bytes, DATAGRAM_MAX).err();
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
