//! An incident (H-13): what happened, the steps with their guards, and the two clocks of the personal-information law
//! (個人情報保護法26条, 施行規則8条): 速報 within 3 to 5 days, 確報 within 30, or 60 when somebody acted unlawfully. Both
//! count every day from the one on which it was known; a 確報 that would be due while the offices are closed is due when
//! they open. Pure.

use jiff::ToSpan;
use jiff::civil::Date;

use crate::holidays;

/// 速報: 概ね3〜5日以内; the day of the knowledge is the first.
const PROMPT_DAYS: (i64, i64) = (3, 5);
/// 確報, and where an unlawful purpose is likely (unauthorised access).
const FINAL_DAYS: (i64, i64) = (30, 60);
/// Shown as near from here.
const NEAR_DAYS: i32 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncidentKind {
    Lost,
    Leak,
    Unauthorised,
    Failure,
}

/// What is done about it, in the order of the sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// 緊急停止, as often as needed (H-12).
    Stopped,
    Scope,
    Prompt,
    Notified,
    Final,
    Prevention,
    Closed,
}

/// What the clocks need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    pub known_on: Date,
    /// 不正の目的のおそれ: the 確報 has 60 days.
    pub unlawful: bool,
    /// The law asks for a report.
    pub reportable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Better by this day …
    pub prompt_from: Date,
    /// … and not after this one.
    pub prompt_by: Date,
    pub final_by: Date,
}

/// Where one clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    Met,
    Runs(i32),
    Near(i32),
    Late(i32),
}

/// Why a step cannot be noted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    Done,
    Before(Step),
}

impl IncidentKind {
    pub const ALL: [IncidentKind; 4] =
        [IncidentKind::Leak, IncidentKind::Unauthorised, IncidentKind::Lost, IncidentKind::Failure];

    pub fn parse(word: &str) -> Option<Self> {
        IncidentKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            IncidentKind::Lost => "lost",
            IncidentKind::Leak => "leak",
            IncidentKind::Unauthorised => "unauthorised",
            IncidentKind::Failure => "failure",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            IncidentKind::Lost => "端末・書類の紛失や盗難",
            IncidentKind::Leak => "漏えい・誤送信",
            IncidentKind::Unauthorised => "不正アクセス・IDの悪用",
            IncidentKind::Failure => "システムの障害",
        }
    }
}

impl Step {
    pub const ALL: [Step; 7] = [
        Step::Stopped,
        Step::Scope,
        Step::Prompt,
        Step::Notified,
        Step::Final,
        Step::Prevention,
        Step::Closed,
    ];

    pub fn parse(word: &str) -> Option<Self> {
        Step::ALL.into_iter().find(|step| step.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Step::Stopped => "stopped",
            Step::Scope => "scope",
            Step::Prompt => "prompt",
            Step::Notified => "notified",
            Step::Final => "final",
            Step::Prevention => "prevention",
            Step::Closed => "closed",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            Step::Stopped => "緊急停止",
            Step::Scope => "影響の範囲を確かめた",
            Step::Prompt => "速報（個人情報保護委員会など）",
            Step::Notified => "本人への通知",
            Step::Final => "確報（個人情報保護委員会など）",
            Step::Prevention => "再発防止策を決めた",
            Step::Closed => "終了",
        }
    }

    /// Only where the law asks for a report.
    pub fn of_the_law(self) -> bool {
        matches!(self, Step::Prompt | Step::Notified | Step::Final)
    }
}

impl Facts {
    pub fn clocks(self) -> Clocks {
        // The first day counts, so the third is two days later.
        let nth = |days: i64| self.known_on.saturating_add((days - 1).days());
        let days = if self.unlawful { FINAL_DAYS.1 } else { FINAL_DAYS.0 };
        Clocks {
            prompt_from: nth(PROMPT_DAYS.0),
            prompt_by: nth(PROMPT_DAYS.1),
            final_by: holidays::open_from(nth(days)),
        }
    }

