//! The gateway's audit trail: `audit.log`, append-only, one JSON line per request, refusal, cut and
//! sign-in, hash-chained. Owns the file through one thread fed by a bounded queue; the thread ends
//! after `close`. No content, no path with ids, no query. Ruling 11.
//!
//! ```text
//! {"hash":"<64 hex>","entry":{"n":0,"at_ms":…,"kind":"request","slot":"18-0042",…}}
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki::chain::{Hash, Head};
use pki::identity::{PersonId, TraceId};
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};
use vpn::slot::SlotNumber;

/// Records in flight: a second of a busy realm.
const QUEUE: usize = 8_192;
/// Records written by one write and one sync.
const BATCH: usize = 512;
/// A request waits this long for a place in the queue; then nothing may happen unrecorded.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between attempts to write to a disk that refuses.
const RETRY: Duration = Duration::from_secs(1);

const PREFIX: &str = r#"{"hash":""#;
const MIDDLE: &str = r#"","entry":"#;
const HASH_HEX: usize = 64;

/// What one line says.
#[derive(Clone, Debug, Serialize)]
pub struct Record {
    pub at_ms: i64,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slot: Option<SlotNumber>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<PersonId>,
    /// Method, host and class of the path, or what was cut.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub route: String,
    /// A status, a code of the catalogue, or a count.
    pub result: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
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

#[derive(Clone)]
pub struct Audit {
    queue: mpsc::Sender<Line>,
}

enum Line {
    Record(Record),
    Close(oneshot::Sender<Head>),
}

impl Audit {
    /// Verifies what is there, repairs a torn last line, and starts the writer.
    pub fn open(dir: &Path, at_ms: i64) -> Result<Self, AuditError> {
        let path = dir.join("audit.log");
        let failed = |error| AuditError { path: path.clone(), error };
        let (mut trail, note) = Trail::open(&path, at_ms).map_err(failed)?;
        let started = note.into_iter().chain([plain(Kind::Started, at_ms, String::new())]);
        trail.write(&started.collect::<Vec<_>>()).map_err(failed)?;
        let (queue, lines) = mpsc::channel(QUEUE);
        let writer = std::thread::Builder::new().name("gateway-audit".into());
        writer.spawn(move || write_all(trail, lines)).map_err(failed)?;
        Ok(Self { queue })
    }

    /// Hands a record to the writer; an error means that it must not have happened.
    pub async fn record(&self, record: Record) -> Result<(), AuditDown> {
        let sent = self.queue.send_timeout(Line::Record(record), PATIENCE).await;
        sent.map_err(|_| AuditDown)
    }

    /// Everything handed over before is on disk; the head of the chain.
    pub async fn close(&self, at_ms: i64) -> Option<Head> {
        let _ = self.record(plain(Kind::Stopped, at_ms, String::new())).await;
        let (done, closed) = oneshot::channel();
        self.queue.send(Line::Close(done)).await.ok()?;
        closed.await.ok()
    }
}

/// A record of the gateway about itself.
pub fn plain(kind: Kind, at_ms: i64, result: String) -> Record {
    let (slot, person, took_ms, trace) = (None, None, None, None);
    Record { at_ms, kind, slot, person, route: String::new(), result, took_ms, trace }
}

fn write_all(mut trail: Trail, mut lines: mpsc::Receiver<Line>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let mut closing = None;
        let mut next = lines.blocking_recv();
        while let Some(line) = next {
            match line {
                Line::Record(record) => batch.push(record),
                Line::Close(done) => closing = Some(done),
            }
            let full = batch.len() >= BATCH || closing.is_some();
            next = if full { None } else { lines.try_recv().ok() };
        }
        while let Err(error) = trail.write(&batch) {
            log::warn!("audit trail: {error}; requests wait until it can be written again");
            std::thread::park_timeout(RETRY);
        }
        let ended = batch.is_empty() && closing.is_none();
        batch.clear();
        if let Some(done) = closing {
            let _ = done.send(trail.head);
            return;
        }
        if ended {
            return;
        }
    }
}

/// The open file and where its chain stands.
struct Trail {
    file: File,
    length: u64,
    head: Head,
}

