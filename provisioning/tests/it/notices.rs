//! D-01: a mail of a case is confirmed inside the tunnel by whoever got it, and by nobody else.

use http::StatusCode;
use pki::identity::Role;
use serde_json::json;

use super::pages::{get, send};
use super::town::Town;

/// C-10.6: the step closes when every facility of the team has pressed its button.
#[tokio::test]
async fn d_01_every_facility_confirms_for_itself() {
    let town = Town::new().await;
    let facilities = town.facilities(3).await;
    let office = town.secretariat().await;
    let body = json!({ "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": facilities[0].0 });
    let made = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let patient = made["patient"].as_str().unwrap().to_owned();
    let link = json!({ "facility": facilities[1].0 });
    town.call(&office, "POST", &format!("/api/patients/{patient}/facilities"), Some(link)).await;
    let form = [
        ("flow", "C-10"),
        ("facility", facilities[0].0.as_str()),
        ("patient", patient.as_str()),
        ("form-様式7", "on"),
        ("once", "one"),
    ];
    let opened = send(&town, &office, "POST", "/flows/open", &form).await;
    let case = opened.headers["location"].to_str().unwrap().to_owned();
    let number = case.rsplit_once('/').unwrap().1.to_owned();
    let act = async |form: &[(&str, &str)]| {
        let done = send(&town, &office, "POST", &format!("{case}/act"), form).await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.text);
    };
    act(&[("act", "answer"), ("question", "immediately"), ("yes", "no")]).await;
    let (one, two, other) = (
        town.admin(&facilities[0].0, facilities[0].1).await,
        town.admin(&facilities[1].0, facilities[1].1).await,
        town.admin(&facilities[2].0, facilities[2].1).await,
    );
    let button = format!("/notices/{number}/C-10.6");
    for step in ["C-10.3", "C-10.4"] {
        act(&[("act", "step"), ("step", step)]).await;
    }
    let early = send(&town, &one, "POST", &button, &[]).await;
    assert!(early.status == StatusCode::NOT_FOUND && early.text.contains("MM-5622"), "nothing was sent yet");
    act(&[("act", "step"), ("step", "C-10.5")]).await;

    let page = get(&town, &one, "/notices", "admin-notices").await;
    assert!(page.text.contains("⑩同意撤回") && page.text.contains(&button) && !page.text.contains("越前"));
    for _press in 0..2 {
        assert_eq!(send(&town, &one, "POST", &button, &[]).await.status, StatusCode::SEE_OTHER);
    }
    assert!(get(&town, &one, "/notices", "admin-notices-done").await.text.contains("mm-chip-good"));
    let open = send(&town, &office, "GET", &case, &[]).await;
    assert!(!open.text.contains("（画面）"), "one of two is not both");
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'case.confirm'").await, 1);

    // Whoever got no mail has nothing to confirm, and learns nothing of the case.
    let strange = send(&town, &other, "POST", &button, &[]).await;
    let nobodys = send(&town, &other, "POST", "/notices/2026-99999/C-10.6", &[]).await;
    assert_eq!((strange.status, &strange.text), (StatusCode::NOT_FOUND, &nobodys.text));
    assert!(get(&town, &other, "/notices", "admin-notices-none").await.text.contains("ありません"));
    for step in ["C-10.5", "C-10.7", "C-99", "P-27"] {
        let wrong = send(&town, &two, "POST", &format!("/notices/{number}/{step}"), &[]).await;
        assert_eq!(wrong.status, StatusCode::NOT_FOUND, "{step}");
    }
    let mut staff = two.clone();
    staff.role = Role::Staff;
    assert_eq!(send(&town, &staff, "POST", &button, &[]).await.status, StatusCode::FORBIDDEN);

    assert_eq!(send(&town, &two, "POST", &button, &[]).await.status, StatusCode::SEE_OTHER);
    let closed = get(&town, &office, &case, "flow-c10-confirmed").await;
    assert!(closed.text.contains("（画面）"));
    assert!(!send(&town, &two, "GET", "/notices", &[]).await.text.contains(&button));
}
