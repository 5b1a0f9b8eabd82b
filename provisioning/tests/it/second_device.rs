//! 端末の追加 by two QR codes (ruling 5): expired, used twice, above the quota, another facility's; and what stays behind.

use http::StatusCode;
use provisioning::door::RevokeReason;
use serde_json::{Value, json};
use vpn::slot::SlotNumber;

use super::town::{Answer, Town};

/// The second code's words as the claim page sends them.
fn words(new: &Value, seed: u8) -> (SlotNumber, Value) {
    let url = new["claim_url"].as_str().unwrap();
    let (page, fragment) = url.split_once('#').unwrap();
    assert_eq!(page, "https://claim.mimamori.example.jp/", "what a server is sent holds no word");
    let word = |name: &str| {
        let pair = fragment.split('&').find(|pair| pair.starts_with(name)).unwrap();
        pair.split_once('=').unwrap().1.to_owned()
    };
    let body = json!({
        "number": word("number"), "password": word("password"),
        "wireguard_public_key": data_encoding::BASE64.encode(&[seed; 32]),
        "certificate_request": data_encoding::BASE64.encode(&[seed; 40]),
        "label": "訪問用タブレット",
    });
    (new["slot"].as_str().unwrap().parse().unwrap(), body)
}

async fn add(town: &Town, who: &pki::identity::Identity, key: Option<&str>) -> Answer {
    town.call_with(who, "POST", "/api/devices", Some(json!({ "label": "訪問用タブレット" })), key).await
}

#[tokio::test]
async fn two_codes_make_a_device() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let made = add(&town, &admin, Some("k-1")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let new = made.json();
    let (slot, body) = words(&new, 21);
    assert_ne!(slot, place);
    let profile = new["profile"].as_str().unwrap();
    assert!(
        profile.contains("AllowedIPs = 10.18.255.2/32") && !profile.contains("DNS"),
        "claim and start pages only"
    );
    town.until("the bootstrap key is seated", async || town.around.vpn.seat(slot, true).is_some()).await;
    // Pressed twice: nothing is shown again, and nothing more is made.
    assert_eq!(add(&town, &admin, Some("k-1")).await.code(), "MM-5703");
    assert_eq!(town.number("SELECT count(*) FROM enrolment WHERE admin_person IS NULL").await, 1);

    let claimed = town.claim(slot, body.clone()).await;
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.text);
    assert!(claimed.json()["login"].is_null(), "no admin's password comes with a code");
    town.around.vpn.handshake(slot, false, "192.0.2.9:6000");
    town.until("the bootstrap seat is empty", async || town.around.vpn.seat(slot, true).is_none()).await;
    assert_eq!(town.text("SELECT state FROM device WHERE label = '訪問用タブレット'").await, "active");
    // The codes have done their work.
    let (_, mut again) = words(&new, 22);
    again["label"] = json!("もう一台");
    assert_eq!(town.claim(slot, again).await.code(), "MM-5408");
    nothing_of_it_stays(&town, &new).await;
}

/// Ruling 5: stored nowhere, neither the private key nor the password.
async fn nothing_of_it_stays(town: &Town, new: &Value) {
    let private =
        new["profile"].as_str().unwrap().lines().find_map(|l| l.strip_prefix("PrivateKey = ")).unwrap();
    let password = new["claim_url"].as_str().unwrap().split_once("password=").unwrap().1;
    for entry in std::fs::read_dir(&town.config.dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        for secret in [private, password] {
            assert!(!bytes.windows(secret.len()).any(|w| w == secret.as_bytes()), "{}", path.display());
        }
    }
}

#[tokio::test]
async fn after_ten_minutes_the_codes_are_nothing_and_the_number_is_used_again() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let (slot, body) = words(&add(&town, &admin, None).await.json(), 31);
    // As if ten minutes had passed.
    town.execute("UPDATE enrolment SET valid_until = 1 WHERE admin_person IS NULL").await;
    let late = town.claim(slot, body).await.code();
    assert!(late == "MM-5404" || late == "MM-5409", "expired, or swept already: {late}");
    let (again, body) = words(&add(&town, &admin, None).await.json(), 32);
    assert_eq!(again, slot, "no number is lost to a code that ran out");
    assert_eq!(town.claim(again, body).await.status, StatusCode::OK);
    assert_eq!(town.number("SELECT count(*) FROM device WHERE label = '訪問用タブレット'").await, 1);
}

#[tokio::test]
async fn the_quota_holds_and_each_facility_stays_in_its_own() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let ours = town.admin(&facilities[0].0, facilities[0].1).await;
    let theirs = town.admin(&facilities[1].0, facilities[1].1).await;
    let (slot, body) = words(&add(&town, &ours, None).await.json(), 41);
    // Another facility's tunnel gets nothing with these words, like a number that nobody has.
    assert_eq!(town.claim(facilities[1].1, body.clone()).await.code(), "MM-5401");
    let foreign = words(&add(&town, &theirs, None).await.json(), 42).0;
    assert_ne!(foreign, slot);
    let lost = town.call(&theirs, "POST", &format!("/api/devices/{slot}/lost"), Some(json!({}))).await;
    let nobody = town.call(&theirs, "POST", "/api/devices/18-9999/lost", Some(json!({}))).await;
    assert_eq!((lost.status, lost.code()), (nobody.status, nobody.code()));
    for role in [pki::identity::Role::Staff, pki::identity::Role::Family, pki::identity::Role::Secretariat] {
        let who = pki::identity::Identity { role, ..ours.clone() };
        assert_eq!(add(&town, &who, None).await.code(), "MM-5801", "{role}");
    }
    town.execute("UPDATE facility SET device_quota = (SELECT count(*) FROM slot WHERE slot.facility = facility.facility)").await;
    let mut last = String::new();
    // Allotted numbers are used up first; then the quota says no.
    for _ in 0..60 {
        let answer = add(&town, &ours, None).await;
        if answer.status != StatusCode::CREATED {
            last = answer.code();
            break;
        }
    }
    assert_eq!(last, "MM-5313");
}

/// A device that was reported lost before it was claimed takes its codes with it.
#[tokio::test]
async fn a_revoked_place_cannot_be_claimed() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let (slot, body) = words(&add(&town, &admin, None).await.json(), 51);
    town.revoke(slot, RevokeReason::Lost).await;
    assert_eq!(town.claim(slot, body).await.code(), "MM-5409");
    assert_ne!(words(&add(&town, &admin, None).await.json(), 52).0, slot, "a revoked number is nobody's");
}
