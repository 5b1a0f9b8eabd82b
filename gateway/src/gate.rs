//! The gate between the wire and the HTTP library: over HTTP/1.1 the parser sees only heads that
//! passed `heads`, over HTTP/2 every frame is counted by `frames`; and on both, a peer whose turn it
//! is must move within its time. Bytes are looked at where they lie. Ends with its connection.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use crate::frames::{FrameFault, Frames};
use crate::heads::{Awaits, HeadFault, Heads, Oldest};
use crate::pace::{HEAD_MS, IDLE_MS, Progress, REST_MS};

/// Makes the parser answer 400 and close, whatever it has in hand.
const NO_HEAD: &[u8] = b"\0\r\n\r\n";
/// A reader that asks later than this after it was served was busy itself.
const PROMPT_MS: u64 = 1_000;
/// What is read of a request before somebody is there to take it.
const FIRST_BYTES: usize = 512;
/// How far ahead nothing has to be looked at.
const FAR: Duration = Duration::from_secs(3_600);

/// Why a gate closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateFault {
    #[error("{0}")]
    Head(#[from] HeadFault),
    #[error("{0}")]
    Frame(#[from] FrameFault),
    #[error("nothing was asked in time")]
    Silent,
    #[error("a head stopped half-way")]
    HalfHead,
    #[error("a body stopped half-way")]
    HalfBody,
    #[error("the answer is not taken")]
    NotTaken,
}

impl GateFault {
    /// Nobody did anything wrong: a connection was idle.
    pub fn is_silence(&self) -> bool {
        matches!(self, GateFault::Silent | GateFault::Frame(FrameFault::Silent))
    }

    /// Somebody sent what no browser sends, or too much of it.
    pub fn is_attack(&self) -> bool {
        match self {
            GateFault::Head(_) => true,
            GateFault::Frame(fault) => {
                use FrameFault::{Block, Flood, Fragment, TooLarge};
                matches!(fault, Flood(_) | Block | Fragment | TooLarge)
            }
            _ => false,
        }
    }
}

/// What the gate and the ones who answer know together about one connection.
#[derive(Default)]
pub struct Ledger {
    fault: OnceLock<GateFault>,
    /// Requests whose answers have not gone out.
    flights: AtomicU32,
    /// The number of the last request with an answer, twice, plus one if it was granted an upgrade.
    answered: AtomicU64,
    /// Nothing is asked, nothing is owed and nothing is under way, since a while.
    rests: AtomicBool,
    waker: AtomicWaker,
}

impl Ledger {
    pub fn fault(&self) -> Option<GateFault> {
        self.fault.get().copied()
    }

    /// A request has begun; its answer holds the guard.
    pub fn flight(self: &Arc<Self>) -> Flight {
        self.flights.fetch_add(1, Ordering::AcqRel);
        Flight(self.clone())
    }

    /// Between two requests, and for so long that whoever serves them may let go of what it holds.
    pub fn rests(&self) -> bool {
        self.rests.load(Ordering::Acquire)
    }

    /// Was anything asked yet?
    pub fn has_begun(&self) -> bool {
        self.flights.load(Ordering::Acquire) > 0 || self.answered.load(Ordering::Acquire) > 0
    }

    /// Request number `request` has its answer.
    pub fn answered(&self, request: u64, granted: bool) {
        self.answered.store(request << 1 | u64::from(granted), Ordering::Release);
        self.waker.wake();
    }

    fn break_off(&self, fault: impl Into<GateFault>) -> io::Error {
        let fault = *self.fault.get_or_init(|| fault.into());
        io::Error::new(io::ErrorKind::InvalidData, fault)
    }
}

/// A request that is being answered.
pub struct Flight(Arc<Ledger>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.flights.fetch_sub(1, Ordering::AcqRel);
    }
}

/// What the bytes are.
enum Watch {
    Heads(HeadsWatch),
    Frames(Box<Frames>),
}

#[derive(Default)]
struct HeadsWatch {
    heads: Heads,
    /// Passed and not yet read: only of heads that came in pieces.
    ready: Vec<u8>,
    /// Since when the connection has been as it is.
    since_ms: u64,
    was: Option<(Awaits, bool, u64)>,
    body: Progress,
    /// Whoever reads was told to wait for the peer.
    asked: bool,
    /// When it was last given something.
    served_ms: u64,
}

