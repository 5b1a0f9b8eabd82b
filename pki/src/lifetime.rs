//! How long certificates live, and when nothing may end. Pure; Japan's calendar. Ruling 6.
//!
//! Nothing ends in March–May (staff and fiscal year change), around お盆 (8/10–8/20) or at the turn of
//! the year (12/20–1/10): who would mend it is away or drowned. The end moves earlier, never later,
//! and always falls at noon, when someone is at the desk.

use jiff::civil::{Date, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, Timestamp, ToSpan};

/// Phones' clocks run behind; a new certificate must be good at once.
pub const BACKDATE_SECONDS: i64 = 5 * 60;
/// A CA that ends sooner than this can give nothing useful any more.
const SHORTEST_SECONDS: i64 = 24 * 60 * 60;
/// Japan has had one offset and no summer time since 1951.
const JAPAN: Offset = Offset::constant(9);

/// Whose life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Installed by a person: 3 years.
    Device,
    /// 2 years: phones refuse a server certificate of more than 825 days. Becomes ≤ 90 days with
    /// unattended renewal (issue 5).
    Gateway,
    IssuingCa,
    Root,
    /// Made anew by the authority itself every week, so that no season matters to it: 14 days.
    OcspDelegate,
}

impl Life {
    /// Every life that a person may have to mend when it ends.
    pub const SEASONAL: [Life; 4] = [Life::Device, Life::Gateway, Life::IssuingCa, Life::Root];

    /// Whether the forbidden seasons bind it. What the authority renews by itself within days cannot
    /// outlive a season of three months, and nobody notices its end.
    pub fn seasonal(self) -> bool {
        Self::SEASONAL.contains(&self)
    }

    fn span(self) -> Span {
        match self {
            Life::Device => 3.years(),
            Life::Gateway => 2.years(),
            Life::IssuingCa => 5.years(),
            Life::Root => 20.years(),
            Life::OcspDelegate => 14.days(),
        }
    }

    /// The longest this life can be, in days; the lint's own measure.
    pub fn longest_days(self) -> i64 {
        match self {
            Life::Device => 3 * 365 + 1,
            Life::Gateway => 2 * 365 + 1,
            Life::IssuingCa => 5 * 365 + 2,
            Life::Root => 20 * 365 + 5,
            Life::OcspDelegate => 14,
        }
    }
}

/// How long after its end a certificate may still be followed by the same key in the same slot: a device that lay in a
/// drawer over the summer comes back by itself.
pub const GRACE_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Whether a certificate may be followed now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewable {
    /// It is good for a while yet.
    Early,
    Now,
    /// It ended too long ago.
    Over,
}

