//! Renewal without a hand over EST (issue 5, RFC 7030), with its neighbours and its attackers.

use axum::body::Body;
use http::{Request, StatusCode};
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::town::{Answer, Town, slot};
use pki::door::IssuingQuestion;
use provisioning::door::RevokeReason;
use serde_json::Value;

const OFFICE: &str = "18-0000";
const PKCS10: &str = "application/pkcs10";

/// What `claim_body` of the same seed has for a request.
fn request(seed: u8) -> String {
    data_encoding::BASE64.encode(&[seed; 40])
}

fn post(place: SlotNumber, class: &str, media: &str, body: &str) -> Request<Body> {
    Request::post("/.well-known/est/simplereenroll")
        .header("mimamori-visitor", format!("v1;slot={place};class={class}"))
        .header("content-type", media)
        .body(Body::from(body.to_owned()))
        .unwrap()
}

async fn renew(town: &Town, place: SlotNumber, body: &str) -> Answer {
    town.send(post(place, "active", PKCS10, body)).await
}

#[tokio::test]
async fn a_device_in_its_seat_renews_and_the_registry_knows() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let early = renew(&town, place, &request(7)).await;
    assert_eq!((early.status, early.code().as_str()), (StatusCode::FORBIDDEN, "MM-5415"), "not claimed yet");
    town.enrolled(place, 7).await;
    let before = town.text("SELECT certificate FROM device WHERE slot = '18-0000'").await;
    // Lines of base64, as every EST client sends them.
    let body = request(7);
    let (one, two) = body.split_at(20);
    let answer = renew(&town, place, &format!("{one}\r\n{two}\n")).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/pkcs7-mime; smime-type=certs-only");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let envelope = data_encoding::BASE64.decode(answer.text.as_bytes()).unwrap();
    let after = town.text("SELECT certificate FROM device WHERE slot = '18-0000'").await;
    assert_ne!(after, before);
    let serial = data_encoding::HEXLOWER.decode(after.as_bytes()).unwrap();
    assert!(envelope.windows(serial.len()).any(|part| part == serial), "the new certificate's");
    assert_eq!(
        town.number("SELECT certificate_end FROM device WHERE slot = '18-0000'").await,
        1_950_000_000_000
    );
    // Asked for again, nothing changes and nothing more is told.
    assert_eq!(renew(&town, place, &body).await.text, answer.text);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'certificate.renewed'").await, 1);
}

#[tokio::test]
async fn what_is_no_renewal_is_refused_each_with_its_code() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    town.enrolled(place, 7).await;
    let good = request(7);
    let long = "A".repeat(9_000);
    for (name, class, media, body, status, code) in [
        ("an enrolling seat", "enrolling", PKCS10, good.as_str(), 403, "MM-5415"),
        ("a seat that leaves", "leaving", PKCS10, &good, 403, "MM-5415"),
        ("another key", "active", PKCS10, &request(9), 422, "MM-5410"),
        ("no base64", "active", PKCS10, "%%%", 422, "MM-5410"),
        ("nothing", "active", PKCS10, "", 422, "MM-5410"),
        ("only white space", "active", PKCS10, " \r\n ", 422, "MM-5410"),
        ("too long", "active", PKCS10, &long, 422, "MM-5410"),
    ] {
        let answer = town.send(post(place, class, media, body)).await;
        assert_eq!((answer.status.as_u16(), answer.code().as_str()), (status, code), "{name}");
    }
    for media in ["text/plain", "application/json", "application/pkcs10; charset=utf-8"] {
        let answer = town.send(post(place, "active", media, &good)).await;
        assert!(answer.status.is_client_error(), "{media}");
    }
    // Somebody else's seat: the tunnel says the slot, the key does not.
    let other = town.send(post(slot("18-0001"), "active", PKCS10, &good)).await;
    assert!(other.status.is_client_error(), "{}", other.text);
    let mut nobody = post(place, "active", PKCS10, &good);
    nobody.headers_mut().remove("mimamori-visitor");
    assert_eq!(town.send(nobody).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'certificate.renewed'").await, 0);
    town.around.pki.mood.set(|question| match question {
        IssuingQuestion::Renew { .. } => Mode::Fails,
        _ => Mode::Works,
    });
    assert_eq!(renew(&town, place, &good).await.status, StatusCode::SERVICE_UNAVAILABLE);
    town.around.pki.mood.set(|_| Mode::Works);
    assert_eq!(renew(&town, place, &good).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_revoked_slot_renews_nothing() {
    let town = Town::new().await;
    let slots = town.facilities(1).await;
    let place = slots[0].1;
    town.enrolled(place, 7).await;
    town.revoke(place, RevokeReason::Lost).await;
    let answer = renew(&town, place, &request(7)).await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "MM-5415"));
}

fn basic(body: &Value) -> String {
    let word = |name: &str| body[name].as_str().unwrap().to_owned();
    let both = format!("{}:{}", word("number"), word("password"));
    format!("Basic {}", data_encoding::BASE64.encode(both.as_bytes()))
}

fn enrol(place: SlotNumber, who: Option<&str>, key: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::post("/.well-known/est/simpleenroll")
        .header("mimamori-visitor", format!("v1;slot={place};class=enrolling"))
        .header("content-type", PKCS10);
    for (name, value) in [("authorization", who), ("wireguard-public-key", key)] {
        if let Some(value) = value {
            request = request.header(name, value);
        }
    }
    request.body(Body::from(body.to_owned())).unwrap()
}

