//! Words of the consoles: states, reasons and moments as people here say them, the frame around every page, and what
//! went wrong above a form. Pure; askama escapes every value.

use pki::identity::Role;

use crate::door::{LetterRow, Trouble};
use crate::door_post::{Channel, Lane, Remedy, ReturnReason};
use crate::incident::IncidentKind;
use crate::reply::{self, POSTED, WRITTEN};
use crate::training::TrainingKind;
use crate::yearly::Stage;

/// What surrounds every page: where one is and where one may go.
pub struct Frame {
    pub realm: String,
    /// 事務局, or the facility's name.
    pub place: String,
    pub role: Role,
    /// The path of the menu's entry that is shown.
    pub here: &'static str,
}

/// The secretariat's menu.
const OFFICE_MENU: &[(&str, &str)] = &[
    ("/", "ホーム"),
    ("/cases", "申込"),
    ("/flows", "案件"),
    ("/facilities", "事業所"),
    ("/slots", "VPN番号"),
    ("/patients", "患者"),
    ("/post", "発送"),
    ("/fees", "料金"),
    ("/register", "研修・誓約"),
    ("/yearly", "年次更新"),
    ("/incidents", "事故"),
    ("/report", "報告"),
    ("/search", "探す・電話"),
];
/// The facility admin's menu.
const FACILITY_MENU: &[(&str, &str)] =
    &[("/", "端末"), ("/people", "利用者"), ("/patients", "患者"), ("/notices", "お知らせ")];

impl Frame {
    pub fn menu(&self) -> &'static [(&'static str, &'static str)] {
        match self.role {
            Role::Secretariat => OFFICE_MENU,
            Role::FacilityAdmin => FACILITY_MENU,
            Role::Staff | Role::Family => &[],
        }
    }
}

/// A bar of what went wrong, where it went wrong.
pub struct Notice {
    pub code: String,
    pub ja: String,
    pub remedy_ja: String,
    pub en: String,
}

impl From<Trouble> for Notice {
    fn from(trouble: Trouble) -> Self {
        let Trouble { code, ja, en, remedy_ja, .. } = trouble;
        Self { code, ja, remedy_ja, en }
    }
}

pub fn role(role: &Role) -> &'static str {
    match role {
        Role::Secretariat => "SNS事務局",
        Role::FacilityAdmin => "施設内管理者",
        Role::Staff => "利用者（職員）",
        Role::Family => "患者・家族",
    }
}

/// The same, as the registry writes it.
pub fn role_word(word: &str) -> &str {
    word.parse::<Role>().map_or(word, |known| role(&known))
}

pub fn case_state(state: &str) -> &str {
    match state {
        "received" => "受理待ち",
        "accepted" => "受理済み（送付待ち）",
        "sent" => "送付済み（本登録待ち）",
        "claimed" => "本登録済み（利用者登録待ち）",
        "done" => "完了",
        "returned" => "差し戻し",
        other => other,
    }
}

/// Where a case of the flows stands.
pub fn phase(phase: &str) -> &str {
    match phase {
        "received" => "受付",
        "incomplete" => "書類不備",
        "accepted" => "手続き中",
        "done" => "完了",
        "withdrawn" => "取下げ",
        other => other,
    }
}

pub fn invoice_state(state: &str) -> &str {
    match state {
        "open" => "未入金",
        "paid" => "入金済み",
        "void" => "取消",
        other => other,
    }
}

/// How far a facility's 年次更新 is.
pub fn stage(stage: &str) -> &str {
    match Stage::ALL.into_iter().find(|known| known.as_str() == stage) {
        Some(known) => known.words_ja(),
        None => stage,
    }
}

/// What kind of incident.
pub fn incident(kind: &str) -> &str {
    match IncidentKind::parse(kind) {
        Some(known) => known.words_ja(),
        None => kind,
    }
}

/// What was trained.
pub fn training(kind: &str) -> &str {
    match TrainingKind::parse(kind) {
        Some(known) => known.words_ja(),
        None => kind,
    }
}

/// What 様式3 changes.
pub fn field(field: &str) -> &str {
    match field {
        "name" => "事業所名",
        "code" => "事業所番号",
        "telephone" => "電話番号",
        "postal-address" => "所在地",
        "representative" => "代表者名",
        other => other,
    }
}

