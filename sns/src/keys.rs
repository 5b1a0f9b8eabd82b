//! The envelope around everything that names a patient (ruling 10). Pure: keys and randomness are handed in.
//!
//! ```text
//! epoch secret (a credential)   wraps   epoch key      (epoch.key; random, replaced by every erasure)
//! epoch key                     wraps   patient key    (keys.db; random, one per patient and purpose)
//! patient key                   seals   content        (sns.db and whatever other rooms keep)
//! ```
//!
//! All three arrows are AES-256-GCM with a random 96-bit nonce. Two messages under one key share a nonce
//! with probability n²/2⁹⁷: a patient with a post a minute for fifty years makes n < 2²⁵ messages and thus
//! less than 2⁻⁴⁷, far within NIST's bound of 2³² messages per key; an epoch key wraps each patient once.
//! The additional data binds a message to its patient, its kind and its row, so that nothing can be moved.
//!
//! **What an erasure covers.** It drops the wrapped key and replaces the epoch key, so a copy of keys.db
//! from before opens with nothing that is left: the old epoch key was random, is derivable from no secret,
//! and lay only in `epoch.key`. **What it does not cover:** somebody who copied the *old* `epoch.key` *and* the
//! old keys.db *and* holds the epoch secret could always read, and still can. Therefore `epoch/` is never
//! backed up, and a fresh copy of keys.db is taken after each erasure (an older one opens nothing at all).
//! The price: who loses `epoch.key` loses every record. Its one escrowed copy belongs to a second custodian,
//! who replaces it, and destroys the former, whenever the epoch changes.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use pki::identity::PatientId;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

const KEY_LEN: usize = 32;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
/// First byte of every sealed message, so that another algorithm can follow.
const FORM: u8 = 1;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Another key, another place, or changed bytes: the cipher cannot tell which.
    #[error("it does not open: another key, another place, or changed bytes")]
    DoesNotOpen,
    #[error("it is not something this room sealed")]
    Form,
    #[error("the cipher refused to seal")]
    Cipher,
    #[error("a secret is 64 hex digits")]
    Secret,
}

/// Thirty-two secret bytes: no `Debug`, no `Clone`, wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct Secret([u8; KEY_LEN]);

impl Secret {
    pub fn new(bytes: [u8; KEY_LEN]) -> Self {
        Self(bytes)
    }

    /// A secret for one use of this one.
    fn derive(&self, purpose: &[u8]) -> Secret {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &self.0), purpose);
        let mut bytes = [0; KEY_LEN];
        bytes.copy_from_slice(tag.as_ref());
        Secret(bytes)
    }
}

/// As the secret's file holds it: 64 hex digits, white space around them ignored.
impl FromStr for Secret {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let bytes =
            Zeroizing::new(HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes()).map_err(|_| KeyError::Secret)?);
        let mut secret = [0; KEY_LEN];
        if bytes.len() != KEY_LEN {
            return Err(KeyError::Secret);
        }
        secret.copy_from_slice(&bytes);
        Ok(Self(secret))
    }
}

/// Random, and used up by the one message it is given to.
pub struct Nonce([u8; NONCE_LEN]);

impl Nonce {
    pub fn from_random(random: [u8; NONCE_LEN]) -> Self {
        Self(random)
    }
}

/// What a patient's key is for. Search tokens get a key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Content,
}

impl Purpose {
    pub fn as_str(self) -> &'static str {
        match self {
            Purpose::Content => "content",
        }
    }
}

/// What a sealed message is; the same bytes under another kind do not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    TeamName,
    TeamKana,
    FacilityName,
    Member,
    Author,
    Post,
    Acknowledger,
    /// Kept by another room, which names its own context.
    Kept,
}

impl Kind {
    pub const ALL: [Kind; 8] = [
        Kind::TeamName,
        Kind::TeamKana,
        Kind::FacilityName,
        Kind::Member,
        Kind::Author,
        Kind::Post,
        Kind::Acknowledger,
        Kind::Kept,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Kind::TeamName => "team-name",
            Kind::TeamKana => "team-kana",
            Kind::FacilityName => "facility-name",
            Kind::Member => "member",
            Kind::Author => "author",
            Kind::Post => "post",
            Kind::Acknowledger => "acknowledger",
            Kind::Kept => "kept",
        }
    }
}

/// The key that wraps all patients' keys until the next erasure.
pub struct EpochKey {
    pub epoch: u32,
    key: Secret,
}

/// A patient's key as keys.db holds it, with the epoch of the key that wraps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    pub epoch: u32,
    pub sealed: String,
}

/// A patient's key, open for as long as one question takes.
pub struct PatientKey {
    patient: PatientId,
    key: Secret,
}

impl EpochKey {
    pub fn new(epoch: u32, random: [u8; KEY_LEN]) -> Self {
        Self { epoch, key: Secret(random) }
    }

    /// One line of `epoch.key`.
    pub fn to_line(&self, secret: &Secret, nonce: Nonce) -> Result<String, KeyError> {
        let sealed = seal(&secret.derive(EPOCH_WRAP), &epoch_aad(self.epoch), &self.key.0, nonce)?;
        Ok(format!("{} {}", self.epoch, BASE64.encode(&sealed)))
    }

    pub fn from_line(secret: &Secret, line: &str) -> Result<Self, KeyError> {
        let (epoch, sealed) = line.split_once(' ').ok_or(KeyError::Form)?;
        let epoch = epoch.parse().map_err(|_| KeyError::Form)?;
        let sealed = BASE64.decode(sealed.as_bytes()).map_err(|_| KeyError::Form)?;
        let key = open(&secret.derive(EPOCH_WRAP), &epoch_aad(epoch), &sealed)?;
        Ok(Self { epoch, key: secret_of(&key)? })
    }

