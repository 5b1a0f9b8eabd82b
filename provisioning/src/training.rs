//! 研修 and what is due: the briefing before first use (H-18), the security training once a year, for admins too (H-19),
//! the training on the system (M4-03). Days are Japan's. Pure.

use jiff::ToSpan;
use jiff::civil::Date;

/// A newcomer's first yearly training.
const FIRST_DAYS: i64 = 90;
/// Shown as coming up this long before.
const SOON_DAYS: i64 = 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingKind {
    /// 説明資料 or 説明会, once, before first use.
    Briefing,
    /// 個人情報・セキュリティ, every year.
    Security,
    /// How the system is used.
    System,
}

/// Where somebody stands with something that is due by a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Not before this day.
    Fine(Date),
    Soon(Date),
    Late(Date),
}

impl TrainingKind {
    pub const ALL: [TrainingKind; 3] = [TrainingKind::Security, TrainingKind::Briefing, TrainingKind::System];

    pub fn parse(word: &str) -> Option<Self> {
        TrainingKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            TrainingKind::Briefing => "briefing",
            TrainingKind::Security => "security",
            TrainingKind::System => "system",
        }
    }

    pub fn words_ja(self) -> &'static str {
        match self {
            TrainingKind::Briefing => "説明資料・説明会",
            TrainingKind::Security => "個人情報・セキュリティ研修",
            TrainingKind::System => "操作の研修",
        }
    }
}

impl Due {
    pub fn day(self) -> Date {
        match self {
            Due::Fine(day) | Due::Soon(day) | Due::Late(day) => day,
        }
    }

    /// The word in a filter and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Due::Fine(_) => "fine",
            Due::Soon(_) => "soon",
            Due::Late(_) => "late",
        }
    }
}

/// H-19: a year after the last one; a newcomer's first within three months of the registration.
pub fn yearly(last: Option<Date>, registered: Date, today: Date) -> Due {
    let day = match last {
        Some(last) => last.saturating_add(1.year()),
        None => registered.saturating_add(FIRST_DAYS.days()),
    };
    stand(day, today)
}

/// H-18: before first use, so since the registration.
pub fn briefing(attended: Option<Date>, registered: Date) -> Due {
    attended.map_or(Due::Late(registered), Due::Fine)
}

fn stand(day: Date, today: Date) -> Due {
    if day < today {
        Due::Late(day)
    } else if day <= today.saturating_add(SOON_DAYS.days()) {
        Due::Soon(day)
    } else {
        Due::Fine(day)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    /// H-19: a year to the day; the day itself is not late.
    #[test]
    fn h_19_once_a_year_and_a_newcomer_within_three_months() {
        let (last, today) = (Some(date(2026, 4, 1)), date(2027, 4, 1));
        assert_eq!(yearly(last, date(2020, 1, 1), today), Due::Soon(today));
        assert_eq!(yearly(last, date(2020, 1, 1), date(2027, 4, 2)), Due::Late(today));
        assert_eq!(yearly(last, date(2020, 1, 1), date(2027, 3, 1)), Due::Fine(today));
        assert_eq!(yearly(None, date(2026, 4, 1), date(2026, 4, 2)), Due::Fine(date(2026, 6, 30)));
        assert!(matches!(yearly(None, date(2026, 4, 1), date(2026, 7, 1)), Due::Late(_)));
        // The 29th of February has its anniversary.
        assert_eq!(
            yearly(Some(date(2028, 2, 29)), date(2020, 1, 1), date(2029, 1, 1)).day(),
            date(2029, 2, 28)
        );
    }

    #[test]
    fn h_18_the_briefing_comes_before_first_use() {
        let registered = date(2026, 4, 1);
        assert_eq!(briefing(None, registered), Due::Late(registered));
        assert_eq!(briefing(Some(registered), registered).as_str(), "fine");
        assert_eq!(
            TrainingKind::ALL.map(|kind| TrainingKind::parse(kind.as_str())),
            TrainingKind::ALL.map(Some)
        );
    }
}
