//! Stable codes (ruling 12): each room has its thousand, each code is given once.

use std::collections::BTreeMap;

use super::hold;
use super::source::{House, Room};

const RANGES: [(&str, char); 6] =
    [("vpn", '1'), ("pki", '2'), ("gateway", '3'), ("sns", '4'), ("provisioning", '5'), ("appliance", '6')];

/// Where a code is given its meaning: `(code, file, is it the room's catalogue?)`. The error texts of
/// doors and faults may repeat a code of the catalogue; without a catalogue they are it.
fn definitions(room: &Room) -> Vec<(String, String, bool)> {
    let mut found = Vec::new();
    for file in room.files.iter().filter(|file| !file.test) {
        let catalogue = file.module.iter().any(|name| name.starts_with("messages"));
        let text = file.raw.split("#[cfg(test)]").next().unwrap_or("");
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            if catalogue || line.contains("#[error(") {
                found.extend(codes(line).into_iter().map(|code| (code, file.path.clone(), catalogue)));
            }
        }
    }
    found
}

/// `"MM-1234` at the beginning of a text.
fn codes(line: &str) -> Vec<String> {
    let begins =
        line.match_indices("\"MM-").map(|(at, _)| line[at + 1..].chars().take(7).collect::<String>());
    begins.filter(|code| code.len() == 7 && code[3..].bytes().all(|b| b.is_ascii_digit())).collect()
}

fn breaches(room: &Room) -> Vec<String> {
    let Some((_, digit)) = RANGES.iter().find(|(name, _)| *name == room.name) else { return Vec::new() };
    let found = definitions(room);
    let has_catalogue = found.iter().any(|(_, _, catalogue)| *catalogue);
    let mut told = Vec::new();
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    for (code, path, catalogue) in found {
        if !code[3..].starts_with(*digit) {
            told.push(format!(
                "{path} gives {code} a meaning.\n  Mend: codes of `{}` are MM-{digit}xxx.",
                room.name
            ));
        }
        if has_catalogue && !catalogue {
            continue;
        }
        if let Some(first) = seen.insert(code.clone(), path.clone()) {
            told.push(format!("{path} gives {code} a second meaning (the first is in {first}).\n  Mend: take the next free number; a code never changes its meaning."));
        }
    }
    told
}

#[test]
fn codes_are_unique_and_in_their_rooms_range() {
    let house = House::load();
    hold(house.rooms.iter().flat_map(breaches).collect());
    for (name, _) in RANGES {
        assert!(!definitions(house.room(name)).is_empty(), "{name} has no codes: has the catalogue moved?");
    }
}

/// What a person reads in a log or on a page can be asked for: `mimamori explain CODE` (ruling 12).
#[test]
fn every_code_of_the_house_is_explained() {
    let house = House::load();
    let mut told = Vec::new();
    let mut asked = 0;
    for file in house.files().filter(|file| !file.test) {
        let text = file.raw.split("#[cfg(test)]").next().unwrap_or("");
        for code in text.lines().filter(|line| !line.trim_start().starts_with("//")).flat_map(codes) {
            asked += 1;
            if appliance::cli::catalogue::find(&code).is_none() {
                told.push(format!(
                    "{} says {code}, which `mimamori explain` does not know.\n  Mend: give it words in its room's messages, or in appliance/src/cli/catalogue/faults/.",
                    file.path
                ));
            }
        }
    }
    for folder in ["provisioning/assets", "gateway/assets", "sns/assets"] {
        for entry in std::fs::read_dir(house.root.join(folder)).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
            for code in codes(&text.replace(['\'', '`'], "\"")) {
                asked += 1;
                if appliance::cli::catalogue::find(&code).is_none() {
                    told.push(format!("{folder} says {code}, which `mimamori explain` does not know."));
                }
            }
        }
    }
    hold(told);
    assert!(asked > 200, "only {asked} codes were found: have the sources moved?");
}

#[test]
fn a_foreign_or_repeated_code_is_noticed() {
    let bad = super::sample::room(
        "sns",
        "",
        &[
            ("lib.rs", "mod messages;"),
            ("messages.rs", "A => \"MM-4001\",\nB => \"MM-4001\",\nC => \"MM-5001\",\n// \"MM-9999\""),
        ],
    );
    assert_eq!(breaches(&bad).len(), 2);
}
