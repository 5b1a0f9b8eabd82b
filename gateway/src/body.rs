//! The body of an answer: none, a small whole one, or a room's on its way to the device. Holds the
//! guard of its request, and ends with it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Body as HttpBody;

use crate::gate::Flight;
use crate::lines::Download;
use crate::upload::BodyError;

/// The body of every answer.
pub struct Body {
    kind: Kind,
    /// Gone when the answer is.
    flight: Option<Flight>,
}

enum Kind {
    Empty,
    Whole(Bytes),
    Download(Box<Download>),
}

pub fn empty() -> Body {
    Body { kind: Kind::Empty, flight: None }
}

pub fn whole(bytes: impl Into<Bytes>) -> Body {
    let bytes = bytes.into();
    let kind = if bytes.is_empty() { Kind::Empty } else { Kind::Whole(bytes) };
    Body { kind, flight: None }
}

impl Body {
    pub fn download(download: Download) -> Self {
        Self { kind: Kind::Download(Box::new(download)), flight: None }
    }

    pub fn in_flight(&mut self, flight: Flight) {
        self.flight = Some(flight);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.kind {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                self.kind = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Download(download) => download.poll_data(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Download(download) => download.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Download(download) => download.size_hint(),
        }
    }
}
