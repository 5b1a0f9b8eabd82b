//! The tables of teams, linked facilities and members: rows in, rows out. Names are sealed before they come
//! here and opened after they leave. Every function runs in the transaction that is handed in.

use pki::identity::{FacilityId, MembershipId, PatientId, PersonId};

use crate::store::{Conn, StoreError};
use crate::team::{InTeam, Standing};

/// More teams than a person or an office can look at; a list longer than this is cut, not built.
pub const LIST_MAX: i64 = 10_000;

pub struct TeamRow {
    pub patient: PatientId,
    pub name_sealed: String,
    pub kana_sealed: String,
    pub origin: FacilityId,
    pub erased: bool,
    pub closed: bool,
}

pub struct FacilityRow {
    pub facility: FacilityId,
    pub name_sealed: String,
    pub linked_ms: i64,
}

impl FacilityRow {
    /// Where its name is sealed to.
    pub fn row(&self) -> String {
        facility_row(&self.facility, self.linked_ms)
    }
}

pub fn facility_row(facility: &FacilityId, linked_ms: i64) -> String {
    format!("{facility}/{linked_ms}")
}

pub fn member_row(membership: &MembershipId, joined_ms: i64) -> String {
    format!("{membership}/{joined_ms}")
}

/// What `team::decide` needs to know; `None` when there is no such team.
pub async fn standing(
    conn: &mut Conn,
    patient: &PatientId,
    membership: &MembershipId,
) -> Result<Option<Standing>, StoreError> {
    type Row = (String, Option<String>, Option<String>, Option<String>, i64);
    let row: Option<Row> = sqlx::query_as(
        "SELECT t.state, m.person, m.facility, m.role, \
           (SELECT COUNT(*) FROM team_facility f \
             WHERE f.patient = t.patient AND f.facility = m.facility AND f.ended_ms IS NULL) \
         FROM team t LEFT JOIN member m \
           ON m.patient = t.patient AND m.membership = $2 AND m.left_ms IS NULL \
         WHERE t.patient = $1",
    )
    .bind(patient.as_str())
    .bind(membership.as_str())
    .fetch_optional(conn)
    .await?;
    let Some((state, person, facility, role, linked)) = row else { return Ok(None) };
    let member = match (person, facility, role) {
        (Some(person), Some(facility), Some(role)) => Some(InTeam {
            person: person.parse().map_err(|_| StoreError::Broken("member.person"))?,
            facility: facility.parse().map_err(|_| StoreError::Broken("member.facility"))?,
            role: role.parse().map_err(|_| StoreError::Broken("member.role"))?,
        }),
        _ => None,
    };
    let (erased, closed) = ended(&state);
    Ok(Some(Standing { erased, closed, linked: linked > 0, member }))
}

pub async fn team(conn: &mut Conn, patient: &PatientId) -> Result<Option<TeamRow>, StoreError> {
    let row: Option<(String, String, String, String)> =
        sqlx::query_as("SELECT name_sealed, kana_sealed, origin, state FROM team WHERE patient = $1")
            .bind(patient.as_str())
            .fetch_optional(conn)
            .await?;
    let Some((name_sealed, kana_sealed, origin, state)) = row else { return Ok(None) };
    let origin = origin.parse().map_err(|_| StoreError::Broken("team.origin"))?;
    let (erased, closed) = ended(&state);
    Ok(Some(TeamRow { patient: patient.clone(), name_sealed, kana_sealed, origin, erased, closed }))
}

/// False when the team was there already.
pub async fn insert_team(conn: &mut Conn, team: &TeamRow, at_ms: i64) -> Result<bool, StoreError> {
    let done = sqlx::query(
        "INSERT INTO team (patient, name_sealed, kana_sealed, origin, state, opened_ms) \
         VALUES ($1, $2, $3, $4, 'open', $5) ON CONFLICT (patient) DO NOTHING",
    )
    .bind(team.patient.as_str())
    .bind(&team.name_sealed)
    .bind(&team.kana_sealed)
    .bind(team.origin.as_str())
    .bind(at_ms)
    .execute(conn)
    .await?;
    Ok(done.rows_affected() > 0)
}

