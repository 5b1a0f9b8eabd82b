//! The claim listener's pages (host `claim.`): what to do, and the claim itself. Who asks is the seat's slot,
//! which the gateway names; nothing a device sends can change it. Edge, border: HTTP, JSON.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::BASE64;
use http::header::CONTENT_DISPOSITION;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use vpn::address::TUNNEL_MTU;
use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::bundle::fingerprint_lines;
use crate::claim_files;
use crate::claim_work::{self, Claimed};
use crate::desk;
use crate::enrolments::{self, Entry, KeyMaker, Wish};
use crate::fault::Fault;
use crate::made::{self, Made};
use crate::messages_people::PeopleMessage;
use crate::problem::{Guest, Problem, answer, html, read, with_type};
use crate::shared::{Config, Shared};
use crate::windows::{self, WindowsScript};

/// Longest certificate request: a P-256 request has 300 bytes.
const REQUEST_MAX: usize = 4 * 1024;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/claim", post(claim))
        .route("/claim/windows.ps1", get(windows_script))
        .route("/claim/{file}", get(file))
}

/// For a Windows device that keeps its key in its TPM; the same for the same slot, and of no use without a sheet.
async fn windows_script(State(shared): State<Arc<Shared>>, guest: Guest) -> Response {
    let slot = guest.visitor.slot;
    let name = format!("attachment; filename=\"{}\"", windows::script_file(slot));
    match (script_of(&shared, slot).await, HeaderValue::from_str(&name)) {
        (Ok(script), Ok(name)) => {
            let mut response = with_type(StatusCode::OK, "application/octet-stream", script);
            response.headers_mut().insert(CONTENT_DISPOSITION, name);
            response
        }
        (Err(fault), _) => Problem::new(fault, guest.trace).into_response(),
        (_, Err(_)) => Problem::new(PeopleMessage::Internal, guest.trace).into_response(),
    }
}

async fn script_of(shared: &Shared, slot: SlotNumber) -> Result<Vec<u8>, Fault> {
    let facility_name = desk::facility_of_slot(shared, slot).await?;
    let config = &shared.config;
    Ok(windows::script(&WindowsScript {
        slot,
        realm_name: &config.realm_name,
        facility_name: &facility_name,
        zone: &config.zone,
        root_fingerprint: &config.root_fingerprint,
    })?)
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
    /// Of the Windows script, as it is given out now.
    script_fingerprint: &'a str,
    /// A family has no admin, and nobody is asked for a password (A-08a).
    of_family: bool,
}

async fn sheet_of_family(shared: &Shared, slot: SlotNumber) -> Result<bool, Fault> {
    let sheet = enrolments::of_slot(&mut *shared.store.pool().acquire().await?, slot).await?;
    Ok(sheet.is_some_and(|sheet| sheet.of_family))
}

pub async fn page(shared: &Shared, guest: &Guest) -> Response {
    let config = &shared.config;
    let script = match script_of(shared, guest.visitor.slot).await {
        Ok(script) => fingerprint_lines(&windows::fingerprint(&script)).join("\n"),
        Err(fault) => return Problem::new(fault, guest.trace).into_response(),
    };
    let of_family = match sheet_of_family(shared, guest.visitor.slot).await {
        Ok(of_family) => of_family,
        Err(fault) => return Problem::new(fault, guest.trace).into_response(),
    };
    let slot = guest.visitor.slot.to_string();
    // As the picture guide prints it, so that both can be laid side by side.
    let root_fingerprint = fingerprint_lines(&config.root_fingerprint).join("\n");
    let page = ClaimPage {
        slot: &slot,
        realm_name: &config.realm_name,
        root_fingerprint: &root_fingerprint,
        script_fingerprint: &script,
        of_family,
    };
    html(page.render(), guest.trace)
}

#[derive(Deserialize)]
struct ClaimBody {
    number: String,
    password: String,
    /// `server`: the fallback, without the two below.
    #[serde(default)]
    keys: Option<String>,
    #[serde(default)]
    wireguard_public_key: String,
    #[serde(default)]
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
    /// The fallback's files.
    #[serde(skip_serializing_if = "Option::is_none")]
    made: Option<MadeFiles>,
}

