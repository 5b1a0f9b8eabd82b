//! 年次更新: what an admin ticks once a year (在籍・異動・退職, devices, 研修, 台帳), what still lacks before it may be
//! sent, and which facility is silent so long that somebody should call (G-08, H-14, H-19). Pure.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::Date;
use pki::identity::MembershipId;

use crate::standing::Turn;

/// Nobody has opened the screen for this long: a call.
const SILENT_DAYS: i64 = 14;
/// After a call, this long until the next.
const CALLED_DAYS: i64 = 7;

/// One of the association's rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    pub year: i16,
    pub opens_on: Date,
    pub due_on: Date,
}

/// What becomes of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stay {
    Stays,
    Moved,
    Left,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PersonTick {
    pub stay: Option<Stay>,
    pub trained: bool,
}

/// Everything on the screen; half of it may lack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ticks {
    pub people: BTreeMap<MembershipId, PersonTick>,
    /// By device: was it returned?
    pub devices: BTreeMap<String, bool>,
    /// ISO date.
    pub trained_on: Option<String>,
    pub ledger: bool,
}

/// What lacks before it can be sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gaps {
    pub people: usize,
    pub devices: usize,
    /// Somebody was trained, but on which day?
    pub day: bool,
    pub ledger: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Untouched,
    Begun,
    Done,
}

impl Stay {
    pub const ALL: [Stay; 3] = [Stay::Stays, Stay::Moved, Stay::Left];

    pub fn parse(word: &str) -> Option<Self> {
        Stay::ALL.into_iter().find(|stay| stay.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Stay::Stays => "stays",
            Stay::Moved => "moved",
            Stay::Left => "left",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            Stay::Stays => "在籍",
            Stay::Moved => "異動",
            Stay::Left => "退職",
        }
    }

    /// What it does to the membership.
    pub fn turn(self) -> Option<Turn> {
        match self {
            Stay::Stays => None,
            Stay::Moved => Some(Turn::End),
            Stay::Left => Some(Turn::Leave),
        }
    }
}

impl Stage {
    pub const ALL: [Stage; 3] = [Stage::Untouched, Stage::Begun, Stage::Done];

    pub fn of(saved: bool, done: bool) -> Self {
        match (saved, done) {
            (_, true) => Stage::Done,
            (true, false) => Stage::Begun,
            (false, false) => Stage::Untouched,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Untouched => "untouched",
            Stage::Begun => "begun",
            Stage::Done => "done",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            Stage::Untouched => "まだ",
            Stage::Begun => "途中",
            Stage::Done => "済み",
        }
    }
}

impl Round {
    pub fn is_open(&self, today: Date) -> bool {
        today >= self.opens_on
    }

    /// On the call list: untouched for two weeks, or not sent when it was due; not again in the week after a call.
    pub fn is_silent(&self, stage: Stage, today: Date, called: Option<Date>) -> bool {
        let from = match stage {
            Stage::Untouched => self.due_on.min(self.opens_on.saturating_add(SILENT_DAYS.days())),
            Stage::Begun => self.due_on,
            Stage::Done => return false,
        };
        today > from && called.is_none_or(|day| today > day.saturating_add(CALLED_DAYS.days()))
    }
}

impl Ticks {
    /// What lacks, given who and what there is now. Whoever has come since stays unticked until somebody looks.
    pub fn gaps(&self, people: &[MembershipId], devices: &[String]) -> Gaps {
        let ticked = |id: &MembershipId| self.people.get(id).is_some_and(|tick| tick.stay.is_some());
        Gaps {
            people: people.iter().filter(|id| !ticked(id)).count(),
            devices: devices.iter().filter(|device| !self.devices.contains_key(*device)).count(),
            day: self.trained_on.is_none() && self.people.values().any(|tick| tick.trained),
            ledger: !self.ledger,
        }
    }
}

impl Gaps {
    pub fn is_empty(self) -> bool {
        self == Gaps::default()
    }

    /// As a clerk would say it on the telephone.
    pub fn words_ja(self) -> String {
        let mut words = Vec::new();
        if self.people > 0 {
            words.push(format!("利用者{}名の在籍・異動・退職", self.people));
        }
        if self.devices > 0 {
            words.push(format!("端末{}台の使用・返却", self.devices));
        }
        if self.day {
            words.push("研修の日".to_owned());
        }
        if self.ledger {
            words.push("管理台帳の確認".to_owned());
        }
        words.join("、")
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn membership(n: u8) -> MembershipId {
        MembershipId::from_random([n; 10])
    }

    const ROUND: Round = Round { year: 2027, opens_on: date(2027, 3, 1), due_on: date(2027, 3, 31) };

    /// G-08: everything is ticked before anything is done.
    #[test]
    fn g_08_half_a_screen_lacks_its_other_half() {
        let (people, devices) = ([membership(1), membership(2)], ["d-1".to_owned()]);
        let mut ticks = Ticks::default();
        let all = ticks.gaps(&people, &devices);
        assert_eq!(all, Gaps { people: 2, devices: 1, day: false, ledger: true });
        assert!(all.words_ja().contains("利用者2名") && all.words_ja().contains("管理台帳"));
        ticks.people.insert(membership(1), PersonTick { stay: Some(Stay::Stays), trained: true });
        ticks.people.insert(membership(2), PersonTick { stay: Some(Stay::Left), trained: false });
        // Somebody who is no longer there is no gap.
        ticks.people.insert(membership(9), PersonTick::default());
        ticks.devices.insert("d-1".into(), true);
        ticks.ledger = true;
        assert_eq!(ticks.gaps(&people, &devices), Gaps { day: true, ..Gaps::default() });
        ticks.trained_on = Some("2027-03-02".into());
        assert!(ticks.gaps(&people, &devices).is_empty());
    }

    /// Who is called: nobody before two weeks, nobody who has sent it, nobody twice in a week.
    #[test]
    fn a_silent_facility_is_called_once_a_week() {
        let silent = |stage, today, called| ROUND.is_silent(stage, today, called);
        assert!(!silent(Stage::Untouched, date(2027, 3, 15), None));
        assert!(silent(Stage::Untouched, date(2027, 3, 16), None));
        assert!(
            !silent(Stage::Begun, date(2027, 3, 31), None) && silent(Stage::Begun, date(2027, 4, 1), None)
        );
        assert!(!silent(Stage::Done, date(2028, 1, 1), None));
        assert!(!silent(Stage::Untouched, date(2027, 3, 23), Some(date(2027, 3, 16))));
        assert!(silent(Stage::Untouched, date(2027, 3, 24), Some(date(2027, 3, 16))));
        assert!(!ROUND.is_open(date(2027, 2, 28)) && ROUND.is_open(date(2027, 3, 1)));
    }

    #[test]
    fn h_14_only_who_goes_is_ended() {
        assert_eq!(Stay::ALL.map(Stay::turn), [None, Some(Turn::End), Some(Turn::Leave)]);
        assert_eq!(Stay::ALL.map(|stay| Stay::parse(stay.as_str())), Stay::ALL.map(Some));
        let stages = [(false, false), (true, false), (true, true)];
        assert_eq!(stages.map(|(saved, done)| Stage::of(saved, done)), Stage::ALL);
    }
}
