//! 案件 on the secretariat's screen: the list with its filter in the URL, one case with its steps, papers, questions
//! and mails, and each act with the command that does the same (C-1 … C-12, P-16, P-22). Edge, border: HTTP, forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::console::{patient_id, permit};
use crate::decide::{Action, Object};
use crate::door_flow::{FlowAct, FlowAnswer, FlowDetail, FlowQuestion, FlowRow, FlowStep};
use crate::door_scan::ScanLine;
use crate::fault::Fault;
use crate::flow_effects::FIELDS;
use crate::flow_forms;
use crate::flow_office;
use crate::flow_steps::Flow;
use crate::messages_people::PeopleMessage;
use crate::need::TeamRow;
use crate::page::{frame, notice, operator, refuse, show};
use crate::patients;
use crate::problem::{Caller, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{find, find_rows, scan_work};

type Room = State<Arc<Shared>>;
/// A form whose fields depend on the button.
pub(crate) type Fields = BTreeMap<String, String>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/flows", get(list))
        .route("/flows/{case}", get(case))
        .route("/flows/{case}/act", post(act))
        .route("/flows/{case}/steps/{step}", get(confirm_step))
}

/// What the list shows; all of it stands in the URL.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    /// `open`, `mine`, `overdue`, `done`, or all.
    show: String,
    flow: String,
    q: String,
}

#[derive(Template)]
#[template(path = "flows.html")]
struct FlowsPage {
    frame: Frame,
    rows: Vec<FlowRow>,
    all: usize,
    filter: Filter,
    flows: [Flow; 14],
}

#[derive(Template)]
#[template(path = "flow_show.html")]
struct FlowPage {
    frame: Frame,
    case: FlowDetail,
    /// Of the patient, where the SNS says it.
    patient_name: String,
    /// Forms that may still arrive.
    papers: Vec<&'static str>,
    fields: [&'static str; 5],
    by_telephone: bool,
    scans: Vec<ScanLine>,
    /// Who may become the case's patient, while it has none.
    patients: Vec<TeamRow>,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "flow_step.html")]
struct StepPage {
    frame: Frame,
    case: FlowDetail,
    step: FlowStep,
    patient_name: String,
}

impl FlowPage {
    /// Before it is accepted, papers and answers may change.
    fn waits(&self) -> bool {
        matches!(self.case.row.phase.as_str(), "received" | "incomplete")
    }

    fn is_open(&self) -> bool {
        !matches!(self.case.row.phase.as_str(), "done" | "withdrawn")
    }

    /// What is missing beside the answers, whose buttons stand below.
    fn lacking(&self) -> Vec<&String> {
        let asked = |line: &&String| !self.case.questions.iter().any(|asked| asked.ja == **line);
        self.case.missing.iter().filter(asked).collect()
    }

    fn next(&self) -> Vec<&FlowStep> {
        let office = |step: &&FlowStep| step.ready && step.who_ja == "事務局";
        self.case.steps.iter().filter(office).take(1).collect()
    }

    /// What others do, and what only waits to be noted.
    fn others(&self) -> Vec<&FlowStep> {
        self.case.steps.iter().filter(|step| step.ready && step.who_ja != "事務局").collect()
    }
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::ListFlows, &Object::Association)?;
        let rows = rows(&shared, &caller).await?;
        let all = rows.len();
        let query = find::Query::new(&filter.q);
        let rows = rows.into_iter().filter(|row| {
            let is_over = matches!(row.phase.as_str(), "done" | "withdrawn");
            let shown = match filter.show.as_str() {
                "open" | "" => !is_over,
                "mine" => !row.next_ja.is_empty() && !is_over,
                "overdue" => row.overdue,
                "done" => is_over,
                _ => true,
            };
            shown
                && (filter.flow.is_empty() || filter.flow == row.flow)
                && query.fits(&[&row.case, &row.facility_name]).is_some()
        });
        let rows = rows.collect();
        let frame = frame(&shared, &caller, "/flows").await?;
        Ok(FlowsPage { frame, rows, all, filter, flows: Flow::ALL })
    };
    show(&shared, &caller, page.await).await
}

/// Every case, open ones first.
pub(crate) async fn rows(shared: &Arc<Shared>, caller: &Caller) -> Result<Vec<FlowRow>, Fault> {
    match flow_office::answer(shared, &operator(caller)?, FlowQuestion::List).await? {
        FlowAnswer::Cases(rows) => Ok(rows),
        FlowAnswer::Case(_) => Err(PeopleMessage::Internal.into()),
    }
}

async fn detail(shared: &Arc<Shared>, caller: &Caller, case: &str) -> Result<FlowDetail, Fault> {
    asked(shared, caller, FlowQuestion::Show { case: case.to_owned() }).await
}

