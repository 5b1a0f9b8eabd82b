//! Peers that stand still, drip or flood: each is cut by itself, its slot is on record, and a good
//! device notices nothing (issue 6, bounds per slot).

use std::time::Duration;

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::world::World;
use super::world::client::Client;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GET https://sns.m.example.jp/sign-in without indexing.
const REQUEST: &[u8] = b"\x82\x87\x44\x08/sign-in\x41\x10sns.m.example.jp";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Reads until the gateway ends the connection.
async fn ends(tls: &mut TlsStream<TcpStream>) -> bool {
    let mut scrap = [0; 4096];
    let reading = async { while matches!(tls.read(&mut scrap).await, Ok(read) if read > 0) {} };
    tokio::time::timeout(Duration::from_secs(120), reading).await.is_ok()
}

/// Writes `first`, then `drip` every half second for as long as the gateway takes it.
async fn drips(mut tls: TlsStream<TcpStream>, first: Vec<u8>, drip: &'static [u8]) -> bool {
    tls.write_all(&first).await.unwrap();
    let (mut read, mut write) = tokio::io::split(tls);
    let dripping = tokio::spawn(async move {
        while write.write_all(drip).await.is_ok() && write.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    let mut scrap = [0; 4096];
    let reading = async { while matches!(read.read(&mut scrap).await, Ok(read) if read > 0) {} };
    let ended = tokio::time::timeout(Duration::from_secs(120), reading).await.is_ok();
    dripping.abort();
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_slow_peer_is_cut_and_a_good_device_notices_nothing() {
    let world = World::new().await;
    let (mut slow, good) = (world.client(1).await, world.client(2).await);
    slow.sign_in(1).await;
    let cookie = slow.cookie.clone().unwrap();
    let post = format!(
        "POST /upload HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\nCookie: {cookie}\r\nContent-Length: 1000\r\n\r\n"
    );
    let began = [PREFACE, SETTINGS].concat();
    let zero_window = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
    let unread = [PREFACE, &zero_window, &frame(1, 0x5, 1, REQUEST)].concat();
    let half_block = [began.clone(), frame(1, 0, 1, b"\x82")].concat();
    let peers: Vec<(bool, Vec<u8>, &'static [u8])> = vec![
        (false, b"".to_vec(), b""),
        (false, b"GET / HTTP/1.1\r\nHost: sns".to_vec(), b""),
        (false, b"GET / HTTP/1.1\r\nX: ".to_vec(), b"x"),
        (false, post.clone().into_bytes(), b""),
        (false, post.into_bytes(), b"x"),
        (true, b"".to_vec(), b""),
        (true, PREFACE[..10].to_vec(), b""),
        (true, began.clone(), b""),
        (true, began, b"\0\0\x08\x06\0\0\0\0\0pingping"),
        (true, half_block, b""),
        (true, unread, b"\0\0\x04\x08\0\0\0\0\x01\0\0\0\x01"),
    ];
    let mut running = tokio::task::JoinSet::new();
    for (number, (http2, first, drip)) in peers.into_iter().enumerate() {
        let client: Client = slow.clone();
        running.spawn(async move {
            let tls = if http2 { client.tls2().await } else { client.tls().await }.unwrap();
            (number, drips(tls, first, drip).await)
        });
    }
    let raw = slow.tcp(world.room.addresses().mutual).await.unwrap();
    while let Some(ended) = running.join_next().await {
        let (number, ended) = ended.unwrap();
        assert!(ended, "slow peer {number} is held for ever");
        assert_eq!(good.get("/sign-in").await.status, StatusCode::OK);
    }
    world
        .eventually("the half-done handshake is gone too", async || {
            world
                .live()
                .await
                .iter()
                .all(|one| one.certificate.is_some() || one.slot != super::world::slot(1))
        })
        .await;
    drop(raw);
    assert!(world.why(1).await.contains(&"MM-3015".to_owned()));
    assert!(world.why(2).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flood_is_cut_with_its_slot_on_record() {
    let world = World::new().await;
    let (bad, good) = (world.client(1).await, world.client(2).await);
    let open = frame(1, 0x4, 1, REQUEST);
    let floods: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        ("SETTINGS", vec![], SETTINGS.to_vec()),
        ("PING", vec![], frame(6, 0, 0, &[0; 8])),
        ("PRIORITY", vec![], frame(2, 0, 1, &[0, 0, 0, 0, 1])),
        ("unknown", vec![], frame(0xfa, 0, 0, &[])),
        ("empty DATA", open, frame(0, 0, 1, &[])),
        ("CONTINUATION", frame(1, 0, 1, REQUEST), frame(9, 0, 1, &[])),
        ("WINDOW_UPDATE", vec![], frame(8, 0, 0, &[0, 0, 0, 1])),
    ];
    for (kind, before, flood) in floods {
        let mut tls = bad.tls2().await.unwrap();
        tls.write_all(&[PREFACE, SETTINGS, &before].concat()).await.unwrap();
        let (mut read, mut write) = tokio::io::split(tls);
        let reading = tokio::spawn(async move {
            let mut scrap = [0; 4096];
            while matches!(read.read(&mut scrap).await, Ok(read) if read > 0) {}
        });
        let batch = flood.repeat(100);
        for _ in 0..200 {
            if write.write_all(&batch).await.is_err() {
                break;
            }
        }
        assert!(tokio::time::timeout(Duration::from_secs(60), reading).await.is_ok(), "{kind} is held");
        world.eventually(kind, async || world.why(1).await.iter().any(|code| code == "MM-3041")).await;
    }
    // Rapid reset: streams opened and thrown away.
    let mut tls = bad.tls2().await.unwrap();
    tls.write_all(&[PREFACE, SETTINGS].concat()).await.unwrap();
    for n in 0..2_000u32 {
        let pair = [frame(1, 0x5, n * 2 + 1, REQUEST), frame(3, 0, n * 2 + 1, &[0, 0, 0, 8])].concat();
        if tls.write_all(&pair).await.is_err() {
            break;
        }
    }
    assert!(ends(&mut tls).await, "rapid reset");
    world.eventually("recorded", async || world.why(1).await.contains(&"MM-3041".to_owned())).await;
    let on_record = |line: &str| line.contains("18-0001") && line.contains("MM-3041");
    world.eventually("its slot is on record", async || world.audit().lines().any(on_record)).await;
    assert_eq!(good.get("/sign-in").await.status, StatusCode::OK);
    assert!(world.why(2).await.is_empty());
}
