//! The authority: issues, revokes, attests. Record, lint, sign, record; in this order and in no other.
//! An edge file: it draws serials, and drives the ledger. Owns the device CA's key, the snapshot and the
//! lists in memory; all of them are rebuilt from the ledger at `open`, so it may die at any point.
//!
//! ```text
//! request --prove--> key --plan--> [ledger: planned] --lint--> --sign--> [ledger: signed] --> snapshot --> answer
//!                                        |  died here: abandoned at the next start or retry, never acknowledged
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use vpn::slot::SlotNumber;

use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::crl::{self, ShardList};
use crate::door::{
    Attestation, CertificateState, DeviceKind, IssuedCertificate, IssuingRefusal, LivingCertificate,
    RevocationReason, Revoke,
};
use crate::draft::Draft;
use crate::entry::{Abandon, Entry, SUBJECT_MAX, subject_fits};
use crate::key::PublicKey;
use crate::ledger::{Ledger, LedgerError, Recorded};
use crate::lint;
use crate::profile::Profile;
use crate::realm::{Realm, SHARDS, shard_of};
use crate::register::{Plan, Registered, StoredList};
use crate::request;
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError, Signer, random};
use crate::snapshot::Snapshot;

/// A PC has several Windows accounts, each with its own certificate (ruling 2).
pub const CERTIFICATES_PER_SLOT: u32 = 5;
/// A token is a claim's id, not a document.
const TOKEN_MAX: usize = 200;

pub struct Authority {
    realm: Realm,
    ca: CaCertificate,
    signer: Box<dyn Signer>,
    ledger: Ledger,
    snapshot: Snapshot,
    lists: Mutex<Lists>,
    /// One act at a time: its checks, its record and its signature belong together.
    acting: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Lists {
    current: BTreeMap<u8, StoredList>,
    /// Shards whose list is behind the ledger.
    late: BTreeSet<u8>,
}

impl Authority {
    /// Takes up the ledger: what was planned and never signed is abandoned, lists that are missing or
    /// old are signed anew.
    pub async fn open(
        realm: Realm,
        ca: CaCertificate,
        signer: Box<dyn Signer>,
        ledger: Ledger,
        now: i64,
    ) -> Result<Self, LedgerError> {
        let mut writing = ledger.begin().await?;
        writing.append(now, &Entry::Started { version: env!("CARGO_PKG_VERSION") }).await?;
        for serial in writing.planned().await? {
            log::warn!(SERIAL = serial.to_string().as_str(); "recorded but never signed: abandoned");
            writing.abandon(now, serial, Abandon::Stopped).await?;
        }
        let (head, _) = writing.commit().await?;
        let current = ledger.lists().await?.into_iter().map(|list| (list.shard, list)).collect();
        let authority = Self {
            snapshot: Snapshot::new(head.entries, ledger.living().await?),
            lists: Mutex::new(Lists { current, late: BTreeSet::new() }),
            acting: tokio::sync::Mutex::new(()),
            realm,
            ca,
            signer,
            ledger,
        };
        authority.renew_lists(now).await;
        Ok(authority)
    }

    pub fn realm(&self) -> &Realm {
        &self.realm
    }

    pub fn ca(&self) -> &CaCertificate {
        &self.ca
    }

    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// One device certificate. The same token, slot and key give the same certificate again.
    pub async fn issue(
        &self,
        slot: SlotNumber,
        kind: DeviceKind,
        request: &[u8],
        token: &str,
        now: i64,
    ) -> Result<IssuedCertificate, IssuingRefusal> {
        if token.is_empty() || token.len() > TOKEN_MAX {
            return Err(IssuingRefusal::BadRequest { why: "the token must have 1 to 200 bytes".into() });
        }
        let proven = request::prove(request)?;
        let key = proven.key();
        let _acting = self.acting.lock().await;
        let serial = CertificateSerial::from_random(random().map_err(unavailable)?);
        let profile = Profile::device(&self.realm, slot, kind, serial, now, self.ca.not_after())
            .map_err(unavailable)?;
        let plan = Plan {
            serial,
            token: Hash::of(token.as_bytes()),
            slot,
            kind,
            key: key.hash(),
            not_before: profile.not_before,
            not_after: profile.not_after,
            draft: Draft::certificate(&profile, key, Some(&self.ca)).map_err(unavailable)?,
        };
        match self.record(&plan, now).await? {
            Recording::Known(known) => self.again(known),
            Recording::New(recorded) => self.sign(plan, profile, key, recorded, now).await,
        }
    }

