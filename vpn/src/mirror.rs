//! What the firewall must say, and whether it does. Owns the wanted level of every address and the text of
//! the rules as they were installed; pure, lives in the mirroring task (ruling 8: level, not edge; drift is an alarm).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::door::{Admitted, Gate, GateChange};

/// The wanted level, and what the kernel held after our last installation.
#[derive(Default)]
pub struct Mirror {
    wanted: BTreeMap<Ipv4Addr, Gate>,
    /// `None` from an installation until the first read back.
    rules: Option<String>,
}

/// How the kernel differs from what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drift {
    pub missing: usize,
    pub extra: usize,
    pub rules_changed: bool,
}

impl Mirror {
    pub fn new(wanted: impl IntoIterator<Item = (Ipv4Addr, Option<Gate>)>) -> Self {
        let mut mirror = Self::default();
        mirror.want(wanted);
        mirror
    }

    /// Takes over new levels; answers what changes by it.
    pub fn want(&mut self, levels: impl IntoIterator<Item = (Ipv4Addr, Option<Gate>)>) -> Vec<GateChange> {
        let mut changes: BTreeMap<Ipv4Addr, GateChange> = BTreeMap::new();
        for (address, to) in levels {
            let from = match to {
                Some(gate) => self.wanted.insert(address, gate),
                None => self.wanted.remove(&address),
            };
            // Several levels of one address in one batch: from where the first found it to where the last left it.
            changes.entry(address).or_insert(GateChange { address, from, to }).to = to;
        }
        changes.into_values().filter(|change| change.from != change.to).collect()
    }

    pub fn admitted(&self) -> Admitted {
        self.wanted.iter().map(|(address, gate)| (*address, *gate)).collect()
    }

    /// A new table stands: its rules are learnt from the next read back.
    pub fn installed(&mut self) {
        self.rules = None;
    }

    /// Compares what the kernel holds; `None` is a true mirror.
    pub fn compare(&mut self, admitted: &Admitted, rules: &str) -> Option<Drift> {
        let known = self.rules.get_or_insert_with(|| rules.to_owned());
        let rules_changed = known != rules;
        let wanted = self.admitted();
        let missing = wanted.difference(admitted).count();
        let extra = admitted.difference(&wanted).count();
        (missing + extra > 0 || rules_changed).then_some(Drift { missing, extra, rules_changed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(n: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 18, 0, n)
    }

    #[test]
    fn only_what_changes_is_changed_and_the_last_level_of_a_batch_counts() {
        let mut mirror = Mirror::default();
        let change = |n, from, to| GateChange { address: at(n), from, to };
        let (active, leaving) = (Some(Gate::Active), Some(Gate::Leaving));
        assert_eq!(mirror.want([(at(1), active)]), [change(1, None, active)]);
        assert_eq!(mirror.want([(at(1), active)]), []);
        assert_eq!(mirror.want([(at(1), None), (at(1), leaving)]), [change(1, active, leaving)]);
        assert_eq!(mirror.want([(at(2), active), (at(2), None)]), []);
        assert_eq!(mirror.want([(at(1), None)]), [change(1, leaving, None)]);
        assert!(mirror.admitted().is_empty());
    }

    #[test]
    fn whatever_somebody_else_did_to_the_table_is_drift() {
        let mut mirror = Mirror::new([(at(1), Some(Gate::Active))]);
        let ours = mirror.admitted();
        mirror.installed();
        assert_eq!(mirror.compare(&ours, "rules"), None);
        let seen = |mirror: &mut Mirror, admitted, rules| mirror.compare(&admitted, rules).unwrap();
        let drift = |missing, extra, rules_changed| Drift { missing, extra, rules_changed };
        assert_eq!(seen(&mut mirror, Admitted::new(), "rules"), drift(1, 0, false));
        assert_eq!(seen(&mut mirror, [(at(1), Gate::Leaving)].into(), "rules"), drift(1, 1, false));
        assert_eq!(seen(&mut mirror, ours, "fewer rules"), drift(0, 0, true));
    }
}
