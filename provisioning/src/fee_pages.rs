//! 料金 on the secretariat's screen: a year's invoices with the filter in the URL, the yearly run with its rehearsal,
//! one invoice, what was paid, the price table and the switches, files for Excel, the bank and the printer (F-01 … F-12).
//! Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door_fee::{FeeAnswer, FeeQuestion, FeeRun, FeeSettings, Invoice};
use crate::fault::Fault;
use crate::fee_paper::{Issuer, Paper};
use crate::fees::FiscalYear;
use crate::messages::{Message, shown};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, download, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{dates, fee_office, fee_rows, fee_words, find, world};

type Room = State<Arc<Shared>>;

/// Invoices on one screen; the rest is one link further.
const SHOWN: usize = 100;
/// Invoices of one page for the printer.
const PRINTED: i64 = 200;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/fees", get(list))
        .route("/fees/run", get(confirm_run).post(run))
        .route("/fees/settings", get(settings).post(set))
        .route("/fees/csv", get(csv))
        .route("/fees/print", get(print))
        .route("/fees/invoices/{invoice}", get(invoice))
        .route("/fees/invoices/{invoice}/paid", post(paid))
}

#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct Filter {
    pub(crate) year: String,
    /// `unpaid`, `paid`, or all.
    show: String,
    q: String,
    page: String,
    after: String,
}

#[derive(Template)]
#[template(path = "fees.html")]
struct FeesPage {
    frame: Frame,
    year: i16,
    years: Vec<i16>,
    rows: Vec<Invoice>,
    found: usize,
    all: usize,
    open: usize,
    open_total: u64,
    total: u64,
    /// `None` on the last one.
    next: Option<usize>,
    filter: Filter,
}

impl FeesPage {
    fn is_year(&self, one: &i16) -> bool {
        *one == self.year
    }
}

#[derive(Template)]
#[template(path = "fee_run.html")]
struct RunPage {
    frame: Frame,
    year: i16,
    run: FeeRun,
    /// Why it cannot be written yet.
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "fee_settings.html")]
struct SettingsPage {
    frame: Frame,
    settings: FeeSettings,
    name: String,
    value: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "fee_invoice.html")]
struct InvoicePage {
    frame: Frame,
    realm_name: String,
    issuer: Issuer,
    paper: Paper,
    today: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "fee_print.html")]
struct PrintPage {
    frame: Frame,
    realm_name: String,
    issuer: Issuer,
    papers: Vec<Paper>,
    year: i16,
    next: Option<String>,
}

#[derive(Deserialize)]
struct RunForm {
    year: String,
}

#[derive(Deserialize)]
struct SetForm {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PaidForm {
    on: String,
}

/// The year that was asked for, else today's.
pub(crate) fn year(text: &str) -> Result<i16, Fault> {
    if text.is_empty() {
        return Ok(this_year());
    }
    let wrong = || Message::FiscalYearForm { given: shown(text) };
    let year = FiscalYear(text.parse().map_err(|_| wrong())?);
    if year.is_sensible() { Ok(year.0) } else { Err(wrong().into()) }
}

/// It begins in April.
fn this_year() -> i16 {
    let today = dates::day(world::now_ms());
    if today.month() < 4 { today.year() - 1 } else { today.year() }
}

pub(crate) async fn ask(shared: &Shared, caller: &Caller, question: FeeQuestion) -> Result<FeeAnswer, Fault> {
    let realm = shared.config.realm_name.as_str();
    Ok(fee_office::answer(&shared.store, realm, world::now_ms(), &operator(caller)?, question).await?)
}

pub(crate) fn odd() -> Fault {
    PeopleMessage::Internal.into()
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        let year = year(&filter.year)?;
        let question = FeeQuestion::List { fiscal_year: year, unpaid_only: false };
        let FeeAnswer::Invoices(invoices) = ask(&shared, &caller, question).await? else { return Err(odd()) };
        let all = invoices.len();
        let open: Vec<u64> = invoices.iter().filter(|row| row.state == "open").map(|row| row.total).collect();
        let (open, open_total) = (open.len(), open.iter().sum());
        let total = invoices.iter().filter(|row| row.state != "void").map(|row| row.total).sum();
        let query = find::Query::new(&filter.q);
        let wanted = |row: &Invoice| {
            let shown = match filter.show.as_str() {
                "unpaid" => row.state == "open",
                "paid" => row.state == "paid",
                _ => true,
            };
            shown && query.fits(&[&row.invoice, &row.code, &row.name]).is_some()
        };
        let rows: Vec<Invoice> = invoices.into_iter().filter(wanted).collect();
        let (found, page) = (rows.len(), filter.page.parse().unwrap_or(0usize).min(rows.len()));
        let rows = rows.into_iter().skip(page.saturating_mul(SHOWN)).take(SHOWN).collect();
        let next = (page.saturating_add(1).saturating_mul(SHOWN) < found).then(|| page + 1);
        let this = this_year();
        let mut years = vec![this + 1, this, this - 1, this - 2];
        if !years.contains(&year) {
            years.push(year);
        }
        let frame = frame(&shared, &caller, "/fees").await?;
        Ok(FeesPage { frame, year, years, rows, found, all, open, open_total, total, next, filter })
    };
    show(&shared, &caller, page.await).await
}

