//! What stands on 様式2 to 様式8: each form's fields, what belongs in them, and what becomes of them, as one table (E-02 …
//! E-08, E-10). The workbook, the printed page and the reader all follow it; 様式1 has its own (`form1_column`). Pure.

use crate::facility::fold_word;
use crate::flow_forms::Form;
use crate::flow_question::Question;
use crate::flow_steps::Flow;

/// The forms of this table; the matrix's other two have readers of their own.
pub const FORMS: [Form; 7] = [
    Form::FacilityPledge,
    Form::Change,
    Form::StaffPledge,
    Form::Consent,
    Form::Removal,
    Form::Withdrawal,
    Form::TeamEntry,
];

/// What belongs in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    Line,
    Kana,
    Case,
    Code,
    Kind,
    Telephone,
    PostalAddress,
    Address,
    Date,
    /// One that has come: a pledge or a consent is never of tomorrow.
    PastDate,
    Choice(&'static [&'static str]),
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Becomes {
    /// Says which case it belongs to.
    Case,
    /// Says which facility.
    Code,
    Kind,
    /// Compared with the registered one.
    FacilityName,
    /// Says which patient; the name is looked up and never kept (ruling 10).
    PatientId,
    PatientName,
    PatientKana,
    /// Of the patient: read, so that a bad cell is named, and kept nowhere here.
    OfPatient,
    /// A field of `flow_effects::FIELDS`.
    Change(&'static str),
    /// The admin's name and address have a procedure of their own (G-04).
    AdminChange,
    /// Answers a question of the case: this word means yes, another one no.
    Answer(Question, &'static str),
    /// Decides which case is opened.
    Opens,
    /// J-10: the day of the consent.
    Consent,
    /// Kept with the case.
    Noted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    pub heading: &'static str,
    pub cell: Cell,
    pub becomes: Becomes,
    pub must: bool,
    /// How to fill it in.
    pub hint: &'static str,
}

const fn field(heading: &'static str, cell: Cell, becomes: Becomes, must: bool, hint: &'static str) -> Field {
    Field { heading, cell, becomes, must, hint }
}

const CASE: Field =
    field("案件番号", Cell::Case, Becomes::Case, false, "事務局から案内された番号。なければ空欄。");
const CODE: Field = field("事業所番号", Cell::Code, Becomes::Code, true, "10桁ちょうど（先頭の0も）。");
const KIND: Field =
    field("種別", Cell::Kind, Becomes::Kind, false, "同じ番号で二つの種別があるときだけ、一覧から。");
const NAME: Field = field(
    "事業所名",
    Cell::Line,
    Becomes::FacilityName,
    true,
    "登録した名称（新しい事業所は様式1のとおり）。",
);
const PATIENT: Field = field(
    "患者番号",
    Cell::Line,
    Becomes::PatientId,
    false,
    "事務局から案内された番号（t-…）。なければ空欄。",
);
const PATIENT_NAME: Field =
    field("患者氏名", Cell::Line, Becomes::PatientName, false, "ワープロ打ちで、登録と同じ文字で。");
const REASON: Field =
    field("理由", Cell::Line, Becomes::Noted, false, "患者の氏名・病状は書かないでください。");

const YES_NO: Cell = Cell::Choice(&["はい", "いいえ"]);
pub const JOINS: &str = "参加する";
const JOINING: Cell = Cell::Choice(&[JOINS, "参加しない"]);
pub const FAMILY_IN: &str = "参加している";
const FAMILY: Cell = Cell::Choice(&[FAMILY_IN, "参加していない"]);
pub const ALL_TEAMS: &str = "事業所としての解除";
const EXTENT: Cell = Cell::Choice(&[ALL_TEAMS, "一つのチームからの解除"]);
const SIGNER: Cell = Cell::Choice(&["本人", "代理者", "家族"]);

/// A form's fields, in the order of its page and of its workbook's columns.
pub fn fields(form: Form) -> &'static [Field] {
    match form {
        Form::FacilityPledge => FACILITY_PLEDGE,
        Form::Change => CHANGE,
        Form::StaffPledge => STAFF_PLEDGE,
        Form::Consent => CONSENT,
        Form::Removal => REMOVAL,
        Form::Withdrawal => WITHDRAWAL,
        Form::TeamEntry => TEAM_ENTRY,
        Form::Application | Form::Ledger => &[],
    }
}

const FACILITY_PLEDGE: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    field("代表者名", Cell::Line, Becomes::Noted, true, "施設又は組織の長。署名する方。"),
    field(
        "誓約日",
        Cell::PastDate,
        Becomes::Noted,
        true,
        "年から書いてください（令和8年4月1日、2026/4/1）。",
    ),
];

