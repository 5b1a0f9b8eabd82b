//! Byte streams from the gateway to the rooms that speak HTTP: a pair of pipes inside one process, a
//! Unix socket between two. `HttpLine` opens one; `HttpEnd` serves the far ends with the room's router.
//! It ends when every `HttpLine` or the `HttpEnd` is dropped; connections under way end with it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fault::WireFault;
use super::frame::{self, ACCEPT_PAUSE, Offered};

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

/// Bytes both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Opened {
    stream: DuplexStream,
    place: OwnedSemaphorePermit,
}

#[derive(Clone)]
pub struct HttpLine {
    room: &'static str,
    limit: Duration,
    way: Way,
}

#[derive(Clone)]
enum Way {
    Pipes { places: Arc<Semaphore>, streams: mpsc::Sender<Opened> },
    Socket(PathBuf),
}

pub enum HttpEnd {
    Pipes(HttpPipes),
    Socket(Offered),
}

pub struct HttpPipes(mpsc::Receiver<Opened>);

/// A way to a room's HTTP; at most `connections` at once, and `limit` is the wait for a place.
pub fn channel(room: &'static str, connections: usize, limit: Duration) -> (HttpLine, HttpEnd) {
    let (sender, streams) = mpsc::channel(QUEUE_DEPTH);
    let places = Arc::new(Semaphore::new(connections));
    let line = HttpLine { room, limit, way: Way::Pipes { places, streams: sender } };
    (line, HttpEnd::Pipes(HttpPipes(streams)))
}

/// A way to a room in another process; `limit` is how long to knock.
pub fn socket(room: &'static str, path: PathBuf, limit: Duration) -> HttpLine {
    HttpLine { room, limit, way: Way::Socket(path) }
}

impl HttpLine {
    pub fn room(&self) -> &'static str {
        self.room
    }

    /// A fresh connection; its place is free again when the far end is done with it.
    pub async fn open(&self) -> Result<Box<dyn Stream>, WireFault> {
        let (places, streams) = match &self.way {
            Way::Pipes { places, streams } => (places, streams),
            Way::Socket(path) => return Ok(Box::new(frame::connect(path, self.limit).await?)),
        };
        let opening = async {
            let place = Arc::clone(places).acquire_owned().await.map_err(|_| WireFault::Closed)?;
            let (near, far) = tokio::io::duplex(PIPE_BYTES);
            streams.send(Opened { stream: far, place }).await.map_err(|_| WireFault::Closed)?;
            Ok(Box::new(near) as Box<dyn Stream>)
        };
        timeout(self.limit, opening).await.unwrap_or(Err(WireFault::Slow { seconds: self.limit.as_secs() }))
    }
}

impl HttpEnd {
    pub async fn serve(self, router: axum::Router) {
        match self {
            HttpEnd::Pipes(pipes) => pipes.serve(router).await,
            HttpEnd::Socket(offered) => serve_socket(offered, router).await,
        }
    }
}

impl HttpPipes {
    async fn serve(mut self, router: axum::Router) {
        let mut connections = JoinSet::new();
        while let Some(Opened { stream, place }) = self.0.recv().await {
            connections.spawn(talk(stream, router.clone(), place));
            while connections.try_join_next().is_some() {}
        }
    }
}

/// The gateway is known by its uid before a byte is read; whoever else knocks is sent away.
async fn serve_socket(Offered { listener, guard }: Offered, router: axum::Router) {
    let places = Arc::new(Semaphore::new(guard.connections));
    let mut connections = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => match stream.peer_cred().map(|peer| peer.uid()) {
                Ok(uid) if guard.uids.contains(&uid) => {
                    connections.spawn(talk(stream, router.clone(), place));
                }
                Ok(uid) => log::warn!("refused at {}: {}", guard.door, WireFault::Stranger { uid }),
                Err(error) => log::warn!("refused at {}: {error}", guard.door),
            },
            Err(error) => {
                log::warn!("the door {} cannot accept: {error}", guard.door);
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn talk(stream: impl Stream + 'static, router: axum::Router, place: OwnedSemaphorePermit) {
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades()
        .await;
    if let Err(error) = served {
        // Cut connections end like this; that is their purpose.
        log::debug!("a connection behind the gateway ended: {error}");
    }
    drop(place);
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

    /// The two doors of a room in another process: ours is open, a stranger's answers nothing.
    #[tokio::test]
    async fn a_room_in_another_process_knows_the_gateway_by_its_uid() {
        let dir = tempfile::tempdir().unwrap();
        let own = rustix::process::geteuid().as_raw();
        for (name, uid) in [("ours", own), ("foreign", u32::MAX - 2)] {
            let path = dir.path().join(name);
            let guard = frame::Guard {
                door: "test.http",
                uids: vec![uid],
                frame_limit: 0,
                question_time: LIMIT,
                connections: 2,
            };
            let listener = tokio::net::UnixListener::bind(&path).unwrap();
            let router = axum::Router::new().route("/x", get(|| async { "こんにちは" }));
            tokio::spawn(HttpEnd::Socket(Offered { listener, guard }).serve(router));
            let line = socket("sns", path, LIMIT);
            if uid == own {
                assert!(fetch(&line).await.ends_with("こんにちは"));
                continue;
            }
            let mut stream = line.open().await.unwrap();
            let mut heard = Vec::new();
            // Closed, or reset because of what was not read.
            let _ = stream.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n").await;
            let _ = stream.read_to_end(&mut heard).await;
            assert!(heard.is_empty());
        }
    }

    #[tokio::test]
    async fn a_room_that_is_gone_is_closed() {
        let (line, end) = channel("sns", 1, LIMIT);
        drop(end);
        assert!(matches!(line.open().await, Err(WireFault::Closed)));
    }
}
