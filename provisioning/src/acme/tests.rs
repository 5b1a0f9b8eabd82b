//! Identifiers and nonces, every stage with every event, and what an attacker would like them to do.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const NOW: i64 = 1_800_000_000_000;

fn account(n: u8) -> Account {
    Account(format!("account {n}"))
}

fn pass(stage: Stage) -> Pass {
    Pass { stage, valid_until: NOW + VALID_MS }
}

fn slot(number: u16) -> SlotNumber {
    format!("18-{number:04}").parse().unwrap()
}

/// Each row: stage, what its own account, another's, and the same after its time are told.
#[test]
fn stage_times_event_times_account_times_time() {
    use Event::{Answered, Finalized, Ordered, Read};
    use PeopleMessage::{AcmeNotReady, AcmeOrder, AcmePass};
    let (own, other) = (account(1), account(2));
    let pending = || Stage::Pending(account(1));
    let ready = || Stage::Ready(account(1));
    let valid = || Stage::Valid(account(1));
    for (stage, event, by_own, by_other, late) in [
        (Stage::Waiting, Ordered, Ok(pending()), Ok(Stage::Pending(account(2))), Err(AcmePass)),
        (Stage::Waiting, Answered, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
        (Stage::Waiting, Finalized, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
        (Stage::Waiting, Read, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
        (pending(), Ordered, Ok(pending()), Err(AcmePass), Err(AcmePass)),
        (pending(), Answered, Ok(ready()), Err(AcmeOrder), Err(AcmePass)),
        (pending(), Finalized, Err(AcmeNotReady), Err(AcmeOrder), Err(AcmePass)),
        (pending(), Read, Ok(pending()), Err(AcmeOrder), Ok(pending())),
        (ready(), Ordered, Ok(ready()), Err(AcmePass), Err(AcmePass)),
        (ready(), Answered, Ok(ready()), Err(AcmeOrder), Err(AcmePass)),
        (ready(), Finalized, Ok(valid()), Err(AcmeOrder), Err(AcmePass)),
        (ready(), Read, Ok(ready()), Err(AcmeOrder), Ok(ready())),
        (valid(), Ordered, Err(AcmePass), Err(AcmePass), Err(AcmePass)),
        (valid(), Answered, Ok(valid()), Err(AcmeOrder), Ok(valid())),
        (valid(), Finalized, Ok(valid()), Err(AcmeOrder), Ok(valid())),
        (valid(), Read, Ok(valid()), Err(AcmeOrder), Ok(valid())),
        (Stage::Void, Ordered, Err(AcmePass), Err(AcmePass), Err(AcmePass)),
        (Stage::Void, Answered, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
        (Stage::Void, Finalized, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
        (Stage::Void, Read, Err(AcmeOrder), Err(AcmeOrder), Err(AcmeOrder)),
    ] {
        let pass = pass(stage);
        let told = format!("{:?} {event:?}", pass.stage);
        assert_eq!(step(&pass, &own, event, pass.valid_until - 1), by_own, "{told}");
        assert_eq!(step(&pass, &other, event, pass.valid_until - 1), by_other, "{told} by another");
        assert_eq!(step(&pass, &own, event, pass.valid_until), late, "{told} too late");
    }
}

#[test]
fn what_is_told_of_an_order_is_its_stage_and_its_time() {
    for (stage, order, challenge, late) in [
        (Stage::Waiting, "invalid", "invalid", "invalid"),
        (Stage::Pending(account(1)), "pending", "pending", "invalid"),
        (Stage::Ready(account(1)), "ready", "valid", "invalid"),
        (Stage::Valid(account(1)), "valid", "valid", "valid"),
        (Stage::Void, "invalid", "invalid", "invalid"),
    ] {
        let pass = pass(stage);
        assert_eq!((pass.order_status(NOW), pass.challenge_status(NOW)), (order, challenge));
        assert_eq!(pass.order_status(pass.valid_until), late);
        let stored = Stage::parse(pass.stage.as_str(), pass.stage.account().map(|own| own.0.clone()));
        assert_eq!(stored, Some(pass.stage));
    }
    assert_eq!(Stage::parse("ready", None), None);
    assert_eq!(Stage::parse("waiting", Some("x".into())), None);
}

#[test]
fn an_identifier_says_its_number_and_fits() {
    let identifier = identifier("4976052383", &[0xa5; SECRET_LEN]);
    assert!(identifier.starts_with("4976052383-") && identifier.len() <= IDENTIFIER_MAX);
    assert!(identifier.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    assert_ne!(identifier_hash(&identifier), identifier_hash(&identifier.to_ascii_uppercase()));
}

#[test]
fn every_kind_has_a_name_of_its_own_and_the_sheets_refusals_are_unauthorized() {
    let names: BTreeSet<&str> = PeopleMessage::ALL.iter().map(|message| kind(*message).urn()).collect();
    assert_eq!(names.len(), 10);
    assert!(names.iter().all(|name| name.starts_with("urn:ietf:params:acme:error:")));
    for message in [PeopleMessage::ClaimWrong, PeopleMessage::ClaimLocked, PeopleMessage::AcmePass] {
        assert_eq!(kind(message), Kind::Unauthorized);
    }
    assert_eq!(kind(PeopleMessage::ClaimPaused), Kind::RateLimited);
}

#[test]
fn a_nonce_is_good_once_in_its_slot_and_for_its_time() {
    let mut nonces = Nonces::default();
    let one = nonces.give(slot(1), [1; NONCE_LEN], NOW);
    assert!(!nonces.take(slot(2), &one, NOW), "another slot's");
    assert!(nonces.take(slot(1), &one, NOW));
    assert!(!nonces.take(slot(1), &one, NOW), "replayed");
    let late = nonces.give(slot(1), [2; NONCE_LEN], NOW);
    assert!(!nonces.take(slot(1), &late, NOW + NONCE_LIFE_MS));
    for forged in ["", "AAAA", "\u{e9}", "AQEBAQEBAQEBAQEBAQEBAQ=="] {
        assert!(!nonces.take(slot(1), forged, NOW), "{forged}");
    }
}

#[test]
fn a_slot_that_asks_for_thousands_loses_only_its_own() {
    let mut nonces = Nonces::default();
    let ours = nonces.give(slot(1), [1; NONCE_LEN], NOW);
    for n in 0..10_000u32 {
        let mut random = [9; NONCE_LEN];
        random[..4].copy_from_slice(&n.to_be_bytes());
        nonces.give(slot(2), random, NOW);
    }
    assert_eq!(nonces.given.len(), 1 + NONCES_PER_SLOT);
    assert!(nonces.take(slot(1), &ours, NOW));
    for n in 0..5_000u16 {
        let mut random = [8; NONCE_LEN];
        random[..2].copy_from_slice(&n.to_be_bytes());
        nonces.give(slot(n), random, NOW);
    }
    assert_eq!(nonces.given.len(), NONCES_MAX);
    nonces.give(slot(1), [7; NONCE_LEN], NOW + NONCE_LIFE_MS);
    assert_eq!(nonces.given.len(), 1, "what is too old goes");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Whatever is done in whatever order by two accounts: one of them gets it at most, in order, and never after its time.
    #[test]
    fn nobody_comes_to_a_certificate_another_way(
        acts in prop::collection::vec((0u8..4, 1u8..3, 0i64..2), 0..12),
    ) {
        let mut pass = pass(Stage::Waiting);
        let (mut now, mut owner) = (NOW, None);
        for (event, who, pause) in acts {
            now += pause * (VALID_MS / 3);
            let event = [Event::Ordered, Event::Answered, Event::Finalized, Event::Read][usize::from(event)];
            let before = pass.stage.clone();
            let Ok(next) = step(&pass, &account(who), event, now) else { continue };
            if next != before {
                prop_assert!(now < pass.valid_until);
                let in_order = matches!(
                    (&before, &next),
                    (Stage::Waiting, Stage::Pending(_))
                        | (Stage::Pending(_), Stage::Ready(_))
                        | (Stage::Ready(_), Stage::Valid(_))
                );
                prop_assert!(in_order, "{:?} {:?}", before, next);
            }
            owner = owner.or(next.account().cloned());
            prop_assert_eq!(next.account(), owner.as_ref());
            prop_assert_eq!(&account(who), owner.as_ref().unwrap());
            pass.stage = next;
        }
    }
}
