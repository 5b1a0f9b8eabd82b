//! WireGuard keys as values: the public key of a peer, the preshared key of a slot, the server's own secret.
//! Secrets have no `Debug` and wipe themselves when dropped. A border file.

use std::fmt;
use std::str::FromStr;

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

pub const KEY_LEN: usize = 32;

/// The points of Curve25519 whose order divides 8, in their one canonical spelling:
/// zero, one, minus one, and the two of order eight.
const LOW_ORDER: [[u8; KEY_LEN]; 5] = [
    [0; KEY_LEN],
    {
        let mut one = [0; KEY_LEN];
        one[0] = 1;
        one
    },
    {
        let mut minus_one = [0xff; KEY_LEN];
        minus_one[0] = 0xec;
        minus_one[KEY_LEN - 1] = 0x7f;
        minus_one
    },
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
];

/// An X25519 public key; base64 in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey([u8; KEY_LEN]);

impl PublicKey {
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// Is this a point that one secret of the peer's own stands behind? Refuses the points of low order,
    /// whose shared secret anybody can compute, and second spellings of a point, which would let
    /// one key sit in two slots.
    pub fn is_usable(&self) -> bool {
        let canonical = {
            let top = &self.0[1..KEY_LEN - 1];
            self.0[KEY_LEN - 1] < 0x7f
                || (self.0[KEY_LEN - 1] == 0x7f && (top.iter().any(|b| *b != 0xff) || self.0[0] < 0xed))
        };
        canonical && !LOW_ORDER.contains(&self.0)
    }

    pub fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }
}

/// A preshared key: one per slot and generation.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PresharedKey([u8; KEY_LEN]);

impl PresharedKey {
    pub fn from_bytes(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    pub fn expose(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The text of a WireGuard profile; a secret.
    pub fn expose_base64(&self) -> String {
        BASE64.encode(&self.0)
    }
}

/// The server's own X25519 secret. No `Debug`, no `Clone`: it is moved from its file to the tunnels.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct TunnelKey([u8; KEY_LEN]);

impl TunnelKey {
    /// A key from 32 bytes of a caller's randomness.
    pub fn generate(random: [u8; KEY_LEN]) -> Self {
        Self(random)
    }

    /// Reads the one base64 line of a key file.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        decode(text.trim_end_matches(['\r', '\n'])).map(Self)
    }

    /// The line of a key file; a secret.
    pub fn expose_line(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{}\n", BASE64.encode(&self.0)))
    }

    pub fn public(&self) -> PublicKey {
        PublicKey(*x25519_dalek::PublicKey::from(&self.expose()).as_bytes())
    }

    pub(crate) fn expose(&self) -> StaticSecret {
        StaticSecret::from(self.0)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a WireGuard key is 32 bytes in base64 (44 characters)")]
pub struct KeyError;

fn decode(text: &str) -> Result<[u8; KEY_LEN], KeyError> {
    BASE64.decode(text.as_bytes()).map_err(|_| KeyError)?.try_into().map_err(|_| KeyError)
}

impl FromStr for PublicKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        decode(text).map(Self)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&BASE64.encode(&self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for PresharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresharedKey(<hidden>)")
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;
    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> String {
        key.to_string()
    }
}

impl TryFrom<String> for PresharedKey {
    type Error = KeyError;
    fn try_from(mut text: String) -> Result<Self, KeyError> {
        let key = decode(&text).map(Self);
        text.zeroize();
        key
    }
}

impl From<PresharedKey> for String {
    fn from(key: PresharedKey) -> String {
        key.expose_base64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tunnel_key_survives_its_file_and_gives_the_public_key_of_rfc_7748() {
        let bytes = [
            0x77, 0x07, 0x6d, 0x0a, 0x73, 0x18, 0xa5, 0x7d, 0x3c, 0x16, 0xc1, 0x72, 0x51, 0xb2, 0x66, 0x45,
            0xdf, 0x4c, 0x2f, 0x87, 0xeb, 0xc0, 0x99, 0x2a, 0xb1, 0x77, 0xfb, 0xa5, 0x1d, 0xb9, 0x2c, 0x2a,
        ];
        let key = TunnelKey::generate(bytes);
        let read = TunnelKey::parse(&key.expose_line()).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(key.public().to_string(), "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=");
        assert!(TunnelKey::parse("short").is_err());
    }

    #[test]
    fn weak_keys_are_named_and_agree_with_the_curve() {
        for low in LOW_ORDER {
            assert!(!PublicKey::from_bytes(low).is_usable());
            let shared = StaticSecret::from([7; 32]).diffie_hellman(&low.into());
            assert!(!shared.was_contributory(), "the list names a point of full order");
            let mut second_spelling = low;
            second_spelling[31] |= 0x80;
            assert!(!PublicKey::from_bytes(second_spelling).is_usable());
        }
        for above_p in [0xed, 0xee, 0xff] {
            let mut bytes = [0xff; 32];
            (bytes[0], bytes[31]) = (above_p, 0x7f);
            assert!(!PublicKey::from_bytes(bytes).is_usable());
        }
        assert!(TunnelKey::generate([9; 32]).public().is_usable());
    }
}
