//! ACME for Apple's payload (RFC 8555 with device-attest-01): what a one-time ClientIdentifier may still do, which nonces
//! are good, and which of the standard's errors a refusal is. The gate is the sheet's number and password, which were
//! typed into the claim page before; the identifier carries that on, once, for a quarter of an hour, in one slot. What a
//! device says of its key is recorded and decides nothing: who leaves it out would pass all the same. Pure.
//!
//! ```text
//!   the page          newOrder           challenge          finalize: the claim itself
//!  ──────▶ waiting ───────────▶ pending ───────────▶ ready ────────────────────────────▶ valid
//!             │ another identifier of this sheet, its time, a revocation
//!             ▼                     (each of the three)
//!            void
//! ```

use std::collections::VecDeque;

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD};
use pki::chain::Hash;
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::messages_people::PeopleMessage;

/// From the page to the device's order: a profile is opened at once or made anew.
pub const VALID_MS: i64 = 15 * 60 * 1_000;
/// Octets of an identifier that nobody guesses: 160 bits.
pub const SECRET_LEN: usize = 20;
/// The sheet's number, a hyphen, 32 signs: 43. More is nobody's.
pub const IDENTIFIER_MAX: usize = 64;

/// Octets of a nonce, and of a challenge's token.
pub const NONCE_LEN: usize = 16;
/// A client that waits longer asks for another.
const NONCE_LIFE_MS: i64 = 15 * 60 * 1_000;
/// A client holds two or three; a slot that wants more loses its own oldest.
const NONCES_PER_SLOT: usize = 16;
/// 256 slots that all want as many as they can: 160 KiB.
const NONCES_MAX: usize = 4_096;

/// The one-time ClientIdentifier: the number first, so that a person on the telephone can say whose it is.
pub fn identifier(number: &str, random: &[u8; SECRET_LEN]) -> Zeroizing<String> {
    let secret = Zeroizing::new(BASE32_NOPAD.encode(random).to_ascii_lowercase());
    Zeroizing::new(format!("{number}-{}", secret.as_str()))
}

/// What is stored of it. 160 bits need no slow hash.
pub fn identifier_hash(identifier: &str) -> String {
    Hash::of(identifier.as_bytes()).to_string()
}

/// The thumbprint of the key that ordered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account(pub String);

/// How far an identifier has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Its profile was given out; no device has asked.
    Waiting,
    Pending(Account),
    /// The challenge was answered.
    Ready(Account),
    /// The certificate is there.
    Valid(Account),
    Void,
}

impl Stage {
    pub fn as_str(&self) -> &'static str {
        match self {
            Stage::Waiting => "waiting",
            Stage::Pending(_) => "pending",
            Stage::Ready(_) => "ready",
            Stage::Valid(_) => "valid",
            Stage::Void => "void",
        }
    }

    /// As it is stored: a word, and whose it is.
    pub fn parse(word: &str, account: Option<String>) -> Option<Self> {
        match (word, account.map(Account)) {
            ("waiting", None) => Some(Stage::Waiting),
            ("pending", Some(account)) => Some(Stage::Pending(account)),
            ("ready", Some(account)) => Some(Stage::Ready(account)),
            ("valid", Some(account)) => Some(Stage::Valid(account)),
            ("void", _) => Some(Stage::Void),
            _ => None,
        }
    }

    pub fn account(&self) -> Option<&Account> {
        match self {
            Stage::Pending(account) | Stage::Ready(account) | Stage::Valid(account) => Some(account),
            Stage::Waiting | Stage::Void => None,
        }
    }
}

/// An identifier as the registry remembers it. Times are Unix milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pass {
    pub stage: Stage,
    pub valid_until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// newOrder with this identifier.
    Ordered,
    /// The challenge is answered.
    Answered,
    /// A request for the certificate came.
    Finalized,
    /// The order, its authorization or its certificate is read.
    Read,
}

/// What an account does with an identifier: the stage after it. `Err`: refused, and nothing changed.
pub fn step(pass: &Pass, account: &Account, event: Event, now: i64) -> Result<Stage, PeopleMessage> {
    let over = now >= pass.valid_until;
    match (&pass.stage, event) {
        (Stage::Void, Event::Ordered) => Err(PeopleMessage::AcmePass),
        (Stage::Waiting, Event::Ordered) if over => Err(PeopleMessage::AcmePass),
        (Stage::Waiting, Event::Ordered) => Ok(Stage::Pending(account.clone())),
        // Nobody has ordered, or nobody may any more: answered as an order that does not exist.
        (Stage::Waiting | Stage::Void, Event::Answered | Event::Finalized | Event::Read) => {
            Err(PeopleMessage::AcmeOrder)
        }
        (Stage::Pending(own) | Stage::Ready(own) | Stage::Valid(own), event) if own != account => {
            Err(if event == Event::Ordered { PeopleMessage::AcmePass } else { PeopleMessage::AcmeOrder })
        }
        // Used; the same device that asks again after a lost answer reads its certificate at the order's URL.
        (Stage::Valid(_), Event::Ordered) => Err(PeopleMessage::AcmePass),
        (Stage::Valid(_), Event::Answered | Event::Finalized | Event::Read) => Ok(pass.stage.clone()),
        (Stage::Pending(_) | Stage::Ready(_), Event::Read) => Ok(pass.stage.clone()),
        (Stage::Pending(_) | Stage::Ready(_), _) if over => Err(PeopleMessage::AcmePass),
        (Stage::Pending(_) | Stage::Ready(_), Event::Ordered) => Ok(pass.stage.clone()),
        (Stage::Pending(own) | Stage::Ready(own), Event::Answered) => Ok(Stage::Ready(own.clone())),
        (Stage::Pending(_), Event::Finalized) => Err(PeopleMessage::AcmeNotReady),
        (Stage::Ready(own), Event::Finalized) => Ok(Stage::Valid(own.clone())),
    }
}

