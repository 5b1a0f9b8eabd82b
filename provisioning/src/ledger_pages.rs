//! 管理台帳 on the screen, on paper, as `.xlsx` and CSV, and taken back (E-09): by the facility's own admin, read by the
//! secretariat, too. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode};
use pki::identity::{FacilityId, Role};
use serde::Deserialize;

use crate::console::{facility, permit, realm_of};
use crate::decide::{Action, Object};
use crate::door::ImportReport;
use crate::door_paper::PaperKind;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, download, html_as};
use crate::shared::Shared;
use crate::sheet_file::FILE_MAX;
use crate::views::{Frame, Notice};
use crate::{dates, ledger_rows, upload, world};

type Room = State<Arc<Shared>>;

const BODY_MAX: usize = FILE_MAX + 16 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/ledger", get(page).post(import).layer(DefaultBodyLimit::max(BODY_MAX)))
        .route("/ledger/file", get(file))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    facility: String,
    /// Of CSV: `devices`, or the people.
    table: String,
    /// Of a file: `pdf`, `xlsx`, `csv`.
    kind: String,
}

#[derive(Template)]
#[template(path = "ledger.html")]
struct LedgerPage {
    frame: Frame,
    ledger: Ledger,
    /// The facility of another, seen by the office.
    of: Option<FacilityId>,
    today: String,
    report: Option<ImportReport>,
    notice: Option<Notice>,
}

async fn read(shared: &Shared, caller: &Caller, named: &str) -> Result<(Ledger, FacilityId), Fault> {
    permit(caller, Action::SeeRegister, &realm_of(caller).0)?;
    let whose = match caller.identity.role {
        Role::Secretariat => facility(named)?,
        Role::FacilityAdmin | Role::Staff | Role::Family => caller.identity.facility.clone(),
    };
    Ok((ledger_rows::of(shared, &whose).await?, whose))
}

async fn page_of(
    shared: &Shared,
    caller: &Caller,
    named: &str,
    report: Option<ImportReport>,
    notice: Option<Notice>,
) -> Result<LedgerPage, Fault> {
    let (ledger, whose) = read(shared, caller, named).await?;
    let office = caller.identity.role == Role::Secretariat;
    Ok(LedgerPage {
        frame: frame(shared, caller, if office { "/register" } else { "/people" }).await?,
        ledger,
        of: office.then_some(whose),
        today: dates::day(world::now_ms()).to_string(),
        report,
        notice,
    })
}

async fn page(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = page_of(&shared, &caller, &filter.facility, None, None).await;
    show(&shared, &caller, page).await
}

async fn file(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let file = async {
        permit(&caller, Action::SeeRegister, &realm_of(&caller).0)?;
        let kind = PaperKind::parse(&filter.kind).ok_or(PeopleMessage::NotFound)?;
        let (ledger, whose) = read(&shared, &caller, &filter.facility).await?;
        let bytes = ledger_rows::file(&shared, ledger, kind, filter.table == "devices").await?;
        Ok::<_, Fault>((format!("ledger-{whose}.{}", kind.extension()), kind.media(), bytes))
    };
    match file.await {
        Ok((name, media, bytes)) => download(&name, media, bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// Only the facility's own admin takes a ledger back: it is kept by the facility (E-09).
async fn import(
    State(shared): Room,
    caller: Caller,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let own = caller.identity.facility.clone();
    let allowed = || permit(&caller, Action::NotePledge, &Object::Facility(own.clone()));
    let done = async {
        allowed()?;
        let mut parts = upload::read(&headers, body)?;
        let dry_run = parts.text("rehearse") == "yes";
        let operator = operator(&caller)?;
        ledger_rows::import(&shared, &operator, &own, parts.file("file")?, dry_run).await
    };
    let (status, report, notice) = match done.await {
        Ok(report) if report.faults.is_empty() => (StatusCode::OK, Some(report), None),
        Ok(report) => (StatusCode::UNPROCESSABLE_ENTITY, Some(report), None),
        Err(fault) if caller.page && allowed().is_ok() => {
            let (status, notice) = notice(fault);
            (status, None, Some(notice))
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match page_of(&shared, &caller, "", report, notice).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
