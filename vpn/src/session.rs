//! One session of one device: two keys, a counter, a replay window. Opens and seals in place. Pure; owns
//! its keys, ends `SESSION_LIFETIME` after its birth or with its seat.

use std::time::Instant;

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::handshake::{Refused, SessionKeys};
use crate::kept::KeptSession;
use crate::protocol::{DATA_HEADER, DATA_OVERHEAD, PADDED_MAX, PADDING, SESSION_LIFETIME, TYPE_DATA};
use crate::window::Window;

/// The counter may not come round: WireGuard's Reject-After-Messages.
const MESSAGES_MAX: u64 = u64::MAX - (1 << 13);

pub struct Session {
    /// How the device addresses us, and we it.
    local: u32,
    /// Kept for a successor.
    keys: SessionKeys,
    born: Instant,
    opening: LessSafeKey,
    sealing: LessSafeKey,
    sent: u64,
    window: Window,
}

/// Why a message was not opened or sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionError {
    /// Its time or its counter has come to an end.
    Ended,
    Replayed,
    /// Does not verify.
    Forged,
}

impl Session {
    pub fn new(now: Instant, local: u32, keys: SessionKeys) -> Result<Self, Refused> {
        let key = |bytes: &[u8]| {
            UnboundKey::new(&CHACHA20_POLY1305, bytes).map(LessSafeKey::new).map_err(|_| Refused)
        };
        Ok(Self {
            local,
            born: now,
            opening: key(&*keys.open)?,
            sealing: key(&*keys.seal)?,
            keys,
            sent: 0,
            window: Window::new(),
        })
    }

    /// As the next process will need it.
    pub fn keep(&self, now: Instant) -> KeptSession {
        KeptSession {
            local: self.local,
            remote: self.keys.remote,
            age: now.saturating_duration_since(self.born),
            open: self.keys.open.clone(),
            seal: self.keys.seal.clone(),
            sent: self.sent,
            window: self.window.parts(),
        }
    }

    /// `None` when its life has ended meanwhile.
    pub fn resume(now: Instant, kept: KeptSession) -> Option<Self> {
        let KeptSession { local, remote, age, open, seal, sent, window: (words, next) } = kept;
        let window = Window::of_parts(&words, next)?;
        let born = now.checked_sub(age).filter(|_| age < SESSION_LIFETIME)?;
        let session = Self::new(born, local, SessionKeys { open, seal, remote }).ok()?;
        Some(Self { sent, window, ..session })
    }

    pub fn local(&self) -> u32 {
        self.local
    }

    pub fn ends(&self) -> Instant {
        self.born + SESSION_LIFETIME
    }

    /// Opens a data message where it lies: the inner packet with its padding starts at `DATA_HEADER`;
    /// answers its length.
    pub fn open(&mut self, now: Instant, datagram: &mut [u8]) -> Result<usize, SessionError> {
        let Some((header, sealed)) = datagram.split_first_chunk_mut::<DATA_HEADER>() else {
            return Err(SessionError::Forged);
        };
        let [.., a, b, c, d, e, f, g, h] = *header;
        let counter = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        if now >= self.ends() || counter >= MESSAGES_MAX {
            return Err(SessionError::Ended);
        }
        if !self.window.may_be_new(counter) {
            return Err(SessionError::Replayed);
        }
        let opened = self.opening.open_in_place(nonce(counter), Aad::empty(), sealed);
        let len = opened.map_err(|_| SessionError::Forged)?.len();
        if !self.window.accept(counter) {
            return Err(SessionError::Replayed);
        }
        Ok(len)
    }

