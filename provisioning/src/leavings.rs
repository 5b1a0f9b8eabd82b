//! Whoever has left is taken out of every team at the SNS: a row in the transaction of the end, then the question until
//! it is answered (H-14). An account that nobody uses any more loses login, address and password after its waiting time;
//! the name stays beside what was written (P-33). Ends when the room stops; the rows know where to go on. Edge: SQL, tokio.

use std::sync::Arc;
use std::time::Duration;

use pki::identity::{FacilityId, MembershipId, PersonId, TraceId};
use serde_json::json;

use crate::audit::{self, Event};
use crate::fault::{Fault, parse};
use crate::leaving::Leaving;
use crate::receipt::backoff_ms;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::world;

/// The SNS answers within this, or is asked again.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Between two looks when nothing is known to be due: erasing waits for days anyway.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// After a failure of the registry itself.
const REGISTRY_WAIT: Duration = Duration::from_secs(5);
/// Taken at once: bounds a round.
const BATCH_MAX: i64 = 100;
/// Longest error that is kept.
const ERROR_MAX: usize = 200;

/// In the transaction of the end. A membership that ends once more (C-9) is asked about once more.
pub(crate) async fn note(
    conn: &mut Conn,
    now: i64,
    (membership, person, facility): (&MembershipId, &PersonId, &FacilityId),
    why: Leaving,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO leaving (membership, person, facility, why, at, next_at) VALUES ($1, $2, $3, $4, $5, $5)
         ON CONFLICT (membership) DO UPDATE
         SET why = excluded.why, at = excluded.at, next_at = excluded.next_at, attempts = 0, removed_at = NULL",
    )
    .bind(membership.as_str())
    .bind(person.as_str())
    .bind(facility.as_str())
    .bind(why.as_str())
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The worker.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let pause = match round(&shared).await {
            Ok(pause) => pause,
            Err(fault) => {
                log::warn!("who has left waits: {fault}");
                REGISTRY_WAIT
            }
        };
        tokio::select! {
            () = shared.stopped() => return,
            () = shared.bells.leavings.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

/// Everything that is due once; how long until the next is.
async fn round(shared: &Shared) -> Result<Duration, Fault> {
    let now = world::now_ms();
    take_in(shared, now).await?;
    for (membership, attempts) in due(shared, now).await? {
        ask(shared, &membership, attempts).await?;
    }
    erase(shared, now).await?;
    let next: Option<i64> = sqlx::query_scalar("SELECT MIN(next_at) FROM leaving WHERE removed_at IS NULL")
        .fetch_one(shared.store.pool())
        .await?;
    let wait = next.map(|at| u64::try_from(at.saturating_sub(world::now_ms())).unwrap_or(0));
    Ok(wait.map_or(LOOK_EVERY, |ms| Duration::from_millis(ms).min(LOOK_EVERY)))
}

/// What ended in another way (a facility removed, a relative gone, an earlier version) leaves its teams, too.
async fn take_in(shared: &Shared, now: i64) -> Result<(), Fault> {
    let missing: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM membership m WHERE m.state = 'ended'
         AND NOT EXISTS (SELECT 1 FROM leaving l WHERE l.membership = m.membership)",
    )
    .fetch_one(shared.store.pool())
    .await?;
    if missing == 0 {
        return Ok(());
    }
    transaction!(shared.store, conn => {
        sqlx::query(
            "INSERT INTO leaving (membership, person, facility, why, at, next_at)
             SELECT m.membership, m.person, m.facility, 'moved', $1, $1 FROM membership m WHERE m.state = 'ended'
             AND NOT EXISTS (SELECT 1 FROM leaving l WHERE l.membership = m.membership)",
        )
        .bind(now)
        .execute(conn)
        .await?;
        Ok::<_, Fault>(())
    })
}

