//! What a team's people do: see their teams, read, post, press 了解, follow live. Each is decided by
//! `team::decide`, recorded in the trail before anything is opened, and done with sealed rows.

use std::sync::Arc;

use pki::identity::PatientId;

use crate::audit::{Act, Actor, Entry};
use crate::desk::{Desk, Trouble, open_ack, open_display, seal, team_card};
use crate::keys::{Kind, PatientKey};
use crate::keystore::KeyStoreError;
use crate::live::{Following, Later, Source, Step, Who};
use crate::messages::Message;
use crate::post::{Lane, NewPost, Once, PostId};
use crate::store::{Conn, StoreError, Tx, append};
use crate::team::{self, Acknowledged, Action, Caller, Decision};
use crate::timeline::{AckRow, EventKind, PostRow, ack_row};
use crate::view::{AckStands, Event, Posted, SeenPost, TeamCard, Timeline};
use crate::{roster, timeline, world};

/// A page of posts when the client does not say.
const POSTS_DEFAULT: u32 = 50;
/// Each post of a page costs an opening; a client that wants more asks again.
const POSTS_MAX: u32 = 200;

pub async fn teams(desk: &Desk, caller: &Caller) -> Result<Vec<TeamCard>, Message> {
    list(desk, caller).await.map_err(|trouble| hear(trouble, caller, Message::NoSuchTeam))
}

pub async fn read(
    desk: &Desk,
    caller: &Caller,
    patient: &PatientId,
    before: Option<i64>,
    limit: Option<u32>,
) -> Result<Timeline, Message> {
    page(desk, caller, patient, before, limit)
        .await
        .map_err(|trouble| hear(trouble, caller, Message::NoSuchTeam))
}

pub async fn post(
    desk: &Desk,
    caller: &Caller,
    patient: &PatientId,
    new: NewPost,
    once: Option<Once>,
) -> Result<Posted, Message> {
    let posted = write(desk, caller, patient, new, once)
        .await
        .map_err(|trouble| hear(trouble, caller, Message::NoSuchTeam))?;
    desk.live.wake(patient, posted.number);
    Ok(posted)
}

pub async fn acknowledge(desk: &Desk, caller: &Caller, post: &PostId) -> Result<AckStands, Message> {
    press(desk, caller, post).await.map_err(|trouble| hear(trouble, caller, Message::NoSuchPost))
}

/// A live stream from event `after` on; without it, from now.
pub async fn follow(
    desk: &Arc<Desk>,
    caller: &Caller,
    patient: &PatientId,
    after: Option<i64>,
) -> Result<Following<Event>, Message> {
    begin_stream(desk, caller, patient, after)
        .await
        .map_err(|trouble| hear(trouble, caller, Message::NoSuchTeam))
}

/// What the rules hide, an erasure hides in the same words.
fn hear(trouble: Trouble, caller: &Caller, hidden: Message) -> Message {
    match trouble.tell(Some(caller.trace)) {
        Message::Erased => hidden,
        message => message,
    }
}

