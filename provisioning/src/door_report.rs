//! The yearly report of operation as data (M4-06): counts only, nobody is named. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReportQuestion {
    /// Of a fiscal year, April to March.
    Year { year: i16 },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct YearReport {
    pub year: i16,
    /// First and last day; a year that runs is counted until today.
    pub from: String,
    pub until: String,
    pub facilities: FacilityCounts,
    pub people: PeopleCounts,
    pub devices: DeviceCounts,
    pub patients: PatientCounts,
    pub cases: Vec<CaseCounts>,
    pub letters: LetterCounts,
    pub trainings: TrainingCounts,
    pub incidents: IncidentCounts,
    pub fees: FeeCounts,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FacilityCounts {
    /// On the last day.
    pub active: u64,
    pub joined: u64,
    pub ended: u64,
    /// By kind, as A-05 names them.
    pub by_kind: Vec<(String, u64)>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PeopleCounts {
    pub admins: u64,
    pub staff: u64,
    pub family: u64,
    pub registered: u64,
    pub left: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeviceCounts {
    pub active: u64,
    pub enrolled: u64,
    /// Lost or stolen.
    pub lost: u64,
    pub ended: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatientCounts {
    pub registered: u64,
    pub all: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseCounts {
    pub flow: String,
    pub flow_ja: String,
    pub received: u64,
    pub done: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LetterCounts {
    pub sent: u64,
    pub bounced: u64,
    pub failed: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingCounts {
    /// People who attended the security training in the year.
    pub trained: u64,
    /// Users and admins on the last day.
    pub of: u64,
    /// Facilities that sent the 年次更新 of the year, and how many were asked.
    pub yearly_done: u64,
    pub yearly_asked: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentCounts {
    pub by_kind: Vec<(String, u64)>,
    /// 緊急停止 of an account or a number.
    pub suspensions: u64,
}

/// Whole yen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeeCounts {
    pub invoices: u64,
    pub total: u64,
    pub paid: u64,
}