    /// Seals the packet of `len` bytes that lies at `DATA_HEADER` of `room`; answers the datagram's length.
    /// `room` must have space for header, padding and tag.
    pub fn seal(&mut self, now: Instant, room: &mut [u8], len: usize) -> Result<usize, SessionError> {
        if now >= self.ends() || self.sent >= MESSAGES_MAX {
            return Err(SessionError::Ended);
        }
        let padded = padded(len);
        let whole = padded + DATA_OVERHEAD;
        let Some((header, body)) = room.get_mut(..whole).and_then(|room| room.split_first_chunk_mut()) else {
            return Err(SessionError::Ended);
        };
        let header: &mut [u8; DATA_HEADER] = header;
        header[..4].copy_from_slice(&TYPE_DATA.to_le_bytes());
        header[4..8].copy_from_slice(&self.keys.remote.to_le_bytes());
        header[8..].copy_from_slice(&self.sent.to_le_bytes());
        let (plain, tag) = body.split_at_mut(padded);
        plain[len..].fill(0);
        let made = self.sealing.seal_in_place_separate_tag(nonce(self.sent), Aad::empty(), plain);
        tag.copy_from_slice(made.map_err(|_| SessionError::Ended)?.as_ref());
        self.sent += 1;
        Ok(whole)
    }
}

/// To a multiple of 16, but never beyond what a link of 1500 carries of a tunnel over IPv6.
fn padded(len: usize) -> usize {
    len.max(len.next_multiple_of(PADDING).min(PADDED_MAX))
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    /// One end of a session that has sent `sent` messages; the other end has the keys the other way round.
    fn end(seal: u8, open: u8, sent: u64) -> Session {
        let key = |byte| Zeroizing::new([byte; 32]);
        let (age, window) = (std::time::Duration::ZERO, (Vec::new(), 0));
        let kept = KeptSession { local: 1, remote: 1, age, open: key(open), seal: key(seal), sent, window };
        Session::resume(Instant::now(), kept).unwrap()
    }

    /// A nonce that comes round would give the keystream away (Reject-After-Messages).
    #[test]
    fn attacker_a_counter_at_its_limit_seals_and_opens_nothing_more() {
        let (mut ours, mut theirs) = (end(1, 2, MESSAGES_MAX - 1), end(2, 1, 0));
        let (now, mut room) = (Instant::now(), [0; 64]);
        let len = ours.seal(now, &mut room, 5).unwrap();
        let mut last = room;
        assert_eq!(theirs.open(now, &mut room[..len]), Ok(16), "the last number counts");
        assert_eq!(theirs.open(now, &mut last[..len]), Err(SessionError::Replayed));
        assert_eq!(ours.seal(now, &mut room, 5), Err(SessionError::Ended));
        for counter in [MESSAGES_MAX, u64::MAX - 1, u64::MAX] {
            let mut beyond = last;
            beyond[8..16].copy_from_slice(&counter.to_le_bytes());
            assert_eq!(theirs.open(now, &mut beyond[..len]), Err(SessionError::Ended), "{counter}");
        }
    }

    #[test]
    fn attacker_a_forged_counter_moves_no_window() {
        let (mut ours, mut theirs) = (end(1, 2, 0), end(2, 1, 0));
        let (now, mut room) = (Instant::now(), [0; 64]);
        let len = ours.seal(now, &mut room, 5).unwrap();
        let mut forged = room;
        forged[8..16].copy_from_slice(&1_000_000u64.to_le_bytes());
        assert_eq!(theirs.open(now, &mut forged[..len]), Err(SessionError::Forged));
        assert_eq!(theirs.open(now, &mut room[..len]), Ok(16));
        assert_eq!(theirs.open(now, &mut [0; 8]), Err(SessionError::Forged), "shorter than its header");
    }

    #[test]
    fn room_that_is_too_small_is_refused_and_no_number_is_spent() {
        let mut ours = end(1, 2, 0);
        for len in [0, DATA_HEADER, DATA_OVERHEAD + 15] {
            assert_eq!(ours.seal(Instant::now(), &mut [0; 64][..len], 5), Err(SessionError::Ended));
        }
        assert_eq!(ours.keep(Instant::now()).sent, 0);
    }
}
