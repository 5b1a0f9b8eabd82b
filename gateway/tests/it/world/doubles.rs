//! The other rooms, as far as the gateway sees them.

use std::collections::BTreeMap;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use gateway::need::{Answering, Behind, GrantChanges, Io, MembershipGrant, NeedUnmet, SlotGrant, SlotHolder};
use http::{HeaderMap, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::TokioIo;
use pki::door::{
    DoorClosed, LivingCertificate, PublishedAnswer, PublishedDoor, PublishedQuestion, RevocationsAnswer,
    RevocationsDoor, RevocationsQuestion,
};
use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use pki::serial::CertificateSerial;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio::sync::{broadcast, mpsc, watch};
use vpn::slot::SeatClass;

use super::authority::Device;
use super::slot;

pub fn facility(n: u8) -> FacilityId {
    FacilityId::from_random([n; 10])
}

pub fn person(n: u8) -> PersonId {
    PersonId::from_random([n; 10])
}

pub fn membership(n: u8) -> MembershipId {
    MembershipId::from_random([n; 10])
}

pub fn silent<A>(room: &str) -> Result<A, NeedUnmet> {
    Err(NeedUnmet { room: room.into(), why: "the test says so".into() })
}

/// Provisioning's feed of grants: every word with the version at which it was said.
pub struct Grants {
    words: Mutex<Words>,
    version: watch::Sender<u64>,
    pub silent: AtomicBool,
}

#[derive(Default)]
struct Words {
    slots: BTreeMap<u16, (u64, SlotGrant)>,
    memberships: BTreeMap<u8, (u64, MembershipGrant)>,
}

impl Default for Grants {
    fn default() -> Self {
        Self { words: Mutex::default(), version: watch::channel(1).0, silent: AtomicBool::new(false) }
    }
}

impl Grants {
    pub fn version(&self) -> u64 {
        *self.version.borrow()
    }

    pub fn hold(&self, n: u16, holder: u8, generation: u64) {
        self.slot(n, Some((holder, SeatClass::Active, vec![])), generation);
    }

    pub fn close(&self, n: u16, generation: u64) {
        self.slot(n, None, generation);
    }

    pub fn slot(&self, n: u16, holder: Option<(u8, SeatClass, Vec<u8>)>, generation: u64) {
        let holder = holder.map(|(holder, class, also)| SlotHolder {
            facility: facility(holder),
            class,
            also: also.into_iter().map(facility).collect(),
        });
        self.say(|words, at| {
            words.slots.insert(n, (at, SlotGrant { slot: slot(n), holder, generation }));
        });
    }

    pub fn member(&self, n: u8, of: u8, active: bool) {
        self.say(|words, at| {
            let grant = MembershipGrant {
                membership: membership(n),
                person: person(n),
                facility: facility(of),
                role: Role::Staff,
                active,
            };
            words.memberships.insert(n, (at, grant));
        });
    }

    /// Another membership of person `n`.
    pub fn second_membership(&self, n: u8, id: u8, of: u8) {
        self.say(|words, at| {
            let grant = MembershipGrant {
                membership: membership(id),
                person: person(n),
                facility: facility(of),
                role: Role::FacilityAdmin,
                active: true,
            };
            words.memberships.insert(id, (at, grant));
        });
    }

    fn say(&self, change: impl FnOnce(&mut Words, u64)) {
        let mut words = self.words.lock().unwrap();
        let at = self.version() + 1;
        change(&mut words, at);
        self.version.send_replace(at);
    }
}

impl gateway::need::Grants for Grants {
    fn changes(&self, version: u64, wait_ms: u32) -> Answering<'_, GrantChanges> {
        Box::pin(async move {
            let mut versions = self.version.subscribe();
            let newer = versions.wait_for(|now| *now > version);
            let _ = tokio::time::timeout(Duration::from_millis(wait_ms.min(50).into()), newer).await;
            if self.silent.load(Ordering::SeqCst) {
                return silent("provisioning");
            }
            let words = self.words.lock().unwrap();
            let slots = words.slots.values().filter(|(at, _)| *at > version).map(|(_, one)| one.clone());
            let memberships =
                words.memberships.values().filter(|(at, _)| *at > version).map(|(_, one)| one.clone());
            Ok(GrantChanges {
                version: self.version(),
                slots: slots.collect(),
                memberships: memberships.collect(),
            })
        })
    }
}

