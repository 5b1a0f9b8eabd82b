//! Questions over a Unix socket: length-delimited JSON frames with a limit, peers known by their uid.
//! Owns a listener while `serve` runs, and one connection per question on the asking side.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

use super::fault::WireFault;

/// The operator's door carries whole files (様式1, bundles); bytes grow fourfold in JSON.
pub const OPERATOR_FRAME_MAX: usize = 16 << 20;
/// Between rooms the largest is the whole truth about ten thousand slots and who may use them.
pub const ROOM_FRAME_MAX: usize = 16 << 20;
/// A local peer that takes longer to put its question is stuck or hostile.
pub const QUESTION_TIME: Duration = Duration::from_secs(10);
/// Connections at once per door: an operator and a few scripts.
pub const CONNECTIONS_MAX: usize = 16;

/// What travels back: the answer, or why there is none.
#[derive(Serialize, Deserialize)]
enum Reply<A> {
    Answer(A),
    Refused(Refused),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Refused {
    Stranger { uid: u32 },
    TooLong { limit: usize },
    Garbled { why: String },
    Full { limit: usize },
    Slow { seconds: u64 },
}

/// Who knocks, as the kernel says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub pid: Option<i32>,
}

/// How a door is guarded.
#[derive(Clone, Debug)]
pub struct Guard {
    /// The door's name, for the log.
    pub door: &'static str,
    /// Peers with another uid hear `Stranger` and nothing else.
    pub uids: Vec<u32>,
    pub frame_limit: usize,
    pub question_time: Duration,
    pub connections: usize,
}

/// The asking side: a new connection for each question, because the door may have been restarted.
pub struct Socket {
    pub path: PathBuf,
    pub frame_limit: usize,
    /// How long to knock again at a room that is just being restarted.
    pub patience: Duration,
}

/// Whatever brings a question of one kind to its answer.
pub trait Carry<Q, A>: Send + Sync {
    fn carry(&self, question: Q) -> Pin<Box<dyn Future<Output = Result<A, WireFault>> + Send + '_>>;
}

impl<Q: Serialize, A: DeserializeOwned + Send> Carry<Q, A> for Socket {
    fn carry(&self, question: Q) -> Pin<Box<dyn Future<Output = Result<A, WireFault>> + Send + '_>> {
        let encoded = encode(&question, self.frame_limit);
        Box::pin(async move {
            let stream = connect(&self.path, self.patience).await?;
            let mut framed = framed(stream, self.frame_limit);
            framed.send(encoded?).await.map_err(broken)?;
            match next(&mut framed, self.frame_limit).await? {
                Reply::Answer(answer) => Ok(answer),
                Reply::Refused(refused) => Err(refused.into()),
            }
        })
    }
}

/// Knocks until somebody opens; the last refusal when nobody does.
pub async fn connect(path: &Path, patience: Duration) -> Result<UnixStream, WireFault> {
    let given_up = Instant::now() + patience;
    let mut pause = KNOCK_FIRST;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            // Forbidden now is forbidden later.
            Err(error)
                if error.kind() == ErrorKind::PermissionDenied || Instant::now() + pause > given_up =>
            {
                return Err(WireFault::Unreachable { why: error.to_string() });
            }
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause = (pause * 2).min(KNOCK_LONGEST);
    }
}

/// Answers with a method of the room.
pub type Answerer<Q, A> = Arc<dyn Fn(Q) -> Pin<Box<dyn Future<Output = A> + Send>> + Send + Sync>;

/// A door at which questions of one kind arrive.
pub trait Offer<Q, A>: Send {
    fn serve(self: Box<Self>, answer: Answerer<Q, A>) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}

/// A listener with its guard.
pub struct Offered {
    pub listener: UnixListener,
    pub guard: Guard,
}

impl<Q, A> Offer<Q, A> for Offered
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    fn serve(self: Box<Self>, answer: Answerer<Q, A>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(serve(self.listener, self.guard, move |_, question| answer(question)))
    }
}

/// Answers at a listener until it is dropped from outside: one question per connection.
pub async fn serve<Q, A, F, R>(listener: UnixListener, guard: Guard, answer: F)
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
    F: Fn(Peer, Q) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = A> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(guard.connections));
    let guard = Arc::new(guard);
    let mut under_way = JoinSet::new();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Descriptors ran out or the peer went: the door itself stays open.
                log::warn!("the door {} cannot accept: {error}", guard.door);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let place = Arc::clone(&places).try_acquire_owned();
        let (guard, answer) = (Arc::clone(&guard), answer.clone());
        under_way.spawn(async move {
            let full = place.is_err();
            match converse(stream, &guard, full, answer).await {
                // Nobody of the table knocks where the table does not say so.
                Err(fault @ WireFault::Stranger { .. }) => log::warn!("refused at {}: {fault}", guard.door),
                Err(fault) => log::info!("a talk at {} broke: {fault}", guard.door),
                Ok(()) => {}
            }
            drop(place);
        });
        while under_way.try_join_next().is_some() {}
    }
}

