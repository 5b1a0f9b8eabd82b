//! The responder's half of WireGuard's handshake (Noise IKpsk2), written from the paper. Owns the server's
//! static secret; pure (the ephemeral secret is handed in), lives as long as the handshake thread.
//!
//! ```text
//! initiation --identify--> Initiator (whose key?) --verify--> Verified (when?) --respond--> response, SessionKeys
//! ```
//! Each step consumes the one before, so a response cannot be made for what was not verified.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use zeroize::Zeroizing;

use crate::hashes::{HASH_LEN, MAC_LEN, hash, kdf, mac16};
use crate::key::{KEY_LEN, PresharedKey, PublicKey, TunnelKey};
use crate::protocol::{INITIATION_LEN, RESPONSE_LEN, TYPE_RESPONSE, word};

const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";
const LABEL_MAC1: &[u8] = b"mac1----";

const TAG: usize = 16;
const TIME_LEN: usize = 12;

/// An initiation's fields: sender, ephemeral, sealed static key, sealed time.
const SENDER_AT: usize = 4;
const EPHEMERAL_AT: usize = 8;
const STATIC_AT: usize = EPHEMERAL_AT + KEY_LEN;
const TIME_AT: usize = STATIC_AT + KEY_LEN + TAG;
const MACS_AT: usize = TIME_AT + TIME_LEN + TAG;
const _: () = assert!(MACS_AT + 2 * MAC_LEN == INITIATION_LEN);

type Secret = Zeroizing<[u8; KEY_LEN]>;

/// The message does not verify; nothing else is told, not even to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused;

/// When the initiation was made, by the device's clock: it only ever grows.
pub type Stamp = [u8; TIME_LEN];

/// The server's half of every handshake.
pub struct Responder {
    private: PrivateKey,
    /// Chaining key and hash after the construction, the identifier and our public key.
    chain: [u8; HASH_LEN],
    hash: [u8; HASH_LEN],
}

/// Keys of a new session, in our directions.
pub struct SessionKeys {
    pub open: Zeroizing<[u8; KEY_LEN]>,
    pub seal: Zeroizing<[u8; KEY_LEN]>,
    /// The index that the device gave.
    pub remote: u32,
}

impl Responder {
    pub fn new(key: &TunnelKey) -> Result<Self, Refused> {
        let private = private_key(&Zeroizing::new(key.expose().to_bytes()))?;
        let chain = hash(&[CONSTRUCTION]);
        let hash = hash(&[&hash(&[&chain, IDENTIFIER]), key.public().as_bytes()]);
        Ok(Self { private, chain, hash })
    }

    /// What our key and a device's key have in common; worth keeping, it saves one multiplication in four.
    pub fn common(&self, key: &PublicKey) -> Result<Secret, Refused> {
        agree(&self.private, key.as_bytes())
    }

    /// Whose initiation is this? Only the static key is opened.
    pub fn identify(&self, initiation: &[u8; INITIATION_LEN]) -> Result<Initiator, Refused> {
        let ephemeral: [u8; KEY_LEN] = field(initiation, EPHEMERAL_AT);
        let hash_ephemeral = hash(&[&self.hash, &ephemeral]);
        let chain = kdf::<1>(&self.chain, &ephemeral);
        let keys = kdf::<2>(&chain[0], &*agree(&self.private, &ephemeral)?);
        let sealed: [u8; KEY_LEN + TAG] = field(initiation, STATIC_AT);
        let key: [u8; KEY_LEN] = open(&keys[1], &hash_ephemeral, sealed)?;
        Ok(Initiator {
            remote: word(initiation, SENDER_AT).ok_or(Refused)?,
            key: PublicKey::from_bytes(key),
            ephemeral,
            sealed_time: field(initiation, TIME_AT),
            chain: Zeroizing::new(keys[0]),
            hash: hash(&[&hash_ephemeral, &sealed]),
        })
    }
}

/// Somebody who knows our public key says to be the holder of `key`.
pub struct Initiator {
    remote: u32,
    key: PublicKey,
    ephemeral: [u8; KEY_LEN],
    sealed_time: [u8; TIME_LEN + TAG],
    chain: Secret,
    hash: [u8; HASH_LEN],
}

