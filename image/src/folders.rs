//! `tmpfiles.d`: the state folders, each readable by its own process only. Pure text.

use std::fmt::Write;

pub use appliance::machine::{OUTPUT, RUN, STATE};
use appliance::process::Process;

/// For the form `together`: one process, whose user owns them all and makes the rest below.
pub fn tmpfiles_together() -> String {
    let mut text = String::from("# All rooms are one process.\n");
    for folder in [STATE, RUN, OUTPUT] {
        let _ = writeln!(text, "d {folder} 0700 root root -");
    }
    text
}

/// In tmpfiles.d(5) form.
pub fn tmpfiles(table: &[Process]) -> String {
    let mut text = String::from("# Rendered from the process table. One folder, one process.\n");
    let _ = writeln!(text, "d {STATE} 0711 root root -");
    let _ = writeln!(text, "d {RUN} 0711 root root -");
    for row in table {
        if let Some(state) = row.state {
            let _ = writeln!(text, "d {STATE}/{state} 0700 {} {} -", row.user, row.user);
        }
        if row.writes.contains(&"paths.output") {
            let _ = writeln!(text, "d {OUTPUT} 0700 {} {} -", row.user, row.user);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use appliance::process::TABLE;

    #[test]
    fn no_state_folder_is_open_to_another_process() {
        let text = tmpfiles(&TABLE);
        for row in TABLE.iter().filter(|row| row.state.is_some()) {
            assert!(text.contains(&format!(" 0700 {} {} ", row.user, row.user)), "{}", row.user);
        }
        assert_eq!(text.lines().filter(|line| line.contains(" 0711 ")).count(), 2);
    }
}
