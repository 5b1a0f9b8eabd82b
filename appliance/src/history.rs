//! The configuration's history: what a commit writes and in which order, when an unconfirmed one falls, which of
//! the old ones stay. Pure: the state and the clock in, a list of writes out. Each write is whole or not there
//! (a new file renamed over the old); the machine may die between any two, and `settle` brings it home.
//!
//! ```text
//! commit --confirm   revision, state: pending, active file        confirm   state: confirmed
//! the time is up, or the machine was started anew since           settle    state: no pending, active file
//! ```

use serde::{Deserialize, Serialize};

/// As many as an engineer reads back; older ones are in the backups.
pub const KEPT_MAX: usize = 50;
/// Shorter is no time to look, longer is forgotten.
pub const CONFIRM_MIN_MS: u64 = 10_000;
pub const CONFIRM_MAX_MS: u64 = 24 * 60 * 60 * 1000;

/// Who wrote which revision, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    pub number: u64,
    pub at_ms: i64,
    pub by: String,
}

/// A commit that falls unless somebody confirms it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    pub number: u64,
    /// Since the machine was started: the wall clock may jump.
    pub until_ms: u64,
    /// Of the start in which it was made; after another it has fallen.
    pub boot: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The oldest first; the last that is not pending is the one that counts.
    pub revisions: Vec<Revision>,
    pub pending: Option<Pending>,
}

/// The clock of this start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Now {
    pub since_boot_ms: u64,
    pub boot: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    Revision {
        number: u64,
        text: String,
    },
    State(State),
    /// What the rooms read becomes this revision.
    Active(u64),
    Forget(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// One at a time: confirm it or roll it back.
    Pending,
    NothingPending,
    /// Exactly what is active.
    Same,
    NoRevision,
    /// Not between the two limits.
    Time,
}

impl State {
    /// What the rooms read, if all is in its place.
    pub fn active(&self) -> Option<u64> {
        self.revisions.last().map(|revision| revision.number)
    }

    /// To what a commit that is not confirmed falls back.
    pub fn confirmed(&self) -> Option<u64> {
        let pending = self.pending.as_ref().map(|pending| pending.number);
        self.revisions.iter().rev().map(|revision| revision.number).find(|number| Some(*number) != pending)
    }

    /// The text as the next revision. Without a revision before it there is nothing to fall back to, so the
    /// first needs no confirmation and gets none.
    pub fn commit(
        &self,
        text: &str,
        active_text: Option<&str>,
        (at_ms, by): (i64, &str),
        confirm_ms: Option<u64>,
        now: &Now,
    ) -> Result<Vec<Write>, Refusal> {
        if self.pending.is_some() {
            return Err(Refusal::Pending);
        }
        if active_text == Some(text) {
            return Err(Refusal::Same);
        }
        if confirm_ms.is_some_and(|ms| !(CONFIRM_MIN_MS..=CONFIRM_MAX_MS).contains(&ms)) {
            return Err(Refusal::Time);
        }
        let number = self.active().unwrap_or(0) + 1;
        let mut next = self.clone();
        next.revisions.push(Revision { number, at_ms, by: by.to_owned() });
        next.pending = confirm_ms.filter(|_| self.active().is_some()).map(|ms| Pending {
            number,
            until_ms: now.since_boot_ms.saturating_add(ms),
            boot: now.boot.clone(),
        });
        let forgotten = next.forget();
        let mut writes = vec![
            Write::Revision { number, text: text.to_owned() },
            Write::State(next),
            Write::Active(number),
        ];
        writes.extend(forgotten);
        Ok(writes)
    }

    pub fn confirm(&self) -> Result<Vec<Write>, Refusal> {
        if self.pending.is_none() {
            return Err(Refusal::NothingPending);
        }
        Ok(vec![Write::State(State { pending: None, ..self.clone() })])
    }

    /// Gives up the pending one at once.
    pub fn abandon(&self) -> Result<Vec<Write>, Refusal> {
        let Some(pending) = &self.pending else { return Err(Refusal::NothingPending) };
        Ok(self.fallen(pending.number))
    }

    /// What must be written now: at every start, and when the time is up.
    pub fn settle(&self, now: &Now, active_is_right: bool) -> Vec<Write> {
        if let Some(pending) = self.pending.as_ref().filter(|pending| pending.is_over(now)) {
            return self.fallen(pending.number);
        }
        match self.active() {
            Some(number) if !active_is_right => vec![Write::Active(number)],
            _ => Vec::new(),
        }
    }

    /// The revision that was the `back`th before the active one; 0 is itself.
    pub fn before(&self, back: usize) -> Result<u64, Refusal> {
        let at = self.revisions.len().checked_sub(back + 1).ok_or(Refusal::NoRevision)?;
        Ok(self.revisions[at].number)
    }

    fn fallen(&self, number: u64) -> Vec<Write> {
        let mut next = State { pending: None, ..self.clone() };
        next.revisions.retain(|revision| revision.number != number);
        let active = next.active();
        // First the decision, then what follows from it.
        let mut writes = vec![Write::State(next)];
        writes.extend(active.map(Write::Active));
        writes.push(Write::Forget(number));
        writes
    }

    fn forget(&mut self) -> Vec<Write> {
        let many = self.revisions.len().saturating_sub(KEPT_MAX);
        self.revisions.drain(..many).map(|revision| Write::Forget(revision.number)).collect()
    }
}

impl Pending {
    pub fn is_over(&self, now: &Now) -> bool {
        self.boot != now.boot || now.since_boot_ms >= self.until_ms
    }
}

#[cfg(test)]
mod tests;
