//! The three listeners and the life of one connection: registered by its slot before anything is
//! read, admitted in its handshake, checked again, served, and gone from the table after its socket
//! is closed. One loop per listener, one task per connection; all end when the room stops. Ruling 1.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pki::identity::TraceId;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use vpn::slot::SlotNumber;

use crate::admission::{AdmittedDevice, Refusal, admit_connection, admit_visitor, seat_of};
use crate::audit::{Kind, Record};
use crate::body::Body;
use crate::hall::Hall;
use crate::heads::{HEAD_MAX, HEADERS_MAX};
use crate::inside;
use crate::live::{Connection, Stage};
use crate::messages::Message;
use crate::outside;
use crate::tls::{Judge, Verdict};
use crate::wire::{Gate, Wire};

/// A handshake over the worst mobile line takes three seconds.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// From the first byte waited for to the end of a head; also how long an idle connection is kept.
const HEAD_PATIENCE: Duration = Duration::from_secs(15);
/// Time for a refused peer to read the alert before the socket goes.
const LAST_WORD: Duration = Duration::from_millis(500);
/// After a failed accept (no descriptors left) the others get time to finish.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Which listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// `10.B.255.1:443`
    Mutual,
    /// `10.B.255.2:443`
    Claim,
    /// `10.B.255.2:80`
    Plain,
}

enum Event {
    Arrived(io::Result<(TcpStream, SocketAddr)>),
    Stopping,
}

