//! What may be asked about incidents over the operator's door, and the answers. A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IncidentQuestion {
    /// Open ones, or all.
    List {
        all: bool,
    },
    Show {
        incident: String,
    },
    Open {
        new: NewIncident,
        dry_run: bool,
    },
    /// A step with its note.
    Step {
        incident: String,
        step: String,
        note: String,
        dry_run: bool,
    },
}

/// As typed; no patient is named in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NewIncident {
    pub facility: Option<FacilityId>,
    pub kind: String,
    pub known_on: String,
    pub unlawful: bool,
    pub reportable: bool,
    pub people: Option<u32>,
    pub summary: String,
}

/// Days are ISO dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentLine {
    pub incident: String,
    pub facility: Option<FacilityId>,
    pub facility_name: String,
    pub kind: String,
    pub unlawful: bool,
    pub reportable: bool,
    pub known_on: String,
    pub people: Option<u32>,
    pub summary: String,
    pub closed: bool,
    /// 速報: better by, and not after.
    pub prompt_from: String,
    pub prompt_by: String,
    /// `met`, `runs`, `near`, `late`; empty where no report is asked for.
    pub prompt: String,
    pub prompt_ja: String,
    /// 確報.
    pub final_by: String,
    #[serde(rename = "final")]
    pub last: String,
    pub final_ja: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentStep {
    pub step: String,
    pub step_ja: String,
    pub at: String,
    pub operator: String,
    pub note: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentDetail {
    pub line: IncidentLine,
    pub steps: Vec<IncidentStep>,
    /// What may be noted now.
    pub next: Vec<String>,
    pub opened_at: String,
    pub opened_by: String,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum IncidentAnswer {
    Lines(Vec<IncidentLine>),
    Detail(Box<IncidentDetail>),
}
