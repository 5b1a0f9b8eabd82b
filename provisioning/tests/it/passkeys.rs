//! Passkeys at the accounts' door: whoever holds the key is in, and nobody else, in no order of steps (issue 6).

use data_encoding::BASE64URL_NOPAD as TEXT;
use pki::identity::PersonId;
use provisioning::accounts::AccountCheck;
use provisioning::passkeys::{Kept, NewProof, Offer, PER_PERSON, Passkey, Proof, Question};

use super::authenticator::{Authenticator, ORIGIN, RP};
use super::town::{OWN_PASSWORD, Town, slot};

const OFFICE: &str = "jimukyoku@mimamori.example.jp";
const MAKING: [u8; 32] = [1; 32];
const SIGNING: [u8; 32] = [2; 32];

fn question(challenge: &[u8]) -> Question {
    Question { challenge: TEXT.encode(challenge), origin: ORIGIN.into(), rp: RP.into() }
}

fn proof_of(authenticator: &mut Authenticator, challenge: &[u8]) -> Proof {
    let (client_data, data, signature) = authenticator.says(challenge);
    Proof {
        credential: TEXT.encode(&authenticator.credential),
        person: None,
        client_data: TEXT.encode(&client_data),
        authenticator_data: TEXT.encode(&data),
        signature: TEXT.encode(&signature),
    }
}

async fn town() -> Town {
    let town = Town::new().await;
    town.enrolled(slot("18-0000"), 7).await;
    town
}

async fn offer(town: &Town, password: &str) -> Offer {
    let (room, person, password) = (town.room(), town.office.person.clone(), password.to_owned());
    town.begin(async move { room.offer_passkey(&person, &password, RP).await.unwrap() }).await.unwrap()
}

async fn keep_for(town: &Town, person: &PersonId, label: &str, authenticator: &Authenticator) -> Kept {
    let (client_data, attestation) = authenticator.makes(&MAKING);
    let (client_data, attestation) = (TEXT.encode(&client_data), TEXT.encode(&attestation));
    let (room, person, label) = (town.room(), person.clone(), label.to_owned());
    let proof = NewProof { client_data, attestation };
    let kept = async move { room.keep_passkey(&person, &label, &question(&MAKING), &proof).await.unwrap() };
    town.begin(kept).await.unwrap()
}

async fn keep(town: &Town, authenticator: &Authenticator) -> Kept {
    keep_for(town, &town.office.person, "受付のかぎ", authenticator).await
}

async fn check(town: &Town, proof: Proof) -> AccountCheck {
    let room = town.room();
    town.begin(async move { room.check_passkey(&question(&SIGNING), &proof).await.unwrap() }).await.unwrap()
}

async fn signs_in(town: &Town, authenticator: &mut Authenticator) -> AccountCheck {
    let proof = proof_of(authenticator, &SIGNING);
    check(town, proof).await
}

async fn held(town: &Town) -> Vec<Passkey> {
    let (room, person) = (town.room(), town.office.person.clone());
    town.begin(async move { room.passkeys(&person).await.unwrap() }).await.unwrap()
}

#[tokio::test]
async fn a_passkey_is_offered_for_the_password_kept_and_signs_in() {
    let town = town().await;
    assert_eq!(offer(&town, "wrong password").await, Offer::Wrong, "H-02: the terminal has several people");
    let Offer::Yours { login, held: none, .. } = offer(&town, OWN_PASSWORD).await else { panic!() };
    assert_eq!((login.as_str(), none.len()), (OFFICE, 0));
    let mut phone = Authenticator::new(b"phone");
    assert_eq!(keep(&town, &phone).await, Kept::Kept);
    let AccountCheck::Right { person, memberships, .. } = signs_in(&town, &mut phone).await else { panic!() };
    assert_eq!((person, memberships.len()), (town.office.person.clone(), 1));
    let kept = held(&town).await;
    assert_eq!((kept[0].label.as_str(), kept[0].rp.as_str(), kept.len()), ("受付のかぎ", RP, 1));
    assert!(kept[0].used_at.is_some());
    let Offer::Yours { held: known, .. } = offer(&town, OWN_PASSWORD).await else { panic!() };
    assert_eq!(known, [TEXT.encode(b"phone")], "the same authenticator is not asked twice");
    for mut other in [Authenticator::ed25519(b"key"), Authenticator::rsa(b"desk")] {
        assert_eq!(keep(&town, &other).await, Kept::Kept);
        assert!(matches!(signs_in(&town, &mut other).await, AccountCheck::Right { .. }));
    }
    let written = town.number("SELECT count(*) FROM audit WHERE action = 'account.passkey.add'").await;
    assert_eq!(written, 3);
}

