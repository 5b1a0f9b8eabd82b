//! Renewal without a hand over EST (issue 5, RFC 7030), with its neighbours and its attackers.

use axum::body::Body;
use http::{Request, StatusCode};
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::town::{Answer, Town, slot};
use pki::door::IssuingQuestion;
use provisioning::door::RevokeReason;

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
