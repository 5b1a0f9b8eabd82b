//! What goes wrong at the secretariat's side of the room: a refusal with its words, or a failure of our own,
//! which is logged in full and told without detail. Edge: SQL.

use crate::audit::AuditError;
use crate::door::Trouble;
use crate::engine::disk_full;
use crate::hashing::HashingError;
use crate::messages::Message;
use crate::messages_post::PostMessage;
use crate::store::Transactional;
use crate::world::NoRandomness;

#[derive(Debug, thiserror::Error)]
pub enum OfficeFault {
    #[error("{}", .0.text().en)]
    Refused(Message),
    #[error("{}", .0.text().en)]
    Post(PostMessage),
    #[error("the registry: {0}")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Hashing(#[from] HashingError),
    #[error(transparent)]
    Random(#[from] NoRandomness),
    #[error("the registry holds `{0}`, which cannot be read")]
    Row(String),
    #[error("a task of the room ended: {0}")]
    Task(String),
}

impl OfficeFault {
    /// What the asker hears.
    pub fn trouble(self) -> Trouble {
        match self {
            OfficeFault::Refused(message) => message.trouble(),
            OfficeFault::Post(message) => message.trouble(),
            OfficeFault::Database(error) if disk_full(&error) => {
                log::error!(CODE = "MM-5013"; "the registry: {error}");
                Message::DiskFull.trouble()
            }
            failure => {
                log::error!(CODE = "MM-5000"; "{failure}");
                let what = match failure {
                    OfficeFault::Database(_) => "registry",
                    OfficeFault::Hashing(_) | OfficeFault::Random(_) => "randomness or memory",
                    OfficeFault::Row(_) => "registry row",
                    OfficeFault::Refused(_) | OfficeFault::Post(_) | OfficeFault::Task(_) => "task",
                };
                Message::Internal { what: what.to_owned() }.trouble()
            }
        }
    }
}

impl From<Message> for OfficeFault {
    fn from(message: Message) -> Self {
        OfficeFault::Refused(message)
    }
}

impl From<PostMessage> for OfficeFault {
    fn from(message: PostMessage) -> Self {
        OfficeFault::Post(message)
    }
}

impl From<AuditError> for OfficeFault {
    fn from(error: AuditError) -> Self {
        match error {
            AuditError::Broken { number } => Message::AuditBroken { number }.into(),
            AuditError::Database(error) => error.into(),
        }
    }
}

impl Transactional for OfficeFault {
    fn database(&self) -> Option<&sqlx::Error> {
        match self {
            OfficeFault::Database(error) => Some(error),
            _ => None,
        }
    }
}

/// Reads a value that this room wrote.
pub fn parse<T: std::str::FromStr>(text: &str) -> Result<T, OfficeFault> {
    text.parse().map_err(|_| OfficeFault::Row(text.chars().take(40).collect()))
}
