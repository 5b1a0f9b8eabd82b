//! Answers the operator: carries each question to its room with the name of whoever asks, and puts the
//! rooms' states together. Owns the lines to all rooms; ends when its listener is dropped.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::door::{PkiAnswer, PkiQuestion};
use pki::identity::TraceId;
use provisioning::door::{Operator, ProvisioningAnswer, ProvisioningQuestion};
use sns::door::{SnsAnswer, SnsQuestion};
use tokio::net::UnixListener;
use vpn::door::{SeatsAnswer, SeatsQuestion};

use super::degraded::judge;
use super::question::{
    Answered, JailStatus, OperatorAnswer, OperatorQuestion, SnsStatus, Status, VpnQuestion,
};
use super::users::{Users, trace};
use crate::jail::Held;
use crate::wire::frame::{self, CONNECTIONS_MAX, Guard, OPERATOR_FRAME_MAX, Peer, QUESTION_TIME};
use crate::wire::{Line, WireFault};

/// The lines to every room, and what the door itself knows.
pub struct Rooms {
    pub vpn: Line<SeatsQuestion, SeatsAnswer>,
    pub pki: Line<PkiQuestion, PkiAnswer>,
    pub gateway: Line<GatewayQuestion, GatewayAnswer>,
    pub sns: Line<SnsQuestion, SnsAnswer>,
    pub provisioning: Line<(Operator, ProvisioningQuestion), ProvisioningAnswer>,
    pub users: Users,
    pub jail: Held,
    pub since_ms: i64,
}

/// Serves the door until dropped. Only root and the appliance's own user are heard.
pub async fn serve(listener: UnixListener, rooms: Rooms) {
    let own = rustix::process::geteuid().as_raw();
    let guard = Guard {
        uids: vec![0, own],
        frame_limit: OPERATOR_FRAME_MAX,
        question_time: QUESTION_TIME,
        connections: CONNECTIONS_MAX,
    };
    let rooms = Arc::new(rooms);
    frame::serve(listener, guard, move |peer, question| {
        let rooms = Arc::clone(&rooms);
        async move { rooms.answer(peer, question).await }
    })
    .await;
}

impl Rooms {
    async fn answer(&self, peer: Peer, question: OperatorQuestion) -> Answered {
        // Without randomness the zero trace says so; the question is answered all the same.
        let trace = trace().unwrap_or_else(|_| TraceId::from_random([0; 8]));
        let operator = Operator { name: self.users.name(peer.uid), trace };
        log::info!(
            OPERATOR = operator.name.as_str(), TRACE_ID = trace.to_string().as_str();
            "the operator asks: {}", name(&question)
        );
        let answer = self.carried(operator, question).await;
        Answered { trace, answer }
    }

    async fn carried(&self, operator: Operator, question: OperatorQuestion) -> OperatorAnswer {
        match question {
            OperatorQuestion::Status => OperatorAnswer::Status(Box::new(self.status(operator).await)),
            OperatorQuestion::Vpn(VpnQuestion::Status) => match self.vpn.ask(SeatsQuestion::Status).await {
                Ok(SeatsAnswer::Status(status)) => OperatorAnswer::Vpn(status),
                Ok(_) => silent("vpn", "an answer of another kind".to_owned()),
                Err(fault) => silent("vpn", fault.to_string()),
            },
            OperatorQuestion::Pki(question) => {
                carried("pki", self.pki.ask(question).await, OperatorAnswer::Pki)
            }
            OperatorQuestion::Gateway(question) => {
                carried("gateway", self.gateway.ask(question).await, OperatorAnswer::Gateway)
            }
            OperatorQuestion::Sns(question) => {
                carried("sns", self.sns.ask(question).await, OperatorAnswer::Sns)
            }
            OperatorQuestion::Provisioning(question) => {
                let asked = self.provisioning.ask((operator, question)).await;
                carried("provisioning", asked, OperatorAnswer::Provisioning)
            }
        }
    }

    async fn status(&self, operator: Operator) -> Status {
        let (vpn, pki, gateway, sns, provisioning) = tokio::join!(
            self.vpn.ask(SeatsQuestion::Status),
            self.pki.ask(PkiQuestion::Status),
            self.gateway.ask(GatewayQuestion::Status),
            self.sns.ask(SnsQuestion::Status),
            self.provisioning.ask((operator, ProvisioningQuestion::Status)),
        );
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            form: "together".to_owned(),
            engine: "sqlite".to_owned(),
            since_ms: self.since_ms,
            jail: JailStatus { whole: self.jail.is_whole(), text: self.jail.to_string() },
            degraded: Vec::new(),
            vpn: match vpn {
                Ok(SeatsAnswer::Status(status)) => Some(status),
                _ => None,
            },
            pki: match pki {
                Ok(PkiAnswer::Status(status)) => Some(status),
                _ => None,
            },
            gateway: match gateway {
                Ok(GatewayAnswer::Status(status)) => Some(status),
                _ => None,
            },
            sns: match sns {
                Ok(SnsAnswer::Status { teams, posts, streams, epoch, audit_entries }) => {
                    Some(SnsStatus { teams, posts, streams, epoch, audit_entries })
                }
                _ => None,
            },
            provisioning: match provisioning {
                Ok(ProvisioningAnswer::Status(status)) => Some(status),
                _ => None,
            },
        };
        status.degraded = judge(&status, now_ms() / 1000);
        status
    }
}

fn carried<A>(room: &str, asked: Result<A, WireFault>, wrap: fn(A) -> OperatorAnswer) -> OperatorAnswer {
    asked.map_or_else(|fault| silent(room, fault.to_string()), wrap)
}

fn silent(room: &str, why: String) -> OperatorAnswer {
    OperatorAnswer::Silent { room: room.to_owned(), why }
}

/// The question's name for the log; never its content, which may be a whole file.
fn name(question: &OperatorQuestion) -> &'static str {
    match question {
        OperatorQuestion::Status => "status",
        OperatorQuestion::Vpn(_) => "vpn",
        OperatorQuestion::Pki(_) => "pki",
        OperatorQuestion::Gateway(_) => "gateway",
        OperatorQuestion::Sns(_) => "sns",
        OperatorQuestion::Provisioning(question) => match question {
            ProvisioningQuestion::Status => "provisioning status",
            ProvisioningQuestion::FacilityImport { .. } => "facility import",
            ProvisioningQuestion::FacilityList => "facility list",
            ProvisioningQuestion::FacilityTemplate => "facility template",
            ProvisioningQuestion::CaseList => "case list",
            ProvisioningQuestion::CaseShow { .. } => "case show",
            ProvisioningQuestion::CaseAccept { .. } => "case accept",
            ProvisioningQuestion::SlotList { .. } => "slot list",
            ProvisioningQuestion::SlotShow { .. } => "slot show",
            ProvisioningQuestion::DeviceList { .. } => "device list",
            ProvisioningQuestion::DeviceRevoke { .. } => "device revoke",
            ProvisioningQuestion::ReceiptShow { .. } => "device receipt",
            ProvisioningQuestion::AuditList { .. } => "audit list",
            ProvisioningQuestion::AuditVerify => "audit verify",
        },
    }
}

/// Unix milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
