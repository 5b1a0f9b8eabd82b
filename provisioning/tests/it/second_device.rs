//! 端末の追加 by two QR codes (ruling 5): expired, used twice, above the quota, another facility's; and what stays behind.

use http::StatusCode;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, RevokeReason};
use provisioning::door_more::{MoreAnswer, MoreQuestion};
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

fn form(who: &pki::identity::Identity, path: &str, body: &str) -> http::Request<axum::body::Body> {
    http::Request::post(path)
        .header("mimamori-identity", who.to_string())
        .header("content-type", "application/x-www-form-urlencoded")
        .body(axum::body::Body::from(body.to_owned()))
        .unwrap()
}

const ASKED: &str = "wanted=2&reason=visits";
/// As many as each facility holds already.
const NO_ROOM: &str = "UPDATE facility SET device_quota = (SELECT count(*) FROM slot
    WHERE slot.facility = facility.facility AND slot.state NOT IN ('free', 'cooling', 'revoked'))";
const QUOTA: &str =
    "SELECT device_quota FROM facility WHERE facility IN (SELECT facility FROM slot WHERE number > 0)";

async fn decide(town: &Town, approved: bool, dry_run: bool) -> ProvisioningAnswer {
    let request = town.text("SELECT request FROM device_request WHERE state = 'waiting'").await;
    town.ask(ProvisioningQuestion::More(MoreQuestion::Decide { request, approved, dry_run })).await
}

/// G-07: above the quota the admin asks, the secretariat decides, and an approval is room for so many more.
#[tokio::test]
async fn g_07_above_the_quota_the_secretariat_decides() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let (admin, office) = (town.admin(&facility, place).await, town.secretariat().await);
    assert_eq!(town.send(form(&admin, "/devices/more", ASKED)).await.code(), "MM-5705", "there is room");
    town.execute(NO_ROOM).await;
    let before = town.number(QUOTA).await;
    let spare = town.send(form(&admin, "/devices/more", ASKED)).await;
    assert_eq!(spare.code(), "MM-5705", "a number that it was given is not used yet");
    assert_eq!(add(&town, &admin, None).await.status, StatusCode::CREATED);
    let page = town.call(&admin, "GET", "/devices/add", None).await.text;
    assert!(page.contains("MM-5313") && page.contains("/devices/more"), "what to do is on the page: {page}");
    assert_eq!(add(&town, &admin, None).await.code(), "MM-5313");
    assert_eq!(town.send(form(&admin, "/devices/more", "wanted=0&reason=x")).await.code(), "MM-5704");
    assert_eq!(town.send(form(&office, "/devices/more", ASKED)).await.code(), "MM-5801", "it has no quota");
    assert_eq!(town.send(form(&admin, "/devices/more", ASKED)).await.status, StatusCode::SEE_OTHER);
    assert_eq!(town.send(form(&admin, "/devices/more", ASKED)).await.code(), "MM-5706", "one waits");
    let home = town.call(&office, "GET", "/", None).await.text;
    assert!(home.contains("追加の端末の申請") && home.contains("あと2台"), "what needs somebody: {home}");

    let request = town.text("SELECT request FROM device_request").await;
    let path = format!("/devices/requests/{request}");
    let own = town.send(form(&admin, &path, "decision=approve")).await;
    assert_eq!(own.code(), "MM-5801", "nobody is one's own judge");
    assert_eq!(town.send(form(&office, &path, "decision=maybe")).await.code(), "MM-5607");
    let unknown = town.send(form(&office, "/devices/requests/m-none", "decision=approve")).await;
    assert_eq!(unknown.code(), "MM-5708");
    // Attack, or two clerks: pressed twice at the same moment, a quota grows once.
    let press = || town.send(form(&office, &path, "decision=approve"));
    let (one, other) = tokio::join!(press(), press());
    let mut said = [one, other].map(|answer| match answer.status {
        StatusCode::SEE_OTHER => String::new(),
        _ => answer.code(),
    });
    said.sort();
    assert_eq!(said, ["", "MM-5707"]);
    assert_eq!(town.number(QUOTA).await, before + 2);
    assert_eq!(
        town.send(form(&office, &path, "decision=decline")).await.code(),
        "MM-5707",
        "decided is decided"
    );
    assert_eq!(town.number(QUOTA).await, before + 2);

    assert!(!town.call(&office, "GET", "/", None).await.text.contains("追加の端末の申請"));
    let list = town.call(&office, "GET", "/devices/requests", None).await.text;
    assert!(list.contains("承認を待つ申請はありません") && list.contains("2台"), "{list}");
    assert_eq!(add(&town, &admin, None).await.status, StatusCode::CREATED, "the admin adds it on the spot");
    let decided = "SELECT count(*) FROM audit WHERE action = 'device.decide'";
    assert_eq!(town.number(decided).await, 1);
}

/// The operator's door says and does the same; a rehearsal writes nothing, and what is declined changes no quota.
#[tokio::test]
async fn g_07_an_operator_decides_as_the_console_does() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    assert_eq!(add(&town, &admin, None).await.status, StatusCode::CREATED, "the last one it was given");
    town.execute(NO_ROOM).await;
    let before = town.number(QUOTA).await;
    let waiting = async || {
        let question = MoreQuestion::List { facility: Some(facility.clone()), waiting: true };
        match town.ask(ProvisioningQuestion::More(question)).await {
            ProvisioningAnswer::More(MoreAnswer::Lines(lines)) => lines,
            other => panic!("{other:?}"),
        }
    };
    for approved in [true, false] {
        town.send(form(&admin, "/devices/more", ASKED)).await;
        let lines = waiting().await;
        assert_eq!((lines.len(), lines[0].wanted, lines[0].reason.as_str()), (1, 2, "visits"));
        assert_eq!(i64::from(lines[0].quota), town.number(QUOTA).await);
        let ProvisioningAnswer::More(MoreAnswer::Decided(rehearsed)) = decide(&town, approved, true).await
        else {
            panic!("a rehearsal is answered")
        };
        assert!(rehearsed.dry_run);
        assert_eq!(waiting().await.len(), 1, "it still waits");
        let ProvisioningAnswer::More(MoreAnswer::Decided(done)) = decide(&town, approved, false).await else {
            panic!("a decision is answered")
        };
        assert_eq!((done.standing, done.quota), (rehearsed.standing, rehearsed.quota));
        assert_eq!(i64::from(done.quota), town.number(QUOTA).await);
        assert!(waiting().await.is_empty());
        town.execute(NO_ROOM).await;
    }
    assert_eq!(town.number(QUOTA).await, before);
    let states = "SELECT count(*) FROM device_request WHERE state = 'declined' AND decided_by <> ''";
    assert_eq!(town.number(states).await, 1);
}
