//! gateway → provisioning: grants, the versioned feed of who holds a slot and who is a member of what.

use gateway::need::{Answering, GrantChanges, Grants, MembershipGrant, NeedUnmet, SlotGrant, SlotHolder};
use provisioning::grants::Changes;
use serde::{Deserialize, Serialize};

use crate::wire::Line;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantsQuestion {
    /// 0 asks for the whole truth.
    pub after: u64,
    pub wait_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GrantsAnswer {
    Changes(GrantChanges),
    Failed { why: String },
}

impl Grants for Line<GrantsQuestion, GrantsAnswer> {
    fn changes(&self, version: u64, wait_ms: u32) -> Answering<'_, GrantChanges> {
        Box::pin(async move {
            let unmet = |why: String| NeedUnmet { room: self.room().to_owned(), why };
            match self.ask(GrantsQuestion { after: version, wait_ms }).await {
                Ok(GrantsAnswer::Changes(changes)) => Ok(changes),
                Ok(GrantsAnswer::Failed { why }) => Err(unmet(why)),
                Err(fault) => Err(unmet(fault.to_string())),
            }
        })
    }
}

/// provisioning's words in the gateway's.
pub fn told(changes: Changes) -> GrantChanges {
    let Changes { version, slots, memberships } = changes;
    GrantChanges {
        version,
        slots: slots
            .into_iter()
            .map(|grant| SlotGrant {
                slot: grant.slot,
                holder: grant.holder.map(|holder| SlotHolder {
                    facility: holder.facility,
                    class: holder.class,
                    also: holder.also,
                }),
                generation: grant.generation,
            })
            .collect(),
        memberships: memberships
            .into_iter()
            .map(|grant| MembershipGrant {
                membership: grant.membership,
                person: grant.person,
                facility: grant.facility,
                role: grant.role,
                active: grant.active,
            })
            .collect(),
    }
}
