//! Between the right password and the chosen membership: a ticket that says the password was right.
//! Owns the open tickets, hashed; each is good once, for five minutes, on the device it was given to. Pure.

use std::collections::BTreeMap;

use pki::identity::PersonId;
use pki::serial::CertificateSerial;
use vpn::slot::SlotNumber;

use crate::moment::Moment;
use crate::need::Membership;
use crate::session::TokenHash;

/// Time to read a short list.
const LIFE_MS: u64 = 5 * 60_000;
/// People who stand before the list at one moment.
const OPEN_MAX: usize = 1_000;

#[derive(Clone)]
pub struct Ticket {
    pub slot: SlotNumber,
    pub certificate: CertificateSerial,
    pub person: PersonId,
    pub memberships: Vec<Membership>,
    pub must_change: bool,
}

#[derive(Default)]
pub struct Tickets(BTreeMap<TokenHash, (u64, Ticket)>);

impl Tickets {
    pub fn give(&mut self, hash: TokenHash, ticket: Ticket, now: Moment) {
        self.0.retain(|_, (until, _)| *until > now.up_ms);
        while self.0.len() >= OPEN_MAX {
            let soonest = self.0.iter().min_by_key(|(_, (until, _))| *until);
            let Some(hash) = soonest.map(|(hash, _)| *hash) else { break };
            self.0.remove(&hash);
        }
        self.0.insert(hash, (now.up_ms + LIFE_MS, ticket));
    }

    /// The ticket, once, on its own device.
    pub fn take(
        &mut self,
        hash: &TokenHash,
        slot: SlotNumber,
        certificate: CertificateSerial,
        now: Moment,
    ) -> Option<Ticket> {
        let (until, ticket) = self.0.get(hash)?;
        let fits = *until > now.up_ms && ticket.slot == slot && ticket.certificate == certificate;
        if fits { self.0.remove(hash).map(|(_, ticket)| ticket) } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::SessionToken;

    #[test]
    fn a_ticket_is_good_once_for_a_while_and_on_one_device() {
        let at = |up_ms| Moment { unix_ms: 0, up_ms };
        let slot: SlotNumber = "18-0042".parse().unwrap();
        let certificate = CertificateSerial::from_random([1; 16]);
        let ticket = Ticket {
            slot,
            certificate,
            person: PersonId::from_random([1; 10]),
            memberships: vec![],
            must_change: false,
        };
        let hash = SessionToken::from_random(&[1; 32]).hash();
        let mut tickets = Tickets::default();
        tickets.give(hash, ticket, at(0));
        let other = CertificateSerial::from_random([2; 16]);
        assert!(tickets.take(&hash, "18-0043".parse().unwrap(), certificate, at(1)).is_none());
        assert!(tickets.take(&hash, slot, other, at(1)).is_none());
        assert!(tickets.take(&hash, slot, certificate, at(LIFE_MS)).is_none());
        assert!(tickets.take(&hash, slot, certificate, at(1)).is_some());
        assert!(tickets.take(&hash, slot, certificate, at(1)).is_none());
    }
}
