//! keys.db: every patient's key, wrapped by the epoch's key. SQLite only, secure_delete, never on the network.
//! Owns the epoch: an erasure is `drop the row + begin a new epoch` in one transaction, and afterwards the old
//! epoch's key exists nowhere. A crash in between is finished by the next `open`.
//!
//! ```text
//! epoch.key {n} ─► epoch.key {n, n+1} ─► keys.db: row dropped, survivors re-wrapped, epoch_now = n+1 ─► epoch.key {n+1}
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::identity::PatientId;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, Sqlite, SqlitePool, Transaction};
use tokio::sync::RwLock;

use crate::epoch::{self, EpochError};
use crate::keys::{EpochKey, KeyError, PatientKey, Purpose, Secret, Wrapped};
use crate::world::{self, NoRandomness};

/// Several requests read keys at once; one at a time writes.
const CONNECTIONS: u32 = 4;
/// Longer than any write of this room; after it something is wrong.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    #[error("keys.db: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("keys.db: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("key: {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error(transparent)]
    Epoch(#[from] EpochError),
    #[error("no key for this patient")]
    Unknown,
    #[error("the patient's key is erased")]
    Erased,
    /// keys.db is older or newer than epoch.key.
    #[error(
        "keys.db is of epoch {stored} but epoch.key holds {held}: \
         put back the copy of keys.db that was taken after the last erasure"
    )]
    Mismatch { stored: i64, held: String },
    #[error("epoch.key is missing; without it no patient's record opens: put back its escrowed copy")]
    EpochMissing,
    #[error("keys.db is empty but epoch.key is of epoch {held}: put back keys.db")]
    KeysMissing { held: String },
    #[error("the task that writes epoch.key ended early")]
    Task,
}

pub struct KeyStore {
    pool: SqlitePool,
    dir: PathBuf,
    secret: Secret,
    /// One key, or two while an epoch is being replaced. Readers hold it across the table read, so that
    /// nobody sees rows of an epoch whose key is not here yet.
    ring: RwLock<Vec<EpochKey>>,
}

impl KeyStore {
    /// `ring` is what `epoch::read` found before the process was jailed.
    pub async fn open(dir: &Path, secret: Secret, ring: Vec<EpochKey>) -> Result<Self, KeyStoreError> {
        let options = SqliteConnectOptions::new()
            .filename(dir.join("keys.db"))
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("secure_delete", "ON");
        // A full disk ends a transaction behind the driver's back; such a connection would refuse every other.
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).after_release(|conn, _| {
            Box::pin(async { conn.ping().await.map(|()| !conn.is_in_transaction()) })
        });
        let pool = pool.connect_with(options).await?;
        sqlx::migrate!("./migrations-keys").run(&pool).await?;
        let store = Self { pool, dir: dir.to_owned(), secret, ring: RwLock::new(ring) };
        store.settle().await?;
        Ok(store)
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    /// The patient's key, made now if there is none. Idempotent; refuses whom an erasure reached.
    pub async fn ensure(&self, patient: &PatientId) -> Result<PatientKey, KeyStoreError> {
        let ring = self.ring.read().await;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        match find(&mut tx, patient, &ring).await {
            Err(KeyStoreError::Unknown) => {}
            other => return other,
        }
        let current = current(&mut tx, &ring).await?;
        let key = PatientKey::new(patient.clone(), world::random()?);
        let wrapped = current.wrap(&key, Purpose::Content, world::nonce()?)?;
        sqlx::query("INSERT INTO patient_key (patient, purpose, epoch, wrapped, created_ms) VALUES ($1, $2, $3, $4, $5)")
            .bind(patient.as_str())
            .bind(Purpose::Content.as_str())
            .bind(i64::from(wrapped.epoch))
            .bind(wrapped.sealed)
            .bind(world::now_ms())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(key)
    }

    pub async fn key(&self, patient: &PatientId) -> Result<PatientKey, KeyStoreError> {
        let ring = self.ring.read().await;
        let mut tx = self.pool.begin().await?;
        find(&mut tx, patient, &ring).await
    }

