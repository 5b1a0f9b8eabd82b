//! A PKCS#12 file (RFC 7292) of one key and its chain, for the fallback in which the server makes the key. The same two
//! forms as the claim page's `p12.js`, octet for octet (a golden file holds both): PBES2 with AES-256 and SHA-256, or
//! 3DES with SHA-1 for Android and macOS up to 13, whose secrecy is the password's alone. Pure: randomness is handed in.

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::{digest, hmac, pbkdf2};
use des::TdesEde3;
use des::cipher::{BlockCipherEncrypt, KeyInit};
use pki::der::{INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, tlv};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::messages::Message;

/// As in the page: with 137 random bits in the password nothing more is needed.
pub const ITERATIONS: u32 = 10_000;
/// No i, l, o, u, 0 and 1: it is typed from one screen into another.
const SIGNS: &[u8; 30] = b"abcdefghjkmnpqrstvwxyz23456789";
/// Of 30 signs: 137 bits (ruling 5: at least 128).
pub const PASSWORD_LENGTH: usize = 28;
/// Octets from which a password is drawn; what lies above the last whole multiple of the signs is not used.
pub const PASSWORD_RANDOM: usize = 64;
pub const SALT: usize = 16;

const CONTEXT_0: u8 = 0xa0;
const BMP_STRING: u8 = 0x1e;
/// Blocks of SHA-1 and SHA-256.
const HASH_BLOCK: usize = 64;
const DES_BLOCK: usize = 8;

// Identifiers, content octets.
const DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const ENCRYPTED_DATA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x06];
const KEY_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x02];
const CERTIFICATE_BAG: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x0a, 0x01, 0x03];
const X509: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x16, 0x01];
const FRIENDLY_NAME: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x14];
const LOCAL_KEY_ID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x15];
const PBES2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0d];
const PBKDF2: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c];
const HMAC_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x09];
const AES256_CBC: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];
const PBE_3DES: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x0c, 0x01, 0x03];
const SHA1: &[u8] = &[0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];

/// Which devices read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Modern,
    /// Android up to 13, macOS up to 13, iOS up to 15.
    Compatible,
}

/// A file's password, shown once.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct FilePassword(String);

impl FilePassword {
    /// Uniform; `None` when too little of the randomness could be used, which is drawn again.
    pub fn from_random(random: &[u8; PASSWORD_RANDOM]) -> Option<Self> {
        let even = (256 / SIGNS.len()) * SIGNS.len();
        let usable = random.iter().map(|octet| usize::from(*octet)).filter(|octet| *octet < even);
        let signs: String =
            usable.take(PASSWORD_LENGTH).map(|octet| char::from(SIGNS[octet % SIGNS.len()])).collect();
        (signs.len() == PASSWORD_LENGTH).then_some(Self(signs))
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// What goes into a file.
pub struct Contents<'a> {
    /// PKCS #8.
    pub key: &'a [u8],
    /// The device's certificate first (DER).
    pub chain: &'a [Vec<u8>],
    pub friendly_name: &'a str,
}

/// The file. `random` fills a salt each time it is asked.
pub fn pack(
    contents: &Contents<'_>,
    password: &FilePassword,
    form: Form,
    random: &mut dyn FnMut(&mut [u8; SALT]),
) -> Result<Vec<u8>, Message> {
    let leaf = contents.chain.first().ok_or_else(broken)?;
    let key_id = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, leaf);
    let own = attributes(contents.friendly_name, key_id.as_ref());
    let bags: Vec<Vec<u8>> = contents
        .chain
        .iter()
        .enumerate()
        .map(|(place, der)| certificate_bag(der, if place == 0 { Some(&own) } else { None }))
        .collect();
    let certificates = tlv(SEQUENCE, &bags.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let key = sealed(form, password, contents.key, random)?;
    let shrouded = tlv(SEQUENCE, &[&key.algorithm, &tlv(OCTET_STRING, &[&key.data])]);
    let keys = tlv(SEQUENCE, &[&bag(KEY_BAG, &shrouded, Some(&own))]);
    let certificates = encrypted_content(&sealed(form, password, &certificates, random)?);
    let safe = tlv(SEQUENCE, &[&certificates, &content(&keys)]);
    let mac = mac(form, password, &safe, random);
    Ok(tlv(SEQUENCE, &[&tlv(INTEGER, &[&[3]]), &content(&safe), &mac]))
}

struct Sealed {
    algorithm: Vec<u8>,
    data: Vec<u8>,
}

fn sealed(
    form: Form,
    password: &FilePassword,
    data: &[u8],
    random: &mut dyn FnMut(&mut [u8; SALT]),
) -> Result<Sealed, Message> {
    let mut salt = [0; SALT];
    random(&mut salt);
    match form {
        Form::Modern => {
            let mut iv = [0; SALT];
            random(&mut iv);
            modern(password, data, &salt, iv)
        }
        Form::Compatible => compatible(password, data, &salt),
    }
}

/// PBES2 (RFC 8018): PBKDF2 with HMAC-SHA-256, AES-256-CBC.
fn modern(
    password: &FilePassword,
    data: &[u8],
    salt: &[u8; SALT],
    iv: [u8; SALT],
) -> Result<Sealed, Message> {
    let mut key = Zeroizing::new([0; 32]);
    let rounds = std::num::NonZeroU32::new(ITERATIONS).ok_or_else(broken)?;
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, rounds, salt, password.expose().as_bytes(), &mut *key);
    let key = UnboundCipherKey::new(&AES_256, &*key).map_err(|_| broken())?;
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).map_err(|_| broken())?;
    let mut sealed = Zeroizing::new(data.to_vec());
    let context = EncryptionContext::Iv128(FixedLength::from(iv));
    key.less_safe_encrypt(&mut *sealed, context).map_err(|_| broken())?;
    let prf = tlv(SEQUENCE, &[&tlv(OID, &[HMAC_SHA256]), &tlv(NULL, &[])]);
    let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[salt]), &rounds_der(), &prf]);
    let derivation = tlv(SEQUENCE, &[&tlv(OID, &[PBKDF2]), &parameters]);
    let cipher = tlv(SEQUENCE, &[&tlv(OID, &[AES256_CBC]), &tlv(OCTET_STRING, &[&iv])]);
    let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[PBES2]), &tlv(SEQUENCE, &[&derivation, &cipher])]);
    Ok(Sealed { algorithm, data: sealed.to_vec() })
}

