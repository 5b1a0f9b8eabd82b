//! Ruling 5 with its database, its neighbours and its crashes.

use http::StatusCode;
use provisioning::accounts::AccountCheck;
use serde_json::{Value, json};
use vpn::slot::SeatClass;

use super::neighbours::Mode;
use super::town::{OWN_PASSWORD, Town, claim_request, slot};
use pki::door::{IssuingQuestion, RevocationReason};
use vpn::door::SeatsQuestion;

const OFFICE: &str = "18-0000";

fn with(mut body: Value, field: &str, value: &str) -> Value {
    body[field] = json!(value);
    body
}

/// Requirements B-18, G-05, G-06.
#[tokio::test]
async fn a_claim_gives_the_final_key_and_the_first_handshake_kills_the_bootstrap() {
    let town = Town::new().await;
    let slots = town.facilities(1).await;
    let place = slots[0].1;
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    town.around.vpn.handshake(place, true, "192.0.2.1:5000");
    let body = town.claim_body(place, 7).await;
    let answer = town.claim(place, body.clone()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let claimed = answer.json();
    assert_eq!(claimed["slot"], place.to_string());
    assert_eq!(claimed["interface"], json!({ "address": "10.18.0.101/32", "mtu": 1280 }));
    assert_eq!(claimed["peer"]["allowed_ips"], json!(["10.18.255.1/32", "10.18.255.2/32"]));
    assert_eq!(
        (claimed["claims_left"].as_u64(), claimed["friendly_name"].as_str()),
        (Some(2), Some("みまもり 18-0001"))
    );
    assert_eq!(claimed["certificate_chain"].as_str().unwrap().matches("BEGIN CERTIFICATE").count(), 2);

    // While it is claimed both seats live, and the gateway is told to let the final device in.
    let seat = town.around.vpn.seat(place, false).unwrap();
    assert_eq!(claimed["peer"]["preshared_key"], seat.psk.expose_base64());
    assert!(town.around.vpn.seat(place, true).is_some());
    assert_eq!(holder(&town, place).await, Some(seat.class));

    town.around.vpn.handshake(place, false, "192.0.2.1:6000");
    town.until("the bootstrap seat is empty", async || town.around.vpn.seat(place, true).is_none()).await;
    assert_eq!(town.text("SELECT state FROM enrolment WHERE slot = '18-0001'").await, "done");
    assert_eq!(town.text("SELECT state FROM slot WHERE slot = '18-0001'").await, "active");
    assert_eq!(
        town.text("SELECT state || ' ' || label FROM device WHERE slot = '18-0001'").await,
        "active 受付のiPad"
    );
    assert_eq!(town.number("SELECT count(*) FROM case_step WHERE step = 'C-12.2'").await, 1);
    let again = town.claim(place, body).await;
    assert_eq!((again.status, again.code().as_str()), (StatusCode::GONE, "MM-5408"));
}

async fn holder(town: &Town, place: vpn::slot::SlotNumber) -> Option<SeatClass> {
    let changes = town.grants().await;
    changes.slots.into_iter().find(|grant| grant.slot == place).unwrap().holder.map(|holder| holder.class)
}

/// The attacker holds the bootstrap profile from the mail and guesses.
#[tokio::test]
async fn every_wrong_entry_answers_alike_and_is_counted_first() {
    let town = Town::new().await;
    let slots = town.facilities(2).await;
    let (ours, theirs) = (slots[0].1, slots[1].1);
    let right = town.claim_body(ours, 7).await;
    let foreign = town.claim_body(theirs, 7).await;
    let attacks = [
        with(right.clone(), "password", "0000-0000-0000-0000"),
        with(right.clone(), "password", "x"),
        with(right.clone(), "number", "1234567890"),
        foreign,
    ];
    let mut texts = vec![];
    for (count, attack) in attacks.into_iter().enumerate() {
        let answer = town.claim(ours, attack).await;
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "MM-5401"));
        let counted = town.number("SELECT failures FROM enrolment WHERE slot = '18-0001'").await;
        assert_eq!(counted, count as i64 + 1, "counted in this slot's sheet, before the answer");
        texts.push(answer.text);
    }
    assert!(texts.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(
        town.number("SELECT CAST(sum(failures) AS BIGINT) FROM enrolment WHERE slot <> '18-0001'").await,
        0
    );

    let fifth = town.claim(ours, with(right.clone(), "number", "")).await;
    assert_eq!(
        (fifth.status, fifth.headers["retry-after"].to_str().unwrap()),
        (StatusCode::TOO_MANY_REQUESTS, "900")
    );
    let paused = town.claim(ours, right.clone()).await;
    assert_eq!(
        (paused.status, paused.code().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "MM-5402"),
        "right, but paused"
    );
    // Time passes: 15 minutes, then the rest of the fifteen.
    town.execute("UPDATE enrolment SET paused_until = 0, failures = 14 WHERE slot = '18-0001'").await;
    assert_eq!(town.claim(ours, with(right.clone(), "password", "y")).await.code(), "MM-5403");
    assert_eq!(town.claim(ours, right).await.code(), "MM-5403", "locked is locked");
    assert_eq!(town.around.pki.issued(), 0);
}

