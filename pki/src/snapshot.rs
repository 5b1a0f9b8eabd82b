//! The numbered snapshot of living certificates that the gateway holds. An edge file: tokio's watch and timer.
//! Owns the set in memory, which mirrors the register; rebuilt at start, so a restart loses nothing.
//! State is level, not edge: a question is answered with the whole truth, never with a difference (ruling 8).

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::door::{LivingCertificate, RevocationsAnswer};
use crate::serial::CertificateSerial;

/// Longest wait for news: shorter than any idle limit between us and the gateway.
pub const WAIT_MAX_MS: u32 = 20_000;

pub struct Snapshot {
    living: Mutex<Living>,
    number: watch::Sender<u64>,
}

struct Living {
    number: u64,
    certificates: BTreeMap<CertificateSerial, LivingCertificate>,
}

impl Snapshot {
    /// `number` follows the ledger's length, so that it grows over restarts too.
    pub fn new(number: u64, living: Vec<LivingCertificate>) -> Self {
        let certificates = living.into_iter().map(|one| (one.serial, one)).collect();
        Self { living: Mutex::new(Living { number, certificates }), number: watch::Sender::new(number) }
    }

    pub fn number(&self) -> u64 {
        self.lock().number
    }

    /// Adds some; everyone who waits is told. Adding what is there changes nothing.
    pub fn add_all(&self, number: u64, certificates: &[LivingCertificate]) {
        self.change(number, |living| {
            certificates
                .iter()
                .fold(false, |changed, one| (living.insert(one.serial, *one) != Some(*one)) | changed)
        });
    }

    /// All of them, the expired too.
    pub fn all(&self) -> Vec<LivingCertificate> {
        self.lock().certificates.values().copied().collect()
    }

    /// Does something while nothing is added or taken out; it is told what lives.
    pub fn while_unchanged<T>(&self, act: impl FnOnce(&dyn Fn(&CertificateSerial) -> bool) -> T) -> T {
        let living = self.lock();
        act(&|serial| living.certificates.contains_key(serial))
    }

    /// Takes some out; everyone who waits is told. Returns the number that lacks them.
    pub fn remove(&self, number: u64, serials: &[CertificateSerial]) -> u64 {
        self.change(number, |living| {
            let before = living.len();
            serials.iter().for_each(|serial| {
                living.remove(serial);
            });
            living.len() != before
        })
    }

    pub fn count(&self, now: i64) -> u32 {
        let living = self.lock();
        let count = living.certificates.values().filter(|one| one.not_after > now).count();
        u32::try_from(count).unwrap_or(u32::MAX)
    }

    /// At once when the asker's number is another than ours (smaller, or greater because we were restored
    /// from a backup); otherwise when something changes, or after `wait_ms` with `Unchanged`.
    pub async fn answer(&self, after: u64, wait_ms: u32, now: impl Fn() -> i64) -> RevocationsAnswer {
        let mut watching = self.number.subscribe();
        let wait = Duration::from_millis(u64::from(wait_ms.min(WAIT_MAX_MS)));
        // The watch's value is set after the set itself, so the set is never older than the number seen.
        let changed = timeout(wait, watching.wait_for(|number| *number != after)).await;
        match changed {
            Ok(_) => self.whole(now()),
            Err(_) => RevocationsAnswer::Unchanged { number: after },
        }
    }

    fn whole(&self, now: i64) -> RevocationsAnswer {
        let living = self.lock();
        let certificates = living.certificates.values();
        RevocationsAnswer::Snapshot {
            number: living.number,
            living: certificates.filter(|one| one.not_after > now).copied().collect(),
        }
    }

    fn change(
        &self,
        number: u64,
        change: impl FnOnce(&mut BTreeMap<CertificateSerial, LivingCertificate>) -> bool,
    ) -> u64 {
        let number = {
            let mut living = self.lock();
            if change(&mut living.certificates) {
                living.number = number.max(living.number + 1);
            }
            living.number
        };
        self.number.send_replace(number);
        number
    }

    fn lock(&self) -> MutexGuard<'_, Living> {
        // Every change leaves the set whole, even one that panicked.
        self.living.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn certificate(n: u8, not_after: i64) -> LivingCertificate {
        let slot = format!("18-{n:04}").parse().unwrap();
        LivingCertificate { serial: CertificateSerial::from_random([n; 16]), slot, not_after }
    }

    #[tokio::test]
    async fn silence_and_no_change_are_never_confused() {
        let snapshot = Snapshot::new(7, vec![certificate(1, 100), certificate(2, 10)]);
        let RevocationsAnswer::Snapshot { number: 7, living } = snapshot.answer(0, 0, || 50).await else {
            panic!()
        };
        assert_eq!(living, vec![certificate(1, 100)], "the expired one is not living");
        assert_eq!(snapshot.answer(7, 1, || 50).await, RevocationsAnswer::Unchanged { number: 7 });
        // A gateway that knows more than we do: we were restored from a backup.
        assert!(matches!(snapshot.answer(9, 1, || 50).await, RevocationsAnswer::Snapshot { number: 7, .. }));
    }

    #[tokio::test]
    async fn a_change_wakes_whoever_waits() {
        let snapshot = Arc::new(Snapshot::new(7, vec![certificate(1, 100)]));
        let waiting = tokio::spawn({
            let snapshot = Arc::clone(&snapshot);
            async move { snapshot.answer(7, WAIT_MAX_MS, || 50).await }
        });
        snapshot.remove(8, &[certificate(1, 100).serial]);
        assert_eq!(waiting.await.unwrap(), RevocationsAnswer::Snapshot { number: 8, living: vec![] });
    }
}
