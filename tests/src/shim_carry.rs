//! Carries what `shim` lets pass: a listener on loopback, and for each request a connection of its own out
//! of the device's namespace with the device's certificate. Owns the listeners and their tasks; dropping
//! `Shims` ends them all. Edge: sockets, namespaces, files of keys, randomness.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::aws_lc_rs, version::TLS13};

use crate::device::Device;
use crate::fault::{Fault, Told, While};
use crate::http::Credentials;
use crate::net::Namespace;
use crate::shim::{Entry, Refused, Shim};

/// A browser opens six; a live page keeps one.
const CONNECTIONS_MAX: usize = 32;
/// A tunnel's first handshake takes a second; a dead one never answers.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// As the gateway waits for its rooms, and a little more.
const HEAD_WITHIN: Duration = Duration::from_secs(70);
/// A browser sends its head at once.
const BROWSER_WITHIN: Duration = Duration::from_secs(15);
/// What a page may send up; the gateway has its own limit below it.
const HEADERS_MAX: usize = 64;
/// Open streams are cut after this when it ends.
const END_WITHIN: Duration = Duration::from_secs(2);

/// Either kind of connection.
trait Wire: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Wire for T {}

type Body = BoxBody<Bytes, hyper::Error>;

/// The addresses of one demonstration.
pub struct Shims {
    /// `Some` until dropped.
    runtime: Option<Runtime>,
}

/// How one address reaches its site.
struct Way {
    shim: Shim,
    space: Namespace,
    to: SocketAddr,
    /// Published bytes travel without.
    tls: Option<(TlsConnector, ServerName<'static>)>,
    places: Arc<Semaphore>,
}

impl Shims {
    pub fn new() -> Told<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Lends `device` to a browser on this machine, for the site `host`. Returns the address with its token.
    pub fn lend(&self, device: &Device, host: &str, gateway: Ipv4Addr) -> Told<String> {
        let runtime = self.runtime.as_ref().ok_or_else(|| Fault::new("the shims have ended"))?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let shim = Shim::new(host, listener.local_addr()?.port(), &random()?, &random()?);
        let name = ServerName::try_from(host.to_owned()).while_(|| format!("the site {host}"))?;
        let tls = TlsConnector::from(Arc::new(client(&device.credentials)?));
        let to = SocketAddr::from((gateway, 443));
        Ok(serve(runtime, listener, shim, &device.space, to, Some((tls, name))))
    }

    /// Leads to what is published, through `device`'s tunnel. Returns the address.
    pub fn publish(&self, device: &Device, published: Ipv4Addr) -> Told<String> {
        let runtime = self.runtime.as_ref().ok_or_else(|| Fault::new("the shims have ended"))?;
        let listener = runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?;
        let shim = Shim::open(&published.to_string(), listener.local_addr()?.port());
        Ok(serve(runtime, listener, shim, &device.space, SocketAddr::from((published, 80)), None))
    }
}

impl Drop for Shims {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(END_WITHIN);
        }
    }
}

fn serve(
    runtime: &Runtime,
    listener: TcpListener,
    shim: Shim,
    space: &Namespace,
    to: SocketAddr,
    tls: Option<(TlsConnector, ServerName<'static>)>,
) -> String {
    let url = shim.url();
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    runtime.spawn(listen(listener, Arc::new(Way { shim, space: space.clone(), to, tls, places })));
    url
}

async fn listen(listener: TcpListener, way: Arc<Way>) {
    loop {
        let Ok(place) = way.places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let way = way.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(&way, request));
            let mut http = hyper::server::conn::http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(BROWSER_WITHIN).max_headers(HEADERS_MAX);
            // A browser that goes away is no fault.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(place);
        });
    }
}

async fn answer(way: &Way, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    Ok(match way.shim.admit(&path, request.headers()) {
        Entry::Refuse(refused) => page(StatusCode::FORBIDDEN, refused.words(), refused == Refused::Origin),
        Entry::Welcome { to, cookie } => {
            let mut answer = page(StatusCode::SEE_OTHER, "", false);
            for (name, value) in [(header::LOCATION, to), (header::SET_COOKIE, cookie)] {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    answer.headers_mut().insert(name, value);
                }
            }
            answer
        }
        Entry::Carry => carry(way, request, &path).await.unwrap_or_else(|fault| {
            let words = format!(
                "この端末からみまもりに届きません。端末が利用停止になったか、みまもりが止まっています。（{fault}）"
            );
            page(StatusCode::BAD_GATEWAY, &words, false)
        }),
    })
}

async fn carry(way: &Way, request: Request<Incoming>, path: &str) -> Told<Response<Body>> {
    let (mut head, body) = request.into_parts();
    head.headers = way.shim.inward(&head.headers);
    head.uri = path.parse::<Uri>().while_(|| "the path".into())?;
    head.version = http::Version::HTTP_11;
    let (space, to) = (way.space.clone(), way.to);
    let stream = tokio::task::spawn_blocking(move || space.connect(to, CONNECT_WITHIN)).await;
    let stream = stream.while_(|| "the thread in the namespace".into())??;
    stream.set_nonblocking(true)?;
    let stream = TcpStream::from_std(stream)?;
    let stream: Box<dyn Wire> = match &way.tls {
        None => Box::new(stream),
        Some((tls, name)) => {
            let secured = tokio::time::timeout(CONNECT_WITHIN, tls.connect(name.clone(), stream)).await;
            Box::new(secured.while_(|| "TLS".into())?.while_(|| "TLS".into())?)
        }
    };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.while_(|| "HTTP".into())?;
    // Ends with the answer's body, or when the browser stops reading it.
    tokio::spawn(connection);
    let answer =
        tokio::time::timeout(HEAD_WITHIN, sender.send_request(Request::from_parts(head, body))).await;
    let answer = answer.while_(|| "waiting for the answer".into())?.while_(|| "HTTP".into())?;
    let (mut head, body) = answer.into_parts();
    head.headers = way.shim.outward(&head.headers);
    Ok(Response::from_parts(head, body.boxed()))
}

/// The shim's own words. `again`: our own page is not foreign to itself.
fn page(status: StatusCode, words: &str, again: bool) -> Response<Body> {
    let link = if again { "<p><a href=\"/\">ここから開く</a></p>" } else { "" };
    let words = words.replace('&', "&amp;").replace('<', "&lt;");
    let text = format!(
        "<!doctype html><html lang=\"ja\"><meta charset=\"utf-8\"><title>みまもり（実演）</title><p>{words}</p>{link}</html>"
    );
    let body = Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    for (name, value) in [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
        (header::REFERRER_POLICY, "no-referrer"),
    ] {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// TLS 1.3 with the device's own certificate, trusting the appliance's root and nothing else.
fn client(credentials: &Credentials) -> Told<ClientConfig> {
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_file(&credentials.root).while_(|| "the root".into())?;
    roots.add(root).while_(|| "the root".into())?;
    let (chain, key) =
        credentials.certificate.as_ref().ok_or_else(|| Fault::new("the device has no certificate"))?;
    let chain = CertificateDer::pem_file_iter(chain).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.while_(|| "the device's certificate".into())?;
    let key = PrivateKeyDer::from_pem_file(key).while_(|| "the device's key".into())?;
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .while_(|| "TLS 1.3".into())?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .while_(|| "the device's certificate".into())
}

fn random() -> Told<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).while_(|| "fresh randomness".into())?;
    Ok(bytes)
}
