//! The first page of each listener: `GET /` is the claim page for a visitor and the office's page for a person,
//! by role. Also the whole router of the room. Edge: HTTP.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pki::identity::Role;

use crate::console::{permit, realm_of};
use crate::decide::Action;
use crate::door::{CaseRow, DeviceRow, FacilityRow, SlotRow};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::people::PersonRow;
use crate::problem::{Caller, Guest, Problem, html};
use crate::shared::Shared;
use crate::{claim_http, console, people, registry};

/// Largest body of any request: a name, an address, a certificate request.
const BODY_MAX: usize = 64 * 1024;

/// Everything this room answers over HTTP; only the gateway connects to it.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(first_page))
        .merge(claim_http::router())
        .merge(console::router())
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

#[derive(Template)]
#[template(path = "office.html")]
struct OfficePage {
    realm_name: String,
    facilities: Vec<FacilityRow>,
    cases: Vec<CaseRow>,
    slots: Vec<SlotRow>,
}

#[derive(Template)]
#[template(path = "facility.html")]
struct FacilityPage {
    realm_name: String,
    devices: Vec<DeviceRow>,
    people: Vec<PersonRow>,
}

async fn first_page(
    State(shared): State<Arc<Shared>>,
    caller: Result<Caller, Problem>,
    guest: Result<Guest, Problem>,
) -> Response {
    match (caller, guest) {
        (Ok(caller), Err(_)) => home(&shared, &caller).await,
        (Err(_), Ok(guest)) => claim_http::page(&shared.config, &guest),
        // Both at once is nobody whom the gateway would send.
        (Ok(caller), Ok(_)) => Problem::new(PeopleMessage::NoIdentity, caller.trace).into_response(),
        (Err(problem), Err(_)) => problem.into_response(),
    }
}

async fn home(shared: &Shared, caller: &Caller) -> Response {
    let page = async {
        let (object, _) = realm_of(caller);
        permit(caller, Action::SeeHome, &object)?;
        let pool = shared.store.pool();
        let realm_name = shared.config.realm_name.clone();
        if caller.identity.role == Role::Secretariat {
            let (facilities, cases) = (registry::facilities(pool).await?, registry::cases(pool).await?);
            let slots = registry::slots(pool, None).await?;
            return Ok::<_, Fault>(OfficePage { realm_name, facilities, cases, slots }.render());
        }
        let facility = &caller.identity.facility;
        let devices = registry::devices(pool, Some(facility)).await?;
        let people = people::list(shared, facility).await?;
        Ok(FacilityPage { realm_name, devices, people }.render())
    };
    match page.await {
        Ok(page) => html(page, caller.trace),
        Err(fault) => Problem::new(fault, caller.trace).into_response(),
    }
}

async fn nothing() -> Response {
    Problem::new(PeopleMessage::NotFound, None).into_response()
}
