//! ご家族 on the secretariat's screen (B-08, J-11): who uses the SNS from a 患者・家族事業所, a new one with a first
//! password, and into the team of a patient it is linked with (C-2.14, C-8.6). Families need no admin (A-08a), so the
//! secretariat does it in the facility's name. Edge, border: HTTP, forms, SQL.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use pki::identity::{FacilityId, Identity, MembershipId, Role};
use serde::Deserialize;

use crate::console::{facility, patient_id, permit};
use crate::decide::{Action, Object};
use crate::desk;
use crate::facility::FacilityKind;
use crate::facility_pages::{CodesPage, MadePage, codes_page};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::need::TeamRow;
use crate::page::{frame, fresh, notice, refuse, show};
use crate::patients;
use crate::people::{self, NewPerson};
use crate::problem::{Caller, html, html_as, once, read_form, see_other};
use crate::second_device;
use crate::shared::Shared;
use crate::standing::Standing;
use crate::standing_work::{self, Member};
use crate::views::{self, Frame, Notice};

type Room = State<Arc<Shared>>;

/// What stands beside their names where others have a profession.
const PROFESSION: &str = "患者・家族";

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/facilities/{facility}/family", get(list).post(register))
        .route("/facilities/{facility}/family/devices", post(add_device))
        .route("/facilities/{facility}/family/{membership}", post(join))
}

#[derive(Template)]
#[template(path = "family.html")]
struct FamilyPage {
    frame: Frame,
    facility: FacilityId,
    facility_name: String,
    family: Vec<Member>,
    /// Whom the 患者・家族事業所 is linked with.
    patients: Vec<TeamRow>,
    typed: FamilyForm,
    /// Of the form that adds a device.
    device_once: String,
    notice: Option<Notice>,
}

#[derive(Deserialize)]
struct DeviceForm {
    #[serde(default)]
    label: String,
    once: String,
}

#[derive(Deserialize, Default)]
struct FamilyForm {
    name: String,
    login: String,
    consent_date: String,
    once: String,
}

#[derive(Deserialize)]
struct JoinForm {
    patient: String,
}

impl FamilyPage {
    fn is_active(member: &Member) -> bool {
        member.shown() == Standing::Active.as_str()
    }
}

/// Only of a 患者・家族事業所: everybody else has an admin for it.
async fn known(shared: &Shared, caller: &Caller, id: &str) -> Result<FacilityId, Fault> {
    permit(caller, Action::RegisterFamily, &Object::Association)?;
    let facility = facility(id)?;
    let kind: Option<String> =
        sqlx::query_scalar("SELECT kind FROM facility WHERE facility = $1 AND state = 'active'")
            .bind(facility.as_str())
            .fetch_optional(shared.store.pool())
            .await?;
    match kind.as_deref() {
        Some(kind) if kind == FacilityKind::Family.as_str() => Ok(facility),
        _ => Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into()),
    }
}

/// The clerk in the place of the admin whom a family does not have.
fn in_its_name(caller: &Caller, facility: &FacilityId) -> Identity {
    Identity { facility: facility.clone(), ..caller.identity.clone() }
}

