//! Files and folders as the appliance wants them: folders 0700 and its own, new files 0600 and whole on
//! the disk before anybody relies on them. Touches the file system; holds nothing open.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::messages::Message;

/// A configuration is a page or two; anything longer is another file.
const CONFIG_MAX: u64 = 256 << 10;

/// The configuration's text.
pub fn read_config(path: &Path) -> Result<String, Message> {
    let shown = path.display().to_string();
    let unread = |why: String| Message::NoConfig { path: shown.clone(), why };
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(CONFIG_MAX + 1).read_to_string(&mut text))
        .map_err(|error| unread(error.to_string()))?;
    if text.len() as u64 > CONFIG_MAX {
        return Err(Message::ConfigTooLong { path: shown, limit: CONFIG_MAX.to_string() });
    }
    Ok(text)
}

/// A whole file that an operator names, within `limit` bytes.
pub fn read_limited(path: &Path, limit: usize) -> Result<Vec<u8>, Message> {
    let shown = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            // One reading and its end for the usual file, instead of feeling the way; not more than was said.
            let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
            bytes.reserve_exact(length.min(limit).saturating_add(1));
            file.take(limit as u64 + 1).read_to_end(&mut bytes)
        })
        .map_err(|error| Message::FileRead { path: shown.clone(), why: error.to_string() })?;
    if bytes.len() > limit {
        return Err(Message::FileTooLong { path: shown, limit: limit.to_string() });
    }
    Ok(bytes)
}

/// Makes a folder with its parents, or checks the one that is there: ours, and closed to others.
pub fn private_folder(path: &Path) -> Result<(), Message> {
    let failed = |why: String| Message::FolderFailed { path: path.display().to_string(), why };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(error.to_string()))?;
    let found = std::fs::symlink_metadata(path).map_err(|error| failed(error.to_string()))?;
    if !found.is_dir() {
        return Err(failed("not a folder".to_owned()));
    }
    if found.mode() & 0o077 != 0 {
        return Err(failed(format!("mode {:04o}, wanted 0700", found.mode() & 0o7777)));
    }
    if found.uid() != rustix::process::geteuid().as_raw() {
        return Err(failed(format!("belongs to uid {}", found.uid())));
    }
    Ok(())
}

/// Where relative names, and SQLite's temporary files, are looked for.
pub fn work_in(path: &Path) -> Result<(), Message> {
    std::env::set_current_dir(path)
        .map_err(|error| Message::FolderFailed { path: path.display().to_string(), why: error.to_string() })
}

/// A new file of mode 0600 (never over an old one), on the disk when this returns.
pub fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    sync_folder(path)
}

/// Beside and renamed: the old one or the new one, never half of it.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> std::io::Result<()> {
    let new = path.with_added_extension("new");
    remove(&new)?;
    write_new(&new, bytes)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(mode))?;
    std::fs::rename(&new, path)?;
    sync_folder(path)
}

/// Makes the names in a file's folder as durable as the file.
pub fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

/// A folder and its files get the owner of another, whose process must be able to use them.
pub fn give_like(model: &Path, folder: &Path) -> Result<(), Message> {
    let failed = |error: std::io::Error| Message::FolderFailed {
        path: folder.display().to_string(),
        why: error.to_string(),
    };
    let owner = std::fs::metadata(model).map_err(failed)?;
    let give = |path: &Path| std::os::unix::fs::lchown(path, Some(owner.uid()), Some(owner.gid()));
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        give(&entry.map_err(failed)?.path()).map_err(failed)?;
    }
    give(folder).map_err(failed)
}

/// Removes a file that may already be gone.
pub fn remove(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        private_folder(&path).unwrap();
        private_folder(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(private_folder(&path).unwrap_err().code(), "MM-6044");
    }

    #[test]
    fn a_new_file_is_closed_to_others_and_never_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        write_new(&path, b"one").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(write_new(&path, b"two").unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
    }
}
