//! The live streams: who follows which team, waking them, and ending them within a moment (H-12, ruling 7).
//! A stream owns a task that reads the team's feed from the table; the channel between a writer and the
//! tasks carries only the number of the newest event. A number cannot lag: whoever was slow reads on from
//! the table where it stopped, so nothing is lost and nothing comes twice.
//!
//! ```text
//! join ─► watch the number ─► read the table until nothing is left ─► wait for a new number ─► read …
//!             └ before the first read: what is written in between wakes the task once more
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::Stream;
use pki::identity::{FacilityId, MembershipId, PatientId, PersonId};
use tokio::sync::{mpsc, watch};

use crate::messages::Message;

/// Five Windows accounts of a PC with three teams open each, and one to spare.
const STREAMS_PER_SLOT: usize = 16;
/// A person with a phone, a PC and a tablet.
const STREAMS_PER_PERSON: usize = 16;
/// A task and a few hundred bytes each; 1,500 facilities leave two or three at once.
const STREAMS: usize = 4_096;
/// One event waits while another is being sent; the rest waits in the table.
const QUEUE: usize = 1;
/// Longest that stopping waits for the last entries of the trail.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Who follows, and whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Who {
    /// As text, `18-0042`.
    pub slot: String,
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub patient: PatientId,
}

/// What the table had for a stream.
pub enum Step<T> {
    Deliver(i64, T),
    /// An event that this follower does not see.
    Skip(i64),
    /// Nothing newer.
    Caught,
    /// The follower may not follow any more, or the table cannot be read.
    Gone,
}

pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Where a stream's events come from; checks the follower's membership for every one of them.
pub trait Source: Send + 'static {
    type Item: Send + 'static;
    fn step(&mut self, after: i64) -> Later<'_, Step<Self::Item>>;
    /// The stream has ended; `last` is the number of the last event that was handed over.
    fn ended(&mut self, last: i64) -> Later<'_, ()>;
}

#[derive(Clone)]
pub struct Live {
    inner: Arc<Inner>,
}

struct Inner {
    state: Mutex<State>,
    /// Changes whenever a stream or its task has gone.
    gone: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    teams: HashMap<PatientId, watch::Sender<i64>>,
    streams: HashMap<u64, Registered>,
    next: u64,
    tasks: usize,
    closed: bool,
}

struct Registered {
    who: Who,
    end: watch::Sender<bool>,
}

/// A registered stream; dropping it takes the stream off the list.
pub struct Ticket {
    live: Live,
    id: u64,
    patient: PatientId,
    wake: watch::Receiver<i64>,
    end: watch::Receiver<bool>,
}

impl Live {
    pub fn new() -> Self {
        Self { inner: Arc::new(Inner { state: Mutex::default(), gone: watch::Sender::new(0) }) }
    }

    /// Registers a stream before its first look at the table.
    pub fn join(&self, who: Who) -> Result<Ticket, Message> {
        let mut state = self.state();
        if state.closed {
            return Err(Message::Stopping);
        }
        let slot = state.streams.values().filter(|stream| stream.who.slot == who.slot).count();
        let person = state.streams.values().filter(|stream| stream.who.person == who.person).count();
        if slot >= STREAMS_PER_SLOT || person >= STREAMS_PER_PERSON || state.streams.len() >= STREAMS {
            return Err(Message::TooManyStreams);
        }
        let id = state.next;
        state.next += 1;
        let wake =
            state.teams.entry(who.patient.clone()).or_insert_with(|| watch::Sender::new(0)).subscribe();
        let end = watch::Sender::new(false);
        let ticket =
            Ticket { live: self.clone(), id, patient: who.patient.clone(), wake, end: end.subscribe() };
        state.streams.insert(id, Registered { who, end });
        Ok(ticket)
    }

    /// Tells a team's streams that its feed has grown, after the change is committed.
    pub fn wake(&self, patient: &PatientId, number: i64) {
        if let Some(team) = self.state().teams.get(patient) {
            team.send_modify(|newest| *newest = number.max(*newest));
        }
    }

