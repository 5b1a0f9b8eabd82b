//! The escrowed copy of the epoch's key. `epoch/` is in no backup (see `keys`), so without this copy a broken
//! disk ends every record. It is the file as it stands, still wrapped by the epoch secret, sealed once more by a
//! passphrase: neither its custodian nor whoever holds the machine's secrets reads anything alone.
//! Edge: the file of the epoch's key. It ends with the call.

use std::path::Path;

use pki::seal::{self, NONCE_LEN, SALT_LEN, SealError};
use zeroize::Zeroizing;

use crate::epoch;
use crate::keys::Secret;

/// Under which a copy is sealed, so that no other sealed key is taken for one.
const NAME: &str = "sns-epoch-escrow";

#[derive(Debug, thiserror::Error)]
pub enum EscrowError {
    #[error("MM-4034 there is no epoch's key yet below {0}")]
    Nothing(String),
    #[error("MM-4035 the epoch's key or its copy cannot be read: {0}")]
    Unreadable(String),
    #[error("MM-4036 the epoch's key stands already below {0}: it is never replaced by an older one")]
    Standing(String),
    #[error("MM-4037 the copy does not open: {0}")]
    Sealed(#[from] SealError),
}

/// A copy to be carried away, and which epochs it holds: one, or two in the middle of an erasure.
pub struct Exported {
    pub sealed: String,
    pub epochs: Vec<u32>,
}

/// Reads the file, makes sure that the epoch secret opens it, and seals it.
pub fn export(
    dir: &Path,
    secret: &Secret,
    passphrase: &pki::Secret,
    salt: &[u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
) -> Result<Exported, EscrowError> {
    let unreadable = |error: epoch::EpochError| EscrowError::Unreadable(error.to_string());
    let text = epoch::text(dir).map_err(unreadable)?;
    let text = text.ok_or_else(|| EscrowError::Nothing(dir.display().to_string()))?;
    let epochs = epochs(dir, &text, secret)?;
    Ok(Exported { sealed: seal::seal(NAME, text.as_bytes(), passphrase, salt, nonce)?, epochs })
}

/// The epochs of the file that stands; none before the first start.
pub fn standing(dir: &Path, secret: &Secret) -> Result<Vec<u32>, EscrowError> {
    let unreadable = |error: epoch::EpochError| EscrowError::Unreadable(error.to_string());
    epoch::text(dir).map_err(unreadable)?.map_or(Ok(Vec::new()), |text| epochs(dir, &text, secret))
}

/// Puts a copy where the file is missing, and nowhere else: an epoch's key from before an erasure would open what
/// was erased. Returns its epochs.
pub fn import(
    dir: &Path,
    secret: &Secret,
    passphrase: &pki::Secret,
    sealed: &str,
) -> Result<Vec<u32>, EscrowError> {
    let unreadable = |error: epoch::EpochError| EscrowError::Unreadable(error.to_string());
    let plain = seal::open(NAME, sealed, passphrase)?;
    let text = std::str::from_utf8(&plain).map_err(|_| EscrowError::Unreadable("not UTF-8".to_owned()))?;
    let epochs = epochs(dir, text, secret)?;
    if epoch::text(dir).map_err(unreadable)?.is_some() {
        return Err(EscrowError::Standing(dir.display().to_string()));
    }
    epoch::replace(dir, text).map_err(unreadable)?;
    Ok(epochs)
}

/// Of keys that the epoch secret opens.
fn epochs(dir: &Path, text: &str, secret: &Secret) -> Result<Vec<u32>, EscrowError> {
    let keys = epoch::keys(dir, text, secret).map_err(|error| EscrowError::Unreadable(error.to_string()))?;
    match keys.as_slice() {
        [] => Err(EscrowError::Nothing(dir.display().to_string())),
        keys => Ok(keys.iter().map(|key| key.epoch).collect()),
    }
}

/// Made anew for each copy: 160 bits, in the letters that people read aloud least wrongly, by fours.
pub fn passphrase(random: &[u8; 20]) -> Zeroizing<String> {
    let letters = Zeroizing::new(data_encoding::BASE32_NOPAD.encode(random));
    let mut grouped = Zeroizing::new(String::with_capacity(40));
    for (at, letter) in letters.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push('-');
        }
        grouped.push(letter);
    }
    grouped
}

/// As somebody typed it from paper: in any case, with or without hyphens and spaces.
pub fn typed(passphrase: &str) -> Result<pki::Secret, SealError> {
    let letters = passphrase.chars().filter(|c| !c.is_whitespace() && *c != '-');
    let letters: Zeroizing<String> = Zeroizing::new(letters.map(|c| c.to_ascii_uppercase()).collect());
    pki::Secret::new(letters.as_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::{EpochKey, Nonce};

    fn epoch_secret(n: u8) -> Secret {
        Secret::new([n; 32])
    }

    fn realm() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let key = EpochKey::new(7, [9; 32]);
        let text = epoch::render(vec![(&key, Nonce::from_random([1; 12]))], &epoch_secret(1)).unwrap();
        epoch::replace(dir.path(), &text).unwrap();
        dir
    }

    fn exported(dir: &Path, words: &str) -> Result<Exported, EscrowError> {
        export(dir, &epoch_secret(1), &typed(words).unwrap(), &[3; SALT_LEN], [4; NONCE_LEN])
    }

    #[test]
    fn a_copy_brings_the_epoch_back_where_it_was_lost_and_nowhere_else() {
        let (realm, words) = (realm(), passphrase(&[0x5a; 20]));
        assert_eq!((words.len(), words.matches('-').count()), (39, 7));
        let copy = exported(realm.path(), &words).unwrap();
        assert_eq!(copy.epochs, [7]);
        let before = epoch::text(realm.path()).unwrap().unwrap();
        assert!(!copy.sealed.contains(before.lines().nth(1).unwrap()), "the copy is not sealed");
        let retyped = typed(&words.to_lowercase().replace('-', " ")).unwrap();
        let again = import(realm.path(), &epoch_secret(1), &retyped, &copy.sealed);
        assert!(matches!(again, Err(EscrowError::Standing(_))), "an older key came over a newer one");
        std::fs::remove_dir_all(epoch::folder(realm.path())).unwrap();
        assert!(matches!(exported(realm.path(), &words), Err(EscrowError::Nothing(_))));
        assert_eq!(import(realm.path(), &epoch_secret(1), &retyped, &copy.sealed).unwrap(), [7]);
        assert_eq!(epoch::text(realm.path()).unwrap().unwrap(), before);
    }

    /// Neither half opens alone, and nothing is written before both do.
    #[test]
    fn a_wrong_passphrase_and_a_foreign_epoch_secret_bring_nothing() {
        let (realm, words) = (realm(), passphrase(&[0x5a; 20]));
        let copy = exported(realm.path(), &words).unwrap().sealed;
        let empty = tempfile::tempdir().unwrap();
        let other = typed(&passphrase(&[0x5b; 20])).unwrap();
        let right = typed(&words).unwrap();
        let tried = import(empty.path(), &epoch_secret(1), &other, &copy);
        assert!(matches!(tried, Err(EscrowError::Sealed(SealError::Wrong(_)))));
        let tried = import(empty.path(), &epoch_secret(2), &right, &copy);
        assert!(matches!(tried, Err(EscrowError::Unreadable(_))));
        let tried = import(empty.path(), &epoch_secret(1), &right, &copy.replace("sns-epoch", "device-ca"));
        assert!(matches!(tried, Err(EscrowError::Sealed(_))));
        assert!(!epoch::folder(empty.path()).exists());
    }
}
