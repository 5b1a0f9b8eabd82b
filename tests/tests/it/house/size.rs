//! Files and functions that fit a head. Exceptions are a ratchet: they may shrink, never grow, and go.

use super::hold;
use super::source::{House, closing, find_word, line_of, strip};

const FILE_MAX: usize = 500;
const FUNCTION_MAX: usize = 70;

/// Files above the limit today, with their length: only downwards from here.
const LONG_FILES: &[(&str, usize)] = &[];
/// Functions above the limit today: `file.rs::name`, with their length.
const LONG_FUNCTIONS: &[(&str, usize)] = &[];

fn functions(raw: &str) -> Vec<(String, usize)> {
    let code = strip(raw);
    let named = find_word(&code, "fn ").into_iter().map(|at| {
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let open = code[at..].find(['{', ';']).map_or(code.len(), |i| at + i);
        let end = if code[open..].starts_with('{') { closing(&code, open) } else { open };
        (name, line_of(&code, end.min(code.len())) - line_of(&code, at) + 1)
    });
    named.filter(|(name, _)| !name.is_empty()).collect()
}

/// What is too long and not excused, and excuses that are no longer needed.
fn ratchet(what: &str, limit: usize, measured: &[(String, usize)], excused: &[(&str, usize)]) -> Vec<String> {
    let mut told = Vec::new();
    for (name, lines) in measured.iter().filter(|(_, lines)| *lines > limit) {
        match excused.iter().find(|(known, _)| known == name) {
            Some((_, allowed)) if lines <= allowed => {}
            Some((_, allowed)) => told.push(format!(
                "{what} {name} grew to {lines} lines (excused: {allowed}).\n  Mend: it may only shrink."
            )),
            None => told.push(format!(
                "{what} {name} has {lines} lines, {limit} fit a head.\n  Mend: split it at a noun."
            )),
        }
    }
    for (name, allowed) in excused {
        let now =
            measured.iter().filter(|(known, _)| known == name).map(|(_, lines)| *lines).max().unwrap_or(0);
        if now < *allowed {
            told.push(format!("{what} {name} shrank to {now} lines.\n  Mend: lower its excuse in tests/tests/it/house/size.rs (or take it out)."));
        }
    }
    told
}

#[test]
fn files_and_functions_fit_a_head() {
    let house = House::load();
    let files: Vec<_> = house.files().map(|file| (file.path.clone(), file.raw.lines().count())).collect();
    let functions: Vec<_> = house
        .files()
        .flat_map(|file| {
            functions(&file.raw).into_iter().map(|(name, lines)| (format!("{}::{name}", file.path), lines))
        })
        .collect();
    let mut told = ratchet("file", FILE_MAX, &files, LONG_FILES);
    told.extend(ratchet("function", FUNCTION_MAX, &functions, LONG_FUNCTIONS));
    hold(told);
}

#[test]
fn every_file_opens_with_what_it_owns() {
    let house = House::load();
    let silent = house.files().filter(|file| {
        !file.raw.starts_with("//! ") || file.raw.lines().next().is_none_or(|line| line.len() < 5)
    });
    let told = silent.map(|file| {
        format!("{} does not open with `//!`.\n  Mend: say what it owns and how it ends.", file.path)
    });
    hold(told.collect());
}

#[test]
fn long_and_outdated_are_noticed() {
    let long = format!("fn a() {{}}\nfn b() {{\n{}}}\n", "    x();\n".repeat(80));
    assert_eq!(functions(&long), [("a".to_owned(), 1), ("b".to_owned(), 82)]);
    let measured = [("b".to_owned(), 82)];
    assert_eq!(ratchet("function", 70, &measured, &[]).len(), 1);
    assert_eq!(ratchet("function", 70, &measured, &[("b", 81)]).len(), 1);
    assert_eq!(ratchet("function", 70, &measured, &[("b", 82)]).len(), 0);
    assert_eq!(ratchet("function", 70, &measured, &[("b", 90)]).len(), 1);
}
