//! The office of the simulated world: slots, sheets (the real `claim::step`) and what it is owed. It tells
//! the truth; the other rooms must come to agree with it. Pure.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use gateway::need::{GrantChanges, SlotGrant, SlotHolder};
use pki::identity::FacilityId;
use provisioning::claim::{self, Effect, Enrolment, EnrolmentState, Event};
use vpn::door::Seat;
use vpn::key::{PresharedKey, PublicKey};
use vpn::{Place, SeatClass, SlotNumber};

use super::wire::Dice;

pub struct Office {
    pub slots: BTreeMap<SlotNumber, Held>,
    pub version: u64,
}

/// One slot as the registry has it.
pub struct Held {
    pub slot: SlotNumber,
    pub owner: u8,
    pub generation: u64,
    pub enrolment: Enrolment,
    pub seats: BTreeMap<Place, Seat>,
    /// Cut at this generation; owed until each has acknowledged.
    pub revoked: Option<Revoked>,
    /// Places emptied by the course of things, owed until vpn acknowledged.
    pub owed: Vec<(Place, u64)>,
    changed: u64,
}

#[derive(Clone, Copy, Default)]
pub struct Revoked {
    pub generation: u64,
    pub vpn: bool,
    pub gateway: bool,
}

impl Office {
    pub fn new(count: u16, dice: &mut Dice) -> Self {
        let mut office = Self { slots: BTreeMap::new(), version: 1 };
        for number in 0..count {
            let slot: SlotNumber = format!("18-{number:04}").parse().expect("a slot");
            office.slots.insert(slot, Held::issue(slot, 0, number as u8, 0, 1, dice));
        }
        office
    }

    pub fn any(&mut self, dice: &mut Dice) -> &mut Held {
        let which = dice.below(self.slots.len());
        self.slots.values_mut().nth(which).expect("slots")
    }

    pub fn truth(&self) -> Vec<Seat> {
        self.slots.values().flat_map(|held| held.seats.values().cloned()).collect()
    }

    pub fn touch(&mut self, slot: SlotNumber) {
        self.version += 1;
        if let Some(held) = self.slots.get_mut(&slot) {
            held.changed = self.version;
        }
    }

    pub fn grants(&self, after: u64) -> GrantChanges {
        let slots = self.slots.values().filter(|held| held.changed > after || after == 0).map(Held::grant);
        GrantChanges { version: self.version, slots: slots.collect(), memberships: vec![] }
    }
}

impl Held {
    /// A number given to somebody: bootstrap seat and a fresh sheet.
    fn issue(slot: SlotNumber, generation: u64, owner: u8, now: i64, changed: u64, dice: &mut Dice) -> Self {
        let generation = generation + 1;
        let enrolment = Enrolment {
            state: EnrolmentState::Open,
            failures: 0,
            paused_until: 0,
            valid_until: now + 30 * 24 * 60 * 60 * 1000,
            opened_at: None,
            claims: 0,
            claimed_at: None,
            bootstrap_from: None,
        };
        let bootstrap = seat(slot, SeatClass::Enrolling, generation, dice);
        let seats = BTreeMap::from([(Place::Enrolling, bootstrap)]);
        Self { slot, owner, generation, enrolment, seats, revoked: None, owed: vec![], changed }
    }

    /// Did the claim yield a key?
    pub fn claim(&mut self, from: SocketAddr, now: i64, dice: &mut Dice) -> bool {
        let Ok((entered, effects)) = claim::step(self.enrolment.clone(), &Event::Entry { right: true }, now)
        else {
            return false;
        };
        if effects.iter().any(|effect| matches!(effect, Effect::Refuse(_))) {
            return false;
        }
        let Ok((claimed, effects)) = claim::step(entered, &Event::Claim { bootstrap_from: Some(from) }, now)
        else {
            return false;
        };
        self.enrolment = claimed;
        if effects.contains(&Effect::Issue) {
            self.generation += 1;
            let final_seat = seat(self.slot, SeatClass::Active, self.generation, dice);
            self.seats.insert(Place::Active, final_seat);
            return true;
        }
        false
    }

    pub fn tell(&mut self, event: &Event, now: i64) {
        let Ok((next, effects)) = claim::step(self.enrolment.clone(), event, now) else { return };
        self.enrolment = next;
        for effect in effects {
            let place = match effect {
                Effect::KillBootstrap => Place::Enrolling,
                Effect::VoidClaim => Place::Active,
                _ => continue,
            };
            if let Some(seat) = self.seats.remove(&place) {
                self.owed.push((place, seat.generation));
            }
        }
    }

    pub fn revoke(&mut self, now: i64) {
        self.tell(&Event::Revoked, now);
        self.generation += 1;
        self.seats.clear();
        self.owed.clear();
        self.revoked = Some(Revoked { generation: self.generation, ..Revoked::default() });
    }

    /// After cooling the number goes to somebody else.
    pub fn reissue(&mut self, now: i64, dice: &mut Dice) {
        let changed = self.changed;
        *self = Self::issue(self.slot, self.generation, self.owner.wrapping_add(100), now, changed, dice);
    }

    fn grant(&self) -> SlotGrant {
        let class =
            if self.seats.contains_key(&Place::Active) { SeatClass::Active } else { SeatClass::Enrolling };
        let holder = SlotHolder { facility: FacilityId::from_random([self.owner; 10]), class, also: vec![] };
        let holder = (!self.seats.is_empty()).then_some(holder);
        SlotGrant { slot: self.slot, holder, generation: self.generation }
    }
}

fn seat(slot: SlotNumber, class: SeatClass, generation: u64, dice: &mut Dice) -> Seat {
    let mut secret = [0; 32];
    secret.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&dice.draw().to_be_bytes()));
    let public = x25519_dalek::PublicKey::from(&x25519_dalek::StaticSecret::from(secret));
    let key = PublicKey::from_bytes(*public.as_bytes());
    Seat { slot, class, key, psk: PresharedKey::from_bytes(secret), generation }
}