/// The attacker's list: each gets the same answer as a wrong password.
#[tokio::test]
async fn nobody_else_is_signed_in() {
    let town = town().await;
    let mut phone = Authenticator::new(b"phone");
    assert_eq!(keep(&town, &phone).await, Kept::Kept);
    let failures = async || town.number("SELECT failures FROM person WHERE password_hash IS NOT NULL").await;
    let before = failures().await;
    let forget = async || town.execute("UPDATE person SET failures = 0, paused_until = 0").await;

    let replayed = proof_of(&mut phone, &SIGNING);
    assert!(matches!(check(&town, replayed.clone()).await, AccountCheck::Right { .. }));
    assert_eq!(
        check(&town, replayed).await,
        AccountCheck::Wrong,
        "the same proof again: its counter is spent"
    );
    assert_eq!(failures().await, before + 1, "and it counts");
    let copied = town.number("SELECT count(*) FROM audit WHERE action = 'account.passkey.copied'").await;
    assert_eq!(copied, 1, "a copy is told");
    forget().await;

    let other_challenge = proof_of(&mut phone, &MAKING);
    assert_eq!(check(&town, other_challenge).await, AccountCheck::Wrong);
    let mut forger = Authenticator::new(b"phone");
    forger.counter = 1_000;
    assert_eq!(signs_in(&town, &mut forger).await, AccountCheck::Wrong, "another key under its name");
    assert_eq!(signs_in(&town, &mut Authenticator::new(b"unknown")).await, AccountCheck::Wrong);
    forget().await;

    phone.flags = 0x01;
    assert_eq!(signs_in(&town, &mut phone).await, AccountCheck::Wrong, "nobody was verified");
    phone.flags = super::authenticator::GOOD;
    phone.origin = "https://office.mimamori.example.jp".into();
    assert_eq!(signs_in(&town, &mut phone).await, AccountCheck::Wrong, "another page of ours");
    phone.origin = ORIGIN.into();
    phone.rp = "office.mimamori.example.jp".into();
    assert_eq!(signs_in(&town, &mut phone).await, AccountCheck::Wrong, "another name of ours");
    phone.rp = RP.into();
    let mut of_another = proof_of(&mut phone, &SIGNING);
    of_another.person = Some(PersonId::from_random([9; 10]).to_string());
    assert_eq!(check(&town, of_another).await, AccountCheck::Wrong, "it believes to be somebody else");
    forget().await;
    assert!(matches!(signs_in(&town, &mut phone).await, AccountCheck::Right { .. }), "and still it is good");
}

#[tokio::test]
async fn failures_pause_the_person_whichever_way_they_come() {
    let town = town().await;
    let mut phone = Authenticator::new(b"phone");
    assert_eq!(keep(&town, &phone).await, Kept::Kept);
    let mut forger = Authenticator::new(b"phone");
    for _ in 0..4 {
        assert_eq!(signs_in(&town, &mut forger).await, AccountCheck::Wrong);
    }
    assert_eq!(signs_in(&town, &mut forger).await, AccountCheck::Paused { seconds: 60 });
    assert!(matches!(signs_in(&town, &mut phone).await, AccountCheck::Paused { .. }), "right, but paused");
    assert!(matches!(offer(&town, OWN_PASSWORD).await, Offer::Paused { .. }));
    town.execute("UPDATE person SET paused_until = 0").await;
    assert!(matches!(signs_in(&town, &mut phone).await, AccountCheck::Right { .. }));
    assert_eq!(town.number("SELECT failures FROM person WHERE password_hash IS NOT NULL").await, 0);
}

/// H-12, B-13: who is stopped is unknown, and who is handed a new first password begins without old keys.
#[tokio::test]
async fn a_suspended_person_has_no_passkey_and_a_new_first_password_ends_them_all() {
    let town = town().await;
    let mut phone = Authenticator::new(b"phone");
    assert_eq!(keep(&town, &phone).await, Kept::Kept);
    town.execute("UPDATE person SET state = 'suspended'").await;
    assert_eq!(signs_in(&town, &mut phone).await, AccountCheck::Wrong);
    assert_eq!(keep(&town, &Authenticator::new(b"desk")).await, Kept::Refused);
    town.execute("UPDATE person SET state = 'active', failures = 0").await;
    assert!(matches!(signs_in(&town, &mut phone).await, AccountCheck::Right { .. }));
    let handed = provisioning::door::ProvisioningQuestion::Person(
        provisioning::door_person::PersonQuestion::Password {
            person: town.office.person.clone(),
            dry_run: false,
        },
    );
    town.ask(handed).await;
    assert!(held(&town).await.is_empty());
    assert_eq!(signs_in(&town, &mut phone).await, AccountCheck::Wrong);
}

#[tokio::test]
async fn a_person_has_so_many_and_gives_up_only_their_own() {
    let town = town().await;
    for n in 0..PER_PERSON {
        assert_eq!(keep(&town, &Authenticator::new(&[n as u8 + 1])).await, Kept::Kept);
    }
    assert_eq!(keep(&town, &Authenticator::new(b"one more")).await, Kept::Full);
    assert_eq!(offer(&town, OWN_PASSWORD).await, Offer::Full);
    let remove = async |person: &PersonId, credential: &str| {
        let (room, person, credential) = (town.room(), person.clone(), credential.to_owned());
        town.begin(async move { room.remove_passkey(&person, &credential).await.unwrap() }).await.unwrap()
    };
    let first = TEXT.encode(&[1]);
    assert!(!remove(&PersonId::from_random([9; 10]), &first).await, "another person's");
    assert!(remove(&town.office.person, &first).await);
    assert!(!remove(&town.office.person, &first).await);
    assert_eq!(held(&town).await.len() as i64, PER_PERSON - 1);
    assert_eq!(keep(&town, &Authenticator::new(&[2])).await, Kept::Refused, "that key is somebody's already");
    assert_eq!(keep_for(&town, &town.office.person, "\u{7} \n", &Authenticator::new(b"x")).await, Kept::Kept);
    assert_eq!(held(&town).await.last().unwrap().label, "パスキー", "a word is never empty");
}
