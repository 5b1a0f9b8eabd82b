//! The initiator's half of WireGuard's handshake, for the far end of the throughput runs. The server never
//! initiates, so this lives here and not in the room.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use chacha20poly1305::{AeadInPlace, KeyInit, XChaCha20Poly1305};
use vpn::handshake::{SessionKeys, mac1_key};
use vpn::hashes::{HASH_LEN, MAC_LEN, hash, kdf, mac16};
use vpn::key::KEY_LEN;
use vpn::protocol::{INITIATION_LEN, RESPONSE_LEN};
use zeroize::Zeroizing;

type Key = [u8; KEY_LEN];

/// An initiation that waits for its response.
pub struct Asked {
    own: PrivateKey,
    ephemeral: PrivateKey,
    psk: Key,
    chain: Key,
    hash: [u8; HASH_LEN],
}

/// `stamp` must grow with every call; `index` is how the server will address us.
pub fn ask(
    own: &Key,
    server: &Key,
    psk: &Key,
    index: u32,
    stamp: u64,
    random: &Key,
) -> (Asked, [u8; INITIATION_LEN]) {
    let (own, ephemeral) = (private(own), private(random));
    let public = |key: &PrivateKey| -> Key { key.compute_public_key().unwrap().as_ref().try_into().unwrap() };
    let mut message = [0; INITIATION_LEN];
    message[0] = 1;
    message[4..8].copy_from_slice(&index.to_le_bytes());
    message[8..40].copy_from_slice(&public(&ephemeral));

    let chain = hash(&[b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"]);
    let start = hash(&[&chain, b"WireGuard v1 zx2c4 Jason@zx2c4.com"]);
    let start = hash(&[&hash(&[&start, server]), &message[8..40]]);
    let chain = kdf::<1>(&chain, &message[8..40])[0];
    let keys = kdf::<2>(&chain, &shared(&ephemeral, server));
    message[40..88].copy_from_slice(&seal(&keys[1], &public(&own), &start));
    let start = hash(&[&start, &message[40..88]]);
    let keys = kdf::<2>(&keys[0], &shared(&own, server));
    let time = [&(1u64 << 62 | stamp).to_be_bytes()[..], &[0; 4]].concat();
    message[88..116].copy_from_slice(&seal(&keys[1], &time, &start));
    let hash = hash(&[&start, &message[88..116]]);
    let mac1 = mac16(&mac1_key(&vpn::PublicKey::from_bytes(*server)), &[&message[..116]]);
    message[116..132].copy_from_slice(&mac1);
    (Asked { own, ephemeral, psk: *psk, chain: keys[0], hash }, message)
}

impl Asked {
    /// The keys in our directions; `None` for a response that does not verify.
    pub fn answered(&self, response: &[u8; RESPONSE_LEN]) -> Option<SessionKeys> {
        let theirs: Key = response[12..44].try_into().ok()?;
        let chain = kdf::<1>(&self.chain, &theirs)[0];
        let chain = kdf::<1>(&chain, &shared(&self.ephemeral, &theirs))[0];
        let chain = kdf::<1>(&chain, &shared(&self.own, &theirs))[0];
        let keys = kdf::<3>(&chain, &self.psk);
        let transcript = hash(&[&hash(&[&self.hash, &theirs]), &keys[1]]);
        let (key, nonce) = aead(&keys[2]);
        let mut tag: [u8; 16] = response[44..60].try_into().ok()?;
        key.open_in_place(nonce, Aad::from(transcript), &mut tag).ok()?;
        let session = kdf::<2>(&keys[0], &[]);
        let remote = u32::from_le_bytes(response[4..8].try_into().ok()?);
        Some(SessionKeys { seal: Zeroizing::new(session[0]), open: Zeroizing::new(session[1]), remote })
    }
}

/// What a cookie reply to the initiation with this mac1 holds.
pub fn cookie(server: &Key, mac1: &[u8; MAC_LEN], reply: &[u8]) -> Option<[u8; MAC_LEN]> {
    let mut cookie: [u8; MAC_LEN] = reply.get(32..48)?.try_into().ok()?;
    let nonce: [u8; 24] = reply[8..32].try_into().ok()?;
    let tag: [u8; 16] = reply.get(48..64)?.try_into().ok()?;
    let cipher = XChaCha20Poly1305::new(&hash(&[b"cookie--", server]).into());
    cipher.decrypt_in_place_detached(&nonce.into(), mac1, &mut cookie, &tag.into()).ok()?;
    Some(cookie)
}

fn private(bytes: &Key) -> PrivateKey {
    PrivateKey::from_private_key(&X25519, bytes).unwrap()
}

fn shared(own: &PrivateKey, theirs: &Key) -> Key {
    agree(own, UnparsedPublicKey::new(&X25519, theirs), (), |shared| shared.try_into().map_err(|_| ()))
        .unwrap()
}

fn aead(key: &Key) -> (LessSafeKey, Nonce) {
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, key).unwrap());
    (key, Nonce::assume_unique_for_key([0; 12]))
}

fn seal(key: &Key, plain: &[u8], transcript: &[u8; HASH_LEN]) -> Vec<u8> {
    let ((key, nonce), mut sealed) = (aead(key), plain.to_vec());
    let tag = key.seal_in_place_separate_tag(nonce, Aad::from(transcript), &mut sealed).unwrap();
    sealed.extend_from_slice(tag.as_ref());
    sealed
}
