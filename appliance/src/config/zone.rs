//! The realm's zone: a domain of the association's own. A pure value.

use std::fmt;

/// Longest zone: `18ff-0000.dev.` in front must still be a name of 253 characters.
const ZONE_MAX: usize = 200;

/// A domain name of at least two labels, in lower case, without the last dot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(String);

impl Zone {
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let labels: Vec<&str> = text.split('.').collect();
        let label_fits = |label: &&str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if labels.len() < 2 || text.len() > ZONE_MAX {
            return Err("小文字のドメイン名、例 mimamori.example.jp / a domain such as mimamori.example.jp");
        }
        if !labels.iter().all(label_fits) {
            return Err("小文字の英数字とハイフンだけ / lower-case letters, digits and hyphens only");
        }
        if labels.last().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit())) {
            return Err("番地ではなく名前 / a name, not an address");
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
