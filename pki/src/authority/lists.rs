//! The 64 revocation lists: signed when one of theirs is revoked, and before they end. A list that fails
//! stays late and is tried again, because the revocation itself stands.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use super::{ActError, Authority, Lists};
use crate::crl::{self, ShardList};
use crate::draft::Draft;
use crate::entry::Entry;
use crate::realm::SHARDS;
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
            let revoked = writing.revoked_in(*shard, now).await?;
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

    fn lists(&self) -> MutexGuard<'_, Lists> {
        // Every change leaves the lists whole, even one that panicked.
        self.lists.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
