//! The set of living certificates, as pki last said: a serial that is not in it is refused, however
//! well it is signed. An empty set refuses every certificate and breaks nothing. Pure. Ruling 7.

use std::collections::BTreeMap;
use std::sync::Arc;

use pki::door::{LivingCertificate, RevocationsAnswer};
use pki::serial::CertificateSerial;

use crate::moment::{Freshness, Moment, freshness};

#[derive(Clone, Default)]
pub struct Revocations {
    number: u64,
    living: Arc<BTreeMap<CertificateSerial, LivingCertificate>>,
    answered_up_ms: Option<u64>,
}

/// "Unchanged" about a snapshot that we do not hold; ask for the whole one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("pki speaks of snapshot {given}, but {held} is held")]
pub struct NotHeld {
    pub held: u64,
    pub given: u64,
}

impl Revocations {
    pub fn after(&self, answer: RevocationsAnswer, now: Moment) -> Result<Self, NotHeld> {
        let answered_up_ms = Some(now.up_ms);
        match answer {
            RevocationsAnswer::Snapshot { number, living } => {
                let living = living.into_iter().map(|one| (one.serial, one)).collect();
                Ok(Self { number, living: Arc::new(living), answered_up_ms })
            }
            // Before the first snapshot nothing is held, so "unchanged" says nothing.
            RevocationsAnswer::Unchanged { number }
                if number != self.number || self.answered_up_ms.is_none() =>
            {
                Err(NotHeld { held: self.number, given: number })
            }
            RevocationsAnswer::Unchanged { .. } => Ok(Self { answered_up_ms, ..self.clone() }),
        }
    }

    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn count(&self) -> u64 {
        self.living.len() as u64
    }

    pub fn freshness(&self, now: Moment) -> Freshness {
        freshness(self.answered_up_ms, now)
    }

    pub fn age_ms(&self, now: Moment) -> Option<u64> {
        self.answered_up_ms.map(|at| now.up_ms.saturating_sub(at))
    }

    pub fn living(&self, serial: &CertificateSerial) -> Option<&LivingCertificate> {
        self.living.get(serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment { unix_ms: 0, up_ms: 1_000 };

    #[test]
    fn an_empty_snapshot_is_an_answer_and_refuses_everybody() {
        let answer = RevocationsAnswer::Snapshot { number: 1, living: vec![] };
        let empty = Revocations::default().after(answer, NOW).unwrap();
        assert_eq!(empty.freshness(NOW), Freshness::Fresh);
        assert!(empty.living(&CertificateSerial::from_random([1; 16])).is_none());
    }

    #[test]
    fn unchanged_about_something_else_is_not_believed() {
        let unchanged = |number| RevocationsAnswer::Unchanged { number };
        assert!(Revocations::default().after(unchanged(0), NOW).is_err());
        let answer = RevocationsAnswer::Snapshot { number: 4, living: vec![] };
        let held = Revocations::default().after(answer, NOW).unwrap();
        assert!(held.after(unchanged(4), NOW).is_ok());
        assert_eq!(held.after(unchanged(5), NOW).err(), Some(NotHeld { held: 4, given: 5 }));
    }
}
