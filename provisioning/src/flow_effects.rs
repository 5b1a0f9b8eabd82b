//! What a closed step does in the registry, in the step's own transaction: letters into the outbox, a facility's
//! end, a person's suspension, the changes of 様式3. What the room cannot see done is the clerk's word. Edge: SQL.

use pki::identity::{FacilityId, PatientId};
use vpn::slot::SlotNumber;

use crate::acceptance;
use crate::dates;
use crate::facility::{self, FacilityCode, FacilityKind};
use crate::flow::Effect;
use crate::flow_letter::{self, Notice};
use crate::flow_rows::{self, FlowCase};
use crate::flow_steps::{Does, Mail};
use crate::messages::Message;
use crate::office_fault::{OfficeFault, parse};
use crate::outbox::{self, LetterKind, NewLetter};
use crate::store::{Conn, bump_grants, next};
use crate::team_order::TeamOrder;
use crate::team_orders;

/// What must still happen once the transaction has committed.
#[derive(Default)]
pub struct After {
    pub grants: Option<i64>,
    pub letters: bool,
    /// The SNS has something to do.
    pub orders: bool,
    /// Devices of a facility that has left: each is revoked with a receipt.
    pub revoke: Vec<SlotNumber>,
}

/// The step that is being closed, and where.
pub struct Place<'a> {
    pub now_ms: i64,
    pub realm_name: &'a str,
    pub case: &'a FlowCase,
    pub step: &'a str,
    /// The other facilities of the patient's team, as the SNS says.
    pub team: &'a [FacilityId],
}

pub async fn apply(conn: &mut Conn, place: &Place<'_>, effects: &[Effect]) -> Result<After, OfficeFault> {
    let mut after = After::default();
    for effect in effects {
        match effect {
            Effect::Send(mail) => after.letters |= send(conn, place, *mail).await?,
            Effect::TellMissing(missing) => {
                let body = flow_letter::missing_body(missing);
                let body: Vec<&str> = body.iter().map(String::as_str).collect();
                if let Some(facility) = &place.case.facility {
                    after.letters |= notice(conn, place, facility, "書類不備のお知らせ", &body).await?;
                }
            }
            Effect::LeaveTeam { all: true } => {
                end_facility(conn, place, &mut after).await?;
                let facility = the_facility(place)?.clone();
                order(conn, place, &mut after, TeamOrder::Unlink { patient: None, facility }).await?;
            }
            Effect::LeaveTeam { all: false } => {
                let (patient, facility) = (Some(the_patient(place)?), the_facility(place)?.clone());
                order(conn, place, &mut after, TeamOrder::Unlink { patient, facility }).await?;
            }
            Effect::DelistFamily => delist(conn, place, &mut after).await?,
            Effect::Do(Does::Link | Does::LinkFamily) => link(conn, place, &mut after).await?,
            Effect::Do(Does::StopLinks) => {
                let patient = the_patient(place)?;
                order(conn, place, &mut after, TeamOrder::Stop { patient }).await?;
            }
            Effect::Do(Does::ReadOnly) => {
                let patient = the_patient(place)?;
                order(conn, place, &mut after, TeamOrder::Close { patient }).await?;
            }
            Effect::Do(Does::Erase) => {
                let patient = the_patient(place)?;
                order(conn, place, &mut after, TeamOrder::Erase { patient }).await?;
            }
            Effect::Do(Does::SuspendFamilyMember) => suspend(conn, place, &mut after).await?,
            Effect::Do(Does::ChangeFacility) => change(conn, place).await?,
            Effect::Do(Does::RegisterFacility | Does::RegisterFamily) => registered(conn, place).await?,
            // Done on other pages, where people are named; the clerk says that it is done.
            Effect::Do(_) | Effect::EraseFrom(_) => {}
        }
    }
    Ok(after)
}

fn the_facility<'a>(place: &Place<'a>) -> Result<&'a FacilityId, Message> {
    place.case.facility.as_ref().ok_or_else(|| Message::CaseFacilityMissing { case: place.case.case.clone() })
}

fn the_patient(place: &Place<'_>) -> Result<PatientId, Message> {
    place.case.patient.clone().ok_or_else(|| Message::CasePatientMissing { case: place.case.case.clone() })
}

async fn order(
    conn: &mut Conn,
    place: &Place<'_>,
    after: &mut After,
    order: TeamOrder,
) -> Result<(), OfficeFault> {
    let at = (place.case.case.as_str(), place.step);
    team_orders::give(conn, place.now_ms, at, &order, place.team).await?;
    after.orders = true;
    Ok(())
}

