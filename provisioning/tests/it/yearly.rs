//! 年次更新 as an admin and the secretariat go through it (G-08, H-14, H-17 … H-19): one screen, saved half-done, the page
//! before it is sent, what happens then and what never does, the call list; and the register of pledges and trainings.

use http::StatusCode;
use pki::identity::{FacilityId, Identity, MembershipId};
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_register::{RegisterAnswer, RegisterQuestion};
use provisioning::door_yearly::{YearlyAnswer, YearlyQuestion};
use provisioning::need::Cut;
use serde_json::json;
use vpn::slot::SlotNumber;

use super::neighbours::Mode;
use super::pages::{get, kept, location, send};
use super::town::Town;

struct Place {
    facility: FacilityId,
    slot: SlotNumber,
    admin: Identity,
    people: Vec<MembershipId>,
}

/// A facility with a device, an admin at another one, and three users.
async fn place(town: &Town) -> Place {
    let (facility, slot) = town.facilities(2).await.remove(0);
    town.enrolled(slot, 9).await;
    let admin = town.admin(&facility, slot).await;
    let mut people = vec![];
    for (login, name) in [("a@a.example", "青木 一"), ("b@a.example", "馬場 二"), ("c@a.example", "千葉 三")]
    {
        let body =
            json!({ "login": login, "name": name, "profession": "看護師", "pledge_date": "2026-04-01" });
        let made = town.call(&admin, "POST", "/api/people", Some(body)).await.json();
        people.push(made["membership"].as_str().unwrap().parse().unwrap());
    }
    Place { facility, slot, admin, people }
}

async fn yearly(town: &Town, question: YearlyQuestion) -> YearlyAnswer {
    match town.ask(ProvisioningQuestion::Yearly(question)).await {
        ProvisioningAnswer::Yearly(answer) => answer,
        other => panic!("{other:?}"),
    }
}

/// A round that began yesterday, whatever today is.
async fn opened(town: &Town) {
    let year = jiff::Zoned::now().date().year();
    let days = |days: i64| jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(days)).to_string();
    let open = |dry_run| YearlyQuestion::Open { year, opens_on: days(-1), due_on: days(30), dry_run };
    let YearlyAnswer::Round(dry) = yearly(town, open(true)).await else { panic!() };
    assert!(dry.dry_run && town.number("SELECT count(*) FROM yearly_round").await == 0);
    yearly(town, open(false)).await;
}

async fn device(town: &Town, slot: SlotNumber) -> String {
    sqlx::query_scalar("SELECT device FROM device WHERE slot = $1 AND state <> 'revoked'")
        .bind(slot.to_string())
        .fetch_one(&town.registry().await)
        .await
        .unwrap()
}

async fn active(town: &Town) -> i64 {
    town.number("SELECT count(*) FROM membership WHERE role = 'staff' AND state = 'active'").await
}

