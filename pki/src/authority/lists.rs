//! The 64 revocation lists: signed when one of theirs is revoked, and before they end. A list that fails
//! stays late and is tried again, because the revocation itself stands.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use super::{ActError, Authority, Lists};
use crate::crl::{self, RevokedEntry, ShardList};
use crate::draft::Draft;
use crate::entry::Entry;
use crate::ledger::{LedgerError, Writing};
use crate::realm::{SHARDS, shard_of};
use crate::register::StoredList;
use crate::signer::{Order, SignError};

impl Authority {
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

    /// How often a shard was read whole from the ledger since the start: work that a revocation does not do.
    pub fn shards_read(&self) -> u64 {
        self.lists().read
    }

    /// For the next list of their shards; they are in the ledger.
    pub(super) fn remember(&self, revoked: impl IntoIterator<Item = (RevokedEntry, i64)>) {
        let mut lists = self.lists();
        for (entry, not_after) in revoked {
            // A shard that was never read is read when it is signed.
            if let Some(shard) = lists.revoked.get_mut(&shard_of(&entry.serial)) {
                shard.insert(entry.serial, (entry, not_after));
            }
        }
    }

    /// The ledger knows better: what may or may not have been recorded is read anew.
    pub(super) fn forget_shards(&self) {
        self.lists().revoked.clear();
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

    /// Signs lists; the caller holds the act.
    pub(super) async fn sign_lists(&self, shards: BTreeSet<u8>, now: i64) {
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

    async fn signed_lists(&self, shards: &BTreeSet<u8>, now: i64) -> Result<Vec<StoredList>, ActError> {
        let mut writing = self.ledger.begin().await?;
        let mut drafts = Vec::new();
        for shard in shards {
            let revoked = self.revoked_in(*shard, &mut writing, now).await?;
            let last = writing.list_number(*shard).await?;
            let list = ShardList::new(&self.realm, *shard, last, now, revoked);
            let draft =
                Draft::revocation_list(&list, &self.ca).map_err(|error| SignError::Key(error.to_string()))?;
            writing.append(now, &Entry::List { shard: *shard, number: list.number, tbs: draft.hash() });
            drafts.push((list, draft));
        }
        let recorded = self.committed(writing).await?.recorded;
        let mut signed = Vec::new();
        for ((list, draft), recorded) in drafts.iter().zip(&recorded) {
            let order = Order::recorded(draft.bytes(), recorded)?;
            signed.push(StoredList {
                shard: list.shard,
                number: list.number,
                next_update: list.next_update,
                der: draft.finished(&self.signature(&order, true)?),
                entry: recorded.entry(),
            });
        }
        let mut writing = self.ledger.begin().await?;
        for list in &signed {
            writing.keep_list(list).await?;
        }
        writing.commit().await?;
        Ok(signed)
    }

    /// What the shard's list says now: nobody asks about a certificate that has ended.
    async fn revoked_in(
        &self,
        shard: u8,
        writing: &mut Writing,
        now: i64,
    ) -> Result<Vec<RevokedEntry>, LedgerError> {
        let known = self.lists().revoked.contains_key(&shard);
        if !known {
            let read = writing.revoked_in(shard).await?;
            let mut lists = self.lists();
            lists.read += 1;
            lists.revoked.insert(shard, read.into_iter().map(|one| (one.0.serial, one)).collect());
        }
        let lists = self.lists();
        let revoked = lists.revoked.get(&shard).into_iter().flat_map(BTreeMap::values);
        Ok(revoked.filter(|(_, not_after)| *not_after > now).map(|(entry, _)| *entry).collect())
    }

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // Every change leaves the lists whole, even one that panicked.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
