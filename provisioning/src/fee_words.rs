//! Money, months and years of invoices as people read them. Pure.

use crate::fee_bill::Line;
use crate::fees::{FiscalYear, Month};

/// `12,000`.
pub fn yen(amount: &u64) -> String {
    let digits = amount.to_string();
    let mut shown = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

pub fn monthly(line: &Line) -> String {
    yen(&u64::from(line.yen_a_month))
}

/// What a line is for, in the words of the printed table.
pub fn what(line: &Line) -> String {
    let service = match (line.medical_net, line.rule.as_str()) {
        (_, "F-08") => "SNS利用料（ふくいメディカルネット参加のため費用なし）",
        (true, _) => "利用料（ふくいメディカルネット・みまもりSNS）",
        (false, _) => "SNS利用料",
    };
    let free = if line.rule.starts_with("F-07") { "（募集期間の無料分）" } else { "" };
    format!("{service}{free}")
}

pub fn span(line: &Line) -> String {
    let Line { from, until, months, .. } = line;
    if from == until {
        from.ja()
    } else {
        format!("{}から{}まで（{months}か月）", Month::ja(*from), until.ja())
    }
}

pub fn year(fiscal_year: &i16) -> String {
    FiscalYear(*fiscal_year).ja()
}

/// `2026年4月1日`.
pub fn day(iso: &str) -> String {
    let parts: Vec<&str> = iso.split('-').map(|part| part.trim_start_matches('0')).collect();
    match parts.as_slice() {
        [year, month, day] => format!("{year}年{month}月{day}日"),
        _ => iso.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yen_are_grouped() {
        for (amount, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(yen(&amount), shown);
        }
    }
}