async fn list(desk: &Desk, caller: &Caller) -> Result<Vec<TeamCard>, Trouble> {
    let who = &caller.identity;
    let role = team::decide_role(who.role);
    let mut tx = desk.store.write().await?;
    let decision = role.unwrap_or(Decision { rule: "T-08-own-list", refusal: None });
    enter(&mut tx, caller, Act::ListTeams, None, None, decision).await?;
    tx.commit().await?;
    if let Some(message) = decision.refusal {
        return Err(message.into());
    }
    let mut tx = desk.store.read().await?;
    let mut cards = Vec::new();
    for patient in roster::teams_of(&mut tx, &who.membership).await? {
        let standing = roster::standing(&mut tx, &patient, &who.membership).await?;
        if !team::decide(who, Action::Read, standing.as_ref()).allowed() {
            continue;
        }
        let key = match desk.keys.key(&patient).await {
            Ok(key) => key,
            Err(KeyStoreError::Erased) => continue,
            // Lost with an old keys.db: the person's other teams are shown all the same.
            Err(KeyStoreError::Unknown) => {
                log::warn!(PATIENT = patient.as_str(); "a team has no key: keys.db is older than sns.db");
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        cards.push(card_for(&mut tx, caller, &key, &patient).await?);
    }
    Ok(cards)
}

async fn page(
    desk: &Desk,
    caller: &Caller,
    patient: &PatientId,
    before: Option<i64>,
    limit: Option<u32>,
) -> Result<Timeline, Trouble> {
    let tx = desk.store.write().await?;
    admitted(tx, caller, patient, Action::Read, Act::Read, None).await?.commit().await?;
    let key = desk.keys.key(patient).await?;
    let limit = limit.unwrap_or(POSTS_DEFAULT).clamp(1, POSTS_MAX);
    let mut tx = desk.store.read().await?;
    let rows =
        timeline::posts(&mut tx, patient, caller.identity.role, before.unwrap_or(i64::MAX), limit).await?;
    let more = rows.len() == limit as usize;
    let mut posts = Vec::with_capacity(rows.len());
    for row in rows {
        posts.push(see(&mut tx, caller, &key, row).await?);
    }
    let before = if more { posts.last().map(|post| post.number) } else { None };
    Ok(Timeline { team: card_for(&mut tx, caller, &key, patient).await?, posts, before })
}

async fn write(
    desk: &Desk,
    caller: &Caller,
    patient: &PatientId,
    new: NewPost,
    once: Option<Once>,
) -> Result<Posted, Trouble> {
    let who = &caller.identity;
    let (lane, long) = (Lane::chosen(who.role, new.with_family), new.text.is_long());
    let place = format!("posts/{patient}");
    let mut tx = desk.store.write().await?;
    let sent = match &once {
        Some(once) => timeline::once(&mut tx, &who.membership, &place, once).await?,
        None => None,
    };
    let post = match &sent {
        Some((_, post)) => post.clone(),
        None => PostId::from_random(world::random()?),
    };
    let mut tx = admitted(tx, caller, patient, Action::Post, Act::Post, Some(&post)).await?;
    let key = desk.keys.key(patient).await?;
    let mark = key.mark(&[new.text.expose().as_bytes(), &[u8::from(new.urgent)], lane.as_str().as_bytes()]);
    if let Some((known, _)) = sent {
        tx.commit().await?;
        return if known == mark { again(desk, &post, long).await } else { Err(Message::OnceReused.into()) };
    }
    let (member_sealed, member_place) =
        roster::display(&mut tx, patient, &who.membership).await?.ok_or(StoreError::Broken("member"))?;
    let author = key.open_text(Kind::Member, &member_place, &member_sealed)?;
    let row = PostRow {
        number: timeline::next_number(&mut tx, patient).await?,
        person: who.person.clone(),
        membership: who.membership.clone(),
        facility: who.facility.clone(),
        lane,
        urgent: new.urgent,
        at_ms: world::now_ms(),
        author_sealed: seal(&key, Kind::Author, post.as_str(), &author)?,
        text_sealed: seal(&key, Kind::Post, post.as_str(), new.text.expose())?,
        post,
    };
    timeline::insert_post(&mut tx, patient, &row).await?;
    if let Some(once) = &once {
        timeline::remember_once(&mut tx, &who.membership, &place, once, &mark, &row).await?;
    }
    tx.commit().await?;
    Ok(Posted { post: row.post, number: row.number, at_ms: row.at_ms, lane, long })
}

/// The answer that the first sending got.
async fn again(desk: &Desk, post: &PostId, long: bool) -> Result<Posted, Trouble> {
    let mut tx = desk.store.read().await?;
    let (_, row) = timeline::post(&mut tx, post).await?.ok_or(StoreError::Broken("idempotency"))?;
    Ok(Posted { post: row.post, number: row.number, at_ms: row.at_ms, lane: row.lane, long })
}

async fn press(desk: &Desk, caller: &Caller, post: &PostId) -> Result<AckStands, Trouble> {
    let who = &caller.identity;
    let mut tx = desk.store.write().await?;
    let found = timeline::post(&mut tx, post).await?;
    let standing = match &found {
        // A post of a lane that the caller does not see is a post that does not exist (P-19).
        Some((patient, row)) if row.lane.is_seen_by(who.role) => {
            roster::standing(&mut tx, patient, &who.membership).await?
        }
        _ => None,
    };
    let decision = team::decide(who, Action::Acknowledge, standing.as_ref());
    let patient = found.as_ref().map(|(patient, _)| patient);
    enter(&mut tx, caller, Act::Acknowledge, patient, Some(post.as_str()), decision).await?;
    let (Some((patient, row)), None) = (&found, decision.refusal) else {
        tx.commit().await?;
        return Err(decision.refusal.unwrap_or(Message::NoSuchPost).into());
    };
    let key = desk.keys.key(patient).await?;
    let mut number = None;
    // An author needs no 了解 of his own; pressing it is no mistake either.
    if row.person != who.person {
        number = insert_ack(&mut tx, caller, &key, patient, post).await?;
    }
    let acks = acks(&mut tx, &key, post).await?;
    tx.commit().await?;
    if let Some(number) = number {
        desk.live.wake(patient, number);
    }
    Ok(AckStands { post: post.clone(), acks })
}

async fn insert_ack(
    tx: &mut Tx,
    caller: &Caller,
    key: &PatientKey,
    patient: &PatientId,
    post: &PostId,
) -> Result<Option<i64>, Trouble> {
    let who = &caller.identity;
    let (sealed, place) =
        roster::display(tx, patient, &who.membership).await?.ok_or(StoreError::Broken("member"))?;
    let display = key.open_text(Kind::Member, &place, &sealed)?;
    let row = AckRow {
        membership: who.membership.clone(),
        person: who.person.clone(),
        facility: who.facility.clone(),
        display_sealed: seal(key, Kind::Acknowledger, &ack_row(post, &who.membership), &display)?,
        at_ms: world::now_ms(),
    };
    Ok(timeline::insert_ack(tx, patient, post, &row).await?)
}

async fn begin_stream(
    desk: &Arc<Desk>,
    caller: &Caller,
    patient: &PatientId,
    after: Option<i64>,
) -> Result<Following<Event>, Trouble> {
    let who = &caller.identity;
    let tx = desk.store.write().await?;
    let mut tx = admitted(tx, caller, patient, Action::Read, Act::Stream, None).await?;
    // Registered before the position is read: what is written from here on wakes it.
    let ticket = desk.live.join(Who {
        slot: who.slot.to_string(),
        person: who.person.clone(),
        membership: who.membership.clone(),
        facility: who.facility.clone(),
        patient: patient.clone(),
    });
    let newest = timeline::last_number(&mut tx, patient).await?;
    tx.commit().await?;
    // A number beyond the newest comes from before a restore; from now on is all that can be kept.
    let after = after.unwrap_or(newest).clamp(0, newest);
    let source =
        Feed { desk: Arc::clone(desk), caller: caller.clone(), patient: patient.clone(), from: after };
    Ok(ticket?.follow(after, source))
}

/// A team's feed as one follower sees it.
struct Feed {
    desk: Arc<Desk>,
    caller: Caller,
    patient: PatientId,
    from: i64,
}

impl Source for Feed {
    type Item = Event;

    fn step(&mut self, after: i64) -> Later<'_, Step<Event>> {
        Box::pin(async move {
            match self.next(after).await {
                Ok(step) => step,
                Err(trouble) => {
                    // The client comes back with the number it has, and hears then what is wrong.
                    trouble.tell(Some(self.caller.trace));
                    Step::Gone
                }
            }
        })
    }

    /// From which event to which it was read: with the beginning in the trail, every reading is.
    fn ended(&mut self, last: i64) -> Later<'_, ()> {
        Box::pin(async move {
            let range = format!("{}..{last}", self.from);
            let decision = Decision { rule: "T-09-stream-ended", refusal: None };
            let work = async {
                let mut tx = self.desk.store.write().await?;
                enter(&mut tx, &self.caller, Act::StreamEnd, Some(&self.patient), Some(&range), decision)
                    .await?;
                tx.commit().await?;
                Ok::<_, Trouble>(())
            };
            if let Err(trouble) = work.await {
                trouble.tell(Some(self.caller.trace));
            }
        })
    }
}

