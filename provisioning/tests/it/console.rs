//! The office over HTTP: permissions, people, patients whose names never stay here, lost devices.

use http::StatusCode;
use pki::identity::{FacilityId, Identity, Role};
use serde_json::{Value, json};
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::pages::LIVE;
use super::town::Town;

type Place = (FacilityId, SlotNumber);

const NAME: &str = "若狭 うららか";

fn person(login: &str) -> Value {
    json!({ "login": login, "name": "足羽 桜", "profession": "看護師", "pledge_date": "2026-04-01" })
}

fn patient(origin: &str) -> Value {
    json!({ "name": NAME, "kana": "ワカサ ウララカ", "consent_date": "2026-10-01", "origin": origin })
}

fn as_role(who: &Identity, role: Role) -> Identity {
    Identity { role, ..who.clone() }
}

/// Requirements A-09, H-02, H-03, H-17.
#[tokio::test]
async fn a_person_needs_a_pledge_and_an_address_of_its_own() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let admin_address = town.text("SELECT written FROM address WHERE use_as = 'admin'").await;
    for (body, code) in [
        (json!({ "login": "a@b.example", "name": "x", "profession": "y" }), "MM-5605"),
        (
            json!({ "login": "a@b.example", "name": "x", "profession": "y", "pledge_date": "2999-01-01" }),
            "MM-5606",
        ),
        (
            json!({ "login": "a@b.example", "name": " ", "profession": "y", "pledge_date": "2026-04-01" }),
            "MM-5607",
        ),
        (person("たろう"), "MM-5601"),
        (person(&admin_address.to_uppercase()), "MM-5602"),
        (person("jimukyoku@mimamori.example.jp"), "MM-5602"),
    ] {
        assert_eq!(town.call(&admin, "POST", "/api/people", Some(body.clone())).await.code(), code, "{body}");
    }
    let carrier = town.call(&admin, "POST", "/api/people", Some(person("sakura@docomo.ne.jp"))).await;
    assert_eq!(
        (carrier.status, carrier.json()["warnings"][0]["code"].as_str()),
        (StatusCode::CREATED, Some("MM-5614"))
    );
    let grants = town.grants().await;
    let membership = carrier.json()["membership"].as_str().unwrap().to_owned();
    assert!(
        grants
            .memberships
            .iter()
            .any(|m| m.membership.as_str() == membership && m.active && m.role == Role::Staff)
    );
    let people = town.call(&admin, "GET", "/api/people", None).await.json();
    assert_eq!(people.as_array().unwrap().len(), 2);
    assert!(people[1]["waiting"].as_bool().unwrap() && !people.to_string().contains("argon2"));
}

#[tokio::test]
async fn a_repeated_request_makes_one_person_and_a_usable_password() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let send = async |key: &str, login: &str| {
        town.call_with(&admin, "POST", "/api/people", Some(person(login)), Some(key)).await
    };
    let first = send("k-1", "sakura@a.example").await.json();
    let again = send("k-1", "sakura@a.example").await.json();
    assert_eq!((&first["person"], &first["membership"]), (&again["person"], &again["membership"]));
    let (room, password) = (town.room(), again["initial_password"].as_str().unwrap().to_owned());
    let check = town
        .begin(async move { room.check_account("sakura@a.example", &password).await.unwrap() })
        .await
        .unwrap();
    assert!(matches!(check, provisioning::accounts::AccountCheck::Right { must_change: true, .. }));
    assert_eq!(send("k-1", "other@a.example").await.code(), "MM-5804");
    assert_eq!(send("", "other@a.example").await.code(), "MM-5808");
    assert_eq!(town.number("SELECT count(*) FROM person WHERE login LIKE '%@a.example'").await, 1);
}

/// Requirements B-09, B-15.
#[tokio::test]
async fn a_patient_is_registered_linked_and_joined_and_the_name_stays_nowhere() {
    let town = Town::new().await;
    let facilities = town.facilities(3).await;
    let office = town.secretariat().await;
    let body = patient(facilities[0].0.as_str());
    let mut without = body.clone();
    without["consent_date"] = json!("");
    assert_eq!(town.call(&office, "POST", "/api/patients", Some(without)).await.code(), "MM-5608");
    let made = town.call_with(&office, "POST", "/api/patients", Some(body.clone()), Some("p-1")).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let again = town.call_with(&office, "POST", "/api/patients", Some(body), Some("p-1")).await;
    assert_eq!(made.json(), again.json());
    let id = made.json()["patient"].as_str().unwrap().to_owned();

    let link = |facility: &str| json!({ "facility": facility });
    let path = format!("/api/patients/{id}/facilities");
    assert_eq!(
        town.call(&office, "POST", &path, Some(link(facilities[1].0.as_str()))).await.status,
        StatusCode::OK
    );
    assert_eq!(town.call(&office, "POST", &path, Some(link("f-nothere"))).await.code(), "MM-5609");
    b_15_only_own_people_of_linked_patients(&town, &facilities[1], &facilities[2], &id).await;
    town.execute("UPDATE facility SET state = 'suspended' WHERE kind <> '事務局'").await;
    assert_eq!(
        town.call(&office, "POST", &path, Some(link(facilities[2].0.as_str()))).await.code(),
        "MM-5610"
    );

    let rows = town.call(&office, "GET", "/api/patients", None).await.json();
    assert_eq!((rows[0]["name"].as_str(), rows[0]["facilities"].as_array().unwrap().len()), (Some(NAME), 2));
    no_file_holds_the_name(&town);
}

