//! Moments as people in Fukui read them: Japanese time, on papers and in answers. Pure.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

/// `2026-11-20T21:57:15+09:00`.
pub fn rfc3339(at_ms: i64) -> String {
    format(at_ms, "%Y-%m-%dT%H:%M:%S%:z")
}

/// `2026年11月20日`.
pub fn date(at_ms: i64) -> String {
    format(at_ms, "%Y年%-m月%-d日")
}

/// `2026年11月20日 21:57`.
pub fn moment(at_ms: i64) -> String {
    format(at_ms, "%Y年%-m月%-d日 %H:%M")
}

/// The calendar year, for case numbers.
pub fn year(at_ms: i64) -> String {
    format(at_ms, "%Y")
}

fn format(at_ms: i64, pattern: &str) -> String {
    // A moment beyond year 9999 is shown as the last one that can be.
    let at = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::MAX);
    at.to_zoned(TimeZone::fixed(Offset::constant(9))).strftime(pattern).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_changes_at_midnight_in_japan() {
        let last_second = 1_798_729_199_000;
        assert_eq!(rfc3339(last_second), "2026-12-31T23:59:59+09:00");
        assert_eq!(date(last_second), "2026年12月31日");
        assert_eq!(moment(last_second), "2026年12月31日 23:59");
        assert_eq!(year(last_second + 1_000), "2027");
    }
}
