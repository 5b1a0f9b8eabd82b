//! A database copied by SQLite itself, while its room goes on writing, and a copy looked through before anybody
//! relies on it. Nobody reads a table here. An edge: SQL.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

/// A room holds its locks for milliseconds; this is a disk that stands still.
const BUSY: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("not whole: {0}")]
    Damaged(String),
    #[error("a name that is no text")]
    Name,
}

/// One moment of the database, without what was deleted from it.
pub async fn copy(from: &Path, to: &Path) -> Result<(), CopyError> {
    let to = to.to_str().ok_or(CopyError::Name)?;
    let mut connection = open(from).await?;
    sqlx::query("VACUUM INTO $1").bind(to).execute(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

/// Every page and index of it.
pub async fn check(path: &Path) -> Result<(), CopyError> {
    let mut connection = open(path).await?;
    let (said,): (String,) = sqlx::query_as("PRAGMA integrity_check(1)").fetch_one(&mut connection).await?;
    connection.close().await?;
    if said == "ok" { Ok(()) } else { Err(CopyError::Damaged(said)) }
}

async fn open(path: &Path) -> Result<SqliteConnection, CopyError> {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(false).busy_timeout(BUSY);
    Ok(options.connect().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_copy_is_one_moment_of_a_database_that_is_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("a.db"), dir.path().join("b.db"));
        let options = SqliteConnectOptions::new()
            .filename(&from)
            .create_if_missing(true)
            .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
        let mut writer = options.connect().await.unwrap();
        sqlx::query("CREATE TABLE t (n BIGINT)").execute(&mut writer).await.unwrap();
        sqlx::query("INSERT INTO t VALUES (1)").execute(&mut writer).await.unwrap();
        // What is not committed is not in the moment; nobody waits for it either.
        let mut open = writer.begin().await.unwrap();
        sqlx::query("INSERT INTO t VALUES (2)").execute(&mut *open).await.unwrap();
        copy(&from, &to).await.unwrap();
        open.commit().await.unwrap();
        check(&to).await.unwrap();
        let mut reader = SqliteConnectOptions::new().filename(&to).connect().await.unwrap();
        let (count,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM t").fetch_one(&mut reader).await.unwrap();
        assert_eq!(count, 1);
        assert!(copy(&from, &to).await.is_err(), "a copy is never written over");
        assert!(copy(&dir.path().join("none.db"), &dir.path().join("c.db")).await.is_err());
    }

    #[tokio::test]
    async fn a_damaged_copy_is_seen() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        let mut writer =
            SqliteConnectOptions::new().filename(&path).create_if_missing(true).connect().await.unwrap();
        sqlx::query("CREATE TABLE t (n TEXT)").execute(&mut writer).await.unwrap();
        for _ in 0..200 {
            sqlx::query("INSERT INTO t VALUES ('some words to fill a page or two of it')")
                .execute(&mut writer)
                .await
                .unwrap();
        }
        writer.close().await.unwrap();
        check(&path).await.unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let end = bytes.len() - 4096;
        bytes[end..end + 16].fill(0xff);
        std::fs::write(&path, bytes).unwrap();
        assert!(check(&path).await.is_err());
    }
}