async fn b_15_only_own_people_of_linked_patients(town: &Town, linked: &Place, unlinked: &Place, id: &str) {
    let linked = town.admin(&linked.0, linked.1).await;
    let unlinked = town.admin(&unlinked.0, unlinked.1).await;
    let made = town.call(&linked, "POST", "/api/people", Some(person("sakura@a.example"))).await.json();
    let body = json!({ "membership": made["membership"] });
    let path = format!("/api/patients/{id}/members");
    assert_eq!(town.call(&linked, "POST", &path, Some(body.clone())).await.status, StatusCode::OK);
    let own_admin = json!({ "membership": linked.membership });
    assert_eq!(
        town.call(&linked, "POST", &path, Some(own_admin)).await.code(),
        "MM-5612",
        "P-02: an admin reads no posts"
    );
    let team = town.around.sns.teams.lock().unwrap().values().next().unwrap().clone();
    assert_eq!((team.members[0].name.as_str(), team.members[0].profession.as_str()), ("足羽 桜", "看護師"));

    // A patient of others is a patient that does not exist, byte for byte.
    let foreign = town.call(&unlinked, "POST", &path, Some(body.clone())).await;
    let nobody = town.call(&unlinked, "POST", "/api/patients/t-nothere/members", Some(body)).await;
    assert_eq!((foreign.status, &foreign.text), (StatusCode::NOT_FOUND, &nobody.text));
    assert_eq!(town.call(&unlinked, "GET", "/api/patients", None).await.text, "[]");
}

fn no_file_holds_the_name(town: &Town) {
    for entry in std::fs::read_dir(&town.config.dir).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for text in [NAME, "ワカサ"] {
            assert!(!bytes.windows(text.len()).any(|window| window == text.as_bytes()), "ruling 10");
        }
    }
}

/// The SNS dies in the middle: the same key opens the same team later; a refusal leaves nothing.
#[tokio::test]
async fn a_team_that_could_not_be_opened_is_opened_by_the_repetition() {
    let town = Town::new().await;
    let (facility, _) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    town.around.sns.mood.set(|_| Mode::Fails);
    let failed =
        town.call_with(&office, "POST", "/api/patients", Some(patient(facility.as_str())), Some("p-1")).await;
    assert_eq!((failed.status, failed.code().as_str()), (StatusCode::SERVICE_UNAVAILABLE, "MM-5807"));
    town.around.sns.mood.set(|_| Mode::Works);
    let made = town
        .call_with(&office, "POST", "/api/patients", Some(patient(facility.as_str())), Some("p-1"))
        .await
        .json();
    assert_eq!(town.text("SELECT patient FROM patient").await, made["patient"].as_str().unwrap());
    assert_eq!(town.around.sns.teams.lock().unwrap().len(), 1);

    let mut refused = patient(facility.as_str());
    refused["name"] = json!("断られる名前");
    assert_eq!(
        town.call_with(&office, "POST", "/api/patients", Some(refused), Some("p-2")).await.code(),
        "MM-5613"
    );
    assert_eq!(town.number("SELECT count(*) FROM patient").await, 1);
}

#[tokio::test]
async fn who_may_not_may_not() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let (office, admin) = (town.secretariat().await, town.admin(&facility, place).await);
    let (staff, family) = (as_role(&admin, Role::Staff), as_role(&admin, Role::Family));
    for (who, method, path) in [
        (&admin, "GET", "/api/facilities"),
        (&admin, "GET", "/api/slots"),
        (&admin, "GET", "/api/cases"),
        (&admin, "POST", "/api/patients"),
        (&office, "GET", "/api/people"),
        (&office, "POST", "/api/people"),
        (&staff, "GET", "/api/people"),
        (&staff, "GET", "/api/devices"),
        (&staff, "GET", "/api/patients"),
        (&staff, "GET", "/"),
        (&family, "GET", "/"),
        (&family, "POST", "/api/devices/18-0001/lost"),
    ] {
        let body = (method == "POST").then(|| json!({}));
        let answer = town.call(who, method, path, body).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::FORBIDDEN, "MM-5801"),
            "{} {path}",
            who.role
        );
        assert_eq!(answer.json()["trace"], "0123456789abcdef");
    }
    let nobody = http::Request::get("/api/people").body(axum::body::Body::empty()).unwrap();
    assert_eq!(town.send(nobody).await.code(), "MM-5802");
    for (who, path) in [
        (&office, "/api/facilities"),
        (&office, "/api/slots"),
        (&office, "/api/cases"),
        (&office, "/api/devices"),
    ] {
        assert!(!town.call(who, "GET", path, None).await.json().as_array().unwrap().is_empty(), "{path}");
    }
    assert_eq!(town.call(&office, "GET", "/api/nothing", None).await.code(), "MM-5805");
}

