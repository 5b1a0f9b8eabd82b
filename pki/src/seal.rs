//! Keys at rest: PKCS #8 sealed by AES-256-GCM under Argon2id of a passphrase, or under HKDF (RFC 5869) of a
//! secret that a machine made: 256 random bits cannot be guessed, and need not be made slow to guess. Pure:
//! salt and nonce are handed in. The sealed form is text, so that it survives a printer:
//!
//! ```text
//! mimamori sealed key v1
//! name device-ca
//! kdf argon2id m=65536 t=3 p=1 salt=<32 hex digits>        (or: kdf hkdf-sha256 salt=<32 hex digits>)
//! nonce <24 hex digits>
//! <base64>
//! ```
//! All lines but the last are authenticated with the key, so none can be exchanged.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use data_encoding::{BASE64, HEXLOWER};
use zeroize::{Zeroize, Zeroizing};

pub const SALT_LEN: usize = 16;
pub const NONCE_LEN: usize = 12;

/// Guessing a short passphrase costs less than Argon2 adds.
const SECRET_MIN: usize = 12;
/// A passphrase or a credential, not a file picked by mistake.
const SECRET_MAX: usize = 1024;
/// 64 MiB and three passes: about a fifth of a second for us, and for each guess.
/// (This crate's own tests seal hundreds of keys and use less; the golden file has the full cost.)
const MEMORY_KIB: u32 = if cfg!(test) { 64 } else { 64 * 1024 };
const PASSES: u32 = 3;
/// What a sealed file may ask of us; a forged one must not exhaust the machine.
const MEMORY_KIB_MAX: u32 = 1024 * 1024;
const PASSES_MAX: u32 = 16;

/// What a machine makes is base64 of this many random octets.
const MADE_LEN: usize = 32;
/// Fewer different octets among them are nobody's randomness (less than one in 10^14), but somebody's idea.
const MADE_DIFFERENT: usize = 16;

const FORM: &str = "mimamori sealed key v1";
const ARGON2: &str = "kdf argon2id ";
const HKDF: &str = "kdf hkdf-sha256 ";
/// Binds what is derived to its use.
const USE: &[u8] = b"mimamori sealed key v1 AES-256-GCM";

/// What opens a sealed key. No `Debug`, no `Clone`, wiped when dropped.
pub struct Secret(Zeroizing<Vec<u8>>);

/// How a secret becomes a key.
#[derive(Clone, Copy)]
enum Kdf {
    Argon2 { memory: u32, passes: u32 },
    Hkdf,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("MM-2201 the passphrase must have 12 to 1024 bytes")]
    Secret,
    #[error("MM-2202 the passphrase does not open the sealed key `{0}`, or its file was changed")]
    Wrong(String),
    #[error("MM-2203 this is not a sealed key of ours: {0}")]
    Form(&'static str),
    #[error("MM-2204 cannot compute with the key: {0}")]
    Crypto(&'static str),
}

impl Secret {
    /// One line end at the end is not part of it: editors add one.
    pub fn new(bytes: Vec<u8>) -> Result<Self, SealError> {
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
            if bytes.last() == Some(&b'\r') {
                bytes.pop();
            }
        }
        if (SECRET_MIN..=SECRET_MAX).contains(&bytes.len()) {
            Ok(Self(bytes))
        } else {
            Err(SealError::Secret)
        }
    }

    /// By which way a key is sealed under it from now on; what is sealed already says its own.
    fn kdf(&self) -> Kdf {
        let made = BASE64.decode(&self.0).map(Zeroizing::new).ok().filter(|made| made.len() == MADE_LEN);
        let mut seen = [false; 256];
        for octet in made.iter().flat_map(|made| made.iter()) {
            seen[usize::from(*octet)] = true;
        }
        if seen.iter().filter(|seen| **seen).count() >= MADE_DIFFERENT {
            Kdf::Hkdf
        } else {
            Kdf::Argon2 { memory: MEMORY_KIB, passes: PASSES }
        }
    }
}

impl Kdf {
    fn line(self, salt: &[u8; SALT_LEN]) -> String {
        let salt = HEXLOWER.encode(salt);
        match self {
            Self::Argon2 { memory, passes } => format!("{ARGON2}m={memory} t={passes} p=1 salt={salt}"),
            Self::Hkdf => format!("{HKDF}salt={salt}"),
        }
    }

