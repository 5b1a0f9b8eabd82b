//! What an authenticator says, held against what it was asked (W3C WebAuthn, 7.1 and 7.2): challenge, origin, the name of the
//! gateway, that a person was there and was verified, and the signature. Owns nothing; knows no row. Pure.
//!
//! No statement of the maker is asked for: which product holds a key decides nothing here, and asking would name the device.
//! A statement that comes all the same is not looked at, for it is worth no more than none.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents,
    UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use crate::cbor::{self, Item};

/// The standard's longest name of a credential.
pub const CREDENTIAL_MAX: usize = 1023;
/// What a browser writes about one act; a longer one is nobody's.
const CLIENT_DATA_MAX: usize = 2 * 1024;
/// A key of 4096 bits and its names.
const KEY_MAX: usize = 1024;
/// RSA moduli: 2048 to 4096 bits.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;

const PRESENT: u8 = 0x01;
const VERIFIED: u8 = 0x04;
const PORTABLE: u8 = 0x08;
const COPIED: u8 = 0x10;
const HAS_KEY: u8 = 0x40;
const HAS_EXTENSIONS: u8 = 0x80;

/// Why not. Recorded, never told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasskeyFault {
    #[error("what the browser says cannot be read")]
    ClientData,
    #[error("made for another act")]
    Act,
    #[error("made for another challenge")]
    Challenge,
    #[error("made on another page")]
    Origin,
    #[error("what the authenticator says cannot be read")]
    Authenticator,
    #[error("made for another name")]
    Name,
    #[error("nobody was there, or nobody was verified")]
    Unverified,
    #[error("the key is of no kind that was asked for")]
    Key,
    #[error("the signature does not fit")]
    Signature,
    #[error("the counter went back: the key was copied")]
    Counter,
    #[error("what could not be copied can be now, or the other way round")]
    Portable,
}

/// What the gateway asked.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    pub challenge: &'a [u8],
    /// `https://sns.<zone>`
    pub origin: &'a str,
    /// `sns.<zone>`
    pub rp: &'a str,
}

/// A new key, as it will be stored.
#[derive(Debug, PartialEq, Eq)]
pub struct Registered {
    pub credential: Vec<u8>,
    /// COSE_Key.
    pub key: Vec<u8>,
    pub counter: u32,
    pub portable: bool,
}

/// A key as it is stored.
pub struct Held<'a> {
    pub key: &'a [u8],
    pub counter: u32,
    pub portable: bool,
}

/// What an authenticator says to one question.
pub struct Said<'a> {
    pub client_data: &'a [u8],
    pub authenticator_data: &'a [u8],
    pub signature: &'a [u8],
}

/// A person at our page makes a new key.
pub fn register(
    asked: Asked<'_>,
    client_data: &[u8],
    attestation: &[u8],
) -> Result<Registered, PasskeyFault> {
    heard(asked, "webauthn.create", client_data)?;
    let object = cbor::read_whole(attestation).map_err(|_| PasskeyFault::Authenticator)?;
    let data = object.get(&Item::Text("authData")).and_then(Item::bytes);
    let data = data.ok_or(PasskeyFault::Authenticator)?;
    let (head, rest) = Head::read(asked, data)?;
    if !head.is(HAS_KEY) {
        return Err(PasskeyFault::Authenticator);
    }
    // The product's name, which is not asked for, then the credential's own with its length.
    let (_product, rest) = rest.split_at_checked(16).ok_or(PasskeyFault::Authenticator)?;
    let (length, rest) = rest.split_first_chunk::<2>().ok_or(PasskeyFault::Authenticator)?;
    let length = usize::from(u16::from_be_bytes(*length));
    let (credential, rest) = rest.split_at_checked(length).ok_or(PasskeyFault::Authenticator)?;
    if credential.is_empty() || credential.len() > CREDENTIAL_MAX {
        return Err(PasskeyFault::Authenticator);
    }
    let (_, after) = cbor::read(rest).map_err(|_| PasskeyFault::Key)?;
    let key = &rest[..rest.len() - after.len()];
    head.ends(after)?;
    Key::read(key)?;
    Ok(Registered {
        credential: credential.to_vec(),
        key: key.to_vec(),
        counter: head.counter,
        portable: head.is(PORTABLE),
    })
}

/// Whoever holds the key signs in; gives the counter to be stored.
pub fn check(asked: Asked<'_>, held: &Held<'_>, said: &Said<'_>) -> Result<u32, PasskeyFault> {
    heard(asked, "webauthn.get", said.client_data)?;
    let (head, rest) = Head::read(asked, said.authenticator_data)?;
    if head.is(HAS_KEY) {
        return Err(PasskeyFault::Authenticator);
    }
    head.ends(rest)?;
    let signed = [said.authenticator_data, digest(&SHA256, said.client_data).as_ref()].concat();
    if !Key::read(held.key)?.signed(&signed, said.signature) {
        return Err(PasskeyFault::Signature);
    }
    if head.is(PORTABLE) != held.portable {
        return Err(PasskeyFault::Portable);
    }
    // Who never counts says 0 for ever.
    if (head.counter, held.counter) != (0, 0) && head.counter <= held.counter {
        return Err(PasskeyFault::Counter);
    }
    Ok(head.counter)
}

