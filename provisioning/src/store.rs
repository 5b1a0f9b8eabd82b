//! The registry's database: opened once, migrated, then written only through `transaction!`,
//! which runs its body in one serializable transaction and runs it again when another writer won.
//! Closed by `Store::close`. Edge: SQL.

use std::path::Path;

pub use crate::engine::{Conn, Pool, Transaction};
use crate::engine::{Database, Engine, EngineError};

/// Attempts of one transaction; more means that something else is wrong.
const ATTEMPTS_MAX: u32 = 5;

/// The version of `grants`: grows in the transaction of every change that the gateway must hear of.
pub const GRANTS_VERSION: &str = "grants_version";

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("MM-5002 the registry cannot be opened: {0}")]
    Open(#[from] EngineError),
    #[error("MM-5003 the registry cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
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
    engine: Engine,
}

impl Store {
    /// Creates what is missing, and brings it to this version. `file` is for SQLite.
    pub async fn open(database: &Database, file: &Path) -> Result<Self, StoreError> {
        let engine = Engine::open(database, file).await?;
        sqlx::migrate!("./migrations").run(engine.pool()).await?;
        Ok(Self { engine })
    }

    /// For reading only; every write goes through `transaction!`.
    pub fn pool(&self) -> &Pool {
        self.engine.pool()
    }

    /// What `transaction!` begins with; a rehearsal (dry run) begins and never commits.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        self.engine.begin().await
    }

    /// Makes wiped secrets leave more than the tables.
    pub async fn forget(&self) -> Result<(), sqlx::Error> {
        self.engine.forget().await
    }

    pub async fn close(&self) {
        self.engine.close().await;
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
#[path = "../../tests/support/postgres.rs"]
pub(crate) mod postgres;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::engine::DatabaseUrl;

    /// One folder and one server's database, both empty; dropped last.
    pub async fn stores() -> [(Store, Box<dyn std::any::Any>); 2] {
        let server = postgres::database();
        let url = Database::Url(DatabaseUrl::parse(&server.url()).unwrap());
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = |dir: &tempfile::TempDir| dir.path().join("registry.db");
        let on_file = Store::open(&Database::Folder, &file(&dir)).await.unwrap();
        let on_server = Store::open(&url, &file(&other)).await.unwrap();
        [(on_file, Box::new(dir)), (on_server, Box::new((other, server)))]
    }

    #[tokio::test]
    async fn a_failed_change_leaves_nothing_behind() {
        for (store, _alive) in stores().await {
            let failed: Result<(), sqlx::Error> = transaction!(store, conn => {
                bump_grants(conn).await?;
                Err(sqlx::Error::RowNotFound)
            });
            assert!(failed.is_err());
            let version = current(&mut store.pool().acquire().await.unwrap(), GRANTS_VERSION).await.unwrap();
            assert_eq!(version, 0);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn writers_at_once_each_get_their_own_number() {
        for (store, _alive) in stores().await {
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
}
