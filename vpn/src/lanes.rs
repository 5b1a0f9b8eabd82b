//! Initiations that wait for a handshake: one entry per sender, the newest first, none older than its
//! deadline, never more than fit. Owns them; pure, lives as long as the handshake thread.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::batch::Arrival;

/// Entries of one lane: all devices of a series at once, and half as many strangers.
pub const LANE_MAX: usize = 16_384;

/// A device asks again after 5 s and then forgets what it asked before; an answer must still travel.
pub const DEADLINE: Duration = Duration::from_millis(4_500);

#[derive(Default)]
pub struct Lane {
    /// Oldest first, with the number under which each was put in.
    waiting: VecDeque<(u64, Instant, Arrival)>,
    /// The number of each sender's newest entry; an older one is a husk.
    newest: HashMap<SocketAddr, u64>,
    numbers: u64,
    /// Since when somebody has been waiting here without a break. Not the oldest entry's age, which a
    /// sender who asks again and again would keep young.
    busy_since: Option<Instant>,
}

impl Lane {
    /// Answers how many entries had to go for this one: its sender's older one, or the lane's oldest.
    pub fn push(&mut self, now: Instant, arrival: Arrival) -> usize {
        self.numbers += 1;
        self.busy_since.get_or_insert(now);
        let replaced = self.newest.insert(arrival.path.peer, self.numbers).is_some();
        self.waiting.push_back((self.numbers, now, arrival));
        let mut gone = usize::from(replaced);
        while self.waiting.len() > LANE_MAX {
            gone += usize::from(self.drop_oldest());
        }
        gone
    }

    /// The newest that is still in time.
    pub fn pop(&mut self, now: Instant) -> Option<Arrival> {
        let mut found = None;
        while let Some((number, since, arrival)) = self.waiting.pop_back() {
            if self.newest.get(&arrival.path.peer) != Some(&number) {
                continue;
            }
            self.newest.remove(&arrival.path.peer);
            if now.saturating_duration_since(since) <= DEADLINE {
                found = Some(arrival);
                break;
            }
            // Everything before it is older still.
            self.waiting.clear();
            self.newest.clear();
        }
        if self.newest.is_empty() {
            self.waiting.clear();
            self.busy_since = None;
        }
        found
    }

    /// How long somebody has been waiting here without a break.
    pub fn age(&self, now: Instant) -> Duration {
        self.busy_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since))
    }

    pub fn len(&self) -> usize {
        self.newest.len()
    }

    pub fn is_empty(&self) -> bool {
        self.newest.is_empty()
    }

    /// `false` for a husk.
    fn drop_oldest(&mut self) -> bool {
        let Some((number, _, arrival)) = self.waiting.pop_front() else { return false };
        let live = self.newest.get(&arrival.path.peer) == Some(&number);
        if live {
            self.newest.remove(&arrival.path.peer);
        }
        live
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
    fn the_newest_of_each_sender_comes_first_and_nothing_comes_too_late() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        assert_eq!(lane.push(now, arrival(1, 1)), 0);
        assert_eq!(lane.push(now, arrival(2, 2)), 0);
        assert_eq!(lane.push(now, arrival(1, 3)), 1, "its sender asked again");
        assert_eq!(lane.len(), 2);
        assert_eq!(lane.pop(now).unwrap().message[0], 3);
        assert_eq!(lane.age(now + DEADLINE), DEADLINE);
        assert!(lane.pop(now + DEADLINE * 2).is_none() && lane.is_empty());
        assert_eq!(lane.age(now), Duration::ZERO);
    }

    #[test]
    fn attacker_a_lane_is_bounded_whoever_asks() {
        let (mut lane, now) = (Lane::default(), Instant::now());
        for n in 0..3 * LANE_MAX as u32 {
            let mut arrival = arrival(1, 1);
            arrival.path.peer = (n.to_be_bytes(), 1).into();
            lane.push(now, arrival);
            lane.push(now, self::arrival(9, 9));
        }
        assert!(lane.waiting.len() <= LANE_MAX && lane.newest.len() <= LANE_MAX);
        let popped = std::iter::from_fn(|| lane.pop(now)).count();
        assert!((LANE_MAX / 2..=LANE_MAX).contains(&popped), "{popped}");
    }
}
