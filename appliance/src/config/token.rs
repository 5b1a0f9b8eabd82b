//! `[token]`: the device that holds the authorities' keys, or nothing at all. Pure; the PIN's place, never the PIN.

use std::path::PathBuf;

use super::typed::{SecretPlace, absolute};

/// CK_TOKEN_INFO has no more room.
const LABEL_MAX: usize = 32;
/// A module has one store and one file of settings; each is a hole in a jail.
const PLACES_MAX: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub module: PathBuf,
    pub label: String,
    pub pin: SecretPlace,
    /// Folders that the module changes.
    pub writes: Vec<PathBuf>,
    /// Files that it reads again while the process is in its jail.
    pub reads: Vec<PathBuf>,
}

/// The section as somebody wrote it.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub module: Option<String>,
    pub label: Option<String>,
    /// The inner `None`: written, and already found wrong.
    pub pin: Option<Option<SecretPlace>>,
    pub writes: Vec<String>,
    pub reads: Vec<String>,
}

/// Key, value and reason in both languages.
pub type Wrong = (&'static str, String, &'static str);

/// `None` without a module; every fault otherwise.
pub fn mean(written: Written) -> Result<Option<Token>, Vec<Wrong>> {
    const ABSOLUTE: &str = "絶対パス / an absolute path";
    let Written { module, label, pin, writes, reads } = written;
    let Some(module) = module else {
        let alone = [
            ("token.label", label.is_some()),
            ("token.pin_file", pin.is_some()),
            ("token.writes", !writes.is_empty()),
            ("token.reads", !reads.is_empty()),
        ];
        return match alone.into_iter().find(|(_, written)| *written) {
            Some((key, _)) => {
                Err(vec![(key, "…".into(), "token.module も書いてください / token.module is missing")])
            }
            None => Ok(None),
        };
    };
    let mut wrong: Vec<Wrong> = Vec::new();
    let found = absolute(&module);
    if found.is_none() {
        wrong.push(("token.module", module, ABSOLUTE));
    }
    let label = label.unwrap_or_default();
    if label.is_empty() || label.len() > LABEL_MAX || label.contains(char::is_control) {
        wrong.push(("token.label", label.clone(), "1–32バイト / 1 to 32 bytes"));
    }
    if pin.is_none() {
        let why = "token.pin_file か token.pin_credential / token.pin_file or token.pin_credential";
        wrong.push(("token.pin_file", "–".into(), why));
    }
    let mut places = |key: &'static str, texts: Vec<String>| {
        if texts.len() > PLACES_MAX {
            wrong.push((key, texts.len().to_string(), "8個まで / at most 8"));
        }
        let mut found = Vec::new();
        for text in texts {
            match absolute(&text) {
                Some(path) => found.push(path),
                None => wrong.push((key, text, ABSOLUTE)),
            }
        }
        found
    };
    let (writes, reads) = (places("token.writes", writes), places("token.reads", reads));
    match (found, pin) {
        (Some(module), Some(Some(pin))) if wrong.is_empty() => {
            Ok(Some(Token { module, label, pin, writes, reads }))
        }
        // What is wrong with the PIN's place is said already.
        _ => Err(wrong),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole() -> Written {
        Written {
            module: Some("/usr/lib/softhsm/libsofthsm2.so".into()),
            label: Some("mimamori".into()),
            pin: Some(Some(SecretPlace::Credential("token_pin".into()))),
            writes: vec!["/var/lib/softhsm".into()],
            reads: vec!["/etc/softhsm/softhsm2.conf".into()],
        }
    }

    fn keys(written: Written) -> Vec<&'static str> {
        mean(written).unwrap_err().into_iter().map(|(key, _, _)| key).collect()
    }

    #[test]
    fn a_token_is_written_whole_or_not_at_all() {
        assert_eq!(mean(Written::default()), Ok(None));
        assert_eq!(mean(whole()).unwrap().unwrap().label, "mimamori");
        assert_eq!(keys(Written { module: None, ..whole() }), ["token.label"]);
        assert_eq!(keys(Written { label: None, pin: None, ..whole() }), ["token.label", "token.pin_file"]);
        assert_eq!(keys(Written { label: Some("x".repeat(33)), ..whole() }), ["token.label"]);
        let relative = Written {
            module: Some("libsofthsm2.so".into()),
            writes: vec!["a".into()],
            reads: vec!["/a/../b".into()],
            ..whole()
        };
        assert_eq!(keys(relative), ["token.module", "token.writes", "token.reads"]);
        // The place of the PIN was found wrong before: nothing more is said, and nothing is taken.
        assert_eq!(keys(Written { pin: Some(None), ..whole() }), [""; 0]);
    }
}