const CHANGE: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    field("新しい事業所名", Cell::Line, Becomes::Change("name"), false, "変わるときだけ。"),
    field("新しい事業所番号", Cell::Code, Becomes::Change("code"), false, "変わるときだけ。10桁ちょうど。"),
    field(
        "新しい電話番号",
        Cell::Telephone,
        Becomes::Change("telephone"),
        false,
        "変わるときだけ。市外局番から。",
    ),
    field("新しい所在地", Cell::PostalAddress, Becomes::Change("postal-address"), false, "変わるときだけ。"),
    field("新しい代表者名", Cell::Line, Becomes::Change("representative"), false, "変わるときだけ。"),
    field(
        "新しい施設内管理者名",
        Cell::Line,
        Becomes::AdminChange,
        false,
        "変わるときだけ。事務局から電話で確かめます。",
    ),
    field(
        "新しい管理画面ログイン用メールアドレス",
        Cell::Address,
        Becomes::AdminChange,
        false,
        "変更は原則できません。管理者が替わるときだけ。利用者のアドレスは使えません。",
    ),
    field("変更日", Cell::Date, Becomes::Noted, true, "年から書いてください。"),
    REASON,
];

const STAFF_PLEDGE: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    field("氏名", Cell::Line, Becomes::Noted, true, "従事者1人につき1行。"),
    field("職種", Cell::Line, Becomes::Noted, false, "看護師、ケアマネジャーなど。"),
    field("誓約日", Cell::PastDate, Becomes::Noted, true, "誓約書を受け取った日。"),
];

const CONSENT: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    PATIENT,
    field("患者氏名", Cell::Line, Becomes::PatientName, true, "ワープロ打ちで、被保険者証の文字のとおりに。"),
    field("患者氏名ふりがな", Cell::Kana, Becomes::PatientKana, true, "ひらがなかカタカナで。"),
    field("生年月日", Cell::PastDate, Becomes::OfPatient, false, "年から書いてください。"),
    field(
        "住所",
        Cell::PostalAddress,
        Becomes::OfPatient,
        false,
        "同意書の控えのため。システムには保存されません。",
    ),
    field("同意日", Cell::PastDate, Becomes::Consent, true, "年から書いてください。"),
    field("署名した方", SIGNER, Becomes::Noted, true, "本人、代理者（代筆）、家族のどれか。"),
    field("続柄", Cell::Line, Becomes::Noted, false, "代理者・家族のとき（長女、夫など）。氏名は書かない。"),
    field(
        "説明者氏名",
        Cell::Line,
        Becomes::Noted,
        true,
        "説明書を用いて説明した方（主治医、又は主治医の指示を受けた職員）。",
    ),
    field("患者・家族のSNS参加", JOINING, Becomes::Opens, true, "患者・家族もSNSを使うかどうか。"),
];

const REMOVAL: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    field("解除の範囲", EXTENT, Becomes::Opens, true, "職員だけの解除は、管理画面で行ってください。"),
    PATIENT,
    PATIENT_NAME,
    field("解除希望日", Cell::Date, Becomes::Noted, true, "年から書いてください。"),
    REASON,
];

const WITHDRAWAL: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    PATIENT,
    field("患者氏名", Cell::Line, Becomes::PatientName, true, "登録と同じ文字で。"),
    field("申し出た方", SIGNER, Becomes::Noted, true, "本人、代理者、家族のどれか。"),
    field("続柄", Cell::Line, Becomes::Noted, false, "代理者・家族のとき。氏名は書かない。"),
    field("申出日", Cell::PastDate, Becomes::Noted, true, "年から書いてください。"),
    field("申出を受けた方", Cell::Line, Becomes::Noted, true, "かかりつけ医など、書類を提出する方。"),
    field(
        "直ちに消去",
        YES_NO,
        Becomes::Answer(Question::Immediately, "はい"),
        true,
        "「いいえ」なら7日の間は思い直せます。見られなくなるのはどちらも直ちにです。",
    ),
];

