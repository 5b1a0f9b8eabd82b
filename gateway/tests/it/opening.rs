//! The open address: port 80 and the help codes (rulings 1 and 5).

use http::{Method, StatusCode};
use vpn::address::Place;

use super::world::{World, address};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_start_page_hands_out_the_root_and_published_bytes_are_published() {
    let world = World::new().await;
    let client = world.from(address(1, Place::Enrolling), None);
    let open = "127.18.255.2";
    let start = client.plain("GET", open, "/").await;
    assert_eq!(start.status, StatusCode::OK);
    assert!(start.body.contains("/ca/root.crt") && start.body.contains("18-0001"));
    let root = client.plain("GET", open, "/ca/root.crt").await;
    assert_eq!((root.body.as_str(), root.header("content-type")), ("ca/root.crt", "application/pkix-cert"));
    assert_eq!(client.plain("GET", "claim.m.example.jp", "/crl/07.crl").await.status, StatusCode::OK);
    assert_eq!(client.plain("GET", open, "/crl/99.crl").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.plain("GET", open, "/ca/../ca/root.crt").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.plain("POST", open, "/").await.status, StatusCode::METHOD_NOT_ALLOWED);
    // OCSP by GET (RFC 6960 A.1): the one place where an escaped slash means something; and by POST.
    let asked = client.plain("GET", open, "/ocsp/MF%2Fx%2B%3D").await;
    assert_eq!(
        (asked.body.as_str(), asked.header("content-type")),
        ("ocsp/MF%2Fx%2B%3D", "application/ocsp-response")
    );
    assert_eq!(client.plain("POST", open, "/ocsp").await.status, StatusCode::OK);
    assert_eq!(client.plain("GET", open, "/ocsp").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(client.plain("POST", open, "/ocsp/MF").await.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(client.plain("GET", open, "/ocsp/../x").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(client.plain("GET", "evil.example", "/ocsp/MF").await.status, StatusCode::MISDIRECTED_REQUEST);
    assert_eq!(client.plain("GET", open, "/log/checkpoint").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.plain("GET", "evil.example", "/").await.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(client.plain("GET", open, "/assets/mimamori.css").await.body.contains("--mm-key"));
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_help_page_shows_slot_and_code_and_the_clerk_learns_the_reason() {
    let world = World::new().await;
    let client = world.from(address(1, Place::Active), None);
    client.refused().await;
    world.eventually("recorded", async || !world.why(1).await.is_empty()).await;
    let help = client.plain("GET", "127.18.255.2", "/help").await;
    assert!(help.body.contains("18-0001"), "{}", help.body);
    let code = help.body.split("確認番号").nth(1).unwrap();
    let code: String = code.split("mm-number\">").nth(1).unwrap().chars().take(4).collect();
    let why = world.code(&code).await;
    assert_eq!(why[0].code, "MM-3006");
    assert!(why[0].ja.contains("証明書"));
    assert!(world.code("9x99").await.is_empty());
    world.clock.skip(10 * 60_000);
    assert!(world.code(&code).await.is_empty(), "a code lives ten minutes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_active_seat_reaches_the_claim_page_for_renewal() {
    let world = World::new().await;
    let client = world.from(address(1, Place::Active), None);
    let reply = client.claim(client.request(Method::GET, "claim", "/", "")).await.unwrap();
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(world.upstream.last().headers["mimamori-visitor"], "v1;slot=18-0001;class=active");
}