pub fn slot_state(state: &str) -> &str {
    match state {
        "allotted" => "割当済み（未使用）",
        "issued" => "登録待ち",
        "active" => "利用中",
        "suspended" => "一時停止",
        "leaving" => "返却手続き中",
        "revoked" => "利用停止",
        "cooling" => "再割当待ち",
        "free" => "空き",
        other => other,
    }
}

pub fn device_state(state: &str) -> &str {
    match state {
        "enrolling" => "登録待ち",
        "claimed" => "切り替え待ち",
        "active" => "利用中",
        "revoked" => "利用停止",
        other => other,
    }
}

/// A request for more devices (G-07).
pub fn more(standing: &str) -> &str {
    match standing {
        "waiting" => "承認待ち",
        "approved" => "承認",
        "declined" => "見送り",
        other => other,
    }
}

/// Facilities, memberships and persons.
pub fn state(state: &str) -> &str {
    match state {
        "active" => "利用中",
        "suspended" => "一時停止",
        "ended" => "解除",
        "deleted" => "削除",
        other => other,
    }
}

/// Of a facility that came from a register kept elsewhere.
pub fn takeover(state: &str) -> &'static str {
    match state {
        "taken" => "開始を待つ",
        "started" => "開始した",
        _ => "元に戻した",
    }
}

pub fn takeover_tone(state: &str) -> &'static str {
    match state {
        "taken" => "waits",
        "started" => "good",
        _ => "plain",
    }
}

pub fn reason(reason: &str) -> &str {
    match reason {
        "lost" => "紛失",
        "stolen" => "盗難",
        "replaced" => "機種変更",
        "retired" => "使用終了",
        "leak" => "漏えいのおそれ",
        other => other,
    }
}

/// A point of enforcement, by what it ends.
pub fn point(point: &str) -> &str {
    match point {
        "vpn" => "VPNの接続",
        "firewall" => "通信の遮断",
        "pki" => "証明書の失効",
        "gateway" => "ログインと接続",
        "sns" => "SNSの画面",
        "mail" => "未送信の郵便・メール",
        other => other,
    }
}

pub fn letter(kind: &str) -> &str {
    match kind {
        "bundle" => "接続設定一式",
        "reissue" => "接続設定一式（再発行）",
        "extension" => "延長のお知らせ",
        "notice" => "お知らせ",
        "sheet" => "番号とパスワードの用紙",
        "invoice" => "請求書",
        other => other,
    }
}

/// D-00, as a clerk says it.
pub fn channel(channel: &Channel) -> &'static str {
    match channel {
        Channel::Mail => "メール（用紙は郵送）",
        Channel::TwoEnvelopes => "郵送（二通の封筒）",
        Channel::ByHand => "手渡し（二通の封筒）",
    }
}

/// What a run carries.
pub fn lane(lane: &Lane) -> &'static str {
    match lane {
        Lane::Connection => "1通目: 接続設定",
        Lane::Sheet => "2通目: 番号とパスワード",
        Lane::Letter => "お知らせ",
        Lane::Invoice => "請求書",
    }
}

pub fn run_state(state: &str) -> &str {
    match state {
        "open" => "発送前",
        "sent" => "発送済み",
        "undone" => "取り消し",
        "returned" => "戻りました",
        other => other,
    }
}

/// As the post's stamp says it.
pub fn return_reason(reason: &ReturnReason) -> &'static str {
    match reason {
        ReturnReason::Unknown => "あて所に尋ねあたりません",
        ReturnReason::Moved => "転居",
        ReturnReason::Refused => "受取拒絶",
        ReturnReason::Uncollected => "保管期間経過",
    }
}

pub fn remedy(remedy: &Remedy) -> &'static str {
    match remedy {
        Remedy::Again => "住所を確かめて、もう一度送る",
        Remedy::Reissue => "再発行した",
        Remedy::Called => "電話で済ませた",
    }
}

