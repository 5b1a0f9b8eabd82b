//! 追加の証明書の申請 (G-07): every further PC has its own place and certificate. Within the quota the admin adds it on the
//! spot; above it the facility asks for so many more, with a reason, and the secretariat decides. Pure.

use crate::messages_people::{PeopleMessage, Refusal};

/// As many as a facility's whole quota is to begin with; who needs more asks again.
pub const WANTED_MAX: u32 = 20;
/// Longest reason that is kept.
const REASON_MAX: usize = 200;

/// What is asked for, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asking {
    pub wanted: u32,
    pub reason: String,
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    Approved,
    Declined,
}

impl Standing {
    pub const ALL: [Standing; 3] = [Standing::Waiting, Standing::Approved, Standing::Declined];

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Waiting => "waiting",
            Standing::Approved => "approved",
            Standing::Declined => "declined",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.as_str() == text)
    }

    /// What somebody at the secretariat may make of a request; decided is decided.
    pub fn decide(self, approved: bool) -> Result<Standing, PeopleMessage> {
        match (self, approved) {
            (Standing::Waiting, true) => Ok(Standing::Approved),
            (Standing::Waiting, false) => Ok(Standing::Declined),
            (Standing::Approved | Standing::Declined, _) => Err(PeopleMessage::MoreDecided),
        }
    }
}

/// As typed. `room`: devices that can be added without anybody's word; whoever has it needs no request.
pub fn ask(wanted: &str, reason: &str, room: u32) -> Result<Asking, Refusal> {
    let wanted: u32 = wanted.trim().parse().map_err(|_| Refusal::from(PeopleMessage::MoreForm))?;
    let reason: String = reason.trim().chars().filter(|c| !c.is_control()).collect();
    let fits = (1..=WANTED_MAX).contains(&wanted) && (1..=REASON_MAX).contains(&reason.chars().count());
    if !fits {
        return Err(PeopleMessage::MoreForm.into());
    }
    if room > 0 {
        return Err(PeopleMessage::MoreRoom.about(room.to_string()));
    }
    Ok(Asking { wanted, reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_07_a_request_has_a_number_and_a_reason_and_comes_above_the_quota() {
        assert_eq!(ask(" 2 ", " 訪問用 ", 0).unwrap(), Asking { wanted: 2, reason: "訪問用".into() });
        let long = "あ".repeat(REASON_MAX + 1);
        for (wanted, reason) in [
            ("0", "x"),
            ("21", "x"),
            ("-1", "x"),
            ("", "x"),
            ("two", "x"),
            ("2", ""),
            ("2", " \n"),
            ("2", &long),
        ] {
            assert_eq!(ask(wanted, reason, 0).unwrap_err().message, PeopleMessage::MoreForm, "{wanted}");
        }
        let room = ask("2", "x", 2).unwrap_err();
        assert_eq!((room.message, room.detail.as_str()), (PeopleMessage::MoreRoom, "2"));
    }

    #[test]
    fn what_is_decided_stays_decided() {
        assert_eq!(Standing::Waiting.decide(true), Ok(Standing::Approved));
        assert_eq!(Standing::Waiting.decide(false), Ok(Standing::Declined));
        for standing in [Standing::Approved, Standing::Declined] {
            assert_eq!(standing.decide(true), Err(PeopleMessage::MoreDecided));
            assert_eq!(standing.decide(false), Err(PeopleMessage::MoreDecided));
        }
        for standing in Standing::ALL {
            assert_eq!(Standing::parse(standing.as_str()), Some(standing));
        }
    }
}
