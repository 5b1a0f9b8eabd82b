//! The two MACs of an initiation, and the cookie that makes a sender prove its address. Owns the cookie
//! secret; pure (`now` and the seed are handed in), lives as long as the handshake thread.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use chacha20poly1305::{AeadInPlace, KeyInit, XChaCha20Poly1305};
use subtle::ConstantTimeEq;

use crate::handshake::mac1_key;
use crate::hashes::{MAC_LEN, hash, mac16, mac32};
use crate::key::PublicKey;
use crate::protocol::{COOKIE_REPLY_LEN, INITIATION_LEN, TYPE_COOKIE};

/// A cookie's life at the initiator; the secret turns as often, and the one before still counts.
const COOKIE_TURN: Duration = Duration::from_secs(120);

const MAC1_AT: usize = INITIATION_LEN - 2 * MAC_LEN;
const MAC2_AT: usize = INITIATION_LEN - MAC_LEN;
const NONCE_LEN: usize = 24;

/// Does the initiation bear a second MAC at all? It says nothing of whether it is right.
pub fn bears_proof(initiation: &[u8; INITIATION_LEN]) -> bool {
    initiation[MAC2_AT..] != [0; MAC_LEN]
}

pub struct Cookies {
    mac1_key: [u8; 32],
    cookie_key: [u8; 32],
    /// Cookie secrets and nonces are derived from this; drawn once by the caller.
    seed: [u8; 32],
    started: Instant,
    nonces: u64,
}

impl Cookies {
    pub fn new(server: &PublicKey, now: Instant, seed: [u8; 32]) -> Self {
        Self {
            mac1_key: mac1_key(server),
            cookie_key: hash(&[b"cookie--", server.as_bytes()]),
            seed,
            started: now,
            nonces: 0,
        }
    }

    /// Does the sender know our public key? The cheapest of all checks, so the first.
    pub fn knows_us(&self, initiation: &[u8; INITIATION_LEN]) -> bool {
        same(&mac16(&self.mac1_key, &[&initiation[..MAC1_AT]]), &initiation[MAC1_AT..MAC2_AT])
    }

    /// Does mac2 carry this turn's cookie for this address and port, or the one before?
    pub fn is_proven(&self, now: Instant, from: SocketAddr, initiation: &[u8; INITIATION_LEN]) -> bool {
        if !bears_proof(initiation) {
            return false;
        }
        let turn = self.turn(now);
        [Some(turn), turn.checked_sub(1)].into_iter().flatten().any(|turn| {
            let cookie = self.cookie(turn, from);
            same(&mac16(&cookie, &[&initiation[..MAC2_AT]]), &initiation[MAC2_AT..])
        })
    }

    /// 64 bytes, no multiplication: the sender shows with its next try that it receives at its address.
    pub fn reply(
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
        reply[..4].copy_from_slice(&TYPE_COOKIE.to_le_bytes());
        reply[4..8].copy_from_slice(&initiation[4..8]);
        reply[8..32].copy_from_slice(&nonce);
        reply[32..48].copy_from_slice(&cookie);
        reply[48..].copy_from_slice(&tag);
        reply
    }

    fn turn(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / COOKIE_TURN.as_secs()
    }

    fn cookie(&self, turn: u64, from: SocketAddr) -> [u8; MAC_LEN] {
        let secret = mac32(&self.seed, &[b"cookie", &turn.to_le_bytes()]);
        let address = match from.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        mac16(&secret, &[&address.octets(), &from.port().to_le_bytes()])
    }
}

/// In constant time.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests;
