//! The table of grants: who holds a slot, and who is a member of what, as provisioning last said.
//! Owns `Grants`; pure, cheap to clone, replaced whole on every answer of the feed. Ruling 1.
//!
//! ```text
//! slot 18-0042 -> holder f-… (class, also f-…), generation 7
//! membership m-… -> person p-…, facility f-…, role, active
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use pki::identity::{FacilityId, MembershipId};
use vpn::slot::SlotNumber;

use crate::moment::{Freshness, Moment, freshness};
use crate::need::{GrantChanges, MembershipGrant, SlotGrant, SlotHolder};

#[derive(Clone, Default)]
pub struct Grants {
    table: Arc<Table>,
    answered_up_ms: Option<u64>,
}

#[derive(Clone, Default)]
struct Table {
    version: u64,
    slots: BTreeMap<SlotNumber, SlotGrant>,
    memberships: BTreeMap<MembershipId, MembershipGrant>,
}

/// The feed's version went back: provisioning was restored. Ask for the whole truth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the grants feed went back from version {held} to {given}")]
pub struct WentBack {
    pub held: u64,
    pub given: u64,
}

impl Grants {
    /// From the answer to version 0: the whole truth.
    pub fn whole(changes: GrantChanges, now: Moment) -> Self {
        let mut table = Table::default();
        table.take(changes);
        Self { table: Arc::new(table), answered_up_ms: Some(now.up_ms) }
    }

    /// With what changed after `self.version()`.
    pub fn after(&self, changes: GrantChanges, now: Moment) -> Result<Self, WentBack> {
        let held = self.version();
        if held == 0 {
            return Ok(Self::whole(changes, now));
        }
        if changes.version < held {
            return Err(WentBack { held, given: changes.version });
        }
        let mut next = self.clone();
        next.answered_up_ms = Some(now.up_ms);
        let silent = changes.slots.is_empty() && changes.memberships.is_empty();
        if !(silent && changes.version == held) {
            Arc::make_mut(&mut next.table).take(changes);
        }
        Ok(next)
    }

    pub fn version(&self) -> u64 {
        self.table.version
    }

    /// Do both hold the same table, whenever it was answered?
    pub fn same_table(&self, other: &Grants) -> bool {
        Arc::ptr_eq(&self.table, &other.table)
    }

    pub fn freshness(&self, now: Moment) -> Freshness {
        freshness(self.answered_up_ms, now)
    }

    pub fn age_ms(&self, now: Moment) -> Option<u64> {
        self.answered_up_ms.map(|at| now.up_ms.saturating_sub(at))
    }

    /// Who holds the slot, and since which generation.
    pub fn holder(&self, slot: SlotNumber) -> Option<(&SlotHolder, u64)> {
        let grant = self.table.slots.get(&slot)?;
        grant.holder.as_ref().map(|holder| (holder, grant.generation))
    }

    pub fn membership(&self, membership: &MembershipId) -> Option<&MembershipGrant> {
        self.table.memberships.get(membership)
    }
}

/// Is a membership of this facility permitted on a slot with this holder?
pub fn permits(holder: &SlotHolder, facility: &FacilityId) -> bool {
    holder.facility == *facility || holder.also.contains(facility)
}

impl Table {
    fn take(&mut self, changes: GrantChanges) {
        self.version = changes.version;
        self.slots.extend(changes.slots.into_iter().map(|grant| (grant.slot, grant)));
        let memberships = changes.memberships.into_iter();
        self.memberships.extend(memberships.map(|grant| (grant.membership.clone(), grant)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vpn::slot::SeatClass;

    const NOW: Moment = Moment { unix_ms: 0, up_ms: 1_000 };

    fn slot(generation: u64, held: bool) -> SlotGrant {
        let facility = FacilityId::from_random([1; 10]);
        let holder = SlotHolder { facility, class: SeatClass::Active, also: vec![] };
        SlotGrant { slot: "18-0042".parse().unwrap(), holder: held.then_some(holder), generation }
    }

    fn changes(version: u64, slots: Vec<SlotGrant>) -> GrantChanges {
        GrantChanges { version, slots, memberships: vec![] }
    }

    #[test]
    fn the_last_word_on_a_slot_counts() {
        let first = Grants::whole(changes(5, vec![slot(1, true)]), NOW);
        let second = first.after(changes(6, vec![slot(2, false)]), NOW).unwrap();
        assert!(first.holder("18-0042".parse().unwrap()).is_some());
        assert!(second.holder("18-0042".parse().unwrap()).is_none());
    }

    #[test]
    fn silence_refreshes_the_age_and_keeps_the_table() {
        let first = Grants::whole(changes(5, vec![slot(1, true)]), NOW);
        let later = Moment { unix_ms: 0, up_ms: 11_000 };
        let second = first.after(changes(5, vec![]), later).unwrap();
        assert!(second.same_table(&first));
        assert_eq!(second.age_ms(later), Some(0));
    }

    #[test]
    fn a_feed_that_goes_back_is_noticed_and_the_whole_truth_replaces_everything() {
        let first = Grants::whole(changes(5, vec![slot(1, true)]), NOW);
        let went_back = WentBack { held: 5, given: 3 };
        assert_eq!(first.after(changes(3, vec![]), NOW).err(), Some(went_back));
        let whole = Grants::whole(changes(3, vec![]), NOW);
        assert!(whole.holder("18-0042".parse().unwrap()).is_none());
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!(Grants::default().freshness(NOW), Freshness::Gone);
    }
}
