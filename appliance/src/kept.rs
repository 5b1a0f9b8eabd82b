//! The configuration's history on the disk: one folder beside `mimamori.toml`, a file for each revision, one for
//! the state. Every file is written beside, flushed and renamed, so that a power cut leaves the old or the new.
//! An edge: files, the clock since boot, a lock that two writers take in turn.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::time::{ClockId, clock_gettime};

use crate::files;
use crate::history::{Now, Refusal, State, Write};
use crate::messages::Message;

const STATE: &str = "state.json";
/// Lies there from before a text becomes active until firewall and rooms have been told of it.
const OWED: &str = "untold";
/// Everybody who may log in may read it: no secret stands in a configuration.
const MODE: u32 = 0o644;
/// Fifty entries are a few kilobytes.
const STATE_MAX: usize = 64 << 10;
const TEXT_MAX: usize = 256 << 10;

pub struct Kept {
    active: PathBuf,
    folder: PathBuf,
    /// Let go with this value.
    _lock: Option<File>,
}

impl Kept {
    /// For reading: nothing is written, and nobody waits.
    pub fn look(config: &Path) -> Self {
        let active = config.to_owned();
        let folder = config.parent().unwrap_or(Path::new("/")).join("history");
        Self { active, folder, _lock: None }
    }

    /// For writing; a realm that has no history yet begins one with what is active.
    pub fn open(config: &Path) -> Result<Self, Message> {
        // The one that lies on the data partition, not the link to it.
        let active = fs::canonicalize(config).map_err(|error| unkept(config, &error))?;
        let mut kept = Self::look(&active);
        DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&kept.folder)
            .and_then(|()| fs::set_permissions(&kept.folder, Permissions::from_mode(0o755)))
            .map_err(|error| unkept(&kept.folder, &error))?;
        let path = kept.folder.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|error| unkept(&path, &error))?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| unkept(&path, &error.into()))?;
        kept._lock = Some(lock);
        let state = kept.state()?;
        if state.revisions.is_empty() {
            let text = kept.active_text()?;
            let first = state.commit(&text, None, (kept.changed_ms(), "init"), None, &now()?);
            kept.write(&first.unwrap_or_default())?;
        }
        Ok(kept)
    }

    pub fn state(&self) -> Result<State, Message> {
        let path = self.folder.join(STATE);
        if !path.exists() {
            return Ok(State::default());
        }
        let bytes = files::read_limited(&path, STATE_MAX)?;
        serde_json::from_slice(&bytes).map_err(|error| unkept(&path, &io::Error::other(error)))
    }

    pub fn active_text(&self) -> Result<String, Message> {
        files::read_config(&self.active)
    }

    pub fn text(&self, number: u64) -> Result<String, Message> {
        let bytes = files::read_limited(&self.revision(number), TEXT_MAX)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// In order; a power cut between any two leads home (`history`). True when the active text is another now.
    pub fn write(&self, writes: &[Write]) -> Result<bool, Message> {
        let mut changed = false;
        for write in writes {
            let path = match write {
                Write::Revision { number, .. } | Write::Forget(number) => self.revision(*number),
                Write::State(_) => self.folder.join(STATE),
                Write::Active(_) => self.active.clone(),
            };
            let done = match write {
                Write::Revision { text, .. } => replace(&path, text.as_bytes()),
                Write::State(state) => serde_json::to_vec_pretty(state)
                    .map_err(io::Error::other)
                    .and_then(|bytes| replace(&path, &bytes)),
                Write::Active(number) => {
                    let text = self.text(*number)?;
                    let differs = self.active_text().ok().as_deref() != Some(text.as_str());
                    changed |= differs;
                    // First: whoever ends between the two leaves somebody to be told once more, never once less.
                    let owe = if differs { replace(&self.folder.join(OWED), b"") } else { Ok(()) };
                    owe.and_then(|()| replace(&path, text.as_bytes()))
                }
                Write::Forget(_) => files::remove(&path),
            };
            done.map_err(|error| unkept(&path, &error))?;
        }
        Ok(changed)
    }

    /// What the time and a broken write ask for. True when the active text is another now.
    pub fn settle(&self) -> Result<bool, Message> {
        let state = self.state()?;
        let right = state.active().is_none_or(|number| {
            self.text(number).is_ok_and(|text| self.active_text().is_ok_and(|active| active == text))
        });
        self.write(&state.settle(&now()?, right))
    }

    /// A text became active, and nobody has said yet that everybody was told of it.
    pub fn owes(&self) -> bool {
        self.folder.join(OWED).exists()
    }

    /// Everybody was told.
    pub fn told(&self) -> Result<(), Message> {
        let path = self.folder.join(OWED);
        let gone = files::remove(&path).and_then(|()| files::sync_folder(&path));
        gone.map_err(|error| unkept(&path, &error))
    }

    fn revision(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:06}.toml"))
    }

    fn changed_ms(&self) -> i64 {
        let changed = fs::metadata(&self.active).and_then(|found| found.modified()).ok();
        let since = changed.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        since.and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
    }
}

/// Since the machine was started, with the start's own name.
pub fn now() -> Result<Now, Message> {
    let path = Path::new("/proc/sys/kernel/random/boot_id");
    let boot = fs::read_to_string(path).map_err(|error| unkept(path, &error))?;
    Ok(Now { since_boot_ms: since_boot_ms(), boot: boot.trim().to_owned() })
}

/// Goes on while the machine sleeps, and no clock that somebody sets moves it.
pub fn since_boot_ms() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let ms = time.tv_sec.saturating_mul(1000).saturating_add(time.tv_nsec / 1_000_000);
    u64::try_from(ms).unwrap_or(0)
}

/// What the engineer hears.
pub fn refused(refusal: Refusal) -> Message {
    match refusal {
        Refusal::Pending => Message::ConfigPending {},
        Refusal::NothingPending => Message::ConfigNothing {},
        Refusal::Same => Message::ConfigSame {},
        Refusal::NoRevision => Message::ConfigNoRevision {},
        Refusal::Time => {
            Message::Argument { name: "--confirm".to_owned(), why: "10s–24h / 10s to 24h".to_owned() }
        }
    }
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    files::remove(&new)?;
    files::write_new(&new, bytes)?;
    fs::set_permissions(&new, Permissions::from_mode(MODE))?;
    fs::rename(&new, path)?;
    files::sync_folder(path)
}

fn unkept(path: &Path, error: &io::Error) -> Message {
    Message::FileWrite { path: path.display().to_string(), why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A watcher that was killed between its write and the wall's reload: the next one tells.
    #[test]
    fn who_ends_before_he_has_told_leaves_it_to_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mimamori.toml");
        fs::write(&path, "one = 1\n").unwrap();
        let kept = Kept::open(&path).unwrap();
        assert!(!kept.owes(), "a history that begins owes nothing");
        let (state, at) = (kept.state().unwrap(), now().unwrap());
        let writes = state.commit("one = 2\n", Some("one = 1\n"), (1, "mori"), Some(10_000), &at).unwrap();
        assert!(kept.write(&writes).unwrap());
        drop(kept);
        let next = Kept::open(&path).unwrap();
        assert!(next.owes(), "the wall still has the former rules");
        next.told().unwrap();
        next.told().unwrap();
        assert!(!next.owes());
        // It falls back by itself, and that is owed again.
        let late = Now { boot: "another".to_owned(), ..now().unwrap() };
        let right = true;
        assert!(next.write(&next.state().unwrap().settle(&late, right)).unwrap());
        assert_eq!((next.active_text().unwrap().as_str(), next.owes()), ("one = 1\n", true));
    }
}