/// G-08, H-14, H-19: ticked in two sittings, looked at, sent once: one stays and is trained, one moves, one has left.
#[tokio::test]
async fn g_08_an_admin_goes_through_the_year_in_two_sittings() {
    let town = Town::new().await;
    let Place { slot, admin, people, .. } = place(&town).await;
    assert!(get(&town, &admin, "/yearly", "yearly-closed").await.text.contains("期間ではありません"));
    opened(&town).await;
    assert!(get(&town, &admin, "/", "admin-devices-yearly").await.text.contains("年次更新を開く"));
    get(&town, &admin, "/yearly", "yearly-blank").await;
    let (d, [a, b, c]) = (device(&town, slot).await, [0, 1, 2].map(|n| people[n].to_string()));
    let (device, s) = (format!("d.{d}"), |id: &str| format!("s.{id}"));

    let half = [(s(&a), "stays"), ("act".to_owned(), "save")];
    let half: Vec<(&str, &str)> = half.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(location(&send(&town, &admin, "POST", "/yearly", &half).await), "/yearly?saved=yes");
    let page = get(&town, &admin, "/yearly?saved=yes", "yearly-half").await;
    assert!(page.text.contains("途中まで保存しました") && page.text.contains("利用者2名"), "{}", page.text);
    let early = [(s(&a), "stays"), ("act".to_owned(), "check")];
    let early: Vec<(&str, &str)> = early.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    let early = kept("yearly-gaps", send(&town, &admin, "POST", "/yearly", &early).await);
    assert!(early.status == StatusCode::UNPROCESSABLE_ENTITY && early.text.contains("MM-5642"));
    let sent = send(&town, &admin, "POST", "/yearly/finish", &[]).await;
    assert!(sent.status == StatusCode::UNPROCESSABLE_ENTITY && active(&town).await == 3, "nothing half-done");

    let (t, day) = (format!("t.{a}"), "2026-05-01");
    let all = [
        (s(&a), "stays"),
        (s(&b), "moved"),
        (s(&c), "left"),
        (t, "on"),
        (device, "kept"),
        ("trained_on".to_owned(), day),
        ("ledger".to_owned(), "on"),
        ("act".to_owned(), "check"),
    ];
    let all: Vec<(&str, &str)> = all.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(location(&send(&town, &admin, "POST", "/yearly", &all).await), "/yearly/confirm");
    let page = get(&town, &admin, "/yearly/confirm", "yearly-confirm").await;
    assert!(
        page.text.contains("馬場 二")
            && page.text.contains("千葉 三")
            && page.text.contains("1名（2026-05-01）")
    );
    assert_eq!(active(&town).await, 3, "a look ends nobody");
    for _twice in 0..2 {
        assert_eq!(location(&send(&town, &admin, "POST", "/yearly/finish", &[]).await), "/yearly");
    }
    assert!(get(&town, &admin, "/yearly", "yearly-done").await.text.contains("済みました"));
    assert_eq!(active(&town).await, 1);
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'yearly.finish'").await, 1);
    for (gone, why) in [(&people[1], "moved"), (&people[2], "left")] {
        assert!(town.around.gateway.cuts.lock().unwrap().contains(&Cut::Membership(gone.clone())));
        let said: String = sqlx::query_scalar("SELECT why FROM leaving WHERE membership = $1")
            .bind(gone.as_str())
            .fetch_one(&town.registry().await)
            .await
            .unwrap();
        assert_eq!(said, why);
    }
    assert_eq!(town.text("SELECT held_on FROM training WHERE kind = 'security'").await, "2026-05-01");
    let late = send(&town, &admin, "POST", "/yearly", &all).await;
    assert!(late.status == StatusCode::CONFLICT && late.text.contains("MM-5644"));
    // P-25: the mover's account waits for the next facility.
    assert_eq!(
        town.number("SELECT count(*) FROM person WHERE login = 'b@a.example' AND state = 'active'").await,
        1
    );
}

