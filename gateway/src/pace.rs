//! How fast a peer may go and how slow: the bucket that counts bursts, and the times after which
//! somebody who brings nothing is taken for gone. Pure; `now` is milliseconds of any clock that never
//! goes back. Ruling 13.

/// From the first byte of a head (or the end of the TLS handshake) to the head's end: a head is one
/// packet, and the worst mobile line resends it within three seconds.
pub const HEAD_MS: u64 = 10_000;
/// A connection on which nothing is asked: longer than a page is read, shorter than a lunch break.
pub const IDLE_MS: u64 = 120_000;
/// After an answer: what served it is let go when nothing more is asked for so long. A page's requests follow
/// each other within this, a reader's do not.
pub const REST_MS: u64 = 100;
/// A body, in either direction, brings `PROGRESS` bytes within this time or has stopped.
pub const PROGRESS_MS: u64 = 10_000;
/// A hundredth of the slowest line that a call would survive on.
pub const PROGRESS: u64 = 1024;

/// A token bucket: `burst` at once, then so many in a second or a minute.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    burst: u64,
    /// Millionths of a token that come back in a millisecond.
    rate: u64,
    /// Millionths of a token that are used up.
    used: u64,
    at_ms: u64,
}

const TOKEN: u64 = 1_000_000;

impl Bucket {
    pub const fn per_second(burst: u32, tokens: u32) -> Self {
        Self { burst: burst as u64 * TOKEN, rate: tokens as u64 * 1_000, used: 0, at_ms: 0 }
    }

    pub const fn per_minute(burst: u32, tokens: u32) -> Self {
        Self { burst: burst as u64 * TOKEN, rate: tokens as u64 * 1_000 / 60, used: 0, at_ms: 0 }
    }

    /// Takes one token; false when there is none.
    pub fn take(&mut self, now_ms: u64) -> bool {
        self.used = self.left_over(now_ms);
        self.at_ms = self.at_ms.max(now_ms);
        if self.used + TOKEN > self.burst {
            return false;
        }
        self.used += TOKEN;
        true
    }

    /// Gives back what somebody earned, up to the burst.
    pub fn earn(&mut self, tokens: u32) {
        self.used = self.used.saturating_sub(u64::from(tokens) * TOKEN);
    }

    /// As full as it can be: forgetting it changes nothing.
    pub fn is_full(&self, now_ms: u64) -> bool {
        self.left_over(now_ms) == 0
    }

    fn left_over(&self, now_ms: u64) -> u64 {
        let back = now_ms.saturating_sub(self.at_ms).saturating_mul(self.rate);
        self.used.saturating_sub(back)
    }
}

/// Progress of one direction, judged only while it is the peer's turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    waiting_since: Option<u64>,
    brought: u64,
}

impl Progress {
    /// The peer brought (or took) this much.
    pub fn brought(&mut self, bytes: u64, now_ms: u64) {
        self.brought += bytes;
        if self.brought >= PROGRESS {
            self.brought = 0;
            self.waiting_since = self.waiting_since.map(|_| now_ms);
        }
    }

    /// It is the peer's turn; the time from which it counts does not move by asking again.
    pub fn waits(&mut self, now_ms: u64) {
        self.waiting_since.get_or_insert(now_ms);
    }

    /// It is not the peer's turn any more.
    pub fn rests(&mut self) {
        *self = Self::default();
    }

    /// When the peer will have stopped, if it is its turn.
    pub fn deadline(&self) -> Option<u64> {
        self.waiting_since.map(|since| since + PROGRESS_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_burst_passes_and_a_flood_does_not() {
        let mut bucket = Bucket::per_second(3, 2);
        assert_eq!((0..5).filter(|_| bucket.take(1_000)).count(), 3);
        assert!(!bucket.take(1_499));
        assert!(bucket.take(1_500));
        assert!(!bucket.take(1_500));
        bucket.earn(1);
        assert!(bucket.take(1_500));
        assert!(bucket.is_full(3_000) && !bucket.is_full(1_600));
        let mut slow = Bucket::per_minute(1, 6);
        assert!(slow.take(0) && !slow.take(9_999) && slow.take(10_001));
    }

    #[test]
    fn a_drip_does_not_move_the_deadline_and_a_flow_does() {
        let mut progress = Progress::default();
        assert_eq!(progress.deadline(), None);
        progress.waits(0);
        for second in 1..10 {
            progress.brought(1, second * 1_000);
            progress.waits(second * 1_000);
        }
        assert_eq!(progress.deadline(), Some(PROGRESS_MS));
        progress.brought(PROGRESS, 9_500);
        assert_eq!(progress.deadline(), Some(9_500 + PROGRESS_MS));
        progress.rests();
        assert_eq!(progress.deadline(), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn nobody_takes_more_than_burst_and_rate(steps in proptest::collection::vec(0u64..700, 1..200)) {
            let mut bucket = Bucket::per_second(10, 5);
            let (mut now, mut taken) = (0, 0u64);
            for step in steps {
                now += step;
                taken += u64::from(bucket.take(now));
                prop_assert!(taken <= 10 + now * 5 / 1_000 + 1);
            }
        }
    }
}