/// Octets in base64.
#[derive(Serialize)]
struct MadeFiles {
    profile: String,
    modern: String,
    compatible: String,
    password: String,
    /// Signed profiles by system; empty when nobody here can sign.
    apple: BTreeMap<&'static str, String>,
}

/// The final tunnel's two halves, as the page puts them together.
#[derive(Serialize)]
pub(crate) struct Interface {
    address: String,
    mtu: u16,
}

#[derive(Serialize)]
pub(crate) struct Peer {
    public_key: PublicKey,
    preshared_key: String,
    endpoint: String,
    allowed_ips: [String; 2],
}

impl Interface {
    pub(crate) fn new(address: Ipv4Addr) -> Self {
        Self { address: format!("{address}/32"), mtu: TUNNEL_MTU }
    }
}

impl Peer {
    pub(crate) fn new(config: &Config, psk: &PresharedKey) -> Self {
        Self {
            public_key: config.server_public_key,
            preshared_key: psk.expose_base64(),
            endpoint: config.endpoint.clone(),
            allowed_ips: [config.plan.gateway(), config.plan.gateway_open()]
                .map(|gateway| format!("{gateway}/32")),
        }
    }
}

async fn claim(
    State(shared): State<Arc<Shared>>,
    guest: Guest,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let trace = guest.trace;
    let outcome = async {
        let slot = guest.visitor.slot;
        let (entry, wish, keys) = request(slot, read(&headers, body)?)?;
        let claimed = claim_work::claim(&shared, slot, trace, entry, wish).await?;
        let made = match keys {
            None => None,
            Some(keys) => {
                made::record(&shared, slot, &keys).await?;
                let tunnel = claimed.tunnel(&shared.config);
                Some(made::files(&shared, slot, keys, &tunnel, &claimed.chain).await?)
            }
        };
        Ok(written(&shared.config, claimed, made.map(in_base64)))
    };
    answer(StatusCode::OK, trace, outcome.await)
}

fn request(slot: SlotNumber, body: ClaimBody) -> Result<(Entry, Wish, Option<made::Keys>), Fault> {
    let password = Zeroizing::new(body.password);
    let admin_password = body.admin_password.filter(|typed| !typed.is_empty()).map(Zeroizing::new);
    let entry = Entry { number: body.number, password, admin_password };
    let (label, psk) = (body.label.unwrap_or_default(), None);
    if body.keys.as_deref() == Some(KeyMaker::Server.as_str()) {
        let made = made::keys(slot)?;
        let (keys, public_key, request) = (KeyMaker::Server, made.tunnel.public(), made.request.clone());
        return Ok((entry, Wish { keys, public_key, request, label, psk }, Some(made)));
    }
    let public_key: Result<PublicKey, _> = body.wireguard_public_key.parse();
    let public_key = public_key.map_err(|error| PeopleMessage::ClaimKey.about(error.to_string()))?;
    let request = BASE64.decode(body.certificate_request.as_bytes()).unwrap_or_default();
    if request.is_empty() || request.len() > REQUEST_MAX {
        return Err(PeopleMessage::ClaimRequest.about("base64 DER PKCS#10").into());
    }
    let keys = KeyMaker::Device;
    Ok((entry, Wish { keys, public_key, request, label, psk }, None))
}

fn in_base64(made: Made) -> MadeFiles {
    MadeFiles {
        profile: BASE64.encode(made.profile.as_bytes()),
        modern: BASE64.encode(&made.modern),
        compatible: BASE64.encode(&made.compatible),
        password: made.password.expose().to_owned(),
        apple: made.apple.iter().map(|(system, file)| (system.as_str(), BASE64.encode(file))).collect(),
    }
}

fn written(config: &Config, claimed: Claimed, made: Option<MadeFiles>) -> ClaimAnswer {
    ClaimAnswer {
        slot: claimed.slot,
        interface: Interface::new(claimed.address),
        peer: Peer::new(config, &claimed.psk),
        certificate_chain: claimed.chain.iter().map(|der| pki::pem::certificate(der)).collect(),
        root: config.root_pem.clone(),
        friendly_name: format!("みまもり {}", claimed.slot),
        login: claimed.login,
        claims_left: claimed.claims_left,
        made,
    }
}
