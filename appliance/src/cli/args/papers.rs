//! Every command that a paper tells somebody to type is a command (issue 8: a person follows docs/engineer.md): read
//! as clap reads it, and what goes over SSH also as the engineer's shell reads it.

use std::fs;
use std::path::Path;

use clap::FromArgMatches;

use super::{Typed, declared};
use crate::cli::line::{self, Wish};

const PAPERS: [(&str, usize); 4] =
    [("README.md", 10), ("docs/engineer.md", 20), ("docs/backup.md", 2), ("docs/postgresql.md", 1)];

/// Lines of code blocks, with their continuations, without what stands behind `#`.
fn lines(text: &str) -> Vec<String> {
    let (mut inside, mut found, mut held) = (false, Vec::new(), String::new());
    for line in text.lines() {
        if line.starts_with("```") {
            inside = !inside;
            continue;
        }
        if !inside {
            continue;
        }
        let line = line.split(" #").next().unwrap_or_default().trim();
        if let Some(line) = line.strip_suffix('\\') {
            held.push_str(line);
            continue;
        }
        held.push_str(line);
        found.extend(std::mem::take(&mut held).split(" ; ").map(|part| part.trim().to_owned()));
    }
    found
}

/// What of a line is typed to us, and whether it goes over SSH.
fn command(line: &str) -> Option<(String, bool)> {
    let line = line.split(['<', '>', '|']).next().unwrap_or_default().trim();
    if let Some(rest) = line.strip_prefix("ssh … ") {
        return Some((rest.trim_start_matches("mm-operator@機械の番地 ").to_owned(), true));
    }
    // `init … --option` shows an option, not a command.
    line.strip_prefix("mimamori ").filter(|rest| !rest.contains(" … ")).map(|rest| (rest.to_owned(), false))
}

#[test]
fn what_the_papers_tell_to_type_is_a_command() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (paper, least) in PAPERS {
        let text = fs::read_to_string(root.join(paper)).unwrap();
        let commands: Vec<(String, bool)> = lines(&text).iter().filter_map(|line| command(line)).collect();
        assert!(commands.len() >= least, "{paper}: {} commands", commands.len());
        for (words, over_ssh) in commands {
            let typed = ["mimamori"].into_iter().chain(words.split_whitespace());
            let matches = declared().try_get_matches_from(typed);
            let read = matches.and_then(|matches| Typed::from_arg_matches(&matches));
            assert!(
                read.is_ok(),
                "{paper}: mimamori {words}: {}",
                read.err().map(|e| e.to_string()).unwrap_or_default()
            );
            if over_ssh {
                assert!(
                    matches!(line::read(&words), Ok(Wish::Run(_))),
                    "{paper}: the shell refuses `{words}`"
                );
            }
        }
    }
}
