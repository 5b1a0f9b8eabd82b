//! Apple's payload over ACME (issue 5, RFC 8555, device-attest-01): a claim in two halves, and its attackers.

use http::StatusCode;
use pki::door::IssuingQuestion;
use provisioning::door::RevokeReason;
use serde_json::{Value, json};
use vpn::slot::SlotNumber;

use super::acme_client::{By, Client, order_of};
use super::neighbours::Mode;
use super::town::{Answer, Town, slot};

const OFFICE: &str = "18-0000";

/// What the page asks with: as for a claim, without a request.
async fn entry(town: &Town, place: SlotNumber, seed: u8) -> Value {
    let mut body = town.claim_body(place, seed).await;
    body.as_object_mut().unwrap().remove("certificate_request");
    body
}

async fn pass(town: &Town, place: SlotNumber, body: &Value) -> Answer {
    let request = http::Request::post("/claim/apple")
        .header("mimamori-visitor", format!("v1;slot={place};class=enrolling"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.to_string()));
    town.send(request.unwrap()).await
}

async fn identifier(town: &Town, place: SlotNumber, seed: u8) -> String {
    let passed = pass(town, place, &entry(town, place, seed).await).await;
    assert_eq!(passed.status, StatusCode::CREATED, "{}", passed.text);
    passed.json()["client_identifier"].as_str().unwrap().to_owned()
}

/// Account, order, challenge: everything before the request for the certificate.
async fn ready(client: &Client<'_>, identifier: &str) -> String {
    assert_eq!(client.account().await.status, StatusCode::CREATED);
    let ordered = client.order(identifier).await;
    assert_eq!(ordered.status, StatusCode::CREATED, "{}", ordered.text);
    let order = order_of(&ordered);
    let answered = client.post(&format!("/acme/challenge/{order}"), By::Kid, "{}").await;
    assert_eq!(answered.json()["status"], "valid", "{}", answered.text);
    order
}

fn urn(answer: &Answer) -> String {
    let urn = answer.json()["type"].as_str().unwrap_or_default().to_owned();
    urn.trim_start_matches("urn:ietf:params:acme:error:").to_owned()
}

/// What somebody is told: the standard's word and our code.
fn told(answer: &Answer) -> (String, String) {
    assert_eq!(answer.headers["content-type"], "application/problem+json", "{}", answer.text);
    assert!(answer.headers.contains_key("replay-nonce"), "a client can go on at once");
    (urn(answer), answer.code())
}

fn both(urn: &str, code: &str) -> (String, String) {
    (urn.to_owned(), code.to_owned())
}

