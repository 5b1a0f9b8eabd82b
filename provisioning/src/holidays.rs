//! Days on which Japan's offices are closed: Saturdays, Sundays, national holidays by the law as it stands since 2022
//! (with its substitutes and the day between two of them), the turn of the year (29 December to 3 January). Pure.

use jiff::ToSpan;
use jiff::civil::{Date, Weekday, date};

/// Month and day of the holidays that do not move.
const FIXED: [(i8, i8); 10] =
    [(1, 1), (2, 11), (2, 23), (4, 29), (5, 3), (5, 4), (5, 5), (8, 11), (11, 3), (11, 23)];
/// Month and which Monday of it: 成人の日, 海の日, 敬老の日, スポーツの日.
const MONDAYS: [(i8, i8); 4] = [(1, 2), (7, 3), (9, 3), (10, 2)];

/// Is an office of the administration closed (行政機関の休日に関する法律)?
pub fn is_closed(day: Date) -> bool {
    let turn = matches!((day.month(), day.day()), (12, 29..=31) | (1, 1..=3));
    turn || matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) || is_holiday(day)
}

/// The day itself, or the next one on which the offices are open.
pub fn open_from(day: Date) -> Date {
    let mut day = day;
    while is_closed(day) && day < Date::MAX {
        day = day.saturating_add(1.day());
    }
    day
}

fn is_holiday(day: Date) -> bool {
    named(day) || is_substitute(day) || is_between(day)
}

/// A holiday that has a name of its own.
fn named(day: Date) -> bool {
    FIXED.contains(&(day.month(), day.day()))
        || MONDAYS.iter().any(|(month, nth)| {
            day.month() == *month && day.weekday() == Weekday::Monday && (day.day() - 1) / 7 + 1 == *nth
        })
        || day == equinox(day.year(), 3, 20.8431)
        || day == equinox(day.year(), 9, 23.2488)
}

/// 春分 and 秋分 as the observatory announces them, good from 1980 to 2099.
fn equinox(year: i16, month: i8, base: f64) -> Date {
    let since = f64::from(year - 1980);
    let day = (base + 0.242_194 * since - (since / 4.0).floor()).floor();
    // 20 to 23 by the formula.
    date(
        year,
        month,
        if day < 21.0 {
            20
        } else if day < 22.0 {
            21
        } else if day < 23.0 {
            22
        } else {
            23
        },
    )
}

/// 振替休日: the first day after a Sunday's holiday that has no name.
fn is_substitute(day: Date) -> bool {
    if named(day) {
        return false;
    }
    let mut before = day.saturating_sub(1.day());
    while named(before) {
        if before.weekday() == Weekday::Sunday {
            return true;
        }
        before = before.saturating_sub(1.day());
    }
    false
}

/// 国民の休日: the day between two holidays.
fn is_between(day: Date) -> bool {
    named(day.saturating_sub(1.day())) && named(day.saturating_add(1.day()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calendar of 2026 and 2027 as the Cabinet Office publishes it.
    #[test]
    fn the_years_holidays_are_the_published_ones() {
        let published = [
            "2026-01-01",
            "2026-01-12",
            "2026-02-11",
            "2026-02-23",
            "2026-03-20",
            "2026-04-29",
            "2026-05-03",
            "2026-05-04",
            "2026-05-05",
            "2026-05-06",
            "2026-07-20",
            "2026-08-11",
            "2026-09-21",
            "2026-09-22",
            "2026-09-23",
            "2026-10-12",
            "2026-11-03",
            "2026-11-23",
            "2027-01-01",
            "2027-01-11",
            "2027-02-11",
            "2027-02-23",
            "2027-03-21",
            "2027-03-22",
            "2027-04-29",
            "2027-05-03",
            "2027-05-04",
            "2027-05-05",
            "2027-07-19",
            "2027-08-11",
            "2027-09-20",
            "2027-09-23",
            "2027-10-11",
            "2027-11-03",
            "2027-11-23",
        ];
        let mut found = vec![];
        let mut day = date(2026, 1, 1);
        while day <= date(2027, 12, 31) {
            if is_holiday(day) {
                found.push(day.to_string());
            }
            day = day.saturating_add(1.day());
        }
        assert_eq!(found, published);
    }

    #[test]
    fn weekends_and_the_turn_of_the_year_are_closed() {
        assert_eq!(open_from(date(2026, 12, 29)), date(2027, 1, 4));
        assert_eq!(open_from(date(2026, 9, 19)), date(2026, 9, 24));
        assert_eq!(open_from(date(2026, 11, 20)), date(2026, 11, 20));
        assert_eq!(open_from(date(2026, 5, 2)), date(2026, 5, 7));
    }
}
