//! Ruling 5 as a state machine: what a sheet's number and password may still do.
//! Owns `Enrolment`; `step` is pure, `claim_work.rs` stores what it returns in one transaction.
//!
//! ```text
//!            right entry          claim             first handshake of the final key
//!   open ──────────────▶ open ───────────▶ claimed ────────────────────────────────▶ done
//!    │  (24 h from here)   ▲   not issued │   │ ▲ claim again: at most 3, each within 10 minutes
//!    │                     └──────────────┘   └─┘
//!    │ 15 wrong entries             │ bootstrap seen at another address, revocation
//!    ▼                              ▼
//!  locked                          void
//! ```
//! Five wrong entries in a row pause it for 15 minutes. A lock ends entries, not a claim already made.
//! The secretariat may give an open sheet more time (延長), and anything that is not done another bundle with
//! another key (再発行): the sheet begins anew, with the number and password that it has.

use std::net::SocketAddr;

use crate::messages_people::{PeopleMessage, Refusal};

/// Wrong entries that pause the sheet (ruling 5).
pub const FAILURES_TO_PAUSE: u32 = 5;
/// Wrong entries that lock it (ruling 5).
pub const FAILURES_TO_LOCK: u32 = 15;
/// How long a pause lasts.
pub const PAUSE_MS: i64 = 15 * 60 * 1000;
/// From the first correct entry to the last possible one.
pub const WINDOW_MS: i64 = 24 * 60 * 60 * 1000;
/// Claims per sheet.
pub const CLAIMS_MAX: u32 = 3;
/// From one claim to its repetition.
pub const REPEAT_MS: i64 = 10 * 60 * 1000;

const _: () = assert!(FAILURES_TO_LOCK.is_multiple_of(FAILURES_TO_PAUSE) && REPEAT_MS < WINDOW_MS);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EnrolmentState {
    Open,
    Claimed,
    Done,
    Void,
    Locked,
}

impl EnrolmentState {
    pub const ALL: [EnrolmentState; 5] = [
        EnrolmentState::Open,
        EnrolmentState::Claimed,
        EnrolmentState::Done,
        EnrolmentState::Void,
        EnrolmentState::Locked,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            EnrolmentState::Open => "open",
            EnrolmentState::Claimed => "claimed",
            EnrolmentState::Done => "done",
            EnrolmentState::Void => "void",
            EnrolmentState::Locked => "locked",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// What the registry remembers of a sheet. Times are Unix milliseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    pub state: EnrolmentState,
    pub failures: u32,
    pub paused_until: i64,
    pub valid_until: i64,
    pub opened_at: Option<i64>,
    pub claims: u32,
    pub claimed_at: Option<i64>,
    /// Where the bootstrap tunnel came from at the claim.
    pub bootstrap_from: Option<SocketAddr>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Number and password were typed; `right` only when both are this sheet's.
    Entry { right: bool },
    /// Behind a right entry: the device asks for its final seat and certificate.
    Claim { bootstrap_from: Option<SocketAddr> },
    /// The authority refused the device's request: this claim was none.
    NotIssued,
    /// The final key's tunnel stands.
    FirstHandshake,
    /// The bootstrap tunnel was seen at an address.
    BootstrapSeen { at: SocketAddr },
    /// The slot was revoked.
    Revoked,
    /// 延長: 30 more days, and 24 hours anew from the next right entry.
    Extended { valid_until: i64 },
    /// 再発行: the bundle has another key; what was tried and claimed with the old one is forgotten.
    Reissued { valid_until: i64 },
}

/// What must happen with the new state, in its transaction or after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Answer with this, after the failure is stored.
    Refuse(Refusal),
    /// Make the seat and the certificate; the predecessor's are void from then on.
    Issue,
    /// The bootstrap seat goes, the slot and the device become active.
    KillBootstrap,
    /// Certificate revoked, final seat emptied.
    VoidClaim,
    /// Two hands on one bootstrap key: somebody must look.
    Alarm { first: SocketAddr, second: SocketAddr },
}

