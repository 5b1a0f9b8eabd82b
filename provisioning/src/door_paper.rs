//! What may be asked about the papers: the blank and the prepared forms, and the returned ones. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PaperQuestion {
    /// A form to fill in: blank, or prepared for a case.
    Form {
        /// 様式3, 3.
        form: String,
        kind: PaperKind,
        case: Option<String>,
    },
    /// 管理台帳 of a facility; `devices`: of CSV, the other table.
    Ledger { facility: FacilityId, kind: PaperKind, devices: bool },
    /// The resource map for citizens.
    Map { kind: MapKind },
    /// A returned form (様式2 … 様式8) becomes cases; nothing is written while any row is bad.
    Import {
        #[serde(with = "crate::octets")]
        #[schemars(with = "String", extend("contentEncoding" = "base64"))]
        bytes: Vec<u8>,
        /// When neither sheet nor headings tell.
        form: Option<String>,
        dry_run: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MapKind {
    /// A page for citizens.
    Html,
    /// Points for a map program (RFC 7946).
    Geojson,
}

impl MapKind {
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "html" => Some(MapKind::Html),
            "geojson" => Some(MapKind::Geojson),
            _ => None,
        }
    }

    pub fn media(self) -> &'static str {
        match self {
            MapKind::Html => "text/html; charset=utf-8",
            MapKind::Geojson => "application/geo+json",
        }
    }
}