    /// Destroys the patient's key in every copy of keys.db. Idempotent, and finishes what a crash left.
    pub async fn erase(&self, patient: &PatientId) -> Result<(), KeyStoreError> {
        let mut ring = self.ring.write().await;
        let (known,): (i64,) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM patient_key WHERE patient = $1) + (SELECT COUNT(*) FROM erased WHERE patient = $1)",
        )
        .bind(patient.as_str())
        .fetch_one(&self.pool)
        .await?;
        if known == 0 {
            return Err(KeyStoreError::Unknown);
        }
        let (done,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM erased WHERE patient = $1")
            .bind(patient.as_str())
            .fetch_one(&self.pool)
            .await?;
        if done > 0 {
            return self.forget_old_epochs(&mut ring).await;
        }
        self.begin_epoch(&mut ring, Some(patient)).await
    }

    /// Replaces the epoch's key and re-wraps every patient's. Returns the new epoch.
    pub async fn rotate_epoch(&self) -> Result<u32, KeyStoreError> {
        let mut ring = self.ring.write().await;
        self.begin_epoch(&mut ring, None).await?;
        ring.last().map(|key| key.epoch).ok_or(KeyStoreError::EpochMissing)
    }

    pub async fn epoch(&self) -> Result<u32, KeyStoreError> {
        let ring = self.ring.read().await;
        let mut tx = self.pool.begin().await?;
        Ok(current(&mut tx, &ring).await?.epoch)
    }

    /// The ledger of erasures, to be replayed over a restored sns.db.
    pub async fn erased(&self) -> Result<Vec<PatientId>, KeyStoreError> {
        let rows: Vec<(String,)> = sqlx::query_as("SELECT patient FROM erased ORDER BY at_ms, patient")
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().filter_map(|(patient,)| patient.parse().ok()).collect())
    }

    async fn begin_epoch(
        &self,
        ring: &mut Vec<EpochKey>,
        erase: Option<&PatientId>,
    ) -> Result<(), KeyStoreError> {
        self.forget_old_epochs(ring).await?;
        let old = ring.first().ok_or(KeyStoreError::EpochMissing)?.epoch;
        ring.push(EpochKey::new(old + 1, world::random()?));
        // The new key is durable before anything is wrapped by it.
        self.write_ring(ring).await?;
        self.rewrap(ring, erase).await?;
        self.forget_old_epochs(ring).await
    }

    /// One transaction: the erased row goes, the survivors follow the epoch.
    async fn rewrap(&self, ring: &[EpochKey], erase: Option<&PatientId>) -> Result<(), KeyStoreError> {
        let next = ring.last().ok_or(KeyStoreError::EpochMissing)?;
        let mut tx = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        if let Some(patient) = erase {
            sqlx::query("DELETE FROM patient_key WHERE patient = $1")
                .bind(patient.as_str())
                .execute(&mut *tx)
                .await?;
            sqlx::query("INSERT INTO erased (patient, epoch, at_ms) VALUES ($1, $2, $3)")
                .bind(patient.as_str())
                .bind(i64::from(next.epoch))
                .bind(world::now_ms())
                .execute(&mut *tx)
                .await?;
        }
        let survivors: Vec<(String, i64, String)> =
            sqlx::query_as("SELECT patient, epoch, wrapped FROM patient_key WHERE purpose = $1")
                .bind(Purpose::Content.as_str())
                .fetch_all(&mut *tx)
                .await?;
        for (patient, epoch, sealed) in survivors {
            let patient: PatientId = patient.parse().map_err(|_| KeyError::Form)?;
            let key = unwrap(ring, &patient, epoch, sealed)?;
            let wrapped = next.wrap(&key, Purpose::Content, world::nonce()?)?;
            sqlx::query(
                "UPDATE patient_key SET epoch = $1, wrapped = $2 WHERE patient = $3 AND purpose = $4",
            )
            .bind(i64::from(wrapped.epoch))
            .bind(wrapped.sealed)
            .bind(patient.as_str())
            .bind(Purpose::Content.as_str())
            .execute(&mut *tx)
            .await?;
        }
        sqlx::query("UPDATE epoch_now SET epoch = $1").bind(i64::from(next.epoch)).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Keeps only the key of the epoch that keys.db is in, in memory and in the file.
    async fn forget_old_epochs(&self, ring: &mut Vec<EpochKey>) -> Result<(), KeyStoreError> {
        if ring.len() == 1 {
            return Ok(());
        }
        let now = stored_epoch(&self.pool).await?.ok_or(KeyStoreError::EpochMissing)?;
        // Old pages leave the write-ahead log too; what the disk still holds is wrapped by the key that goes now.
        let (busy, _, _): (i64, i64, i64) =
            sqlx::query_as("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&self.pool).await?;
        if busy != 0 {
            log::info!("keys.db's log was in use and is emptied by its next checkpoint");
        }
        if !ring.iter().any(|key| i64::from(key.epoch) == now) {
            return Err(KeyStoreError::Mismatch { stored: now, held: held(ring) });
        }
        let text = render(ring.iter().filter(|key| i64::from(key.epoch) == now), &self.secret)?;
        self.replace_file(text).await?;
        ring.retain(|key| i64::from(key.epoch) == now);
        Ok(())
    }

    async fn write_ring(&self, ring: &[EpochKey]) -> Result<(), KeyStoreError> {
        let text = render(ring.iter(), &self.secret)?;
        self.replace_file(text).await
    }

    async fn replace_file(&self, text: String) -> Result<(), KeyStoreError> {
        let dir = self.dir.clone();
        let write = tokio::task::spawn_blocking(move || epoch::replace(&dir, &text));
        write.await.map_err(|_| KeyStoreError::Task)??;
        Ok(())
    }

    /// At start: the first epoch of a new store, the rest of an interrupted change, or a refusal.
    async fn settle(&self) -> Result<(), KeyStoreError> {
        let mut ring = self.ring.write().await;
        let stored = stored_epoch(&self.pool).await?;
        match (stored, ring.is_empty()) {
            (None, true) => {
                ring.push(EpochKey::new(1, world::random()?));
                self.write_ring(&ring).await?;
            }
            (None, false) if ring.iter().all(|key| key.epoch == 1) => {}
            (None, false) => return Err(KeyStoreError::KeysMissing { held: held(&ring) }),
            (Some(_), true) => return Err(KeyStoreError::EpochMissing),
            (Some(now), false) if ring.iter().any(|key| i64::from(key.epoch) == now) => {
                return self.forget_old_epochs(&mut ring).await;
            }
            (Some(now), false) => return Err(KeyStoreError::Mismatch { stored: now, held: held(&ring) }),
        }
        sqlx::query("INSERT INTO epoch_now (id, epoch) VALUES (1, 1)").execute(&self.pool).await?;
        Ok(())
    }
}

fn held(ring: &[EpochKey]) -> String {
    ring.iter().map(|key| key.epoch.to_string()).collect::<Vec<_>>().join(" and ")
}

fn render<'a>(keys: impl Iterator<Item = &'a EpochKey>, secret: &Secret) -> Result<String, KeyStoreError> {
    let mut lines = Vec::new();
    for key in keys {
        lines.push((key, world::nonce()?));
    }
    Ok(epoch::render(lines, secret)?)
}

