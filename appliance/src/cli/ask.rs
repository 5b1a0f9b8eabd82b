//! Asks the running appliance over its operator door, and brings every way in which that can fail to a
//! `Failure`. One connection per question; nothing is kept open.

use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::door::{PkiAnswer, PkiQuestion};
use pki::identity::TraceId;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use sns::door::{SnsAnswer, SnsQuestion};
use vpn::door::VpnStatus;

use super::failure::Failure;
use crate::config::Paths;
use crate::messages::Message;
use crate::operator::door::now_ms;
use crate::operator::merged::merge;
use crate::operator::{Answered, OperatorAnswer, OperatorQuestion, Status, VpnQuestion};
use crate::process::{Name, arrow_from};
use crate::wire::frame::OPERATOR_FRAME_MAX;
use crate::wire::{Line, WireFault, line};

/// Longer than the longest question of the door, so that the door's own answer is heard.
const PATIENCE: Duration = Duration::from_secs(330);

pub struct Door {
    ways: Vec<Way>,
    runtime: tokio::runtime::Runtime,
}

/// One operator door; `None` stands for all rooms in one process.
struct Way {
    room: Option<Name>,
    path: PathBuf,
    line: Line<OperatorQuestion, Answered>,
}

impl Door {
    /// The one door of `mimamori run`, or those of the separate processes, whichever are there.
    pub fn new(paths: &Paths) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Message::Wire { why: error.to_string() })?;
        let way = |room: Option<Name>, path: PathBuf| {
            let name = room.map_or("appliance", Name::as_str);
            let line = line::socket(name, path.clone(), OPERATOR_FRAME_MAX, PATIENCE, Duration::ZERO);
            Way { room, path, line }
        };
        let separate: Vec<Way> = Name::SERVED
            .into_iter()
            .filter_map(|name| {
                let arrow = arrow_from(Name::Cli, &format!("{}.operator", name.as_str()))?;
                Some(way(Some(name), paths.run.join(arrow.socket)))
            })
            .collect();
        let together = paths.operator_socket();
        let ways = if !together.exists() && separate.iter().any(|way| way.path.exists()) {
            separate
        } else {
            vec![way(None, together)]
        };
        Ok(Self { ways, runtime })
    }

    /// Whether somebody opened it; he may have gone since.
    pub fn is_there(&self) -> bool {
        self.ways.iter().any(|way| std::os::unix::net::UnixStream::connect(&way.path).is_ok())
    }

    pub fn status(&self) -> Result<Status, Failure> {
        let mut parts = Vec::new();
        let mut last = None;
        for way in &self.ways {
            let status = match self.ask_at(way, OperatorQuestion::Status) {
                Ok((OperatorAnswer::Status(status), _)) => Some(*status),
                Ok((answer, trace)) => return Err(odd("appliance", answer, trace)),
                Err(failure) if way.room.is_none() => return Err(failure),
                Err(failure) => {
                    last = Some(failure);
                    None
                }
            };
            match (way.room, status) {
                (Some(name), status) => parts.push((name, status)),
                (None, Some(status)) => return Ok(status),
                (None, None) => {}
            }
        }
        merge(parts, now_ms() / 1000).ok_or_else(|| last.unwrap_or_else(|| odd_kind("appliance")))
    }

    /// Provisioning's trouble becomes a failure with its own code.
    pub fn provisioning(&self, question: ProvisioningQuestion) -> Result<ProvisioningAnswer, Failure> {
        match self.ask(Name::Provisioning, OperatorQuestion::Provisioning(question))? {
            (OperatorAnswer::Provisioning(ProvisioningAnswer::Trouble(trouble)), trace) => {
                Err(Failure::from(trouble).traced(trace))
            }
            (OperatorAnswer::Provisioning(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("provisioning", answer, trace)),
        }
    }

    pub fn pki(&self, question: PkiQuestion) -> Result<PkiAnswer, Failure> {
        match self.ask(Name::Pki, OperatorQuestion::Pki(question))? {
            (OperatorAnswer::Pki(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("pki", answer, trace)),
        }
    }

    pub fn sns(&self, question: SnsQuestion) -> Result<SnsAnswer, Failure> {
        match self.ask(Name::Sns, OperatorQuestion::Sns(question))? {
            (OperatorAnswer::Sns(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("sns", answer, trace)),
        }
    }

    pub fn vpn(&self) -> Result<VpnStatus, Failure> {
        match self.ask(Name::Vpn, OperatorQuestion::Vpn(VpnQuestion::Status))? {
            (OperatorAnswer::Vpn(status), _) => Ok(status),
            (answer, trace) => Err(odd("vpn", answer, trace)),
        }
    }

    pub fn gateway(&self, question: GatewayQuestion) -> Result<GatewayAnswer, Failure> {
        match self.ask(Name::Gateway, OperatorQuestion::Gateway(question))? {
            (OperatorAnswer::Gateway(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("gateway", answer, trace)),
        }
    }

    fn ask(&self, room: Name, question: OperatorQuestion) -> Result<(OperatorAnswer, TraceId), Failure> {
        let way = self.ways.iter().find(|way| way.room.is_none_or(|own| own == room));
        self.ask_at(way.ok_or_else(|| odd_kind(room.as_str()))?, question)
    }

    fn ask_at(&self, way: &Way, question: OperatorQuestion) -> Result<(OperatorAnswer, TraceId), Failure> {
        let asked = self.runtime.block_on(way.line.ask(question));
        let Answered { trace, answer } = asked.map_err(|fault| failed(&way.path, fault))?;
        match answer {
            OperatorAnswer::Silent { room, why } => {
                Err(Failure::from(Message::RoomSilent { room, why }).traced(trace))
            }
            answer => Ok((answer, trace)),
        }
    }
}

fn failed(path: &Path, fault: WireFault) -> Failure {
    let path = path.display().to_string();
    match fault {
        WireFault::Unreachable { why } => Message::NotRunning { path, why },
        WireFault::Stranger { uid } => Message::Denied { uid: uid.to_string() },
        fault => Message::Wire { why: fault.to_string() },
    }
    .into()
}

/// An answer to another question: the two ends are not of one version.
pub fn odd_kind(room: &str) -> Failure {
    Message::OddAnswer { room: room.to_owned() }.into()
}

fn odd(room: &str, _answer: OperatorAnswer, trace: TraceId) -> Failure {
    odd_kind(room).traced(trace)
}
