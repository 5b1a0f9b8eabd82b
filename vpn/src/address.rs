//! The address plan: which inner address a seat has, computed by octets and never looked up.
//! Owns `AddressPlan`; a pure value made once from the configuration. Ruling 3.
//!
//! ```text
//! 10.B.  0- 99.100-199   the device of slot hundreds.rest in an active class
//! 10.B.100-199.100-199   the same slot while it is enrolling
//! 10.B.255.1             gateway: mutual TLS        10.B.255.2   gateway: claim, published bytes
//! ```

use std::net::Ipv4Addr;

use crate::slot::{SLOTS_PER_SERIES, SeatClass, Series, SlotNumber};

/// Inner MTU: small enough for every mobile path, so that nobody has to tune it.
pub const TUNNEL_MTU: u16 = 1280;

/// Series per realm; each has one /16 of the inner network.
pub const SERIES_MAX: usize = 8;

const ENROLLING_OFFSET: u8 = 100;
const REST_OFFSET: u8 = 100;
const GATEWAY_OCTET: u8 = 255;

/// One of the two places a slot has in the address plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Active,
    Enrolling,
}

impl From<SeatClass> for Place {
    fn from(class: SeatClass) -> Place {
        if class.is_enrolling() { Place::Enrolling } else { Place::Active }
    }
}

/// Places per slot: the two ranges of an address block.
const PLACES: u32 = 2;

const SEATS_PER_PLACE: u32 = SLOTS_PER_SERIES as u32;
const SEATS_PER_SERIES: u32 = PLACES * SEATS_PER_PLACE;

/// WireGuard's receiver index keeps 24 bits for the seat (the low 8 count its sessions).
const _: () = assert!(SERIES_MAX as u32 * SEATS_PER_SERIES < 1 << 24);

/// Position of a place in every seat-indexed array:
/// `series_index * 20000 + place * 10000 + number`. Packets are led by it, never by a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatIndex(u32);

impl SeatIndex {
    /// A position that another array has kept.
    pub(crate) fn new(index: u32) -> SeatIndex {
        SeatIndex(index)
    }

    /// The seat that a WireGuard receiver index names; it may lie outside the plan.
    pub fn of_receiver(receiver: u32) -> SeatIndex {
        SeatIndex(receiver >> 8)
    }

    pub fn get(self) -> u32 {
        self.0
    }

    pub fn as_usize(self) -> usize {
        self.0 as usize
    }
}

/// Where each series' block lies inside the inner /8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressPlan {
    first_octet: u8,
    blocks: Vec<(Series, u8)>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("a realm needs at least one series")]
    Empty,
    #[error("a realm has at most {SERIES_MAX} series")]
    TooMany,
    #[error("series {0} is named twice")]
    Twice(Series),
    #[error("series {0} and {1} share the block {2}")]
    SharedBlock(Series, Series, u8),
}

impl AddressPlan {
    /// `blocks` in order; the gateway's addresses lie in the first.
    pub fn new(first_octet: u8, blocks: Vec<(Series, u8)>) -> Result<Self, PlanError> {
        if blocks.is_empty() {
            return Err(PlanError::Empty);
        }
        if blocks.len() > SERIES_MAX {
            return Err(PlanError::TooMany);
        }
        for (i, (series, block)) in blocks.iter().enumerate() {
            for (other, other_block) in &blocks[..i] {
                if other == series {
                    return Err(PlanError::Twice(*series));
                }
                if other_block == block {
                    return Err(PlanError::SharedBlock(*other, *series, *block));
                }
            }
        }
        Ok(Self { first_octet, blocks })
    }

