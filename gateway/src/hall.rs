//! What every edge of this room shares: the truth and its one writer, who is connected, the sessions,
//! the record. Made by `room`, held by every task, gone when the last of them ends.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use pki::identity::TraceId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vpn::address::AddressPlan;
use vpn::slot::SlotNumber;

use crate::admission::Refusal;
use crate::audit::{self, Audit, Kind, Outcome, Record, Who};
use crate::challenges::Challenges;
use crate::clock::{Clock, Traces};
use crate::floors::Round;
use crate::lines::Lines;
use crate::live::Live;
use crate::meters::Meters;
use crate::moment::Moment;
use crate::names::Names;
use crate::need::Needs;
use crate::refusals::Refusals;
use crate::store::Sessions;
use crate::tickets::Tickets;
use crate::tls::Tls;
use crate::truth::Truth;
use crate::turns::{Turn, Turns};

pub struct Hall {
    pub plan: AddressPlan,
    pub names: Names,
    pub realm_name: String,
    pub clock: Clock,
    pub tls: Tls,
    pub needs: Needs,
    pub lines: Arc<Lines>,
    pub meters: Meters,
    traces: Traces,
    pub live: Arc<Live>,
    pub sessions: Sessions,
    pub audit: Audit,
    /// Cancelled when the room stops.
    pub stop: CancellationToken,
    truth: ArcSwap<Truth>,
    writing: Mutex<()>,
    changed: watch::Sender<u64>,
    asked: AtomicU64,
    refusals: Mutex<Refusals>,
    tickets: Mutex<Tickets>,
    challenges: Mutex<Challenges>,
    turns: Mutex<Turns>,
}

/// What `room` brings along.
pub struct Furniture {
    pub plan: AddressPlan,
    pub names: Names,
    pub realm_name: String,
    pub clock: Clock,
    pub tls: Tls,
    pub needs: Needs,
    pub sessions: Sessions,
    pub audit: Audit,
    pub truth: Truth,
}

impl Hall {
    pub fn new(with: Furniture) -> Arc<Self> {
        let Furniture { plan, names, realm_name, clock, tls, needs, sessions, audit, truth } = with;
        Arc::new(Self {
            plan,
            names,
            realm_name,
            clock,
            tls,
            lines: Lines::new(needs.upstream.clone()),
            meters: Meters::default(),
            traces: Traces::new(),
            needs,
            live: Arc::default(),
            sessions,
            audit,
            stop: CancellationToken::new(),
            truth: ArcSwap::from_pointee(truth),
            writing: Mutex::new(()),
            changed: watch::channel(0).0,
            asked: AtomicU64::new(0),
            refusals: Mutex::default(),
            tickets: Mutex::default(),
            challenges: Mutex::default(),
            turns: Mutex::default(),
        })
    }

    pub fn now(&self) -> Moment {
        self.clock.now()
    }

    pub fn trace(&self) -> TraceId {
        self.traces.next()
    }

    pub fn truth(&self) -> Arc<Truth> {
        self.truth.load_full()
    }

    /// The only way to change the truth: one writer at a time, everybody sees it whole.
    pub fn learn<E>(&self, change: impl FnOnce(&Truth) -> Result<Truth, E>) -> Result<(), E> {
        let writing = lock(&self.writing);
        let next = change(&self.truth.load())?;
        self.truth.store(Arc::new(next));
        drop(writing);
        self.changed.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Wakes whenever the truth changed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Numbers a question to the grants feed.
    pub fn ask_round(&self) -> Round {
        Round(self.asked.fetch_add(1, Ordering::SeqCst) + 1)
    }

    /// The newest question that was asked.
    pub fn last_round(&self) -> Round {
        Round(self.asked.load(Ordering::SeqCst))
    }

    pub fn refusals(&self) -> MutexGuard<'_, Refusals> {
        lock(&self.refusals)
    }

    /// May this slot do so once more?
    pub fn takes(&self, turn: Turn, slot: SlotNumber) -> bool {
        lock(&self.turns).take(slot, turn, self.now())
    }

    pub fn tickets(&self) -> MutexGuard<'_, Tickets> {
        lock(&self.tickets)
    }

    pub fn challenges(&self) -> MutexGuard<'_, Challenges> {
        lock(&self.challenges)
    }

    /// Writes down a refusal with its exact reason: for `why`, for the log, for the audit.
    pub async fn refuse(&self, slot: Option<SlotNumber>, why: Refusal, trace: TraceId, route: &str) {
        let now = self.now();
        self.refusals().note(slot, why, trace, now);
        let shown = slot.map(|slot| slot.to_string()).unwrap_or_default();
        log::info!(SLOT = shown.as_str(), TRACE_ID = trace.to_string().as_str(); "refused: {} {}", why.code(), why.words().en);
        let record = Record {
            at_ms: now.unix_ms,
            kind: Kind::Refused,
            slot,
            person: Who::EMPTY,
            route: audit::Route::of(route),
            result: Outcome::of(why.code()),
            took_ms: None,
            trace: Some(trace),
        };
        if self.audit.record(record).await.is_err() {
            log::warn!(TRACE_ID = trace.to_string().as_str(); "a refusal could not be written to the audit trail");
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