/// H-07: a device that comes back is revoked with its receipt; never the one in the hand; a crash is taken up where it was.
#[tokio::test]
async fn h_07_a_returned_device_is_revoked_and_a_crash_is_resumed() {
    let mut town = Town::new().await;
    let Place { slot, admin, people, .. } = place(&town).await;
    opened(&town).await;
    let d = format!("d.{}", device(&town, slot).await);
    let mut form: Vec<(String, &str)> = people.iter().map(|id| (format!("s.{id}"), "stays")).collect();
    form.extend([(d, "returned"), ("ledger".into(), "on"), ("act".into(), "check")]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    send(&town, &admin, "POST", "/yearly", &form).await;
    let own = send(&town, &admin, "POST", "/yearly/finish", &[]).await;
    assert!(own.status == StatusCode::CONFLICT && own.text.contains("MM-5643"), "{}", own.text);
    assert_eq!(town.number("SELECT count(*) FROM revocation").await, 0);

    // From another device; the gateway hangs, and the room dies while the receipt waits for it.
    let elsewhere = Identity { slot: "18-0777".parse().unwrap(), ..admin.clone() };
    town.around.gateway.mood.set(|_| Mode::Hangs);
    let request = http::Request::post("/yearly/finish").header("mimamori-identity", elsewhere.to_string());
    let request = request.header("accept", "text/html").body(axum::body::Body::empty()).unwrap();
    let room = town.room();
    town.begin(async move {
        use tower::ServiceExt;
        let _ = room.router().oneshot(request).await;
    });
    town.until("the device is out", async || town.number("SELECT count(*) FROM revocation").await == 1).await;
    town.crash();
    town.around.gateway.mood.set(|_| Mode::Works);
    town.start().await;
    assert_eq!(location(&send(&town, &elsewhere, "POST", "/yearly/finish", &[]).await), "/yearly");
    assert_eq!(town.number("SELECT count(*) FROM revocation WHERE reason = 'retired'").await, 1);
    assert_eq!(town.number("SELECT count(*) FROM yearly_answer WHERE done_at IS NOT NULL").await, 1);
    assert_eq!(active(&town).await, 3);
}

/// A forged form reaches nobody else's people and devices, and no admin (B-02, B-16).
#[tokio::test]
async fn b_16_a_forged_screen_ends_nobody_elses_people() {
    let town = Town::new().await;
    let Place { slot, admin, people, .. } = place(&town).await;
    opened(&town).await;
    let other = town.number("SELECT count(*) FROM membership").await;
    let office: String = sqlx::query_scalar("SELECT membership FROM membership WHERE role = 'secretariat'")
        .fetch_one(&town.registry().await)
        .await
        .unwrap();
    let own: String = sqlx::query_scalar(
        "SELECT membership FROM membership WHERE facility = $1 AND role = 'facility-admin'",
    )
    .bind(admin.facility.as_str())
    .fetch_one(&town.registry().await)
    .await
    .unwrap();
    let d = format!("d.{}", device(&town, slot).await);
    let mut form: Vec<(String, &str)> = people.iter().map(|id| (format!("s.{id}"), "stays")).collect();
    form.extend([
        (format!("s.{office}"), "left"),
        (format!("s.{own}"), "left"),
        ("d.d-forged".into(), "returned"),
    ]);
    form.extend([(d, "kept"), ("ledger".into(), "on"), ("act".into(), "check")]);
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    assert_eq!(location(&send(&town, &admin, "POST", "/yearly", &form).await), "/yearly/confirm");
    assert_eq!(location(&send(&town, &admin, "POST", "/yearly/finish", &[]).await), "/yearly");
    assert_eq!(town.number("SELECT count(*) FROM membership WHERE state = 'active'").await, other);
    let nonsense = send(&town, &admin, "POST", "/yearly", &[("s.nobody", "left")]).await;
    assert_eq!(nonsense.status, StatusCode::NOT_FOUND);
}

/// the secretariat opens the round, sees who is silent, calls, and is not told of the same facility in that week.
#[tokio::test]
async fn a_02_the_secretariat_calls_who_is_silent() {
    let town = Town::new().await;
    let Place { facility, .. } = place(&town).await;
    let office = town.secretariat().await;
    assert!(get(&town, &office, "/yearly", "yearly-office-none").await.text.contains("まだ一度も"));
    let wrong = [("year", "2026"), ("opens_on", "2026-03-31"), ("due_on", "2026-03-01")];
    let wrong = kept("yearly-office-wrong", send(&town, &office, "POST", "/yearly/open", &wrong).await);
    assert!(wrong.status == StatusCode::UNPROCESSABLE_ENTITY && wrong.text.contains("MM-5641"));
    // Long over: whoever has not sent it is on the list.
    let form = [("year", "2026"), ("opens_on", "2026-03-01"), ("due_on", "令和8年3月31日")];
    assert_eq!(location(&send(&town, &office, "POST", "/yearly/open", &form).await), "/yearly");
    let page = get(&town, &office, "/yearly?show=silent", "yearly-office").await;
    assert!(page.text.contains("電話した") && page.text.contains("さくら通り内科"), "{}", page.text);
    let path = format!("/yearly/{facility}/called");
    assert_eq!(
        location(&send(&town, &office, "POST", &path, &[("note", "福井様 金曜まで")]).await),
        "/yearly?show=silent"
    );
    let page = get(&town, &office, "/yearly", "yearly-office-called").await;
    assert!(page.text.contains("福井様 金曜まで"));
    assert!(!town.text("SELECT MAX(body) FROM audit WHERE action = 'yearly.call'").await.contains("福井"));
    let YearlyAnswer::Progress(progress) =
        yearly(&town, YearlyQuestion::List { year: None, silent: true }).await
    else {
        panic!()
    };
    assert!(progress.lines.iter().all(|line| line.facility != facility), "not twice in a week");
    assert_eq!((progress.untouched, progress.done), (2, 0));
}

/// H-17, H-18, H-19: who is late, noting who attended, a pledge mended; the office sees the same, the CLI too.
#[tokio::test]
async fn h_19_the_register_says_who_is_late_and_takes_who_attended() {
    let town = Town::new().await;
    let Place { facility, admin, people, .. } = place(&town).await;
    let office = town.secretariat().await;
    let page = get(&town, &admin, "/register", "register").await;
    assert!(page.text.contains("青木 一") && page.text.contains("2026-04-01"));
    let form = [("kind", "briefing"), ("held_on", "2026-04-02")];
    let nobody = kept("register-nobody", send(&town, &admin, "POST", "/register/training", &form).await);
    assert!(nobody.status == StatusCode::UNPROCESSABLE_ENTITY && nobody.text.contains("MM-5646"));
    let (a, b) = (people[0].to_string(), people[1].to_string());
    let form =
        [("kind", "briefing"), ("held_on", "2026-04-02"), ("person", a.as_str()), ("person", b.as_str())];
    for _twice in 0..2 {
        assert_eq!(location(&send(&town, &admin, "POST", "/register/training", &form).await), "/register");
    }
    assert_eq!(town.number("SELECT count(*) FROM training").await, 2);
    let pledge = [("pledge_date", "2026-05-05")];
    let path = format!("/people/{a}");
    assert_eq!(location(&send(&town, &admin, "POST", &format!("{path}/pledge"), &pledge).await), path);
    assert!(get(&town, &admin, &path, "person-pledge").await.text.contains("2026-05-05"));

    let all = get(&town, &office, "/register", "register-office").await;
    assert!(all.text.contains("さくら通り内科"));
    let of = format!("/register?facility={facility}");
    assert!(get(&town, &office, &of, "register-of").await.text.contains("2026-04-02"));
    // G-12a: the secretariat notes who came to the briefing; nobody of another facility by mistake.
    let form = [
        ("facility", facility.as_str()),
        ("kind", "security"),
        ("held_on", "R8.5.1"),
        ("person", b.as_str()),
    ];
    assert_eq!(location(&send(&town, &office, "POST", "/register/training", &form).await), of);
    let csv = send(&town, &office, "GET", "/register/csv?show=late", &[]).await;
    assert!(csv.text.contains("千葉 三") && csv.text.contains("\"氏名\""), "{}", csv.text);
    let list = RegisterQuestion::List { facility: Some(facility.clone()), late: true };
    let ProvisioningAnswer::Register(RegisterAnswer::Lines(lines)) =
        town.ask(ProvisioningQuestion::Register(list)).await
    else {
        panic!()
    };
    let c = lines.iter().find(|line| line.membership == people[2]).unwrap();
    assert!(c.briefing_late && !c.pledge_late && c.training == "fine");
    assert!(!lines.iter().any(|line| line.membership == people[1]));
    let note = |dry_run| RegisterQuestion::Training {
        people: vec![c.person.clone()],
        kind: "briefing".into(),
        held_on: "2026-06-01".into(),
        dry_run,
    };
    for (dry_run, rows) in [(true, 3), (false, 4)] {
        town.ask(ProvisioningQuestion::Register(note(dry_run))).await;
        assert_eq!(town.number("SELECT count(*) FROM training").await, rows);
    }
}
