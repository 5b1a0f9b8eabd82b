//! 患者・家族事業所 (A-08a, B-08, J-11): the secretariat registers who uses the SNS from there and puts them into a team;
//! they are family and nothing else, no admin's mail goes to them (P-12), and their bundle is the case's M-04.

use http::StatusCode;
use pki::identity::{FacilityId, Identity, Role};
use provisioning::accounts::AccountCheck;
use provisioning::door::{CaseChoice, ProvisioningAnswer, ProvisioningQuestion};
use serde_json::json;
use vpn::slot::SlotNumber;

use super::pages::{get, location, once, send};
use super::town::{OWN_PASSWORD, Town};
use super::world::SAMPLE;

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

/// A 患者・家族事業所 as it applies by 様式1, accepted.
async fn applied(town: &Town) -> (FacilityId, SlotNumber) {
    let heads = std::str::from_utf8(SAMPLE).unwrap().lines().next().unwrap();
    let row = "9901234568,患者・家族事業所（架空様）,患者・家族事業所,福井県福井市大手9-1-1,0776-00-9999,架空 進,架空 進,\
               susumu@kakuu.example.jp,,";
    let import = ProvisioningQuestion::FacilityImport {
        file_name: "様式1.csv".into(),
        bytes: format!("{heads}\r\n{row}\r\n").into_bytes(),
        dry_run: false,
    };
    let ProvisioningAnswer::Import(report) = town.ask(import).await else { panic!("not imported") };
    let case = CaseChoice::One(report.cases[0].clone());
    let accept = ProvisioningQuestion::CaseAccept { case, dry_run: false };
    let ProvisioningAnswer::Accepted(report) = town.ask(accept).await else { panic!("not accepted") };
    (report.accepted[0].facility.clone(), report.accepted[0].bundle_slot)
}

/// A-08a: families need no admin account. The first device gets a tunnel and a certificate, and whoever claims it no
/// account: not by a password of their own, not by the one that a former version stored, not in the gateway's feed.
#[tokio::test]
async fn a_08a_a_familys_first_device_is_nobodys_way_into_a_console() {
    let town = Town::new().await;
    let (family, place) = applied(&town).await;
    let address = "susumu@kakuu.example.jp";
    assert_eq!(
        town.text("SELECT kind || ' ' || label FROM device ORDER BY created_at DESC, device LIMIT 1").await,
        "family ご家族の端末"
    );
    town.until("seated", async || town.around.vpn.seat(place, true).is_some()).await;
    town.around.vpn.handshake(place, true, "192.0.2.1:5000");
    // Nobody is asked for a password; whoever sends one all the same gets nothing for it.
    let visitor = format!("v1;slot={place};class=enrolling");
    let page = http::Request::get("/").header("mimamori-visitor", &visitor).header("accept", "text/html");
    let page = town.send(page.body(axum::body::Body::empty()).unwrap()).await;
    assert!(page.text.contains("<fieldset class=\"claim-group\" hidden>"), "{}", page.text);
    let mut body = town.claim_body(place, 7).await;
    assert!(body["admin_password"].is_string());
    let claimed = town.claim(place, body.clone()).await;
    assert_eq!(claimed.status, StatusCode::OK, "{}", claimed.text);
    assert_eq!(claimed.json()["login"], serde_json::Value::Null);
    body["admin_password"] = serde_json::Value::Null;
    let again = town.claim(place, body).await;
    assert_eq!(again.status, StatusCode::OK, "{}", again.text);
    // As a realm of a former version has it: with a password that is right (here the secretariat's own).
    town.enrolled(town.office.slot, 9).await;
    let hash = "UPDATE person SET must_change = 0, password_hash =
        (SELECT MAX(p.password_hash) FROM person p WHERE p.login LIKE 'jimu%') WHERE login = 'susumu@kakuu.example.jp'";
    town.execute(hash).await;
    assert_eq!(
        town.number("SELECT count(*) FROM person WHERE login LIKE 'susumu%' AND password_hash <> ''").await,
        1
    );
    assert!(matches!(
        town.room().check_account(address, OWN_PASSWORD).await.unwrap(),
        AccountCheck::Wrong | AccountCheck::Paused { .. }
    ));
    let grants = town.grants().await;
    let its: Vec<_> = grants.memberships.iter().filter(|grant| grant.facility == family).collect();
    assert!(
        its.len() == 1 && its.iter().all(|grant| !grant.active),
        "the gateway lets nobody in as its admin"
    );
    // The contact is still known to the secretariat: an address that bounces is corrected, a letter sent again.
    let office = town.secretariat().await;
    let shown = send(&town, &office, "GET", &format!("/facilities/{family}"), &[]).await;
    assert!(shown.text.contains(address), "{}", shown.text);

    // What the family has: the secretariat's account for its own, which opens the SNS and no console.
    registered(&town, &office, &family, "kakuu-chojo").await;
    let grants = town.grants().await;
    let roles: Vec<_> =
        grants.memberships.iter().filter(|grant| grant.facility == family && grant.active).collect();
    assert_eq!(roles.iter().map(|grant| grant.role).collect::<Vec<_>>(), [Role::Family]);
    let daughter = Identity {
        slot: place,
        certificate: "4123456789abcdef0123456789abcdef".parse().unwrap(),
        person: roles[0].person.clone(),
        membership: roles[0].membership.clone(),
        facility: family.clone(),
        role: Role::Family,
    };
    for path in ["/", "/people", "/devices/add", "/register", "/facilities"] {
        let answer = send(&town, &daughter, "GET", path, &[]).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
    }
    let form = [("label", "x"), ("once", "aaaa")];
    let answer = send(&town, &daughter, "POST", &format!("/facilities/{family}/family/devices"), &form).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
}

