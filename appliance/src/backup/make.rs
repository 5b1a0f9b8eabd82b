//! Makes one part of a backup while the realm runs: each file is first copied beside, then sent sealed to whatever
//! takes it, so that nobody waits for a slow stick. An edge: files, randomness. What it copied is gone when it ends.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use zeroize::Zeroizing;

use super::age::{self, AgeError, Chance, Identity, KEY_LEN, Recipient};
use super::copies::{self, CopyError};
use super::manifest::{FORMAT, Manifest};
use super::parts::{self, CONFIG, Fate, MANIFEST, Part, SECRET, SECRETS, STATE};
use super::relocate::{BOUNCES_PASSWORD, MAIL_PASSWORD, MAIL_ROOTS, MAIL_SMIME, TOKEN_PIN, own_roots};
use super::tar;
use crate::config::Config;
use crate::files;
use crate::secrets::{Opened, Secret};

/// Below the state folder, whose files its copies are.
const SCRATCH: &str = ".backup";
const LOCK: &str = "backup.lock";
/// Folders in folders; the rooms have two.
const DEPTH_MAX: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("{0}: {1}")]
    Copy(String, CopyError),
    #[error("{0}: a name that a backup cannot hold")]
    Name(String),
    #[error("the epoch's key: {0}")]
    Epoch(String),
    #[error("{0}")]
    Key(#[from] AgeError),
    #[error("no randomness: {0}")]
    Chance(String),
    #[error("another backup or drill of this realm is going on")]
    Busy,
}

/// What is backed up: read once, before the first byte is written.
pub struct Source<'a> {
    pub config: &'a Config,
    pub text: &'a str,
    pub secrets: &'a Opened,
    pub mail: Option<&'a Secret>,
    pub smime: Option<&'a Secret>,
    pub bounces: Option<&'a Secret>,
    /// Of the token that keeps the authority's keys, where there is one; the keys stay in it.
    pub pin: Option<&'a Secret>,
}

/// Where copies lie for a moment; one at a time per realm. Gone with this value, and what a crash left with the next.
pub struct Scratch {
    folder: PathBuf,
    _lock: File,
}

impl Scratch {
    pub fn of(state: &Path) -> Result<Self, MakeError> {
        let failed = |path: &Path, error| MakeError::File(path.display().to_string(), error);
        let path = state.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let lock = lock.map_err(|error| failed(&path, error))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(MakeError::Busy),
            done => done.map_err(|error| failed(&path, error.into()))?,
        }
        let folder = state.join(SCRATCH);
        clear(&folder).map_err(|error| failed(&folder, error))?;
        DirBuilder::new().mode(0o700).create(&folder).map_err(|error| failed(&folder, error))?;
        Ok(Self { folder, _lock: lock })
    }

    pub fn path(&self) -> &Path {
        &self.folder
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = clear(&self.folder);
    }
}