pub async fn listen(hall: Arc<Hall>, port: Port, listener: TcpListener) {
    loop {
        let event = tokio::select! {
            () = hall.stop.cancelled() => Event::Stopping,
            arrived = listener.accept() => Event::Arrived(arrived),
        };
        match event {
            Event::Stopping => return,
            Event::Arrived(Ok((tcp, source))) => {
                tokio::spawn(connection(hall.clone(), port, tcp, source));
            }
            Event::Arrived(Err(error)) => {
                log::warn!("accept: {error}");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(hall: Arc<Hall>, port: Port, tcp: TcpStream, source: SocketAddr) {
    let trace = hall.trace();
    let slot = match source {
        SocketAddr::V4(v4) => hall.plan.slot_of(*v4.ip()).map(|(slot, _)| slot),
        SocketAddr::V6(_) => None,
    };
    // The guard outlives the socket: when the entry is gone, the last byte is.
    let guard = match hall.live.register(slot, hall.now()) {
        Ok(guard) => Arc::new(guard),
        Err(_) => {
            drop(tcp);
            return hall.refuse(slot, Message::TooManyConnections, trace, route(port)).await;
        }
    };
    let _ = tcp.set_nodelay(true);
    let cut = guard.cut().clone();
    let wire = Wire::new(tcp, cut.clone());
    let arrival = Arrival { hall, guard: guard.clone(), source, slot, trace };
    let served = async {
        match port {
            Port::Mutual => arrival.mutual(wire).await,
            Port::Claim => arrival.claim(wire).await,
            Port::Plain => arrival.plain(wire).await,
        }
    };
    tokio::select! {
        biased;
        () = cut.cancelled() => {}
        () = served => {}
    }
    drop(guard);
}

/// A connection that has just arrived.
struct Arrival {
    hall: Arc<Hall>,
    guard: Arc<Connection>,
    source: SocketAddr,
    slot: Option<SlotNumber>,
    trace: TraceId,
}

impl Arrival {
    async fn mutual(self, wire: Wire) {
        let seat = seat_of(self.source.ip(), &self.hall.plan, &self.hall.truth());
        let verdict = Verdict::default();
        let hall = self.hall.clone();
        // Whoever has no seat goes through the same handshake to the same alert.
        let judge: Judge = Box::new(move |device| admit_connection(seat?, device, &hall.truth(), hall.now()));
        let config = match self.hall.tls.mutual(judge, verdict.clone()) {
            Ok(config) => config,
            Err(error) => return log::error!("{error}"),
        };
        let accepted = handshake(config, wire).await;
        let device = match (accepted, verdict.get()) {
            (Ok(tls), Some(Ok(device))) => Ok((tls, device.clone())),
            (_, Some(Err(why))) => Err(*why),
            (Err(broken), _) => Err(broken.reason()),
            (Ok(_), None) => Err(Message::CertificateMissing),
        };
        let (tls, device) = match device {
            Ok(both) => both,
            Err(why) => return self.refuse(why, Port::Mutual).await,
        };
        self.guard.reached(Stage::Device(device.clone()));
        // Registered; now checked again.
        if let Err(why) = device.still(&self.hall.truth(), self.hall.now()) {
            return self.refuse(why, Port::Mutual).await;
        }
        self.connected(&device).await;
        let (hall, guard, device) = (self.hall.clone(), self.guard.clone(), Arc::new(device));
        let answer = move |request| inside::answer(hall.clone(), guard.clone(), device.clone(), request);
        self.http(tls, Port::Mutual, answer).await;
    }

    async fn claim(self, wire: Wire) {
        let seat = seat_of(self.source.ip(), &self.hall.plan, &self.hall.truth());
        let visitor = seat.and_then(|seat| admit_visitor(seat, &self.hall.truth(), self.hall.now()));
        let visitor = match visitor {
            Ok(visitor) => visitor,
            Err(why) => return self.refuse(why, Port::Claim).await,
        };
        let config = match self.hall.tls.open() {
            Ok(config) => config,
            Err(error) => return log::error!("{error}"),
        };
        let tls = match handshake(config, wire).await {
            Ok(tls) => tls,
            Err(broken) => return self.refuse(broken.reason(), Port::Claim).await,
        };
        self.guard.reached(Stage::Visitor(visitor.clone()));
        if let Err(why) = visitor.still(&self.hall.truth(), self.hall.now()) {
            return self.refuse(why, Port::Claim).await;
        }
        let (hall, visitor) = (self.hall.clone(), Arc::new(visitor));
        let answer = move |request| outside::claim(hall.clone(), visitor.clone(), request);
        self.http(tls, Port::Claim, answer).await;
    }

    async fn plain(self, wire: Wire) {
        let (hall, slot) = (self.hall.clone(), self.slot);
        let answer = move |request| outside::plain(hall.clone(), slot, request);
        self.http(wire, Port::Plain, answer).await;
    }

    /// HTTP/1.1 until the peer goes, stands still, or the room stops.
    async fn http<S, F, A>(&self, io: S, port: Port, answer: F)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Request<Incoming>) -> A,
        A: Future<Output = Response<Body>> + Send,
    {
        let fault = Arc::new(OnceLock::new());
        let gate = Gate::new(io, fault.clone());
        let service = service_fn(move |request| {
            let answer = answer(request);
            async move { Ok::<_, std::convert::Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_MAX)
            .serve_connection(TokioIo::new(gate), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.hall.stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Some(fault) = fault.get() {
            log::info!(TRACE_ID = self.trace.to_string().as_str(); "malformed request: {fault}");
            self.refuse(Message::RequestMalformed, port).await;
        } else if let Err(error) = ended {
            log::debug!(TRACE_ID = self.trace.to_string().as_str(); "connection ended: {error}");
        }
    }

    async fn refuse(&self, why: Refusal, port: Port) {
        self.hall.refuse(self.slot, why, self.trace, route(port)).await;
    }

    async fn connected(&self, device: &AdmittedDevice) {
        let record = Record {
            at_ms: self.hall.now().unix_ms,
            kind: Kind::Connected,
            slot: Some(device.slot()),
            person: None,
            route: route(Port::Mutual),
            result: device.serial().to_string(),
            took_ms: None,
            trace: Some(self.trace),
        };
        if self.hall.audit.record(record).await.is_err() {
            log::warn!("a connection could not be written to the audit trail");
        }
    }
}

/// Why a handshake did not finish.
enum Broken {
    Late,
    Error(io::Error),
}

impl Broken {
    fn reason(&self) -> Refusal {
        match self {
            Broken::Late => Message::HandshakeBroken,
            Broken::Error(error) => {
                let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
                match tls {
                    Some(rustls::Error::NoCertificatesPresented) => Message::CertificateMissing,
                    Some(rustls::Error::InvalidCertificate(_)) => Message::CertificateInvalid,
                    _ => Message::HandshakeBroken,
                }
            }
        }
    }
}

async fn handshake(
    config: Arc<rustls::ServerConfig>,
    wire: Wire,
) -> Result<tokio_rustls::server::TlsStream<Wire>, Broken> {
    let accepting = TlsAcceptor::from(config).accept(wire).into_fallible();
    match tokio::time::timeout(HANDSHAKE_MAX, accepting).await {
        Ok(Ok(mut tls)) => {
            tls.get_mut().1.set_buffer_limit(Some(HEAD_MAX));
            Ok(tls)
        }
        Ok(Err((error, mut wire))) => {
            // Closing on unread bytes would reset the connection and swallow the alert.
            let _ = wire.shutdown().await;
            let _ = tokio::time::timeout(LAST_WORD, drain(&mut wire)).await;
            Err(Broken::Error(error))
        }
        Err(_) => Err(Broken::Late),
    }
}

async fn drain(wire: &mut Wire) {
    let mut scrap = [0; 1024];
    while matches!(wire.read(&mut scrap).await, Ok(read) if read > 0) {}
}

fn route(port: Port) -> String {
    match port {
        Port::Mutual => "tls mutual",
        Port::Claim => "tls claim",
        Port::Plain => "http open",
    }
    .to_owned()
}
