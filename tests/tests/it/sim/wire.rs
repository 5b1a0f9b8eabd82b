//! The network between the rooms: loses, repeats and reorders; and the dice everything is drawn from. Pure.

use gateway::door::CutQuestion;
use gateway::need::GrantChanges;
use vpn::door::Seat;
use vpn::{Place, SlotNumber};

/// What travels between rooms.
#[derive(Clone, Debug)]
pub enum Parcel {
    Seat(Seat),
    Unseat {
        slot: SlotNumber,
        places: Vec<Place>,
        generation: u64,
    },
    Reconcile(Vec<Seat>),
    Cut(CutQuestion),
    Grants(GrantChanges),
    /// Back to the office.
    VpnLetGo {
        slot: SlotNumber,
        places: Vec<Place>,
        generation: u64,
    },
    GatewayLetGo {
        slot: SlotNumber,
        generation: u64,
    },
}

/// Reproducible dice (SplitMix64).
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        (self.draw() % limit.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }
}

#[derive(Default)]
pub struct Wire {
    flying: Vec<Parcel>,
    /// Nothing is lost or repeated any more.
    pub healed: bool,
}

/// More is dropped, as any queue would.
const FLYING_MAX: usize = 64;

impl Wire {
    pub fn send(&mut self, dice: &mut Dice, parcel: Parcel) {
        if !self.healed && (dice.one_in(6) || self.flying.len() >= FLYING_MAX) {
            return;
        }
        if !self.healed && dice.one_in(6) {
            self.flying.push(parcel.clone());
        }
        self.flying.push(parcel);
    }

    /// Any of those in flight: order means nothing, old ones may come very late.
    pub fn receive(&mut self, dice: &mut Dice) -> Option<Parcel> {
        if self.flying.is_empty() {
            return None;
        }
        let which = dice.below(self.flying.len());
        Some(self.flying.swap_remove(which))
    }
}