/// Between two knocks: a restart takes a fraction of a second, and a dead room must not cost a core.
const KNOCK_FIRST: Duration = Duration::from_millis(20);
const KNOCK_LONGEST: Duration = Duration::from_millis(500);
/// Between attempts to accept while the process is out of descriptors.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

async fn converse<Q, A, F, R>(
    stream: UnixStream,
    guard: &Guard,
    full: bool,
    answer: F,
) -> Result<(), WireFault>
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Fn(Peer, Q) -> R,
    R: Future<Output = A>,
{
    let credentials =
        stream.peer_cred().map_err(|error| WireFault::Unreachable { why: error.to_string() })?;
    let peer = Peer { uid: credentials.uid(), pid: credentials.pid() };
    let mut framed = framed(stream, guard.frame_limit);
    // A stranger's bytes are never parsed.
    let question: Result<Q, WireFault> = if !guard.uids.contains(&peer.uid) {
        Err(WireFault::Stranger { uid: peer.uid })
    } else if full {
        Err(WireFault::Full { limit: guard.connections })
    } else {
        let seconds = guard.question_time.as_secs();
        timeout(guard.question_time, next(&mut framed, guard.frame_limit))
            .await
            .unwrap_or(Err(WireFault::Slow { seconds }))
    };
    let (reply, fault) = match question {
        Ok(question) => (Reply::Answer(answer(peer, question).await), None),
        Err(WireFault::Closed) => return Ok(()),
        Err(fault) => (Reply::Refused(Refused::from(fault.clone())), Some(fault)),
    };
    let encoded = match encode(&reply, guard.frame_limit) {
        Err(WireFault::TooLong { limit, .. }) => {
            encode(&Reply::<A>::Refused(Refused::TooLong { limit }), guard.frame_limit)
        }
        encoded => encoded,
    }?;
    let seconds = guard.question_time.as_secs();
    timeout(guard.question_time, framed.send(encoded))
        .await
        .map_err(|_| WireFault::Slow { seconds })?
        .map_err(broken)?;
    fault.map_or(Ok(()), Err)
}

fn framed(stream: UnixStream, limit: usize) -> Framed<UnixStream, LengthDelimitedCodec> {
    LengthDelimitedCodec::builder().length_field_length(4).max_frame_length(limit).new_framed(stream)
}

fn encode<T: Serialize>(value: &T, limit: usize) -> Result<Bytes, WireFault> {
    let bytes = serde_json::to_vec(value).map_err(|error| WireFault::Garbled { why: error.to_string() })?;
    if bytes.len() > limit {
        return Err(WireFault::TooLong { bytes: bytes.len(), limit });
    }
    Ok(Bytes::from(bytes))
}

async fn next<T: DeserializeOwned>(
    framed: &mut Framed<UnixStream, LengthDelimitedCodec>,
    limit: usize,
) -> Result<T, WireFault> {
    match framed.next().await {
        None => Err(WireFault::Closed),
        Some(Err(error)) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(WireFault::TooLong { bytes: limit.saturating_add(1), limit })
        }
        Some(Err(error)) => Err(broken(error)),
        // serde's sentence names the field, never the value of one that could hold a secret.
        Some(Ok(frame)) => serde_json::from_slice(&frame).map_err(|error| WireFault::Garbled {
            why: format!("{:?} at {}", error.classify(), error.column()),
        }),
    }
}

fn broken(error: std::io::Error) -> WireFault {
    WireFault::Unreachable { why: error.to_string() }
}

impl From<WireFault> for Refused {
    fn from(fault: WireFault) -> Refused {
        match fault {
            WireFault::Stranger { uid } => Refused::Stranger { uid },
            WireFault::TooLong { limit, .. } => Refused::TooLong { limit },
            WireFault::Full { limit } => Refused::Full { limit },
            WireFault::Slow { seconds } => Refused::Slow { seconds },
            WireFault::Garbled { why } | WireFault::Unreachable { why } => Refused::Garbled { why },
            WireFault::Closed => Refused::Garbled { why: "closed".to_owned() },
        }
    }
}

