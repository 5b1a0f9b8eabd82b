//! Passkeys at the gateway (issue 6): the challenge is good once, on one device, at one name, for one person's act; whatever
//! fails is told like a wrong password; and what signs in is a session like any other.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::world::World;
use super::world::client::{Client, Reply};
use super::world::doubles::person;

const FORM: &str = "application/x-www-form-urlencoded";

async fn at(client: &Client, label: &str, path: &str, body: &Value) -> Reply {
    client.send(client.request(Method::POST, label, path, &body.to_string())).await.unwrap()
}

async fn challenge(client: &Client, label: &str) -> String {
    let told = at(client, label, "/sign-in/passkey/challenge", &json!({})).await;
    assert_eq!(
        (told.status, told.json()["rp"].as_str()),
        (StatusCode::OK, Some(&*format!("{label}.m.example.jp")))
    );
    told.json()["challenge"].as_str().unwrap().to_owned()
}

/// The double of the accounts' room takes a proof whose signature is its challenge.
fn proof(challenge: &str, credential: &str) -> Value {
    json!({
        "challenge": challenge, "credential": credential, "client_data": "c", "authenticator_data": "a",
        "signature": challenge,
    })
}

async fn registered(client: &Client, label: &str, credential: &str) -> Reply {
    let offer = at(client, label, "/passkeys/offer", &json!({"password": "password-1"})).await;
    assert_eq!(offer.status, StatusCode::OK, "{}", offer.body);
    let new = json!({
        "label": "phone", "challenge": offer.json()["challenge"], "client_data": credential, "attestation": "none",
    });
    at(client, label, "/passkeys", &new).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_passkey_is_registered_signs_in_and_is_given_up() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    let offer = at(&client, "sns", "/passkeys/offer", &json!({"password": "password-1"})).await;
    let told = offer.json();
    assert_eq!(
        (told["person"].as_str(), told["held"].as_array().unwrap().len()),
        (Some(person(1).as_str()), 0)
    );
    assert_eq!(registered(&client, "sns", "key-1").await.status, StatusCode::NO_CONTENT);
    assert!(client.get("/passkeys").await.body.contains("phone"));
    assert_eq!(client.post("/sign-out", "").await.status, StatusCode::NO_CONTENT);

    let mut client = client.with_cookie(None);
    let asked = challenge(&client, "sns").await;
    let arrived = at(&client, "sns", "/sign-in/passkey", &proof(&asked, "key-1")).await;
    assert_eq!(
        (arrived.status, arrived.json()["person"].as_str()),
        (StatusCode::OK, Some(person(1).as_str()))
    );
    client.keep_cookie(&arrived);
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
    // A cookie of a passkey's session opens nothing on another device, like any other (ruling 1).
    let elsewhere = world.client(2).await.with_cookie(client.cookie.clone());
    assert_eq!(elsewhere.get("/api/teams").await.status, StatusCode::UNAUTHORIZED);

    let finder = client.clone().with_cookie(None);
    let asked = challenge(&finder, "sns").await;
    let mut finder = finder;
    let found = at(&finder, "sns", "/sign-in/passkey", &proof(&asked, "key-1")).await;
    finder.keep_cookie(&found);
    assert_eq!(finder.get("/api/teams").await.status, StatusCode::OK);
    for _twice in 0..2 {
        let gone = at(&client, "sns", "/passkeys/remove", &json!({"credential": "key-1"})).await;
        assert_eq!(gone.status, StatusCode::NO_CONTENT);
    }
    assert_eq!(finder.get("/api/teams").await.status, StatusCode::UNAUTHORIZED, "whoever else was in is out");
    assert_eq!(client.get("/api/teams").await.status, StatusCode::OK);
    let asked = challenge(&client, "sns").await;
    let gone = at(&client, "sns", "/sign-in/passkey", &proof(&asked, "key-1")).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_challenge_is_spent_once_and_for_nothing_else() {
    let world = World::new().await;
    world.grants.slot(2, Some((2, vpn::slot::SeatClass::Active, vec![1])), 6);
    world.caught_up().await;
    let mut client = world.client(1).await;
    client.sign_in(1).await;
    assert_eq!(registered(&client, "sns", "key-1").await.status, StatusCode::NO_CONTENT);
    let stranger = client.clone().with_cookie(None);
    let sign_in = async |client: &Client, label: &str, challenge: &str| {
        at(client, label, "/sign-in/passkey", &proof(challenge, "key-1")).await
    };
    let refused = |reply: &Reply| {
        assert_eq!((reply.status, reply.code()), (StatusCode::UNAUTHORIZED, "MM-3030".into()));
        assert!(reply.headers.get("set-cookie").is_none());
    };
    let asked = challenge(&stranger, "sns").await;
    // On another slot which this person may use, too; at another name; for another act.
    refused(&sign_in(&world.client(2).await, "sns", &asked).await);
    refused(&sign_in(&stranger, "office", &asked).await);
    let new = json!({"label": "x", "challenge": asked, "client_data": "key-2", "attestation": "none"});
    let kept = at(&client, "sns", "/passkeys", &new).await;
    assert_eq!((kept.status, kept.code()), (StatusCode::CONFLICT, "MM-3038".into()));
    // None of them spent it.
    assert_eq!(sign_in(&stranger, "sns", &asked).await.status, StatusCode::OK);
    refused(&sign_in(&stranger, "sns", &asked).await);
    refused(&sign_in(&stranger, "sns", "").await);
    refused(&sign_in(&stranger, "sns", &"A".repeat(43)).await);
    let late = challenge(&stranger, "sns").await;
    world.clock.skip(5 * 60_000);
    world.eventually("fresh again", async || !world.status().await.stale).await;
    refused(&sign_in(&stranger, "sns", &late).await);
    // An offer is for its person and its act.
    let offer = at(&client, "sns", "/passkeys/offer", &json!({"password": "password-1"})).await;
    let offered = offer.json()["challenge"].as_str().unwrap().to_owned();
    refused(&sign_in(&stranger, "sns", &offered).await);
    let other = {
        let mut other = stranger.clone();
        world.grants.slot(1, Some((1, vpn::slot::SeatClass::Active, vec![2])), 7);
        world.caught_up().await;
        other.sign_in(2).await;
        other
    };
    let new = json!({"label": "x", "challenge": offered, "client_data": "key-2", "attestation": "none"});
    assert_eq!(
        at(&other, "sns", "/passkeys", &new).await.status,
        StatusCode::CONFLICT,
        "another person's offer"
    );
    assert_eq!(at(&client, "sns", "/passkeys", &new).await.status, StatusCode::NO_CONTENT);
    let codes = world.why(1).await;
    assert!(codes.iter().all(|code| ["MM-3030", "MM-3038"].contains(&code.as_str())), "{codes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_fails_hears_what_a_wrong_password_hears() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    let asked = challenge(&client, "sns").await;
    let unknown = at(&client, "sns", "/sign-in/passkey", &proof(&asked, "nobody's")).await;
    let wrong = client.post("/sign-in", r#"{"login":"1@m","password":"x"}"#).await;
    let plain = |reply: &Reply| {
        let mut body = reply.json();
        body["trace"] = Value::Null;
        (reply.status, body)
    };
    assert_eq!(plain(&unknown), plain(&wrong));
    world.accounts.paused.store(true, std::sync::atomic::Ordering::SeqCst);
    let asked = challenge(&client, "sns").await;
    let paused = at(&client, "sns", "/sign-in/passkey", &proof(&asked, "key-1")).await;
    assert_eq!((paused.status, paused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "900"));
    world.accounts.paused.store(false, std::sync::atomic::Ordering::SeqCst);
    world.accounts.silent.store(true, std::sync::atomic::Ordering::SeqCst);
    let asked = challenge(&client, "sns").await;
    let down = at(&client, "sns", "/sign-in/passkey", &proof(&asked, "key-1")).await;
    assert_eq!(down.code(), "MM-3053");
    world.accounts.silent.store(false, std::sync::atomic::Ordering::SeqCst);

    // Nobody who is not signed in, or has only a first password, sees or makes any; nobody without the password makes one.
    for path in ["/passkeys", "/passkeys/offer", "/passkeys/remove"] {
        assert_eq!(at(&client, "sns", path, &json!({})).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    client.sign_in(1).await;
    let offer = at(&client, "sns", "/passkeys/offer", &json!({"password": "password-2"})).await;
    assert_eq!((offer.status, offer.code()), (StatusCode::FORBIDDEN, "MM-3033".into()));
    let mut foreign = client.request(Method::POST, "sns", "/passkeys/remove", "{}");
    foreign.headers_mut().insert("origin", "https://evil.example".parse().unwrap());
    assert_eq!(client.send(foreign).await.unwrap().code(), "MM-3040");
    world.accounts.must_change.store(true, std::sync::atomic::Ordering::SeqCst);
    client.sign_in(1).await;
    let held = at(&client, "sns", "/passkeys/offer", &json!({"password": "password-1"})).await;
    assert_eq!((held.status, held.code()), (StatusCode::FORBIDDEN, "MM-3029".into()));
    assert!(world.upstream.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_sends_forms_and_the_pages_carry_one_script_of_ours() {
    let world = World::new().await;
    let mut client = world.client(1).await;
    let page = client.get("/sign-in").await;
    assert!(page.body.contains(r#"src="/assets/passkey.js""#) && !page.body.contains("<script>"));
    let script = client.get("/assets/passkey.js").await;
    assert!(
        script.header("content-type").starts_with("text/javascript")
            && script.body.contains("navigator.credentials")
    );
    client.sign_in(1).await;
    assert_eq!(registered(&client, "sns", "key-1").await.status, StatusCode::NO_CONTENT);
    let form = |body: String, path: &str| {
        let mut request = client.request(Method::POST, "sns", path, &body);
        request.headers_mut().insert("content-type", FORM.parse().unwrap());
        request
    };
    let text = |challenge: &str, credential: &str| {
        format!(
            "challenge={challenge}&credential={credential}&person=&client_data=c&authenticator_data=a&signature={challenge}"
        )
    };
    let asked = challenge(&client, "sns").await;
    let wrong = client.send(form(text(&asked, "key-9"), "/sign-in/passkey")).await.unwrap();
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(wrong.body.contains("ログインできませんでした"));
    let asked = challenge(&client, "sns").await;
    let right = client.send(form(text(&asked, "key-1"), "/sign-in/passkey")).await.unwrap();
    assert_eq!((right.status, right.header("location")), (StatusCode::SEE_OTHER, "/"));
    client.keep_cookie(&right);
    let form = |body: &str, path: &str| {
        let mut request = client.request(Method::POST, "sns", path, body);
        request.headers_mut().insert("content-type", FORM.parse().unwrap());
        request
    };
    let removed = client.send(form("credential=key-1", "/passkeys/remove")).await.unwrap();
    assert_eq!((removed.status, removed.header("location")), (StatusCode::SEE_OTHER, "/passkeys"));
    let refused =
        client.send(form("label=x&challenge=y&client_data=z&attestation=none", "/passkeys")).await.unwrap();
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.body.contains("MM-3038") && refused.body.contains("まだ登録はありません"));
}
