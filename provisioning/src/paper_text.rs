//! The words of 様式2 to 様式8: title, what is declared or explained, who signs. The association may have its own wording;
//! this one says what the procedure requires (E-02 … E-08, E-10, J-07 … J-09, J-20, J-21). Data. Pure.

use crate::flow_forms::Form;

/// What is printed around a form's fields.
pub struct Words {
    pub title: &'static str,
    /// Under the title; `{realm}` is the realm's name.
    pub opening: &'static str,
    /// Numbered.
    pub articles: &'static [&'static str],
    /// Lines to be signed.
    pub signatures: &'static [&'static str],
    /// From whom to whom.
    pub route: &'static str,
    pub copies: &'static str,
}

pub fn words(form: Form) -> Option<Words> {
    Some(match form {
        Form::FacilityPledge => FACILITY_PLEDGE,
        Form::Change => CHANGE,
        Form::StaffPledge => STAFF_PLEDGE,
        Form::Consent => CONSENT,
        Form::Removal => REMOVAL,
        Form::Withdrawal => WITHDRAWAL,
        Form::TeamEntry => TEAM_ENTRY,
        Form::Application | Form::Ledger => return None,
    })
}

const FACILITY_PLEDGE: Words = Words {
    title: "利用に係る施設又は組織誓約書",
    opening: "「{realm}」の利用にあたり、次のことを誓約します。",
    articles: &[
        "個人情報の保護に関する法律その他の法令と、運用のきまりを守ります。",
        "患者の支援に必要な範囲で、必要な者だけに利用させます。",
        "利用する従事者と業務情報保持に関する誓約書（様式4）を交わし、管理者と利用者に定期的に教育を行います。",
        "端末、ID、パスワード、証明書を台帳で管理し、異動・退職・紛失のときは直ちに手続きをします。",
        "漏えいその他の事故を知ったときは、直ちに事務局に報告します。",
        "利用を終えた後も、知り得た情報を漏らしません。",
    ],
    signatures: &["代表者（署名又は記名押印）"],
    route: "施設 → 事務局",
    copies: "様式1と一緒に提出してください。",
};

const CHANGE: Words = Words {
    title: "変更申請書（事業所用）",
    opening: "「{realm}」に届け出た内容を、次のとおり変更します。",
    articles: &[],
    signatures: &["代表者（署名又は記名押印）"],
    route: "施設 → 事務局",
    copies: "変わる項目だけを記入してください。管理画面ログイン用メールアドレスの変更は原則としてできません。",
};

const STAFF_PLEDGE: Words = Words {
    title: "業務情報保持に関する誓約書",
    opening: "私は、「{realm}」を業務で利用するにあたり、次のことを誓約します。",
    articles: &[
        "就業規則やマニュアルなどの諸規定を守り、患者等の個人情報をはじめ、業務で知り得た一切の情報を許可なく漏らしません。",
        "退職した後も、知り得た情報を漏らしません。",
        "情報機器を適切に取り扱い、管理します。貸与された機器か書面で許可された機器だけを使い、許可なく複写や持ち出しをせず、要らなくなった情報は速やかに消去します。",
        "事業者が定めた目的以外に利用しません。与えられた権限を超えた操作をしません。",
        "患者その他の第三者のプライバシーその他の権利を侵害しません。",
    ],
    signatures: &["従事者（署名又は記名押印）", "事業所の長"],
    route: "従事者 → 施設（施設で保管）",
    copies: "同等の誓約書を既に交わしているときは省略できます。事務局に送る必要はありません。",
};