    fn read(line: &str) -> Option<(Self, [u8; SALT_LEN])> {
        let (kdf, salt) = match line.strip_prefix(HKDF) {
            Some(salt) => (Self::Hkdf, salt),
            None => {
                let mut parts = line.strip_prefix(ARGON2)?.splitn(4, ' ');
                let memory = parts.next()?.strip_prefix("m=")?.parse().ok()?;
                let passes = parts.next()?.strip_prefix("t=")?.parse().ok()?;
                let one_lane = parts.next()? == "p=1";
                let bounded = (8..=MEMORY_KIB_MAX).contains(&memory) && (1..=PASSES_MAX).contains(&passes);
                (one_lane && bounded).then_some((Self::Argon2 { memory, passes }, parts.next()?))?
            }
        };
        let salt = HEXLOWER.decode(salt.strip_prefix("salt=")?.as_bytes()).ok()?;
        Some((kdf, salt.try_into().ok()?))
    }
}

/// Seals `plain` under the name by which it will be asked for.
pub fn seal(
    name: &str,
    plain: &[u8],
    secret: &Secret,
    salt: &[u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
) -> Result<String, SealError> {
    let kdf = secret.kdf();
    let header = format!("{FORM}\nname {name}\n{}\nnonce {}\n", kdf.line(salt), HEXLOWER.encode(&nonce));
    let key = key(secret, kdf, salt)?;
    let mut sealed = Zeroizing::new(plain.to_vec());
    let tag = key
        .seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(header.as_bytes()),
            sealed.as_mut_slice(),
        )
        .map_err(|_| SealError::Crypto("AES-256-GCM"))?;
    let body = [sealed.as_slice(), tag.as_ref()].concat();
    Ok(format!("{header}{}\n", BASE64.encode(&body)))
}

/// Opens what `seal` made; `name` must be the one it was sealed under.
pub fn open(name: &str, text: &str, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let body_at = text.trim_end().rfind('\n').ok_or(SealError::Form("too few lines"))? + 1;
    let (header, body) = text.split_at(body_at);
    let mut lines = header.lines();
    if lines.next() != Some(FORM) {
        return Err(SealError::Form("its first line"));
    }
    if lines.next().and_then(|line| line.strip_prefix("name ")) != Some(name) {
        return Err(SealError::Form("it is another key"));
    }
    let (kdf, salt) = lines.next().and_then(Kdf::read).ok_or(SealError::Form("its line `kdf`"))?;
    let nonce = lines.next().and_then(|line| line.strip_prefix("nonce "));
    let nonce = nonce.and_then(|hex| HEXLOWER.decode(hex.as_bytes()).ok());
    let nonce: [u8; NONCE_LEN] =
        nonce.and_then(|nonce| nonce.try_into().ok()).ok_or(SealError::Form("its line `nonce`"))?;
    if lines.next().is_some() {
        return Err(SealError::Form("too many lines"));
    }
    let sealed = BASE64.decode(body.trim_end().as_bytes()).map_err(|_| SealError::Form("its last line"))?;
    let mut sealed = Zeroizing::new(sealed);
    let length = key(secret, kdf, &salt)?
        .open_in_place(Nonce::assume_unique_for_key(nonce), Aad::from(header.as_bytes()), &mut sealed)
        .map_err(|_| SealError::Wrong(name.to_owned()))?
        .len();
    sealed.truncate(length);
    Ok(sealed)
}

fn key(secret: &Secret, kdf: Kdf, salt: &[u8; SALT_LEN]) -> Result<LessSafeKey, SealError> {
    match kdf {
        Kdf::Argon2 { memory, passes } => slow_key(secret, memory, passes, salt),
        Kdf::Hkdf => {
            let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(&secret.0);
            let expanded = extracted.expand(&[USE], &AES_256_GCM).map_err(|_| SealError::Crypto("HKDF"))?;
            Ok(LessSafeKey::new(UnboundKey::from(expanded)))
        }
    }
}

