//! Requests for more devices as rows (G-07): asked by an admin, decided by the secretariat; an approval raises the
//! facility's quota in the transaction of its decision. Edge: SQL, randomness.

use data_encoding::BASE32_NOPAD;
use pki::identity::{FacilityId, Identity, TraceId};
use serde_json::json;

use crate::audit::{self, Event};
use crate::door::Operator;
use crate::door_more::{MoreAnswer, MoreDecided, MoreLine, MoreQuestion};
use crate::fault::{Fault, parse};
use crate::messages_people::PeopleMessage;
use crate::more::{self, Standing};
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::{jst, second_device, world};

/// Decided ones that a list still shows.
const LISTED_MAX: i64 = 200;

/// Who decides: somebody at the console, or an operator.
pub struct Judge<'a> {
    pub name: &'a str,
    pub trace: Option<TraceId>,
}

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: MoreQuestion,
) -> Result<MoreAnswer, Fault> {
    match question {
        MoreQuestion::List { facility, waiting } => {
            list(shared, facility.as_ref(), waiting).await.map(MoreAnswer::Lines)
        }
        MoreQuestion::Decide { request, approved, dry_run } => {
            let judge = Judge { name: &operator.name, trace: Some(operator.trace) };
            decide(shared, &judge, &request, approved, dry_run).await.map(MoreAnswer::Decided)
        }
    }
}

/// Asks for more. One request of a facility waits at a time; a second press of the button is told so.
pub async fn ask(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    wanted: &str,
    reason: &str,
) -> Result<(), Fault> {
    let request =
        format!("m-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        let (held, quota) = second_device::held(conn, &actor.facility).await?;
        let unused = second_device::unused(conn, &actor.facility).await?;
        let asking = more::ask(wanted, reason, quota.saturating_sub(held).saturating_add(unused))?;
        if waiting(conn, &actor.facility).await? {
            return Err(PeopleMessage::MoreWaiting.into());
        }
        sqlx::query(
            "INSERT INTO device_request (request, facility, wanted, reason, asked_by, asked_at, state)
             VALUES ($1, $2, $3, $4, $5, $6, 'waiting')",
        )
        .bind(&request)
        .bind(actor.facility.as_str())
        .bind(i64::from(asking.wanted))
        .bind(&asking.reason)
        .bind(actor.person.as_str())
        .bind(now)
        .execute(&mut *conn)
        .await?;
        let detail = json!({ "facility": actor.facility, "wanted": asking.wanted, "held": held, "rule": "G-07" });
        let event = Event { actor: actor.person.as_str(), action: "device.ask", object: &request, trace, detail };
        audit::append(conn, now, event).await?;
        Ok::<_, Fault>(())
    })
}

/// The secretariat's word. An approval counts from now; the admin adds the devices.
pub async fn decide(
    shared: &Shared,
    judge: &Judge<'_>,
    request: &str,
    approved: bool,
    dry_run: bool,
) -> Result<MoreDecided, Fault> {
    let decided = if dry_run {
        decide_in(&mut *shared.store.begin().await?, judge, request, approved).await?
    } else {
        transaction!(shared.store, conn => decide_in(conn, judge, request, approved).await)?
    };
    Ok(MoreDecided { dry_run, ..decided })
}

async fn decide_in(
    conn: &mut Conn,
    judge: &Judge<'_>,
    request: &str,
    approved: bool,
) -> Result<MoreDecided, Fault> {
    let row: Option<(String, String, i64, String)> = sqlx::query_as(
        "SELECT r.facility, f.name, r.wanted, r.state
         FROM device_request r JOIN facility f ON f.facility = r.facility WHERE r.request = $1",
    )
    .bind(request)
    .fetch_optional(&mut *conn)
    .await?;
    let (facility, facility_name, wanted, state) = row.ok_or(PeopleMessage::MoreUnknown)?;
    let standing = Standing::parse(&state).ok_or(Fault::Row(state))?.decide(approved)?;
    let now = world::now_ms();
    // Whoever comes second finds nothing that waits, on either engine: no request raises a quota twice.
    let changed = sqlx::query(
        "UPDATE device_request SET state = $2, decided_by = $3, decided_at = $4
         WHERE request = $1 AND state = 'waiting'",
    )
    .bind(request)
    .bind(standing.as_str())
    .bind(judge.name)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    if changed.rows_affected() != 1 {
        return Err(PeopleMessage::MoreDecided.into());
    }
    if standing == Standing::Approved {
        sqlx::query("UPDATE facility SET device_quota = device_quota + $2 WHERE facility = $1")
            .bind(&facility)
            .bind(wanted)
            .execute(&mut *conn)
            .await?;
    }
    let facility: FacilityId = parse(&facility)?;
    let (_, quota) = second_device::held(conn, &facility).await?;
    let detail = json!({
        "facility": facility, "wanted": wanted, "decision": standing.as_str(), "quota": quota, "rule": "G-07",
    });
    let (actor, trace) = (judge.name, judge.trace);
    let event = Event { actor, action: "device.decide", object: request, trace, detail };
    audit::append(conn, now, event).await?;
    Ok(MoreDecided {
        request: request.to_owned(),
        facility,
        facility_name,
        wanted: count(wanted),
        standing: standing.as_str().to_owned(),
        quota,
        dry_run: false,
    })
}

type Stored = (String, String, String, i64, String, String, i64, Option<i64>, String, i64, i64);

/// What waits first, then the newest; of one facility or of all.
pub async fn list(
    shared: &Shared,
    facility: Option<&FacilityId>,
    waiting: bool,
) -> Result<Vec<MoreLine>, Fault> {
    let stored: Vec<Stored> = sqlx::query_as(
        "SELECT r.request, r.facility, f.name, r.wanted, r.reason, p.name, r.asked_at, r.decided_at, r.state,
             (SELECT COUNT(*) FROM slot s
              WHERE s.facility = r.facility AND s.state NOT IN ('free', 'cooling', 'revoked')),
             f.device_quota
         FROM device_request r
         JOIN facility f ON f.facility = r.facility
         JOIN person p ON p.person = r.asked_by
         WHERE ($1 = '' OR r.facility = $1) AND ($2 = 0 OR r.state = 'waiting')
         ORDER BY CASE WHEN r.state = 'waiting' THEN 0 ELSE 1 END, r.asked_at DESC, r.request LIMIT $3",
    )
    .bind(facility.map_or("", FacilityId::as_str).to_owned())
    .bind(i64::from(waiting))
    .bind(LISTED_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    stored.into_iter().map(line).collect()
}

fn line(stored: Stored) -> Result<MoreLine, Fault> {
    let (
        request,
        facility,
        facility_name,
        wanted,
        reason,
        admin_name,
        asked_at,
        decided_at,
        state,
        held,
        quota,
    ) = stored;
    let standing = Standing::parse(&state).ok_or(Fault::Row(state))?;
    Ok(MoreLine {
        request,
        facility: parse(&facility)?,
        facility_name,
        wanted: count(wanted),
        reason,
        admin_name,
        asked_at: jst::rfc3339(asked_at),
        decided_at: decided_at.map(jst::rfc3339),
        standing: standing.as_str().to_owned(),
        held: count(held),
        quota: count(quota),
    })
}

/// The tables keep them small and never below zero.
fn count(stored: i64) -> u32 {
    u32::try_from(stored).unwrap_or_default()
}

async fn waiting(conn: &mut Conn, facility: &FacilityId) -> Result<bool, Fault> {
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM device_request WHERE facility = $1 AND state = 'waiting'")
            .bind(facility.as_str())
            .fetch_one(conn)
            .await?;
    Ok(waiting > 0)
}
