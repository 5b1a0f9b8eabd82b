//! The engine under the registry (ruling 9): SQLite in the room's folder, or PostgreSQL by a URL.
//! Opens it, settles what each connection must be set to, begins transactions that mean the same on both:
//! writers come one after another. Ends with its pool.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{Any, AnyConnection, AnyPool, Connection};
use zeroize::Zeroizing;

/// Where every query runs: a transaction's connection or a reader's.
pub type Conn = AnyConnection;
/// For reading.
pub type Pool = AnyPool;
/// An open transaction; dropping it takes everything back.
pub type Transaction = sqlx::Transaction<'static, Any>;

/// Readers at once; there is one writer in any case.
const CONNECTIONS_MAX: u32 = 6;
/// A server that is away is told to the caller, not waited for.
const SERVER_WAIT: Duration = Duration::from_secs(10);

/// Every connection to the file. Busy: longer than any write of this room; after it something is wrong.
const PRAGMAS: &[&str] = &[
    "PRAGMA busy_timeout = 5000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    // Passwords wait in the outbox: what is wiped must be gone from the file.
    "PRAGMA secure_delete = ON",
];
/// Every connection to the server: the room's own schema, and the same patience as above. A room whose
/// machine vanished in the middle of a write gives its turn back.
const SETTINGS: &[&str] = &[
    "SET search_path TO provisioning",
    "SET lock_timeout = '5s'",
    "SET statement_timeout = '30s'",
    "SET idle_in_transaction_session_timeout = '30s'",
];

/// Where the tables are.
#[derive(Clone)]
pub enum Database {
    /// The file in the room's folder.
    Folder,
    /// In the schema `provisioning` of a PostgreSQL database.
    Url(DatabaseUrl),
}

/// It may hold a password: no `Debug`, wiped.
#[derive(Clone)]
pub struct DatabaseUrl {
    url: Zeroizing<String>,
    server: Server,
}

/// How the server of a URL is reached; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Server {
    /// A socket of this machine.
    Socket(PathBuf),
    /// `reads`: the certificates and keys that the URL names, opened anew for each connection.
    Tcp { host: String, port: u16, reads: Vec<PathBuf> },
}

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
        let port = options.get_port();
        let folder = options.get_socket().cloned().or_else(|| host.starts_with('/').then(|| host.into()));
        let server = match folder {
            Some(folder) => Server::Socket(folder.join(format!(".s.PGSQL.{port}"))),
            None => Server::Tcp { host: host.to_owned(), port, reads: reads(url) },
        };
        Ok(Self { url: Zeroizing::new(url.to_owned()), server })
    }

    pub fn server(&self) -> &Server {
        &self.server
    }

    /// For whoever opens a connection.
    pub(crate) fn options(&self) -> Result<AnyConnectOptions, sqlx::Error> {
        sqlx::any::install_default_drivers();
        AnyConnectOptions::from_str(&self.url)
    }
}

/// The files that a URL's parameters name.
fn reads(url: &str) -> Vec<PathBuf> {
    const FILES: [&str; 7] =
        ["sslrootcert", "ssl-root-cert", "ssl-ca", "sslcert", "ssl-cert", "sslkey", "ssl-key"];
    let query = url.split_once('?').map_or("", |(_, query)| query);
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.filter(|(key, _)| FILES.contains(key)).map(|(_, path)| PathBuf::from(unescaped(path))).collect()
}

