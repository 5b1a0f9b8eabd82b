//! The slot (VPN番号): a numbered place for one device, `18-0042`.
//! Owns the names `Series`, `SlotNumber` and `SeatClass`; pure values that live as long as their holder.
//! Requirements I-01, I-05; ruling 2.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Numbers per series: 0000–9999 (I-01).
pub const SLOTS_PER_SERIES: u16 = 10_000;

/// Longest name of a series: two digits of the prefecture and a letter or two.
const SERIES_NAME_MAX: usize = 4;

/// A run of ten thousand numbers with an address block of its own:
/// `18` facilities, `18F` families, `18D` disaster cards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Series {
    name: [u8; SERIES_NAME_MAX],
    len: u8,
}

impl Series {
    pub fn parse(text: &str) -> Result<Self, SlotError> {
        let bytes = text.as_bytes();
        let digits = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
        let letters = bytes.len() - digits;
        let well_formed = digits == 2
            && letters <= SERIES_NAME_MAX - 2
            && bytes[digits..].iter().all(u8::is_ascii_uppercase);
        if !well_formed {
            return Err(SlotError::Series(text.chars().take(16).collect()));
        }
        let mut name = [0; SERIES_NAME_MAX];
        name[..bytes.len()].copy_from_slice(bytes);
        Ok(Self { name, len: bytes.len() as u8 })
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.name[..usize::from(self.len)]).unwrap_or("")
    }
}

/// A slot's whole number, series and four digits: `18-0042`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SlotNumber {
    series: Series,
    number: u16,
}

impl SlotNumber {
    pub fn new(series: Series, number: u16) -> Result<Self, SlotError> {
        if number >= SLOTS_PER_SERIES {
            return Err(SlotError::Number(number.to_string()));
        }
        Ok(Self { series, number })
    }

    pub fn series(self) -> Series {
        self.series
    }

    /// 0–9999 within the series.
    pub fn number(self) -> u16 {
        self.number
    }
}

impl JsonSchema for Series {
    fn schema_name() -> Cow<'static, str> {
        "Series".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{2}[A-Z]{0,2}$", "examples": ["18"] })
    }
}

impl JsonSchema for SlotNumber {
    fn schema_name() -> Cow<'static, str> {
        "SlotNumber".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "VPN番号",
            "type": "string",
            "pattern": "^[0-9]{2}[A-Z]{0,2}-[0-9]{4}$",
            "examples": ["18-0042"]
        })
    }
}

/// What a seat in this slot may reach. The class is also visible in the address
/// (ruling 3), so that a seat of one class can never be taken for the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeatClass {
    /// Bootstrap profile: claim and start pages, nothing else.
    Enrolling,
    /// The whole service without meeting media.
    Active,
    /// The whole service with meeting media (VPN申請数, P-01).
    ActiveMeetings,
    /// After the end of use: only the page that confirms it (D-01).
    Leaving,
}

impl SeatClass {
    pub const ALL: [SeatClass; 4] =
        [SeatClass::Enrolling, SeatClass::Active, SeatClass::ActiveMeetings, SeatClass::Leaving];

    /// Enrolling and leaving seats sit in the second address range.
    pub fn is_enrolling(self) -> bool {
        matches!(self, SeatClass::Enrolling)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            SeatClass::Enrolling => "enrolling",
            SeatClass::Active => "active",
            SeatClass::ActiveMeetings => "active-meetings",
            SeatClass::Leaving => "leaving",
        }
    }
}

impl FromStr for SeatClass {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        SeatClass::ALL
            .into_iter()
            .find(|class| class.as_str() == text)
            .ok_or_else(|| SlotError::Class(text.chars().take(24).collect()))
    }
}

impl fmt::Display for SeatClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whose text was not a slot, and which text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SlotError {
    #[error("`{0}` is not a series (two digits and at most two capitals, such as 18 or 18F)")]
    Series(String),
    #[error("`{0}` is not a number from 0000 to 9999")]
    Number(String),
    #[error("`{0}` is not a slot (VPN番号) such as 18-0042")]
    Slot(String),
    #[error("`{0}` is not a class of seat (enrolling, active, active-meetings, leaving)")]
    Class(String),
}

impl FromStr for SlotNumber {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        let shown = || SlotError::Slot(text.chars().take(24).collect());
        let (series, number) = text.split_once('-').ok_or_else(shown)?;
        if number.len() != 4 || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(shown());
        }
        Self::new(Series::parse(series)?, number.parse().map_err(|_| shown())?)
    }
}

impl fmt::Display for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:04}", self.series.as_str(), self.number)
    }
}

impl fmt::Debug for SlotNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Series {
    type Err = SlotError;
    fn from_str(text: &str) -> Result<Self, SlotError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Series {
    type Error = SlotError;
    fn try_from(text: String) -> Result<Self, SlotError> {
        Self::parse(&text)
    }
}

impl From<Series> for String {
    fn from(series: Series) -> String {
        series.as_str().to_owned()
    }
}

impl TryFrom<String> for SlotNumber {
    type Error = SlotError;
    fn try_from(text: String) -> Result<Self, SlotError> {
        text.parse()
    }
}

impl From<SlotNumber> for String {
    fn from(slot: SlotNumber) -> String {
        slot.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_read_and_print_as_engineers_say_them() {
        for text in ["18-0000", "18-0042", "18F-9999", "18D-0001"] {
            assert_eq!(text.parse::<SlotNumber>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_not_a_slot_is_refused_by_name() {
        for text in [
            "",
            "18",
            "18-42",
            "18-00042",
            "18-004x",
            "1-0001",
            "18f-0001",
            "18FAM-0001",
            "18-０００１",
            "-0001",
        ] {
            assert!(text.parse::<SlotNumber>().is_err(), "{text}");
        }
    }
}
