//! The configuration as `init` writes it: every key of the table with its comment, Japanese first.
//! What is not given stands as a comment with its default, so that the file explains itself. Pure.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::keys::{KEYS, Need, sections};
use super::titles::section_title;

/// `given` maps a key's path (`realm.zone`) to its value in TOML.
pub fn write(given: &BTreeMap<&str, String>) -> String {
    let mut text = String::from(
        "# みまもり（mimamori）の設定。書き換えたら mimamori check で確かめてください。\n\
         # Configuration of mimamori. After a change, ask: mimamori check\n",
    );
    for section in sections() {
        let (ja, en) = section_title(section);
        let _ = write!(text, "\n# {ja}\n# {en}\n[{section}]\n");
        for key in KEYS.iter().filter(|key| key.section == section) {
            let value = given.get(key.path().as_str());
            // The second way to name a secret would only be noise beside the first.
            if value.is_none() && key.need == Need::OneOfTwo {
                continue;
            }
            let _ = write!(text, "# {}\n# {}\n", key.ja, key.en);
            let _ = match (value, key.need) {
                (Some(value), _) => writeln!(text, "{} = {value}", key.name),
                (None, Need::Default(value)) => writeln!(text, "# {} = {value}", key.name),
                (None, _) => writeln!(text, "# {} =", key.name),
            };
        }
    }
    text
}

/// A TOML basic string.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