async fn list(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        let facility = known(&shared, &caller, &id).await?;
        let typed = FamilyForm { once: fresh()?, ..FamilyForm::default() };
        page_of(&shared, &caller, facility, typed, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn page_of(
    shared: &Shared,
    caller: &Caller,
    facility: FacilityId,
    typed: FamilyForm,
    notice: Option<Notice>,
) -> Result<FamilyPage, Fault> {
    let mut family = standing_work::present(shared, &facility).await?;
    family.retain(|member| member.role == Role::Family);
    Ok(FamilyPage {
        frame: frame(shared, caller, "/facilities").await?,
        facility_name: desk::facility_name(shared, &facility).await?,
        patients: patients::list(shared, Some(&facility)).await?,
        facility,
        family,
        typed,
        device_once: fresh()?,
        notice,
    })
}

async fn register(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<FamilyForm>, FormRejection>,
) -> Response {
    let read = async {
        let facility = known(&shared, &caller, &id).await?;
        Ok::<_, Fault>((facility, read_form(form)?))
    };
    let (facility, form) = match read.await {
        Ok(read) => read,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match made(&shared, &caller, &facility, &form).await {
        Ok(page) => html_as(StatusCode::CREATED, page.render(), caller.trace),
        Err(fault) if caller.page => again(&shared, &caller, facility, form, fault).await,
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn made(
    shared: &Shared,
    caller: &Caller,
    facility: &FacilityId,
    form: &FamilyForm,
) -> Result<MadePage, Fault> {
    let about = [facility.as_str(), &form.login, &form.name, &form.consent_date];
    let request = once(caller, "family", &form.once, &about)?;
    let new = NewPerson {
        login: form.login.clone(),
        name: form.name.clone(),
        profession: PROFESSION.to_owned(),
        pledge_date: form.consent_date.clone(),
    };
    let actor = in_its_name(caller, facility);
    let done = people::register(shared, &actor, caller.trace, new, request.as_ref()).await?;
    Ok(MadePage {
        frame: frame(shared, caller, "/facilities").await?,
        name: form.name.trim().to_owned(),
        login: form.login.trim().to_owned(),
        initial_password: done.initial_password.map(|password| password.to_string()),
        warnings: done.warnings.iter().map(|warning| warning.trouble().into()).collect(),
        sns: format!("https://sns.{}/", shared.config.zone),
        back: format!("/facilities/{facility}/family"),
        back_ja: "ご家族の一覧へ",
    })
}

/// The form once more, with what was typed and what is wrong with it.
async fn again(
    shared: &Shared,
    caller: &Caller,
    facility: FacilityId,
    form: FamilyForm,
    fault: Fault,
) -> Response {
    let (status, notice) = notice(fault);
    let page = async {
        // Another content is another request.
        let typed = FamilyForm { once: fresh()?, ..form };
        page_of(shared, caller, facility, typed, Some(notice)).await
    };
    match page.await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

/// 代行設定 (A-08a): a further device of the family, which lies before the clerk; nobody's password is asked for.
async fn add_device(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<DeviceForm>, FormRejection>,
) -> Response {
    let read = async {
        let facility = known(&shared, &caller, &id).await?;
        Ok::<_, Fault>((facility, read_form(form)?))
    };
    let (facility, form) = match read.await {
        Ok(read) => read,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match codes(&shared, &caller, &facility, &form).await {
        Ok(page) => html(page.render(), caller.trace),
        Err(fault) if caller.page => again(&shared, &caller, facility, FamilyForm::default(), fault).await,
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn codes(
    shared: &Shared,
    caller: &Caller,
    facility: &FacilityId,
    form: &DeviceForm,
) -> Result<CodesPage, Fault> {
    let request = once(caller, "family-device", &form.once, &[facility.as_str(), &form.label])?;
    let actor = in_its_name(caller, facility);
    let new = second_device::add(shared, &actor, caller.trace, &form.label, request.as_ref()).await?;
    let back = (format!("/facilities/{facility}/family"), "ご家族の一覧へ");
    codes_page(shared, frame(shared, caller, "/facilities").await?, &form.label, new, back)
}

/// チームへの患者・本人の追加: only into the team of a patient whom the 患者・家族事業所 is linked with.
async fn join(
    State(shared): Room,
    caller: Caller,
    Path((id, membership)): Path<(String, String)>,
    form: Result<Form<JoinForm>, FormRejection>,
) -> Response {
    let done = async {
        let facility = known(&shared, &caller, &id).await?;
        let patient = patient_id(&read_form(form)?.patient)?;
        let membership: MembershipId = membership.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
        if !patients::is_linked(&shared, &patient, &facility).await? {
            return Err(PeopleMessage::PatientUnknown.into());
        }
        let actor = in_its_name(&caller, &facility);
        patients::add_member(&shared, &actor, caller.trace, &patient, &membership).await?;
        Ok::<_, Fault>(facility)
    };
    match done.await {
        Ok(facility) => see_other(&format!("/facilities/{facility}/family")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
