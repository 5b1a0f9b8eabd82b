//! Who sits where: one array by seat index, and which key is whose. Owns every `Seat`; pure, lives as long
//! as the data plane. Packets never search here; only a handshake asks for a key.
//!
//! A place never goes back in generation: `least` is the smallest generation that may sit there next.
//! Seating g allows g again (the same question asked twice); unseating g allows only what is greater.

use std::collections::{BTreeMap, HashMap};

use crate::address::{AddressPlan, Place, SeatIndex};
use crate::door::{Seat, SeatRefusal};
use crate::key::PublicKey;
use crate::slot::SlotNumber;

/// The table.
pub struct Seating {
    plan: AddressPlan,
    seats: Vec<Option<Box<Seat>>>,
    least: Vec<u64>,
    keys: HashMap<PublicKey, SeatIndex>,
}

/// What seating did to the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seated {
    /// Nothing: the same seat sat there.
    Same,
    /// The same key and class at a later generation, and maybe another preshared key, which counts from
    /// the next handshake: sessions live on.
    Renewed,
    /// Somebody new, or somebody of another class: old sessions must be gone.
    New,
}

/// What reconciling did; refusals are drift between the rooms.
#[derive(Default)]
pub struct Reconciled {
    pub removed: Vec<(SeatIndex, PublicKey)>,
    pub seated: Vec<(SeatIndex, Seated)>,
    pub refused: Vec<SeatRefusal>,
}

impl Seating {
    pub fn new(plan: AddressPlan) -> Self {
        let count = plan.seat_count();
        Self { plan, seats: vec![None; count], least: vec![0; count], keys: HashMap::new() }
    }

    pub fn seat(&mut self, seat: Seat) -> Result<(SeatIndex, Seated), SeatRefusal> {
        let index = self.admit(&seat)?;
        let done = match self.get(index) {
            Some(held) if *held == seat => Seated::Same,
            Some(held) if is_renewal(held, &seat) => Seated::Renewed,
            _ => Seated::New,
        };
        self.remove(index);
        self.least[index.as_usize()] = seat.generation;
        self.keys.insert(seat.key, index);
        self.seats[index.as_usize()] = Some(Box::new(seat));
        Ok((index, done))
    }

    /// Empties a place of everything up to `generation`. `Ok(None)` leaves whoever came later.
    pub fn unseat(
        &mut self,
        slot: SlotNumber,
        place: Place,
        generation: u64,
    ) -> Result<Option<SeatIndex>, SeatRefusal> {
        let index = self.plan.seat_index(slot, place).ok_or(SeatRefusal::UnknownSeries { slot })?;
        if self.get(index).is_some_and(|held| held.generation > generation) {
            return Ok(None);
        }
        self.close(index, generation.saturating_add(1));
        self.remove(index);
        Ok(Some(index))
    }

    /// Makes the table say what `truth` says. Whoever must leave leaves before anybody sits down,
    /// so that a key may change its slot in one step.
    pub fn reconcile(&mut self, truth: Vec<Seat>) -> Reconciled {
        let mut done = Reconciled::default();
        let mut wanted: BTreeMap<SeatIndex, Seat> = BTreeMap::new();
        for seat in truth {
            match self.plan.seat_index(seat.slot, seat.class.into()) {
                Some(index) => {
                    wanted.insert(index, seat);
                }
                None => done.refused.push(SeatRefusal::UnknownSeries { slot: seat.slot }),
            }
        }
        let leaves = |index: SeatIndex, held: &Seat| match wanted.get(&index) {
            Some(seat) => seat.key != held.key && seat.generation >= self.least[index.as_usize()],
            None => true,
        };
        let leaving: Vec<(SeatIndex, PublicKey)> =
            self.iter().filter(|(i, held)| leaves(*i, held)).map(|(i, held)| (i, held.key)).collect();
        for (index, key) in leaving {
            self.remove(index);
            done.removed.push((index, key));
        }
        for (_, seat) in wanted {
            match self.seat(seat) {
                Ok(seated) => done.seated.push(seated),
                Err(refusal) => done.refused.push(refusal),
            }
        }
        done
    }

    /// From a snapshot: nobody of an earlier generation than `least` sits here any more.
    pub fn close(&mut self, index: SeatIndex, least: u64) {
        if let Some(held) = self.least.get_mut(index.as_usize()) {
            *held = least.max(*held);
        }
    }

    pub fn get(&self, index: SeatIndex) -> Option<&Seat> {
        self.seats.get(index.as_usize())?.as_deref()
    }

    /// Where this seat would sit.
    pub fn index_of(&self, seat: &Seat) -> Option<SeatIndex> {
        self.plan.seat_index(seat.slot, seat.class.into())
    }

    /// For handshakes only.
    pub fn index_of_key(&self, key: &PublicKey) -> Option<SeatIndex> {
        self.keys.get(key).copied()
    }

    pub fn iter(&self) -> impl Iterator<Item = (SeatIndex, &Seat)> + '_ {
        let index = |seat: &Seat| self.plan.seat_index(seat.slot, seat.class.into());
        self.seats.iter().filter_map(move |seat| seat.as_deref().and_then(|seat| Some((index(seat)?, seat))))
    }

    /// Empty places that remember a generation.
    pub fn closed(&self) -> impl Iterator<Item = (SlotNumber, Place, u64)> + '_ {
        let places = [Place::Active, Place::Enrolling];
        let slots =
            self.plan.series().flat_map(|series| (0..).map_while(move |n| SlotNumber::new(series, n).ok()));
        slots.flat_map(move |slot| places.map(|place| (slot, place))).filter_map(|(slot, place)| {
            let index = self.plan.seat_index(slot, place)?;
            let least = self.least[index.as_usize()];
            (least > 0 && self.get(index).is_none()).then_some((slot, place, least))
        })
    }

    pub fn plan(&self) -> &AddressPlan {
        &self.plan
    }

    fn admit(&self, seat: &Seat) -> Result<SeatIndex, SeatRefusal> {
        let slot = seat.slot;
        let index =
            self.plan.seat_index(slot, seat.class.into()).ok_or(SeatRefusal::UnknownSeries { slot })?;
        if !seat.key.is_usable() {
            return Err(SeatRefusal::WeakKey { slot });
        }
        let least = self.least[index.as_usize()];
        let rewrites = self.get(index).is_some_and(|held| held.generation == seat.generation && held != seat);
        if seat.generation < least || rewrites {
            return Err(SeatRefusal::Stale { slot, given: seat.generation, held: least });
        }
        match self
            .index_of_key(&seat.key)
            .filter(|holder| *holder != index)
            .and_then(|holder| self.get(holder))
        {
            Some(holder) => Err(SeatRefusal::KeyTaken { slot, holder: holder.slot }),
            None => Ok(index),
        }
    }

    fn remove(&mut self, index: SeatIndex) {
        if let Some(seat) = self.seats[index.as_usize()].take() {
            self.keys.remove(&seat.key);
        }
    }
}

fn is_renewal(held: &Seat, seat: &Seat) -> bool {
    held.key == seat.key && held.class == seat.class
}

#[cfg(test)]
mod tests;
