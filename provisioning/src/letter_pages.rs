//! A letter on the secretariat's page: where it is, what the mail server said, and what one can do about it: send it
//! again, or correct the admin's address (様式3), typed twice. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door::{AddressChange, LetterRow};
use crate::facility::MailAddress;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::office_fault::OfficeFault;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{admin_address, desk, letters, world};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/letters/{letter}", get(letter))
        .route("/letters/{letter}/retry", post(retry))
        .route("/facilities/{facility}/admin-address", get(address).post(correct))
}

#[derive(Template)]
#[template(path = "letter_show.html")]
struct LetterShow {
    frame: Frame,
    letter: LetterRow,
}

#[derive(Template)]
#[template(path = "admin_address.html")]
struct AddressPage {
    frame: Frame,
    facility: String,
    facility_name: String,
    present: String,
    typed: String,
    notice: Option<Notice>,
    /// What was done, afterwards.
    done: Option<AddressChange>,
}

#[derive(Deserialize)]
struct AddressForm {
    #[serde(default)]
    address: String,
    #[serde(default)]
    again: String,
}

async fn letter(State(shared): Room, caller: Caller, Path(message): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeeLetters, &Object::Association)?;
        let letter = letters::one(&mut *shared.store.pool().acquire().await?, &message).await?;
        Ok(LetterShow { frame: frame(&shared, &caller, "/").await?, letter })
    };
    show(&shared, &caller, page.await).await
}

async fn retry(State(shared): Room, caller: Caller, Path(message): Path<String>) -> Response {
    let done = async {
        permit(&caller, Action::SendLetter, &Object::Association)?;
        let letter = letters::one(&mut *shared.store.pool().acquire().await?, &message).await?;
        // The button pressed twice: what has left meanwhile is not a fault.
        if letter.state != "sent" {
            letters::retry(&shared.store, world::now_ms(), &message, &operator(&caller)?).await?;
            shared.bells.outbox.notify_one();
        }
        Ok::<_, Fault>(letter.message)
    };
    match done.await {
        Ok(message) => see_other(&format!("/letters/{message}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn address(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::ChangeAdmin, &Object::Association)?;
        page_of(&shared, &caller, &id).await
    };
    show(&shared, &caller, page.await).await
}

async fn correct(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<AddressForm>, FormRejection>,
) -> Response {
    if let Err(fault) = permit(&caller, Action::ChangeAdmin, &Object::Association) {
        return refuse(&shared, &caller, fault).await;
    }
    let form = match read_form(form) {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let outcome = changed(&shared, &caller, &id, &form).await;
    // A new page in both cases: what was typed stays where it can be mended.
    let page = match page_of(&shared, &caller, &id).await {
        Ok(page) => page,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match outcome {
        Ok(done) => show(&shared, &caller, Ok(AddressPage { done: Some(done), ..page })).await,
        Err(fault) => {
            let (status, notice) = notice(fault);
            let page = AddressPage { typed: form.address, notice: Some(notice), ..page };
            html_as(status, page.render(), caller.trace)
        }
    }
}

async fn changed(
    shared: &Shared,
    caller: &Caller,
    id: &str,
    form: &AddressForm,
) -> Result<AddressChange, Fault> {
    let typed = MailAddress::parse(&form.address).map_err(OfficeFault::from)?;
    let again = MailAddress::parse(&form.again).map_err(OfficeFault::from)?;
    if typed.folded() != again.folded() {
        return Err(PeopleMessage::AddressesDiffer.into());
    }
    let (now, operator, facility) = (world::now_ms(), operator(caller)?, facility(id)?);
    let change =
        admin_address::correct(&shared.store, now, &operator, &facility, typed.written(), false).await?;
    shared.bells.outbox.notify_one();
    Ok(change)
}

async fn page_of(shared: &Shared, caller: &Caller, id: &str) -> Result<AddressPage, Fault> {
    let facility = facility(id)?;
    let present = desk::admin_address(shared, facility.as_str()).await?;
    if present.is_empty() {
        return Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into());
    }
    Ok(AddressPage {
        frame: frame(shared, caller, "/facilities").await?,
        facility_name: desk::facility_name(shared, &facility).await?,
        facility: facility.to_string(),
        present,
        typed: String::new(),
        notice: None,
        done: None,
    })
}
