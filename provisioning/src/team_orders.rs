//! The orders that cases give to the SNS: a row in the transaction of the step, then the question until it is
//! answered, one after another for each patient. Ends when the room stops; the rows know where to go on.
//! Edge: SQL, tokio.

use std::sync::Arc;
use std::time::Duration;

use pki::identity::FacilityId;
use serde_json::json;

use crate::audit::{self, Event};
use crate::door_flow::FlowOrder;
use crate::fault::{Fault, parse};
use crate::jst;
use crate::need::{NeedUnmet, TeamOutcome};
use crate::office_fault::OfficeFault;
use crate::receipt::backoff_ms;
use crate::shared::Shared;
use crate::store::{Conn, next, transaction};
use crate::team_order::{TeamOrder, is_final};
use crate::world;

/// The SNS answers within this, or is asked again. Leaving thousands of teams takes its time.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Between two looks when nothing is known to be due.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// After a failure of the registry itself.
const REGISTRY_WAIT: Duration = Duration::from_secs(5);
/// Taken at once: bounds a round.
const BATCH_MAX: i64 = 100;
/// Longest error that is kept.
const ERROR_MAX: usize = 200;
/// Orders that a case shows; it gives a handful.
const SHOWN_MAX: i64 = 100;

/// In the transaction of the step. `told` are the facilities that were linked before.
pub async fn give(
    conn: &mut Conn,
    now: i64,
    (case, step): (&str, &str),
    order: &TeamOrder,
    told: &[FacilityId],
) -> Result<(), sqlx::Error> {
    let number = next(conn, "team-order").await?;
    let told: Vec<&str> = told.iter().map(FacilityId::as_str).collect();
    sqlx::query(
        "INSERT INTO team_order (number, case_id, step, act, patient, facility, told, at, next_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(number)
    .bind(case)
    .bind(step)
    .bind(order.act())
    .bind(order.patient().map(|patient| patient.as_str()))
    .bind(order.facility().map(FacilityId::as_str))
    .bind(told.join(" "))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whom the case's 紐づけ停止 left without the patient; `None` when it gave no such order.
pub async fn stopped(conn: &mut Conn, case: &str) -> Result<Option<Vec<FacilityId>>, OfficeFault> {
    let told: Option<String> =
        sqlx::query_scalar("SELECT told FROM team_order WHERE case_id = $1 AND act = 'stop' ORDER BY number")
            .bind(case)
            .fetch_optional(conn)
            .await?;
    let read = |told: String| told.split_whitespace().map(crate::office_fault::parse).collect();
    told.map(read).transpose()
}

/// For the case's page.
pub async fn of_case(conn: &mut Conn, case: &str) -> Result<Vec<FlowOrder>, Fault> {
    type Row = (String, String, Option<String>, Option<String>, Option<i64>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT step, act, patient, facility, done_at, last_error FROM team_order WHERE case_id = $1
         ORDER BY number LIMIT $2",
    )
    .bind(case)
    .bind(SHOWN_MAX)
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(step, act, patient, facility, done_at, problem)| {
            let order = read(&act, patient.as_deref(), facility.as_deref())?;
            Ok(FlowOrder { step, what_ja: order.ja().to_owned(), done: done_at.map(jst::rfc3339), problem })
        })
        .collect()
}

fn read(act: &str, patient: Option<&str>, facility: Option<&str>) -> Result<TeamOrder, Fault> {
    let (patient, facility) = (patient.map(parse).transpose()?, facility.map(parse).transpose()?);
    TeamOrder::read(act, patient, facility).ok_or_else(|| Fault::Row(format!("team_order {act}")))
}

/// The worker.
pub async fn run(shared: Arc<Shared>) {
    loop {
        let pause = match round(&shared).await {
            Ok(pause) => pause,
            Err(fault) => {
                log::warn!("orders to the SNS wait: {fault}");
                REGISTRY_WAIT
            }
        };
        tokio::select! {
            () = shared.stopped() => return,
            () = shared.bells.orders.notified() => {}
            () = tokio::time::sleep(pause) => {}
        }
    }
}

struct Due {
    number: i64,
    case: String,
    order: TeamOrder,
    attempts: u32,
}

/// Everything that is due, until a look finds nothing; how long until the next is.
async fn round(shared: &Shared) -> Result<Duration, Fault> {
    loop {
        let due = due(shared, world::now_ms()).await?;
        if due.is_empty() {
            break;
        }
        for one in due {
            carry_out(shared, one).await?;
        }
    }
    let next: Option<i64> = sqlx::query_scalar("SELECT MIN(next_at) FROM team_order WHERE done_at IS NULL")
        .fetch_one(shared.store.pool())
        .await?;
    let wait = next.map(|at| u64::try_from(at.saturating_sub(world::now_ms())).unwrap_or(0));
    // What waits for an earlier order is looked at when that one is.
    let wait = wait.map_or(LOOK_EVERY, |ms| Duration::from_millis(ms).min(LOOK_EVERY));
    Ok(wait.max(Duration::from_millis(100)))
}

/// Of each patient the oldest alone.
async fn due(shared: &Shared, now: i64) -> Result<Vec<Due>, Fault> {
    type Row = (i64, String, String, Option<String>, Option<String>, i64);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT number, case_id, act, patient, facility, attempts FROM team_order o
         WHERE done_at IS NULL AND next_at <= $1 AND NOT EXISTS
           (SELECT 1 FROM team_order e WHERE e.done_at IS NULL AND e.patient = o.patient AND e.number < o.number)
         ORDER BY number LIMIT $2",
    )
    .bind(now)
    .bind(BATCH_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter()
        .map(|(number, case, act, patient, facility, attempts)| {
            let order = read(&act, patient.as_deref(), facility.as_deref())?;
            Ok(Due { number, case, order, attempts: u32::try_from(attempts).unwrap_or(u32::MAX) })
        })
        .collect()
}

async fn carry_out(shared: &Shared, due: Due) -> Result<(), Fault> {
    let asked = tokio::time::timeout(ANSWER_WAIT, ask(shared, &due.order)).await;
    let (is_done, problem) = match asked {
        Ok(Ok(Ok(()))) => (true, None),
        Ok(Ok(Err(refused))) => (is_final(&refused.code), Some(format!("{} {}", refused.code, refused.ja))),
        Ok(Err(fault)) => (false, Some(fault.to_string())),
        Err(_) => (false, Some("no answer in time".to_owned())),
    };
    let problem: Option<String> = problem.map(|why| why.chars().take(ERROR_MAX).collect());
    let now = world::now_ms();
    let pause = i64::try_from(backoff_ms(due.attempts.saturating_add(1))).unwrap_or(i64::MAX);
    transaction!(shared.store, conn => {
        sqlx::query(
            "UPDATE team_order SET attempts = attempts + 1, next_at = $2, done_at = $3, last_error = $4
             WHERE number = $1",
        )
        .bind(due.number)
        .bind(now.saturating_add(pause))
        .bind(is_done.then_some(now))
        .bind(&problem)
        .execute(&mut *conn)
        .await?;
        if is_done {
            let detail = json!({ "act": due.order.act(), "problem": problem });
            let event = Event { actor: "system", action: "case.team", object: &due.case, trace: None, detail };
            audit::append(conn, now, event).await?;
        }
        Ok::<_, Fault>(())
    })
}

async fn ask(shared: &Shared, order: &TeamOrder) -> Result<TeamOutcome<()>, Fault> {
    let unmet = |unmet: NeedUnmet| Fault::Neighbour(unmet.to_string());
    let teams = &shared.needs.teams;
    Ok(match order.clone() {
        TeamOrder::Link { patient, facility } => {
            let name: String = sqlx::query_scalar("SELECT name FROM facility WHERE facility = $1")
                .bind(facility.as_str())
                .fetch_one(shared.store.pool())
                .await?;
            teams.link(patient, facility, name).await.map_err(unmet)?
        }
        TeamOrder::Unlink { patient, facility } => {
            teams.unlink(patient, facility).await.map_err(unmet)?.map(drop)
        }
        TeamOrder::Stop { patient } => teams.stop(patient).await.map_err(unmet)?.map(drop),
        TeamOrder::Close { patient } => teams.close(patient).await.map_err(unmet)?,
        TeamOrder::Erase { patient } => shared.needs.keys.erase(patient).await.map_err(unmet)?,
    })
}
