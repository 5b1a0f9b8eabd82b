//! How a facility's connection reaches it, chosen by a clerk: before the acceptance on its case, afterwards on the
//! facility, as long as nothing has gone out (D-00). Letters that wait go the new way. Edge: SQL.

use pki::identity::FacilityId;
use serde_json::json;

use crate::audit;
use crate::case::CaseState;
use crate::case_rows;
use crate::channel::{self, Gone};
use crate::door::Operator;
use crate::door_post::{Channel, DeliveryChange};
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::store::{Conn, Store, transaction};

/// Whose way.
#[derive(Clone, Copy)]
pub enum Whose<'a> {
    Case(&'a str),
    Facility(&'a FacilityId),
}

/// Chooses it; the caller rings the outbox's bell.
pub async fn choose(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    whose: Whose<'_>,
    to: Channel,
    dry_run: bool,
) -> Result<DeliveryChange, OfficeFault> {
    if dry_run {
        return chosen(&mut *store.begin().await?, now_ms, operator, whose, to, dry_run).await;
    }
    transaction!(store, conn => chosen(conn, now_ms, operator, whose, to, dry_run).await)
}

async fn chosen(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    whose: Whose<'_>,
    to: Channel,
    dry_run: bool,
) -> Result<DeliveryChange, OfficeFault> {
    let case = match whose {
        Whose::Facility(facility) => {
            return of_registered(conn, now_ms, operator, facility.as_str(), to, dry_run).await;
        }
        Whose::Case(case) => case_rows::find(conn, case).await?,
    };
    if let Some(facility) = &case.facility {
        return of_registered(conn, now_ms, operator, facility, to, dry_run).await;
    }
    if case.state != CaseState::Received {
        return Err(Message::CaseNotWaiting { case: case.case, state: case.state.as_str() }.into());
    }
    let from = of_case(conn, &case.case).await?;
    channel::may_change(from, to, Gone::default(), &case.application.admin_address)?;
    sqlx::query("UPDATE office_case SET delivery = $2 WHERE case_id = $1")
        .bind(&case.case)
        .bind(to.as_str())
        .execute(&mut *conn)
        .await?;
    if from != to {
        let detail = json!({ "from": from, "to": to, "rule": "D-00" });
        audit::by(conn, now_ms, operator, "case.delivery", &case.case, detail).await?;
    }
    Ok(DeliveryChange { facility_name: case.application.name, from, to, letters: 0, dry_run })
}

async fn of_registered(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    facility: &str,
    to: Channel,
    dry_run: bool,
) -> Result<DeliveryChange, OfficeFault> {
    let found: Option<(String, String, String)> = sqlx::query_as(
        "SELECT f.name, f.delivery, COALESCE(MIN(a.written), '') FROM facility f
         LEFT JOIN membership m ON m.facility = f.facility AND m.role = 'facility-admin' AND m.state = 'active'
         LEFT JOIN address a ON a.person = m.person AND a.use_as = 'admin'
         WHERE f.facility = $1 AND f.state <> 'ended' GROUP BY f.facility, f.name, f.delivery",
    )
    .bind(facility)
    .fetch_optional(&mut *conn)
    .await?;
    let Some((facility_name, from, address)) = found else {
        return Err(Message::FacilityAbsent { facility: crate::messages::shown(facility) }.into());
    };
    let from = Channel::parse(&from).ok_or(OfficeFault::Row(from))?;
    channel::may_change(from, to, gone(conn, facility).await?, &address)?;
    sqlx::query("UPDATE facility SET delivery = $2 WHERE facility = $1")
        .bind(facility)
        .bind(to.as_str())
        .execute(&mut *conn)
        .await?;
    let letters =
        if from.is_paper() == to.is_paper() { 0 } else { turned(conn, now_ms, facility, to).await? };
    if from != to {
        let detail = json!({ "from": from, "to": to, "letters": letters, "rule": "D-00" });
        audit::by(conn, now_ms, operator, "facility.delivery", facility, detail).await?;
    }
    Ok(DeliveryChange { facility_name, from, to, letters, dry_run })
}

/// What has left of connections that nobody has claimed.
async fn gone(conn: &mut Conn, facility: &str) -> Result<Gone, OfficeFault> {
    let (left, printing): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM outbox o JOIN slot s ON s.slot = o.slot AND s.facility = o.facility
                 WHERE o.facility = $1 AND o.kind IN ('bundle', 'reissue', 'sheet') AND s.state = 'issued'
                   AND o.state IN ('sent', 'bounced', 'returned')),
                (SELECT count(*) FROM post_item WHERE facility = $1 AND state = 'open'
                   AND lane IN ('connection', 'sheet'))",
    )
    .bind(facility)
    .fetch_one(conn)
    .await?;
    Ok(Gone { left: left > 0, printing: printing > 0 })
}

/// Letters that have not left go the other way, from now on.
async fn turned(conn: &mut Conn, now_ms: i64, facility: &str, to: Channel) -> Result<u32, OfficeFault> {
    let done = if to.is_paper() {
        sqlx::query("UPDATE outbox SET state = 'post' WHERE facility = $1 AND state IN ('waiting', 'failed')")
            .bind(facility)
            .execute(conn)
            .await?
    } else {
        sqlx::query(
            "UPDATE outbox SET state = 'waiting', attempts = 0, next_at = $2, last_answer = NULL
             WHERE facility = $1 AND state = 'post' AND payload <> ''
               AND NOT EXISTS (SELECT 1 FROM post_item i WHERE i.held = outbox.message)",
        )
        .bind(facility)
        .bind(now_ms)
        .execute(conn)
        .await?
    };
    Ok(u32::try_from(done.rows_affected()).unwrap_or(u32::MAX))
}

pub async fn of_case(conn: &mut Conn, case: &str) -> Result<Channel, OfficeFault> {
    let text: String = sqlx::query_scalar("SELECT delivery FROM office_case WHERE case_id = $1")
        .bind(case)
        .fetch_one(conn)
        .await?;
    Channel::parse(&text).ok_or(OfficeFault::Row(text))
}

/// Of a registered facility.
pub async fn of_facility(conn: &mut Conn, facility: &str) -> Result<Channel, OfficeFault> {
    let text: String = sqlx::query_scalar("SELECT delivery FROM facility WHERE facility = $1")
        .bind(facility)
        .fetch_one(conn)
        .await?;
    Channel::parse(&text).ok_or(OfficeFault::Row(text))
}
