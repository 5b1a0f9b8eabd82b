//! The gateway's audit trail: one line per request, refusal, cut and sign-in. Owns the queue to the one
//! thread that writes; a record has a fixed size, and whoever makes it neither formats nor waits. The
//! thread ends after `close`. No content, no path with ids, no query. Ruling 11.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::chain::Head;
use pki::identity::{PersonId, TraceId};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use vpn::slot::SlotNumber;

use crate::label::Label;
use crate::trail::{FILE_MAX, Found, Trail};

/// Records in flight: a second of a busy realm.
const QUEUE: usize = 8_192;
/// Records gather for so long before one write and one sync: what a crash may lose.
const GATHER: Duration = Duration::from_millis(20);
/// A request waits this long for a place in the queue; then nothing may happen unrecorded.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to write to a disk that refuses.
const RETRY: Duration = Duration::from_secs(1);

/// What one line says.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub at_ms: i64,
    pub kind: Kind,
    pub slot: Option<SlotNumber>,
    pub person: Who,
    /// Method, host and class of the path, or what was cut.
    pub route: Route,
    /// A status, a code of the catalogue, or a count.
    pub result: Outcome,
    pub took_ms: Option<u64>,
    pub trace: Option<TraceId>,
}

/// Longest: a method, a host and eight words.
pub type Route = Label<120>;
pub type Outcome = Label<64>;
/// A person's id, or empty.
pub type Who = Label<40>;

pub fn who(person: Option<&PersonId>) -> Who {
    person.map_or(Who::EMPTY, |person| Who::of(person.as_str()))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Started,
    /// What a crash left half-written was taken away.
    Repaired,
    /// The trail before did not verify and was put aside.
    Broken,
    /// A TLS connection or a request that was not admitted.
    Refused,
    Connected,
    Request,
    SignedIn,
    SignedOut,
    SessionEnded,
    Cut,
    Stopped,
}

/// The trail cannot be written; nothing may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit trail cannot be written")]
pub struct AuditDown;

#[derive(Debug, thiserror::Error)]
#[error("MM-3102 the audit trail {path} cannot be opened ({error}); check its owner and the disk")]
pub struct AuditError {
    pub path: PathBuf,
    pub error: io::Error,
}

/// A clone is the same trail.
#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Line>,
}

/// A queue of records is a block of memory, not a trail of allocations.
#[allow(clippy::large_enum_variant)]
enum Line {
    Record(Record),
    Close(oneshot::Sender<Head>),
}

impl Audit {
    /// Finds where the trail stands, repairs a torn last line, and starts the writer.
    pub fn open(dir: &Path, at_ms: i64) -> Result<Self, AuditError> {
        let failed = |error| AuditError { path: dir.join("audit.log"), error };
        let (mut trail, found) = Trail::open(dir, at_ms, FILE_MAX).map_err(failed)?;
        let note = match found {
            Found::Whole => None,
            Found::Torn { bytes } => {
                log::warn!("audit trail: the last line was torn by a crash ({bytes} bytes) and removed");
                Some(plain(Kind::Repaired, at_ms, Outcome::of(format_args!("{bytes} bytes"))))
            }
            Found::Broken { entry } => {
                log::error!("audit trail: entry {entry} does not verify; the file was put aside");
                Some(plain(Kind::Broken, at_ms, Outcome::of(format_args!("entry {entry}"))))
            }
        };
        let started = note.into_iter().chain([plain(Kind::Started, at_ms, Outcome::EMPTY)]);
        write(&mut trail, &started.collect::<Vec<_>>()).map_err(failed)?;
        let (queue, lines) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("gateway-audit".into());
        writer.spawn(move || write_all(trail, lines)).map_err(failed)?;
        Ok(Self { queue })
    }

    /// Hands a record to the writer; an error means that it must not have happened.
    pub async fn record(&self, record: Record) -> Result<(), AuditDown> {
        match self.queue.try_send(Line::Record(record)) {
            Ok(()) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(AuditDown),
            Err(mpsc::error::TrySendError::Full(line)) => {
                self.queue.send_timeout(line, PATIENCE).await.map_err(|_| AuditDown)
            }
        }
    }

    /// Everything handed over before is on disk; the head of the chain.
    pub async fn close(&self, at_ms: i64) -> Option<Head> {
        let _ = self.record(plain(Kind::Stopped, at_ms, Outcome::EMPTY)).await;
        let (done, closed) = oneshot::channel();
        self.queue.send(Line::Close(done)).await.ok()?;
        closed.await.ok()
    }
}

/// A record of the gateway about itself.
fn plain(kind: Kind, at_ms: i64, result: Outcome) -> Record {
    let (slot, person, route, took_ms, trace) = (None, Who::EMPTY, Route::EMPTY, None, None);
    Record { at_ms, kind, slot, person, route, result, took_ms, trace }
}

fn write_all(mut trail: Trail, mut lines: mpsc::Receiver<Line>) {
    let mut batch = Vec::new();
    while let Some(first) = lines.blocking_recv() {
        let mut closing = None;
        if matches!(first, Line::Record(_)) && lines.capacity() > QUEUE / 2 {
            std::thread::park_timeout(GATHER);
        }
        let mut next = Some(first);
        while let Some(line) = next {
            match line {
                Line::Record(record) => batch.push(record),
                Line::Close(done) => closing = Some(done),
            }
            let full = batch.len() >= QUEUE || closing.is_some();
            next = if full { None } else { lines.try_recv().ok() };
        }
        while let Err(error) = write(&mut trail, &batch) {
            log::warn!("audit trail: {error}; requests wait until it can be written again");
            std::thread::park_timeout(RETRY);
        }
        batch.clear();
        if let Some(done) = closing {
            if let Err(error) = trail.note() {
                log::warn!("audit trail: {error}; the next start reads more than it had to");
            }
            let _ = done.send(trail.head);
            return;
        }
    }
}

/// How a record looks in the file.
#[derive(Serialize)]
struct Entry<'a> {
    n: u64,
    at_ms: i64,
    kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<SlotNumber>,
    #[serde(skip_serializing_if = "str::is_empty")]
    person: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    route: &'a str,
    result: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceId>,
}

fn write(trail: &mut Trail, records: &[Record]) -> io::Result<()> {
    if records.is_empty() {
        return Ok(());
    }
    let (mut bodies, mut ends) = (Vec::with_capacity(records.len() * 256), Vec::with_capacity(records.len()));
    for (n, record) in (trail.head.entries..).zip(records) {
        let Record { at_ms, kind, slot, ref person, ref route, ref result, took_ms, trace } = *record;
        let (person, route, result) = (person.as_str(), route.as_str(), result.as_str());
        serde_json::to_writer(
            &mut bodies,
            &Entry { n, at_ms, kind, slot, person, route, result, took_ms, trace },
        )?;
        ends.push(bodies.len());
    }
    let starts = std::iter::once(0).chain(ends.iter().copied());
    trail.write(starts.zip(&ends).map(|(start, end)| &bodies[start..*end]))
}
