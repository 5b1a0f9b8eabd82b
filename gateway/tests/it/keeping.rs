//! Kept lines to the rooms behind (issue 6, proxy): a room may close one in any moment; no answer that
//! was given is lost, and nothing that may have been done is done again.

use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1::SendRequest;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;

use super::world::World;
use super::world::client::{Client, Reply, reply};

/// A device on one connection, and the room behind played by the test.
struct Stage {
    _world: World,
    client: Client,
    device: Option<SendRequest<Full<Bytes>>>,
    lines: UnboundedReceiver<UnixStream>,
}

type Asking = JoinHandle<(SendRequest<Full<Bytes>>, Reply)>;

impl Stage {
    /// With one line that has carried one request and is kept.
    async fn with_a_kept_line() -> (Self, UnixStream) {
        let world = World::new().await;
        let mut client = world.client(1).await;
        client.sign_in(1).await;
        let lines = world.upstream.by_hand();
        let device = Some(client.connect().await.unwrap());
        let mut stage = Self { _world: world, client, device, lines };
        let asking = stage.asks(Method::GET, "/first", "");
        let mut line = stage.lines.recv().await.unwrap();
        assert!(head(&mut line).await.starts_with("GET /first "));
        line.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nfirst").await.unwrap();
        assert_eq!(stage.hears(asking).await.body, "first");
        (stage, line)
    }

    /// On the same connection: by the time the next request is read, the last one's line is kept.
    fn asks(&mut self, method: Method, path: &str, body: &str) -> Asking {
        let request = self.client.request(method, "sns", path, body);
        let mut device = self.device.take().unwrap();
        tokio::spawn(async move {
            device.ready().await.unwrap();
            let answer = reply(device.send_request(request).await.unwrap()).await.unwrap();
            (device, answer)
        })
    }

    async fn hears(&mut self, asking: Asking) -> Reply {
        let (device, answer) = asking.await.unwrap();
        self.device = Some(device);
        answer
    }
}

async fn head(line: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(line.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The next request is on this line: read whole, or only begun. Closed on unread bytes, the other end is reset.
async fn receives(line: &mut UnixStream, whole: bool) {
    if whole {
        assert!(head(line).await.contains(" /second "));
    } else {
        line.read_u8().await.unwrap();
    }
}

const SECOND: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecond";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_line_that_was_closed_while_idle_is_not_used() {
    for method in [Method::GET, Method::POST] {
        let (mut stage, kept) = Stage::with_a_kept_line().await;
        drop(kept);
        let asking = stage.asks(method, "/second", "{}");
        let mut line = stage.lines.recv().await.unwrap();
        assert!(head(&mut line).await.contains(" /second "));
        line.write_all(SECOND).await.unwrap();
        let answer = stage.hears(asking).await;
        assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "second"));
        assert!(stage.lines.try_recv().is_err(), "asked once");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_only_reads_is_asked_again_when_its_line_closes_under_it() {
    for reads_it in [true, false] {
        let (mut stage, mut kept) = Stage::with_a_kept_line().await;
        let asking = stage.asks(Method::GET, "/second", "");
        receives(&mut kept, reads_it).await;
        drop(kept);
        let mut line = stage.lines.recv().await.unwrap();
        let again = head(&mut line).await;
        assert!(again.starts_with("GET /second ") && again.contains("\r\nmimamori-identity: "), "{again}");
        line.write_all(SECOND).await.unwrap();
        assert_eq!(stage.hears(asking).await.body, "second");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_been_done_is_told_as_unknown_and_never_done_twice() {
    for reads_it in [true, false] {
        let (mut stage, mut kept) = Stage::with_a_kept_line().await;
        let asking = stage.asks(Method::POST, "/second", "{}");
        receives(&mut kept, reads_it).await;
        drop(kept);
        let answer = stage.hears(asking).await;
        assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", answer.body);
        assert!(answer.code().starts_with("MM-3"), "a page, not a dropped connection");
        assert!(stage.lines.try_recv().is_err());
    }
    // Asked a second time, and again without an answer: it ends there.
    let (mut stage, mut kept) = Stage::with_a_kept_line().await;
    let asking = stage.asks(Method::GET, "/second", "");
    receives(&mut kept, false).await;
    drop(kept);
    let mut line = stage.lines.recv().await.unwrap();
    head(&mut line).await;
    drop(line);
    assert_eq!(stage.hears(asking).await.status, StatusCode::BAD_GATEWAY);
    assert!(stage.lines.try_recv().is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_last_word_before_the_line_closes_arrives() {
    let (mut stage, mut kept) = Stage::with_a_kept_line().await;
    let asking = stage.asks(Method::POST, "/second", "{}");
    head(&mut kept).await;
    // To the last byte: closed on unread bytes, an end would look like a reset.
    kept.read_exact(&mut [0; 2]).await.unwrap();
    kept.write_all(b"HTTP/1.1 201 Created\r\nconnection: close\r\n\r\nsaid").await.unwrap();
    drop(kept);
    let answer = stage.hears(asking).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::CREATED, "said"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_before_the_upload_is_over_arrives() {
    for _ in 0..8 {
        refused_early().await;
    }
}

async fn refused_early() {
    let (mut stage, mut kept) = Stage::with_a_kept_line().await;
    let asking = stage.asks(Method::POST, "/second", &"x".repeat(4 << 20));
    head(&mut kept).await;
    kept.write_all(b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        .await
        .unwrap();
    drop(kept);
    let answer = stage.hears(asking).await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "no"));
}