/// A patient who is registered only later is linked on the patient's own page.
async fn link(conn: &mut Conn, place: &Place<'_>, after: &mut After) -> Result<(), OfficeFault> {
    registered(conn, place).await?;
    let Some(patient) = place.case.patient.clone() else { return Ok(()) };
    let facility = the_facility(place)?.clone();
    order(conn, place, after, TeamOrder::Link { patient, facility }).await
}

/// J-12: the last of a family has left, so its 患者・家族事業所 is no longer listed.
async fn delist(conn: &mut Conn, place: &Place<'_>, after: &mut After) -> Result<(), OfficeFault> {
    let Some(membership) = &place.case.membership else {
        return Err(Message::CaseMemberMissing { case: place.case.case.clone() }.into());
    };
    let facility: String = sqlx::query_scalar("SELECT facility FROM membership WHERE membership = $1")
        .bind(membership.as_str())
        .fetch_one(&mut *conn)
        .await?;
    let (patient, facility) = (place.case.patient.clone(), parse(&facility)?);
    order(conn, place, after, TeamOrder::Unlink { patient, facility }).await
}

/// The facility must be there and active before anything is built on it.
async fn registered(conn: &mut Conn, place: &Place<'_>) -> Result<(), OfficeFault> {
    let facility = the_facility(place)?;
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(conn)
        .await?;
    if state.as_deref() == Some("active") {
        return Ok(());
    }
    Err(Message::FacilityAbsent { facility: facility.to_string() }.into())
}

async fn send(conn: &mut Conn, place: &Place<'_>, mail: Mail) -> Result<bool, OfficeFault> {
    let Some((title, body)) = flow_letter::words(mail) else {
        return bundles(conn, place, mail).await.map(|()| false);
    };
    match mail {
        // To the family there is paper: an address of theirs is not asked for (D-00).
        Mail::M11 => Ok(false),
        Mail::M05 | Mail::M13 => notice(conn, place, the_facility(place)?, title, body).await,
        _ => {
            let own = place.case.facility.as_ref();
            let skip_own = matches!(mail, Mail::M06 | Mail::M07);
            let mut any = false;
            for facility in place.team.iter().filter(|facility| !(skip_own && own == Some(*facility))) {
                // P-12: a family hears of it on its screen and from its facility, not as an admin.
                if kind_of(conn, facility).await?.as_deref() == Some(FacilityKind::Family.as_str()) {
                    continue;
                }
                any |= notice(conn, place, facility, title, body).await?;
            }
            Ok(any)
        }
    }
}

