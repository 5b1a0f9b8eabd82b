//! Who may have a handshake computed: mac1, then a budget, then a proof of address, then a share per source.
//! Owns the cookie secret and the table of sources; pure (`now` and the seed are handed in), lives as long
//! as the data plane.
//!
//! ```text
//! mac1 wrong ------------------------------------------------> dropped: cannot know us
//! unproven budget left? --yes--> share of this source left? --> admitted
//!          no (under load)
//!          mac2 right (cookie over address and port)? --no---> cookie reply: 64 bytes, no X25519
//!          proven budget left? --> share of this source left? -> admitted
//! ```
//! A forged source can empty the unproven budget but never the proven one, and only proven or budgeted
//! sources enter the table, so its size has a bound that does not depend on the attacker.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Blake2sMac256, Digest};
use chacha20poly1305::{AeadInPlace, XChaCha20Poly1305};
use subtle::ConstantTimeEq;

use crate::drops::DropReason;
use crate::key::PublicKey;
use crate::protocol::{COOKIE_REPLY_LEN, INITIATION_LEN};

/// Handshakes per second for senders who have not proved their address: far above the rekeys of
/// 10,000 devices (84/s), and a tenth of a core.
pub const UNPROVEN_PER_SECOND: u32 = 500;
const UNPROVEN_BURST: u32 = 1_000;

/// Handshakes per second for senders who have: what one core can compute beside its packets (about 200 µs each).
pub const PROVEN_PER_SECOND: u32 = 3_000;
const PROVEN_BURST: u32 = 3_000;

/// One hospital behind one NAT address: 500 devices back within 10 s after a power cut.
pub const SOURCE_PER_SECOND: u32 = 50;
pub const SOURCE_BURST: u32 = 250;

/// Sources remembered at once: every slot of a series from an address of its own, and as many strangers.
pub const SOURCES_MAX: usize = 20_000;

/// The table is searched for sources at rest at most this often, so that a full table costs no scan per packet.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// A cookie's life at the initiator; the secret turns as often, and the one before still counts.
const COOKIE_TURN: Duration = Duration::from_secs(120);

const MAC_LEN: usize = 16;
const MAC1_AT: usize = INITIATION_LEN - 2 * MAC_LEN;
const MAC2_AT: usize = INITIATION_LEN - MAC_LEN;
const NONCE_LEN: usize = 24;
const TYPE_COOKIE_REPLY: u32 = 3;

/// What becomes of an initiation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    Admit,
    /// Send this instead; the sender shows with its next try that it receives at its address.
    Cookie(Box<[u8; COOKIE_REPLY_LEN]>),
    Drop(DropReason),
}

/// Handshake admission.
pub struct Limiter {
    mac1_key: [u8; 32],
    cookie_key: [u8; 32],
    /// Cookie secrets and nonces are derived from this; drawn once by the caller.
    seed: [u8; 32],
    started: Instant,
    nonces: u64,
    unproven: Pace,
    proven: Pace,
    sources: HashMap<Source, Pace>,
    swept: Instant,
}

impl Limiter {
    pub fn new(server: &PublicKey, now: Instant, seed: [u8; 32]) -> Self {
        Self {
            mac1_key: hash(b"mac1----", server.as_bytes()),
            cookie_key: hash(b"cookie--", server.as_bytes()),
            seed,
            started: now,
            nonces: 0,
            unproven: Pace::new(now),
            proven: Pace::new(now),
            sources: HashMap::new(),
            swept: now,
        }
    }

    pub fn admit(&mut self, now: Instant, from: SocketAddr, initiation: &[u8; INITIATION_LEN]) -> Admission {
        let mac1 = &initiation[MAC1_AT..MAC2_AT];
        if !same(&mac16(&self.mac1_key, &[&initiation[..MAC1_AT]]), mac1) {
            return Admission::Drop(DropReason::BadMac1);
        }
        if !self.unproven.take(now, UNPROVEN_PER_SECOND, UNPROVEN_BURST) {
            if !self.is_proven(now, from, initiation) {
                return Admission::Cookie(Box::new(self.cookie_reply(now, from, initiation)));
            }
            if !self.proven.take(now, PROVEN_PER_SECOND, PROVEN_BURST) {
                return Admission::Drop(DropReason::Overload);
            }
        }
        self.share(now, Source::of(from.ip()))
    }

