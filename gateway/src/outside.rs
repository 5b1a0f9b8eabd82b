//! Requests on the open address: the claim page for visitors over TLS, and on port 80 the published
//! bytes, the start page and つながらないとき. No session, no certificate; known by the seat alone.
//! Handlers end with their request. Rulings 1 and 5.

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use pki::door::{PublishedAnswer, PublishedQuestion};
use vpn::slot::SlotNumber;

use crate::admission::{AdmittedVisitor, Passage};
use crate::answer::{self, Answer, Teller};
use crate::body::Body;
use crate::browser;
use crate::clock::random;
use crate::hall::Hall;
use crate::headers::{self, Besides};
use crate::inside::{Route, finish};
use crate::messages::Message;
use crate::names::{Host, OpenName};
use crate::pages::{HelpPage, STYLESHEET_PATH, StartPage};
use crate::proxy::{self, Errand};
use crate::strict::{self, Checked, Scheme};
use crate::turns::Turn;
use crate::upload;

/// A request about one certificate is about 100 bytes; a nonce and an exotic extension still fit.
const OCSP_REQUEST_MAX: usize = 2 * 1024;
/// The same in base64, with every fourth character escaped.
const OCSP_PATH_MAX: usize = 4 * 1024;

/// Who signs devices (RFC 7030 4.1): published bytes like those of port 80, over TLS.
const EST_CAS: &str = "/.well-known/est/cacerts";

/// A machine's first certificate (RFC 7030 4.2.1): number and password go with the request.
const EST_ENROL: &str = "/.well-known/est/simpleenroll";

/// Apple's payload (RFC 8555): every answer brings a nonce.
const ACME: &str = "/acme/";

/// A visitor on the claim listener.
pub async fn claim(
    hall: Arc<Hall>,
    visitor: Arc<AdmittedVisitor>,
    request: Request<Incoming>,
) -> Response<Body> {
    let began = hall.now();
    let (teller, trace, method) = teller(&hall, &request);
    let (parts, incoming) = request.into_parts();
    let checked = match strict::check(&parts, Scheme::Https, hall.names.claim()) {
        Ok(checked) => checked,
        Err(fault) => {
            let (status, message) = fault.outside();
            let route = Route { method, host: None, path: String::new() };
            let answer = teller.problem(status, message);
            return finish(&hall, visitor.slot(), route, trace, began, answer).await;
        }
    };
    let route = Route { method, host: Some(Host::Claim), path: checked.path().to_owned() };
    let answer = visit(&hall, &visitor, &teller, checked, parts, incoming).await;
    finish(&hall, visitor.slot(), route, trace, began, answer).await
}

async fn visit(
    hall: &Hall,
    visitor: &AdmittedVisitor,
    teller: &Teller,
    checked: Checked<Host>,
    parts: http::request::Parts,
    incoming: Incoming,
) -> Answer {
    if !hall.takes(Turn::Request, visitor.slot()) {
        return teller.problem(StatusCode::TOO_MANY_REQUESTS, Message::TooManyRequests);
    }
    if checked.path() == EST_CAS && parts.method == Method::GET {
        return published(hall, teller, PublishedQuestion::Get { path: "est/cacerts".to_owned() }).await;
    }
    let machine = browser::is_machine(checked.path(), &parts.headers);
    let origin = hall.names.origin(Host::Claim);
    let besides = match checked.path() {
        EST_ENROL if machine => Besides::Enrolment,
        path if path.starts_with(ACME) => Besides::Acme { origin: &origin },
        _ => Besides::Nothing,
    };
    if checked.unsafe_method
        && !machine
        && let Err(message) = browser::same_origin(&parts.headers, &origin)
    {
        return teller.problem(StatusCode::FORBIDDEN, message);
    }
    if checked.path() == STYLESHEET_PATH && !checked.unsafe_method {
        return answer::stylesheet();
    }
    if checked.path().starts_with("/assets/") {
        return teller.problem(StatusCode::NOT_FOUND, Message::NotFound);
    }
    if checked.upgrade.is_some() {
        return teller.problem(StatusCode::BAD_REQUEST, Message::RequestMalformed);
    }
    if let Err(why) = visitor.still(&hall.truth(), hall.now()) {
        return teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::FeedsStale).because(why);
    }
    let errand = Errand {
        passage: &Passage::Visitor(visitor.clone()),
        name: hall.names.name(Host::Claim),
        target: checked.target,
        trace: teller.trace,
        stream: None,
        upgrade: None,
        besides,
    };
    match proxy::forward(&hall.lines, errand, &parts, incoming).await {
        Ok(response) => Answer::of(response),
        Err((status, message)) => teller.problem(status, message),
    }
}