fn slow_key(secret: &Secret, memory: u32, passes: u32, salt: &[u8]) -> Result<LessSafeKey, SealError> {
    let crypto = |_| SealError::Crypto("Argon2id");
    let params = Params::new(memory, passes, 1, Some(32)).map_err(crypto)?;
    let mut blocks = vec![Block::default(); params.block_count()];
    let mut bytes = Zeroizing::new([0; 32]);
    let derived = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        &secret.0,
        salt,
        bytes.as_mut_slice(),
        &mut blocks,
    );
    blocks.iter_mut().for_each(|block| block.as_mut().zeroize());
    derived.map_err(crypto)?;
    let key =
        UnboundKey::new(&AES_256_GCM, bytes.as_slice()).map_err(|_| SealError::Crypto("AES-256-GCM"))?;
    Ok(LessSafeKey::new(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> Secret {
        Secret::new(text.as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn what_is_sealed_opens_with_its_secret_and_its_name_only() {
        let right = secret("correct horse battery");
        let sealed = seal("device-ca", b"the key", &right, &[1; 16], [2; 12]).unwrap();
        assert!(!sealed.contains("the key"));
        assert_eq!(open("device-ca", &sealed, &right).unwrap().as_slice(), b"the key");
        let wrong = open("device-ca", &sealed, &secret("correct horse battery ")).err().unwrap();
        assert_eq!(wrong, SealError::Wrong("device-ca".into()));
        assert!(wrong.to_string().starts_with("MM-2202 the passphrase does not open"));
        assert_eq!(open("root", &sealed, &right).err(), Some(SealError::Form("it is another key")));
    }

    /// A file of the first version, at its full cost: it opens for ever (ruling 14).
    #[test]
    fn what_was_sealed_by_the_first_version_opens() {
        let sealed = "mimamori sealed key v1\nname device-ca\n\
            kdf argon2id m=65536 t=3 p=1 salt=01010101010101010101010101010101\n\
            nonce 020202020202020202020202\ngFaDRACbbB02JZtIrJcNI5MEJorb1/I=\n";
        let opened = open("device-ca", sealed, &secret("correct horse battery")).unwrap();
        assert_eq!(opened.as_slice(), b"the key");
    }

    #[test]
    fn a_changed_file_never_opens() {
        let right = secret("correct horse battery");
        let sealed = seal("device-ca", b"the key", &right, &[1; 16], [2; 12]).unwrap();
        let renamed = sealed.replace("name device-ca", "name root");
        assert_eq!(open("root", &renamed, &right).err(), Some(SealError::Wrong("root".into())));
        for attack in [
            String::new(),
            "x".into(),
            sealed.replace("v1", "v2"),
            sealed.replace("m=64", "m=4294967295"),
            sealed.replace("t=3", "t=1000000"),
            sealed.replace("t=3", "t=2"),
            sealed.replace("salt=01", "salt=02"),
            sealed.replace("nonce 02", "nonce 03"),
            sealed.replace("nonce", "extra\nnonce"),
            sealed[..sealed.len() - 6].to_owned(),
        ] {
            assert!(open("device-ca", &attack, &right).is_err(), "{attack}");
        }
    }

    /// What `init` writes is 256 bits; a person's words, or base64 of little, are made slow to guess.
    #[test]
    fn only_what_a_machine_made_is_opened_quickly() {
        let made: Vec<u8> = (0..32).map(|n| n * 7).collect();
        let made = secret(&BASE64.encode(&made));
        let sealed = seal("device-ca", b"the key", &made, &[1; 16], [2; 12]).unwrap();
        assert!(sealed.contains("\nkdf hkdf-sha256 salt=01010101010101010101010101010101\n"), "{sealed}");
        assert_eq!(open("device-ca", &sealed, &made).unwrap().as_slice(), b"the key");
        for person in [
            "correct horse battery",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
            &BASE64.encode(&[7, 8, 9, 10].repeat(8)),
            &BASE64.encode(&(0..31).collect::<Vec<u8>>()),
        ] {
            let sealed = seal("device-ca", b"the key", &secret(person), &[1; 16], [2; 12]).unwrap();
            assert!(sealed.contains("\nkdf argon2id m="), "{person}");
        }
        // Nobody makes guessing cheap by writing another line into the file.
        let slow =
            seal("device-ca", b"the key", &secret("correct horse battery"), &[1; 16], [2; 12]).unwrap();
        let quick = slow.replace("argon2id m=64 t=3 p=1", "hkdf-sha256");
        let opened = open("device-ca", &quick, &secret("correct horse battery"));
        assert_eq!(opened.err(), Some(SealError::Wrong("device-ca".into())));
    }

    #[test]
    fn short_secrets_are_refused_and_a_line_end_is_not_part_of_one() {
        assert_eq!(Secret::new(b"short\n".to_vec()).err(), Some(SealError::Secret));
        assert_eq!(*secret("correct horse battery\r\n").0, *secret("correct horse battery").0);
    }
}
