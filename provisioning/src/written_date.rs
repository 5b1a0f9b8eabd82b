//! A date as it is written on Japanese papers and in Excel: `令和6年2月15日`, `R6.2.15`, `2024/2/15`, `20240215`,
//! or the number of days that Excel keeps. What could be two dates is none. Pure.

use jiff::civil::Date;
use jiff::{Span, ToSpan};
use unicode_normalization::UnicodeNormalization;

/// First year of an era minus one, its first day, and how people write it.
const ERAS: [(i16, Date, [&str; 3]); 4] = [
    (2018, jiff::civil::date(2019, 5, 1), ["令和", "令", "r"]),
    (1988, jiff::civil::date(1989, 1, 8), ["平成", "平", "h"]),
    (1925, jiff::civil::date(1926, 12, 25), ["昭和", "昭", "s"]),
    (1911, jiff::civil::date(1912, 7, 30), ["大正", "大", "t"]),
];

/// Excel's days of this century: smaller numbers are counts of something, larger ones codes.
const SERIALS: std::ops::RangeInclusive<i64> = 36_526..=73_050;

/// The day that a text means, if it means one.
pub fn parse(text: &str) -> Option<Date> {
    // NFKC also opens ㋿, the one character for 令和.
    let plain: String = text.nfkc().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect();
    if plain.len() == 5 && plain.bytes().all(|b| b.is_ascii_digit()) {
        return serial(plain.parse().ok()?);
    }
    if plain.len() == 8 && plain.bytes().all(|b| b.is_ascii_digit()) {
        return day(plain[..4].parse().ok()?, &plain[4..6], &plain[6..]);
    }
    let era = ERAS.iter().find_map(|(before, first, words)| {
        let rest = words.iter().find_map(|word| plain.strip_prefix(word))?;
        Some((*before, *first, rest))
    });
    match era {
        Some((before, first, rest)) => {
            let (year, month, date) = parts(rest)?;
            let year: i16 =
                if year == "元" { 1 } else { year.parse().ok().filter(|year| (1..100).contains(year))? };
            // 平成32年 was printed on many papers: it means a year, whatever the era was called by then.
            day(before + year, month, date).filter(|day| *day >= first)
        }
        None => {
            let (year, month, date) = parts(&plain)?;
            if year.len() == 4 { day(year.parse().ok()?, month, date) } else { None }
        }
    }
}

/// Is it a date with slashes, as Excel makes one of an address?
pub fn looks_made(text: &str) -> bool {
    text.contains('/') && parse(text).is_some()
}

/// Year, month and day, with one kind of mark between them.
fn parts(text: &str) -> Option<(&str, &str, &str)> {
    if let Some((year, rest)) = text.split_once('年') {
        let (month, rest) = rest.split_once('月')?;
        return Some((year, month, rest.strip_suffix('日').unwrap_or(rest)));
    }
    let mark = ['/', '-', '.'].into_iter().find(|mark| text.contains(*mark))?;
    let mut parts = text.split(mark);
    let found = (parts.next()?, parts.next()?, parts.next()?);
    parts.next().is_none().then_some(found)
}

fn day(year: i16, month: &str, date: &str) -> Option<Date> {
    Date::new(year, month.parse().ok()?, date.parse().ok()?).ok()
}

/// Excel counts from 1899-12-30, once its day that never was (1900-02-29) is past.
fn serial(days: i64) -> Option<Date> {
    let days: Span = SERIALS.contains(&days).then(|| days.days())?;
    jiff::civil::date(1899, 12, 30).checked_add(days).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_day_is_that_day() {
        for text in [
            "2024-02-15",
            "2024/2/15",
            "2024.2.15",
            "2024年2月15日",
            "20240215",
            "令和6年2月15日",
            "令和６年２月１５日",
            "R6.2.15",
            "r6/2/15",
            "Ｒ６．２．１５",
            "令6.2.15",
            "㋿6年2月15日",
            "R06.02.15",
            "45337",
            "４５３３７",
            " 2024 / 2 / 15 ",
            "平成36年2月15日",
        ] {
            assert_eq!(parse(text).map(|day| day.to_string()).as_deref(), Some("2024-02-15"), "{text}");
        }
        for (text, day) in [
            ("令和元年5月1日", "2019-05-01"),
            ("平成31年4月30日", "2019-04-30"),
            ("H1.1.8", "1989-01-08"),
            ("S64.1.7", "1989-01-07"),
            ("大正15年12月24日", "1926-12-24"),
        ] {
            assert_eq!(parse(text).map(|day| day.to_string()).as_deref(), Some(day), "{text}");
        }
    }

    #[test]
    fn what_is_no_day_or_could_be_two_is_none() {
        for text in [
            "",
            "昨日",
            "2/15",
            "6.2.15",
            "15/2/2024",
            "2024/13/1",
            "2024-02-30",
            "令和6年",
            "令和元年4月30日",
            "H元.1.7",
            "2",
            "1810112340",
            "99999",
            "2024/2/15/1",
            "2024-2/15",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert!(looks_made("2009/1/12") && !looks_made("9-1-12") && !looks_made("大手9/1"));
    }
}
