//! How many requests a slot may make: one bucket per slot, so that one infected machine spends its own
//! turns and nobody else's. Pure; bounded by the slots there are, and emptied of those at rest.
//! Issue 6, bounds per slot.

use std::collections::HashMap;

use vpn::slot::SlotNumber;

use crate::moment::Moment;
use crate::pace::Bucket;

/// A page with its pictures and streams, opened in every tab of a terminal at once.
pub const BURST: u32 = 400;
/// More than a ward's terminal, its people and its pages ever ask in a second.
pub const PER_SECOND: u32 = 100;
/// Buckets kept before those at rest are forgotten: more slots than are ever busy in one second.
const KEPT: usize = 1_024;

#[derive(Default)]
pub struct Turns {
    by_slot: HashMap<SlotNumber, Bucket>,
}

impl Turns {
    /// May this slot ask once more?
    pub fn take(&mut self, slot: SlotNumber, now: Moment) -> bool {
        if self.by_slot.len() >= KEPT {
            self.by_slot.retain(|_, bucket| !bucket.is_full(now.up_ms));
        }
        self.by_slot.entry(slot).or_insert(Bucket::new(BURST, PER_SECOND)).take(now.up_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_greedy_slot_spends_its_own_turns_only() {
        let slot = |n: u16| format!("18-{n:04}").parse().unwrap();
        let at = |up_ms| Moment { unix_ms: 0, up_ms };
        let mut turns = Turns::default();
        assert_eq!((0..10_000).filter(|_| turns.take(slot(1), at(0))).count(), BURST as usize);
        assert!(turns.take(slot(2), at(0)));
        assert!(turns.take(slot(1), at(1_000)));
        for n in 0..3_000 {
            turns.take(slot(n), at(1_000));
        }
        turns.take(slot(1), at(60_000));
        assert_eq!(turns.by_slot.len(), 1, "those at rest are forgotten");
    }
}
