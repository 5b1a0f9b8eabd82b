//! How mail leaves and comes back: smarthost, sender and bounce mailbox as the configuration names them, the DNS records that
//! make receivers believe the sender, and when a letter is tried again. Pure.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::smime_key::SmimeKey;

/// Names the key's DNS record; a new key gets a new name.
pub const SELECTOR: &str = "mimamori";
/// A TXT record is made of strings of at most this many octets (RFC 1035 3.3).
const TXT_STRING_MAX: usize = 255;

const MINUTE_MS: i64 = 60_000;
/// RFC 5321 4.5.4.1: soon at first, for a server that is only restarting or greylists.
const FIRST_WAITS_MIN: [i64; 4] = [1, 5, 15, 60];
/// Then calmly, so that a server which is back is not flooded.
const LATER_WAIT_MIN: i64 = 4 * 60;
/// Five days of them (RFC 5321: at least four to five days before giving up).
const LATER_WAITS: u32 = 5 * 24 * 60 / LATER_WAIT_MIN as u32;

/// The association's own way out; every mail goes through it.
#[derive(Clone)]
pub struct MailConfig {
    pub host: String,
    pub port: u16,
    pub tls: MailTls,
    pub login: Option<MailLogin>,
    /// On the realm's own zone: the only domain that our signature vouches for.
    pub from: String,
    /// Certificates (PEM) by which the smarthost is known. Unused without TLS.
    pub roots_pem: Vec<u8>,
    /// What signs letters as S/MIME; without it they are signed by DKIM alone.
    pub smime: Option<SmimeKey>,
    pub patience: Patience,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// STARTTLS, or TLS from the first byte on port 465; never without.
    Required,
    /// STARTTLS where it is offered; no login this way.
    Opportunistic,
    /// For a mail server on this machine.
    LoopbackOnly,
}

#[derive(Clone)]
pub struct MailLogin {
    pub username: String,
    pub password: Zeroizing<String>,
}

/// Where bounces are, and by what the server is known.
#[derive(Clone)]
pub struct BounceBox {
    pub host: String,
    pub port: u16,
    pub username: String,
    pub password: Zeroizing<String>,
    /// `INBOX`, or a folder into which the provider sorts.
    pub folder: String,
    /// Certificates (PEM) by which the server is known.
    pub roots_pem: Vec<u8>,
}

/// How long a server may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until it has greeted us, with TLS and login.
    pub greeting: Duration,
    /// For one mail: RFC 5321 4.5.3.2 asks for ten minutes after the last dot.
    pub mail: Duration,
}

impl Patience {
    pub const RFC_5321: Patience =
        Patience { greeting: Duration::from_secs(5 * 60), mail: Duration::from_secs(20 * 60) };
}

/// What a mail server made of a letter; its words with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handed {
    Accepted(String),
    /// Busy, unreachable, silent, or a fault on our side of it: try again.
    Later(String),
    /// This letter will never be taken.
    Refused(String),
}

/// Milliseconds until the next attempt, after `attempts` earlier ones; `None`: give up and tell somebody.
pub fn wait_ms(attempts: u32) -> Option<i64> {
    let first = usize::try_from(attempts).ok().and_then(|n| FIRST_WAITS_MIN.get(n));
    match first {
        Some(minutes) => Some(minutes * MINUTE_MS),
        None if attempts < FIRST_WAITS_MIN.len() as u32 + LATER_WAITS => Some(LATER_WAIT_MIN * MINUTE_MS),
        None => None,
    }
}

/// One TXT record, to be published once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TxtRecord {
    pub name: String,
    pub value: String,
}

impl TxtRecord {
    /// As a zone file wants it: long values in several strings.
    pub fn zone_line(&self) -> String {
        let octets: Vec<char> = self.value.chars().collect();
        let strings: Vec<String> = octets
            .chunks(TXT_STRING_MAX)
            .map(|part| format!("\"{}\"", part.iter().collect::<String>()))
            .collect();
        format!("{}. IN TXT {}", self.name, strings.join(" "))
    }
}

/// `public_key`: the signing key's SubjectPublicKeyInfo in base64.
pub fn records(zone: &str, smarthost: &str, public_key: &str) -> [TxtRecord; 3] {
    [
        TxtRecord {
            name: format!("{SELECTOR}._domainkey.{zone}"),
            value: format!("v=DKIM1; h=sha256; k=rsa; s=email; p={public_key}"),
        },
        TxtRecord { name: zone.to_owned(), value: format!("v=spf1 a:{smarthost} -all") },
        TxtRecord { name: format!("_dmarc.{zone}"), value: "v=DMARC1; p=reject; adkim=s; aspf=s".to_owned() },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5321 4.5.4.1: 1, 5, 15, 60 minutes, then every four hours up to five days.
    #[test]
    fn a_letter_is_tried_for_five_days_and_then_given_up() {
        let minutes: Vec<i64> = (0..5).filter_map(wait_ms).map(|ms| ms / MINUTE_MS).collect();
        assert_eq!(minutes, [1, 5, 15, 60, 240]);
        let all: i64 = (0..).map_while(wait_ms).sum();
        let days = all as f64 / (24.0 * 60.0 * MINUTE_MS as f64);
        assert!((5.0..5.2).contains(&days), "{days}");
        assert_eq!(wait_ms(u32::MAX), None);
    }

    #[test]
    fn long_records_are_split_and_nothing_is_lost() {
        let key = "A".repeat(392);
        let [dkim, spf, dmarc] = records("mimamori.example.jp", "mail.example.jp", &key);
        let line = dkim.zone_line();
        assert!(line.starts_with("mimamori._domainkey.mimamori.example.jp. IN TXT \"v=DKIM1; "));
        let strings: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
        assert!(strings.iter().all(|s| s.len() <= TXT_STRING_MAX) && strings.concat() == dkim.value);
        assert_eq!(spf.zone_line(), "mimamori.example.jp. IN TXT \"v=spf1 a:mail.example.jp -all\"");
        assert!(dmarc.value.contains("p=reject"));
    }
}
