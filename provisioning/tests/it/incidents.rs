//! 事故 (H-13): reported by a facility, driven by the secretariat under the law's clocks, and 緊急停止 from it (H-12).

use http::StatusCode;
use pki::identity::Identity;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_incident::{IncidentAnswer, IncidentQuestion, NewIncident};
use provisioning::need::Cut;
use serde_json::json;

use super::pages::{get, kept, location, send};
use super::town::Town;

async fn reported(town: &Town, who: &Identity, more: &[(&str, &str)]) -> String {
    let mut form = vec![
        ("kind", "leak"),
        ("known_on", "2026-11-02"),
        ("summary", "別の事業所へ書類を誤送信した"),
        ("people", "3"),
        ("reportable", "on"),
    ];
    form.extend(more);
    location(&send(town, who, "POST", "/incidents", &form).await)
}

/// H-13: an admin reports, the secretariat goes through the steps, nothing ends before the law is satisfied.
#[tokio::test]
async fn h_13_from_the_report_to_the_end() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    let other = town.admin(&facilities[1].0, facilities[1].1).await;
    let office = town.secretariat().await;
    get(&town, &admin, "/incidents", "incidents-none").await;
    let wrong = [("kind", "leak"), ("known_on", "2099-01-01"), ("summary", "x")];
    let wrong = kept("incidents-wrong", send(&town, &admin, "POST", "/incidents", &wrong).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5606"));
    let path = reported(&town, &admin, &[]).await;
    let own = get(&town, &admin, &path, "incident-own").await;
    assert!(
        own.text.contains("2026-11-06") && own.text.contains("2026-12-01") && !own.text.contains("/step\"")
    );
    assert_eq!(
        send(&town, &other, "GET", &path, &[]).await.status,
        StatusCode::NOT_FOUND,
        "another's is nobody's"
    );
    assert_eq!(send(&town, &admin, "POST", &format!("{path}/step"), &[("step", "scope")]).await.status, 403);

    assert!(get(&town, &office, "/incidents", "incidents").await.text.contains(&path));
    assert!(
        get(&town, &office, "/", "office-home-incident").await.text.contains(&path),
        "it is on the first page"
    );
    let step = async |step: &'static str| {
        send(&town, &office, "POST", &format!("{path}/step"), &[("step", step), ("note", "担当者が確認")])
            .await
    };
    let early = kept("incident-early", step("closed").await);
    assert!(early.status == StatusCode::CONFLICT && early.text.contains("MM-5653"), "{}", early.text);
    for name in ["scope", "prompt", "prompt", "notified", "final", "prevention"] {
        assert_eq!(location(&step(name).await), path, "{name}");
    }
    get(&town, &office, &path, "incident").await;
    assert_eq!(location(&step("closed").await), path);
    let done = get(&town, &office, &path, "incident-closed").await;
    assert!(done.text.contains("終了") && !done.text.contains("/step\""));
    assert_eq!(town.number("SELECT count(*) FROM incident_step").await, 6, "twice is once");
    let sheet = get(&town, &office, &format!("{path}/print"), "incident-print").await;
    assert!(sheet.text.contains("事故報告書") && sheet.text.contains("担当者が確認"));
    assert!(
        !town.text("SELECT MAX(body) FROM audit WHERE action = 'incident.open'").await.contains("誤送信")
    );
    assert!(!get(&town, &office, "/incidents", "incidents-over").await.text.contains(&path));
    assert!(get(&town, &office, "/incidents?show=all", "incidents-all").await.text.contains(&path));
}

