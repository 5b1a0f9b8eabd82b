//! The eleven flows, the telephone case and the end of care, step by step as they were drawn (C-1 … C-11, C-12,
//! P-16, P-22): who does each, what it does, and what it hangs on. Data. Pure; stored with its case, hence border.

use serde::{Deserialize, Serialize};

use crate::flow_question::Question;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Flow {
    C1,
    C2,
    C3,
    C4,
    C5,
    C6,
    C7,
    C8,
    C9,
    C10,
    C11,
    C12,
    /// 電話連絡.
    Telephone,
    /// 終了: death, moving away, end of care.
    End,
}

/// Who does a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Secretariat,
    Facility,
    Admin,
    User,
    Family,
}

/// The mails of the catalogue (D) that a flow sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mail {
    M02,
    M04,
    M05,
    M06,
    M07,
    M08,
    M10,
    M11,
    M12,
    M13,
    /// The end of care, to the team's facilities (P-22).
    End,
}

/// What a step does when it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Does {
    /// Happened before the case was opened: the papers, the mail that brought them.
    Arrived,
    Accept,
    /// Who called and how they were recognised (P-16).
    Recognise,
    RegisterPatient,
    RegisterFacility,
    RegisterFamily,
    Link,
    LinkFamily,
    AddPatientSelf,
    /// Out of one team (C-7), or of the whole SNS (C-4).
    RemoveFacility,
    CutUsers,
    SuspendFamilyMember,
    StopLinks,
    Erase,
    ChangeFacility,
    ReadOnly,
    Send(Mail),
    /// D-01: by a button inside the tunnel, or noted by the clerk.
    Confirm,
    /// Seen to have happened at the facility or the family.
    Observe,
}

impl Does {
    /// Later steps wait for these; nobody waits for somebody's confirmation (a silent admin stops no removal).
    pub fn holds_up(self) -> bool {
        !matches!(self, Does::Confirm | Does::Observe)
    }

    /// Whoever loses something by it should be sure of it: a page asks once more.
    pub fn is_grave(self) -> bool {
        matches!(
            self,
            Does::RemoveFacility | Does::CutUsers | Does::SuspendFamilyMember | Does::StopLinks | Does::Erase
        )
    }

    /// What closing the step does, as a clerk reads it; empty for what only ticks the checklist.
    pub fn would_ja(self) -> &'static str {
        match self {
            Does::Accept => {
                "足りない書類や答えがないことを確かめて、受理します。受理の後は、答えを変えられません。"
            }
            Does::RegisterPatient => "「患者」の画面で登録したことを記録します。",
            Does::RegisterFacility => "様式1の受理で事業所が登録されていることを確かめます。",
            Does::RegisterFamily => "患者・家族事業所が登録されていることを確かめます。",
            Does::Link => {
                "この案件の患者のチームに、この案件の事業所を紐づけます。患者を選ばずに開いた案件では、「患者」の画面で紐づけたことを記録します。"
            }
            Does::LinkFamily => {
                "この案件の患者のチームに、この案件の事業所を紐づけます。患者・家族事業所が別にある案件では、「患者」の画面でそちらも紐づけてください。"
            }
            Does::AddPatientSelf => {
                "患者・家族事業所の「ご家族」の画面で、登録とチームへの追加をしてから、記録します。"
            }
            Does::RemoveFacility => {
                "一つのチームから外れる案件では、この患者のチームから事業所とその利用者を外します。すべてのチームから外れる案件では、事業所を解除し、所属する人の利用を止め、端末をすべて利用停止にします。書いた記事はチームに残ります。"
            }
            Does::CutUsers => "外れた事業所の利用者（職員）が使えなくなったことを記録します。",
            Does::SuspendFamilyMember => {
                "離脱する方は、その場でログインできなくなります。ほかのご家族は変わりません。"
            }
            Does::StopLinks => {
                "患者のチームから、すべての事業所と利用者を外します。だれの一覧にも表示されなくなります。消去は、待機期間の後です（直ちに、と答えた案件を除く）。"
            }
            Does::Erase => {
                "患者の記事を消去します。控え（バックアップ）の中のものも読めなくなり、元に戻せません。"
            }
            Does::ChangeFacility => "記録した変更を、事業所の登録に書き込みます。",
            Does::ReadOnly => {
                "チームを閲覧のみにします（投稿と了解ができなくなります）。保存期間はこの日から数えます。"
            }
            Does::Send(Mail::M02 | Mail::M04) => "接続設定一式が用意されていることを確かめます。",
            Does::Send(_) => "宛先の施設内管理者に、お知らせのメールを送ります。",
            Does::Confirm => "相手がお知らせを確かめたことを、方法とともに記録します。",
            Does::Recognise => "電話の記録と本人確認がそろっていることを確かめます。",
            Does::Arrived | Does::Observe => "",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    pub id: &'static str,
    pub who: Who,
    pub name_ja: &'static str,
    pub does: Does,
    /// Only when this question was answered so.
    pub when: Option<(Question, bool)>,
}

const fn step(id: &'static str, who: Who, name_ja: &'static str, does: Does) -> Step {
    Step { id, who, name_ja, does, when: None }
}

const fn step_if(
    id: &'static str,
    who: Who,
    name_ja: &'static str,
    does: Does,
    when: (Question, bool),
) -> Step {
    Step { id, who, name_ja, does, when: Some(when) }
}

impl Flow {
    pub const ALL: [Flow; 14] = [
        Flow::C1,
        Flow::C2,
        Flow::C3,
        Flow::C4,
        Flow::C5,
        Flow::C6,
        Flow::C7,
        Flow::C8,
        Flow::C9,
        Flow::C10,
        Flow::C11,
        Flow::C12,
        Flow::Telephone,
        Flow::End,
    ];

