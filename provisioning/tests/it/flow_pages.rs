//! 案件 as a clerk works with them: every flow opened from its form, one driven to its end by buttons alone, the guard's
//! words where a button is missing, and nothing of it for anybody else.

use http::StatusCode;
use pki::identity::{Identity, Role};
use serde_json::json;

use super::pages::{get, kept, location, once, send};
use super::town::Town;

async fn act(town: &Town, office: &Identity, path: &str, form: &[(&str, &str)]) {
    let answer = send(town, office, "POST", &format!("{path}/act"), form).await;
    assert_eq!(location(&answer), path, "{form:?}");
}

async fn opened(town: &Town, office: &Identity, form: &[(&str, &str)]) -> String {
    let page = send(town, office, "GET", &format!("/flows/new?flow={}", form[0].1), &[]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let once = once(&page.text);
    let mut form = form.to_vec();
    form.push(("once", &once));
    let path = location(&send(town, office, "POST", "/flows/open", &form).await);
    assert_eq!(location(&send(town, office, "POST", "/flows/open", &form).await), path, "pressed twice");
    path
}

/// C-4 from the form to the last confirmation (C-4.1 … C-4.6), with the page before the step that hurts.
#[tokio::test]
async fn c_4_a_clerk_removes_a_facility_by_buttons() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (facility, slot) = facilities[0].clone();
    town.enrolled(slot, 9).await;
    let office = town.secretariat().await;
    assert!(get(&town, &office, "/flows", "flows-none").await.text.contains("案件はまだありません"));
    let kinds = get(&town, &office, "/flows/new", "flow-kinds").await;
    assert!(kinds.text.contains("④事業所解除") && kinds.text.contains("様式6"));
    // さくら通り内科クリニック is found by kana of another kind.
    let found = get(&town, &office, "/flows/new?flow=C-4&q=%EF%BD%BB%EF%BD%B8%EF%BE%97", "flow-new").await;
    assert!(found.text.contains("さくら通り内科") && !found.text.contains("足羽山総合病院"));

    let unsaid = send(&town, &office, "POST", "/flows/open", &[("flow", "C-4"), ("once", "x1")]).await;
    let unsaid = kept("flow-new-wrong", unsaid);
    assert!(unsaid.status == StatusCode::UNPROCESSABLE_ENTITY && unsaid.text.contains("MM-5617"));
    let case = opened(&town, &office, &[("flow", "C-4"), ("facility", facility.as_str())]).await;
    assert_eq!(town.number("SELECT count(*) FROM flow_case").await, 1);

    let page = get(&town, &office, &case, "flow-c4-missing").await;
    assert!(page.text.contains("受理に足りないもの") && page.text.contains("様式6"));
    let early =
        send(&town, &office, "POST", &format!("{case}/act"), &[("act", "step"), ("step", "C-4.3")]).await;
    let early = kept("flow-c4-early", early);
    assert!(early.status == StatusCode::CONFLICT && early.text.contains("MM-5363"));
    act(&town, &office, &case, &[("act", "form"), ("form", "様式6")]).await;
    let page = get(&town, &office, &case, "flow-c4-ready").await;
    assert!(page.text.contains("次にすること: 申込の受理") && page.text.contains("mimamori flow step 20"));
    act(&town, &office, &case, &[("act", "step"), ("step", "C-4.3")]).await;

    let page = get(&town, &office, &case, "flow-c4-grave").await;
    assert!(page.text.contains(&format!("{case}/steps/C-4.4")), "a page asks before it hurts");
    let confirm = get(&town, &office, &format!("{case}/steps/C-4.4"), "flow-c4-confirm").await;
    assert!(confirm.text.contains("元に戻せません") && confirm.text.contains("さくら通り内科"));
    assert_eq!(
        town.number("SELECT count(*) FROM facility WHERE state = 'ended'").await,
        0,
        "a look ends nothing"
    );
    for step in ["C-4.4", "C-4.5"] {
        act(&town, &office, &case, &[("act", "step"), ("step", step)]).await;
    }
    assert_eq!(town.number("SELECT count(*) FROM facility WHERE state = 'ended'").await, 1);
    let page = get(&town, &office, &case, "flow-c4-sent").await;
    assert!(page.text.contains("送ったメール") && page.text.contains("kanri@sakura-naika.example.jp"));
    act(&town, &office, &case, &[("act", "confirm"), ("step", "C-4.6"), ("how", "電話")]).await;
    let done = get(&town, &office, &case, "flow-c4-done").await;
    assert!(
        done.text.contains("完了") && done.text.contains("（電話）") && !done.text.contains("次にすること")
    );

    let list = get(&town, &office, "/flows?show=done&flow=C-4&q=%E3%81%95%E3%81%8F%E3%82%89", "flows").await;
    assert!(list.text.contains(&case));
    assert!(
        !send(&town, &office, "GET", "/flows?show=open", &[]).await.text.contains(&case),
        "the filter is the URL's"
    );
}

