//! The cut and the sweep. A cut is a floor first, then the end of everything live, then its receipt:
//! from the floor on nothing new is admitted, so what is counted is all there is. The sweep asks of
//! everything live whether it would still be admitted; it runs whenever the truth or the hour changes.
//! Ruling 7.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use crate::admission::session_stands;
use crate::audit::{self, Kind, Outcome, Record, Who};
use crate::door::{CutAnswer, CutQuestion};
use crate::hall::Hall;
use crate::live::{Entry, Stage};
use crate::messages::Message;
use crate::moment::{Freshness, Moment};
use crate::session::{EndReason, Session, SessionId};
use crate::store::StoreError;
use crate::truth::Truth;

/// Between attempts to make a cut durable; it is in force meanwhile, but not acknowledged.
const RETRY: Duration = Duration::from_millis(200);

/// Acknowledged after the last byte, and after the floor is on disk.
pub async fn cut(hall: &Hall, question: &CutQuestion) -> CutAnswer {
    let (now, asked) = (hall.now(), hall.last_round());
    // Once for what is there, before the sweep can take it for its own; once more, after the floor,
    // for what slipped in meanwhile.
    let (mut connections, mut sessions) = end_touched(hall, question, now);
    let known: Result<(), Infallible> =
        hall.learn(|truth| Ok(Truth { floors: truth.floors.with(question, asked), ..truth.clone() }));
    let Ok(()) = known;
    let (more_connections, more_sessions) = end_touched(hall, question, now);
    connections.extend(more_connections);
    sessions.extend(more_sessions);
    while let Err(error) = make_durable(hall, question, now).await {
        log::warn!("a cut is in force but not yet on disk: {error}");
        tokio::time::sleep(RETRY).await;
    }
    hall.live.gone(&connections).await;
    let answer = CutAnswer { connections: connections.len() as u32, sessions: sessions.len() as u32 };
    hall.meters.cut(answer.connections);
    record(hall, question, &answer, now).await;
    answer
}

/// What a cut would end now.
pub fn touched(hall: &Hall, question: &CutQuestion) -> CutAnswer {
    let truth = hall.truth();
    let sessions = hall.sessions.all().into_iter().filter(|session| touches(question, session, &truth));
    let connections = hall.live.count_where(|entry| entry.touched_by(question));
    CutAnswer { connections, sessions: sessions.count() as u32 }
}

/// Connections first, sessions then: a session that has ended lets the sweep close its streams, and
/// those would leave the table uncounted, and with a finish that still delivers what was queued.
fn end_touched(hall: &Hall, question: &CutQuestion, now: Moment) -> (BTreeSet<u64>, Vec<Session>) {
    let truth = hall.truth();
    let touched = |session: &Session| touches(question, session, &truth);
    let known: BTreeSet<SessionId> =
        hall.sessions.all().iter().filter(|session| touched(session)).map(|session| session.id).collect();
    let mut connections = hall.live.cut_where(|entry| {
        entry.touched_by(question) || entry.streams().any(|stream| known.contains(&stream.session))
    });
    let sessions = hall.sessions.end_in_memory(touched, EndReason::Cut, now);
    // Whatever began between the two.
    let ids: BTreeSet<SessionId> = sessions.iter().map(|session| session.id).collect();
    connections
        .extend(hall.live.cut_where(|entry| entry.streams().any(|stream| ids.contains(&stream.session))));
    (connections, sessions)
}

async fn make_durable(hall: &Hall, question: &CutQuestion, now: Moment) -> Result<(), StoreError> {
    hall.sessions.keep_floor(question, now).await?;
    hall.sessions.write_ends().await
}

/// Ends what would not be admitted any more. Each is judged by a truth that is loaded after it was
/// found, and so is at least as new as the one that admitted it. Whole connections first, because only
/// they are reset; the disk last, because it may stand still and the law does not.
pub async fn sweep(hall: &Hall) -> Result<(), StoreError> {
    let now = hall.now();
    hall.live.cut_where(|entry| !stands(hall, entry, now));
    let mut ended = Vec::new();
    for (reason, id) in endings(hall, now) {
        let gone = hall.sessions.end_in_memory(|session| session.id == id, reason, now);
        ended.extend(gone.into_iter().map(|session| ended_record(session, reason, now)));
    }
    hall.live.end_streams_where(|stream| hall.sessions.current(stream.session).is_none());
    for record in ended {
        write_down(hall, record).await;
    }
    hall.sessions.write_ends().await
}