/// pbeWithSHAAnd3-KeyTripleDES-CBC (RFC 7292 appendix C).
fn compatible(password: &FilePassword, data: &[u8], salt: &[u8; SALT]) -> Result<Sealed, Message> {
    let key = derive(&digest::SHA1_FOR_LEGACY_USE_ONLY, 1, password, salt, 24);
    let iv = derive(&digest::SHA1_FOR_LEGACY_USE_ONLY, 2, password, salt, DES_BLOCK);
    let cipher = TdesEde3::new_from_slice(&key).map_err(|_| broken())?;
    let pad = DES_BLOCK - data.len() % DES_BLOCK;
    let mut plain = Zeroizing::new(data.to_vec());
    plain.extend(std::iter::repeat_n(pad as u8, pad));
    let mut sealed = Vec::with_capacity(plain.len());
    let mut before: Vec<u8> = iv.to_vec();
    for block in plain.chunks_exact(DES_BLOCK) {
        let mixed: [u8; DES_BLOCK] = std::array::from_fn(|place| block[place] ^ before[place]);
        let mut mixed = mixed.into();
        cipher.encrypt_block(&mut mixed);
        before = mixed.to_vec();
        sealed.extend_from_slice(&before);
    }
    let parameters = tlv(SEQUENCE, &[&tlv(OCTET_STRING, &[salt]), &rounds_der()]);
    Ok(Sealed { algorithm: tlv(SEQUENCE, &[&tlv(OID, &[PBE_3DES]), &parameters]), data: sealed })
}

fn mac(form: Form, password: &FilePassword, safe: &[u8], random: &mut dyn FnMut(&mut [u8; SALT])) -> Vec<u8> {
    let mut salt = [0; SALT];
    random(&mut salt);
    let (algorithm, oid, by) = match form {
        Form::Modern => (&digest::SHA256, SHA256, hmac::HMAC_SHA256),
        Form::Compatible => (&digest::SHA1_FOR_LEGACY_USE_ONLY, SHA1, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY),
    };
    let key = derive(algorithm, 3, password, &salt, algorithm.output_len());
    let tag = hmac::sign(&hmac::Key::new(by, &key), safe);
    let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[oid]), &tlv(NULL, &[])]);
    let value = tlv(SEQUENCE, &[&algorithm, &tlv(OCTET_STRING, &[tag.as_ref()])]);
    tlv(SEQUENCE, &[&value, &tlv(OCTET_STRING, &[&salt]), &rounds_der()])
}

