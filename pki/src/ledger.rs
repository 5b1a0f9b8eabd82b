//! The ledger on disk: an append-only chain of lines in SQLite, durable before anything is acknowledged,
//! and the Merkle tree over the same lines. Owns the database file and the only way to append; ends with `close`, or with the process: every
//! append is in a transaction with the rows it speaks of, and fsynced at commit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Sqlite, Transaction};

use crate::chain::{Hash, Head};
use crate::door::Attestation;
use crate::entry::{Entry, kind_of};
use crate::rows::{Bundle, Forms, forms};
use crate::tiles::{Growing, Lent, TreeHead};
use crate::tlog::{self, Levels, TILE};

/// Another process may hold the file for a backup.
const BUSY: Duration = Duration::from_secs(5);
/// Readers for the operator and the gateway's questions. The one writer has a connection of its own: it alone
/// changes the file, so that its cache stays true, and its statements are prepared once.
const READERS: u32 = 3;
/// 64 MiB: the indexes of a hundred thousand certificates, whose keys are random, stay in memory.
const CACHE: &str = "-65536";
/// 32 MiB of log before it is copied back, so that a page that changes in every group is copied once.
const CHECKPOINT_PAGES: &str = "8000";
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

/// `OR FAIL`: a failed statement ends its transaction anyway, so that no journal of its own is kept for it.
const LINES: Forms = forms!(
    "INSERT OR FAIL INTO ledger (number, body, hash) SELECT * FROM (VALUES ",
    "(?, ?, ?)",
    ") WHERE column1 IS NOT NULL"
);
const TILES: Forms = forms!(
    "INSERT INTO tile (number, root) SELECT * FROM (VALUES ",
    "(?, ?)",
    ") WHERE column1 IS NOT NULL ON CONFLICT (number) DO NOTHING"
);

#[derive(Clone)]
pub struct Ledger {
    pool: SqlitePool,
    writer: SqlitePool,
    growing: Arc<Mutex<Growing>>,
    /// The head as the last writing left it; nothing while one writes, or after one that did not end well.
    known_head: Arc<Mutex<Option<Head>>>,
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
    ledger: Ledger,
    head: Head,
    recorded: Vec<Recorded>,
    /// Appended, and not yet in `later`.
    lines: Vec<(u64, String, Hash)>,
    /// Not yet handed to the database.
    later: Bundle,
    /// The hashes of all lines of this transaction, for the tree.
    leaves: Vec<Hash>,
}

