//! One cell of 様式1: first what Excel did to it, then what it means. Every refusal is a `Message` that says
//! how to mend the cell. Pure.

use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;

use crate::facility::{self, CODE_LENGTH, FacilityCode};
use crate::form1_column::Column;
use crate::messages::{Message, shown};
use crate::sheet_file::Habit;
use crate::written_date;

/// What one form may ask for; more is a conversation, not a form.
pub const VPN_MAX: u32 = 10;
/// Telephone numbers without their 0.
const TELEPHONE_EATEN: std::ops::RangeInclusive<usize> = 9..=10;

/// Is the cell what somebody wrote? Says so when it is not, whatever column it is of.
pub fn look(column: Column, text: &str, habit: Option<&Habit>) -> Result<(), Message> {
    let given = || shown(text);
    match habit {
        Some(Habit::Merged(range)) => return Err(Message::CellMerged { range: range.clone() }),
        Some(Habit::Error) => return Err(Message::CellError { given: given() }),
        Some(Habit::Uncomputed) => return Err(Message::CellFormula { given: "=…".to_owned() }),
        Some(Habit::Date) if column != Column::ReceivedOn => {
            return Err(Message::CellDate { given: given() });
        }
        Some(Habit::Date | Habit::Number | Habit::Computed) | None => {}
    }
    if text.starts_with('=') {
        return Err(Message::CellFormula { given: given() });
    }
    if ["#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#SPILL!"].contains(&text)
        || (text.len() > 1 && text.bytes().all(|b| b == b'#'))
    {
        return Err(Message::CellError { given: given() });
    }
    if text.chars().any(is_private) {
        return Err(Message::CellGaiji { given: given() });
    }
    let is_number = matches!(column, Column::Code | Column::Telephone | Column::VpnRequested);
    if is_number && is_exponent(text) {
        return Err(Message::CellExponent { given: given() });
    }
    if column == Column::PostalAddress && written_date::looks_made(text) {
        return Err(Message::CellDate { given: given() });
    }
    Ok(())
}

pub fn code(text: &str) -> Result<FacilityCode, Message> {
    FacilityCode::parse(text).map_err(|refused| {
        let plain: String = text.nfkc().filter(char::is_ascii_digit).collect();
        match refused {
            Message::CodeLength { given, .. } if plain.len() == CODE_LENGTH - 1 && all_digits(text) => {
                Message::CodeZeroLost { given, meant: format!("0{plain}") }
            }
            refused => refused,
        }
    })
}

pub fn telephone(text: &str) -> Result<String, Message> {
    facility::telephone(text).map_err(|refused| {
        let plain: String = text.nfkc().filter(|c| !c.is_whitespace()).collect();
        let digits = plain.bytes().filter(u8::is_ascii_digit).count();
        let eaten = !plain.starts_with('0')
            && TELEPHONE_EATEN.contains(&digits)
            && plain.bytes().all(|b| b.is_ascii_digit() || b == b'-');
        if eaten {
            Message::TelephoneZeroLost { given: shown(text), meant: shown(&format!("0{plain}")) }
        } else {
            refused
        }
    })
}

/// An address is often written on two lines of one cell.
pub fn postal_address(text: &str) -> Result<String, Message> {
    let parts: Vec<&str> = text.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect();
    facility::line(&parts.join(" "))
}

/// `2`, `２`, `2台`, `2.0`.
pub fn count(text: &str) -> Result<u32, Message> {
    let plain: String = text.nfkc().collect();
    let plain = plain.trim().trim_end_matches(['台', '個', '本']);
    let plain = plain.strip_suffix(".0").unwrap_or(plain).trim();
    let count: u32 = plain.parse().map_err(|_| Message::CountForm { given: shown(text) })?;
    if count > VPN_MAX { Err(Message::CountTooMany { given: count, limit: VPN_MAX }) } else { Ok(count) }
}

pub fn yes_no(text: &str) -> Result<bool, Message> {
    match facility::fold_word(text).as_str() {
        "参加" | "参加済" | "参加済み" | "参加している" | "有" | "あり" | "はい" | "○" | "〇" | "◯" | "●"
        | "1" | "true" | "yes" => Ok(true),
        "不参加"
        | "未参加"
        | "参加していない"
        | "無"
        | "なし"
        | "いいえ"
        | "×"
        | "✕"
        | "0"
        | "false"
        | "no" => Ok(false),
        _ => Err(Message::YesNoForm { given: shown(text) }),
    }
}