    pub fn id(self) -> &'static str {
        match self {
            Flow::C1 => "C-1",
            Flow::C2 => "C-2",
            Flow::C3 => "C-3",
            Flow::C4 => "C-4",
            Flow::C5 => "C-5",
            Flow::C6 => "C-6",
            Flow::C7 => "C-7",
            Flow::C8 => "C-8",
            Flow::C9 => "C-9",
            Flow::C10 => "C-10",
            Flow::C11 => "C-11",
            Flow::C12 => "C-12",
            Flow::Telephone => "P-16",
            Flow::End => "P-22",
        }
    }

    pub fn name_ja(self) -> &'static str {
        match self {
            Flow::C1 => "①新規作成（家族なし）",
            Flow::C2 => "②新規作成（家族あり）",
            Flow::C3 => "③サービス事業所追加",
            Flow::C4 => "④事業所解除",
            Flow::C5 => "⑤途中参加 新規事業所（家族なし）",
            Flow::C6 => "⑥途中参加 新規事業所（家族あり）",
            Flow::C7 => "⑦途中利用解除",
            Flow::C8 => "⑧患者家族の途中参加",
            Flow::C9 => "⑨患者家族の途中離脱",
            Flow::C10 => "⑩同意撤回",
            Flow::C11 => "⑪事業所情報の変更",
            Flow::C12 => "事業所の利用開始",
            Flow::Telephone => "電話連絡",
            Flow::End => "支援終了",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Flow::ALL.into_iter().find(|flow| flow.id().eq_ignore_ascii_case(text))
    }

    /// Its questions beyond those of its forms, asked before acceptance.
    pub fn asks(self) -> &'static [Question] {
        match self {
            Flow::C3 => &[Question::TeamHasOthers],
            Flow::C7 => &[Question::AllTeams],
            Flow::C9 => &[Question::FamilyStays],
            Flow::C10 => &[Question::Immediately],
            _ => &[],
        }
    }

    /// Must somebody have called and been recognised? (P-16)
    pub fn by_telephone(self) -> bool {
        matches!(self, Flow::C9 | Flow::Telephone)
    }

    /// Is it about a patient?
    pub fn has_patient(self) -> bool {
        !matches!(self, Flow::C4 | Flow::C11 | Flow::C12 | Flow::Telephone)
    }

    pub fn steps(self) -> &'static [Step] {
        match self {
            Flow::C1 => C1,
            Flow::C2 => C2,
            Flow::C3 => C3,
            Flow::C4 => C4,
            Flow::C5 => C5,
            Flow::C6 => C6,
            Flow::C7 => C7,
            Flow::C8 => C8,
            Flow::C9 => C9,
            Flow::C10 => C10,
            Flow::C11 => C11,
            Flow::C12 => C12,
            Flow::Telephone => TELEPHONE,
            Flow::End => END,
        }
    }
}

