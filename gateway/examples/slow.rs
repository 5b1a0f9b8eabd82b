//! Two thousand peers that stand still or drip, from fifty slots, and one good device that asks all the
//! while: how long each slow one is held, and how long the good one waits. The whole room with its doubles
//! in one process, the load included. Prints the figures as JSON.
//!
//! ```text
//! slow [SLOTS] [PEERS_PER_SLOT]
//! ```
//! A slot may have sixteen half-done handshakes and 64 connections at once: each slot's peers come eight at
//! a time. Whoever is refused at the door all the same is counted, and not as cut.

#![allow(clippy::print_stdout, clippy::unwrap_used, dead_code)] // a program for a terminal; doubles of the tests

#[path = "../../tests/support/postgres.rs"]
mod postgres_server;
#[path = "../tests/it"]
mod it {
    pub mod world;

    const ON_SERVER: bool = false;
}

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Method;
use it::world::World;
use it::world::client::{Client, ask};
use it::world::doubles::Grants;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Barrier, Semaphore};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Between two requests of the good device.
const ASKS_EVERY: Duration = Duration::from_millis(20);
/// Handshakes of one slot at once: half of what the gateway lets it have.
const HANDSHAKES: usize = 8;
/// Nobody is held as long as this.
const GIVEN_UP: Duration = Duration::from_secs(120);

/// What it sends first, and then every half second; over HTTP/2 or not.
#[derive(Clone)]
struct Kind {
    http2: bool,
    first: Vec<u8>,
    drip: &'static [u8],
}

fn kinds(cookie: &str) -> Vec<Kind> {
    let post = format!(
        "POST /upload HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\nCookie: {cookie}\r\nContent-Length: 1000\r\n\r\n"
    );
    let began = [PREFACE, SETTINGS].concat();
    let ping: &[u8] = b"\0\0\x08\x06\0\0\0\0\0pingping";
    let kind = |http2, first: &[u8], drip| Kind { http2, first: first.to_vec(), drip };
    vec![
        kind(false, b"", b""),
        kind(false, b"GET / HTTP/1.1\r\nHost: sns", b""),
        kind(false, b"GET / HTTP/1.1\r\nX: ", b"x"),
        kind(false, post.as_bytes(), b""),
        kind(false, post.as_bytes(), b"x"),
        kind(true, b"", b""),
        kind(true, &PREFACE[..10], b""),
        kind(true, &began, b""),
        kind(true, &began, ping),
        kind(true, &[&began[..], b"\0\0\x01\x01\0\0\0\0\x01\x82"].concat(), b""),
    ]
}

#[tokio::main]
async fn main() {
    let mut given = std::env::args().skip(1).map(|text| text.parse::<u16>().unwrap());
    let (slots, each) = (given.next().unwrap_or(50), given.next().unwrap_or(40));
    let grants = Arc::new(Grants::default());
    for n in 1..=slots + 1 {
        grants.slot(n, Some((n as u8, vpn::slot::SeatClass::Active, vec![1])), 5);
    }
    grants.member(1, 1, true);
    let world = World::with(grants).await;
    let mut good = world.client(slots + 1).await;
    good.sign_in(1).await;
    let everybody = Arc::new(Barrier::new(usize::from(slots) * usize::from(each) + 1));
    let mut peers = tokio::task::JoinSet::new();
    for n in 1..=slots {
        let mut client = world.client(n).await;
        client.sign_in(1).await;
        let kinds = kinds(client.cookie.as_deref().unwrap());
        let turns = Arc::new(Semaphore::new(HANDSHAKES));
        for (kind, _) in kinds.into_iter().cycle().zip(0..each) {
            peers.spawn(held(client.clone(), kind, turns.clone(), everybody.clone()));
        }
    }
    let good = tokio::spawn(asking(good, everybody));
    let (mut cut, mut refused) = (Vec::new(), 0);
    while let Some(peer) = peers.join_next().await {
        match peer.unwrap() {
            Some(seconds) => cut.push(seconds),
            None => refused += 1,
        }
    }
    good.abort();
    let waits = WAITS.lock().unwrap().clone();
    let held = usize::from(slots) * usize::from(each) - refused;
    let figure = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        let at = |part: f64| values.get(((values.len().max(1) - 1) as f64 * part) as usize).copied();
        serde_json::json!({ "p50": at(0.5), "p99": at(0.99), "max": at(1.0) })
    };
    let report = serde_json::json!({
        "slots": slots, "peers": held, "refused_at_the_door": refused,
        "cut": cut.iter().filter(|seconds| **seconds < GIVEN_UP.as_secs_f64()).count(),
        "held_s": figure(cut), "good_requests": waits.len(), "good_ms": figure(waits),
    });
    println!("{report}");
}

static WAITS: std::sync::Mutex<Vec<f64>> = std::sync::Mutex::new(Vec::new());

/// Connects, waits until all are connected, is slow; the seconds until the gateway ended it.
async fn held(client: Client, kind: Kind, turns: Arc<Semaphore>, everybody: Arc<Barrier>) -> Option<f64> {
    let turn = turns.acquire().await.unwrap();
    let tls = if kind.http2 { client.tls2().await } else { client.tls().await };
    drop(turn);
    everybody.wait().await;
    let began = Instant::now();
    let mut tls = tls.ok()?;
    // Ended before it began: the time to connect everybody was longer than a silent peer has.
    if tls.write_all(&kind.first).await.is_err() {
        return Some(0.0);
    }
    let (mut read, mut write) = tokio::io::split(tls);
    let dripping = tokio::spawn(async move {
        while !kind.drip.is_empty() && write.write_all(kind.drip).await.is_ok() && write.flush().await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        // What has nothing to say holds its end all the same.
        tokio::time::sleep(GIVEN_UP).await;
    });
    let mut scrap = [0; 4096];
    let reading = async { while matches!(read.read(&mut scrap).await, Ok(read) if read > 0) {} };
    let _ = tokio::time::timeout(GIVEN_UP, reading).await;
    dripping.abort();
    Some(began.elapsed().as_secs_f64())
}

async fn asking(good: Client, everybody: Arc<Barrier>) {
    let mut connection = good.connect().await.unwrap();
    everybody.wait().await;
    loop {
        let began = Instant::now();
        let request = good.request(Method::GET, "sns", "/api/teams", "");
        assert_eq!(ask(&mut connection, request).await.status, http::StatusCode::OK);
        WAITS.lock().unwrap().push(began.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(ASKS_EVERY).await;
    }
}
