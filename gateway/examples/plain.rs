//! The baseline of the measurements: hyper, rustls and a kept connection to a Unix socket, and nothing
//! else: no policy, no checks, no lists, no record. What the gateway costs more than this is its own.
//!
//! ```text
//! plain --listen ADDR --cert F --key F --ca F --upstream unix:PATH
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_rustls::TlsAcceptor;

type Failed = Box<dyn Error + Send + Sync>;
type Kept = Arc<Mutex<Vec<SendRequest<Incoming>>>>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let mut given = std::env::args().skip(1);
    let mut arguments = BTreeMap::new();
    while let (Some(name), Some(value)) = (given.next(), given.next()) {
        arguments.insert(name, value);
    }
    let get = |name: &str| arguments.get(name).ok_or_else(|| format!("{name} is missing"));
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(get("--ca")?)? {
        roots.add(root?)?;
    }
    let chain = CertificateDer::pem_file_iter(get("--cert")?)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(get("--key")?)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let path: Arc<str> = get("--upstream")?.trim_start_matches("unix:").into();
    let listener = TcpListener::bind(get("--listen")?).await?;
    let kept = Kept::default();
    println!("ready");
    loop {
        let (tcp, _) = listener.accept().await?;
        tokio::spawn(connection(acceptor.clone(), tcp, path.clone(), kept.clone()));
    }
}

async fn connection(acceptor: TlsAcceptor, tcp: TcpStream, path: Arc<str>, kept: Kept) {
    let _ = tcp.set_nodelay(true);
    let Ok(tls) = acceptor.accept(tcp).await else { return };
    let http2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| forward(request, path.clone(), kept.clone()));
    let io = TokioIo::new(tls);
    if http2 {
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

async fn forward(
    request: Request<Incoming>,
    path: Arc<str>,
    kept: Kept,
) -> Result<Response<Incoming>, Failed> {
    let (mut parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str()).to_owned();
    parts.uri = target.parse()?;
    parts.version = http::Version::HTTP_11;
    parts.headers.entry(http::header::HOST).or_insert(http::HeaderValue::from_static("localhost"));
    let held = loop {
        let held = kept.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match held {
            Some(sender) if sender.is_closed() => {}
            other => break other,
        }
    };
    let mut sender = match held {
        Some(sender) => sender,
        None => {
            let stream = UnixStream::connect(&*path).await?;
            let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
            tokio::spawn(connection);
            sender
        }
    };
    sender.ready().await?;
    let response = sender.send_request(Request::from_parts(parts, body)).await?;
    // It is ready again when the body was read; whoever takes it waits for that.
    kept.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    Ok(response)
}
