//! The room as a whole: opened from its secrets, started in the runtime, asked through its doors, stopped.
//! `open` reads the epoch's key before the process is jailed; `start` opens both databases.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;

use crate::desk::Desk;
use crate::door::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};
use crate::engine::Database;
use crate::keys::{EpochKey, Secret};
use crate::keystore::KeyStore;
use crate::live::Live;
use crate::store::Store;
use crate::{epoch, http, office};

pub struct Config {
    /// sns.db, keys.db, and `epoch/`, which no backup may take.
    pub dir: PathBuf,
    /// Where the records are; keys.db is always in the folder.
    pub database: Database,
    /// Wraps the epoch's key; a credential, kept apart from the folder.
    pub epoch_secret: Secret,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("MM-4030 the folder {} cannot be made: {why}", dir.display())]
    Folder { dir: PathBuf, why: std::io::Error },
    #[error("MM-4031 the epoch's key cannot be read: {0}")]
    Epoch(String),
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("MM-4032 the key store does not open: {0}")]
    Keys(String),
    #[error("MM-4033 the records do not open: {0}")]
    Store(String),
}

/// Everything that needs the outside is read; nothing runs yet.
pub struct Opened {
    dir: PathBuf,
    database: Database,
    secret: Secret,
    ring: Vec<EpochKey>,
}

/// The running room.
#[derive(Clone)]
pub struct Room {
    desk: Arc<Desk>,
}

pub fn open(config: Config) -> Result<Opened, OpenError> {
    let Config { dir, database, epoch_secret } = config;
    let make = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
    make.map_err(|why| OpenError::Folder { dir: dir.clone(), why })?;
    let ring = epoch::read(&dir, &epoch_secret).map_err(|error| OpenError::Epoch(error.to_string()))?;
    Ok(Opened { dir, database, secret: epoch_secret, ring })
}

impl Opened {
    pub async fn start(self) -> Result<Room, StartError> {
        let keys = KeyStore::open(&self.dir, self.secret, self.ring);
        let keys = keys.await.map_err(|error| StartError::Keys(error.to_string()))?;
        let store = Store::open(&self.database, &self.dir).await;
        let store = store.map_err(|error| StartError::Store(error.to_string()))?;
        let desk = Desk { store, keys, live: Live::new() };
        let replayed =
            office::replay_erasures(&desk).await.map_err(|error| StartError::Store(error.to_string()))?;
        if replayed > 0 {
            log::info!(PATIENTS = replayed; "erasures were replayed over a restored sns.db");
        }
        Ok(Room { desk: Arc::new(desk) })
    }
}

impl Room {
    /// HTTP of the gateway.
    pub fn router(&self) -> Router {
        http::router(Arc::clone(&self.desk))
    }

    pub async fn teams(&self, question: TeamsQuestion) -> TeamsAnswer {
        office::teams(&self.desk, question).await
    }

    pub async fn keys(&self, question: KeysQuestion) -> KeysAnswer {
        office::keys(&self.desk, question).await
    }

    pub async fn operator(&self, question: SnsQuestion) -> SnsAnswer {
        office::operator(&self.desk, question).await
    }

    /// Ends all streams, writes what is to be written, closes both databases.
    pub async fn stop(&self) {
        self.desk.live.close().await;
        self.desk.store.close().await;
        self.desk.keys.close().await;
    }
}
