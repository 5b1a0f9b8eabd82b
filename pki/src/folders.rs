//! Where the ceremony's results lie, and how they get there: all or nothing. An edge file: files, SQL.
//! Everything is first written below `ceremony.unfinished` in each folder; a marker makes it count; then
//! it is moved into place. Died before the marker: nothing happened, and it is swept away. Died after it:
//! the next run moves on. A folder that holds a realm is never written over.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::ceremony::{self, Ceremony, CeremonyConfig, CeremonyError, KeptKey};
use crate::chain::Hash;
use crate::entry::Entry;
use crate::ledger::{Ledger, LedgerError};
use crate::pem;

/// In the offline folder.
pub const ROOT_KEY_SEALED: &str = "root.key.sealed";
pub const ROOT_PEM: &str = "root.crt";
pub const TRANSCRIPT: &str = "transcript.txt";
/// In the authority's folder (and, but for the keys, in the gateway's).
pub const ROOT_DER: &str = "root.der";
pub const DEVICE_CA_DER: &str = "device-ca.der";
pub const SERVER_CA_DER: &str = "server-ca.der";
pub const DEVICE_CA_KEY_SEALED: &str = "device-ca.key.sealed";
pub const SERVER_CA_KEY_SEALED: &str = "server-ca.key.sealed";
/// In place of a sealed key: one line, its label in the token.
pub const DEVICE_CA_KEY_TOKEN: &str = "device-ca.key.token";
pub const SERVER_CA_KEY_TOKEN: &str = "server-ca.key.token";
pub const LEDGER: &str = "ledger.db";
/// In the gateway's folder.
pub const GATEWAY_CHAIN: &str = "tls.crt";
pub const GATEWAY_KEY: &str = "tls.key";

const STAGE: &str = "ceremony.unfinished";
const MARKER: &str = "complete";

const SECRET_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const FOLDER_MODE: u32 = 0o700;

/// Three places: the safe, the authority, the gateway.
#[derive(Clone, Debug)]
pub struct Folders {
    pub root: PathBuf,
    pub pki: PathBuf,
    pub gateway: PathBuf,
}

/// A ceremony that was held.
#[derive(Clone, Debug)]
pub struct Held {
    /// An earlier run died half-way, and this one finished its work.
    pub continued: bool,
    /// SHA-256 of the root certificate.
    pub root_fingerprint: Hash,
    pub transcript: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum HoldError {
    #[error(transparent)]
    Ceremony(#[from] CeremonyError),
    #[error(
        "MM-2311 {0} exists: a realm lives here, and its keys are never written over. If this realm is truly \
         to end, move the whole folder away first; no device of it will be admitted any more"
    )]
    Exists(PathBuf),
    #[error(
        "MM-2313 an earlier run of the ceremony was interrupted, and {0} is missing: connect the same folders \
         as then (the safe's, too) and run it again"
    )]
    Missing(PathBuf),
    #[error("MM-2312 {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

impl Folders {
    /// Whether a whole realm lies here.
    pub fn held(&self) -> bool {
        self.missing().is_none() && !self.marker().exists()
    }

    /// What every realm has, one form or the other.
    fn finals(&self) -> [Vec<PathBuf>; 11] {
        let one = |folder: &Path, name: &str| vec![folder.join(name)];
        [
            one(&self.root, ROOT_KEY_SEALED),
            one(&self.root, ROOT_PEM),
            one(&self.root, TRANSCRIPT),
            one(&self.pki, ROOT_DER),
            one(&self.pki, DEVICE_CA_DER),
            one(&self.pki, SERVER_CA_DER),
            vec![self.pki.join(DEVICE_CA_KEY_SEALED), self.pki.join(DEVICE_CA_KEY_TOKEN)],
            vec![self.pki.join(SERVER_CA_KEY_SEALED), self.pki.join(SERVER_CA_KEY_TOKEN)],
            one(&self.pki, LEDGER),
            one(&self.gateway, GATEWAY_CHAIN),
            one(&self.gateway, GATEWAY_KEY),
        ]
    }

    fn missing(&self) -> Option<PathBuf> {
        let finals = self.finals().into_iter();
        finals
            .filter(|forms| !forms.iter().any(|path| path.exists()))
            .find_map(|forms| forms.into_iter().next())
    }

    fn all(&self) -> [&Path; 3] {
        // The authority's folder is last: it holds the marker.
        [&self.root, &self.gateway, &self.pki]
    }

    fn marker(&self) -> PathBuf {
        self.pki.join(STAGE).join(MARKER)
    }
}

/// The whole of `mimamori init`'s part: refuses a second realm, finishes an interrupted ceremony, or
/// holds a new one.
pub async fn hold(config: &CeremonyConfig, folders: &Folders, now: i64) -> Result<Held, HoldError> {
    let continued = folders.marker().exists();
    if continued {
        carry(folders)?;
    } else {
        clear(folders)?;
        write(&ceremony::create(config, now)?, folders).await?;
    }
    let root = folders.pki.join(ROOT_DER);
    let root_der = fs::read(&root).map_err(at(&root))?;
    let transcript = folders.root.join(TRANSCRIPT);
    Ok(Held { continued, root_fingerprint: Hash::of(&root_der), transcript })
}

/// Writes a ceremony's results, all or nothing.
pub async fn write(ceremony: &Ceremony, folders: &Folders) -> Result<(), HoldError> {
    clear(folders)?;
    stage(ceremony, folders).await?;
    carry(folders)
}

