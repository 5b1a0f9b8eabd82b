//! スキャン on the secretariat's screen: a pile is taken in and each page's way is said, what waits is seen and sorted, one page is
//! looked at and printed. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door_flow::FlowRow;
use crate::door_scan::{CameBy, ScanLine, ScanReport, Why};
use crate::fault::Fault;
use crate::flow_forms;
use crate::flow_pages::{self, Fields};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::paper_field::FORMS;
use crate::problem::{Caller, html_as, read_form, see_other, with_type};
use crate::scan_file::FILE_MAX;
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{paper_office, scan_take, scan_work, upload};

type Room = State<Arc<Shared>>;

/// A file with the form around it; below what the gateway lets through.
const BODY_MAX: usize = FILE_MAX + 2 * 1024 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/scans", get(tray).post(take).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/scans/{scan}", get(look))
        .route("/scans/{scan}/image", get(image))
        .route("/scans/{scan}/file", post(file))
        .route("/scans/{scan}/discard", post(discard))
}

#[derive(Template)]
#[template(path = "scans.html")]
struct ScansPage {
    frame: Frame,
    waiting: Vec<ScanLine>,
    /// What went from the tray lately.
    gone: Vec<ScanLine>,
    ways: [CameBy; 3],
    report: Option<ScanReport>,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "scan_show.html")]
struct ScanPage {
    frame: Frame,
    line: ScanLine,
    /// To be sorted into.
    cases: Vec<FlowRow>,
    forms: [flow_forms::Form; 7],
    whys: [Why; 4],
    typed: Fields,
    notice: Option<Notice>,
}

impl ScansPage {
    /// Whether the receipt speaks of more than one file.
    fn several(&self) -> bool {
        let files = self.report.iter().flat_map(|report| &report.pages).map(|page| page.file);
        files.max().unwrap_or(1) > 1
    }
}

impl ScanPage {
    fn typed(&self, name: &str) -> &str {
        self.typed.get(name).map_or("", String::as_str)
    }
}

async fn page(
    shared: &Shared,
    caller: &Caller,
    report: Option<ScanReport>,
    notice: Option<Notice>,
) -> Result<ScansPage, Fault> {
    let lines = scan_work::tray(shared).await?;
    let (waiting, gone) = lines.into_iter().partition(|line| line.days_left.is_some());
    let frame = frame(shared, caller, "/flows").await?;
    Ok(ScansPage { frame, waiting, gone, ways: CameBy::ALL, report, notice })
}

async fn tray(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::SeeScans, &Object::Association)?;
        page(&shared, &caller, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn take(
    State(shared): Room,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::SortScans, &Object::Association)?;
        let mut parts = upload::read(&headers, body)?;
        let came_by =
            CameBy::parse(&parts.text("came")).ok_or_else(|| PeopleMessage::BodyForm.about("came"))?;
        let dry_run = parts.text("rehearse") == "yes";
        scan_take::take(&shared, &operator(&caller)?, parts.files("files"), came_by, dry_run).await
    };
    let (status, report, notice) = match done.await {
        Ok(report) if report.faults.is_empty() => (StatusCode::OK, Some(report), None),
        Ok(report) => (StatusCode::UNPROCESSABLE_ENTITY, Some(report), None),
        Err(fault) if caller.page && permit(&caller, Action::SortScans, &Object::Association).is_ok() => {
            let (status, notice) = notice(fault);
            (status, None, Some(notice))
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match page(&shared, &caller, report, notice).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn look(State(shared): Room, caller: Caller, Path(scan): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeeScans, &Object::Association)?;
        one(&shared, &caller, &scan, Fields::new(), None).await
    };
    show(&shared, &caller, page.await).await
}

async fn one(
    shared: &Arc<Shared>,
    caller: &Caller,
    scan: &str,
    typed: Fields,
    notice: Option<Notice>,
) -> Result<ScanPage, Fault> {
    let line = scan_work::line(shared, scan).await?;
    let mut cases = Vec::new();
    if line.days_left.is_some() {
        cases = flow_pages::rows(shared, caller).await?;
        cases.retain(|row| !matches!(row.phase.as_str(), "done" | "withdrawn"));
    }
    let frame = frame(shared, caller, "/flows").await?;
    Ok(ScanPage { frame, line, cases, forms: FORMS, whys: Why::ALL, typed, notice })
}

/// The picture itself: written down before it leaves, kept by nobody on its way.
async fn image(State(shared): Room, caller: Caller, Path(scan): Path<String>) -> Response {
    let seen = async {
        permit(&caller, Action::SeeScans, &Object::Association)?;
        scan_work::seen(&shared, &operator(&caller)?, &scan).await
    };
    match seen.await {
        Ok((media, bytes)) => with_type(StatusCode::OK, media.as_str(), bytes.to_vec()),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn file(
    State(shared): Room,
    caller: Caller,
    Path(scan): Path<String>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    sorted(&shared, &caller, &scan, form, true).await
}

async fn discard(
    State(shared): Room,
    caller: Caller,
    Path(scan): Path<String>,
    form: Result<Form<Fields>, FormRejection>,
) -> Response {
    sorted(&shared, &caller, &scan, form, false).await
}

/// Done, and the tray again; or the page with what went wrong above it.
async fn sorted(
    shared: &Arc<Shared>,
    caller: &Caller,
    scan: &str,
    form: Result<Form<Fields>, FormRejection>,
    files: bool,
) -> Response {
    let fields = async {
        permit(caller, Action::SortScans, &Object::Association)?;
        read_form(form)
    };
    let fields = match fields.await {
        Ok(fields) => fields,
        Err(fault) => return refuse(shared, caller, fault).await,
    };
    let fault = match act(shared, caller, scan, &fields, files).await {
        Ok(path) => return see_other(&path),
        Err(fault) if caller.page => fault,
        Err(fault) => return refuse(shared, caller, fault).await,
    };
    let (status, notice) = notice(fault);
    match one(shared, caller, scan, fields, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn act(
    shared: &Arc<Shared>,
    caller: &Caller,
    scan: &str,
    fields: &Fields,
    files: bool,
) -> Result<String, Fault> {
    let value = |name: &str| fields.get(name).map_or("", |value| value.trim());
    let operator = operator(caller)?;
    if files {
        let form = Some(value("form")).filter(|form| !form.is_empty());
        let form = form.map(paper_office::known).transpose()?;
        scan_work::file(shared, &operator, scan, (value("case"), form), false).await?;
    } else {
        let why = Why::parse(value("why")).ok_or_else(|| PeopleMessage::BodyForm.about("why"))?;
        scan_work::discard(shared, &operator, scan, why, false).await?;
    }
    Ok("/scans".to_owned())
}