const TEAM_ENTRY: &[Field] = &[
    CASE,
    CODE,
    KIND,
    NAME,
    PATIENT,
    field("患者氏名", Cell::Line, Becomes::PatientName, true, "登録と同じ文字で。"),
    field(
        "事業所は新規参加",
        YES_NO,
        Becomes::Answer(Question::FacilityNew, "はい"),
        true,
        "「はい」のときは様式1と様式2も一緒に。",
    ),
    field("患者・家族のSNS参加", FAMILY, Becomes::Opens, true, "このチームに患者・家族がいるかどうか。"),
    field("連携元事業所", Cell::Line, Becomes::Noted, false, "チームを作った事業所（かかりつけ医など）。"),
    field("申請日", Cell::Date, Becomes::Noted, true, "年から書いてください。"),
];

/// Which case a form opens when it belongs to none that waits: its word of `Becomes::Opens`, and whether the patient is
/// known already.
pub fn opens(form: Form, word: &str, patient_known: bool) -> Option<Flow> {
    Some(match form {
        Form::FacilityPledge | Form::StaffPledge => Flow::C12,
        Form::Change => Flow::C11,
        Form::Consent if word == JOINS && patient_known => Flow::C8,
        Form::Consent if word == JOINS => Flow::C2,
        Form::Consent => Flow::C1,
        Form::Removal if word == ALL_TEAMS => Flow::C4,
        Form::Removal => Flow::C7,
        Form::Withdrawal => Flow::C10,
        Form::TeamEntry if word == FAMILY_IN => Flow::C6,
        Form::TeamEntry => Flow::C5,
        Form::Application | Form::Ledger => return None,
    })
}

/// May the facility still be unknown? Its 様式1 comes with it.
pub fn of_newcomer(form: Form) -> bool {
    matches!(form, Form::FacilityPledge | Form::StaffPledge | Form::Consent | Form::TeamEntry)
}

/// A heading in any width, with marks that people add.
pub fn find(form: Form, text: &str) -> Option<(usize, &'static Field)> {
    let word = heading_word(text);
    fields(form).iter().enumerate().find(|(_, field)| heading_word(field.heading) == word)
}

/// Of the form's headings the one that is nearest.
pub fn nearest(form: Form, text: &str) -> &'static str {
    let word = heading_word(text);
    let distance = |field: &&Field| strsim::levenshtein(&word, &heading_word(field.heading));
    fields(form).iter().min_by_key(distance).map_or("", |field| field.heading)
}

fn heading_word(text: &str) -> String {
    fold_word(text).replace(['※', '*', '（', '）', '(', ')'], "").replace("必須", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_forms::{Need, needs};

    /// E-M: whatever case a form opens needs that form.
    #[test]
    fn e_m_a_form_opens_only_cases_that_need_it() {
        for form in FORMS {
            let words = fields(form).iter().find(|field| field.becomes == Becomes::Opens);
            let words: &[&str] = match words.map(|field| field.cell) {
                Some(Cell::Choice(words)) => words,
                _ => &[""],
            };
            for word in words {
                for known in [false, true] {
                    let flow = opens(form, word, known).unwrap();
                    let needed = needs(flow).iter().any(|need| match need {
                        Need::Must(needed) | Need::When(needed, ..) => *needed == form,
                    });
                    assert!(needed, "{form:?} opens {flow:?}");
                }
            }
        }
    }

    #[test]
    fn headings_are_distinct_and_every_form_says_whose_it_is() {
        for form in FORMS {
            let fields = fields(form);
            assert!(fields.iter().any(|field| field.becomes == Becomes::Code && field.must), "{form:?}");
            for (place, field) in fields.iter().enumerate() {
                assert_eq!(
                    find(form, field.heading).map(|(found, _)| found),
                    Some(place),
                    "{}",
                    field.heading
                );
                assert!(field.hint.ends_with('。'), "{}", field.heading);
            }
        }
        assert_eq!(find(Form::Change, "新しい事業所名（必須）").unwrap().1.heading, "新しい事業所名");
        assert_eq!(nearest(Form::Change, "新しい事業者名"), "新しい事業所名");
    }

    /// Ruling 10: nothing that names a patient is kept with the case.
    #[test]
    fn what_names_a_patient_is_never_noted() {
        for field in FORMS.into_iter().flat_map(fields) {
            let names = ["患者氏名", "生年月日", "住所"].iter().any(|word| field.heading.starts_with(word));
            assert!(!names || field.becomes != Becomes::Noted, "{}", field.heading);
        }
    }
}
