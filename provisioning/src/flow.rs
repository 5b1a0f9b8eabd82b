//! A case as a state machine: `(state, event, now) -> (state, effects)`. No step overtakes an earlier one that holds
//! it up; no case is accepted with a form missing or a question open; nothing is erased before its time; each closed
//! step keeps its operator and moment. Pure; the state is stored, hence border.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::flow_forms::{Form, Need, needs};
use crate::flow_question::Question;
use crate::flow_steps::{Does, Flow, Mail, Step};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// P-27: a family may change its mind.
pub const WITHDRAWAL_WAIT_MS: i64 = 7 * DAY_MS;
/// P-23: five years, with their leap days.
pub const RETENTION_MS: i64 = 1_827 * DAY_MS;
/// D-01: after this an unconfirmed mail is on the secretariat's desk.
pub const CONFIRM_REMIND_MS: i64 = 7 * DAY_MS;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    Received,
    /// 書類不備: kept, with a letter that says what is missing (E-12a).
    Incomplete,
    Accepted,
    Done,
    /// 取下げ.
    Withdrawn,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Received => "received",
            Phase::Incomplete => "incomplete",
            Phase::Accepted => "accepted",
            Phase::Done => "done",
            Phase::Withdrawn => "withdrawn",
        }
    }
}

/// How a confirmation came (D-01).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum How {
    /// By the button inside the tunnel.
    Tunnel,
    Telephone,
    Fax,
    Paper,
}

impl How {
    pub const ALL: [How; 4] = [How::Tunnel, How::Telephone, How::Fax, How::Paper];

    pub fn ja(self) -> &'static str {
        match self {
            How::Tunnel => "画面",
            How::Telephone => "電話",
            How::Fax => "FAX",
            How::Paper => "書面",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        How::ALL.into_iter().find(|how| how.ja() == text)
    }
}

/// Who called, from where, and by what they were recognised (P-16). No patient's name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    pub caller: String,
    pub number: String,
    pub at: String,
    pub recognised_by: String,
}

/// A closed step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    pub at: i64,
    pub operator: String,
    pub how: Option<How>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub flow: Flow,
    pub phase: Phase,
    pub forms: BTreeSet<Form>,
    pub answers: BTreeMap<Question, bool>,
    pub call: Option<Call>,
    /// By the step's id.
    pub closed: BTreeMap<String, Closed>,
    /// From when the patient's posts may be erased.
    pub erase_from: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    FormArrived(Form),
    Answered(Question, bool),
    Called(Call),
    /// 書類不備.
    Incomplete,
    /// 取下げ by whoever applied, before anything was done.
    Withdraw,
    /// Closes an open step that is not a confirmation.
    Step(String),
    Confirmed(String, How),
}

/// What the room must now do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    Do(Does),
    Send(Mail),
    /// The letter that says what is missing.
    TellMissing(Vec<String>),
    /// J-12: the family's SNS is no longer listed.
    DelistFamily,
    /// P-24.
    LeaveTeam {
        all: bool,
    },
    EraseFrom(i64),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{flow} has no step {step}")]
    NoStep { flow: &'static str, step: String },
    #[error("step {step} comes after {missing}, which is still open")]
    TooEarly { step: String, missing: String },
    #[error("missing before acceptance: {}", .missing.join(", "))]
    Missing { missing: Vec<String> },
    #[error("the case is over")]
    Over,
    #[error("something was done already")]
    Begun,
    #[error("not before {from_ms}")]
    NotYet { from_ms: i64 },
    #[error("step {step} is closed by a confirmation")]
    ByConfirmation { step: String },
    #[error("step {step} is no confirmation")]
    NoConfirmation { step: String },
}

/// A new case: what happened before it was opened is closed by whoever opens it.
pub fn open(flow: Flow, forms: BTreeSet<Form>, operator: &str, now: i64) -> State {
    let closed = flow
        .steps()
        .iter()
        .filter(|step| step.does == Does::Arrived)
        .map(|step| (step.id.to_owned(), Closed { at: now, operator: operator.to_owned(), how: None }));
    State {
        flow,
        phase: Phase::Received,
        forms,
        answers: BTreeMap::new(),
        call: None,
        closed: closed.collect(),
        erase_from: None,
    }
}

