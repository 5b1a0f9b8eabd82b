//! Whoever has left is in no team any more, however long the SNS is away (H-14); an account that nobody uses any more
//! loses its personal data after its waiting time, and not before (P-27, P-33).

use pki::identity::Identity;
use serde_json::json;

use super::neighbours::Mode;
use super::pages::send;
use super::town::Town;

const DAY: i64 = 24 * 60 * 60 * 1_000;

/// A user of the admin's facility in a patient's team; person and membership.
async fn in_a_team(town: &Town, admin: &Identity, login: &str) -> (String, String) {
    let office = town.secretariat().await;
    let body =
        json!({ "login": login, "name": "看護 花", "profession": "看護師", "pledge_date": "2026-04-01" });
    let made = town.call(admin, "POST", "/api/people", Some(body)).await.json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let (person, membership) = (text(&made["person"]), text(&made["membership"]));
    let body = json!({ "name": "越前 花", "kana": "エチゼン ハナ", "consent_date": "2026-11-01", "origin": admin.facility });
    let patient = town.call(&office, "POST", "/api/patients", Some(body)).await.json();
    let path = format!("/api/patients/{}/members", text(&patient["patient"]));
    let added = town.call(admin, "POST", &path, Some(json!({ "membership": membership }))).await;
    assert!(added.status.is_success(), "{}", added.text);
    (person, membership)
}

fn named(town: &Town, membership: &str) -> bool {
    let teams = town.around.sns.teams.lock().unwrap();
    teams.values().any(|team| team.members.iter().any(|member| member.membership.to_string() == membership))
}

/// H-14: the end commits while the SNS is away; the room is killed; the team loses its member all the same.
#[tokio::test]
async fn h_14_who_has_left_is_taken_out_of_the_teams_after_all() {
    let mut town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let (_, membership) = in_a_team(&town, &admin, "kango@a.example").await;
    assert!(named(&town, &membership));

    town.around.sns.mood.set(|question| if *question == "leave" { Mode::Fails } else { Mode::Works });
    let ended = send(&town, &admin, "POST", &format!("/people/{membership}/leave"), &[]).await;
    assert!(ended.status.is_redirection(), "{}", ended.text);
    town.until("it was tried", async || {
        town.number("SELECT count(*) FROM leaving WHERE attempts > 0 AND removed_at IS NULL").await == 1
    })
    .await;
    assert!(named(&town, &membership));

    town.crash();
    town.around.sns.mood.set(|_| Mode::Works);
    town.start().await;
    town.until("the team has lost its member", async || {
        town.number("SELECT count(*) FROM leaving WHERE removed_at IS NOT NULL AND teams = 1").await == 1
    })
    .await;
    assert!(!named(&town, &membership));
    assert_eq!(town.text("SELECT why FROM leaving").await, "left");
}

/// C-4, C-9 and earlier versions end memberships in their own way: those leave their teams, too.
#[tokio::test]
async fn h_14_an_end_of_another_kind_is_taken_in() {
    let mut town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let admin = town.admin(&facility, place).await;
    let (_, membership) = in_a_team(&town, &admin, "kango@a.example").await;
    town.execute("UPDATE membership SET state = 'ended' WHERE role = 'staff'").await;
    town.crash();
    town.start().await;
    town.until("taken in and told", async || {
        town.number("SELECT count(*) FROM leaving WHERE removed_at IS NOT NULL").await == 1
    })
    .await;
    assert!(!named(&town, &membership));
}

/// P-33, P-27: a leaver's address, login and password go after a week, a mover's stay; the name and the trail stay.
#[tokio::test]
async fn p_33_an_account_that_nobody_uses_loses_its_data() {
    let mut town = Town::new().await;
    let facilities = town.facilities(1).await;
    let (facility, place) = facilities[0].clone();
    let admin = town.admin(&facility, place).await;
    let (left, membership) = in_a_team(&town, &admin, "yameru@a.example").await;
    let (moved, other) = in_a_team(&town, &admin, "utsuru@a.example").await;
    send(&town, &admin, "POST", &format!("/people/{membership}/leave"), &[]).await;
    send(&town, &admin, "POST", &format!("/people/{other}/end"), &[]).await;
    let told = async |town: &Town| {
        town.number("SELECT count(*) FROM leaving WHERE removed_at IS NOT NULL").await == 2
    };
    town.until("both are out", async || told(&town).await).await;
    assert_eq!(town.number("SELECT count(*) FROM person WHERE state = 'deleted'").await, 0, "not yet");

    // Eight days later.
    sqlx::query("UPDATE leaving SET at = at - $1")
        .bind(8 * DAY)
        .execute(&town.registry().await)
        .await
        .unwrap();
    town.crash();
    town.start().await;
    town.until("one account is erased", async || {
        town.number("SELECT count(*) FROM audit WHERE action = 'person.erase'").await == 1
    })
    .await;
    let registry = town.registry().await;
    let row = |person: String| {
        sqlx::query_as::<_, (String, String, String, i64)>(
            "SELECT p.login, p.name, p.state, (SELECT count(*) FROM address a WHERE a.person = p.person)
             FROM person p WHERE p.person = $1 AND (p.password_hash IS NULL) = (p.state = 'deleted')",
        )
        .bind(person)
        .fetch_one(&registry)
    };
    let gone = row(left.clone()).await.unwrap();
    assert_eq!(gone, (format!("erased-{left}"), "看護 花".into(), "deleted".into(), 0));
    let kept = row(moved.clone()).await.unwrap();
    assert_eq!(kept, ("utsuru@a.example".into(), "看護 花".into(), "active".into(), 1));

    // G-03, P-25: the address is free again for anybody; the mover comes back to the same account.
    for (login, name, known) in
        [("yameru@a.example", "別人 太郎", None), ("utsuru@a.example", "看護 花", Some(&moved))]
    {
        let body =
            json!({ "login": login, "name": name, "profession": "看護師", "pledge_date": "2026-04-01" });
        let made = town.call(&admin, "POST", "/api/people", Some(body)).await;
        assert_eq!(made.status, http::StatusCode::CREATED, "{}", made.text);
        let person = made.json()["person"].as_str().unwrap().to_owned();
        assert!(person != left && known.is_none_or(|known| *known == person), "{login}");
    }
}
