//! The papers match the house: README and ARCHITECTURE name every room and no other; requirement ids are well-formed.

use std::fs;

use super::hold;
use super::source::House;

/// The rooms of the README's table: lines that begin with a name in backticks.
fn rooms_of_table(text: &str) -> Vec<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter_map(|row| row.split_once('`'))
        .map(|(name, _)| name.to_owned())
        .filter(|name| !name.contains(['/', '.', '*']))
        .collect()
}

/// `A-05`, `C-10`, `C-1.3`, `A-08a`, `M-02a`, `E-M`: the shape of requirements.md.
fn is_requirement(id: &str) -> bool {
    let Some((section, number)) = id.split_once('-') else { return false };
    let letter = section.len() == 1 && section.bytes().all(|b| b.is_ascii_uppercase());
    let number = number.strip_suffix(|c: char| c.is_ascii_lowercase()).unwrap_or(number);
    let digits = number
        .split('.')
        .all(|part| (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()));
    letter && digits
}

/// Ids in sentences that say they are requirements.
fn cited(raw: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in raw.lines().enumerate() {
        let sentences = line.split("Requirement").skip(1);
        for sentence in sentences
            .filter(|s| line.trim_start().starts_with("//") && (s.starts_with("s ") || s.starts_with(' ')))
        {
            let words = sentence
                .trim_start_matches('s')
                .split([',', ' ', '.', ';', '(', ')', ':'])
                .map(str::trim)
                .filter(|word| !word.is_empty());
            let ids =
                words.take_while(|word| word.contains('-') || *word == "and").filter(|word| *word != "and");
            found.extend(ids.flat_map(|word| word.split('–')).map(|id| (number + 1, id.to_owned())));
        }
    }
    found
}

#[test]
fn readme_and_map_name_every_room_and_no_other() {
    let house = House::load();
    let readme = fs::read_to_string(house.root.join("README.md")).expect("README.md");
    let map = fs::read_to_string(house.root.join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let named = rooms_of_table(&readme);
    let mut told = Vec::new();
    for room in &house.rooms {
        if !named.contains(&room.name) {
            told.push(format!(
                "README.md's table does not name `{}`.\n  Mend: one sentence for it.",
                room.name
            ));
        }
        if !map.contains(&room.name) {
            told.push(format!("ARCHITECTURE.md does not name `{}`.\n  Mend: put it on the map.", room.name));
        }
    }
    for name in named.iter().filter(|name| !house.rooms.iter().any(|room| room.name == **name)) {
        told.push(format!("README.md's table names `{name}`, which is no room.\n  Mend: take it out."));
    }
    for command in ["make demo", "make test"] {
        if !readme.contains(command) {
            told.push(format!(
                "README.md does not say `{command}`.\n  Mend: the two commands are its second paragraph."
            ));
        }
    }
    hold(told);
}

#[test]
fn cited_requirements_have_the_shape_of_requirements() {
    let house = House::load();
    let bad = house.files().flat_map(|file| {
        cited(&file.raw).into_iter().filter(|(_, id)| !is_requirement(id)).map(move |(line, id)| {
            format!("{}:{line} cites `{id}`.\n  Mend: ids look like P-05, C-1.3 or A-08a.", file.path)
        })
    });
    hold(bad.collect());
}

#[test]
fn a_wrong_id_is_noticed() {
    assert!(["A-05", "C-10", "C-1.3", "A-08a", "P-9"].into_iter().all(is_requirement));
    assert!(["A05", "A-", "AB-05", "A-123", "A-x"].into_iter().all(|id| !is_requirement(id)));
    let found: Vec<_> = cited("//! Requirements I-01, I-05; ruling 2.\nRequirement X")
        .into_iter()
        .map(|(_, id)| id)
        .collect();
    assert_eq!(found, ["I-01", "I-05"]);
    assert_eq!(rooms_of_table("| room | x |\n| `vpn` | a |\n| `*/src/lib.rs` | b |"), ["vpn"]);
}
