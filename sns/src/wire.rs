//! The JSON of the HTTP API, both ways. Field names are a promise to clients; times are RFC 3339 in UTC.

use serde::{Deserialize, Serialize};

use crate::messages::Message;
use crate::team::{Acknowledged, Display, by_facility};
use crate::view::{AckStands, Event, Posted, SeenPost, TeamCard, Timeline};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostRequest {
    pub text: String,
    #[serde(default)]
    pub urgent: bool,
    /// 家族にも公開 (P-19).
    #[serde(default)]
    pub family: bool,
}

/// A form sends a ticked box as a word and an empty box not at all.
#[derive(Deserialize)]
pub struct PostForm {
    pub text: String,
    pub urgent: Option<String>,
    pub family: Option<String>,
    pub once: Option<String>,
}

#[derive(Deserialize)]
pub struct PageQuery {
    pub before: Option<i64>,
    pub limit: Option<u32>,
}

#[derive(Deserialize)]
pub struct FollowQuery {
    pub after: Option<i64>,
}

/// The one shape of a refusal, the same in every room.
#[derive(Serialize)]
pub struct Problem {
    code: &'static str,
    ja: &'static str,
    en: &'static str,
    remedy_ja: &'static str,
    remedy_en: &'static str,
    trace: String,
}

impl Problem {
    pub fn new(message: Message, trace: String) -> Self {
        Self {
            code: message.code(),
            ja: message.ja(),
            en: message.en(),
            remedy_ja: message.remedy_ja(),
            remedy_en: message.remedy_en(),
            trace,
        }
    }
}

#[derive(Serialize)]
pub struct TeamsJson {
    teams: Vec<TeamJson>,
}

#[derive(Serialize)]
struct TeamJson {
    patient: String,
    name: String,
    kana: String,
    facilities: Vec<FacilityJson>,
    members: u32,
    awaiting: u32,
    last_event: i64,
    /// 支援終了 (P-22).
    read_only: bool,
}

#[derive(Serialize)]
struct FacilityJson {
    facility: String,
    name: String,
}

#[derive(Serialize)]
pub struct TimelineJson {
    team: TeamJson,
    posts: Vec<PostJson>,
    before: Option<i64>,
}

#[derive(Serialize)]
pub struct PostJson {
    post: String,
    number: i64,
    at: String,
    urgent: bool,
    lane: &'static str,
    author: PersonJson,
    text: String,
    mine: bool,
    awaits: bool,
    acks: AcksJson,
}

#[derive(Serialize)]
pub struct PersonJson {
    name: String,
    profession: String,
    facility: String,
}

#[derive(Serialize)]
struct AcksJson {
    people: Vec<AckJson>,
    facilities: Vec<FacilityAckJson>,
}

#[derive(Serialize)]
pub struct AckJson {
    person: String,
    by: PersonJson,
    facility: String,
    at: String,
}

#[derive(Serialize)]
struct FacilityAckJson {
    facility: String,
    name: String,
    first: String,
    people: u32,
}

#[derive(Serialize)]
pub struct PostedJson {
    post: String,
    number: i64,
    at: String,
    lane: &'static str,
    /// K-02: longer than about a hundred characters; told, never blocked.
    long: bool,
}

#[derive(Serialize)]
pub struct AckStandsJson {
    post: String,
    acks: AcksJson,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum EventJson {
    Post(Box<PostJson>),
    Ack { number: i64, post: String, ack: AckJson },
}

pub fn teams(cards: Vec<TeamCard>) -> TeamsJson {
    TeamsJson { teams: cards.into_iter().map(team).collect() }
}

pub fn timeline(timeline: Timeline) -> TimelineJson {
    TimelineJson {
        team: team(timeline.team),
        posts: timeline.posts.into_iter().map(post).collect(),
        before: timeline.before,
    }
}

pub fn posted(posted: Posted) -> PostedJson {
    PostedJson {
        post: posted.post.to_string(),
        number: posted.number,
        at: time(posted.at_ms),
        lane: posted.lane.as_str(),
        long: posted.long,
    }
}

pub fn ack_stands(stands: AckStands) -> AckStandsJson {
    AckStandsJson { post: stands.post.to_string(), acks: acks(stands.acks) }
}

/// The name of an SSE event and its data.
pub fn event(event: Event) -> (&'static str, EventJson) {
    match event {
        Event::Post(seen) => ("post", EventJson::Post(Box::new(post(*seen)))),
        Event::Ack { post, number, ack: pressed } => {
            ("ack", EventJson::Ack { number, post: post.to_string(), ack: ack(pressed) })
        }
    }
}

fn team(card: TeamCard) -> TeamJson {
    TeamJson {
        patient: card.patient.to_string(),
        name: card.name,
        kana: card.kana,
        facilities: card
            .facilities
            .into_iter()
            .map(|(facility, name)| FacilityJson { facility: facility.to_string(), name })
            .collect(),
        members: card.members,
        awaiting: card.awaiting,
        last_event: card.last_event,
        read_only: card.closed,
    }
}

fn post(seen: SeenPost) -> PostJson {
    PostJson {
        post: seen.post.to_string(),
        number: seen.number,
        at: time(seen.at_ms),
        urgent: seen.urgent,
        lane: seen.lane.as_str(),
        author: person(seen.author),
        text: seen.text,
        mine: seen.mine,
        awaits: seen.awaits,
        acks: acks(seen.acks),
    }
}

fn acks(pressed: Vec<Acknowledged>) -> AcksJson {
    let facilities = by_facility(&pressed)
        .into_iter()
        .map(|facility| FacilityAckJson {
            facility: facility.facility.to_string(),
            name: facility.name,
            first: time(facility.first_ms),
            people: facility.people,
        })
        .collect();
    AcksJson { people: pressed.into_iter().map(ack).collect(), facilities }
}

fn ack(pressed: Acknowledged) -> AckJson {
    AckJson {
        person: pressed.person.to_string(),
        by: person(pressed.display),
        facility: pressed.facility.to_string(),
        at: time(pressed.at_ms),
    }
}

fn person(display: Display) -> PersonJson {
    PersonJson { name: display.name, profession: display.profession, facility: display.facility }
}

fn time(at_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(at_ms).map(|at| at.to_string()).unwrap_or_default()
}
