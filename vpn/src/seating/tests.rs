//! Rulings 2, 5 and 8 as a table, and random histories against a model.

use proptest::prelude::*;

use super::*;
use crate::key::{PresharedKey, TunnelKey};
use crate::slot::{SeatClass, Series};

fn seating() -> Seating {
    let series = Series::parse("18").unwrap();
    Seating::new(AddressPlan::new(10, vec![(series, 18)]).unwrap())
}

fn key(n: u8) -> PublicKey {
    TunnelKey::generate([n; 32]).public()
}

fn seat(slot: &str, class: SeatClass, key_of: u8, generation: u64) -> Seat {
    let psk = PresharedKey::from_bytes([key_of; 32]);
    Seat { slot: slot.parse().unwrap(), class, key: key(key_of), psk, generation }
}

use SeatClass::{Active, Enrolling, Leaving};

#[test]
fn a_slot_has_two_places_and_both_may_be_taken() {
    let mut seating = seating();
    let (enrolling, _) = seating.seat(seat("18-0042", Enrolling, 1, 1)).unwrap();
    let (active, _) = seating.seat(seat("18-0042", Active, 2, 2)).unwrap();
    assert_eq!((active.get(), enrolling.get()), (42, 10_042));
    assert_eq!(seating.index_of_key(&key(1)), Some(enrolling));
    assert_eq!(seating.index_of_key(&key(2)), Some(active));
    assert_eq!(seating.iter().count(), 2);
}

#[test]
fn an_older_generation_never_replaces_a_newer_one() {
    let mut seating = seating();
    seating.seat(seat("18-0042", Active, 1, 5)).unwrap();
    assert_eq!(seating.seat(seat("18-0042", Active, 1, 5)).unwrap().1, Seated::Same, "asked twice");
    let stale = seating.seat(seat("18-0042", Active, 2, 4)).unwrap_err();
    assert!(matches!(stale, SeatRefusal::Stale { given: 4, held: 5, .. }));
    let rewritten = seating.seat(seat("18-0042", Active, 2, 5)).unwrap_err();
    assert!(matches!(rewritten, SeatRefusal::Stale { .. }), "one generation is one seat");
    assert_eq!(seating.seat(seat("18-0042", Active, 1, 6)).unwrap().1, Seated::Renewed);
    assert_eq!(seating.seat(seat("18-0042", Leaving, 1, 7)).unwrap().1, Seated::New, "another class");
    assert_eq!(seating.seat(seat("18-0042", Active, 2, 8)).unwrap().1, Seated::New);
    assert_eq!(seating.index_of_key(&key(1)), None, "the old key is out");
}

#[test]
fn unseating_closes_the_place_to_its_generation_and_spares_whoever_came_later() {
    let mut seating = seating();
    let slot = "18-0042".parse().unwrap();
    seating.seat(seat("18-0042", Active, 1, 5)).unwrap();
    assert!(seating.unseat(slot, Place::Active, 6).unwrap().is_some());
    assert!(seating.unseat(slot, Place::Active, 6).unwrap().is_some(), "repeatable");
    assert!(seating.seat(seat("18-0042", Active, 1, 5)).is_err(), "a late retry does not undo a revocation");
    assert!(seating.seat(seat("18-0042", Active, 1, 6)).is_err());
    seating.seat(seat("18-0042", Active, 2, 7)).unwrap();
    assert_eq!(seating.unseat(slot, Place::Active, 6).unwrap(), None);
    assert_eq!(seating.iter().count(), 1);
    let closed: Vec<_> = seating.closed().collect();
    assert!(closed.is_empty());
}

#[test]
fn attacker_a_key_sits_once_and_weak_keys_never() {
    let mut seating = seating();
    seating.seat(seat("18-0001", Active, 1, 1)).unwrap();
    let taken = seating.seat(seat("18-0002", Active, 1, 1)).unwrap_err();
    assert!(matches!(taken, SeatRefusal::KeyTaken { holder, .. } if holder.to_string() == "18-0001"));
    assert!(matches!(seating.seat(seat("18-0001", Enrolling, 1, 2)), Err(SeatRefusal::KeyTaken { .. })));
    for weak in [[0; 32], {
        let mut one = [0; 32];
        one[0] = 1;
        one
    }] {
        let mut seat = seat("18-0003", Active, 3, 1);
        seat.key = PublicKey::from_bytes(weak);
        assert!(matches!(seating.seat(seat), Err(SeatRefusal::WeakKey { .. })));
    }
    assert!(matches!(seating.seat(seat("20-0001", Active, 4, 1)), Err(SeatRefusal::UnknownSeries { .. })));
}

#[test]
fn reconciling_seats_the_truth_and_unseats_the_rest() {
    let mut seating = seating();
    for n in 1..=3 {
        seating.seat(seat(&format!("18-000{n}"), Active, n, 5)).unwrap();
    }
    // 1 leaves, 2 takes the key of 1, 3 is told of an older generation, 4 is new.
    let truth =
        vec![seat("18-0002", Active, 1, 6), seat("18-0003", Active, 9, 4), seat("18-0004", Active, 4, 1)];
    let done = seating.reconcile(truth);
    assert_eq!(done.removed.len(), 2);
    assert_eq!(done.seated.len(), 2);
    assert!(matches!(done.refused[..], [SeatRefusal::Stale { .. }]));
    let held = |n: u32| seating.iter().find(|(i, _)| i.get() == n).map(|(_, seat)| seat.key);
    assert_eq!([held(1), held(2), held(3), held(4)], [None, Some(key(1)), Some(key(3)), Some(key(4))]);
    let again: Vec<Seat> = seating.iter().map(|(_, seat)| seat.clone()).collect();
    let done = seating.reconcile(again);
    assert!(done.removed.is_empty() && done.seated.iter().all(|(_, seated)| *seated == Seated::Same));
}

#[derive(Clone, Debug)]
enum Step {
    Seat(u8, bool, u8, u64),
    Unseat(u8, bool, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0u8..4, any::<bool>(), 1u8..6, 0u64..6).prop_map(|(s, e, k, g)| Step::Seat(s, e, k, g)),
        (0u8..4, any::<bool>(), 0u64..6).prop_map(|(s, e, g)| Step::Unseat(s, e, g)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generations_never_fall_and_keys_lead_to_their_seat(steps in prop::collection::vec(step(), 1..60)) {
        let mut seating = seating();
        let mut highest = BTreeMap::new();
        for step in steps {
            match step {
                Step::Seat(slot, enrolling, key, generation) => {
                    let class = if enrolling { Enrolling } else { Active };
                    if let Ok((index, _)) = seating.seat(seat(&format!("18-000{slot}"), class, key, generation)) {
                        let highest = highest.entry(index).or_insert(0);
                        prop_assert!(generation >= *highest);
                        *highest = generation;
                    }
                }
                Step::Unseat(slot, enrolling, generation) => {
                    let place = if enrolling { Place::Enrolling } else { Place::Active };
                    let slot = format!("18-000{slot}").parse().unwrap();
                    if let Some(index) = seating.unseat(slot, place, generation).unwrap() {
                        prop_assert!(seating.get(index).is_none());
                        let highest = highest.entry(index).or_insert(0);
                        *highest = (generation + 1).max(*highest);
                    }
                }
            }
            prop_assert_eq!(seating.iter().count(), seating.keys.len());
            for (index, seat) in seating.iter() {
                prop_assert_eq!(seating.index_of_key(&seat.key), Some(index));
            }
        }
    }
}
