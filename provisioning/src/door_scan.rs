//! Scans: what may be asked about the pages of papers that came by post, FAX or in person. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::door_trouble::Trouble;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScanQuestion {
    /// A file of pages (PNG, JPEG, TIFF, PDF): each goes by its code to its case, or waits to be sorted.
    Take {
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
        came_by: CameBy,
        dry_run: bool,
    },
    /// What waits to be sorted, the oldest first, and what went from there lately.
    Tray,
    /// Of one case.
    List { case: String },
    /// The page as a picture; who sees it is written down.
    Show { scan: String },
    /// A page of the tray is put to a case: `form`, when somebody has seen which one it is.
    File { scan: String, case: String, form: Option<String>, dry_run: bool },
    /// A page of the tray is thrown away.
    Discard { scan: String, why: Why, dry_run: bool },
}

/// How the paper came (E-12a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CameBy {
    Post,
    Fax,
    Hand,
}

impl CameBy {
    pub const ALL: [CameBy; 3] = [CameBy::Post, CameBy::Fax, CameBy::Hand];

    pub fn as_str(self) -> &'static str {
        match self {
            CameBy::Post => "post",
            CameBy::Fax => "fax",
            CameBy::Hand => "hand",
        }
    }

    pub fn ja(self) -> &'static str {
        match self {
            CameBy::Post => "郵送",
            CameBy::Fax => "FAX",
            CameBy::Hand => "持参",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        CameBy::ALL.into_iter().find(|known| known.as_str() == text || known.ja() == text)
    }
}

/// Why a page is thrown away: a word of a list, so that no name is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    Twice,
    Unreadable,
    NotOurs,
    Returned,
}

impl Why {
    pub const ALL: [Why; 4] = [Why::Twice, Why::Unreadable, Why::NotOurs, Why::Returned];

    pub fn as_str(self) -> &'static str {
        match self {
            Why::Twice => "twice",
            Why::Unreadable => "unreadable",
            Why::NotOurs => "not-ours",
            Why::Returned => "returned",
        }
    }

    pub fn ja(self) -> &'static str {
        match self {
            Why::Twice => "同じ紙がもうある",
            Why::Unreadable => "読めないので取り直す",
            Why::NotOurs => "手続きの書類ではない",
            Why::Returned => "紙を返送した",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Why::ALL.into_iter().find(|known| known.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ScanAnswer {
    Taken(ScanReport),
    Lines(Vec<ScanLine>),
    Line(Box<ScanLine>),
}

/// Where each page went. A file with a fault is not taken at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanReport {
    pub dry_run: bool,
    pub pages: Vec<ScanPage>,
    pub faults: Vec<ScanFault>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanPage {
    /// Of the upload, from 1.
    pub file: u32,
    pub page: u32,
    /// `filed`, `tray`, `blank` (kept nowhere) or `known` (it is here already).
    pub went: String,
    pub scan: Option<String>,
    pub case: Option<String>,
    pub form: Option<String>,
    /// Why it waits.
    pub reason: Option<Trouble>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanFault {
    pub file: u32,
    pub trouble: Trouble,
}

/// One page: what it is, never what stands on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScanLine {
    pub scan: String,
    /// `tray`, `filed`, `discarded` or `ended`.
    pub state: String,
    pub came_by: CameBy,
    pub case: Option<String>,
    pub form: Option<String>,
    pub page: u32,
    pub bytes: u64,
    pub hash: String,
    /// `patient`, `office` or `tray`: whose key it is under; `none` when it is gone.
    pub key: String,
    /// Why it waits.
    pub reason: Option<Trouble>,
    /// Why it was thrown away.
    pub gone_ja: Option<String>,
    pub taken: String,
    pub taken_by: String,
    pub moved: Option<String>,
    pub moved_by: Option<String>,
    /// Days until it ends, while it lies under the tray's key.
    pub days_left: Option<u32>,
}
