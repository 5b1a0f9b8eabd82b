//! A request's body on its way in, with its limit: enforced while it streams, and only data passes; a
//! body that ends with trailers is broken. Nothing is buffered; how fast it moves is the gate's to judge.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};
use zeroize::Zeroizing;

/// A phone's photo or a scanned page; enforced while it streams.
pub const BODY_MAX: u64 = 25 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body is followed by trailers")]
    Trailers,
    #[error("the peer broke off")]
    Broken,
    #[error("who asked may not ask any more")]
    Ended,
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
    /// Why it ended early, for whoever has to answer.
    fate: Arc<OnceLock<BodyError>>,
}

impl Upload {
    pub fn new(incoming: Incoming, max: u64, fate: Arc<OnceLock<BodyError>>) -> Self {
        Self { incoming, left: max, fate }
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
        let data = match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            None => return Poll::Ready(None),
            Some(Err(_)) => return self.end(BodyError::Broken),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => data,
                Err(_) => return self.end(BodyError::Trailers),
            },
        };
        let Some(left) = self.left.checked_sub(data.len() as u64) else {
            return self.end(BodyError::TooLarge);
        };
        self.left = left;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