    /// Sources in the table now.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    fn share(&mut self, now: Instant, source: Source) -> Admission {
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            if now.saturating_duration_since(self.swept) >= SWEEP_EVERY {
                self.swept = now;
                self.sources.retain(|_, pace| !pace.is_at_rest(now));
            }
            if self.sources.len() >= SOURCES_MAX {
                return Admission::Drop(DropReason::Overload);
            }
        }
        let pace = self.sources.entry(source).or_insert_with(|| Pace::new(now));
        if pace.take(now, SOURCE_PER_SECOND, SOURCE_BURST) {
            Admission::Admit
        } else {
            Admission::Drop(DropReason::SourceLimit)
        }
    }

    fn turn(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / COOKIE_TURN.as_secs()
    }

    /// Does mac2 carry this turn's cookie for this address and port, or the one before?
    fn is_proven(&self, now: Instant, from: SocketAddr, initiation: &[u8; INITIATION_LEN]) -> bool {
        let turn = self.turn(now);
        [Some(turn), turn.checked_sub(1)].into_iter().flatten().any(|turn| {
            let cookie = self.cookie(turn, from);
            same(&mac16(&cookie, &[&initiation[..MAC2_AT]]), &initiation[MAC2_AT..])
        })
    }

    fn cookie(&self, turn: u64, from: SocketAddr) -> [u8; MAC_LEN] {
        let secret = mac32(&self.seed, &[b"cookie", &turn.to_le_bytes()]);
        let address = match from.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        mac16(&secret, &[&address.octets(), &from.port().to_le_bytes()])
    }

    fn cookie_reply(
        &mut self,
        now: Instant,
        from: SocketAddr,
        initiation: &[u8; INITIATION_LEN],
    ) -> [u8; COOKIE_REPLY_LEN] {
        self.nonces += 1;
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&mac32(&self.seed, &[b"nonce", &self.nonces.to_le_bytes()])[..NONCE_LEN]);
        let mut cookie = self.cookie(self.turn(now), from);
        let cipher = XChaCha20Poly1305::new(&self.cookie_key.into());
        let tag = cipher
            .encrypt_in_place_detached(&nonce.into(), &initiation[MAC1_AT..MAC2_AT], &mut cookie)
            .unwrap_or_default(); // fails only beyond 256 GB
        let mut reply = [0; COOKIE_REPLY_LEN];
        reply[..4].copy_from_slice(&TYPE_COOKIE_REPLY.to_le_bytes());
        reply[4..8].copy_from_slice(&initiation[4..8]);
        reply[8..32].copy_from_slice(&nonce);
        reply[32..48].copy_from_slice(&cookie);
        reply[48..].copy_from_slice(&tag);
        reply
    }
}

/// Who shares one budget: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Source([u8; 8]);

impl Source {
    fn of(address: IpAddr) -> Source {
        let mut prefix = [0; 8];
        match address.to_canonical() {
            // ::/64 belongs to no subscriber, so the two families cannot meet.
            IpAddr::V4(v4) => prefix[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..8]),
        }
        Source(prefix)
    }
}

/// A token bucket in one number: the time at which it will be full again.
struct Pace(Instant);

impl Pace {
    fn new(now: Instant) -> Self {
        Pace(now)
    }

    fn take(&mut self, now: Instant, per_second: u32, burst: u32) -> bool {
        let each = Duration::from_secs(1) / per_second;
        let full = self.0.max(now) + each;
        if full.saturating_duration_since(now) > each * burst {
            return false;
        }
        self.0 = full;
        true
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        self.0 <= now
    }
}

fn hash(label: &[u8; 8], data: &[u8]) -> [u8; 32] {
    Blake2s256::new().chain_update(label).chain_update(data).finalize().into()
}

/// BLAKE2s keyed, 16 bytes; a key may be shorter than 32 bytes, as a cookie is.
fn mac16<const KEY: usize>(key: &[u8; KEY], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    const { assert!(KEY <= 32) };
    let Ok(mut mac) = Blake2sMac::<U16>::new_from_slice(key) else { unreachable!("asserted above") };
    parts.iter().for_each(|part| Update::update(&mut mac, part));
    mac.finalize_fixed().into()
}

fn mac32(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <Blake2sMac256 as KeyInit>::new(&(*key).into());
    parts.iter().for_each(|part| Update::update(&mut mac, part));
    mac.finalize_fixed().into()
}

/// In constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
