//! The lines of the ledger: one per act, in one text form, never changed later. Pure.
//! No person, no patient, no token, no key stands in them: numbers, names of slots, and hashes.

use vpn::slot::SlotNumber;

use crate::chain::Hash;
use crate::door::{DeviceKind, RevocationReason};
use crate::lifetime::{seconds, utc};
use crate::serial::CertificateSerial;

/// Longest subject of an attestation: a line, not a letter.
pub const SUBJECT_MAX: usize = 200;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Entry 0: the ceremony that made the root and the CAs.
    Ceremony {
        transcript: Hash,
    },
    /// A certificate that the ceremony signed, or that the root's key signed since to follow one of them.
    Founding {
        name: &'static str,
        serial: CertificateSerial,
        certificate: Hash,
    },
    /// What is about to be signed; stands before every signature.
    Planned {
        serial: CertificateSerial,
        slot: SlotNumber,
        kind: DeviceKind,
        key: Hash,
        not_after: i64,
        tbs: Hash,
    },
    Signed {
        serial: CertificateSerial,
        certificate: Hash,
    },
    /// Planned, and never signed.
    Abandoned {
        serial: CertificateSerial,
        why: Abandon,
    },
    Revoked {
        serial: CertificateSerial,
        reason: RevocationReason,
    },
    /// The key that will sign OCSP answers; stands before its certificate's signature.
    Delegate {
        serial: CertificateSerial,
        key: Hash,
        not_after: i64,
        tbs: Hash,
    },
    /// A certificate of the server CA (the gateway's next, the one that signs profiles); stands before its signature.
    Server {
        serial: CertificateSerial,
        key: Hash,
        not_after: i64,
        tbs: Hash,
    },
    List {
        shard: u8,
        number: u64,
        tbs: Hash,
    },
    Attestation {
        hash: Hash,
        subject: String,
    },
    /// The administrators' acts upon the authority itself.
    Started {
        version: &'static str,
    },
    /// What an operator did to the authority; `by` is the Unix user.
    Admin {
        by: String,
        act: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abandon {
    /// The authority stopped between record and signature.
    Stopped,
    Lint,
    Signer,
}

impl Entry {
    /// The first word of the line.
    pub fn kind(&self) -> &'static str {
        match self {
            Entry::Ceremony { .. } => "ceremony",
            Entry::Founding { .. } => "founding",
            Entry::Planned { .. } => "planned",
            Entry::Signed { .. } => "signed",
            Entry::Abandoned { .. } => "abandoned",
            Entry::Revoked { .. } => "revoked",
            Entry::Delegate { .. } => "delegate",
            Entry::Server { .. } => "server",
            Entry::List { .. } => "list",
            Entry::Attestation { .. } => "attestation",
            Entry::Started { .. } => "started",
            Entry::Admin { .. } => "admin",
        }
    }

    /// The whole line; `at` in Unix seconds.
    pub fn line(&self, at: i64) -> String {
        let rest = match self {
            Entry::Ceremony { transcript } => format!("transcript={transcript}"),
            Entry::Founding { name, serial, certificate } => {
                format!("name={name} serial={serial} certificate={certificate}")
            }
            Entry::Planned { serial, slot, kind, key, not_after, tbs } => format!(
                "serial={serial} slot={slot} kind={} key={key} until={} tbs={tbs}",
                kind.as_str(),
                utc(*not_after)
            ),
            Entry::Signed { serial, certificate } => format!("serial={serial} certificate={certificate}"),
            Entry::Abandoned { serial, why } => format!(
                "serial={serial} why={}",
                match why {
                    Abandon::Stopped => "stopped",
                    Abandon::Lint => "lint",
                    Abandon::Signer => "signer",
                }
            ),
            Entry::Revoked { serial, reason } => format!("serial={serial} reason={}", reason.as_str()),
            Entry::Delegate { serial, key, not_after, tbs }
            | Entry::Server { serial, key, not_after, tbs } => {
                format!("serial={serial} key={key} until={} tbs={tbs}", utc(*not_after))
            }
            Entry::List { shard, number, tbs } => format!("shard={shard:02} number={number} tbs={tbs}"),
            Entry::Attestation { hash, subject } => format!("hash={hash} subject={subject}"),
            Entry::Started { version } => format!("version={version}"),
            Entry::Admin { by, act } => format!("by={} act={}", one_line(by), one_line(act)),
        };
        format!("v1 {} {} {rest}", utc(at), self.kind())
    }
}

/// A text from elsewhere must not pretend to be another line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SUBJECT_MAX).collect()
}

/// The kind of a stored line.
pub fn kind_of(line: &str) -> &str {
    line.split(' ').nth(2).unwrap_or("")
}

/// A stored line, taken apart.
pub struct Fields<'a> {
    /// Unix seconds.
    pub at: i64,
    pub kind: &'a str,
    rest: &'a str,
}

impl<'a> Fields<'a> {
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.rest.split(' ').find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    }

    pub fn time(&self, name: &str) -> Option<i64> {
        seconds(self.get(name)?)
    }
}

pub fn fields(line: &str) -> Option<Fields<'_>> {
    let mut parts = line.splitn(4, ' ');
    if parts.next()? != "v1" {
        return None;
    }
    Some(Fields { at: seconds(parts.next()?)?, kind: parts.next()?, rest: parts.next().unwrap_or("") })
}

/// A subject is one printable line: it stands in a signed text that has one line per field.
pub fn subject_fits(subject: &str) -> bool {
    !subject.is_empty() && subject.len() <= SUBJECT_MAX && !subject.contains(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_an_engineer_would_say_it() {
        let serial = CertificateSerial::from_random([1; 16]);
        let entry = Entry::Revoked { serial, reason: RevocationReason::KeyCompromise };
        let line = entry.line(1_795_180_000);
        assert_eq!(
            line,
            "v1 2026-11-20T13:06:40Z revoked serial=41010101010101010101010101010101 reason=key-compromise"
        );
        assert_eq!(kind_of(&line), "revoked");
    }

    #[test]
    fn a_subject_cannot_pretend_to_be_another_line() {
        assert!(subject_fits("受領書 r-7 provisioning"));
        for attack in ["", "a\nb", "a\u{0}b", "a\u{85}b", &"x".repeat(201)] {
            assert!(!subject_fits(attack), "{attack:?}");
        }
    }
}
