//! A revocation's receipt: which points there are, when one is tried again, what the authority signs.
//! Pure; `revocation.rs` drives the points and stores what they answer. Ruling 7.

use std::fmt::Write;

use pki::chain::Hash;
use pki::door::RevocationReason;

use crate::door::RevokeReason;

/// Every place that must let go of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PointName {
    Vpn,
    Firewall,
    Pki,
    Gateway,
    Sns,
    Mail,
}

impl PointName {
    pub const ALL: [PointName; 6] = [
        PointName::Vpn,
        PointName::Firewall,
        PointName::Pki,
        PointName::Gateway,
        PointName::Sns,
        PointName::Mail,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            PointName::Vpn => "vpn",
            PointName::Firewall => "firewall",
            PointName::Pki => "pki",
            PointName::Gateway => "gateway",
            PointName::Sns => "sns",
            PointName::Mail => "mail",
        }
    }
}

/// First wait after a failure: a neighbour that restarts is back within it or two.
const BACKOFF_FIRST_MS: u64 = 100;
/// Longest wait: a neighbour that is back is found within this, however long it was gone.
const BACKOFF_MAX_MS: u64 = 5_000;

/// How long to wait after `attempts` failures. Never gives up.
pub fn backoff_ms(attempts: u32) -> u64 {
    BACKOFF_FIRST_MS.saturating_mul(1 << attempts.saturating_sub(1).min(16)).min(BACKOFF_MAX_MS)
}

/// Why the certificates end, in the words of RFC 5280.
pub fn certificate_reason(reason: RevokeReason) -> RevocationReason {
    match reason {
        // A key in strange hands is a compromised key.
        RevokeReason::Lost | RevokeReason::Stolen | RevokeReason::Leak => RevocationReason::KeyCompromise,
        RevokeReason::Replaced => RevocationReason::Superseded,
        RevokeReason::Retired => RevocationReason::CessationOfOperation,
    }
}

/// What is signed: everything the receipt claims, one line each, in a fixed order.
pub struct Statement<'a> {
    pub receipt: &'a str,
    pub slot: &'a str,
    pub device: &'a str,
    pub generation: u64,
    pub reason: &'a str,
    pub by: &'a str,
    pub committed_at: i64,
    /// Point and Unix milliseconds of its acknowledgement.
    pub acknowledged: Vec<(PointName, i64)>,
}

impl Statement<'_> {
    /// `None` while a point is missing: nothing incomplete is ever signed.
    pub fn hash(&self) -> Option<Hash> {
        let mut text = String::from("mimamori receipt v1\n");
        let lines = [
            ("receipt", self.receipt),
            ("slot", self.slot),
            ("device", self.device),
            ("reason", self.reason),
            ("by", self.by),
        ];
        for (name, value) in lines {
            // A line break inside a value must not be able to look like another line.
            let _ = writeln!(text, "{name}={}", value.escape_default());
        }
        let _ = writeln!(text, "generation={}\ncommitted={}", self.generation, self.committed_at);
        for point in PointName::ALL {
            let (_, at) = self.acknowledged.iter().find(|(name, _)| *name == point)?;
            let _ = writeln!(text, "{}={at}", point.as_str());
        }
        Some(Hash::of(text.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(by: &str, points: &[PointName]) -> Option<Hash> {
        let acknowledged = points.iter().map(|point| (*point, 2_000)).collect();
        let (receipt, slot, device) = ("r-1", "18-0042", "d-1");
        Statement {
            receipt,
            slot,
            device,
            generation: 4,
            reason: "lost",
            by,
            committed_at: 1_000,
            acknowledged,
        }
        .hash()
    }

    #[test]
    fn a_receipt_is_signed_only_when_every_point_acknowledged() {
        assert!(statement("op", &PointName::ALL).is_some());
        for missing in PointName::ALL {
            let rest: Vec<_> = PointName::ALL.into_iter().filter(|point| *point != missing).collect();
            assert!(statement("op", &rest).is_none(), "{missing:?}");
        }
    }

    #[test]
    fn every_value_is_under_the_signature() {
        assert_ne!(statement("op", &PointName::ALL), statement("other", &PointName::ALL));
        assert_ne!(statement("op\ngeneration=9", &PointName::ALL), statement("op", &PointName::ALL));
    }

    #[test]
    fn the_wait_grows_and_never_ends() {
        let waits: Vec<u64> = (1..=20).map(backoff_ms).collect();
        assert!(waits.is_sorted() && waits[0] == 100 && waits[19] == 5_000);
        assert_eq!(backoff_ms(u32::MAX), 5_000);
    }
}
