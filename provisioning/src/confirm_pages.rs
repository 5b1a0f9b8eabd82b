//! お知らせ on a facility's screen: mails of the secretariat that wait to be confirmed, each with its button (D-01).
//! Edge: HTTP.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};

use crate::confirmation::{self, Asked};
use crate::console::permit;
use crate::decide::{Action, Object};
use crate::page::{frame, refuse, show};
use crate::problem::{Caller, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/notices", get(list)).route("/notices/{case}/{step}", post(confirm))
}

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    frame: Frame,
    asked: Vec<Asked>,
}

async fn list(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::ConfirmNotice, &Object::Facility(caller.identity.facility.clone()))?;
        let asked = confirmation::asked(&shared, &caller.identity.facility).await?;
        Ok(NoticesPage { frame: frame(&shared, &caller, "/notices").await?, asked })
    };
    show(&shared, &caller, page.await).await
}

async fn confirm(
    State(shared): Room,
    caller: Caller,
    Path((case, step)): Path<(String, String)>,
) -> Response {
    let done = async {
        permit(&caller, Action::ConfirmNotice, &Object::Facility(caller.identity.facility.clone()))?;
        confirmation::confirm(&shared, &caller.identity, caller.trace, &case, &step).await
    };
    match done.await {
        Ok(()) => see_other("/notices"),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
