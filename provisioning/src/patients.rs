//! Patients as the office handles them (B-09, B-15): by id. A name passes through to the SNS, where it is sealed
//! under the patient's key, and is written nowhere here, not even as a hash (ruling 10). Edge: SQL.

use pki::identity::{FacilityId, Identity, MembershipId, PatientId, PersonId, Role, TraceId};
use serde_json::{Value, json};

use crate::audit::{self, Event};
use crate::fault::{Fault, parse};
use crate::idempotency::{self, Repeatable};
use crate::messages_people::PeopleMessage;
use crate::need::{NeedUnmet, NewTeam, PatientText, Refused, TeamMember, TeamOutcome, TeamRow};
use crate::shared::Shared;
use crate::store::transaction;
use crate::{dates, world};

/// Longest name of a person; far above any real one.
const NAME_MAX: usize = 100;

pub struct NewPatient {
    pub name: PatientText,
    pub kana: PatientText,
    pub consent_date: String,
    /// 連携元: the facility that took the consent.
    pub origin: FacilityId,
}

/// Registers a patient: row and audit first, then the SNS opens the team (B-09, J-10).
/// A repetition after a crash opens the same team again.
pub async fn register(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    new: NewPatient,
    request: Option<&Repeatable>,
) -> Result<PatientId, Fault> {
    let now = world::now_ms();
    if new.consent_date.trim().is_empty() {
        return Err(PeopleMessage::ConsentMissing.into());
    }
    let consent_on = dates::past_date(&new.consent_date, now)?;
    for (field, text) in [("name", &new.name), ("kana", &new.kana)] {
        let text = text.expose().trim();
        if text.is_empty() || text.chars().count() > NAME_MAX || text.chars().any(char::is_control) {
            return Err(PeopleMessage::FieldMissing.about(field).into());
        }
    }
    let origin_name = active_facility(shared, &new.origin).await?;
    let fresh = PatientId::from_random(*world::random()?);
    let patient = transaction!(shared.store, conn => {
        if let Some(known) = idempotency::recall(conn, request, now).await? {
            return parse::<PatientId>(&known);
        }
        sqlx::query(
            "INSERT INTO patient (patient, origin, consent_on, state, registered_by, registered_at)
             VALUES ($1, $2, $3, 'opening', $4, $5)",
        )
        .bind(fresh.as_str())
        .bind(new.origin.as_str())
        .bind(&consent_on)
        .bind(actor.person.as_str())
        .bind(now)
        .execute(&mut *conn)
        .await?;
        let detail = json!({ "origin": new.origin, "consent_on": consent_on, "rule": "B-09" });
        audit::append(conn, now, event(actor, "patient.register", fresh.as_str(), trace, detail)).await?;
        idempotency::remember(conn, request, fresh.as_str(), now).await?;
        Ok(fresh.clone())
    })?;
    let team =
        NewTeam { patient: patient.clone(), name: new.name, kana: new.kana, origin: new.origin, origin_name };
    match outcome(shared.needs.teams.open(team).await)? {
        Ok(_) => opened(shared, &patient).await?,
        Err(refused) => {
            take_back(shared, actor, trace, &patient, request, &refused).await?;
            return Err(said(refused));
        }
    }
    Ok(patient)
}

/// 紐づけ (B-09): the patient's consent is on record (J-10) and the facility is active.
pub async fn link(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    patient: &PatientId,
    facility: &FacilityId,
) -> Result<(), Fault> {
    known(shared, patient).await?;
    let name = active_facility(shared, facility).await?;
    let detail = json!({ "facility": facility, "rule": "B-09" });
    record(shared, event(actor, "patient.link", patient.as_str(), trace, detail)).await?;
    outcome(shared.needs.teams.link(patient.clone(), facility.clone(), name).await)?.map_err(said)
}

