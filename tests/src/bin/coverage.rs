//! `make coverage`: which requirements the last `make test` has proved, and which nobody proves; fails when one of
//! the committed list has lost its last test. `coverage keep` writes the list anew. Touches files and the terminal.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use tests::coverage::{Requirements, cited, lost, passed, proved, requirements, shown};
use tests::fault::While;
use tests::{Fault, Told};

const REQUIREMENTS: &str = "tests/coverage/requirements.txt";
const COVERED: &str = "tests/coverage/covered.txt";
const ROOMS: [&str; 8] = ["vpn", "pki", "gateway", "sns", "provisioning", "appliance", "image", "tests"];

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match report(words.first().map(Path::new), words.get(1).is_some_and(|word| word == "keep")) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            let _ = writeln!(std::io::stderr(), "coverage: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn report(log: Option<&Path>, keep: bool) -> Told<bool> {
    let log = log.ok_or_else(|| Fault::new("which log? `make coverage` says it"))?;
    let known = requirements(&read(Path::new(REQUIREMENTS))?);
    let mut cites = Vec::new();
    for file in ROOMS.iter().map(Path::new).flat_map(rust_files) {
        cites.extend(cited(&file.to_string_lossy(), &read(&file)?, &known));
    }
    for file in std::fs::read_dir(tests::shown::folder()).into_iter().flatten().flatten() {
        let name = file.file_name();
        cites.push(shown(&name.to_string_lossy(), &read(&file.path())?, &known));
    }
    let passed = passed(&read(log)?);
    let proved = proved(&passed, &cites);
    let mut out = std::io::stdout().lock();
    let mut say = |line: String| writeln!(out, "{line}").while_(|| "the terminal".to_owned());
    for (id, tests) in &proved {
        let names: Vec<&str> = tests.iter().map(|test| test.function.as_str()).collect();
        say(format!("{id:<8}{:>3}  {}", tests.len(), shortened(&names.join(", "))))?;
    }
    say("\nwithout a test:".to_owned())?;
    for (id, about) in known.iter().filter(|(id, _)| !proved.contains_key(*id)) {
        say(format!("{id:<8}     {}", shortened(about)))?;
    }
    let covered: BTreeSet<&String> = proved.keys().collect();
    say(format!(
        "\n{} of {} requirements have a test; {} tests ran",
        covered.len(),
        known.len(),
        passed.len()
    ))?;
    if keep {
        return write_list(&covered, &known).map(|()| true);
    }
    let kept = read(Path::new(COVERED))?;
    let lost = lost(&kept, &proved);
    for id in &lost {
        say(format!("LOST {id}: {} - a test proved it before; none that ran does now", about(&known, id)))?;
    }
    let new = covered.iter().filter(|id| !kept.lines().any(|line| line == id.as_str())).count();
    if new > 0 {
        say(format!("{new} new ones: `make coverage KEEP=1` adds them to {COVERED}"))?;
    }
    Ok(lost.is_empty())
}

fn write_list(covered: &BTreeSet<&String>, known: &Requirements) -> Told<()> {
    let mut text = "# Requirements that a test proves. One that leaves this list does so by a decision, not by accident.\n".to_owned();
    for id in covered.iter().filter(|id| known.contains_key(id.as_str())) {
        text.push_str(id);
        text.push('\n');
    }
    std::fs::write(COVERED, text).while_(|| COVERED.to_owned())
}

fn about<'a>(known: &'a Requirements, id: &str) -> &'a str {
    known.get(id).map_or("", String::as_str)
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

fn read(path: &Path) -> Told<String> {
    std::fs::read_to_string(path).while_(|| path.display().to_string())
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = std::fs::read_dir(folder) else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
    found
}