#[tokio::test]
async fn a_device_gets_its_certificate_with_what_the_page_gave_and_the_claim_is_the_pages() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let passed = pass(&town, place, &entry(&town, place, 7).await).await;
    assert_eq!(passed.status, StatusCode::CREATED, "{}", passed.text);
    let passed = passed.json();
    assert_eq!(passed["interface"]["address"], "10.18.0.100/32");
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 0, "no claim yet");
    assert!(town.around.vpn.seat(place, false).is_none());

    let client = Client::new(&town, place);
    assert_eq!(passed["directory"], client.url("/acme/directory"));
    let account = client.account().await;
    assert_eq!(account.headers["location"], client.kid());
    let identifier = passed["client_identifier"].as_str().unwrap();
    let ordered = client.order(identifier).await;
    let order = order_of(&ordered);
    assert_eq!(ordered.headers["location"], client.url(&format!("/acme/order/{order}")));
    let body = ordered.json();
    assert_eq!(
        (body["status"].as_str(), body["identifiers"][0]["value"].as_str()),
        (Some("pending"), Some(identifier))
    );
    assert_eq!(order_of(&client.order(identifier).await), order, "asked again, it is the same order");
    let authorization = client.read(&format!("/acme/authorization/{order}")).await.json();
    let challenge = &authorization["challenges"][0];
    assert_eq!(
        (challenge["type"].as_str(), challenge["status"].as_str()),
        (Some("device-attest-01"), Some("pending"))
    );
    assert_eq!(challenge["url"], client.url(&format!("/acme/challenge/{order}")));
    let early = client.finalize(&order, &[7; 40]).await;
    assert_eq!(told(&early), both("orderNotReady", "MM-5424"));
    let answered = client.post(&format!("/acme/challenge/{order}"), By::Kid, r#"{"attObj":"e30"}"#).await;
    assert_eq!(answered.json()["status"], "valid");
    assert_eq!(client.read(&format!("/acme/order/{order}")).await.json()["status"], "ready");

    let done = client.finalize(&order, &[7; 40]).await;
    assert_eq!(
        (done.status, done.json()["status"].as_str()),
        (StatusCode::OK, Some("valid")),
        "{}",
        done.text
    );
    let place_of_chain = format!("/acme/certificate/{order}");
    assert_eq!(done.json()["certificate"], client.url(&place_of_chain));
    let chain = client.read(&place_of_chain).await;
    assert_eq!(chain.headers["content-type"], "application/pem-certificate-chain");
    assert_eq!(chain.text.matches("-----BEGIN CERTIFICATE-----").count(), 2);

    // The seat is the one of the profile: its key, its preshared key.
    let seat = town.around.vpn.seat(place, false).unwrap();
    assert_eq!(*seat.key.as_bytes(), [7; 32]);
    assert_eq!(passed["peer"]["preshared_key"], seat.psk.expose_base64());
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 1);
    assert_eq!(town.text("SELECT label FROM device WHERE slot = '18-0000'").await, "受付のiPad");
    assert_eq!(town.number("SELECT count(*) FROM person WHERE password_hash IS NOT NULL").await, 1, "G-05");
    assert_eq!(town.text("SELECT psk FROM acme_pass").await, "", "of no more use, and not kept");
    assert_eq!(town.number("SELECT count(*) FROM acme_pass WHERE admin_hash IS NOT NULL").await, 0);
    // Asked again, nothing more happens; another request gets nothing.
    assert_eq!(client.finalize(&order, &[7; 40]).await.json()["status"], "valid");
    assert_eq!(told(&client.finalize(&order, &[8; 40]).await), both("orderNotReady", "MM-5424"));
    assert_eq!(town.around.pki.issued(), 1);
    for action in ["acme.pass", "acme.order", "acme.attest", "claim.begin", "claim.seat", "acme.finalize"] {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM audit WHERE action = $1")
            .bind(action)
            .fetch_one(&town.registry().await)
            .await
            .unwrap();
        assert_eq!(count, 1, "{action}");
    }
}

#[tokio::test]
async fn the_directory_says_where_everything_is_and_an_account_is_its_key() {
    let town = Town::new().await;
    let client = Client::new(&town, slot(OFFICE));
    let directory = client.get("/acme/directory").await;
    for (name, path) in [
        ("newNonce", "/acme/new-nonce"),
        ("newAccount", "/acme/new-account"),
        ("newOrder", "/acme/new-order"),
    ] {
        assert_eq!(directory.json()[name], client.url(path));
    }
    let head = client.head("/acme/new-nonce").await;
    assert_eq!((head.status, &head.headers["cache-control"]), (StatusCode::OK, &"no-store".parse().unwrap()));
    assert_eq!(client.get("/acme/new-nonce").await.status, StatusCode::NO_CONTENT);
    let unknown = client.post("/acme/new-account", By::Jwk, r#"{"onlyReturnExisting":true}"#).await;
    assert_eq!(told(&unknown), both("accountDoesNotExist", "MM-5420"));
    assert_eq!(client.account().await.status, StatusCode::CREATED);
    let own = client.kid();
    let path = own.split_once(".jp").unwrap().1;
    assert_eq!(client.read(path).await.json()["status"], "valid");
    let other = Client::new(&town, slot(OFFICE));
    assert_eq!(told(&other.read(path).await), both("unauthorized", "MM-5423"));
}

/// Another profile with the same sheet, before the first handshake: the predecessor is void (ruling 5).
#[tokio::test]
async fn a_second_profile_voids_the_first() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let first = identifier(&town, place, 7).await;
    let client = Client::new(&town, place);
    let order = ready(&client, &first).await;
    assert_eq!(client.finalize(&order, &[7; 40]).await.json()["status"], "valid");
    let again = identifier(&town, place, 9).await;
    let other = Client::new(&town, place);
    let order = ready(&other, &again).await;
    assert_eq!(other.finalize(&order, &[9; 40]).await.json()["status"], "valid");
    assert_eq!(town.around.pki.living(place).len(), 1, "the first certificate is revoked");
    assert_eq!(*town.around.vpn.seat(place, false).unwrap().key.as_bytes(), [9; 32]);
}