impl Pass {
    /// The order's status (RFC 8555 7.1.6).
    pub fn order_status(&self, now: i64) -> &'static str {
        let over = now >= self.valid_until;
        match self.stage {
            Stage::Valid(_) => "valid",
            Stage::Pending(_) if !over => "pending",
            Stage::Ready(_) if !over => "ready",
            Stage::Waiting | Stage::Void | Stage::Pending(_) | Stage::Ready(_) => "invalid",
        }
    }

    /// The authorization's, and its one challenge's.
    pub fn challenge_status(&self, now: i64) -> &'static str {
        match self.stage {
            Stage::Ready(_) | Stage::Valid(_) => "valid",
            Stage::Pending(_) if now < self.valid_until => "pending",
            Stage::Waiting | Stage::Void | Stage::Pending(_) => "invalid",
        }
    }
}

/// The standard's errors (RFC 8555 6.7) that say something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    AccountDoesNotExist,
    BadCsr,
    BadNonce,
    BadSignatureAlgorithm,
    Malformed,
    OrderNotReady,
    RateLimited,
    ServerInternal,
    Unauthorized,
    UnsupportedIdentifier,
}

impl Kind {
    pub fn urn(self) -> &'static str {
        match self {
            Kind::AccountDoesNotExist => "urn:ietf:params:acme:error:accountDoesNotExist",
            Kind::BadCsr => "urn:ietf:params:acme:error:badCSR",
            Kind::BadNonce => "urn:ietf:params:acme:error:badNonce",
            Kind::BadSignatureAlgorithm => "urn:ietf:params:acme:error:badSignatureAlgorithm",
            Kind::Malformed => "urn:ietf:params:acme:error:malformed",
            Kind::OrderNotReady => "urn:ietf:params:acme:error:orderNotReady",
            Kind::RateLimited => "urn:ietf:params:acme:error:rateLimited",
            Kind::ServerInternal => "urn:ietf:params:acme:error:serverInternal",
            Kind::Unauthorized => "urn:ietf:params:acme:error:unauthorized",
            Kind::UnsupportedIdentifier => "urn:ietf:params:acme:error:unsupportedIdentifier",
        }
    }
}

/// What a refusal is in the standard's words; ours stand beside them.
pub fn kind(message: PeopleMessage) -> Kind {
    match message {
        PeopleMessage::AcmeAccount => Kind::AccountDoesNotExist,
        PeopleMessage::AcmeAlgorithm => Kind::BadSignatureAlgorithm,
        PeopleMessage::AcmeForm | PeopleMessage::BodyForm | PeopleMessage::NotFound => Kind::Malformed,
        PeopleMessage::AcmeIdentifier => Kind::UnsupportedIdentifier,
        PeopleMessage::AcmeNonce => Kind::BadNonce,
        PeopleMessage::AcmeNotReady => Kind::OrderNotReady,
        PeopleMessage::ClaimRequest => Kind::BadCsr,
        PeopleMessage::ClaimPaused => Kind::RateLimited,
        PeopleMessage::Internal | PeopleMessage::NeighbourSilent | PeopleMessage::DiskFull => {
            Kind::ServerInternal
        }
        _ => Kind::Unauthorized,
    }
}

/// Nonces that were given and not taken, oldest first. Bounded in all and for each slot, so that no slot can push out
/// the others'; kept in memory, for a client that meets a restart is told `badNonce` and asks again by itself.
#[derive(Default)]
pub struct Nonces {
    given: VecDeque<Given>,
}

struct Given {
    slot: SlotNumber,
    nonce: [u8; NONCE_LEN],
    at: i64,
}

impl Nonces {
    /// `random` becomes the nonce.
    pub fn give(&mut self, slot: SlotNumber, random: [u8; NONCE_LEN], now: i64) -> String {
        while self.given.front().is_some_and(|oldest| now.saturating_sub(oldest.at) >= NONCE_LIFE_MS) {
            self.given.pop_front();
        }
        if self.given.iter().filter(|given| given.slot == slot).count() >= NONCES_PER_SLOT
            && let Some(own) = self.given.iter().position(|given| given.slot == slot)
        {
            self.given.remove(own);
        }
        if self.given.len() >= NONCES_MAX {
            self.given.pop_front();
        }
        self.given.push_back(Given { slot, nonce: random, at: now });
        BASE64URL_NOPAD.encode(&random)
    }

    /// Is it one that this slot was given? Not a second time.
    pub fn take(&mut self, slot: SlotNumber, nonce: &str, now: i64) -> bool {
        let Ok(nonce) = BASE64URL_NOPAD.decode(nonce.as_bytes()) else { return false };
        let found = self.given.iter().position(|given| given.slot == slot && given.nonce[..] == nonce[..]);
        let taken = found.and_then(|at| self.given.remove(at));
        taken.is_some_and(|given| now.saturating_sub(given.at) < NONCE_LIFE_MS)
    }
}

#[cfg(test)]
mod tests;
