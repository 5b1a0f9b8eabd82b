//! Initiations that wait to be computed: the newest first, none older than its deadline, never more than fit.
//! Owns them; pure, lives as long as the handshake thread.
//!
//! Whoever waits is never pushed out by another message that bears the same address: an address is easily
//! forged. What finds its sender's places taken is refused instead, and its sender asked for a proof.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::batch::Arrival;

/// Entries of one lane: all devices of a series at once, and half as many strangers.
pub const LANE_MAX: usize = 16_384;

/// Entries that bear one address. A device never has two: it asks again after the deadline. The others are
/// for its own message when somebody forges its address.
pub const SENDER_MAX: u8 = 4;

/// A device asks again after 5 s and then forgets what it asked before; an answer must still travel.
pub const DEADLINE: Duration = Duration::from_millis(4_500);

/// Who goes when a lane is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// The newcomer: who waits here has been authenticated, or may have been.
    RefusesNewcomers,
    /// The oldest: it has waited in vain longest, and the newest is the likeliest to be still wanted.
    DropsOldest,
}

/// What became of an initiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Kept,
    /// In the place of the lane's oldest.
    KeptForOldest,
    Refused,
}

pub struct Lane {
    full: Full,
    /// Oldest first.
    waiting: VecDeque<(Instant, Arrival)>,
    /// How many entries bear each address.
    senders: HashMap<SocketAddr, u8>,
    /// Since when somebody has been waiting here without a break. Not the oldest entry's age: the newest
    /// go first.
    busy_since: Option<Instant>,
}

impl Lane {
    pub fn new(full: Full) -> Self {
        Self { full, waiting: VecDeque::new(), senders: HashMap::new(), busy_since: None }
    }

    pub fn push(&mut self, now: Instant, arrival: &Arrival) -> Put {
        let full = self.waiting.len() >= LANE_MAX;
        let taken = self.senders.get(&arrival.path.peer).is_some_and(|count| *count >= SENDER_MAX);
        if taken || (full && self.full == Full::RefusesNewcomers) {
            return Put::Refused;
        }
        if full && let Some((_, oldest)) = self.waiting.pop_front() {
            self.leave(oldest.path.peer);
        }
        self.busy_since.get_or_insert(now);
        *self.senders.entry(arrival.path.peer).or_default() += 1;
        self.waiting.push_back((now, arrival.clone()));
        if full { Put::KeptForOldest } else { Put::Kept }
    }

    /// The newest that is still in time.
    pub fn pop(&mut self, now: Instant) -> Option<Arrival> {
        let newest = self.waiting.pop_back();
        let found = newest.filter(|(since, _)| now.saturating_duration_since(*since) <= DEADLINE);
        match &found {
            Some((_, arrival)) => self.leave(arrival.path.peer),
            // Everything before it is older still.
            None => {
                self.waiting.clear();
                self.senders.clear();
            }
        }
        if self.waiting.is_empty() {
            self.busy_since = None;
        }
        found.map(|(_, arrival)| arrival)
    }

    /// How long somebody has been waiting here without a break.
    pub fn age(&self, now: Instant) -> Duration {
        self.busy_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    fn leave(&mut self, sender: SocketAddr) {
        if let Some(count) = self.senders.get_mut(&sender) {
            *count -= 1;
            if *count == 0 {
                self.senders.remove(&sender);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Path;
    use crate::protocol::INITIATION_LEN;

    fn arrival(port: u16, mark: u8) -> Arrival {
        let path = Path { socket: 0, peer: ([192, 0, 2, 1], port).into(), local: None };
        Arrival { path, message: [mark; INITIATION_LEN] }
    }

    #[test]
    fn the_newest_comes_first_and_nothing_comes_too_late() {
        let (mut lane, now) = (Lane::new(Full::DropsOldest), Instant::now());
        for (port, mark) in [(1, 1), (2, 2), (1, 3)] {
            assert_eq!(lane.push(now, &arrival(port, mark)), Put::Kept);
        }
        assert_eq!(lane.len(), 3);
        assert_eq!(lane.pop(now).unwrap().message[0], 3);
        assert_eq!(lane.age(now + DEADLINE), DEADLINE);
        assert!(lane.pop(now + DEADLINE * 2).is_none() && lane.is_empty());
        assert_eq!(lane.age(now), Duration::ZERO);
        assert_eq!(lane.push(now, &arrival(1, 4)), Put::Kept, "nothing of the old count is left");
    }

    #[test]
    fn attacker_a_forged_address_never_pushes_out_who_waits_under_it() {
        let (mut lane, now) = (Lane::new(Full::RefusesNewcomers), Instant::now());
        assert_eq!(lane.push(now, &arrival(1, 7)), Put::Kept);
        let forged = (0..1_000).map(|_| lane.push(now, &arrival(1, 9)));
        assert_eq!(forged.filter(|put| *put == Put::Kept).count(), usize::from(SENDER_MAX) - 1);
        for port in 2..=u16::MAX {
            lane.push(now, &arrival(port, 9));
        }
        assert_eq!(lane.len(), LANE_MAX);
        assert!(std::iter::from_fn(|| lane.pop(now)).any(|arrival| arrival.message[0] == 7));
        assert!(lane.senders.is_empty());
    }

    #[test]
    fn attacker_a_lane_is_bounded_whoever_asks() {
        let (mut lane, now) = (Lane::new(Full::DropsOldest), Instant::now());
        for n in 0..3 * LANE_MAX as u32 {
            let mut arrival = arrival(1, 1);
            arrival.path.peer = (n.to_be_bytes(), 1).into();
            lane.push(now, &arrival);
        }
        assert!(lane.waiting.len() == LANE_MAX && lane.senders.len() == LANE_MAX);
        assert_eq!(lane.pop(now).unwrap().path.peer.to_string(), "0.0.191.255:1", "the newest is there");
    }
}
