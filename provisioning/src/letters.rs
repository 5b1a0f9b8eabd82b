//! What became of a letter, written with its audit entry and its case's step in one transaction; and what
//! an operator may see of the outbox and do about it. Edge: SQL.

use pki::identity::FacilityId;
use serde_json::json;

use crate::audit::{self, Event};
use crate::bounce::{Bounce, BounceKind};
use crate::case::CaseEvent;
use crate::case_rows;
use crate::door::{LetterRow, Operator};
use crate::jst;
use crate::messages::{Message, shown};
use crate::messages_post::PostMessage;
use crate::office_fault::{OfficeFault, parse};
use crate::outbox::{self, Letter};
use crate::reply;
use crate::store::{Conn, Store, transaction};

/// Who stands in the audit trail for what the outbox does by itself.
const ACTOR: &str = "outbox";
/// Newest first; more than anybody reads.
const LISTED_MAX: i64 = 1_000;

/// It has left; `answer` is what the receiver said.
pub async fn note_sent(store: &Store, now_ms: i64, letter: &Letter, answer: &str) -> Result<(), OfficeFault> {
    transaction!(store, conn => {
        if outbox::sent(conn, now_ms, letter, answer).await? {
            audit(conn, now_ms, "outbox.sent", letter, answer).await?;
            if letter.kind.is_bundle() {
                case_rows::advance_of(conn, now_ms, &letter.facility, CaseEvent::BundleSent, ACTOR).await?;
            }
        }
        Ok(())
    })
}

/// It could not leave and waits.
pub async fn note_delay(
    store: &Store,
    now_ms: i64,
    letter: &Letter,
    wait_ms: i64,
    answer: &str,
) -> Result<(), OfficeFault> {
    transaction!(store, conn => outbox::put_back(conn, now_ms, letter, wait_ms, answer).await)?;
    Ok(())
}

/// It will not leave by itself any more.
pub async fn note_failed(
    store: &Store,
    now_ms: i64,
    letter: &Letter,
    answer: &str,
) -> Result<(), OfficeFault> {
    transaction!(store, conn => {
        if outbox::failed(conn, letter, answer).await? {
            audit(conn, now_ms, "outbox.failed", letter, answer).await?;
        }
        Ok(())
    })
}

/// The code of an answer: its words may hold an address, which has no place in a trail that is never wiped.
pub fn code(answer: &str) -> &str {
    let code = answer.split(' ').next().unwrap_or_default();
    if code.len() == 3 && code.bytes().all(|octet| octet.is_ascii_digit()) { code } else { "" }
}

async fn audit(
    conn: &mut Conn,
    now_ms: i64,
    action: &str,
    letter: &Letter,
    answer: &str,
) -> Result<(), OfficeFault> {
    let detail = json!({ "kind": letter.kind.as_str(), "slot": letter.slot, "answer": code(answer) });
    let event = Event { actor: ACTOR, action, object: &letter.message, trace: None, detail };
    audit::append(conn, now_ms, event).await?;
    Ok(())
}

/// What came back to the bounce mailbox. Anybody may send there, so it moves nothing: the letter is shown as returned,
/// and a clerk asks by telephone. The same report twice is one.
pub async fn note_bounce(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    bounce: &Bounce,
    dry_run: bool,
) -> Result<LetterRow, OfficeFault> {
    if dry_run {
        return bounced_in(&mut *store.begin().await?, now_ms, operator, bounce).await;
    }
    transaction!(store, conn => bounced_in(conn, now_ms, operator, bounce).await)
}

async fn bounced_in(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    bounce: &Bounce,
) -> Result<LetterRow, OfficeFault> {
    let state = match bounce.kind {
        BounceKind::Failed => "bounced",
        // It may still arrive, or has arrived: only the words are new.
        BounceKind::Delayed | BounceKind::Delivered => "sent",
    };
    let done =
        sqlx::query("UPDATE outbox SET state = $2, last_answer = $3 WHERE message = $1 AND state = 'sent'")
            .bind(&bounce.letter)
            .bind(state)
            .bind(&bounce.answer)
            .execute(&mut *conn)
            .await?;
    if done.rows_affected() == 1 && bounce.kind == BounceKind::Failed {
        let detail = json!({ "answer": code(&bounce.answer) });
        let trace = Some(operator.trace);
        let (actor, object) = (operator.name.as_str(), bounce.letter.as_str());
        audit::append(conn, now_ms, Event { actor, action: "outbox.bounced", object, trace, detail }).await?;
    }
    one(conn, &bounce.letter).await
}

type Listed = (
    String,
    String,
    String,
    String,
    String,
    Option<String>,
    String,
    i64,
    i64,
    i64,
    Option<i64>,
    Option<String>,
);

