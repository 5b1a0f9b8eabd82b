//! The one box that finds facilities, people, numbers and cases, and the telephone page of a facility: what stands
//! there while somebody is on the line, and what may be done after the call back (P-16). Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::FacilityId;
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door_call::CallQuestion;
use crate::fault::Fault;
use crate::find_rows::{self, FoundCase, FoundFacility, FoundPerson, FoundSlot, SHOWN_MAX};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::telephone::{self, OnLine};
use crate::views::{self, Frame, Notice};
use crate::{devices, find, renewal, suspension};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/search", get(search))
        .route("/facilities/{facility}/telephone", get(telephone))
        .route("/facilities/{facility}/call", post(call))
        .route("/facilities/{facility}/telephone/{slot}", post(act))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    q: String,
}

#[derive(Template)]
#[template(path = "search.html")]
struct SearchPage {
    frame: Frame,
    q: String,
    facilities: Vec<FoundFacility>,
    people: Vec<FoundPerson>,
    slots: Vec<FoundSlot>,
    cases: Vec<FoundCase>,
}

impl SearchPage {
    fn is_empty(&self) -> bool {
        self.facilities.is_empty() && self.people.is_empty() && self.slots.is_empty() && self.cases.is_empty()
    }
}

#[derive(Template)]
#[template(path = "telephone.html")]
struct TelephonePage {
    frame: Frame,
    on: OnLine,
    typed: CallForm,
    notice: Option<Notice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CallForm {
    caller: String,
    recognised_by: String,
}

#[derive(Deserialize)]
struct ActForm {
    act: String,
}

async fn search(State(shared): Room, caller: Caller, Query(wanted): Query<Wanted>) -> Response {
    let page = async {
        permit(&caller, Action::Search, &Object::Association)?;
        let query = find::Query::new(&wanted.q);
        let most = if query.is_empty() { 0 } else { SHOWN_MAX };
        Ok(SearchPage {
            frame: frame(&shared, &caller, "/search").await?,
            facilities: find_rows::facilities(&shared, &query, most).await?,
            people: find_rows::people(&shared, &query, most).await?,
            slots: find_rows::slots(&shared, &query, most).await?,
            cases: find_rows::cases(&shared, &query, most).await?,
            q: wanted.q,
        })
    };
    show(&shared, &caller, page.await).await
}

async fn telephone(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::AnswerCall, &Object::Association)?;
        page_of(&shared, &caller, &facility(&id)?, CallForm::default(), None).await
    };
    show(&shared, &caller, page.await).await
}

async fn page_of(
    shared: &Shared,
    caller: &Caller,
    facility: &FacilityId,
    typed: CallForm,
    notice: Option<Notice>,
) -> Result<TelephonePage, Fault> {
    let on = telephone::look(shared, facility).await?;
    Ok(TelephonePage { frame: frame(shared, caller, "/search").await?, on, typed, notice })
}

async fn call(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<CallForm>, FormRejection>,
) -> Response {
    let form = async {
        permit(&caller, Action::AnswerCall, &Object::Association)?;
        Ok::<_, Fault>((facility(&id)?, read_form(form)?))
    };
    let (facility, form) = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let noted = async {
        let operator = operator(&caller)?;
        telephone::note_call(&shared, &operator, &facility, &form.caller, &form.recognised_by).await
    };
    match noted.await {
        Ok(()) => see_other(&format!("/facilities/{facility}/telephone")),
        Err(fault) => again(&shared, &caller, &facility, form, fault).await,
    }
}

/// The same page, with what went wrong above it and nothing typed lost.
async fn again(
    shared: &Shared,
    caller: &Caller,
    facility: &FacilityId,
    typed: CallForm,
    fault: Fault,
) -> Response {
    if !caller.page {
        return refuse(shared, caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match page_of(shared, caller, facility, typed, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn act(
    State(shared): Room,
    caller: Caller,
    Path((id, slot)): Path<(String, String)>,
    form: Result<Form<ActForm>, FormRejection>,
) -> Response {
    let known = async {
        permit(&caller, Action::AnswerCall, &Object::Association)?;
        Ok::<_, Fault>((facility(&id)?, read_form(form)?.act))
    };
    let (facility, act) = match known.await {
        Ok(known) => known,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    match acted(&shared, &caller, &facility, &slot, &act).await {
        Ok(slot) => see_other(&format!("/facilities/{facility}/telephone#{slot}")),
        Err(fault) => again(&shared, &caller, &facility, CallForm::default(), fault).await,
    }
}

async fn acted(
    shared: &Shared,
    caller: &Caller,
    facility: &FacilityId,
    slot: &str,
    act: &str,
) -> Result<SlotNumber, Fault> {
    let unknown = || PeopleMessage::DeviceUnknown.about(slot.chars().take(12).collect::<String>());
    let number: SlotNumber = slot.parse().map_err(|_| unknown())?;
    // The number must be this facility's: the call back was made to it and to nobody else.
    let holder = devices::slot_facility(&mut *shared.store.pool().acquire().await?, number).await?;
    if holder.as_ref() != Some(facility) {
        return Err(unknown().into());
    }
    let operator = operator(caller)?;
    // Whoever calls to have something stopped is never made to wait (H-11); to open something is another matter.
    if act != "suspend" {
        telephone::needs_call(shared, facility).await?;
    }
    let dry_run = false;
    match act {
        "suspend" => {
            let question = CallQuestion::Suspend { slot: number, dry_run };
            suspension::answer(shared, &operator, question).await?;
        }
        "resume" => {
            let question = CallQuestion::Resume { slot: number, dry_run };
            suspension::answer(shared, &operator, question).await?;
        }
        "unlock" => {
            let question = CallQuestion::Unlock { slot: number, dry_run };
            suspension::answer(shared, &operator, question).await?;
        }
        "extend" => {
            renewal::extend(shared, &operator, number, dry_run).await?;
        }
        "reissue" => {
            renewal::reissue(shared, &operator, number, dry_run).await?;
        }
        _ => return Err(PeopleMessage::BodyForm.about("act").into()),
    }
    Ok(number)
}