/// B-28: a colleague reports a lost device; another facility's number answers like nobody's.
#[tokio::test]
async fn a_lost_device_is_out_by_one_button() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let ((ours, place), (_, theirs)) = (facilities[0].clone(), facilities[1].clone());
    let staff = as_role(&town.admin(&ours, place).await, Role::Staff);
    let foreign = town.call(&staff, "POST", &format!("/api/devices/{theirs}/lost"), None).await;
    assert_eq!((foreign.status, foreign.code().as_str()), (StatusCode::NOT_FOUND, "MM-5701"));
    let body = Some(json!({ "note": "電車に忘れた" }));
    let lost = town.call(&staff, "POST", &format!("/api/devices/{place}/lost"), body).await;
    assert_eq!(lost.status, StatusCode::OK, "{}", lost.text);
    let receipt = lost.json();
    assert_eq!(
        (receipt["complete"].as_bool(), receipt["person"].as_str()),
        (Some(true), Some(staff.person.as_str()))
    );
    assert_eq!(town.text("SELECT note FROM slot_history WHERE state = 'revoked'").await, "電車に忘れた");
    let again = town.call(&staff, "POST", &format!("/api/devices/{place}/lost"), None).await.json();
    assert_eq!(again["receipt"], receipt["receipt"]);
}

#[tokio::test]
async fn each_role_has_a_first_page() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let office = town.call(&town.secretariat().await, "GET", "/", None).await;
    assert!(
        office.status == StatusCode::OK && office.text.contains("18-0001") && office.text.contains("VPN番号")
    );
    let admin = town.call(&town.admin(&facility, place).await, "GET", "/", None).await;
    assert!(
        admin.status == StatusCode::OK && admin.text.contains("18-0001") && !admin.text.contains("18-0000")
    );
    let script = town.call(&town.secretariat().await, "GET", "/live.js", None).await;
    assert!(script.headers["content-type"].to_str().unwrap().starts_with("text/javascript"));
    for page in [office, admin] {
        assert!(
            page.text.contains("/assets/mimamori.css")
                && !page.text.replace(LIVE, "").contains("<script")
                && !page.text.contains("style=")
        );
    }
}

/// Ruling 5: the claim page and all it loads come from this room, for devices on the claim listener only.
#[tokio::test]
async fn the_claim_page_brings_its_own_scripts() {
    let town = Town::new().await;
    let get = async |path: &str, header: (&'static str, String)| {
        let request = http::Request::get(path).header(header.0, header.1);
        town.send(request.body(axum::body::Body::empty()).unwrap()).await
    };
    let visitor = || ("mimamori-visitor", "v1;slot=18-0000;class=enrolling".to_owned());
    let page = get("/", visitor()).await;
    assert!(page.status == StatusCode::OK && page.text.contains("data-slot=\"18-0000\""));
    for (path, media) in [
        ("/claim/claim.js", "text/javascript; charset=utf-8"),
        ("/claim/claim.css", "text/css; charset=utf-8"),
    ] {
        assert!(page.text.contains(path));
        let file = get(path, visitor()).await;
        assert_eq!((file.status, file.headers["content-type"].to_str().unwrap()), (StatusCode::OK, media));
        assert_eq!(file.headers["cache-control"], "no-store");
        let person = ("mimamori-identity", town.secretariat().await.to_string());
        assert_eq!(get(path, person).await.code(), "MM-5414");
    }
    assert_eq!(get("/claim/test/browser.mjs", visitor()).await.code(), "MM-5805");
    assert_eq!(get("/claim/secret.js", visitor()).await.code(), "MM-5805");
}

/// The gateway's feed: from any version everything newer, at once when something changes.
#[tokio::test]
async fn the_grants_feed_wakes_and_forgets_nothing() {
    let town = Town::new().await;
    let whole = town.grants().await;
    assert!(whole.version > 0 && whole.slots.len() == 1 && whole.memberships.len() == 1);
    let room = town.room();
    let waiting = town.begin(async move { room.grants(whole.version, 10_000).await.unwrap() });
    town.facilities(1).await;
    let news = waiting.await.unwrap();
    assert!(news.version > whole.version && !news.slots.is_empty());
    let room = town.room();
    let ahead = town.begin(async move { room.grants(999_999, 0).await.unwrap() }).await.unwrap();
    assert!(ahead.slots.len() > 1, "a reader from another past gets the whole truth");
}