const LIST: &str =
    "SELECT o.message, o.kind, o.recipient, COALESCE(o.slot, ''), COALESCE(o.facility, ''), f.name, o.state,
            o.attempts, o.next_at, o.created_at, o.sent_at, o.last_answer
     FROM outbox o LEFT JOIN facility f ON f.facility = o.facility
     ORDER BY o.created_at DESC, o.message LIMIT $1";
const OF_FACILITY: &str =
    "SELECT o.message, o.kind, o.recipient, COALESCE(o.slot, ''), COALESCE(o.facility, ''), f.name, o.state,
            o.attempts, o.next_at, o.created_at, o.sent_at, o.last_answer
     FROM outbox o JOIN facility f ON f.facility = o.facility WHERE o.facility = $1
     ORDER BY CASE WHEN o.state IN ('failed', 'bounced') THEN 0 ELSE 1 END, o.created_at DESC, o.message LIMIT $2";
const ONE: &str =
    "SELECT o.message, o.kind, o.recipient, COALESCE(o.slot, ''), COALESCE(o.facility, ''), f.name, o.state,
            o.attempts, o.next_at, o.created_at, o.sent_at, o.last_answer
     FROM outbox o LEFT JOIN facility f ON f.facility = o.facility WHERE o.message = $1";

/// The outbox without its contents, newest first.
pub async fn list(conn: &mut Conn) -> Result<Vec<LetterRow>, OfficeFault> {
    let rows: Vec<Listed> = sqlx::query_as(LIST).bind(LISTED_MAX).fetch_all(conn).await?;
    rows.into_iter().map(row).collect()
}

/// A facility's letters (D-01): what failed first, then the newest.
pub async fn of_facility(conn: &mut Conn, facility: &str) -> Result<Vec<LetterRow>, OfficeFault> {
    let rows: Vec<Listed> =
        sqlx::query_as(OF_FACILITY).bind(facility).bind(LISTED_MAX).fetch_all(conn).await?;
    rows.into_iter().map(row).collect()
}

pub async fn one(conn: &mut Conn, message: &str) -> Result<LetterRow, OfficeFault> {
    let found: Option<Listed> = sqlx::query_as(ONE).bind(message).fetch_optional(conn).await?;
    row(found.ok_or_else(|| Message::LetterUnknown { letter: shown(message) })?)
}

/// A waiting letter leaves now, a failed one begins again. The caller rings the outbox's bell.
pub async fn retry(
    store: &Store,
    now_ms: i64,
    message: &str,
    operator: &Operator,
) -> Result<LetterRow, OfficeFault> {
    transaction!(store, conn => {
        let found: Option<Listed> = sqlx::query_as(ONE).bind(message).fetch_optional(&mut *conn).await?;
        let found = found.ok_or_else(|| Message::LetterUnknown { letter: shown(message) })?;
        match found.6.as_str() {
            "waiting" | "failed" => {}
            "post" | "returned" => return Err(PostMessage::LetterOnPaper.into()),
            "sent" | "bounced" => return Err(Message::LetterSent { letter: shown(message) }.into()),
            _ => return Err(Message::LetterCancelled { letter: shown(message) }.into()),
        }
        sqlx::query("UPDATE outbox SET state = 'waiting', attempts = 0, next_at = $1 WHERE message = $2")
            .bind(now_ms)
            .bind(message)
            .execute(&mut *conn)
            .await?;
        let detail = json!({ "was": found.6 });
        let event = Event {
            actor: &operator.name,
            action: "outbox.retry",
            object: message,
            trace: Some(operator.trace),
            detail,
        };
        audit::append(conn, now_ms, event).await?;
        let now: Listed = sqlx::query_as(ONE).bind(message).fetch_one(conn).await?;
        row(now)
    })
}

fn row(listed: Listed) -> Result<LetterRow, OfficeFault> {
    let (message, kind, recipient, slot, facility, facility_name, state, ..) = &listed;
    let meaning = listed.11.as_deref().and_then(|answer| reply::explain(state, answer));
    let facility: Option<FacilityId> = if facility.is_empty() { None } else { Some(parse(facility)?) };
    Ok(LetterRow {
        message: message.clone(),
        kind: kind.clone(),
        recipient: recipient.clone(),
        slot: if slot.is_empty() { None } else { Some(parse(slot)?) },
        facility,
        facility_name: facility_name.clone(),
        state: state.clone(),
        attempts: u32::try_from(listed.7).unwrap_or(u32::MAX),
        next_at: (state == "waiting").then(|| jst::rfc3339(listed.8)),
        created_at: jst::rfc3339(listed.9),
        sent_at: listed.10.map(jst::rfc3339),
        answer: listed.11,
        meaning_ja: meaning.map(|meaning| meaning.ja.to_owned()),
        meaning_en: meaning.map(|meaning| meaning.en.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_code_of_an_answer_is_kept_for_ever() {
        assert_eq!(code("550 no such user <kanri@sakura.example.jp>"), "550");
        assert_eq!(code("Connection refused"), "");
        assert_eq!(code(""), "");
    }
}