/// B-15: a facility's admin puts an own person into the team of a patient that is linked to the facility.
pub async fn add_member(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    patient: &PatientId,
    membership: &MembershipId,
) -> Result<(), Fault> {
    let row: Option<(String, String, String, String, String)> = sqlx::query_as(
        "SELECT p.person, p.name, p.profession, m.role, f.name
         FROM membership m JOIN person p ON p.person = m.person JOIN facility f ON f.facility = m.facility
         WHERE m.membership = $1 AND m.facility = $2
           AND m.state = 'active' AND p.state = 'active' AND f.state = 'active'",
    )
    .bind(membership.as_str())
    .bind(actor.facility.as_str())
    .fetch_optional(shared.store.pool())
    .await?;
    let Some((person, name, profession, role, facility_name)) = row else {
        return Err(PeopleMessage::MemberUnknown.into());
    };
    let role: Role = parse(&role)?;
    // P-02: an admin's account reads no posts, whoever adds it.
    if !matches!(role, Role::Staff | Role::Family) {
        return Err(PeopleMessage::MemberUnknown.into());
    }
    let person: PersonId = parse(&person)?;
    let detail = json!({ "membership": membership, "person": person, "rule": "B-15" });
    record(shared, event(actor, "patient.member", patient.as_str(), trace, detail)).await?;
    let member = TeamMember {
        person,
        membership: membership.clone(),
        role,
        name,
        profession,
        facility: actor.facility.clone(),
        facility_name,
    };
    outcome(shared.needs.teams.add(patient.clone(), member).await)?.map_err(said)
}

/// B-11: all patients for the secretariat, the linked ones for a facility.
pub async fn list(shared: &Shared, facility: Option<&FacilityId>) -> Result<Vec<TeamRow>, Fault> {
    outcome(shared.needs.teams.list(facility.cloned()).await)?.map_err(said)
}

/// Is the facility linked with the patient? What it is not linked with does not exist for it.
pub async fn is_linked(shared: &Shared, patient: &PatientId, facility: &FacilityId) -> Result<bool, Fault> {
    Ok(list(shared, Some(facility)).await?.iter().any(|row| row.patient == *patient))
}

/// The facility's name, while it is active.
async fn active_facility(shared: &Shared, facility: &FacilityId) -> Result<String, Fault> {
    let row: Option<(String, String)> =
        sqlx::query_as("SELECT name, state FROM facility WHERE facility = $1")
            .bind(facility.as_str())
            .fetch_optional(shared.store.pool())
            .await?;
    match row {
        None => Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into()),
        Some((name, state)) if state == "active" => Ok(name),
        Some(_) => Err(PeopleMessage::FacilityNotActive.about(facility.as_str()).into()),
    }
}

async fn known(shared: &Shared, patient: &PatientId) -> Result<(), Fault> {
    let known: Option<i64> =
        sqlx::query_scalar("SELECT 1 FROM patient WHERE patient = $1 AND state = 'open'")
            .bind(patient.as_str())
            .fetch_optional(shared.store.pool())
            .await?;
    known.map(|_| ()).ok_or_else(|| PeopleMessage::PatientUnknown.into())
}

pub async fn opened(shared: &Shared, patient: &PatientId) -> Result<(), Fault> {
    transaction!(shared.store, conn => {
        sqlx::query("UPDATE patient SET state = 'open' WHERE patient = $1")
            .bind(patient.as_str())
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// The SNS refused the team: nothing of it stays but the audit.
async fn take_back(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    patient: &PatientId,
    request: Option<&Repeatable>,
    refused: &Refused,
) -> Result<(), Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        sqlx::query("DELETE FROM patient WHERE patient = $1 AND state = 'opening'")
            .bind(patient.as_str())
            .execute(&mut *conn)
            .await?;
        idempotency::forget(conn, request).await?;
        let detail = json!({ "code": refused.code });
        audit::append(conn, now, event(actor, "patient.refused", patient.as_str(), trace, detail)).await?;
        Ok::<_, Fault>(())
    })
}

async fn record(shared: &Shared, event: Event<'_>) -> Result<(), Fault> {
    let now = world::now_ms();
    let Event { actor, action, object, trace, detail } = event;
    transaction!(shared.store, conn => {
        audit::append(conn, now, Event { actor, action, object, trace, detail: detail.clone() }).await.map(|_| ())
    })?;
    Ok(())
}

fn event<'a>(
    actor: &'a Identity,
    action: &'a str,
    object: &'a str,
    trace: Option<TraceId>,
    detail: Value,
) -> Event<'a> {
    Event { actor: actor.person.as_str(), action, object, trace, detail }
}

fn outcome<T>(answer: Result<TeamOutcome<T>, NeedUnmet>) -> Result<TeamOutcome<T>, Fault> {
    answer.map_err(|unmet| PeopleMessage::NeighbourSilent.about(unmet.room).into())
}

/// A patient that the SNS does not know is unknown; its other refusals keep their words.
fn said(refused: Refused) -> Fault {
    if refused.code == "MM-4001" {
        return PeopleMessage::PatientUnknown.into();
    }
    PeopleMessage::TeamsRefused.about(format!("{} {}", refused.code, refused.ja)).into()
}