/// A bundle leaves with the acceptance of 様式1; this step sees that it has been written, and shows it in the case
/// (D-01). M-04 is the bundle of the 患者・家族事業所, be it the case's own or one of the patient's team.
async fn bundles(conn: &mut Conn, place: &Place<'_>, mail: Mail) -> Result<(), OfficeFault> {
    let own = the_facility(place)?;
    let mut families = Vec::new();
    for facility in place.team.iter().filter(|_| mail == Mail::M04) {
        if kind_of(conn, facility).await?.as_deref() == Some(FacilityKind::Family.as_str()) {
            families.push(facility);
        }
    }
    let facility = *families.iter().find(|family| **family == own).or(families.first()).unwrap_or(&own);
    let letter: Option<String> = sqlx::query_scalar(
        "SELECT message FROM outbox WHERE facility = $1 AND kind IN ('bundle', 'reissue')
         ORDER BY created_at DESC, message DESC LIMIT 1",
    )
    .bind(facility.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let letter = letter.ok_or_else(|| Message::BundleMissing { case: place.case.case.clone() })?;
    flow_rows::sent(conn, &place.case.case, place.step, &letter).await
}

async fn kind_of(conn: &mut Conn, facility: &FacilityId) -> Result<Option<String>, OfficeFault> {
    let kind = sqlx::query_scalar("SELECT kind FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(kind)
}

/// Into the outbox, to the admin's address, under the facility's first number. False for a facility that has none.
async fn notice(
    conn: &mut Conn,
    place: &Place<'_>,
    facility: &FacilityId,
    title: &str,
    body: &[&str],
) -> Result<bool, OfficeFault> {
    let found: Option<(String, String, String)> = sqlx::query_as(
        "SELECT f.name, a.written, d.slot
         FROM facility f
         JOIN membership m ON m.facility = f.facility AND m.role = 'facility-admin'
         JOIN address a ON a.person = m.person AND a.use_as = 'admin'
         JOIN device d ON d.facility = f.facility
         WHERE f.facility = $1 ORDER BY d.slot, a.written LIMIT 1",
    )
    .bind(facility.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let Some((facility_name, address, slot)) = found else { return Ok(false) };
    let office = acceptance::office(conn).await?;
    let slot = parse(&slot)?;
    let notice = Notice {
        case: &place.case.case,
        slot,
        facility_name: &facility_name,
        realm_name: place.realm_name,
        office_name: &office.name,
        office_telephone: &office.telephone,
    };
    let files = flow_letter::files(&notice, title, body)?;
    let letter = NewLetter {
        kind: LetterKind::Notice,
        slot,
        nth: next(conn, "notice").await?,
        facility,
        recipient: &address,
        files: &files,
    };
    let message = outbox::put(conn, place.now_ms, letter).await?;
    flow_rows::sent(conn, &place.case.case, place.step, &message).await?;
    Ok(true)
}

/// C-4, C-7 of all teams: the facility's people and devices are out; what it wrote stays (P-06).
async fn end_facility(conn: &mut Conn, place: &Place<'_>, after: &mut After) -> Result<(), OfficeFault> {
    let facility = the_facility(place)?;
    sqlx::query("UPDATE facility SET state = 'ended' WHERE facility = $1")
        .bind(facility.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO facility_end (facility, on_day) VALUES ($1, $2) ON CONFLICT (facility) DO NOTHING",
    )
    .bind(facility.as_str())
    .bind(dates::day(place.now_ms).to_string())
    .execute(&mut *conn)
    .await?;
    let version = bump_grants(conn).await?;
    sqlx::query(
        "UPDATE membership SET state = 'ended', grants_version = $2 WHERE facility = $1 AND state <> 'ended'",
    )
    .bind(facility.as_str())
    .bind(version)
    .execute(&mut *conn)
    .await?;
    after.grants = Some(version);
    let slots: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT slot FROM device WHERE facility = $1 AND state <> 'revoked' ORDER BY slot",
    )
    .bind(facility.as_str())
    .fetch_all(conn)
    .await?;
    for slot in slots {
        after.revoke.push(parse(&slot)?);
    }
    Ok(())
}

/// C-9.4: the one who leaves cannot sign in any more; the others stay (J-12).
async fn suspend(conn: &mut Conn, place: &Place<'_>, after: &mut After) -> Result<(), OfficeFault> {
    let Some(membership) = &place.case.membership else {
        return Err(Message::CaseMemberMissing { case: place.case.case.clone() }.into());
    };
    let version = bump_grants(conn).await?;
    sqlx::query("UPDATE membership SET state = 'ended', grants_version = $2 WHERE membership = $1")
        .bind(membership.as_str())
        .bind(version)
        .execute(conn)
        .await?;
    after.grants = Some(version);
    Ok(())
}

/// C-11.4: what was noted from 様式3; the code keeps its ten characters (G-01).
async fn change(conn: &mut Conn, place: &Place<'_>) -> Result<(), OfficeFault> {
    let facility = the_facility(place)?;
    if place.case.changes.is_empty() {
        return Err(Message::CaseChangesMissing { case: place.case.case.clone() }.into());
    }
    let value = |field: &str| place.case.changes.get(field).cloned();
    sqlx::query(
        "UPDATE facility SET name = COALESCE($2, name), code = COALESCE($3, code), telephone = COALESCE($4, telephone),
                postal_address = COALESCE($5, postal_address), representative = COALESCE($6, representative)
         WHERE facility = $1",
    )
    .bind(facility.as_str())
    .bind(value("name"))
    .bind(value("code"))
    .bind(value("telephone"))
    .bind(value("postal-address"))
    .bind(value("representative"))
    .execute(conn)
    .await?;
    Ok(())
}

/// What 様式3 changes here; the admin's address has a procedure of its own (G-04).
pub const FIELDS: [&str; 5] = ["name", "code", "telephone", "postal-address", "representative"];

/// A field of 様式3 as it will stand in the registry.
pub fn changed(field: &str, value: &str) -> Result<String, Message> {
    match field {
        "name" | "postal-address" | "representative" => {
            let line = facility::line(value)?;
            if line.is_empty() { Err(Message::CellEmpty) } else { Ok(line) }
        }
        "code" => FacilityCode::parse(value).map(|code| code.to_string()),
        "telephone" => facility::telephone(value),
        _ => Err(Message::WordUnknown { given: crate::messages::shown(field), known: FIELDS.join("、") }),
    }
}
