//! What goes wrong in the parts around people and devices: a refusal with its words, or a failure of our own.
//! A failure is told to nobody in detail; it is logged where it becomes an answer. Edge: SQL.

use crate::door::{Trouble, TroubleKind};
use crate::engine::disk_full;
use crate::hashing::HashingError;
use crate::messages::Message;
use crate::messages_intake::IntakeMessage;
use crate::messages_paper::PaperMessage;
use crate::messages_people::{PeopleMessage, Refusal};
use crate::messages_post::PostMessage;
use crate::messages_scan::ScanMessage;
use crate::office_fault::OfficeFault;
use crate::store::Transactional;
use crate::world::NoRandomness;

#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("MM-5806 the registry: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    /// A row that only this room writes, and that it cannot read.
    #[error("MM-5806 the registry holds `{0}`, which cannot be read")]
    Row(String),
    /// From the secretariat's side of the room.
    #[error(transparent)]
    Office(#[from] OfficeFault),
    /// About the bounce mailbox, or registers taken over.
    #[error("{}", .0.text().en)]
    Intake(IntakeMessage),
    /// About a form, the ledger or a take-over.
    #[error("{}", .0.text().en)]
    Paper(PaperMessage),
    /// About a scan.
    #[error("{}", .0.text().en)]
    Scan(ScanMessage),
    /// A neighbour does not answer, or not what was asked; its caller tries again.
    #[error("MM-5807 {0}")]
    Neighbour(String),
}

impl From<Message> for Fault {
    fn from(message: Message) -> Self {
        Fault::Office(message.into())
    }
}

/// A fault on its way out: the words, the HTTP status, and when it is worth trying again.
pub struct Told {
    pub status: u16,
    pub trouble: Trouble,
    pub retry_after: Option<u32>,
}

impl From<Trouble> for Told {
    fn from(trouble: Trouble) -> Self {
        Told { status: status(trouble.kind), trouble, retry_after: None }
    }
}

impl Fault {
    /// What the asker hears, whichever side of the room refused.
    pub fn told(self) -> Told {
        match self {
            Fault::Office(OfficeFault::Refused(message)) => return message.trouble().into(),
            Fault::Office(OfficeFault::Post(message)) => return message.trouble().into(),
            Fault::Intake(message) => return message.trouble().into(),
            Fault::Paper(message) => return message.trouble().into(),
            Fault::Scan(message) => return message.trouble().into(),
            _ => {}
        }
        let refusal = self.refusal();
        Told { status: refusal.status(), trouble: refusal.trouble(), retry_after: refusal.retry_after }
    }

    /// What the asker hears.
    pub fn refusal(self) -> Refusal {
        match self {
            Fault::Refused(refusal) => refusal,
            Fault::Database(error) | Fault::Office(OfficeFault::Database(error)) if disk_full(&error) => {
                log::error!(CODE = "MM-5809"; "the registry: {error}");
                PeopleMessage::DiskFull.into()
            }
            Fault::Neighbour(why) => PeopleMessage::NeighbourSilent.about(why),
            failure => {
                log::error!(CODE = "MM-5806"; "{failure}");
                PeopleMessage::Internal.into()
            }
        }
    }
}

impl From<PostMessage> for Fault {
    fn from(message: PostMessage) -> Self {
        Fault::Office(message.into())
    }
}

impl From<IntakeMessage> for Fault {
    fn from(message: IntakeMessage) -> Self {
        Fault::Intake(message)
    }
}

impl From<PaperMessage> for Fault {
    fn from(message: PaperMessage) -> Self {
        Fault::Paper(message)
    }
}

impl From<ScanMessage> for Fault {
    fn from(message: ScanMessage) -> Self {
        Fault::Scan(message)
    }
}

fn status(kind: TroubleKind) -> u16 {
    match kind {
        TroubleKind::Usage => 422,
        TroubleKind::NotFound => 404,
        TroubleKind::Conflict => 409,
        TroubleKind::Denied => 403,
        TroubleKind::TryLater => 503,
        TroubleKind::Internal => 500,
    }
}

impl From<PeopleMessage> for Fault {
    fn from(message: PeopleMessage) -> Self {
        Fault::Refused(message.into())
    }
}

impl Transactional for Fault {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            Fault::Database(error) => Some(error),
            Fault::Office(fault) => fault.database(),
            _ => None,
        }
    }
}

/// Reads a value that this room wrote.
pub fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Fault> {
    text.parse().map_err(|_| Fault::Row(text.chars().take(40).collect()))
}
