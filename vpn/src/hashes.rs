//! BLAKE2s in the four shapes that WireGuard uses. Owns nothing; pure.

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, KeyInit, Update};
use blake2::{Blake2s256, Blake2sMac, Blake2sMac256, Digest};
use zeroize::Zeroizing;

pub const HASH_LEN: usize = 32;
pub const MAC_LEN: usize = 16;

const BLOCK: usize = 64;

pub fn hash(parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut hasher = Blake2s256::new();
    parts.iter().for_each(|part| Digest::update(&mut hasher, part));
    hasher.finalize().into()
}

/// Keyed, 16 bytes; a key may be shorter than 32 bytes, as a cookie is.
pub fn mac16<const KEY: usize>(key: &[u8; KEY], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    const { assert!(KEY <= HASH_LEN) };
    let Ok(mut mac) = Blake2sMac::<U16>::new_from_slice(key) else { unreachable!("asserted above") };
    parts.iter().for_each(|part| Update::update(&mut mac, part));
    mac.finalize_fixed().into()
}

pub fn mac32(key: &[u8; HASH_LEN], parts: &[&[u8]]) -> [u8; HASH_LEN] {
    let mut mac = <Blake2sMac256 as KeyInit>::new(&(*key).into());
    parts.iter().for_each(|part| Update::update(&mut mac, part));
    mac.finalize_fixed().into()
}

/// HKDF over HMAC-BLAKE2s: `N` keys from a chaining key and new material.
pub fn kdf<const N: usize>(chain: &[u8; HASH_LEN], material: &[u8]) -> Zeroizing<[[u8; HASH_LEN]; N]> {
    const { assert!(N >= 1 && N <= 3) };
    let extracted = Zeroizing::new(hmac(chain, &[material]));
    let keyed = Hmac::new(&extracted);
    let mut keys = Zeroizing::new([[0; HASH_LEN]; N]);
    for n in 0..N {
        let (before, from_here) = keys.split_at_mut(n);
        let last: &[u8] = before.last().map_or(&[], |key| &key[..]);
        from_here[0] = keyed.clone().finish(&[last, &[n as u8 + 1]]);
    }
    keys
}

pub fn hmac(key: &[u8; HASH_LEN], parts: &[&[u8]]) -> [u8; HASH_LEN] {
    Hmac::new(key).finish(parts)
}

/// A key that has been through both of its blocks; cloned per message.
#[derive(Clone)]
struct Hmac {
    inner: Blake2s256,
    outer: Blake2s256,
}

impl Hmac {
    fn new(key: &[u8; HASH_LEN]) -> Self {
        let block = |pad: u8| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            Blake2s256::new().chain_update(&block[..])
        };
        Self { inner: block(0x36), outer: block(0x5c) }
    }

    fn finish(mut self, parts: &[&[u8]]) -> [u8; HASH_LEN] {
        parts.iter().for_each(|part| Digest::update(&mut self.inner, part));
        self.outer.chain_update(self.inner.finalize()).finalize().into()
    }
}