/// What a commit leaves behind.
pub struct Committed {
    pub head: Head,
    pub tree: TreeHead,
    /// What may be signed now, in the order of its lines.
    pub recorded: Vec<Recorded>,
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
        ledger.plant().await?;
        Ok(ledger)
    }

    async fn connect(options: SqliteConnectOptions) -> Result<Self, LedgerError> {
        // A full disk ends a transaction behind the driver's back; such a connection would refuse every other.
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                // A connection is a thread of ours and a file: there is nobody to hang up on it.
                .test_before_acquire(false)
                .after_release(|conn, _| {
                    Box::pin(async {
                        // Nothing to ask of one that ended its transaction.
                        if !conn.is_in_transaction() {
                            return Ok(true);
                        }
                        conn.ping().await.map(|()| !conn.is_in_transaction())
                    })
                })
        };
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::migrate!("./migrations").run(&writer).await?;
        let pool = pool(READERS).connect_lazy_with(options);
        Ok(Self { pool, writer, growing: Arc::default(), known_head: Arc::default() })
    }

    /// Takes up the tree: the roots of whole tiles from their table (made now if an older version wrote
    /// the lines), the rest from the lines.
    async fn plant(&self) -> Result<(), LedgerError> {
        let kept: Vec<(i64, String)> =
            sqlx::query_as("SELECT number, root FROM tile ORDER BY number").fetch_all(&self.writer).await?;
        let mut roots = Vec::with_capacity(kept.len());
        for (number, root) in kept {
            let missing = || broken(roots.len() as u64 * TILE, "a tile of the log is missing");
            if number as usize != roots.len() {
                return Err(missing());
            }
            roots.push(root.parse().map_err(|_| missing())?);
        }
        let mut connection = self.writer.acquire().await?;
        let entries = head(&mut connection).await?.entries;
        let (growing, new) = grown(Growing::of(roots), &mut connection, entries).await?;
        let mut bundle = Bundle::default();
        tiled(&mut bundle, new);
        bundle.send(&mut connection).await?;
        *self.growing() = growing;
        Ok(())
    }

    /// Lines from this number on, at most so many.
    pub async fn bodies(&self, from: u64, limit: i64) -> Result<Vec<String>, LedgerError> {
        let mut connection = self.pool.acquire().await?;
        bodies(&mut connection, from, limit).await
    }

    pub fn tree(&self) -> TreeHead {
        self.growing().head()
    }

    /// What proves that line `index` stands in the log of `size` lines; `None` beyond its end.
    pub async fn inclusion(&self, index: u64, size: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        Ok(self.inclusions(&[index], size).await?.pop().flatten())
    }

    /// The same for several lines; each tile is read once.
    pub async fn inclusions(
        &self,
        indexes: &[u64],
        size: u64,
    ) -> Result<Vec<Option<Vec<Hash>>>, LedgerError> {
        let places: Vec<u64> = indexes.iter().copied().chain([size]).collect();
        self.proof(places, |nodes| indexes.iter().map(|index| tlog::inclusion(nodes, *index, size)).collect())
            .await
    }

    /// What proves that the log of `size` lines begins with the log of `old`.
    pub async fn consistency(&self, old: u64, size: u64) -> Result<Option<Vec<Hash>>, LedgerError> {
        self.proof(vec![old, size], |nodes| tlog::consistency(nodes, old, size)).await
    }

    async fn proof<P>(&self, places: Vec<u64>, make: impl FnOnce(&Lent<'_>) -> P) -> Result<P, LedgerError> {
        let growing = self.growing().clone();
        let mut tiles = BTreeMap::new();
        for tile in growing.needed(places) {
            tiles.insert(tile, Levels::of(self.leaves(tile * TILE, TILE).await?));
        }
        Ok(make(&Lent { growing: &growing, tiles }))
    }

    /// The hashes of lines.
    pub async fn leaves(&self, from: u64, count: u64) -> Result<Vec<Hash>, LedgerError> {
        let lines = self.bodies(from, count as i64).await?;
        Ok(lines.iter().map(|body| tlog::leaf(body.as_bytes())).collect())
    }

    pub fn growing(&self) -> MutexGuard<'_, Growing> {
        // Every change leaves the tree whole, even one that panicked.
        self.growing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn known_head(&self) -> MutexGuard<'_, Option<Head>> {
        self.known_head.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Begins to write; waits for whoever writes now.
    pub async fn begin(&self) -> Result<Writing, LedgerError> {
        let mut transaction = self.writer.begin_with("BEGIN IMMEDIATE").await?;
        // Taken away until this writing is on disk: whoever went away in between may have written or not.
        let known = self.known_head().take();
        let head = match known {
            Some(head) => head,
            None => head(&mut transaction).await?,
        };
        // Somebody may have gone away between the end of his commit and its entry into the tree.
        if self.growing().size() != head.entries {
            let behind = self.growing().clone();
            let (growing, _) = grown(behind, &mut transaction, head.entries).await?;
            *self.growing() = growing;
        }
        let ledger = self.clone();
        Ok(Writing {
            transaction,
            ledger,
            head,
            recorded: Vec::new(),
            lines: Vec::new(),
            later: Bundle::default(),
            leaves: Vec::new(),
        })
    }

    pub async fn head(&self) -> Result<Head, LedgerError> {
        let mut connection = self.pool.acquire().await?;
        head(&mut connection).await
    }

    /// Recomputes the whole chain and the whole tree; counts the lines of two kinds for the comparison
    /// with the tables.
    pub async fn verify(&self) -> Result<Counted, LedgerError> {
        self.verify_by(&mut *self.pool.acquire().await?).await
    }

    /// The same, as this connection sees the ledger.
    pub async fn verify_by(&self, connection: &mut SqliteConnection) -> Result<Counted, LedgerError> {
        let mut counted = Counted { head: Head::EMPTY, planned: 0, revoked: 0 };
        let (mut growing, kept) = (Growing::default(), self.growing().clone());
        loop {
            let page: Vec<(i64, String, String)> = sqlx::query_as(
                "SELECT number, body, hash FROM ledger WHERE number >= $1 ORDER BY number LIMIT $2",
            )
            .bind(counted.head.entries as i64)
            .bind(PAGE)
            .fetch_all(&mut *connection)
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
                let tile = growing.whole_tiles();
                // Tiles that were completed since this reading began are another reading's.
                let completed =
                    growing.push(tlog::leaf(body.as_bytes())).filter(|_| tile < kept.whole_tiles());
                if completed.is_some_and(|root| kept.tile_roots(tile, tile + 1) != [root]) {
                    return Err(broken(tile * TILE, "its tile in the log is another one"));
                }
                counted.planned += u64::from(kind_of(&body) == "planned");
                counted.revoked += u64::from(kind_of(&body) == "revoked");
            }
        }
    }

    pub async fn close(&self) {
        self.pool.close().await;
        self.writer.close().await;
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
    /// Appends one line; returns its number. It reaches the database with the rows that speak of it.
    pub fn append(&mut self, at: i64, entry: &Entry) -> u64 {
        let covers = |number, head| covers(entry, number, head);
        let number = self.line(entry.line(at));
        let head = self.head.hash;
        if let Some(covers) = covers(number, head) {
            let certificate =
                matches!(entry, Entry::Planned { .. } | Entry::Delegate { .. } | Entry::Server { .. });
            self.recorded.push(Recorded { entry: number, head, covers, certificate });
        }
        number
    }

    /// A line as it stood in a ledger that was lost; nothing may be signed because of it.
    pub fn restore(&mut self, line: String) -> u64 {
        self.line(line)
    }

    fn line(&mut self, body: String) -> u64 {
        let number = self.head.entries;
        self.head = self.head.then(body.as_bytes());
        self.leaves.push(tlog::leaf(body.as_bytes()));
        self.lines.push((number, body, self.head.hash));
        number
    }

    /// What is sent with the next question or the commit; the lines that it points at stand before it.
    pub fn later(&mut self) -> &mut Bundle {
        let lines = std::mem::take(&mut self.lines);
        self.later.rows(&LINES, 3, lines, |bundle, (number, body, hash)| {
            bundle.bind(number as i64).bind(body).bind(hash.to_string());
        });
        &mut self.later
    }

    /// Where the rows are; all that was to be sent later is there, too.
    pub async fn rows(&mut self) -> Result<&mut SqliteConnection, LedgerError> {
        self.later();
        std::mem::take(&mut self.later).send(&mut self.transaction).await?;
        Ok(&mut self.transaction)
    }

    /// On disk when this returns. Gives what may be signed now.
    pub async fn commit(mut self) -> Result<Committed, LedgerError> {
        // Whoever writes is alone, so that nobody pushes between this copy and the commit.
        let mut growing = self.ledger.growing().clone();
        let mut tiles = Vec::new();
        for leaf in &self.leaves {
            let number = growing.whole_tiles();
            tiles.extend(growing.push(*leaf).map(|root| (number, root)));
        }
        tiled(self.later(), tiles);
        self.rows().await?;
        self.transaction.commit().await?;
        let tree = growing.head();
        *self.ledger.growing() = growing;
        *self.ledger.known_head() = Some(self.head);
        Ok(Committed { head: self.head, tree, recorded: self.recorded })
    }
}

