//! 様式 on the secretariat's screen: each one to hand out, blank or for a case, and one place for whatever came back.
//! Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door::ImportReport;
use crate::door_paper::PaperKind;
use crate::fault::Fault;
use crate::flow_forms::Form;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::paper_field::FORMS;
use crate::paper_find::Importer;
use crate::paper_intake;
use crate::problem::{Caller, download, html_as};
use crate::shared::Shared;
use crate::sheet_file::FILE_MAX;
use crate::views::{Frame, Notice};
use crate::{paper_office, paper_text, upload};

type Room = State<Arc<Shared>>;

/// A workbook with the form around it.
const BODY_MAX: usize = FILE_MAX + 16 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/forms", get(list))
        .route("/forms/import", post(import).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/forms/{form}/{kind}", get(file))
}

struct Offered {
    form: Form,
    number: &'static str,
    title: &'static str,
}

#[derive(Template)]
#[template(path = "forms.html")]
struct FormsPage {
    frame: Frame,
    forms: Vec<Offered>,
    case: String,
    report: Option<ImportReport>,
    /// Where the cases of the report stand.
    cases_at: &'static str,
    notice: Option<Notice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    case: String,
}

async fn page(
    shared: &Shared,
    caller: &Caller,
    case: String,
    taken: Option<(Form, ImportReport)>,
    notice: Option<Notice>,
) -> Result<FormsPage, Fault> {
    let offered = |form: Form| Offered {
        form,
        number: form.name_ja().trim_start_matches("様式"),
        title: paper_text::words(form).map_or("", |words| words.title),
    };
    let forms = FORMS.into_iter().map(offered).collect();
    let (form, report) = taken.unzip();
    let cases_at = if form == Some(Form::Application) { "/cases" } else { "/flows" };
    Ok(FormsPage { frame: frame(shared, caller, "/flows").await?, forms, case, report, cases_at, notice })
}

async fn list(State(shared): Room, caller: Caller, Query(wanted): Query<Wanted>) -> Response {
    let page = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        page(&shared, &caller, wanted.case, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn file(
    State(shared): Room,
    caller: Caller,
    Path((form, kind)): Path<(String, String)>,
    Query(wanted): Query<Wanted>,
) -> Response {
    let file = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        let form = paper_office::known(&form)?;
        let kind = PaperKind::parse(&kind).ok_or(PeopleMessage::NotFound)?;
        let case = Some(wanted.case.as_str()).filter(|case| !case.is_empty());
        let (name, bytes) = paper_office::file(&shared, form, kind, case).await?;
        Ok::<_, Fault>((name, kind.media(), bytes))
    };
    match file.await {
        Ok((name, media, bytes)) => download(&name, media, bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn import(
    State(shared): Room,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::DriveFlow, &Object::Association)?;
        for also in [Action::RegisterPatient, Action::AcceptCase] {
            permit(&caller, also, &Object::Association)?;
        }
        let mut parts = upload::read(&headers, body)?;
        let named = match parts.text("form").as_str() {
            "" => None,
            form => Some(paper_office::known(form)?),
        };
        let dry_run = parts.text("rehearse") == "yes";
        let operator = operator(&caller)?;
        let importer = Importer { operator: &operator, identity: Some(&caller.identity) };
        paper_intake::import(&shared, importer, parts.file("file")?, named, dry_run).await
    };
    let (status, taken, notice) = match done.await {
        Ok(taken) if taken.1.faults.is_empty() => (StatusCode::OK, Some(taken), None),
        Ok(taken) => (StatusCode::UNPROCESSABLE_ENTITY, Some(taken), None),
        Err(fault) if caller.page && permit(&caller, Action::DriveFlow, &Object::Association).is_ok() => {
            let (status, notice) = notice(fault);
            (status, None, Some(notice))
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match page(&shared, &caller, String::new(), taken, notice).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
