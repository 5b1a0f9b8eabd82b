//! The flow C-12, start of a facility, as a state machine: `(state, event) -> (state, steps)`.
//! A step done by the system is refused while an earlier one is open. Pure.
//!
//! ```text
//! received --Accept--> accepted --BundleSent--> sent --Claimed--> claimed --UsersRegistered--> done
//!     \--Return--> returned
//! ```

use crate::messages::Message;

/// The name of this flow in the registry.
pub const FLOW: &str = "C-12";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseState {
    /// 様式1 has come in.
    Received,
    /// The facility, its admin and its slots exist; the bundle waits in the outbox.
    Accepted,
    /// 仮登録完了通知 and bundle have left.
    Sent,
    /// 本登録 is done.
    Claimed,
    /// The admin has registered users; use begins.
    Done,
    /// 書類不備: back to the applicant (E-12a).
    Returned,
}

impl CaseState {
    pub const ALL: [CaseState; 6] = [
        CaseState::Received,
        CaseState::Accepted,
        CaseState::Sent,
        CaseState::Claimed,
        CaseState::Done,
        CaseState::Returned,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            CaseState::Received => "received",
            CaseState::Accepted => "accepted",
            CaseState::Sent => "sent",
            CaseState::Claimed => "claimed",
            CaseState::Done => "done",
            CaseState::Returned => "returned",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        CaseState::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseEvent {
    Accept,
    Return,
    BundleSent,
    Claimed,
    UsersRegistered,
}

/// A line of the checklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Receive,
    Accept,
    Register,
    SendBundle,
    Claim,
    RegisterUsers,
}

impl Step {
    /// In the order of the flow.
    pub const ALL: [Step; 6] =
        [Step::Receive, Step::Accept, Step::Register, Step::SendBundle, Step::Claim, Step::RegisterUsers];

    pub fn id(self) -> &'static str {
        match self {
            Step::Receive => "C-1.2",
            Step::Accept => "C-1.3",
            Step::Register => "C-1.5",
            Step::SendBundle => "C-12.1",
            Step::Claim => "C-12.2",
            Step::RegisterUsers => "C-12.3",
        }
    }

    pub fn name_ja(self) -> &'static str {
        match self {
            Step::Receive => "申込書の受付",
            Step::Accept => "申込の受理",
            Step::Register => "事業所と施設内管理者の登録",
            Step::SendBundle => "仮登録完了通知・接続設定一式の送付",
            Step::Claim => "本登録・証明書の取得",
            Step::RegisterUsers => "利用者の登録・利用開始",
        }
    }
}

/// Where an event leads and which steps it closes. An event that has happened already closes nothing:
/// the outbox may deliver twice and a claim may be repeated.
pub fn next(state: CaseState, event: CaseEvent) -> Result<(CaseState, &'static [Step]), Message> {
    use CaseEvent as Event;
    use CaseState as State;
    let too_early =
        |step: Step, missing: Step| Err(Message::StepTooEarly { step: step.id(), missing: missing.id() });
    match (event, state) {
        (Event::Accept, State::Received) => Ok((State::Accepted, &[Step::Accept, Step::Register])),
        (Event::Return, State::Received) => Ok((State::Returned, &[])),
        (Event::BundleSent, State::Accepted) => Ok((State::Sent, &[Step::SendBundle])),
        // Who claims has the bundle in hand, even if the outbox has not noted it yet.
        (Event::Claimed, State::Accepted) => Ok((State::Claimed, &[Step::SendBundle, Step::Claim])),
        (Event::Claimed, State::Sent) => Ok((State::Claimed, &[Step::Claim])),
        (Event::UsersRegistered, State::Claimed) => Ok((State::Done, &[Step::RegisterUsers])),

        (Event::Accept, _) | (Event::Return, State::Returned) => Ok((state, &[])),
        (Event::BundleSent, State::Sent | State::Claimed | State::Done) => Ok((state, &[])),
        (Event::Claimed, State::Claimed | State::Done) => Ok((state, &[])),
        (Event::UsersRegistered, State::Done) => Ok((state, &[])),

        (Event::Return, _) => too_early(Step::Receive, Step::RegisterUsers),
        (Event::BundleSent, State::Received | State::Returned) => too_early(Step::SendBundle, Step::Accept),
        (Event::Claimed, State::Received | State::Returned) => too_early(Step::Claim, Step::Accept),
        (Event::UsersRegistered, State::Accepted | State::Sent) => {
            too_early(Step::RegisterUsers, Step::Claim)
        }
        (Event::UsersRegistered, State::Received | State::Returned) => {
            too_early(Step::RegisterUsers, Step::Accept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_12_runs_in_order() {
        let mut state = CaseState::Received;
        let mut closed = vec![Step::Receive];
        for event in
            [CaseEvent::Accept, CaseEvent::BundleSent, CaseEvent::Claimed, CaseEvent::UsersRegistered]
        {
            let (next_state, steps) = next(state, event).unwrap();
            closed.extend_from_slice(steps);
            assert_eq!(
                next(next_state, event).unwrap(),
                (next_state, [].as_slice()),
                "twice changes nothing"
            );
            state = next_state;
        }
        assert_eq!((state, closed.as_slice()), (CaseState::Done, Step::ALL.as_slice()));
    }

    #[test]
    fn no_step_overtakes_a_mandatory_one() {
        for (state, event) in [
            (CaseState::Received, CaseEvent::BundleSent),
            (CaseState::Received, CaseEvent::Claimed),
            (CaseState::Accepted, CaseEvent::UsersRegistered),
            (CaseState::Sent, CaseEvent::UsersRegistered),
            (CaseState::Returned, CaseEvent::Claimed),
            (CaseState::Done, CaseEvent::Return),
        ] {
            assert_eq!(next(state, event).unwrap_err().code(), "MM-5303", "{state:?} {event:?}");
        }
    }

    #[test]
    fn states_read_back() {
        for state in CaseState::ALL {
            assert_eq!(CaseState::parse(state.as_str()), Some(state));
        }
    }
}