    pub fn wrap(&self, key: &PatientKey, purpose: Purpose, nonce: Nonce) -> Result<Wrapped, KeyError> {
        let sealed = seal(&self.key, &wrap_aad(&key.patient, self.epoch, purpose), &key.key.0, nonce)?;
        Ok(Wrapped { epoch: self.epoch, sealed: BASE64.encode(&sealed) })
    }

    pub fn unwrap(
        &self,
        patient: &PatientId,
        purpose: Purpose,
        wrapped: &Wrapped,
    ) -> Result<PatientKey, KeyError> {
        let sealed = BASE64.decode(wrapped.sealed.as_bytes()).map_err(|_| KeyError::Form)?;
        let key = open(&self.key, &wrap_aad(patient, wrapped.epoch, purpose), &sealed)?;
        Ok(PatientKey { patient: patient.clone(), key: secret_of(&key)? })
    }
}

impl PatientKey {
    pub fn new(patient: PatientId, random: [u8; KEY_LEN]) -> Self {
        Self { patient, key: Secret(random) }
    }

    pub fn seal(&self, kind: Kind, row: &str, plain: &[u8], nonce: Nonce) -> Result<Vec<u8>, KeyError> {
        seal(&self.key, &content_aad(&self.patient, kind, row), plain, nonce)
    }

    pub fn open(&self, kind: Kind, row: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        open(&self.key, &content_aad(&self.patient, kind, row), sealed)
    }

    /// As the tables hold it.
    pub fn seal_text(&self, kind: Kind, row: &str, plain: &str, nonce: Nonce) -> Result<String, KeyError> {
        Ok(BASE64.encode(&self.seal(kind, row, plain.as_bytes(), nonce)?))
    }

    pub fn open_text(&self, kind: Kind, row: &str, sealed: &str) -> Result<String, KeyError> {
        let sealed = BASE64.decode(sealed.as_bytes()).map_err(|_| KeyError::Form)?;
        let plain = self.open(kind, row, &sealed)?;
        std::str::from_utf8(&plain).map(str::to_owned).map_err(|_| KeyError::Form)
    }

    /// Recognises the same content again without storing what could be guessed from a plain hash.
    pub fn mark(&self, content: &[&[u8]]) -> String {
        let key = self.key.derive(b"mimamori sns mark v1");
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key.0), &fields(b"mark", content));
        HEXLOWER.encode(tag.as_ref())
    }
}

impl fmt::Debug for PatientKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PatientKey({}, <hidden>)", self.patient)
    }
}

const EPOCH_WRAP: &[u8] = b"mimamori sns epoch wrap v1";

fn epoch_aad(epoch: u32) -> Vec<u8> {
    fields(b"mimamori epoch v1", &[&epoch.to_be_bytes()])
}

fn wrap_aad(patient: &PatientId, epoch: u32, purpose: Purpose) -> Vec<u8> {
    fields(
        b"mimamori wrap v1",
        &[patient.as_str().as_bytes(), &epoch.to_be_bytes(), purpose.as_str().as_bytes()],
    )
}

fn content_aad(patient: &PatientId, kind: Kind, row: &str) -> Vec<u8> {
    fields(b"mimamori seal v1", &[patient.as_str().as_bytes(), kind.as_str().as_bytes(), row.as_bytes()])
}

/// Each field behind its length: no two lists give the same bytes.
fn fields(domain: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(64);
    for part in std::iter::once(&domain).chain(parts) {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

/// form byte, nonce, ciphertext, tag
fn seal(key: &Secret, aad: &[u8], plain: &[u8], nonce: Nonce) -> Result<Vec<u8>, KeyError> {
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + plain.len() + TAG_LEN);
    sealed.push(FORM);
    sealed.extend_from_slice(&nonce.0);
    sealed.extend_from_slice(plain);
    let nonce = aead::Nonce::assume_unique_for_key(nonce.0);
    let tag = cipher(key)?
        .seal_in_place_separate_tag(nonce, Aad::from(aad), &mut sealed[1 + NONCE_LEN..])
        .map_err(|_| KeyError::Cipher)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

fn open(key: &Secret, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (form, rest) = sealed.split_first().ok_or(KeyError::Form)?;
    if *form != FORM || rest.len() < NONCE_LEN + TAG_LEN {
        return Err(KeyError::Form);
    }
    let (nonce, body) = rest.split_at(NONCE_LEN);
    let nonce = aead::Nonce::try_assume_unique_for_key(nonce).map_err(|_| KeyError::Form)?;
    let mut plain = Zeroizing::new(body.to_vec());
    let len = cipher(key)?
        .open_in_place(nonce, Aad::from(aad), &mut plain)
        .map_err(|_| KeyError::DoesNotOpen)?
        .len();
    plain.truncate(len);
    Ok(plain)
}

fn cipher(key: &Secret) -> Result<LessSafeKey, KeyError> {
    let key = UnboundKey::new(&aead::AES_256_GCM, &key.0).map_err(|_| KeyError::Cipher)?;
    Ok(LessSafeKey::new(key))
}

fn secret_of(bytes: &[u8]) -> Result<Secret, KeyError> {
    let mut secret = Secret([0; KEY_LEN]);
    if bytes.len() != KEY_LEN {
        return Err(KeyError::Form);
    }
    secret.0.copy_from_slice(bytes);
    Ok(secret)
}

#[cfg(test)]
mod tests;
