//! The address plan: which inner address a seat has, computed by octets and never looked up.
//! Owns `AddressPlan`; a pure value made once from the configuration. Ruling 3.
//!
//! ```text
//! 10.B.  0- 99.100-199   the device of slot hundreds.rest in an active class
//! 10.B.100-199.100-199   the same slot while it is enrolling
//! 10.B.255.1             gateway: mutual TLS        10.B.255.2   gateway: claim, published bytes
//! ```

use std::net::Ipv4Addr;

use crate::slot::{SeatClass, Series, SlotNumber};

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
                    assert!(address != plan.gateway() && address != plan.gateway_open());
                }
            }
        }
    }

    #[test]
    fn an_address_of_nobody_belongs_to_nobody() {
        for text in ["10.18.255.1", "10.18.0.99", "10.18.0.200", "10.18.200.100", "10.20.0.142", "11.18.0.142"] {
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
