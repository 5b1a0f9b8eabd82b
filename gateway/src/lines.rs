//! Lines to the rooms behind: kept while idle, driven by the request that uses them and by nobody
//! else, so that no task and no queue stands between a room's answer and its device. A line goes
//! back when its answer was read to the end, and is closed otherwise.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::{Body as HttpBody, Incoming};
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use crate::live::Stream;
use crate::need::{Behind, Io, NeedUnmet, Upstream};
use crate::upload::{BodyError, Upload};

/// As many as a busy second needs at once; the rest is opened anew.
const IDLE_MAX: usize = 64;
/// A room may close what it has not heard of for longer.
const IDLE_FOR: Duration = Duration::from_secs(20);
/// What is read ahead of a room's answer: the memory of one download.
const BUFFER: usize = 64 * 1024;
/// Headers of a room's answer.
const HEADERS_MAX: usize = 64;

/// The lines of one gateway.
pub struct Lines {
    upstream: Arc<dyn Upstream>,
    idle: Mutex<Vec<(Instant, Box<Line>)>>,
}

/// One connection to a room; boxed, because it is handed from hand to hand.
pub struct Line {
    behind: Behind,
    sender: SendRequest<Upload>,
    connection: Connection<TokioIo<Way>, Upload>,
    home: Arc<Lines>,
    over: bool,
    alarm: Alarm,
}

/// The bytes of a line. A room may answer and close before it has read the whole request; the library would
/// then fall over what cannot be written, with the answer lying there unread. So what cannot be written is
/// thrown away, and whether there is an answer is seen by reading.
struct Way {
    io: Box<dyn Io>,
    shut: bool,
}

/// A request that was not answered.
pub enum NotSent {
    /// It could not be carried, and the room cannot have seen it.
    Unseen(Box<Request<Upload>>),
    /// It broke off; the room may have seen it.
    Seen,
    /// No answer in time.
    Late,
}

/// The time of one answer. A busy line's timer is not set for each request: it runs out early, sees that
/// nothing is due, and goes on.
struct Alarm {
    due: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Lines {
    pub fn new(upstream: Arc<dyn Upstream>) -> Arc<Self> {
        Arc::new(Self { upstream, idle: Mutex::default() })
    }

    /// A line that was idle a moment ago and still stands.
    pub fn idle(&self, behind: Behind) -> Option<Box<Line>> {
        loop {
            let (since, mut line) = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                let found = idle.iter().rposition(|(_, line)| line.behind == behind)?;
                idle.swap_remove(found)
            };
            if since.elapsed() < IDLE_FOR && line.is_idle() {
                return Some(line);
            }
        }
    }

    pub async fn open(self: &Arc<Self>, behind: Behind) -> Result<Box<Line>, NeedUnmet> {
        let io = self.upstream.open(behind).await?;
        let mut builder = http1::Builder::new();
        builder.max_buf_size(BUFFER).max_headers(HEADERS_MAX);
        let unmet = |error: hyper::Error| NeedUnmet { room: format!("{behind:?}"), why: error.to_string() };
        let (sender, connection) =
            builder.handshake(TokioIo::new(Way { io, shut: false })).await.map_err(unmet)?;
        Ok(Box::new(Line {
            behind,
            sender,
            connection,
            home: self.clone(),
            over: false,
            alarm: Alarm::new(),
        }))
    }

    fn keep(&self, line: Box<Line>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_MAX {
            idle.push((Instant::now(), line));
        }
    }
}

