//! The simulated world: an office that decides, tunnels and a gateway that must follow, and what may
//! never be. Pure; a seed is a history.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use gateway::admission::{admit_visitor, seat_of};
use gateway::door::CutQuestion;
use gateway::floors::{Floors, Round};
use gateway::grants::Grants;
use gateway::moment::Moment;
use gateway::truth::Truth;
use pki::door::RevocationsAnswer;
use provisioning::claim::Event;
use vpn::key::PublicKey;
use vpn::seating::Seating;
use vpn::{AddressPlan, Place, Series, SlotNumber};

use super::office::{Held, Office};
use super::wire::{Dice, Parcel, Wire};

const SLOTS: u16 = 6;

pub struct World {
    dice: Dice,
    now: i64,
    plan: AddressPlan,
    office: Office,
    wire: Wire,
    vpn: Seating,
    gateway: Truth,
    /// Kept by the gateway's store over a restart.
    cut: BTreeMap<SlotNumber, u64>,
    /// What vpn has acknowledged to have let go: place and generation.
    vpn_let_go: BTreeMap<(SlotNumber, Place), u64>,
    gateway_let_go: BTreeMap<SlotNumber, u64>,
    pub story: Vec<String>,
    pub seen: Seen,
}

#[derive(Debug, Default, Clone, Copy)]
pub struct Seen {
    pub claims: u32,
    pub handshakes: u32,
    pub revocations: u32,
    pub admissions: u32,
}