impl Initiator {
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// `common` is `Responder::common` of this key: only its holder can have sealed the time.
    pub fn verify(self, common: &Secret) -> Result<Verified, Refused> {
        let keys = kdf::<2>(&self.chain, &**common);
        let stamp = open(&keys[1], &self.hash, self.sealed_time)?;
        let hash = hash(&[&self.hash, &self.sealed_time]);
        Ok(Verified { stamp, chain: Zeroizing::new(keys[0]), hash, initiator: self })
    }
}

/// The holder of the key made this initiation, at this time of its clock.
pub struct Verified {
    stamp: Stamp,
    chain: Secret,
    hash: [u8; HASH_LEN],
    initiator: Initiator,
}

impl Verified {
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// `ephemeral` is fresh randomness, `local` the index under which the device will address us.
    pub fn respond(
        self,
        psk: &PresharedKey,
        local: u32,
        ephemeral: Secret,
    ) -> Result<([u8; RESPONSE_LEN], SessionKeys), Refused> {
        let Initiator { remote, key, ephemeral: theirs, .. } = self.initiator;
        let private = private_key(&ephemeral)?;
        let public = private.compute_public_key().map_err(|_| Refused)?;
        let public = public.as_ref();
        let chain = kdf::<1>(&self.chain, public);
        let chain = kdf::<1>(&chain[0], &*agree(&private, &theirs)?);
        let chain = kdf::<1>(&chain[0], &*agree(&private, key.as_bytes())?);
        let keys = kdf::<3>(&chain[0], psk.expose());
        let transcript = hash(&[&hash(&[&self.hash, public]), &keys[1]]);
        let tag = seal_nothing(&keys[2], &transcript)?;

        let mut response = [0; RESPONSE_LEN];
        response[..4].copy_from_slice(&TYPE_RESPONSE.to_le_bytes());
        response[4..8].copy_from_slice(&local.to_le_bytes());
        response[8..12].copy_from_slice(&remote.to_le_bytes());
        response[12..44].copy_from_slice(public);
        response[44..60].copy_from_slice(&tag);
        let mac1 = mac16(&hash(&[LABEL_MAC1, key.as_bytes()]), &[&response[..60]]);
        response[60..76].copy_from_slice(&mac1);
        let session = kdf::<2>(&keys[0], &[]);
        let keys = SessionKeys { open: Zeroizing::new(session[0]), seal: Zeroizing::new(session[1]), remote };
        Ok((response, keys))
    }
}

/// The key of mac1 for messages to the holder of `key`.
pub fn mac1_key(key: &PublicKey) -> [u8; HASH_LEN] {
    hash(&[LABEL_MAC1, key.as_bytes()])
}

fn private_key(secret: &[u8; KEY_LEN]) -> Result<PrivateKey, Refused> {
    PrivateKey::from_private_key(&X25519, secret).map_err(|_| Refused)
}

/// Refuses a result of zeros, which a point of low order gives to everybody.
fn agree(private: &PrivateKey, public: &[u8; KEY_LEN]) -> Result<Secret, Refused> {
    agreement::agree(private, UnparsedPublicKey::new(&X25519, public), Refused, |shared| {
        shared.try_into().map(Zeroizing::new).map_err(|_| Refused)
    })
}

/// Handshake messages are sealed once per key, so their counter is 0.
fn aead(key: &[u8; KEY_LEN]) -> Result<(LessSafeKey, Nonce), Refused> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key).map_err(|_| Refused)?;
    Ok((LessSafeKey::new(key), Nonce::assume_unique_for_key([0; 12])))
}

fn open<const SEALED: usize, const PLAIN: usize>(
    key: &[u8; KEY_LEN],
    transcript: &[u8; HASH_LEN],
    mut sealed: [u8; SEALED],
) -> Result<[u8; PLAIN], Refused> {
    let (key, nonce) = aead(key)?;
    let plain = key.open_in_place(nonce, Aad::from(transcript), &mut sealed).map_err(|_| Refused)?;
    (&*plain).try_into().map_err(|_| Refused)
}

fn seal_nothing(key: &[u8; KEY_LEN], transcript: &[u8; HASH_LEN]) -> Result<[u8; TAG], Refused> {
    let (key, nonce) = aead(key)?;
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(transcript), &mut []).map_err(|_| Refused)?;
    tag.as_ref().try_into().map_err(|_| Refused)
}

fn field<const LEN: usize>(message: &[u8; INITIATION_LEN], at: usize) -> [u8; LEN] {
    let mut field = [0; LEN];
    field.copy_from_slice(&message[at..at + LEN]);
    field
}
