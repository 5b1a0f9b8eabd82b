//! One fault of the configuration, with its place. A pure value; a report is a list of them.

use crate::messages::{Language, Message};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; `None` when the fault is that nothing is there.
    pub line: Option<u32>,
    pub message: Message,
}

impl Fault {
    pub fn at(line: u32, message: Message) -> Self {
        Self { line: Some(line), message }
    }

    pub fn nowhere(message: Message) -> Self {
        Self { line: None, message }
    }

    /// `12行目: MM-6002 …`, in one line.
    pub fn text(&self, language: Language) -> String {
        let message = &self.message;
        let place = match self.line {
            Some(line) => language.pick(format!("{line}行目: "), format!("line {line}: ")),
            None => String::new(),
        };
        let remedy =
            language.pick(format!("（{}）", message.remedy_ja()), format!(" ({})", message.remedy_en()));
        format!("{place}{} {}{remedy}", message.code(), message.text(language))
    }
}
