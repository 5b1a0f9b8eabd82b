//! The authority alone behind one loopback port: EST (RFC 7030, in clear text, with one-time tokens) and OCSP.
//! For measuring, never for devices: it refuses any address but loopback. Touches tokio, sockets.
//! One task per connection; ends with its runtime.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use data_encoding::BASE64;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::authority::Wish;
use pki::certs_only;
use pki::door::{DeviceKind, IssuingRefusal, PublishedAnswer, PublishedQuestion};
use pki::holders::Sharing;
use tokio::net::TcpListener;
use vpn::SlotNumber;

/// A P-256 request in base64 is below 2 KiB.
const BODY_MAX: usize = 16 << 10;
/// An asker that says nothing holds a task and a socket.
const PATIENCE: Duration = Duration::from_secs(15);
const TOKEN_HEADER: &str = "x-enrol-token";

/// Tokens of at least 128 random bits are known by their hash; what each is for.
pub type Tokens = HashMap<pki::Hash, SlotNumber>;

pub struct Loopback {
    room: pki::Room,
    tokens: Tokens,
}

impl Loopback {
    pub fn new(room: pki::Room, tokens: Tokens) -> Self {
        Self { room, tokens }
    }

    /// Only where nobody else can knock.
    pub fn allowed(listen: &SocketAddr) -> bool {
        listen.ip().is_loopback()
    }

    pub async fn serve(self, listener: TcpListener) {
        let this = Arc::new(self);
        loop {
            let Ok((tcp, _)) = listener.accept().await else { continue };
            let this = Arc::clone(&this);
            tokio::spawn(async move {
                tcp.set_nodelay(true).ok();
                let service = service_fn(move |request| {
                    let this = Arc::clone(&this);
                    async move { Ok::<_, Infallible>(this.answer(request).await) }
                });
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(PATIENCE)
                    .pipeline_flush(true)
                    .serve_connection(TokioIo::new(tcp), service)
                    .await;
                if let Err(error) = served {
                    log::debug!("connection ended: {error}");
                }
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        match (request.method(), path) {
            (&Method::POST, "/ocsp") => {
                let Ok(request) = body(request).await else { return status(StatusCode::PAYLOAD_TOO_LARGE) };
                published(self.room.published(PublishedQuestion::Ocsp { request: request.to_vec() }).await)
            }
            (&Method::POST, "/.well-known/est/simpleenroll" | "/.well-known/est/simplereenroll") => {
                self.enrol(request).await
            }
            (&Method::GET, "/.well-known/est/cacerts") => {
                let authority = self.room.authority();
                est(&certs_only::envelope(&[authority.ca().der()]))
            }
            (&Method::GET, path) => {
                let path = path.trim_start_matches('/').to_owned();
                published(self.room.published(PublishedQuestion::Get { path }).await)
            }
            _ => status(StatusCode::METHOD_NOT_ALLOWED),
        }
    }

    /// The token says the slot; the request, only the key.
    async fn enrol(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let token = request.headers().get(TOKEN_HEADER).and_then(|token| token.to_str().ok());
        let Some(token) = token.map(str::to_owned) else { return status(StatusCode::UNAUTHORIZED) };
        let Some(slot) = self.tokens.get(&pki::Hash::of(token.as_bytes())).copied() else {
            return status(StatusCode::UNAUTHORIZED);
        };
        let Ok(text) = body(request).await else { return status(StatusCode::PAYLOAD_TOO_LARGE) };
        let packed: Vec<u8> = text.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
        let Ok(der) = BASE64.decode(&packed) else { return status(StatusCode::BAD_REQUEST) };
        let issued = match Wish::new(slot, DeviceKind::Facility, &der, &token, Sharing::Vouched) {
            Ok(wish) => self.room.wish(wish).await,
            Err(refusal) => Err(refusal),
        };
        match issued {
            Ok(issued) => match issued.chain.first() {
                Some(leaf) => est(&certs_only::envelope(&[leaf])),
                None => status(StatusCode::INTERNAL_SERVER_ERROR),
            },
            Err(refusal) => {
                let code = match refusal {
                    IssuingRefusal::Unavailable { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    IssuingRefusal::TokenReused => StatusCode::CONFLICT,
                    _ => StatusCode::BAD_REQUEST,
                };
                respond(code, "text/plain; charset=utf-8", refusal.to_string())
            }
        }
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, ()> {
    let mut body = Limited::new(request.into_body(), BODY_MAX);
    let (mut first, mut more) = (None::<Bytes>, BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(drop)?.into_data() else { continue };
        match &first {
            None => first = Some(data),
            Some(_) => more.extend_from_slice(&data),
        }
    }
    let first = first.unwrap_or_default();
    if more.is_empty() { Ok(first) } else { Ok([first.as_ref(), &more].concat().into()) }
}

fn published(answer: PublishedAnswer) -> Response<Full<Bytes>> {
    match answer {
        PublishedAnswer::Bytes { media_type, bytes } => respond(StatusCode::OK, &media_type, bytes),
        PublishedAnswer::NotFound => status(StatusCode::NOT_FOUND),
    }
}

fn est(envelope: &[u8]) -> Response<Full<Bytes>> {
    let mut response =
        respond(StatusCode::OK, "application/pkcs7-mime; smime-type=certs-only", BASE64.encode(envelope));
    let encoding = http::HeaderName::from_static("content-transfer-encoding");
    response.headers_mut().insert(encoding, http::HeaderValue::from_static("base64"));
    response
}

fn status(code: StatusCode) -> Response<Full<Bytes>> {
    respond(code, "text/plain; charset=utf-8", "")
}

fn respond(code: StatusCode, media_type: &str, bytes: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes.into()));
    *response.status_mut() = code;
    if let Ok(value) = http::HeaderValue::from_str(media_type) {
        response.headers_mut().insert(http::header::CONTENT_TYPE, value);
    }
    response
}
