//! What must hold of a process table: unique ids and sockets, every knock an offer, no circle of waiting.
//! Pure: a table in, its faults out.

use std::collections::BTreeMap;

use super::row::{Door, Process};

/// What is wrong with a table; each names the row to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("{0} and {1} share the id {2}")]
    SharedId(&'static str, &'static str, u32),
    #[error("{0} and {1} share the socket {2}")]
    SharedSocket(&'static str, &'static str, &'static str),
    #[error("{who} knocks at {door}, which nobody offers to it")]
    NotOffered { who: &'static str, door: &'static str },
    #[error("{door} is offered to {who}, who never knocks there")]
    NeverUsed { who: &'static str, door: String },
    #[error("{door} waits for {waits}, at which its process may not knock")]
    WaitsInVain { door: String, waits: &'static str },
    #[error("answering {0} may wait for itself")]
    Circle(String),
    #[error("{0} stands in the wrong row")]
    Order(&'static str),
}

/// Every fault of a table.
pub fn check(table: &[Process]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (at, row) in table.iter().enumerate() {
        if row.name as usize != at {
            faults.push(Fault::Order(row.user));
        }
    }
    ids(table, &mut faults);
    arrows(table, &mut faults);
    circles(table, &mut faults);
    faults
}

fn ids(table: &[Process], faults: &mut Vec<Fault>) {
    let users = table.iter().map(|row| (row.user, row.uid));
    let groups = table.iter().map(|row| (row.user, row.gid)).chain(
        table
            .iter()
            .flat_map(|row| row.offers)
            .flat_map(|door| door.arrows)
            .map(|arrow| (arrow.group, arrow.gid)),
    );
    let mut seen: BTreeMap<u32, &'static str> = BTreeMap::new();
    for (name, id) in users {
        if let Some(other) = seen.insert(id, name) {
            faults.push(Fault::SharedId(other, name, id));
        }
    }
    let mut seen: BTreeMap<u32, &'static str> = BTreeMap::new();
    for (name, id) in groups {
        if let Some(other) = seen.insert(id, name) {
            faults.push(Fault::SharedId(other, name, id));
        }
    }
}

fn arrows(table: &[Process], faults: &mut Vec<Fault>) {
    let mut sockets: BTreeMap<&'static str, &'static str> = BTreeMap::new();
    for row in table {
        for knock in row.knocks {
            let offered = find(table, knock)
                .is_some_and(|(_, door)| door.arrows.iter().any(|arrow| arrow.from == row.name));
            if !offered {
                faults.push(Fault::NotOffered { who: row.user, door: knock });
            }
        }
        for door in row.offers {
            let full = format!("{}.{}", row.name.as_str(), door.name);
            for arrow in door.arrows {
                if let Some(other) = sockets.insert(arrow.socket, row.user) {
                    faults.push(Fault::SharedSocket(other, row.user, arrow.socket));
                }
                let knocker = table.iter().find(|row| row.name == arrow.from);
                if !knocker.is_some_and(|knocker| knocker.knocks.contains(&full.as_str())) {
                    faults.push(Fault::NeverUsed { who: arrow.from.as_str(), door: full.clone() });
                }
            }
            for waits in door.waits_for.iter().filter(|waits| !row.knocks.contains(waits)) {
                faults.push(Fault::WaitsInVain { door: full.clone(), waits });
            }
        }
    }
}

/// A door from which one comes back to itself by following `waits_for`.
fn circles(table: &[Process], faults: &mut Vec<Fault>) {
    for row in table {
        for door in row.offers {
            let start = format!("{}.{}", row.name.as_str(), door.name);
            let mut reached: Vec<&str> = Vec::new();
            let mut open: Vec<&str> = door.waits_for.to_vec();
            while let Some(next) = open.pop() {
                if next == start {
                    faults.push(Fault::Circle(start.clone()));
                    break;
                }
                if !reached.contains(&next) {
                    reached.push(next);
                    open.extend(find(table, next).into_iter().flat_map(|(_, door)| door.waits_for));
                }
            }
        }
    }
}

fn find<'a>(table: &'a [Process], full: &str) -> Option<(&'a Process, &'a Door)> {
    let (process, name) = full.split_once('.')?;
    let row = table.iter().find(|row| row.name.as_str() == process)?;
    row.offers.iter().find(|door| door.name == name).map(|door| (row, door))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys;
    use crate::process::row::{Call, Family, Held, Name, Speaks, arrow, door};
    use crate::process::table::TABLE;

    #[test]
    fn the_table_has_no_fault() {
        assert_eq!(check(&TABLE), []);
    }

    #[test]
    fn every_secret_has_one_holder() {
        for secret in keys::SECRETS {
            let holders = TABLE.iter().filter(|row| row.secrets.contains(&secret)).count();
            assert_eq!(holders, 1, "{secret}");
        }
        for secret in TABLE.iter().flat_map(|row| row.calls).flat_map(|call| call.secrets()) {
            for place in ["file", "credential"] {
                assert!(keys::find(&format!("{secret}_{place}")).is_some(), "{secret}_{place}");
            }
        }
        for key in TABLE.iter().flat_map(|row| row.executes.iter().chain(row.writes)) {
            assert!(keys::find(key).is_some(), "{key} is a key of the configuration");
        }
    }

    #[test]
    fn only_the_firewall_keeps_a_capability_and_only_it_may_execute() {
        for row in &TABLE {
            let keeps = row.capabilities.iter().any(|capability| capability.held == Held::Always);
            assert_eq!(keeps, row.name == Name::Firewall, "{}", row.user);
            assert_eq!(!row.executes.is_empty(), row.name == Name::Firewall, "{}", row.user);
        }
    }

    /// Mail leaves through one process, and nobody has a socket of the internet by right of its row.
    #[test]
    fn only_who_keeps_records_or_sends_mail_ever_calls_out() {
        for row in &TABLE {
            let (mail, records) = match row.name {
                Name::Provisioning => (true, true),
                Name::Sns | Name::Gateway => (false, true),
                _ => (false, false),
            };
            assert_eq!(row.calls.contains(&Call::Smarthost), mail, "{}", row.user);
            assert_eq!(row.calls.contains(&Call::Mailbox), mail, "{}", row.user);
            assert_eq!(row.calls.contains(&Call::Database), records, "{}", row.user);
            assert!(!row.sockets.contains(&Family::Internet), "{}", row.user);
        }
    }

    #[test]
    fn nobody_but_provisioning_holds_the_dangerous_doors() {
        for door in ["pki.issuing", "vpn.seats", "gateway.cuts"] {
            let holders: Vec<_> =
                TABLE.iter().filter(|row| row.knocks.contains(&door)).map(|row| row.name).collect();
            assert_eq!(holders, [Name::Provisioning], "{door}");
        }
    }

    /// Each check notices what it is there for.
    #[test]
    fn a_wrong_table_is_found_out() {
        let broken = |change: fn(&mut [Process; 7])| {
            let mut table = TABLE;
            change(&mut table);
            check(&table)
        };
        assert!(broken(|t| t[1].uid = 61000).contains(&Fault::SharedId("mm-firewall", "mm-vpn", 61000)));
        assert!(
            broken(|t| t[3].knocks = &["pki.issuing"])
                .contains(&Fault::NotOffered { who: "mm-sns", door: "pki.issuing" })
        );
        assert!(broken(|t| t[1].knocks = &[]).iter().any(|f| matches!(f, Fault::NeverUsed { .. })));
        assert!(broken(|t| t.swap(0, 1)).iter().any(|f| matches!(f, Fault::Order(_))));
        let circle = broken(|t| {
            t[0].knocks = &["vpn.seats"];
            const ROUND: &[Door] =
                &[door("mirror", Speaks::Questions, &[arrow(Name::Vpn, "x.sock", "x", 1)], &["vpn.seats"])];
            t[0].offers = ROUND;
        });
        assert!(circle.contains(&Fault::Circle("firewall.mirror".to_owned())));
    }
}
