//! ACME (RFC 8555) on the claim listener, as much of it as Apple's payload speaks: directory, newNonce, newAccount,
//! newOrder, one authorization with device-attest-01, finalize, the certificate. Which slot asks, the tunnel says; every
//! other request is signed, for its own URL, with a nonce that was given to this slot. No keyChange, no revokeCert:
//! a device is revoked where its tunnel is, too. Edge: HTTP, randomness.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::routing::{get, post};
use http::header::{CONTENT_TYPE, LINK, LOCATION, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use pki::identity::TraceId;
use serde_json::Value;
use vpn::slot::SlotNumber;

use crate::acme::{Account, Kind, NONCE_LEN, kind};
use crate::acme_rows::Row;
use crate::acme_words::{
    AccountBody, ChallengeAnswer, Finalize, NewAccount, Places, ProblemBody, Told, ordered, read,
};
use crate::acme_work;
use crate::fault::Fault;
use crate::jws::{self, AccountKey, By, JwsFault};
use crate::messages_people::{PeopleMessage, Refusal};
use crate::problem::{Guest, with_type};
use crate::shared::Shared;
use crate::world;

const REPLAY_NONCE: HeaderName = HeaderName::from_static("replay-nonce");
const JOSE: &str = "application/jose+json";
const JSON: &str = "application/json";

type Room = State<Arc<Shared>>;
type Body = Result<Bytes, BytesRejection>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/acme/directory", get(directory))
        .route("/acme/new-nonce", get(new_nonce))
        .route("/acme/new-account", post(new_account))
        .route("/acme/new-order", post(new_order))
        .route("/acme/account/{account}", post(account))
        .route("/acme/order/{order}", post(order))
        .route("/acme/order/{order}/finalize", post(finalize))
        .route("/acme/authorization/{order}", post(authorization))
        .route("/acme/challenge/{order}", post(challenge))
        .route("/acme/certificate/{order}", post(certificate))
}

/// A request as it came.
struct Came {
    guest: Guest,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
}

/// What it says, once its signature and its nonce were good.
struct Asked {
    key: AccountKey,
    account: Account,
    payload: Vec<u8>,
}

/// What is told, beside the next nonce.
struct Reply {
    status: StatusCode,
    media: &'static str,
    body: Vec<u8>,
    location: Option<String>,
    /// What it belongs to (`rel="up"`).
    up: Option<String>,
}

impl Reply {
    fn json(status: StatusCode, value: serde_json::Result<Vec<u8>>) -> Result<Self, Fault> {
        let body = value.map_err(|_| PeopleMessage::Internal)?;
        Ok(Self { status, media: JSON, body, location: None, up: None })
    }

    fn at(self, location: String) -> Self {
        Self { location: Some(location), ..self }
    }
}

impl Asked {
    /// POST-as-GET (RFC 8555 6.3).
    fn reads(&self) -> Result<(), Refusal> {
        let empty = self.payload.is_empty();
        if empty { Ok(()) } else { Err(PeopleMessage::AcmeForm.about("payload: POST-as-GET")) }
    }
}

fn base(shared: &Shared) -> String {
    format!("https://claim.{}", shared.config.zone)
}

async fn directory(State(shared): Room, guest: Guest) -> Response {
    let base = base(&shared);
    let told = serde_json::to_vec(&Places { base: &base }.directory());
    finish(&shared, &guest, Reply::json(StatusCode::OK, told))
}