    /// Ends every stream that fits and returns how many, when none of them is left.
    pub async fn end(&self, fits: impl Fn(&Who) -> bool) -> u32 {
        let mut gone = self.inner.gone.subscribe();
        let ending: Vec<u64> = {
            let state = self.state();
            let fitting = state.streams.iter().filter(|(_, stream)| fits(&stream.who));
            fitting
                .map(|(id, stream)| {
                    stream.end.send_replace(true);
                    *id
                })
                .collect()
        };
        while ending.iter().any(|id| self.state().streams.contains_key(id)) {
            if gone.changed().await.is_err() {
                break;
            }
        }
        u32::try_from(ending.len()).unwrap_or(u32::MAX)
    }

    pub fn streams(&self) -> u32 {
        u32::try_from(self.state().streams.len()).unwrap_or(u32::MAX)
    }

    /// Ends all streams, takes no new ones, waits until their tasks have written their last entry.
    pub async fn close(&self) {
        self.state().closed = true;
        self.end(|_| true).await;
        let mut gone = self.inner.gone.subscribe();
        let waiting = async {
            while self.state().tasks > 0 {
                if gone.changed().await.is_err() {
                    break;
                }
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, waiting).await.is_err() {
            log::warn!("streams did not end in time; their last audit entries may be missing");
        }
    }

    /// A poisoned lock holds whole values: every change below is one insertion or removal.
    fn state(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_gone(&self) {
        self.inner.gone.send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Ticket {
    /// Starts the stream's task; it reads on after event `after`.
    pub fn follow<S: Source>(self, after: i64, source: S) -> Following<S::Item> {
        let (frames, queue) = mpsc::channel(QUEUE);
        let following = Following { queue, end: self.end.clone() };
        self.live.state().tasks += 1;
        tokio::spawn(run(self, after, source, frames));
        following
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.live.state();
        state.streams.remove(&self.id);
        let others = state.streams.values().any(|stream| stream.who.patient == self.patient);
        if !others {
            state.teams.remove(&self.patient);
        }
        drop(state);
        self.live.tell_gone();
    }
}

/// The stream's end that the HTTP body holds. Once the stream is ended it yields nothing more,
/// not even what was already queued.
pub struct Following<T> {
    queue: mpsc::Receiver<T>,
    end: watch::Receiver<bool>,
}

impl<T> Stream for Following<T> {
    type Item = T;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if *self.end.borrow() {
            return Poll::Ready(None);
        }
        self.queue.poll_recv(cx)
    }
}

/// Counts the task until its last entry is written, however it ends.
struct Task(Live);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.state().tasks -= 1;
        self.0.tell_gone();
    }
}

async fn run<S: Source>(mut ticket: Ticket, after: i64, mut source: S, frames: mpsc::Sender<S::Item>) {
    let _task = Task(ticket.live.clone());
    let (mut position, mut handed) = (after, after);
    loop {
        ticket.wake.borrow_and_update();
        let step = tokio::select! {
            biased;
            _ = ticket.end.wait_for(|end| *end) => break,
            () = frames.closed() => break,
            step = source.step(position) => step,
        };
        match step {
            Step::Gone => break,
            Step::Skip(number) => position = number,
            Step::Deliver(number, item) => {
                let sent = tokio::select! {
                    biased;
                    _ = ticket.end.wait_for(|end| *end) => break,
                    sent = frames.send(item) => sent,
                };
                if sent.is_err() {
                    break;
                }
                (position, handed) = (number, number);
            }
            Step::Caught => tokio::select! {
                biased;
                _ = ticket.end.wait_for(|end| *end) => break,
                () = frames.closed() => break,
                changed = ticket.wake.changed() => if changed.is_err() { break },
            },
        }
    }
    // Off the list first: whoever ends streams does not wait for the trail.
    drop(frames);
    drop(ticket);
    source.ended(handed).await;
}

#[cfg(test)]
mod tests;