/// RFC 7292 B.2: octets for one purpose (1 key, 2 IV, 3 MAC) out of a password and a salt.
fn derive(
    algorithm: &'static digest::Algorithm,
    purpose: u8,
    password: &FilePassword,
    salt: &[u8; SALT],
    size: usize,
) -> Zeroizing<Vec<u8>> {
    let typed: Zeroizing<Vec<u8>> =
        Zeroizing::new(password.expose().bytes().chain([0]).flat_map(|octet| [0, octet]).collect());
    let mut input = Zeroizing::new(filled(salt));
    input.extend(filled(&typed));
    let mut out = Zeroizing::new(Vec::with_capacity(size));
    while out.len() < size {
        let mut context = digest::Context::new(algorithm);
        context.update(&[purpose; HASH_BLOCK]);
        context.update(&input);
        let mut hash = context.finish();
        for _ in 1..ITERATIONS {
            hash = digest::digest(algorithm, hash.as_ref());
        }
        let step = filled(hash.as_ref());
        input.chunks_exact_mut(HASH_BLOCK).for_each(|block| add_one_and(&step, block));
        out.extend_from_slice(hash.as_ref());
    }
    out.truncate(size);
    out
}

/// Repeated until it fills whole blocks.
fn filled(octets: &[u8]) -> Vec<u8> {
    octets.iter().copied().cycle().take(octets.len().div_ceil(HASH_BLOCK) * HASH_BLOCK).collect()
}

/// The block becomes itself + `step` + 1, as big numbers.
fn add_one_and(step: &[u8], block: &mut [u8]) {
    let mut carry = 1u16;
    for (octet, more) in block.iter_mut().zip(step).rev() {
        carry += u16::from(*octet) + u16::from(*more);
        *octet = carry as u8;
        carry >>= 8;
    }
}

fn rounds_der() -> Vec<u8> {
    // 10,000 is 0x2710: no leading one bit.
    tlv(INTEGER, &[&ITERATIONS.to_be_bytes()[2..]])
}

const _: () = assert!(ITERATIONS < 0x8000 && ITERATIONS >= 0x100, "two octets, as `rounds_der` writes them");

fn content(data: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OID, &[DATA]), &tlv(CONTEXT_0, &[&tlv(OCTET_STRING, &[data])])])
}

fn encrypted_content(sealed: &Sealed) -> Vec<u8> {
    let info = tlv(SEQUENCE, &[&tlv(OID, &[DATA]), &sealed.algorithm, &tlv(0x80, &[&sealed.data])]);
    let whole = tlv(SEQUENCE, &[&tlv(INTEGER, &[&[0]]), &info]);
    tlv(SEQUENCE, &[&tlv(OID, &[ENCRYPTED_DATA]), &tlv(CONTEXT_0, &[&whole])])
}

fn bag(kind: &[u8], value: &[u8], attributes: Option<&[u8]>) -> Vec<u8> {
    let value = tlv(CONTEXT_0, &[value]);
    tlv(SEQUENCE, &[&tlv(OID, &[kind]), &value, attributes.unwrap_or_default()])
}

fn certificate_bag(der: &[u8], attributes: Option<&Vec<u8>>) -> Vec<u8> {
    let held = tlv(CONTEXT_0, &[&tlv(OCTET_STRING, &[der])]);
    let value = tlv(SEQUENCE, &[&tlv(OID, &[X509]), &held]);
    bag(CERTIFICATE_BAG, &value, attributes.map(Vec::as_slice))
}

/// SET OF, in the order of their octets.
fn attributes(friendly_name: &str, key_id: &[u8]) -> Vec<u8> {
    let utf16: Vec<u8> = friendly_name.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let attribute = |kind: &[u8], value: Vec<u8>| tlv(SEQUENCE, &[&tlv(OID, &[kind]), &tlv(SET, &[&value])]);
    let mut all = [
        attribute(FRIENDLY_NAME, tlv(BMP_STRING, &[&utf16])),
        attribute(LOCAL_KEY_ID, tlv(OCTET_STRING, &[key_id])),
    ];
    all.sort();
    tlv(SET, &[&all[0], &all[1]])
}