async fn due(shared: &Shared, now: i64) -> Result<Vec<(MembershipId, u32)>, Fault> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT membership, attempts FROM leaving WHERE removed_at IS NULL AND next_at <= $1
         ORDER BY next_at, membership LIMIT $2",
    )
    .bind(now)
    .bind(BATCH_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let attempts = |attempts: i64| u32::try_from(attempts).unwrap_or(u32::MAX);
    rows.into_iter().map(|(membership, tried)| Ok((parse(&membership)?, attempts(tried)))).collect()
}

async fn ask(shared: &Shared, membership: &MembershipId, attempts: u32) -> Result<(), Fault> {
    let asked = tokio::time::timeout(ANSWER_WAIT, shared.needs.teams.leave(membership.clone())).await;
    let outcome = match asked {
        Ok(Ok(Ok(teams))) => Ok(teams),
        Ok(Ok(Err(refused))) => Err(format!("{} {}", refused.code, refused.en)),
        Ok(Err(unmet)) => Err(unmet.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    let now = world::now_ms();
    let next_at =
        now.saturating_add(i64::try_from(backoff_ms(attempts.saturating_add(1))).unwrap_or(i64::MAX));
    transaction!(shared.store, conn => {
        match &outcome {
            Ok(teams) => {
                sqlx::query("UPDATE leaving SET removed_at = $2, teams = $3, last_error = NULL WHERE membership = $1")
                    .bind(membership.as_str())
                    .bind(now)
                    .bind(i64::from(*teams))
                    .execute(conn)
                    .await?;
            }
            Err(why) => {
                sqlx::query(
                    "UPDATE leaving SET attempts = attempts + 1, next_at = $2, last_error = $3 WHERE membership = $1",
                )
                .bind(membership.as_str())
                .bind(next_at)
                .bind(why.chars().take(ERROR_MAX).collect::<String>())
                .execute(conn)
                .await?;
            }
        }
        Ok::<_, Fault>(())
    })
}

/// Accounts of users only: an admin's address belongs to its facility's papers.
async fn erase(shared: &Shared, now: i64) -> Result<(), Fault> {
    let people: Vec<String> = sqlx::query_scalar(
        "SELECT p.person FROM person p
         WHERE p.state <> 'deleted' AND EXISTS (SELECT 1 FROM leaving l WHERE l.person = p.person)
           AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.person = p.person
                           AND (m.state <> 'ended' OR m.role NOT IN ('staff', 'family')))
           AND NOT EXISTS (SELECT 1 FROM leaving l WHERE l.person = p.person
                           AND (l.removed_at IS NULL OR l.at > CASE WHEN l.why = 'left' THEN $1 ELSE $2 END))
         ORDER BY p.person LIMIT $3",
    )
    .bind(Leaving::Left.forgotten_before(now))
    .bind(Leaving::Moved.forgotten_before(now))
    .bind(BATCH_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    if people.is_empty() {
        return Ok(());
    }
    let trace = TraceId::from_random(*world::random()?);
    for person in &people {
        transaction!(shared.store, conn => erase_one(conn, now, person, trace).await)?;
    }
    shared.store.forget().await?;
    Ok(())
}

/// Asked once more inside the transaction: whoever was registered again meanwhile keeps the account.
async fn erase_one(conn: &mut Conn, now: i64, person: &str, trace: TraceId) -> Result<(), Fault> {
    let erased = sqlx::query(
        "UPDATE person SET login = $2, kana = '', password_hash = NULL, state = 'deleted', erased_at = $3
         WHERE person = $1 AND state <> 'deleted'
           AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.person = $1 AND m.state <> 'ended')",
    )
    .bind(person)
    .bind(format!("erased-{person}"))
    .bind(now)
    .execute(&mut *conn)
    .await?;
    if erased.rows_affected() == 0 {
        return Ok(());
    }
    sqlx::query("DELETE FROM address WHERE person = $1").bind(person).execute(&mut *conn).await?;
    sqlx::query("DELETE FROM passkey WHERE person = $1").bind(person).execute(&mut *conn).await?;
    let event = Event {
        actor: "room",
        action: "person.erase",
        object: person,
        trace: Some(trace),
        detail: json!({ "rule": "P-33" }),
    };
    audit::append(conn, now, event).await?;
    Ok(())
}