use Does::*;
use Who::*;

const NEW: (Question, bool) = (Question::FacilityNew, true);

const C1: &[Step] = &[
    step("C-1.1", Facility, "患者への説明と様式の記入", Arrived),
    step("C-1.2", Facility, "申込（M-01）", Arrived),
    step("C-1.3", Secretariat, "申込の受理", Accept),
    step("C-1.4", Secretariat, "患者（サービス利用者）の登録", RegisterPatient),
    step("C-1.5", Secretariat, "事業所と施設内管理者の登録", RegisterFacility),
    step("C-1.6", Secretariat, "施設内管理者へIDの送付（M-02）", Send(Mail::M02)),
    step("C-1.7", Secretariat, "患者と事業所の紐づけ", Link),
    step("C-1.8", Admin, "利用者（職員）の登録", Observe),
    step("C-1.9", Admin, "患者への利用者の追加", Observe),
    step("C-1.10", Admin, "利用者へID・証明書の配付（M-03）", Observe),
    step("C-1.11", User, "端末への証明書の登録", Observe),
    step("C-1.12", User, "利用開始", Observe),
];

const C2: &[Step] = &[
    step("C-2.1", Facility, "患者への説明と様式の記入", Arrived),
    step("C-2.2", Facility, "申込（M-01）", Arrived),
    step("C-2.3", Secretariat, "申込の受理", Accept),
    step("C-2.4", Secretariat, "患者（サービス利用者）の登録", RegisterPatient),
    step("C-2.5", Secretariat, "事業所と施設内管理者、患者・家族事業所の登録", RegisterFacility),
    step("C-2.6", Secretariat, "施設内管理者へIDの送付（M-02）", Send(Mail::M02)),
    step("C-2.7", Secretariat, "患者と事業所、患者・家族事業所の紐づけ", LinkFamily),
    step("C-2.8", Admin, "利用者（職員）の登録", Observe),
    step("C-2.9", Admin, "患者への利用者の追加", Observe),
    step("C-2.10", Admin, "利用者へID・証明書の配付（M-03）", Observe),
    step("C-2.11", User, "端末への証明書の登録", Observe),
    step("C-2.12", User, "利用開始", Observe),
    // P-11: drawn twice, one act.
    step("C-2.13", Secretariat, "患者・家族事業所の紐づけ（確認）", LinkFamily),
    step("C-2.14", Secretariat, "チームへの患者・本人の追加", AddPatientSelf),
    step("C-2.15", Secretariat, "患者・家族へID・証明書の送付（M-04）", Send(Mail::M04)),
    step("C-2.16", Family, "端末への証明書の登録", Observe),
    step("C-2.17", Family, "利用開始", Observe),
];

const C3: &[Step] = &[
    step("C-3.1", Facility, "様式の記入", Arrived),
    step("C-3.2", Facility, "申込（M-01）", Arrived),
    step("C-3.3", Secretariat, "申込の受理", Accept),
    step_if("C-3.4", Secretariat, "事業所と施設内管理者の登録", RegisterFacility, NEW),
    step_if("C-3.5", Secretariat, "施設内管理者へIDの送付（M-02）", Send(Mail::M02), NEW),
    step("C-3.6", Secretariat, "患者と事業所の紐づけ", Link),
    step("C-3.7", Admin, "利用者（職員）の登録", Observe),
    step("C-3.8", Admin, "患者への利用者の追加", Observe),
    step("C-3.9", Admin, "利用者へID・証明書の配付（M-03）", Observe),
    step("C-3.10", User, "端末への証明書の登録", Observe),
    step("C-3.11", User, "利用開始", Observe),
    step_if(
        "P-15",
        Secretariat,
        "既存の事業所へ参加の連絡（M-06）",
        Send(Mail::M06),
        (Question::TeamHasOthers, true),
    ),
];

