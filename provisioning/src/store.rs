//! The registry's database: opened once, migrated, then written only through `transaction!`,
//! which runs its body in one serializable transaction and runs it again when another writer won.
//! Closed by `Store::close`. Edge: SQL, files.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};

/// Where every query runs: a transaction's connection or a reader's.
pub type Conn = sqlx::SqliteConnection;

/// Readers at once; SQLite has one writer in any case.
const CONNECTIONS_MAX: u32 = 6;
/// A writer waits this long for another before the attempt counts as lost.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of one transaction; more means that something else is wrong.
const ATTEMPTS_MAX: u32 = 5;

/// The version of `grants`: grows in the transaction of every change that the gateway must hear of.
pub const GRANTS_VERSION: &str = "grants_version";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("MM-5002 the registry {path} cannot be opened: {source}")]
    Open { path: PathBuf, source: sqlx::Error },
    #[error("MM-5003 the registry {path} cannot be brought to this version: {source}")]
    Migrate { path: PathBuf, source: sqlx::migrate::MigrateError },
}

/// An error of a transaction's closure, which must be able to hold what the database says:
/// that is how a lost race is told from a refusal.
pub trait Transactional: From<sqlx::Error> {
    fn database(&self) -> Option<&sqlx::Error>;
}

impl Transactional for sqlx::Error {
    fn database(&self) -> Option<&sqlx::Error> {
        Some(self)
    }
}

/// An open transaction; dropping it takes everything back.
pub type Transaction = sqlx::Transaction<'static, sqlx::Sqlite>;

/// One transaction, all of it or nothing: `transaction!(store, conn => body)` gives the body's `Result`.
/// The body may run again, so it only touches `conn`; its `?` leaves the body, not the function.
macro_rules! transaction {
    ($store:expr, $conn:ident => $body:expr) => {{
        let mut attempt = 1;
        loop {
            let outcome = match $store.begin().await {
                Ok(mut tx) => {
                    let $conn: &mut $crate::store::Conn = &mut tx;
                    let outcome = async { $body }.await;
                    $crate::store::end(tx, outcome).await
                }
                Err(error) => Err(::core::convert::From::from(error)),
            };
            match outcome {
                Err(error) if $crate::store::again(&error, attempt) => attempt += 1,
                outcome => break outcome,
            }
        }
    }};
}
pub(crate) use transaction;

/// Commits what went well.
pub async fn end<T, E: Transactional>(tx: Transaction, outcome: Result<T, E>) -> Result<T, E> {
    let value = outcome?;
    tx.commit().await?;
    Ok(value)
}

/// Did another writer win, and is there an attempt left?
pub fn again<E: Transactional>(error: &E, attempt: u32) -> bool {
    attempt < ATTEMPTS_MAX && error.database().is_some_and(lost_race)
}

#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
}

impl Store {
    /// Creates the file when there is none, and brings it to this version.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let unopened = |source| StoreError::Open { path: path.to_owned(), source };
        // Made here so that nobody else can read it; the write-ahead log inherits the mode.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| unopened(sqlx::Error::Io(error)))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            // Passwords wait in the outbox: what is wiped must be gone from the file.
            .pragma("secure_delete", "ON");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .connect_with(options)
            .await
            .map_err(unopened)?;
        sqlx::migrate!("./migrations")
            .run(&pool)
            .await
            .map_err(|source| StoreError::Migrate { path: path.to_owned(), source })?;
        Ok(Self { pool })
    }

    /// For reading only; every write goes through `transaction!`.
    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// What `transaction!` begins with; a rehearsal (dry run) begins and never commits.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.pool.begin_with("BEGIN IMMEDIATE").await
    }

    /// Makes wiped secrets leave the write-ahead log as well.
    pub async fn forget(&self) -> Result<(), sqlx::Error> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&self.pool).await.map(|_| ())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// The next value of a counter, in the transaction of its use: no number is skipped by a failure.
pub async fn next(conn: &mut Conn, counter: &str) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar(
        "INSERT INTO counter (name, value) VALUES ($1, 1)
         ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value",
    )
    .bind(counter)
    .fetch_one(conn)
    .await
}

/// A new version of the grants, to be written beside every row that the gateway must hear of.
pub async fn bump_grants(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    next(conn, GRANTS_VERSION).await
}

/// A counter's last value; 0 before its first use.
pub async fn current(conn: &mut Conn, counter: &str) -> Result<i64, sqlx::Error> {
    let value = sqlx::query_scalar("SELECT value FROM counter WHERE name = $1")
        .bind(counter)
        .fetch_optional(conn)
        .await?;
    Ok(value.unwrap_or(0))
}

/// SQLite: busy or locked. PostgreSQL: serialization failure or deadlock.
fn lost_race(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|e| e.code());
    matches!(code.as_deref(), Some("5" | "6" | "261" | "517" | "40001" | "40P01"))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("registry.db")).await.unwrap();
        (dir, store)
    }

    #[tokio::test]
    async fn a_failed_change_leaves_nothing_behind() {
        let (_dir, store) = store().await;
        let failed: Result<(), sqlx::Error> = transaction!(store, conn => {
            bump_grants(conn).await?;
            Err(sqlx::Error::RowNotFound)
        });
        assert!(failed.is_err());
        let version = current(&mut store.pool().acquire().await.unwrap(), GRANTS_VERSION).await.unwrap();
        assert_eq!(version, 0);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_at_once_each_get_their_own_number() {
        let (_dir, store) = store().await;
        let writers: Vec<_> = (0..16)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { transaction!(store, conn => bump_grants(conn).await).unwrap() })
            })
            .collect();
        let mut seen = Vec::new();
        for writer in writers {
            seen.push(writer.await.unwrap());
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=16).collect::<Vec<i64>>());
    }
}
