//! The file that an update travels in: one line that says what it is, one of JSON that says what is in it, one that
//! signs that line (Ed25519), then root, tree of hashes and kernel. Pure; border: the JSON line.

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

/// The first line, with its end.
pub const MAGIC: &str = "mimamori-update 1\n";
/// Of each of the two lines.
pub const LINE_MAX: usize = 4 << 10;
/// A kernel with its initrd; larger ones do not fit the boot partition beside two others.
const KERNEL_MAX: u64 = 32 << 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: String,
    pub root_hash: String,
    pub root: Part,
    pub tree: Part,
    pub kernel: Part,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    pub size: u64,
    pub sha256: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    NotOurs,
    Signature,
    Manifest,
}

/// Of the two lines behind the first; `keys` has one key to a line, in base64.
pub fn manifest(line: &str, signature: &str, keys: &str) -> Result<Manifest, Bad> {
    let signature = BASE64.decode(signature.trim().as_bytes()).map_err(|_| Bad::Signature)?;
    let signed = keys.lines().filter_map(|key| BASE64.decode(key.trim().as_bytes()).ok()).any(|key| {
        UnparsedPublicKey::new(&ED25519, key).verify(line.trim_end().as_bytes(), &signature).is_ok()
    });
    if !signed {
        return Err(Bad::Signature);
    }
    let manifest: Manifest = serde_json::from_str(line).map_err(|_| Bad::Manifest)?;
    let hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let right = hex(&manifest.root_hash)
        && super::version_of(&manifest.version).is_some()
        && [&manifest.root, &manifest.tree, &manifest.kernel].iter().all(|part| hex(&part.sha256))
        && manifest.kernel.size <= KERNEL_MAX;
    if right { Ok(manifest) } else { Err(Bad::Manifest) }
}

/// The root hash that a kernel carries on its command line.
pub fn root_hash_of(kernel: &[u8]) -> Option<String> {
    const KEY: &[u8] = b"mimamori.root=";
    kernel.windows(KEY.len()).enumerate().filter(|(_, window)| *window == KEY).find_map(|(at, _)| {
        let hash = kernel.get(at + KEY.len()..at + KEY.len() + 64)?;
        hash.iter().all(u8::is_ascii_hexdigit).then(|| String::from_utf8_lossy(hash).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};

    use super::*;

    fn signed(line: &str) -> (String, String) {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        (BASE64.encode(pair.sign(line.as_bytes()).as_ref()), BASE64.encode(pair.public_key().as_ref()))
    }

    fn line(kernel: u64) -> String {
        let part = |size| Part { size, sha256: "0".repeat(64) };
        let manifest = Manifest {
            version: "1.2.3".into(),
            root_hash: "ab".repeat(32),
            root: part(1),
            tree: part(1),
            kernel: part(kernel),
        };
        serde_json::to_string(&manifest).unwrap()
    }

    #[test]
    fn a_signed_manifest_is_read_and_nothing_else() {
        let text = line(9);
        let (signature, key) = signed(&text);
        assert_eq!(
            manifest(&format!("{text}\n"), &signature, &format!("AAAA\n{key}\n")).unwrap().version,
            "1.2.3"
        );
        let other = text.replace("1.2.3", "1.2.4");
        assert_eq!(manifest(&other, &signature, &key), Err(Bad::Signature));
        assert_eq!(manifest(&text, &signature, ""), Err(Bad::Signature));
        assert_eq!(manifest(&text, "!", &key), Err(Bad::Signature));
        for wrong in [line(KERNEL_MAX + 1), text.replace("ab", "zz"), "{}".to_owned()] {
            let (signature, key) = signed(&wrong);
            assert_eq!(manifest(&wrong, &signature, &key), Err(Bad::Manifest), "{wrong}");
        }
    }

    #[test]
    fn a_kernels_root_hash_is_found_where_it_is_whole() {
        let hash = "0f".repeat(32);
        let text = format!("xxmimamori.root=short mimamori.root={hash} quiet");
        assert_eq!(root_hash_of(text.as_bytes()), Some(hash));
        assert_eq!(root_hash_of(b"mimamori.root=00"), None);
    }
}
