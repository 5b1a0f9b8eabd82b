//! An HTTP/1.1 connection that rests between its requests: it goes on as if nothing had been, in every way in
//! which the next request may come, and ends as it must.

use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, DuplexStream};

use super::*;
use crate::body;

struct Peer {
    io: DuplexStream,
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    served: tokio::task::JoinHandle<Result<(), hyper::Error>>,
}

fn peer() -> Peer {
    let (near, io) = tokio::io::duplex(256 * 1024);
    let (ledger, stop) = (Arc::new(Ledger::default()), CancellationToken::new());
    let served = tokio::spawn({
        let (ledger, stop) = (ledger.clone(), stop.clone());
        async move { talk(near, Spoken::Http1, ledger, &stop, echo).await }
    });
    Peer { io, ledger, stop, served }
}

async fn echo(request: Request<Incoming>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let length = request.into_body().collect().await.map_or(0, |body| body.to_bytes().len());
    Response::new(body::whole(format!("<{path} {length}>")))
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

impl Peer {
    async fn says(&mut self, text: &str) {
        self.io.write_all(text.as_bytes()).await.unwrap();
    }

    /// Reads until this was heard.
    async fn hears(&mut self, end: &str) -> String {
        let mut heard = String::new();
        while !heard.ends_with(end) {
            heard.push(char::from(self.io.read_u8().await.unwrap_or_else(|_| panic!("{end} after {heard}"))));
        }
        heard
    }

    async fn rests(&self) {
        for _ in 0..6_000 {
            if self.ledger.rests() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("it never rests");
    }
}

#[tokio::test]
async fn a_connection_that_rested_takes_the_next_request_however_it_comes() {
    let mut peer = peer();
    peer.says(&get("/first")).await;
    peer.hears("</first 0>").await;
    for round in 0..3 {
        peer.rests().await;
        let (one, two) = (get("/one"), get("/two"));
        match round {
            // Whole; in two pieces, two requests in the second; longer than what is read ahead.
            0 => peer.says(&(one + &two)).await,
            1 => {
                peer.says(&one[..9]).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                peer.says(&(one[9..].to_owned() + &two)).await;
            }
            _ => {
                let long = one.replace("\r\n\r\n", &format!("\r\nX-Long: {}\r\n\r\n", "y".repeat(9_000)));
                peer.says(&(long + &two)).await;
            }
        }
        let heard = peer.hears("</two 0>").await;
        assert!(heard.contains("</one 0>"), "{heard}");
    }
    peer.rests().await;
    let head = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n";
    peer.says(&(head.to_owned() + &"x".repeat(1_000))).await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    peer.says(&"x".repeat(1_000)).await;
    peer.hears("</up 2000>").await;
    peer.rests().await;
    peer.says("GET / HTTP/1.1\nHost: a\r\n\r\n").await;
    let mut rest = String::new();
    peer.io.read_to_string(&mut rest).await.unwrap();
    assert!(rest.starts_with("HTTP/1.1 400"), "{rest}");
    assert!(peer.ledger.fault().is_some());
}

#[tokio::test]
async fn it_never_rests_while_something_is_under_way_or_before_anything_was_asked() {
    let mut peer = peer();
    let wait = || tokio::time::sleep(Duration::from_millis(300));
    wait().await;
    assert!(!peer.ledger.rests(), "nothing was asked");
    peer.says("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nx").await;
    wait().await;
    assert!(!peer.ledger.rests(), "half a body");
    peer.says("x").await;
    peer.hears("</up 2>").await;
    peer.rests().await;
}

#[tokio::test]
async fn a_resting_connection_ends_with_its_peer_and_with_the_room() {
    let mut gone = peer();
    gone.says(&get("/")).await;
    gone.hears("</ 0>").await;
    gone.rests().await;
    drop(gone.io);
    gone.served.await.unwrap().unwrap();
    let mut stopped = peer();
    stopped.says(&get("/")).await;
    stopped.hears("</ 0>").await;
    stopped.rests().await;
    stopped.stop.cancel();
    assert_eq!(stopped.io.read(&mut [0]).await.unwrap(), 0);
    stopped.served.await.unwrap().unwrap();
}