async fn confirm_run(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        run_page(&shared, &caller, year(&filter.year)?, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn run_page(
    shared: &Shared,
    caller: &Caller,
    year: i16,
    notice: Option<Notice>,
) -> Result<RunPage, Fault> {
    let question = FeeQuestion::Run { fiscal_year: year, dry_run: true };
    let FeeAnswer::Run(run) = ask(shared, caller, question).await? else { return Err(odd()) };
    Ok(RunPage { frame: frame(shared, caller, "/fees").await?, year, run, notice })
}

async fn run(State(shared): Room, caller: Caller, form: Result<Form<RunForm>, FormRejection>) -> Response {
    let year = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        year(&read_form(form)?.year)
    };
    let year = match year.await {
        Ok(year) => year,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match ask(&shared, &caller, FeeQuestion::Run { fiscal_year: year, dry_run: false }).await {
        Ok(_) => see_other(&format!("/fees?year={year}")),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            match run_page(&shared, &caller, year, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn settings(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        settings_page(&shared, &caller, String::new(), String::new(), None).await
    };
    show(&shared, &caller, page.await).await
}

async fn settings_page(
    shared: &Shared,
    caller: &Caller,
    name: String,
    value: String,
    notice: Option<Notice>,
) -> Result<SettingsPage, Fault> {
    let FeeAnswer::Settings(settings) = ask(shared, caller, FeeQuestion::Settings).await? else {
        return Err(odd());
    };
    Ok(SettingsPage { frame: frame(shared, caller, "/fees").await?, settings, name, value, notice })
}

async fn set(State(shared): Room, caller: Caller, form: Result<Form<SetForm>, FormRejection>) -> Response {
    let form = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        read_form(form)
    };
    let SetForm { name, value } = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let question = FeeQuestion::Set { name: name.clone(), value: value.clone(), dry_run: false };
    match ask(&shared, &caller, question).await {
        Ok(_) => see_other("/fees/settings"),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            match settings_page(&shared, &caller, name, value, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn csv(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let file = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        let (fiscal_year, unpaid_only) = (year(&filter.year)?, filter.show == "unpaid");
        match ask(&shared, &caller, FeeQuestion::Csv { fiscal_year, unpaid_only }).await? {
            FeeAnswer::File { bytes, .. } => Ok((format!("fees-{fiscal_year}.csv"), bytes)),
            _ => Err(odd()),
        }
    };
    match file.await {
        Ok((name, bytes)) => download(&name, "text/csv; charset=utf-8", bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn print(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        let year = year(&filter.year)?;
        let mut conn = shared.store.pool().acquire().await?;
        let unpaid = filter.show == "unpaid";
        let papers = fee_rows::papers(&mut conn, year, unpaid, &filter.after, PRINTED).await?;
        let issuer = fee_rows::issuer(&mut conn).await?;
        drop(conn);
        let is_full = i64::try_from(papers.len()).unwrap_or(PRINTED) == PRINTED;
        let next = papers.last().filter(|_| is_full).map(|paper| paper.invoice.invoice.clone());
        let realm_name = shared.config.realm_name.clone();
        let frame = frame(&shared, &caller, "/fees").await?;
        Ok(PrintPage { frame, realm_name, issuer, papers, year, next })
    };
    show(&shared, &caller, page.await).await
}

async fn invoice(State(shared): Room, caller: Caller, Path(number): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        invoice_page(&shared, &caller, &number, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn invoice_page(
    shared: &Shared,
    caller: &Caller,
    number: &str,
    notice: Option<Notice>,
) -> Result<InvoicePage, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let paper = fee_rows::find(&mut conn, number).await?;
    let paper = paper.ok_or_else(|| Message::InvoiceUnknown { invoice: shown(number) })?;
    let issuer = fee_rows::issuer(&mut conn).await?;
    drop(conn);
    Ok(InvoicePage {
        frame: frame(shared, caller, "/fees").await?,
        realm_name: shared.config.realm_name.clone(),
        issuer,
        paper,
        today: dates::day(world::now_ms()).to_string(),
        notice,
    })
}

async fn paid(
    State(shared): Room,
    caller: Caller,
    Path(number): Path<String>,
    form: Result<Form<PaidForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        let on = read_form(form)?.on;
        ask(&shared, &caller, FeeQuestion::Paid { invoice: number.clone(), on, dry_run: false }).await
    };
    let fault = match done.await {
        Ok(_) => return see_other(&format!("/fees/invoices/{number}")),
        Err(fault) => fault,
    };
    let may_see = permit(&caller, Action::SeeFees, &Object::Association).is_ok();
    if !caller.page || !may_see {
        return refuse(&shared, &caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match invoice_page(&shared, &caller, &number, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
