//! The office's API (host `office.`): lists, people, patients, lost devices. Each handler asks `decide` first and
//! then its room's work; what an actor may not see does not exist for it. Edge, border: HTTP, JSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use pki::identity::{FacilityId, MembershipId, PatientId, PersonId, Role};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

use crate::api_table::Method::{Get, Post};
use crate::decide::Action::*;
use crate::decide::{Action, Actor, Object, decide};
use crate::door::{DeviceRow, Receipt, RevokeReason, Trouble};
use crate::fault::Fault;
use crate::idempotency::{self, Repeatable};
use crate::messages_people::PeopleMessage;
use crate::need::PatientText;
use crate::openapi::Own;
use crate::patients::{self, NewPatient};
use crate::people::{self, NewPerson};
use crate::problem::{Caller, answer, read, repeatable};
use crate::revocation::{self, Order};
use crate::shared::Shared;
use crate::standing_work::{self, Member};
use crate::store::transaction;
use crate::{devices, jst, registry, second_device, world};

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/people", get(list_people).post(register_person))
        .route("/api/patients", get(list_patients).post(register_patient))
        .route("/api/patients/{patient}/facilities", post(link_patient))
        .route("/api/patients/{patient}/members", post(add_member))
        .route("/api/devices", get(list_devices).post(add_device))
        .route("/api/devices/{slot}/lost", post(report_lost))
}

/// What stands above, for the API's description.
#[rustfmt::skip]
pub(crate) fn operations(reads: &mut SchemaGenerator, writes: &mut SchemaGenerator) -> Vec<Own> {
    let seen = |path, id, action, ja, answer: Schema| {
        Own { method: Get, path, id, action, ja, created: false, body: None, answer: answer.to_value() }
    };
    let done = |path, id, action, ja, body: Schema, created, answer: Schema| {
        let (body, answer) = (Some(body.to_value()), answer.to_value());
        Own { method: Post, path, id, action, ja, created, body, answer }
    };
    vec![
        seen("/api/people", "peopleList", ListPeople, "自施設の利用者", of::<Vec<PersonView>>(writes)),
        done("/api/people", "personRegister", RegisterPerson, "利用者の登録",
            of::<PersonBody>(reads), true, of::<PersonAnswer>(writes)),
        seen("/api/patients", "patientList", ListPatients, "サービス利用者の一覧", of::<Vec<PatientView>>(writes)),
        done("/api/patients", "patientRegister", RegisterPatient, "サービス利用者の登録（様式2）",
            of::<PatientBody>(reads), true, of::<PatientAnswer>(writes)),
        done("/api/patients/{patient}/facilities", "patientLink", LinkPatient, "施設の連携",
            of::<LinkBody>(reads), false, of::<LinkAnswer>(writes)),
        done("/api/patients/{patient}/members", "memberAdd", AddMember, "チームに職員を加える",
            of::<MemberBody>(reads), false, of::<MemberAnswer>(writes)),
        seen("/api/devices", "deviceList", ListDevices, "端末の一覧", of::<Vec<DeviceRow>>(writes)),
        done("/api/devices", "deviceAdd", AddDevice, "端末の追加",
            of::<DeviceBody>(reads), true, of::<DeviceAnswer>(writes)),
        done("/api/devices/{slot}/lost", "deviceLost", ReportLost, "端末の紛失",
            of::<LostBody>(reads), false, of::<Receipt>(writes)),
    ]
}

fn of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

type Body = Result<Bytes, BytesRejection>;
type Room = State<Arc<Shared>>;

/// Lets the caller through, or names the rule that is missing.
pub(crate) fn permit(caller: &Caller, action: Action, object: &Object) -> Result<&'static str, Fault> {
    let actor = Actor { role: caller.identity.role, facility: caller.identity.facility.clone() };
    let decision = decide(&actor, action, object);
    if decision.allowed {
        Ok(decision.rule_id)
    } else {
        Err(PeopleMessage::NotPermitted.about(decision.rule_id).into())
    }
}

/// What the caller stands in: everything for the secretariat, its own facility for the others.
pub(crate) fn realm_of(caller: &Caller) -> (Object, Option<FacilityId>) {
    match caller.identity.role {
        Role::Secretariat => (Object::Association, None),
        Role::FacilityAdmin | Role::Staff | Role::Family => {
            let facility = caller.identity.facility.clone();
            (Object::Facility(facility.clone()), Some(facility))
        }
    }
}