fn clear(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A new key pair of age.
pub fn identity() -> Result<Identity, MakeError> {
    Ok(Identity::from_random(*random::<KEY_LEN>()?))
}

/// One part, sealed to `recipients`, into `out`; gives `out` back when the last byte is in it.
pub fn write<W: Write>(
    source: &Source<'_>,
    part: Part,
    recipients: &[Recipient],
    scratch: &Scratch,
    at_ms: i64,
    out: W,
) -> Result<W, MakeError> {
    let chance = Chance {
        file_key: random()?,
        nonce: *random()?,
        moments: recipients.iter().map(|_| random()).collect::<Result<_, _>>()?,
    };
    let sealed = |error| MakeError::File(part.as_str().to_owned(), error);
    let mut tar = tar::Writer::new(age::seal(out, recipients, &chance).map_err(sealed)?);
    let mut put = |name: &str, bytes: &[u8]| {
        tar.file(name, bytes.len() as u64, at_ms / 1000, &mut &*bytes)
            .map_err(|error| MakeError::File(name.to_owned(), error))
    };
    let manifest = serde_json::to_vec_pretty(&manifest(source, part, at_ms)?);
    put(MANIFEST, &manifest.map_err(|error| sealed(error.into()))?)?;
    if part == Part::Records {
        put(CONFIG, source.text.as_bytes())?;
    }
    for (name, secret) in secrets(source, part) {
        let line = Zeroizing::new(format!("{}\n", secret.expose()));
        put(&format!("{SECRET}{name}"), line.as_bytes())?;
    }
    if let Some(mail) =
        source.config.mail.as_ref().filter(|mail| part == Part::Records && own_roots(&mail.roots))
    {
        let roots = fs::read(&mail.roots);
        put(
            &format!("{SECRET}{MAIL_ROOTS}"),
            &roots.map_err(|e| MakeError::File(MAIL_ROOTS.to_owned(), e))?,
        )?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(sealed)?;
    let state = &source.config.paths.state;
    for path in parts::ordered(found(state)?) {
        let name = format!("{STATE}{path}");
        if !parts::belongs(&name, part) {
            continue;
        }
        if !tar::is_plain(&name) {
            return Err(MakeError::Name(name));
        }
        let failed = |error| MakeError::File(name.clone(), error);
        let copy = scratch.path().join("copy");
        if runtime.block_on(copied(&state.join(&path), &copy, &path, &name))? {
            let mut copy = File::open(&copy).map_err(failed)?;
            let size = copy.metadata().map_err(failed)?.len();
            tar.file(&name, size, at_ms / 1000, &mut copy).map_err(failed)?;
        }
    }
    tar.finish().and_then(age::Sealing::finish).map_err(sealed)
}

/// False, when it was renamed away since it was found: its successor has another name, or there is none.
async fn copied(from: &Path, copy: &Path, path: &str, name: &str) -> Result<bool, MakeError> {
    let failed = |error| MakeError::File(name.to_owned(), error);
    files::remove(copy).map_err(failed)?;
    if let Fate::Database(_) = parts::fate(path) {
        copies::copy(from, copy).await.map_err(|error| MakeError::Copy(name.to_owned(), error))?;
        return Ok(true);
    }
    match fs::copy(from, copy) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        done => done.map(|_| true).map_err(failed),
    }
}

fn manifest(source: &Source<'_>, part: Part, at_ms: i64) -> Result<Manifest, MakeError> {
    let key = source.secrets.sns_epoch.expose_key().map_err(|message| MakeError::Epoch(message.en()))?;
    let epochs = sns::escrow::standing(&source.config.paths.room("sns"), &sns::Secret::new(*key));
    Ok(Manifest {
        format: FORMAT,
        part: part.as_str().to_owned(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
        zone: source.config.realm.zone.to_string(),
        realm: source.config.realm.name.clone(),
        at_ms,
        epochs: epochs.map_err(|error| MakeError::Epoch(error.to_string()))?,
    })
}

fn secrets<'a>(source: &Source<'a>, part: Part) -> Vec<(&'static str, &'a Secret)> {
    let secrets = source.secrets;
    let of = |name: &str| match name {
        "pki_passphrase" => Some(&secrets.pki_passphrase),
        "vpn_key" => Some(&secrets.vpn_key),
        "gateway_key" => Some(&secrets.gateway_key),
        "sns_epoch" => Some(&secrets.sns_epoch),
        MAIL_PASSWORD => source.mail,
        MAIL_SMIME => source.smime,
        BOUNCES_PASSWORD => source.bounces,
        TOKEN_PIN => source.pin,
        _ => None,
    };
    let wanted = SECRETS.iter().filter(|(_, brought)| *brought == part);
    wanted.filter_map(|(name, _)| of(name).map(|secret| (*name, secret))).collect()
}

/// Every file below the state folder, relative to it.
fn found(state: &Path) -> Result<Vec<String>, MakeError> {
    let (mut files, mut folders) = (Vec::new(), vec![(state.to_owned(), 0)]);
    while let Some((folder, depth)) = folders.pop() {
        let failed = |error| MakeError::File(folder.display().to_string(), error);
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let Ok(kind) = fs::symlink_metadata(&path) else { continue };
            if kind.is_dir() && depth < DEPTH_MAX && !path.ends_with(SCRATCH) {
                folders.push((path, depth + 1));
            } else if kind.is_file() {
                let name = path.strip_prefix(state).ok().and_then(Path::to_str);
                files.push(name.ok_or_else(|| MakeError::Name(path.display().to_string()))?.to_owned());
            }
        }
    }
    Ok(files)
}

pub(super) fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>, MakeError> {
    let mut random = Zeroizing::new([0; N]);
    getrandom::fill(random.as_mut_slice()).map_err(|error| MakeError::Chance(error.to_string()))?;
    Ok(random)
}

/// Counts what passes.
pub struct Counted<W> {
    pub inner: W,
    pub bytes: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads a whole small file of a part.
pub(super) fn limited(from: &mut impl Read, limit: u64) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    from.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::InvalidData, "too long"));
    }
    Ok(bytes)
}
