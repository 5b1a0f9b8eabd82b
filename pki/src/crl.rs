//! What one shard's revocation list says, before it is encoded. Pure values.
//! Each certificate names its shard for life, so a revocation re-signs one small list, not all of them.

use crate::door::RevocationReason;
use crate::lifetime::utc;
use crate::realm::Realm;
use crate::serial::CertificateSerial;

/// How long a list is good: a device that was away over a long weekend still finds a valid one.
pub const LIST_LIFE_SECONDS: i64 = 7 * 24 * 60 * 60;
/// A list is renewed when half of its life is over, so that an authority that is down for three days hurts nobody.
pub const LIST_RENEW_SECONDS: i64 = LIST_LIFE_SECONDS / 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevokedEntry {
    pub serial: CertificateSerial,
    /// Unix seconds.
    pub at: i64,
    pub reason: RevocationReason,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardList {
    pub shard: u8,
    /// The address in the certificates of this shard, letter for letter (RFC 5280 6.3.3).
    pub url: String,
    pub number: u64,
    pub this_update: i64,
    pub next_update: i64,
    pub revoked: Vec<RevokedEntry>,
}

impl ShardList {
    /// `last` is the number of the list before. The number follows the clock, so that it keeps
    /// growing even after a restore of an old backup.
    pub fn new(
        realm: &Realm,
        shard: u8,
        last: Option<u64>,
        now: i64,
        mut revoked: Vec<RevokedEntry>,
    ) -> Self {
        revoked.sort_by_key(|entry| entry.serial);
        let clock = u64::try_from(now).unwrap_or(0);
        Self {
            shard,
            url: realm.crl_url(shard),
            number: last.map_or(clock, |last| clock.max(last.saturating_add(1))).max(1),
            this_update: now,
            next_update: now.saturating_add(LIST_LIFE_SECONDS),
            revoked,
        }
    }
}

/// True when a list that ends at `next_update` should be renewed; also when the clock ran backwards past its birth.
pub fn due(next_update: i64, now: i64) -> bool {
    let left = next_update.saturating_sub(now);
    !(LIST_RENEW_SECONDS..=LIST_LIFE_SECONDS).contains(&left)
}

/// For logs.
pub fn describe(list: &ShardList) -> String {
    format!("shard {:02}, {} revoked, until {}", list.shard, list.revoked.len(), utc(list.next_update))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_only_grow_and_lists_are_renewed_before_they_end() {
        let realm = Realm::new("m.example.jp", "x", "http://10.18.255.2").unwrap();
        let first = ShardList::new(&realm, 7, None, 1_000, vec![]);
        assert_eq!((first.number, first.url.as_str()), (1_000, "http://10.18.255.2/crl/07.crl"));
        assert_eq!(ShardList::new(&realm, 7, Some(1_000), 1_000, vec![]).number, 1_001);
        assert_eq!(ShardList::new(&realm, 7, Some(5_000), 1_000, vec![]).number, 5_001);
        assert!(!due(first.next_update, 1_000));
        assert!(!due(first.next_update, 1_000 + LIST_RENEW_SECONDS));
        assert!(due(first.next_update, 1_001 + LIST_RENEW_SECONDS));
        assert!(due(first.next_update, 999), "a clock that was set back");
    }
}
