//! How often a slot may ask, and try a password: buckets of its own, so that one infected machine spends
//! its own turns and nobody else's. Pure; bounded by the slots there are, and emptied of those at rest.
//! Issue 6, bounds per slot.

use std::collections::HashMap;

use vpn::slot::SlotNumber;

use crate::moment::Moment;
use crate::pace::Bucket;

/// A page with its pictures and streams, opened in every tab of a terminal at once.
pub const BURST: u32 = 400;
/// More than a ward's terminal, its people and its pages ever ask in a second.
pub const PER_SECOND: u32 = 100;
/// A change of shift at one terminal, with every second password mistyped.
pub const TRIES: u32 = 20;
/// After that, guessing is slower than any list of passwords is long.
pub const TRIES_PER_MINUTE: u32 = 6;
/// Buckets kept before those at rest are forgotten: more slots than are ever busy in one second.
const KEPT: usize = 1_024;

/// What a turn is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    Request,
    /// A password that may be wrong.
    Try,
}

#[derive(Default)]
pub struct Turns {
    requests: HashMap<SlotNumber, Bucket>,
    tries: HashMap<SlotNumber, Bucket>,
}

impl Turns {
    /// May this slot do so once more?
    pub fn take(&mut self, slot: SlotNumber, turn: Turn, now: Moment) -> bool {
        let (buckets, fresh) = match turn {
            Turn::Request => (&mut self.requests, Bucket::per_second(BURST, PER_SECOND)),
            Turn::Try => (&mut self.tries, Bucket::per_minute(TRIES, TRIES_PER_MINUTE)),
        };
        if buckets.len() >= KEPT {
            buckets.retain(|_, bucket| !bucket.is_full(now.up_ms));
        }
        buckets.entry(slot).or_insert(fresh).take(now.up_ms)
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
        assert_eq!((0..10_000).filter(|_| turns.take(slot(1), Turn::Request, at(0))).count(), BURST as usize);
        assert!(turns.take(slot(2), Turn::Request, at(0)));
        assert!(turns.take(slot(1), Turn::Request, at(1_000)));
        for n in 0..3_000 {
            turns.take(slot(n), Turn::Request, at(1_000));
        }
        turns.take(slot(1), Turn::Request, at(60_000));
        assert_eq!((0..100).filter(|_| turns.take(slot(1), Turn::Try, at(60_000))).count(), TRIES as usize);
        assert_eq!(turns.requests.len(), 1, "those at rest are forgotten");
    }
}
