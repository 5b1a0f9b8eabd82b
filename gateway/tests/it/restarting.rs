//! One gateway follows another on the same three sockets, under load (issue 6, proxy): nobody who connects
//! meanwhile is refused, what was asked is answered, and a stream of events holds nobody up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::World;
use super::world::client::{Client, next_event, reply};

const RESTARTS: usize = 3;

/// Asks on connections of its own, each new or each used as long as it lasts. A kept one may be closed between
/// two questions; a new one must be heard.
async fn asks(client: Client, keeps: bool, over: Arc<AtomicBool>, asked: Arc<AtomicUsize>) {
    while !over.load(SeqCst) {
        let mut connection = client.connect().await.expect("refused at the door");
        for number in 0.. {
            let request = client.request(Method::GET, "sns", "/api/teams", "");
            let answer = match connection.send_request(request).await {
                Err(_) if number > 0 => break,
                answer => reply(answer.expect("a request was lost")).await.expect("an answer was lost"),
            };
            assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
            asked.fetch_add(1, SeqCst);
            // Below the bound of a slot's requests.
            tokio::time::sleep(Duration::from_millis(60)).await;
            if !keeps || over.load(SeqCst) || connection.ready().await.is_err() {
                break;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_refuse_nobody_and_lose_no_request() {
    let mut world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut load = tokio::task::JoinSet::new();
    for keeps in [false, false, false, true] {
        load.spawn(asks(client.clone(), keeps, over.clone(), asked.clone()));
    }
    for _ in 0..RESTARTS {
        let before = asked.load(SeqCst);
        world.eventually("the load goes on", async || asked.load(SeqCst) >= before + 8).await;
        world.restart_in_place().await;
    }
    let before = asked.load(SeqCst);
    world.eventually("the load goes on", async || asked.load(SeqCst) >= before + 8).await;
    over.store(true, SeqCst);
    while let Some(ended) = load.join_next().await {
        ended.unwrap();
    }
    assert!(world.why(1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_asked_before_a_restart_is_answered_and_events_are_ended() {
    let mut world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let (_kept, mut events) = client.events().await;
    // Half an upload, of which the rest comes when the room is stopping.
    let mut slow = client.tls().await.unwrap();
    let cookie = client.cookie.clone().unwrap();
    let head = format!(
        "POST /upload HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\n\
         Cookie: {cookie}\r\nContent-Length: 10\r\n\r\nhello"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let reached = || world.upstream.seen().iter().any(|seen| seen.line == "POST /upload");
    world.eventually("the upload has begun", async || reached()).await;
    let finishing = tokio::spawn(async move {
        // The events end when the room stops; then the rest is sent.
        let ended = next_event(&mut events).await;
        slow.write_all(b"world").await.unwrap();
        let mut answer = String::new();
        let _ = slow.read_to_string(&mut answer).await;
        (ended, answer)
    });
    world.restart_in_place().await;
    let (ended, answer) = finishing.await.unwrap();
    assert_eq!(ended, None);
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n10"), "{answer}");
    assert!(answer.to_lowercase().contains("connection: close"), "{answer}");
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK, "the next gateway knows the session");
}
