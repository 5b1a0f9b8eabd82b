//! The time as a value that is handed in: the wall clock for what certificates and sessions say,
//! and the time since the process began for ages, which no clock jump can bend. Pure. Ruling 7.

/// Feeds older than this give no new TLS connection and no sign-in (ruling 7).
pub const STALE_AFTER_MS: u64 = 30_000;
/// Existing connections live this much longer when the feeds stay silent (ruling 7).
pub const LINGER_MS: u64 = 15 * 60_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Unix milliseconds.
    pub unix_ms: i64,
    /// Milliseconds since the process began; never goes back.
    pub up_ms: u64,
}

/// How much a feed's last answer may still decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Freshness {
    /// Everything.
    Fresh,
    /// Only what is already connected.
    Lingering,
    /// Nothing.
    Gone,
}

/// The freshness of an answer that arrived at `answered` (`None`: there was never one).
pub fn freshness(answered: Option<u64>, now: Moment) -> Freshness {
    match answered.map(|at| now.up_ms.saturating_sub(at)) {
        Some(age) if age <= STALE_AFTER_MS => Freshness::Fresh,
        Some(age) if age <= STALE_AFTER_MS + LINGER_MS => Freshness::Lingering,
        _ => Freshness::Gone,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feed_is_fresh_for_thirty_seconds_and_lingers_for_fifteen_minutes() {
        let at = |up_ms| Moment { unix_ms: 0, up_ms };
        for (answered, now, expected) in [
            (None, 0, Freshness::Gone),
            (Some(0), 30_000, Freshness::Fresh),
            (Some(0), 30_001, Freshness::Lingering),
            (Some(0), 930_000, Freshness::Lingering),
            (Some(0), 930_001, Freshness::Gone),
            (Some(500), 0, Freshness::Fresh),
        ] {
            assert_eq!(freshness(answered, at(now)), expected, "{answered:?} at {now}");
        }
    }
}