const CONSENT: Words = Words {
    title: "個人情報使用説明書・同意書",
    opening: "「{realm}」では、あなたの医療・介護・福祉に関わる人だけが、次のように情報をやりとりします。",
    articles: &[
        "目的：あなたの生活を支えるために、医療・介護・福祉の関係者が速やかに、正しく連携することです。",
        "方法：許可された端末だけがつながる、閉じたネットワークと暗号化された通信を使います。",
        "条件：必要最小限の関係者が、必要最小限の内容だけを扱います。関係しない人は見ることができません。個人情報は法令と運用のきまりで守られます。",
        "やりとりする情報：氏名、生年月日、住所、連絡先、病歴、治療・検査・薬の内容、日々の状態（体の写真や動画を含む）、関係する施設。",
        "権利：特定の情報のやりとりを断ることができます。いつでも、連携元の事業所を通じて、利用の中止や消去を求めることができます。中止しても不利益はありません。",
        "費用：あなたとご家族の費用負担はありません。",
        "問い合わせ先：連携元の事業所、又は事務局（下の連絡先）。",
    ],
    signatures: &[
        "説明を受け、同意します。　本人　氏名",
        "代理者（代筆のとき）　氏名・続柄",
        "ご家族　氏名・続柄",
        "説明者　事業所名・氏名",
    ],
    route: "患者・家族 → 施設 → 事務局",
    copies: "2部作り、1部を患者又はご家族に渡してください。正確を期すため、ワープロ打ちで記入してください。",
};

const REMOVAL: Words = Words {
    title: "利用解除申込書（事業所用）",
    opening: "「{realm}」の利用の解除を、次のとおり申し込みます。",
    articles: &[
        "解除すると、過去の記事を見ることはできなくなります。",
        "事業所が書いた記事は、支援を続けるチームのために残ります。",
    ],
    signatures: &["代表者（署名又は記名押印）"],
    route: "施設 → 事務局",
    copies: "職員一人の解除は、施設内管理者が管理画面で行い、台帳に記録してください。",
};

const WITHDRAWAL: Words = Words {
    title: "同意撤回書",
    opening: "「{realm}」における個人情報の使用への同意を撤回し、内容の完全な削除を求めます。",
    articles: &[
        "受け付けると、すべての事業所から直ちに見られなくなります。",
        "書かれた内容は、待機期間（7日）の後、又は直ちに消去され、元に戻すことはできません。",
        "撤回によって、医療や介護のサービスに不利益はありません。",
    ],
    signatures: &["申し出た方　氏名・続柄", "申出を受けた方　事業所名・氏名"],
    route: "患者・家族 → 施設 → 事務局",
    copies: "かかりつけ医などが、事務局に提出してください。",
};

const TEAM_ENTRY: Words = Words {
    title: "チーム登録申請書（事業所用）",
    opening: "「{realm}」の、既にあるチームへの参加を、次のとおり申請します。",
    articles: &["患者の支援に関わる職員だけを、チームに加えます。"],
    signatures: &["代表者（署名又は記名押印）"],
    route: "施設 → 事務局",
    copies: "新規の事業所は、様式1と様式2も一緒に提出してください。",
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paper_field::FORMS;

    #[test]
    fn every_form_has_its_words() {
        for form in FORMS {
            let words = words(form).unwrap();
            assert!(words.opening.contains("{realm}") && !words.signatures.is_empty(), "{form:?}");
        }
    }

    /// J-20: purpose, no cost, protected information, stop at any time through the 連携元; J-21: the rest of the consent.
    /// Requirements E-05, J-09.
    #[test]
    fn j_20_j_21_the_explanation_says_what_it_must() {
        let words = words(Form::Consent).unwrap();
        let text = format!("{}{}{}", words.articles.concat(), words.signatures.concat(), words.copies);
        for needed in [
            "目的",
            "費用負担はありません",
            "守られます",
            "いつでも",
            "連携元",
            "最小限",
            "断る",
            "問い合わせ先",
            "2部",
            "説明者",
            "代筆",
        ] {
            assert!(text.contains(needed), "{needed}");
        }
    }

    /// E-04: the five points of the printed 様式4.
    #[test]
    fn e_04_the_pledge_has_its_five_points() {
        let text = words(Form::StaffPledge).unwrap().articles;
        assert_eq!(text.len(), 5);
        for (article, needed) in text.iter().zip(["漏らしません", "退職", "機器", "目的以外", "プライバシー"])
        {
            assert!(article.contains(needed), "{needed}");
        }
    }
}
