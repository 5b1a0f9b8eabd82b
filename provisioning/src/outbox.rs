//! What leaves the room waits here, written in the transaction of the change (ruling 11) and wiped
//! once it has left. `delivery` takes it from here, by lane: what goes into the folder and what goes by
//! mail do not wait for one another. Edge: SQL; the payload is stored, hence border.

use pki::identity::FacilityId;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bundle::PrivateFile;
use crate::office_fault::{OfficeFault, parse};
use crate::store::Conn;

/// Letters taken at once: bounds the memory that holds their secrets.
pub const BATCH_MAX: i64 = 16;
/// First wait after a failure of the folder; doubles with each.
const RETRY_FIRST_MS: i64 = 1_000;
const RETRY_MAX_MS: i64 = 15 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterKind {
    /// 接続設定一式.
    Bundle,
    /// 接続設定一式 once more, with a new key (再発行).
    Reissue,
    /// 延長: a word about the new date, without any file.
    Extension,
    /// A word about a case of the flows (D) or about certificates that end, without any file.
    Notice,
    /// The printed sheet with number and password.
    Sheet,
}

impl LetterKind {
    pub const ALL: [LetterKind; 5] = [
        LetterKind::Bundle,
        LetterKind::Reissue,
        LetterKind::Extension,
        LetterKind::Notice,
        LetterKind::Sheet,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            LetterKind::Bundle => "bundle",
            LetterKind::Reissue => "reissue",
            LetterKind::Extension => "extension",
            LetterKind::Notice => "notice",
            LetterKind::Sheet => "sheet",
        }
    }

    /// Does it bring a device its connection?
    pub fn is_bundle(self) -> bool {
        matches!(self, LetterKind::Bundle | LetterKind::Reissue)
    }

    fn parse(text: &str) -> Option<Self> {
        LetterKind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A mail that was refused keeps its payload for another try until nobody would open it any more:
/// as long as a sheet is good (ruling 5).
const FAILED_KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// For the post: its days, and one 延長.
const POST_KEPT_MS: i64 = 2 * FAILED_KEPT_MS;

/// Which letters somebody takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Everything goes into the folder.
    All,
    /// All but sheets.
    Mails,
    Sheets,
}

impl Lane {
    /// The condition on the kind in SQL: equal to the first, or different from the second.
    fn bounds(self) -> (&'static str, &'static str) {
        match self {
            Lane::All => ("", ""),
            Lane::Mails => ("", LetterKind::Sheet.as_str()),
            Lane::Sheets => (LetterKind::Sheet.as_str(), ""),
        }
    }
}

/// A letter that is due.
pub struct Letter {
    pub message: String,
    pub kind: LetterKind,
    pub recipient: String,
    pub slot: SlotNumber,
    pub facility: FacilityId,
    pub attempts: u32,
    pub created_at: i64,
    pub files: Vec<PrivateFile>,
}

/// A letter to be written.
pub struct NewLetter<'a> {
    pub kind: LetterKind,
    pub slot: SlotNumber,
    /// What is new about it: the slot's generation, the day of an extension.
    pub nth: i64,
    pub facility: &'a FacilityId,
    /// A mail address, or the name on the envelope.
    pub recipient: &'a str,
    pub files: &'a [PrivateFile],
}

#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
struct StoredFile {
    name: String,
    text: String,
}

/// One letter per kind, slot and `nth`: what is asked for twice leaves once. For a facility on paper (D-00) it waits for a
/// print run and nothing of it is mailed. Returns its name.
pub async fn put(conn: &mut Conn, now_ms: i64, letter: NewLetter<'_>) -> Result<String, OfficeFault> {
    let message = format!("o-{}-{}-{}", letter.kind.as_str(), letter.slot, letter.nth);
    let files: Vec<StoredFile> =
        letter.files.iter().map(|f| StoredFile { name: f.name.clone(), text: f.text.clone() }).collect();
    let payload =
        Zeroizing::new(serde_json::to_string(&files).map_err(|error| OfficeFault::Row(error.to_string()))?);
    sqlx::query(
        "INSERT INTO outbox (message, kind, recipient, slot, facility, payload, state, next_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6,
             COALESCE((SELECT CASE WHEN delivery = 'mail' THEN 'waiting' ELSE 'post' END
                       FROM facility WHERE facility = $5), 'waiting'), $7, $7)",
    )
    .bind(&message)
    .bind(letter.kind.as_str())
    .bind(letter.recipient)
    .bind(letter.slot.to_string())
    .bind(letter.facility.as_str())
    .bind(payload.as_str())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(message)
}

/// What has not left goes to another address, and begins anew. Sheets have no address. Returns their names.
pub async fn redirect(
    conn: &mut Conn,
    now_ms: i64,
    facility: &FacilityId,
    from: &str,
    to: &str,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(
        "UPDATE outbox SET recipient = $1, state = 'waiting', attempts = 0, next_at = $2, last_answer = NULL
         WHERE facility = $3 AND recipient = $4 AND kind <> $5 AND state IN ('waiting', 'failed')
         RETURNING message",
    )
    .bind(to)
    .bind(now_ms)
    .bind(facility.as_str())
    .bind(from)
    .bind(LetterKind::Sheet.as_str())
    .fetch_all(conn)
    .await
}

/// What a letter for the post holds; nothing once it was wiped.
pub async fn files(conn: &mut Conn, message: &str) -> Result<Vec<PrivateFile>, OfficeFault> {
    let payload: Option<String> =
        sqlx::query_scalar("SELECT payload FROM outbox WHERE message = $1 AND state = 'post'")
            .bind(message)
            .fetch_optional(conn)
            .await?;
    let payload = Zeroizing::new(payload.unwrap_or_default());
    if payload.is_empty() {
        return Ok(Vec::new());
    }
    private(&payload, message)
}

