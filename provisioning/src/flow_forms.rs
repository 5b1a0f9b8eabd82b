//! The matrix of forms (提出様式の早見表, E-M) as data: which case needs which form, and which question decides a
//! form that is only sometimes needed (P-13). Pure; stored with its case, hence border.

use serde::{Deserialize, Serialize};

use crate::flow_question::Question;
use crate::flow_steps::Flow;

/// 様式1 to 8 and the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Form {
    Application,
    FacilityPledge,
    Change,
    StaffPledge,
    Consent,
    Removal,
    Withdrawal,
    TeamEntry,
    Ledger,
}

impl Form {
    pub const ALL: [Form; 9] = [
        Form::Application,
        Form::FacilityPledge,
        Form::Change,
        Form::StaffPledge,
        Form::Consent,
        Form::Removal,
        Form::Withdrawal,
        Form::TeamEntry,
        Form::Ledger,
    ];

    /// What people write for it.
    pub fn name_ja(self) -> &'static str {
        match self {
            Form::Application => "様式1",
            Form::FacilityPledge => "様式2",
            Form::Change => "様式3",
            Form::StaffPledge => "様式4",
            Form::Consent => "様式5",
            Form::Removal => "様式6",
            Form::Withdrawal => "様式7",
            Form::TeamEntry => "様式8",
            Form::Ledger => "管理台帳",
        }
    }

    /// `様式6`, `様式６`, `6`.
    pub fn parse(text: &str) -> Option<Self> {
        let word = crate::facility::fold_word(text);
        Form::ALL.into_iter().find(|form| {
            let name = crate::facility::fold_word(form.name_ja());
            name == word || name.strip_prefix("様式") == Some(word.as_str())
        })
    }
}

/// A cell of the matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// ●
    Must(Form),
    /// ■ and ▲: needed when the answer is this one.
    When(Form, Question, bool),
}

/// The column of the matrix that a flow is in. C-9 comes by telephone (P-16); the end of care (P-22) is told in any way.
pub fn needs(flow: Flow) -> &'static [Need] {
    use Form::*;
    use Need::{Must, When};
    use Question::{FacilityNew, PledgeExists, TeamReady};
    match flow {
        // 1 新規登録, with the patient for whom a team is formed (E-12).
        Flow::C1 | Flow::C2 => {
            &[Must(Application), Must(FacilityPledge), When(StaffPledge, PledgeExists, false), Must(Consent)]
        }
        // 3 事業所が新たにチームに参加.
        Flow::C3 | Flow::C5 | Flow::C6 => &[
            Must(TeamEntry),
            When(Application, FacilityNew, true),
            When(FacilityPledge, FacilityNew, true),
            When(StaffPledge, PledgeExists, false),
        ],
        // 9 事業所の利用解除.
        Flow::C4 | Flow::C7 => &[Must(Removal)],
        // 7 家族の追加.
        Flow::C8 => &[Must(Consent)],
        // 8 同意撤回.
        Flow::C10 => &[Must(Withdrawal)],
        // 6 施設内管理者等の変更.
        Flow::C11 => &[Must(Change)],
        // 1 新規登録 of a facility alone.
        Flow::C12 => &[
            Must(Application),
            Must(FacilityPledge),
            When(StaffPledge, PledgeExists, false),
            When(Consent, TeamReady, true),
        ],
        Flow::C9 | Flow::Telephone | Flow::End => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E-M: the printed table's routed columns, written a second time as it is printed.
    #[test]
    fn e_m_the_matrix_is_the_printed_one() {
        let shown = |flow: Flow| -> String {
            let cell = |need: &Need| match need {
                Need::Must(form) => format!("{}●", form.name_ja()),
                Need::When(form, question, wanted) => {
                    format!("{}{}{}", form.name_ja(), if *wanted { "▲" } else { "■" }, question.name())
                }
            };
            needs(flow).iter().map(cell).collect::<Vec<_>>().join(" ")
        };
        for (flow, row) in [
            (Flow::C1, "様式1● 様式2● 様式4■pledge-exists 様式5●"),
            (Flow::C2, "様式1● 様式2● 様式4■pledge-exists 様式5●"),
            (Flow::C3, "様式8● 様式1▲facility-new 様式2▲facility-new 様式4■pledge-exists"),
            (Flow::C4, "様式6●"),
            (Flow::C5, "様式8● 様式1▲facility-new 様式2▲facility-new 様式4■pledge-exists"),
            (Flow::C6, "様式8● 様式1▲facility-new 様式2▲facility-new 様式4■pledge-exists"),
            (Flow::C7, "様式6●"),
            (Flow::C8, "様式5●"),
            (Flow::C9, ""),
            (Flow::C10, "様式7●"),
            (Flow::C11, "様式3●"),
            (Flow::C12, "様式1● 様式2● 様式4■pledge-exists 様式5▲team-ready"),
            (Flow::Telephone, ""),
            (Flow::End, ""),
        ] {
            assert_eq!(shown(flow), row, "{flow:?}");
        }
        assert_eq!(Flow::ALL.len(), 14);
    }

    #[test]
    fn forms_read_as_people_write_them() {
        for form in Form::ALL {
            assert_eq!(Form::parse(form.name_ja()), Some(form));
        }
        assert_eq!(
            (Form::parse("様式 ６"), Form::parse("7"), Form::parse("様式9")),
            (Some(Form::Removal), Some(Form::Withdrawal), None)
        );
    }
}
