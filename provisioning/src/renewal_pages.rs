//! 延長 and 再発行 on the secretariat's page: what will happen, the act, and the slot's page again (ruling 5).
//! Edge: HTTP.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::get;
use vpn::slot::SlotNumber;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::door::Renewal;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, operator, refuse, show};
use crate::problem::{Caller, see_other};
use crate::renewal;
use crate::shared::Shared;
use crate::views::{self, Frame};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/slots/{slot}/extend", get(confirm_extension).post(extend))
        .route("/slots/{slot}/reissue", get(confirm_reissue).post(reissue))
}

#[derive(Template)]
#[template(path = "renew.html")]
struct RenewPage {
    frame: Frame,
    /// What the rehearsal says.
    would: Renewal,
    reissue: bool,
}

async fn confirm_extension(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let page = async {
        let slot = permitted(&caller, &slot)?;
        let would = renewal::extend(&shared, &operator(&caller)?, slot, true).await?;
        Ok(RenewPage { frame: frame(&shared, &caller, "/slots").await?, would, reissue: false })
    };
    show(&shared, &caller, page.await).await
}

async fn confirm_reissue(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let page = async {
        let slot = permitted(&caller, &slot)?;
        let would = renewal::reissue(&shared, &operator(&caller)?, slot, true).await?;
        Ok(RenewPage { frame: frame(&shared, &caller, "/slots").await?, would, reissue: true })
    };
    show(&shared, &caller, page.await).await
}

async fn extend(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let done = async {
        let slot = permitted(&caller, &slot)?;
        renewal::extend(&shared, &operator(&caller)?, slot, false).await
    };
    to_slot(&shared, &caller, done.await).await
}

async fn reissue(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let done = async {
        let slot = permitted(&caller, &slot)?;
        renewal::reissue(&shared, &operator(&caller)?, slot, false).await
    };
    to_slot(&shared, &caller, done.await).await
}

fn permitted(caller: &Caller, slot: &str) -> Result<SlotNumber, Fault> {
    permit(caller, Action::RenewBundle, &Object::Association)?;
    let unknown = || PeopleMessage::RenewalNone.about(slot.chars().take(12).collect::<String>());
    Ok(slot.parse().map_err(|_| unknown())?)
}

async fn to_slot(shared: &Shared, caller: &Caller, done: Result<Renewal, Fault>) -> Response {
    match done {
        Ok(renewal) => see_other(&format!("/slots/{}", renewal.slot)),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
