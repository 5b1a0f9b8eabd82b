//! Challenges that authenticators are asked to sign: each good once, for a few minutes, on the device, at the name and for
//! the act it was made for. Kept in memory only: who was asked before a restart is asked again. Pure.

use std::collections::BTreeMap;

use pki::identity::PersonId;
use pki::serial::CertificateSerial;
use vpn::slot::SlotNumber;

use crate::moment::Moment;
use crate::names::Host;
use crate::session::TokenHash;

/// Time to find the security key and touch it; browsers wait no longer either.
pub const LIFE_MS: u64 = 5 * 60_000;
/// Tabs of one device that stand at the sign-in at one moment.
const PER_SLOT: usize = 8;
/// A morning's change of shift everywhere at once.
const OPEN_MAX: usize = 4_096;

/// For whom and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    pub slot: SlotNumber,
    pub certificate: CertificateSerial,
    pub host: Host,
    /// The person who makes a key; `None`: somebody signs in.
    pub maker: Option<PersonId>,
}

#[derive(Default)]
pub struct Challenges(BTreeMap<TokenHash, (u64, Challenge)>);

impl Challenges {
    pub fn give(&mut self, hash: TokenHash, challenge: Challenge, now: Moment) {
        self.0.retain(|_, (until, _)| *until > now.up_ms);
        let slot = challenge.slot;
        self.shrink(PER_SLOT, |held| held.slot == slot);
        self.shrink(OPEN_MAX, |_| true);
        self.0.insert(hash, (now.up_ms + LIFE_MS, challenge));
    }

    /// Once, and only for what it was made for. What does not fit stays: nobody burns another's.
    pub fn take(&mut self, hash: &TokenHash, asked: &Challenge, now: Moment) -> bool {
        let fits = self.0.get(hash).is_some_and(|(until, held)| *until > now.up_ms && held == asked);
        fits && self.0.remove(hash).is_some()
    }

    /// Makes room for one more: the oldest goes.
    fn shrink(&mut self, most: usize, of: impl Fn(&Challenge) -> bool) {
        let held = || self.0.iter().filter(|(_, (_, challenge))| of(challenge));
        if held().count() < most {
            return;
        }
        let oldest = held().min_by_key(|(_, (until, _))| *until).map(|(hash, _)| *hash);
        if let Some(hash) = oldest {
            self.0.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionToken;

    fn hash(n: u32) -> TokenHash {
        let mut random = [0; 32];
        random[..4].copy_from_slice(&n.to_be_bytes());
        SessionToken::from_random(&random).hash()
    }

    fn challenge(n: u16) -> Challenge {
        Challenge {
            slot: format!("18-{n:04}").parse().unwrap(),
            certificate: CertificateSerial::from_random([1; 16]),
            host: Host::Sns,
            maker: None,
        }
    }

    const fn at(up_ms: u64) -> Moment {
        Moment { unix_ms: 0, up_ms }
    }

    /// Issue 6, passkeys: a challenge is good once, for a while, and for nothing else.
    #[test]
    fn a_challenge_is_good_once_and_for_what_it_was_made_for() {
        let ours = challenge(42);
        let mut challenges = Challenges::default();
        challenges.give(hash(1), ours.clone(), at(0));
        for other in [
            challenge(43),
            Challenge { certificate: CertificateSerial::from_random([2; 16]), ..ours.clone() },
            Challenge { host: Host::Office, ..ours.clone() },
            Challenge { maker: Some(PersonId::from_random([1; 10])), ..ours.clone() },
        ] {
            assert!(!challenges.take(&hash(1), &other, at(1)), "{other:?}");
        }
        assert!(!challenges.take(&hash(2), &ours, at(1)), "a challenge of nobody's");
        assert!(!challenges.take(&hash(1), &ours, at(LIFE_MS)));
        assert!(challenges.take(&hash(1), &ours, at(LIFE_MS - 1)));
        assert!(!challenges.take(&hash(1), &ours, at(LIFE_MS - 1)), "once");
    }

    #[test]
    fn a_device_that_asks_for_ever_pushes_out_its_own_only() {
        let mut challenges = Challenges::default();
        challenges.give(hash(0), challenge(1), at(0));
        for n in 1..=1_000 {
            challenges.give(hash(n), challenge(2), at(u64::from(n)));
        }
        assert_eq!(challenges.0.len(), 1 + PER_SLOT);
        assert!(challenges.take(&hash(0), &challenge(1), at(1_000)));
        assert!(challenges.take(&hash(1_000), &challenge(2), at(1_000)));
        assert!(!challenges.take(&hash(1), &challenge(2), at(1_000)));
        for n in 0..(2 * OPEN_MAX as u32) {
            challenges.give(hash(n), challenge((n % 10_000) as u16), at(2_000));
        }
        assert!(challenges.0.len() <= OPEN_MAX);
    }
}