/// One thing wrong at a time, with a client that knows the right identifier.
#[tokio::test]
async fn what_is_not_signed_for_here_and_now_is_refused() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    let client = Client::new(&town, place);
    client.account().await;
    let path = "/acme/new-order";
    let name = json!({ "type": "permanent-identifier", "value": identifier });
    let payload = json!({ "identifiers": [name] }).to_string();

    for (what, change, said) in [
        ("none", json!({ "alg": "none" }), both("badSignatureAlgorithm", "MM-5418")),
        ("HS256", json!({ "alg": "HS256" }), both("badSignatureAlgorithm", "MM-5418")),
        ("RS256", json!({ "alg": "RS256" }), both("badSignatureAlgorithm", "MM-5418")),
        ("another url", json!({ "url": client.url("/acme/new-account") }), both("malformed", "MM-5417")),
        (
            "another host",
            json!({ "url": "https://evil.example/acme/new-order" }),
            both("malformed", "MM-5417"),
        ),
        ("jwk and kid", json!({ "jwk": client.jwk() }), both("malformed", "MM-5417")),
        ("only a jwk", json!({ "kid": null, "jwk": client.jwk() }), both("malformed", "MM-5417")),
        ("another's kid", json!({ "kid": Client::new(&town, place).kid() }), both("malformed", "MM-5417")),
        (
            "no account",
            json!({ "kid": client.url("/acme/account/x") }),
            both("accountDoesNotExist", "MM-5420"),
        ),
        ("a nonce of its own", json!({ "nonce": "AAAAAAAAAAAAAAAAAAAAAA" }), both("badNonce", "MM-5419")),
    ] {
        let mut header = client.header(path, By::Kid).await;
        for (key, value) in change.as_object().unwrap() {
            header[key] = value.clone();
        }
        assert_eq!(told(&client.send(path, client.sign(&header, &payload)).await), said, "{what}");
    }
    // A nonce is good once, in its own slot.
    let header = client.header("/acme/new-account", By::Jwk).await;
    let body = client.sign(&header, "{}");
    assert!(client.send("/acme/new-account", body.clone()).await.status.is_success());
    assert_eq!(told(&client.send("/acme/new-account", body).await), both("badNonce", "MM-5419"));
    let neighbour = Client::new(&town, slot("18-0001"));
    let mut foreign = client.header(path, By::Kid).await;
    foreign["nonce"] = json!(neighbour.nonce().await);
    assert_eq!(told(&client.send(path, client.sign(&foreign, &payload)).await), both("badNonce", "MM-5419"));
    // The limits of size and depth, before anything is looked up.
    for body in ["".to_owned(), "[".repeat(30_000), "A".repeat(60_000), "A".repeat(70_000)] {
        assert_eq!(told(&client.send(path, body).await), both("malformed", "MM-5417"));
    }
    let deep = format!("{{\"identifiers\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    assert_eq!(told(&client.post(path, By::Kid, &deep).await), both("malformed", "MM-5417"));
    let plain = http::Request::post(path)
        .header("mimamori-visitor", format!("v1;slot={place};class=enrolling"))
        .header("content-type", "application/json")
        .body(axum::body::Body::from("{}"));
    assert_eq!(told(&town.send(plain.unwrap()).await), both("malformed", "MM-5417"));
    assert_eq!(town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await, 0, "no guess");
    assert_eq!(client.order(&identifier).await.status, StatusCode::CREATED, "and the right one still works");
}