fn unwrap(
    ring: &[EpochKey],
    patient: &PatientId,
    epoch: i64,
    sealed: String,
) -> Result<PatientKey, KeyStoreError> {
    let key = ring
        .iter()
        .find(|key| i64::from(key.epoch) == epoch)
        .ok_or_else(|| KeyStoreError::Mismatch { stored: epoch, held: held(ring) })?;
    let wrapped = Wrapped { epoch: key.epoch, sealed };
    Ok(key.unwrap(patient, Purpose::Content, &wrapped)?)
}

async fn find(
    tx: &mut Transaction<'static, Sqlite>,
    patient: &PatientId,
    ring: &[EpochKey],
) -> Result<PatientKey, KeyStoreError> {
    let row: Option<(i64, String)> =
        sqlx::query_as("SELECT epoch, wrapped FROM patient_key WHERE patient = $1 AND purpose = $2")
            .bind(patient.as_str())
            .bind(Purpose::Content.as_str())
            .fetch_optional(&mut **tx)
            .await?;
    if let Some((epoch, sealed)) = row {
        return unwrap(ring, patient, epoch, sealed);
    }
    let (erased,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM erased WHERE patient = $1")
        .bind(patient.as_str())
        .fetch_one(&mut **tx)
        .await?;
    Err(if erased > 0 { KeyStoreError::Erased } else { KeyStoreError::Unknown })
}

async fn stored_epoch(pool: &SqlitePool) -> Result<Option<i64>, KeyStoreError> {
    let row: Option<(i64,)> =
        sqlx::query_as("SELECT epoch FROM epoch_now WHERE id = 1").fetch_optional(pool).await?;
    Ok(row.map(|(epoch,)| epoch))
}

/// The key that new patients' keys are wrapped by: the table says which, not the file.
async fn current<'a>(
    tx: &mut Transaction<'static, Sqlite>,
    ring: &'a [EpochKey],
) -> Result<&'a EpochKey, KeyStoreError> {
    let (now,): (i64,) =
        sqlx::query_as("SELECT epoch FROM epoch_now WHERE id = 1").fetch_one(&mut **tx).await?;
    ring.iter()
        .find(|key| i64::from(key.epoch) == now)
        .ok_or_else(|| KeyStoreError::Mismatch { stored: now, held: held(ring) })
}

#[cfg(test)]
mod tests;
