//! Receiver indices: the number in clear on every message by which a packet finds its seat in an array.
//! Owns the permutation that hides seat and session from whoever watches the wire; pure, its keys are
//! drawn once per start.
//!
//! `seat << 8 | session` goes through four Feistel rounds over halves of 16 bits: a bijection on 32 bits,
//! so no table, no collision, and a guess names a random seat.

use crate::address::SeatIndex;

const ROUNDS: usize = 4;

#[derive(Clone, Copy)]
pub struct Receivers([u32; ROUNDS]);

impl Receivers {
    pub fn new(random: [u8; 16]) -> Self {
        let mut keys = [0; ROUNDS];
        for (key, bytes) in keys.iter_mut().zip(random.as_chunks::<4>().0) {
            *key = u32::from_le_bytes(*bytes);
        }
        Self(keys)
    }

    /// What `new` was given: the successor must hide seats under the same indices.
    pub fn keep(&self) -> [u8; 16] {
        let mut random = [0; 16];
        for (bytes, key) in random.as_chunks_mut::<4>().0.iter_mut().zip(self.0) {
            *bytes = key.to_le_bytes();
        }
        random
    }

    /// The index under which the device addresses session number `session` of this seat.
    pub fn of(&self, seat: SeatIndex, session: u8) -> u32 {
        let plain = seat.get() << 8 | u32::from(session);
        let (mut left, mut right) = (plain >> 16, plain & 0xffff);
        for key in self.0 {
            (left, right) = (right, left ^ round(right, key));
        }
        left << 16 | right
    }

    /// The seat that an index names; it may lie outside the plan.
    pub fn seat(&self, receiver: u32) -> SeatIndex {
        let (mut left, mut right) = (receiver >> 16, receiver & 0xffff);
        for key in self.0.iter().rev() {
            (left, right) = (right ^ round(left, *key), left);
        }
        SeatIndex::of_receiver(left << 16 | right)
    }
}

/// Sixteen bits that depend on all bits of the half and of the key.
fn round(half: u32, key: u32) -> u32 {
    let mixed = (half ^ key).wrapping_mul(0x9e37_79b1);
    let mixed = (mixed ^ (mixed >> 15) ^ key.rotate_left(13)).wrapping_mul(0x85eb_ca77);
    mixed >> 16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::address::AddressPlan;
    use crate::slot::{Series, SlotNumber};

    #[test]
    fn every_seat_and_session_has_an_index_of_its_own_that_leads_back() {
        let series = Series::parse("18").unwrap();
        let plan = AddressPlan::new(10, vec![(series, 18)]).unwrap();
        let receivers = Receivers::new([7; 16]);
        let mut seen = BTreeSet::new();
        for number in (0..10_000).step_by(7) {
            let slot = SlotNumber::new(series, number).unwrap();
            let seat = plan.seat_index(slot, crate::address::Place::Active).unwrap();
            for session in [0, 1, 127, 255] {
                let receiver = receivers.of(seat, session);
                assert_eq!(receivers.seat(receiver), seat);
                assert!(seen.insert(receiver));
            }
        }
        let mut sorted_by_seat: Vec<u32> = (0..100)
            .map(|n| {
                plan.seat_index(SlotNumber::new(series, n).unwrap(), crate::address::Place::Active).unwrap()
            })
            .map(|s| receivers.of(s, 0))
            .collect();
        let as_numbered = sorted_by_seat.clone();
        sorted_by_seat.sort_unstable();
        assert_ne!(sorted_by_seat, as_numbered, "the order of the slots does not show");
    }
}