    /// Revokes a certificate, or all of a slot. Durable and in the snapshot when this returns; revoking
    /// again changes nothing and names the same serials.
    pub async fn revoke(
        &self,
        what: Revoke,
        reason: RevocationReason,
        now: i64,
    ) -> Result<(Vec<CertificateSerial>, u64), IssuingRefusal> {
        let _acting = self.acting.lock().await;
        let (serial, slot) = match what {
            Revoke::Certificate(serial) => (Some(serial), None),
            Revoke::Slot(slot) => (None, Some(slot)),
        };
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let found = writing.signed_ones(serial, slot).await.map_err(unavailable)?;
        if let (Some(serial), true) = (serial, found.is_empty()) {
            return Err(IssuingRefusal::Unknown { serial });
        }
        let fresh: Vec<_> = found.iter().filter(|(_, revoked)| !revoked).map(|(serial, _)| *serial).collect();
        for serial in &fresh {
            writing.revoke(now, *serial, reason).await.map_err(unavailable)?;
        }
        let (head, _) = writing.commit().await.map_err(unavailable)?;
        let serials: Vec<_> = found.into_iter().map(|(serial, _)| serial).collect();
        let snapshot = self.snapshot.remove(head.entries, &serials);
        for serial in &fresh {
            log::info!(SERIAL = serial.to_string().as_str(), REASON = reason.as_str(); "revoked");
        }
        self.sign_lists(fresh.iter().map(shard_of).collect(), now).await;
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
        writing
            .append(now, &Entry::Attestation { hash, subject: subject.clone() })
            .await
            .map_err(unavailable)?;
        let (_, recorded) = writing.commit().await.map_err(unavailable)?;
        let recorded = recorded.first().ok_or(SignError::NotRecorded).map_err(unavailable)?;
        let (entry, head) = (recorded.entry(), recorded.head());
        let message = Attestation::message(entry, &subject, &hash, &head);
        let signature = self.signature(&Order::recorded(&message, recorded).map_err(unavailable)?);
        Ok(Attestation { entry, subject, hash, head, signature: signature.map_err(unavailable)? })
    }

    /// The current list of a shard (DER).
    pub fn list(&self, shard: u8) -> Option<Vec<u8>> {
        self.lists().current.get(&shard).map(|list| list.der.clone())
    }

    /// When the list that ends first ends, and how many are late.
    pub fn lists_state(&self) -> (i64, u32) {
        let lists = self.lists();
        let until = lists.current.values().map(|list| list.next_update).min().unwrap_or(0);
        (until, u32::try_from(lists.late.len()).unwrap_or(u32::MAX))
    }

    /// Signs what is missing, late or half over. Cheap when there is nothing to do.
    pub async fn renew_lists(&self, now: i64) {
        let shards: BTreeSet<u8> = {
            let lists = self.lists();
            let old =
                |shard: &u8| lists.current.get(shard).is_none_or(|list| crl::due(list.next_update, now));
            (0..SHARDS).filter(|shard| lists.late.contains(shard) || old(shard)).collect()
        };
        if !shards.is_empty() {
            let _acting = self.acting.lock().await;
            self.sign_lists(shards, now).await;
        }
    }

    /// Waits for the act that runs, then closes the ledger.
    pub async fn close(&self) {
        let _acting = self.acting.lock().await;
        self.ledger.close().await;
    }

    /// All checks and the record, in one transaction.
    async fn record(&self, plan: &Plan, now: i64) -> Result<Recording, IssuingRefusal> {
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        match writing.of_token(&plan.token).await.map_err(unavailable)? {
            Some(known) if known.slot != plan.slot || known.key != plan.key => {
                return Err(IssuingRefusal::TokenReused);
            }
            Some(known) if known.state == CertificateState::Planned => {
                // Whoever planned it is gone: acts do not overlap.
                writing.abandon(now, known.serial, Abandon::Stopped).await.map_err(unavailable)?;
            }
            Some(known) if known.state == CertificateState::Living => return Ok(Recording::Known(known)),
            _ => {}
        }
        if writing.key_is_revoked(&plan.key).await.map_err(unavailable)? {
            return Err(IssuingRefusal::RevokedKey);
        }
        let elsewhere = writing.key_serves_another(&plan.key, plan.slot, now).await.map_err(unavailable)?;
        if let Some(other) = elsewhere {
            return Err(IssuingRefusal::BadRequest { why: format!("this key already serves slot {other}") });
        }
        let living = writing.living_in(plan.slot, now).await.map_err(unavailable)?;
        if living >= CERTIFICATES_PER_SLOT {
            return Err(IssuingRefusal::TooMany { slot: plan.slot, living });
        }
        writing.plan(now, plan).await.map_err(unavailable)?;
        let (_, mut recorded) = writing.commit().await.map_err(unavailable)?;
        recorded.pop().map(Recording::New).ok_or(SignError::NotRecorded).map_err(unavailable)
    }

