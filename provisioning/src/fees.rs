//! What a facility pays, as dated data: months, groups of kinds, prices, tax, campaign, and the switches for what
//! the printed rules leave open (F-01 … F-10). Ends as values. Pure; bills are stored and asked for, hence border.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::civil::Date;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A fiscal year begins in April.
const FIRST_MONTH: i8 = 4;
/// Years that a table can mean; anything else is a slip of the keys.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=2200;

/// A calendar month, written `2026-04`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Month {
    year: i16,
    month: i8,
}

impl Month {
    pub fn new(year: i16, month: i8) -> Option<Self> {
        (YEARS.contains(&year) && (1..=12).contains(&month)).then_some(Self { year, month })
    }

    pub fn of(day: Date) -> Self {
        Self { year: day.year(), month: day.month() }
    }

    pub fn next(self) -> Self {
        if self.month == 12 {
            Self { year: self.year + 1, month: 1 }
        } else {
            Self { month: self.month + 1, ..self }
        }
    }

    /// `2026年4月`.
    pub fn ja(self) -> String {
        format!("{}年{}月", self.year, self.month)
    }

    pub fn fiscal_year(self) -> FiscalYear {
        FiscalYear(if self.month < FIRST_MONTH { self.year - 1 } else { self.year })
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}", self.year, self.month)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a month such as 2026-04")]
pub struct NotAMonth(String);

impl FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Self, NotAMonth> {
        let wrong = || NotAMonth(text.chars().take(20).collect());
        let (year, month) = text.split_once('-').ok_or_else(wrong)?;
        let whole = year.len() == 4 && month.len() == 2;
        let found =
            year.parse().ok().zip(month.parse().ok()).and_then(|(year, month)| Month::new(year, month));
        found.filter(|_| whole).ok_or_else(wrong)
    }
}

impl JsonSchema for Month {
    fn schema_name() -> Cow<'static, str> {
        "Month".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$", "examples": ["2026-04"] })
    }
}

impl TryFrom<String> for Month {
    type Error = NotAMonth;

    fn try_from(text: String) -> Result<Self, NotAMonth> {
        text.parse()
    }
}

impl From<Month> for String {
    fn from(month: Month) -> String {
        month.to_string()
    }
}

/// 年度: April to March.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FiscalYear(pub i16);

impl FiscalYear {
    pub fn first(self) -> Month {
        Month { year: self.0, month: FIRST_MONTH }
    }

    pub fn months(self) -> [Month; 12] {
        let mut month = self.first();
        std::array::from_fn(|_| {
            let this = month;
            month = month.next();
            this
        })
    }

    /// A year that a table can mean.
    pub fn is_sensible(self) -> bool {
        YEARS.contains(&self.0)
    }

    /// `令和8年度`; earlier years in figures.
    pub fn ja(self) -> String {
        match self.0 - 2018 {
            1 => "令和元年度".to_owned(),
            year if year > 1 => format!("令和{year}年度"),
            _ => format!("{}年度", self.0),
        }
    }
}

/// The rows of the price table: which kinds pay alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FeeGroup {
    /// 医科・歯科・保険薬局.
    Institution,
    /// 訪問看護ステーション・居宅介護支援事業所等.
    Service,
    /// 患者・家族、ヘルパー、民生委員.
    Free,
}

impl FeeGroup {
    pub fn as_str(self) -> &'static str {
        match self {
            FeeGroup::Institution => "institution",
            FeeGroup::Service => "service",
            FeeGroup::Free => "free",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        [FeeGroup::Institution, FeeGroup::Service, FeeGroup::Free]
            .into_iter()
            .find(|group| group.as_str() == text)
    }
}

/// A price from a month on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub from: Month,
    pub group: FeeGroup,
    pub medical_net: bool,
    pub sns: bool,
    pub yen: u32,
    pub rule: String,
}

/// F-07: who applied by a day pays nothing for the SNS in these months.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Campaign {
    pub name: String,
    pub received_by: Date,
    pub free_from: Month,
    pub free_until: Month,
}

/// Everything that the price of a month depends on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tariff {
    pub prices: Vec<Price>,
    /// Percent, from a month on.
    pub taxes: Vec<(Month, u32)>,
    pub campaigns: Vec<Campaign>,
    pub rules: Rules,
}

/// Writes an enum of one switch with its words, its default first.
macro_rules! switch {
    ($(#[$doc:meta])* $name:ident { $first:ident = $first_word:literal, $($other:ident = $word:literal),* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $name { #[default] $first, $($other),* }

        impl $name {
            pub const WORDS: &[&str] = &[$first_word, $($word),*];

            pub fn as_str(self) -> &'static str {
                match self { $name::$first => $first_word, $($name::$other => $word),* }
            }

            pub fn parse(text: &str) -> Option<Self> {
                match text { $first_word => Some($name::$first), $($word => Some($name::$other),)* _ => None }
            }
        }
    };
}

