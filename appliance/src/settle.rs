//! `init --machine`: what `init` made in one folder is moved to its places on a machine of our image, each part
//! to the user who needs it; secrets become files that only systemd reads. The configuration comes last: a
//! machine without it holds no realm. An edge: files and their owners, as root; all on one partition.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, lchown};
use std::path::{Path, PathBuf};

use pki::folders::GATEWAY_KEY;

use crate::files;
use crate::init::{ROOT_PASSPHRASE, ROOT_SHARES};
use crate::machine;
use crate::messages::Message;
use crate::process::{Name, Process, TABLE, process};
use crate::token::{PIN_CREDENTIAL, PIN_FILE};

/// The secrets' files of `init`, and the credentials that they become.
const SECRETS: [(&str, &str); 5] = [
    ("pki-passphrase", "pki_passphrase"),
    ("vpn-key", "vpn_key"),
    ("sns-epoch", "sns_epoch"),
    ("database-url", "database_url"),
    (PIN_FILE, PIN_CREDENTIAL),
];

/// Below which root the places are; `/` but in tests.
pub struct Places<'a> {
    pub root: &'a Path,
}

impl Places<'_> {
    pub fn at(&self, place: &str) -> PathBuf {
        self.root.join(place.trim_start_matches('/'))
    }

    /// No realm yet, and nothing half-made.
    pub fn free(&self) -> Result<(), Message> {
        if self.at(machine::KEPT).join("mimamori.toml").exists() {
            return Err(Message::InitTwice { dir: machine::KEPT.to_owned() });
        }
        if self.at(machine::STAGE).exists() {
            return Err(Message::InitHalf { dir: machine::STAGE.to_owned() });
        }
        Ok(())
    }

    /// Moves everything out of `stage`, a folder that `init` filled; `config` is the text as it will stand.
    pub fn settle(&self, stage: &Path, config: &str) -> Result<(), Message> {
        self.secrets(stage).map_err(|error| failed("secrets", &error))?;
        for row in &TABLE {
            self.state(stage, row).map_err(|error| failed(row.name.as_str(), &error))?;
        }
        let office = process(Name::Provisioning);
        let output = self.at(machine::OUTPUT);
        into(&stage.join("output"), &output).map_err(|error| failed("output", &error))?;
        give(&output, office).map_err(|error| failed("output", &error))?;
        self.root(stage).map_err(|error| failed("root", &error))?;

        let kept = self.at(machine::KEPT);
        let file = kept.join("mimamori.toml");
        let new = kept.join("mimamori.toml.new");
        files::remove(&new)
            .and_then(|()| files::write_new(&new, config.as_bytes()))
            // No secret stands in it, and every room reads it.
            .and_then(|()| fs::set_permissions(&new, Permissions::from_mode(0o644)))
            .and_then(|()| fs::rename(&new, &file))
            .and_then(|()| files::sync_folder(&file))
            .map_err(|error| failed("mimamori.toml", &error))?;
        fs::remove_dir_all(stage).map_err(|error| failed("stage", &error))
    }

    fn secrets(&self, stage: &Path) -> io::Result<()> {
        let kept = self.at(machine::KEPT);
        let folder = kept.join("secrets");
        DirBuilder::new().recursive(true).mode(0o755).create(&kept)?;
        fs::set_permissions(&kept, Permissions::from_mode(0o755))?;
        DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let mut moves: Vec<(PathBuf, &str)> = SECRETS
            .iter()
            .map(|(file, credential)| (stage.join("secrets").join(file), *credential))
            .filter(|(from, _)| from.exists())
            .collect();
        // The ceremony puts it beside its certificate, a restore among the secrets.
        let gateway =
            [stage.join("state").join("gateway").join(GATEWAY_KEY), stage.join("secrets/gateway-key")];
        moves.extend(gateway.into_iter().filter(|from| from.exists()).map(|from| (from, "gateway_key")));
        let restored = [
            ("mail-password", "mail_password"),
            ("mail-smime", "mail_smime"),
            ("bounces-password", "bounces_password"),
            ("token-pin", "token_pin"),
        ];
        let restored = restored.map(|(file, credential)| (stage.join("secrets").join(file), credential));
        moves.extend(restored.into_iter().filter(|(from, _)| from.exists()));
        let roots = stage.join("secrets").join(machine::MAIL_ROOTS);
        if roots.exists() {
            let to = kept.join(machine::MAIL_ROOTS);
            fs::rename(&roots, &to)?;
            // Public; the room that sends mails reads it.
            fs::set_permissions(&to, Permissions::from_mode(0o644))?;
        }
        for (from, credential) in moves {
            let to = folder.join(credential);
            fs::rename(&from, &to)?;
            fs::set_permissions(&to, Permissions::from_mode(0o600))?;
        }
        files::sync_folder(&folder.join("pki_passphrase"))
    }

    /// A room's folder; one that `init` did not fill is made empty, as tmpfiles.d would.
    fn state(&self, stage: &Path, row: &Process) -> io::Result<()> {
        let Some(state) = row.state else { return Ok(()) };
        let folder = self.at(machine::STATE);
        DirBuilder::new().recursive(true).mode(0o711).create(&folder)?;
        let to = folder.join(state);
        into(&stage.join("state").join(state), &to)?;
        give(&to, row)
    }

    fn root(&self, stage: &Path) -> io::Result<()> {
        let to = self.at(machine::ROOT);
        into(&stage.join("root"), &to)?;
        // One of them: what opens the root's key is in one hand, or on the sheets of several.
        for name in [ROOT_PASSPHRASE, ROOT_SHARES] {
            let made = stage.join(name);
            if made.exists() {
                fs::rename(made, to.join(name))?;
            }
        }
        Ok(())
    }
}

