//! The engine under the sessions (ruling 9): SQLite in the room's folder, or PostgreSQL by a URL.
//! Opens it and settles what each connection must be set to. Every statement of this room stands alone, so
//! there is nothing to begin or to run again. Ends with its pool.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AnyConnection, AnyPool, Connection};
use zeroize::Zeroizing;

/// Readers and one writer; the memory answers most questions.
const CONNECTIONS: u32 = 4;
/// A server that is away is told to the caller, not waited for.
const SERVER_WAIT: Duration = Duration::from_secs(10);

/// Every connection to the file. Busy: longer than any write of this room; after it something is wrong.
const PRAGMAS: &str = "PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;";
/// Every connection to the server: the room's own schema, and the same patience as above.
const SETTINGS: &str = "SET search_path TO gateway; SET lock_timeout = '5s'; SET statement_timeout = '30s';";

/// Where the tables are.
pub enum Database {
    /// `sessions.db` in the room's folder.
    Folder,
    /// In the schema `gateway` of a PostgreSQL database.
    Url(DatabaseUrl),
}

/// It may hold a password: no `Debug`, wiped.
pub struct DatabaseUrl(Zeroizing<String>);

#[derive(Debug, thiserror::Error)]
pub enum UrlError {
    #[error("it does not begin with postgres://")]
    Scheme,
    #[error("it cannot be read: {0}")]
    Unreadable(sqlx::Error),
    #[error("a server on another machine needs sslmode=verify-full, and sslrootcert unless its CA is public")]
    Unprotected,
}

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("{0}")]
    Sql(#[from] sqlx::Error),
    #[error("the file cannot be made: {0}")]
    File(io::Error),
    #[error(
        "the database does not sort by bytes in UTF-8; make it with: \
         CREATE DATABASE … ENCODING 'UTF8' LOCALE 'C' TEMPLATE template0"
    )]
    Order,
}

impl DatabaseUrl {
    pub fn parse(url: &str) -> Result<Self, UrlError> {
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(UrlError::Scheme);
        }
        let options = PgConnectOptions::from_str(url).map_err(UrlError::Unreadable)?;
        let host = options.get_host();
        let here = options.get_socket().is_some()
            || host.starts_with('/')
            || host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        // The driver's default takes a connection in the clear when the server, or a man between, asks for it.
        if !here && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
            return Err(UrlError::Unprotected);
        }
        Ok(Self(Zeroizing::new(url.to_owned())))
    }
}

pub async fn open(database: &Database, dir: &Path) -> Result<AnyPool, EngineError> {
    sqlx::any::install_default_drivers();
    match database {
        Database::Folder => file(&dir.join("sessions.db")).await,
        Database::Url(url) => server(url).await,
    }
}

async fn file(path: &Path) -> Result<AnyPool, EngineError> {
    // Made here so that nobody else can read it; the write-ahead log inherits the mode.
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(EngineError::File)?;
    let options = AnyConnectOptions::from_str(&file_url(path))?;
    Ok(pool(PRAGMAS).connect_with(options).await?)
}

async fn server(url: &DatabaseUrl) -> Result<AnyPool, EngineError> {
    let options = AnyConnectOptions::from_str(&url.0)?;
    let mut first = AnyConnection::connect_with(&options).await?;
    prepare(&mut first).await?;
    first.close().await?;
    Ok(pool(SETTINGS).acquire_timeout(SERVER_WAIT).connect_with(options).await?)
}

/// SQLite ends a transaction by itself when the disk is full, and the driver goes on believing that it is open:
/// such a connection would refuse every other. It is closed, and the next one is new (`ping` waits for what the
/// driver still has to do).
fn pool(settings: &'static str) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS)
        .after_connect(move |conn, _| {
            Box::pin(async move { sqlx::raw_sql(settings).execute(conn).await.map(|_| ()) })
        })
        .after_release(|conn, _| Box::pin(async { conn.ping().await.map(|()| !conn.is_in_transaction()) }))
}

/// Every byte that means something in a URL is escaped, so that any folder's name works.
fn file_url(path: &Path) -> String {
    let mut url = String::from("sqlite://");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => {
                url.push(char::from(*byte))
            }
            byte => url.push_str(&format!("%{byte:02X}")),
        }
    }
    url + "?mode=rwc"
}

/// Refuses a database that sorts otherwise than SQLite and Rust do; makes the schema where there is none
/// (asked for first: making it takes a right that the room need not have).
async fn prepare(conn: &mut AnyConnection) -> Result<(), EngineError> {
    let (sorted, encoding): (bool, String) =
        sqlx::query_as("SELECT 'B' < 'a' AND 'a-b' < 'aa', CAST(getdatabaseencoding() AS TEXT)")
            .fetch_one(&mut *conn)
            .await?;
    if !sorted || encoding != "UTF8" {
        return Err(EngineError::Order);
    }
    // Two processes that start at once would both make it; the lock ends with this connection.
    sqlx::raw_sql("SELECT pg_advisory_lock(hashtext('mimamori'))").execute(&mut *conn).await?;
    let (schemas,): (i64,) = sqlx::query_as("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'gateway'")
        .fetch_one(&mut *conn)
        .await?;
    if schemas == 0 {
        sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS gateway").execute(conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_is_reached_with_a_checked_certificate_or_not_at_all() {
        let good = [
            "postgres://gateway@localhost/mimamori?host=/run/postgresql",
            "postgresql://gateway:pw@127.0.0.1:5433/mimamori",
            "postgres://gateway:pw@db.example.jp/mimamori?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem",
        ];
        for url in good {
            assert!(DatabaseUrl::parse(url).is_ok(), "{url}");
        }
        for url in [
            "postgres://gateway:hidden@db.example.jp/mimamori",
            "postgres://gateway:hidden@db.example.jp/mimamori?sslmode=require",
            "postgres://gateway:hidden@10.0.0.9/mimamori",
            "postgres://gateway:hidden@db.example.jp:port/mimamori",
            "mysql://gateway:hidden@localhost/mimamori",
            "hidden",
        ] {
            let error = DatabaseUrl::parse(url).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| !error.contains("hidden")), "{url}");
        }
    }

    /// As after a full disk: SQLite has rolled back, the driver does not know it (issue 3).
    #[tokio::test]
    async fn a_connection_whose_transaction_ended_unseen_is_not_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let pool = open(&Database::Folder, dir.path()).await.unwrap();
        for _ in 0..20 {
            let mut tx = pool.begin_with("BEGIN IMMEDIATE").await.unwrap();
            sqlx::raw_sql("ROLLBACK").execute(&mut *tx).await.unwrap();
            drop(tx);
        }
    }

    #[tokio::test]
    async fn the_file_is_the_owners_alone_durable_and_found_under_any_name() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let odd = dir.path().join("患者 100%41?#x");
        std::fs::create_dir(&odd).unwrap();
        let pool = open(&Database::Folder, &odd).await.unwrap();
        let mode = std::fs::metadata(odd.join("sessions.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for (pragma, wanted) in [
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
            ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
        ] {
            let (found,): (String,) = sqlx::query_as(pragma).fetch_one(&pool).await.unwrap();
            assert_eq!(found, wanted, "{pragma}");
        }
        pool.close().await;
    }
}