impl Seen {
    pub fn add(&mut self, other: &Seen) {
        self.claims += other.claims;
        self.handshakes += other.handshakes;
        self.revocations += other.revocations;
        self.admissions += other.admissions;
    }
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let series = Series::parse("18").expect("a series");
        let plan = AddressPlan::new(10, vec![(series, 18)]).expect("a plan");
        let office = Office::new(SLOTS, &mut dice);
        Self {
            dice,
            now: 1_000_000,
            vpn: Seating::new(plan.clone()),
            plan,
            office,
            wire: Wire::default(),
            gateway: Truth::default(),
            cut: BTreeMap::new(),
            vpn_let_go: BTreeMap::new(),
            gateway_let_go: BTreeMap::new(),
            story: vec![],
            seen: Seen::default(),
        }
    }

    /// One thing happens.
    pub fn step(&mut self) {
        self.now += self.dice.below(3_000) as i64;
        match self.dice.below(20) {
            0..=8 => self.deliver(),
            9..=11 => self.office_retries(),
            12 => self.ask_for_grants(),
            13 | 14 => self.somebody_claims(),
            15 => self.final_handshake(),
            16 => self.bootstrap_seen_elsewhere(),
            17 => self.revoke(),
            18 => self.reissue(),
            _ => self.restart(),
        }
    }

    /// What may never be, in any order of things.
    pub fn invariants(&mut self) -> Result<(), String> {
        let mut keys: BTreeSet<PublicKey> = BTreeSet::new();
        for (_, seat) in self.vpn.iter() {
            let place = Place::from(seat.class);
            if !keys.insert(seat.key) {
                return Err(format!("one key sits twice, in {}", seat.slot));
            }
            let floor = self.vpn_let_go.get(&(seat.slot, place)).copied().unwrap_or(0);
            if seat.generation <= floor {
                return Err(format!(
                    "{} {place:?} sits again at {} after letting go {floor}",
                    seat.slot, seat.generation
                ));
            }
        }
        for (slot, generation) in &self.gateway_let_go {
            let held = self.gateway.grants.holder(*slot).map_or(0, |(_, generation)| generation);
            for place in [Place::Active, Place::Enrolling] {
                if self.admitted(*slot, place) && held <= *generation {
                    return Err(format!("{slot} is admitted at {held} after it was cut at {generation}"));
                }
            }
        }
        let slots: Vec<_> = self.office.slots.keys().copied().collect();
        self.seen.admissions +=
            slots.iter().filter(|slot| self.admitted(**slot, Place::Active)).count() as u32;
        Ok(())
    }

    /// The network heals; everything owed is asked until it is answered; then all rooms agree.
    pub fn heal(&mut self) -> Result<(), String> {
        self.wire.healed = true;
        for _ in 0..8 {
            self.office_retries();
            self.ask_for_grants();
            let truth = self.office.truth();
            self.send(Parcel::Reconcile(truth));
            while let Some(parcel) = self.wire.receive(&mut self.dice) {
                self.receive(parcel);
            }
            self.invariants()?;
        }
        for held in self.office.slots.values() {
            if held.revoked.is_some_and(|revoked| !revoked.vpn || !revoked.gateway) {
                return Err(format!("{} still waits for an acknowledgement", held.slot));
            }
            for place in [Place::Active, Place::Enrolling] {
                let sits = self.plan.seat_index(held.slot, place).and_then(|index| self.vpn.get(index));
                let wanted = held.seats.get(&place);
                if sits.map(|seat| seat.key) != wanted.map(|seat| seat.key) {
                    return Err(format!("{} {place:?}: tunnels and office disagree", held.slot));
                }
            }
            let admitted = self.admitted(held.slot, Place::Active);
            if admitted == held.seats.is_empty() {
                return Err(format!(
                    "{} has seats {:?} but admission says {admitted}",
                    held.slot,
                    held.seats.keys()
                ));
            }
        }
        Ok(())
    }

    fn admitted(&self, slot: SlotNumber, place: Place) -> bool {
        let Some(address) = self.plan.address(slot, place) else { return false };
        let seat = seat_of(IpAddr::V4(address), &self.plan, &self.gateway);
        seat.and_then(|seat| admit_visitor(seat, &self.gateway, self.moment())).is_ok()
    }

    fn moment(&self) -> Moment {
        Moment { unix_ms: self.now, up_ms: self.now as u64 }
    }

    fn send(&mut self, parcel: Parcel) {
        self.wire.send(&mut self.dice, parcel);
    }

    fn deliver(&mut self) {
        if let Some(parcel) = self.wire.receive(&mut self.dice) {
            self.receive(parcel);
        }
    }

    fn receive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Seat(seat) => {
                // A refusal is an older word that came late; the office says it again if it still holds.
                let _ = self.vpn.seat(seat);
            }
            Parcel::Unseat { slot, places, generation } => {
                for place in &places {
                    // Whoever came later stays; what was asked for is gone all the same.
                    if self.vpn.unseat(slot, *place, generation).is_ok() {
                        let floor = self.vpn_let_go.entry((slot, *place)).or_default();
                        *floor = (*floor).max(generation);
                    }
                }
                self.send(Parcel::VpnLetGo { slot, places, generation });
            }
            Parcel::Reconcile(seats) => {
                self.vpn.reconcile(seats);
            }
            Parcel::Cut(cut) => self.take_cut(&cut),
            Parcel::Grants(changes) => {
                let moment = self.moment();
                if let Ok(grants) = self.gateway.grants.after(changes, moment) {
                    self.gateway.grants = grants;
                }
                let answer = RevocationsAnswer::Snapshot { number: 1, living: vec![] };
                self.gateway.revocations = self.gateway.revocations.after(answer, moment).unwrap_or_default();
            }
            Parcel::VpnLetGo { slot, places, generation } => {
                if let Some(held) = self.office.slots.get_mut(&slot) {
                    held.owed.retain(|(place, owed)| !(places.contains(place) && *owed <= generation));
                    if let Some(revoked) = held.revoked.as_mut().filter(|r| r.generation == generation) {
                        revoked.vpn = true;
                    }
                }
            }
            Parcel::GatewayLetGo { slot, generation } => {
                let revoked = self.office.slots.get_mut(&slot).and_then(|held| held.revoked.as_mut());
                if let Some(revoked) = revoked.filter(|revoked| revoked.generation == generation) {
                    revoked.gateway = true;
                }
            }
        }
    }

    fn take_cut(&mut self, cut: &CutQuestion) {
        self.gateway.floors = self.gateway.floors.with(cut, Round(0));
        if let CutQuestion::Slot { slot, generation } = cut {
            for kept in [&mut self.cut, &mut self.gateway_let_go] {
                let floor = kept.entry(*slot).or_default();
                *floor = (*floor).max(*generation);
            }
            let (slot, generation) = (*slot, *generation);
            self.send(Parcel::GatewayLetGo { slot, generation });
        }
    }

    /// Level, not edge: what is not acknowledged is said again (ruling 8).
    fn office_retries(&mut self) {
        let mut parcels = Vec::new();
        for held in self.office.slots.values() {
            let slot = held.slot;
            parcels.extend(held.seats.values().cloned().map(Parcel::Seat));
            parcels.extend(held.owed.iter().map(|(place, generation)| Parcel::Unseat {
                slot,
                places: vec![*place],
                generation: *generation,
            }));
            if let Some(revoked) = held.revoked {
                let generation = revoked.generation;
                if !revoked.vpn {
                    parcels.push(Parcel::Unseat {
                        slot,
                        places: vec![Place::Active, Place::Enrolling],
                        generation,
                    });
                }
                if !revoked.gateway {
                    parcels.push(Parcel::Cut(CutQuestion::Slot { slot, generation }));
                }
            }
        }
        if self.dice.one_in(4) {
            parcels.push(Parcel::Reconcile(self.office.truth()));
        }
        for parcel in parcels {
            self.send(parcel);
        }
    }

    fn ask_for_grants(&mut self) {
        let changes = self.office.grants(self.gateway.grants.version());
        self.send(Parcel::Grants(changes));
    }

    fn somebody_claims(&mut self) {
        let (now, from) = (self.now, endpoint(1));
        let held = self.office.any(&mut self.dice);
        let slot = held.slot;
        // The page is only reached through a bootstrap tunnel that stands.
        if !held.seats.contains_key(&Place::Enrolling) {
            return;
        }
        let mut dice = Dice::new(self.dice.draw());
        if self.on(slot, |held| held.claim(from, now, &mut dice)) {
            self.seen.claims += 1;
            self.tell(slot, "claimed");
        }
    }

    /// The device comes with its final key, if the tunnels know it.
    fn final_handshake(&mut self) {
        let slot = self.office.any(&mut self.dice).slot;
        let sits = self
            .plan
            .seat_index(slot, Place::Active)
            .and_then(|index| self.vpn.get(index))
            .map(|seat| seat.key);
        let now = self.now;
        let shook = self.on(slot, |held| {
            let newest = held.seats.get(&Place::Active).map(|seat| seat.key);
            let shakes = newest.is_some() && newest == sits;
            if shakes {
                held.tell(&Event::FirstHandshake, now);
            }
            shakes
        });
        if shook {
            self.seen.handshakes += 1;
            self.tell(slot, "came with its final key");
        }
    }

    fn bootstrap_seen_elsewhere(&mut self) {
        let at = endpoint(1 + self.dice.below(2) as u8);
        let slot = self.office.any(&mut self.dice).slot;
        let now = self.now;
        self.on(slot, |held| held.tell(&Event::BootstrapSeen { at }, now));
        self.tell(slot, "bootstrap key seen");
    }

    fn revoke(&mut self) {
        let slot = self.office.any(&mut self.dice).slot;
        let now = self.now;
        let revoked = self.on(slot, |held| {
            let due = held.revoked.is_none();
            if due {
                held.revoke(now);
            }
            due
        });
        if revoked {
            self.seen.revocations += 1;
            self.tell(slot, "revoked");
        }
    }

    /// Only when every point has acknowledged: a number is never silently reused (ruling 2).
    fn reissue(&mut self) {
        let slot = self.office.any(&mut self.dice).slot;
        let mut dice = Dice::new(self.dice.draw());
        let now = self.now;
        self.on(slot, |held| {
            if held.revoked.is_some_and(|revoked| revoked.vpn && revoked.gateway) {
                held.reissue(now, &mut dice);
            }
        });
        self.tell(slot, "given to somebody else, if it was free");
    }

    /// A room is killed and comes back with what it had stored.
    fn restart(&mut self) {
        if self.dice.one_in(2) {
            let seats: Vec<_> = self.vpn.iter().map(|(_, seat)| seat.clone()).collect();
            let closed: Vec<_> = self.vpn.closed().collect();
            self.vpn = Seating::new(self.plan.clone());
            for (slot, place, least) in closed {
                if let Some(index) = self.plan.seat_index(slot, place) {
                    self.vpn.close(index, least);
                }
            }
            self.vpn.reconcile(seats);
            self.story.push("vpn restarted from its snapshot".into());
        } else {
            let floors = Floors::restored(self.cut.clone(), BTreeSet::new());
            self.gateway = Truth { grants: Grants::default(), floors, ..Truth::default() };
            self.story.push("gateway restarted".into());
        }
    }

    /// Changes a slot in the registry; the feed learns of it.
    fn on<T>(&mut self, slot: SlotNumber, change: impl FnOnce(&mut Held) -> T) -> T {
        let held = self.office.slots.get_mut(&slot).expect("a slot of the office");
        let told = change(held);
        self.office.touch(slot);
        told
    }

    fn tell(&mut self, slot: SlotNumber, what: &str) {
        self.story.push(format!("{} ms: {slot} {what}", self.now));
    }
}

fn endpoint(last: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, last], 40_000))
}
