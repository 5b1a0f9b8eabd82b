//! Dates of papers as people type them, judged by Japan's calendar. Pure.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::{Offset, TimeZone};

use crate::messages_people::{PeopleMessage, Refusal};
use crate::written_date;

/// A date that has come: a pledge or a consent is never of tomorrow.
pub fn past_date(text: &str, now_ms: i64) -> Result<String, Refusal> {
    let refused = || PeopleMessage::DateForm.about(text.chars().take(20).collect::<String>());
    let date = written_date::parse(text).ok_or_else(refused)?;
    if date > day(now_ms) {
        return Err(refused());
    }
    Ok(date.to_string())
}

/// Has a day (ISO) not come yet?
pub fn is_ahead(iso: &str, now_ms: i64) -> bool {
    iso.parse::<Date>().is_ok_and(|wanted| wanted > day(now_ms))
}

/// When a day (ISO) begins in Japan.
pub fn begins_ms(day: &str) -> Option<i64> {
    let day: Date = day.parse().ok()?;
    day.to_zoned(TimeZone::fixed(Offset::constant(9))).ok().map(|at| at.timestamp().as_millisecond())
}

/// The date in Japan at a moment.
pub fn day(at_ms: i64) -> Date {
    let now = Timestamp::from_millisecond(at_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    now.to_zoned(TimeZone::fixed(Offset::constant(9))).date()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_of_tomorrow_or_of_no_calendar_is_refused() {
        let now = 1_795_000_000_000;
        for text in ["2026-11-18", "令和8年11月18日", "2026/11/18"] {
            assert_eq!(past_date(text, now).unwrap(), "2026-11-18");
        }
        for text in ["2026-11-19", "2026-02-30", "", "昨日", "18/11/2026"] {
            assert!(past_date(text, now).is_err(), "{text}");
        }
    }
}
