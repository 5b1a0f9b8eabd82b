//! 患者・家族事業所 (A-08a, B-08, J-11): the secretariat registers who uses the SNS from there and puts them into a team;
//! they are family and nothing else, no admin's mail goes to them (P-12), and their bundle is the case's M-04.

use http::StatusCode;
use pki::identity::{FacilityId, Identity};
use serde_json::json;

use super::pages::{get, location, once, send};
use super::town::Town;

/// A clinic, a 患者・家族事業所, and a patient of the clinic.
async fn scene(town: &Town) -> (Identity, FacilityId, FacilityId, String) {
    let facilities = town.facilities(2).await;
    let (clinic, family) = (facilities[0].0.clone(), facilities[1].0.clone());
    sqlx::query("UPDATE facility SET kind = '患者・家族事業所' WHERE facility = $1")
        .bind(family.as_str())
        .execute(&town.registry().await)
        .await
        .unwrap();
    let office = town.secretariat().await;
    let body =
        json!({ "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": clinic });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    (office, clinic, family, made["patient"].as_str().unwrap().to_owned())
}

async fn link(town: &Town, office: &Identity, patient: &str, family: &FacilityId) {
    let body = json!({ "facility": family });
    let linked = town.call(office, "POST", &format!("/api/patients/{patient}/facilities"), Some(body)).await;
    assert!(linked.status.is_success(), "{}", linked.text);
}

async fn registered(town: &Town, office: &Identity, family: &FacilityId, login: &str) -> String {
    let path = format!("/facilities/{family}/family");
    let once = once(&get(town, office, &path, "family-new").await.text);
    let form = [("name", "長女"), ("login", login), ("consent_date", "2026-11-01"), ("once", &once)];
    let made = send(town, office, "POST", &path, &form).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.text.contains("はじめのパスワード") && made.text.contains(login));
    town.text("SELECT MAX(membership) FROM membership WHERE role = 'family'").await
}

/// B-08, C-2.14, C-8.6: registered with a slip, put into the team that the family is linked with and into no other.
/// Requirements H-01, J-11.
#[tokio::test]
async fn b_08_the_secretariat_registers_a_family_and_puts_it_into_its_team() {
    let town = Town::new().await;
    let (office, clinic, family, patient) = scene(&town).await;
    let page = get(&town, &office, &format!("/facilities/{family}"), "family-facility").await;
    assert!(page.text.contains(&format!("/facilities/{family}/family")));
    let member = registered(&town, &office, &family, "hana-chojo").await;
    assert_eq!(
        town.text("SELECT role FROM membership WHERE role <> 'facility-admin' AND role <> 'secretariat'")
            .await,
        "family"
    );
    // Never briefed, never pledged as staff is.
    assert!(!send(&town, &office, "GET", "/register", &[]).await.text.contains("長女"));

    let join = format!("/facilities/{family}/family/{member}");
    let early = send(&town, &office, "POST", &join, &[("patient", &patient)]).await;
    assert_eq!(early.status, StatusCode::NOT_FOUND, "not linked yet: {}", early.text);
    link(&town, &office, &patient, &family).await;
    let page = get(&town, &office, &format!("/facilities/{family}/family"), "family").await;
    assert!(page.text.contains("越前 花") && page.text.contains("長女を加えるチーム"));
    location(&send(&town, &office, "POST", &join, &[("patient", &patient)]).await);
    let members = town.around.sns.teams.lock().unwrap()[&patient.parse().unwrap()].members.len();
    assert_eq!(members, 1);
    // C-9: whoever may leave is offered by name.
    let leaving = get(&town, &office, "/flows/new?flow=C-9", "flow-c9-family").await;
    assert!(leaving.text.contains("長女（"));
    let form = [
        ("flow", "C-9"),
        ("facility", clinic.as_str()),
        ("patient", &patient),
        ("membership", &member),
        ("once", &once(&leaving.text)),
    ];
    let case = location(&send(&town, &office, "POST", "/flows/open", &form).await);
    let page = get(&town, &office, &case, "flow-c9-leaver").await;
    assert!(page.text.contains("離脱する方") && page.text.contains("長女（"), "the page says who leaves");
    // A clinic's people are its admin's.
    let path = format!("/facilities/{clinic}/family");
    assert_eq!(send(&town, &office, "GET", &path, &[]).await.status, StatusCode::NOT_FOUND);
    let form = [("name", "x"), ("login", "abcdef"), ("consent_date", "2026-11-01"), ("once", "aaaa")];
    assert_eq!(send(&town, &office, "POST", &path, &form).await.status, StatusCode::NOT_FOUND);
    // What is wrong is told above the form, with what was typed.
    let wrong = [("name", "長男"), ("login", "hana-chojo"), ("consent_date", "2026-11-01"), ("once", "bbbb")];
    let wrong = send(&town, &office, "POST", &format!("/facilities/{family}/family"), &wrong).await;
    assert!(wrong.status.is_client_error() && wrong.text.contains("value=\"長男\""), "{}", wrong.text);
}

