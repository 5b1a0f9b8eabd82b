//! Requests for more devices (G-07): what is listed, on both consoles and over the operator's door, and what was decided.
//! A border file.

use pki::identity::FacilityId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MoreQuestion {
    /// Of one facility, or of all; only what waits, or everything.
    List {
        facility: Option<FacilityId>,
        waiting: bool,
    },
    Decide {
        request: String,
        approved: bool,
        dry_run: bool,
    },
}

/// A request as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoreLine {
    /// `m-…`
    pub request: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub wanted: u32,
    pub reason: String,
    /// Who asked.
    pub admin_name: String,
    /// RFC 3339.
    pub asked_at: String,
    pub decided_at: Option<String>,
    /// `waiting`, `approved`, `declined`.
    pub standing: String,
    /// Numbers that the facility holds now, and how many it may.
    pub held: u32,
    pub quota: u32,
}

impl MoreLine {
    pub fn waits(&self) -> bool {
        self.standing == "waiting"
    }
}

/// What a decision did, or would do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MoreDecided {
    pub request: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub wanted: u32,
    pub standing: String,
    /// From now on.
    pub quota: u32,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MoreAnswer {
    Lines(Vec<MoreLine>),
    Decided(MoreDecided),
}
