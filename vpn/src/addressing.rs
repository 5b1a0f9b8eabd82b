//! Which seat an inner address belongs to, and what a seat may reach: by the realm's plan in the appliance,
//! by the file's own addresses in the foreground. Pure; both ways a packet is led by arithmetic and one array.

use std::net::Ipv4Addr;

use crate::address::{AddressPlan, SeatIndex, TUNNEL_MTU};
use crate::door::Gate;
use crate::protocol::DATA_OVERHEAD;
use crate::slot::SeatClass;

/// Outside, no packet of ours is longer than what every path of IPv6 carries (and IPv4 in practice), so
/// nothing depends on ICMP coming back: 1280 less IPv6, UDP, our overhead, and inner IPv4 and TCP headers.
pub const MSS: u16 = TUNNEL_MTU - 40 - 8 - DATA_OVERHEAD as u16 - 20 - 20;
const _: () = assert!(MSS == 1160);

/// An engineer's file may spread its addresses over this many; the table is an array.
pub const SPAN_MAX: usize = 1 << 20;

/// The longest inner packet that an engineer's own MTU may make.
const FOREGROUND_PACKET_MAX: usize = 9_000;

/// Seats and addresses.
pub enum Addressing {
    Realm(AddressPlan),
    File(Numbered),
}

/// Peers of a wg(8) file, numbered in its order.
pub struct Numbered {
    plan: AddressPlan,
    first: u32,
    /// Seat number plus one at `address - first`; 0 is nobody.
    seats: Vec<u32>,
    own: Vec<u32>,
}

/// The file's addresses cannot be led by an array.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberingError {
    #[error("AllowedIPs lie more than {SPAN_MAX} addresses apart")]
    Spread,
    #[error("{0} is allowed for two peers")]
    Twice(Ipv4Addr),
}

impl Numbered {
    pub fn new(plan: AddressPlan, addresses: Vec<(Ipv4Addr, SeatIndex)>) -> Result<Self, NumberingError> {
        let first = addresses.iter().map(|(address, _)| address.to_bits()).min().unwrap_or(0);
        let last = addresses.iter().map(|(address, _)| address.to_bits()).max().unwrap_or(0);
        let span = (last - first) as usize + 1;
        if span > SPAN_MAX {
            return Err(NumberingError::Spread);
        }
        let (mut seats, mut own) = (vec![0; span], vec![0; plan.seat_count()]);
        for (address, seat) in &addresses {
            let place = &mut seats[(address.to_bits() - first) as usize];
            if *place != 0 {
                return Err(NumberingError::Twice(*address));
            }
            *place = seat.get() + 1;
            own[seat.as_usize()] = address.to_bits();
        }
        Ok(Self { plan, first, seats, own })
    }
}

impl Addressing {
    pub fn plan(&self) -> &AddressPlan {
        match self {
            Addressing::Realm(plan) => plan,
            Addressing::File(file) => &file.plan,
        }
    }

    pub fn seat_of(&self, address: Ipv4Addr) -> Option<SeatIndex> {
        match self {
            Addressing::Realm(plan) => plan.seat_of(address),
            Addressing::File(file) => {
                let at = address.to_bits().checked_sub(file.first)? as usize;
                file.seats.get(at)?.checked_sub(1).map(SeatIndex::new)
            }
        }
    }

    pub fn address_of(&self, seat: SeatIndex) -> Option<Ipv4Addr> {
        match self {
            Addressing::Realm(plan) => plan.seat_at(seat).and_then(|(slot, place)| plan.address(slot, place)),
            Addressing::File(file) => {
                file.own.get(seat.as_usize()).filter(|own| **own != 0).map(|own| Ipv4Addr::from_bits(*own))
            }
        }
    }

    pub fn reach(&self, class: SeatClass) -> Reach {
        match self {
            Addressing::Realm(plan) => Reach::of(plan, class),
            Addressing::File(_) => Reach::Anywhere,
        }
    }

    /// The longest inner packet.
    pub fn packet_max(&self) -> usize {
        match self {
            Addressing::Realm(_) => usize::from(TUNNEL_MTU),
            Addressing::File(_) => FOREGROUND_PACKET_MAX,
        }
    }

    /// What a SYN may announce; an engineer's MTU is left alone.
    pub fn mss(&self) -> Option<u16> {
        match self {
            Addressing::Realm(_) => Some(MSS),
            Addressing::File(_) => None,
        }
    }
}

/// The gateway's addresses that a seat may speak with: always the open one, the other when admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Gateway {
        mutual: Option<Ipv4Addr>,
        open: Ipv4Addr,
    },
    /// In the foreground the kernel's routes decide.
    Anywhere,
}

impl Reach {
    pub fn of(plan: &AddressPlan, class: SeatClass) -> Self {
        let mutual = match Gate::from(class) {
            Gate::Active => Some(plan.gateway()),
            Gate::Enrolling | Gate::Leaving => None,
        };
        Reach::Gateway { mutual, open: plan.gateway_open() }
    }

    pub fn contains(self, address: Ipv4Addr) -> bool {
        match self {
            Reach::Gateway { mutual, open } => address == open || Some(address) == mutual,
            Reach::Anywhere => true,
        }
    }
}