switch! {
    /// Which month is the first that costs, when a facility starts in mid-year.
    Start { NextMonth = "next-month", SameMonth = "same-month", WholeYear = "whole-year" }
}
switch! {
    /// What a facility pays that leaves in mid-year.
    Leave { NoRefund = "no-refund", UntilMonth = "until-month" }
}
switch! {
    /// When a change of membership in the medical network changes the price.
    Change { NextFiscalYear = "next-fiscal-year", NextMonth = "next-month" }
}
switch! {
    /// Who bills the medical network's fee: we, as the printed table says, or its own office (F-08).
    MedicalNet { Here = "here", Elsewhere = "elsewhere" }
}
switch! {
    /// What happens to a fraction of a yen of tax, once per rate and invoice.
    Rounding { Down = "down", Nearest = "nearest", Up = "up" }
}
switch! {
    /// F-11: invoices over nothing.
    Zero { Suppress = "suppress", Issue = "issue" }
}

/// F-10: what the printed rules leave open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    pub start: Start,
    pub leave: Leave,
    pub change: Change,
    pub medical_net: MedicalNet,
    pub rounding: Rounding,
    pub zero: Zero,
}

impl Rules {
    /// The switches by their names in the registry, with the words that each may have.
    pub const SWITCHES: [(&'static str, &'static [&'static str]); 6] = [
        ("start", Start::WORDS),
        ("leave", Leave::WORDS),
        ("change", Change::WORDS),
        ("medical-net", MedicalNet::WORDS),
        ("rounding", Rounding::WORDS),
        ("zero", Zero::WORDS),
    ];

    /// Sets one switch; `None` when there is no such name or word.
    pub fn set(&mut self, name: &str, word: &str) -> Option<()> {
        match name {
            "start" => self.start = Start::parse(word)?,
            "leave" => self.leave = Leave::parse(word)?,
            "change" => self.change = Change::parse(word)?,
            "medical-net" => self.medical_net = MedicalNet::parse(word)?,
            "rounding" => self.rounding = Rounding::parse(word)?,
            "zero" => self.zero = Zero::parse(word)?,
            _ => return None,
        }
        Some(())
    }

    pub fn get(&self, name: &str) -> &'static str {
        match name {
            "start" => self.start.as_str(),
            "leave" => self.leave.as_str(),
            "change" => self.change.as_str(),
            "medical-net" => self.medical_net.as_str(),
            "rounding" => self.rounding.as_str(),
            "zero" => self.zero.as_str(),
            _ => "",
        }
    }
}

impl Tariff {
    /// The price in force in a month; `None` when the table has no such row.
    pub fn price(&self, month: Month, group: FeeGroup, medical_net: bool, sns: bool) -> Option<&Price> {
        let fits = |price: &&Price| {
            price.group == group
                && price.medical_net == medical_net
                && price.sns == sns
                && price.from <= month
        };
        self.prices.iter().filter(fits).max_by_key(|price| price.from)
    }

    pub fn tax_percent(&self, month: Month) -> u32 {
        self.taxes
            .iter()
            .filter(|(from, _)| *from <= month)
            .max_by_key(|(from, _)| *from)
            .map_or(0, |(_, rate)| *rate)
    }

    /// Is a month free for who applied on a day?
    pub fn campaign(&self, month: Month, received: Date) -> Option<&Campaign> {
        self.campaigns.iter().find(|campaign| {
            received <= campaign.received_by && (campaign.free_from..=campaign.free_until).contains(&month)
        })
    }
}

/// 適格請求書発行事業者の登録番号: T and a corporate number, whose first digit checks the other twelve.
pub fn is_registration_number(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('T') else { return false };
    if digits.len() != 13 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let sum: u32 = digits[1..]
        .bytes()
        .rev()
        .zip([1, 2].into_iter().cycle())
        .map(|(b, weight)| u32::from(b - b'0') * weight)
        .sum();
    u32::from(digits.as_bytes()[0] - b'0') == 9 - sum % 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fiscal_year_runs_from_april_to_march() {
        let months = FiscalYear(2026).months();
        assert_eq!((months[0].to_string(), months[11].to_string()), ("2026-04".into(), "2027-03".into()));
        assert!(months.iter().all(|month| month.fiscal_year() == FiscalYear(2026)));
        assert_eq!((FiscalYear(2026).ja(), FiscalYear(2019).ja()), ("令和8年度".into(), "令和元年度".into()));
        for wrong in ["2026-13", "2026-4", "26-04", "", "2026-04-01"] {
            assert!(wrong.parse::<Month>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn switches_have_words_and_defaults() {
        let mut rules = Rules::default();
        for (name, words) in Rules::SWITCHES {
            assert_eq!(rules.get(name), words[0], "the first word is the default");
            for word in words {
                rules.set(name, word).unwrap();
                assert_eq!(rules.get(name), *word);
            }
            assert_eq!(rules.set(name, "bored"), None);
        }
        assert_eq!(rules.set("bored", "down"), None);
    }

    #[test]
    fn f_11_a_registration_number_has_a_check_digit() {
        // The National Tax Agency's own number.
        assert!(is_registration_number("T7000012050002"));
        for wrong in ["T7000012050003", "7000012050002", "T700001205000", "T70000120500O2", "t7000012050002"]
        {
            assert!(!is_registration_number(wrong), "{wrong}");
        }
    }
}