/// Twelve guesses at once, the right one among them: the pause is not outrun.
#[tokio::test]
async fn guesses_sent_at_once_count_one_by_one() {
    let town = Town::new().await;
    let right = town.claim_body(slot(OFFICE), 7).await;
    let guesses: Vec<_> = (0..12)
        .map(|n| {
            let guess = with(right.clone(), "password", &format!("0000-0000-0000-00{n:02}"));
            town.begin(tower::ServiceExt::oneshot(town.room().router(), claim_request(slot(OFFICE), guess)))
        })
        .collect();
    let mut wrong = 0;
    for guess in guesses {
        let status = guess.await.unwrap().unwrap().status();
        assert!(matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS));
        wrong += usize::from(status == StatusCode::FORBIDDEN);
    }
    assert_eq!(wrong, 4, "four are told that they are wrong, the fifth pauses");
    assert_eq!(town.number("SELECT max(failures) FROM enrolment").await, 5);
}

#[tokio::test]
async fn a_lost_answer_is_heard_again_and_other_keys_void_the_predecessor() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let first = town.claim(place, town.claim_body(place, 7).await).await.json();
    let again = town.claim(place, town.claim_body(place, 7).await).await.json();
    assert_eq!(first, again, "the same keys are the same claim");

    for (seed, left) in [(8, 1), (9, 0)] {
        let before = town.around.pki.living(place);
        let next = town.claim(place, town.claim_body(place, seed).await).await.json();
        assert_eq!(next["claims_left"], left);
        assert_eq!(town.around.pki.living(place).len(), 1, "the predecessor's certificate is revoked");
        assert_ne!(town.around.pki.living(place), before);
        assert_eq!(*town.around.vpn.seat(place, false).unwrap().key.as_bytes(), [seed; 32]);
    }
    let fourth = town.claim(place, town.claim_body(place, 10).await).await;
    assert_eq!((fourth.status, fourth.code().as_str()), (StatusCode::GONE, "MM-5407"));
    let third = town.claim(place, town.claim_body(place, 9).await).await;
    assert_eq!(third.status, StatusCode::OK, "the third one's answer may still be heard again");
    town.execute("UPDATE enrolment SET claimed_at = claimed_at - 600000").await;
    assert_eq!(town.claim(place, town.claim_body(place, 9).await).await.code(), "MM-5406");
    assert!(town.around.pki.reasons().iter().all(|reason| *reason == RevocationReason::Superseded));
}

#[tokio::test]
async fn a_late_handshake_of_a_predecessor_ends_nothing() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    town.claim(place, town.claim_body(place, 7).await).await;
    let predecessor = town.around.vpn.seat(place, false).unwrap().generation;
    town.claim(place, town.claim_body(place, 8).await).await;
    town.around.vpn.handshake_of(place, false, predecessor, "203.0.113.9:1");
    town.until("heard", async || town.around.vpn.heard()).await;
    assert_eq!(town.text("SELECT state FROM enrolment WHERE slot = '18-0000'").await, "claimed");
    assert!(town.around.vpn.seat(place, true).is_some());
}

/// Two hands on the bootstrap key: the claim is void, also the password that came with it.
#[tokio::test]
async fn a_bootstrap_handshake_from_another_address_voids_the_claim() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    town.around.vpn.handshake(place, true, "192.0.2.1:5000");
    assert_eq!(town.claim(place, town.claim_body(place, 7).await).await.status, StatusCode::OK);
    town.around.vpn.handshake(place, true, "203.0.113.9:5000");
    town.until("the final seat is empty", async || town.around.vpn.seat(place, false).is_none()).await;
    town.until("the certificate is revoked", async || town.around.pki.living(place).is_empty()).await;
    assert_eq!(town.around.pki.reasons(), [RevocationReason::KeyCompromise]);
    assert_eq!(town.text("SELECT state FROM enrolment").await, "void");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'claim.alarm'").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM person WHERE password_hash IS NULL").await, 1);
    assert_eq!(holder(&town, place).await, Some(SeatClass::Enrolling));
    assert_eq!(town.claim(place, town.claim_body(place, 7).await).await.code(), "MM-5409");
}

#[tokio::test]
async fn the_admins_own_password_is_asked_for_checked_and_works() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    assert_eq!(town.claim(place, with(body.clone(), "admin_password", "")).await.code(), "MM-5412");
    assert_eq!(town.claim(place, with(body.clone(), "admin_password", "short-1")).await.code(), "MM-5501");
    assert_eq!(
        town.claim(place, with(body.clone(), "admin_password", "jimukyoku-2026")).await.code(),
        "MM-5504"
    );
    assert_eq!(
        town.number("SELECT CAST(sum(claims) + sum(failures) AS BIGINT) FROM enrolment").await,
        0,
        "no claim, no wrong entry"
    );
    assert_eq!(town.claim(place, body).await.json()["login"], "jimukyoku@mimamori.example.jp");
    let check = town.room().check_account("JIMUKYOKU@mimamori.example.jp", OWN_PASSWORD).await.unwrap();
    assert!(matches!(check, AccountCheck::Right { must_change: false, .. }), "{check:?}");
}

