//! HTTP/2 and WebSockets: the same admission, the same lists, the same cut (issue 6; ruling 4 and 7).

use bytes::Bytes;
use gateway::CutQuestion;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use pki::identity::Identity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::world::client::{Client, Reply, reply};
use super::world::{World, slot};

async fn signed_in(world: &World, n: u16) -> Client {
    let mut client = world.client(n).await;
    assert_eq!(client.sign_in(n as u8).await.status, StatusCode::OK);
    client
}

async fn ask2(
    sender: &mut hyper::client::conn::http2::SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> Reply {
    reply(sender.send_request(request).await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http2_carries_the_same_identity_and_meets_the_same_refusals() {
    let world = World::new().await;
    let client = signed_in(&world, 1).await;
    let mut sender = client.connect2().await;
    let mut request = client.request2(Method::GET, "sns", "/api/teams?x=1", "");
    request.headers_mut().insert("mimamori-identity", "v1;slot=18-0002".parse().unwrap());
    request.headers_mut().insert("mimamori_identity", "v1;slot=18-0002".parse().unwrap());
    assert_eq!(ask2(&mut sender, request).await.body, "behind /api/teams");
    let seen = world.upstream.last();
    assert_eq!(seen.line, "GET /api/teams?x=1");
    let mut names: Vec<&str> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "mimamori-identity", "mimamori-trace"]);
    let identity: Identity = seen.headers["mimamori-identity"].to_str().unwrap().parse().unwrap();
    assert_eq!(identity.slot, slot(1));
    assert_eq!(seen.headers["host"], "sns.m.example.jp");

    let reached = world.upstream.seen().len();
    let get = || client.request2(Method::GET, "sns", "/a", "");
    let with = |name: &'static str, value: &str| {
        let mut request = get();
        request.headers_mut().append(name, value.parse().unwrap());
        request
    };
    let to = |uri: &str| {
        let mut request = get();
        *request.uri_mut() = uri.parse().unwrap();
        request
    };
    let mut foreign = client.request2(Method::POST, "sns", "/a", "{}");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    for (request, status) in [
        (with("host", "office.m.example.jp"), 400),
        (with("x-note", " space before"), 400),
        (to("https://sns.m.example.jp/x/%2e%2e/a"), 400),
        (to("https://sns.m.example.jp/a%00"), 400),
        (to("https://user@sns.m.example.jp/a"), 421),
        (to("https://sns.m.example.jp:8443/a"), 421),
        (to("https://other.example/a"), 421),
        (to("http://sns.m.example.jp/a"), 400),
        (foreign, 403),
    ] {
        let what = format!("{request:?}");
        assert_eq!(ask2(&mut sender, request).await.status.as_u16(), status, "{what:.200}");
    }
    let mut nobody = get();
    nobody.headers_mut().remove("cookie");
    assert_eq!(ask2(&mut sender, nobody).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(world.upstream.seen().len(), reached, "nothing of it reached the room behind");
    assert_eq!(ask2(&mut sender, get()).await.status, StatusCode::OK, "the connection itself is fine");
    let upload = client.request2(Method::POST, "sns", "/upload", &"x".repeat(300_000));
    assert_eq!(ask2(&mut sender, upload).await.body, "300000");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_ends_http2_streams_and_a_bystander_loses_nothing() {
    let world = World::new().await;
    let (victim, bystander) = (signed_in(&world, 1).await, signed_in(&world, 2).await);
    let open = async |client: &Client| {
        let mut sender = client.connect2().await;
        let response = sender.send_request(client.request2(Method::GET, "sns", "/events", "")).await.unwrap();
        (sender, response.into_body())
    };
    let ((one, mut stream), (mut two, mut other)) = (open(&victim).await, open(&bystander).await);
    world.upstream.say("one");
    for body in [&mut stream, &mut other] {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(&frame[..], b"data: one\n\n");
    }
    let answer = world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert_eq!((answer.connections, answer.sessions), (1, 1));
    world.upstream.say("two");
    assert!(!matches!(stream.frame().await, Some(Ok(_))), "not a byte after the acknowledgement");
    world.eventually("the connection is closed", async || one.is_closed()).await;
    let frame = other.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(&frame[..], b"data: two\n\n");
    let request = bystander.request2(Method::GET, "sns", "/api/teams", "");
    assert_eq!(ask2(&mut two, request).await.status, StatusCode::OK, "beside its open stream");
    world.eventually("the room behind is let go", async || world.upstream.listeners() == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_passes_and_is_gone_before_its_cut_is_acknowledged() {
    let world = World::new().await;
    let (victim, bystander) = (signed_in(&world, 1).await, signed_in(&world, 2).await);
    let (head, mut mine) = victim.socket("/socket", |head| head).await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{head}");
    assert!(!head.contains("x-secret"));
    let seen = world.upstream.last().headers;
    assert!(seen.contains_key("mimamori-identity") && !seen.contains_key("cookie"));
    let (_, mut other) = bystander.socket("/socket", |head| head).await;
    let mut echo = [0; 6];
    for socket in [&mut mine, &mut other] {
        socket.write_all(b"\x81\x04a\nb\0").await.unwrap();
        socket.read_exact(&mut echo).await.unwrap();
        assert_eq!(&echo, b"\x81\x04a\nb\0", "what is in the tunnel is nobody's business");
    }
    let live = world.live().await;
    assert_eq!((live.len(), live.iter().map(|one| one.streams).sum::<u32>()), (2, 2));
    let answer = world.room.cut(CutQuestion::Slot { slot: slot(1), generation: 5 }).await;
    assert_eq!((answer.connections, answer.sessions), (1, 1));
    let mut byte = [0];
    assert!(matches!(mine.read(&mut byte).await, Ok(0) | Err(_)));
    other.write_all(b"still.").await.unwrap();
    other.read_exact(&mut echo).await.unwrap();
    assert_eq!(&echo, b"still.");
    drop(other);
    world.eventually("a closed tunnel leaves the table", async || world.live().await.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_needs_a_person_an_origin_and_a_proper_handshake() {
    let world = World::new().await;
    let client = signed_in(&world, 1).await;
    let line = |remove: &'static str, instead: &'static str| {
        move |head: String| {
            let lines = head.split("\r\n").map(|line| if line.starts_with(remove) { instead } else { line });
            let lines: Vec<&str> = lines.filter(|line| *line != "-").collect();
            lines.join("\r\n")
        }
    };
    let origin = "Origin: https://sns.m.example.jp";
    for (remove, instead, status) in [
        ("Cookie", "-", "401"),
        ("Origin", "-", "403"),
        ("Origin", "Origin: https://office.m.example.jp", "403"),
        ("Origin", "Origin: null", "403"),
        ("Upgrade", "Upgrade: h2c", "400"),
        ("Upgrade", "Upgrade: websocket, h2c", "400"),
        ("Connection", "Connection: close", "400"),
        ("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8", "400"),
        ("Sec-WebSocket-Key", "-", "400"),
        ("Sec-WebSocket-Key", "Sec-WebSocket-Key: short", "400"),
        ("GET", "POST /socket HTTP/1.1", "400"),
        ("GET", "GET /socket/../x HTTP/1.1", "400"),
    ] {
        let (head, _) = client.socket("/socket", line(remove, instead)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{remove} -> {instead}: {head}");
    }
    // Bytes that do not wait for the answer are no WebSocket's.
    let (head, _) = client.socket("/socket", |head| head + "GET /smuggled HTTP/1.1\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    assert!(world.upstream.seen().is_empty(), "{:?} {origin}", world.upstream.seen());
    // A room that does not upgrade answers as ever, and the connection goes on.
    let (head, mut tls) = client.socket("/plain", |head| head).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let request = "GET /next HTTP/1.1\r\nHost: sns.m.example.jp\r\nConnection: close\r\n\r\n";
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut rest = Vec::new();
    let _ = tls.read_to_end(&mut rest).await;
    let rest = String::from_utf8(rest).unwrap();
    assert!(rest.contains("behind /plain") && rest.contains("HTTP/1.1 401"), "{rest}");
}
