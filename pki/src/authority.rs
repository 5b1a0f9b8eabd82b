//! The authority: issues, revokes, attests, vouches. Record, lint, sign, record; in this order and in no other.
//! An edge file: it draws serials, and drives the ledger. Owns the device CA's key, the snapshot, the lists,
//! the OCSP answers and the checkpoint in memory; all of them are rebuilt from the ledger at `open`, so it
//! may die at any point.
//!
//! ```text
//! request --prove--> key --plan--> [ledger: planned] --lint--> --sign--> [ledger: signed] --> snapshot --> answer
//!                                        |  died here: abandoned at the next start or retry, never acknowledged
//! ```

mod issuing; // edge: randomness, tokio
mod lists; // edge: tokio
mod profiles; // edge: randomness, tokio
mod proving; // edge: SQL
mod renewing; // edge: randomness, tokio
mod revoking; // edge: tokio
mod vouching; // edge: randomness, tokio

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::answers::Answers;
use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::checkpoint::{self, Checkpoint};
use crate::crl::RevokedEntry;
use crate::door::IssuingRefusal;
use crate::entry::{Abandon, Entry};
use crate::holders::Holders;
use crate::ledger::{Committed, Ledger, LedgerError, Writing};
use crate::ocsp::IssuerNames;
use crate::realm::Realm;
use crate::register::StoredList;
use crate::serial::CertificateSerial;
use crate::signer::{Order, SignError, Signer};
use crate::snapshot::Snapshot;
use crate::tiles::TreeHead;

pub use issuing::{BATCH_MAX, Renewal, Wish};
use profiles::ProfileSigner;
use vouching::Delegate;

/// What did not succeed because of us, not because of the asker.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

pub struct Authority {
    realm: Realm,
    ca: CaCertificate,
    signer: Box<dyn Signer>,
    ledger: Ledger,
    snapshot: Snapshot,
    holders: Mutex<Holders>,
    /// Tokens that may have given a certificate, and which; one that is not here certainly has not. The register
    /// has no index of them: it would be a page to write for every certificate.
    tokens: Mutex<HashMap<Hash, CertificateSerial>>,
    lists: Mutex<Lists>,
    answers: Answers,
    delegate: RwLock<Option<Arc<Delegate>>>,
    profile_signer: Mutex<Option<Arc<ProfileSigner>>>,
    /// The latest signed one.
    checkpoint: RwLock<Option<Signed>>,
    /// One act at a time: its checks, its record and its signature belong together.
    acting: tokio::sync::Mutex<()>,
    /// Something was planned, and its end is not known to be recorded.
    unsettled: AtomicBool,
}

/// A checkpoint and its note.
#[derive(Clone)]
struct Signed {
    size: u64,
    note: Arc<str>,
}

#[derive(Default)]
struct Lists {
    current: BTreeMap<u8, StoredList>,
    /// Shards whose list is behind the ledger.
    late: BTreeSet<u8>,
    /// What the lists say, of those shards that were read: a revocation adds one to it, and reads none.
    revoked: BTreeMap<u8, BTreeMap<CertificateSerial, (RevokedEntry, i64)>>,
    /// How often a shard was read from the ledger.
    read: u64,
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
        writing.append(now, &Entry::Started { version: env!("CARGO_PKG_VERSION") });
        for serial in writing.settle(now).await? {
            log::warn!(SERIAL = serial.to_string().as_str(); "recorded but never signed: abandoned");
        }
        // As the version before wrote them.
        for serial in writing.planned().await? {
            log::warn!(SERIAL = serial.to_string().as_str(); "recorded but never signed: abandoned");
            writing.abandon(now, serial, Abandon::Stopped).await?;
        }
        let committed = writing.commit().await?;
        let current = ledger.lists().await?.into_iter().map(|list| (list.shard, list)).collect();
        let late = ledger.late_shards().await?.into_iter().collect();
        let (mut holders, mut tokens) = (Holders::default(), HashMap::new());
        for held in ledger.holdings().await? {
            tokens.insert(held.token, held.serial);
            if held.revoked {
                holders.revoked_key(held.key);
            } else {
                holders.add(held.serial, held.slot, held.key, held.not_after);
            }
        }
        let authority = Self {
            snapshot: Snapshot::new(committed.head.entries, ledger.living().await?),
            holders: Mutex::new(holders),
            tokens: Mutex::new(tokens),
            lists: Mutex::new(Lists { current, late, ..Lists::default() }),
            answers: Answers::new(IssuerNames::of(&ca)),
            delegate: RwLock::default(),
            profile_signer: Mutex::default(),
            checkpoint: RwLock::default(),
            acting: tokio::sync::Mutex::new(()),
            unsettled: AtomicBool::new(false),
            realm,
            ca,
            signer,
            ledger,
        };
        authority.renew_lists(now).await;
        authority.publish(&authority.ledger.tree());
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

    pub fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Waits for the act that runs, then closes the ledger.
    pub async fn close(&self) {
        let _acting = self.acting.lock().await;
        self.ledger.close().await;
    }

    /// Ends an act: on disk, in the tree, and under a new checkpoint.
    async fn committed(&self, writing: Writing) -> Result<Committed, LedgerError> {
        let committed = writing.commit().await?;
        self.publish(&committed.tree);
        Ok(committed)
    }

    /// Signs the log as it stands. Without a signature the older checkpoint stays, which is still true.
    fn publish(&self, tree: &TreeHead) {
        let origin = checkpoint::origin(self.realm.zone());
        let checkpoint = Checkpoint { origin, size: tree.size(), root: tree.root() };
        let text = checkpoint.text();
        let signed =
            Order::checkpoint(&text, &checkpoint, tree).and_then(|order| self.signature(&order, false));
        match signed {
            Ok(signature) => {
                let note = checkpoint.note(self.ca.key(), &signature).into();
                let mut latest = self.checkpoint.write().unwrap_or_else(PoisonError::into_inner);
                *latest = Some(Signed { size: tree.size(), note });
            }
            Err(error) => log::warn!("the log's checkpoint could not be signed: {error}"),
        }
    }

    /// A signature; looked at when it must be, so that a faulty key store leaves no wrong one in the world.
    fn signature(&self, order: &Order<'_>, look: bool) -> Result<Vec<u8>, SignError> {
        let signature = if self.signer.is_foreign() {
            patiently(|| self.signer.sign(order))
        } else {
            self.signer.sign(order)
        }?;
        if !(look || self.signer.is_foreign()) || self.ca.key().verifies(order.bytes(), &signature) {
            Ok(signature)
        } else {
            Err(SignError::Key("its signature does not verify".into()))
        }
    }

    fn tokens(&self) -> MutexGuard<'_, HashMap<Hash, CertificateSerial>> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holders(&self) -> MutexGuard<'_, Holders> {
        // Every change leaves them whole, even one that panicked.
        self.holders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A token or a TPM may take its time: meanwhile another thread takes over what else this one has to do.
fn patiently<T>(act: impl FnOnce() -> T) -> T {
    use tokio::runtime::{Handle, RuntimeFlavor};
    match Handle::try_current().map(|handle| handle.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => tokio::task::block_in_place(act),
        _ => act(),
    }
}

fn unavailable(error: impl std::fmt::Display) -> IssuingRefusal {
    let why = error.to_string();
    log::warn!("the authority cannot act: {why}");
    IssuingRefusal::Unavailable { why }
}

#[cfg(test)]
pub(crate) mod tests;