async fn asked(shared: &Arc<Shared>, caller: &Caller, question: FlowQuestion) -> Result<FlowDetail, Fault> {
    match flow_office::answer(shared, &operator(caller)?, question).await? {
        FlowAnswer::Case(case) => Ok(*case),
        FlowAnswer::Cases(_) => Err(PeopleMessage::Internal.into()),
    }
}

async fn case(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::ListFlows, &Object::Association)?;
        page_of(&shared, &caller, &id, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn page_of(
    shared: &Arc<Shared>,
    caller: &Caller,
    id: &str,
    notice: Option<Notice>,
) -> Result<FlowPage, Fault> {
    let case = detail(shared, caller, id).await?;
    let patient_name = patient_name(shared, &case).await;
    let arrived = |form: &flow_forms::Form| !case.forms.iter().any(|known| known == form.name_ja());
    let papers = flow_forms::Form::ALL.into_iter().filter(arrived).map(flow_forms::Form::name_ja).collect();
    let flow = Flow::parse(&case.row.flow);
    let by_telephone = flow.is_some_and(Flow::by_telephone);
    let scans = scan_work::of_case(shared, id).await?;
    let asks = flow.is_some_and(Flow::has_patient) || scans.iter().any(|scan| scan.days_left.is_some());
    let is_over = matches!(case.row.phase.as_str(), "done" | "withdrawn");
    let patients = if case.patient.is_none() && asks && !is_over {
        // A help here, not a need.
        patients::list(shared, None).await.unwrap_or_default()
    } else {
        Vec::new()
    };
    let frame = frame(shared, caller, "/flows").await?;
    Ok(FlowPage { frame, case, patient_name, papers, fields: FIELDS, by_telephone, scans, patients, notice })
}

/// A name is a help here, not a need: without the SNS the case can still be worked on.
async fn patient_name(shared: &Shared, case: &FlowDetail) -> String {
    let Some(patient) = &case.patient else { return String::new() };
    let teams = patients::list(shared, None).await.unwrap_or_default();
    let team = teams.into_iter().find(|team| team.patient == *patient);
    team.map(|team| team.name.expose().to_owned()).unwrap_or_default()
}

async fn confirm_step(
    State(shared): Room,
    caller: Caller,
    Path((id, step)): Path<(String, String)>,
) -> Response {
    let page = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        // The rehearsal says no where the act would.
        let act = FlowAct::Step { step: step.clone() };
        let question = FlowQuestion::Act { case: id.clone(), act, dry_run: true };
        asked(&shared, &caller, question).await?;
        let case = detail(&shared, &caller, &id).await?;
        let step = case.steps.iter().find(|known| known.id == step).cloned();
        let step = step.ok_or(PeopleMessage::NotFound)?;
        let patient_name = patient_name(&shared, &case).await;
        Ok(StepPage { frame: frame(&shared, &caller, "/flows").await?, case, step, patient_name })
    };
    show(&shared, &caller, page.await).await
}

async fn act(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        let fields = read_form(form)?;
        let act = match fields.get("act").map(String::as_str) {
            Some("attach") => {
                let typed = fields.get("facility").map_or("", String::as_str);
                FlowAct::Attach { facility: find_rows::meant(&shared, typed).await? }
            }
            _ => wanted(&fields)?,
        };
        let question = FlowQuestion::Act { case: id.clone(), act, dry_run: false };
        asked(&shared, &caller, question).await
    };
    match done.await {
        Ok(case) => see_other(&format!("/flows/{}", case.row.case)),
        Err(fault) if caller.page => {
            // The case's own page again, with what went wrong above it.
            let (status, notice) = notice(fault);
            match permit(&caller, Action::ListFlows, &Object::Association) {
                Err(fault) => refuse(&shared, &caller, fault).await,
                Ok(_) => match page_of(&shared, &caller, &id, Some(notice)).await {
                    Ok(page) => html_as(status, page.render(), caller.trace),
                    Err(fault) => refuse(&shared, &caller, fault).await,
                },
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// The button that was pressed, with its fields.
fn wanted(fields: &Fields) -> Result<FlowAct, Fault> {
    let value = |name: &str| fields.get(name).cloned().unwrap_or_default();
    Ok(match value("act").as_str() {
        "form" => FlowAct::Form { form: value("form") },
        "answer" => FlowAct::Answer { question: value("question"), yes: value("yes") == "yes" },
        "call" => FlowAct::Call {
            caller: value("caller"),
            number: value("number"),
            at: value("at"),
            recognised_by: value("recognised_by"),
        },
        "change" => FlowAct::Change { field: value("field"), value: value("value") },
        "patient" => FlowAct::Patient { patient: patient_id(&value("patient"))? },
        "incomplete" => FlowAct::Incomplete,
        "withdraw" => FlowAct::Withdraw,
        "step" => FlowAct::Step { step: value("step") },
        "confirm" => FlowAct::Confirm { step: value("step"), how: value("how") },
        _ => return Err(PeopleMessage::BodyForm.about("act").into()),
    })
}
