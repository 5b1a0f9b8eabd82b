//! Which key serves which slot, and which keys never return: what issuing must know of all that was
//! issued before. Pure values in memory, rebuilt from the register at start; changed after a commit only.

use std::collections::{HashMap, HashSet};

use vpn::slot::SlotNumber;

use crate::chain::Hash;
use crate::door::IssuingRefusal;
use crate::serial::CertificateSerial;

/// A PC has several Windows accounts, each with its own key (ruling 2). A renewal of a key is no further account.
pub const KEYS_PER_SLOT: usize = 5;
/// Overlapping renewals of one key; who renews each week for half a year is broken or hostile.
pub const RENEWALS_PER_KEY: usize = 26;

/// May one key serve several slots? Only an operator who signs a folder of requests may say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    OneSlotPerKey,
    Vouched,
}

#[derive(Default)]
pub struct Holders {
    slots: HashMap<SlotNumber, Vec<Held>>,
    keys: HashMap<Hash, HashMap<SlotNumber, u32>>,
    revoked: HashSet<Hash>,
}

#[derive(Clone, Copy)]
struct Held {
    serial: CertificateSerial,
    key: Hash,
    not_after: i64,
}

impl Holders {
    pub fn revoked_key(&mut self, key: Hash) {
        self.revoked.insert(key);
    }

    /// A certificate that lives now.
    pub fn add(&mut self, serial: CertificateSerial, slot: SlotNumber, key: Hash, not_after: i64) {
        self.slots.entry(slot).or_default().push(Held { serial, key, not_after });
        *self.keys.entry(key).or_default().entry(slot).or_default() += 1;
    }

    /// A certificate that was revoked, and its key with it.
    pub fn revoke(&mut self, serial: &CertificateSerial, slot: SlotNumber) {
        let held = self.slots.get(&slot).and_then(|all| all.iter().find(|held| held.serial == *serial));
        if let Some(key) = held.map(|held| held.key) {
            self.forget(slot, |held| held.serial == *serial);
            self.revoked.insert(key);
        }
    }

    /// Whether this key may be certified for this slot now.
    pub fn admit(
        &mut self,
        slot: SlotNumber,
        key: &Hash,
        sharing: Sharing,
        now: i64,
    ) -> Result<(), IssuingRefusal> {
        if self.revoked.contains(key) {
            return Err(IssuingRefusal::RevokedKey);
        }
        self.forget(slot, |held| held.not_after <= now);
        if sharing == Sharing::OneSlotPerKey
            && let Some(other) = self.elsewhere(slot, key, now)
        {
            return Err(IssuingRefusal::BadRequest { why: format!("this key already serves slot {other}") });
        }
        let held = self.slots.get(&slot).map_or(&[][..], Vec::as_slice);
        let others: HashSet<&Hash> = held.iter().map(|held| &held.key).filter(|held| *held != key).collect();
        let renewals = held.iter().filter(|held| held.key == *key).count();
        if others.len() >= KEYS_PER_SLOT
            || (sharing == Sharing::OneSlotPerKey && renewals >= RENEWALS_PER_KEY)
        {
            let living = u32::try_from(held.len()).unwrap_or(u32::MAX);
            return Err(IssuingRefusal::TooMany { slot, living });
        }
        Ok(())
    }

    fn elsewhere(&mut self, slot: SlotNumber, key: &Hash, now: i64) -> Option<SlotNumber> {
        let others: Vec<SlotNumber> =
            self.keys.get(key)?.keys().copied().filter(|other| *other != slot).collect();
        for other in &others {
            self.forget(*other, |held| held.not_after <= now);
        }
        self.keys.get(key)?.keys().copied().find(|other| *other != slot)
    }

    fn forget(&mut self, slot: SlotNumber, gone: impl Fn(&Held) -> bool) {
        let Some(held) = self.slots.get_mut(&slot) else { return };
        if !held.iter().any(&gone) {
            return;
        }
        let (left, stay): (Vec<Held>, Vec<Held>) = held.iter().copied().partition(|held| gone(held));
        *held = stay;
        for one in left {
            let Some(places) = self.keys.get_mut(&one.key) else { continue };
            if let Some(count) = places.get_mut(&slot) {
                *count -= 1;
                if *count == 0 {
                    places.remove(&slot);
                }
            }
            if places.is_empty() {
                self.keys.remove(&one.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<(), IssuingRefusal>) -> &'static str {
        result.err().map_or("ok", |refusal| refusal.code())
    }

    #[test]
    fn five_keys_serve_a_slot_one_slot_serves_a_key_and_the_expired_make_room() {
        let (slot, other) = ("18-0042".parse().unwrap(), "18-0043".parse().unwrap());
        let serial = |n: u8| CertificateSerial::from_random([n; 16]);
        let key = |n: u8| Hash::of(&[n]);
        let mut holders = Holders::default();
        let one = Sharing::OneSlotPerKey;
        for n in 0..5 {
            assert_eq!(code(holders.admit(slot, &key(n), one, 0)), "ok");
            holders.add(serial(n), slot, key(n), 100 + i64::from(n));
        }
        assert_eq!(code(holders.admit(slot, &key(9), one, 0)), "MM-2004");
        assert_eq!(code(holders.admit(slot, &key(0), one, 0)), "ok", "a renewal is no sixth account");
        assert_eq!(code(holders.admit(other, &key(0), one, 0)), "MM-2001");
        assert_eq!(code(holders.admit(other, &key(0), Sharing::Vouched, 0)), "ok");
        assert_eq!(code(holders.admit(other, &key(0), one, 100)), "ok", "it serves nobody any more");
        assert_eq!(code(holders.admit(slot, &key(9), one, 100)), "ok");
        holders.revoke(&serial(3), slot);
        assert_eq!(code(holders.admit(slot, &key(3), Sharing::Vouched, 100)), "MM-2006");
        for n in 10..10 + RENEWALS_PER_KEY as u8 {
            holders.add(serial(n), slot, key(4), 1_000);
        }
        assert_eq!(code(holders.admit(slot, &key(4), one, 100)), "MM-2004", "renewals end, too");
    }
}