async fn list_devices(State(shared): Room, caller: Caller) -> Response {
    let outcome: Result<Vec<DeviceRow>, Fault> = async {
        let (object, facility) = realm_of(&caller);
        permit(&caller, Action::ListDevices, &object)?;
        Ok(registry::devices(shared.store.pool(), facility.as_ref()).await?)
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

#[derive(Serialize, JsonSchema)]
struct PersonView {
    person: PersonId,
    membership: MembershipId,
    login: String,
    name: String,
    profession: String,
    role: Role,
    pledge_date: Option<String>,
    state: String,
    waiting: bool,
}

async fn list_people(State(shared): Room, caller: Caller) -> Response {
    let outcome: Result<Vec<PersonView>, Fault> = async {
        let facility = caller.identity.facility.clone();
        permit(&caller, Action::ListPeople, &Object::Facility(facility.clone()))?;
        let rows = standing_work::present(&shared, &facility).await?;
        let view = |row: Member| PersonView {
            state: row.shown().to_owned(),
            person: row.person,
            membership: row.membership,
            login: row.login,
            name: row.name,
            profession: row.profession,
            role: row.role,
            pledge_date: row.pledged_on,
            waiting: row.waiting,
        };
        Ok(rows.into_iter().map(view).collect())
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

#[derive(Deserialize, JsonSchema)]
struct PersonBody {
    login: String,
    name: String,
    profession: String,
    #[serde(default)]
    pledge_date: String,
}

#[derive(Serialize, JsonSchema)]
struct PersonAnswer {
    person: PersonId,
    membership: MembershipId,
    /// Shown here once and nowhere else; `null` for somebody who has an account already.
    initial_password: Option<String>,
    warnings: Vec<Trouble>,
}

async fn register_person(State(shared): Room, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let outcome: Result<PersonAnswer, Fault> = async {
        permit(&caller, Action::RegisterPerson, &Object::Facility(caller.identity.facility.clone()))?;
        let body: PersonBody = read(&headers, body)?;
        let about = [&body.login, &body.name, &body.profession, &body.pledge_date].map(String::as_str);
        let request = repeatable(&headers, &caller, "person", &about)?;
        let PersonBody { login, name, profession, pledge_date } = body;
        let new = NewPerson { login, name, profession, pledge_date };
        let done = people::register(&shared, &caller.identity, caller.trace, new, request.as_ref()).await?;
        Ok(PersonAnswer {
            person: done.person,
            membership: done.membership,
            initial_password: done.initial_password.map(|password| password.to_string()),
            warnings: done.warnings.iter().map(|warning| warning.trouble()).collect(),
        })
    }
    .await;
    answer(StatusCode::CREATED, caller.trace, outcome)
}

#[derive(Deserialize, JsonSchema)]
struct PatientBody {
    name: PatientText,
    kana: PatientText,
    #[serde(default)]
    consent_date: String,
    origin: String,
}

#[derive(Serialize, JsonSchema)]
struct PatientAnswer {
    patient: PatientId,
}

async fn register_patient(State(shared): Room, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let outcome: Result<PatientAnswer, Fault> = async {
        permit(&caller, Action::RegisterPatient, &Object::Association)?;
        let body: PatientBody = read(&headers, body)?;
        // Without the name: a hash of it would be the name to whoever has a list of names.
        let request = repeatable(&headers, &caller, "patient", &[&body.consent_date, &body.origin])?;
        let origin = facility(&body.origin)?;
        let new = NewPatient { name: body.name, kana: body.kana, consent_date: body.consent_date, origin };
        let patient =
            patients::register(&shared, &caller.identity, caller.trace, new, request.as_ref()).await?;
        Ok(PatientAnswer { patient })
    }
    .await;
    answer(StatusCode::CREATED, caller.trace, outcome)
}

#[derive(Serialize, JsonSchema)]
struct PatientView {
    patient: PatientId,
    name: PatientText,
    facilities: Vec<FacilityView>,
    members: u32,
}

#[derive(Serialize, JsonSchema)]
struct FacilityView {
    facility: FacilityId,
    name: String,
}

async fn list_patients(State(shared): Room, caller: Caller) -> Response {
    let outcome: Result<Vec<PatientView>, Fault> = async {
        let (object, own) = realm_of(&caller);
        permit(&caller, Action::ListPatients, &object)?;
        let rows = patients::list(&shared, own.as_ref()).await?;
        let view = |row: crate::need::TeamRow| PatientView {
            patient: row.patient,
            name: row.name,
            facilities: row
                .facilities
                .into_iter()
                .map(|(facility, name)| FacilityView { facility, name })
                .collect(),
            members: row.members,
        };
        Ok(rows.into_iter().map(view).collect())
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

#[derive(Deserialize, JsonSchema)]
struct LinkBody {
    facility: String,
}

#[derive(Serialize, JsonSchema)]
struct LinkAnswer {
    patient: PatientId,
    facility: FacilityId,
}

async fn link_patient(
    State(shared): Room,
    caller: Caller,
    Path(patient): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let outcome: Result<LinkAnswer, Fault> = async {
        permit(&caller, Action::LinkPatient, &Object::Association)?;
        let patient = patient_id(&patient)?;
        let body: LinkBody = read(&headers, body)?;
        let facility = facility(&body.facility)?;
        let request = repeatable(&headers, &caller, "link", &[patient.as_str(), facility.as_str()])?;
        note(&shared, request).await?;
        patients::link(&shared, &caller.identity, caller.trace, &patient, &facility).await?;
        Ok(LinkAnswer { patient, facility })
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

#[derive(Deserialize, JsonSchema)]
struct MemberBody {
    membership: String,
}

#[derive(Serialize, JsonSchema)]
struct MemberAnswer {
    patient: PatientId,
    membership: MembershipId,
}

async fn add_member(
    State(shared): Room,
    caller: Caller,
    Path(patient): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let outcome: Result<MemberAnswer, Fault> = async {
        // The role first: whoever has no such verb does not learn which patients there are.
        let own = caller.identity.facility.clone();
        permit(&caller, Action::AddMember, &Object::Patient { linked: true, facility: own.clone() })?;
        let patient = patient_id(&patient)?;
        let body: MemberBody = read(&headers, body)?;
        let membership: MembershipId = body.membership.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
        let linked = patients::is_linked(&shared, &patient, &own).await?;
        if permit(&caller, Action::AddMember, &Object::Patient { linked, facility: own }).is_err() {
            return Err(PeopleMessage::PatientUnknown.into());
        }
        let request = repeatable(&headers, &caller, "member", &[patient.as_str(), membership.as_str()])?;
        note(&shared, request).await?;
        patients::add_member(&shared, &caller.identity, caller.trace, &patient, &membership).await?;
        Ok(MemberAnswer { patient, membership })
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

#[derive(Deserialize, JsonSchema)]
struct DeviceBody {
    #[serde(default)]
    label: String,
}

/// Everything in it is shown once and stored nowhere.
#[derive(Serialize, JsonSchema)]
struct DeviceAnswer {
    slot: SlotNumber,
    valid_until: String,
    profile: String,
    claim_url: String,
}

/// 端末の追加 (ruling 5): within the facility's quota, from a place inside a tunnel.
async fn add_device(State(shared): Room, caller: Caller, headers: HeaderMap, body: Body) -> Response {
    let outcome: Result<DeviceAnswer, Fault> = async {
        permit(&caller, Action::AddDevice, &Object::Facility(caller.identity.facility.clone()))?;
        let body: DeviceBody = read(&headers, body)?;
        let request = repeatable(&headers, &caller, "device", &[&body.label])?;
        let new = second_device::add(&shared, &caller.identity, caller.trace, &body.label, request.as_ref());
        let new = new.await?;
        Ok(DeviceAnswer {
            slot: new.slot,
            valid_until: jst::rfc3339(new.valid_until),
            profile: new.profile.to_string(),
            claim_url: new.claim_url.to_string(),
        })
    }
    .await;
    answer(StatusCode::CREATED, caller.trace, outcome)
}

#[derive(Deserialize, Default, JsonSchema)]
struct LostBody {
    #[serde(default)]
    note: Option<String>,
}

/// 端末紛失 (H-11): one button, one receipt.
async fn report_lost(
    State(shared): Room,
    caller: Caller,
    Path(slot): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let outcome: Result<Receipt, Fault> = async {
        let number = held_slot(&shared, &caller, Action::ReportLost, &slot).await?;
        let empty = body.as_ref().is_ok_and(|bytes| bytes.is_empty());
        let body: LostBody = if empty { LostBody::default() } else { read(&headers, body)? };
        let about = [slot.as_str(), body.note.as_deref().unwrap_or("")];
        note(&shared, repeatable(&headers, &caller, "lost", &about)?).await?;
        let order = Order {
            slot: number,
            reason: RevokeReason::Lost,
            note: body.note,
            by: caller.identity.person.to_string(),
            trace: caller.trace,
        };
        revocation::revoke(&shared, order).await
    }
    .await;
    answer(StatusCode::OK, caller.trace, outcome)
}

/// A slot whose device the caller may do this to. Another facility's number answers like one that nobody has.
pub(crate) async fn held_slot(
    shared: &Shared,
    caller: &Caller,
    action: Action,
    slot: &str,
) -> Result<SlotNumber, Fault> {
    let unknown =
        || Fault::from(PeopleMessage::DeviceUnknown.about(slot.chars().take(12).collect::<String>()));
    let (object, _) = realm_of(caller);
    permit(caller, action, &object)?;
    let number: SlotNumber = slot.parse().map_err(|_| unknown())?;
    let held =
        devices::holder(&mut *shared.store.pool().acquire().await?, number).await?.ok_or_else(unknown)?;
    permit(caller, action, &Object::Facility(held.facility)).map_err(|_| unknown())?;
    Ok(number)
}

/// For verbs that may be done twice: only remembers what the key was used for.
pub(crate) async fn note(shared: &Shared, request: Option<Repeatable>) -> Result<(), Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => idempotency::note(conn, request.as_ref(), now).await)
}

pub(crate) fn facility(text: &str) -> Result<FacilityId, Fault> {
    text.parse()
        .map_err(|_| PeopleMessage::FacilityUnknown.about(text.chars().take(40).collect::<String>()).into())
}

pub(crate) fn patient_id(text: &str) -> Result<PatientId, Fault> {
    text.parse().map_err(|_| PeopleMessage::PatientUnknown.into())
}
