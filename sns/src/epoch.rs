//! The file of the epoch's key, `epoch/epoch.key`: the one part of the key store that is never backed up.
//! It holds one key, or two while an epoch is being replaced; each is wrapped by the epoch secret.
//! A replaced file is overwritten before its name is gone; a copy-on-write disk may keep the old blocks all
//! the same, where they are still wrapped by the epoch secret (see `keys` for what that means).

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::keys::{EpochKey, KeyError, Nonce, Secret};

const HEADER: &str = "mimamori epoch keys v1";
/// Two lines of less than a hundred bytes; anything longer is not our file.
const FILE_MAX: u64 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum EpochError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{}: line {line} {source} (is the epoch secret the one that this key store was made with?)", path.display())]
    Line { path: PathBuf, line: usize, source: KeyError },
    #[error("{}: it does not begin with `{HEADER}`", path.display())]
    Header { path: PathBuf },
}

/// The folder that a backup leaves out.
pub fn folder(dir: &Path) -> PathBuf {
    dir.join("epoch")
}

fn file(dir: &Path) -> PathBuf {
    folder(dir).join("epoch.key")
}

/// The keys in the file; none when there is no file.
pub fn read(dir: &Path, secret: &Secret) -> Result<Vec<EpochKey>, EpochError> {
    text(dir)?.map_or(Ok(Vec::new()), |text| keys(dir, &text, secret))
}

/// The file as it stands, if it stands.
pub fn text(dir: &Path) -> Result<Option<String>, EpochError> {
    let path = file(dir);
    let failed = |source| EpochError::File { path: path.clone(), source };
    let mut text = String::new();
    match File::open(&path) {
        Ok(file) => file.take(FILE_MAX).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    Ok(Some(text))
}

/// What such a text holds.
pub fn keys(dir: &Path, text: &str, secret: &Secret) -> Result<Vec<EpochKey>, EpochError> {
    let path = file(dir);
    let mut lines = text.lines().enumerate();
    if lines.next().is_none_or(|(_, first)| first != HEADER) {
        return Err(EpochError::Header { path });
    }
    lines
        .map(|(at, line)| {
            EpochKey::from_line(secret, line).map_err(|source| EpochError::Line {
                path: path.clone(),
                line: at + 1,
                source,
            })
        })
        .collect()
}

/// What the file shall hold.
pub fn render(keys: Vec<(&EpochKey, Nonce)>, secret: &Secret) -> Result<String, KeyError> {
    let mut text = format!("{HEADER}\n");
    for (key, nonce) in keys {
        text.push_str(&key.to_line(secret, nonce)?);
        text.push('\n');
    }
    Ok(text)
}

/// Puts `text` in the file's place: durable when it returns, the old bytes overwritten.
pub fn replace(dir: &Path, text: &str) -> Result<(), EpochError> {
    let (folder, path) = (folder(dir), file(dir));
    let fresh = folder.join("epoch.key.new");
    let failed = |source| EpochError::File { path: path.clone(), source };
    make_folder(&folder).map_err(failed)?;
    if fresh.exists() {
        wipe(&mut OpenOptions::new().write(true).open(&fresh).map_err(failed)?).map_err(failed)?;
        fs::remove_file(&fresh).map_err(failed)?;
    }
    let old = OpenOptions::new().write(true).open(&path);
    let mut new = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh).map_err(failed)?;
    new.write_all(text.as_bytes()).and_then(|()| new.sync_all()).map_err(failed)?;
    fs::rename(&fresh, &path).and_then(|()| File::open(&folder)?.sync_all()).map_err(failed)?;
    match old {
        Ok(mut old) => wipe(&mut old).map_err(failed),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn wipe(file: &mut File) -> io::Result<()> {
    let len = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(0))?;
    file.write_all(&vec![0; usize::try_from(len).unwrap_or(0)])?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(n: u8) -> Secret {
        Secret::new([n; 32])
    }

    fn write(dir: &Path, epochs: &[u32]) {
        let keys: Vec<_> = epochs.iter().map(|epoch| EpochKey::new(*epoch, [*epoch as u8; 32])).collect();
        let keys = keys.iter().map(|key| (key, Nonce::from_random([key.epoch as u8; 12]))).collect();
        replace(dir, &render(keys, &secret(1)).unwrap()).unwrap();
    }

    #[test]
    fn the_file_is_replaced_and_the_old_bytes_are_gone() {
        let dir = tempfile::tempdir().unwrap();
        assert!(read(dir.path(), &secret(1)).unwrap().is_empty());
        write(dir.path(), &[1]);
        // A second name keeps the old inode reachable, as an undeleted block would be.
        let kept = dir.path().join("kept");
        fs::hard_link(file(dir.path()), &kept).unwrap();
        write(dir.path(), &[1, 2]);
        assert!(fs::read(&kept).unwrap().iter().all(|byte| *byte == 0));
        let epochs: Vec<_> = read(dir.path(), &secret(1)).unwrap().iter().map(|key| key.epoch).collect();
        assert_eq!(epochs, [1, 2]);
    }

    #[test]
    fn another_secret_or_another_file_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &[1]);
        assert!(matches!(read(dir.path(), &secret(2)), Err(EpochError::Line { line: 2, .. })));
        fs::write(file(dir.path()), "something else").unwrap();
        assert!(matches!(read(dir.path(), &secret(1)), Err(EpochError::Header { .. })));
    }
}
