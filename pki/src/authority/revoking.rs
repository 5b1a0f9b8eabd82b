//! Revoking and attesting: durable and in force everywhere here before it is acknowledged.

use std::collections::BTreeSet;

use super::{Authority, unavailable};
use crate::chain::Hash;
use crate::crl::RevokedEntry;
use crate::door::{Attestation, IssuingRefusal, RevocationReason, Revoke};
use crate::entry::{Entry, SUBJECT_MAX, subject_fits};
use crate::realm::shard_of;
use crate::register::SignedOne;
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError};

impl Authority {
    /// Revokes a certificate, or all of a slot or of a key. Durable, in the snapshot, on the list and in
    /// OCSP when this returns; revoking again changes nothing and names the same serials.
    pub async fn revoke(
        &self,
        what: Revoke,
        reason: RevocationReason,
        now: i64,
    ) -> Result<(Vec<CertificateSerial>, u64), IssuingRefusal> {
        let _acting = self.acting.lock().await;
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let found = writing.signed_ones(&what).await.map_err(unavailable)?;
        if let (Revoke::Certificate(serial), true) = (&what, found.is_empty()) {
            return Err(IssuingRefusal::Unknown { serial: *serial });
        }
        let fresh: Vec<_> = found.iter().filter(|one| !one.revoked).collect();
        for one in &fresh {
            writing.revoke(now, one.serial, reason).await.map_err(unavailable)?;
        }
        let committed = match self.committed(writing).await {
            Ok(committed) => committed,
            Err(error) => {
                self.forget_shards();
                return Err(unavailable(error));
            }
        };
        let listed = |one: &&SignedOne| (RevokedEntry { serial: one.serial, at: now, reason }, one.not_after);
        self.remember(fresh.iter().map(listed));
        let fresh_serials: Vec<_> = fresh.iter().map(|one| one.serial).collect();
        // From here on nobody is told "good".
        self.answers.withdraw(&fresh_serials);
        {
            let mut holders = self.holders();
            fresh.iter().for_each(|one| holders.revoke(&one.serial, one.slot));
        }
        let serials: Vec<_> = found.iter().map(|one| one.serial).collect();
        let snapshot = self.snapshot.remove(committed.head.entries, &serials);
        for serial in &fresh_serials {
            log::info!(SERIAL = serial.to_string().as_str(), REASON = reason.as_str(); "revoked");
        }
        self.vouch_revoked(&fresh_serials, reason, now);
        let shards: BTreeSet<u8> = fresh_serials.iter().map(shard_of).collect();
        self.sign_lists(shards, now).await;
        Ok((serials, snapshot))
    }

    /// Puts a hash into the ledger and signs the entry.
    pub async fn attest(&self, subject: &str, hash: Hash, now: i64) -> Result<Attestation, IssuingRefusal> {
        if !subject_fits(subject) {
            let why = format!("an attestation's subject is one line of 1 to {SUBJECT_MAX} bytes");
            return Err(IssuingRefusal::BadRequest { why });
        }
        let _acting = self.acting.lock().await;
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let subject = subject.to_owned();
        writing.append(now, &Entry::Attestation { hash, subject: subject.clone() });
        let committed = self.committed(writing).await.map_err(unavailable)?;
        let recorded = committed.recorded.first().ok_or(SignError::NotRecorded).map_err(unavailable)?;
        let (entry, head) = (recorded.entry(), recorded.head());
        let message = Attestation::message(entry, &subject, &hash, &head);
        let order = Order::recorded(&message, recorded).map_err(unavailable)?;
        let signature = self.signature(&order, true).map_err(unavailable)?;
        Ok(Attestation { entry, subject, hash, head, signature })
    }

    /// An operator's act upon the authority, in the log.
    pub async fn note(&self, by: &str, act: &str, now: i64) -> Result<(), IssuingRefusal> {
        let _acting = self.acting.lock().await;
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        writing.append(now, &Entry::Admin { by: by.to_owned(), act: act.to_owned() });
        self.committed(writing).await.map(drop).map_err(unavailable)
    }
}