/// H-12, B-24: from the incident a person and a number are stopped at once, without agreement, and the sheet knows it.
#[tokio::test]
async fn h_12_an_emergency_stop_from_the_incident() {
    let town = Town::new().await;
    let (facility, slot) = town.facilities(1).await.remove(0);
    town.enrolled(slot, 9).await;
    let (admin, office) = (town.admin(&facility, slot).await, town.secretariat().await);
    let body = json!({ "login": "k@a.example", "name": "看護 花", "profession": "看護師", "pledge_date": "2026-04-01" });
    let made = town.call(&admin, "POST", "/api/people", Some(body)).await.json();
    let membership = made["membership"].as_str().unwrap().to_owned();
    let path = reported(&town, &office, &[("facility", facility.as_str()), ("unlawful", "on")]).await;
    let page = get(&town, &office, &path, "incident-stop").await;
    assert!(
        page.text.contains("緊急停止する")
            && page.text.contains(&membership)
            && page.text.contains("2027-01-04")
    );

    let stop =
        async |what: &str| send(&town, &office, "POST", &format!("{path}/stop"), &[("what", what)]).await;
    assert_eq!(stop("").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(location(&stop(&membership).await), path);
    assert_eq!(location(&stop(&slot.to_string()).await), path);
    assert_eq!(town.number("SELECT count(*) FROM person WHERE state = 'suspended'").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM slot WHERE state = 'suspended'").await, 1);
    assert!(town.around.gateway.cuts.lock().unwrap().iter().any(|cut| matches!(cut, Cut::Person(_))));
    assert!(town.around.vpn.seat(slot, false).is_none(), "the tunnel is out of its seat");
    let seen = get(&town, &office, &path, "incident-stopped").await;
    assert!(seen.text.contains("看護 花（k@a.example）") && seen.text.contains(&format!("VPN番号 {slot}")));
    // A wrong number of an incident stops nobody.
    let wrong =
        send(&town, &office, "POST", "/incidents/J-2026-99999/stop", &[("what", slot.to_string().as_str())])
            .await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
    // B-24: an admin has no such button here.
    let denied = send(&town, &admin, "POST", &format!("{path}/stop"), &[("what", &membership)]).await;
    assert_eq!(denied.status, StatusCode::FORBIDDEN);
}

/// The same over the operator's door; a dry run writes nothing.
#[tokio::test]
async fn h_13_the_same_over_the_operators_door() {
    let town = Town::new().await;
    let ask = async |question| match town.ask(ProvisioningQuestion::Incident(question)).await {
        ProvisioningAnswer::Incident(IncidentAnswer::Detail(detail)) => *detail,
        other => panic!("{other:?}"),
    };
    let new = NewIncident {
        kind: "unauthorised".into(),
        known_on: "2026-11-02".into(),
        unlawful: true,
        reportable: true,
        summary: "不審なサインイン".into(),
        ..NewIncident::default()
    };
    let dry = ask(IncidentQuestion::Open { new: new.clone(), dry_run: true }).await;
    assert!(dry.dry_run && dry.line.final_by == "2027-01-04");
    assert_eq!(town.number("SELECT count(*) FROM incident").await, 0);
    let made = ask(IncidentQuestion::Open { new, dry_run: false }).await.line.incident;
    let step = |dry_run| IncidentQuestion::Step {
        incident: made.clone(),
        step: "prompt".into(),
        note: String::new(),
        dry_run,
    };
    for (dry_run, rows) in [(true, 0), (false, 1)] {
        let seen = ask(step(dry_run)).await;
        assert!(seen.line.prompt == "met" && seen.dry_run == dry_run);
        assert_eq!(town.number("SELECT count(*) FROM incident_step").await, rows);
    }
    let all = town.ask(ProvisioningQuestion::Incident(IncidentQuestion::List { all: false })).await;
    let ProvisioningAnswer::Incident(IncidentAnswer::Lines(lines)) = all else { panic!() };
    assert_eq!((lines.len(), lines[0].incident.as_str()), (1, made.as_str()));
    let none =
        town.ask(ProvisioningQuestion::Incident(IncidentQuestion::Show { incident: "J-1".into() })).await;
    let ProvisioningAnswer::Trouble(trouble) = none else { panic!() };
    assert_eq!(trouble.code, "MM-5650");
}

/// M4-06: the council's report counts what the registry holds, as a page and as data, and names nobody.
#[tokio::test]
async fn m4_06_the_yearly_report_counts_and_names_nobody() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    town.enrolled(facilities[0].1, 9).await;
    let (admin, office) = (town.admin(&facilities[0].0, facilities[0].1).await, town.secretariat().await);
    let body = json!({ "login": "k@a.example", "name": "看護 花", "profession": "看護師", "pledge_date": "2026-04-01" });
    town.call(&admin, "POST", "/api/people", Some(body)).await;
    reported(&town, &admin, &[]).await;
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::fixed(jiff::tz::offset(9))).date();
    let year = if today.month() < 4 { today.year() - 1 } else { today.year() };
    let ask = provisioning::door_report::ReportQuestion::Year { year };
    let ProvisioningAnswer::Report(report) = town.ask(ProvisioningQuestion::Report(ask)).await else {
        panic!()
    };
    assert_eq!((report.facilities.active, report.facilities.joined, report.facilities.ended), (2, 2, 0));
    assert_eq!((report.people.staff, report.people.admins, report.devices.active), (1, 2, 1));
    assert_eq!(report.incidents.by_kind, [("leak".to_owned(), 1)]);
    assert!(report.cases.iter().any(|case| case.received > 0));
    let page = get(&town, &office, &format!("/report?year={year}"), "report").await;
    assert!(page.text.contains("2か所") && page.text.contains("漏えい・誤送信 1件"));
    for name in ["看護 花", "さくら通り", "福井"] {
        assert!(!page.text.contains(name), "{name}");
    }
    // Before there was anything.
    let early = get(&town, &office, "/report?year=2021", "report-early").await;
    assert!(early.text.contains("<strong>0か所"));
    assert_eq!(
        send(&town, &office, "GET", "/report?year=1", &[]).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
}
