//! The rehearsal: a backup of the running realm, sealed to a key of the moment, brought back in a folder beside and
//! looked through as a real one. What remains is the time it took and whether it held. An edge: files, the clock.

use std::fs::{DirBuilder, File};
use std::io::{BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::back::{self, BackError, Given};
use super::make::{self, MakeError, Scratch, Source, random};
use super::manifest::Drilled;
use super::parts::Part;
use super::relocate::Home;

#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    #[error(transparent)]
    Make(#[from] MakeError),
    #[error(transparent)]
    Back(#[from] BackError),
    #[error("what came back is not what there is: {0}")]
    Other(&'static str),
}

/// Its result, good or bad; an error is one only when nothing could be tried.
pub fn drill(source: &Source<'_>, at_ms: i64) -> Result<Drilled, MakeError> {
    let scratch = Scratch::of(&source.config.paths.state)?;
    let begun = Instant::now();
    let done = rehearse(source, &scratch, at_ms);
    let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(match done {
        Ok(certificates) => Drilled { at_ms, took_ms, fault: None, certificates },
        Err(error) => Drilled { at_ms, took_ms, fault: Some(error.to_string()), certificates: 0 },
    })
}

fn rehearse(source: &Source<'_>, scratch: &Scratch, at_ms: i64) -> Result<u64, DrillError> {
    let identity = make::identity()?;
    let recipients = [identity.recipient().map_err(MakeError::from)?];
    let [records, keys] = Part::ALL.map(|part| scratch.path().join(part.as_str()));
    for (part, path) in Part::ALL.into_iter().zip([&records, &keys]) {
        let failed = |error| MakeError::File(path.display().to_string(), error);
        let out = BufWriter::new(File::create_new(path).map_err(failed)?);
        make::write(source, part, &recipients, scratch, at_ms, out)?.flush().map_err(failed)?;
    }
    let words = sns::escrow::passphrase(&*random()?);
    let passphrase = sns::escrow::typed(&words).map_err(|error| BackError::Room("sns", error.to_string()))?;
    let sealed = escrow(source, &passphrase)?;
    let realm = scratch.path().join("realm");
    back::begin(&realm)?;
    let aside = Aside::of(&source.config.paths.run, &realm)?;
    let epoch = sealed.as_deref().map(|sealed| (sealed, &passphrase));
    let given = Given { records: &records, keys: &keys, identities: &[identity], epoch, log: None };
    let back = back::restore(&given, Home::Folder(&realm), &realm);
    drop(aside);
    let back = back?;
    let same = |room: &str, file: &str| {
        let (here, there) =
            (source.config.paths.room(room).join(file), realm.join("state").join(room).join(file));
        std::fs::read(here).ok() == std::fs::read(there).ok()
    };
    for (room, file) in [("pki", pki::folders::DEVICE_CA_DER), ("pki", pki::folders::ROOT_DER)] {
        if !same(room, file) {
            return Err(DrillError::Other("a CA's certificate"));
        }
    }
    Ok(back.certificates)
}

/// A realm that has no patient yet may have no epoch either.
fn escrow(source: &Source<'_>, passphrase: &pki::Secret) -> Result<Option<String>, DrillError> {
    let key = source.secrets.sns_epoch.expose_key().map_err(|message| MakeError::Epoch(message.en()))?;
    let (dir, secret) = (source.config.paths.room("sns"), sns::Secret::new(*key));
    let failed = |error: sns::escrow::EscrowError| MakeError::Epoch(error.to_string());
    if sns::escrow::standing(&dir, &secret).map_err(failed)?.is_empty() {
        return Ok(None);
    }
    let copy = sns::escrow::export(&dir, &secret, passphrase, &*random()?, *random()?).map_err(failed)?;
    Ok(Some(copy.sealed))
}

/// The epoch's key lies for the drill's minute where the sockets lie, in memory on a machine of ours: a block of the
/// disk that kept it would outlive an erasure.
struct Aside(PathBuf);

impl Aside {
    fn of(run: &Path, realm: &Path) -> Result<Self, DrillError> {
        let folder = run.join("drill-epoch");
        let failed = |path: &Path, error| MakeError::File(path.display().to_string(), error);
        let _ = std::fs::remove_dir_all(&folder);
        private(&folder).map_err(|error| failed(&folder, error))?;
        let sns = realm.join("state").join("sns");
        private(&sns).map_err(|error| failed(&sns, error))?;
        symlink(&folder, sns.join("epoch")).map_err(|error| failed(&sns, error))?;
        Ok(Self(folder))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn private(folder: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}
