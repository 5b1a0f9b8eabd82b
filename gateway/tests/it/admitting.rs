//! Tunnel and certificate and person: what gets in, and how everything else is refused (ruling 1; s7).

use http::{Method, StatusCode};
use vpn::address::Place;
use vpn::slot::SeatClass;

use super::world::client::{Client, ask};
use super::world::{World, address, slot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_in_its_seat_with_its_certificate_and_a_person_gets_through() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    assert_eq!(client.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(client.sign_in(1).await.status, StatusCode::OK);
    let reply = client.get("/api/teams").await;
    assert_eq!((reply.status, reply.body.as_str()), (StatusCode::OK, "behind /api/teams"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_certificate_that_is_not_admitted_meets_the_same_alert() {
    let world = World::new().await;
    let (own, other) = (world.device(1).await, world.device(2).await);
    let unlisted = world.authority.device(slot(1));
    let here = address(1, Place::Active);
    let cases: Vec<(Client, &str)> = vec![
        (world.from(here, Some(&other)), "MM-3008"),
        (world.from(here, Some(&unlisted)), "MM-3010"),
        (world.from(here, Some(&world.authority.forged(slot(1)))), "MM-3007"),
        (world.from(here, Some(&own.without_its_key())), "MM-3007"),
        (world.from(address(1, Place::Enrolling), Some(&own)), "MM-3004"),
    ];
    let mut alerts = Vec::new();
    for (client, code) in cases {
        alerts.push(client.refused().await);
        world.eventually(code, async || world.why(1).await.first().is_some_and(|last| last == code)).await;
    }
    world.grants.close(1, 6);
    world.caught_up().await;
    alerts.push(world.from(here, Some(&own)).refused().await);
    alerts.dedup();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].contains("AccessDenied"), "{alerts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_certificate_there_is_no_connection_and_the_reason_is_on_record() {
    let world = World::new().await;
    let alert = world.from(address(1, Place::Active), None).refused().await;
    assert!(alert.contains("CertificateRequired"), "{alert}");
    world.eventually("recorded", async || world.why(1).await == ["MM-3006"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_right_certificate_from_outside_every_tunnel_is_refused_like_any_other() {
    let world = World::new().await;
    let device = world.device(1).await;
    for outside in ["127.0.0.1", "127.18.0.99", "127.18.200.142", "127.19.0.142"] {
        let alert = world.from(outside.parse().unwrap(), Some(&device)).refused().await;
        assert!(alert.contains("AccessDenied"), "{outside}: {alert}");
    }
    assert!(world.live().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_device_cannot_use_a_stolen_session() {
    let world = World::new().await;
    let mut victim = world.client(1).await;
    victim.sign_in(1).await;
    let thief = world.client(2).await.with_cookie(victim.cookie.clone());
    let stolen = thief.get("/api/teams").await;
    let nothing = thief.clone().with_cookie(None).get("/api/teams").await;
    assert_eq!((stolen.status, stolen.code()), (nothing.status, nothing.code()));
    // The same slot with another living certificate is another device too.
    let second = world.client(1).await.with_cookie(victim.cookie.clone());
    assert_eq!(second.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(victim.get("/api/teams").await.status, StatusCode::OK);
    assert_eq!(world.why(2).await, ["MM-3020", "MM-3022"]);
    assert_eq!(world.why(1).await[0], "MM-3023");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolling_seat_reaches_the_claim_host_and_nothing_else() {
    let world = World::new().await;
    let device = world.device(1).await;
    let enrolling = world.from(address(1, Place::Enrolling), Some(&device));
    assert!(enrolling.refused().await.contains("AccessDenied"));
    let reply = enrolling.claim(enrolling.request(Method::GET, "claim", "/", "")).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    let seen = world.upstream.last();
    assert_eq!(seen.headers["mimamori-visitor"], "v1;slot=18-0001;class=enrolling");
    assert!(!seen.headers.contains_key("mimamori-identity"));
    for host in ["sns", "office"] {
        let reply = enrolling.claim(enrolling.request(Method::GET, host, "/", "")).await.unwrap();
        assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST);
    }
    let post = enrolling.request(Method::POST, "claim", "/claim", "{}");
    assert_eq!(enrolling.claim(post).await.unwrap().status, StatusCode::OK);
    let mut foreign = enrolling.request(Method::POST, "claim", "/claim", "{}");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(enrolling.claim(foreign).await.unwrap().status, StatusCode::FORBIDDEN);
}

/// Issue 5: who renews without a hand is no browser; a browser that pretends to is refused as ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_renews_over_est_and_no_page_does_it_for_it() {
    let world = World::new().await;
    let client = world.client(1).await;
    let est = |path: &str| {
        let mut request = client.request(Method::POST, "claim", path, "MIIB");
        let headers = request.headers_mut();
        headers.remove("origin");
        headers.insert("content-type", "application/pkcs10".parse().unwrap());
        request
    };
    let path = "/.well-known/est/simplereenroll";
    assert_eq!(client.claim(est(path)).await.unwrap().status, StatusCode::OK);
    let seen = world.upstream.last();
    assert_eq!(seen.headers["mimamori-visitor"], "v1;slot=18-0001;class=active");
    assert_eq!(seen.headers["content-type"], "application/pkcs10");
    for (name, value) in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")]
    {
        let mut foreign = est(path);
        foreign.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(client.claim(foreign).await.unwrap().status, StatusCode::FORBIDDEN, "{name}");
    }
    assert_eq!(client.claim(est("/claim")).await.unwrap().status, StatusCode::FORBIDDEN);
    let cas = client.request(Method::GET, "claim", "/.well-known/est/cacerts", "");
    assert_eq!(client.claim(cas).await.unwrap().status, StatusCode::OK);
}

/// Issue 5: Apple's payload asks like a machine, and nobody's page asks for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_asks_over_acme_and_no_page_does_it_for_it() {
    let world = World::new().await;
    let client = world.from(address(1, Place::Enrolling), None);
    let acme = || {
        let mut request = client.request(Method::POST, "claim", "/acme/new-order", "{}");
        let headers = request.headers_mut();
        headers.remove("origin");
        headers.insert("content-type", "application/jose+json".parse().unwrap());
        request
    };
    assert_eq!(client.claim(acme()).await.unwrap().status, StatusCode::OK);
    let seen = world.upstream.last();
    assert_eq!(seen.headers["mimamori-visitor"], "v1;slot=18-0001;class=enrolling");
    assert_eq!(seen.headers["content-type"], "application/jose+json");
    for (name, value) in
        [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")]
    {
        let mut foreign = acme();
        foreign.headers_mut().insert(name, value.parse().unwrap());
        assert_eq!(client.claim(foreign).await.unwrap().status, StatusCode::FORBIDDEN, "{name}");
    }
    let directory = client.request(Method::GET, "claim", "/acme/directory", "");
    assert_eq!(client.claim(directory).await.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seat_that_nobody_holds_does_not_even_see_the_claim_page() {
    let world = World::new().await;
    let stranger = world.from(address(77, Place::Enrolling), None);
    let request = stranger.request(Method::GET, "claim", "/", "");
    assert!(stranger.claim(request).await.is_err());
    assert_eq!(world.why(77).await, ["MM-3002"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_in_leaving_has_no_service() {
    let world = World::new().await;
    let client = world.client(1).await;
    world.grants.slot(1, Some((1, SeatClass::Leaving, vec![])), 6);
    world.caught_up().await;
    assert!(client.refused().await.contains("AccessDenied"));
    let reply = client.claim(client.request(Method::GET, "claim", "/", "")).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stale_feeds_admit_nobody_new_and_existing_connections_live_fifteen_minutes_more() {
    use std::sync::atomic::Ordering::SeqCst;
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let mut kept = client.connect().await.unwrap();
    let request = || client.request(Method::GET, "sns", "/api/teams", "");
    assert_eq!(ask(&mut kept, request()).await.status, StatusCode::OK);
    world.grants.silent.store(true, SeqCst);
    world
        .eventually("the last answer has arrived", async || {
            let first = world.status().await.grants_age_ms;
            tokio::time::sleep(std::time::Duration::from_millis(120)).await;
            world.status().await.grants_age_ms > first.map(|age| age + 100)
        })
        .await;
    world.clock.skip(31_000);
    assert!(world.status().await.stale);
    assert!(client.refused().await.contains("AccessDenied"));
    assert_eq!(ask(&mut kept, request()).await.status, StatusCode::OK);
    world.clock.skip(15 * 60_000);
    world.eventually("the connection is ended", async || kept.is_closed()).await;
    world.grants.silent.store(false, SeqCst);
    world.eventually("fresh again", async || !world.status().await.stale).await;
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_tickets_no_older_tls_and_only_our_device_ca_is_asked_for() {
    let world = World::new().await;
    let client = world.client(1).await;
    let mut tls = client.tls().await.unwrap();
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    tls.write_all(b"GET /sign-in HTTP/1.1\r\nHost: sns.m.example.jp\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut text = String::new();
    tls.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let connection = tls.get_ref().1;
    assert_eq!(connection.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(connection.tls13_tickets_received(), 0);
}

/// An answer without what differs from request to request: its trace and its date.
async fn asked_by(client: &Client) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let cookie = client.cookie.as_ref().map(|cookie| format!("Cookie: {cookie}\r\n")).unwrap_or_default();
    let mut tls = client.tls().await.unwrap();
    let request =
        format!("GET /api/teams HTTP/1.1\r\nHost: sns.m.example.jp\r\n{cookie}Connection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    if let Err(error) = tls.read_to_end(&mut answer).await {
        return format!("alert: {error}");
    }
    let answer = String::from_utf8(answer).unwrap();
    let trace = answer.split("mimamori-trace: ").nth(1).and_then(|rest| rest.get(..16)).unwrap().to_owned();
    let lines = answer.split("\r\n").filter(|line| !line.starts_with("date: "));
    lines.collect::<Vec<_>>().join("\n").replace(&trace, "TRACE")
}

/// Issue 6: an attacker holds any one or two of tunnel key, certificate and session of different slots.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_mixture_of_tunnel_certificate_and_session_gets_a_single_different_byte() {
    let world = World::new().await;
    let mut devices = Vec::new();
    for n in 1..=3 {
        devices.push(world.device(n).await);
    }
    devices.push(world.authority.forged(slot(1)));
    let mut cookies = vec![None, Some(format!("__Host-session={}", "A".repeat(43)))];
    for n in 1..=3u16 {
        let mut owner = world.from(address(n, Place::Active), Some(&devices[usize::from(n - 1)]));
        assert_eq!(owner.sign_in(n as u8).await.status, StatusCode::OK);
        cookies.push(owner.cookie);
    }
    // A tunnel: the active seats of the three slots, an enrolling one, a slot nobody holds, no tunnel.
    let mut tunnels: Vec<_> = (1..=3).map(|n| address(n, Place::Active)).collect();
    tunnels.extend([address(1, Place::Enrolling), address(77, Place::Active), "127.0.0.1".parse().unwrap()]);
    let (mut alerts, mut refusals, mut let_in) = (Vec::new(), Vec::new(), 0);
    for (t, tunnel) in tunnels.iter().enumerate() {
        for (c, device) in devices.iter().enumerate() {
            for (s, cookie) in cookies.iter().enumerate() {
                let reached = world.upstream.seen().len();
                let client = world.from(*tunnel, Some(device)).with_cookie(cookie.clone());
                let answer = asked_by(&client).await;
                if t == c && t < 3 && s == c + 2 {
                    assert!(
                        answer.starts_with("HTTP/1.1 200"),
                        "own tunnel {t}, certificate, session: {answer}"
                    );
                    let_in += 1;
                    continue;
                }
                assert_eq!(world.upstream.seen().len(), reached, "tunnel {t} certificate {c} session {s}");
                if t == c && t < 3 { refusals.push(answer) } else { alerts.push(answer) }
            }
        }
    }
    assert_eq!((let_in, refusals.len(), alerts.len()), (3, 12, 105));
    alerts.dedup();
    assert_eq!(alerts.len(), 1, "{alerts:?}");
    assert!(alerts[0].contains("AccessDenied"), "{alerts:?}");
    refusals.dedup();
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    assert!(refusals[0].starts_with("HTTP/1.1 401"), "{refusals:?}");
}
