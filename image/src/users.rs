//! `sysusers.d`: every user and every arrow's group of the process table, with its fixed number.
//! Pure text.

use std::fmt::Write;

use appliance::machine::OPERATOR_SHELL;
use appliance::process::{Name, Process};

/// In sysusers.d(5) form; groups before the members that join them.
pub fn sysusers(table: &[Process]) -> String {
    let mut text = String::from("# Rendered from the process table. Numbers are fixed: doors check them.\n");
    for row in table {
        let _ = writeln!(text, "g {} {} -", row.user, row.gid);
        // SSH runs a forced command by the user's shell: the one user to whom it leads has ours.
        let shell = if row.name == Name::Cli { OPERATOR_SHELL } else { "/usr/sbin/nologin" };
        let _ = writeln!(
            text,
            "u {} {}:{} \"mimamori {}\" / {shell}",
            row.user,
            row.uid,
            row.gid,
            row.name.as_str()
        );
    }
    for (row, door) in table.iter().flat_map(|row| row.offers.iter().map(move |door| (row, door))) {
        for arrow in door.arrows {
            let _ = writeln!(text, "g {} {} -", arrow.group, arrow.gid);
            if let Some(knocker) = table.iter().find(|knocker| knocker.name == arrow.from) {
                let _ = writeln!(text, "m {} {}", knocker.user, arrow.group);
            }
            let _ = writeln!(text, "m {} {}", row.user, arrow.group);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use appliance::process::TABLE;

    #[test]
    fn every_knocker_joins_the_group_of_its_arrow_and_nobody_else_does() {
        let text = sysusers(&TABLE);
        assert!(text.contains("m mm-office mm-a-issuing\n"));
        assert!(!text.contains("m mm-gateway mm-a-issuing\n"), "the gateway must not reach the issuing door");
        assert!(!text.contains("m mm-sns mm-a-seats\n"));
    }
}