#[derive(Serialize)]
struct Numbered<'a> {
    n: u64,
    #[serde(flatten)]
    record: &'a Record,
}

impl Trail {
    fn open(path: &Path, at_ms: i64) -> io::Result<(Self, Option<Record>)> {
        let mut file = open_file(path)?;
        let (head, length, state) = read_back(&file)?;
        let mut note = None;
        match state {
            Found::Whole => {}
            Found::Torn { bytes } => {
                file.set_len(length)?;
                note = Some(plain(Kind::Repaired, at_ms, format!("{bytes} bytes")));
                log::warn!("audit trail: the last line was torn by a crash ({bytes} bytes) and removed");
            }
            Found::Broken { entry } => {
                let aside = path.with_file_name(format!("audit.broken-{at_ms}.log"));
                std::fs::rename(path, &aside)?;
                log::error!(
                    "audit trail: entry {entry} does not verify; the file was put aside as {}",
                    aside.display()
                );
                file = open_file(path)?;
                note = Some(plain(Kind::Broken, at_ms, format!("entry {entry}")));
                file.seek(SeekFrom::End(0))?;
                return Ok((Self { file, length: 0, head: Head::EMPTY }, note));
            }
        }
        file.seek(SeekFrom::End(0))?;
        Ok((Self { file, length, head }, note))
    }

    /// All of these or, after an error, none.
    fn write(&mut self, records: &[Record]) -> io::Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let (mut head, mut text) = (self.head, String::new());
        for record in records {
            let body = serde_json::to_string(&Numbered { n: head.entries, record })?;
            head = head.then(body.as_bytes());
            text.push_str(&format!("{PREFIX}{}{MIDDLE}{body}}}\n", head.hash));
        }
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.length += text.len() as u64;
        self.head = head;
        Ok(())
    }
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

enum Found {
    Whole,
    Torn { bytes: u64 },
    Broken { entry: u64 },
}

/// Follows the chain; says how much of the file is good.
fn read_back(file: &File) -> io::Result<(Head, u64, Found)> {
    let (mut head, mut good) = (Head::EMPTY, 0);
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok((head, good, Found::Whole));
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Ok((head, good, Found::Torn { bytes: read }));
        };
        match parse(whole).filter(|(body, hash)| head.then(body).hash == *hash) {
            Some((body, _)) => head = head.then(body),
            None => return Ok((head, good, Found::Broken { entry: head.entries })),
        }
        good += read;
    }
}

fn parse(line: &[u8]) -> Option<(&[u8], Hash)> {
    let rest = line.strip_prefix(PREFIX.as_bytes())?;
    let (hash, rest) = rest.split_at_checked(HASH_HEX)?;
    let body = rest.strip_prefix(MIDDLE.as_bytes())?.strip_suffix(b"}")?;
    let hash = std::str::from_utf8(hash).ok()?.parse().ok()?;
    Some((body, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(count: usize) -> Vec<Record> {
        (0..count).map(|n| plain(Kind::Request, n as i64, "200".into())).collect()
    }

    #[test]
    fn a_trail_goes_on_after_a_restart_and_a_torn_line_is_repaired_with_a_note() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (mut trail, note) = Trail::open(&path, 1).unwrap();
        assert!(note.is_none());
        trail.write(&records(3)).unwrap();
        let head = trail.head;
        trail.file.write_all(br#"{"hash":"12"#).unwrap();
        drop(trail);
        let (trail, note) = Trail::open(&path, 2).unwrap();
        assert_eq!(trail.head, head);
        assert_eq!(note.unwrap().kind, Kind::Repaired);
    }

    #[test]
    fn a_changed_line_is_noticed_and_the_file_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (mut trail, _) = Trail::open(&path, 1).unwrap();
        trail.write(&records(3)).unwrap();
        let forged = std::fs::read_to_string(&path).unwrap().replacen("\"n\":1", "\"n\":9", 1);
        std::fs::write(&path, &forged).unwrap();
        let (trail, note) = Trail::open(&path, 2).unwrap();
        assert_eq!(note.unwrap().result, "entry 1");
        assert_eq!(trail.head, Head::EMPTY);
        assert_eq!(std::fs::read_to_string(dir.path().join("audit.broken-2.log")).unwrap(), forged);
    }
}
