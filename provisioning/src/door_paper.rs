//! What may be asked about the papers: the blank and the prepared forms, and the returned ones. A border file.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PaperQuestion {
    /// A form to fill in: blank, or prepared for a case.
    Form {
        /// 様式3, 3.
        form: String,
        kind: PaperKind,
        case: Option<String>,
    },
    /// A returned form (様式2 … 様式8) becomes cases; nothing is written while any row is bad.
    Import {
        bytes: Vec<u8>,
        /// When neither sheet nor headings tell.
        form: Option<String>,
        dry_run: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PaperKind {
    Pdf,
    Xlsx,
    Csv,
}

impl PaperKind {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "pdf" => Some(PaperKind::Pdf),
            "xlsx" => Some(PaperKind::Xlsx),
            "csv" => Some(PaperKind::Csv),
            _ => None,
        }
    }

    pub fn extension(self) -> &'static str {
        match self {
            PaperKind::Pdf => "pdf",
            PaperKind::Xlsx => "xlsx",
            PaperKind::Csv => "csv",
        }
    }

    pub fn media(self) -> &'static str {
        match self {
            PaperKind::Pdf => "application/pdf",
            PaperKind::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            PaperKind::Csv => "text/csv; charset=utf-8",
        }
    }
}