/// Bundles of a slot that have not left are worth nothing any more: their key is dead.
pub async fn withdraw_bundles(conn: &mut Conn, slot: SlotNumber) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET state = 'cancelled', payload = ''
         WHERE slot = $1 AND kind IN ($2, $3) AND state IN ('waiting', 'failed', 'post')",
    )
    .bind(slot.to_string())
    .bind(LetterKind::Bundle.as_str())
    .bind(LetterKind::Reissue.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// The letters of a lane whose time has come, oldest first.
pub async fn due(conn: &mut Conn, now_ms: i64, lane: Lane) -> Result<Vec<Letter>, OfficeFault> {
    let (only, not) = lane.bounds();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT message, kind, recipient, slot, facility, attempts, created_at, payload FROM outbox
         WHERE state = 'waiting' AND ($1 = '' OR kind = $1) AND kind <> $2 AND next_at <= $3
         ORDER BY created_at, message LIMIT $4",
    )
    .bind(only)
    .bind(not)
    .bind(now_ms)
    .bind(BATCH_MAX)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

/// When the next letter is due, apart from those that are under way; `None` when nothing waits.
pub async fn next_due(conn: &mut Conn, under_way: &[String]) -> Result<Option<i64>, sqlx::Error> {
    let soonest: Vec<(String, i64)> = sqlx::query_as(
        "SELECT message, next_at FROM outbox WHERE state = 'waiting' ORDER BY next_at LIMIT $1",
    )
    .bind(BATCH_MAX)
    .fetch_all(conn)
    .await?;
    Ok(soonest.into_iter().find(|(message, _)| !under_way.contains(message)).map(|(_, at)| at))
}

/// The S/MIME signature that an earlier attempt made.
pub async fn signature(conn: &mut Conn, letter: &Letter) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT smime FROM outbox WHERE message = $1")
        .bind(&letter.message)
        .fetch_one(conn)
        .await
}

/// Before the letter leaves: whoever tries again sends the same octets.
pub async fn remember_signature(
    conn: &mut Conn,
    letter: &Letter,
    signature: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE outbox SET smime = $1 WHERE message = $2")
        .bind(signature)
        .bind(&letter.message)
        .execute(conn)
        .await?;
    Ok(())
}

/// It has left: the payload is wiped in the same statement. False when it was cancelled or redirected meanwhile. What was
/// to go on paper from now on and was under way as a mail has left, too.
pub async fn sent(conn: &mut Conn, now_ms: i64, letter: &Letter, answer: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'sent', payload = '', sent_at = $1, last_answer = $2, attempts = attempts + 1
         WHERE message = $3 AND recipient = $4 AND state IN ('waiting', 'post')",
    )
    .bind(now_ms)
    .bind(answer)
    .bind(&letter.message)
    .bind(&letter.recipient)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It could not leave; it is tried again after `wait_ms`.
pub async fn put_back(
    conn: &mut Conn,
    now_ms: i64,
    letter: &Letter,
    wait_ms: i64,
    answer: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, next_at = $1, last_answer = $2
         WHERE message = $3 AND recipient = $4 AND state = 'waiting'",
    )
    .bind(now_ms + wait_ms)
    .bind(answer)
    .bind(&letter.message)
    .bind(&letter.recipient)
    .execute(conn)
    .await?;
    Ok(())
}

/// It will not leave by itself any more: an operator looks at it. False when it was cancelled or redirected.
pub async fn failed(conn: &mut Conn, letter: &Letter, answer: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'failed', attempts = attempts + 1, last_answer = $1
         WHERE message = $2 AND recipient = $3 AND state = 'waiting'",
    )
    .bind(answer)
    .bind(&letter.message)
    .bind(&letter.recipient)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// Neither failed letters nor those that nobody prints keep their secrets for ever. True when something was wiped.
pub async fn wipe_stale(conn: &mut Conn, now_ms: i64) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'cancelled', payload = ''
         WHERE (state = 'failed' AND created_at <= $1)
            OR (state = 'post' AND kind <> 'notice' AND kind <> 'extension' AND payload <> '' AND created_at <= $2)",
    )
    .bind(now_ms - FAILED_KEPT_MS)
    .bind(now_ms - POST_KEPT_MS)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// Wait after a failure of the folder: a full disk is noticed and mended within the hour.
pub fn folder_wait_ms(attempts: u32) -> i64 {
    RETRY_FIRST_MS.saturating_mul(1 << attempts.min(20)).min(RETRY_MAX_MS)
}

type Row = (String, String, String, String, String, i64, i64, String);

fn read(row: Row) -> Result<Letter, OfficeFault> {
    let (message, kind, recipient, slot, facility, attempts, created_at, payload) = row;
    let payload = Zeroizing::new(payload);
    Ok(Letter {
        files: private(&payload, &message)?,
        kind: LetterKind::parse(&kind).ok_or(OfficeFault::Row(kind))?,
        slot: parse(&slot)?,
        facility: parse(&facility)?,
        recipient,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        created_at,
        message,
    })
}

fn private(payload: &str, message: &str) -> Result<Vec<PrivateFile>, OfficeFault> {
    let files: Vec<StoredFile> =
        serde_json::from_str(payload).map_err(|_| OfficeFault::Row(format!("payload of {message}")))?;
    Ok(files.iter().map(|f| PrivateFile { name: f.name.clone(), text: f.text.clone() }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        assert_eq!([folder_wait_ms(0), folder_wait_ms(1), folder_wait_ms(5)], [1_000, 2_000, 32_000]);
        assert_eq!(folder_wait_ms(u32::MAX), RETRY_MAX_MS);
    }
}
