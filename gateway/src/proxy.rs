//! Carries an admitted request to the room behind, and its answer back: framing made anew, headers by
//! list, our identity the only one, both directions streaming; or a WebSocket, whose wish and consent
//! pass the same lists. It ends with the answer's body, or with the tunnel.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::upgrade::OnUpgrade;
use pki::identity::{TRACE_HEADER, TraceId};

use crate::admission::Admitted;
use crate::body::{self, Body};
use crate::headers::{Besides, forward_consent, forward_request, forward_response, has_body};
use crate::lines::{Download, Line, Lines, NotSent};
use crate::live::{Connection, Stream};
use crate::messages::Message;
use crate::need::Behind;
use crate::tunnel::{self, Guards};
use crate::upgrade::Wish;
use crate::upload::{BODY_MAX, BodyError, Upload};

/// A room in the same machine answers its door at once or not at all.
const OPEN_MAX: Duration = Duration::from_secs(3);
/// A room's longest thought, password hashing and reports included, after the whole request arrived.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// The same for a request with a body: 25 MiB over a slow mobile line; `STALL` ends what stands still.
const UPLOAD_MAX: Duration = Duration::from_secs(600);

/// What is carried, and for whom.
pub struct Errand<'a, A> {
    pub passage: &'a A,
    /// The name that was addressed, as configured.
    pub name: &'a str,
    /// Path and query, checked.
    pub target: PathAndQuery,
    pub trace: TraceId,
    pub stream: Option<Stream>,
    pub upgrade: Option<Upgrade>,
    pub besides: Besides<'a>,
}

/// A WebSocket that is asked for, and the connection it would take over.
pub struct Upgrade {
    pub wish: Wish,
    pub upgrading: OnUpgrade,
    pub connection: Arc<Connection>,
}

pub type Failure = (StatusCode, Message);

pub async fn forward<A: Admitted>(
    lines: &Arc<Lines>,
    errand: Errand<'_, A>,
    parts: &Parts,
    incoming: Incoming,
) -> Result<Response<Body>, Failure> {
    let forwarded = forward_request(&parts.headers, errand.upgrade.is_some(), errand.besides);
    if forwarded.forged > 0 {
        log::warn!(TRACE_ID = errand.trace.to_string().as_str(); "{} headers tried to speak for the gateway; dropped", forwarded.forged);
    }
    if forwarded.twice {
        return Err(malformed());
    }
    let fate = Arc::new(OnceLock::new());
    let upload = Upload::new(incoming, BODY_MAX, fate.clone());
    if upload.size_hint().lower() > BODY_MAX {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, Message::BodyTooLarge));
    }
    let bare = upload.is_end_stream();
    let patience = if bare { HEAD_MAX } else { UPLOAD_MAX };
    let target = Uri::from(errand.target.clone());
    let mut headers = forwarded.headers;
    address(&mut headers, &errand)?;
    let compose = |headers, target, body| {
        let mut request = Request::new(body);
        *request.method_mut() = parts.method.clone();
        *request.uri_mut() = target;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers;
        request
    };
    // Made anew only when it is needed: asking twice reads twice, and changes nothing (RFC 9110 9.2.2).
    let again = || {
        let repeatable =
            bare && errand.upgrade.is_none() && matches!(parts.method, Method::GET | Method::HEAD);
        let target = repeatable.then(|| Uri::from(errand.target.clone()))?;
        let mut headers = forward_request(&parts.headers, false, errand.besides).headers;
        address(&mut headers, &errand).ok()?;
        Some(compose(headers, target, Upload::nothing()))
    };
    let request = compose(headers, target, upload);
    let behind = errand.passage.behind();
    let ended = errand.stream.as_ref().map(|stream| stream.end().clone());
    let sending = send(lines, behind, request, patience, again);
    let sent = match ended {
        None => sending.await,
        Some(ended) => tokio::select! {
            biased;
            () = ended.cancelled() => return Err((StatusCode::UNAUTHORIZED, Message::SessionUnknown)),
            sent = sending => sent,
        },
    };
    match sent {
        Ok((response, line)) => answer(response, line, errand.stream, errand.upgrade, errand.besides),
        Err(failure) => Err(match fate.get() {
            Some(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, Message::BodyTooLarge),
            Some(BodyError::Trailers) => malformed(),
            Some(BodyError::Broken | BodyError::Ended) => (StatusCode::REQUEST_TIMEOUT, Message::BodyStalled),
            None => failure,
        }),
    }
}

