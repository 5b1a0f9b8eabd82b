//! The bounce mailbox, emptied every few minutes: what is a report about a letter of ours is noted and deleted, in this
//! order, so that a crash between the two notes the same again and nothing is lost; everything else stays there, marked,
//! for a person. Whatever stands in such a mail moves nothing but what a clerk is shown. Edge: SQL, tokio, network.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use pki::identity::TraceId;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::bounce;
use crate::door::Operator;
use crate::door_bounce::{BounceFault, BounceRound};
use crate::fault::Fault;
use crate::imap::{self, ImapError, Session};
use crate::jst;
use crate::letters;
use crate::messages::Message;
use crate::messages_intake::IntakeMessage;
use crate::office_fault::OfficeFault;
use crate::post::BounceBox;
use crate::shared::Shared;
use crate::world;

/// A report is read by a person: minutes are soon.
const EVERY: Duration = Duration::from_secs(5 * 60);
/// Mails of one round; a flood is worked off round by round.
const ROUND_MAX: usize = 200;
/// A server that drips holds a round no longer; shorter than an operator's question may take.
const ROUND_PATIENCE: Duration = Duration::from_secs(4 * 60);
/// Rounds that failed one after another before somebody is woken: an hour.
const WARN_AFTER: u32 = 12;
/// As whom the room acts by itself.
const ACTOR: &str = "bounce-mailbox";

/// Until the room stops; without a mailbox it ends at once.
pub async fn run(shared: Arc<Shared>) {
    let Some(place) = shared.config.bounces.clone() else { return };
    loop {
        tokio::select! {
            // Dropped in the middle, it has noted what it has noted; the rest is there at the next start.
            round = round(&shared, &place, false) => tell(&round),
            () = shared.stopped() => return,
        }
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            () = shared.stopped() => return,
        }
    }
}

fn tell(round: &BounceRound) {
    if let Some(fault) = &round.fault {
        let level = if round.failed_in_a_row == WARN_AFTER { log::Level::Warn } else { log::Level::Info };
        log::log!(level, CODE = fault.code.as_str(); "the bounce mailbox: {}", fault.en);
    }
    if round.noted + round.set_aside > 0 {
        log::info!(NOTED = round.noted, ASIDE = round.set_aside; "bounces fetched");
    }
}

/// The operator's: a round now, or with `dry_run` only whether one could be.
pub async fn answer(shared: &Shared, dry_run: bool) -> Result<BounceRound, Fault> {
    let Some(place) = &shared.config.bounces else { return Err(IntakeMessage::BoxOff.into()) };
    Ok(round(shared, place, dry_run).await)
}

/// The last round that was no rehearsal, for the status.
pub fn last(shared: &Shared) -> Option<BounceRound> {
    shared.bounces.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

async fn round(shared: &Shared, place: &BounceBox, dry_run: bool) -> BounceRound {
    // One at a time: two would fetch what the other deletes.
    let _turn = shared.bounces.turn.lock().await;
    let mut round = BounceRound { dry_run, ..BounceRound::default() };
    let done = tokio::time::timeout(ROUND_PATIENCE, whole(shared, place, &mut round)).await;
    let fault = match done {
        Err(_) => Some(IntakeMessage::BoxAway { why: ImapError::Silent.to_string() }.into()),
        Ok(Err(fault)) => Some(fault),
        Ok(Ok(())) => None,
    };
    round.fault = fault.map(|fault: Fault| {
        let trouble = fault.told().trouble;
        let (code, ja, en) = (trouble.code, trouble.ja, trouble.en);
        BounceFault { code, ja, en, remedy_ja: trouble.remedy_ja, remedy_en: trouble.remedy_en }
    });
    round.at = jst::rfc3339(world::now_ms());
    if !dry_run {
        let mut last = shared.bounces.last.lock().unwrap_or_else(PoisonError::into_inner);
        let before = last.as_ref().map_or(0, |last| last.failed_in_a_row);
        round.failed_in_a_row = if round.fault.is_some() { before.saturating_add(1) } else { 0 };
        *last = Some(round.clone());
    }
    round
}

async fn whole(shared: &Shared, place: &BounceBox, round: &mut BounceRound) -> Result<(), Fault> {
    let mut session = imap::open(place).await?;
    let waiting = session.waiting(ROUND_MAX).await?;
    round.found = u32::try_from(waiting.len()).unwrap_or(u32::MAX);
    if round.dry_run {
        session.leave().await;
        return Ok(());
    }
    for uid in waiting {
        one(shared, &mut session, uid, round).await?;
    }
    session.end().await?;
    Ok(())
}

async fn one<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    session: &mut Session<S>,
    uid: u32,
    round: &mut BounceRound,
) -> Result<(), Fault> {
    let Some(mail) = session.fetch(uid).await? else { return Ok(()) };
    match noted(shared, &mail).await? {
        Noted::Done => {
            round.noted += 1;
            session.delete(uid).await?;
        }
        Noted::NotOurs => {
            round.set_aside += 1;
            session.set_aside(uid).await?;
        }
        Noted::Early => round.early += 1,
    }
    Ok(())
}

enum Noted {
    Done,
    NotOurs,
    /// The refusal was faster than the note that the letter has left.
    Early,
}

async fn noted(shared: &Shared, mail: &[u8]) -> Result<Noted, Fault> {
    let Ok(bounce) = bounce::read(&shared.config.zone, mail) else { return Ok(Noted::NotOurs) };
    let trace = TraceId::from_random(*world::random()?);
    let operator = Operator { name: ACTOR.to_owned(), trace };
    match letters::note_bounce(&shared.store, world::now_ms(), &operator, &bounce, false).await {
        Ok(row) if row.state == "waiting" => Ok(Noted::Early),
        Ok(_) => Ok(Noted::Done),
        Err(OfficeFault::Refused(Message::LetterUnknown { .. })) => Ok(Noted::NotOurs),
        Err(fault) => Err(fault.into()),
    }
}

impl From<ImapError> for Fault {
    fn from(error: ImapError) -> Self {
        let why = error.to_string();
        match error {
            ImapError::Io(error) if is_certificate(&error) => {
                IntakeMessage::BoxStranger { why: error.to_string() }.into()
            }
            ImapError::Io(_) | ImapError::Silent => IntakeMessage::BoxAway { why }.into(),
            ImapError::Refused(why) => IntakeMessage::BoxRefused { why }.into(),
            ImapError::Odd | ImapError::TooMuch => IntakeMessage::BoxOdd { why }.into(),
            ImapError::Config(why) => IntakeMessage::BoxAccount { why }.into(),
        }
    }
}

/// Did TLS refuse the server, and not the line?
fn is_certificate(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
