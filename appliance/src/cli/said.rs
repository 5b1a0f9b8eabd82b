//! How states and moments stand in a table for people; JSON keeps the words of the protocol. Pure.

use crate::messages::Language;

/// `2026-11-21T10:22:59+09:00` → `2026-11-21 10:22:59`: everything here is Japanese time.
pub fn at(moment: &str) -> String {
    match moment.strip_suffix("+09:00").and_then(|local| local.split_once('T')) {
        Some((day, time)) => format!("{day} {}", time.split('.').next().unwrap_or(time)),
        None => moment.to_owned(),
    }
}

/// To the minute, where seconds are noise.
pub fn minute(moment: &str) -> String {
    let whole = at(moment);
    if whole == moment { whole } else { whole.chars().take(16).collect() }
}

/// `{"slot":"18-0042","kind":"sheet"}` → `kind=sheet slot=18-0042`, at most `columns` wide.
pub fn detail(value: &serde_json::Value, columns: usize) -> String {
    let plain = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = match value.as_object() {
        Some(map) => {
            let pairs = map.iter().filter(|(_, value)| !value.is_null() && value.as_str() != Some(""));
            pairs.map(|(key, value)| format!("{key}={}", plain(value))).collect::<Vec<_>>().join(" ")
        }
        None => plain(value),
    };
    super::width::cut(&text, columns)
}

/// A protocol's word as the consoles say it, or as it is for who reads English.
pub fn word(language: Language, consoles: fn(&str) -> &str, word: &str) -> &str {
    match language {
        Language::Ja => consoles(word),
        Language::En => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_short_and_others_words_are_left_alone() {
        assert_eq!(at("2026-11-21T10:22:59+09:00"), "2026-11-21 10:22:59");
        assert_eq!(at("2026-11-21T10:22:59.123+09:00"), "2026-11-21 10:22:59");
        assert_eq!(minute("2026-11-21T10:22:59+09:00"), "2026-11-21 10:22");
        for other in ["", "2026-11-21T10:22:59Z", "09:00:00"] {
            assert_eq!((at(other).as_str(), minute(other).as_str()), (other, other));
        }
    }

    #[test]
    fn details_are_words_not_json() {
        let value = serde_json::json!({"answer": "", "slot": "18-0042", "rule": null, "n": 3});
        assert_eq!(detail(&value, 60), "n=3 slot=18-0042");
        assert_eq!(detail(&serde_json::json!({"施設": "みなと内科"}), 12), "施設=みなと…");
    }
}
