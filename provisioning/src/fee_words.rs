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

/// A line of the price table in words: month, group, networks, yen, rule.
pub fn price(line: &str) -> (String, &'static str, &'static str, String, String) {
    let parts: Vec<&str> = line.split(' ').collect();
    let [from, group, networks, amount, rule] = parts.as_slice() else {
        return (line.to_owned(), "", "", String::new(), String::new());
    };
    let group = match *group {
        "institution" => "医科・歯科・薬局",
        "service" => "訪問看護・居宅介護支援など",
        _ => "患者・家族、ヘルパー、民生委員",
    };
    let networks = match *networks {
        "sns" => "SNSのみ",
        "medical-net" => "メディカルネットのみ",
        _ => "メディカルネットとSNS",
    };
    let from = from.parse::<Month>().map_or_else(|_| (*from).to_owned(), |month| month.ja());
    (
        from,
        group,
        networks,
        amount.parse().map_or_else(|_| (*amount).to_owned(), |n: u64| yen(&n)),
        (*rule).to_owned(),
    )
}

/// A switch's word for a clerk.
pub fn choice(word: &str) -> &str {
    match word {
        "next-month" => "翌月から",
        "same-month" => "その月から",
        "whole-year" => "年度の始めから",
        "no-refund" => "年度末まで（返金しない）",
        "until-month" => "やめた月まで",
        "next-fiscal-year" => "翌年度から",
        "here" => "ここで請求する",
        "elsewhere" => "メディカルネットの事務局が請求する",
        "down" => "切り捨て",
        "nearest" => "四捨五入",
        "up" => "切り上げ",
        "suppress" => "発行しない",
        "issue" => "発行する",
        other => other,
    }
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

    /// F-10: every switch speaks Japanese.
    #[test]
    fn f_10_no_word_of_a_switch_reaches_a_clerk() {
        for word in crate::fees::Rules::SWITCHES.iter().flat_map(|(_, words)| words.iter()) {
            assert!(!choice(word).is_ascii(), "{word}");
        }
        let shown = price("2024-04 institution medical-net+sns 3000 F-03");
        assert_eq!((shown.0.as_str(), shown.3.as_str(), shown.4.as_str()), ("2024年4月", "3,000", "F-03"));
    }

    #[test]
    fn yen_are_grouped() {
        for (amount, shown) in [(0, "0"), (999, "999"), (1_000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(yen(&amount), shown);
        }
    }
}