/// Port 80. `slot` is whose tunnel it came through, if anybody's; nothing here depends on more.
pub async fn plain(hall: Arc<Hall>, slot: Option<SlotNumber>, request: Request<Incoming>) -> Response<Body> {
    let (teller, _, _) = teller(&hall, &request);
    let (mut parts, incoming) = request.into_parts();
    let old = parts.version == http::Version::HTTP_10;
    let escaped = ocsp_by_get(&parts);
    if escaped.is_some() {
        // Base64 may hold escaped slashes, which `strict` refuses everywhere else; nothing is forwarded.
        parts.uri = http::Uri::from_static("/ocsp");
    }
    let answer = match strict::check(&parts, Scheme::Http, hall.names.open()) {
        Err(fault) => {
            let (status, message) = fault.outside();
            teller.problem(status, message)
        }
        Ok(checked) if checked.path() == "/ocsp" => {
            ocsp(&hall, &teller, &parts.method, escaped, incoming).await
        }
        Ok(checked) if checked.unsafe_method => {
            teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused)
        }
        Ok(checked) => serve(&hall, slot, &teller, &checked).await,
    };
    let mut response = answer.response;
    headers::guard(response.headers_mut(), None);
    if old {
        response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
    }
    response
}

async fn serve(
    hall: &Hall,
    slot: Option<SlotNumber>,
    teller: &Teller,
    checked: &Checked<OpenName>,
) -> Answer {
    let realm = hall.realm_name.clone();
    let shown = slot.map(|slot| slot.to_string());
    match checked.path() {
        "/" => {
            let claim = hall.names.name(Host::Claim).to_owned();
            answer::page(StatusCode::OK, &StartPage { realm, slot: shown, claim })
        }
        "/help" => {
            let random: [u8; 32] = random();
            let numbers = random.chunks_exact(2).map(|two| u16::from_be_bytes([two[0], two[1]]));
            let code = slot.and_then(|slot| hall.refusals().code_for(slot, numbers, hall.now()));
            answer::page(StatusCode::OK, &HelpPage { realm, slot: shown, code })
        }
        STYLESHEET_PATH => answer::stylesheet(),
        path if ["/ca/", "/crl/", "/log/"].iter().any(|below| path.starts_with(below)) => {
            let path = path.trim_start_matches('/').to_owned();
            published(hall, teller, PublishedQuestion::Get { path }).await
        }
        _ => teller.problem(StatusCode::NOT_FOUND, Message::NotFound),
    }
}

/// OCSP by POST, or by GET with the request in the path (RFC 6960 A.1).
async fn ocsp(
    hall: &Hall,
    teller: &Teller,
    method: &Method,
    escaped: Option<String>,
    incoming: Incoming,
) -> Answer {
    let question = match (method, escaped) {
        (&Method::POST, None) => match upload::collect(incoming, OCSP_REQUEST_MAX).await {
            Ok(request) => PublishedQuestion::Ocsp { request: request.to_vec() },
            Err(_) => return teller.problem(StatusCode::PAYLOAD_TOO_LARGE, Message::RequestMalformed),
        },
        (&Method::GET, Some(request)) => PublishedQuestion::Get { path: format!("ocsp/{request}") },
        _ => return teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused),
    };
    published(hall, teller, question).await
}

/// The request of `GET /ocsp/<base64>`.
fn ocsp_by_get(parts: &http::request::Parts) -> Option<String> {
    let target = parts.uri.path_and_query()?.as_str();
    let request = target.strip_prefix("/ocsp/")?;
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"+/=%".contains(&b);
    let fits = parts.method == Method::GET
        && parts.uri.authority().is_none()
        && !request.is_empty()
        && request.len() <= OCSP_PATH_MAX
        && request.bytes().all(allowed);
    fits.then(|| request.to_owned())
}

async fn published(hall: &Hall, teller: &Teller, question: PublishedQuestion) -> Answer {
    match hall.needs.published.ask(question).await {
        Ok(PublishedAnswer::Bytes { media_type, bytes }) => answer::bytes(&media_type, bytes),
        Ok(PublishedAnswer::NotFound) => teller.problem(StatusCode::NOT_FOUND, Message::NotFound),
        Err(error) => {
            log::warn!("{error}");
            teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::UpstreamDown)
        }
    }
}

fn teller(hall: &Hall, request: &Request<Incoming>) -> (Teller, pki::identity::TraceId, Method) {
    let trace = hall.trace();
    let method = request.method().clone();
    let teller = Teller {
        realm: hall.realm_name.clone(),
        trace,
        page: browser::wants_page(request.headers()),
        safe: matches!(method, Method::GET | Method::HEAD),
    };
    (teller, trace, method)
}
