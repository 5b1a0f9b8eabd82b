//! The bounce mailbox at the operator's door: what came of a round. A border file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One look into the bounce mailbox.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BounceRound {
    /// When it ended.
    pub at: String,
    /// Mails in the mailbox that nobody had dealt with.
    pub found: u32,
    /// Reports about letters of ours: noted there, and deleted here.
    pub noted: u32,
    /// What is none: it stays, marked, for a person.
    pub set_aside: u32,
    /// About letters that are not yet known to have left: the next round looks again.
    pub early: u32,
    /// Rounds that failed one after another until now.
    pub failed_in_a_row: u32,
    /// Why it ended before its end; what was noted until then stands.
    pub fault: Option<BounceFault>,
    /// Only looked.
    pub dry_run: bool,
}

/// In the words of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BounceFault {
    pub code: String,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}
