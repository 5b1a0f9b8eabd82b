//! Byte streams from the gateway to the rooms that speak HTTP, inside one process.
//! `HttpLine` opens a fresh pair of pipes; `HttpEnd` serves the far ends with the room's router.
//! It ends when every `HttpLine` or the `HttpEnd` is dropped; connections under way end with it.

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::DuplexStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fault::WireFault;

/// Bytes in flight in each direction of one connection.
const PIPE_BYTES: usize = 64 << 10;
/// Streams opened and not yet taken up.
const QUEUE_DEPTH: usize = 64;
/// The gateway sends the head of a request at once; a longer wait is a fault.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// Connections a room behind the gateway serves at once: a live stream for each of the ten thousand
/// slots of a series, and as much again for requests, would be 20,000; half of them at once is the
/// most that one machine was sized for.
pub const CONNECTIONS_MAX: usize = 10_000;

struct Opened {
    stream: DuplexStream,
    place: OwnedSemaphorePermit,
}

#[derive(Clone)]
pub struct HttpLine {
    room: &'static str,
    limit: Duration,
    places: Arc<Semaphore>,
    streams: mpsc::Sender<Opened>,
}

pub struct HttpEnd {
    streams: mpsc::Receiver<Opened>,
}

/// A way to a room's HTTP; at most `connections` at once, and `limit` is the wait for a place.
pub fn channel(room: &'static str, connections: usize, limit: Duration) -> (HttpLine, HttpEnd) {
    let (sender, streams) = mpsc::channel(QUEUE_DEPTH);
    let line = HttpLine { room, limit, places: Arc::new(Semaphore::new(connections)), streams: sender };
    (line, HttpEnd { streams })
}

impl HttpLine {
    pub fn room(&self) -> &'static str {
        self.room
    }

    /// A fresh connection; its place is free again when the far end is done with it.
    pub async fn open(&self) -> Result<DuplexStream, WireFault> {
        let opening = async {
            let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| WireFault::Closed)?;
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            self.streams.send(Opened { stream: far, place }).await.map_err(|_| WireFault::Closed)?;
            Ok(near)
        };
        timeout(self.limit, opening).await.unwrap_or(Err(WireFault::Slow { seconds: self.limit.as_secs() }))
    }
}

impl HttpEnd {
    pub async fn serve(mut self, router: axum::Router) {
        let mut connections = JoinSet::new();
        while let Some(Opened { stream, place }) = self.streams.recv().await {
            let service = TowerToHyperService::new(router.clone());
            connections.spawn(async move {
                let served = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD_TIME)
                    .serve_connection(TokioIo::new(stream), service)
                    .with_upgrades()
                    .await;
                if let Err(error) = served {
                    // Cut connections end like this; that is their purpose.
                    log::debug!("a connection behind the gateway ended: {error}");
                }
                drop(place);
            });
            while connections.try_join_next().is_some() {}
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    async fn fetch(line: &HttpLine) -> String {
        let mut stream = line.open().await.unwrap();
        stream
            .write_all(b"GET /x?y=1 HTTP/1.1\r\nhost: sns.example\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut heard = String::new();
        stream.read_to_string(&mut heard).await.unwrap();
        heard
    }

    #[tokio::test]
    async fn a_room_answers_on_the_stream_that_was_opened_for_it() {
        let (line, end) = channel("sns", 2, LIMIT);
        let router = axum::Router::new().route("/x", get(|| async { "こんにちは" }));
        tokio::spawn(end.serve(router));
        assert!(fetch(&line).await.ends_with("こんにちは"));
        // Two places, five connections: each is given back.
        for _ in 0..4 {
            assert!(fetch(&line).await.starts_with("HTTP/1.1 200"));
        }
    }

    #[tokio::test]
    async fn when_every_place_is_taken_the_next_one_waits_and_then_hears_so() {
        let (line, end) = channel("sns", 1, Duration::ZERO);
        tokio::spawn(end.serve(axum::Router::new()));
        let _held = line.open().await.unwrap();
        assert!(matches!(line.open().await, Err(WireFault::Slow { seconds: 0 })));
    }

    #[tokio::test]
    async fn a_room_that_is_gone_is_closed() {
        let (line, end) = channel("sns", 1, LIMIT);
        drop(end);
        assert!(matches!(line.open().await, Err(WireFault::Closed)));
    }
}
