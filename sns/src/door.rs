//! The doors of this room: teams and patient keys (held by provisioning), and the operator's.
//! HTTP from the gateway is the room's other entrance. A border file.

use pki::identity::{FacilityId, MembershipId, PatientId, PersonId, Role, TraceId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TeamsQuestion {
    /// Opens a team: one patient is one team (J-01). Idempotent by `patient`.
    /// The name is sealed under the patient's new key before anything is stored (ruling 10).
    Open {
        patient: PatientId,
        name: PatientText,
        kana: PatientText,
        origin: FacilityRef,
        at_ms: i64,
    },
    /// 紐づけ: links a facility with a patient (B-09).
    LinkFacility {
        patient: PatientId,
        facility: FacilityRef,
    },
    /// Puts a facility's person into the team (B-15); the facility must be linked.
    AddMember {
        patient: PatientId,
        member: Member,
    },
    RemoveMember {
        patient: PatientId,
        membership: MembershipId,
    },
    /// Out of every team at once: this membership is over (H-14). Safe to repeat.
    Leave {
        membership: MembershipId,
    },
    /// 解除 (C-4, C-7): the facility is out of this team, or of every team, and its people with it; what they wrote
    /// stays (P-06). Safe to repeat.
    UnlinkFacility {
        patient: Option<PatientId>,
        facility: FacilityId,
    },
    /// 同意撤回 (C-10.4): everybody is out of this team, until its posts are erased (P-27). Safe to repeat.
    Stop {
        patient: PatientId,
    },
    /// 支援終了 (P-22): from now on the team is read and not written. Safe to repeat.
    Close {
        patient: PatientId,
    },
    /// Which patients a facility is linked with; names opened for the console that shows them.
    List {
        facility: Option<FacilityId>,
    },
    /// Device, person or facility is out: ends live streams, answers when none is left.
    End(EndStreams),
}

/// Text that names a patient: no `Debug`, wiped when dropped, stored only sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, zeroize::Zeroize, zeroize::ZeroizeOnDrop)]
pub struct PatientText(String);

impl PatientText {
    pub fn new(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for PatientText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PatientText(<hidden>)")
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FacilityRef {
    pub facility: FacilityId,
    pub name: String,
}

/// How a person appears beside a post: name, profession and facility at the time (P-33).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub person: PersonId,
    pub membership: MembershipId,
    pub role: Role,
    pub name: String,
    pub profession: String,
    pub facility: FacilityRef,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EndStreams {
    /// In text, `18-0042`: this room imports `pki` only.
    Slot(String),
    Person(PersonId),
    Facility(FacilityId),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TeamsAnswer {
    Opened {
        patient: PatientId,
    },
    Linked,
    Added,
    Removed,
    /// Teams that it was in until now.
    Left {
        teams: u32,
    },
    /// Facilities that were linked until now.
    Stopped {
        facilities: u32,
    },
    Closed,
    Teams(Vec<TeamSummary>),
    Ended {
        streams: u32,
    },
    Refused(TeamsRefusal),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamSummary {
    pub patient: PatientId,
    pub name: PatientText,
    pub kana: PatientText,
    pub origin: FacilityId,
    pub facilities: Vec<FacilityRef>,
    pub members: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum TeamsRefusal {
    #[error("MM-4001 no such patient")]
    UnknownPatient,
    #[error("MM-4002 the facility is not linked with this patient")]
    NotLinked,
    #[error("MM-4003 the patient's key is erased")]
    Erased,
    #[error("MM-4004 {field}: {why}")]
    Invalid { field: String, why: String },
    #[error("MM-4005 the room cannot store it now: {why}")]
    Unavailable { why: String },
}

/// Sealing for rooms that keep something about a patient outside this room (case scans, ledgers).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeysQuestion {
    Seal {
        patient: PatientId,
        context: String,
        plain: Vec<u8>,
    },
    Open {
        patient: PatientId,
        context: String,
        sealed: Vec<u8>,
    },
    /// Destroys the patient's key; every backup of the content is noise from then on.
    Erase {
        patient: PatientId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeysAnswer {
    Sealed(Vec<u8>),
    Opened(Vec<u8>),
    Erased,
    Refused(TeamsRefusal),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnsQuestion {
    Status,
    /// Recomputes the whole audit trail.
    VerifyAudit,
    /// The trail after an entry, all of it or one request's; at most a thousand entries at once.
    Audit {
        after: u64,
        limit: u32,
        trace: Option<TraceId>,
    },
    /// Replaces the epoch's key, as an erasure does; older copies of keys.db open nothing afterwards.
    RotateEpoch,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnsAnswer {
    Status { teams: u32, posts: u64, streams: u32, epoch: u32, audit_entries: u64 },
    AuditVerified(pki::chain::Head),
    Audit(Vec<AuditLine>),
    EpochRotated { epoch: u32 },
    Refused(TeamsRefusal),
}

/// One entry of the trail, read for a person: ids and rules, never content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditLine {
    pub number: u64,
    pub at_ms: i64,
    pub trace: Option<TraceId>,
    /// `18-0042/p-…/m-…/f-…/staff`, `door:teams` or `room`.
    pub who: String,
    pub act: String,
    pub patient: Option<PatientId>,
    /// What else it was done to: a post, a facility, a membership.
    pub on: Option<String>,
    pub rule: String,
    pub allowed: bool,
}
