//! The operator's questions and answers. What changes something is in provisioning's own enum; of the
//! other rooms one can only ask how they are. A border file: these values are the frames of the door.

use gateway::door::{GatewayAnswer, GatewayQuestion, GatewayStatus};
use pki::door::{PkiAnswer, PkiQuestion, PkiStatus};
use pki::identity::TraceId;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, ProvisioningStatus};
use serde::{Deserialize, Serialize};
use sns::door::{SnsAnswer, SnsQuestion};
use vpn::door::VpnStatus;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorQuestion {
    /// All rooms at once.
    Status,
    Vpn(VpnQuestion),
    Pki(PkiQuestion),
    Gateway(GatewayQuestion),
    Sns(SnsQuestion),
    Provisioning(ProvisioningQuestion),
}

/// Seating is provisioning's; the operator looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VpnQuestion {
    Status,
}

/// An answer, and the trace id under which it stands in every log and audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    pub trace: TraceId,
    pub answer: OperatorAnswer,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorAnswer {
    Status(Box<Status>),
    Vpn(VpnStatus),
    Pki(PkiAnswer),
    Gateway(GatewayAnswer),
    Sns(SnsAnswer),
    Provisioning(ProvisioningAnswer),
    /// The room behind the question does not answer.
    Silent {
        room: String,
        why: String,
    },
}

/// The engines under the records (ruling 9), as the status names them.
pub const SQLITE: &str = "sqlite";
pub const POSTGRES: &str = "postgres";

/// How everything is; a room that does not answer is absent and named in `degraded`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    /// `together`: all rooms in one process; `separated`: each in its own.
    pub form: String,
    pub engine: String,
    /// Unix milliseconds.
    pub since_ms: i64,
    pub jail: JailStatus,
    pub degraded: Vec<Degraded>,
    pub vpn: Option<VpnStatus>,
    pub pki: Option<PkiStatus>,
    pub gateway: Option<GatewayStatus>,
    pub sns: Option<SnsStatus>,
    pub provisioning: Option<ProvisioningStatus>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailStatus {
    /// Everything the jail knows holds.
    pub whole: bool,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnsStatus {
    pub teams: u32,
    pub posts: u64,
    pub streams: u32,
    pub epoch: u32,
    pub audit_entries: u64,
}

/// What is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Degraded {
    pub room: String,
    pub ja: String,
    pub en: String,
}
