//! The room put together: `open` (files and folders, nothing parsed from outside), `start` (database,
//! workers), then `Room`, which answers until `stop`. Edge: tokio, SQL.

use std::sync::Arc;

use pki::identity::PersonId;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::accounts::{AccountCheck, PasswordChange};
use crate::delivery::{self, Delivery};
use crate::dkim_key::DkimKeyError;
use crate::door::{Operator, ProvisioningAnswer, ProvisioningQuestion};
use crate::fault::Fault;
use crate::hashing::{Cost, Hasher, HashingError};
use crate::mailing::Postman;
use crate::paper_font::FontFiles;
use crate::passkeys::{Kept, NewProof, Offer, Passkey, Proof, Question};
use crate::scan_key::{ScanKeyError, ScanKeys};
use crate::shared::{Config, FolderError, Needs, Shared};
use crate::store::{self, Store, StoreError};
use crate::{
    accounts, bounce_box, end_notices, grants, home, leavings, operator, passkeys, revocation, scan_ends,
    seats, team_orders,
};

/// Why a room does not open.
pub type OpenError = FolderError;

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    MailKey(#[from] DkimKeyError),
    #[error(transparent)]
    ScanKey(#[from] ScanKeyError),
    #[error("MM-5008 the registry cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// Its folders exist; the process may be jailed now.
pub struct Opened {
    config: Config,
    /// Opened here, because the jail hides it.
    font: FontFiles,
}

/// Makes the room's folders, for its own user only.
pub fn open(config: Config) -> Result<Opened, OpenError> {
    config.make_folders()?;
    Ok(Opened { config, font: FontFiles::open() })
}

impl Opened {
    /// Opens the registry and starts the workers.
    pub async fn start(self, needs: Needs) -> Result<Room, StartError> {
        let hasher = Hasher::new(Cost::FULL)?;
        self.start_with(needs, hasher).await
    }

    /// As `start`, with a hasher of the caller's: room tests bring a cheap one.
    pub async fn start_with(self, needs: Needs, hasher: Hasher) -> Result<Room, StartError> {
        let store = Store::open(&self.config.database, &self.config.registry()).await?;
        let grants_version =
            store::current(&mut *store.pool().acquire().await?, store::GRANTS_VERSION).await?;
        let config = self.config.clone();
        let postman = tokio::task::spawn_blocking(move || Postman::open(&config)).await;
        let postman = postman.map_err(|_| DkimKeyError::Making)??.map(Arc::new);
        let dir = self.config.dir.clone();
        let scans = tokio::task::spawn_blocking(move || ScanKeys::open(&dir)).await;
        let scans = scans.map_err(|_| DkimKeyError::Making)??;
        let version = grants_version.unsigned_abs();
        let shared = Shared::new(self.config, store, needs, hasher, self.font, scans, version);
        let mut workers = JoinSet::new();
        spawn_workers(&shared, postman.clone(), &mut workers);
        Ok(Room { shared, postman, workers: Arc::new(Mutex::new(workers)) })
    }
}

/// Every worker ends when `Shared::stopped` resolves.
fn spawn_workers(shared: &Arc<Shared>, postman: Option<Arc<Postman>>, workers: &mut JoinSet<()>) {
    let folder = shared.config.output.clone();
    let output = match postman {
        Some(postman) => Delivery::Mail { folder, postman },
        None => Delivery::Folder(folder),
    };
    workers.spawn(delivery::work(shared.clone(), output));
    workers.spawn(seats::run(shared.clone()));
    workers.spawn(revocation::run(shared.clone()));
    workers.spawn(end_notices::run(shared.clone()));
    workers.spawn(leavings::run(shared.clone()));
    workers.spawn(bounce_box::run(shared.clone()));
    workers.spawn(team_orders::run(shared.clone()));
    workers.spawn(scan_ends::run(shared.clone()));
}

/// Answers until it is stopped; clones are the same room.
#[derive(Clone)]
pub struct Room {
    shared: Arc<Shared>,
    postman: Option<Arc<Postman>>,
    workers: Arc<Mutex<JoinSet<()>>>,
}

impl Room {
    /// Consoles and claim page; only the gateway may connect to it.
    pub fn router(&self) -> axum::Router {
        home::router(self.shared.clone())
    }

    /// The operator's door. A refusal is an answer too.
    pub async fn operator(&self, question: ProvisioningQuestion, operator: Operator) -> ProvisioningAnswer {
        operator::answer(&self.shared, self.postman.as_deref(), question, operator).await
    }

    /// The versioned feed of slots and memberships (ruling 1).
    pub async fn grants(&self, after: u64, wait_ms: u32) -> Result<grants::Changes, Fault> {
        grants::changes(&self.shared, after, wait_ms).await
    }

    /// Who a login and password belong to.
    pub async fn check_account(&self, login: &str, password: &str) -> Result<AccountCheck, Fault> {
        accounts::check(&self.shared, login, password).await
    }

    pub async fn change_password(
        &self,
        person: &PersonId,
        old: &str,
        new: &str,
    ) -> Result<PasswordChange, Fault> {
        accounts::change_password(&self.shared, person, old, new).await
    }

    /// Passkeys: what the accounts' door asks of them.
    pub async fn offer_passkey(&self, person: &PersonId, password: &str, rp: &str) -> Result<Offer, Fault> {
        passkeys::offer(&self.shared, person, password, rp).await
    }

    pub async fn keep_passkey(
        &self,
        person: &PersonId,
        label: &str,
        question: &Question,
        proof: &NewProof,
    ) -> Result<Kept, Fault> {
        passkeys::keep(&self.shared, person, label, question, proof).await
    }

    pub async fn passkeys(&self, person: &PersonId) -> Result<Vec<Passkey>, Fault> {
        passkeys::list(&self.shared, person).await
    }

    pub async fn remove_passkey(&self, person: &PersonId, credential: &str) -> Result<bool, Fault> {
        passkeys::remove(&self.shared, person, credential).await
    }

    /// Whom a passkey signs in.
    pub async fn check_passkey(&self, question: &Question, proof: &Proof) -> Result<AccountCheck, Fault> {
        passkeys::check(&self.shared, question, proof).await
    }

    /// Ends the workers at their next step, then closes the registry.
    pub async fn stop(&self) {
        self.shared.stopping.send_replace(true);
        let mut workers = self.workers.lock().await;
        while workers.join_next().await.is_some() {}
        self.shared.store.close().await;
    }
}