fn unescaped(text: &str) -> String {
    let mut parts = text.split('%');
    let mut plain = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (code, rest) = part.split_at_checked(2).unwrap_or(("", part));
        match u8::from_str_radix(code, 16) {
            Ok(byte) => plain.push(byte),
            Err(_) => plain.extend(format!("%{code}").into_bytes()),
        }
        plain.extend(rest.bytes());
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[derive(Clone)]
pub struct Engine {
    server: bool,
    pool: Pool,
}

impl Engine {
    /// `file` is where the registry is unless it is on a server.
    pub async fn open(database: &Database, file: &Path) -> Result<Self, EngineError> {
        sqlx::any::install_default_drivers();
        match database {
            Database::Folder => Self::file(file).await,
            Database::Url(url) => Self::server(url).await,
        }
    }

    async fn file(path: &Path) -> Result<Self, EngineError> {
        // Made here so that nobody else can read it; the write-ahead log inherits the mode.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        made.map_err(EngineError::File)?;
        let options = AnyConnectOptions::from_str(&file_url(path))?;
        Ok(Self { server: false, pool: pool(PRAGMAS).connect_with(options).await? })
    }

    async fn server(url: &DatabaseUrl) -> Result<Self, EngineError> {
        let options = url.options()?;
        let mut first = AnyConnection::connect_with(&options).await?;
        prepare(&mut first).await?;
        first.close().await?;
        let pool = pool(SETTINGS).acquire_timeout(SERVER_WAIT).connect_with(options).await?;
        Ok(Self { server: true, pool })
    }

    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// A writer's turn. On the server the lock is taken before the transaction's snapshot, so that a second
    /// process on the same database waits like a second thread.
    pub async fn begin(&self) -> Result<Transaction, sqlx::Error> {
        if !self.server {
            return self.pool.begin_with("BEGIN IMMEDIATE").await;
        }
        let mut tx = self.pool.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
        sqlx::raw_sql("LOCK TABLE counter IN EXCLUSIVE MODE").execute(&mut *tx).await?;
        Ok(tx)
    }

    /// Makes wiped secrets leave the write-ahead log as well. The server frees their rows; when their bytes
    /// leave its disk and its own log is the server's affair.
    pub async fn forget(&self) -> Result<(), sqlx::Error> {
        let statement = if self.server { "VACUUM outbox" } else { "PRAGMA wal_checkpoint(TRUNCATE)" };
        sqlx::raw_sql(statement).execute(&self.pool).await.map(|_| ())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Did the disk refuse? SQLite's FULL, and what a full disk also looks like there (IOERR_WRITE, IOERR_FSYNC,
/// IOERR_SHMSIZE); PostgreSQL's disk_full.
pub fn disk_full(error: &sqlx::Error) -> bool {
    const CODES: [&str; 5] = ["13", "778", "1034", "4874", "53100"];
    let sqlx::Error::Database(error) = error else { return false };
    error.code().is_some_and(|code| CODES.contains(&code.as_ref()))
}

/// SQLite ends a transaction by itself when the disk is full, and the driver goes on believing that it is open:
/// such a connection would refuse every other. It is closed, and the next one is new (`ping` waits for what the
/// driver still has to do).
fn pool(settings: &'static [&'static str]) -> AnyPoolOptions {
    AnyPoolOptions::new()
        .max_connections(CONNECTIONS_MAX)
        .after_connect(move |conn, _| {
            Box::pin(async move {
                for &setting in settings {
                    sqlx::raw_sql(setting).execute(&mut *conn).await?;
                }
                Ok(())
            })
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
async fn prepare(conn: &mut Conn) -> Result<(), EngineError> {
    let (sorted, encoding): (bool, String) =
        sqlx::query_as("SELECT 'B' < 'a' AND 'a-b' < 'aa', CAST(getdatabaseencoding() AS TEXT)")
            .fetch_one(&mut *conn)
            .await?;
    if !sorted || encoding != "UTF8" {
        return Err(EngineError::Order);
    }
    // Two processes that start at once would both make it; the lock ends with this connection.
    sqlx::raw_sql("SELECT pg_advisory_lock(hashtext('mimamori'))").execute(&mut *conn).await?;
    let (schemas,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM pg_namespace WHERE nspname = 'provisioning'")
            .fetch_one(&mut *conn)
            .await?;
    if schemas == 0 {
        sqlx::raw_sql("CREATE SCHEMA IF NOT EXISTS provisioning").execute(conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_on_another_machine_is_reached_with_a_checked_certificate_or_not_at_all() {
        let good = [
            "postgres://provisioning@localhost/mimamori?host=/run/postgresql",
            "postgresql://provisioning:pw@127.0.0.1:5433/mimamori",
            "postgres://provisioning:pw@db.example.jp/mimamori?sslmode=verify-full&sslrootcert=/etc/ssl/db.pem",
        ];
        for url in good {
            assert!(DatabaseUrl::parse(url).is_ok(), "{url}");
        }
        for url in [
            "postgres://provisioning:hidden@db.example.jp/mimamori",
            "postgres://provisioning:hidden@db.example.jp/mimamori?sslmode=require",
            "postgres://provisioning:hidden@10.0.0.9/mimamori",
            "postgres://provisioning:hidden@db.example.jp:port/mimamori",
            "mysql://provisioning:hidden@localhost/mimamori",
            "hidden",
        ] {
            let error = DatabaseUrl::parse(url).err().map(|error| error.to_string());
            assert!(error.is_some_and(|error| !error.contains("hidden")), "{url}");
        }
    }

    /// The jail lets through what this says, and nothing else.
    #[test]
    fn a_url_says_how_its_server_is_reached() {
        let server = |url: &str| DatabaseUrl::parse(url).unwrap().server().clone();
        let socket = |path: &str| Server::Socket(path.into());
        assert_eq!(
            server("postgres://a@localhost/b?host=/run/postgresql"),
            socket("/run/postgresql/.s.PGSQL.5432")
        );
        assert_eq!(server("postgres://a@%2Frun%2Fpg:5433/b"), socket("/run/pg/.s.PGSQL.5433"));
        let tcp = |host: &str, port, reads: &[&str]| Server::Tcp {
            host: host.to_owned(),
            port,
            reads: reads.iter().map(PathBuf::from).collect(),
        };
        assert_eq!(server("postgres://a:b@127.0.0.1:5433/b"), tcp("127.0.0.1", 5433, &[]));
        assert_eq!(
            server("postgres://a@db.example.jp/b?sslmode=verify-full&sslrootcert=/etc/ssl/a%20b.pem"),
            tcp("db.example.jp", 5432, &["/etc/ssl/a b.pem"])
        );
    }

    /// As after a full disk: SQLite has rolled back, the driver does not know it (issue 3).
    #[tokio::test]
    async fn a_connection_whose_transaction_ended_unseen_is_not_used_again() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(&Database::Folder, &dir.path().join("registry.db")).await.unwrap();
        for _ in 0..20 {
            let mut tx = engine.begin().await.unwrap();
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
        let engine = Engine::open(&Database::Folder, &odd.join("registry.db")).await.unwrap();
        let mode = std::fs::metadata(odd.join("registry.db")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        for (pragma, wanted) in [
            ("SELECT journal_mode FROM pragma_journal_mode", "wal"),
            ("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2"),
            ("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1"),
            ("SELECT CAST(secure_delete AS TEXT) FROM pragma_secure_delete", "1"),
        ] {
            let found: String = sqlx::query_scalar(pragma).fetch_one(engine.pool()).await.unwrap();
            assert_eq!(found, wanted, "{pragma}");
        }
        engine.close().await;
    }
}
