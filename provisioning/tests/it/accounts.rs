//! Signing in: one answer for everything wrong, pauses for everybody alike, one account for several facilities.

use provisioning::accounts::{AccountCheck, PasswordChange};
use serde_json::json;

use super::town::{OWN_PASSWORD, Town, slot};

const OFFICE: &str = "jimukyoku@mimamori.example.jp";

async fn check(town: &Town, login: &str, password: &str) -> AccountCheck {
    let (room, login, password) = (town.room(), login.to_owned(), password.to_owned());
    town.begin(async move { room.check_account(&login, &password).await.unwrap() }).await.unwrap()
}

#[tokio::test]
async fn every_failure_is_one_answer_and_every_login_pauses_alike() {
    let town = Town::new().await;
    assert_eq!(check(&town, OFFICE, "").await, AccountCheck::Wrong, "no password yet is no password");
    town.enrolled(slot("18-0000"), 7).await;
    assert!(matches!(check(&town, OFFICE, OWN_PASSWORD).await, AccountCheck::Right { .. }));
    for login in [OFFICE, "nobody@mimamori.example.jp"] {
        for _ in 0..4 {
            assert_eq!(check(&town, login, "wrong password").await, AccountCheck::Wrong, "{login}");
        }
        assert_eq!(
            check(&town, login, "wrong password").await,
            AccountCheck::Paused { seconds: 60 },
            "{login}"
        );
        assert!(
            matches!(check(&town, login, OWN_PASSWORD).await, AccountCheck::Paused { .. }),
            "right, but paused"
        );
    }
    town.execute("UPDATE person SET paused_until = 0").await;
    assert!(matches!(check(&town, OFFICE, OWN_PASSWORD).await, AccountCheck::Right { .. }));
    assert_eq!(town.number("SELECT failures FROM person").await, 0);
    town.execute("UPDATE person SET state = 'suspended'").await;
    assert_eq!(check(&town, OFFICE, OWN_PASSWORD).await, AccountCheck::Wrong, "H-12: stopped is unknown");
}

#[tokio::test]
async fn a_password_changes_only_for_who_knows_it_and_to_a_good_one() {
    let town = Town::new().await;
    town.enrolled(slot("18-0000"), 7).await;
    let change = async |old: &str, new: &str| {
        let (room, person) = (town.room(), town.office.person.clone());
        let (old, new) = (old.to_owned(), new.to_owned());
        town.begin(async move { room.change_password(&person, &old, &new).await.unwrap() }).await.unwrap()
    };
    assert_eq!(change("wrong password", "another-Password-9").await, PasswordChange::Wrong);
    for (new, code) in [("short", "MM-5501"), (OWN_PASSWORD, "MM-5505"), ("1234567890123", "MM-5503")] {
        let PasswordChange::Weak(refusal) = change(OWN_PASSWORD, new).await else { panic!("{new}") };
        assert_eq!(refusal.message.words().code, code);
    }
    assert_eq!(change(OWN_PASSWORD, "とびこむかわず-77").await, PasswordChange::Changed);
    assert_eq!(check(&town, OFFICE, OWN_PASSWORD).await, AccountCheck::Wrong);
    assert!(matches!(check(&town, OFFICE, "とびこむかわず-77").await, AccountCheck::Right { .. }));
}

/// P-25: a doctor at two clinics has one account and two memberships; the second admin changes no password.
#[tokio::test]
async fn one_person_several_memberships() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let body = json!({ "login": "Isha@Shinryo.example.jp", "name": "越前 一郎", "profession": "医師", "pledge_date": "2026-04-01" });
    let mut passwords = vec![];
    for (facility, place) in &facilities {
        let admin = town.admin(facility, *place).await;
        let answer = town.call(&admin, "POST", "/api/people", Some(body.clone())).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        passwords.push(answer.json()["initial_password"].clone());
    }
    assert!(passwords[1].is_null());
    let AccountCheck::Right { memberships, must_change, .. } =
        check(&town, "isha@shinryo.example.jp", passwords[0].as_str().unwrap()).await
    else {
        panic!()
    };
    assert!(must_change && memberships.len() == 2);

    let other = json!({ "login": "isha@shinryo.example.jp", "name": "別の 人", "profession": "医師", "pledge_date": "2026-04-01" });
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    assert_eq!(
        town.call(&admin, "POST", "/api/people", Some(other)).await.code(),
        "MM-5604",
        "nobody is taken over"
    );
    assert_eq!(town.call(&admin, "POST", "/api/people", Some(body)).await.code(), "MM-5615");
    town.execute("UPDATE facility SET state = 'suspended' WHERE kind <> '事務局'").await;
    assert_eq!(
        check(&town, "isha@shinryo.example.jp", passwords[0].as_str().unwrap()).await,
        AccountCheck::Wrong
    );
}
