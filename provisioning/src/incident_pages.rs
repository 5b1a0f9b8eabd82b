//! 事故 as screens (H-13): reported by a facility's admin or the secretariat, with the law's two clocks; steps, 緊急停止
//! (H-12) and the sheet for the printer are the secretariat's. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::{FacilityId, Role};
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::console::{permit, realm_of};
use crate::decide::{Action, Object};
use crate::door_incident::{IncidentDetail, IncidentLine, NewIncident};
use crate::fault::Fault;
use crate::incident::{IncidentKind, Step};
use crate::incident_work::{self, Stop};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::standing_work::{self, Member};
use crate::views::{self, Frame, Notice};
use crate::{dates, desk, find_rows, world};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/incidents", get(list).post(open))
        .route("/incidents/{incident}", get(case))
        .route("/incidents/{incident}/print", get(print))
        .route("/incidents/{incident}/step", post(step))
        .route("/incidents/{incident}/stop", post(stop))
}

#[derive(Template)]
#[template(path = "incidents.html")]
struct ListPage {
    frame: Frame,
    rows: Vec<IncidentLine>,
    all: usize,
    office: bool,
    offered: Vec<(String, String)>,
    kinds: [IncidentKind; 4],
    typed: OpenForm,
    today: String,
    filter: Filter,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "incident_show.html")]
struct CasePage {
    frame: Frame,
    case: IncidentDetail,
    office: bool,
    /// Who and what may be stopped from here.
    people: Vec<Member>,
    slots: Vec<(SlotNumber, String)>,
    notice: Option<Notice>,
}

impl CasePage {
    /// Steps that a button notes; 緊急停止 has its own.
    fn next(&self) -> Vec<Step> {
        let steps = self.case.next.iter().filter_map(|step| Step::parse(step));
        steps.filter(|step| *step != Step::Stopped).collect()
    }

    fn may_stop(&self) -> bool {
        self.case.next.iter().any(|step| step == Step::Stopped.as_str())
    }
}

#[derive(Template)]
#[template(path = "incident_print.html")]
struct PrintPage {
    frame: Frame,
    case: IncidentDetail,
    today: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    /// `all`, or the open ones.
    show: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OpenForm {
    facility: String,
    kind: String,
    known_on: String,
    unlawful: String,
    /// The box is ticked beforehand; a form that was sent without it says no.
    reportable: String,
    people: String,
    summary: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StepForm {
    step: String,
    note: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct StopForm {
    /// A membership or a number.
    what: String,
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let typed = OpenForm { reportable: "on".into(), ..OpenForm::default() };
    let page = list_page(&shared, &caller, filter, typed, None).await;
    show(&shared, &caller, page).await
}

async fn list_page(
    shared: &Shared,
    caller: &Caller,
    filter: Filter,
    typed: OpenForm,
    notice: Option<Notice>,
) -> Result<ListPage, Fault> {
    let (object, own) = realm_of(caller);
    permit(caller, Action::SeeIncidents, &object)?;
    let mut rows = incident_work::list(shared, own.as_ref()).await?;
    let all = rows.len();
    rows.retain(|row| filter.show == "all" || !row.closed);
    let office = own.is_none();
    let offered = if office { find_rows::offered(shared).await? } else { vec![] };
    Ok(ListPage {
        frame: frame(shared, caller, if office { "/incidents" } else { "/" }).await?,
        rows,
        all,
        office,
        offered,
        kinds: IncidentKind::ALL,
        typed,
        today: dates::day(world::now_ms()).to_string(),
        filter,
        notice,
    })
}

async fn open(State(shared): Room, caller: Caller, form: Result<Form<OpenForm>, FormRejection>) -> Response {
    let form = async {
        permit(&caller, Action::ReportIncident, &realm_of(&caller).0)?;
        read_form(form)
    };
    let form = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let done = async {
        let facility: Option<FacilityId> = match realm_of(&caller).1 {
            Some(own) => Some(own),
            None if form.facility.trim().is_empty() => None,
            None => Some(find_rows::meant(&shared, &form.facility).await?),
        };
        let people = match form.people.trim() {
            "" => None,
            some => Some(some.parse().map_err(|_| PeopleMessage::FieldMissing.about("people"))?),
        };
        let new = NewIncident {
            facility,
            kind: form.kind.clone(),
            known_on: form.known_on.clone(),
            unlawful: !form.unlawful.is_empty(),
            reportable: !form.reportable.is_empty(),
            people,
            summary: form.summary.clone(),
        };
        incident_work::open(&shared, &operator(&caller)?, new, false).await
    };
    match done.await {
        Ok(made) => see_other(&format!("/incidents/{}", made.line.incident)),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            match list_page(&shared, &caller, Filter::default(), form, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// Everything of the secretariat, what is one's own of an admin; another's is nobody's.
async fn known(shared: &Shared, caller: &Caller, id: &str) -> Result<IncidentDetail, Fault> {
    let (object, own) = realm_of(caller);
    permit(caller, Action::SeeIncidents, &object)?;
    let case = incident_work::show(shared, id).await?;
    if own.is_some() && case.line.facility != own {
        return Err(PeopleMessage::IncidentUnknown.about(id.chars().take(20).collect::<String>()).into());
    }
    Ok(case)
}

async fn case_page(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    notice: Option<Notice>,
) -> Result<CasePage, Fault> {
    let case = known(shared, caller, id).await?;
    let office = caller.identity.role == Role::Secretariat;
    let (mut people, mut slots) = (vec![], vec![]);
    if let Some(place) = case.line.facility.as_ref().filter(|_| office) {
        people = standing_work::present(shared, place).await?;
        people.retain(|member| member.account == Standing::Active);
        let devices = desk::devices(shared, Some(place), "").await?;
        slots = devices
            .into_iter()
            .filter(|device| device.state == "active")
            .map(|device| (device.slot, device.label))
            .collect();
    }
    let frame = frame(shared, caller, if office { "/incidents" } else { "/" }).await?;
    Ok(CasePage { frame, case, office, people, slots, notice })
}

async fn case(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = case_page(&shared, &caller, &id, None).await;
    show(&shared, &caller, page).await
}

async fn print(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        let case = known(&shared, &caller, &id).await?;
        let frame = frame(&shared, &caller, "").await?;
        Ok(PrintPage { frame, case, today: dates::day(world::now_ms()).to_string() })
    };
    show(&shared, &caller, page.await).await
}

async fn step(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<StepForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::DriveIncident, &Object::Association)?;
        let StepForm { step, note } = read_form(form)?;
        incident_work::step(&shared, &operator(&caller)?, &id, &step, &note, false).await
    };
    after(&shared, &caller, &id, done.await).await
}

async fn stop(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<StopForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::StopForIncident, &Object::Association)?;
        let form = read_form(form)?;
        let stop = match (form.what.parse(), form.what.parse()) {
            (Ok(membership), _) => Stop::Member(membership),
            (_, Ok(slot)) => Stop::Slot(slot),
            _ => return Err(PeopleMessage::NobodyChosen.into()),
        };
        incident_work::stop(&shared, &operator(&caller)?, &id, &stop).await
    };
    after(&shared, &caller, &id, done.await).await
}

async fn after(shared: &Shared, caller: &Caller, id: &str, done: Result<IncidentDetail, Fault>) -> Response {
    match done {
        Ok(case) => see_other(&format!("/incidents/{}", case.line.incident)),
        Err(fault) if caller.page && caller.identity.role == Role::Secretariat => {
            let (status, notice) = notice(fault);
            match case_page(shared, caller, id, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(shared, caller, fault).await,
            }
        }
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
