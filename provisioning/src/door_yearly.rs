//! What may be asked about the 年次更新 over the operator's door, and the answers. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum YearlyQuestion {
    /// Opens a round, or moves its days.
    Open { year: i16, opens_on: String, due_on: String, dry_run: bool },
    /// How far every facility is; `None`: the newest round.
    List { year: Option<i16>, silent: bool },
    /// A silent facility was called.
    Called { facility: FacilityId, note: String, dry_run: bool },
}

/// Days are ISO dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct YearlyRound {
    pub year: i16,
    pub opens_on: String,
    pub due_on: String,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct YearlyLine {
    pub facility: FacilityId,
    pub facility_name: String,
    pub code: String,
    pub telephone: String,
    pub admin_name: String,
    /// `untouched`, `begun`, `done`.
    pub stage: String,
    pub saved_at: Option<String>,
    pub done_at: Option<String>,
    /// Somebody should call.
    pub silent: bool,
    pub called_on: Option<String>,
    pub called_note: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct YearlyProgress {
    pub round: YearlyRound,
    pub done: u32,
    pub begun: u32,
    pub untouched: u32,
    pub silent: u32,
    pub lines: Vec<YearlyLine>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct YearlyCalled {
    pub facility: FacilityId,
    pub year: i16,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum YearlyAnswer {
    Round(YearlyRound),
    Progress(YearlyProgress),
    Called(YearlyCalled),
}
