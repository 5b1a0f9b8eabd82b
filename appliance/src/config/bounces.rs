//! `[bounces]`: the mailbox to which undeliverable mail comes back, or nothing at all. Pure; the password's place, never the
//! password.

use super::mail::{USERNAME_MAX, Wrong, host_fits};
use super::typed::SecretPlace;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bounces {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: SecretPlace,
    pub folder: String,
}

/// The section as somebody wrote it, with its defaults.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub server: Option<String>,
    pub port: i64,
    pub username: Option<String>,
    /// The inner `None`: written, and already found wrong.
    pub password: Option<Option<SecretPlace>>,
    pub folder: String,
}

/// `None` without a server; every fault otherwise. `mails`: is there a `[mail]`?
pub fn mean(written: Written, mails: bool) -> Result<Option<Bounces>, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let mut say =
        |key: &'static str, value: &str, why: &str| wrong.push((key, value.to_owned(), why.to_owned()));
    let Written { server, port, username, password, folder } = written;
    let Some(host) = server else {
        if username.is_some() || password.is_some() {
            say("bounces.server", "…", "bounces.server も書いてください / bounces.server is missing");
            return Err(wrong);
        }
        return Ok(None);
    };
    if !mails {
        say(
            "bounces.server",
            &host,
            "[mail] がないので、戻るメールもありません / without [mail] nothing comes back",
        );
    }
    if !matches!(host.as_str(), "localhost" | "127.0.0.1") && !host_fits(&host) {
        say("bounces.server", &host, "受信サーバーの名前 / the mail server's name, e.g. imap.example.jp");
    }
    let port = u16::try_from(port).ok().filter(|port| *port != 0);
    if port.is_none() {
        say("bounces.port", "…", "1–65535 / 1 to 65535");
    }
    let username = username.unwrap_or_default();
    if username.is_empty() || username.len() > USERNAME_MAX || !is_printable(&username) {
        say("bounces.username", "…", "1–254文字の英数字と記号 / 1 to 254 printable ASCII characters");
    }
    if folder.is_empty() || folder.len() > USERNAME_MAX || !is_printable(&folder) {
        say("bounces.folder", &folder, "英数字と記号 / printable ASCII, such as INBOX");
    }
    if password.is_none() {
        say(
            "bounces.password_file",
            "…",
            "password_file か password_credential を書いてください / password_file or password_credential is missing",
        );
    }
    match (port, password.flatten()) {
        (Some(port), Some(password)) if wrong.is_empty() => {
            Ok(Some(Bounces { host, port, username, password, folder }))
        }
        _ => Err(wrong),
    }
}

/// What stands between quotes in IMAP.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|octet| matches!(octet, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written {
        Written {
            server: Some("imap.example.jp".into()),
            port: 993,
            username: Some("bounce@mimamori.example.jp".into()),
            password: Some(Some(SecretPlace::File("/etc/mimamori/bounces".into()))),
            folder: "INBOX".into(),
        }
    }

    fn meant(change: impl FnOnce(&mut Written)) -> Result<Option<Bounces>, Vec<Wrong>> {
        let mut written = written();
        change(&mut written);
        mean(written, true)
    }

    #[test]
    fn a_whole_section_is_a_mailbox_and_an_empty_one_is_none() {
        let place = meant(|_| ()).unwrap().unwrap();
        assert_eq!((place.port, place.folder.as_str()), (993, "INBOX"));
        assert_eq!(
            mean(Written { port: 993, folder: "INBOX".into(), ..Written::default() }, false),
            Ok(None)
        );
    }

    #[test]
    fn each_fault_is_named() {
        type Change = fn(&mut Written);
        let table: [(&str, Change); 8] = [
            ("bounces.server", |w| w.server = None),
            ("bounces.server", |w| w.server = Some("imap".into())),
            ("bounces.port", |w| w.port = 70_000),
            ("bounces.username", |w| w.username = None),
            ("bounces.username", |w| w.username = Some("a\r\nb".into())),
            ("bounces.folder", |w| w.folder = "戻り".into()),
            ("bounces.folder", |w| w.folder = String::new()),
            ("bounces.password_file", |w| w.password = None),
        ];
        for (key, change) in table {
            let wrong = meant(change).unwrap_err();
            assert!(wrong.iter().any(|(named, ..)| *named == key), "{key}: {wrong:?}");
        }
        assert!(mean(written(), false).is_err(), "nothing comes back where nothing is sent");
    }
}