/// From two thirds of the life on (issue 5), until the grace ends.
pub fn renewable(not_before: i64, not_after: i64, now: i64) -> Renewable {
    let life = not_after.saturating_sub(not_before).max(0);
    if now < not_after.saturating_sub(life / 3) {
        Renewable::Early
    } else if now < not_after.saturating_add(GRACE_SECONDS) {
        Renewable::Now
    } else {
        Renewable::Over
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LifetimeError {
    #[error("{0} is no time the calendar knows; check the machine's clock")]
    Clock(i64),
    #[error("the issuing CA ends too soon to certify anything; renew the CA")]
    CaEnds,
}

/// When a life that begins at `start` (Unix seconds) ends; never after `latest`, the issuer's end.
pub fn end(start: i64, life: Life, latest: Option<i64>) -> Result<i64, LifetimeError> {
    let clock = || LifetimeError::Clock(start);
    let begin = Timestamp::from_second(start).map_err(|_| clock())?.to_zoned(TimeZone::fixed(JAPAN));
    let nominal = begin.checked_add(life.span()).map_err(|_| clock())?.timestamp().as_second();
    let nominal = latest.map_or(nominal, |latest| nominal.min(latest));
    if !life.seasonal() {
        return if nominal - start < SHORTEST_SECONDS { Err(LifetimeError::CaEnds) } else { Ok(nominal) };
    }
    let mut day = day_in_japan(nominal).ok_or_else(clock)?;
    if noon(day).ok_or_else(clock)? > nominal {
        day = day.yesterday().map_err(|_| clock())?;
    }
    if let Some(first) = season(day) {
        day = first.yesterday().map_err(|_| clock())?;
    }
    let end = noon(day).ok_or_else(clock)?;
    if end - start < SHORTEST_SECONDS { Err(LifetimeError::CaEnds) } else { Ok(end) }
}

/// True if something that ends at this moment ends when nothing may.
pub fn forbidden(end: i64) -> bool {
    day_in_japan(end).is_none_or(|day| season(day).is_some())
}

/// The year in Japan, for names of CAs.
pub fn year(now: i64) -> Option<i16> {
    day_in_japan(now).map(Date::year)
}

/// `2026-11-20T13:00:00Z`; for the ledger and the transcript.
pub fn utc(now: i64) -> String {
    Timestamp::from_second(now).map_or_else(|_| format!("@{now}"), |at| at.to_string())
}

/// The other way round.
pub fn seconds(utc: &str) -> Option<i64> {
    utc.parse::<Timestamp>().ok().map(Timestamp::as_second)
}

/// `20261120130000Z`, as OCSP writes times; years 1000 to 9999 only.
pub fn generalized(at: i64) -> Option<String> {
    let at = Timestamp::from_second(at).ok()?.to_zoned(TimeZone::UTC).datetime();
    let (date, time) = (at.date(), at.time());
    (1000..=9999).contains(&date.year()).then(|| {
        format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            date.year(),
            date.month(),
            date.day(),
            time.hour(),
            time.minute(),
            time.second()
        )
    })
}

fn day_in_japan(at: i64) -> Option<Date> {
    Some(Timestamp::from_second(at).ok()?.to_zoned(TimeZone::fixed(JAPAN)).date())
}

fn noon(day: Date) -> Option<i64> {
    Some(JAPAN.to_timestamp(day.at(12, 0, 0, 0)).ok()?.as_second())
}

/// The first day of the forbidden season in which this day lies.
fn season(day: Date) -> Option<Date> {
    match (day.month(), day.day()) {
        (3..=5, _) => Some(date(day.year(), 3, 1)),
        (8, 10..=20) => Some(date(day.year(), 8, 10)),
        (12, 20..) => Some(date(day.year(), 12, 20)),
        (1, ..=10) => Some(date(day.year() - 1, 12, 20)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_second()
    }

    #[test]
    fn nothing_ends_in_a_forbidden_season_for_ten_years_of_starts() {
        let first = at("2026-01-01T00:00:00Z");
        for day in 0..3653 {
            // Odd hours too, so that a day in Japan is not the day in Greenwich.
            let start = first + day * 86_400 + (day % 24) * 3_600;
            for life in Life::SEASONAL {
                let end = end(start, life, None).unwrap();
                assert!(!forbidden(end), "{} {life:?} ends {}", utc(start), utc(end));
                let days = (end - start) / 86_400;
                assert!(days <= life.longest_days(), "{} {life:?}: {days} days", utc(start));
                assert!(days >= life.longest_days() - 95, "{} {life:?}: {days} days", utc(start));
            }
        }
    }

    #[test]
    fn ends_move_to_the_day_before_the_season() {
        for (start, ends) in [
            ("2026-11-20T00:00:00Z", "2029-11-19T03:00:00Z"), // noon in Japan of the day before: never longer
            ("2026-11-20T04:00:00Z", "2029-11-20T03:00:00Z"),
            ("2026-03-01T04:00:00Z", "2029-02-28T03:00:00Z"),
            ("2025-05-31T04:00:00Z", "2028-02-29T03:00:00Z"), // a leap year
            ("2026-08-10T04:00:00Z", "2029-08-09T03:00:00Z"),
            ("2026-08-21T04:00:00Z", "2029-08-21T03:00:00Z"),
            ("2026-12-31T04:00:00Z", "2029-12-19T03:00:00Z"),
            ("2027-01-10T04:00:00Z", "2029-12-19T03:00:00Z"),
            ("2027-01-11T04:00:00Z", "2030-01-11T03:00:00Z"),
        ] {
            assert_eq!(utc(end(at(start), Life::Device, None).unwrap()), ends, "{start}");
        }
    }

    #[test]
    fn no_life_outlives_its_issuer_and_a_dying_issuer_gives_none() {
        let start = at("2026-11-20T00:00:00Z");
        let latest = at("2027-04-20T00:00:00Z");
        assert_eq!(utc(end(start, Life::Device, Some(latest)).unwrap()), "2027-02-28T03:00:00Z");
        let ended = Some(start + 3_600);
        assert_eq!(end(start, Life::Device, ended), Err(LifetimeError::CaEnds));
        assert!(end(i64::MAX, Life::Device, None).is_err());
    }
}