pub fn next(state: &State, event: &Event, operator: &str, now: i64) -> Result<(State, Vec<Effect>), Refused> {
    let mut new = state.clone();
    let is_over = matches!(state.phase, Phase::Done | Phase::Withdrawn);
    let waits = matches!(state.phase, Phase::Received | Phase::Incomplete);
    let effects = match event {
        Event::Step(id) | Event::Confirmed(id, _) if state.closed.contains_key(id) => {
            return Ok((new, Vec::new()));
        }
        _ if is_over => return Err(Refused::Over),
        Event::FormArrived(form) => {
            new.forms.insert(*form);
            Vec::new()
        }
        // What was accepted on an answer stays so.
        Event::Answered(..) | Event::Called(_) | Event::Incomplete | Event::Withdraw if !waits => {
            return Err(Refused::Begun);
        }
        Event::Answered(question, answer) => {
            new.answers.insert(*question, *answer);
            Vec::new()
        }
        Event::Called(call) => {
            new.call = Some(call.clone());
            Vec::new()
        }
        Event::Incomplete => {
            new.phase = Phase::Incomplete;
            vec![Effect::TellMissing(missing(state))]
        }
        Event::Withdraw => {
            new.phase = Phase::Withdrawn;
            Vec::new()
        }
        Event::Step(id) => close(&mut new, id, None, operator, now)?,
        Event::Confirmed(id, how) => close(&mut new, id, Some(*how), operator, now)?,
    };
    if open_steps(&new).next().is_none() {
        new.phase = Phase::Done;
    }
    Ok((new, effects))
}

/// What stands between a case and its acceptance, in words a letter can use.
pub fn missing(state: &State) -> Vec<String> {
    let mut missing = Vec::new();
    let mut ask = |question: Question| {
        let text = question.ja().to_owned();
        if !state.answers.contains_key(&question) && !missing.contains(&text) {
            missing.push(text);
        }
    };
    for need in needs(state.flow) {
        if let Need::When(_, question, _) = need {
            ask(*question);
        }
    }
    state.flow.asks().iter().for_each(|question| ask(*question));
    for need in needs(state.flow) {
        let form = match need {
            Need::Must(form) => *form,
            Need::When(form, question, wanted) if state.answers.get(question) == Some(wanted) => *form,
            Need::When(..) => continue,
        };
        if !state.forms.contains(&form) {
            missing.push(form.name_ja().to_owned());
        }
    }
    if state.flow.by_telephone() && state.call.is_none() {
        missing.push("電話の記録（かけてきた方、番号、時刻、本人確認）".to_owned());
    }
    missing
}

/// Steps that are of this case, by its answers.
pub fn steps(state: &State) -> impl Iterator<Item = &'static Step> {
    state.flow.steps().iter().filter(|step| match step.when {
        None => true,
        Some((question, wanted)) => state.answers.get(&question) == Some(&wanted),
    })
}

pub fn open_steps(state: &State) -> impl Iterator<Item = &'static Step> {
    steps(state).filter(|step| !state.closed.contains_key(step.id))
}

/// What may be done now.
pub fn ready(state: &State, now: i64) -> Vec<&'static Step> {
    open_steps(state).filter(|step| refused(state, step, now).is_none()).collect()
}

/// Why a step may not be closed now; `None` when it may.
pub fn refused(state: &State, step: &Step, now: i64) -> Option<Refused> {
    let event = match step.does {
        Does::Confirm => Event::Confirmed(step.id.to_owned(), How::Telephone),
        _ => Event::Step(step.id.to_owned()),
    };
    next(state, &event, "", now).err()
}

/// D-01: mails sent long ago that nobody has confirmed.
pub fn overdue(state: &State, now: i64) -> Vec<&'static Step> {
    let mut sent_at = None;
    let mut overdue = Vec::new();
    for step in steps(state) {
        match (step.does, state.closed.get(step.id)) {
            (Does::Send(_), closed) => sent_at = closed.map(|closed| closed.at),
            (Does::Confirm, None) if sent_at.is_some_and(|at| at + CONFIRM_REMIND_MS <= now) => {
                overdue.push(step)
            }
            _ => {}
        }
    }
    overdue
}

