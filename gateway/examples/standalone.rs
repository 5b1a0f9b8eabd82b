//! The gateway's proxy by itself, to measure and to probe: the same wire, handshake, gate, strict
//! checks, header lists, lines and audit as the room's, with an admission that needs only the
//! certificate. No people, no feeds, no other rooms; no part of the product binary.
//!
//! ```text
//! standalone --listen ADDR --cert F --key F --ca F --upstream unix:PATH [--audit DIR] [--workers N]
//! ```
//! Answers to the names of `--cert` on any port, tells the room behind the certificate's common name
//! as `x-device-slot`, prints `ready`, runs until it is killed.

#![allow(clippy::print_stdout, clippy::print_stderr)] // a program for a terminal

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use gateway::admission::Admitted;
use gateway::audit::{Audit, Kind, Outcome, Record, Route, Who};
use gateway::body::{self, Body};
use gateway::browser;
use gateway::clock::{Clock, Traces};
use gateway::gate::Ledger;
use gateway::handshake::handshake;
use gateway::headers::{self, Besides};
use gateway::lines::Lines;
use gateway::live::{Bounds, Connection, Live};
use gateway::messages::Message;
use gateway::need::{Answering, Behind, Io, NeedUnmet, Upstream};
use gateway::proxy::{self, Errand, Upgrade};
use gateway::routes::Class;
use gateway::strict::{self, Scheme};
use gateway::talk::talk;
use gateway::tls::{self, Judge, Verdict};
use gateway::wire::Wire;
use http::header::{HOST, HeaderValue, ORIGIN, UPGRADE};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use pki::identity::TraceId;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::CertifiedKey;
use rustls::{DistinguishedName, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio_util::sync::CancellationToken;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Everybody comes with certificates of one CA and from one address: bounds per slot say nothing here.
const CONNECTIONS: usize = 60_000;

type Failed = Box<dyn Error + Send + Sync>;

struct Arguments {
    listen: String,
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
    upstream: PathBuf,
    audit: PathBuf,
    workers: Option<usize>,
}

struct House {
    provider: Arc<CryptoProvider>,
    certified: Arc<CertifiedKey>,
    verifier: Arc<dyn ClientCertVerifier>,
    hints: Arc<[DistinguishedName]>,
    names: Vec<(String, usize)>,
    lines: Arc<Lines>,
    live: Arc<Live>,
    audit: Audit,
    clock: Clock,
    traces: Traces,
    stop: CancellationToken,
}

/// All that the certificate says.
#[derive(Clone)]
struct Device {
    name: String,
}

impl Admitted for Device {
    fn behind(&self) -> Behind {
        Behind::Sns
    }

    fn header(&self) -> (&'static str, String) {
        ("x-device-slot", self.name.clone())
    }
}

struct Socket(PathBuf);

impl Upstream for Socket {
    fn open(&self, _: Behind) -> Answering<'_, Box<dyn Io>> {
        Box::pin(async move {
            let unmet = |error: std::io::Error| NeedUnmet { room: "upstream".into(), why: error.to_string() };
            let stream = UnixStream::connect(&self.0).await.map_err(unmet)?;
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }
}

fn main() -> Result<(), Failed> {
    let arguments = arguments()?;
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    if let Some(workers) = arguments.workers {
        builder.worker_threads(workers);
    }
    builder.enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: Arguments) -> Result<(), Failed> {
    let listener = TcpListener::bind(&arguments.listen).await?;
    let house = house(&arguments)?;
    println!("ready");
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => drop(tokio::spawn(connection(house.clone(), tcp))),
            Err(error) => {
                eprintln!("accept: {error}");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

fn house(arguments: &Arguments) -> Result<Arc<House>, Failed> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = std::fs::read_to_string(&arguments.cert)?;
    let certified = tls::certified(&chain, &std::fs::read_to_string(&arguments.key)?, &provider)?;
    let mut roots = RootCertStore::empty();
    for root in CertificateDer::pem_file_iter(&arguments.ca)? {
        roots.add(root?)?;
    }
    let roots = Arc::new(roots);
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone()).build()?;
    let names = names(certified.end_entity_cert()?)?;
    std::fs::create_dir_all(&arguments.audit)?;
    let clock = Clock::system();
    let bounds = Bounds { per_slot: CONNECTIONS, handshakes_per_slot: CONNECTIONS, all: CONNECTIONS };
    Ok(Arc::new(House {
        hints: verifier.root_hint_subjects().to_vec().into(),
        audit: Audit::open(&arguments.audit, clock.now().unix_ms)?,
        certified: Arc::new(certified),
        live: Arc::new(Live::with(bounds)),
        lines: Lines::new(Arc::new(Socket(arguments.upstream.clone()))),
        stop: CancellationToken::new(),
        provider,
        traces: Traces::new(),
        verifier,
        names,
        clock,
    }))
}

/// The DNS names and IPv4 addresses of a certificate, numbered.
fn names(certificate: &CertificateDer<'_>) -> Result<Vec<(String, usize)>, Failed> {
    let (_, parsed) = X509Certificate::from_der(certificate)?;
    let san = parsed.subject_alternative_name()?.ok_or("the certificate has no names")?;
    let names = san.value.general_names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => {
            let four: [u8; 4] = (*bytes).try_into().ok()?;
            Some(std::net::Ipv4Addr::from(four).to_string())
        }
        _ => None,
    });
    Ok(names.enumerate().map(|(number, name)| (name, number)).collect())
}

