//! HTTP on one connection, by the protocol that TLS agreed on and never by guessing: the gate in front
//! of the library, every request counted in and out, drained when the room stops. An HTTP/1.1 connection on
//! which nothing is asked is held by its gate alone, without the library and its buffers. All streams of an
//! HTTP/2 connection run inside its own task, so that they end when it does.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use crate::body::Body;
use crate::frames::WINDOW;
use crate::gate::{Gate, Ledger};
use crate::heads::{HEAD_MAX, HEADERS_MAX, Oldest};

/// What one connection holds of a body, in either direction.
const BUFFER: usize = 64 * 1024;
/// A browser shows one page; its pictures and scripts are fewer than this.
const STREAMS_MAX: u32 = 64;
/// All uploads of one connection together.
const WINDOW_OF_ALL: u32 = 4 * WINDOW;
/// The protocol's own frame size: more is held, not faster.
const FRAME_MAX: u32 = 16 * 1024;
/// Streams that were reset and are not yet looked at (rapid reset).
const RESETS_MAX: usize = 20;
/// A phone that went out of range answers no ping; an open stream of events would not notice.
const PING_EVERY: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(15);
/// What is on its way when the room stops arrives within this; over HTTP/1.1 nobody can be told to stop asking.
const LAST_CALL: Duration = Duration::from_millis(500);

/// What both sides speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Http1,
    /// And HTTP/1.0, answered and closed: where published bytes are fetched.
    Fetching,
    Http2,
}

impl Spoken {
    /// Offered in this order.
    pub const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

    /// Who agreed on nothing speaks HTTP/1.1.
    pub fn of(alpn: Option<&[u8]>) -> Self {
        if alpn == Some(b"h2") { Self::Http2 } else { Self::Http1 }
    }
}

/// Until the peer goes, breaks a rule (see the ledger), or the room stops.
pub async fn talk<S, F, A>(
    io: S,
    spoken: Spoken,
    ledger: Arc<Ledger>,
    stop: &CancellationToken,
    answer: F,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    match spoken {
        // Boxed: a connection holds the one it needs, not the larger of the two.
        Spoken::Http1 => Box::pin(http1(io, Oldest::Current, ledger, stop, answer)).await,
        Spoken::Fetching => Box::pin(http1(io, Oldest::Fetching, ledger, stop, answer)).await,
        Spoken::Http2 => Box::pin(http2(io, ledger, stop, answer)).await,
    }
}

