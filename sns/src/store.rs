//! The room's tables: brings them to this version, begins transactions, keeps the audit trail. What is in the
//! other tables is `roster`'s and `timeline`'s. Portable SQL; one writer at a time, so that numbers and the
//! chain have one order.

use std::path::Path;

use pki::chain::{Hash, Head};
use pki::identity::TraceId;

use crate::audit::{self, Entry};
use crate::door::AuditLine;
use crate::engine::{Database, Engine, EngineError};
use crate::keys::KeyError;
use crate::world::NoRandomness;

pub use crate::engine::{Conn, Tx};

/// Rows of the trail in memory at once while it is checked.
const AUDIT_PAGE: i64 = 1_000;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the records' database: {0}")]
    Engine(#[from] EngineError),
    #[error("the records: {0}")]
    Sql(#[from] sqlx::Error),
    #[error("the records: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("the records: a row's {0}")]
    Key(#[from] KeyError),
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    #[error("the records: `{0}` holds what this room never wrote")]
    Broken(&'static str),
    #[error("the audit trail is broken at entry {number}")]
    Audit { number: u64 },
}

pub struct Store {
    engine: Engine,
}

impl Store {
    pub async fn open(database: &Database, dir: &Path) -> Result<Self, StoreError> {
        let engine = Engine::open(database, dir).await?;
        sqlx::migrate!("./migrations").run(engine.writer()).await?;
        Ok(Self { engine })
    }

    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// One consistent view.
    pub async fn read(&self) -> Result<Tx, StoreError> {
        Ok(self.engine.read().await?)
    }

    pub async fn write(&self) -> Result<Tx, StoreError> {
        Ok(self.engine.write().await?)
    }

    /// Recomputes the whole trail; its head is what `pki` attests.
    pub async fn verify_audit(&self) -> Result<Head, StoreError> {
        let mut tx = self.read().await?;
        let mut head = Head::EMPTY;
        loop {
            let page = audit_page(&mut tx, head.entries, AUDIT_PAGE).await?;
            if page.is_empty() {
                return Ok(head);
            }
            for (number, body, hash) in page {
                let next = head.then(body.as_bytes());
                if number != as_i64(next.entries) || next.hash.to_string() != hash {
                    return Err(StoreError::Audit { number: head.entries + 1 });
                }
                head = next;
            }
        }
    }

    /// Entries after a number, all or one request's, oldest first.
    pub async fn audit_lines(
        &self,
        after: u64,
        limit: u32,
        trace: Option<TraceId>,
    ) -> Result<Vec<AuditLine>, StoreError> {
        let mut tx = self.read().await?;
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT number, body FROM audit WHERE number > $1 AND ($2 = '' OR trace = $2) ORDER BY number LIMIT $3",
        )
        .bind(as_i64(after))
        .bind(trace.map(|trace| trace.to_string()).unwrap_or_default())
        .bind(i64::from(limit).min(AUDIT_PAGE))
        .fetch_all(&mut *tx)
        .await?;
        rows.into_iter()
            .map(|(number, body)| {
                let number = as_u64(number);
                audit::read(number, &body).ok_or(StoreError::Audit { number })
            })
            .collect()
    }

    /// Teams, posts, entries of the trail.
    pub async fn counts(&self) -> Result<(u32, u64, u64), StoreError> {
        let mut tx = self.read().await?;
        let (teams, posts, entries): (i64, i64, i64) = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM team WHERE state <> 'erased'), (SELECT COUNT(*) FROM post), \
             (SELECT COALESCE(MAX(number), 0) FROM audit)",
        )
        .fetch_one(&mut *tx)
        .await?;
        Ok((u32::try_from(teams).unwrap_or(u32::MAX), as_u64(posts), as_u64(entries)))
    }
}

/// Chains one more entry, in the transaction of what it tells of.
pub async fn append(conn: &mut Conn, entry: &Entry<'_>) -> Result<(), StoreError> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
            .fetch_optional(&mut *conn)
            .await?;
    let head = match last {
        None => Head::EMPTY,
        Some((number, hash)) => {
            let hash: Hash = hash.parse().map_err(|_| StoreError::Broken("audit"))?;
            Head { entries: as_u64(number), hash }
        }
    };
    let body = entry.to_string();
    let next = head.then(body.as_bytes());
    sqlx::query("INSERT INTO audit (number, body, hash, trace) VALUES ($1, $2, $3, $4)")
        .bind(as_i64(next.entries))
        .bind(body)
        .bind(next.hash.to_string())
        .bind(entry.trace.map(|trace| trace.to_string()).unwrap_or_default())
        .execute(&mut *conn)
        .await?;
    Ok(())
}

