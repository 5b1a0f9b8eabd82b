//! A request's body on its way in, with its limit: enforced while it streams, and only data passes; a
//! body that ends with trailers is broken. Nothing is buffered; how fast it moves is the gate's to judge.
//! What nobody wants to read any more is read and thrown away for a while: closing on a peer that still
//! sends would reset the connection, and swallow the answer that says why.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Incoming};
use zeroize::Zeroizing;

/// A phone's photo or a scanned page; enforced while it streams.
pub const BODY_MAX: u64 = 25 * 1024 * 1024;
/// What is thrown away after an early answer: the rest of anything that is not much too large.
const LINGER: u64 = 2 * BODY_MAX;
const LINGER_FOR: Duration = Duration::from_secs(30);

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
    /// `None`: there is no body.
    incoming: Option<Incoming>,
    left: u64,
    /// Why it ended early, for whoever has to answer.
    fate: Arc<OnceLock<BodyError>>,
}

impl Upload {
    pub fn new(incoming: Incoming, max: u64, fate: Arc<OnceLock<BodyError>>) -> Self {
        Self { incoming: Some(incoming), left: max, fate }
    }

    pub fn nothing() -> Self {
        Self { incoming: None, left: 0, fate: Arc::default() }
    }

    fn end(&self, error: BodyError) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let _ = self.fate.set(error);
        Poll::Ready(Some(Err(error)))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(incoming) = self.incoming.take().filter(|incoming| !incoming.is_end_stream()) else {
            return;
        };
        // Somebody who breaks the rules or is gone needs no last word.
        if matches!(self.fate.get(), Some(BodyError::Trailers | BodyError::Broken)) {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(tokio::time::timeout(LINGER_FOR, throw_away(incoming)));
        }
    }
}

/// Ends with the connection, if not before.
async fn throw_away(mut incoming: Incoming) {
    let mut left = LINGER;
    while let Some(Ok(frame)) = incoming.frame().await {
        let Some(less) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len) as u64) else { return };
        left = less;
    }
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let data = match ready!(Pin::new(incoming).poll_frame(cx)) {
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
        self.incoming.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or(SizeHint::with_exact(0), HttpBody::size_hint)
    }
}
