//! Asks the running appliance over its operator door, and brings every way in which that can fail to a
//! `Failure`. One connection per question; nothing is kept open.

use std::path::PathBuf;
use std::time::Duration;

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::door::{PkiAnswer, PkiQuestion};
use pki::identity::TraceId;
use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use sns::door::{SnsAnswer, SnsQuestion};

use super::failure::Failure;
use crate::messages::Message;
use crate::operator::{Answered, OperatorAnswer, OperatorQuestion, Status};
use crate::wire::frame::OPERATOR_FRAME_MAX;
use crate::wire::{Line, WireFault, line};

/// Longer than the longest question of the door, so that the door's own answer is heard.
const PATIENCE: Duration = Duration::from_secs(330);

pub struct Door {
    path: PathBuf,
    line: Line<OperatorQuestion, Answered>,
    runtime: tokio::runtime::Runtime,
}

impl Door {
    pub fn new(path: PathBuf) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| Message::Wire { why: error.to_string() })?;
        let line = line::socket("appliance", path.clone(), OPERATOR_FRAME_MAX, PATIENCE);
        Ok(Self { path, line, runtime })
    }

    pub fn status(&self) -> Result<Status, Failure> {
        match self.ask(OperatorQuestion::Status)? {
            (OperatorAnswer::Status(status), _) => Ok(*status),
            (answer, trace) => Err(odd("appliance", answer, trace)),
        }
    }

    /// Provisioning's trouble becomes a failure with its own code.
    pub fn provisioning(&self, question: ProvisioningQuestion) -> Result<ProvisioningAnswer, Failure> {
        match self.ask(OperatorQuestion::Provisioning(question))? {
            (OperatorAnswer::Provisioning(ProvisioningAnswer::Trouble(trouble)), trace) => {
                Err(Failure::from(trouble).traced(trace))
            }
            (OperatorAnswer::Provisioning(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("provisioning", answer, trace)),
        }
    }

    pub fn pki(&self, question: PkiQuestion) -> Result<PkiAnswer, Failure> {
        match self.ask(OperatorQuestion::Pki(question))? {
            (OperatorAnswer::Pki(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("pki", answer, trace)),
        }
    }

    pub fn sns(&self, question: SnsQuestion) -> Result<SnsAnswer, Failure> {
        match self.ask(OperatorQuestion::Sns(question))? {
            (OperatorAnswer::Sns(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("sns", answer, trace)),
        }
    }

    pub fn gateway(&self, question: GatewayQuestion) -> Result<GatewayAnswer, Failure> {
        match self.ask(OperatorQuestion::Gateway(question))? {
            (OperatorAnswer::Gateway(answer), _) => Ok(answer),
            (answer, trace) => Err(odd("gateway", answer, trace)),
        }
    }

    fn ask(&self, question: OperatorQuestion) -> Result<(OperatorAnswer, TraceId), Failure> {
        let Answered { trace, answer } =
            self.runtime.block_on(self.line.ask(question)).map_err(|fault| self.failed(fault))?;
        match answer {
            OperatorAnswer::Silent { room, why } => {
                Err(Failure::from(Message::RoomSilent { room, why }).traced(trace))
            }
            answer => Ok((answer, trace)),
        }
    }

    fn failed(&self, fault: WireFault) -> Failure {
        let path = self.path.display().to_string();
        match fault {
            WireFault::Unreachable { why } => Message::NotRunning { path, why },
            WireFault::Stranger { uid } => Message::Denied { uid: uid.to_string() },
            fault => Message::Wire { why: fault.to_string() },
        }
        .into()
    }
}

/// An answer to another question: the two ends are not of one version.
pub fn odd_kind(room: &str) -> Failure {
    Message::OddAnswer { room: room.to_owned() }.into()
}

fn odd(room: &str, _answer: OperatorAnswer, trace: TraceId) -> Failure {
    odd_kind(room).traced(trace)
}
