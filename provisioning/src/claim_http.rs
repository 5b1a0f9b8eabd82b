//! The claim listener's pages (host `claim.`): what to do, and the claim itself. Who asks is the seat's slot,
//! which the gateway names; nothing a device sends can change it. Edge, border: HTTP, JSON.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::BASE64;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use vpn::Place;
use vpn::address::TUNNEL_MTU;
use vpn::key::PublicKey;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::bundle::fingerprint_lines;
use crate::claim_files;
use crate::claim_work::{self, Claimed};
use crate::enrolments::ClaimRequest;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::problem::{Guest, Problem, answer, html, read, with_type};
use crate::shared::{Config, Shared};

/// Longest certificate request: a P-256 request has 300 bytes.
const REQUEST_MAX: usize = 4 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/claim", post(claim)).route("/claim/{file}", get(file))
}

/// A script or the style of the page: the same for every device, and still only for devices.
async fn file(guest: Guest, Path(name): Path<String>) -> Response {
    match claim_files::find(&name) {
        Some(file) => with_type(StatusCode::OK, file.media_type, file.text.as_bytes().to_vec()),
        None => Problem::new(PeopleMessage::NotFound, guest.trace).into_response(),
    }
}

/// The page that a person sees first.
#[derive(Template)]
#[template(path = "claim.html")]
struct ClaimPage<'a> {
    slot: &'a str,
    realm_name: &'a str,
    root_fingerprint: &'a str,
}

pub fn page(config: &Config, guest: &Guest) -> Response {
    let slot = guest.visitor.slot.to_string();
    // As the picture guide prints it, so that both can be laid side by side.
    let root_fingerprint = fingerprint_lines(&config.root_fingerprint).join("\n");
    let page = ClaimPage { slot: &slot, realm_name: &config.realm_name, root_fingerprint: &root_fingerprint };
    html(page.render(), guest.trace)
}

#[derive(Deserialize)]
struct ClaimBody {
    number: String,
    password: String,
    wireguard_public_key: String,
    certificate_request: String,
    #[serde(default)]
    admin_password: Option<String>,
    #[serde(default)]
    label: Option<String>,
}

#[derive(Serialize)]
struct ClaimAnswer {
    slot: SlotNumber,
    interface: Interface,
    peer: Peer,
    certificate_chain: String,
    root: String,
    friendly_name: String,
    login: Option<String>,
    claims_left: u32,
}

#[derive(Serialize)]
struct Interface {
    address: String,
    mtu: u16,
}

#[derive(Serialize)]
struct Peer {
    public_key: PublicKey,
    preshared_key: String,
    endpoint: String,
    allowed_ips: [String; 2],
}

async fn claim(
    State(shared): State<Arc<Shared>>,
    guest: Guest,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let trace = guest.trace;
    let outcome = async {
        let request = request(read(&headers, body)?)?;
        let claimed = claim_work::claim(&shared, guest.visitor.slot, trace, request).await?;
        written(&shared.config, claimed)
    };
    answer(StatusCode::OK, trace, outcome.await)
}

fn request(body: ClaimBody) -> Result<ClaimRequest, Fault> {
    let password = Zeroizing::new(body.password);
    let admin_password = body.admin_password.filter(|typed| !typed.is_empty()).map(Zeroizing::new);
    let public_key: Result<PublicKey, _> = body.wireguard_public_key.parse();
    let public_key = public_key.map_err(|error| PeopleMessage::ClaimKey.about(error.to_string()))?;
    let request = BASE64.decode(body.certificate_request.as_bytes()).unwrap_or_default();
    if request.is_empty() || request.len() > REQUEST_MAX {
        return Err(PeopleMessage::ClaimRequest.about("base64 DER PKCS#10").into());
    }
    let label = body.label.unwrap_or_default();
    Ok(ClaimRequest { number: body.number, password, public_key, request, admin_password, label })
}

fn written(config: &Config, claimed: Claimed) -> Result<ClaimAnswer, Fault> {
    let address = config.plan.address(claimed.slot, Place::Active);
    let address = address.ok_or_else(|| Fault::Row(format!("{} is not of this realm", claimed.slot)))?;
    Ok(ClaimAnswer {
        slot: claimed.slot,
        interface: Interface { address: format!("{address}/32"), mtu: TUNNEL_MTU },
        peer: Peer {
            public_key: config.server_public_key,
            preshared_key: claimed.psk.expose_base64(),
            endpoint: config.endpoint.clone(),
            allowed_ips: [config.plan.gateway(), config.plan.gateway_open()]
                .map(|gateway| format!("{gateway}/32")),
        },
        certificate_chain: claimed.chain.iter().map(|der| pem(der)).collect(),
        root: config.root_pem.clone(),
        friendly_name: format!("みまもり {}", claimed.slot),
        login: claimed.login,
        claims_left: claimed.claims_left,
    })
}

/// RFC 7468: lines of 64.
fn pem(der: &[u8]) -> String {
    let base64 = BASE64.encode(der);
    let lines = base64.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let body: String = lines.flat_map(|line| [line.into_owned(), "\n".to_owned()]).collect();
    format!("-----BEGIN CERTIFICATE-----\n{body}-----END CERTIFICATE-----\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_lines_of_64() {
        let text = pem(&[7; 100]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 5);
        assert_eq!((lines[1].len(), lines[2].len(), lines[3].len()), (64, 64, 8));
    }
}