#[tokio::test]
async fn an_identifier_is_one_devices_once_and_for_a_quarter_of_an_hour() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let first = identifier(&town, place, 7).await;
    let second = identifier(&town, place, 8).await;
    let client = Client::new(&town, place);
    client.account().await;
    assert_eq!(told(&client.order(&first).await), both("unauthorized", "MM-5422"), "the page made another");
    let order = ready(&client, &second).await;

    let thief = Client::new(&town, place);
    thief.account().await;
    assert_eq!(told(&thief.order(&second).await), both("unauthorized", "MM-5422"), "used");
    let nobodys = thief.read("/acme/order/o-aaaaaaaaaaaaaaaa").await;
    for path in ["order", "authorization", "challenge", "certificate"] {
        let foreign = thief.read(&format!("/acme/{path}/{order}")).await;
        assert_eq!((told(&foreign), foreign.status), (told(&nobodys), nobodys.status), "{path}");
    }
    assert_eq!(told(&thief.finalize(&order, &[9; 40]).await), both("unauthorized", "MM-5423"));
    assert_eq!(
        told(&thief.post(&format!("/acme/challenge/{order}"), By::Kid, "{}").await),
        both("unauthorized", "MM-5423")
    );
    // The device's own account in another tunnel: the slot is the tunnel's, not the request's.
    let mut elsewhere = Client::new(&town, place);
    elsewhere.place = slot("18-0001");
    elsewhere.account().await;
    assert_eq!(elsewhere.order(&second).await.code(), "MM-5401", "no sheet there, and no such number");

    town.execute("UPDATE acme_pass SET valid_until = 1 WHERE state = 'ready'").await;
    assert_eq!(told(&client.finalize(&order, &[8; 40]).await), both("unauthorized", "MM-5422"));
    assert_eq!(client.read(&format!("/acme/order/{order}")).await.json()["status"], "invalid");
    assert_eq!(town.around.pki.issued(), 0);

    let third = identifier(&town, place, 10).await;
    let device = Client::new(&town, place);
    let order = ready(&device, &third).await;
    assert_eq!(device.finalize(&order, &[10; 40]).await.status, StatusCode::OK);
    assert_eq!(told(&device.order(&third).await), both("unauthorized", "MM-5422"), "its work is done");
}

/// Guesses at identifiers, passwords on the page and EST's are one count, with one set of words.
#[tokio::test]
async fn guessed_identifiers_count_with_guessed_passwords() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let page = entry(&town, place, 7).await;
    let identifier = identifier(&town, place, 7).await;
    let mut spoiled = page.clone();
    spoiled["password"] = json!("0000-0000-0000-0000");
    let client = Client::new(&town, place);
    client.account().await;
    let number = page["number"].as_str().unwrap();
    for failures in 1..=4 {
        let guessed = match failures {
            1 => client.order(&format!("{number}-{}", "a".repeat(32))).await,
            2 => pass(&town, place, &spoiled).await,
            3 => client.order(&"9".repeat(9_000)).await,
            _ => client.order("").await,
        };
        let (status, code) = (guessed.status, guessed.code());
        assert_eq!((status, code.as_str()), (StatusCode::FORBIDDEN, "MM-5401"), "{failures}");
        assert_eq!(town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await, failures);
    }
    let fifth = client.order("0000000000-x").await;
    assert_eq!((told(&fifth), fifth.status), (both("rateLimited", "MM-5402"), StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(fifth.headers["retry-after"], "900");
    let paused = client.order(&identifier).await;
    assert_eq!(told(&paused), both("rateLimited", "MM-5402"), "the right one, but paused");
    assert_eq!(pass(&town, place, &page).await.code(), "MM-5402", "the page too");
    town.execute("UPDATE enrolment SET paused_until = 0, failures = 14").await;
    assert_eq!(client.order(&identifier).await.status, StatusCode::CREATED);
    assert_eq!(
        town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await,
        14,
        "forgives nothing"
    );
    assert_eq!(told(&client.order("x").await), both("unauthorized", "MM-5403"), "the fifteenth locks");
    assert_eq!(told(&client.order(&identifier).await), both("unauthorized", "MM-5403"));
    assert_eq!(town.around.pki.issued(), 0);
}

#[tokio::test]
async fn a_neighbour_that_fails_and_a_request_that_is_none_leave_an_order_that_can_go_on() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    let client = Client::new(&town, place);
    let order = ready(&client, &identifier).await;
    for (what, request) in
        [("nothing", Vec::new()), ("a giant", vec![1; 5_000]), ("refused", b"bad request".to_vec())]
    {
        assert_eq!(told(&client.finalize(&order, &request).await), both("badCSR", "MM-5410"), "{what}");
    }
    assert_eq!(
        town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await,
        0,
        "none was a claim"
    );
    town.around.pki.mood.set(|question| match question {
        IssuingQuestion::Issue { .. } => Mode::Fails,
        _ => Mode::Works,
    });
    let silent = client.finalize(&order, &[7; 40]).await;
    assert_eq!(
        (told(&silent), silent.status),
        (both("serverInternal", "MM-5807"), StatusCode::SERVICE_UNAVAILABLE)
    );
    town.around.pki.mood.set(|_| Mode::Works);
    assert_eq!(client.finalize(&order, &[7; 40]).await.json()["status"], "valid");
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 1, "the same claim");
}

