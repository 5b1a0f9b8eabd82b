//! Answers the operator: carries each question to its room with the name of whoever asks, and puts the
//! rooms' states together. Owns the lines to all rooms; ends when its listener is dropped.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::door::{PkiAnswer, PkiQuestion};
use pki::identity::TraceId;
use provisioning::door::{Operator, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_call::CallQuestion;
use provisioning::door_more::MoreQuestion;
use provisioning::door_person::PersonQuestion;
use sns::door::{SnsAnswer, SnsQuestion};
use tokio::net::UnixListener;
use vpn::door::{SeatsAnswer, SeatsQuestion};

use super::degraded::judge;
use super::question::{
    Answered, JailStatus, OperatorAnswer, OperatorQuestion, POSTGRES, SQLITE, SnsStatus, Status, VpnQuestion,
};
use super::users::{Users, trace};
use crate::config::Config;
use crate::jail::Held;
use crate::wire::frame::{self, CONNECTIONS_MAX, Guard, OPERATOR_FRAME_MAX, Peer, QUESTION_TIME};
use crate::wire::{Line, WireFault};

/// All rooms in one process, behind one door.
pub const TOGETHER: &str = "together";
/// Each room has a process and an operator door of its own.
pub const SEPARATED: &str = "separated";

/// What the configuration says of the records.
pub fn engine(config: &Config) -> &'static str {
    if config.secrets.database.is_some() { POSTGRES } else { SQLITE }
}

/// The lines to the rooms behind this door, and what the door itself knows.
pub struct Rooms {
    /// `TOGETHER` or `SEPARATED`.
    pub form: &'static str,
    /// Where the records are (ruling 9).
    pub engine: &'static str,
    pub vpn: Option<Line<SeatsQuestion, SeatsAnswer>>,
    pub pki: Option<Line<PkiQuestion, PkiAnswer>>,
    pub gateway: Option<Line<GatewayQuestion, GatewayAnswer>>,
    pub sns: Option<Line<SnsQuestion, SnsAnswer>>,
    pub provisioning: Option<Line<(Operator, ProvisioningQuestion), ProvisioningAnswer>>,
    pub users: Users,
    pub jail: Held,
    pub since_ms: i64,
}

/// Only root and the appliance's own user are heard.
pub fn own_guard() -> Guard {
    Guard {
        door: "operator.sock",
        uids: vec![0, rustix::process::geteuid().as_raw()],
        frame_limit: OPERATOR_FRAME_MAX,
        question_time: QUESTION_TIME,
        connections: CONNECTIONS_MAX,
    }
}

/// Serves the door until dropped.
pub async fn serve(listener: UnixListener, guard: Guard, rooms: Rooms) {
    let rooms = Arc::new(rooms);
    frame::serve(listener, guard, move |peer, question| {
        let rooms = Arc::clone(&rooms);
        async move { rooms.answer(peer, question).await }
    })
    .await;
}