/// One event. `Err`: refused, and nothing changed.
pub fn step(enrolment: Enrolment, event: &Event, now: i64) -> Result<(Enrolment, Vec<Effect>), Refusal> {
    match event {
        Event::Entry { right } => entry(enrolment, *right, now),
        Event::Claim { bootstrap_from } => claim(enrolment, *bootstrap_from, now),
        Event::NotIssued => Ok((not_issued(enrolment), vec![])),
        Event::FirstHandshake => Ok(first_handshake(enrolment)),
        Event::BootstrapSeen { at } => Ok(bootstrap_seen(enrolment, *at)),
        Event::Revoked => Ok((revoked(enrolment), vec![])),
        Event::Extended { valid_until } => Ok((extended(enrolment, *valid_until)?, vec![])),
        Event::Reissued { valid_until } => reissued(enrolment, *valid_until),
    }
}

impl Enrolment {
    /// A claim was made whose final key has not been heard of yet.
    pub fn awaits_handshake(&self) -> bool {
        matches!(self.state, EnrolmentState::Claimed | EnrolmentState::Locked) && self.claimed_at.is_some()
    }

    pub fn claims_left(&self) -> u32 {
        CLAIMS_MAX.saturating_sub(self.claims)
    }

    fn pause(&self, now: i64) -> Option<Refusal> {
        let left = self.paused_until.saturating_sub(now);
        let seconds = u32::try_from((left + 999) / 1000).unwrap_or(u32::MAX);
        (left > 0).then(|| Refusal::paused(PeopleMessage::ClaimPaused, seconds))
    }

    /// Neither the 30 days nor the 24 hours have passed.
    pub fn in_time(&self, now: i64) -> bool {
        now < self.valid_until && self.window_until().is_none_or(|until| now < until)
    }

    /// 24 hours after the first right entry.
    pub fn window_until(&self) -> Option<i64> {
        self.opened_at.map(|at| at.saturating_add(WINDOW_MS))
    }

    /// Why a right entry is of no use any more.
    fn over(&self, now: i64) -> Option<PeopleMessage> {
        let past =
            |since: Option<i64>, length: i64| since.is_some_and(|since| now >= since.saturating_add(length));
        match self.state {
            EnrolmentState::Done => Some(PeopleMessage::ClaimDone),
            EnrolmentState::Void => Some(PeopleMessage::ClaimVoid),
            EnrolmentState::Locked => Some(PeopleMessage::ClaimLocked),
            EnrolmentState::Open | EnrolmentState::Claimed => {
                if self.state == EnrolmentState::Claimed && past(self.claimed_at, REPEAT_MS) {
                    Some(PeopleMessage::ClaimRepeatOver)
                } else if now >= self.valid_until {
                    Some(PeopleMessage::ClaimExpired)
                } else if past(self.opened_at, WINDOW_MS) {
                    Some(PeopleMessage::ClaimWindowOver)
                } else {
                    None
                }
            }
        }
    }
}

fn entry(mut enrolment: Enrolment, right: bool, now: i64) -> Result<(Enrolment, Vec<Effect>), Refusal> {
    if enrolment.state == EnrolmentState::Locked {
        return Err(PeopleMessage::ClaimLocked.into());
    }
    // Paused is paused for the right password too: guesses sent at once gain nothing.
    if let Some(paused) = enrolment.pause(now) {
        return Err(paused);
    }
    if !right {
        return Ok(wrong_entry(enrolment, now));
    }
    if let Some(message) = enrolment.over(now) {
        return Err(message.into());
    }
    enrolment.failures = 0;
    enrolment.opened_at = enrolment.opened_at.or(Some(now));
    Ok((enrolment, vec![]))
}

fn wrong_entry(mut enrolment: Enrolment, now: i64) -> (Enrolment, Vec<Effect>) {
    enrolment.failures = enrolment.failures.saturating_add(1);
    let mut refusal = Refusal::from(PeopleMessage::ClaimWrong);
    if enrolment.failures.is_multiple_of(FAILURES_TO_PAUSE) {
        enrolment.paused_until = now.saturating_add(PAUSE_MS);
        refusal = enrolment.pause(now).unwrap_or(refusal);
    }
    // A sheet that is done or void has nothing left to lock.
    let living = matches!(enrolment.state, EnrolmentState::Open | EnrolmentState::Claimed);
    if living && enrolment.failures >= FAILURES_TO_LOCK {
        enrolment.state = EnrolmentState::Locked;
        refusal = PeopleMessage::ClaimLocked.into();
    }
    (enrolment, vec![Effect::Refuse(refusal)])
}

