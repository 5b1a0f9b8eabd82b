//! OCSP answers that were signed beforehand, by serial. Pure values behind a lock; nothing is signed here.
//! Owned by the authority, which fills it; rebuilt after each start. `revoked` is final: a "good" that was
//! signed a moment too late never replaces it.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::ocsp::{self, IssuerNames, Status, Unanswered};
use crate::serial::CertificateSerial;

pub struct Answers {
    names: IssuerNames,
    signed: RwLock<HashMap<CertificateSerial, Answer>>,
}

/// One certificate's answer.
#[derive(Clone)]
pub struct Answer {
    pub status: Status,
    pub next_update: i64,
    /// By which delegate it is signed.
    pub delegate: CertificateSerial,
    pub der: Arc<[u8]>,
}

impl Answers {
    pub fn new(names: IssuerNames) -> Self {
        Self { names, signed: RwLock::default() }
    }

    pub fn names(&self) -> &IssuerNames {
        &self.names
    }

    /// The answer to a request (DER), as bytes either way.
    pub fn reply(&self, request: &[u8], now: i64) -> Result<Arc<[u8]>, Unanswered> {
        let serial = self.names.asked(request)?;
        let signed = self.read();
        let answer = signed.get(&serial).ok_or(Unanswered::Unauthorized)?;
        if answer.next_update > now { Ok(Arc::clone(&answer.der)) } else { Err(Unanswered::TryLater) }
    }

    /// The answer of a certificate, whatever its time.
    pub fn of(&self, serial: &CertificateSerial) -> Option<Arc<[u8]>> {
        self.read().get(serial).map(|answer| Arc::clone(&answer.der))
    }

    /// Puts answers in place of older ones.
    pub fn put(&self, answers: impl IntoIterator<Item = (CertificateSerial, Answer)>) {
        let mut signed = self.write();
        for (serial, answer) in answers {
            let revoked = |answer: &Answer| matches!(answer.status, Status::Revoked { .. });
            match signed.get(&serial) {
                Some(known) if revoked(known) && !revoked(&answer) => {}
                _ => {
                    signed.insert(serial, answer);
                }
            }
        }
    }

    /// Takes an answer away at once: better none than one that is no longer true.
    pub fn withdraw(&self, serials: &[CertificateSerial]) {
        let mut signed = self.write();
        serials.iter().for_each(|serial| {
            signed.remove(serial);
        });
    }

    /// Whether this certificate's answer is missing, old, or another delegate's.
    pub fn due(&self, serial: &CertificateSerial, delegate: &CertificateSerial, now: i64) -> bool {
        let signed = self.read();
        signed
            .get(serial)
            .is_none_or(|answer| answer.delegate != *delegate || ocsp::due(answer.next_update, now))
    }

    /// Forgets what nobody asks about any more.
    pub fn retain(&self, wanted: impl Fn(&CertificateSerial) -> bool) {
        self.write().retain(|serial, _| wanted(serial));
    }

    pub fn count(&self) -> usize {
        self.read().len()
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<CertificateSerial, Answer>> {
        self.signed.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<CertificateSerial, Answer>> {
        // Every change leaves the map whole, even one that panicked.
        self.signed.write().unwrap_or_else(PoisonError::into_inner)
    }
}