/// The facilities linked now, in the order in which they came.
pub async fn facilities(conn: &mut Conn, patient: &PatientId) -> Result<Vec<FacilityRow>, StoreError> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT facility, name_sealed, linked_ms FROM team_facility \
         WHERE patient = $1 AND ended_ms IS NULL ORDER BY linked_ms, facility",
    )
    .bind(patient.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(facility, name_sealed, linked_ms)| {
            let facility = facility.parse().map_err(|_| StoreError::Broken("team_facility.facility"))?;
            Ok(FacilityRow { facility, name_sealed, linked_ms })
        })
        .collect()
}

/// When the facility's link began, or a moment that no earlier link of it had.
pub async fn link_moment(
    conn: &mut Conn,
    patient: &PatientId,
    facility: &FacilityId,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let (last, living): (Option<i64>, i64) = sqlx::query_as(
        "SELECT MAX(linked_ms), COUNT(*) - COUNT(ended_ms) FROM team_facility WHERE patient = $1 AND facility = $2",
    )
    .bind(patient.as_str())
    .bind(facility.as_str())
    .fetch_one(conn)
    .await?;
    Ok(moment(last, living, now_ms))
}

pub async fn link(conn: &mut Conn, patient: &PatientId, row: &FacilityRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO team_facility (patient, facility, name_sealed, linked_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (patient, facility, linked_ms) DO UPDATE SET name_sealed = excluded.name_sealed",
    )
    .bind(patient.as_str())
    .bind(row.facility.as_str())
    .bind(&row.name_sealed)
    .bind(row.linked_ms)
    .execute(conn)
    .await?;
    Ok(())
}

/// When the member joined, or a moment that no earlier stay had.
pub async fn join_moment(
    conn: &mut Conn,
    patient: &PatientId,
    membership: &MembershipId,
    now_ms: i64,
) -> Result<i64, StoreError> {
    let (last, living): (Option<i64>, i64) = sqlx::query_as(
        "SELECT MAX(joined_ms), COUNT(*) - COUNT(left_ms) FROM member WHERE patient = $1 AND membership = $2",
    )
    .bind(patient.as_str())
    .bind(membership.as_str())
    .fetch_one(conn)
    .await?;
    Ok(moment(last, living, now_ms))
}

pub struct MemberRow<'a> {
    pub membership: &'a MembershipId,
    pub member: &'a InTeam,
    pub display_sealed: String,
    pub joined_ms: i64,
}

pub async fn add_member(conn: &mut Conn, patient: &PatientId, row: &MemberRow<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO member (patient, membership, person, facility, role, display_sealed, joined_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (patient, membership, joined_ms) DO UPDATE \
         SET person = excluded.person, facility = excluded.facility, role = excluded.role, \
             display_sealed = excluded.display_sealed",
    )
    .bind(patient.as_str())
    .bind(row.membership.as_str())
    .bind(row.member.person.as_str())
    .bind(row.member.facility.as_str())
    .bind(row.member.role.as_str())
    .bind(&row.display_sealed)
    .bind(row.joined_ms)
    .execute(conn)
    .await?;
    Ok(())
}

pub async fn remove_member(
    conn: &mut Conn,
    patient: &PatientId,
    membership: &MembershipId,
    at_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE member SET left_ms = $1 WHERE patient = $2 AND membership = $3 AND left_ms IS NULL")
        .bind(at_ms)
        .bind(patient.as_str())
        .bind(membership.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// A present member's sealed display, and the row it is sealed to.
pub async fn display(
    conn: &mut Conn,
    patient: &PatientId,
    membership: &MembershipId,
) -> Result<Option<(String, String)>, StoreError> {
    let row: Option<(String, i64)> = sqlx::query_as(
        "SELECT display_sealed, joined_ms FROM member WHERE patient = $1 AND membership = $2 AND left_ms IS NULL",
    )
    .bind(patient.as_str())
    .bind(membership.as_str())
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(sealed, joined_ms)| (sealed, member_row(membership, joined_ms))))
}

pub async fn members(conn: &mut Conn, patient: &PatientId) -> Result<u32, StoreError> {
    let (members,): (i64,) =
        sqlx::query_as("SELECT COUNT(*) FROM member WHERE patient = $1 AND left_ms IS NULL")
            .bind(patient.as_str())
            .fetch_one(conn)
            .await?;
    Ok(u32::try_from(members).unwrap_or(u32::MAX))
}