/// Every entry of one folder into another that is empty or not there; the other is 0700.
fn into(from: &Path, to: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    if fs::read_dir(to)?.next().is_some() {
        let why = format!("{} is not empty", to.display());
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    }
    if !from.exists() {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::rename(entry.path(), to.join(entry.file_name()))?;
    }
    files::sync_folder(&to.join("."))
}

/// A folder with everything below it.
fn give(path: &Path, row: &Process) -> io::Result<()> {
    lchown(path, Some(row.uid), Some(row.gid))?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), row)?;
        }
    }
    Ok(())
}

fn failed(what: &str, error: &io::Error) -> Message {
    Message::Settle { what: what.to_owned(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `init` leaves in its stage of the root: the safe's folder, and what opens the key.
    fn settled(opens: &[&str]) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let stage = dir.path().join("stage");
        fs::create_dir_all(stage.join("root")).unwrap();
        fs::write(stage.join("root/root.key.sealed"), "sealed").unwrap();
        for file in opens {
            let file = stage.join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "opens it").unwrap();
        }
        let places = Places { root: &dir.path().join("machine") };
        places.root(&stage).unwrap();
        for file in opens {
            assert!(!stage.join(file).exists(), "{file} is moved, not copied");
        }
        let safe = places.at(machine::ROOT);
        (dir, safe)
    }

    /// Issue 5: the sheets of several, or the passphrase of one, lie in the folder that is carried to the safe.
    #[test]
    fn what_opens_the_roots_key_goes_where_the_root_goes_and_stays_in_no_second_place() {
        let sheets = ["root-shares/share-1.html", "root-shares/share-2.html"];
        let (_dir, safe) = settled(&sheets);
        for file in sheets.iter().chain(&["root.key.sealed"]) {
            assert!(safe.join(file).is_file(), "{file}");
        }
        assert!(!safe.join(ROOT_PASSPHRASE).exists());
        assert_eq!(fs::metadata(&safe).unwrap().permissions().mode() & 0o777, 0o700);

        let (_dir, safe) = settled(&[ROOT_PASSPHRASE]);
        assert!(safe.join(ROOT_PASSPHRASE).is_file() && !safe.join(ROOT_SHARES).exists());
    }

    #[test]
    fn a_root_that_lies_there_already_is_not_mixed_with_another() {
        let dir = tempfile::tempdir().unwrap();
        let (stage, places) = (dir.path().join("stage"), Places { root: &dir.path().join("machine") });
        fs::create_dir_all(stage.join("root")).unwrap();
        fs::create_dir_all(stage.join(ROOT_SHARES)).unwrap();
        fs::create_dir_all(places.at(machine::ROOT)).unwrap();
        fs::write(places.at(machine::ROOT).join("root.key.sealed"), "another").unwrap();
        assert_eq!(places.root(&stage).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(stage.join(ROOT_SHARES).is_dir(), "nothing was moved");
    }
}
