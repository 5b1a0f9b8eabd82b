//! `Line<Q, A>`: the asker's end of a door, and `LineEnd`, the answerer's.
//! A line is made before either room exists, which is how rooms that need one another can be started
//! in any order: questions wait in the line. It ends when every `Line` or its `LineEnd` is dropped.

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::fault::WireFault;
use super::frame;

/// Questions that may wait in one line; more than every asker together has under way.
const QUEUE_DEPTH: usize = 256;

struct Ask<Q, A> {
    question: Q,
    reply: oneshot::Sender<A>,
}

/// How the questions of a line travel.
enum Carrier<Q, A> {
    Channel(mpsc::Sender<Ask<Q, A>>),
    Socket(Box<dyn frame::Carry<Q, A>>),
}

/// Holding a line is holding the permission to ask.
pub struct Line<Q, A> {
    room: &'static str,
    limit: Duration,
    carrier: Arc<Carrier<Q, A>>,
}

impl<Q, A> Clone for Line<Q, A> {
    fn clone(&self) -> Self {
        Self { room: self.room, limit: self.limit, carrier: Arc::clone(&self.carrier) }
    }
}

/// The answering room's end.
pub struct LineEnd<Q, A>(End<Q, A>);

enum End<Q, A> {
    Channel(mpsc::Receiver<Ask<Q, A>>),
    Socket(Box<dyn frame::Offer<Q, A>>),
}

/// A line inside this process; `limit` bounds every question, from asking to answer.
pub fn channel<Q, A>(room: &'static str, limit: Duration) -> (Line<Q, A>, LineEnd<Q, A>) {
    let (sender, asks) = mpsc::channel(QUEUE_DEPTH);
    (Line { room, limit, carrier: Arc::new(Carrier::Channel(sender)) }, LineEnd(End::Channel(asks)))
}

/// A line to another process. Nothing is opened before the first question; `patience` bounds the knocking.
pub fn socket<Q, A>(
    room: &'static str,
    path: PathBuf,
    frame_limit: usize,
    limit: Duration,
    patience: Duration,
) -> Line<Q, A>
where
    Q: Serialize + 'static,
    A: DeserializeOwned + Send + 'static,
{
    let socket = frame::Socket { path, frame_limit, patience };
    Line { room, limit, carrier: Arc::new(Carrier::Socket(Box::new(socket))) }
}

/// The answering end of a line from another process.
pub fn offered<Q, A>(listener: UnixListener, guard: frame::Guard) -> LineEnd<Q, A>
where
    Q: DeserializeOwned + Send + 'static,
    A: Serialize + Send + 'static,
{
    LineEnd(End::Socket(Box::new(frame::Offered { listener, guard })))
}

impl<Q, A> Line<Q, A>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    /// The room behind this line, for messages.
    pub fn room(&self) -> &'static str {
        self.room
    }

    /// Asks once. Whoever gives up waiting does not undo the question.
    pub async fn ask(&self, question: Q) -> Result<A, WireFault> {
        let asking = async {
            match self.carrier.as_ref() {
                Carrier::Channel(sender) => {
                    let (reply, answer) = oneshot::channel();
                    sender.send(Ask { question, reply }).await.map_err(|_| WireFault::Closed)?;
                    answer.await.map_err(|_| WireFault::Closed)
                }
                Carrier::Socket(socket) => socket.carry(question).await,
            }
        };
        timeout(self.limit, asking).await.unwrap_or(Err(WireFault::Slow { seconds: self.limit.as_secs() }))
    }
}

impl<Q, A> LineEnd<Q, A>
where
    Q: Send + 'static,
    A: Send + 'static,
{
    /// Answers until every asker is gone, at most `at_once` questions at a time. A question that was
    /// taken is answered to its end, even when its asker has given up.
    /// At a socket the door's guard has the limit.
    pub async fn serve<F, R>(self, at_once: usize, answer: F)
    where
        F: Fn(Q) -> R + Send + Sync + 'static,
        R: Future<Output = A> + Send + 'static,
    {
        let mut asks = match self.0 {
            End::Channel(asks) => asks,
            End::Socket(offered) => {
                return offered.serve(Arc::new(move |question| Box::pin(answer(question)))).await;
            }
        };
        let places = Arc::new(Semaphore::new(at_once));
        let mut under_way = JoinSet::new();
        while let Some(ask) = asks.recv().await {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { break };
            let answering = answer(ask.question);
            under_way.spawn(async move {
                let _ = ask.reply.send(answering.await);
                drop(place);
            });
            while under_way.try_join_next().is_some() {}
        }
        while under_way.join_next().await.is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_question_waits_in_the_line_until_its_room_stands() {
        let (line, end) = channel::<u32, u32>("doubling", LIMIT);
        let asked = tokio::spawn(async move { line.ask(21).await });
        tokio::task::yield_now().await;
        let room = tokio::spawn(end.serve(2, |n| async move { n * 2 }));
        assert_eq!(asked.await.unwrap(), Ok(42));
        room.await.unwrap();
    }

    #[tokio::test]
    async fn a_closed_door_says_so() {
        let (line, end) = channel::<u32, u32>("gone", LIMIT);
        drop(end);
        assert_eq!(line.ask(1).await, Err(WireFault::Closed));
    }

    #[tokio::test]
    async fn a_room_that_never_answers_is_given_up() {
        let (line, end) = channel::<u32, u32>("silent", Duration::ZERO);
        let room = tokio::spawn(end.serve(1, |_| std::future::pending()));
        assert_eq!(line.ask(1).await, Err(WireFault::Slow { seconds: 0 }));
        room.abort();
    }

    #[tokio::test]
    async fn no_more_questions_are_under_way_than_there_are_places() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (line, end) = channel::<u32, u32>("narrow", LIMIT);
        let now = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let (now_in, most_in) = (Arc::clone(&now), Arc::clone(&most));
        tokio::spawn(end.serve(3, move |n| {
            let (now, most) = (Arc::clone(&now_in), Arc::clone(&most_in));
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                n
            }
        }));
        let asks: Vec<_> = (0..40)
            .map(|n| {
                let line = line.clone();
                tokio::spawn(async move { line.ask(n).await })
            })
            .collect();
        for ask in asks {
            assert!(ask.await.unwrap().is_ok());
        }
        assert!(most.load(Ordering::SeqCst) <= 3);
    }
}
