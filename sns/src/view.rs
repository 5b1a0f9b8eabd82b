//! What a member of a team is shown, opened: plain values between the tables and the screens.
//! They live as long as one answer and are never logged or stored.

use pki::identity::{FacilityId, PatientId};

use crate::post::{Lane, PostId};
use crate::team::{Acknowledged, Display};

/// A line of 患者一覧.
pub struct TeamCard {
    pub patient: PatientId,
    pub name: String,
    pub kana: String,
    /// 連携元.
    pub origin: FacilityId,
    /// 支援終了 (P-22): read, not written.
    pub closed: bool,
    pub facilities: Vec<(FacilityId, String)>,
    pub members: u32,
    /// Posts that wait for the reader's 了解 (K-05).
    pub awaiting: u32,
    pub last_event: i64,
}

pub struct SeenPost {
    pub post: PostId,
    pub number: i64,
    pub at_ms: i64,
    pub urgent: bool,
    pub lane: Lane,
    pub author: Display,
    pub author_facility: FacilityId,
    pub text: String,
    pub mine: bool,
    /// The reader has not pressed 了解 and is not the author.
    pub awaits: bool,
    pub acks: Vec<Acknowledged>,
}

/// One page of a team's posts, newest first.
pub struct Timeline {
    pub team: TeamCard,
    pub posts: Vec<SeenPost>,
    /// Ask with this for older ones.
    pub before: Option<i64>,
}

/// A post was taken.
pub struct Posted {
    pub post: PostId,
    pub number: i64,
    pub at_ms: i64,
    pub lane: Lane,
    /// Longer than K-02 advises.
    pub long: bool,
}

/// 了解 stands, from now or from before.
pub struct AckStands {
    pub post: PostId,
    pub acks: Vec<Acknowledged>,
}

/// What a stream delivers.
pub enum Event {
    Post(Box<SeenPost>),
    Ack { post: PostId, number: i64, ack: Acknowledged },
}

impl Event {
    pub fn number(&self) -> i64 {
        match self {
            Event::Post(post) => post.number,
            Event::Ack { number, .. } => *number,
        }
    }
}
