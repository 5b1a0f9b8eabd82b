//! 利用停止, 再開, 退職・異動, はじめのパスワードの出し直し: what a facility's admin does for its users (B-14, B-16),
//! what the secretariat does for an account (B-24, H-12), and what nobody can.

use http::StatusCode;
use pki::identity::{FacilityId, Identity, MembershipId};
use provisioning::accounts::{AccountCheck, PasswordChange};
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_person::PersonQuestion;
use provisioning::need::Cut;
use serde_json::json;

use super::pages::{get, send};
use super::town::Town;

const LOGIN: &str = "kango@a.example";
const OWN: &str = "みずをのむ猫の足音-2026";

struct Nurse {
    membership: MembershipId,
    password: String,
}

async fn registered(town: &Town, admin: &Identity) -> Nurse {
    let body =
        json!({ "login": LOGIN, "name": "看護 花", "profession": "看護師", "pledge_date": "2026-04-01" });
    let made = town.call(admin, "POST", "/api/people", Some(body)).await.json();
    let text = |key: &str| made[key].as_str().unwrap_or_default().to_owned();
    Nurse { membership: text("membership").parse().unwrap(), password: text("initial_password") }
}

async fn signs_in(town: &Town, password: &str) -> bool {
    matches!(town.room().check_account(LOGIN, password).await.unwrap(), AccountCheck::Right { .. })
}

async fn press(town: &Town, who: &Identity, nurse: &Nurse, act: &str) -> super::town::Answer {
    send(town, who, "POST", &format!("/people/{}/{act}", nurse.membership), &[]).await
}

/// Does the feed let this membership in?
async fn let_in(town: &Town, membership: &MembershipId) -> bool {
    town.grants().await.memberships.iter().any(|grant| grant.membership == *membership && grant.active)
}

/// B-16, B-24, H-14: the admin stops a user, lets them in again, and ends the membership; each at once and at the gateway.
#[tokio::test]
async fn b_14_an_admin_stops_and_ends_its_own_users() {
    let town = Town::new().await;
    let facilities = town.facilities(1).await;
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    let nurse = registered(&town, &admin).await;
    let page = format!("/people/{}", nurse.membership);
    assert!(signs_in(&town, &nurse.password).await && let_in(&town, &nurse.membership).await);

    let asked = get(&town, &admin, &format!("{page}?ask=suspend"), "person-suspend-ask").await;
    assert!(asked.text.contains("一時停止する"));
    for _twice in 0..2 {
        assert_eq!(press(&town, &admin, &nurse, "suspend").await.status, StatusCode::SEE_OTHER);
    }
    assert!(!signs_in(&town, &nurse.password).await && !let_in(&town, &nurse.membership).await);
    assert!(town.around.gateway.cuts.lock().unwrap().contains(&Cut::Membership(nurse.membership.clone())));
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'membership.suspend'").await, 1);
    let stopped = get(&town, &admin, &page, "person-suspended").await;
    assert!(stopped.text.contains("一時停止") && stopped.text.contains("?ask=resume"));

    press(&town, &admin, &nurse, "resume").await;
    assert!(signs_in(&town, &nurse.password).await && let_in(&town, &nurse.membership).await);

    assert_eq!(press(&town, &admin, &nurse, "end").await.status, StatusCode::SEE_OTHER);
    assert!(!signs_in(&town, &nurse.password).await && !let_in(&town, &nurse.membership).await);
    let back = press(&town, &admin, &nurse, "resume").await;
    assert!(back.status == StatusCode::CONFLICT && back.text.contains("MM-5623"), "{}", back.text);
    assert!(!get(&town, &admin, "/people", "people-after-end").await.text.contains(LOGIN));

    // Whoever comes back is registered anew, under another membership: old teams stay closed.
    let again = registered(&town, &admin).await;
    assert_ne!(again.membership, nurse.membership);
    assert!(let_in(&town, &again.membership).await && !let_in(&town, &nurse.membership).await);
}

/// B-16, P-09: a forgotten password is given anew by the admin: shown once, changed at the first sign-in, everybody out.
#[tokio::test]
async fn b_16_a_forgotten_password_is_given_anew() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    let nurse = registered(&town, &admin).await;
    let AccountCheck::Right { person, .. } = town.room().check_account(LOGIN, &nurse.password).await.unwrap()
    else {
        panic!()
    };
    let changed = town.room().change_password(&person, &nurse.password, OWN).await.unwrap();
    assert_eq!(changed, PasswordChange::Changed);

    let made = press(&town, &admin, &nurse, "password").await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let fresh = made.text.split("はじめのパスワード</dt><dd class=\"mm-code mm-big\">").nth(1).unwrap();
    let fresh = fresh.split('<').next().unwrap();
    assert!(!signs_in(&town, OWN).await, "the forgotten one is dead");
    let AccountCheck::Right { must_change, .. } = town.room().check_account(LOGIN, fresh).await.unwrap()
    else {
        panic!()
    };
    assert!(must_change && town.around.gateway.cuts.lock().unwrap().contains(&Cut::Person(person.clone())));
    super::pages::kept("person-password", made);

    // P-25: an account that opens another facility's doors too is not one admin's to give away.
    let other = town.admin(&facilities[1].0, facilities[1].1).await;
    registered(&town, &other).await;
    let refused = press(&town, &admin, &nurse, "password").await;
    assert!(refused.status == StatusCode::CONFLICT && refused.text.contains("MM-5625"), "{}", refused.text);
    // B-02: nor is an admin's own.
    let own = town.room().grants(0, 0).await.unwrap().memberships;
    let own = own.iter().find(|grant| grant.person == admin.person).unwrap().membership.clone();
    for act in ["suspend", "end", "password"] {
        let itself = send(&town, &admin, "POST", &format!("/people/{own}/{act}"), &[]).await;
        assert!(itself.status == StatusCode::CONFLICT && itself.text.contains("MM-5624"), "{act}");
    }
}