/// What only the gateway may say: who was addressed, who asks, under which trace.
fn address<A: Admitted>(headers: &mut HeaderMap, errand: &Errand<'_, A>) -> Result<(), Failure> {
    let value = |text: &str| HeaderValue::from_str(text).map_err(|_| malformed());
    headers.insert(HOST, value(errand.name)?);
    let (identity, who) = errand.passage.header();
    headers.insert(HeaderName::from_static(identity), value(&who)?);
    headers.insert(HeaderName::from_static(TRACE_HEADER), value(&errand.trace.to_string())?);
    Ok(())
}

/// On a line that was idle, or on a new one. A room may close an idle line in the very moment in which it
/// is used: what it cannot have seen goes out again; what it may have seen only if `again` can say it
/// again without doing it twice. Everything else is told as broken, and never repeated behind anybody's back.
async fn send(
    lines: &Arc<Lines>,
    behind: Behind,
    mut request: Request<Upload>,
    patience: Duration,
    again: impl Fn() -> Option<Request<Upload>>,
) -> Result<(Response<Incoming>, Box<Line>), Failure> {
    while let Some(mut line) = lines.idle(behind) {
        match line.send(request, patience).await {
            Ok(response) => return Ok((response, line)),
            Err(NotSent::Late) => return Err(late()),
            Err(NotSent::Unseen(unseen)) => request = *unseen,
            Err(NotSent::Seen) => {
                // On a new line: another kept one may be of the same room that went away.
                request = again().ok_or_else(broken)?;
                break;
            }
        }
    }
    let mut line = match tokio::time::timeout(OPEN_MAX, lines.open(behind)).await {
        Ok(Ok(line)) => line,
        Ok(Err(error)) => {
            log::warn!("{error}");
            return Err(down());
        }
        Err(_) => return Err(down()),
    };
    match line.send(request, patience).await {
        Ok(response) => Ok((response, line)),
        Err(NotSent::Late) => Err(late()),
        Err(NotSent::Unseen(_) | NotSent::Seen) => Err(broken()),
    }
}

fn answer(
    response: Response<Incoming>,
    line: Box<Line>,
    stream: Option<Stream>,
    upgrade: Option<Upgrade>,
    besides: Besides<'_>,
) -> Result<Response<Body>, Failure> {
    let (parts, incoming) = response.into_parts();
    if parts.status == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody switches who was not asked to.
        let Some(Upgrade { wish, upgrading, connection }) = upgrade else { return Err(broken()) };
        if !wish.is_granted_by(&parts.headers) {
            return Err(broken());
        }
        let (far, early) = line.into_stream();
        stream.iter().for_each(Stream::lasts);
        tunnel::open(upgrading, far, early, Guards { connection, stream });
        let mut response = Response::new(body::empty());
        *response.status_mut() = parts.status;
        *response.headers_mut() = forward_consent(&parts.headers);
        return Ok(response);
    }
    if parts.status.is_informational() {
        return Err(broken());
    }
    if is_events(&parts.headers) {
        stream.iter().for_each(Stream::lasts);
    }
    let download = Download::new(incoming, line, stream);
    let body = if has_body(parts.status) { Body::download(download) } else { body::empty() };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = forward_response(&parts.headers, besides);
    // Never copied: the framing of the answer is made by whoever writes it.
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response)
}

/// A stream of events: no browser waits for its end, and each comes back with `Last-Event-ID`.
fn is_events(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"))
}

fn down() -> Failure {
    (StatusCode::SERVICE_UNAVAILABLE, Message::UpstreamDown)
}

fn late() -> Failure {
    (StatusCode::GATEWAY_TIMEOUT, Message::UpstreamBroken)
}

fn broken() -> Failure {
    (StatusCode::BAD_GATEWAY, Message::UpstreamBroken)
}

fn malformed() -> Failure {
    (StatusCode::BAD_REQUEST, Message::RequestMalformed)
}