fn broken() -> Message {
    Message::Internal { what: "PKCS #12".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn octets(size: usize, first: usize) -> Vec<u8> {
        (0..size).map(|place| ((place * 7 + first) % 256) as u8).collect()
    }

    /// The golden file is the page's: what JavaScript makes of the same key, chain, password and randomness.
    #[test]
    fn both_forms_are_octet_for_octet_the_pages() {
        let chain = [octets(300, 5), octets(280, 6)];
        let contents =
            Contents { key: &octets(120, 9), chain: &chain, friendly_name: "みまもり 18-0042" };
        let password = FilePassword("abcdefghjkmnpqrstvwxyz234567".to_owned());
        let made: String = [(Form::Modern, "modern"), (Form::Compatible, "compatible")]
            .into_iter()
            .map(|(form, name)| {
                let mut drawn = 0;
                let mut random = |salt: &mut [u8; SALT]| {
                    drawn += 1;
                    salt.copy_from_slice(&octets(SALT, drawn));
                };
                let file = pack(&contents, &password, form, &mut random).unwrap();
                let hash = digest::digest(&digest::SHA256, &file);
                format!("{name} {}\n", data_encoding::HEXLOWER.encode(hash.as_ref()))
            })
            .collect();
        assert_eq!(made, include_str!("../assets/test/golden/p12.sha256"));
    }

    /// Issue 5: OpenSSL, GnuTLS, NSS and Java read both forms, with the name and the key.
    #[test]
    fn four_strangers_read_both_forms_and_none_without_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let run = |program: &str, words: &[&str]| {
            let out = Command::new(program).args(words).current_dir(dir.path()).output().unwrap();
            let text =
                format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
            if out.status.success() { Ok(text) } else { Err(format!("{program} {words:?}: {text}")) }
        };
        let ca = rcgen::generate_simple_self_signed(vec!["ca.example.jp".to_owned()]).unwrap();
        let leaf = rcgen::generate_simple_self_signed(vec!["18-0042.dev.example.jp".to_owned()]).unwrap();
        let chain = [leaf.cert.der().to_vec(), ca.cert.der().to_vec()];
        let key = leaf.signing_key.serialize_der();
        let name = "みまもり 18-0042";
        let contents = Contents { key: &key, chain: &chain, friendly_name: name };
        let password = FilePassword::from_random(&std::array::from_fn(|place| place as u8)).unwrap();
        let typed = password.expose();
        for form in [Form::Modern, Form::Compatible] {
            let mut random = |salt: &mut [u8; SALT]| *salt = *crate::world::random().unwrap();
            let file = pack(&contents, &password, form, &mut random).unwrap();
            std::fs::write(dir.path().join("s.p12"), file).unwrap();
            let pass = format!("pass:{typed}");
            let said = run("openssl", &["pkcs12", "-in", "s.p12", "-passin", &pass, "-nodes"]).unwrap();
            assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2);
            std::fs::write(dir.path().join("all.pem"), said).unwrap();
            let of_key = run("openssl", &["pkey", "-in", "all.pem", "-pubout"]).unwrap();
            assert_eq!(of_key, leaf.signing_key.public_key_pem().replace("\r", ""));
            assert!(run("openssl", &["pkcs12", "-in", "s.p12", "-passin", "pass:wrong", "-noout"]).is_err());
            let gnutls = ["--p12-info", "--inder", "--infile", "s.p12", "--password", typed];
            assert!(run("certtool", &gnutls).unwrap().contains(name), "GnuTLS {form:?}");
            let store = format!("sql:{}", dir.path().join(format!("nss-{form:?}")).display());
            std::fs::create_dir(dir.path().join(format!("nss-{form:?}"))).unwrap();
            run("certutil", &["-N", "-d", &store, "--empty-password"]).unwrap();
            run("pk12util", &["-i", "s.p12", "-d", &store, "-W", typed]).unwrap();
            assert!(run("certutil", &["-K", "-d", &store]).unwrap().contains(name), "NSS {form:?}");
            let java = ["-list", "-storetype", "PKCS12", "-keystore", "s.p12", "-storepass", typed];
            let english = ["-J-Duser.language=en", "-J-Dfile.encoding=UTF-8"];
            let java = run("keytool", &[&english[..], &java[..]].concat()).unwrap();
            assert!(java.contains("PrivateKeyEntry"), "Java {form:?}: {java}");
        }
    }

    #[test]
    fn a_password_is_drawn_evenly_or_again() {
        assert!(FilePassword::from_random(&[255; PASSWORD_RANDOM]).is_none());
        let random: [u8; PASSWORD_RANDOM] = std::array::from_fn(|place| place as u8);
        let password = FilePassword::from_random(&random).unwrap();
        assert_eq!(password.expose().len(), PASSWORD_LENGTH);
        assert!(password.expose().starts_with("abcdefghjkmn"));
        assert!((SIGNS.len() as f64).log2() * PASSWORD_LENGTH as f64 >= 128.0);
    }
}
