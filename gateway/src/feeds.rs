//! The two feeds that this room lives by, long-polled, and the sweeper that acts on what they say.
//! Three tasks; each ends when the room stops. Rulings 7 and 8.

use std::sync::Arc;
use std::time::Duration;

use pki::door::RevocationsQuestion;

use crate::cuts;
use crate::grants::Grants;
use crate::hall::Hall;
use crate::truth::Truth;

/// How long a feed may stay silent before it says "no change": a third of what makes it stale.
const WAIT_MS: u32 = 10_000;
/// A feed that answers later than this does not answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between attempts: quick at first, because nobody new is let in meanwhile.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// How late an end that nobody announces (notAfter, idle, stale feeds) may be noticed.
const SWEEP_EVERY: Duration = Duration::from_millis(500);
/// When sessions were last seen is written this often, in sweeps.
const WRITE_SEEN_EVERY: u32 = 60;

/// Follows who holds which slot and who is a member of what.
pub async fn follow_grants(hall: Arc<Hall>) {
    let mut pause = RETRY_FIRST;
    let mut whole = true;
    loop {
        let version = if whole { 0 } else { hall.truth().grants.version() };
        let round = hall.ask_round();
        let asked = tokio::time::timeout(PATIENCE, hall.needs.grants.changes(version, WAIT_MS));
        let answer = tokio::select! {
            () = hall.stop.cancelled() => return,
            answer = asked => answer,
        };
        let changes = match answer {
            Ok(Ok(changes)) => changes,
            Ok(Err(error)) => {
                log::warn!("grants: {error}");
                wait(&hall, &mut pause).await;
                continue;
            }
            Err(_) => {
                log::warn!("grants: no answer in time");
                continue;
            }
        };
        let now = hall.now();
        let learned = hall.learn(|truth| {
            let grants =
                if whole { Grants::whole(changes, now) } else { truth.grants.after(changes, now)? };
            Ok(Truth { grants, floors: truth.floors.answered(round), ..truth.clone() })
        });
        match learned {
            Ok(()) => {
                whole = false;
                pause = RETRY_FIRST;
            }
            Err(crate::grants::WentBack { held, given }) => {
                log::warn!(
                    "grants: the feed went back from version {held} to {given}; asking for the whole truth"
                );
                whole = true;
            }
        }
        // An empty realm answers version 0 at once: do not spin.
        if hall.truth().grants.version() == 0 {
            wait(&hall, &mut pause).await;
        }
    }
}

/// Follows which certificates live.
pub async fn follow_revocations(hall: Arc<Hall>) {
    let mut pause = RETRY_FIRST;
    let mut after = 0;
    loop {
        let question = RevocationsQuestion::Snapshot { after, wait_ms: WAIT_MS };
        let asked = tokio::time::timeout(PATIENCE, hall.needs.revocations.ask(question));
        let answer = tokio::select! {
            () = hall.stop.cancelled() => return,
            answer = asked => answer,
        };
        let answer = match answer {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                log::warn!("revocations: {error}");
                wait(&hall, &mut pause).await;
                continue;
            }
            Err(_) => {
                log::warn!("revocations: no answer in time");
                continue;
            }
        };
        let now = hall.now();
        let held = hall.truth().revocations.number();
        let learned = hall.learn(|truth| {
            let revocations = truth.revocations.after(answer, now)?;
            Ok::<_, crate::revocations::NotHeld>(Truth { revocations, ..truth.clone() })
        });
        match learned {
            Ok(()) => {
                after = hall.truth().revocations.number();
                if after < held {
                    log::warn!(
                        "revocations: pki went back from snapshot {held} to {after}; was it restored?"
                    );
                }
                pause = RETRY_FIRST;
            }
            Err(error) => {
                log::warn!("revocations: {error}; asking for the whole snapshot");
                after = 0;
                wait(&hall, &mut pause).await;
            }
        }
        if after == 0 {
            wait(&hall, &mut pause).await;
        }
    }
}

/// Asks of everything live whether it would still be admitted, after every change and twice a second.
pub async fn sweep(hall: Arc<Hall>) {
    let mut changes = hall.changes();
    let mut ticks = tokio::time::interval(SWEEP_EVERY);
    let mut count: u32 = 0;
    loop {
        tokio::select! {
            () = hall.stop.cancelled() => return,
            changed = changes.changed() => if changed.is_err() { return },
            _ = ticks.tick() => count = count.wrapping_add(1),
        }
        if let Err(error) = cuts::sweep(&hall).await {
            log::warn!("sweep: {error}");
        }
        if count.is_multiple_of(WRITE_SEEN_EVERY) {
            count = 1;
            if let Err(error) = hall.sessions.write_seen().await {
                log::warn!("sessions: {error}");
            }
        }
    }
}

async fn wait(hall: &Hall, pause: &mut Duration) {
    tokio::select! {
        () = hall.stop.cancelled() => {}
        () = tokio::time::sleep(*pause) => {}
    }
    *pause = (*pause * 2).min(RETRY_LAST);
}