pub fn date(text: &str) -> Result<Option<Date>, Message> {
    written_date::parse(text).map(Some).ok_or_else(|| Message::DateForm { given: shown(text) })
}

fn all_digits(text: &str) -> bool {
    text.nfkc().filter(|c| !c.is_whitespace()).all(|c| c.is_ascii_digit())
}

/// `1.81E+09`, in any width.
fn is_exponent(text: &str) -> bool {
    let plain: String = text.nfkc().flat_map(char::to_lowercase).collect();
    let Some((mantissa, exponent)) = plain.trim().split_once('e') else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    mantissa.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && mantissa.starts_with(|c: char| c.is_ascii_digit())
        && exponent.strip_prefix('+').is_some_and(digits)
}

/// Characters that mean something on one computer only, and the mark of a character that was lost.
fn is_private(c: char) -> bool {
    matches!(c, '\u{e000}'..='\u{f8ff}' | '\u{f0000}'..='\u{10ffff}' | '\u{fffd}')
}

/// A reading has no kanji: by it a name is found that nobody knows how to read.
pub fn kana(text: &str) -> Result<String, Message> {
    let line = facility::line(text)?;
    let is_kanji =
        |c: char| matches!(c, '々' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..);
    if line.chars().any(is_kanji) { Err(Message::KanaForm { given: shown(text) }) } else { Ok(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Excel's habits do to each column, and what is said about it.
    #[test]
    fn each_habit_is_named() {
        let merged = Habit::Merged("A3:A4".to_owned());
        for (column, text, habit, code) in [
            (Column::Name, "", Some(&merged), "MM-5206"),
            (Column::Name, "", Some(&Habit::Uncomputed), "MM-5204"),
            (Column::Name, "=B2", None, "MM-5204"),
            (Column::Name, "#N/A", Some(&Habit::Error), "MM-5205"),
            (Column::Name, "#REF!", None, "MM-5205"),
            (Column::Telephone, "########", None, "MM-5205"),
            (Column::PostalAddress, "2009-01-12", Some(&Habit::Date), "MM-5207"),
            (Column::PostalAddress, "2009/1/12", None, "MM-5207"),
            (Column::Name, "福井\u{e123}医院", None, "MM-5208"),
            (Column::AdminName, "\u{fffd}井", None, "MM-5208"),
            (Column::Code, "1.81E+09", None, "MM-5210"),
            (Column::Code, "１．８１Ｅ＋０９", None, "MM-5210"),
            (Column::Telephone, "7.76E+08", None, "MM-5210"),
        ] {
            assert_eq!(look(column, text, habit).unwrap_err().code(), code, "{text}");
        }
        for (column, text, habit) in [
            (Column::Name, "E+クリニック", None),
            (Column::Name, "1e+2", None),
            (Column::Code, "1810112340", Some(&Habit::Number)),
            (Column::Name, "さくら", Some(&Habit::Computed)),
            (Column::ReceivedOn, "2024-02-15", Some(&Habit::Date)),
            (Column::PostalAddress, "福井市大手9-1-12", None),
            (Column::Name, "#1薬局", None),
        ] {
            assert_eq!(look(column, text, habit), Ok(()), "{text}");
        }
    }

    #[test]
    fn zeros_that_excel_ate_are_named_with_what_was_meant() {
        for (given, meant) in [("110112340", "0110112340"), ("１１０１１２３４０", "0110112340")] {
            let Message::CodeZeroLost { meant: said, .. } = code(given).unwrap_err() else {
                panic!("{given}")
            };
            assert_eq!(said, meant);
        }
        assert_eq!(code("11011234X").unwrap_err().code(), "MM-5211");
        for (given, meant) in
            [("776001234", "0776001234"), ("776-00-1234", "0776-00-1234"), ("9012345678", "09012345678")]
        {
            let Message::TelephoneZeroLost { meant: said, .. } = telephone(given).unwrap_err() else {
                panic!("{given}")
            };
            assert_eq!(said, meant);
        }
        assert_eq!(telephone("1234").unwrap_err().code(), "MM-5241");
        assert_eq!(telephone("0776001234").unwrap(), "0776001234");
    }

    #[test]
    fn an_address_on_two_lines_is_one_line() {
        assert_eq!(
            postal_address("〒910-0001\r\n福井市大願寺3-4-10\n").unwrap(),
            "〒910-0001 福井市大願寺3-4-10"
        );
        assert_eq!(postal_address("福井市\t大手").unwrap_err().code(), "MM-5203");
    }
}