impl Feed {
    async fn next(&self, after: i64) -> Result<Step<Event>, Trouble> {
        let who = &self.caller.identity;
        let mut tx = self.desk.store.read().await?;
        let standing = roster::standing(&mut tx, &self.patient, &who.membership).await?;
        if !team::decide(who, Action::Read, standing.as_ref()).allowed() {
            return Ok(Step::Gone);
        }
        let Some(event) = timeline::event_after(&mut tx, &self.patient, after).await? else {
            return Ok(Step::Caught);
        };
        let (_, row) = timeline::post(&mut tx, &event.post).await?.ok_or(StoreError::Broken("event.post"))?;
        if !row.lane.is_seen_by(who.role) {
            return Ok(Step::Skip(event.number));
        }
        let key = self.desk.keys.key(&self.patient).await?;
        let seen = match event.kind {
            EventKind::Post => Event::Post(Box::new(see(&mut tx, &self.caller, &key, row).await?)),
            EventKind::Ack(membership) => {
                let acks = acks(&mut tx, &key, &event.post).await?;
                let ack = acks
                    .into_iter()
                    .find(|ack| ack.membership == membership)
                    .ok_or(StoreError::Broken("event.ack"))?;
                Event::Ack { post: event.post, number: event.number, ack }
            }
        };
        Ok(Step::Deliver(event.number, seen))
    }
}