fn close(
    state: &mut State,
    id: &str,
    how: Option<How>,
    operator: &str,
    now: i64,
) -> Result<Vec<Effect>, Refused> {
    let no_step = || Refused::NoStep { flow: state.flow.id(), step: id.to_owned() };
    let step = steps(state).find(|step| step.id == id).ok_or_else(no_step)?;
    match (step.does, how) {
        (Does::Confirm, None) => return Err(Refused::ByConfirmation { step: id.to_owned() }),
        (Does::Confirm, Some(_)) | (_, None) => {}
        (_, Some(_)) => return Err(Refused::NoConfirmation { step: id.to_owned() }),
    }
    if let Some(before) = holding_up(state, step) {
        return Err(Refused::TooEarly { step: id.to_owned(), missing: before.id.to_owned() });
    }
    let effects = effects(state, step.does, now)?;
    let closed = Closed { at: now, operator: operator.to_owned(), how };
    state.closed.insert(id.to_owned(), closed.clone());
    if step.does == Does::LinkFamily {
        // P-11: drawn twice, done once.
        let twins: Vec<&Step> = steps(state).filter(|twin| twin.does == Does::LinkFamily).collect();
        for twin in twins {
            state.closed.entry(twin.id.to_owned()).or_insert_with(|| closed.clone());
        }
    }
    Ok(effects)
}

/// The first open step that this one must wait for: all earlier ones that hold up; and what people do one after
/// another waits for the one before it.
fn holding_up(state: &State, step: &Step) -> Option<&'static Step> {
    let earlier: Vec<&'static Step> = steps(state).take_while(|other| other.id != step.id).collect();
    let open = |other: &&&'static Step| !state.closed.contains_key(other.id);
    let held = earlier.iter().filter(|other| other.does.holds_up()).find(open).copied();
    let chained = earlier
        .last()
        .filter(|before| step.does == Does::Observe && before.does == Does::Observe)
        .filter(open)
        .copied();
    held.or(chained)
}

fn effects(state: &mut State, does: Does, now: i64) -> Result<Vec<Effect>, Refused> {
    Ok(match does {
        Does::Accept => {
            let missing = missing(state);
            if !missing.is_empty() {
                return Err(Refused::Missing { missing });
            }
            state.phase = Phase::Accepted;
            Vec::new()
        }
        Does::Recognise if state.call.is_none() => return Err(Refused::Missing { missing: missing(state) }),
        Does::RemoveFacility => {
            let all = state.flow == Flow::C4 || state.answers.get(&Question::AllTeams) == Some(&true);
            vec![Effect::LeaveTeam { all }]
        }
        Does::SuspendFamilyMember => {
            let mut effects = vec![Effect::Do(does)];
            if state.answers.get(&Question::FamilyStays) == Some(&false) {
                effects.push(Effect::DelistFamily);
            }
            effects
        }
        Does::StopLinks => {
            // P-27: links stop first; what was written goes after the waiting time, or at once.
            let immediately = state.answers.get(&Question::Immediately) == Some(&true);
            let from = if immediately { now } else { now + WITHDRAWAL_WAIT_MS };
            state.erase_from = Some(from);
            vec![Effect::Do(does), Effect::EraseFrom(from)]
        }
        Does::ReadOnly => {
            state.erase_from = Some(now + RETENTION_MS);
            vec![Effect::Do(does), Effect::EraseFrom(now + RETENTION_MS)]
        }
        Does::Erase => match state.erase_from {
            Some(from) if from <= now => vec![Effect::Do(does)],
            Some(from) => return Err(Refused::NotYet { from_ms: from }),
            None => return Err(Refused::NotYet { from_ms: i64::MAX }),
        },
        Does::Send(mail) => vec![Effect::Send(mail)],
        Does::Arrived | Does::Recognise | Does::Confirm | Does::Observe => Vec::new(),
        Does::RegisterPatient
        | Does::RegisterFacility
        | Does::RegisterFamily
        | Does::Link
        | Does::LinkFamily
        | Does::AddPatientSelf
        | Does::CutUsers
        | Does::ChangeFacility => vec![Effect::Do(does)],
    })
}

#[cfg(test)]
mod tests;
