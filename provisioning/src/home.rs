//! The first page of each listener: `GET /` is the claim page for a visitor and the office's page for a person,
//! by role. Also the whole router of the room. Edge: HTTP.

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::header::CONTENT_TYPE;
use pki::identity::Role;

use crate::console::permit;
use crate::decide::{Action, Object};
use crate::messages_people::PeopleMessage;
use crate::page::refuse;
use crate::problem::{Caller, Guest, Problem};
use crate::shared::Shared;
use crate::{
    acme_http, api_http, apple_http, claim_http, confirm_pages, console, delivery_pages, device_pages,
    est_http, facility_pages, family_pages, fee_account_pages, fee_pages, flow_new_pages, flow_pages,
    incident_pages, ledger_pages, letter_pages, map_pages, more_pages, office_pages, paper_pages,
    patient_pages, person_pages, post_pages, register_pages, renewal_pages, report_pages, scan_pages,
    search_pages, takeover_pages, yearly_pages,
};

/// Largest body of any request: a name, an address, a certificate request.
const BODY_MAX: usize = 64 * 1024;
/// Exchanges the parts of a page that go on while somebody looks; a page is whole without it.
const LIVE_SCRIPT: &str = include_str!("../assets/live.js");

/// Everything this room answers over HTTP; only the gateway connects to it.
pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/", get(first_page))
        .route("/live.js", get(live_script))
        .merge(claim_http::router())
        .merge(est_http::router())
        .merge(apple_http::router())
        .merge(acme_http::router())
        .merge(api_http::router())
        .merge(console::router())
        .merge(office_pages::router())
        .merge(facility_pages::router())
        .merge(family_pages::router())
        .merge(patient_pages::router())
        .merge(device_pages::router())
        .merge(more_pages::router())
        .merge(letter_pages::router())
        .merge(delivery_pages::router())
        .merge(renewal_pages::router())
        .merge(flow_pages::router())
        .merge(flow_new_pages::router())
        .merge(paper_pages::router())
        .merge(post_pages::router())
        .merge(scan_pages::router())
        .merge(ledger_pages::router())
        .merge(map_pages::router())
        .merge(takeover_pages::router())
        .merge(confirm_pages::router())
        .merge(person_pages::router())
        .merge(register_pages::router())
        .merge(yearly_pages::router())
        .merge(incident_pages::router())
        .merge(report_pages::router())
        .merge(search_pages::router())
        .merge(fee_pages::router())
        .merge(fee_account_pages::router())
        .fallback(nothing)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .with_state(shared)
}

async fn first_page(
    State(shared): State<Arc<Shared>>,
    caller: Result<Caller, Problem>,
    guest: Result<Guest, Problem>,
) -> Response {
    match (caller, guest) {
        (Ok(caller), Err(_)) => home(&shared, &caller).await,
        (Err(_), Ok(guest)) => claim_http::page(&shared, &guest).await,
        // Both at once is nobody whom the gateway would send.
        (Ok(caller), Ok(_)) => Problem::new(PeopleMessage::NoIdentity, caller.trace).into_response(),
        (Err(problem), Err(_)) => problem.into_response(),
    }
}

/// By role; who has no console is told so by the rule that is missing.
async fn home(shared: &Arc<Shared>, caller: &Caller) -> Response {
    if caller.identity.role == Role::Secretariat {
        return office_pages::home(shared, caller).await;
    }
    facility_pages::home(shared, caller).await
}

/// For whoever has a console.
async fn live_script(State(shared): State<Arc<Shared>>, caller: Caller) -> Response {
    let object = match caller.identity.role {
        Role::Secretariat => Object::Association,
        _ => Object::Facility(caller.identity.facility.clone()),
    };
    match permit(&caller, Action::SeeHome, &object) {
        Ok(_) => ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], LIVE_SCRIPT).into_response(),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn nothing(State(shared): State<Arc<Shared>>, caller: Result<Caller, Problem>) -> Response {
    match caller {
        Ok(caller) => refuse(&shared, &caller, PeopleMessage::NotFound.into()).await,
        Err(_) => Problem::new(PeopleMessage::NotFound, None).into_response(),
    }
}
