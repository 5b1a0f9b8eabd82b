//! A realm out of its two files, in a folder that was empty: unpacked, looked through, opened once by each room that
//! holds keys, and only then given its configuration; a folder without one was never a realm. An edge: files, and SQL
//! through the rooms. Nothing of the machine it came from is needed.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufReader};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use pki::ledger::Ledger;
use pki::restore::Restored;
use pki::witness::Export;

use super::age::{self, Identity};
use super::copies;
use super::make::limited;
use super::manifest::Manifest;
use super::parts::{self, CONFIG, Fate, MANIFEST, Part, SECRET, STATE};
use super::relocate::{self, Home, file_of};
use super::tar;
use crate::compose;
use crate::config::{self, Config};
use crate::files;
use crate::secrets;

/// Present from the first file to the last.
pub const UNFINISHED: &str = ".restore-unfinished";
const SMALL_MAX: u64 = 256 << 10;

#[derive(Debug, thiserror::Error)]
pub enum BackError {
    #[error("{0} is not empty")]
    Taken(String),
    #[error("{0}: {1}")]
    File(String, io::Error),
    #[error("{0}: {1}")]
    Seal(String, age::AgeError),
    #[error("{0}")]
    Unfit(&'static str),
    #[error("{0} does not belong into this file")]
    Stranger(String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("the configuration: {0}")]
    Config(String),
    #[error("{0}: {1}")]
    Room(&'static str, String),
    #[error(
        "the patients' keys are of epoch {keys}, the epoch's key of {copy}: take the backup of the keys that was made after the last erasure"
    )]
    Epoch { keys: String, copy: String },
}

/// What somebody has in his hands.
pub struct Given<'a> {
    pub records: &'a Path,
    pub keys: &'a Path,
    pub identities: &'a [Identity],
    /// The sealed copy of the epoch's key, and its passphrase.
    pub epoch: Option<(&'a str, &'a pki::Secret)>,
    /// The log that was kept elsewhere: what the backup does not know yet.
    pub log: Option<&'a Export>,
}

/// What came back.
pub struct Back {
    pub manifest: Manifest,
    /// As it shall stand in the end; written into a folder that is the realm's home.
    pub text: String,
    pub certificates: u64,
    pub lines: u64,
    pub log: Option<Restored>,
    /// Revoked since the backup: the registry does not know it and must be told.
    pub revoked: Vec<String>,
    pub epochs: Vec<u32>,
}

/// Into `stage`, which `begin` made; for `Home::Folder` that is where the realm stays. `finish` ends it.
pub fn restore(given: &Given<'_>, home: Home<'_>, stage: &Path) -> Result<Back, BackError> {
    let (records, text) = unpack(given.records, Part::Records, given.identities, stage)?;
    let (keys, _) = unpack(given.keys, Part::Keys, given.identities, stage)?;
    records.fits(&keys).map_err(BackError::Unfit)?;
    let text = text.ok_or(BackError::Missing(CONFIG))?;
    let relocated = |home| relocate::relocated(&text, home).map_err(BackError::Config);
    // It is looked through where it lies now, whatever its home will be.
    let here = config::read(&relocated(Home::Folder(stage))?).map_err(|faults| {
        BackError::Config(faults.iter().map(|f| f.message.en()).collect::<Vec<_>>().join("; "))
    })?;
    let epochs = epoch(given, &keys, &here)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| failed(stage, error))?;
    let (log, revoked) = runtime.block_on(whole(given, &here, stage, !epochs.is_empty()))?;
    let (lines, certificates) = runtime.block_on(ledger(&here))?;
    Ok(Back { manifest: records, text: relocated(home)?, certificates, lines, log, revoked, epochs })
}

/// The realm's own folder gets its configuration, last.
pub fn finish(dir: &Path, text: &str) -> Result<PathBuf, BackError> {
    let path = dir.join(CONFIG);
    files::write_new(&path, text.as_bytes()).map_err(|error| failed(&path, error))?;
    let marker = dir.join(UNFINISHED);
    files::remove(&marker)
        .and_then(|()| files::sync_folder(&path))
        .map_err(|error| failed(&marker, error))?;
    Ok(path)
}

