//! Everything that admission decides by, as one value: what the feeds last said and what was cut.
//! Pure; cheap to clone; swapped whole, so that no decision sees half a change. Rulings 1 and 7.

use crate::floors::Floors;
use crate::grants::Grants;
use crate::moment::{Freshness, Moment};
use crate::revocations::Revocations;

#[derive(Clone, Default)]
pub struct Truth {
    pub grants: Grants,
    pub revocations: Revocations,
    pub floors: Floors,
}

impl Truth {
    /// As fresh as the staler of the two feeds.
    pub fn freshness(&self, now: Moment) -> Freshness {
        self.grants.freshness(now).max(self.revocations.freshness(now))
    }
}
