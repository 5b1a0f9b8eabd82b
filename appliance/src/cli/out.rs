//! The one place that writes to the terminal. Each command writes its result once; a reader that has gone
//! (`| head`) ends the output and nothing else.

use std::io::{ErrorKind, IsTerminal, Write};

use serde::Serialize;
use serde_json::Value;

use super::args::Format;
use super::failure::Failure;
use super::said;
use super::table::Ink;
use crate::messages::{Language, Message};

pub struct Out {
    format: Format,
    language: Language,
}

impl Out {
    pub fn new(format: Format, language: Language) -> Self {
        Self { format, language }
    }

    pub fn language(&self) -> Language {
        self.language
    }

    /// Colours for a person at a terminal who has not switched them off (no-color.org).
    pub fn ink(&self) -> Ink {
        ink(std::io::stdout().is_terminal())
    }

    /// The words of the operator's language.
    pub fn pick<T>(&self, ja: T, en: T) -> T {
        self.language.pick(ja, en)
    }

    /// A state as the consoles say it.
    pub fn word(&self, consoles: fn(&str) -> &str, word: &str) -> String {
        said::word(self.language, consoles, word).to_owned()
    }

    /// The result, as JSON or as text; whichever is wanted is made.
    pub fn result<T: Serialize>(&self, value: &T, text: impl FnOnce() -> String) -> Result<(), Failure> {
        match self.format {
            Format::Text => stdout(&text()),
            Format::Json => {
                let mut json = serde_json::to_string_pretty(value)
                    .map_err(|error| Message::Output { why: error.to_string() })?;
                json.push('\n');
                stdout(&json)
            }
        }
    }

    /// Text as it is, whatever the format (help, version of clap).
    pub fn plain(&self, text: &str) -> Result<(), Failure> {
        stdout(text)
    }

    /// What goes on, to a person who waits; never among the results.
    pub fn progress(&self, ja: &str, en: &str) {
        if self.format == Format::Text && std::io::stderr().is_terminal() {
            stderr(&format!("… {}\n", self.pick(ja, en)));
        }
    }

    /// A step of a service, for its journal and its console.
    pub fn told(&self, ja: &str, en: &str) {
        stderr(&format!("{}\n", self.pick(ja, en)));
    }

    /// A failure: cause and remedy to stderr; with `-o json` also as JSON to stdout.
    pub fn failure(&self, failure: &Failure) {
        stderr(&failure.text(self.language, ink(std::io::stderr().is_terminal())));
        if self.format == Format::Json {
            let mut json = failure.json().to_string();
            json.push('\n');
            // The exit code says it, too.
            let _ = stdout(&json);
        }
    }

    /// What is worth knowing beside a result that is already written.
    pub fn remark(&self, failure: &Failure) {
        stderr(&failure.text(self.language, ink(std::io::stderr().is_terminal())));
    }
}

/// For results that are made of several answers.
pub fn object(pairs: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    Value::Object(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

fn ink(terminal: bool) -> Ink {
    let said = |name: &str| std::env::var(name).unwrap_or_default();
    let wanted = said("NO_COLOR").is_empty() && said("TERM") != "dumb";
    if terminal && wanted { Ink::Colour } else { Ink::Plain }
}

fn stdout(text: &str) -> Result<(), Failure> {
    let mut stdout = std::io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Message::Output { why: error.to_string() }.into())
        }
        _ => Ok(()),
    }
}

fn stderr(text: &str) {
    // Nobody is left to be told.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