/// An empty folder, marked until `finish`.
pub fn begin(stage: &Path) -> Result<(), BackError> {
    if stage.exists() && fs::read_dir(stage).map_err(|error| failed(stage, error))?.next().is_some() {
        return Err(BackError::Taken(stage.display().to_string()));
    }
    for folder in ["", "secrets", "state", "run", "output"] {
        let folder = stage.join(folder);
        files::private_folder(&folder).map_err(|message| BackError::Config(message.en()))?;
    }
    let marker = stage.join(UNFINISHED);
    files::write_new(&marker, b"").map_err(|error| failed(&marker, error))
}

/// Everything of one file to its place below `stage`; the configuration's text is given out.
fn unpack(
    path: &Path,
    part: Part,
    identities: &[Identity],
    stage: &Path,
) -> Result<(Manifest, Option<String>), BackError> {
    let shown = || path.display().to_string();
    let file = File::open(path).map_err(|error| failed(path, error))?;
    let opening =
        age::open(BufReader::new(file), identities).map_err(|error| BackError::Seal(shown(), error))?;
    let mut tar = tar::Reader::new(opening);
    let (mut manifest, mut text) = (None, None);
    while let Some(entry) = tar.entry().map_err(|error| failed(path, error))? {
        if entry.name == MANIFEST && manifest.is_none() {
            let bytes = limited(&mut tar, SMALL_MAX).map_err(|error| failed(path, error))?;
            let read = serde_json::from_slice::<Manifest>(&bytes);
            manifest = Some(read.map_err(|error| failed(path, error.into()))?);
            continue;
        }
        if !parts::belongs(&entry.name, part) {
            return Err(BackError::Stranger(entry.name));
        }
        if entry.name == CONFIG {
            let bytes = limited(&mut tar, SMALL_MAX).map_err(|error| failed(path, error))?;
            text = Some(String::from_utf8_lossy(&bytes).into_owned());
            continue;
        }
        let to = match entry.name.strip_prefix(SECRET) {
            Some(secret) => stage.join("secrets").join(file_of(secret)),
            None => stage.join("state").join(entry.name.strip_prefix(STATE).unwrap_or(&entry.name)),
        };
        place(&mut tar, &to).map_err(|error| failed(&to, error))?;
    }
    Ok((manifest.ok_or(BackError::Missing(MANIFEST))?, text))
}

/// Never over a file that is there.
fn place(from: &mut impl io::Read, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(from, &mut file)?;
    file.sync_all()?;
    files::sync_folder(to)
}

/// The epoch's key to its place, if it was brought, and only if it is the one that wraps these keys.
fn epoch(given: &Given<'_>, keys: &Manifest, here: &Config) -> Result<Vec<u32>, BackError> {
    let Some((sealed, passphrase)) = given.epoch else { return Ok(Vec::new()) };
    let secret = secrets::open_one("sns_epoch", &here.secrets, None)
        .and_then(|secret| secret.expose_key())
        .map_err(|message| BackError::Room("sns", message.en()))?;
    let epochs = sns::escrow::import(&here.paths.room("sns"), &sns::Secret::new(*secret), passphrase, sealed);
    let epochs = epochs.map_err(|error| BackError::Room("sns", error.to_string()))?;
    if !keys.epochs.is_empty() && !epochs.iter().any(|epoch| keys.epochs.contains(epoch)) {
        let list = |epochs: &[u32]| epochs.iter().map(u32::to_string).collect::<Vec<_>>().join(", ");
        return Err(BackError::Epoch { keys: list(&keys.epochs), copy: list(&epochs) });
    }
    Ok(epochs)
}

