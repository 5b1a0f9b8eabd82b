//! What may be asked about pledges and trainings over the operator's door, and the answers. A border file.

use pki::identity::{FacilityId, MembershipId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegisterQuestion {
    /// Of one facility, or of all; only what is late, or everything.
    List { facility: Option<FacilityId>, late: bool },
    /// These people attended a training.
    Training { people: Vec<PersonId>, kind: String, held_on: String, dry_run: bool },
}

/// Days are ISO dates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RegisterLine {
    pub person: PersonId,
    pub membership: MembershipId,
    pub name: String,
    pub profession: String,
    pub role: String,
    pub facility: FacilityId,
    pub facility_name: String,
    /// 誓約書 (H-17); an admin has none of his own.
    pub pledged_on: Option<String>,
    pub pledge_late: bool,
    /// 説明資料・説明会 (H-18).
    pub briefed_on: Option<String>,
    pub briefing_late: bool,
    /// 研修 (H-19).
    pub trained_on: Option<String>,
    pub training_due: String,
    /// `fine`, `soon`, `late`.
    pub training: String,
}

impl RegisterLine {
    pub fn is_late(&self) -> bool {
        self.pledge_late || self.briefing_late || self.training == "late"
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrainingNoted {
    pub kind: String,
    pub held_on: String,
    /// Whose row is new; the others had it already.
    pub new: u32,
    pub known: u32,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RegisterAnswer {
    Lines(Vec<RegisterLine>),
    Noted(TrainingNoted),
}