impl Line {
    /// Sends the request and waits for the head of its answer.
    pub async fn send(
        &mut self,
        request: Request<Upload>,
        patience: Duration,
    ) -> Result<Response<Incoming>, NotSent> {
        self.alarm.due = Instant::now() + patience;
        let answer = self.sender.try_send_request(request);
        tokio::pin!(answer);
        std::future::poll_fn(|cx| {
            self.drive(cx);
            match answer.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => Poll::Ready(Err(error
                    .take_message()
                    .map_or(NotSent::Seen, |unseen| NotSent::Unseen(Box::new(unseen))))),
                Poll::Pending => self.alarm.poll_due(cx).map(|()| Err(NotSent::Late)),
            }
        })
        .await
    }

    /// After `101`: the bare stream, and what was read of it already.
    pub fn into_stream(self: Box<Self>) -> (Box<dyn Io>, Bytes) {
        let parts = self.connection.into_parts();
        (parts.io.into_inner().io, parts.read_buf)
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        if !self.over && self.connection.poll_without_shutdown(cx).is_ready() {
            self.over = true;
        }
    }

    fn is_idle(&mut self) -> bool {
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.over && self.sender.is_ready()
    }
}

impl Alarm {
    fn new() -> Self {
        Self { due: Instant::now(), sleep: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }

    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let due = tokio::time::Instant::from_std(self.due);
            if self.sleep.is_elapsed() || self.sleep.deadline() > due {
                self.sleep.as_mut().reset(due);
            }
            ready!(self.sleep.as_mut().poll(cx));
            if Instant::now() >= self.due {
                return Poll::Ready(());
            }
        }
    }
}

impl Way {
    fn written(&mut self, polled: Poll<io::Result<usize>>, whole: usize) -> Poll<io::Result<usize>> {
        match polled {
            Poll::Ready(Err(error)) => {
                log::debug!("a room does not read on: {error}");
                self.shut = true;
                Poll::Ready(Ok(whole))
            }
            others => others,
        }
    }
}

impl AsyncRead for Way {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Way {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.shut {
            return Poll::Ready(Ok(buf.len()));
        }
        let polled = Pin::new(&mut self.io).poll_write(cx, buf);
        self.written(polled, buf.len())
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let whole = bufs.iter().map(|buf| buf.len()).sum();
        if self.shut {
            return Poll::Ready(Ok(whole));
        }
        let polled = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.written(polled, whole)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = if self.shut { Poll::Ready(Ok(())) } else { Pin::new(&mut self.io).poll_flush(cx) };
        self.written(polled.map_ok(|()| 0), 0).map_ok(|_| ())
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// A room's answer on its way to the device; holds the request's entry and its line.
pub struct Download {
    incoming: Incoming,
    line: Option<Box<Line>>,
    stream: Option<Stream>,
    /// Made when there is something to wait for.
    ended: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
}

impl Download {
    pub fn new(incoming: Incoming, line: Box<Line>, stream: Option<Stream>) -> Self {
        Self { incoming, line: Some(line), stream, ended: None }
    }

    pub fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.stream.as_ref().is_some_and(|stream| stream.end().is_cancelled()) {
            return Poll::Ready(Some(Err(BodyError::Ended)));
        }
        loop {
            let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
            if polled.is_pending()
                && let Some(line) = &mut self.line
            {
                line.drive(cx);
                polled = Pin::new(&mut self.incoming).poll_frame(cx);
            }
            return match polled {
                Poll::Pending if self.is_ended(cx) => Poll::Ready(Some(Err(BodyError::Ended))),
                Poll::Pending => Poll::Pending,
                Poll::Ready(None) => Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(BodyError::Broken))),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => Poll::Ready(Some(Ok(Frame::data(data)))),
                    Err(_) => continue,
                },
            };
        }
    }

    /// Must it end? If not, it will be asked again when it must.
    fn is_ended(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(stream) = &self.stream else { return false };
        let ended = self.ended.get_or_insert_with(|| Box::pin(stream.end().clone().cancelled_owned()));
        ended.as_mut().poll(cx).is_ready()
    }

    pub fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    pub fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        let Some(mut line) = self.line.take() else { return };
        if self.incoming.is_end_stream() && line.is_idle() {
            let home = line.home.clone();
            home.keep(line);
        }
    }
}