/// Teams that a membership is in; `team::decide` has the last word on each.
pub async fn teams_of(conn: &mut Conn, membership: &MembershipId) -> Result<Vec<PatientId>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT patient FROM member WHERE membership = $1 AND left_ms IS NULL ORDER BY joined_ms, patient LIMIT $2",
    )
    .bind(membership.as_str())
    .bind(LIST_MAX)
    .fetch_all(conn)
    .await?;
    patients(rows)
}

/// Teams that are not erased, all or those that a facility is linked with.
pub async fn open_teams(
    conn: &mut Conn,
    facility: Option<&FacilityId>,
) -> Result<Vec<PatientId>, StoreError> {
    let rows: Vec<(String,)> = sqlx::query_as(
        "SELECT t.patient FROM team t WHERE t.state IN ('open', 'closed') AND ($1 = '' OR EXISTS (SELECT 1 FROM team_facility f \
           WHERE f.patient = t.patient AND f.facility = $1 AND f.ended_ms IS NULL)) \
         ORDER BY t.opened_ms, t.patient LIMIT $2",
    )
    .bind(facility.map_or("", FacilityId::as_str))
    .bind(LIST_MAX)
    .fetch_all(conn)
    .await?;
    patients(rows)
}

/// Ends a facility's link with a team, and its people's stay; false when there was none.
pub async fn unlink(
    conn: &mut Conn,
    patient: &PatientId,
    facility: &FacilityId,
    at_ms: i64,
) -> Result<bool, StoreError> {
    let out: [&'static str; 2] = [
        "UPDATE team_facility SET ended_ms = $1 WHERE patient = $2 AND facility = $3 AND ended_ms IS NULL",
        "UPDATE member SET left_ms = $1 WHERE patient = $2 AND facility = $3 AND left_ms IS NULL",
    ];
    let mut ended = 0;
    for statement in out {
        ended += sqlx::query(statement)
            .bind(at_ms)
            .bind(patient.as_str())
            .bind(facility.as_str())
            .execute(&mut *conn)
            .await?
            .rows_affected();
    }
    Ok(ended > 0)
}

/// From now on it is read, not written; an erased one stays erased.
pub async fn close(conn: &mut Conn, patient: &PatientId) -> Result<(), StoreError> {
    sqlx::query("UPDATE team SET state = 'closed' WHERE patient = $1 AND state = 'open'")
        .bind(patient.as_str())
        .execute(conn)
        .await?;
    Ok(())
}

/// Drops every row of an erased patient but the team's own, which says only that it is erased.
/// False when nothing was left to drop.
pub async fn forget(conn: &mut Conn, patient: &PatientId, at_ms: i64) -> Result<bool, StoreError> {
    let sweep: [&'static str; 6] = [
        "DELETE FROM idempotency WHERE post IN (SELECT post FROM post WHERE patient = $1)",
        "DELETE FROM ack WHERE patient = $1",
        "DELETE FROM event WHERE patient = $1",
        "DELETE FROM post WHERE patient = $1",
        "DELETE FROM member WHERE patient = $1",
        "DELETE FROM team_facility WHERE patient = $1",
    ];
    let mut dropped = 0;
    for statement in sweep {
        dropped += sqlx::query(statement).bind(patient.as_str()).execute(&mut *conn).await?.rows_affected();
    }
    let closed = sqlx::query(
        "UPDATE team SET state = 'erased', name_sealed = '', kana_sealed = '', erased_ms = $1 \
         WHERE patient = $2 AND state <> 'erased'",
    )
    .bind(at_ms)
    .bind(patient.as_str())
    .execute(&mut *conn)
    .await?;
    Ok(dropped + closed.rows_affected() > 0)
}

/// Erased, closed. A word that a later version wrote is not open to anybody.
fn ended(state: &str) -> (bool, bool) {
    (!matches!(state, "open" | "closed"), state == "closed")
}

/// The person who wrote it, for decisions that need no name.
pub fn person(text: String) -> Result<PersonId, StoreError> {
    text.parse().map_err(|_| StoreError::Broken("person"))
}

fn patients(rows: Vec<(String,)>) -> Result<Vec<PatientId>, StoreError> {
    rows.into_iter().map(|(patient,)| patient.parse().map_err(|_| StoreError::Broken("patient"))).collect()
}

/// A living row keeps its moment; a new one comes after every earlier one.
fn moment(last: Option<i64>, living: i64, now_ms: i64) -> i64 {
    match last {
        Some(last) if living > 0 => last,
        Some(last) => now_ms.max(last + 1),
        None => now_ms,
    }
}
