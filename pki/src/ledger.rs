//! The ledger on disk: an append-only chain of lines in SQLite, durable before anything is acknowledged.
//! Owns the database file and the only way to append; ends with `close`, or with the process: every
//! append is in a transaction with the rows it speaks of, and fsynced at commit.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

use crate::chain::{Hash, Head};
use crate::door::Attestation;
use crate::entry::{Entry, kind_of};

/// Another process may hold the file for a backup.
const BUSY: Duration = Duration::from_secs(5);
/// One writer, and readers for the operator and the gateway's questions.
const CONNECTIONS: u32 = 4;
/// Lines per read while the chain is recomputed; bounds memory.
const PAGE: i64 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    #[error(
        "MM-2211 there is no ledger at {0}; restore it from the backup (a new ledger would forget every revocation)"
    )]
    Missing(PathBuf),
    #[error("MM-2212 the ledger's database failed; check free disk space and the disk: {0}")]
    Database(#[from] sqlx::Error),
    #[error("MM-2213 the ledger was made by a newer version, or its migrations failed: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("MM-2214 entry {entry} of the ledger does not tell the truth: {why}; stop issuing and restore")]
    Broken { entry: u64, why: String },
}

#[derive(Clone)]
pub struct Ledger {
    pool: SqlitePool,
}

/// That a line stands in the ledger, on disk, for these bytes. Only made by a commit; a signature needs it.
pub struct Recorded {
    entry: u64,
    head: Hash,
    covers: Hash,
    certificate: bool,
}

impl Recorded {
    pub fn entry(&self) -> u64 {
        self.entry
    }

    /// The ledger's head after the entry.
    pub fn head(&self) -> Hash {
        self.head
    }

    /// The hash of the bytes that may be signed because of the entry.
    pub fn covers(&self) -> Hash {
        self.covers
    }

    /// A certificate's record alone opens nothing: it must be linted too.
    pub fn is_certificate(&self) -> bool {
        self.certificate
    }
}

/// One transaction on the ledger. Dropped without `commit`, nothing happened.
pub struct Writing {
    transaction: Transaction<'static, Sqlite>,
    head: Head,
    recorded: Vec<Recorded>,
}

impl Ledger {
    /// A new ledger, for the ceremony alone. One file without companions once it is closed.
    pub async fn create(path: &Path) -> Result<Self, LedgerError> {
        let options = options(path).create_if_missing(true).journal_mode(SqliteJournalMode::Delete);
        Self::connect(options).await
    }

    /// The ledger that the ceremony made.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        if !path.is_file() {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        let options = options(path).create_if_missing(false).journal_mode(SqliteJournalMode::Wal);
        let ledger = Self::connect(options).await?;
        if ledger.head().await?.entries == 0 {
            return Err(LedgerError::Missing(path.to_owned()));
        }
        Ok(ledger)
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, LedgerError> {
        // A full disk ends a transaction behind the driver's back; such a connection would refuse every other.
        let pool = SqlitePoolOptions::new().max_connections(CONNECTIONS).after_release(|conn, _| {
            Box::pin(async { conn.ping().await.map(|()| !conn.is_in_transaction()) })
        });
        let pool = pool.connect_with(options).await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        Ok(Self { pool })
    }

    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins to write; waits for whoever writes now.
    pub async fn begin(&self) -> Result<Writing, LedgerError> {
        let mut transaction = self.pool.begin_with("BEGIN IMMEDIATE").await?;
        let head = head(&mut transaction).await?;
        Ok(Writing { transaction, head, recorded: Vec::new() })
    }

    pub async fn head(&self) -> Result<Head, LedgerError> {
        let mut connection = self.pool.acquire().await?;
        head(&mut connection).await
    }

    /// Recomputes the whole chain; counts the lines of two kinds for the comparison with the tables.
    pub async fn verify(&self) -> Result<Counted, LedgerError> {
        let mut counted = Counted { head: Head::EMPTY, planned: 0, revoked: 0 };
        loop {
            let page: Vec<(i64, String, String)> = sqlx::query_as(
                "SELECT number, body, hash FROM ledger WHERE number >= $1 ORDER BY number LIMIT $2",
            )
            .bind(counted.head.entries as i64)
            .bind(PAGE)
            .fetch_all(&self.pool)
            .await?;
            if page.is_empty() {
                return Ok(counted);
            }
            for (number, body, hash) in page {
                let next = counted.head.then(body.as_bytes());
                let entry = counted.head.entries;
                if number as u64 != entry || next.hash.to_string() != hash {
                    return Err(broken(entry, "it does not follow from what stands before it"));
                }
                counted.head = next;
                counted.planned += u64::from(kind_of(&body) == "planned");
                counted.revoked += u64::from(kind_of(&body) == "revoked");
            }
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// What `verify` saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub head: Head,
    pub planned: u64,
    pub revoked: u64,
}

impl Writing {
    /// Appends one line; returns its number.
    pub async fn append(&mut self, at: i64, entry: &Entry) -> Result<u64, LedgerError> {
        let number = self.head.entries;
        let body = entry.line(at);
        let next = self.head.then(body.as_bytes());
        sqlx::query("INSERT INTO ledger (number, body, hash) VALUES ($1, $2, $3)")
            .bind(number as i64)
            .bind(body)
            .bind(next.hash.to_string())
            .execute(&mut *self.transaction)
            .await?;
        self.head = next;
        if let Some(covers) = covers(entry, number, next.hash) {
            let certificate = matches!(entry, Entry::Planned { .. });
            self.recorded.push(Recorded { entry: number, head: next.hash, covers, certificate });
        }
        Ok(number)
    }

    pub fn rows(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }

    /// On disk when this returns. Gives what may be signed now.
    pub async fn commit(self) -> Result<(Head, Vec<Recorded>), LedgerError> {
        self.transaction.commit().await?;
        Ok((self.head, self.recorded))
    }
}

pub(crate) fn broken(entry: u64, why: &str) -> LedgerError {
    LedgerError::Broken { entry, why: why.to_owned() }
}

/// The bytes that an entry announces.
fn covers(entry: &Entry, number: u64, head: Hash) -> Option<Hash> {
    match entry {
        Entry::Planned { tbs, .. } | Entry::List { tbs, .. } => Some(*tbs),
        Entry::Attestation { hash, subject } => {
            Some(Hash::of(&Attestation::message(number, subject, hash, &head)))
        }
        _ => None,
    }
}

async fn head(connection: &mut SqliteConnection) -> Result<Head, LedgerError> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT number, hash FROM ledger ORDER BY number DESC LIMIT 1")
            .fetch_optional(connection)
            .await?;
    match last {
        None => Ok(Head::EMPTY),
        Some((number, hash)) => {
            let hash = hash.parse().map_err(|_| broken(number as u64, "its hash is no hash"))?;
            Ok(Head { entries: number as u64 + 1, hash })
        }
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY)
        .pragma("secure_delete", "ON")
}
