//! Which numbers a facility gets: the lowest free run, else the lowest free ones (I-01, I-05, P-01).
//! A number that cools is nobody's until its time has come. Pure.

use std::collections::BTreeSet;

use vpn::slot::{SLOTS_PER_SERIES, Series, SlotNumber};

use crate::messages::Message;

/// Number 0 of the first series is the secretariat's own.
pub const OFFICE_NUMBER: u16 = 0;
/// Default devices per facility (ruling 2); each facility's own number stands in the registry.
pub const DEVICE_QUOTA: u32 = 20;

/// States of a slot as the registry spells them (ruling 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotState {
    Allotted,
    Issued,
    Active,
    Suspended,
    Leaving,
    Revoked,
    Cooling,
    Free,
}

impl SlotState {
    pub const ALL: [SlotState; 8] = [
        SlotState::Allotted,
        SlotState::Issued,
        SlotState::Active,
        SlotState::Suspended,
        SlotState::Leaving,
        SlotState::Revoked,
        SlotState::Cooling,
        SlotState::Free,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            SlotState::Allotted => "allotted",
            SlotState::Issued => "issued",
            SlotState::Active => "active",
            SlotState::Suspended => "suspended",
            SlotState::Leaving => "leaving",
            SlotState::Revoked => "revoked",
            SlotState::Cooling => "cooling",
            SlotState::Free => "free",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        SlotState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// A number that was allotted at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub number: u16,
    pub state: SlotState,
    pub cooling_until_ms: i64,
}

impl Known {
    pub fn is_free(&self, now_ms: i64) -> bool {
        match self.state {
            SlotState::Free => true,
            SlotState::Cooling => self.cooling_until_ms <= now_ms,
            SlotState::Allotted
            | SlotState::Issued
            | SlotState::Active
            | SlotState::Suspended
            | SlotState::Leaving
            | SlotState::Revoked => false,
        }
    }
}

/// `count` free numbers of a series; neighbours when there is a gap that is wide enough.
pub fn choose(series: Series, known: &[Known], count: u32, now_ms: i64) -> Result<Vec<SlotNumber>, Message> {
    let taken: BTreeSet<u16> =
        known.iter().filter(|slot| !slot.is_free(now_ms)).map(|slot| slot.number).collect();
    let free: Vec<u16> =
        (OFFICE_NUMBER + 1..SLOTS_PER_SERIES).filter(|number| !taken.contains(number)).collect();
    let count = count as usize;
    if count == 0 || free.len() < count {
        return Err(Message::SlotsExhausted { series });
    }
    let is_run = |run: &&[u16]| usize::from(run[count - 1] - run[0]) == count - 1;
    let chosen = free.windows(count).find(is_run).unwrap_or(&free[..count]);
    chosen
        .iter()
        .map(|number| {
            SlotNumber::new(series, *number).map_err(|error| Message::Internal { what: error.to_string() })
        })
        .collect()
}

/// Would `more` devices exceed the facility's quota?
pub fn within_quota(held: u32, more: u32, quota: u32) -> Result<(), Message> {
    if held.saturating_add(more) > quota { Err(Message::QuotaReached { quota }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn series() -> Series {
        Series::parse("18").unwrap()
    }

    fn numbers(known: &[Known], count: u32, now_ms: i64) -> Vec<u16> {
        choose(series(), known, count, now_ms).unwrap().into_iter().map(SlotNumber::number).collect()
    }

    fn held(number: u16) -> Known {
        Known { number, state: SlotState::Active, cooling_until_ms: 0 }
    }

    #[test]
    fn the_lowest_run_is_chosen_and_number_zero_is_the_offices() {
        assert_eq!(numbers(&[], 2, 0), [1, 2]);
        assert_eq!(numbers(&[held(2)], 1, 0), [1]);
        assert_eq!(numbers(&[held(2), held(4)], 2, 0), [5, 6]);
    }

    #[test]
    fn without_a_run_the_lowest_ones_are_chosen() {
        let known: Vec<Known> = (1..SLOTS_PER_SERIES).filter(|n| n % 2 == 0).map(held).collect();
        assert_eq!(numbers(&known, 3, 0), [1, 3, 5]);
    }

    #[test]
    fn a_full_series_says_so() {
        let known: Vec<Known> = (1..SLOTS_PER_SERIES).map(held).collect();
        assert_eq!(choose(series(), &known, 1, 0).unwrap_err().code(), "MM-5312");
    }

    #[test]
    fn quotas_are_exact() {
        assert!(within_quota(18, 2, 20).is_ok());
        assert!(within_quota(18, 3, 20).is_err());
    }

    /// What a secretariat does over the years.
    #[derive(Clone, Debug)]
    enum Deed {
        Allot(u32),
        Cool { place: usize, for_ms: i64 },
        Wait(i64),
    }

    fn deed() -> impl Strategy<Value = Deed> {
        prop_oneof![
            (1..=10u32).prop_map(Deed::Allot),
            (0..50usize, 1..1_000i64).prop_map(|(place, for_ms)| Deed::Cool { place, for_ms }),
            (0..500i64).prop_map(Deed::Wait),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// I-05: a number never has two owners and never comes back while it cools.
        #[test]
        fn never_two_owners_never_back_while_cooling(deeds in prop::collection::vec(deed(), 1..60)) {
            let mut known: BTreeMap<u16, Known> = BTreeMap::new();
            let mut now = 0;
            for deed in deeds {
                match deed {
                    Deed::Wait(ms) => now += ms,
                    Deed::Cool { place, for_ms } => {
                        let mut held: Vec<&mut Known> = known.values_mut().filter(|k| k.state == SlotState::Active).collect();
                        if !held.is_empty() {
                            let place = place % held.len();
                            held[place].state = SlotState::Cooling;
                            held[place].cooling_until_ms = now + for_ms;
                        }
                    }
                    Deed::Allot(count) => {
                        let before: Vec<Known> = known.values().copied().collect();
                        let chosen = numbers(&before, count, now);
                        prop_assert_eq!(chosen.len(), count as usize);
                        for number in chosen {
                            let owner = known.insert(number, held(number));
                            prop_assert!(number != OFFICE_NUMBER);
                            prop_assert!(owner.is_none_or(|slot| slot.is_free(now)));
                        }
                    }
                }
            }
        }
    }
}