#[derive(Default)]
pub struct Revocations {
    living: Mutex<(u64, Vec<LivingCertificate>)>,
    pub silent: AtomicBool,
}

impl Revocations {
    pub fn add(&self, device: &Device) -> u64 {
        let one = LivingCertificate { serial: device.serial, slot: device.slot, not_after: i64::MAX / 1000 };
        self.change(|living| living.push(one))
    }

    pub fn remove(&self, serial: CertificateSerial) -> u64 {
        self.change(|living| living.retain(|one| one.serial != serial))
    }

    fn change(&self, change: impl FnOnce(&mut Vec<LivingCertificate>)) -> u64 {
        let mut living = self.living.lock().unwrap();
        change(&mut living.1);
        living.0 += 1;
        living.0
    }
}

impl RevocationsDoor for Revocations {
    fn ask(&self, question: RevocationsQuestion) -> pki::door::Answering<'_, RevocationsAnswer> {
        Box::pin(async move {
            let RevocationsQuestion::Snapshot { after, .. } = question;
            if self.silent.load(Ordering::SeqCst) {
                return Err(DoorClosed { room: "pki".into(), why: "the test says so".into() });
            }
            for _ in 0..5 {
                {
                    let living = self.living.lock().unwrap();
                    if living.0 > after || after == 0 {
                        return Ok(RevocationsAnswer::Snapshot {
                            number: living.0,
                            living: living.1.clone(),
                        });
                    }
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Ok(RevocationsAnswer::Unchanged { number: after })
        })
    }
}

pub struct Published;

impl PublishedDoor for Published {
    fn ask(&self, question: PublishedQuestion) -> pki::door::Answering<'_, PublishedAnswer> {
        Box::pin(async move {
            let path = match question {
                PublishedQuestion::Get { path } => path,
                PublishedQuestion::Ocsp { request } => {
                    let media_type = "application/ocsp-response".into();
                    return Ok(PublishedAnswer::Bytes { media_type, bytes: request });
                }
            };
            Ok(match path.as_str() {
                path if path.starts_with("ocsp/") => PublishedAnswer::Bytes {
                    media_type: "application/ocsp-response".into(),
                    bytes: path.as_bytes().to_vec(),
                },
                "ca/root.crt" | "crl/07.crl" | "est/cacerts" => PublishedAnswer::Bytes {
                    media_type: "application/pkix-cert".into(),
                    bytes: path.into_bytes(),
                },
                _ => PublishedAnswer::NotFound,
            })
        })
    }
}

/// A request as the room behind saw it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub behind: Behind,
    pub line: String,
    pub headers: HeaderMap,
}

/// The rooms behind: `/events` streams what `say` says, `/upload` counts, everything else is echoed.
pub struct Upstream {
    /// What each line carried, byte by byte, once it is asked for.
    tapped: Taps,
    recording: AtomicBool,
    pub seen: Arc<Mutex<Vec<Seen>>>,
    events: broadcast::Sender<String>,
    pub down: AtomicBool,
    /// Whoever answers by hand, if somebody does.
    hands: Mutex<Option<mpsc::UnboundedSender<UnixStream>>>,
}

impl Default for Upstream {
    fn default() -> Self {
        let (tapped, recording) = Default::default();
        Self {
            tapped,
            recording,
            seen: Default::default(),
            events: broadcast::channel(64).0,
            down: AtomicBool::new(false),
            hands: Mutex::default(),
        }
    }
}

impl Upstream {
    pub fn say(&self, event: &str) {
        let _ = self.events.send(format!("data: {event}\n\n"));
    }

    /// From now on, on new lines.
    pub fn record(&self) {
        self.recording.store(true, Ordering::SeqCst);
    }

