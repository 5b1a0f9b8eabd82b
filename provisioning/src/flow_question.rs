//! What a case asks before it is accepted: the answers decide which forms and which steps it has. Pure; stored with
//! its case, hence border.

use serde::{Deserialize, Serialize};

/// What a conditional form, or a step, hangs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Question {
    /// Is the facility itself new? (E-08, P-13)
    FacilityNew,
    /// Is there an equivalent pledge between head and staff? (E-04)
    PledgeExists,
    /// Can a team be formed already? (E-12)
    TeamReady,
    /// Has the team another facility? (P-15)
    TeamHasOthers,
    /// Has the family two members or more? (C-9.4, J-12)
    FamilyStays,
    /// Out of all teams, or of one? (P-24)
    AllTeams,
    /// Erase without the waiting time? (P-27)
    Immediately,
}

impl Question {
    pub const ALL: [Question; 7] = [
        Question::FacilityNew,
        Question::PledgeExists,
        Question::TeamReady,
        Question::TeamHasOthers,
        Question::FamilyStays,
        Question::AllTeams,
        Question::Immediately,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Question::FacilityNew => "facility-new",
            Question::PledgeExists => "pledge-exists",
            Question::TeamReady => "team-ready",
            Question::TeamHasOthers => "team-has-others",
            Question::FamilyStays => "family-stays",
            Question::AllTeams => "all-teams",
            Question::Immediately => "immediately",
        }
    }

    pub fn ja(self) -> &'static str {
        match self {
            Question::FacilityNew => "事業所そのものが新規の参加ですか",
            Question::PledgeExists => "従事者との同等の誓約書が既にありますか",
            Question::TeamReady => "患者さんを中心としたチームを既に作れますか",
            Question::TeamHasOthers => "チームに、ほかの事業所がいますか",
            Question::FamilyStays => "離脱の後も、ほかのご家族が残りますか",
            Question::AllTeams => "すべてのチームから外れますか（いいえ: 一つのチームだけ）",
            Question::Immediately => "待機期間を置かず、直ちに消去しますか",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Question::ALL.into_iter().find(|question| question.name() == text)
    }
}