    pub fn series(&self) -> impl Iterator<Item = Series> + '_ {
        self.blocks.iter().map(|(series, _)| *series)
    }

    /// Position of a series in the plan; the base of every slot-indexed array.
    pub fn series_index(&self, series: Series) -> Option<usize> {
        self.blocks.iter().position(|(s, _)| *s == series)
    }

    /// `10.B.255.1`: mutual TLS, the SNS and the consoles.
    pub fn gateway(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.first_octet, self.blocks[0].1, GATEWAY_OCTET, 1)
    }

    /// `10.B.255.2`: claim over server TLS, published bytes over port 80.
    pub fn gateway_open(&self) -> Ipv4Addr {
        Ipv4Addr::new(self.first_octet, self.blocks[0].1, GATEWAY_OCTET, 2)
    }

    /// The /16 networks behind the TUN device.
    pub fn networks(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> + '_ {
        self.blocks.iter().map(|(_, block)| (Ipv4Addr::new(self.first_octet, *block, 0, 0), 16))
    }

    /// `None` when the slot's series is not of this realm.
    pub fn address(&self, slot: SlotNumber, place: Place) -> Option<Ipv4Addr> {
        let block = self.blocks[self.series_index(slot.series())?].1;
        let hundreds = (slot.number() / 100) as u8;
        let rest = (slot.number() % 100) as u8;
        let third = match place {
            Place::Active => hundreds,
            Place::Enrolling => hundreds + ENROLLING_OFFSET,
        };
        Some(Ipv4Addr::new(self.first_octet, block, third, rest + REST_OFFSET))
    }

    /// Length of every seat-indexed array.
    pub fn seat_count(&self) -> usize {
        self.blocks.len() * SEATS_PER_SERIES as usize
    }

    /// `None` when the slot's series is not of this realm.
    pub fn seat_index(&self, slot: SlotNumber, place: Place) -> Option<SeatIndex> {
        let series = self.series_index(slot.series())? as u32;
        let place = match place {
            Place::Active => 0,
            Place::Enrolling => 1,
        };
        Some(SeatIndex(series * SEATS_PER_SERIES + place * SEATS_PER_PLACE + u32::from(slot.number())))
    }

    /// The slot and place of a position; `None` outside the plan.
    pub fn seat_at(&self, index: SeatIndex) -> Option<(SlotNumber, Place)> {
        let series = self.blocks.get((index.0 / SEATS_PER_SERIES) as usize)?.0;
        let within = index.0 % SEATS_PER_SERIES;
        let place = match within / SEATS_PER_PLACE {
            0 => Place::Active,
            _ => Place::Enrolling,
        };
        let slot = SlotNumber::new(series, (within % SEATS_PER_PLACE) as u16).ok()?;
        Some((slot, place))
    }

    /// The seat that owns an inner address, by octets alone; `None` for every other address.
    pub fn seat_of(&self, address: Ipv4Addr) -> Option<SeatIndex> {
        let [first, block, third, fourth] = address.octets();
        let rest = fourth.checked_sub(REST_OFFSET).filter(|rest| *rest < 100)?;
        let series = self.blocks.iter().position(|(_, b)| *b == block)? as u32;
        if first != self.first_octet || third >= 2 * ENROLLING_OFFSET {
            return None;
        }
        let (place, hundreds) = (third / ENROLLING_OFFSET, third % ENROLLING_OFFSET);
        let number = u32::from(hundreds) * 100 + u32::from(rest);
        Some(SeatIndex(series * SEATS_PER_SERIES + u32::from(place) * SEATS_PER_PLACE + number))
    }

    /// The slot and place that own an inner address; `None` for every other address.
    pub fn slot_of(&self, address: Ipv4Addr) -> Option<(SlotNumber, Place)> {
        let [first, block, third, fourth] = address.octets();
        if first != self.first_octet {
            return None;
        }
        let series = self.blocks.iter().find(|(_, b)| *b == block)?.0;
        let rest = fourth.checked_sub(REST_OFFSET).filter(|rest| *rest < 100)?;
        let (hundreds, place) = match third {
            0..=99 => (third, Place::Active),
            100..=199 => (third - ENROLLING_OFFSET, Place::Enrolling),
            _ => return None,
        };
        let number = u16::from(hundreds) * 100 + u16::from(rest);
        Some((SlotNumber::new(series, number).ok()?, place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> AddressPlan {
        let series = |s: &str| Series::parse(s).unwrap();
        AddressPlan::new(10, vec![(series("18"), 18), (series("18F"), 19)]).unwrap()
    }

    #[test]
    fn slot_0042_lies_where_ruling_3_says() {
        let slot: SlotNumber = "18-0042".parse().unwrap();
        assert_eq!(plan().address(slot, Place::Active), Some(Ipv4Addr::new(10, 18, 0, 142)));
        assert_eq!(plan().address(slot, Place::Enrolling), Some(Ipv4Addr::new(10, 18, 100, 142)));
    }

    #[test]
    fn every_address_leads_back_to_its_slot_and_no_other() {
        let plan = plan();
        for series in plan.series().collect::<Vec<_>>() {
            for number in 0..10_000 {
                let slot = SlotNumber::new(series, number).unwrap();
                for place in [Place::Active, Place::Enrolling] {
                    let address = plan.address(slot, place).unwrap();
                    assert_eq!(plan.slot_of(address), Some((slot, place)));
                    let index = plan.seat_index(slot, place).unwrap();
                    assert_eq!(plan.seat_of(address), Some(index));
                    assert_eq!(plan.seat_at(index), Some((slot, place)));
                    assert!(index.as_usize() < plan.seat_count());
                    assert!(address != plan.gateway() && address != plan.gateway_open());
                }
            }
        }
    }

    #[test]
    fn seats_lie_in_one_array_without_gaps_or_doubles() {
        let plan = plan();
        let at = |text: &str, place| plan.seat_index(text.parse().unwrap(), place).unwrap().get();
        assert_eq!(at("18-0042", Place::Active), 42);
        assert_eq!(at("18-0042", Place::Enrolling), 10_042);
        assert_eq!(at("18F-0042", Place::Active), 20_042);
        assert_eq!(plan.seat_index("20-0001".parse().unwrap(), Place::Active), None);
        assert_eq!(plan.seat_at(SeatIndex::of_receiver(u32::MAX)), None);
    }

    #[test]
    fn an_address_of_nobody_belongs_to_nobody() {
        for text in
            ["10.18.255.1", "10.18.0.99", "10.18.0.200", "10.18.200.100", "10.20.0.142", "11.18.0.142"]
        {
            assert_eq!(plan().slot_of(text.parse().unwrap()), None, "{text}");
        }
    }

    #[test]
    fn two_series_cannot_share_a_block() {
        let series = |s: &str| Series::parse(s).unwrap();
        assert!(AddressPlan::new(10, vec![(series("18"), 18), (series("18F"), 18)]).is_err());
        assert!(AddressPlan::new(10, vec![]).is_err());
    }
}