/// Everything below the stages, and then the marker.
async fn stage(ceremony: &Ceremony, folders: &Folders) -> Result<(), HoldError> {
    for folder in folders.all() {
        make(folder)?;
        make(&folder.join(STAGE))?;
    }
    let root = folders.root.join(STAGE);
    put(&root.join(ROOT_KEY_SEALED), ceremony.root_key_sealed.as_bytes(), SECRET_MODE)?;
    put(&root.join(ROOT_PEM), pem::certificate(&ceremony.root_der).as_bytes(), PUBLIC_MODE)?;
    put(&root.join(TRANSCRIPT), ceremony.transcript.as_bytes(), PUBLIC_MODE)?;

    let gateway = folders.gateway.join(STAGE);
    put(&gateway.join(GATEWAY_CHAIN), ceremony.gateway_chain_pem().as_bytes(), PUBLIC_MODE)?;
    put(&gateway.join(GATEWAY_KEY), ceremony.gateway_key_pem.as_bytes(), SECRET_MODE)?;
    put(&gateway.join(ROOT_DER), &ceremony.root_der, PUBLIC_MODE)?;
    put(&gateway.join(DEVICE_CA_DER), &ceremony.device_ca_der, PUBLIC_MODE)?;

    let pki = folders.pki.join(STAGE);
    put(&pki.join(ROOT_DER), &ceremony.root_der, PUBLIC_MODE)?;
    put(&pki.join(DEVICE_CA_DER), &ceremony.device_ca_der, PUBLIC_MODE)?;
    put(&pki.join(SERVER_CA_DER), &ceremony.server_ca_der, PUBLIC_MODE)?;
    keep(&ceremony.device_ca_key, &pki, DEVICE_CA_KEY_SEALED, DEVICE_CA_KEY_TOKEN)?;
    keep(&ceremony.server_ca_key, &pki, SERVER_CA_KEY_SEALED, SERVER_CA_KEY_TOKEN)?;
    put(&pki.join(TRANSCRIPT), ceremony.transcript.as_bytes(), PUBLIC_MODE)?;
    begin_ledger(ceremony, &pki.join(LEDGER)).await?;
    for folder in folders.all() {
        sync(&folder.join(STAGE))?;
        sync(folder)?;
    }
    put(&folders.marker(), b"complete\n", PUBLIC_MODE)?;
    sync(&pki)
}

/// The sealed key itself, or where it is.
fn keep(key: &KeptKey, folder: &Path, sealed: &str, token: &str) -> Result<(), HoldError> {
    match key {
        KeptKey::Sealed(text) => put(&folder.join(sealed), text.as_bytes(), SECRET_MODE),
        KeptKey::Token(label) => put(&folder.join(token), format!("{label}\n").as_bytes(), SECRET_MODE),
    }
}

/// The ledger begins with the transcript's hash and what the ceremony signed.
async fn begin_ledger(ceremony: &Ceremony, path: &Path) -> Result<(), HoldError> {
    put(path, b"", SECRET_MODE)?;
    let ledger = Ledger::create(path).await?;
    let mut writing = ledger.begin().await?;
    let transcript = Hash::of(ceremony.transcript.as_bytes());
    writing.append(ceremony.at, &Entry::Ceremony { transcript });
    let founding = [
        ("root", &ceremony.root_der),
        ("device-ca", &ceremony.device_ca_der),
        ("server-ca", &ceremony.server_ca_der),
        ("gateway", &ceremony.gateway_der),
    ];
    for ((name, der), serial) in founding.into_iter().zip(ceremony.serials) {
        let certificate = Hash::of(der);
        writing.append(ceremony.at, &Entry::Founding { name, serial, certificate });
    }
    writing.commit().await?;
    ledger.close().await;
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

/// Refuses a realm that is there; sweeps away what never counted.
fn clear(folders: &Folders) -> Result<(), HoldError> {
    if let Some(path) = folders.finals().into_iter().flatten().find(|path| path.exists()) {
        return Err(HoldError::Exists(path));
    }
    for folder in folders.all() {
        let stage = folder.join(STAGE);
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(at(&stage))?;
        }
    }
    Ok(())
}

/// Moves everything from the stages into place; may be repeated from any point. The marker goes last,
/// and only when nothing is missing: the safe's folder may not be connected this time.
fn carry(folders: &Folders) -> Result<(), HoldError> {
    for folder in folders.all() {
        let stage = folder.join(STAGE);
        let entries = match fs::read_dir(&stage) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&stage)(error)),
        };
        for entry in entries {
            let entry = entry.map_err(at(&stage))?;
            if entry.file_name() != MARKER {
                let target = folder.join(entry.file_name());
                fs::rename(entry.path(), &target).map_err(at(&target))?;
            }
        }
        sync(folder)?;
    }
    if let Some(missing) = folders.missing() {
        return Err(HoldError::Missing(missing));
    }
    for folder in folders.all() {
        let stage = folder.join(STAGE);
        if stage.exists() {
            fs::remove_dir_all(&stage).map_err(at(&stage))?;
            sync(folder)?;
        }
    }
    Ok(())
}

fn make(folder: &Path) -> Result<(), HoldError> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder).map_err(at(folder))
}

fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), HoldError> {
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
        // Whatever the umask is.
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(at(path))
}

fn sync(folder: &Path) -> Result<(), HoldError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(at(folder))
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> HoldError {
    let path = path.to_owned();
    |source| HoldError::File { path, source }
}
