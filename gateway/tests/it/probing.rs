//! Malformed and smuggled requests over the real connection: none reaches the room behind (issue 2).

use http::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::World;

const HOST: &str = "Host: sns.m.example.jp\r\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_probe_reaches_the_room_behind() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let cookie = format!("Cookie: {}\r\n", client.cookie.as_ref().unwrap());
    let get = |extra: &str| format!("GET /a HTTP/1.1\r\n{HOST}{cookie}{extra}\r\n");
    let post = |framing: &str, body: &str| {
        format!("POST /a HTTP/1.1\r\n{HOST}{cookie}Origin: https://sns.m.example.jp\r\n{framing}\r\n{body}")
    };
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: sns.m.example.jp\r\n\r\n";
    let te = "Transfer-Encoding: chunked\r\n";
    let probes = [
        get("").replace("\r\n", "\n"),
        get("X: a\nY: b\r\n"),
        get(" folded\r\n"),
        get(HOST),
        get("").replace(HOST, ""),
        get("").replace("HTTP/1.1", "HTTP/1.0"),
        get("").replace("/a", "/a#b"),
        get("").replace("/a", "/a\0"),
        get("").replace("/a", "/あ"),
        get("").replace("/a", "/x/../a"),
        get("").replace("/a", "/x/%2e%2e/a"),
        get("").replace("/a", "https://office.m.example.jp/a"),
        get("").replace("sns.m.example.jp", "sns.m.example.jp:444"),
        get("").replace("sns.m", "SNS.other"),
        get("").replace("GET", "CONNECT"),
        get("").replace("GET", "TRACE"),
        get("Upgrade: h2c\r\nConnection: upgrade, http2-settings\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"),
        post(&format!("Content-Length: 4\r\n{te}"), &format!("0\r\n\r\n{smuggled}")),
        post(&format!("{te}Content-Length: 4\r\n"), &format!("0\r\n\r\n{smuggled}")),
        post("Content-Length: 0\r\nContent-Length: 0\r\n", smuggled),
        post("Content-Length: 0, 0\r\n", smuggled),
        post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"),
        post("Transfer-Encoding: xchunked\r\n", smuggled),
        post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"),
        post(te, "1;ext=1\r\na\r\n0\r\n\r\n"),
        post(te, "0\r\nX-Trailer: a\r\n\r\n"),
        get(&"X-Many: y\r\n".repeat(70)),
        get(&format!("X-Long: {}\r\n", "y".repeat(17_000))),
    ];
    for probe in probes {
        let mut tls = client.tls().await.unwrap();
        let _ = tls.write_all(probe.as_bytes()).await;
        let _ = tls.shutdown().await;
        let mut answer = Vec::new();
        let _ = tls.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{probe:.120?} was answered {answer:.200}"
        );
        let reached: Vec<String> = world.upstream.seen().into_iter().map(|seen| seen.line).collect();
        // A body that breaks mid-way may have begun; what it hides may not.
        assert!(!reached.iter().any(|line| line.contains("smuggled")), "{probe:.120?}");
        assert!(reached.iter().all(|line| line == "POST /a"), "{probe:.120?} reached {reached:?}");
    }
    assert_eq!(client.get("/a").await.status, StatusCode::OK, "the device itself is not punished");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pipelined_requests_are_answered_in_order() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let cookie = client.cookie.clone().unwrap();
    let request =
        |path: &str, more: &str| format!("GET {path} HTTP/1.1\r\n{HOST}Cookie: {cookie}\r\n{more}\r\n");
    let both = format!("{}{}", request("/one", ""), request("/two", "Connection: close\r\n"));
    let text = client.raw(both.as_bytes()).await.unwrap();
    let (one, two) = (text.find("behind /one").unwrap(), text.find("behind /two").unwrap());
    assert!(one < two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_slot_cannot_hold_all_connections() {
    let world = World::new().await;
    let (greedy, other) = (world.client(1).await, world.client(2).await);
    let mutual = world.room.addresses().mutual;
    let mut held = Vec::new();
    for _ in 0..40 {
        held.push(greedy.tcp(mutual).await.unwrap());
    }
    world
        .eventually("the surplus is refused", async || world.why(1).await.contains(&"MM-3013".to_owned()))
        .await;
    assert!(world.status().await.connections <= 16);
    assert_eq!(other.get("/sign-in").await.status, StatusCode::OK);
}