const C4: &[Step] = &[
    step("C-4.1", Facility, "様式6の記入", Arrived),
    step("C-4.2", Facility, "申込（M-01）", Arrived),
    step("C-4.3", Secretariat, "申込の受理", Accept),
    step("C-4.4", Secretariat, "事業所の解除", RemoveFacility),
    step("C-4.5", Secretariat, "解除の連絡（M-05）", Send(Mail::M05)),
    step("C-4.6", Admin, "解除メールの確認", Confirm),
];

const C5: &[Step] = &[
    step("C-5.1", Facility, "様式の記入", Arrived),
    step("C-5.2", Facility, "申込（M-01）", Arrived),
    step("C-5.3", Secretariat, "申込の受理", Accept),
    step_if("C-5.4", Secretariat, "事業所と施設内管理者の登録", RegisterFacility, NEW),
    step_if("C-5.5", Secretariat, "施設内管理者へIDの送付（M-02）", Send(Mail::M02), NEW),
    step("C-5.6", Secretariat, "患者と事業所の紐づけ", Link),
    step("C-5.7", Admin, "利用者（職員）の登録", Observe),
    step("C-5.8", Admin, "患者への利用者の追加", Observe),
    step("C-5.9", Admin, "利用者へID・証明書の配付（M-03）", Observe),
    step("C-5.10", User, "端末への証明書の登録", Observe),
    step("C-5.11", User, "利用開始", Observe),
    step("C-5.12", Secretariat, "既存の事業所へ参加の連絡（M-06）", Send(Mail::M06)),
];

const C6: &[Step] = &[
    step("C-6.1", Facility, "様式の記入", Arrived),
    step("C-6.2", Facility, "申込（M-01）", Arrived),
    step("C-6.3", Secretariat, "申込の受理", Accept),
    step_if("C-6.4", Secretariat, "事業所と施設内管理者の登録", RegisterFacility, NEW),
    step_if("C-6.5", Secretariat, "施設内管理者へIDの送付（M-02）", Send(Mail::M02), NEW),
    step("C-6.6", Secretariat, "患者と事業所の紐づけ", Link),
    step("C-6.7", Admin, "利用者（職員）の登録", Observe),
    step("C-6.8", Admin, "患者への利用者の追加", Observe),
    step("C-6.9", Admin, "利用者へID・証明書の配付（M-03）", Observe),
    step("C-6.10", User, "端末への証明書の登録", Observe),
    step("C-6.11", User, "利用開始", Observe),
    step("C-6.12", Secretariat, "既存の事業所へ参加の連絡（M-06）", Send(Mail::M06)),
];

const C7: &[Step] = &[
    step("C-7.1", Facility, "様式6の記入", Arrived),
    step("C-7.2", Facility, "申込（M-01）", Arrived),
    step("C-7.3", Secretariat, "申込の受理", Accept),
    step("C-7.4", Secretariat, "チームからの事業所の解除", RemoveFacility),
    step("C-7.5", Secretariat, "解除の連絡（M-05）", Send(Mail::M05)),
    step("C-7.6", Admin, "停止メールの確認", Confirm),
    step("C-7.7", Secretariat, "利用者（職員）の利用停止", CutUsers),
    step("C-7.8", Secretariat, "残る事業所へ解除の連絡（M-07）", Send(Mail::M07)),
];

