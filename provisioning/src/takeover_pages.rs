//! 引継ぎ on the secretariat's screen: the workbook to write registers into, its rehearsal and import, what was taken over,
//! and for each facility its start, or the way back as long as nothing has begun. Edge, border: HTTP, forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::{HeaderMap, StatusCode};
use pki::identity::FacilityId;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door::ImportReport;
use crate::door_paper::PaperKind;
use crate::door_takeover::TakeoverLine;
use crate::fault::Fault;
use crate::messages::shown;
use crate::messages_intake::IntakeMessage;
use crate::office_pages::{ListFilter, Shown};
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, download, html_as, see_other};
use crate::shared::Shared;
use crate::sheet_file::FILE_MAX;
use crate::views::{self, Frame, Notice};
use crate::{find, takeover_import, takeover_work, upload};

type Room = State<Arc<Shared>>;

/// A workbook with the form around it.
const BODY_MAX: usize = FILE_MAX + 16 * 1024;
/// Faults of one screen; whoever mends them tries again and sees the next.
const FAULTS_SHOWN: usize = 100;
/// Facilities that one press begins: each takes a tenth of a second, and nobody looks at a page that does not come.
const START_AT_ONCE: u32 = 20;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/takeover", get(page).post(import).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/takeover/template", get(template))
        .route("/takeover/{batch}", get(batch))
        .route("/takeover/{batch}/start", post(start_batch))
        .route("/takeover/{batch}/{facility}", get(one))
        .route("/takeover/{batch}/{facility}/start", post(start_one))
        .route("/takeover/{batch}/{facility}/undo", post(undo_one))
}

/// One import and what has become of it.
#[derive(Default)]
struct BatchRow {
    batch: String,
    at: String,
    taken: usize,
    started: usize,
    undone: usize,
}

#[derive(Template)]
#[template(path = "takeover.html")]
struct TakeoverPage {
    frame: Frame,
    batches: Vec<BatchRow>,
    /// With as many of its faults as fit one screen.
    report: Option<ImportReport>,
    faults: usize,
    warnings: usize,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "takeover_batch.html")]
struct BatchPage {
    frame: Frame,
    batch: String,
    lines: Vec<TakeoverLine>,
    /// How many wait to begin, whatever is shown.
    waiting: usize,
    /// How many of them one press begins.
    at_once: usize,
    shown: Shown,
    filter: ListFilter,
}

#[derive(Template)]
#[template(path = "takeover_show.html")]
struct ShowPage {
    frame: Frame,
    line: TakeoverLine,
    notice: Option<Notice>,
}

fn allowed(caller: &Caller) -> Result<(), Fault> {
    permit(caller, Action::TakeOver, &Object::Association).map(drop)
}

async fn list(
    shared: &Shared,
    caller: &Caller,
    mut report: Option<ImportReport>,
    notice: Option<Notice>,
) -> Result<TakeoverPage, Fault> {
    let (mut faults, mut warnings) = (0, 0);
    if let Some(report) = &mut report {
        (faults, warnings) = (report.faults.len(), report.warnings.len());
        report.faults.truncate(FAULTS_SHOWN);
        report.warnings.truncate(FAULTS_SHOWN);
    }
    let mut batches: BTreeMap<String, BatchRow> = BTreeMap::new();
    for line in takeover_work::lines(shared, "").await? {
        let row = batches.entry(line.batch.clone()).or_default();
        match line.state.as_str() {
            "taken" => row.taken += 1,
            "started" => row.started += 1,
            _ => row.undone += 1,
        }
        (row.batch, row.at) = (line.batch, line.at);
    }
    Ok(TakeoverPage {
        frame: frame(shared, caller, "/facilities").await?,
        batches: batches.into_values().rev().collect(),
        report,
        faults,
        warnings,
        notice,
    })
}

