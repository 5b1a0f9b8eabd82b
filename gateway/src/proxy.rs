//! Carries an admitted request to the room behind, and its answer back: framing made anew, headers by
//! list, our identity the only one, both directions streaming. One connection per request; it ends
//! with the answer's body.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HOST, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use pki::identity::{TRACE_HEADER, TraceId};

use crate::admission::Passage;
use crate::body::{self, AbortOnDrop, BODY_MAX, Body, BodyError, Download, Upload};
use crate::headers::{forward_request, forward_response, has_body};
use crate::live::Stream;
use crate::messages::Message;
use crate::need::{Behind, Io, Upstream};

/// A room in the same machine answers its door at once or not at all.
const OPEN_MAX: Duration = Duration::from_secs(3);
/// A room's longest thought, password hashing and reports included, after the whole request arrived.
const HEAD_MAX: Duration = Duration::from_secs(60);
/// The same for a request with a body: 25 MiB over a slow mobile line; `STALL` ends what stands still.
const UPLOAD_MAX: Duration = Duration::from_secs(600);

/// What is carried, and for whom.
pub struct Errand<'a> {
    pub passage: &'a Passage,
    /// The name that was addressed, as configured.
    pub name: String,
    /// Path and query, checked.
    pub target: String,
    pub trace: TraceId,
    pub stream: Option<Stream>,
}

pub type Failure = (StatusCode, Message);

pub async fn forward(
    upstream: &dyn Upstream,
    errand: Errand<'_>,
    parts: &Parts,
    incoming: Incoming,
) -> Result<Response<Body>, Failure> {
    let Errand { passage, name, target, trace, stream } = errand;
    let forwarded = forward_request(&parts.headers);
    if forwarded.forged > 0 {
        log::warn!(TRACE_ID = trace.to_string().as_str(); "{} headers tried to speak for the gateway; dropped", forwarded.forged);
    }
    if incoming.size_hint().lower() > BODY_MAX {
        return Err((StatusCode::PAYLOAD_TOO_LARGE, Message::BodyTooLarge));
    }
    let patience = if incoming.is_end_stream() { HEAD_MAX } else { UPLOAD_MAX };
    let fate = Arc::new(OnceLock::new());
    let upload = Upload::new(incoming, BODY_MAX, fate.clone());
    let mut request = Request::new(upload);
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = target.parse().map_err(|_| malformed())?;
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    *headers = forwarded.headers;
    headers.insert(HOST, HeaderValue::from_str(&name).map_err(|_| malformed())?);
    let (identity, value) = passage.header();
    let value = HeaderValue::from_str(&value).map_err(|_| malformed())?;
    headers.insert(HeaderName::from_static(identity), value);
    let trace = HeaderValue::from_str(&trace.to_string()).map_err(|_| malformed())?;
    headers.insert(HeaderName::from_static(TRACE_HEADER), trace);

    let io = open(upstream, passage.behind()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await.map_err(|_| down())?;
    let driver = AbortOnDrop(tokio::spawn(async move {
        let _ = connection.await;
    }));
    match tokio::time::timeout(patience, sender.send_request(request)).await {
        Ok(Ok(response)) => answer(response, stream, driver),
        Ok(Err(_)) => Err(match fate.get() {
            Some(BodyError::TooLarge) => (StatusCode::PAYLOAD_TOO_LARGE, Message::BodyTooLarge),
            Some(BodyError::Stalled | BodyError::Broken) => {
                (StatusCode::REQUEST_TIMEOUT, Message::BodyStalled)
            }
            None => broken(),
        }),
        Err(_) => Err((StatusCode::GATEWAY_TIMEOUT, Message::UpstreamBroken)),
    }
}

fn answer(
    response: Response<Incoming>,
    stream: Option<Stream>,
    driver: AbortOnDrop,
) -> Result<Response<Body>, Failure> {
    let (parts, incoming) = response.into_parts();
    if parts.status.is_informational() {
        return Err(broken());
    }
    let body = if has_body(parts.status) {
        Download::new(incoming, stream, driver).boxed_unsync()
    } else {
        body::empty()
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = forward_response(&parts.headers);
    // Never copied: the framing of the answer is made by whoever writes it.
    response.headers_mut().remove(CONTENT_LENGTH);
    Ok(response)
}

async fn open(upstream: &dyn Upstream, behind: Behind) -> Result<Box<dyn Io>, Failure> {
    match tokio::time::timeout(OPEN_MAX, upstream.open(behind)).await {
        Ok(Ok(io)) => Ok(io),
        Ok(Err(error)) => {
            log::warn!("{error}");
            Err(down())
        }
        Err(_) => Err(down()),
    }
}

fn down() -> Failure {
    (StatusCode::SERVICE_UNAVAILABLE, Message::UpstreamDown)
}

fn broken() -> Failure {
    (StatusCode::BAD_GATEWAY, Message::UpstreamBroken)
}

fn malformed() -> Failure {
    (StatusCode::BAD_REQUEST, Message::RequestMalformed)
}
