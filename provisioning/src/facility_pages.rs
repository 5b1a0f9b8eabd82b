//! The facility admin's pages: our devices, our people, and the two QR codes of a further device (ruling 5).
//! First passwords and QR codes are shown once, in the answer to their form. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::Response;
use axum::routing::get;
use http::StatusCode;
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::desk::{self, DeviceLine};
use crate::door_more::MoreLine;
use crate::end_notices::{self, EndingLine};
use crate::fault::Fault;
use crate::more_work;
use crate::office_fault::OfficeFault;
use crate::page::{frame, fresh, notice, refuse, show};
use crate::people::{self, NewPerson};
use crate::problem::{Caller, html, html_as, once, read_form};
use crate::second_device::{self, NewDevice, NextPlace};
use crate::shared::Shared;
use crate::standing_work::{self, Member};
use crate::views::{self, Frame, Notice};
use crate::yearly::{Round, Stage};
use crate::{bundle, jst, qr, world, yearly_work};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/devices/add", get(confirm_add).post(add_device))
        .route("/people", get(people_page).post(register))
}

#[derive(Template)]
#[template(path = "devices.html")]
struct DevicesPage {
    frame: Frame,
    devices: Vec<DeviceLine>,
    ended: Vec<DeviceLine>,
    /// Certificates that end within 90 days.
    ending: Vec<EndingLine>,
    held: u32,
    quota: u32,
    /// Asked of the facility now.
    yearly: Option<Round>,
}

#[derive(Template)]
#[template(path = "device_add.html")]
struct AddPage {
    frame: Frame,
    next: Option<NextPlace>,
    label: String,
    once: String,
    held: u32,
    quota: u32,
    notice: Option<Notice>,
    /// What was asked for above the quota (G-07).
    asked: Vec<MoreLine>,
    /// The next one waits for this one's answer.
    waiting: bool,
}

#[derive(Template)]
#[template(path = "device_codes.html")]
pub(crate) struct CodesPage {
    frame: Frame,
    /// Where the facility's devices are, and what that page is called.
    back: String,
    back_ja: &'static str,
    slot: SlotNumber,
    label: String,
    valid_until: String,
    profile_qr: String,
    claim_qr: String,
    claim_host: String,
    start_url: String,
    fingerprint_lines: Vec<String>,
}

#[derive(Template)]
#[template(path = "people.html")]
struct PeoplePage {
    frame: Frame,
    people: Vec<Member>,
    typed: PersonForm,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "person_made.html")]
pub(crate) struct MadePage {
    pub(crate) frame: Frame,
    pub(crate) name: String,
    pub(crate) login: String,
    pub(crate) initial_password: Option<String>,
    pub(crate) warnings: Vec<Notice>,
    pub(crate) sns: String,
    /// Where the next one is registered, and what that page is called.
    pub(crate) back: String,
    pub(crate) back_ja: &'static str,
}

#[derive(Deserialize)]
struct AddForm {
    #[serde(default)]
    label: String,
    once: String,
}

#[derive(Deserialize, Default)]
struct PersonForm {
    login: String,
    name: String,
    profession: String,
    pledge_date: String,
    once: String,
}

fn own(caller: &Caller) -> Object {
    Object::Facility(caller.identity.facility.clone())
}

/// The first page: our devices.
pub async fn home(shared: &Shared, caller: &Caller) -> Response {
    let page = async {
        permit(caller, Action::SeeHome, &own(caller))?;
        let facility = &caller.identity.facility;
        let all = desk::devices(shared, Some(facility), "").await?;
        let (ended, devices) = all.into_iter().partition(|device| device.state == "revoked");
        let (held, quota) = second_device::held(&mut *shared.store.pool().acquire().await?, facility).await?;
        let ending = end_notices::shown(shared, Some(facility)).await?;
        let screen = yearly_work::screen(shared, facility).await?;
        let yearly = screen.filter(|screen| screen.stage != Stage::Done).map(|screen| screen.round);
        let frame = frame(shared, caller, "/").await?;
        Ok(DevicesPage { frame, devices, ended, ending, held, quota, yearly })
    };
    show(shared, caller, page.await).await
}

async fn confirm_add(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::AddDevice, &own(&caller))?;
        add_page(&shared, &caller, String::new(), None).await
    };
    show(&shared, &caller, page.await).await
}