/// C-8, P-12, D-01: M-08 goes to the admins of those who care; the family confirms nothing, and M-04 is its bundle.
#[tokio::test]
async fn c_8_the_family_is_not_written_to_as_an_admin() {
    let town = Town::new().await;
    let (office, clinic, family, patient) = scene(&town).await;
    let page = send(&town, &office, "GET", "/flows/new?flow=C-8", &[]).await;
    let once = once(&page.text);
    let form = [
        ("flow", "C-8"),
        ("facility", family.as_str()),
        ("patient", patient.as_str()),
        ("form-様式5", "on"),
        ("once", &once),
    ];
    let case = location(&send(&town, &office, "POST", "/flows/open", &form).await);
    let act = async |form: &[(&str, &str)]| {
        let answer = send(&town, &office, "POST", &format!("{case}/act"), form).await;
        assert_eq!(location(&answer), case, "{form:?} {}", answer.text);
    };
    for step in ["C-8.3", "C-8.4", "C-8.5", "C-8.6"] {
        act(&[("act", "step"), ("step", step)]).await;
    }
    town.until("the family to be linked", async || {
        town.number("SELECT count(*) FROM team_order WHERE done_at IS NOT NULL").await == 1
    })
    .await;
    act(&[("act", "step"), ("step", "C-8.7")]).await;
    let to = town.text("SELECT MAX(facility) FROM outbox WHERE kind = 'notice'").await;
    assert_eq!(
        (town.number("SELECT count(*) FROM outbox WHERE kind = 'notice'").await, to),
        (1, clinic.to_string())
    );
    act(&[("act", "step"), ("step", "C-8.10")]).await;
    let shown = "SELECT MAX(o.facility) FROM flow_letter l JOIN outbox o ON o.message = l.message WHERE l.step = 'C-8.10'";
    assert_eq!(town.text(shown).await, family.to_string(), "the family's bundle stands in the case");
    // The clinic's word alone closes the confirmation.
    let slot = town.text("SELECT MIN(slot) FROM device WHERE facility = (SELECT MIN(facility) FROM outbox WHERE kind = 'notice')").await;
    let admin = town.admin(&clinic, slot.parse().unwrap()).await;
    let id = case.rsplit('/').next().unwrap();
    location(&send(&town, &admin, "POST", &format!("/notices/{id}/C-8.8"), &[]).await);
    assert!(get(&town, &office, &case, "flow-c8").await.text.contains("（画面）"));
}

/// C-1.5, C-3.4: the facility that was registered meanwhile is found by what a clerk has in hand.
#[tokio::test]
async fn c_3_a_facility_is_attached_by_name_code_or_telephone() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let office = town.secretariat().await;
    let name = async |facility: &FacilityId| {
        sqlx::query_scalar::<_, String>("SELECT name FROM facility WHERE facility = $1")
            .bind(facility.as_str())
            .fetch_one(&town.registry().await)
            .await
            .unwrap()
    };
    let (first, second) = (name(&facilities[0].0).await, name(&facilities[1].0).await);
    let page = send(&town, &office, "GET", "/flows/new?flow=C-12", &[]).await;
    let form = [("flow", "C-12"), ("once", &once(&page.text))];
    let case = location(&send(&town, &office, "POST", "/flows/open", &form).await);
    let attach = async |typed: &str| {
        send(&town, &office, "POST", &format!("{case}/act"), &[("act", "attach"), ("facility", typed)]).await
    };
    for (typed, code) in [("どこにもない医院", "MM-5609"), ("", "MM-56"), ("18", "MM-5617")] {
        let answer = attach(typed).await;
        assert!(answer.status.is_client_error() && answer.text.contains(code), "{typed}: {}", answer.text);
    }
    for (typed, whose) in [(first.as_str(), &first), (&second, &second), (facilities[0].0.as_str(), &first)] {
        location(&attach(typed).await);
        let page = send(&town, &office, "GET", &case, &[]).await;
        assert!(page.text.contains(&format!(">{whose}</a>")), "{typed}");
    }
}