pub struct Gate<S> {
    inner: S,
    watch: Watch,
    ledger: Arc<Ledger>,
    /// What we send being taken.
    taken: Progress,
    begun: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl<S> Gate<S> {
    pub fn http1(inner: S, oldest: Oldest, ledger: Arc<Ledger>) -> Self {
        let watch = HeadsWatch { heads: Heads::of(oldest), ..HeadsWatch::default() };
        Self::new(inner, Watch::Heads(watch), ledger)
    }

    pub fn http2(inner: S, ledger: Arc<Ledger>) -> Self {
        Self::new(inner, Watch::Frames(Box::new(Frames::new(0))), ledger)
    }

    fn new(inner: S, watch: Watch, ledger: Arc<Ledger>) -> Self {
        let begun = Instant::now();
        let sleep = Box::pin(tokio::time::sleep_until(begun + FAR));
        Self { inner, watch, ledger, taken: Progress::default(), begun, sleep }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The peer is waited for: arms the clock for the next thing that may become overdue.
    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        loop {
            let now = self.now();
            let overdue = match self.overdue(now) {
                Ok(next) => next,
                Err(fault) => return Poll::Ready(self.ledger.break_off(fault)),
            };
            let at = self.begun.checked_add(Duration::from_millis(overdue.min(now + FAR.as_millis() as u64)));
            let Some(at) = at else { return Poll::Pending };
            // Earlier than needed does no harm: it is looked at again.
            if self.sleep.deadline() > at || self.sleep.is_elapsed() {
                self.sleep.as_mut().reset(at);
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
    }

    fn overdue(&self, now: u64) -> Result<u64, GateFault> {
        let taken = self.taken.deadline().unwrap_or(u64::MAX);
        if now >= taken {
            return Err(GateFault::NotTaken);
        }
        let next = match &self.watch {
            Watch::Frames(frames) => frames.overdue(now)?,
            Watch::Heads(watch) => {
                let flights = self.ledger.flights.load(Ordering::Acquire);
                let next = watch.overdue(flights, now)?;
                let rests_at = watch.rests_at(flights).filter(|_| taken == u64::MAX).unwrap_or(u64::MAX);
                self.ledger.rests.store(now >= rests_at, Ordering::Release);
                if now < rests_at { next.min(rests_at) } else { next }
            }
        };
        Ok(next.min(taken))
    }
}

impl HeadsWatch {
    fn overdue(&self, flights: u32, now: u64) -> Result<u64, GateFault> {
        let (at, fault) = match self.heads.awaits() {
            Awaits::Head if flights > 0 => return Ok(u64::MAX),
            Awaits::Head if self.heads.count() == 0 => (self.since_ms + HEAD_MS, GateFault::Silent),
            Awaits::Head => (self.since_ms + IDLE_MS, GateFault::Silent),
            Awaits::RestOfHead => (self.since_ms + HEAD_MS, GateFault::HalfHead),
            Awaits::Body => (self.body.deadline().unwrap_or(u64::MAX), GateFault::HalfBody),
            Awaits::Upgrade { .. } | Awaits::Anything => return Ok(u64::MAX),
        };
        if now >= at { Err(fault) } else { Ok(at) }
    }

    /// When a connection between two requests is no longer in the middle of something.
    fn rests_at(&self, flights: u32) -> Option<u64> {
        let between = self.heads.awaits() == Awaits::Head && flights == 0 && self.ready.is_empty();
        (between && self.heads.count() > 0).then_some(self.since_ms + REST_MS)
    }

    /// Notes whose turn it is now that nothing more is there.
    fn waits(&mut self, flights: u32, now: u64) {
        let awaits = self.heads.awaits();
        let is = Some((awaits, flights > 0, self.heads.count()));
        if self.was != is {
            // The first wait began with the connection.
            if self.was.is_some() || awaits != Awaits::Head {
                self.since_ms = now;
            }
            self.was = is;
        }
        match awaits {
            Awaits::Body => self.body.waits(now),
            _ => self.body.rests(),
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    /// Waits, without a buffer, until there is something to read: bytes, the end, or a fault. The peer's
    /// times run on meanwhile.
    pub fn poll_stirs(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // On the stack: who waits holds no buffer.
        let mut first = [MaybeUninit::<u8>::uninit(); FIRST_BYTES];
        let mut first = ReadBuf::uninit(&mut first);
        ready!(Pin::new(&mut *self).poll_read(cx, &mut first))?;
        self.ledger.rests.store(false, Ordering::Release);
        if let Watch::Heads(watch) = &mut self.watch {
            watch.ready.splice(..0, first.filled().iter().copied());
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gate<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let gate = &mut *self;
        let polled = match &gate.watch {
            Watch::Heads(_) => gate.read_heads(cx, buf),
            Watch::Frames(_) => gate.read_frames(cx, buf),
        };
        match polled {
            Poll::Ready(done) => Poll::Ready(done),
            Poll::Pending => gate.wait(cx).map(Err),
        }
    }
}

impl<S: AsyncRead + Unpin> Gate<S> {
    fn read_frames(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buf))?;
        let now = self.now();
        let Watch::Frames(frames) = &mut self.watch else { return Poll::Ready(Ok(())) };
        match frames.arrive(&buf.filled()[before..], now) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(fault) => {
                buf.set_filled(before);
                Poll::Ready(Err(self.ledger.break_off(fault)))
            }
        }
    }

    fn read_heads(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        let Watch::Heads(watch) = &mut self.watch else { return Poll::Ready(Ok(())) };
        loop {
            if !watch.ready.is_empty() {
                let take = buf.remaining().min(watch.ready.len());
                buf.put_slice(&watch.ready[..take]);
                watch.ready.drain(..take);
                if watch.ready.is_empty() {
                    // An idle connection holds no buffer.
                    watch.ready = Vec::new();
                }
                return Poll::Ready(Ok(()));
            }
            if self.ledger.fault.get().is_some() {
                return Poll::Ready(Ok(()));
            }
            if let Awaits::Upgrade { request } = watch.heads.awaits() {
                self.ledger.waker.register(cx.waker());
                let answered = self.ledger.answered.load(Ordering::Acquire);
                if answered >> 1 == request {
                    watch.heads.answered(answered & 1 == 1);
                }
            }
            if !watch.asked && watch.served_ms + PROMPT_MS < now {
                // It was us who did not read.
                watch.body.rests();
            }
            let before = buf.filled().len();
            if Pin::new(&mut self.inner).poll_read(cx, buf)?.is_pending() {
                let flights = self.ledger.flights.load(Ordering::Acquire);
                watch.asked = true;
                watch.waits(flights, now);
                return Poll::Pending;
            }
            let arrived = &buf.filled()[before..];
            if arrived.is_empty() {
                return Poll::Ready(Ok(()));
            }
            (watch.asked, watch.served_ms) = (false, now);
            watch.body.brought(arrived.len() as u64, now);
            let passed = watch.heads.pass(arrived, &mut watch.ready);
            buf.set_filled(before + passed.unwrap_or(0));
            match passed {
                Ok(0) => {}
                Ok(_) => return Poll::Ready(Ok(())),
                Err(fault) => {
                    let error = self.ledger.break_off(fault);
                    if !watch.heads.broke_in_head() {
                        return Poll::Ready(Err(error));
                    }
                    watch.ready.extend_from_slice(NO_HEAD);
                }
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> Gate<S> {
    fn wrote(&mut self, written: Poll<io::Result<usize>>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(bytes)) => {
                if self.taken.deadline().is_some() {
                    let now = self.now();
                    self.taken.brought(bytes as u64, now);
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let now = self.now();
                self.taken.waits(now);
                self.wait(cx).map(Err)
            }
        }
    }

    /// What was written is out. If that was an answer's end, it is the peer's turn, and nobody who reads may
    /// come by to notice.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let now = self.now();
        let flights = self.ledger.flights.load(Ordering::Acquire);
        let Watch::Heads(watch) = &mut self.watch else { return Poll::Ready(Ok(())) };
        if flights > 0 || watch.heads.awaits() != Awaits::Head {
            return Poll::Ready(Ok(()));
        }
        watch.waits(flights, now);
        match self.wait(cx) {
            Poll::Ready(fault) => Poll::Ready(Err(fault)),
            Poll::Pending => Poll::Ready(Ok(())),
        }
    }

    fn left(&mut self, bytes: &[u8]) -> io::Result<()> {
        let now = self.now();
        match &mut self.watch {
            Watch::Frames(frames) => frames.leave(bytes, now).map_err(|fault| self.ledger.break_off(fault)),
            Watch::Heads(_) => Ok(()),
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gate<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, buf);
        if let Poll::Ready(Ok(count)) = written {
            self.left(&buf[..count])?;
        }
        self.wrote(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        if let Poll::Ready(Ok(mut count)) = written {
            for buf in bufs {
                let take = count.min(buf.len());
                self.left(&buf[..take])?;
                count -= take;
            }
        }
        self.wrote(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        match flushed {
            Poll::Ready(Ok(())) => {
                self.taken.rests();
                self.turn(cx)
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => self.wrote(Poll::Pending, cx).map_ok(|_| ()),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.inner).poll_shutdown(cx);
        if shut.is_pending() {
            return self.wrote(Poll::Pending, cx).map_ok(|_| ());
        }
        shut
    }
}