async fn add_page(
    shared: &Shared,
    caller: &Caller,
    label: String,
    notice: Option<Notice>,
) -> Result<AddPage, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let facility = &caller.identity.facility;
    let (held, quota) = second_device::held(&mut conn, facility).await?;
    let (next, refused) = match second_device::next_place(&mut conn, facility, world::now_ms()).await {
        Ok(next) => (Some(next), None),
        // The quota is reached: the page says so before anything is pressed.
        Err(fault @ Fault::Office(OfficeFault::Refused(_))) => (None, Some(crate::page::notice(fault).1)),
        Err(fault) => return Err(fault),
    };
    drop(conn);
    let asked = more_work::list(shared, Some(facility), false).await?;
    let waiting = asked.iter().any(MoreLine::waits);
    let frame = frame(shared, caller, "/").await?;
    Ok(AddPage {
        frame,
        next,
        label,
        once: fresh()?,
        held,
        quota,
        notice: notice.or(refused),
        asked,
        waiting,
    })
}

async fn add_device(
    State(shared): Room,
    caller: Caller,
    form: Result<Form<AddForm>, FormRejection>,
) -> Response {
    let form = async {
        permit(&caller, Action::AddDevice, &own(&caller))?;
        read_form(form)
    };
    let form = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match codes(&shared, &caller, &form).await {
        Ok(page) => html(page.render(), caller.trace),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            match add_page(&shared, &caller, form.label, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn codes(shared: &Shared, caller: &Caller, form: &AddForm) -> Result<CodesPage, Fault> {
    let request = once(caller, "device", &form.once, &[&form.label])?;
    let new = second_device::add(shared, &caller.identity, caller.trace, &form.label, request.as_ref());
    let new = new.await?;
    codes_page(shared, frame(shared, caller, "/").await?, &form.label, new, ("/".to_owned(), "端末の一覧へ"))
}

/// What is shown once: the two codes of a device that was added.
pub(crate) fn codes_page(
    shared: &Shared,
    frame: Frame,
    label: &str,
    new: NewDevice,
    (back, back_ja): (String, &'static str),
) -> Result<CodesPage, Fault> {
    Ok(CodesPage {
        frame,
        back,
        back_ja,
        slot: new.slot,
        label: label.trim().to_owned(),
        valid_until: jst::rfc3339(new.valid_until),
        profile_qr: qr::svg(&new.profile).map_err(OfficeFault::from)?,
        claim_qr: qr::svg(&new.claim_url).map_err(OfficeFault::from)?,
        claim_host: format!("claim.{}", shared.config.zone),
        start_url: format!("http://{}/", shared.config.plan.gateway_open()),
        fingerprint_lines: bundle::fingerprint_lines(&shared.config.root_fingerprint),
    })
}

async fn people_page(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::ListPeople, &own(&caller))?;
        let typed = PersonForm { once: fresh()?, ..PersonForm::default() };
        people_with(&shared, &caller, typed, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn people_with(
    shared: &Shared,
    caller: &Caller,
    typed: PersonForm,
    notice: Option<Notice>,
) -> Result<PeoplePage, Fault> {
    let people = standing_work::present(shared, &caller.identity.facility).await?;
    Ok(PeoplePage { frame: frame(shared, caller, "/people").await?, people, typed, notice })
}

async fn register(
    State(shared): Room,
    caller: Caller,
    form: Result<Form<PersonForm>, FormRejection>,
) -> Response {
    let form = async {
        permit(&caller, Action::RegisterPerson, &own(&caller))?;
        read_form(form)
    };
    let form = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match made(&shared, &caller, &form).await {
        Ok(page) => html_as(StatusCode::CREATED, page.render(), caller.trace),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            let page = async {
                // Another content is another request.
                let typed = PersonForm { once: fresh()?, ..form };
                people_with(&shared, &caller, typed, Some(notice)).await
            };
            match page.await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn made(shared: &Shared, caller: &Caller, form: &PersonForm) -> Result<MadePage, Fault> {
    let about = [&form.login, &form.name, &form.profession, &form.pledge_date].map(String::as_str);
    let request = once(caller, "person", &form.once, &about)?;
    let new = NewPerson {
        login: form.login.clone(),
        name: form.name.clone(),
        profession: form.profession.clone(),
        pledge_date: form.pledge_date.clone(),
    };
    let done = people::register(shared, &caller.identity, caller.trace, new, request.as_ref()).await?;
    Ok(MadePage {
        frame: frame(shared, caller, "/people").await?,
        name: form.name.trim().to_owned(),
        login: form.login.trim().to_owned(),
        initial_password: done.initial_password.map(|password| password.to_string()),
        warnings: done.warnings.iter().map(|warning| warning.trouble().into()).collect(),
        sns: format!("https://sns.{}/", shared.config.zone),
        back: "/people".to_owned(),
        back_ja: "利用者の一覧へ",
    })
}