/// Ends what runs in the name of these sessions. Over HTTP/2 the connection may be the very one on
/// which somebody else is signing in.
pub fn end_streams(hall: &Hall, ended: &[Session]) {
    if ended.is_empty() {
        return;
    }
    let ids: BTreeSet<SessionId> = ended.iter().map(|session| session.id).collect();
    hall.live.end_streams_where(|stream| ids.contains(&stream.session));
}

fn stands(hall: &Hall, entry: &Entry, now: Moment) -> bool {
    let truth = hall.truth();
    match entry.stage() {
        // Judged at the end of its handshake, and ended by its time limit.
        Stage::Arrived => true,
        Stage::Device(device) => device.still(&truth, now).is_ok(),
        Stage::Visitor(visitor) => visitor.still(&truth, now).is_ok(),
    }
}

/// The sessions that end now, by reason.
fn endings(hall: &Hall, now: Moment) -> Vec<(EndReason, SessionId)> {
    let (sessions, truth) = (hall.sessions.all(), hall.truth());
    // Feeds that say nothing end no session: the truth may come back and still permit it.
    let known = truth.freshness(now) != Freshness::Gone;
    let mut endings = Vec::new();
    for session in sessions {
        let reason = match session.alive(now) {
            Err(Message::SessionIdle) => EndReason::Idle,
            Err(_) => EndReason::Over,
            Ok(()) if known && session_stands(&session, &truth).is_err() => EndReason::NotPermitted,
            Ok(()) => continue,
        };
        endings.push((reason, session.id));
    }
    endings
}

fn touches(question: &CutQuestion, session: &Session, truth: &Truth) -> bool {
    match question {
        CutQuestion::Slot { slot, generation } => session.slot == *slot && session.generation <= *generation,
        CutQuestion::Certificate { serial } => session.certificate == *serial,
        CutQuestion::Person { person } => session.person == *person,
        CutQuestion::Membership { membership } => session.membership == *membership,
        CutQuestion::Facility { facility } => {
            let own = truth.grants.membership(&session.membership);
            let holder = truth.grants.holder(session.slot);
            own.is_some_and(|own| own.facility == *facility)
                || holder.is_some_and(|(holder, _)| holder.facility == *facility)
        }
    }
}

async fn record(hall: &Hall, question: &CutQuestion, answer: &CutAnswer, now: Moment) {
    let (slot, route) = match question {
        CutQuestion::Slot { slot, generation } => (Some(*slot), format!("slot generation {generation}")),
        CutQuestion::Certificate { serial } => (None, format!("certificate {serial}")),
        CutQuestion::Person { person } => (None, format!("person {person}")),
        CutQuestion::Membership { membership } => (None, format!("membership {membership}")),
        CutQuestion::Facility { facility } => (None, format!("facility {facility}")),
    };
    log::info!("cut {route}: {} connections, {} sessions", answer.connections, answer.sessions);
    let record = Record {
        at_ms: now.unix_ms,
        kind: Kind::Cut,
        slot,
        person: Who::EMPTY,
        route: audit::Route::of(route),
        result: Outcome::of(format_args!("{} connections, {} sessions", answer.connections, answer.sessions)),
        took_ms: Some(hall.now().up_ms.saturating_sub(now.up_ms)),
        trace: None,
    };
    write_down(hall, record).await;
}

fn ended_record(session: Session, reason: EndReason, now: Moment) -> Record {
    Record {
        at_ms: now.unix_ms,
        kind: Kind::SessionEnded,
        slot: Some(session.slot),
        person: audit::who(Some(&session.person)),
        route: audit::Route::of(session.id),
        result: Outcome::of(reason.as_str()),
        took_ms: None,
        trace: None,
    }
}

async fn write_down(hall: &Hall, record: Record) {
    if hall.audit.record(record).await.is_err() {
        log::warn!("what was cut or ended could not be written to the audit trail");
    }
}
