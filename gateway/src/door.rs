//! The doors of this room: cuts and why (held by provisioning), and the operator's. A border file.

use pki::identity::{FacilityId, MembershipId, PersonId};
use pki::serial::CertificateSerial;
use serde::{Deserialize, Serialize};
use vpn::slot::SlotNumber;

/// Ends what is live, now, and refuses it from now on until a newer grant says otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CutQuestion {
    Slot { slot: SlotNumber, generation: u64 },
    Certificate { serial: CertificateSerial },
    Person { person: PersonId },
    Membership { membership: MembershipId },
    Facility { facility: FacilityId },
}

/// Acknowledged after the last byte: no connection, stream or session of it is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutAnswer {
    pub connections: u32,
    pub sessions: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayQuestion {
    Status,
    /// Who is connected now.
    Live,
    /// The reason behind the last refusals of a slot.
    Why {
        slot: SlotNumber,
    },
    /// The reason behind a four-digit code of the help page (つながらないとき).
    Code {
        code: String,
    },
    /// Cuts a slot's present holder: what is live ends, and it stays out until a newer grant.
    Cut {
        slot: SlotNumber,
        dry_run: bool,
    },
    /// Everything that is counted, in Prometheus' text form.
    Metrics,
    /// Certificate, key and device CA are read anew; nobody is disconnected.
    Reload {
        dry_run: bool,
    },
    /// Follows the whole audit trail through all its files.
    VerifyAudit,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GatewayAnswer {
    Status(GatewayStatus),
    Live(Vec<LiveConnection>),
    Why(Vec<RefusalRecord>),
    Cut(CutAnswer),
    /// Nobody holds the slot.
    NothingToCut,
    Metrics(String),
    Reloaded,
    AuditVerified {
        entries: u64,
        head: String,
    },
    AuditBroken {
        entry: u64,
    },
    /// It was not done, and why.
    Failed {
        why: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GatewayStatus {
    pub listen: Vec<String>,
    pub connections: u32,
    pub sessions: u32,
    pub grants_version: u64,
    pub grants_age_ms: Option<u64>,
    pub revocations: u64,
    pub revocations_age_ms: Option<u64>,
    /// Feeds older than the bound: no new TLS, no sign-in (ruling 7).
    pub stale: bool,
    /// Refusals by reason since the start.
    pub refusals: std::collections::BTreeMap<String, u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveConnection {
    pub slot: SlotNumber,
    pub certificate: Option<CertificateSerial>,
    pub person: Option<PersonId>,
    pub since_ms: i64,
    pub streams: u32,
}

/// One refusal as the console shows it: the exact reason, which the device never hears.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalRecord {
    pub at_ms: i64,
    pub slot: Option<SlotNumber>,
    pub code: String,
    pub ja: String,
    pub en: String,
    pub trace: String,
}
