//! How a command fails: one line of cause, one of remedy, a code, an exit code. The one shape to which the
//! catalogues of all rooms are brought before they are shown. Pure values.

use pki::identity::TraceId;
use provisioning::door::{Trouble, TroubleKind};
use serde_json::{Value, json};

use super::table::Ink;
use crate::config::Fault;
use crate::exit::Exit;
use crate::messages::{Language, Message};

/// What a code says, from whichever catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub code: String,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub exit: Exit,
    pub words: Box<Words>,
    pub trace: Option<TraceId>,
    /// The single faults of a configuration.
    pub faults: Vec<Fault>,
}

impl Failure {
    pub fn traced(mut self, trace: TraceId) -> Self {
        self.trace = Some(trace);
        self
    }

    /// Every fault of a configuration under one heading.
    pub fn config(faults: Vec<Fault>) -> Self {
        let mut failure = Self::from(Message::ManyFaults { count: faults.len().to_string() });
        failure.faults = faults;
        failure
    }

    /// `MM-6050 cause` and `→ remedy`, for people.
    pub fn text(&self, language: Language, ink: Ink) -> String {
        let mut text = String::new();
        for fault in &self.faults {
            text.push_str(&fault.text(language));
            text.push('\n');
        }
        let words = &self.words;
        let cause = language.pick(&words.ja, &words.en);
        let remedy = language.pick(&words.remedy_ja, &words.remedy_en);
        text.push_str(&format!("{} {cause}\n→ {remedy}\n", ink.bad(&words.code)));
        if let Some(trace) = self.trace {
            text.push_str(&format!("  trace {trace}\n"));
        }
        text
    }

    pub fn json(&self) -> Value {
        let faults: Vec<Value> = self
            .faults
            .iter()
            .map(|fault| {
                let message = &fault.message;
                json!({
                    "line": fault.line, "code": message.code(), "ja": message.ja(), "en": message.en(),
                    "remedy_ja": message.remedy_ja(), "remedy_en": message.remedy_en(),
                })
            })
            .collect();
        let words = &self.words;
        let mut error = json!({
            "code": words.code, "exit": self.exit.code(), "ja": words.ja, "en": words.en,
            "remedy_ja": words.remedy_ja, "remedy_en": words.remedy_en, "trace": self.trace.map(|t| t.to_string()),
        });
        if !faults.is_empty() {
            error["faults"] = Value::Array(faults);
        }
        json!({ "error": error })
    }
}

impl From<Message> for Failure {
    fn from(message: Message) -> Self {
        let words = Words {
            code: message.code().to_owned(),
            ja: message.ja(),
            en: message.en(),
            remedy_ja: message.remedy_ja(),
            remedy_en: message.remedy_en(),
        };
        Self { exit: message.exit(), words: Box::new(words), trace: None, faults: Vec::new() }
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        let exit = match trouble.kind {
            TroubleKind::Usage => Exit::Usage,
            TroubleKind::NotFound => Exit::NotFound,
            TroubleKind::Conflict => Exit::Conflict,
            TroubleKind::Denied => Exit::Denied,
            TroubleKind::TryLater => Exit::TryLater,
            TroubleKind::Internal => Exit::Failed,
        };
        let Trouble { code, ja, en, remedy_ja, remedy_en, .. } = trouble;
        let words = Box::new(Words { code, ja, en, remedy_ja, remedy_en });
        Self { exit, words, trace: None, faults: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts rely on these numbers.
    #[test]
    fn each_kind_of_trouble_has_its_exit_code() {
        let table = [
            (TroubleKind::Usage, 2),
            (TroubleKind::NotFound, 3),
            (TroubleKind::Conflict, 4),
            (TroubleKind::Denied, 5),
            (TroubleKind::TryLater, 75),
            (TroubleKind::Internal, 1),
        ];
        for (kind, exit) in table {
            let words = || "x".to_owned();
            let trouble = Trouble {
                code: words(),
                kind,
                ja: words(),
                en: words(),
                remedy_ja: words(),
                remedy_en: words(),
            };
            assert_eq!(Failure::from(trouble).exit.code(), exit);
        }
        assert_eq!(Failure::config(vec![]).exit.code(), 64);
    }

    #[test]
    fn a_failure_says_cause_and_remedy_and_its_code() {
        let failure = Failure::from(Message::UnknownCode { code: "MM-0".into() });
        assert_eq!(
            failure.text(Language::En, Ink::Plain),
            "MM-6057 there is no code `MM-0`\n→ a code is MM- and four digits\n"
        );
        assert_eq!(failure.json()["error"]["exit"], 3);
    }
}