impl Rooms {
    /// Before any line is laid.
    pub fn none(form: &'static str, engine: &'static str, users: Users, jail: Held, since_ms: i64) -> Self {
        Self {
            form,
            engine,
            vpn: None,
            pki: None,
            gateway: None,
            sns: None,
            provisioning: None,
            users,
            jail,
            since_ms,
        }
    }

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
            OperatorQuestion::Vpn(VpnQuestion::Status) => match ask(&self.vpn, SeatsQuestion::Status).await {
                Ok(SeatsAnswer::Status(status)) => OperatorAnswer::Vpn(status),
                Ok(_) => silent("vpn", "an answer of another kind".to_owned()),
                Err(fault) => silent("vpn", fault.to_string()),
            },
            OperatorQuestion::Pki(question) => {
                let question = question.asked_by(&operator.name);
                carried("pki", ask(&self.pki, question).await, OperatorAnswer::Pki)
            }
            OperatorQuestion::Gateway(question) => {
                carried("gateway", ask(&self.gateway, question).await, OperatorAnswer::Gateway)
            }
            OperatorQuestion::Sns(question) => {
                carried("sns", ask(&self.sns, question).await, OperatorAnswer::Sns)
            }
            OperatorQuestion::Provisioning(question) => {
                let asked = ask(&self.provisioning, (operator, question)).await;
                carried("provisioning", asked, OperatorAnswer::Provisioning)
            }
        }
    }

    async fn status(&self, operator: Operator) -> Status {
        let (vpn, pki, gateway, sns, provisioning) = tokio::join!(
            ask(&self.vpn, SeatsQuestion::Status),
            ask(&self.pki, PkiQuestion::Status),
            ask(&self.gateway, GatewayQuestion::Status),
            ask(&self.sns, SnsQuestion::Status),
            ask(&self.provisioning, (operator, ProvisioningQuestion::Status)),
        );
        let mut status = Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            form: self.form.to_owned(),
            engine: self.engine.to_owned(),
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
        if self.form == TOGETHER {
            status.degraded = judge(&status, now_ms() / 1000);
        }
        status
    }
}

/// A room of another process is not asked through this one.
async fn ask<Q: Send + 'static, A: Send + 'static>(
    line: &Option<Line<Q, A>>,
    question: Q,
) -> Result<A, WireFault> {
    match line {
        Some(line) => line.ask(question).await,
        None => Err(WireFault::Closed),
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
            ProvisioningQuestion::FacilityAdminAddress { .. } => "facility admin-address",
            ProvisioningQuestion::CaseList => "case list",
            ProvisioningQuestion::CaseShow { .. } => "case show",
            ProvisioningQuestion::CaseAccept { .. } => "case accept",
            ProvisioningQuestion::SlotList { .. } => "slot list",
            ProvisioningQuestion::SlotShow { .. } => "slot show",
            ProvisioningQuestion::SlotExtend { .. } => "slot extend",
            ProvisioningQuestion::Call(question) => match question {
                CallQuestion::Suspend { .. } => "slot suspend",
                CallQuestion::Resume { .. } => "slot resume",
                CallQuestion::Unlock { .. } => "slot unlock",
            },
            ProvisioningQuestion::Person(question) => match question {
                PersonQuestion::List { .. } => "person list",
                PersonQuestion::Suspend { .. } => "person suspend",
                PersonQuestion::Resume { .. } => "person resume",
                PersonQuestion::Password { .. } => "person password",
            },
            ProvisioningQuestion::SlotReissue { .. } => "slot reissue",
            ProvisioningQuestion::DeviceList { .. } => "device list",
            ProvisioningQuestion::DeviceRevoke { .. } => "device revoke",
            ProvisioningQuestion::ReceiptShow { .. } => "device receipt",
            ProvisioningQuestion::OutboxList => "mail list",
            ProvisioningQuestion::OutboxRetry { .. } => "mail retry",
            ProvisioningQuestion::MailBounce { .. } => "mail bounce",
            ProvisioningQuestion::MailDns => "mail dns",
            ProvisioningQuestion::MailFetch { .. } => "mail fetch",
            ProvisioningQuestion::Fee(_) => "fee",
            ProvisioningQuestion::Flow(_) => "flow",
            ProvisioningQuestion::Register(_) => "register",
            ProvisioningQuestion::More(question) => match question {
                MoreQuestion::List { .. } => "device requests",
                MoreQuestion::Decide { approved: true, .. } => "device approve",
                MoreQuestion::Decide { approved: false, .. } => "device decline",
            },
            ProvisioningQuestion::Yearly(_) => "yearly",
            ProvisioningQuestion::Incident(_) => "incident",
            ProvisioningQuestion::Report(_) => "report",
            ProvisioningQuestion::Paper(_) => "form",
            ProvisioningQuestion::Scan(_) => "paper",
            ProvisioningQuestion::Takeover(_) => "takeover",
            ProvisioningQuestion::Post(_) => "post",
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