fn claim(
    mut enrolment: Enrolment,
    bootstrap_from: Option<SocketAddr>,
    now: i64,
) -> Result<(Enrolment, Vec<Effect>), Refusal> {
    if let Some(refusal) = enrolment.pause(now) {
        return Err(refusal);
    }
    if let Some(message) = enrolment.over(now) {
        return Err(message.into());
    }
    // An entry may come again after the third claim, to hear a lost answer; another claim may not.
    if enrolment.claims >= CLAIMS_MAX {
        return Err(PeopleMessage::ClaimsUsed.into());
    }
    // Only a right entry opens the sheet; without one there is nothing to claim.
    if enrolment.opened_at.is_none() {
        return Err(PeopleMessage::ClaimWrong.into());
    }
    enrolment.state = EnrolmentState::Claimed;
    enrolment.claims += 1;
    enrolment.claimed_at = Some(now);
    enrolment.bootstrap_from = bootstrap_from.or(enrolment.bootstrap_from);
    Ok((enrolment, vec![Effect::Issue]))
}

fn not_issued(mut enrolment: Enrolment) -> Enrolment {
    enrolment.claims = enrolment.claims.saturating_sub(1);
    if enrolment.claims == 0 {
        enrolment.claimed_at = None;
        if enrolment.state == EnrolmentState::Claimed {
            enrolment.state = EnrolmentState::Open;
        }
    }
    enrolment
}

fn first_handshake(mut enrolment: Enrolment) -> (Enrolment, Vec<Effect>) {
    if !enrolment.awaits_handshake() {
        return (enrolment, vec![]);
    }
    enrolment.state = EnrolmentState::Done;
    (enrolment, vec![Effect::KillBootstrap])
}

fn bootstrap_seen(mut enrolment: Enrolment, at: SocketAddr) -> (Enrolment, Vec<Effect>) {
    let Some(first) = enrolment.bootstrap_from else {
        if enrolment.awaits_handshake() {
            enrolment.bootstrap_from = Some(at);
        }
        return (enrolment, vec![]);
    };
    // Another port of the same address is the same device after its tunnel, or a NAT, was restarted.
    if !enrolment.awaits_handshake() || first.ip().to_canonical() == at.ip().to_canonical() {
        return (enrolment, vec![]);
    }
    enrolment.state = EnrolmentState::Void;
    (enrolment, vec![Effect::VoidClaim, Effect::Alarm { first, second: at }])
}

fn revoked(mut enrolment: Enrolment) -> Enrolment {
    if enrolment.state != EnrolmentState::Done {
        enrolment.state = EnrolmentState::Void;
    }
    enrolment
}

/// 解錠: the pause is over and its entries forgotten; `None` when nothing pauses. A lock needs another bundle.
pub fn unpaused(mut enrolment: Enrolment, now: i64) -> Option<Enrolment> {
    let living = matches!(enrolment.state, EnrolmentState::Open | EnrolmentState::Claimed);
    if !living || enrolment.paused_until <= now {
        return None;
    }
    enrolment.paused_until = 0;
    // The fifteen that lock stay counted: an unlocked sheet is no new sheet of guesses.
    Some(enrolment)
}

/// Wrong entries stay counted: more time is no more guesses.
fn extended(mut enrolment: Enrolment, valid_until: i64) -> Result<Enrolment, Refusal> {
    match enrolment.state {
        EnrolmentState::Open => {
            enrolment.valid_until = enrolment.valid_until.max(valid_until);
            enrolment.opened_at = None;
            Ok(enrolment)
        }
        EnrolmentState::Done => Err(PeopleMessage::RenewalDone.into()),
        // Time is not what is missing here.
        EnrolmentState::Claimed | EnrolmentState::Void | EnrolmentState::Locked => {
            Err(PeopleMessage::RenewalReissue.into())
        }
    }
}

/// Who guessed, guessed through a tunnel whose key is dead now.
fn reissued(enrolment: Enrolment, valid_until: i64) -> Result<(Enrolment, Vec<Effect>), Refusal> {
    if enrolment.state == EnrolmentState::Done {
        return Err(PeopleMessage::RenewalDone.into());
    }
    let anew = Enrolment {
        state: EnrolmentState::Open,
        failures: 0,
        paused_until: 0,
        valid_until,
        opened_at: None,
        claims: 0,
        claimed_at: None,
        bootstrap_from: None,
    };
    Ok((anew, vec![Effect::VoidClaim]))
}

#[cfg(test)]
mod tests;
