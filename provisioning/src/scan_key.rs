//! Two keys of the scans, made at the first start for the room's own user only, never shown. The office's lies beside the
//! registry and goes with it into the backup. The tray's is in no backup and is replaced every week: what lay in the tray may
//! name a patient, and ends with it.
//!
//! ```text
//! tray.key {n} ─► tray.key {n, n+1} ─► rows wrapped by n+1 ─► tray.key {n+1}
//! ```
//!
//! Edge: files, randomness.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use zeroize::Zeroizing;

use crate::scan_seal::{KEY_LEN, Octets};
use crate::world;

const OFFICE: &str = "scans.key";
/// The backup leaves a file of this name where it is.
const TRAY: &str = "tray.key";
/// One, or two while one follows the other.
const TRAY_KEYS_MAX: usize = 2;

#[derive(Debug, thiserror::Error)]
pub enum ScanKeyError {
    #[error("MM-5014 the scans' key {path} cannot be read or written: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("MM-5015 the scans' key {path} is none; restore it from the backup")]
    Form { path: PathBuf },
    #[error(transparent)]
    Random(#[from] world::NoRandomness),
}

/// A key of the tray, by its number and when it was made.
#[derive(Clone)]
pub struct TrayKey {
    pub number: u32,
    pub made_at: i64,
    pub key: Octets,
}

/// What the room holds of them.
pub struct ScanKeys {
    dir: PathBuf,
    pub office: Octets,
    tray: std::sync::RwLock<Vec<TrayKey>>,
}

impl ScanKeys {
    /// Reads the keys of `dir`, or makes them.
    pub fn open(dir: &Path) -> Result<Self, ScanKeyError> {
        let office = match read(&dir.join(OFFICE))? {
            Some(text) => line(&text).map(|key| key.key),
            None => {
                let key = fresh(1)?;
                write(&dir.join(OFFICE), std::slice::from_ref(&key))?;
                Some(key.key)
            }
        };
        let office = office.ok_or(ScanKeyError::Form { path: dir.join(OFFICE) })?;
        // A tray whose key is gone cannot be opened; its pages are scanned again, and a new key begins.
        let held = read(&dir.join(TRAY))?.unwrap_or_default();
        let mut tray: Vec<TrayKey> = held.lines().filter_map(line).take(TRAY_KEYS_MAX).collect();
        if tray.is_empty() {
            tray.push(fresh(1)?);
            write(&dir.join(TRAY), &tray)?;
        }
        Ok(Self { dir: dir.to_owned(), office, tray: std::sync::RwLock::new(tray) })
    }

    fn ring(&self) -> std::sync::RwLockReadGuard<'_, Vec<TrayKey>> {
        self.tray.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// By which new pages are wrapped.
    pub fn tray(&self) -> Option<TrayKey> {
        self.ring().last().cloned()
    }

    pub fn tray_of(&self, number: u32) -> Option<TrayKey> {
        self.ring().iter().find(|key| key.number == number).cloned()
    }

    /// One more key, durable before anything is wrapped by it; an unfinished change is gone on with.
    pub fn begin(&self) -> Result<(), ScanKeyError> {
        let mut ring = self.tray.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if ring.len() < TRAY_KEYS_MAX {
            let number = ring.last().map_or(0, |key| key.number) + 1;
            ring.push(fresh(number)?);
            write(&self.dir.join(TRAY), &ring)?;
        }
        Ok(())
    }

    pub fn is_changing(&self) -> bool {
        self.ring().len() > 1
    }

    /// Only the newest is left, in memory and in the file.
    pub fn forget(&self) -> Result<(), ScanKeyError> {
        let mut ring = self.tray.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(newest) = ring.last().cloned() {
            write(&self.dir.join(TRAY), std::slice::from_ref(&newest))?;
            *ring = vec![newest];
        }
        Ok(())
    }
}

fn fresh(number: u32) -> Result<TrayKey, ScanKeyError> {
    Ok(TrayKey { number, made_at: world::now_ms(), key: world::random::<KEY_LEN>()? })
}

fn line(text: &str) -> Option<TrayKey> {
    let mut words = text.split_whitespace();
    let (number, made_at) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let octets = Zeroizing::new(BASE64.decode(words.next()?.as_bytes()).ok()?);
    let key: [u8; KEY_LEN] = octets.as_slice().try_into().ok()?;
    Some(TrayKey { number, made_at, key: Zeroizing::new(key) })
}

fn read(path: &Path) -> Result<Option<Zeroizing<String>>, ScanKeyError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(Zeroizing::new(text))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ScanKeyError::File { path: path.to_owned(), source }),
    }
}

/// A crash leaves at most a `.part`, which is replaced.
fn write(path: &Path, keys: &[TrayKey]) -> Result<(), ScanKeyError> {
    let mut text = Zeroizing::new(String::new());
    for key in keys {
        let octets = Zeroizing::new(BASE64.encode(key.key.as_slice()));
        text.push_str(&format!("{} {} {}\n", key.number, key.made_at, octets.as_str()));
    }
    let whole = || {
        let part = path.with_extension("part");
        match std::fs::remove_file(&part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
        out.write_all(text.as_bytes())?;
        out.sync_all()?;
        std::fs::rename(&part, path)
    };
    whole().map_err(|source| ScanKeyError::File { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_offices_key_is_kept_and_the_trays_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let keys = ScanKeys::open(dir.path()).unwrap();
        for name in [OFFICE, TRAY] {
            let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let (office, first) = (keys.office.clone(), keys.tray().unwrap());
        keys.begin().unwrap();
        assert!(keys.is_changing() && keys.tray_of(1).is_some() && keys.tray().unwrap().number == 2);
        // A crash in between: both are there, and the change goes on.
        let again = ScanKeys::open(dir.path()).unwrap();
        assert!(again.is_changing() && again.office == office);
        assert_eq!(again.tray_of(1).unwrap().key, first.key);
        again.begin().unwrap();
        assert_eq!(again.tray().unwrap().number, 2, "not a third one");
        again.forget().unwrap();
        let last = ScanKeys::open(dir.path()).unwrap();
        assert!(last.tray_of(1).is_none() && last.tray().unwrap().number == 2);
        let text = std::fs::read_to_string(dir.path().join(TRAY)).unwrap();
        assert!(!text.contains(&BASE64.encode(first.key.as_slice())), "the first one is nowhere");
        // A broken office's key is not silently exchanged: what it sealed would be lost.
        std::fs::write(dir.path().join(OFFICE), "broken").unwrap();
        assert!(matches!(ScanKeys::open(dir.path()), Err(ScanKeyError::Form { .. })));
    }
}
