//! What the gateway needs from its siblings, in its own words. `appliance` carries these questions
//! to whoever answers them; the gateway knows no sibling by name. A border file.

pub mod passkey; // border

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pki::door::{PublishedDoor, RevocationsDoor};
use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use vpn::slot::{SeatClass, SlotNumber};

use self::passkey::{PasskeyAnswer, PasskeyQuestion};

pub type Answering<'a, A> = Pin<Box<dyn Future<Output = Result<A, NeedUnmet>> + Send + 'a>>;

/// Everybody at whose door the gateway knocks.
#[derive(Clone)]
pub struct Needs {
    pub grants: Arc<dyn Grants>,
    pub accounts: Arc<dyn Accounts>,
    pub upstream: Arc<dyn Upstream>,
    pub revocations: Arc<dyn RevocationsDoor>,
    pub published: Arc<dyn PublishedDoor>,
}

/// Whoever should answer does not; the gateway refuses what depends on it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{room} does not answer: {why}")]
pub struct NeedUnmet {
    pub room: String,
    pub why: String,
}

/// Who owns a slot, and who is a member of what: a versioned feed (ruling 1).
pub trait Grants: Send + Sync {
    /// Everything that changed after `version`; waits up to `wait_ms` when nothing did.
    /// `version` 0 gives the whole truth.
    fn changes(&self, version: u64, wait_ms: u32) -> Answering<'_, GrantChanges>;
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantChanges {
    /// Ask with this next time.
    pub version: u64,
    pub slots: Vec<SlotGrant>,
    pub memberships: Vec<MembershipGrant>,
}

/// The last word on one slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotGrant {
    pub slot: SlotNumber,
    /// `None`: the slot admits nobody (free, suspended, revoked, cooling).
    pub holder: Option<SlotHolder>,
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotHolder {
    pub facility: FacilityId,
    pub class: SeatClass,
    /// Facilities grouped with the owner (併設) or allowed by it; a membership of these is permitted too.
    pub also: Vec<FacilityId>,
}

/// The last word on one membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MembershipGrant {
    pub membership: MembershipId,
    pub person: PersonId,
    pub facility: FacilityId,
    pub role: Role,
    /// False: suspended, deleted, or the facility is.
    pub active: bool,
}

/// Who a login and password, or a passkey, belong to. The answer costs the same time for every failure.
pub trait Accounts: Send + Sync {
    fn check(&self, login: String, password: Password) -> Answering<'_, AccountCheck>;
    fn change(&self, person: PersonId, old: Password, new: Password) -> Answering<'_, PasswordChange>;
    fn passkey(&self, question: PasskeyQuestion) -> Answering<'_, PasskeyAnswer>;
}

/// A password in transit: no `Debug`, wiped when dropped.
#[derive(Clone, Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct Password(String);

impl Password {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(<hidden>)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountCheck {
    Right {
        person: PersonId,
        name: String,
        memberships: Vec<Membership>,
        must_change: bool,
    },
    /// Wrong login, wrong password and unknown account are one answer.
    Wrong,
    /// Too many failures; try again after this many seconds.
    Paused {
        seconds: u32,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub facility_name: String,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasswordChange {
    Changed,
    Wrong,
    /// The catalogue's code and text of the rule it breaks (P-09).
    Weak {
        code: String,
        ja: String,
        en: String,
    },
}

/// A byte stream to a room that speaks HTTP.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// The rooms behind the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behind {
    Sns,
    Provisioning,
}

/// Opens a fresh connection to a room behind the gateway.
pub trait Upstream: Send + Sync {
    fn open(&self, behind: Behind) -> Answering<'_, Box<dyn Io>>;
}
