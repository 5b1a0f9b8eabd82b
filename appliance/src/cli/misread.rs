//! What clap did not understand, in the operator's words: which word, what is near it, where to read on.
//! Pure: an error in, a sentence out; for what has no sentence here, clap's own.

use std::error::Error;

use clap::error::{ContextKind, ErrorKind};

use super::args::declared;
use crate::messages::Language;

/// The longest excerpt of clap's own words.
const LINES_MAX: usize = 6;

/// What was wrong, and whose `--help` says more.
pub struct Misread {
    pub why: String,
    /// `mimamori slot show`
    pub verb: String,
}

/// `typed`: the words of the command line, the program's name among them.
pub fn misread<'a>(
    error: &clap::Error,
    typed: impl IntoIterator<Item = &'a str>,
    language: Language,
) -> Misread {
    let (mut command, mut verb) = (declared(), "mimamori".to_owned());
    for word in typed {
        if let Some(found) = command.find_subcommand(word) {
            verb.push_str(&format!(" {word}"));
            command = found.clone();
        }
    }
    let why = match language {
        Language::Ja => ja(error, &command).unwrap_or_else(|| own_words(error)),
        Language::En => own_words(error),
    };
    Misread { why, verb }
}

fn ja(error: &clap::Error, command: &clap::Command) -> Option<String> {
    let word = |kind| said(error, kind);
    let near = |kind| word(kind).map(|near| format!("（もしかして: {near}）")).unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::InvalidSubcommand => {
            let near = near(ContextKind::SuggestedSubcommand);
            format!("`{}` という操作はありません{near}", word(ContextKind::InvalidSubcommand)?)
        }
        ErrorKind::UnknownArgument => {
            let near = near(ContextKind::SuggestedArg);
            format!("`{}` という引数はありません{near}", word(ContextKind::InvalidArg)?)
        }
        ErrorKind::MissingRequiredArgument => format!("{} がありません", word(ContextKind::InvalidArg)?),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let verbs: Vec<&str> = command.get_subcommands().map(clap::Command::get_name).collect();
            format!("操作を選んでください: {}", verbs.join(", "))
        }
        ErrorKind::ArgumentConflict => {
            let (one, other) = (word(ContextKind::InvalidArg)?, word(ContextKind::PriorArg)?);
            format!("{one} と {other} は同時に使えません")
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let (arg, value) = (word(ContextKind::InvalidArg)?, word(ContextKind::InvalidValue)?);
            if value.is_empty() {
                return Some(format!("{arg} の値がありません"));
            }
            let valid = word(ContextKind::ValidValue).map(|valid| format!("（使えるもの: {valid}）"));
            let cause = error.source().map(|cause| format!("（{cause}）"));
            format!("{arg} に `{value}` は使えません{}", valid.or(cause).unwrap_or_default())
        }
        _ => return None,
    })
}

fn said(error: &clap::Error, kind: ContextKind) -> Option<String> {
    error.get(kind).map(ToString::to_string)
}

/// Up to the usage, which `--help` gives better.
fn own_words(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.trim_start_matches("error: ").lines().map(str::trim).filter(|line| !line.is_empty());
    let end = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more information");
    let words: Vec<&str> = lines.take_while(end).take(LINES_MAX).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misread_line(line: &str) -> Misread {
        let error = declared().try_get_matches_from(line.split_whitespace()).unwrap_err();
        misread(&error, line.split_whitespace(), Language::Ja)
    }

    #[test]
    fn each_mistake_is_named_in_japanese_with_where_to_read_on() {
        for (line, sentence, verb) in [
            ("mimamori facilty list", "`facilty` という操作はありません（もしかして: ", "mimamori"),
            ("mimamori slot shwo", "`shwo` という操作はありません（もしかして: show", "mimamori slot"),
            (
                "mimamori status --chek",
                "`--chek` という引数はありません（もしかして: --check）",
                "mimamori status",
            ),
            ("mimamori slot show", "<SLOT> がありません", "mimamori slot show"),
            ("mimamori slot show 18-42", "<SLOT> に `18-42` は使えません（", "mimamori slot show"),
            (
                "mimamori device revoke 18-0042 --reason bored",
                "--reason <REASON> に `bored` は使えません（",
                "mimamori device revoke",
            ),
            (
                "mimamori audit list --room x",
                "に `x` は使えません（使えるもの: provisioning, sns）",
                "mimamori audit list",
            ),
            (
                "mimamori -o yaml status",
                "に `yaml` は使えません（使えるもの: text, json）",
                "mimamori status",
            ),
            ("mimamori case accept c-1 --all", "は同時に使えません", "mimamori case accept"),
            ("mimamori slot", "操作を選んでください: list, show, ", "mimamori slot"),
            ("mimamori", "操作を選んでください: init, check, run", "mimamori"),
        ] {
            let Misread { why, verb: shown } = misread_line(line);
            assert!(why.contains(sentence), "{line}: {why}");
            assert!(!why.contains("For more information") && !why.contains("tip:"), "{line}: {why}");
            assert_eq!(shown, verb, "{line}");
        }
    }
}
