//! The audit trail: one hash-chained row per decision, written in the transaction of the change (ruling 11).
//! Rows are never changed or deleted; `verify` recomputes the whole chain. Edge: SQL.

use futures_util::TryStreamExt;
use pki::chain::{Hash, Head};
use pki::identity::TraceId;
use serde_json::{Value, json};

use crate::door::Operator;
use crate::store::{Conn, Pool};

/// Rows per answer of `list`: a page of the console, and well below the frame limit of the operator's door.
pub const LIST_MAX: u32 = 1_000;

/// One decision: who did what to which object. `detail` names no secret and no patient.
pub struct Event<'a> {
    pub actor: &'a str,
    pub action: &'a str,
    pub object: &'a str,
    pub trace: Option<TraceId>,
    pub detail: Value,
}

/// One stored row.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub number: u64,
    pub at_ms: i64,
    pub actor: String,
    pub action: String,
    pub object: String,
    pub trace: Option<TraceId>,
    pub detail: Value,
    pub hash: String,
}

#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("MM-5004 the audit trail was changed: entry {number} does not follow from what stands before it")]
    Broken { number: u64 },
    #[error("MM-5005 the audit trail cannot be read: {0}")]
    Database(#[from] sqlx::Error),
}

/// What an operator did; the commonest event.
pub async fn by(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    action: &str,
    object: &str,
    detail: Value,
) -> Result<Head, sqlx::Error> {
    let trace = Some(operator.trace);
    append(conn, now, Event { actor: &operator.name, action, object, trace, detail }).await
}

/// Appends one row to the chain.
pub async fn append(conn: &mut Conn, now_ms: i64, event: Event<'_>) -> Result<Head, sqlx::Error> {
    let head = head(conn).await?;
    let trace = event.trace.map(|trace| trace.to_string());
    let body = json!({
        "at": now_ms, "actor": event.actor, "action": event.action, "object": event.object,
        "trace": trace, "detail": event.detail,
    })
    .to_string();
    let next = head.then(body.as_bytes());
    sqlx::query(
        "INSERT INTO audit (number, at, actor, action, object, trace, body, hash)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(signed(next.entries))
    .bind(now_ms)
    .bind(event.actor)
    .bind(event.action)
    .bind(event.object)
    .bind(trace)
    .bind(body)
    .bind(next.hash.to_string())
    .execute(conn)
    .await?;
    Ok(next)
}

/// How many rows there are, and the hash of the last.
pub async fn head(conn: &mut Conn) -> Result<Head, sqlx::Error> {
    let last: Option<(i64, String)> =
        sqlx::query_as("SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1")
            .fetch_optional(conn)
            .await?;
    match last {
        None => Ok(Head::EMPTY),
        Some((number, hash)) => Ok(Head {
            entries: number.unsigned_abs(),
            hash: hash.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))?,
        }),
    }
}

/// Rows after number `after`, oldest first; only those of one trace when it is given.
pub async fn list(
    pool: &Pool,
    after: u64,
    limit: u32,
    trace: Option<TraceId>,
) -> Result<Vec<Entry>, AuditError> {
    let rows: Vec<(i64, String, String)> = sqlx::query_as(
        "SELECT number, body, hash FROM audit
         WHERE number > $1 AND ($2 = '' OR trace = $2) ORDER BY number LIMIT $3",
    )
    .bind(signed(after))
    .bind(trace.map(|trace| trace.to_string()).unwrap_or_default())
    .bind(i64::from(limit.min(LIST_MAX)))
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(|(number, body, hash)| entry(number.unsigned_abs(), &body, hash)).collect()
}

/// Recomputes the chain from its first row; also finds rows whose columns no longer say what the body says.
pub async fn verify(pool: &Pool) -> Result<Head, AuditError> {
    let mut rows = sqlx::query_as::<_, (i64, i64, String, String, String, Option<String>, String, String)>(
        "SELECT number, at, actor, action, object, trace, body, hash FROM audit ORDER BY number",
    )
    .fetch(pool);
    let mut head = Head::EMPTY;
    while let Some((number, at, actor, action, object, trace, body, hash)) = rows.try_next().await? {
        let broken = || AuditError::Broken { number: head.entries + 1 };
        let next = head.then(body.as_bytes());
        let stored: Hash = hash.parse().map_err(|_| broken())?;
        let said: Value = serde_json::from_str(&body).map_err(|_| broken())?;
        let columns_agree = said["at"] == at
            && said["actor"] == actor
            && said["action"] == action
            && said["object"] == object
            && said["trace"].as_str() == trace.as_deref();
        if number.unsigned_abs() != next.entries || stored != next.hash || !columns_agree {
            return Err(broken());
        }
        head = next;
    }
    Ok(head)
}

fn entry(number: u64, body: &str, hash: String) -> Result<Entry, AuditError> {
    let said: Value = serde_json::from_str(body).map_err(|_| AuditError::Broken { number })?;
    let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
    Ok(Entry {
        number,
        at_ms: said["at"].as_i64().unwrap_or_default(),
        actor: text("actor"),
        action: text("action"),
        object: text("object"),
        trace: said["trace"].as_str().and_then(|trace| trace.parse().ok()),
        detail: said["detail"].clone(),
        hash,
    })
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::stores;
    use crate::store::{Store, transaction};

    /// Three entries, once per engine.
    async fn trails() -> [(Store, Box<dyn std::any::Any>); 2] {
        let stores = stores().await;
        for (store, _) in &stores {
            for (action, object) in
                [("case.accept", "2026-00001"), ("slot.allot", "18-0001"), ("device.revoke", "18-0001")]
            {
                let written: Result<Head, sqlx::Error> = transaction!(store, conn => {
                    let trace = Some(TraceId::from_random([7; 8]));
                    append(conn, 1_000, Event { actor: "op", action, object, trace, detail: json!({"n": 1}) }).await
                });
                written.unwrap();
            }
        }
        stores
    }

    #[tokio::test]
    async fn an_untouched_trail_verifies_and_lists() {
        for (store, _alive) in trails().await {
            assert_eq!(verify(store.pool()).await.unwrap().entries, 3);
            let after_first = list(store.pool(), 1, 10, None).await.unwrap();
            assert_eq!(after_first.iter().map(|e| e.number).collect::<Vec<_>>(), [2, 3]);
            assert_eq!(list(store.pool(), 0, 10, Some(TraceId::from_random([8; 8]))).await.unwrap(), []);
        }
    }

    /// The attacker has the file: whatever is changed, one row is named.
    #[tokio::test]
    async fn a_changed_column_a_changed_body_and_a_missing_row_are_found() {
        for (attack, at) in [
            ("UPDATE audit SET actor = 'someone' WHERE number = 2", 2),
            ("UPDATE audit SET body = '{}' WHERE number = 3", 3),
            ("DELETE FROM audit WHERE number = 1", 1),
        ] {
            for (store, _alive) in trails().await {
                sqlx::query(attack).execute(store.pool()).await.unwrap();
                let found = verify(store.pool()).await;
                assert!(
                    matches!(found, Err(AuditError::Broken { number }) if number == at),
                    "{attack}: {found:?}"
                );
            }
        }
    }
}