pub fn letter_state(state: &str) -> &str {
    match state {
        "waiting" => "送信待ち",
        "sent" => "送付済み",
        "post" => "発送待ち",
        "failed" => "送れません",
        "returned" => "郵便で戻りました",
        "bounced" => "戻ってきました",
        "cancelled" => "取り消し",
        other => other,
    }
}

/// The same as a colour: what was sent waits for nobody here.
pub fn letter_tone(state: &str) -> &'static str {
    if state == "sent" { "good" } else { tone(state) }
}

/// What the mail server itself said; a folder says nothing.
pub fn server_words(letter: &LetterRow) -> Option<&str> {
    own_words(letter.answer.as_deref())
}

/// The same of any answer.
pub fn own_words(answer: Option<&str>) -> Option<&str> {
    answer.filter(|answer| *answer != WRITTEN && !answer.starts_with(POSTED))
}

/// What an answer means for a clerk; nothing while there is none.
pub fn answer_meant(state: &str, answer: Option<&str>) -> &'static str {
    answer.and_then(|answer| reply::explain(state, answer)).map_or("", |meaning| meaning.ja)
}

pub fn enrolment_state(state: &str) -> &str {
    match state {
        "open" => "登録待ち",
        "claimed" => "切り替え待ち",
        "done" => "登録済み",
        "void" => "無効",
        "locked" => "入力ちがいで停止",
        other => other,
    }
}

/// A state's colour: what waits for somebody, what works, what has ended.
pub fn tone(state: &str) -> &'static str {
    match state {
        "active" | "done" | "paid" | "fine" | "met" | "approved" => "good",
        "incomplete" | "revoked" | "suspended" | "returned" | "ended" | "failed" | "bounced" | "locked"
        | "void" | "late" => "bad",
        "received" | "post" | "issued" | "enrolling" | "claimed" | "accepted" | "sent" | "waiting"
        | "open" | "soon" | "begun" | "near" => "waits",
        _ => "plain",
    }
}

/// `2026-11-20T21:57:15+09:00` as `2026-11-20 21:57`.
pub fn when(rfc3339: &str) -> String {
    rfc3339.chars().take(16).collect::<String>().replace('T', " ")
}

/// The day of it.
pub fn day(rfc3339: &str) -> &str {
    rfc3339.get(..10).unwrap_or(rfc3339)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::CaseState;
    use crate::claim::EnrolmentState;
    use crate::door::RevokeReason;
    use crate::flow_effects;
    use crate::flow_steps::Flow;
    use crate::outbox::LetterKind;
    use crate::receipt::PointName;
    use crate::slots::SlotState;

    #[test]
    fn no_code_word_reaches_a_clerk() {
        let words = SlotState::ALL.map(|s| slot_state(s.as_str()).to_owned()).into_iter();
        let words = words.chain(CaseState::ALL.map(|s| case_state(s.as_str()).to_owned()));
        let words = words.chain(RevokeReason::ALL.map(|r| reason(r.as_str()).to_owned()));
        let words = words.chain(LetterKind::ALL.map(|k| letter(k.as_str()).to_owned()));
        let words = words.chain(EnrolmentState::ALL.map(|s| enrolment_state(s.as_str()).to_owned()));
        let words = words.chain(
            ["waiting", "post", "sent", "failed", "bounced", "returned", "cancelled"]
                .map(|s| letter_state(s).to_owned()),
        );
        let words = words.chain(
            Flow::ALL
                .map(|f| phase(crate::flow::open(f, Default::default(), "", 0).phase.as_str()).to_owned()),
        );
        let words = words.chain(["incomplete", "accepted", "done", "withdrawn"].map(|p| phase(p).to_owned()));
        let words = words.chain(["open", "paid", "void"].map(|s| invoice_state(s).to_owned()));
        let words = words.chain(flow_effects::FIELDS.map(|f| field(f).to_owned()));
        let words = words.chain(PointName::ALL.map(|p| point(p.as_str()).to_owned()));
        for word in words {
            assert!(!word.is_ascii(), "{word}");
        }
    }

    #[test]
    fn moments_are_short() {
        assert_eq!(when("2026-11-20T21:57:15+09:00"), "2026-11-20 21:57");
        assert_eq!(day("2026-11-20T21:57:15+09:00"), "2026-11-20");
    }
}
