//! Signing in, choosing, changing the first password, switching and leaving (rulings 1 and 4; P-09, P-25).

use std::sync::atomic::Ordering::SeqCst;

use http::{Method, StatusCode};

use super::world::World;
use super::world::client::{next_event, reply};
use super::world::doubles::{membership, person};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_in_gives_a_host_locked_cookie_and_says_who_one_is() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    let reply = client.sign_in(1).await;
    let cookie = reply.header("set-cookie");
    assert!(cookie.starts_with("__Host-session="));
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Strict", "; Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let json = reply.json();
    assert_eq!(json["person"], person(1).as_str());
    assert_eq!(json["role"], "staff");
    assert_eq!(json["must_change"], false);
    assert_eq!(json["memberships"].as_array().unwrap().len(), 1);
    world.eventually("written", async || world.audit().contains("signed-in")).await;
    let audit = world.audit();
    assert!(audit.contains("\"person\":\"p-") && !audit.contains("password-1") && !audit.contains("1@m"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_failure_is_told_with_the_same_words() {
    let world = World::new().await;
    let client = world.client(1).await;
    let wrong = client.post("/sign-in", r#"{"login":"1@m","password":"x"}"#).await;
    let unknown = client.post("/sign-in", r#"{"login":"nobody","password":"x"}"#).await;
    // The right password of a person whose membership this slot does not permit.
    let foreign = client.post("/sign-in", r#"{"login":"2@m","password":"password-2"}"#).await;
    for reply in [&wrong, &unknown, &foreign] {
        assert_eq!((reply.status, reply.code()), (StatusCode::UNAUTHORIZED, "MM-3030".into()));
        assert!(reply.headers.get("set-cookie").is_none());
    }
    assert_eq!(world.why(1).await, ["MM-3027", "MM-3030", "MM-3030"]);
    assert_eq!(world.status().await.sessions, 0);
    world.accounts.paused.store(true, SeqCst);
    let paused = client.post("/sign-in", r#"{"login":"1@m","password":"x"}"#).await;
    assert_eq!((paused.status, paused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "900"));
    world.accounts.paused.store(false, SeqCst);
    world.accounts.silent.store(true, SeqCst);
    let down = client.post("/sign-in", r#"{"login":"1@m","password":"x"}"#).await;
    assert_eq!(down.code(), "MM-3053");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_several_memberships_one_is_chosen() {
    let world = World::new().await;
    world.grants.second_membership(1, 11, 1);
    world.caught_up().await;
    // The third is of another facility, which this slot does not permit: it is not even shown.
    world.accounts.memberships.lock().unwrap().insert(1, vec![1, 11, 2]);
    let mut client = world.client(1).await;
    let choose = client.sign_in(1).await;
    assert_eq!((choose.status, choose.code()), (StatusCode::CONFLICT, "MM-3032".into()));
    assert_eq!(choose.json()["memberships"].as_array().unwrap().len(), 2);
    let body = format!(r#"{{"login":"1@m","password":"password-1","membership":"{}"}}"#, membership(11));
    let chosen = client.post("/sign-in", &body).await;
    assert_eq!((chosen.status, &chosen.json()["role"]), (StatusCode::OK, &"facility-admin".into()));
    let body = format!(r#"{{"login":"1@m","password":"password-1","membership":"{}"}}"#, membership(2));
    assert_eq!(client.post("/sign-in", &body).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_signs_in_chooses_and_arrives() {
    let world = World::new().await;
    world.grants.second_membership(1, 11, 1);
    world.caught_up().await;
    world.accounts.memberships.lock().unwrap().insert(1, vec![1, 11]);
    let mut client = world.client(1).await;
    let mut first = client.request(Method::GET, "sns", "/teams", "");
    first.headers_mut().insert("accept", "text/html,*/*".parse().unwrap());
    let sent = client.send(first).await.unwrap();
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, "/sign-in"));
    assert!(client.get("/sign-in").await.body.contains("ログイン"));
    let form = |client: &super::world::client::Client, body: &str| {
        let mut request = client.request(Method::POST, "sns", "/sign-in", body);
        request.headers_mut().insert("content-type", FORM.parse().unwrap());
        request
    };
    let wrong = client.send(form(&client, "login=1%40m&password=%3Cb%3E")).await.unwrap();
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("ログインできませんでした") && wrong.body.contains("value=\"1@m\""));
    let choose = client.send(form(&client, "login=1%40m&password=password-1")).await.unwrap();
    let ticket = choose.body.split("name=\"ticket\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("ticket={ticket}&membership={}", membership(11));
    let elsewhere = world.client(2).await;
    assert_eq!(elsewhere.send(form(&elsewhere, &body)).await.unwrap().status, StatusCode::UNAUTHORIZED);
    let arrived = client.send(form(&client, &body)).await.unwrap();
    assert_eq!((arrived.status, arrived.header("location")), (StatusCode::SEE_OTHER, "/"));
    client.keep_cookie(&arrived);
    assert_eq!(client.get("/teams").await.status, StatusCode::OK);
    assert!(
        world.upstream.last().headers["mimamori-identity"].to_str().unwrap().ends_with("role=facility-admin")
    );
    let again = client.send(form(&client, &body)).await.unwrap();
    assert_eq!(again.status, StatusCode::UNAUTHORIZED, "a ticket is good once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_password_opens_one_page_until_it_is_changed() {
    let world = World::new().await;
    world.accounts.must_change.store(true, SeqCst);
    let mut client = world.client(1).await;
    assert_eq!(client.sign_in(1).await.json()["must_change"], true);
    let held = client.get("/api/teams").await;
    assert_eq!((held.status, held.code()), (StatusCode::FORBIDDEN, "MM-3029".into()));
    assert!(world.upstream.seen().is_empty());
    assert!(client.get("/password").await.body.contains("はじめてのログイン"));
    let change = |old: &str, new: &str| format!(r#"{{"old":"{old}","new":"{new}"}}"#);
    let wrong = client.post("/password", &change("x", "long-enough-1")).await;
    assert_eq!((wrong.status, wrong.code()), (StatusCode::FORBIDDEN, "MM-3033".into()));
    let weak = client.post("/password", &change("password-1", "short")).await;
    assert_eq!((weak.status, weak.code()), (StatusCode::UNPROCESSABLE_ENTITY, "MM-5999".into()));
    assert_eq!(client.get("/api/teams").await.status, StatusCode::FORBIDDEN);
    let changed = client.post("/password", &change("password-1", "long-enough-1")).await;
    assert_eq!((changed.status, changed.code()), (StatusCode::OK, "MM-3036".into()));
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_the_person_ends_the_formers_session_and_streams_only() {
    let world = World::new().await;
    world.grants.slot(1, Some((1, vpn::slot::SeatClass::Active, vec![2])), 6);
    world.caught_up().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let former = client.clone();
    let mut bystander = client.clone().with_cookie(None);
    bystander.sign_in(1).await;
    let (_kept, mut mine) = former.events().await;
    let (_also, mut theirs) = bystander.events().await;
    let switched = client.sign_in(2).await;
    assert_eq!(switched.header("clear-site-data"), "\"cache\", \"storage\"", "H-02");
    assert_eq!(next_event(&mut mine).await, None);
    assert_eq!(former.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
    world.upstream.say("still here");
    assert_eq!(next_event(&mut theirs).await.unwrap(), "data: still here\n\n");
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signing_out_ends_the_session_here_and_forgets_it_there() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let (_kept, mut events) = client.events().await;
    let out = client.post("/sign-out", "").await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0") && !out.header("clear-site-data").is_empty());
    assert_eq!(next_event(&mut events).await, None);
    assert_eq!(client.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_locks_when_idle_and_survives_a_restart_until_then() {
    let mut world = World::new().await;
    let device = world.device(1).await;
    let here = super::world::address(1, vpn::address::Place::Active);
    let mut client = world.from(here, Some(&device));
    client.sign_in(1).await;
    let cookie = client.cookie.clone();
    world.restart().await;
    let client = world.from(here, Some(&device)).with_cookie(cookie);
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
    world.clock.skip(30 * 60_000);
    world.eventually("fresh again", async || !world.status().await.stale).await;
    assert_eq!(client.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
    world.eventually("ended", async || world.status().await.sessions == 0).await;
    // No token lies on the disk, ended or not.
    let database = match &world.server {
        Some(server) => server.dump(),
        // What was written last may still lie in the write-ahead log.
        None => ["sessions.db", "sessions.db-wal"]
            .map(|name| std::fs::read(world.dir.path().join(name)).unwrap())
            .concat(),
    };
    assert!(database.windows(4).any(|window| window == b"idle"), "why it ended");
    let token = client.cookie.as_ref().unwrap().split('=').nth(1).unwrap().as_bytes().to_vec();
    assert!(!database.windows(token.len()).any(|window| window == token));
}

/// A ward's terminal that shows a timeline is left alone all the same: what arrives is not what somebody does.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_events_keeps_nobody_signed_in() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let (_kept, mut events) = client.events().await;
    // Each step is short enough that silent feeds cut nobody.
    for minutes in [8, 16, 24] {
        world.clock.skip(8 * 60_000);
        world.eventually("fresh again", async || !world.status().await.stale).await;
        world.upstream.say("still here");
        assert_eq!(next_event(&mut events).await.unwrap(), "data: still here\n\n", "{minutes}");
    }
    world.clock.skip(8 * 60_000);
    assert_eq!(next_event(&mut events).await, None);
    world.eventually("ended", async || world.status().await.sessions == 0).await;
    world.eventually("fresh again", async || !world.status().await.stale).await;
    assert_eq!(client.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);
}

/// Over HTTP/2 everything of a browser shares one connection: the former's stream and the sign-in too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn switching_the_person_on_one_http2_connection_ends_the_stream_and_not_the_answer() {
    use http_body_util::BodyExt;
    let world = World::new().await;
    world.grants.slot(1, Some((1, vpn::slot::SeatClass::Active, vec![2])), 6);
    world.caught_up().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let mut sender = client.connect2().await;
    let events = client.request2(Method::GET, "sns", "/events", "");
    let mut stream = sender.send_request(events).await.unwrap().into_body();
    world.upstream.say("one");
    assert!(matches!(stream.frame().await, Some(Ok(_))));
    let body = r#"{"login":"2@m","password":"password-2"}"#;
    let request = client.request2(Method::POST, "sns", "/sign-in", body);
    let switched = reply(sender.send_request(request).await.unwrap()).await.unwrap();
    assert_eq!((switched.status, switched.json()["person"].as_str().is_some()), (StatusCode::OK, true));
    assert!(!matches!(stream.frame().await, Some(Ok(_))), "the former's stream is gone");
    client.keep_cookie(&switched);
    let next = client.request2(Method::GET, "sns", "/api/teams", "");
    assert_eq!(reply(sender.send_request(next).await.unwrap()).await.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_guesses_is_paused_and_another_is_not() {
    let world = World::new().await;
    let (bad, mut good) = (world.client(1).await, world.client(2).await);
    let guess = r#"{"login":"1@m","password":"guess"}"#;
    let mut paused = 0;
    // Fewer at once than a slot may have handshakes.
    for _ in 0..4 {
        let eight = futures_util::future::join_all((0..8).map(|_| bad.post("/sign-in", guess))).await;
        for answer in eight {
            match answer.status {
                StatusCode::UNAUTHORIZED => {}
                StatusCode::TOO_MANY_REQUESTS => {
                    paused += 1;
                    assert_eq!((answer.code().as_str(), answer.header("retry-after")), ("MM-3031", "10"));
                }
                other => panic!("{other}"),
            }
        }
    }
    assert!(paused >= 3, "{paused}");
    assert_eq!(good.sign_in(2).await.status, StatusCode::OK);
}
