//! Unsafe requests repeat safely: the same key gives the same answer for a day.
//! The row is written in the transaction of the change, so there is never one without the other. Edge: SQL.

use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::store::Conn;

/// Longest key that a client may send: a UUID has 36.
const KEY_MAX: usize = 100;
/// A repetition comes within seconds, or after a night in a pocket.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// A client's key, together with who sent it for what.
#[derive(Clone)]
pub struct Repeatable {
    /// Person and verb: nobody meets another's keys.
    scope: String,
    key: String,
    fingerprint: String,
}

impl Repeatable {
    /// `fingerprint` must not let a patient's name be guessed.
    pub fn new(scope: String, key: &str, fingerprint: String) -> Result<Self, Fault> {
        let fits = (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if !fits {
            return Err(PeopleMessage::KeyForm.into());
        }
        Ok(Self { scope, key: key.to_owned(), fingerprint })
    }
}

/// What was answered before; refuses a key that was used for something else.
pub async fn recall(
    conn: &mut Conn,
    request: Option<&Repeatable>,
    now: i64,
) -> Result<Option<String>, Fault> {
    let Some(request) = request else { return Ok(None) };
    sqlx::query("DELETE FROM idempotency WHERE at < $1").bind(now - KEPT_MS).execute(&mut *conn).await?;
    let known: Option<(String, String)> =
        sqlx::query_as("SELECT fingerprint, answer FROM idempotency WHERE scope = $1 AND key = $2")
            .bind(&request.scope)
            .bind(&request.key)
            .fetch_optional(conn)
            .await?;
    match known {
        None => Ok(None),
        Some((fingerprint, _)) if fingerprint != request.fingerprint => Err(PeopleMessage::KeyReused.into()),
        Some((_, answer)) => Ok(Some(answer)),
    }
}

/// No secret and no name belongs into `answer`: ids only.
pub async fn remember(
    conn: &mut Conn,
    request: Option<&Repeatable>,
    answer: &str,
    now: i64,
) -> Result<(), Fault> {
    let Some(request) = request else { return Ok(()) };
    sqlx::query("INSERT INTO idempotency (scope, key, fingerprint, answer, at) VALUES ($1, $2, $3, $4, $5)")
        .bind(&request.scope)
        .bind(&request.key)
        .bind(&request.fingerprint)
        .bind(answer)
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

/// For a verb that may be done twice: the key is only held to the request it came with.
pub async fn note(conn: &mut Conn, request: Option<&Repeatable>, now: i64) -> Result<(), Fault> {
    if recall(conn, request, now).await?.is_none() {
        remember(conn, request, "", now).await?;
    }
    Ok(())
}

/// The change was taken back; the key may be used again.
pub async fn forget(conn: &mut Conn, request: Option<&Repeatable>) -> Result<(), Fault> {
    let Some(request) = request else { return Ok(()) };
    sqlx::query("DELETE FROM idempotency WHERE scope = $1 AND key = $2")
        .bind(&request.scope)
        .bind(&request.key)
        .execute(conn)
        .await?;
    Ok(())
}
