//! The rows of the flows' cases: state, events, letters. What they mean is decided in `flow`. Edge: SQL.

use std::collections::BTreeMap;

use pki::identity::{FacilityId, MembershipId, PatientId};

use crate::door_flow::FlowLetter;
use crate::flow::{Event, State};
use crate::jst;
use crate::messages::{Message, shown};
use crate::office_fault::{OfficeFault, parse};
use crate::store::{Conn, next};

pub struct FlowCase {
    pub case: String,
    pub facility: Option<FacilityId>,
    pub facility_name: String,
    pub patient: Option<PatientId>,
    pub membership: Option<MembershipId>,
    pub changes: BTreeMap<String, String>,
    pub state: State,
    pub received_at: i64,
}

#[derive(sqlx::FromRow)]
struct Stored {
    case_id: String,
    facility: Option<String>,
    facility_name: Option<String>,
    patient: Option<String>,
    membership: Option<String>,
    changes: String,
    state: String,
    received_at: i64,
}

/// A new case; its number is of the one series of all cases of a year.
pub async fn insert(
    conn: &mut Conn,
    now_ms: i64,
    state: &State,
    facility: Option<&FacilityId>,
    patient: Option<&PatientId>,
    membership: Option<&MembershipId>,
) -> Result<String, OfficeFault> {
    let year = jst::year(now_ms);
    let case = format!("{year}-{:05}", next(conn, &format!("case {year}")).await?);
    sqlx::query(
        "INSERT INTO flow_case (case_id, flow, phase, facility, patient, membership, state, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(&case)
    .bind(state.flow.id())
    .bind(state.phase.as_str())
    .bind(facility.map(FacilityId::as_str))
    .bind(patient.map(PatientId::as_str))
    .bind(membership.map(MembershipId::as_str))
    .bind(json(state)?)
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(case)
}

const ONE: &str =
    "SELECT c.case_id, c.facility, f.name AS facility_name, c.patient, c.membership, c.changes, c.state, c.received_at
     FROM flow_case c LEFT JOIN facility f ON f.facility = c.facility WHERE c.case_id = $1";
const OPEN_FIRST: &str =
    "SELECT c.case_id, c.facility, f.name AS facility_name, c.patient, c.membership, c.changes, c.state, c.received_at
     FROM flow_case c LEFT JOIN facility f ON f.facility = c.facility
     ORDER BY CASE WHEN c.phase IN ('done', 'withdrawn') THEN 1 ELSE 0 END, c.case_id DESC LIMIT $1";

pub async fn find(conn: &mut Conn, case: &str) -> Result<FlowCase, OfficeFault> {
    let row: Option<Stored> = sqlx::query_as(ONE).bind(case).fetch_optional(conn).await?;
    read(row.ok_or_else(|| Message::CaseUnknown { case: shown(case) })?)
}

/// What is open first, then the newest.
pub async fn all(conn: &mut Conn, limit: i64) -> Result<Vec<FlowCase>, OfficeFault> {
    let rows: Vec<Stored> = sqlx::query_as(OPEN_FIRST).bind(limit).fetch_all(conn).await?;
    rows.into_iter().map(read).collect()
}

/// The new state with the event that led to it.
pub async fn advance(
    conn: &mut Conn,
    now_ms: i64,
    case: &str,
    state: &State,
    event: &Event,
    operator: &str,
) -> Result<(), OfficeFault> {
    sqlx::query("UPDATE flow_case SET state = $2, phase = $3 WHERE case_id = $1")
        .bind(case)
        .bind(json(state)?)
        .bind(state.phase.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO flow_event (case_id, number, at, operator, event)
         SELECT $1, COALESCE(MAX(number), 0) + 1, $2, $3, $4 FROM flow_event WHERE case_id = $1",
    )
    .bind(case)
    .bind(now_ms)
    .bind(operator)
    .bind(json(event)?)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn change(
    conn: &mut Conn,
    case: &str,
    changes: &BTreeMap<String, String>,
) -> Result<(), OfficeFault> {
    sqlx::query("UPDATE flow_case SET changes = $2 WHERE case_id = $1")
        .bind(case)
        .bind(json(changes)?)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn attach(conn: &mut Conn, case: &str, facility: &FacilityId) -> Result<(), OfficeFault> {
    sqlx::query("UPDATE flow_case SET facility = $2 WHERE case_id = $1")
        .bind(case)
        .bind(facility.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// A patient who is registered, and whose team is not closed.
pub async fn attach_patient(conn: &mut Conn, case: &str, patient: &PatientId) -> Result<(), OfficeFault> {
    let known: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM patient WHERE patient = $1 AND state = 'open'")
            .bind(patient.as_str())
            .fetch_optional(&mut *conn)
            .await?;
    if known.is_none() {
        return Err(Message::CasePatientMissing { case: case.to_owned() }.into());
    }
    sqlx::query("UPDATE flow_case SET patient = $2 WHERE case_id = $1")
        .bind(case)
        .bind(patient.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn sent(conn: &mut Conn, case: &str, step: &str, message: &str) -> Result<(), OfficeFault> {
    sqlx::query(
        "INSERT INTO flow_letter (case_id, step, message) VALUES ($1, $2, $3)
         ON CONFLICT (case_id, message) DO NOTHING",
    )
    .bind(case)
    .bind(step)
    .bind(message)
    .execute(conn)
    .await?;
    Ok(())
}

/// Who leaves by a case (C-9); empty when nobody does.
pub async fn leaver(conn: &mut Conn, membership: Option<&MembershipId>) -> Result<String, OfficeFault> {
    let Some(membership) = membership else { return Ok(String::new()) };
    let found: Option<(String, String)> = sqlx::query_as(
        "SELECT p.name, f.name FROM membership m JOIN person p ON p.person = m.person
         JOIN facility f ON f.facility = m.facility WHERE m.membership = $1",
    )
    .bind(membership.as_str())
    .fetch_optional(conn)
    .await?;
    Ok(found.map(|(name, facility)| format!("{name}（{facility}）")).unwrap_or_default())
}

/// D-01: the mails actually sent, and what the mail server said.
pub async fn letters(conn: &mut Conn, case: &str) -> Result<Vec<FlowLetter>, OfficeFault> {
    let rows: Vec<(String, String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT l.step, l.message, o.recipient, o.state, o.last_answer
         FROM flow_letter l JOIN outbox o ON o.message = l.message WHERE l.case_id = $1 ORDER BY o.created_at, l.message",
    )
    .bind(case)
    .fetch_all(conn)
    .await?;
    let letter =
        |(step, message, recipient, state, answer)| FlowLetter { step, message, recipient, state, answer };
    Ok(rows.into_iter().map(letter).collect())
}

fn read(row: Stored) -> Result<FlowCase, OfficeFault> {
    let wrong = |_| OfficeFault::Row(row.case_id.clone());
    Ok(FlowCase {
        state: serde_json::from_str(&row.state).map_err(wrong)?,
        changes: serde_json::from_str(&row.changes).map_err(wrong)?,
        facility: row.facility.as_deref().map(parse).transpose()?,
        facility_name: row.facility_name.clone().unwrap_or_default(),
        patient: row.patient.as_deref().map(parse).transpose()?,
        membership: row.membership.as_deref().map(parse).transpose()?,
        received_at: row.received_at,
        case: row.case_id,
    })
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, OfficeFault> {
    serde_json::to_string(value).map_err(|error| OfficeFault::Row(error.to_string()))
}