    /// From now on every new line is handed out here.
    pub fn by_hand(&self) -> mpsc::UnboundedReceiver<UnixStream> {
        let (hands, lines) = mpsc::unbounded_channel();
        *self.hands.lock().unwrap() = Some(hands);
        lines
    }

    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.tapped.lock().unwrap().iter().map(|line| line.lock().unwrap().clone()).collect()
    }

    pub fn listeners(&self) -> usize {
        self.events.receiver_count()
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn last(&self) -> Seen {
        self.seen().pop().expect("something reached the room behind")
    }
}

impl gateway::need::Upstream for Upstream {
    fn open(&self, behind: Behind) -> Answering<'_, Box<dyn Io>> {
        Box::pin(async move {
            if self.down.load(Ordering::SeqCst) {
                return silent("sns");
            }
            if let Some(hands) = &*self.hands.lock().unwrap() {
                let (near, far) = UnixStream::pair().unwrap();
                hands.send(far).unwrap();
                return Ok(Box::new(near) as Box<dyn Io>);
            }
            let (near, far) = tokio::io::duplex(64 * 1024);
            let tap = Tap { inner: far, line: Arc::default() };
            if self.recording.load(Ordering::SeqCst) {
                self.tapped.lock().unwrap().push(tap.line.clone());
            }
            let far = tap;
            let (seen, events) = (self.seen.clone(), self.events.clone());
            let service = hyper::service::service_fn(move |request: Request<Incoming>| {
                seen.lock().unwrap().push(Seen {
                    behind,
                    line: format!("{} {}", request.method(), request.uri()),
                    headers: request.headers().clone(),
                });
                let events = events.clone();
                async move { Ok::<_, hyper::Error>(room_behind(request, &events).await) }
            });
            tokio::spawn(async move {
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(far), service)
                    .with_upgrades()
                    .await;
            });
            Ok(Box::new(near) as Box<dyn Io>)
        })
    }
}

type Taps = Arc<Mutex<Vec<Arc<Mutex<Vec<u8>>>>>>;

/// Remembers what is read.
struct Tap<S> {
    inner: S,
    line: Arc<Mutex<Vec<u8>>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        self.line.lock().unwrap().extend_from_slice(&buf.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// A WebSocket that sends back what it hears.
fn echo(mut request: Request<Incoming>) -> Reply {
    let key = request.headers()["sec-websocket-key"].as_bytes();
    let text = [key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat();
    let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &text);
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
        let _ = tokio::io::copy(&mut read, &mut write).await;
    });
    Response::builder()
        .status(101)
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-accept", data_encoding::BASE64.encode(hash.as_ref()))
        .header("x-secret", "1")
        .body(BodyExt::boxed(Full::default().map_err(|never: std::convert::Infallible| match never {})))
        .unwrap()
}

type Reply = Response<BoxBody<Bytes, hyper::Error>>;

async fn room_behind(request: Request<Incoming>, events: &broadcast::Sender<String>) -> Reply {
    let whole = |text: String| Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed();
    let reply = Response::builder().header("set-cookie", "from=behind").header("x-secret", "1");
    match request.uri().path() {
        "/events" => {
            let events = events.subscribe();
            let stream = futures_util::stream::unfold(events, |mut events| async move {
                let event = events.recv().await.ok()?;
                Some((Ok(Frame::data(Bytes::from(event))), events))
            });
            let body = BodyExt::boxed(StreamBody::new(stream));
            reply.header("content-type", "text/event-stream").body(body).unwrap()
        }
        "/upload" => {
            let mut body = request.into_body();
            let mut count = 0;
            while let Some(Ok(frame)) = body.frame().await {
                count += frame.data_ref().map_or(0, Bytes::len);
            }
            reply.body(whole(count.to_string())).unwrap()
        }
        "/socket" => echo(request),
        path => {
            let text = format!("behind {path}");
            reply.header("content-type", "text/plain").body(whole(text)).unwrap()
        }
    }
}
