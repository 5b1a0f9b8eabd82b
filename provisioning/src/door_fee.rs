//! What may be asked about fees, and the answers: part of the operator's door. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fee_bill::Bill;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeeQuestion {
    /// What a facility would pay: one of the registry, or one that has not applied yet.
    Quote {
        whom: Whom,
        fiscal_year: i16,
    },
    /// The yearly run: an invoice for every facility that lacks one.
    Run {
        fiscal_year: i16,
        dry_run: bool,
    },
    /// Invoices of a year, by facility code.
    List {
        fiscal_year: i16,
        unpaid_only: bool,
    },
    /// The same as a table for Excel and the bank's clerk.
    Csv {
        fiscal_year: i16,
        unpaid_only: bool,
    },
    /// Invoices as pages for the printer, at most `limit` after one.
    Pages {
        fiscal_year: i16,
        after: String,
        limit: u32,
    },
    Paid {
        invoice: String,
        on: String,
        dry_run: bool,
    },
    /// The account from which a facility pays (口座振替).
    Account {
        facility: FacilityId,
        bank: String,
        branch: String,
        kind: String,
        number: String,
        holder: String,
        dry_run: bool,
    },
    /// The file that asks the bank for what is unpaid.
    Debit {
        fiscal_year: i16,
        on: String,
        dry_run: bool,
    },
    /// What the bank did with it.
    Settle {
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
        on: String,
        dry_run: bool,
    },
    /// Switches, issuer, prices, tax and campaigns in force.
    Settings,
    Set {
        name: String,
        value: String,
        dry_run: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Whom {
    Facility(FacilityId),
    Anybody { kind: String, medical_net: bool, sns: bool, received_on: String, started_on: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FeeAnswer {
    Quote(Quote),
    Run(FeeRun),
    Invoices(Vec<Invoice>),
    Settings(FeeSettings),
    File {
        name: String,
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
    },
    Pages {
        html: String,
        last: Option<String>,
        count: u32,
    },
    Account(AccountRow),
    Debit(DebitFile),
    Settled(DebitReport),
}

/// An account as the bank has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountRow {
    pub facility: String,
    pub bank: String,
    pub branch: String,
    /// 普通, 当座.
    pub kind: String,
    pub number: String,
    /// In the bank's letters.
    pub holder: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebitFile {
    pub name: String,
    pub on: String,
    pub count: u32,
    pub total: u64,
    /// Unpaid, and to be paid in another way.
    pub without_account: u32,
    #[serde(with = "crate::octets")]
    #[schemars(with = "String", extend("contentEncoding" = "base64"))]
    pub bytes: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DebitReport {
    pub on: String,
    pub dry_run: bool,
    pub paid: u32,
    pub total: u64,
    /// Noted by an earlier file.
    pub known: u32,
    pub unsettled: Vec<Unsettled>,
}

/// What the bank could not collect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unsettled {
    pub invoice: String,
    pub name: String,
    pub total: u64,
    pub reason_ja: String,
    #[serde(default)]
    pub reason_en: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Quote {
    pub fiscal_year: i16,
    pub who: String,
    pub bill: Bill,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeeRun {
    pub fiscal_year: i16,
    pub dry_run: bool,
    pub facilities: u32,
    /// New ones.
    pub invoices: u32,
    /// They have one of this year already.
    pub known: u32,
    /// F-11: over nothing, so not issued.
    pub zero: u32,
    /// 本登録 has not happened, or everything ended before the year.
    pub not_due: u32,
    pub net: u64,
    pub tax: u64,
    pub total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Invoice {
    pub invoice: String,
    pub fiscal_year: i16,
    pub facility: FacilityId,
    pub code: String,
    pub name: String,
    pub kind: String,
    pub net: u64,
    pub tax: u64,
    pub total: u64,
    /// `open`, `paid`, `void`.
    pub state: String,
    pub issued_on: String,
    pub due_on: String,
    pub paid_on: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeeSettings {
    pub settings: Vec<FeeSetting>,
    /// `2024-04 institution SNS 1000 F-02`, one a line.
    pub prices: Vec<String>,
    pub taxes: Vec<String>,
    pub campaigns: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeeSetting {
    pub name: String,
    pub value: String,
    /// What it may be, when only some words fit.
    pub choices: Vec<String>,
    pub meaning_ja: String,
}