/// RFC 7030 4.2.1 with ruling 5's number and password: the claim, for a machine.
#[tokio::test]
async fn a_machine_claims_with_number_and_password_and_a_repetition_is_the_same_claim() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let page = town.claim_body(place, 7).await;
    let (who, key) = (basic(&page), data_encoding::BASE64.encode(&[8; 32]));
    let body = request(8);
    // G-05: an admin's own password is chosen on the page; a sheet for an admin is claimed there first.
    let first = town.send(enrol(place, Some(&who), Some(&key), &body)).await;
    assert_eq!(first.code(), "MM-5412");
    assert_eq!(town.claim(place, page).await.status, StatusCode::OK);

    let answer = town.send(enrol(place, Some(&who), Some(&key), &body)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/pkcs7-mime; smime-type=certs-only");
    assert_eq!(answer.headers["cache-control"], "no-store");
    let envelope = data_encoding::BASE64.decode(answer.text.as_bytes()).unwrap();
    let serial = town.text("SELECT certificate FROM device WHERE slot = '18-0000'").await;
    let serial = data_encoding::HEXLOWER.decode(serial.as_bytes()).unwrap();
    assert!(envelope.windows(serial.len()).any(|part| part == serial), "the device's certificate");
    let profile = data_encoding::BASE64.decode(answer.headers["wireguard-profile"].as_bytes()).unwrap();
    let profile = String::from_utf8(profile).unwrap();
    let seat = town.around.vpn.seat(place, false).unwrap();
    assert_eq!(*seat.key.as_bytes(), [8; 32]);
    for line in [
        "Address = 10.18.0.100/32".to_owned(),
        format!("PresharedKey = {}", seat.psk.expose_base64()),
        "AllowedIPs = 10.18.255.1/32, 10.18.255.2/32".to_owned(),
    ] {
        assert!(profile.contains(&line), "{line}: {profile}");
    }
    let again = town.send(enrol(place, Some(&who), Some(&key), &body)).await;
    assert_eq!(
        (again.text, &again.headers["wireguard-profile"]),
        (answer.text, &answer.headers["wireguard-profile"])
    );
    assert_eq!(town.around.pki.living(place).len(), 1, "the page's certificate is revoked");
    assert_eq!(town.number("SELECT claims FROM enrolment WHERE slot = '18-0000'").await, 2);
}

/// The attacker's EST client gets no more tries than the page gives, and no other words.
#[tokio::test]
async fn a_machines_guesses_count_with_the_pages_and_are_answered_alike() {
    let town = Town::new().await;
    let place = slot(OFFICE);
    let page = town.claim_body(place, 7).await;
    let (right, key, body) = (basic(&page), data_encoding::BASE64.encode(&[7; 32]), request(7));
    for who in [None, Some("Basic ###"), Some("Bearer x"), Some("Basic"), Some("Basic eA==")] {
        let asked = town.send(enrol(place, who, Some(&key), &body)).await;
        assert_eq!((asked.status, asked.code().as_str()), (StatusCode::UNAUTHORIZED, "MM-5416"), "{who:?}");
        assert!(asked.headers["www-authenticate"].to_str().unwrap().starts_with("Basic realm="));
    }
    for (name, key, body, code) in [
        ("no tunnel key", None, body.as_str(), "MM-5411"),
        ("not a key", Some("x"), &body, "MM-5411"),
        ("no request", Some(key.as_str()), "", "MM-5410"),
    ] {
        let answer = town.send(enrol(place, Some(&right), key, body)).await;
        assert_eq!(answer.code(), code, "{name}");
    }
    assert_eq!(town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await, 0, "no guess yet");
    let wrong = serde_json::json!({ "number": page["number"], "password": "0000-0000-0000-0000" });
    let mut spoiled = page.clone();
    spoiled["password"] = wrong["password"].clone();
    for failures in 1..=4 {
        let by_page = failures % 2 == 0;
        let answer = match by_page {
            true => town.claim(place, spoiled.clone()).await,
            false => town.send(enrol(place, Some(&basic(&wrong)), Some(&key), &body)).await,
        };
        assert_eq!((answer.status, answer.code().as_str()), (StatusCode::FORBIDDEN, "MM-5401"));
        assert_eq!(town.number("SELECT failures FROM enrolment WHERE slot = '18-0000'").await, failures);
    }
    let one = town.send(enrol(place, Some(&basic(&wrong)), Some(&key), &body)).await;
    assert_eq!((one.code().as_str(), one.headers["retry-after"].to_str().unwrap()), ("MM-5402", "900"));
    let paused = town.send(enrol(place, Some(&right), Some(&key), &body)).await;
    assert_eq!(paused.code(), "MM-5402", "the right one, but paused");
    assert_eq!(town.claim(place, page).await.code(), "MM-5402", "the page too");
    assert_eq!(town.around.pki.issued(), 0);
}

#[tokio::test]
async fn the_wish_for_requests_is_a_p256_key() {
    let town = Town::new().await;
    let asked = Request::get("/.well-known/est/csrattrs")
        .header("mimamori-visitor", "v1;slot=18-0000;class=enrolling");
    let answer = town.send(asked.body(Body::empty()).unwrap()).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/csrattrs".parse().unwrap())
    );
    let der = data_encoding::BASE64.decode(answer.text.as_bytes()).unwrap();
    let meant = "3021301506072a8648ce3d0201310a06082a8648ce3d03010706082a8648ce3d040302";
    assert_eq!(data_encoding::HEXLOWER.encode(&der), meant);
}
