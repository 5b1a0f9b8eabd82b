//! An authenticator in software: what a phone or a security key would say, and what a forger would.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use data_encoding::BASE64URL_NOPAD;

pub const RP: &str = "sns.mimamori.example.jp";
pub const ORIGIN: &str = "https://sns.mimamori.example.jp";
/// Somebody is there, and was verified.
pub const GOOD: u8 = 0x05;

pub enum Keys {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
    Rsa(RsaKeyPair),
}

pub struct Authenticator {
    pub credential: Vec<u8>,
    pub keys: Keys,
    pub flags: u8,
    pub counter: u32,
    pub rp: String,
    pub origin: String,
}

impl Authenticator {
    pub fn new(credential: &[u8]) -> Self {
        Self::with(credential, Keys::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()))
    }

    pub fn ed25519(credential: &[u8]) -> Self {
        Self::with(credential, Keys::Ed25519(Ed25519KeyPair::generate().unwrap()))
    }

    pub fn rsa(credential: &[u8]) -> Self {
        Self::with(credential, Keys::Rsa(RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    fn with(credential: &[u8], keys: Keys) -> Self {
        let (credential, rp, origin) = (credential.to_vec(), RP.to_owned(), ORIGIN.to_owned());
        Self { credential, keys, flags: GOOD, counter: 1, rp, origin }
    }

    pub fn client_data(&self, act: &str, challenge: &[u8]) -> Vec<u8> {
        let (challenge, origin) = (BASE64URL_NOPAD.encode(challenge), &self.origin);
        format!(r#"{{"type":"{act}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#)
            .into_bytes()
    }

    pub fn head(&self, flags: u8) -> Vec<u8> {
        let name = digest(&SHA256, self.rp.as_bytes());
        [name.as_ref(), &[flags], &self.counter.to_be_bytes()].concat()
    }

    pub fn cose(&self) -> Vec<u8> {
        match &self.keys {
            Keys::P256(keys) => {
                let point = keys.public_key().as_ref();
                [
                    &[0xa5, 1, 2, 3, 0x26, 0x20, 1, 0x21, 0x58, 32],
                    &point[1..33],
                    &[0x22, 0x58, 32],
                    &point[33..],
                ]
                .concat()
            }
            Keys::Ed25519(keys) => {
                [&[0xa4, 1, 1, 3, 0x27, 0x20, 6, 0x21, 0x58, 32], keys.public_key().as_ref()].concat()
            }
            Keys::Rsa(keys) => {
                let modulus = keys.public_key().modulus();
                let modulus = modulus.big_endian_without_leading_zero();
                [&[0xa4, 1, 3, 3, 0x39, 1, 0, 0x20, 0x59, 1, 0], modulus, &[0x21, 0x43, 1, 0, 1]].concat()
            }
        }
    }

    /// What it says of a key that it has just made: the browser's words and its own.
    pub fn makes(&self, challenge: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let length = (self.credential.len() as u16).to_be_bytes();
        let data =
            [&self.head(self.flags | 0x40)[..], &[0; 16], &length, &self.credential, &self.cose()].concat();
        (self.client_data("webauthn.create", challenge), attestation(&data))
    }

    /// What it says when it is asked: the browser's words, its own, and the signature over both.
    pub fn says(&mut self, challenge: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
        self.counter += 1;
        let client_data = self.client_data("webauthn.get", challenge);
        let data = self.head(self.flags);
        let signature = self.signs(&data, &client_data);
        (client_data, data, signature)
    }

    pub fn signs(&self, data: &[u8], client_data: &[u8]) -> Vec<u8> {
        let message = [data, digest(&SHA256, client_data).as_ref()].concat();
        let random = SystemRandom::new();
        match &self.keys {
            Keys::P256(keys) => keys.sign(&random, &message).unwrap().as_ref().to_vec(),
            Keys::Ed25519(keys) => keys.sign(&message).as_ref().to_vec(),
            Keys::Rsa(keys) => {
                let mut signature = vec![0; keys.public_modulus_len()];
                keys.sign(&RSA_PKCS1_SHA256, &random, &message, &mut signature).unwrap();
                signature
            }
        }
    }
}

/// `{"fmt": "none", "attStmt": {}, "authData": …}`
pub fn attestation(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u16).to_be_bytes();
    // In its shortest form, as authenticators write.
    let head = if data.len() < 256 { vec![0x58, length[1]] } else { vec![0x59, length[0], length[1]] };
    [b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData", &head[..], data].concat()
}