/// Decides and records; the transaction goes on only for whom it admits.
async fn admitted(
    mut tx: Tx,
    caller: &Caller,
    patient: &PatientId,
    action: Action,
    act: Act,
    post: Option<&PostId>,
) -> Result<Tx, Trouble> {
    let standing = roster::standing(&mut tx, patient, &caller.identity.membership).await?;
    let decision = team::decide(&caller.identity, action, standing.as_ref());
    let on = post.filter(|_| decision.allowed()).map(PostId::as_str);
    enter(&mut tx, caller, act, Some(patient), on, decision).await?;
    match decision.refusal {
        None => Ok(tx),
        Some(message) => {
            tx.commit().await?;
            Err(message.into())
        }
    }
}

async fn enter(
    conn: &mut Conn,
    caller: &Caller,
    act: Act,
    patient: Option<&PatientId>,
    on: Option<&str>,
    decision: Decision,
) -> Result<(), Trouble> {
    let entry = Entry {
        at_ms: world::now_ms(),
        trace: Some(caller.trace),
        actor: Actor::Person(&caller.identity),
        act,
        patient,
        on,
        rule: decision.rule,
        allowed: decision.allowed(),
    };
    Ok(append(conn, &entry).await?)
}

async fn card_for(
    conn: &mut Conn,
    caller: &Caller,
    key: &PatientKey,
    patient: &PatientId,
) -> Result<TeamCard, Trouble> {
    let who = &caller.identity;
    let awaiting = timeline::awaiting(conn, patient, &who.person, &who.membership, who.role).await?;
    Ok(TeamCard { awaiting, ..team_card(conn, key, patient).await? })
}

async fn acks(conn: &mut Conn, key: &PatientKey, post: &PostId) -> Result<Vec<Acknowledged>, Trouble> {
    let rows = timeline::acks(conn, post).await?;
    rows.into_iter().map(|row| open_ack(key, post, row)).collect()
}

async fn see(conn: &mut Conn, caller: &Caller, key: &PatientKey, row: PostRow) -> Result<SeenPost, Trouble> {
    let acks = acks(conn, key, &row.post).await?;
    Ok(SeenPost {
        author: open_display(key, Kind::Author, row.post.as_str(), &row.author_sealed)?,
        text: key.open_text(Kind::Post, row.post.as_str(), &row.text_sealed)?,
        mine: row.person == caller.identity.person,
        awaits: team::awaits(&caller.identity, &row.person, &acks),
        number: row.number,
        at_ms: row.at_ms,
        urgent: row.urgent,
        lane: row.lane,
        author_facility: row.facility,
        acks,
        post: row.post,
    })
}
