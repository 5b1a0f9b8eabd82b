//! The three listeners and the life of one connection: registered by its slot before anything is
//! read, admitted in its handshake, checked again, served, and gone from the table after its socket
//! is closed. One loop per listener, one task per connection; all end when the room stops. Ruling 1.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use pki::identity::TraceId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use vpn::slot::SlotNumber;

use crate::admission::{AdmittedDevice, Refusal, admit_connection, admit_visitor, seat_of};
use crate::audit::{self, Kind, Outcome, Record, Who};
use crate::body::Body;
use crate::gate::Ledger;
use crate::hall::Hall;
use crate::handshake::handshake;
use crate::inside;
use crate::live::{Connection, Stage};
use crate::messages::Message;
use crate::moment::Freshness;
use crate::outside;
use crate::talk::{Spoken, talk};
use crate::tls::Verdict;
use crate::wire::Wire;

/// After a failed accept (no descriptors left) the others get time to finish.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How long a new process lets devices wait for its first knowledge: below what a browser waits for TLS.
const FIRST_ANSWERS: Duration = Duration::from_secs(5);

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

impl Port {
    pub const ALL: [Port; 3] = [Port::Mutual, Port::Claim, Port::Plain];

    /// Under which its socket is kept from one process to the next.
    pub fn name(self) -> &'static str {
        match self {
            Port::Mutual => "gateway-mutual",
            Port::Claim => "gateway-claim",
            Port::Plain => "gateway-plain",
        }
    }
}

enum Event {
    Arrived(io::Result<(TcpStream, SocketAddr)>),
    Stopping,
}

/// The kernel holds whoever comes before the feeds have answered: at a restart nobody is refused for what the
/// new process does not know yet. Port 80 asks nobody, and tells what is wrong.
pub async fn listen(hall: Arc<Hall>, port: Port, listener: TcpListener) {
    if port != Port::Plain {
        tokio::select! {
            () = hall.stop.cancelled() => return,
            () = first_answers(&hall) => {}
        }
    }
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

/// Both feeds have answered, or one of them does not; then each refusal says why.
async fn first_answers(hall: &Hall) {
    let mut changes = hall.changes();
    let fresh = changes.wait_for(|_| hall.truth().freshness(hall.now()) == Freshness::Fresh);
    let _ = tokio::time::timeout(FIRST_ANSWERS, fresh).await;
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
    hall.meters.connection();
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
        let judge = move |device: &_| admit_connection(seat?, device, &hall.truth(), hall.now());
        let config = match self.hall.tls.mutual(judge, verdict.clone()) {
            Ok(config) => config,
            Err(error) => return log::error!("{error}"),
        };
        // Boxed, because it is over soon and the connection is not.
        let accepted = Box::pin(handshake(config, wire)).await;
        let device = match (accepted, verdict.get()) {
            (Ok(agreed), Some(Ok(device))) => Ok((agreed, device.clone())),
            (_, Some(Err(why))) => Err(*why),
            (Err(broken), _) => Err(broken.reason()),
            (Ok(_), None) => Err(Message::CertificateMissing),
        };
        self.hall.meters.handshake(device.is_ok());
        let ((tls, spoken), device) = match device {
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
        self.http(tls, spoken, Port::Mutual, answer).await;
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
        let (tls, spoken) = match Box::pin(handshake(config, wire)).await {
            Ok(agreed) => agreed,
            Err(broken) => return self.refuse(broken.reason(), Port::Claim).await,
        };
        self.guard.reached(Stage::Visitor(visitor.clone()));
        if let Err(why) = visitor.still(&self.hall.truth(), self.hall.now()) {
            return self.refuse(why, Port::Claim).await;
        }
        let (hall, visitor) = (self.hall.clone(), Arc::new(visitor));
        let answer = move |request| outside::claim(hall.clone(), visitor.clone(), request);
        self.http(tls, spoken, Port::Claim, answer).await;
    }

    async fn plain(self, wire: Wire) {
        let (hall, slot) = (self.hall.clone(), self.slot);
        let answer = move |request| outside::plain(hall.clone(), slot, request);
        self.http(wire, Spoken::Fetching, Port::Plain, answer).await;
    }

    /// HTTP until the peer goes, breaks a rule or its time, or the room stops.
    async fn http<S, F, A>(&self, io: S, spoken: Spoken, port: Port, answer: F)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        F: Fn(Request<Incoming>) -> A,
        A: Future<Output = Response<Body>> + Send + 'static,
    {
        let ledger = Arc::new(Ledger::default());
        let ended = talk(io, spoken, ledger.clone(), &self.hall.stop, answer).await;
        match ledger.fault() {
            Some(fault) if fault.is_silence() => {}
            Some(fault) => {
                log::info!(TRACE_ID = self.trace.to_string().as_str(); "connection ended: {fault}");
                self.hall.meters.broken(fault.is_attack());
                let why = if fault.is_attack() { Message::RequestMalformed } else { Message::TooSlow };
                self.refuse(why, port).await;
            }
            None => {
                if let Err(error) = ended {
                    log::debug!(TRACE_ID = self.trace.to_string().as_str(); "connection ended: {error}");
                }
            }
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
            person: Who::EMPTY,
            route: audit::Route::of(route(Port::Mutual)),
            result: Outcome::of(device.serial()),
            took_ms: None,
            trace: Some(self.trace),
        };
        if self.hall.audit.record(record).await.is_err() {
            log::warn!("a connection could not be written to the audit trail");
        }
    }
}

fn route(port: Port) -> &'static str {
    match port {
        Port::Mutual => "tls mutual",
        Port::Claim => "tls claim",
        Port::Plain => "http open",
    }
}