async fn http1<S, F, A>(
    io: S,
    oldest: Oldest,
    ledger: Arc<Ledger>,
    stop: &CancellationToken,
    answer: F,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let mut gate = Gate::http1(io, oldest, ledger.clone());
    let asking = ledger.clone();
    let count = AtomicU64::new(0);
    let stopping = stop.clone();
    let mut service = service_fn(move |request| {
        let (flight, ledger, stopping) = (ledger.flight(), ledger.clone(), stopping.clone());
        let number = count.fetch_add(1, Ordering::Relaxed) + 1;
        // Boxed: an idle connection holds no answer.
        let answer = Box::pin(answer(request));
        async move {
            let mut response = answer.await;
            let granted = response.status() == StatusCode::SWITCHING_PROTOCOLS;
            ledger.answered(number, granted);
            if !granted && stopping.is_cancelled() {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            response.body_mut().in_flight(flight);
            Ok::<_, Infallible>(response)
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None) // the gate's
        .max_headers(HEADERS_MAX)
        .max_header_size(HEAD_MAX)
        .max_buf_size(BUFFER);
    let leaving = last_call(stop, &asking);
    tokio::pin!(leaving);
    loop {
        let serving = builder.serve_connection(TokioIo::new(gate), service).with_upgrades();
        let mut connection = Box::new(serving);
        let rested = tokio::select! {
            biased;
            ended = until_rest(&mut connection, &asking) => ended?,
            () = &mut leaving => {
                Pin::new(&mut *connection).graceful_shutdown();
                return connection.await;
            }
        };
        // Nothing is under way; bytes that the library holds all the same are nobody's, and end the connection.
        let Some(away) = rested.then(|| put_away(connection)).flatten() else { return Ok(()) };
        (gate, service) = away;
        let stirred = tokio::select! {
            stirred = std::future::poll_fn(|cx| gate.poll_stirs(cx)) => stirred,
            () = &mut leaving => {
                let _ = gate.shutdown().await;
                return Ok(());
            }
        };
        if stirred.is_err() {
            return Ok(());
        }
    }
}

/// What goes on of a connection that rests; the rest is gone, with every buffer.
#[allow(clippy::boxed_local, reason = "its place on the heap goes too")]
fn put_away<S, V>(connection: Box<Serving<S, V>>) -> Option<(Gate<S>, V)>
where
    S: AsyncRead + AsyncWrite + Unpin,
    V: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let parts = connection.into_parts().filter(|parts| parts.read_buf.is_empty())?;
    Some((parts.io.into_inner(), parts.service))
}

/// Serves; says whether it did so until the connection rests, or to its end.
async fn until_rest<C>(connection: &mut C, ledger: &Ledger) -> Result<bool, hyper::Error>
where
    C: Future<Output = Result<(), hyper::Error>> + Unpin,
{
    std::future::poll_fn(|cx| match Pin::new(&mut *connection).poll(cx) {
        Poll::Ready(ended) => Poll::Ready(ended.map(|()| false)),
        Poll::Pending if ledger.rests() => Poll::Ready(Ok(true)),
        Poll::Pending => Poll::Pending,
    })
    .await
}

/// The room stops: who is asking is answered, and told that this was the last answer. Who has only just come
/// is about to ask, and has until the room is closed.
async fn last_call(stop: &CancellationToken, ledger: &Ledger) {
    stop.cancelled().await;
    loop {
        tokio::time::sleep(LAST_CALL).await;
        if ledger.has_begun() {
            return;
        }
    }
}

async fn http2<S, F, A>(
    io: S,
    ledger: Arc<Ledger>,
    stop: &CancellationToken,
    answer: F,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Fn(Request<Incoming>) -> A,
    A: Future<Output = Response<Body>> + Send + 'static,
{
    let gate = Gate::http2(io, ledger.clone());
    let service = service_fn(move |request| {
        let flight = ledger.flight();
        let answer = answer(request);
        async move {
            let mut response = answer.await;
            response.body_mut().in_flight(flight);
            Ok::<_, Infallible>(response)
        }
    });
    let streams = Streams::default();
    let connection = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW_OF_ALL)
        .max_frame_size(FRAME_MAX)
        .max_header_list_size(HEAD_MAX as u32)
        .max_send_buf_size(BUFFER)
        .max_pending_accept_reset_streams(RESETS_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_PATIENCE)
        .serve_connection(TokioIo::new(gate), service);
    run(connection, streams, stop).await
}

async fn run<S, V>(
    connection: http2::Connection<TokioIo<Gate<S>>, V, Streams>,
    streams: Streams,
    stop: &CancellationToken,
) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    V: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    V::Future: Send + 'static,
{
    let mut running = FuturesUnordered::new();
    let stopped = stop.cancelled();
    let mut stopping = false;
    tokio::pin!(connection, stopped);
    std::future::poll_fn(|cx| {
        loop {
            if let Poll::Ready(ended) = connection.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
            if !stopping && stopped.as_mut().poll(cx).is_ready() {
                stopping = true;
                connection.as_mut().graceful_shutdown();
                continue;
            }
            let before = running.len();
            running.extend(streams.take());
            let mut moved = running.len() > before;
            while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {
                moved = true;
            }
            if !moved {
                return Poll::Pending;
            }
        }
    })
    .await
}

type Serving<S, V> = http1::UpgradeableConnection<TokioIo<Gate<S>>, V>;
type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The streams that have begun and wait to be run by their connection.
#[derive(Clone, Default)]
struct Streams(Arc<Mutex<Vec<Running>>>);

impl Streams {
    fn take(&self) -> Vec<Running> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Streams {
    fn execute(&self, stream: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(stream));
    }
}

#[cfg(test)]
mod tests;
