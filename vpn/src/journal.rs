//! The bounded memory of what happened to seats, for whoever asks "what is new since number n".
//! Owns the events; an edge, because askers wait for news. Lives as long as the room.
//!
//! Numbers start from the clock of the start, so that they grow across restarts and an asker's old
//! number stays a number of the past. A number from the future (the clock was set back) means: everything.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::door::{EVENTS_WAIT_MAX_MS, SeatEvent};
use crate::plane::PlaneEvent;

/// Events remembered: two for every slot of a series, enough for all devices to come back twice
/// between two questions.
pub const EVENTS_MAX: usize = 20_000;

/// Events in one answer; the asker comes again for the rest.
pub const EVENTS_PER_ANSWER: usize = 1_000;

/// More events than this per millisecond of uptime cannot happen, so numbers of two starts never meet.
const NUMBERS_PER_MS: u64 = 1_000;

pub struct Journal {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

struct Ring {
    events: VecDeque<SeatEvent>,
    newest: u64,
}

impl Journal {
    pub fn new(started_ms: i64) -> Self {
        let newest = started_ms.max(0) as u64 * NUMBERS_PER_MS;
        Self {
            ring: Mutex::new(Ring { events: VecDeque::new(), newest }),
            newest: watch::Sender::new(newest),
        }
    }

    pub fn record(&self, event: PlaneEvent) {
        let newest = self.ring().push(event);
        self.newest.send_replace(newest);
    }

    /// What happened after `after`, at once if there is something, else within `wait_ms`.
    pub async fn after(&self, after: u64, wait_ms: u32) -> (u64, Vec<SeatEvent>) {
        let mut news = self.newest.subscribe();
        let wait = Duration::from_millis(wait_ms.min(EVENTS_WAIT_MAX_MS).into());
        let found = timeout(wait, async {
            loop {
                news.mark_unchanged();
                let (next, events) = self.ring().after(after);
                if !events.is_empty() || news.changed().await.is_err() {
                    return (next, events);
                }
            }
        });
        match found.await {
            Ok(found) => found,
            Err(_) => self.ring().after(after),
        }
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        // Nothing in here can panic half-way, so a poisoned ring is still whole.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ring {
    fn push(&mut self, event: PlaneEvent) -> u64 {
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.newest += 1;
        let PlaneEvent { at_ms, slot, class, generation, kind } = event;
        self.events.push_back(SeatEvent { number: self.newest, at_ms, slot, class, generation, kind });
        self.newest
    }

    fn after(&self, after: u64) -> (u64, Vec<SeatEvent>) {
        let after = if after > self.newest { 0 } else { after };
        let first = self.events.partition_point(|event| event.number <= after);
        let events: Vec<_> = self.events.range(first..).take(EVENTS_PER_ANSWER).cloned().collect();
        (events.last().map_or(self.newest, |event| event.number), events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::door::SeatEventKind;
    use crate::slot::SeatClass;

    fn event(generation: u64) -> PlaneEvent {
        let kind = SeatEventKind::FirstHandshake { endpoint: "192.0.2.1:5".parse().unwrap() };
        PlaneEvent { at_ms: 5, slot: "18-0042".parse().unwrap(), class: SeatClass::Active, generation, kind }
    }

    #[tokio::test]
    async fn an_asker_gets_what_is_new_and_waits_for_what_is_not() {
        let journal = Journal::new(1_000);
        let (start, events) = journal.after(0, 0).await;
        assert!(events.is_empty());
        journal.record(event(1));
        let (next, events) = journal.after(start, 0).await;
        assert_eq!(events.len(), 1);
        assert_eq!(next, events[0].number);
        let (waited, ()) = tokio::join!(journal.after(next, 10_000), async { journal.record(event(2)) });
        assert_eq!(waited.1[0].generation, 2);
        assert_eq!(journal.after(0, 0).await.1.len(), 2, "0 is everything");
        assert_eq!(journal.after(u64::MAX, 0).await.1.len(), 2, "a number from the future too");
    }

    #[tokio::test]
    async fn numbers_grow_across_restarts() {
        let (before, after) = (Journal::new(1_000), Journal::new(1_001));
        (0..900).for_each(|n| before.record(event(n)));
        let (last, _) = before.after(0, 0).await;
        after.record(event(1));
        assert!(after.after(last, 0).await.1.len() == 1);
    }

    #[tokio::test]
    async fn the_memory_is_bounded_and_answers_come_in_pieces() {
        let journal = Journal::new(0);
        (0..EVENTS_MAX as u64 + 10).for_each(|n| journal.record(event(n)));
        let (next, events) = journal.after(0, 0).await;
        assert_eq!((events.len(), events[0].number), (EVENTS_PER_ANSWER, 11));
        assert_eq!(journal.after(next, 0).await.1[0].number, next + 1);
    }
}