impl From<Refused> for WireFault {
    fn from(refused: Refused) -> WireFault {
        match refused {
            Refused::Stranger { uid } => WireFault::Stranger { uid },
            Refused::TooLong { limit } => WireFault::TooLong { bytes: limit.saturating_add(1), limit },
            Refused::Full { limit } => WireFault::Full { limit },
            Refused::Slow { seconds } => WireFault::Slow { seconds },
            Refused::Garbled { why } => WireFault::Garbled { why },
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::wire::line;

    const LIMIT: usize = 1024;

    fn guard() -> Guard {
        Guard {
            door: "test",
            uids: vec![rustix::process::geteuid().as_raw()],
            frame_limit: LIMIT,
            question_time: Duration::from_secs(30),
            connections: 4,
        }
    }

    /// A door that answers with the length of what it was told.
    fn open(guard: Guard) -> (tempfile::TempDir, PathBuf, tokio::task::JoinHandle<()>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("door.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(serve(listener, guard, |_, text: String| async move { text.len() }));
        (dir, path, task)
    }

    fn line(path: &std::path::Path, frame_limit: usize) -> line::Line<String, usize> {
        line::socket("test", path.to_owned(), frame_limit, Duration::from_secs(30), Duration::ZERO)
    }

    #[tokio::test]
    async fn a_question_goes_and_its_answer_comes() {
        let (_dir, path, task) = open(guard());
        assert_eq!(line(&path, LIMIT).ask("みまもり".to_owned()).await, Ok(12));
        task.abort();
    }

    #[tokio::test]
    async fn an_oversize_frame_is_refused_on_both_sides() {
        let (_dir, path, task) = open(guard());
        let long = "x".repeat(LIMIT);
        let honest = line(&path, LIMIT).ask(long.clone()).await;
        assert_eq!(honest, Err(WireFault::TooLong { bytes: LIMIT + 2, limit: LIMIT }));
        // The attacker's client has no limit of its own.
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(&u32::MAX.to_be_bytes()).await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        assert!(String::from_utf8_lossy(&heard).contains("TooLong"), "{heard:?}");
        task.abort();
    }

    #[tokio::test]
    async fn another_uid_is_refused_before_a_byte_is_read() {
        let (_dir, path, task) = open(Guard { uids: vec![u32::MAX - 2], ..guard() });
        let uid = rustix::process::geteuid().as_raw();
        assert_eq!(line(&path, LIMIT).ask("?".to_owned()).await, Err(WireFault::Stranger { uid }));
        task.abort();
    }

    #[tokio::test]
    async fn a_slow_peer_is_sent_away_and_the_next_one_is_served() {
        let (_dir, path, task) = open(Guard { question_time: Duration::ZERO, ..guard() });
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(&[0, 0]).await.unwrap();
        let mut heard = Vec::new();
        let _ = stream.read_to_end(&mut heard).await;
        assert!(heard.is_empty() || String::from_utf8_lossy(&heard).contains("Slow"), "{heard:?}");
        task.abort();
        let (_dir, path, task) = open(guard());
        let _stuck = UnixStream::connect(&path).await.unwrap();
        assert_eq!(line(&path, LIMIT).ask("x".to_owned()).await, Ok(1));
        task.abort();
    }

    #[tokio::test]
    async fn garbage_is_named_and_closes_nothing_else() {
        let (_dir, path, task) = open(guard());
        let wrong: line::Line<u32, usize> =
            line::socket("test", path.clone(), LIMIT, Duration::from_secs(30), Duration::ZERO);
        assert!(matches!(wrong.ask(7).await, Err(WireFault::Garbled { .. })));
        assert_eq!(line(&path, LIMIT).ask(String::new()).await, Ok(0));
        task.abort();
    }

    #[tokio::test]
    async fn a_room_that_is_being_restarted_is_knocked_at_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("door.sock");
        let line: line::Line<String, usize> =
            line::socket("test", path.clone(), LIMIT, Duration::from_secs(30), Duration::from_secs(30));
        let asked = tokio::spawn(async move { line.ask("xyz".to_owned()).await });
        tokio::task::yield_now().await;
        let listener = UnixListener::bind(&path).unwrap();
        let task = tokio::spawn(serve(listener, guard(), |_, text: String| async move { text.len() }));
        assert_eq!(asked.await.unwrap(), Ok(3));
        task.abort();
    }

    #[tokio::test]
    async fn a_room_answers_at_a_socket_as_at_a_channel() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("door.sock");
        let end: line::LineEnd<String, usize> = line::offered(UnixListener::bind(&path).unwrap(), guard());
        let task = tokio::spawn(end.serve(2, |text: String| async move { text.len() }));
        assert_eq!(line(&path, LIMIT).ask("ab".to_owned()).await, Ok(2));
        task.abort();
    }

    #[tokio::test]
    async fn nobody_behind_the_socket_is_unreachable() {
        let dir = tempfile::tempdir().unwrap();
        let asked = line(&dir.path().join("none.sock"), LIMIT).ask(String::new()).await;
        assert!(matches!(asked, Err(WireFault::Unreachable { .. })));
    }
}
