//! Ruling 5 as a table of attacks, then as properties over any course of events.

use super::*;
use proptest::prelude::*;

const T0: i64 = 1_795_000_000_000;
const DAY: i64 = 24 * 60 * 60 * 1000;
const MINUTE: i64 = 60 * 1000;

fn sheet() -> Enrolment {
    Enrolment {
        state: EnrolmentState::Open,
        failures: 0,
        paused_until: 0,
        valid_until: T0 + 30 * DAY,
        opened_at: None,
        claims: 0,
        claimed_at: None,
        bootstrap_from: None,
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

const RIGHT: Event = Event::Entry { right: true };
const WRONG: Event = Event::Entry { right: false };

fn claim_from(text: &str) -> Event {
    Event::Claim { bootstrap_from: Some(at(text)) }
}

/// Plays a course; returns the last state and what was said at each step (`None`: went through).
fn play(course: &[(i64, Event)]) -> (Enrolment, Vec<Option<PeopleMessage>>) {
    let mut enrolment = sheet();
    let said = course
        .iter()
        .map(|(now, event)| match step(enrolment.clone(), event, T0 + now) {
            Ok((next, effects)) => {
                enrolment = next;
                effects.iter().find_map(|effect| match effect {
                    Effect::Refuse(refusal) => Some(refusal.message),
                    _ => None,
                })
            }
            Err(refusal) => Some(refusal.message),
        })
        .collect();
    (enrolment, said)
}

fn last(course: &[(i64, Event)]) -> Option<PeopleMessage> {
    play(course).1.pop().unwrap()
}

#[test]
fn the_ordinary_course() {
    let course = [(0, RIGHT), (0, claim_from("192.0.2.1:5000")), (MINUTE, Event::FirstHandshake)];
    let (enrolment, said) = play(&course);
    assert_eq!(enrolment.state, EnrolmentState::Done);
    assert_eq!(said, [None, None, None]);
}

#[test]
fn every_attack_and_every_limit() {
    use PeopleMessage::*;
    let claim = || claim_from("192.0.2.1:5000");
    let wrong = |n: usize, now: i64| vec![(now, WRONG); n];
    let after = |mut course: Vec<(i64, Event)>, more: &[(i64, Event)]| {
        course.extend_from_slice(more);
        course
    };
    let fifteen = after(after(wrong(5, 0), &wrong(5, 15 * MINUTE)), &wrong(5, 30 * MINUTE));
    type Line = (&'static str, Vec<(i64, Event)>, Option<PeopleMessage>);
    let table: Vec<Line> = vec![
        ("a wrong entry", wrong(1, 0), Some(ClaimWrong)),
        ("the fifth pauses", wrong(5, 0), Some(ClaimPaused)),
        ("right during the pause", after(wrong(5, 0), &[(15 * MINUTE - 1, RIGHT)]), Some(ClaimPaused)),
        ("right after the pause", after(wrong(5, 0), &[(15 * MINUTE, RIGHT)]), None),
        ("the fifteenth locks", fifteen.clone(), Some(ClaimLocked)),
        ("right after the lock", after(fifteen, &[(DAY, RIGHT)]), Some(ClaimLocked)),
        ("right on the last day", vec![(30 * DAY - 1, RIGHT)], None),
        ("right after 30 days", vec![(30 * DAY, RIGHT)], Some(ClaimExpired)),
        ("wrong after 30 days says no more than wrong", vec![(30 * DAY, WRONG)], Some(ClaimWrong)),
        ("within 24 hours", vec![(0, RIGHT), (DAY - 1, RIGHT)], None),
        ("after 24 hours", vec![(0, RIGHT), (DAY, RIGHT)], Some(ClaimWindowOver)),
        ("a claim without an entry", vec![(0, claim())], Some(ClaimWrong)),
        ("repeat in time", vec![(0, RIGHT), (0, claim()), (10 * MINUTE - 1, RIGHT)], None),
        ("repeat too late", vec![(0, RIGHT), (0, claim()), (10 * MINUTE, RIGHT)], Some(ClaimRepeatOver)),
        ("the third", vec![(0, RIGHT), (0, claim()), (1, claim()), (2, claim())], None),
        (
            "a fourth",
            vec![(0, RIGHT), (0, claim()), (1, claim()), (2, claim()), (3, claim())],
            Some(ClaimsUsed),
        ),
        (
            "a used sheet",
            vec![(0, RIGHT), (0, claim()), (1, Event::FirstHandshake), (2, RIGHT)],
            Some(ClaimDone),
        ),
        (
            "a claim after the handshake",
            vec![(0, RIGHT), (0, claim()), (1, Event::FirstHandshake), (2, claim())],
            Some(ClaimDone),
        ),
        ("a revoked sheet", vec![(0, Event::Revoked), (1, RIGHT)], Some(ClaimVoid)),
        (
            "what was not issued is no claim",
            vec![(0, RIGHT), (0, claim()), (1, Event::NotIssued), (20 * MINUTE, claim())],
            None,
        ),
    ];
    for (name, course, expected) in table {
        assert_eq!(last(&course), expected, "{name}");
    }
}

/// 延長 and 再発行: what the secretariat can give anew, and what it cannot.
#[test]
fn what_is_renewed_and_what_is_not() {
    use PeopleMessage::*;
    let claim = || claim_from("192.0.2.1:5000");
    let extended = |days: i64| Event::Extended { valid_until: T0 + days * DAY };
    let reissued = || Event::Reissued { valid_until: T0 + 31 * DAY };
    let wrong: Vec<(i64, Event)> = (0..15).map(|n| (n / 5 * 15 * MINUTE, WRONG)).collect();
    let after = |course: &[(i64, Event)], more: Vec<(i64, Event)>| [course.to_vec(), more].concat();
    type Line = (&'static str, Vec<(i64, Event)>, Option<PeopleMessage>);
    let table: Vec<Line> = vec![
        ("extended, after 30 days", vec![(29 * DAY, extended(59)), (58 * DAY, RIGHT)], None),
        ("extended, after its 24 hours", vec![(0, RIGHT), (2 * DAY, extended(32)), (2 * DAY, RIGHT)], None),
        (
            "more time is no more guesses",
            after(&wrong[..4], vec![(1, extended(31)), (2, WRONG)]),
            Some(ClaimPaused),
        ),
        ("more time unlocks nothing", after(&wrong, vec![(DAY, extended(60))]), Some(RenewalReissue)),
        (
            "more time for half a claim",
            vec![(0, RIGHT), (0, claim()), (1, extended(60))],
            Some(RenewalReissue),
        ),
        ("reissued, after its lock", after(&wrong, vec![(DAY, reissued()), (2 * DAY, RIGHT)]), None),
        (
            "reissued, and claimed without an entry",
            vec![(0, RIGHT), (0, claim()), (1, reissued()), (2, claim())],
            Some(ClaimWrong),
        ),
        (
            "a late handshake of what was claimed before",
            vec![(0, RIGHT), (0, claim()), (1, reissued()), (2, Event::FirstHandshake), (3, RIGHT)],
            None,
        ),
        (
            "a device in service",
            vec![(0, RIGHT), (0, claim()), (1, Event::FirstHandshake), (2, reissued())],
            Some(RenewalDone),
        ),
    ];
    for (name, course, expected) in table {
        assert_eq!(last(&course), expected, "{name}");
    }
}

/// The bootstrap profile was copied from the mail: its thief handshakes while the claim stands.
#[test]
fn a_bootstrap_handshake_from_another_address_voids_and_alarms() {
    let (claimed, _) = play(&[(0, RIGHT), (0, claim_from("192.0.2.1:5000"))]);
    let thief = at("203.0.113.9:5000");
    let (void, effects) = step(claimed.clone(), &Event::BootstrapSeen { at: thief }, T0 + 1).unwrap();
    assert_eq!(void.state, EnrolmentState::Void);
    assert_eq!(effects, [Effect::VoidClaim, Effect::Alarm { first: at("192.0.2.1:5000"), second: thief }]);
    assert_eq!(step(void.clone(), &Event::FirstHandshake, T0 + 2).unwrap(), (void, vec![]));

    let restarted = step(claimed, &Event::BootstrapSeen { at: at("192.0.2.1:6000") }, T0 + 1).unwrap();
    assert_eq!((restarted.0.state, restarted.1), (EnrolmentState::Claimed, vec![]));
}

/// Before the claim the owner may walk from the office's Wi-Fi to the telephone's.
#[test]
fn an_address_may_change_before_the_claim_and_after_the_handshake() {
    let moved = Event::BootstrapSeen { at: at("203.0.113.9:5000") };
    let (enrolment, _) = play(&[(0, RIGHT), (1, moved.clone())]);
    assert_eq!(enrolment.state, EnrolmentState::Open);
    let (enrolment, _) =
        play(&[(0, RIGHT), (0, claim_from("192.0.2.1:1")), (1, Event::FirstHandshake), (2, moved)]);
    assert_eq!(enrolment.state, EnrolmentState::Done);
}

/// The thief locks the sheet after the owner's claim: the owner's tunnel still rises.
#[test]
fn a_lock_does_not_take_back_a_claim() {
    let mut course = vec![(0, RIGHT), (0, claim_from("192.0.2.1:1"))];
    for round in 0..3 {
        course.extend(vec![(round * 15 * MINUTE, WRONG); 5]);
    }
    let (locked, _) = play(&course);
    assert_eq!(locked.state, EnrolmentState::Locked);
    let (done, effects) = step(locked, &Event::FirstHandshake, T0 + DAY).unwrap();
    assert_eq!((done.state, effects), (EnrolmentState::Done, vec![Effect::KillBootstrap]));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => Just(RIGHT),
        4 => Just(WRONG),
        4 => (0u8..3).prop_map(|host| claim_from(&format!("192.0.2.{host}:1"))),
        1 => Just(Event::NotIssued),
        1 => Just(Event::FirstHandshake),
        2 => (0u8..3).prop_map(|host| Event::BootstrapSeen { at: at(&format!("192.0.2.{host}:1")) }),
        1 => Just(Event::Revoked),
        1 => Just(Event::Extended { valid_until: T0 + 60 * DAY }),
        1 => Just(Event::Reissued { valid_until: T0 + 60 * DAY }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn whatever_happens_the_limits_of_ruling_5_hold(
        course in prop::collection::vec((0..3 * 60 * MINUTE, any_event()), 0..60)
    ) {
        let mut enrolment = sheet();
        let mut now = T0;
        let mut wrong_in_a_row = 0;
        for (wait, event) in course {
            now += wait;
            let before = enrolment.clone();
            let Ok((next, effects)) = step(enrolment, &event, now) else {
                enrolment = before;
                continue;
            };
            if effects.contains(&Effect::Issue) {
                prop_assert!(matches!(before.state, EnrolmentState::Open | EnrolmentState::Claimed));
                prop_assert!(now >= before.paused_until && now < before.valid_until);
                prop_assert!(before.opened_at.is_some_and(|opened| now < opened + WINDOW_MS));
                prop_assert!(before.claims < CLAIMS_MAX && next.claims == before.claims + 1);
                prop_assert!(before.claimed_at.is_none_or(|claimed| now < claimed + REPEAT_MS));
            }
            if effects.contains(&Effect::KillBootstrap) {
                prop_assert!(before.claimed_at.is_some() && before.claims > 0);
            }
            match event {
                Event::Entry { right: false } => wrong_in_a_row += 1,
                // A reissued bundle has another key: who guessed is out.
                Event::Entry { right: true } | Event::Reissued { .. } => wrong_in_a_row = 0,
                _ => {}
            }
            prop_assert!(wrong_in_a_row < FAILURES_TO_LOCK || !matches!(next.state, EnrolmentState::Open));
            prop_assert!(next.claims <= CLAIMS_MAX);
            let ended = |state| matches!(state, EnrolmentState::Done | EnrolmentState::Void);
            let renewed = before.state == EnrolmentState::Void && matches!(event, Event::Reissued { .. });
            prop_assert!(!ended(before.state) || next.state == before.state || renewed);
            enrolment = next;
        }
    }
}
