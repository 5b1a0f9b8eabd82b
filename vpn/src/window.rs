//! The replay window of one session: which counters have been seen. Owns 8192 bits; pure, lives in its session.
//! A ring of words: a counter's word is `counter / 64` modulo the ring, so that moving on clears whole words.

/// Counters behind the newest that can still be told apart: WireGuard's own figure, wide enough for
/// the reordering of a link that bonds several carriers.
pub const WINDOW: u64 = 8192 - WORD;

const WORD: u64 = u64::BITS as u64;

/// Words of the ring.
pub const WORDS: usize = (8192 / WORD) as usize;
const TURN: u64 = WORDS as u64;

pub struct Window {
    seen: [u64; WORDS],
    /// One more than the newest counter; 0 before the first.
    next: u64,
}

impl Window {
    pub fn new() -> Self {
        Self { seen: [0; WORDS], next: 0 }
    }

    /// The words of the ring that say something, by their place, and one more than the newest counter: a
    /// session that has carried little has few.
    pub fn parts(&self) -> (Vec<(u8, u64)>, u64) {
        const { assert!(WORDS <= 1 << u8::BITS) };
        ((0..=u8::MAX).zip(self.seen).filter(|(_, word)| *word != 0).collect(), self.next)
    }

    /// A window that somebody else has kept; `None` when a word has no place in the ring.
    pub fn of_parts(words: &[(u8, u64)], next: u64) -> Option<Self> {
        let mut window = Self { next, ..Self::new() };
        for (place, word) in words {
            *window.seen.get_mut(usize::from(*place))? = *word;
        }
        Some(window)
    }

    /// Could this counter be new? Asked before the seal is checked.
    pub fn may_be_new(&self, counter: u64) -> bool {
        if counter >= self.next {
            // The last number has no next; sessions end long before it.
            return counter < u64::MAX;
        }
        self.next - counter <= WINDOW && self.seen[word(counter)] & bit(counter) == 0
    }

    /// Takes the counter of a message whose seal was right; `false` when it was not new after all.
    pub fn accept(&mut self, counter: u64) -> bool {
        if !self.may_be_new(counter) {
            return false;
        }
        if counter >= self.next {
            let newest = self.next.checked_sub(1).map_or(0, |newest| newest / WORD);
            let steps = (counter / WORD - newest).min(TURN);
            for step in 1..=steps {
                self.seen[((newest + step) % TURN) as usize] = 0;
            }
            self.next = counter.saturating_add(1);
        }
        self.seen[word(counter)] |= bit(counter);
        true
    }
}

impl Default for Window {
    fn default() -> Self {
        Self::new()
    }
}

fn word(counter: u64) -> usize {
    (counter / WORD % TURN) as usize
}

fn bit(counter: u64) -> u64 {
    1 << (counter % WORD)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn order_does_not_matter_within_the_window_and_twice_never_passes() {
        let mut window = Window::new();
        for counter in [0, 1, 5, 3, 2, 4, WINDOW, 6] {
            assert!(window.accept(counter), "{counter}");
            assert!(!window.accept(counter), "{counter} again");
        }
        assert!(window.accept(WINDOW + 100));
        assert!(!window.accept(7), "behind the window");
        assert!(window.accept(u64::MAX - 1) && !window.accept(u64::MAX - 1));
        assert!(window.accept(u64::MAX - 2) && !window.accept(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        /// A set of numbers is the model: whatever is seen twice is refused, whatever is new and near is taken.
        #[test]
        fn the_window_is_a_set_that_forgets(steps in prop::collection::vec((0u64..20_000, 0u64..3), 1..400)) {
            let (mut window, mut seen, mut newest) = (Window::new(), BTreeSet::new(), 0u64);
            for (value, kind) in steps {
                let counter = match kind {
                    0 => newest.saturating_add(value % 300),
                    1 => newest.saturating_sub(value % 9_000),
                    _ => value,
                };
                let near = newest.saturating_sub(counter) < WINDOW;
                let taken = window.accept(counter);
                prop_assert_eq!(taken, near && !seen.contains(&counter), "{} at {}", counter, newest);
                if taken {
                    seen.insert(counter);
                    newest = newest.max(counter);
                }
            }
        }
    }
}