/// C-1 … C-12, P-16, P-22: each flow opens from its form, its page shows its steps, and it may be withdrawn.
#[tokio::test]
async fn every_flow_has_its_form_and_its_page() {
    let town = Town::new().await;
    let facilities = town.facilities(1).await;
    let facility = facilities[0].0.clone();
    let office = town.secretariat().await;
    let body = json!({ "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": facility });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let patient = made["patient"].as_str().unwrap().to_owned();
    for (flow, first) in [
        ("C-1", "C-1.4"),
        ("C-2", "C-2.13"),
        ("C-3", "C-3.6"),
        ("C-5", "C-5.12"),
        ("C-6", "C-6.12"),
        ("C-7", "C-7.8"),
        ("C-8", "C-8.10"),
        ("C-9", "C-9.9"),
        ("C-10", "C-10.8"),
        ("C-11", "C-11.4"),
        ("C-12", "C-12.2"),
        ("P-16", "P-16.2"),
        ("P-22", "P-22.5"),
    ] {
        let form = [("flow", flow), ("facility", facility.as_str()), ("patient", patient.as_str())];
        let case = opened(&town, &office, &form).await;
        let page = get(&town, &office, &case, &format!("flow-{flow}")).await;
        assert!(page.text.contains(first), "{flow}: {first}");
        act(&town, &office, &case, &[("act", "withdraw")]).await;
        let page = get(&town, &office, &case, &format!("flow-{flow}-over")).await;
        assert!(
            page.text.contains("取下げ") && !page.text.contains("/act\""),
            "{flow}: nothing is left to press"
        );
    }
    for table in ["SELECT MAX(state) FROM flow_case", "SELECT MAX(body) FROM audit"] {
        assert!(!town.text(table).await.contains("越前"), "no case and no trail names the patient");
    }
}

/// C-7, P-24: a question is answered by its button before acceptance, and not after.
#[tokio::test]
async fn c_7_questions_are_buttons_until_acceptance() {
    let town = Town::new().await;
    let facility = town.facilities(1).await.remove(0).0;
    let office = town.secretariat().await;
    let body =
        json!({ "name": "若狭 海", "kana": "ワカサ ウミ", "consent_date": "2026-11-01", "origin": facility });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let form = [
        ("flow", "C-7"),
        ("facility", facility.as_str()),
        ("patient", made["patient"].as_str().unwrap()),
        ("form-様式6", "on"),
    ];
    let case = opened(&town, &office, &form).await;
    let page = get(&town, &office, &case, "flow-c7").await;
    assert!(page.text.contains("すべてのチームから外れますか") && page.text.contains("若狭 海"));
    act(&town, &office, &case, &[("act", "answer"), ("question", "all-teams"), ("yes", "no")]).await;
    let page = get(&town, &office, &case, "flow-c7-answered").await;
    assert!(page.text.contains("aria-pressed=\"true\">いいえ") && page.text.contains("受理できます"));
    act(&town, &office, &case, &[("act", "step"), ("step", "C-7.3")]).await;
    let late = [("act", "answer"), ("question", "all-teams"), ("yes", "yes")];
    let late = send(&town, &office, "POST", &format!("{case}/act"), &late).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("MM-5365"));
    // The home page says whose turn it is.
    assert!(get(&town, &office, "/", "office-home-flows").await.text.contains(&case));
}

#[tokio::test]
async fn flows_are_nobody_elses_and_nonsense_is_named() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let (office, admin) = (town.secretariat().await, town.admin(&facility, place).await);
    let case = opened(&town, &office, &[("flow", "C-12"), ("facility", facility.as_str())]).await;
    let as_role = |role| Identity { role, ..admin.clone() };
    for who in [admin.clone(), as_role(Role::Staff), as_role(Role::Family)] {
        for path in
            ["/flows", "/flows/new", "/flows/new?flow=C-4", case.as_str(), &format!("{case}/steps/C-1.3")]
        {
            assert_eq!(send(&town, &who, "GET", path, &[]).await.status, StatusCode::FORBIDDEN, "{path}");
        }
        for (path, form) in [
            ("/flows/open".to_owned(), vec![("flow", "C-4")]),
            (format!("{case}/act"), vec![("act", "withdraw")]),
        ] {
            assert_eq!(send(&town, &who, "POST", &path, &form).await.status, StatusCode::FORBIDDEN, "{path}");
        }
    }
    for (form, code) in [
        (vec![("act", "dance")], "MM-5803"),
        (vec![], "MM-5803"),
        (vec![("act", "step"), ("step", "C-99")], "MM-5361"),
        (vec![("act", "form"), ("form", "様式99")], "MM-5373"),
        (vec![("act", "attach"), ("facility", "nobody")], "MM-5609"),
    ] {
        let answer = send(&town, &office, "POST", &format!("{case}/act"), &form).await;
        assert!(answer.status.is_client_error() && answer.text.contains(code), "{form:?} {}", answer.text);
    }
    assert_eq!(send(&town, &office, "GET", "/flows/2026-99999", &[]).await.status, StatusCode::NOT_FOUND);
    let other = send(&town, &office, "POST", "/flows/open", &[("flow", "C-99"), ("once", "y")]).await;
    assert!(other.status.is_client_error());
}
