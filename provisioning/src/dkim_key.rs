//! The realm's mail key: RSA-2048, because every receiver can verify it. Made at the first start, kept in
//! the room's folder for its own user only, never shown; its public half goes into the DNS.
//! Edge: files, randomness.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use data_encoding::BASE64;
use zeroize::Zeroizing;

const FILE: &str = "dkim-mimamori.p8";

#[derive(Debug, thiserror::Error)]
pub enum DkimKeyError {
    #[error("MM-5010 the mail key {path} cannot be read or written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("MM-5011 the mail key {path} is no RSA key; restore it, or remove it and publish the new one")]
    Form { path: PathBuf },
    #[error("MM-5012 the crypto library makes no key")]
    Making,
}

pub struct DkimKey(KeyPair);

impl DkimKey {
    /// Reads the key of `dir`, or makes it. Takes its time: not on a thread that others wait for.
    pub fn open(dir: &Path) -> Result<Self, DkimKeyError> {
        let path = dir.join(FILE);
        let failed = |source| DkimKeyError::File { path: path.clone(), source };
        match std::fs::read(&path) {
            Ok(octets) => {
                let octets = Zeroizing::new(octets);
                KeyPair::from_pkcs8(&octets).map(Self).map_err(|_| DkimKeyError::Form { path: path.clone() })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| DkimKeyError::Making)?;
                let octets: Pkcs8V1Der<'static> = pair.as_der().map_err(|_| DkimKeyError::Making)?;
                write_whole(&path, octets.as_ref()).map_err(failed)?;
                Ok(Self(pair))
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// RSASSA-PKCS1-v1_5 with SHA-256: the same octets give the same signature.
    pub fn sign(&self, octets: &[u8]) -> Result<Vec<u8>, DkimKeyError> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), octets, &mut signature)
            .map_err(|_| DkimKeyError::Making)?;
        Ok(signature)
    }

    /// SubjectPublicKeyInfo in base64, as the DNS record holds it.
    pub fn public_base64(&self) -> Result<String, DkimKeyError> {
        let octets: PublicKeyX509Der<'static> =
            self.0.public_key().as_der().map_err(|_| DkimKeyError::Making)?;
        Ok(BASE64.encode(octets.as_ref()))
    }
}

/// A crash leaves at most a `.part`, which is replaced.
fn write_whole(path: &Path, octets: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    out.write_all(octets)?;
    out.sync_all()?;
    std::fs::rename(&part, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_key_is_made_once_kept_private_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let first = DkimKey::open(dir.path()).unwrap();
        let path = dir.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = DkimKey::open(dir.path()).unwrap();
        assert_eq!(first.public_base64().unwrap(), again.public_base64().unwrap());
        assert_eq!(first.sign(b"a").unwrap(), again.sign(b"a").unwrap());
        // A broken key is not silently exchanged: receivers would refuse what the DNS does not know.
        std::fs::write(&path, "broken").unwrap();
        assert!(matches!(DkimKey::open(dir.path()), Err(DkimKeyError::Form { .. })));
    }
}