/// What the browser says it was asked, and on which page.
fn heard(asked: Asked<'_>, act: &str, client_data: &[u8]) -> Result<(), PasskeyFault> {
    if client_data.len() > CLIENT_DATA_MAX {
        return Err(PasskeyFault::ClientData);
    }
    let said: Value = serde_json::from_slice(client_data).map_err(|_| PasskeyFault::ClientData)?;
    if said["type"] != act {
        return Err(PasskeyFault::Act);
    }
    if said["challenge"] != BASE64URL_NOPAD.encode(asked.challenge) {
        return Err(PasskeyFault::Challenge);
    }
    // Never inside another site's frame.
    let framed = !matches!(said.get("crossOrigin"), None | Some(Value::Bool(false)));
    if said["origin"] != asked.origin || framed || said.get("topOrigin").is_some() {
        return Err(PasskeyFault::Origin);
    }
    Ok(())
}

/// The fixed start of what an authenticator signs.
struct Head {
    flags: u8,
    counter: u32,
}

impl Head {
    fn read<'a>(asked: Asked<'_>, data: &'a [u8]) -> Result<(Self, &'a [u8]), PasskeyFault> {
        let (name, rest) = data.split_first_chunk::<32>().ok_or(PasskeyFault::Authenticator)?;
        let ([flags], rest) = rest.split_first_chunk::<1>().ok_or(PasskeyFault::Authenticator)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(PasskeyFault::Authenticator)?;
        if name[..] != *digest(&SHA256, asked.rp.as_bytes()).as_ref() {
            return Err(PasskeyFault::Name);
        }
        let head = Self { flags: *flags, counter: u32::from_be_bytes(*counter) };
        if !head.is(PRESENT) || !head.is(VERIFIED) {
            return Err(PasskeyFault::Unverified);
        }
        // What cannot be copied was not.
        if head.is(COPIED) && !head.is(PORTABLE) {
            return Err(PasskeyFault::Authenticator);
        }
        Ok((head, rest))
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Extensions if they were announced, and nothing else.
    fn ends(&self, rest: &[u8]) -> Result<(), PasskeyFault> {
        let fits = match self.is(HAS_EXTENSIONS) {
            true => matches!(cbor::read_whole(rest), Ok(Item::Map(_))),
            false => rest.is_empty(),
        };
        if fits { Ok(()) } else { Err(PasskeyFault::Authenticator) }
    }
}

/// The kinds that the page asks for: ES256, EdDSA, RS256 (Windows Hello on older machines).
enum Key {
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
}

impl Key {
    fn read(cose: &[u8]) -> Result<Self, PasskeyFault> {
        if cose.len() > KEY_MAX {
            return Err(PasskeyFault::Key);
        }
        let map = cbor::read_whole(cose).map_err(|_| PasskeyFault::Key)?;
        let number = |key| match map.at(key) {
            Some(Item::Number(number)) => Some(*number),
            _ => None,
        };
        let octets = |key| map.at(key).and_then(Item::bytes);
        // Kind of key, algorithm, curve (RFC 9053).
        let key = match (number(1), number(3), number(-1)) {
            (Some(2), Some(-7), Some(1)) => match (octets(-2), octets(-3)) {
                (Some(x), Some(y)) if x.len() == 32 && y.len() == 32 => Key::P256([&[4], x, y].concat()),
                _ => return Err(PasskeyFault::Key),
            },
            (Some(1), Some(-8), Some(6)) => match octets(-2) {
                Some(x) if x.len() == 32 => Key::Ed25519(x.to_vec()),
                _ => return Err(PasskeyFault::Key),
            },
            (Some(3), Some(-257), _) => match (octets(-1), octets(-2)) {
                (Some(modulus), Some(exponent)) if MODULUS.contains(&modulus.len()) => {
                    Key::Rsa { modulus: modulus.to_vec(), exponent: exponent.to_vec() }
                }
                _ => return Err(PasskeyFault::Key),
            },
            _ => return Err(PasskeyFault::Key),
        };
        // A point that is on no curve would never verify anything.
        let stands = match &key {
            Key::P256(point) => ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).is_ok(),
            Key::Ed25519(point) => ParsedPublicKey::new(&ED25519, point).is_ok(),
            Key::Rsa { exponent, .. } => matches!(exponent[..], [3] | [1, 0, 1]),
        };
        if stands { Ok(key) } else { Err(PasskeyFault::Key) }
    }

    fn signed(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            Key::P256(point) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(message, signature).is_ok()
            }
            Key::Ed25519(point) => UnparsedPublicKey::new(&ED25519, point).verify(message, signature).is_ok(),
            Key::Rsa { modulus, exponent } => RsaPublicKeyComponents { n: modulus, e: exponent }
                .verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
                .is_ok(),
        }
    }
}

#[cfg(test)]
mod tests;
