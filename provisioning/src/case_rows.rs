//! The rows of `office_case` and `case_step`: what `case` decides is written here, inside the caller's
//! transaction. Edge: SQL.

use pki::identity::FacilityId;

use crate::case::{self, CaseEvent, CaseState, FLOW, Step};
use crate::channel;
use crate::dates;
use crate::form1::Application;
use crate::jst;
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::store::{Conn, next};

/// A case with its application.
pub struct Case {
    pub case: String,
    pub state: CaseState,
    pub fingerprint: String,
    pub application: Application,
    pub facility: Option<String>,
}

/// A new case; the day of receipt counts, which may lie before the import (F-07, G-11), and the number counts
/// up within its Japanese year.
pub async fn receive(
    conn: &mut Conn,
    now_ms: i64,
    application: &Application,
    fingerprint: &str,
    operator: &str,
) -> Result<String, OfficeFault> {
    let received_on = application.received_on.as_deref().and_then(dates::begins_ms);
    let received_ms = received_on.map_or(now_ms, |day| day.min(now_ms));
    let year = jst::year(received_ms);
    let case = format!("{year}-{:05}", next(conn, &format!("case {year}")).await?);
    let row = serde_json::to_string(application).map_err(|error| OfficeFault::Row(error.to_string()))?;
    sqlx::query(
        "INSERT INTO office_case
            (case_id, flow, state, facility_code, facility_kind, facility_name, fingerprint, application, received_at,
             delivery)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&case)
    .bind(FLOW)
    .bind(CaseState::Received.as_str())
    .bind(&application.code)
    .bind(&application.kind)
    .bind(&application.name)
    .bind(fingerprint)
    .bind(row)
    .bind(received_ms)
    .bind(channel::by_itself(&application.admin_address).as_str())
    .execute(&mut *conn)
    .await?;
    close_steps(conn, now_ms, &case, &[Step::Receive], operator).await?;
    Ok(case)
}

pub async fn find(conn: &mut Conn, case: &str) -> Result<Case, OfficeFault> {
    let row: Option<Stored> = sqlx::query_as(
        "SELECT case_id, state, fingerprint, application, facility FROM office_case WHERE case_id = $1",
    )
    .bind(case)
    .fetch_optional(conn)
    .await?;
    row.map(read).ok_or_else(|| Message::CaseUnknown { case: crate::messages::shown(case) })?
}

/// All cases, or those in one state, in the order of their numbers.
pub async fn all(conn: &mut Conn, state: Option<CaseState>) -> Result<Vec<Case>, OfficeFault> {
    let rows: Vec<Stored> = sqlx::query_as(
        "SELECT case_id, state, fingerprint, application, facility FROM office_case
         WHERE $1 = '' OR state = $1 ORDER BY case_id",
    )
    .bind(state.map_or("", CaseState::as_str))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(read).collect()
}

/// Moves a case on, and closes the steps that this closes.
pub async fn advance(
    conn: &mut Conn,
    now_ms: i64,
    case: &str,
    event: CaseEvent,
    operator: &str,
) -> Result<CaseState, OfficeFault> {
    let found = find(conn, case).await?;
    let (state, steps) = case::next(found.state, event)?;
    if !steps.is_empty() || state != found.state {
        sqlx::query("UPDATE office_case SET state = $1 WHERE case_id = $2")
            .bind(state.as_str())
            .bind(case)
            .execute(&mut *conn)
            .await?;
        close_steps(conn, now_ms, case, steps, operator).await?;
    }
    Ok(state)
}

/// The same for the start of a facility; the secretariat's own has no case, and nothing happens.
pub async fn advance_of(
    conn: &mut Conn,
    now_ms: i64,
    facility: &FacilityId,
    event: CaseEvent,
    operator: &str,
) -> Result<(), OfficeFault> {
    let case: Option<String> =
        sqlx::query_scalar("SELECT case_id FROM office_case WHERE facility = $1 AND flow = $2")
            .bind(facility.as_str())
            .bind(FLOW)
            .fetch_optional(&mut *conn)
            .await?;
    match case {
        Some(case) => advance(conn, now_ms, &case, event, operator).await.map(|_| ()),
        None => Ok(()),
    }
}

type Stored = (String, String, String, String, Option<String>);

fn read((case, state, fingerprint, application, facility): Stored) -> Result<Case, OfficeFault> {
    let application = serde_json::from_str(&application).map_err(|_| OfficeFault::Row(case.clone()))?;
    let state = CaseState::parse(&state).ok_or(OfficeFault::Row(state))?;
    Ok(Case { case, state, fingerprint, application, facility })
}

async fn close_steps(
    conn: &mut Conn,
    now_ms: i64,
    case: &str,
    steps: &[Step],
    operator: &str,
) -> Result<(), sqlx::Error> {
    for step in steps {
        sqlx::query(
            "INSERT INTO case_step (case_id, step, at, operator) VALUES ($1, $2, $3, $4)
             ON CONFLICT (case_id, step) DO NOTHING",
        )
        .bind(case)
        .bind(step.id())
        .bind(now_ms)
        .bind(operator)
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}