#[tokio::test]
async fn what_the_authority_refuses_is_no_claim_and_unusable_keys_are_named() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    let bad = data_encoding::BASE64.encode(b"bad request");
    for _ in 0..4 {
        let refused = town.claim(place, with(body.clone(), "certificate_request", &bad)).await;
        assert_eq!((refused.status, refused.code().as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "MM-5410"));
    }
    let weak = data_encoding::BASE64.encode(&[0; 32]);
    assert_eq!(town.claim(place, with(body.clone(), "wireguard_public_key", &weak)).await.code(), "MM-5411");
    let own = town.around.vpn.seat(place, true).unwrap().key.to_string();
    assert_eq!(town.claim(place, with(body.clone(), "wireguard_public_key", &own)).await.code(), "MM-5411");
    assert_eq!(town.claim(place, json!({ "number": "1" })).await.code(), "MM-5803");
    assert_eq!(town.claim(place, body).await.json()["claims_left"], 2);
}

/// Killed after the signature, before anything was written: the same request gets the same certificate.
#[tokio::test]
async fn a_crash_between_signature_and_seat_is_made_good_by_asking_again() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    town.around.pki.mood.set(|question| match question {
        IssuingQuestion::Issue { .. } => Mode::DiesAfterwards,
        _ => Mode::Works,
    });
    let lost =
        town.begin(tower::ServiceExt::oneshot(town.room().router(), claim_request(place, body.clone())));
    town.until("signed", async || town.around.pki.issued() == 1).await;
    town.crash();
    assert!(lost.await.is_err());
    assert!(town.around.vpn.seat(place, false).is_none());

    town.around.pki.mood.set(|_| Mode::Works);
    town.start().await;
    let answer = town.claim(place, body).await;
    assert_eq!((answer.status, answer.json()["claims_left"].as_u64()), (StatusCode::OK, Some(2)));
    assert_eq!((town.around.pki.issued(), town.around.pki.living(place).len()), (1, 1));
}

/// The same crash, but nobody asks again: the certificate without a seat is revoked by the sweep.
#[tokio::test]
async fn a_certificate_that_nobody_came_back_for_is_revoked() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    town.around.pki.mood.set(|_| Mode::DiesAfterwards);
    town.begin(tower::ServiceExt::oneshot(town.room().router(), claim_request(place, body)));
    town.until("signed", async || town.around.pki.issued() == 1).await;
    town.crash();
    town.execute("UPDATE claim SET begun_at = 0").await;
    town.around.pki.mood.set(|_| Mode::Works);
    town.start().await;
    town.until("revoked", async || town.around.pki.living(place).is_empty()).await;
}

/// The vpn room refuses to answer at the last step, and everything dies: the row is the truth.
#[tokio::test]
async fn a_crash_between_row_and_seat_is_made_good_by_reconciliation() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    let body = town.claim_body(place, 7).await;
    town.around.vpn.mood.set(|question| match question {
        SeatsQuestion::Status => Mode::Works,
        _ => Mode::Fails,
    });
    let answer = town.claim(place, body.clone()).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "MM-5807"));
    town.crash();
    town.around.vpn.mood.set(|_| Mode::Works);
    town.start().await;
    town.until("seated", async || town.around.vpn.seat(place, false).is_some()).await;
    assert_eq!(town.claim(place, body).await.json()["claims_left"], 2);
}

/// The vpn room saw the handshake while we were dead, and has forgotten its events since.
#[tokio::test]
async fn a_handshake_that_nobody_heard_is_found_in_the_status() {
    let mut town = Town::new().await;
    let place = slot(OFFICE);
    town.claim(place, town.claim_body(place, 7).await).await;
    town.crash();
    town.around.vpn.handshake(place, false, "192.0.2.1:6000");
    town.start().await;
    town.until("done", async || town.text("SELECT state FROM enrolment").await == "done").await;
    town.until("the bootstrap seat is empty", async || town.around.vpn.seat(place, true).is_none()).await;
    town.around.vpn.restarts();
    town.until("seated again", async || town.around.vpn.seat(place, false).is_some()).await;
    assert!(town.around.vpn.seat(place, true).is_none(), "the dead key stays dead");
}

#[tokio::test]
async fn the_page_says_what_to_do_and_nobody_else_sees_it() {
    let town = Town::new().await;
    let page = http::Request::get("/").header("mimamori-visitor", "v1;slot=18-0000;class=enrolling");
    let page = town.send(page.body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(
        page.text.contains("18-0000")
            && page.text.contains("/assets/mimamori.css")
            && !page.text.contains("<script>")
    );
    let stranger = town.send(http::Request::get("/").body(axum::body::Body::empty()).unwrap()).await;
    assert_eq!(stranger.status, StatusCode::UNAUTHORIZED);
    let mut claim = claim_request(slot(OFFICE), town.claim_body(slot(OFFICE), 7).await);
    claim.headers_mut().append("mimamori-visitor", "v1;slot=18-0001;class=enrolling".parse().unwrap());
    assert_eq!(town.send(claim).await.code(), "MM-5414", "two visitors are none");
}
