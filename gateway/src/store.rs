//! The sessions and the floors in the database, with the living sessions in memory in front
//! of them. A session is durable before its cookie leaves; ended rows stay for the audit without
//! their token. Ends with its pool. Rulings 7 and 9.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pki::serial::CertificateSerial;
use sqlx::AnyPool;
use vpn::slot::SlotNumber;

use crate::door::CutQuestion;
use crate::engine::{self, Database, EngineError};
use crate::floors::Floors;
use crate::moment::Moment;
use crate::session::{EndReason, PER_SLOT, Session, SessionId, TokenHash};

/// How long an ended session is kept: over a year, for the yearly audit.
const KEEP_ENDED_MS: i64 = 400 * 24 * 60 * 60_000;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("MM-3114 the session store cannot be opened: {0}")]
    Engine(#[from] EngineError),
    #[error(
        "MM-3103 the session store does not answer: {0}; check the disk and the file's owner, or the server"
    )]
    Sql(#[from] sqlx::Error),
    #[error("MM-3104 the session store cannot be brought to this version: {0}")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error("MM-3105 the session store holds something unreadable in `{0}`")]
    Unreadable(&'static str),
}

pub struct Sessions {
    pool: AnyPool,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    by_hash: BTreeMap<TokenHash, Session>,
    hash_of: BTreeMap<SessionId, TokenHash>,
    /// Seen since it was last written.
    seen: BTreeSet<SessionId>,
    /// Ended, and not yet on disk.
    ending: BTreeMap<SessionId, (EndReason, i64)>,
}

type SessionRow = (String, String, String, i64, String, String, String, i64, i64, i64);

impl Sessions {
    pub async fn open(database: &Database, dir: &Path, now: Moment) -> Result<Self, StoreError> {
        let pool = engine::open(database, dir).await?;
        sqlx::migrate!("./migrations").run(&pool).await?;
        sqlx::query("DELETE FROM session WHERE ended_at < $1")
            .bind(now.unix_ms - KEEP_ENDED_MS)
            .execute(&pool)
            .await?;
        let rows: Vec<SessionRow> = sqlx::query_as(
            "SELECT session, token_hash, slot, generation, certificate, person, membership, must_change, created_at, seen_at \
             FROM session WHERE ended_at IS NULL AND token_hash IS NOT NULL",
        )
        .fetch_all(&pool)
        .await?;
        let mut memory = Memory::default();
        for row in rows {
            let (hash, session) = read(row)?;
            memory.insert(hash, session);
        }
        Ok(Self { pool, memory: Mutex::new(memory) })
    }

    /// What was cut before the restart.
    pub async fn floors(&self) -> Result<Floors, StoreError> {
        let slots: Vec<(String, i64)> =
            sqlx::query_as("SELECT slot, generation FROM floor_slot").fetch_all(&self.pool).await?;
        let serials: Vec<(String,)> =
            sqlx::query_as("SELECT serial FROM floor_certificate").fetch_all(&self.pool).await?;
        let unreadable = |_| StoreError::Unreadable("floor_slot");
        let slots = slots
            .into_iter()
            .map(|(slot, generation)| Ok((slot.parse().map_err(unreadable)?, generation as u64)));
        let serials = serials
            .into_iter()
            .map(|(serial,)| serial.parse().map_err(|_| StoreError::Unreadable("floor_certificate")));
        let slots = slots.collect::<Result<BTreeMap<SlotNumber, u64>, StoreError>>()?;
        let serials = serials.collect::<Result<BTreeSet<CertificateSerial>, StoreError>>()?;
        Ok(Floors::restored(slots, serials))
    }

    /// Makes a cut durable. People and facilities need no floor on disk: the grants that are asked
    /// for after a restart already know.
    pub async fn keep_floor(&self, cut: &CutQuestion, now: Moment) -> Result<(), StoreError> {
        match cut {
            CutQuestion::Slot { slot, generation } => {
                sqlx::query(
                    "INSERT INTO floor_slot (slot, generation, at) VALUES ($1, $2, $3) \
                     ON CONFLICT (slot) DO UPDATE SET generation = excluded.generation, at = excluded.at \
                     WHERE floor_slot.generation < excluded.generation",
                )
                .bind(slot.to_string())
                .bind(*generation as i64)
                .bind(now.unix_ms)
                .execute(&self.pool)
                .await?;
            }
            CutQuestion::Certificate { serial } => {
                sqlx::query(
                    "INSERT INTO floor_certificate (serial, at) VALUES ($1, $2) ON CONFLICT (serial) DO NOTHING",
                )
                .bind(serial.to_string())
                .bind(now.unix_ms)
                .execute(&self.pool)
                .await?;
            }
            CutQuestion::Person { .. } | CutQuestion::Membership { .. } | CutQuestion::Facility { .. } => {}
        }
        Ok(())
    }

    /// Begins a session. The oldest of too many on its slot end, and are returned.
    pub async fn begin(
        &self,
        hash: TokenHash,
        session: Session,
        now: Moment,
    ) -> Result<Vec<Session>, StoreError> {
        sqlx::query(
            "INSERT INTO session (session, token_hash, slot, generation, certificate, person, membership, must_change, created_at, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(session.id.to_string())
        .bind(hash.to_hex())
        .bind(session.slot.to_string())
        .bind(session.generation as i64)
        .bind(session.certificate.to_string())
        .bind(session.person.as_str())
        .bind(session.membership.as_str())
        .bind(i64::from(session.must_change))
        .bind(session.created_ms)
        .bind(session.seen_ms)
        .execute(&self.pool)
        .await?;
        let crowd = {
            let mut memory = self.memory();
            let slot = session.slot;
            memory.insert(hash, session);
            let mut on_slot: Vec<(i64, SessionId)> = memory
                .by_hash
                .values()
                .filter(|other| other.slot == slot)
                .map(|other| (other.seen_ms, other.id))
                .collect();
            on_slot.sort_unstable();
            let surplus = on_slot.len().saturating_sub(PER_SLOT);
            on_slot.truncate(surplus);
            on_slot.into_iter().map(|(_, id)| id).collect::<BTreeSet<_>>()
        };
        if crowd.is_empty() {
            return Ok(Vec::new());
        }
        self.end_where(|session| crowd.contains(&session.id), EndReason::Crowded, now).await
    }

    /// The living session of a token; being asked for keeps it awake.
    pub fn find(&self, hash: &TokenHash, now: Moment) -> Option<Session> {
        let mut memory = self.memory();
        let session = memory.by_hash.get_mut(hash)?;
        let found = session.clone();
        if found.alive(now).is_ok() {
            session.seen_ms = now.unix_ms;
            memory.seen.insert(found.id);
        }
        Some(found)
    }

    pub fn current(&self, id: SessionId) -> Option<Session> {
        let memory = self.memory();
        memory.hash_of.get(&id).and_then(|hash| memory.by_hash.get(hash)).cloned()
    }

    pub fn all(&self) -> Vec<Session> {
        self.memory().by_hash.values().cloned().collect()
    }

    pub fn count(&self) -> u32 {
        self.memory().by_hash.len() as u32
    }

    /// Ends every session that matches: in memory at once, so that no cookie of theirs opens anything
    /// any more; on disk before this returns. After an error the disk is caught up by the next call.
    pub async fn end_where(
        &self,
        matches: impl Fn(&Session) -> bool,
        reason: EndReason,
        now: Moment,
    ) -> Result<Vec<Session>, StoreError> {
        let ended = self.end_in_memory(matches, reason, now);
        self.write_ends().await?;
        Ok(ended)
    }

    /// At once; `write_ends` puts it on disk.
    pub fn end_in_memory(
        &self,
        matches: impl Fn(&Session) -> bool,
        reason: EndReason,
        now: Moment,
    ) -> Vec<Session> {
        self.memory().take(&matches, reason, now)
    }

    /// Puts on disk what has ended.
    pub async fn write_ends(&self) -> Result<(), StoreError> {
        let ending: Vec<_> = self.memory().ending.iter().map(|(id, end)| (*id, *end)).collect();
        for (id, (reason, at_ms)) in ending {
            sqlx::query(
                "UPDATE session SET token_hash = NULL, ended_at = $1, ended_why = $2 \
                 WHERE session = $3 AND ended_at IS NULL",
            )
            .bind(at_ms)
            .bind(reason.as_str())
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
            self.memory().ending.remove(&id);
        }
        Ok(())
    }

    /// The first password was changed in this session.
    pub async fn password_changed(&self, id: SessionId) -> Result<(), StoreError> {
        sqlx::query("UPDATE session SET must_change = 0 WHERE session = $1")
            .bind(id.to_string())
            .execute(&self.pool)
            .await?;
        let mut memory = self.memory();
        let hash = memory.hash_of.get(&id).copied();
        if let Some(session) = hash.and_then(|hash| memory.by_hash.get_mut(&hash)) {
            session.must_change = false;
        }
        Ok(())
    }

    /// Writes when sessions were last seen, so that a restart neither prolongs nor forgets much.
    pub async fn write_seen(&self) -> Result<(), StoreError> {
        let seen: Vec<(SessionId, i64)> = {
            let mut memory = self.memory();
            let ids = std::mem::take(&mut memory.seen);
            let seen_ms = |id: &SessionId| {
                let hash = memory.hash_of.get(id)?;
                memory.by_hash.get(hash).map(|session| (*id, session.seen_ms))
            };
            ids.iter().filter_map(seen_ms).collect()
        };
        for (id, seen_ms) in seen {
            sqlx::query("UPDATE session SET seen_at = $1 WHERE session = $2")
                .bind(seen_ms)
                .bind(id.to_string())
                .execute(&self.pool)
                .await?;
        }
        Ok(())
    }

    pub async fn close(&self) {
        self.pool.close().await;
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn insert(&mut self, hash: TokenHash, session: Session) {
        self.hash_of.insert(session.id, hash);
        self.by_hash.insert(hash, session);
    }

    fn take(&mut self, matches: &dyn Fn(&Session) -> bool, reason: EndReason, now: Moment) -> Vec<Session> {
        let hashes: Vec<TokenHash> =
            self.by_hash.iter().filter(|(_, one)| matches(one)).map(|(hash, _)| *hash).collect();
        let taken: Vec<Session> = hashes.iter().filter_map(|hash| self.by_hash.remove(hash)).collect();
        for session in &taken {
            self.hash_of.remove(&session.id);
            self.seen.remove(&session.id);
            self.ending.insert(session.id, (reason, now.unix_ms));
        }
        taken
    }
}

fn read(row: SessionRow) -> Result<(TokenHash, Session), StoreError> {
    let (id, hash, slot, generation, certificate, person, membership, must_change, created_ms, seen_ms) = row;
    let hash = TokenHash::from_hex(&hash).ok_or(StoreError::Unreadable("token_hash"))?;
    let session = Session {
        id: SessionId::parse(&id).ok_or(StoreError::Unreadable("session"))?,
        slot: slot.parse().map_err(|_| StoreError::Unreadable("slot"))?,
        generation: generation as u64,
        certificate: certificate.parse().map_err(|_| StoreError::Unreadable("certificate"))?,
        person: person.parse().map_err(|_| StoreError::Unreadable("person"))?,
        membership: membership.parse().map_err(|_| StoreError::Unreadable("membership"))?,
        must_change: must_change != 0,
        created_ms,
        seen_ms,
    };
    Ok((hash, session))
}