async fn audit_page(
    conn: &mut Conn,
    after: u64,
    limit: i64,
) -> Result<Vec<(i64, String, String)>, StoreError> {
    Ok(sqlx::query_as("SELECT number, body, hash FROM audit WHERE number > $1 ORDER BY number LIMIT $2")
        .bind(as_i64(after))
        .bind(limit)
        .fetch_all(conn)
        .await?)
}

/// BIGINT columns hold our own counters, which never reach either end.
fn as_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn as_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

#[cfg(test)]
#[path = "../../tests/support/postgres.rs"]
mod postgres;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Act, Actor};
    use crate::engine::DatabaseUrl;

    /// One folder and one server's database, both empty; dropped last.
    fn engines() -> [(Database, tempfile::TempDir, Option<postgres::Temporary>); 2] {
        let server = postgres::database();
        let url = Database::Url(DatabaseUrl::parse(&server.url()).unwrap());
        let dir = || tempfile::tempdir().unwrap();
        [(Database::Folder, dir(), None), (url, dir(), Some(server))]
    }

    async fn append_three(store: &Store) {
        for at_ms in 0..3 {
            let mut tx = store.write().await.unwrap();
            append(&mut tx, &entry(at_ms)).await.unwrap();
            tx.commit().await.unwrap();
        }
    }

    fn entry(at_ms: i64) -> Entry<'static> {
        let (actor, act) = (Actor::Room, Act::Read);
        Entry { at_ms, trace: None, actor, act, patient: None, on: None, rule: "r", allowed: true }
    }

    #[tokio::test]
    async fn the_trail_verifies_and_tells_where_it_was_changed_ruling_11() {
        let attacks: [&'static str; 3] = [
            "UPDATE audit SET body = replace(body, 'allowed', 'refused') WHERE number = 2",
            "DELETE FROM audit WHERE number = 2",
            "UPDATE audit SET number = number + 10 WHERE number >= 2",
        ];
        for (attack, (database, dir, _server)) in
            attacks.into_iter().flat_map(|attack| engines().map(|engine| (attack, engine)))
        {
            let store = Store::open(&database, dir.path()).await.unwrap();
            assert_eq!(store.verify_audit().await.unwrap(), Head::EMPTY);
            append_three(&store).await;
            assert_eq!(store.verify_audit().await.unwrap().entries, 3);
            assert_eq!(store.audit_lines(1, 10, None).await.unwrap().len(), 2);
            sqlx::query(attack).execute(store.engine.writer()).await.unwrap();
            assert!(matches!(store.verify_audit().await, Err(StoreError::Audit { number: 2 })), "{attack}");
        }
    }

    #[tokio::test]
    async fn a_rolled_back_change_leaves_no_entry() {
        for (database, dir, _server) in engines() {
            let store = Store::open(&database, dir.path()).await.unwrap();
            append_three(&store).await;
            let mut tx = store.write().await.unwrap();
            append(&mut tx, &entry(9)).await.unwrap();
            drop(tx);
            assert_eq!(store.verify_audit().await.unwrap().entries, 3);
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn two_processes_on_one_database_write_in_turn_ruling_9() {
        for (database, dir, server) in engines() {
            let open = || Store::open(&database, dir.path());
            // On the server the second opens while the first does: both bring the tables to this version.
            let (one, other) = match server {
                Some(_) => tokio::join!(open(), open()),
                None => (open().await, open().await),
            };
            let (one, other) = (one.unwrap(), other.unwrap());
            let writers = async |store: &Store| {
                for _ in 0..10 {
                    append_three(store).await;
                }
            };
            tokio::join!(writers(&one), writers(&other), writers(&one));
            assert_eq!(one.verify_audit().await.unwrap().entries, 90);
            assert_eq!(other.verify_audit().await.unwrap().entries, 90);
        }
    }

    #[tokio::test]
    async fn a_reader_sees_one_moment_and_cannot_write_on_the_server() {
        for (database, dir, server) in engines() {
            let store = Store::open(&database, dir.path()).await.unwrap();
            append_three(&store).await;
            let mut reader = store.read().await.unwrap();
            assert_eq!(audit_page(&mut reader, 0, 10).await.unwrap().len(), 3);
            append_three(&store).await;
            assert_eq!(audit_page(&mut reader, 0, 10).await.unwrap().len(), 3, "what came later");
            if server.is_some() {
                assert!(append(&mut reader, &entry(9)).await.is_err());
            }
        }
    }

    #[tokio::test]
    async fn a_database_that_sorts_like_a_dictionary_is_refused_with_the_remedy() {
        let server = postgres::database_with(
            "ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'ja' LOCALE 'C' TEMPLATE template0",
        );
        let (url, dir) = (DatabaseUrl::parse(&server.url()).unwrap(), tempfile::tempdir().unwrap());
        let refused = Store::open(&Database::Url(url), dir.path()).await.err().unwrap().to_string();
        assert!(refused.contains("LOCALE 'C'"), "{refused}");
    }
}
