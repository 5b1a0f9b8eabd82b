//! What reaches the rooms behind, and what comes back (issue 2; s7: headers, origins; ruling 4).

use std::sync::atomic::Ordering::SeqCst;

use gateway::need::Behind;
use http::{Method, StatusCode};
use pki::identity::Identity;

use super::world::World;
use super::world::client::{Client, next_event};

async fn signed_in(world: &World) -> Client {
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    client
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_identity_is_ours_whatever_the_client_sends() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    let mut request = client.request(Method::GET, "sns", "/api/teams?x=%E3%81%82&y=1", "");
    let forged = "v1;slot=18-0002;cert=0123;person=p-a;membership=m-a;facility=f-a;role=secretariat";
    for name in
        ["Mimamori-Identity", "mimamori_identity", "mimamori-visitor", "mimamori-trace", "x-mimamori-role"]
    {
        request
            .headers_mut()
            .append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), forged.parse().unwrap());
    }
    for (name, value) in [
        ("connection", "keep-alive, mimamori-identity, last-event-id"),
        ("last-event-id", "7"),
        ("idempotency-key", "abc"),
        ("x-forwarded-for", "10.0.0.1"),
        ("authorization", "Bearer x"),
    ] {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    assert_eq!(client.send(request).await.unwrap().status, StatusCode::OK);
    let seen = world.upstream.last();
    assert_eq!((seen.behind, seen.line.as_str()), (Behind::Sns, "GET /api/teams?x=%E3%81%82&y=1"));
    let mut names: Vec<&str> = seen.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["host", "idempotency-key", "mimamori-identity", "mimamori-trace"]);
    assert_eq!(seen.headers.get_all("mimamori-identity").iter().count(), 1);
    let identity: Identity = seen.headers["mimamori-identity"].to_str().unwrap().parse().unwrap();
    assert_eq!((identity.slot.to_string().as_str(), identity.role.as_str()), ("18-0001", "staff"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_host_leads_to_its_room_and_an_answer_is_guarded() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    let reply = client.send(client.request(Method::GET, "office", "/", "")).await.unwrap();
    assert_eq!(world.upstream.last().behind, Behind::Provisioning);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.header("x-content-type-options"), "nosniff");
    assert!(reply.header("content-security-policy").contains("frame-ancestors 'none'"));
    // Under `no-referrer` a browser would say `Origin: null` about our own forms, and be refused.
    assert_eq!(reply.header("referrer-policy"), "same-origin");
    assert!(reply.header("strict-transport-security").starts_with("max-age="));
    assert!(reply.headers.get("set-cookie").is_none() && reply.headers.get("x-secret").is_none());
    assert_eq!(reply.header("mimamori-trace"), world.upstream.last().headers["mimamori-trace"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_our_own_page_changes_anything() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    let post = |origin: Option<&str>, site: Option<&str>| {
        let mut request = client.request(Method::POST, "sns", "/api/posts", "{}");
        request.headers_mut().remove("origin");
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        if let Some(site) = site {
            request.headers_mut().insert("sec-fetch-site", site.parse().unwrap());
        }
        client.send(request)
    };
    for (origin, site) in [
        (None, None),
        (Some("https://evil.example"), None),
        (Some("https://office.m.example.jp"), None),
        (Some("null"), Some("cross-site")),
        (None, Some("same-site")),
    ] {
        let reply = post(origin, site).await.unwrap();
        assert_eq!(
            (reply.status, reply.code()),
            (StatusCode::FORBIDDEN, "MM-3040".into()),
            "{origin:?} {site:?}"
        );
    }
    assert!(world.upstream.seen().is_empty());
    assert_eq!(post(None, Some("same-origin")).await.unwrap().status, StatusCode::OK);
    assert_eq!(post(Some("https://sns.m.example.jp"), None).await.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_one_by_one_without_waiting_for_the_next() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    let (_kept, mut events) = client.events().await;
    for n in 0..5 {
        world.upstream.say(&format!("event {n}"));
        assert_eq!(next_event(&mut events).await.unwrap(), format!("data: event {n}\n\n"));
    }
    drop((_kept, events));
    world
        .eventually("the room behind is let go", async || {
            world.upstream.say("anybody?");
            world.upstream.listeners() == 0
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_streams_through_up_to_its_limit() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    let reply = client.post("/upload", &"x".repeat(3_000_000)).await;
    assert_eq!(reply.body, "3000000");
    // Announced too large: refused before the room behind hears of it.
    let seen = world.upstream.seen().len();
    let head = |framing: &str| {
        format!(
            "POST /upload HTTP/1.1\r\nHost: sns.m.example.jp\r\nOrigin: https://sns.m.example.jp\r\nCookie: {}\r\n{framing}\r\n\r\n",
            client.cookie.as_ref().unwrap()
        )
    };
    let text = client.raw(head("Content-Length: 26214401\r\nConnection: close").as_bytes()).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("MM-3043"), "{text}");
    assert_eq!(world.upstream.seen().len(), seen);
    // Not announced: cut off mid-stream.
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut read, mut write) = tokio::io::split(client.tls().await.unwrap());
    let head = head("Transfer-Encoding: chunked");
    let sending = tokio::spawn(async move {
        write.write_all(head.as_bytes()).await?;
        let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
        for _ in 0..500 {
            write.write_all(chunk.as_bytes()).await?;
        }
        Ok::<_, std::io::Error>(())
    });
    let mut text = [0; 12];
    read.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"HTTP/1.1 413");
    sending.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_room_behind_is_down_people_are_told_what_to_do() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    world.upstream.down.store(true, SeqCst);
    let reply = client.get("/api/teams").await;
    assert_eq!((reply.status, reply.code()), (StatusCode::SERVICE_UNAVAILABLE, "MM-3050".into()));
    assert!(reply.json()["remedy_ja"].as_str().unwrap().contains("もう一度"));
    assert_eq!(reply.json()["trace"], reply.header("mimamori-trace"));
    let mut request = client.request(Method::GET, "sns", "/", "");
    request.headers_mut().insert("accept", "text/html".parse().unwrap());
    let page = client.send(request).await.unwrap();
    assert!(page.body.contains("<!doctype html>") && page.body.contains("MM-3050"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_audit_names_slot_person_and_class_of_route_and_no_patient() {
    let world = World::new().await;
    let client = signed_in(&world).await;
    client.get("/api/teams/t-secretpatient/posts?q=yamada").await;
    world.eventually("written", async || world.audit().contains("/api/teams/{}/posts")).await;
    let audit = world.audit();
    let line = audit.lines().find(|line| line.contains("/api/teams/{}/posts")).unwrap();
    assert!(
        line.contains("18-0001") && line.contains("\"person\":\"p-") && line.contains("\"result\":\"200\"")
    );
    assert!(!audit.contains("secretpatient") && !audit.contains("yamada"));
}
