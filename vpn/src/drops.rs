//! Why a packet was dropped: one closed list, counted, named in the status.
//! Owns `DropReason` and `Drops`; pure values that live as long as the data plane.

use std::collections::BTreeMap;

/// Whoever adds a reason gives it a name here, or it does not compile.
macro_rules! reasons {
    ($($(#[$doc:meta])* $reason:ident = $name:literal,)*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum DropReason {
            $($(#[$doc])* $reason,)*
        }

        impl DropReason {
            pub const ALL: &'static [DropReason] = &[$(DropReason::$reason,)*];

            pub fn name(self) -> &'static str {
                match self {
                    $(DropReason::$reason => $name,)*
                }
            }
        }
    };
}

reasons! {
    /// A datagram of no bytes.
    Empty = "datagram-empty",
    /// Not a message of WireGuard: type, reserved bytes or length.
    Malformed = "datagram-malformed",
    /// Longer than any datagram that our MTU can produce.
    Oversize = "datagram-oversize",
    /// A message that only an initiator is sent; we never initiate.
    Unexpected = "datagram-unexpected",
    /// More initiations at once than wait for the handshake thread.
    InitiationsFull = "handshake-inbox-full",
    /// The first MAC does not know our public key.
    BadMac1 = "handshake-bad-mac1",
    /// This source has used up its handshakes.
    SourceLimit = "handshake-source-limit",
    /// This key asks more often than the protocol allows.
    SeatLimit = "handshake-seat-limit",
    /// A newer initiation took its place before it was computed.
    Overload = "handshake-overload",
    /// A key that sits in no slot.
    UnknownKey = "handshake-unknown-key",
    /// The handshake does not verify, or was seen before.
    BadHandshake = "handshake-refused",
    /// The kernel gave no randomness for an answer.
    NoRandomness = "handshake-no-randomness",
    /// The receiver index names an empty seat.
    NoSeat = "data-no-seat",
    /// No session, or one that is too old.
    NoSession = "data-no-session",
    /// A counter seen before, or too old to tell.
    Replayed = "data-replayed",
    /// The seal does not verify.
    BadSeal = "data-bad-seal",
    /// The inner packet is no IPv4 packet without options, or is cut short.
    InnerMalformed = "inner-malformed",
    InnerOversize = "inner-oversize",
    /// The inner source is not the seat's own address.
    InnerSource = "inner-source",
    /// The inner destination is another device.
    DeviceToDevice = "inner-device-to-device",
    /// The inner destination is nothing that a seat of this class may reach.
    InnerDestination = "inner-destination",
    OutMalformed = "out-malformed",
    OutOversize = "out-oversize",
    /// From the gateway to an address where nobody sits.
    OutNoSeat = "out-no-seat",
    /// From an address that may not speak to a seat of this class.
    OutSource = "out-source",
    /// The device has no session; it must come first, we never initiate.
    OutNoSession = "out-no-session",
    /// The kernel did not take the packet.
    NetworkFull = "network-full",
    TunnelFull = "tunnel-full",
}

/// Counters by reason.
#[derive(Clone, Debug)]
pub struct Drops([u64; DropReason::ALL.len()]);

impl Drops {
    pub fn new() -> Self {
        Self([0; DropReason::ALL.len()])
    }

    pub fn count(&mut self, reason: DropReason) {
        self.0[reason as usize] += 1;
    }

    pub fn add(&mut self, reason: DropReason, count: u64) {
        self.0[reason as usize] += count;
    }

    pub fn of(&self, reason: DropReason) -> u64 {
        self.0[reason as usize]
    }

    /// Both together.
    pub fn and(&self, other: &Drops) -> Drops {
        let mut both = self.clone();
        both.0.iter_mut().zip(other.0).for_each(|(mine, theirs)| *mine += theirs);
        both
    }

    /// Those that happened, by name.
    pub fn named(&self) -> BTreeMap<String, u64> {
        let counted = DropReason::ALL.iter().filter(|reason| self.of(**reason) > 0);
        counted.map(|reason| (reason.name().to_owned(), self.of(*reason))).collect()
    }
}

impl Default for Drops {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_has_a_name_of_its_own_and_its_own_counter() {
        let names: BTreeSet<_> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), DropReason::ALL.len());
        let mut drops = Drops::new();
        for reason in DropReason::ALL {
            drops.count(*reason);
        }
        assert!(drops.named().values().all(|count| *count == 1));
        assert_eq!(drops.named().len(), DropReason::ALL.len());
    }
}