/// Attack: whoever has the account's key finalizes twice at one moment, with two keys. One certificate, one claim.
#[tokio::test]
async fn two_requests_at_the_same_moment_are_one_certificate() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    let client = Client::new(&town, place);
    let order = ready(&client, &identifier).await;
    let (one, other) = tokio::join!(client.finalize(&order, &[7; 40]), client.finalize(&order, &[8; 40]));
    let (won, lost) = if one.status == StatusCode::OK { (one, other) } else { (other, one) };
    assert_eq!(won.json()["status"], "valid", "{}", won.text);
    assert_eq!(told(&lost), both("orderNotReady", "MM-5424"));
    assert_eq!(town.around.pki.issued(), 1);
    assert_eq!(town.number("SELECT count(*) FROM claim").await, 1);
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 1);
}

/// What would open a tunnel or an account does not outlive its quarter of an hour, whether anybody asks or not.
#[tokio::test]
async fn an_identifier_that_ran_out_leaves_no_secret_in_its_row() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    town.execute("UPDATE acme_pass SET valid_until = 1").await;
    town.crash();
    town.start().await;
    town.until("the row is swept", async || {
        town.number("SELECT count(*) FROM acme_pass WHERE psk <> '' OR admin_hash IS NOT NULL").await == 0
    })
    .await;
    let client = Client::new(&town, place);
    client.account().await;
    assert_eq!(told(&client.order(&identifier).await), both("unauthorized", "MM-5422"));
    assert_eq!(
        town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await,
        0,
        "late, not wrong"
    );
}

#[tokio::test]
async fn a_revoked_slot_and_a_done_sheet_give_nothing() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    let client = Client::new(&town, place);
    let order = ready(&client, &identifier).await;
    town.enrolled(place, 9).await;
    let late = client.finalize(&order, &[7; 40]).await;
    assert_eq!(
        told(&late),
        both("unauthorized", "MM-5408"),
        "the page's claim was first, and its tunnel stands"
    );
    assert_eq!(told(&client.order(&identifier).await), both("unauthorized", "MM-5408"));

    let (_, second) = town.facilities(1).await.remove(0);
    let identifier = self::identifier(&town, second, 11).await;
    let client = Client::new(&town, second);
    let order = ready(&client, &identifier).await;
    town.revoke(second, RevokeReason::Lost).await;
    assert_eq!(told(&client.finalize(&order, &[11; 40]).await), both("unauthorized", "MM-5409"));
}

/// A room that dies between the seat and the order's last word: the device asks again and hears the same certificate.
#[tokio::test]
async fn a_crash_after_the_claim_is_made_good_by_the_same_request() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    let identifier = identifier(&town, place, 7).await;
    let key = {
        let client = Client::new(&town, place);
        let order = ready(&client, &identifier).await;
        assert_eq!(client.finalize(&order, &[7; 40]).await.status, StatusCode::OK);
        town.execute("UPDATE acme_pass SET state = 'ready', chain = NULL").await;
        (order, client.into_key())
    };
    town.crash();
    town.start().await;
    let client = Client::with_key(&town, place, key.1);
    // Its nonce died with the room: told so, with another one.
    let stale = json!({ "alg": "ES256", "nonce": "AAAAAAAAAAAAAAAAAAAAAA", "url": client.url("/acme/new-account"), "jwk": client.jwk() });
    let answer = client.send("/acme/new-account", client.sign(&stale, "{}")).await;
    assert_eq!(told(&answer), both("badNonce", "MM-5419"));
    assert_eq!(client.finalize(&key.0, &[7; 40]).await.json()["status"], "valid");
    assert_eq!(town.around.pki.issued(), 1);
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 1);
}
