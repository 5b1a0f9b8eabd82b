//! 口座振替 on the secretariat's screen: a facility's account, the file for the bank, and the file that comes back
//! (F-11). Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{DefaultBodyLimit, Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::StatusCode;
use serde::Deserialize;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door_fee::{AccountRow, DebitFile, DebitReport, FeeAnswer, FeeQuestion};
use crate::fault::Fault;
use crate::fee_pages::{ask, odd, year};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, refuse, show};
use crate::problem::{Caller, download, html, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{Frame, Notice};
use crate::{dates, desk, fee_accounts, fee_words, upload, world};

type Room = State<Arc<Shared>>;

/// A bank's answer about ten thousand debits, with room to spare.
const ANSWER_MAX: usize = 4 * 1024 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/facilities/{facility}/account", get(account).post(set))
        .route("/fees/debit", get(debit))
        .route("/fees/debit/file", post(file))
        .route("/fees/debit/result", post(settle).layer(DefaultBodyLimit::max(ANSWER_MAX)))
}

#[derive(Template)]
#[template(path = "fee_account.html")]
struct AccountPage {
    frame: Frame,
    facility: String,
    facility_name: String,
    typed: AccountForm,
    known: Option<AccountRow>,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "fee_debit.html")]
struct DebitPage {
    frame: Frame,
    year: i16,
    on: String,
    today: String,
    /// What the file would hold, when the settings are there.
    would: Option<DebitFile>,
    settled: Option<DebitReport>,
    notice: Option<Notice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct AccountForm {
    bank: String,
    branch: String,
    kind: String,
    number: String,
    holder: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    year: String,
    on: String,
}

async fn account(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeeFees, &Object::Association)?;
        account_page(&shared, &caller, &id, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn account_page(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    typed: Option<AccountForm>,
    notice: Option<Notice>,
) -> Result<AccountPage, Fault> {
    let facility = facility(id)?;
    let facility_name = desk::facility_name(shared, &facility).await?;
    if facility_name.is_empty() {
        return Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into());
    }
    let known = fee_accounts::find(&mut *shared.store.pool().acquire().await?, facility.as_str()).await?;
    let stored = known.clone().map(|row| AccountForm {
        bank: row.bank,
        branch: row.branch,
        kind: row.kind,
        number: row.number,
        holder: row.holder,
    });
    Ok(AccountPage {
        frame: frame(shared, caller, "/fees").await?,
        facility: facility.to_string(),
        facility_name,
        typed: typed.or(stored).unwrap_or_default(),
        known,
        notice,
    })
}

async fn set(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<AccountForm>, FormRejection>,
) -> Response {
    let form = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        Ok::<_, Fault>((facility(&id)?, read_form(form)?))
    };
    let (facility, form) = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let question = FeeQuestion::Account {
        facility,
        bank: form.bank.clone(),
        branch: form.branch.clone(),
        kind: form.kind.clone(),
        number: form.number.clone(),
        holder: form.holder.clone(),
        dry_run: false,
    };
    let fault = match ask(&shared, &caller, question).await {
        Ok(_) => return see_other(&format!("/facilities/{id}/account")),
        Err(fault) => fault,
    };
    if !caller.page {
        return refuse(&shared, &caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match account_page(&shared, &caller, &id, Some(form), Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn debit(State(shared): Room, caller: Caller, Query(wanted): Query<Wanted>) -> Response {
    let page = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        debit_page(&shared, &caller, &wanted, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn debit_page(
    shared: &Shared,
    caller: &Caller,
    wanted: &Wanted,
    settled: Option<DebitReport>,
    refused: Option<Notice>,
) -> Result<DebitPage, Fault> {
    let year = year(&wanted.year)?;
    let today = dates::day(world::now_ms()).to_string();
    let on = if wanted.on.is_empty() { today.clone() } else { wanted.on.clone() };
    let question = FeeQuestion::Debit { fiscal_year: year, on: on.clone(), dry_run: true };
    let (would, lacking) = match ask(shared, caller, question).await {
        Ok(FeeAnswer::Debit(file)) => (Some(file), None),
        Ok(_) => return Err(odd()),
        // What is missing stands above the form, not instead of it.
        Err(fault) => (None, Some(notice(fault).1)),
    };
    let notice = refused.or(lacking);
    Ok(DebitPage { frame: frame(shared, caller, "/fees").await?, year, on, today, would, settled, notice })
}

async fn file(State(shared): Room, caller: Caller, form: Result<Form<Wanted>, FormRejection>) -> Response {
    let file = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        let wanted = read_form(form)?;
        let question = FeeQuestion::Debit { fiscal_year: year(&wanted.year)?, on: wanted.on, dry_run: false };
        match ask(&shared, &caller, question).await? {
            FeeAnswer::Debit(file) => Ok(file),
            _ => Err(odd()),
        }
    };
    match file.await {
        // The octets are the bank's own, of no character set that a browser should guess.
        Ok(file) => download(&format!("debit-{}.txt", file.on), "application/octet-stream", file.bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn settle(
    State(shared): Room,
    caller: Caller,
    headers: http::HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::ManageFees, &Object::Association)?;
        let mut parts = upload::read(&headers, body)?;
        let (on, bytes) = (parts.text("on"), parts.file("file")?);
        let dry_run = parts.text("rehearse") == "yes";
        match ask(&shared, &caller, FeeQuestion::Settle { bytes, on, dry_run }).await? {
            FeeAnswer::Settled(report) => Ok(report),
            _ => Err(odd()),
        }
    };
    let (status, settled, refused) = match done.await {
        Ok(report) => (StatusCode::OK, Some(report), None),
        Err(fault) if caller.page && permit(&caller, Action::ManageFees, &Object::Association).is_ok() => {
            let (status, notice) = notice(fault);
            (status, None, Some(notice))
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match debit_page(&shared, &caller, &Wanted::default(), settled, refused).await {
        Ok(page) if status == StatusCode::OK => html(page.render(), caller.trace),
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
