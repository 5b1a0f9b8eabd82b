//! How many handshakes one source may ask for under load, once it has proved its address. Owns the table of
//! sources; pure, lives as long as the handshake thread. Only proven sources enter, so its size has a bound
//! that no forger moves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// One hospital behind one NAT address: a thousand devices at once after a power cut, and as many tries
/// again as they make.
pub const SOURCE_PER_SECOND: u32 = 200;
pub const SOURCE_BURST: u32 = 1_000;

/// Sources remembered at once: every slot of a series from an address of its own, and as many strangers.
pub const SOURCES_MAX: usize = 20_000;

/// The table is searched for sources at rest at most this often, so that a full table costs no scan per packet.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

pub struct Shares {
    sources: HashMap<Source, Pace>,
    swept: Instant,
}

impl Shares {
    pub fn new(now: Instant) -> Self {
        Self { sources: HashMap::new(), swept: now }
    }

    /// Has this source a handshake left?
    pub fn take(&mut self, now: Instant, from: IpAddr) -> bool {
        let source = Source::of(from);
        if !self.sources.contains_key(&source) && self.sources.len() >= SOURCES_MAX {
            if now.saturating_duration_since(self.swept) >= SWEEP_EVERY {
                self.swept = now;
                self.sources.retain(|_, pace| !pace.is_at_rest(now));
            }
            if self.sources.len() >= SOURCES_MAX {
                return false;
            }
        }
        self.sources.entry(source).or_insert_with(|| Pace(now)).take(now)
    }

    /// Sources in the table now.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }
}

/// Who shares one budget: an IPv4 address, or the /64 that one IPv6 subscriber has.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Source([u8; 8]);

impl Source {
    fn of(address: IpAddr) -> Source {
        let mut prefix = [0; 8];
        match address.to_canonical() {
            // ::/64 belongs to no subscriber, so the two families cannot meet.
            IpAddr::V4(v4) => prefix[4..].copy_from_slice(&v4.octets()),
            IpAddr::V6(v6) => prefix.copy_from_slice(&v6.octets()[..8]),
        }
        Source(prefix)
    }
}

/// A token bucket in one number: the time at which it will be full again.
struct Pace(Instant);

impl Pace {
    fn take(&mut self, now: Instant) -> bool {
        let each = Duration::from_secs(1) / SOURCE_PER_SECOND;
        let full = self.0.max(now) + each;
        if full.saturating_duration_since(now) > each * SOURCE_BURST {
            return false;
        }
        self.0 = full;
        true
    }

    fn is_at_rest(&self, now: Instant) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    #[test]
    fn one_source_has_its_share_and_leaves_the_others_theirs() {
        let now = Instant::now();
        let mut shares = Shares::new(now);
        let hospital = IpAddr::from(Ipv4Addr::new(203, 0, 113, 7));
        let taken = (0..2 * SOURCE_BURST).filter(|_| shares.take(now, hospital)).count();
        assert_eq!(taken, SOURCE_BURST as usize);
        assert!(shares.take(now, Ipv4Addr::new(203, 0, 113, 8).into()));
        assert!(shares.take(now + Duration::from_secs(1), hospital));
    }

    #[test]
    fn attacker_a_subscriber_of_ipv6_is_one_source_and_mapped_ipv4_is_ipv4() {
        let now = Instant::now();
        let mut shares = Shares::new(now);
        for n in 0..2 * u128::from(SOURCE_BURST) {
            shares.take(now, Ipv6Addr::from(0x2001_0db8_u128 << 96 | n).into());
        }
        assert_eq!(shares.sources(), 1);
        assert!(!shares.take(now, "2001:db8::ffff".parse().unwrap()));
        shares.take(now, "203.0.113.9".parse().unwrap());
        shares.take(now, "::ffff:203.0.113.9".parse().unwrap());
        assert_eq!(shares.sources(), 2);
    }

    #[test]
    fn attacker_the_table_is_bounded_and_makes_room_for_those_at_rest() {
        let now = Instant::now();
        let mut shares = Shares::new(now);
        let address = |n: u32| IpAddr::from(Ipv4Addr::from(0xcb00_0000 + n));
        (0..SOURCES_MAX as u32 + 100).for_each(|n| {
            shares.take(now, address(n));
        });
        assert_eq!(shares.sources(), SOURCES_MAX);
        let later = now + Duration::from_secs(2);
        assert!(shares.take(later, address(999_999)));
        assert_eq!(shares.sources(), 1);
    }
}