/// Pushes the lines that are missing up to `entries`; gives the tiles that they completed.
async fn grown(
    mut growing: Growing,
    connection: &mut SqliteConnection,
    entries: u64,
) -> Result<(Growing, Vec<(u64, Hash)>), LedgerError> {
    let mut tiles = Vec::new();
    while growing.size() < entries {
        let from = growing.size();
        for body in bodies(connection, from, PAGE).await? {
            let number = growing.whole_tiles();
            tiles.extend(growing.push(tlog::leaf(body.as_bytes())).map(|root| (number, root)));
        }
        if growing.size() == from {
            return Err(broken(from, "lines are missing"));
        }
    }
    if growing.size() == entries {
        Ok((growing, tiles))
    } else {
        Err(broken(entries, "lines are missing behind it"))
    }
}

fn tiled(bundle: &mut Bundle, tiles: Vec<(u64, Hash)>) {
    bundle.rows(&TILES, 2, tiles, |bundle, (number, root)| {
        bundle.bind(number as i64).bind(root.to_string());
    });
}

async fn bodies(
    connection: &mut SqliteConnection,
    from: u64,
    limit: i64,
) -> Result<Vec<String>, LedgerError> {
    let lines: Vec<(i64, String)> =
        sqlx::query_as("SELECT number, body FROM ledger WHERE number >= $1 ORDER BY number LIMIT $2")
            .bind(from as i64)
            .bind(limit)
            .fetch_all(connection)
            .await?;
    let gapless = lines.iter().zip(from..).all(|((number, _), wanted)| *number as u64 == wanted);
    if gapless {
        Ok(lines.into_iter().map(|(_, body)| body).collect())
    } else {
        Err(broken(from, "lines are missing"))
    }
}

pub(crate) fn broken(entry: u64, why: &str) -> LedgerError {
    LedgerError::Broken { entry, why: why.to_owned() }
}

/// The bytes that an entry announces.
fn covers(entry: &Entry, number: u64, head: Hash) -> Option<Hash> {
    match entry {
        Entry::Planned { tbs, .. }
        | Entry::Delegate { tbs, .. }
        | Entry::Server { tbs, .. }
        | Entry::List { tbs, .. } => Some(*tbs),
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
        // A row and the line it points at are written by the same transaction, and `verify` compares them; looking
        // each one up would also keep a journal for every statement.
        .foreign_keys(false)
        .busy_timeout(BUSY)
        .pragma("secure_delete", "ON")
        .pragma("cache_size", CACHE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
}
