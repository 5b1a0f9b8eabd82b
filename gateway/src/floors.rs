//! What was cut and may not come back by an older word: the floor below which nothing is admitted.
//! Slots stay cut until a newer generation, certificates for ever; people, memberships and facilities
//! until the grants feed has answered a question that was asked after the cut. Pure. Ruling 7.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pki::identity::{FacilityId, MembershipId, PersonId};
use pki::serial::CertificateSerial;
use vpn::slot::SlotNumber;

use crate::door::CutQuestion;

/// Counts the questions put to the grants feed: which answer can know of which cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Round(pub u64);

#[derive(Clone, Default)]
pub struct Floors {
    slots: Arc<BTreeMap<SlotNumber, u64>>,
    certificates: Arc<BTreeSet<CertificateSerial>>,
    passing: Arc<Passing>,
}

#[derive(Clone, Default)]
struct Passing {
    people: BTreeMap<PersonId, Round>,
    memberships: BTreeMap<MembershipId, Round>,
    facilities: BTreeMap<FacilityId, Round>,
}

impl Floors {
    /// What the store kept over a restart.
    pub fn restored(slots: BTreeMap<SlotNumber, u64>, certificates: BTreeSet<CertificateSerial>) -> Self {
        Self { slots: Arc::new(slots), certificates: Arc::new(certificates), ..Self::default() }
    }

    /// With one more cut, made while `asked` was the newest question to the feed.
    #[must_use]
    pub fn with(&self, cut: &CutQuestion, asked: Round) -> Self {
        let mut next = self.clone();
        match cut {
            CutQuestion::Slot { slot, generation } => {
                let floor = Arc::make_mut(&mut next.slots).entry(*slot).or_default();
                *floor = (*floor).max(*generation);
            }
            CutQuestion::Certificate { serial } => {
                Arc::make_mut(&mut next.certificates).insert(*serial);
            }
            CutQuestion::Person { person } => {
                Arc::make_mut(&mut next.passing).people.insert(person.clone(), asked);
            }
            CutQuestion::Membership { membership } => {
                Arc::make_mut(&mut next.passing).memberships.insert(membership.clone(), asked);
            }
            CutQuestion::Facility { facility } => {
                Arc::make_mut(&mut next.passing).facilities.insert(facility.clone(), asked);
            }
        }
        next
    }

    /// After the feed answered the question `round`: what was cut before it was asked is in the answer.
    #[must_use]
    pub fn answered(&self, round: Round) -> Self {
        let passing = &self.passing;
        let lifts = |at: &Round| *at < round;
        let any = passing.people.values().any(lifts)
            || passing.memberships.values().any(lifts)
            || passing.facilities.values().any(lifts);
        if !any {
            return self.clone();
        }
        let mut next = self.clone();
        let left = Arc::make_mut(&mut next.passing);
        left.people.retain(|_, at| !lifts(at));
        left.memberships.retain(|_, at| !lifts(at));
        left.facilities.retain(|_, at| !lifts(at));
        next
    }

    /// Is this generation of the slot cut?
    pub fn slot(&self, slot: SlotNumber, generation: u64) -> bool {
        self.slots.get(&slot).is_some_and(|floor| generation <= *floor)
    }

    pub fn certificate(&self, serial: &CertificateSerial) -> bool {
        self.certificates.contains(serial)
    }

    pub fn person(&self, person: &PersonId) -> bool {
        self.passing.people.contains_key(person)
    }

    pub fn membership(&self, membership: &MembershipId) -> bool {
        self.passing.memberships.contains_key(membership)
    }

    pub fn facility(&self, facility: &FacilityId) -> bool {
        self.passing.facilities.contains_key(facility)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_slot_waits_for_a_newer_generation_and_an_older_cut_changes_nothing() {
        let slot: SlotNumber = "18-0042".parse().unwrap();
        let cut = |generation| CutQuestion::Slot { slot, generation };
        let floors = Floors::default().with(&cut(7), Round(1)).with(&cut(3), Round(2));
        assert!(floors.slot(slot, 7) && floors.slot(slot, 2));
        assert!(!floors.slot(slot, 8));
        assert!(floors.answered(Round(9)).slot(slot, 7));
    }

    #[test]
    fn a_cut_person_waits_for_an_answer_that_was_asked_afterwards() {
        let person = PersonId::from_random([1; 10]);
        let cut = CutQuestion::Person { person: person.clone() };
        let floors = Floors::default().with(&cut, Round(4));
        assert!(floors.answered(Round(4)).person(&person), "asked before the cut");
        assert!(!floors.answered(Round(5)).person(&person), "asked after the cut");
    }
}
