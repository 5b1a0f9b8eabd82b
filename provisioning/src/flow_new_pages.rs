//! A new 案件: which flow, whose facility, which patient, which papers came with it. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::{FacilityId, MembershipId, PatientId};
use serde::Deserialize;

use crate::console::{facility, patient_id, permit};
use crate::decide::{Action, Object};
use crate::door_flow::FlowAnswer;
use crate::fault::Fault;
use crate::find_rows::{self, FoundFacility, SHOWN_MAX};
use crate::flow_forms::{self, Need, needs};
use crate::flow_office::{self, Opening};
use crate::flow_pages::Fields;
use crate::flow_steps::Flow;
use crate::messages_people::PeopleMessage;
use crate::need::TeamRow;
use crate::page::{frame, fresh, notice, operator, refuse, show};
use crate::problem::{Caller, html_as, once, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{desk, find, patients};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/flows/new", get(new)).route("/flows/open", post(open))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    flow: String,
    /// Of the facility's name, code or telephone.
    q: String,
}

/// A flow to choose, with the papers it needs.
struct Kind {
    flow: Flow,
    papers: String,
}

#[derive(Template)]
#[template(path = "flow_kinds.html")]
struct KindsPage {
    frame: Frame,
    kinds: Vec<Kind>,
}

#[derive(Template)]
#[template(path = "flow_new.html")]
struct NewPage {
    frame: Frame,
    flow: Flow,
    papers: Vec<Paper>,
    q: String,
    facilities: Vec<FoundFacility>,
    more: bool,
    patients: Vec<TeamRow>,
    /// Who may leave a family (C-9), with the facility's name.
    family: Vec<(MembershipId, String)>,
    typed: Fields,
    once: String,
    notice: Option<Notice>,
}

struct Paper {
    name: &'static str,
    /// ●; the others hang on a question.
    must: bool,
}

impl NewPage {
    fn typed(&self, name: &str) -> &str {
        self.typed.get(name).map_or("", String::as_str)
    }
}

fn papers(flow: Flow) -> Vec<Paper> {
    let paper = |need: &Need| match need {
        Need::Must(form) => Paper { name: form.name_ja(), must: true },
        Need::When(form, ..) => Paper { name: form.name_ja(), must: false },
    };
    needs(flow).iter().map(paper).collect()
}

async fn new(State(shared): Room, caller: Caller, Query(wanted): Query<Wanted>) -> Response {
    if let Some(flow) = Flow::parse(&wanted.flow) {
        let page = async {
            permit(&caller, Action::DriveFlow, &Object::Association)?;
            let typed = Fields::from([("q".to_owned(), wanted.q)]);
            page_of(&shared, &caller, flow, typed, None).await
        };
        return show(&shared, &caller, page.await).await;
    }
    let page = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        let kind = |flow: Flow| {
            let mark =
                |paper: &Paper| format!("{}{}", paper.name, if paper.must { "" } else { "（必要なとき）" });
            Kind { flow, papers: papers(flow).iter().map(mark).collect::<Vec<_>>().join("、") }
        };
        Ok(KindsPage { frame: frame(&shared, &caller, "/flows").await?, kinds: Flow::ALL.map(kind).into() })
    };
    show(&shared, &caller, page.await).await
}

async fn page_of(
    shared: &Shared,
    caller: &Caller,
    flow: Flow,
    typed: Fields,
    notice: Option<Notice>,
) -> Result<NewPage, Fault> {
    let q = typed.get("q").cloned().unwrap_or_default();
    let mut facilities = find_rows::facilities(shared, &find::Query::new(&q), SHOWN_MAX + 1).await?;
    let more = facilities.len() > SHOWN_MAX;
    facilities.truncate(SHOWN_MAX);
    let patients = if flow.has_patient() { patients::list(shared, None).await? } else { Vec::new() };
    let family = if flow == Flow::C9 { desk::family_members(shared).await? } else { Vec::new() };
    let frame = frame(shared, caller, "/flows").await?;
    let once = fresh()?;
    Ok(NewPage {
        frame,
        flow,
        papers: papers(flow),
        q,
        facilities,
        more,
        patients,
        family,
        typed,
        once,
        notice,
    })
}

async fn open(State(shared): Room, caller: Caller, form: Result<Form<Fields>, FormRejection>) -> Response {
    let fields = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        read_form(form)
    };
    let fields = match fields.await {
        Ok(fields) => fields,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let fault = match opened(&shared, &caller, &fields).await {
        Ok(case) => return see_other(&format!("/flows/{case}")),
        Err(fault) => fault,
    };
    let flow = fields.get("flow").and_then(|flow| Flow::parse(flow));
    let Some(flow) = flow.filter(|_| caller.page) else { return refuse(&shared, &caller, fault).await };
    let (status, notice) = notice(fault);
    match page_of(&shared, &caller, flow, fields, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// The new case's number.
async fn opened(shared: &Shared, caller: &Caller, fields: &Fields) -> Result<String, Fault> {
    let value = |name: &str| fields.get(name).map_or("", |value| value.trim());
    let of = |name: &str| Some(value(name)).filter(|value| !value.is_empty());
    let flow = Flow::parse(value("flow")).ok_or_else(|| PeopleMessage::BodyForm.about("flow"))?;
    let facility: Option<FacilityId> = of("facility").map(facility).transpose()?;
    let patient: Option<PatientId> = of("patient").map(patient_id).transpose()?;
    let membership: Option<MembershipId> =
        of("membership").map(|text| text.parse().map_err(|_| PeopleMessage::MemberUnknown)).transpose()?;
    // Asked for here, so that no step stands still for it later.
    if facility.is_none() && matches!(flow, Flow::C4 | Flow::C7 | Flow::C9 | Flow::C11) {
        return Err(PeopleMessage::FlowFacility.into());
    }
    if patient.is_none() && flow.has_patient() && !matches!(flow, Flow::C1 | Flow::C2) {
        return Err(PeopleMessage::FlowPatient.into());
    }
    let known = |form: &flow_forms::Form| fields.contains_key(&format!("form-{}", form.name_ja()));
    let forms: Vec<String> =
        flow_forms::Form::ALL.into_iter().filter(known).map(|form| form.name_ja().to_owned()).collect();
    let about = [flow.id(), value("facility"), value("patient"), value("membership"), &forms.join(" ")];
    let request = once(caller, "flow", value("once"), &about)?;
    let opening = Opening { flow: flow.id().to_owned(), facility, patient, membership, forms };
    let case = flow_office::open(shared, &operator(caller)?, &opening, request.as_ref(), false).await?;
    match case {
        FlowAnswer::Case(case) => Ok(case.row.case),
        FlowAnswer::Cases(_) => Err(PeopleMessage::Internal.into()),
    }
}