    async fn sign(
        &self,
        plan: Plan,
        profile: Profile,
        key: &PublicKey,
        recorded: Recorded,
        now: i64,
    ) -> Result<IssuedCertificate, IssuingRefusal> {
        let linted = match lint::certificate(&plan.draft, &profile, key, Some(&self.ca)) {
            Ok(linted) => linted,
            Err(fault) => {
                log::warn!(SERIAL = plan.serial.to_string().as_str(), LINT = fault.lint; "our lint refused a certificate");
                self.abandon(plan.serial, Abandon::Lint, now).await;
                return Err(fault.into());
            }
        };
        let signature = match Order::certificate(&plan.draft, &recorded, &linted)
            .and_then(|order| self.signature(&order))
        {
            Ok(signature) => signature,
            Err(error) => {
                self.abandon(plan.serial, Abandon::Signer, now).await;
                return Err(unavailable(error));
            }
        };
        let der = plan.draft.finished(&signature);
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        writing.signed(now, plan.serial, &der).await.map_err(unavailable)?;
        let (head, _) = writing.commit().await.map_err(unavailable)?;
        let living = LivingCertificate { serial: plan.serial, slot: plan.slot, not_after: plan.not_after };
        self.snapshot.add(head.entries, living);
        log::info!(
            SLOT = plan.slot.to_string().as_str(),
            SERIAL = plan.serial.to_string().as_str();
            "certificate issued"
        );
        Ok(self.issued(living, der, recorded.entry()))
    }

    /// The certificate that the token gave before.
    fn again(&self, known: Registered) -> Result<IssuedCertificate, IssuingRefusal> {
        let der = known.der.ok_or_else(|| unavailable("a living certificate has no bytes"))?;
        let living = LivingCertificate { serial: known.serial, slot: known.slot, not_after: known.not_after };
        Ok(self.issued(living, der, known.entry))
    }

    fn issued(&self, living: LivingCertificate, leaf: Vec<u8>, ledger_entry: u64) -> IssuedCertificate {
        IssuedCertificate {
            serial: living.serial,
            slot: living.slot,
            chain: vec![leaf, self.ca.der().to_vec()],
            not_after: living.not_after,
            ledger_entry,
        }
    }

    /// A signature, checked: a faulty key store must not leave a wrong one in the world.
    fn signature(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        let signature = self.signer.sign(order)?;
        if self.ca.key().verifies(order.bytes(), &signature) {
            Ok(signature)
        } else {
            Err(SignError::Key("its signature does not verify".into()))
        }
    }

    async fn abandon(&self, serial: CertificateSerial, why: Abandon, now: i64) {
        let abandoned = async {
            let mut writing = self.ledger.begin().await?;
            writing.abandon(now, serial, why).await?;
            writing.commit().await
        };
        if let Err(error) = abandoned.await {
            // It stays planned, and the next start or retry abandons it.
            log::warn!(SERIAL = serial.to_string().as_str(); "cannot record an abandoned certificate: {error}");
        }
    }

    /// Signs lists; a shard that fails stays late and is tried again, because the revocation itself stands.
    async fn sign_lists(&self, shards: BTreeSet<u8>, now: i64) {
        if shards.is_empty() {
            return;
        }
        match self.signed_lists(&shards, now).await {
            Ok(signed) => {
                let mut lists = self.lists();
                for list in signed {
                    lists.late.remove(&list.shard);
                    lists.current.insert(list.shard, list);
                }
            }
            Err(error) => {
                log::warn!("revocation lists could not be signed, and are tried again: {error}");
                self.lists().late.extend(shards);
            }
        }
    }

    async fn signed_lists(&self, shards: &BTreeSet<u8>, now: i64) -> Result<Vec<StoredList>, IssuingRefusal> {
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        let mut drafts = Vec::new();
        for shard in shards {
            let revoked = writing.revoked_in(*shard, now).await.map_err(unavailable)?;
            let last = writing.list_number(*shard).await.map_err(unavailable)?;
            let list = ShardList::new(&self.realm, *shard, last, now, revoked);
            let draft = Draft::revocation_list(&list, &self.ca).map_err(unavailable)?;
            let entry = Entry::List { shard: *shard, number: list.number, tbs: draft.hash() };
            writing.append(now, &entry).await.map_err(unavailable)?;
            drafts.push((list, draft));
        }
        let (_, recorded) = writing.commit().await.map_err(unavailable)?;
        let mut signed = Vec::new();
        for ((list, draft), recorded) in drafts.iter().zip(&recorded) {
            let order = Order::recorded(draft.bytes(), recorded).map_err(unavailable)?;
            signed.push(StoredList {
                shard: list.shard,
                number: list.number,
                next_update: list.next_update,
                der: draft.finished(&self.signature(&order).map_err(unavailable)?),
                entry: recorded.entry(),
            });
        }
        let mut writing = self.ledger.begin().await.map_err(unavailable)?;
        for list in &signed {
            writing.keep_list(list).await.map_err(unavailable)?;
        }
        writing.commit().await.map_err(unavailable)?;
        Ok(signed)
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // Every change leaves the lists whole, even one that panicked.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Recording {
    New(Recorded),
    Known(Registered),
}

fn unavailable(error: impl std::fmt::Display) -> IssuingRefusal {
    let why = error.to_string();
    log::warn!("the authority cannot act: {why}");
    IssuingRefusal::Unavailable { why }
}

#[cfg(test)]
pub(crate) mod tests;