    /// May this step be noted, after `done`?
    pub fn may(self, step: Step, done: &[Step]) -> Result<(), Held> {
        if done.contains(&Step::Closed) || (step != Step::Stopped && done.contains(&step)) {
            return Err(Held::Done);
        }
        let needs = |before: Step| if done.contains(&before) { Ok(()) } else { Err(Held::Before(before)) };
        match step {
            Step::Final => needs(Step::Prompt),
            Step::Closed => {
                needs(Step::Scope)?;
                if self.reportable {
                    for law in [Step::Prompt, Step::Notified, Step::Final] {
                        needs(law)?;
                    }
                }
                needs(Step::Prevention)
            }
            Step::Stopped | Step::Scope | Step::Prompt | Step::Notified | Step::Prevention => Ok(()),
        }
    }
}

impl Clock {
    pub fn of(by: Date, met: bool, today: Date) -> Self {
        if met {
            return Clock::Met;
        }
        let left = today.until(by).map_or(0, |span| span.get_days());
        match left {
            ..0 => Clock::Late(-left),
            0..=NEAR_DAYS => Clock::Near(left),
            _ => Clock::Runs(left),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Clock::Met => "met",
            Clock::Runs(_) => "runs",
            Clock::Near(_) => "near",
            Clock::Late(_) => "late",
        }
    }

    pub fn words_ja(self) -> String {
        match self {
            Clock::Met => "済み".to_owned(),
            Clock::Near(0) => "今日まで".to_owned(),
            Clock::Runs(days) | Clock::Near(days) => format!("あと{days}日"),
            Clock::Late(days) => format!("{days}日過ぎています"),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn facts(known_on: Date, unlawful: bool) -> Facts {
        Facts { known_on, unlawful, reportable: true }
    }

    /// H-13: 3 to 5 days, 30 or 60; never due while the offices are closed.
    #[test]
    fn h_13_the_two_clocks() {
        let clocks = facts(date(2026, 11, 2), false).clocks();
        assert_eq!((clocks.prompt_from, clocks.prompt_by), (date(2026, 11, 4), date(2026, 11, 6)));
        assert_eq!(clocks.final_by, date(2026, 12, 1));
        assert_eq!(
            facts(date(2026, 11, 2), true).clocks().final_by,
            date(2027, 1, 4),
            "31 December is closed"
        );
        // The 30th day is a Sunday of September, then three holidays.
        assert_eq!(facts(date(2026, 8, 22), false).clocks().final_by, date(2026, 9, 24));
    }

    #[test]
    fn h_13_a_clock_is_near_then_late_then_met() {
        let by = date(2026, 12, 1);
        assert_eq!(Clock::of(by, false, date(2026, 11, 1)), Clock::Runs(30));
        assert_eq!(Clock::of(by, false, by), Clock::Near(0));
        assert_eq!(Clock::of(by, false, date(2026, 12, 3)), Clock::Late(2));
        assert_eq!(Clock::of(by, true, date(2027, 1, 1)), Clock::Met);
    }

    /// Nothing is closed before the law is satisfied; a stop is possible at any time but after the end.
    #[test]
    fn h_13_no_incident_ends_before_its_reports() {
        let it = facts(date(2026, 11, 2), false);
        assert_eq!(it.may(Step::Final, &[]), Err(Held::Before(Step::Prompt)));
        let most = [Step::Scope, Step::Prompt, Step::Notified, Step::Prevention];
        assert_eq!(it.may(Step::Closed, &most), Err(Held::Before(Step::Final)));
        let all = [Step::Scope, Step::Prompt, Step::Notified, Step::Final, Step::Prevention];
        assert_eq!(it.may(Step::Closed, &all), Ok(()));
        let small = Facts { reportable: false, ..it };
        assert_eq!(small.may(Step::Closed, &[Step::Scope, Step::Prevention]), Ok(()));
        assert_eq!(it.may(Step::Stopped, &[Step::Stopped]), Ok(()));
        assert_eq!(it.may(Step::Stopped, &[Step::Closed]), Err(Held::Done));
        assert_eq!(it.may(Step::Prompt, &[Step::Prompt]), Err(Held::Done));
        assert_eq!(Step::ALL.map(|step| Step::parse(step.as_str())), Step::ALL.map(Some));
    }
}