async fn connection(house: Arc<House>, tcp: TcpStream) {
    let Ok(guard) = house.live.register(None, house.clock.now()) else { return };
    let guard = Arc::new(guard);
    let wire = Wire::new(tcp, guard.cut().clone());
    let verdict = Verdict::default();
    let verifier = house.verifier.clone();
    let judge: Judge<Device> = Box::new(move |chain, now| {
        let ders: Vec<CertificateDer<'_>> = chain.iter().map(|der| CertificateDer::from(*der)).collect();
        let (leaf, rest) = ders.split_first().ok_or(Message::CertificateMissing)?;
        verifier.verify_client_cert(leaf, rest, now).map_err(|_| Message::CertificateInvalid)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| Message::CertificateInvalid)?;
        let name = parsed.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
        Ok(Device { name: name.ok_or(Message::CertificateInvalid)?.to_owned() })
    });
    let (provider, certified) = (&house.provider, house.certified.clone());
    let Ok(config) = tls::mandatory(provider, certified, house.hints.clone(), judge, verdict.clone()) else {
        return;
    };
    let agreed = Box::pin(handshake(config, wire)).await;
    let (Ok((stream, spoken)), Some(Ok(device))) = (agreed, verdict.get()) else {
        return write_down(&house, Kind::Refused, Route::of("tls mutual"), Outcome::of("refused"), None)
            .await;
    };
    write_down(&house, Kind::Connected, Route::of("tls mutual"), Outcome::of(&device.name), None).await;
    let device = Arc::new(device.clone());
    let (ledger, stop) = (Arc::new(Ledger::default()), house.stop.clone());
    let answering = {
        let (house, guard) = (house.clone(), guard.clone());
        move |request| answer(house.clone(), guard.clone(), device.clone(), request)
    };
    let ended = talk(stream, spoken, ledger.clone(), &stop, answering).await;
    if let Some(fault) = ledger.fault().filter(|fault| !fault.is_silence()) {
        write_down(&house, Kind::Refused, Route::of("http"), Outcome::of(fault), None).await;
    }
    drop((ended, guard));
}

async fn answer(
    house: Arc<House>,
    connection: Arc<Connection>,
    device: Arc<Device>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let trace = house.traces.next();
    let upgrading = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let route = Route::of(format_args!("{} {}", parts.method, Class(parts.uri.path())));
    let carried = match strict::check(&parts, Scheme::HttpsAnyPort, &house.names) {
        Err(fault) => Err(fault.outside()),
        Ok(checked) if foreign(&parts) && (checked.unsafe_method || checked.upgrade.is_some()) => {
            Err((StatusCode::FORBIDDEN, Message::OriginForeign))
        }
        Ok(checked) => {
            let upgrade = checked.upgrade.zip(upgrading);
            let errand = Errand {
                passage: &*device,
                name: house.names.get(checked.name).map_or("", |(name, _)| name),
                target: checked.target,
                trace,
                stream: None,
                upgrade: upgrade.map(|(wish, upgrading)| Upgrade { wish, upgrading, connection }),
                besides: Besides::Nothing,
            };
            proxy::forward(&house.lines, errand, &parts, incoming).await
        }
    };
    let mut response = carried.unwrap_or_else(|(status, message)| {
        let mut response = Response::new(body::whole(message.code()));
        *response.status_mut() = status;
        response
    });
    headers::guard(response.headers_mut(), None);
    if let Ok(value) = HeaderValue::from_str(&trace.to_string()) {
        response.headers_mut().insert(pki::identity::TRACE_HEADER, value);
    }
    write_down(&house, Kind::Request, route, Outcome::of(response.status().as_u16()), Some(trace)).await;
    response
}

/// A browser says where it comes from; programs need not.
fn foreign(parts: &http::request::Parts) -> bool {
    let browser = parts.headers.contains_key(ORIGIN) || parts.headers.contains_key("sec-fetch-site");
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let host = host.or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    browser && browser::same_origin(&parts.headers, &format!("https://{}", host.unwrap_or_default())).is_err()
}

async fn write_down(house: &House, kind: Kind, route: Route, result: Outcome, trace: Option<TraceId>) {
    let at_ms = house.clock.now().unix_ms;
    let record = Record { at_ms, kind, slot: None, person: Who::EMPTY, route, result, took_ms: None, trace };
    if house.audit.record(record).await.is_err() {
        eprintln!("the audit trail cannot be written");
    }
}

fn arguments() -> Result<Arguments, Failed> {
    let mut given = std::env::args().skip(1);
    let (mut listen, mut cert, mut key, mut ca, mut upstream) = (None, None, None, None, None);
    let mut audit = std::env::temp_dir().join(format!("mimamori-standalone-{}", std::process::id()));
    let mut workers = None;
    while let Some(name) = given.next() {
        let value = given.next().ok_or_else(|| format!("{name} wants a value"))?;
        match name.as_str() {
            "--listen" => listen = Some(value),
            "--cert" => cert = Some(value.into()),
            "--key" => key = Some(value.into()),
            "--ca" => ca = Some(value.into()),
            "--upstream" => {
                let path = value.strip_prefix("unix:").ok_or("--upstream is unix:PATH")?;
                upstream = Some(path.into());
            }
            "--audit" => audit = value.into(),
            "--workers" => workers = Some(value.parse()?),
            _ => return Err(format!("unknown argument {name}").into()),
        }
    }
    let wants = |name: &str| format!("{name} is missing");
    Ok(Arguments {
        listen: listen.ok_or_else(|| wants("--listen"))?,
        cert: cert.ok_or_else(|| wants("--cert"))?,
        key: key.ok_or_else(|| wants("--key"))?,
        ca: ca.ok_or_else(|| wants("--ca"))?,
        upstream: upstream.ok_or_else(|| wants("--upstream"))?,
        audit,
        workers,
    })
}
