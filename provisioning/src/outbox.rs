//! What leaves the room waits here, written in the transaction of the change (ruling 11) and wiped
//! once it has left. `delivery` takes it from here. Edge: SQL; the payload is stored, hence border.

use pki::identity::FacilityId;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::bundle::PrivateFile;
use crate::office_fault::{OfficeFault, parse};
use crate::store::Conn;

/// Letters taken at once: bounds the memory that holds their secrets.
pub const BATCH_MAX: i64 = 16;
/// First wait after a failure; doubles with each.
const RETRY_FIRST_MS: i64 = 1_000;
/// A full disk is noticed and mended within the hour.
const RETRY_MAX_MS: i64 = 15 * 60 * 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LetterKind {
    /// 接続設定一式.
    Bundle,
    /// The printed sheet with number and password.
    Sheet,
}

impl LetterKind {
    pub fn as_str(self) -> &'static str {
        match self {
            LetterKind::Bundle => "bundle",
            LetterKind::Sheet => "sheet",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [LetterKind::Bundle, LetterKind::Sheet].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A letter that is due.
pub struct Letter {
    pub message: String,
    pub kind: LetterKind,
    pub slot: SlotNumber,
    pub facility: FacilityId,
    pub attempts: u32,
    pub files: Vec<PrivateFile>,
}

/// A letter to be written.
pub struct NewLetter<'a> {
    pub kind: LetterKind,
    pub slot: SlotNumber,
    pub generation: i64,
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

/// One letter per kind, slot and generation: what is asked for twice leaves once.
pub async fn put(conn: &mut Conn, now_ms: i64, letter: NewLetter<'_>) -> Result<(), OfficeFault> {
    let files: Vec<StoredFile> =
        letter.files.iter().map(|f| StoredFile { name: f.name.clone(), text: f.text.clone() }).collect();
    let payload =
        Zeroizing::new(serde_json::to_string(&files).map_err(|error| OfficeFault::Row(error.to_string()))?);
    sqlx::query(
        "INSERT INTO outbox (message, kind, recipient, slot, facility, payload, state, next_at, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'waiting', $7, $7)",
    )
    .bind(format!("o-{}-{}-{}", letter.kind.as_str(), letter.slot, letter.generation))
    .bind(letter.kind.as_str())
    .bind(letter.recipient)
    .bind(letter.slot.to_string())
    .bind(letter.facility.as_str())
    .bind(payload.as_str())
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// The letters whose time has come, oldest first.
pub async fn due(conn: &mut Conn, now_ms: i64) -> Result<Vec<Letter>, OfficeFault> {
    let rows: Vec<(String, String, String, String, i64, String)> = sqlx::query_as(
        "SELECT message, kind, slot, facility, attempts, payload FROM outbox
         WHERE state = 'waiting' AND kind IN ('bundle', 'sheet') AND next_at <= $1
         ORDER BY created_at, message LIMIT $2",
    )
    .bind(now_ms)
    .bind(BATCH_MAX)
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

/// When the next letter is due; `None` when nothing waits.
pub async fn next_due(conn: &mut Conn) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT MIN(next_at) FROM outbox WHERE state = 'waiting' AND kind IN ('bundle', 'sheet')",
    )
    .fetch_one(conn)
    .await
}

/// It has left: the payload is wiped in the same statement. False when it was cancelled meanwhile.
pub async fn sent(conn: &mut Conn, now_ms: i64, message: &str, answer: &str) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE outbox SET state = 'sent', payload = '', sent_at = $1, last_answer = $2, attempts = attempts + 1
         WHERE message = $3 AND state = 'waiting'",
    )
    .bind(now_ms)
    .bind(answer)
    .bind(message)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// It could not leave; it is tried again, for ever.
pub async fn put_back(
    conn: &mut Conn,
    now_ms: i64,
    message: &str,
    attempts: u32,
    answer: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET attempts = attempts + 1, next_at = $1, last_answer = $2
         WHERE message = $3 AND state = 'waiting'",
    )
    .bind(now_ms + wait_ms(attempts))
    .bind(answer)
    .bind(message)
    .execute(conn)
    .await?;
    Ok(())
}

fn wait_ms(attempts: u32) -> i64 {
    RETRY_FIRST_MS.saturating_mul(1 << attempts.min(20)).min(RETRY_MAX_MS)
}

fn read(row: (String, String, String, String, i64, String)) -> Result<Letter, OfficeFault> {
    let (message, kind, slot, facility, attempts, payload) = row;
    let payload = Zeroizing::new(payload);
    let files: Vec<StoredFile> =
        serde_json::from_str(&payload).map_err(|_| OfficeFault::Row(format!("payload of {message}")))?;
    Ok(Letter {
        kind: LetterKind::parse(&kind).ok_or(OfficeFault::Row(kind))?,
        slot: parse(&slot)?,
        facility: parse(&facility)?,
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        files: files.iter().map(|f| PrivateFile { name: f.name.clone(), text: f.text.clone() }).collect(),
        message,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        assert_eq!([wait_ms(0), wait_ms(1), wait_ms(5)], [1_000, 2_000, 32_000]);
        assert_eq!(wait_ms(u32::MAX), RETRY_MAX_MS);
    }
}