/// Every database is whole; the CA's key opens and is its certificate's; the tunnels' and the gateway's keys are keys;
/// the patients' keys open under the epoch's.
async fn whole(
    given: &Given<'_>,
    here: &Config,
    stage: &Path,
    with_epoch: bool,
) -> Result<(Option<Restored>, Vec<String>), BackError> {
    for path in databases(&stage.join("state")).map_err(|error| failed(stage, error))? {
        copies::check(&path).await.map_err(|error| failed(&path, io::Error::other(error.to_string())))?;
    }
    let opened = secrets::open(&here.secrets, None).map_err(|messages| {
        BackError::Config(messages.iter().map(|message| message.en()).collect::<Vec<_>>().join("; "))
    })?;
    let room = |name: &'static str| move |why: String| BackError::Room(name, why);
    let authority = compose::pki(here, &opened.pki_passphrase, None).map_err(|m| room("pki")(m.en()))?;
    drop(pki::open(authority).map_err(|error| room("pki")(error.to_string()))?);
    compose::vpn(here, &opened.vpn_key).map_err(|message| room("vpn")(message.en()))?;
    compose::gateway(here, &opened.gateway_key, None).map_err(|message| room("gateway")(message.en()))?;
    compose::published(here).map_err(|message| room("provisioning")(message.en()))?;
    let restored = match given.log {
        Some(export) => Some(again(here, export).await?),
        None => None,
    };
    if with_epoch {
        let config =
            compose::sns(here, &opened.sns_epoch, None).map_err(|message| room("sns")(message.en()))?;
        let opened = sns::open(config).map_err(|error| room("sns")(error.to_string()))?;
        opened.start().await.map_err(|error| room("sns")(error.to_string()))?.stop().await;
    }
    Ok(restored.map_or((None, Vec::new()), |(restored, revoked)| (Some(restored), revoked)))
}

/// The ledger takes up what the log has beyond it; the slots whose certificates were revoked meanwhile.
async fn again(here: &Config, export: &Export) -> Result<(Restored, Vec<String>), BackError> {
    let failed = |why: String| BackError::Room("pki", why);
    let dir = here.paths.room("pki");
    let own = fs::read(dir.join(pki::folders::DEVICE_CA_DER)).map_err(|error| failed(error.to_string()))?;
    if own != export.device_ca {
        return Err(failed("the log is of another authority".to_owned()));
    }
    let ledger =
        Ledger::open(&dir.join(pki::folders::LEDGER)).await.map_err(|error| failed(error.to_string()))?;
    let before = ledger.head().await.map_err(|error| failed(error.to_string()))?.entries;
    let restored = pki::restore::restore(&ledger, export, false).await;
    ledger.close().await;
    let restored = restored.map_err(|error| failed(error.to_string()))?;
    let (mut slots, mut revoked): (BTreeMap<&str, &str>, Vec<String>) = (BTreeMap::new(), Vec::new());
    for (entry, line) in (0..).zip(export.lines.lines()) {
        let kind = pki::entry::fields(line).map(|said| said.kind);
        match kind {
            Some("planned") => {
                slots.insert(word(line, "serial"), word(line, "slot"));
            }
            Some("revoked") if entry >= before => {
                revoked.extend(slots.get(word(line, "serial")).map(|slot| (*slot).to_owned()));
            }
            _ => {}
        }
    }
    revoked.sort();
    revoked.dedup();
    Ok((restored, revoked))
}

fn word<'a>(line: &'a str, name: &str) -> &'a str {
    line.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default()
}

/// The chain from the first line to the last.
async fn ledger(here: &Config) -> Result<(u64, u64), BackError> {
    let failed = |why: String| BackError::Room("pki", why);
    let path = here.paths.room("pki").join(pki::folders::LEDGER);
    let ledger = Ledger::open(&path).await.map_err(|error| failed(error.to_string()))?;
    let counted = ledger.verify().await;
    ledger.close().await;
    let counted = counted.map_err(|error| failed(error.to_string()))?;
    Ok((counted.head.entries, counted.planned))
}

fn databases(state: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for room in fs::read_dir(state)? {
        let room = room?;
        for file in fs::read_dir(room.path())? {
            let file = file?;
            let path =
                format!("{}/{}", room.file_name().to_string_lossy(), file.file_name().to_string_lossy());
            if matches!(parts::fate(&path), Fate::Database(_)) {
                found.push(file.path());
            }
        }
    }
    Ok(found)
}

fn failed(path: &Path, error: io::Error) -> BackError {
    BackError::File(path.display().to_string(), error)
}
