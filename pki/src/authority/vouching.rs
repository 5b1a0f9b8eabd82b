//! OCSP: a delegate's key, made at start and every week, that never leaves this memory; and answers signed
//! by it beforehand. The CA's own key signs the delegate's certificate and nothing else of OCSP.

use std::sync::{Arc, PoisonError};

use super::{ActError, Authority};
use crate::answers::Answer;
use crate::door::RevocationReason;
use crate::draft::Draft;
use crate::entry::Entry;
use crate::ocsp::{self, ANSWER_LIFE_SECONDS, Status};
use crate::profile::Profile;
use crate::serial::CertificateSerial;
use crate::signer::{MemoryKey, Order, SignError, Signer, random};
use crate::{lifetime, lint};

/// Half of a delegate's fortnight.
const DELEGATE_RENEW_SECONDS: i64 = 7 * 24 * 60 * 60;
/// Answers signed without a pause for others.
const STRIDE: usize = 64;

/// A key that signs answers, and its certificate.
pub(super) struct Delegate {
    key: MemoryKey,
    serial: CertificateSerial,
    der: Vec<u8>,
    /// How its answers name it.
    name: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

impl Delegate {
    fn is_due(&self, now: i64) -> bool {
        now < self.not_before || self.not_after - now < DELEGATE_RENEW_SECONDS
    }
}

impl Authority {
    /// Makes a new delegate if it is time, and signs every answer that is missing, old, or another
    /// delegate's. Cheap when there is nothing to do; gives the others their turn.
    pub async fn renew_answers(&self, now: i64) {
        if let Err(error) = self.renew_delegate(now).await {
            log::warn!("no new OCSP delegate, which is tried again: {error}");
        }
        let Some(delegate) = self.delegate() else { return };
        let living = self.snapshot.all();
        let due = |serial: &CertificateSerial| self.answers.due(serial, &delegate.serial, now);
        let good = living.iter().filter(|one| one.not_after > now && due(&one.serial));
        let mut wanted: Vec<_> = good.map(|one| (one.serial, Status::Good)).collect();
        match self.ledger.revoked(now).await {
            Ok(revoked) => wanted.extend(
                revoked
                    .into_iter()
                    .filter(|one| due(&one.serial))
                    .map(|one| (one.serial, Status::Revoked { at: one.at, reason: one.reason })),
            ),
            Err(error) => log::warn!("OCSP answers for revoked certificates wait: {error}"),
        }
        for some in wanted.chunks(STRIDE) {
            self.vouch(&delegate, some, now);
            tokio::task::yield_now().await;
        }
    }

    /// For certificates that were revoked just now.
    pub(super) fn vouch_revoked(&self, serials: &[CertificateSerial], reason: RevocationReason, now: i64) {
        if let Some(delegate) = self.delegate() {
            let status = Status::Revoked { at: now, reason };
            let wanted: Vec<_> = serials.iter().map(|serial| (*serial, status)).collect();
            self.vouch(&delegate, &wanted, now);
        }
    }

    fn vouch(&self, delegate: &Delegate, wanted: &[(CertificateSerial, Status)], now: i64) {
        let mut signed = Vec::with_capacity(wanted.len());
        for (serial, status) in wanted {
            match self.answer(delegate, serial, *status, now) {
                Ok(answer) => signed.push((*serial, answer)),
                Err(error) => log::warn!(SERIAL = serial.to_string().as_str(); "no OCSP answer: {error}"),
            }
        }
        // What was revoked while this was signed is not good any more.
        let good = |answer: &Answer| answer.status == Status::Good;
        self.snapshot.while_unchanged(|living| {
            signed.retain(|(serial, answer)| !good(answer) || living(serial));
            self.answers.put(signed);
        });
    }

    fn answer(
        &self,
        delegate: &Delegate,
        serial: &CertificateSerial,
        status: Status,
        now: i64,
    ) -> Result<Answer, SignError> {
        let next_update = now.saturating_add(ANSWER_LIFE_SECONDS).min(delegate.not_after);
        let failed = |_| SignError::Key("no time for an answer".into());
        let data =
            ocsp::response_data(self.answers.names(), &delegate.name, serial, status, now, next_update)
                .map_err(failed)?;
        let signature = delegate.key.sign(&Order::answer(&data))?;
        let der = ocsp::response(&data, &signature, &delegate.der).into();
        Ok(Answer { status, next_update, delegate: delegate.serial, der })
    }

    async fn renew_delegate(&self, now: i64) -> Result<(), ActError> {
        if self.delegate().is_some_and(|delegate| !delegate.is_due(now)) {
            return Ok(());
        }
        let failed = |error: &dyn std::fmt::Display| SignError::Key(error.to_string());
        let _acting = self.acting.lock().await;
        let (key, _) = MemoryKey::generate()?;
        let (public, serial) = (key.public_key(), CertificateSerial::from_random(random()?));
        let profile = Profile::ocsp_delegate(&self.realm, serial, now, self.ca.not_after())
            .map_err(|error| failed(&error))?;
        let draft = Draft::certificate(&profile, &public, Some(&self.ca)).map_err(|error| failed(&error))?;
        let mut writing = self.ledger.begin().await?;
        let (not_before, not_after) = (profile.not_before, profile.not_after);
        writing.append(now, &Entry::Delegate { serial, key: public.hash(), not_after, tbs: draft.hash() });
        let committed = self.committed(writing).await?;
        let recorded = committed.recorded.first().ok_or(SignError::NotRecorded)?;
        let linted =
            lint::certificate(&draft, &profile, &public, Some(&self.ca)).map_err(|error| failed(&error))?;
        let order = Order::certificate(&draft, recorded, &linted)?;
        let der = draft.finished(&self.signature(&order, true)?);
        log::info!(SERIAL = serial.to_string().as_str(); "OCSP delegate until {}", lifetime::utc(not_after));
        let name = ocsp::responder(&public);
        let delegate = Arc::new(Delegate { key, serial, der, name, not_before, not_after });
        *self.delegate.write().unwrap_or_else(PoisonError::into_inner) = Some(delegate);
        Ok(())
    }

    fn delegate(&self) -> Option<Arc<Delegate>> {
        self.delegate.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
