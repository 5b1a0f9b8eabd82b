//! `[mail]`: the smarthost, the sender and what signs its mails, or nothing at all. Pure; the secrets' places, never the secrets.

use std::path::PathBuf;

use provisioning::post::MailTls;

use super::typed::{SecretPlace, absolute};

/// Longest name of an account: what a smarthost gives out is an address.
pub const USERNAME_MAX: usize = 254;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub from: String,
    pub login: Option<Login>,
    /// Certificate, issuers and key of S/MIME; without it mails are signed by DKIM alone.
    pub smime: Option<SecretPlace>,
    pub roots: PathBuf,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub username: String,
    pub password: SecretPlace,
}

/// The section as somebody wrote it, with its defaults.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub smarthost: Option<String>,
    pub port: i64,
    pub tls: String,
    pub from: Option<String>,
    pub username: Option<String>,
    /// The inner `None`: written, and already found wrong.
    pub password: Option<Option<SecretPlace>>,
    /// The same.
    pub smime: Option<Option<SecretPlace>>,
    pub ca_file: String,
}

/// Key, value and reason in both languages.
pub type Wrong = (&'static str, String, String);

/// `None` without a smarthost; every fault otherwise.
pub fn mean(written: Written, zone: &str) -> Result<Option<Mail>, Vec<Wrong>> {
    let mut wrong = Vec::new();
    let Written { smarthost, port, tls, from, username, password, smime, ca_file } = written;
    let Some(host) = smarthost else {
        let alone = [
            ("mail.from", from.is_some()),
            ("mail.username", username.is_some()),
            ("mail.password_file", password.is_some()),
            ("mail.smime_file", smime.is_some()),
        ];
        if let Some((key, _)) = alone.into_iter().find(|(_, written)| *written) {
            wrong.push((
                key,
                "…".into(),
                "mail.smarthost も書いてください / mail.smarthost is missing".into(),
            ));
            return Err(wrong);
        }
        return Ok(None);
    };
    let mut say = |key: &'static str, value: &str, why: String| wrong.push((key, value.to_owned(), why));
    let loopback = matches!(host.as_str(), "localhost" | "127.0.0.1");
    if !loopback && !host_fits(&host) {
        say(
            "mail.smarthost",
            &host,
            "送信サーバーの名前 / the mail server's name, e.g. smtp.example.jp".into(),
        );
    }
    let tls = match tls.as_str() {
        "required" => MailTls::Required,
        "opportunistic" => MailTls::Opportunistic,
        "none" if loopback => MailTls::LoopbackOnly,
        other => {
            let why = "required か opportunistic（none は localhost だけ） / required or opportunistic (none for localhost only)";
            say("mail.tls", other, why.into());
            MailTls::Required
        }
    };
    let port = u16::try_from(port).ok().filter(|port| *port != 0);
    if port.is_none() {
        say("mail.port", "…", "1–65535 / 1 to 65535".into());
    }
    let from = from.unwrap_or_default();
    if !sender_fits(&from, zone) {
        let why = format!(
            "差出人は 名前@{zone} にしてください。gmail.com など、ほかのドメインからのメールは受け手のDMARCの検査で捨てられます / \
             the sender must be name@{zone}: receivers' DMARC checks throw away mail from other domains such as gmail.com"
        );
        say("mail.from", &from, why);
    }
    let login = login(username, password, tls, &mut say);
    let roots = absolute(&ca_file);
    if roots.is_none() {
        say("mail.ca_file", &ca_file, "絶対パス / an absolute path".into());
    }
    match (port, roots) {
        (Some(port), Some(roots)) if wrong.is_empty() => {
            Ok(Some(Mail { host, port, tls, from, login, smime: smime.flatten(), roots }))
        }
        _ => Err(wrong),
    }
}

/// Both or neither, and never in the clear. `say` takes what is wrong.
fn login(
    username: Option<String>,
    password: Option<Option<SecretPlace>>,
    tls: MailTls,
    say: &mut impl FnMut(&'static str, &str, String),
) -> Option<Login> {
    match (username, password) {
        (None, None) => None,
        (Some(username), Some(Some(password))) => {
            if username.is_empty() || username.len() > USERNAME_MAX || username.contains(char::is_control) {
                say("mail.username", "…", "1–254文字 / 1 to 254 characters".into());
            }
            if tls == MailTls::Opportunistic {
                let why = "パスワードを使うときは required / required, because a password is sent";
                say("mail.tls", "opportunistic", why.into());
            }
            Some(Login { username, password })
        }
        (_, Some(None)) => None,
        _ => {
            let why = "username と password_file（または password_credential）は両方書いてください / username and password_file (or password_credential) go together";
            say("mail.username", "…", why.into());
            None
        }
    }
}

/// A name of at least two labels: its certificate is checked by it.
pub fn host_fits(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    host.len() <= 253 && host.contains('.') && host.split('.').all(label)
}

/// On the realm's own zone, which is what our signature vouches for.
fn sender_fits(from: &str, zone: &str) -> bool {
    from.rsplit_once('@').is_some_and(|(local, domain)| {
        let atom = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'+' | b'.');
        domain == zone
            && (1..=64).contains(&local.len())
            && local.bytes().all(atom)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Written {
        Written {
            smarthost: Some("smtp.example.jp".into()),
            port: 587,
            tls: "required".into(),
            from: Some("jimukyoku@mimamori.example.jp".into()),
            username: Some("mimamori".into()),
            password: Some(Some(SecretPlace::File("/etc/mimamori/mail".into()))),
            smime: None,
            ca_file: "/etc/ssl/certs/ca-certificates.crt".into(),
        }
    }

    fn meant(change: impl FnOnce(&mut Written)) -> Result<Option<Mail>, Vec<Wrong>> {
        let mut written = written();
        change(&mut written);
        mean(written, "mimamori.example.jp")
    }

    #[test]
    fn a_whole_section_is_a_way_out_and_an_empty_one_is_none() {
        let mail = meant(|_| ()).unwrap().unwrap();
        assert_eq!((mail.port, mail.tls, mail.login.is_some()), (587, MailTls::Required, true));
        let alone =
            |w: &mut Written| *w = Written { port: 587, tls: "required".into(), ..Written::default() };
        assert_eq!(meant(alone), Ok(None));
        let local = meant(|w| {
            (w.smarthost, w.tls) = (Some("localhost".into()), "none".into());
            (w.username, w.password) = (None, None);
        });
        assert_eq!(local.unwrap().unwrap().tls, MailTls::LoopbackOnly);
    }

    /// A free-mail sender fails DMARC at every large receiver: said before the first mail, not after.
    #[test]
    fn a_sender_of_another_domain_is_refused_and_dmarc_is_named() {
        for from in [
            "fukui.mimamori@gmail.com",
            "jimukyoku@yahoo.co.jp",
            "jimukyoku@example.jp",
            "jimukyoku@mimamori.example.jp.evil.example",
            "a@b@mimamori.example.jp",
            "a\r\nBcc: x@mimamori.example.jp",
            "@mimamori.example.jp",
            "",
        ] {
            let wrong = meant(|w| w.from = Some(from.into())).unwrap_err();
            assert!(
                wrong.iter().any(|(key, _, why)| *key == "mail.from" && why.contains("DMARC")),
                "{from:?}"
            );
        }
    }

    #[test]
    fn each_fault_is_named() {
        type Change = fn(&mut Written);
        let table: [(&str, Change); 8] = [
            ("mail.from", |w| w.smarthost = None),
            ("mail.smime_file", |w| {
                let smime = Some(Some(SecretPlace::File("/etc/mimamori/smime".into())));
                *w = Written { smime, ..Written::default() };
            }),
            ("mail.smarthost", |w| w.smarthost = Some("smtp".into())),
            ("mail.port", |w| w.port = 0),
            ("mail.tls", |w| w.tls = "none".into()),
            ("mail.tls", |w| w.tls = "opportunistic".into()),
            ("mail.username", |w| w.password = None),
            ("mail.ca_file", |w| w.ca_file = "roots".into()),
        ];
        for (key, change) in table {
            let wrong = meant(change).unwrap_err();
            assert!(wrong.iter().any(|(named, ..)| *named == key), "{key}: {wrong:?}");
        }
    }
}
