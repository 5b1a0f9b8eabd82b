//! The claim page's other way, for Apple's hardware: number, password and the final tunnel's key in; what a profile with an
//! ACME payload is made of out. The certificate's key is made where it stays, when the profile is installed; the page puts
//! the profile together, because the tunnel's private key is there alone. Edge, border: HTTP, JSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::Response;
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use vpn::key::PublicKey;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::acme_words::Places;
use crate::acme_work::{self, Passed};
use crate::claim_http::{Interface, Peer};
use crate::enrolments::Entry;
use crate::fault::Fault;
use crate::jst;
use crate::messages_people::PeopleMessage;
use crate::problem::{Guest, answer, read};
use crate::shared::{Config, Shared};

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/claim/apple", post(pass))
}

#[derive(Deserialize)]
struct PassBody {
    number: String,
    password: String,
    wireguard_public_key: String,
    #[serde(default)]
    admin_password: Option<String>,
    #[serde(default)]
    label: Option<String>,
}

#[derive(Serialize)]
struct PassAnswer {
    slot: SlotNumber,
    interface: Interface,
    peer: Peer,
    root: String,
    friendly_name: String,
    /// Where the device goes, and what it says there; once, until then.
    directory: String,
    client_identifier: String,
    valid_until: String,
    login: Option<String>,
    claims_left: u32,
}

async fn pass(
    State(shared): State<Arc<Shared>>,
    guest: Guest,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let (trace, slot) = (guest.trace, guest.visitor.slot);
    let outcome = async {
        let body: PassBody = read(&headers, body)?;
        let public_key: Result<PublicKey, _> = body.wireguard_public_key.parse();
        let public_key = public_key.map_err(|error| PeopleMessage::ClaimKey.about(error.to_string()))?;
        let admin_password = body.admin_password.filter(|typed| !typed.is_empty()).map(Zeroizing::new);
        let entry = Entry { number: body.number, password: Zeroizing::new(body.password), admin_password };
        let label = body.label.unwrap_or_default();
        let passed = acme_work::pass(&shared, slot, trace, entry, public_key, &label).await?;
        Ok::<_, Fault>(written(&shared.config, slot, passed))
    };
    answer(StatusCode::CREATED, trace, outcome.await)
}

fn written(config: &Config, slot: SlotNumber, passed: Passed) -> PassAnswer {
    let base = format!("https://claim.{}", config.zone);
    PassAnswer {
        slot,
        interface: Interface::new(passed.address),
        peer: Peer::new(config, &passed.psk),
        root: config.root_pem.clone(),
        friendly_name: format!("みまもり {slot}"),
        directory: Places { base: &base }.directory_url(),
        client_identifier: passed.identifier.to_string(),
        valid_until: jst::rfc3339(passed.valid_until),
        login: passed.login,
        claims_left: passed.claims_left,
    }
}
