//! 追加の証明書の申請 (G-07) on both consoles: the admin's form above the quota, the secretariat's list with its two buttons.
//! Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door_more::MoreLine;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::more_work::{self, Judge};
use crate::page::{frame, refuse, show};
use crate::problem::{Caller, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/devices/more", post(ask))
        .route("/devices/requests", get(list))
        .route("/devices/requests/{request}", post(decide))
}

#[derive(Template)]
#[template(path = "device_requests.html")]
struct RequestsPage {
    frame: Frame,
    waiting: usize,
    requests: Vec<MoreLine>,
}

#[derive(Deserialize)]
struct AskForm {
    #[serde(default)]
    wanted: String,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize)]
struct DecideForm {
    #[serde(default)]
    decision: String,
}

async fn ask(State(shared): Room, caller: Caller, form: Result<Form<AskForm>, FormRejection>) -> Response {
    let done = async {
        permit(&caller, Action::AskDevices, &Object::Facility(caller.identity.facility.clone()))?;
        let form = read_form(form)?;
        more_work::ask(&shared, &caller.identity, caller.trace, &form.wanted, &form.reason).await
    };
    to(&shared, &caller, done.await, "/devices/add").await
}

async fn list(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::DecideDevices, &Object::Association)?;
        let requests = more_work::list(&shared, None, false).await?;
        let waiting = requests.iter().filter(|one| one.waits()).count();
        Ok(RequestsPage { frame: frame(&shared, &caller, "/slots").await?, waiting, requests })
    };
    show(&shared, &caller, page.await).await
}

async fn decide(
    State(shared): Room,
    caller: Caller,
    Path(request): Path<String>,
    form: Result<Form<DecideForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::DecideDevices, &Object::Association)?;
        let approved = match read_form(form)?.decision.as_str() {
            "approve" => true,
            "decline" => false,
            _ => return Err(PeopleMessage::FieldMissing.about("承認・見送り").into()),
        };
        let judge = Judge { name: caller.identity.person.as_str(), trace: caller.trace };
        more_work::decide(&shared, &judge, &request, approved, false).await.map(drop)
    };
    to(&shared, &caller, done.await, "/devices/requests").await
}

async fn to(shared: &Shared, caller: &Caller, done: Result<(), Fault>, path: &str) -> Response {
    match done {
        Ok(()) => see_other(path),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