/// B-24, H-12: the secretariat stops an account everywhere without asking; opening it again waits for the call back (P-16).
#[tokio::test]
async fn h_12_the_secretariat_stops_an_account_everywhere() {
    let town = Town::new().await;
    let facilities = town.facilities(2).await;
    let (one, two) = (
        town.admin(&facilities[0].0, facilities[0].1).await,
        town.admin(&facilities[1].0, facilities[1].1).await,
    );
    let (nurse, there) = (registered(&town, &one).await, registered(&town, &two).await);
    let office = town.secretariat().await;
    let telephone = |facility: &FacilityId| format!("/facilities/{facility}/telephone");
    let desk = get(&town, &office, &telephone(&facilities[0].0), "telephone-people").await;
    assert!(desk.text.contains(&format!("/people/{}", nurse.membership)));

    assert_eq!(press(&town, &office, &nurse, "suspend").await.status, StatusCode::SEE_OTHER);
    assert!(!let_in(&town, &nurse.membership).await && !let_in(&town, &there.membership).await);
    assert!(!signs_in(&town, &nurse.password).await);
    assert!(town.around.gateway.cuts.lock().unwrap().iter().any(|cut| matches!(cut, Cut::Person(_))));
    // What the secretariat stopped, no admin opens.
    press(&town, &one, &nurse, "resume").await;
    assert!(!let_in(&town, &nurse.membership).await);
    let seen = get(&town, &one, &format!("/people/{}", nurse.membership), "person-stopped-by-office").await;
    assert!(seen.text.contains("事務局がこのログインIDを一時停止") && !seen.text.contains("?ask=password"));

    for act in ["resume", "password"] {
        let early = press(&town, &office, &nurse, act).await;
        assert_eq!(early.status, StatusCode::CONFLICT, "{act}: {}", early.text);
    }
    let call = [("caller", "看護 花"), ("recognised_by", "登録番号へ折り返し")];
    send(&town, &office, "POST", &format!("/facilities/{}/call", facilities[0].0), &call).await;
    assert_eq!(press(&town, &office, &nurse, "resume").await.status, StatusCode::SEE_OTHER);
    assert!(let_in(&town, &nurse.membership).await && let_in(&town, &there.membership).await);
    assert!(signs_in(&town, &nurse.password).await);
    assert_eq!(press(&town, &office, &nurse, "password").await.status, StatusCode::OK);
}

/// The same over the operator's door: a dry run changes nothing, and the last of the secretariat is never stopped.
#[tokio::test]
async fn b_24_the_same_over_the_operators_door() {
    let town = Town::new().await;
    let facilities = town.facilities(1).await;
    let admin = town.admin(&facilities[0].0, facilities[0].1).await;
    let nurse = registered(&town, &admin).await;
    let ask = async |question| town.ask(ProvisioningQuestion::Person(question)).await;
    let list = PersonQuestion::List { facility: None, words: Some("ｶﾝｺﾞ kango".into()) };
    let ProvisioningAnswer::People(none) = ask(list).await else { panic!() };
    assert!(none.is_empty(), "every word must fit");
    let list = PersonQuestion::List { facility: Some(facilities[0].0.clone()), words: Some("看護".into()) };
    let ProvisioningAnswer::People(lines) = ask(list).await else { panic!() };
    let person = lines[0].person.clone();
    assert_eq!((lines.len(), lines[0].login.as_str(), lines[0].state.as_str()), (1, LOGIN, "active"));

    const TRAIL: &str =
        "SELECT count(*) FROM audit WHERE action LIKE 'person.%' OR action LIKE 'membership.%'";
    let trail = town.number(TRAIL).await;
    let suspend = |dry_run| PersonQuestion::Suspend { person: person.clone(), dry_run };
    let ProvisioningAnswer::PersonChanged(dry) = ask(suspend(true)).await else { panic!() };
    assert_eq!((dry.state.as_str(), dry.changed, dry.dry_run), ("suspended", true, true));
    let password = PersonQuestion::Password { person: person.clone(), dry_run: true };
    let ProvisioningAnswer::FirstPassword(dry) = ask(password).await else { panic!() };
    assert_eq!(dry.password, None);
    assert!(let_in(&town, &nurse.membership).await);
    assert_eq!(town.number(TRAIL).await, trail);

    let ProvisioningAnswer::PersonChanged(done) = ask(suspend(false)).await else { panic!() };
    assert!(done.changed && !let_in(&town, &nurse.membership).await);
    let ProvisioningAnswer::PersonChanged(twice) = ask(suspend(false)).await else { panic!() };
    assert!(!twice.changed);

    let list = PersonQuestion::List { facility: None, words: Some("事務局".into()) };
    let ProvisioningAnswer::People(desk) = ask(list).await else { panic!() };
    let last = PersonQuestion::Suspend { person: desk[0].person.clone(), dry_run: false };
    let ProvisioningAnswer::Trouble(trouble) = ask(last).await else { panic!() };
    assert_eq!(trouble.code, "MM-5626");
    let nobody = pki::identity::PersonId::from_random([9; 10]);
    let ProvisioningAnswer::Trouble(trouble) =
        ask(PersonQuestion::Resume { person: nobody, dry_run: false }).await
    else {
        panic!()
    };
    assert_eq!(trouble.code, "MM-5627");
    assert!(
        !format!("{:?}", ask(PersonQuestion::Resume { person, dry_run: false }).await).contains("password")
    );
}
