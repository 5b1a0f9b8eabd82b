//! Bodies on their way: an upload with its limit and its patience, a download that keeps its guards
//! alive, and small whole ones. Only data passes; trailers end here. Nothing is buffered.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Body as HttpBody, Incoming};
use tokio::task::JoinHandle;
use tokio::time::Sleep;
use zeroize::Zeroizing;

use crate::live::Stream;

/// A phone's photo or a scanned page; enforced while it streams.
pub const BODY_MAX: u64 = 25 * 1024 * 1024;
/// An upload that brings nothing for so long has stopped.
pub const STALL: Duration = Duration::from_secs(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body stopped half-way")]
    Stalled,
    #[error("the peer broke off")]
    Broken,
}

pub type Body = UnsyncBoxBody<Bytes, BodyError>;

pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A small body, read whole; wiped when dropped, because it may hold a password.
pub async fn collect(incoming: Incoming, max: usize) -> Result<Zeroizing<Vec<u8>>, BodyError> {
    let fate = Arc::new(OnceLock::new());
    let mut upload = Upload::new(incoming, max as u64, fate);
    let mut bytes = Zeroizing::new(Vec::new());
    while let Some(frame) = upload.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes)
}

/// A request's body on its way to a room.
pub struct Upload {
    incoming: Incoming,
    left: u64,
    stall: Pin<Box<Sleep>>,
    /// Why it ended early, for whoever has to answer.
    fate: Arc<OnceLock<BodyError>>,
}

impl Upload {
    pub fn new(incoming: Incoming, max: u64, fate: Arc<OnceLock<BodyError>>) -> Self {
        Self { incoming, left: max, stall: Box::pin(tokio::time::sleep(STALL)), fate }
    }

    fn end(&self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let _ = self.fate.set(error);
        Poll::Ready(Some(Err(error)))
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            let Poll::Ready(frame) = Pin::new(&mut self.incoming).poll_frame(cx) else {
                ready!(self.stall.as_mut().poll(cx));
                return self.end(BodyError::Stalled);
            };
            let data = match frame {
                None => return Poll::Ready(None),
                Some(Err(_)) => return self.end(BodyError::Broken),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => data,
                    Err(_) => continue,
                },
            };
            let Some(left) = self.left.checked_sub(data.len() as u64) else {
                return self.end(BodyError::TooLarge);
            };
            self.left = left;
            self.stall.as_mut().reset(tokio::time::Instant::now() + STALL);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A room's answer on its way to the device; holds the request's entry and the room's connection.
pub struct Download {
    incoming: Incoming,
    _stream: Option<Stream>,
    _driver: AbortOnDrop,
}

impl Download {
    pub fn new(incoming: Incoming, stream: Option<Stream>, driver: AbortOnDrop) -> Self {
        Self { incoming, _stream: stream, _driver: driver }
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        loop {
            return Poll::Ready(match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                None => None,
                Some(Err(_)) => Some(Err(BodyError::Broken)),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => Some(Ok(Frame::data(data))),
                    Err(_) => continue,
                },
            });
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

/// A task that ends with whoever needs it.
pub struct AbortOnDrop(pub JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
