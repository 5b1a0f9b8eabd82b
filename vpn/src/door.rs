//! The doors of this room: the closed sets of questions it answers.
//! `seats` is held by provisioning, `mirror` (the firewall's) by the vpn process itself,
//! `status` by the operator. A border file: these values cross process borders.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;

use serde::{Deserialize, Serialize};

use crate::key::{PresharedKey, PublicKey};
use crate::slot::{SeatClass, SlotNumber};

/// An answer on its way.
pub type Answering<'a, A> = Pin<Box<dyn Future<Output = Result<A, DoorClosed>> + Send + 'a>>;

/// Whoever can carry a question to the vpn room and bring the answer back:
/// a channel on the laptop, a socket in production.
pub trait SeatsDoor: Send + Sync {
    fn ask(&self, question: SeatsQuestion) -> Answering<'_, SeatsAnswer>;
}

/// The room behind the door is gone or did not answer in time; ask again later.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("the {room} room does not answer: {why}")]
pub struct DoorClosed {
    pub room: String,
    pub why: String,
}

/// A key put in a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seat {
    pub slot: SlotNumber,
    pub class: SeatClass,
    pub key: PublicKey,
    /// May change while its device is connected: the next handshake needs the new one. Another `key` or
    /// `class` ends the sessions.
    pub psk: PresharedKey,
    /// Grows with every change that provisioning makes to the slot; an older one never replaces a newer one.
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatsQuestion {
    /// Put a key in a slot's place (active or enrolling, by class); acknowledged after the firewall mirrors it.
    Seat(Seat),
    /// Empty one place of a slot, or both: sessions, queued packets and firewall entries are gone
    /// before this is acknowledged. Emptying what is empty is acknowledged too, and a seat of a later
    /// generation stays. Whoever sits there next needs a greater generation than this one.
    Unseat { slot: SlotNumber, enrolling: bool, active: bool, generation: u64 },
    /// The whole truth of provisioning; what is not in it is unseated (ruling 8).
    /// A seat in it that is older than the one held changes nothing.
    Reconcile { seats: Vec<Seat> },
    /// Who sits where now, with traffic.
    Status,
    /// What happened after event number `after` (0: everything that is remembered); answers at once when
    /// there is something, otherwise within `wait_ms` (at most `EVENTS_WAIT_MAX_MS`).
    /// Numbers grow across restarts; `next` is the `after` of the next question.
    Events { after: u64, wait_ms: u32 },
}

/// Longest wait of a question for events.
pub const EVENTS_WAIT_MAX_MS: u32 = 10_000;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatsAnswer {
    Seated {
        slot: SlotNumber,
        generation: u64,
    },
    /// Both points of enforcement that this room speaks for: its own data plane, and the firewall.
    Unseated {
        slot: SlotNumber,
        data_plane: bool,
        firewall: Point,
    },
    Reconciled {
        seated: u32,
        unseated: u32,
    },
    Status(VpnStatus),
    Events {
        next: u64,
        events: Vec<SeatEvent>,
    },
    Refused(SeatRefusal),
}

/// Has the firewall followed?
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Point {
    Acknowledged,
    Pending { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SeatRefusal {
    #[error("MM-1001 slot {slot}: series is not of this realm")]
    UnknownSeries { slot: SlotNumber },
    #[error("MM-1002 slot {slot}: generation {given} is older than {held}")]
    Stale { slot: SlotNumber, given: u64, held: u64 },
    #[error("MM-1003 slot {slot}: this key already sits in slot {holder}")]
    KeyTaken { slot: SlotNumber, holder: SlotNumber },
    #[error("MM-1004 slot {slot}: the key is not a usable public key")]
    WeakKey { slot: SlotNumber },
    #[error("MM-1005 slot {slot}: the firewall did not mirror the seat: {why}")]
    Mirror { slot: SlotNumber, why: String },
    #[error("MM-1006 the vpn room has stopped: {why}; start it again and ask again")]
    Closed { why: String },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatEvent {
    pub number: u64,
    /// Unix milliseconds.
    pub at_ms: i64,
    pub slot: SlotNumber,
    pub class: SeatClass,
    pub generation: u64,
    pub kind: SeatEventKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeatEventKind {
    /// The first completed handshake of this seat since this process started or since it was seated
    /// (ruling 5: the bootstrap key dies now). Completed: the device has proved the new session's key.
    FirstHandshake { endpoint: SocketAddr },
    /// A completed handshake from an endpoint other than the last one.
    EndpointChanged { from: SocketAddr, to: SocketAddr },
    /// Two devices hold this key: its messages come from two addresses in turn.
    KeyInTwoPlaces { one: IpAddr, other: IpAddr },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VpnStatus {
    pub listen: Vec<SocketAddr>,
    pub public_key: PublicKey,
    pub seats: Vec<SeatStatus>,
    /// Dropped packets by reason.
    pub drops: BTreeMap<String, u64>,
    /// What else is counted, by name.
    #[serde(default)]
    pub meters: BTreeMap<String, u64>,
    /// Is the firewall's set what the seating says? `None` before the first read back.
    pub mirror_true: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatStatus {
    pub slot: SlotNumber,
    pub class: SeatClass,
    pub generation: u64,
    pub endpoint: Option<SocketAddr>,
    /// Unix milliseconds.
    pub last_handshake_ms: Option<i64>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

/// What the firewall lets an inner address reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The gateway over mutual TLS, and what is open.
    Active,
    /// What is open: claim, published bytes, start page.
    Enrolling,
    /// What is open: the page that confirms the end of use.
    Leaving,
}

impl Gate {
    pub const ALL: [Gate; 3] = [Gate::Active, Gate::Enrolling, Gate::Leaving];

    /// Also the name of the firewall's set.
    pub fn as_str(self) -> &'static str {
        match self {
            Gate::Active => "active",
            Gate::Enrolling => "enrolling",
            Gate::Leaving => "leaving",
        }
    }
}

impl From<SeatClass> for Gate {
    fn from(class: SeatClass) -> Gate {
        match class {
            SeatClass::Enrolling => Gate::Enrolling,
            SeatClass::Active | SeatClass::ActiveMeetings => Gate::Active,
            SeatClass::Leaving => Gate::Leaving,
        }
    }
}

/// One address passes from one gate to another; `None` is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GateChange {
    pub address: Ipv4Addr,
    pub from: Option<Gate>,
    pub to: Option<Gate>,
}

/// Every address with the gate it may pass.
pub type Admitted = BTreeSet<(Ipv4Addr, Gate)>;

/// Whoever can carry a question to the firewall.
pub trait MirrorDoor: Send + Sync {
    fn ask(&self, question: MirrorQuestion) -> Answering<'_, MirrorAnswer>;
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorQuestion {
    /// Put our table in the place of whatever has its name, in one transaction, admitting exactly these.
    Install { admitted: Admitted },
    /// Change what the table admits, in one transaction.
    Change { changes: Vec<GateChange> },
    /// What does the kernel hold?
    ReadBack,
    /// Take our table away (a clean stop).
    Remove,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MirrorAnswer {
    Done,
    /// `rules` is the text of the chains and rules as the kernel holds them; equal text, equal rules.
    Table {
        admitted: Admitted,
        rules: String,
    },
    Failed {
        why: String,
    },
}
