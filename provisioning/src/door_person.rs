//! What may be asked about people over the operator's door, and the answers. A border file.

use pki::identity::{FacilityId, MembershipId, PersonId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PersonQuestion {
    /// Of one facility, or whoever fits the words: name, login, id.
    List { facility: Option<FacilityId>, words: Option<String> },
    /// 利用停止: everywhere, at once, without agreement (B-24, H-12).
    Suspend { person: PersonId, dry_run: bool },
    /// 再開 (B-29).
    Resume { person: PersonId, dry_run: bool },
    /// A new first password, shown once; whoever was signed in is out.
    Password { person: PersonId, dry_run: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonLine {
    pub person: PersonId,
    pub membership: MembershipId,
    pub name: String,
    pub login: String,
    pub profession: String,
    pub facility: FacilityId,
    pub facility_name: String,
    pub role: String,
    /// Of the account, everywhere.
    pub account: String,
    /// Of this membership.
    pub state: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PersonChange {
    pub person: PersonId,
    pub name: String,
    pub login: String,
    /// What it is now, or would be.
    pub state: String,
    /// False: it stood so already.
    pub changed: bool,
    pub dry_run: bool,
}

/// Whoever answers the door prints it and forgets it: no `Debug` shows the password.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FirstPassword {
    pub person: PersonId,
    pub name: String,
    pub login: String,
    /// `None`: a dry run.
    pub password: Option<String>,
}

impl core::fmt::Debug for FirstPassword {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("FirstPassword").field("person", &self.person).finish_non_exhaustive()
    }
}
