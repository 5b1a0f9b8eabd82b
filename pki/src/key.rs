//! A public key that the authority certifies: a point on P-256, nothing else. A pure value.
//! Owns its one DER form (SubjectPublicKeyInfo) and the hash by which the ledger knows a key.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};

use crate::chain::Hash;

/// An uncompressed point: 0x04, x, y.
pub const POINT_LEN: usize = 65;

/// What stands before the point in every P-256 SubjectPublicKeyInfo (RFC 5480).
const SPKI_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; POINT_LEN]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an uncompressed point of P-256")]
pub struct KeyError;

impl PublicKey {
    /// The form of a point only; whether it lies on the curve shows when a signature is checked with it.
    pub fn from_point(point: &[u8]) -> Result<Self, KeyError> {
        let point: [u8; POINT_LEN] = point.try_into().map_err(|_| KeyError)?;
        if point[0] == 0x04 { Ok(Self(point)) } else { Err(KeyError) }
    }

    /// From a whole SubjectPublicKeyInfo; any other algorithm, curve or encoding is refused.
    pub fn from_spki(der: &[u8]) -> Result<Self, KeyError> {
        Self::from_point(der.strip_prefix(&SPKI_HEAD).ok_or(KeyError)?)
    }

    pub fn point(&self) -> &[u8; POINT_LEN] {
        &self.0
    }

    pub fn spki(&self) -> Vec<u8> {
        [SPKI_HEAD.as_slice(), &self.0].concat()
    }

    /// SHA-256 over the SubjectPublicKeyInfo.
    pub fn hash(&self) -> Hash {
        Hash::of(&self.spki())
    }

    /// ECDSA with SHA-256, ASN.1 signature. A point that is not on the curve verifies nothing.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.0).verify(message, signature).is_ok()
    }
}