/// 代行設定 (A-08a): a further device of a family is added by the secretariat, in its presence; once per form.
#[tokio::test]
async fn a_08a_the_secretariat_adds_a_familys_device() {
    let town = Town::new().await;
    let (family, _) = applied(&town).await;
    let office = town.secretariat().await;
    let page = get(&town, &office, &format!("/facilities/{family}/family"), "family-devices").await;
    let once = page.text.split("/family/devices").nth(1).map(once).unwrap();
    let path = format!("/facilities/{family}/family/devices");
    let form = [("label", "長女の電話"), ("once", once.as_str())];
    let codes = send(&town, &office, "POST", &path, &form).await;
    assert_eq!(codes.status, StatusCode::OK, "{}", codes.text);
    assert!(codes.text.contains("長女の電話") && codes.text.contains("<svg"));
    assert!(codes.text.contains(&format!("href=\"/facilities/{family}/family\"")));
    assert_eq!(
        town.text("SELECT kind FROM device WHERE label = '長女の電話'").await,
        "family",
        "a device of the family's, not of a facility"
    );
    let twice = send(&town, &office, "POST", &path, &form).await;
    assert!(twice.status.is_client_error() && !twice.text.contains("<svg"), "shown once");
    let clinic = town.facilities(1).await[0].0.clone();
    let other = send(&town, &office, "POST", &format!("/facilities/{clinic}/family/devices"), &form).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND, "a clinic's devices are its admin's");
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

/// C-1.4: a case that began with the facility's paper gets its patient later; after the linking step, which linked
/// nobody, it gets none, and a case about no patient never does.
#[tokio::test]
async fn c_1_a_case_gets_its_patient_until_somebody_was_to_be_linked() {
    let town = Town::new().await;
    let (office, clinic, _, patient) = scene(&town).await;
    let opened = async |flow: &str| {
        let page = send(&town, &office, "GET", &format!("/flows/new?flow={flow}"), &[]).await;
        let form = [
            ("flow", flow),
            ("facility", clinic.as_str()),
            ("form-様式1", "on"),
            ("form-様式2", "on"),
            ("form-様式5", "on"),
            ("once", &once(&page.text)),
        ];
        location(&send(&town, &office, "POST", "/flows/open", &form).await)
    };
    let act = async |case: &str, form: &[(&str, &str)]| {
        send(&town, &office, "POST", &format!("{case}/act"), form).await
    };
    let chosen = [("act", "patient"), ("patient", patient.as_str())];
    let early = opened("C-1").await;
    location(&act(&early, &chosen).await);
    assert_eq!(town.text("SELECT patient FROM flow_case WHERE patient IS NOT NULL").await, patient);
    let noted =
        format!("SELECT count(*) FROM audit WHERE action = 'case.patient' AND body LIKE '%{patient}%'");
    let noted: i64 =
        sqlx::query_scalar(sqlx::AssertSqlSafe(noted)).fetch_one(&town.registry().await).await.unwrap();
    assert_eq!(noted, 1, "the trail says whom");

    let late = opened("C-1").await;
    location(&act(&late, &[("act", "answer"), ("question", "pledge-exists"), ("yes", "yes")]).await);
    for step in ["C-1.3", "C-1.4", "C-1.5", "C-1.6", "C-1.7"] {
        location(&act(&late, &[("act", "step"), ("step", step)]).await);
    }
    let refused = act(&late, &chosen).await;
    assert!(refused.status.is_client_error() && refused.text.contains("MM-5957"), "{}", refused.text);
    let about_nobody = opened("C-12").await;
    let refused = act(&about_nobody, &chosen).await;
    assert!(refused.status.is_client_error() && refused.text.contains("MM-5950"), "{}", refused.text);
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
    // Two of one name are two: nobody's patients go to whichever comes first.
    sqlx::query("UPDATE facility SET name = $1 WHERE facility = $2")
        .bind(&first)
        .bind(facilities[1].0.as_str())
        .execute(&town.registry().await)
        .await
        .unwrap();
    let which = attach(&first).await;
    assert!(which.status.is_client_error() && which.text.contains("MM-5617"), "{}", which.text);
    let offered = send(&town, &office, "GET", "/patients", &[]).await;
    assert!(
        offered.text.contains("<option value=\"1810112029\">")
            && !offered.text.contains(&format!("<option value=\"{first}\">"))
    );
}
