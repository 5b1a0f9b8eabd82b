//! What may be asked about the cases of the flows, and the answers: part of the operator's door. A border file.

use pki::identity::{FacilityId, MembershipId, PatientId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FlowQuestion {
    List,
    Show {
        case: String,
    },
    /// A new case; `forms` are those that came with it.
    Open {
        flow: String,
        facility: Option<FacilityId>,
        patient: Option<PatientId>,
        membership: Option<MembershipId>,
        forms: Vec<String>,
        dry_run: bool,
    },
    Act {
        case: String,
        act: FlowAct,
        dry_run: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FlowAct {
    Form {
        form: String,
    },
    Answer {
        question: String,
        yes: bool,
    },
    Call {
        caller: String,
        number: String,
        at: String,
        recognised_by: String,
    },
    /// What 様式3 changes: `name`, `code`, `telephone`, `postal-address`, `representative`.
    Change {
        field: String,
        value: String,
    },
    /// The facility that was registered meanwhile.
    Attach {
        facility: FacilityId,
    },
    /// Who was registered meanwhile (J-10); once.
    Patient {
        patient: PatientId,
    },
    Incomplete,
    Withdraw,
    Step {
        step: String,
    },
    Confirm {
        step: String,
        how: String,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FlowAnswer {
    Cases(Vec<FlowRow>),
    Case(Box<FlowDetail>),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowRow {
    pub case: String,
    pub flow: String,
    pub flow_ja: String,
    pub phase: String,
    pub facility: Option<FacilityId>,
    pub facility_name: String,
    pub received: String,
    /// What the secretariat can do now; empty while it waits for others.
    pub next_ja: String,
    /// D-01: a mail was sent a week ago and nobody has confirmed it.
    pub overdue: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowDetail {
    pub row: FlowRow,
    pub patient: Option<PatientId>,
    /// C-9: who leaves, with the 患者・家族事業所.
    #[serde(default)]
    pub leaver: String,
    pub forms: Vec<String>,
    /// What stands between the case and its acceptance.
    pub missing: Vec<String>,
    pub questions: Vec<FlowAsked>,
    pub changes: Vec<(String, String)>,
    pub steps: Vec<FlowStep>,
    pub letters: Vec<FlowLetter>,
    /// What the SNS was told to do.
    #[serde(default)]
    pub orders: Vec<FlowOrder>,
    pub erase_from: Option<String>,
    pub dry_run: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowOrder {
    pub step: String,
    pub what_ja: String,
    /// `None`: it is asked again until it is done.
    pub done: Option<String>,
    /// What the last answer was, where it was not yes.
    pub problem: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowAsked {
    pub question: String,
    pub ja: String,
    pub answer: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowStep {
    pub id: String,
    pub name_ja: String,
    pub who_ja: String,
    pub at: Option<String>,
    pub operator: Option<String>,
    /// 画面, 電話, FAX, 書面.
    pub how: Option<String>,
    /// It may be closed now.
    pub ready: bool,
    /// Only a confirmation closes it.
    pub confirms: bool,
    /// Why it may not be closed now; empty when it may, or when it is closed.
    #[serde(default)]
    pub held_ja: String,
    /// What closing it does beyond the checklist; empty when it does nothing more.
    #[serde(default)]
    pub would_ja: String,
    /// It takes something from somebody, and cannot be taken back by a step.
    #[serde(default)]
    pub grave: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FlowLetter {
    pub step: String,
    pub message: String,
    pub recipient: String,
    pub state: String,
    /// What the mail server said last.
    pub answer: Option<String>,
}
