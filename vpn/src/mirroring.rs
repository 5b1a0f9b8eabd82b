//! Keeps the firewall a true mirror of the seating: batches changes, reads back, repairs drift.
//! An edge (tokio task, timer). Owns the `Mirror`; ends when it is told to stop or every asker is gone.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::door::{Gate, GateChange, MirrorAnswer, MirrorDoor, MirrorQuestion};
use crate::mirror::Mirror;

/// How long drift may stand unseen; reading back costs one run of nft.
const READ_BACK_EVERY: Duration = Duration::from_secs(5);

/// A firewall that takes longer is reported as pending instead of holding up a revocation's other points.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// Requests that wait at once, and that share one run of nft.
const QUEUE: usize = 1024;
const BATCH: usize = 256;

/// New levels of addresses; the answer comes when the firewall has them.
struct Request {
    levels: Vec<(Ipv4Addr, Option<Gate>)>,
    done: oneshot::Sender<Result<(), String>>,
}

/// The room's end of the task.
#[derive(Clone)]
pub struct Mirroring {
    requests: mpsc::Sender<Request>,
    truth: watch::Receiver<Option<bool>>,
    stop: Arc<watch::Sender<Option<Ending>>>,
}

/// What becomes of the table when the task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Removed,
    /// A successor puts its own in the place of it.
    Left,
}

impl Mirroring {
    /// Installs the table with these levels and reads it back before it answers: a room whose firewall
    /// does not stand does not start.
    pub async fn start(
        door: Arc<dyn MirrorDoor>,
        levels: Vec<(Ipv4Addr, Option<Gate>)>,
    ) -> Result<(Self, tokio::task::JoinHandle<()>), String> {
        let (requests, inbox) = mpsc::channel(QUEUE);
        let (truth, truth_seen) = watch::channel(None);
        let (stop, stopping) = watch::channel(None);
        let mut keeper = Keeper { door, mirror: Mirror::new(levels), stands: false, truth };
        keeper.install().await?;
        keeper.check().await;
        let task = tokio::spawn(keeper.run(inbox, stopping));
        Ok((Self { requests, truth: truth_seen, stop: Arc::new(stop) }, task))
    }

    /// Returns when the firewall has these levels, or with the reason why it does not have them yet
    /// (it will be tried again).
    pub async fn follow(&self, levels: Vec<(Ipv4Addr, Option<Gate>)>) -> Result<(), String> {
        if levels.is_empty() {
            return Ok(());
        }
        let gone = || "the mirroring task has ended".to_owned();
        let (done, answer) = oneshot::channel();
        self.requests.send(Request { levels, done }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }

    /// Is the firewall what the seating says?
    pub fn truth(&self) -> Option<bool> {
        *self.truth.borrow()
    }

    pub fn stop(&self, ending: Ending) {
        self.stop.send_replace(Some(ending));
    }
}

struct Keeper {
    door: Arc<dyn MirrorDoor>,
    mirror: Mirror,
    /// Did the last installation or change succeed?
    stands: bool,
    truth: watch::Sender<Option<bool>>,
}

impl Keeper {
    async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Request>,
        mut stopping: watch::Receiver<Option<Ending>>,
    ) {
        let mut reading = interval(READ_BACK_EVERY);
        reading.set_missed_tick_behavior(MissedTickBehavior::Delay);
        reading.tick().await; // the first is immediate, and start() has just read
        let mut requests = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                _ = stopping.changed() => break,
                taken = inbox.recv_many(&mut requests, BATCH) => {
                    if taken == 0 {
                        break;
                    }
                    let levels = requests.iter().flat_map(|request| request.levels.iter().copied()).collect();
                    let outcome = self.follow(levels).await;
                    for request in requests.drain(..) {
                        let _ = request.done.send(outcome.clone());
                    }
                }
                _ = reading.tick() => self.check().await,
            }
        }
        if *stopping.borrow() == Some(Ending::Left) {
            return;
        }
        if let Err(why) = self.ask(MirrorQuestion::Remove).await {
            log::warn!(why = why.as_str(); "the firewall's table could not be removed; the next start replaces it");
        }
    }

    async fn follow(&mut self, levels: Vec<(Ipv4Addr, Option<Gate>)>) -> Result<(), String> {
        let changes = self.mirror.want(levels);
        if self.stands && changes.is_empty() {
            return Ok(());
        }
        if self.stands && self.change(changes).await.is_ok() {
            return Ok(());
        }
        // The table is not what we think it is: put it back whole.
        self.install().await
    }

    async fn change(&mut self, changes: Vec<GateChange>) -> Result<(), String> {
        let changed = self.ask(MirrorQuestion::Change { changes }).await;
        if let Err(why) = &changed {
            log::warn!(why = why.as_str(); "the firewall refused a change; its table is being replaced");
        }
        changed
    }

    async fn install(&mut self) -> Result<(), String> {
        let installed = self.ask(MirrorQuestion::Install { admitted: self.mirror.admitted() }).await;
        self.stands = installed.is_ok();
        self.mirror.installed();
        if !self.stands {
            self.truth.send_replace(Some(false));
        }
        installed
    }

    /// Reads back; repairs what differs and says so.
    async fn check(&mut self) {
        if self.stands && self.compare().await {
            self.truth.send_replace(Some(true));
            return;
        }
        self.truth.send_replace(Some(false));
        let repaired = self.install().await.is_ok() && self.compare().await;
        if repaired {
            log::warn!("the firewall's table was not what the seating says; it has been replaced");
        } else {
            log::warn!(
                "the firewall's table is not what the seating says and could not be replaced; trying again"
            );
        }
        self.truth.send_replace(Some(repaired));
    }

    async fn compare(&mut self) -> bool {
        match self.ask_for_table().await {
            Ok((admitted, rules)) => match self.mirror.compare(&admitted, &rules) {
                None => true,
                Some(drift) => {
                    log::warn!(missing = drift.missing, extra = drift.extra, rules_changed = drift.rules_changed;
                        "somebody else changed the firewall's table");
                    false
                }
            },
            Err(why) => {
                log::warn!(why = why.as_str(); "the firewall could not be read back");
                false
            }
        }
    }

    async fn ask_for_table(&self) -> Result<(crate::door::Admitted, String), String> {
        match timeout(ANSWER_WITHIN, self.door.ask(MirrorQuestion::ReadBack)).await {
            Ok(Ok(MirrorAnswer::Table { admitted, rules })) => Ok((admitted, rules)),
            other => Err(reason(other)),
        }
    }

    async fn ask(&self, question: MirrorQuestion) -> Result<(), String> {
        match timeout(ANSWER_WITHIN, self.door.ask(question)).await {
            Ok(Ok(MirrorAnswer::Done)) => Ok(()),
            other => Err(reason(other)),
        }
    }
}

fn reason(
    answer: Result<Result<MirrorAnswer, crate::door::DoorClosed>, tokio::time::error::Elapsed>,
) -> String {
    match answer {
        Ok(Ok(MirrorAnswer::Failed { why })) => why,
        Ok(Ok(_)) => "the firewall answered another question".into(),
        Ok(Err(closed)) => closed.to_string(),
        Err(_) => format!("the firewall did not answer within {} s", ANSWER_WITHIN.as_secs()),
    }
}

#[cfg(test)]
mod tests;