/// RFC 8555 7.2: HEAD is 200, GET is 204.
async fn new_nonce(State(shared): Room, guest: Guest, method: Method) -> Response {
    let status = if method == Method::HEAD { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let mut response = with_type(status, JSON, Vec::new());
    decorate(&shared, &guest, &mut response);
    response
}

async fn new_account(
    State(shared): Room,
    guest: Guest,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let asked = signed(&shared, &came, By::Jwk)?;
        let wish: NewAccount = read(&asked.payload, "newAccount")?;
        // An account is its key, so there is nothing to make; it is known once it has ordered.
        let known = acme_work::knows(&shared, came.guest.visitor.slot, &asked.account).await?;
        let status = match (known, wish.only_return_existing) {
            (true, _) => StatusCode::OK,
            (false, false) => StatusCode::CREATED,
            (false, true) => return Err(PeopleMessage::AcmeAccount.into()),
        };
        account_reply(&shared, status, &asked)
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

async fn account(
    State(shared): Room,
    guest: Guest,
    Path(name): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = signed(&shared, &came, By::Kid).and_then(|asked| {
        // Its contacts could be changed here; there are none.
        match asked.key.name() == name {
            true => account_reply(&shared, StatusCode::OK, &asked),
            false => Err(PeopleMessage::AcmeOrder.into()),
        }
    });
    finish(&shared, &came.guest, outcome)
}

fn account_reply(shared: &Shared, status: StatusCode, asked: &Asked) -> Result<Reply, Fault> {
    let told = serde_json::to_vec(&AccountBody { status: "valid" });
    let base = base(shared);
    Ok(Reply::json(status, told)?.at(Places { base: &base }.account(&asked.key.name())))
}

async fn new_order(State(shared): Room, guest: Guest, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let asked = signed(&shared, &came, By::Kid)?;
        let identifier = ordered(&asked.payload)?;
        let (slot, trace) = (came.guest.visitor.slot, came.guest.trace);
        let row = acme_work::order(&shared, slot, trace, &asked.account, &identifier).await?;
        order_reply(&shared, StatusCode::CREATED, &row)
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

async fn order(
    State(shared): Room,
    guest: Guest,
    Path(order): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let (_, row) = looked(&shared, &came, &order).await?;
        order_reply(&shared, StatusCode::OK, &row)
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

async fn authorization(
    State(shared): Room,
    guest: Guest,
    Path(order): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let (_, row) = looked(&shared, &came, &order).await?;
        let base = base(&shared);
        Reply::json(
            StatusCode::OK,
            serde_json::to_vec(&Places { base: &base }.authorization_body(&told(&row))),
        )
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

/// An answer to the challenge, or (POST-as-GET) a look at it.
async fn challenge(
    State(shared): Room,
    guest: Guest,
    Path(order): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let asked = signed(&shared, &came, By::Kid)?;
        let (slot, trace) = (came.guest.visitor.slot, came.guest.trace);
        let row = if asked.payload.is_empty() {
            acme_work::read(&shared, slot, &asked.account, &order).await?
        } else {
            let said: ChallengeAnswer = read(&asked.payload, "challenge")?;
            acme_work::answer(&shared, slot, trace, &asked.account, &order, &said.statement).await?
        };
        let base = base(&shared);
        let places = Places { base: &base };
        let reply = Reply::json(StatusCode::OK, serde_json::to_vec(&places.challenge_body(&told(&row))))?;
        Ok(Reply { up: Some(places.authorization(&row.order)), ..reply })
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

async fn finalize(
    State(shared): Room,
    guest: Guest,
    Path(order): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let asked = signed(&shared, &came, By::Kid)?;
        let wish: Finalize = read(&asked.payload, "finalize")?;
        let (slot, trace) = (came.guest.visitor.slot, came.guest.trace);
        let row = acme_work::finalize(&shared, slot, trace, &asked.account, &order, &wish.csr).await?;
        order_reply(&shared, StatusCode::OK, &row)
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

/// RFC 8555 7.4.2: the certificate, then its CA.
async fn certificate(
    State(shared): Room,
    guest: Guest,
    Path(order): Path<String>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let came = Came { guest, uri, headers, body };
    let outcome = async {
        let (_, row) = looked(&shared, &came, &order).await?;
        let chain = row.chain.ok_or(PeopleMessage::AcmeNotReady)?;
        let (status, media) = (StatusCode::OK, "application/pem-certificate-chain");
        Ok(Reply { status, media, body: chain.into_bytes(), location: None, up: None })
    };
    let outcome = outcome.await;
    finish(&shared, &came.guest, outcome)
}

/// An account reads its own order.
async fn looked(shared: &Shared, came: &Came, order: &str) -> Result<(Asked, Row), Fault> {
    let asked = signed(shared, came, By::Kid)?;
    asked.reads()?;
    let row = acme_work::read(shared, came.guest.visitor.slot, &asked.account, order).await?;
    Ok((asked, row))
}

/// Form, signature, URL; then the nonce, which only a good signature uses up.
fn signed(shared: &Shared, came: &Came, by: By) -> Result<Asked, Fault> {
    let media = came.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if media != JOSE {
        return Err(PeopleMessage::AcmeForm.about("Content-Type: application/jose+json").into());
    }
    let Ok(body) = &came.body else { return Err(PeopleMessage::AcmeForm.about("length").into()) };
    let base = base(shared);
    let target = came.uri.path_and_query().map_or("", |target| target.as_str());
    let url = format!("{base}{target}");
    let read = jws::read(body, &url, &Places { base: &base }.accounts()).map_err(refused)?;
    if read.by != by {
        let wanted = if by == By::Jwk { "jwk" } else { "kid" };
        return Err(PeopleMessage::AcmeForm.about(wanted).into());
    }
    if !shared.nonces().take(came.guest.visitor.slot, &read.nonce, world::now_ms()) {
        return Err(PeopleMessage::AcmeNonce.into());
    }
    Ok(Asked { key: read.key, account: Account(read.key.thumbprint()), payload: read.payload })
}

fn refused(fault: JwsFault) -> Refusal {
    match fault {
        JwsFault::Algorithm => PeopleMessage::AcmeAlgorithm.into(),
        JwsFault::Account => PeopleMessage::AcmeAccount.into(),
        JwsFault::Form(_) | JwsFault::Key | JwsFault::Url | JwsFault::Signature => {
            PeopleMessage::AcmeForm.about(fault.to_string())
        }
    }
}

fn told(row: &Row) -> Told<'_> {
    Told {
        order: &row.order,
        identifier: &row.identifier,
        pass: &row.pass,
        challenge: &row.challenge,
        now: world::now_ms(),
    }
}

fn order_reply(shared: &Shared, status: StatusCode, row: &Row) -> Result<Reply, Fault> {
    let base = base(shared);
    let places = Places { base: &base };
    let body = serde_json::to_vec(&places.order_body(&told(row)));
    Ok(Reply::json(status, body)?.at(places.order(&row.order)))
}

fn finish(shared: &Shared, guest: &Guest, outcome: Result<Reply, Fault>) -> Response {
    let mut response = match outcome {
        Ok(reply) => {
            let mut response = with_type(reply.status, reply.media, reply.body);
            let up = reply.up.map(|up| format!("<{up}>;rel=\"up\""));
            for (name, value) in [(LOCATION, reply.location), (LINK, up)] {
                if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                    response.headers_mut().append(name, value);
                }
            }
            response
        }
        Err(fault) => problem(fault, guest.trace),
    };
    decorate(shared, guest, &mut response);
    response
}

/// The next nonce and the way to the directory, on whatever is told.
fn decorate(shared: &Shared, guest: &Guest, response: &mut Response) {
    let slot: SlotNumber = guest.visitor.slot;
    let nonce =
        world::random::<NONCE_LEN>().map(|random| shared.nonces().give(slot, *random, world::now_ms()));
    let index = format!("<{}>;rel=\"index\"", Places { base: &base(shared) }.directory_url());
    for (name, value) in [(REPLAY_NONCE, nonce.ok()), (LINK, Some(index))] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
            response.headers_mut().append(name, value);
        }
    }
}

/// The standard's error, with our code and both languages beside it (ruling 12).
fn problem(fault: Fault, trace: Option<TraceId>) -> Response {
    let kind = match &fault {
        Fault::Refused(refusal) => kind(refusal.message),
        _ => Kind::ServerInternal,
    };
    let told = fault.told();
    let body = ProblemBody::new(kind, told.status, &told.trouble, trace);
    let body = serde_json::to_vec(&body).unwrap_or_else(|_| Value::Null.to_string().into_bytes());
    let status = StatusCode::from_u16(told.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = with_type(status, "application/problem+json", body);
    if let Some(seconds) = told.retry_after {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