async fn page(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        allowed(&caller)?;
        list(&shared, &caller, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn template(State(shared): Room, caller: Caller) -> Response {
    match allowed(&caller).and_then(|()| takeover_work::template()) {
        Ok((name, bytes)) => download(&name, PaperKind::Xlsx.media(), bytes),
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
        allowed(&caller)?;
        let mut parts = upload::read(&headers, body)?;
        let dry_run = parts.text("rehearse") == "yes";
        takeover_import::import(&shared, &operator(&caller)?, parts.file("file")?, dry_run).await
    };
    let (status, report, notice) = match done.await {
        Ok(report) if report.faults.is_empty() => (StatusCode::OK, Some(report), None),
        Ok(report) => (StatusCode::UNPROCESSABLE_ENTITY, Some(report), None),
        Err(fault) if caller.page && allowed(&caller).is_ok() => {
            let (status, notice) = notice(fault);
            (status, None, Some(notice))
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match list(&shared, &caller, report, notice).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn batch(
    State(shared): Room,
    caller: Caller,
    Path(batch): Path<String>,
    Query(filter): Query<ListFilter>,
) -> Response {
    let page = async {
        allowed(&caller)?;
        let all = takeover_work::lines(&shared, &batch).await?;
        if all.is_empty() {
            return Err(IntakeMessage::TakeoverUnknown { batch: shown(&batch) }.into());
        }
        let waiting = all.iter().filter(|line| line.state == "taken").count();
        let query = find::Query::new(&filter.q);
        let fits = |line: &TakeoverLine| {
            let slots: Vec<String> = line.slots.iter().map(ToString::to_string).collect();
            filter.takes("", &line.state) && query.fits(&[&line.name, &slots.join(" ")]).is_some()
        };
        let (lines, shown) = filter.screen(all, fits);
        let frame = frame(&shared, &caller, "/facilities").await?;
        Ok(BatchPage {
            frame,
            batch,
            lines,
            waiting,
            at_once: waiting.min(START_AT_ONCE as usize),
            shown,
            filter,
        })
    };
    show(&shared, &caller, page.await).await
}

async fn line(shared: &Shared, batch: &str, id: &FacilityId) -> Result<TakeoverLine, Fault> {
    let lines = takeover_work::lines(shared, batch).await?;
    let unknown = || IntakeMessage::TakeoverUnknown { batch: shown(batch) }.into();
    lines.into_iter().find(|line| line.facility == *id).ok_or_else(unknown)
}

async fn one_page(
    shared: &Shared,
    caller: &Caller,
    batch: &str,
    id: &FacilityId,
    notice: Option<Notice>,
) -> Result<ShowPage, Fault> {
    let line = line(shared, batch, id).await?;
    Ok(ShowPage { frame: frame(shared, caller, "/facilities").await?, line, notice })
}

async fn one(State(shared): Room, caller: Caller, Path((batch, id)): Path<(String, String)>) -> Response {
    let page = async {
        allowed(&caller)?;
        one_page(&shared, &caller, &batch, &facility(&id)?, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn start_batch(State(shared): Room, caller: Caller, Path(batch): Path<String>) -> Response {
    let done = async {
        allowed(&caller)?;
        let waits = |line: &TakeoverLine| line.state == "taken";
        // The button pressed twice, when the first press began the last of them.
        if takeover_work::lines(&shared, &batch).await?.iter().any(waits) {
            takeover_work::start(&shared, &operator(&caller)?, &batch, None, START_AT_ONCE, false).await?;
        }
        Ok::<_, Fault>(())
    };
    match done.await {
        Ok(()) => see_other(&format!("/takeover/{batch}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn start_one(
    State(shared): Room,
    caller: Caller,
    Path((batch, id)): Path<(String, String)>,
) -> Response {
    let done = async {
        let id = told(&shared, &caller, &batch, &id).await?;
        if let Some(id) = id {
            takeover_work::start(&shared, &operator(&caller)?, &batch, Some(&id), 1, false).await?;
        }
        Ok(())
    };
    let done = done.await;
    after(&shared, &caller, &batch, &id, done).await
}

async fn undo_one(
    State(shared): Room,
    caller: Caller,
    Path((batch, id)): Path<(String, String)>,
) -> Response {
    let done = async {
        allowed(&caller)?;
        let named = facility(&id)?;
        // The button pressed twice: the page shows what the first press did.
        if line(&shared, &batch, &named).await?.state != "undone" {
            takeover_work::undo(&shared, &operator(&caller)?, &batch, &named, false).await?;
        }
        Ok(())
    };
    let done = done.await;
    after(&shared, &caller, &batch, &id, done).await
}

/// The facility, while it waits; the button pressed twice begins nothing again.
async fn told(shared: &Shared, caller: &Caller, batch: &str, id: &str) -> Result<Option<FacilityId>, Fault> {
    allowed(caller)?;
    let id = facility(id)?;
    let waits = line(shared, batch, &id).await?.state == "taken";
    Ok(waits.then_some(id))
}

/// The facility's page, with what stood against it.
async fn after(shared: &Shared, caller: &Caller, batch: &str, id: &str, done: Result<(), Fault>) -> Response {
    let fault = match done {
        Ok(()) => return see_other(&format!("/takeover/{batch}/{id}")),
        Err(fault) if caller.page && allowed(caller).is_ok() => fault,
        Err(fault) => return refuse(shared, caller, fault).await,
    };
    let Ok(named) = facility(id) else { return refuse(shared, caller, fault).await };
    let (status, notice) = notice(fault);
    match one_page(shared, caller, batch, &named, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