const C8: &[Step] = &[
    step("C-8.1", Facility, "患者への説明と様式5の記入", Arrived),
    step("C-8.2", Facility, "申込（M-01）", Arrived),
    step("C-8.3", Secretariat, "申込の受理", Accept),
    step("C-8.4", Secretariat, "患者・家族事業所の登録", RegisterFamily),
    step("C-8.5", Secretariat, "患者・家族事業所の紐づけ", LinkFamily),
    step("C-8.6", Secretariat, "チームへの患者・本人の追加", AddPatientSelf),
    step("C-8.7", Secretariat, "既存の事業所へ家族参加の連絡（M-08）", Send(Mail::M08)),
    step("C-8.8", Admin, "メールの確認", Confirm),
    step("C-8.9", User, "画面での確認", Observe),
    step("C-8.10", Secretariat, "患者・家族へID・証明書の送付（M-04）", Send(Mail::M04)),
    step("C-8.11", Family, "端末への証明書の登録", Observe),
    step("C-8.12", Family, "利用開始", Observe),
];

const C9: &[Step] = &[
    step("C-9.1", Facility, "家族からの電話", Arrived),
    step("C-9.2", Facility, "事務局への報告（M-09）", Arrived),
    step("P-16.2", Secretariat, "電話の記録と本人確認", Recognise),
    step("C-9.3", Secretariat, "メールの確認・受理", Accept),
    step("C-9.4", Secretariat, "離脱する家族の利用停止", SuspendFamilyMember),
    step("C-9.5", Secretariat, "事業所へ離脱の連絡（M-10）", Send(Mail::M10)),
    step("C-9.6", Admin, "メールの確認", Confirm),
    step("C-9.7", User, "画面での確認", Observe),
    step("C-9.8", Secretariat, "家族へ離脱の連絡（M-11）", Send(Mail::M11)),
    step("C-9.9", Family, "ログインできないことの確認", Confirm),
];

const C10: &[Step] = &[
    step("C-10.1", Facility, "患者の意思と様式7の記入", Arrived),
    step("C-10.2", Facility, "申込（M-01）", Arrived),
    step("C-10.3", Secretariat, "申込の受理", Accept),
    step("C-10.4", Secretariat, "すべての紐づけの停止", StopLinks),
    step("C-10.5", Secretariat, "紐づけ停止の連絡（M-12）", Send(Mail::M12)),
    step("C-10.6", Admin, "メールの確認", Confirm),
    step("C-10.7", User, "画面での確認", Observe),
    step("C-10.8", Family, "患者・家族の利用停止の確認", Observe),
    step("P-27", Secretariat, "記事の消去", Erase),
];

const C11: &[Step] = &[
    step("C-11.1", Facility, "様式3の記入", Arrived),
    step("C-11.2", Facility, "申込（M-01）", Arrived),
    step("C-11.3", Secretariat, "申込の受理", Accept),
    step("C-11.4", Secretariat, "事業所情報の変更", ChangeFacility),
    step("C-11.5", Secretariat, "変更完了の連絡（M-13）", Send(Mail::M13)),
];

const C12: &[Step] = &[
    step("C-1.2", Facility, "申込（M-01）", Arrived),
    step("C-1.3", Secretariat, "申込の受理", Accept),
    step("C-1.5", Secretariat, "事業所と施設内管理者の登録", RegisterFacility),
    step("C-12.1", Secretariat, "仮登録完了通知（M-02a）", Send(Mail::M02)),
    step("C-12.2", Admin, "本登録・証明書の取得", Observe),
    step("C-12.3", Admin, "利用者の登録・利用開始", Observe),
];

const TELEPHONE: &[Step] = &[
    step("P-16.1", Facility, "電話の受付", Arrived),
    step("P-16.2", Secretariat, "電話の記録と本人確認", Recognise),
    step("P-16.3", Secretariat, "受理と対応", Accept),
];

const END: &[Step] = &[
    step("P-22.1", Facility, "終了の連絡", Arrived),
    step("P-22.2", Secretariat, "受理", Accept),
    step("P-22.3", Secretariat, "チームを閲覧のみにする", ReadOnly),
    step("P-22.4", Secretariat, "事業所へ終了の連絡", Send(Mail::End)),
    step("P-22.5", Secretariat, "保存期間の後の消去（P-23）", Erase),
];
