//! What somebody typed after `flow`. Pure declarations.

use clap::{Args, Subcommand, ValueEnum};

#[derive(Debug, Subcommand)]
pub enum FlowCommand {
    /// 一覧: 途中のものが先 / cases, open ones first
    List,
    /// 一件の手順、書類、送ったメール / one case: steps, papers, mails
    Show {
        /// 案件の番号 / case
        case: String,
    },
    /// 案件を開く（C-1 … C-12、P-16 電話連絡、P-22 終了） / open a case
    Open(OpenArgs),
    /// 書類が届いた（様式6 など） / a form arrived
    Form {
        /// 案件の番号 / case
        case: String,
        /// 様式1 … 様式8、管理台帳 / form
        form: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 質問に答える / answer a question
    Answer {
        /// 案件の番号 / case
        case: String,
        /// 質問の名前（flow show で確かめる） / name of the question
        question: String,
        /// はい、いいえ / yes, no
        #[arg(value_enum)]
        answer: YesNo,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 電話の記録と本人確認（P-16） / note a call and how the caller was recognised
    Call(CallArgs),
    /// 様式3で変わる項目（name, code, telephone, postal-address, representative） / a field that form 3 changes
    Change {
        /// 案件の番号 / case
        case: String,
        /// 項目 / field
        field: String,
        /// 新しい内容 / new value
        value: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 登録した事業所を案件に結び付ける / attach the facility registered meanwhile
    Attach {
        /// 案件の番号 / case
        case: String,
        /// 事業所の番号 / facility id
        facility: pki::FacilityId,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 登録した患者を案件に結び付ける / attach the patient registered meanwhile
    Patient {
        /// 案件の番号 / case
        case: String,
        /// 患者番号 / patient id
        patient: pki::PatientId,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 書類不備: 足りないものを知らせる / tell what is missing
    Incomplete {
        /// 案件の番号 / case
        case: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 取下げ（受理の前だけ） / withdrawn by the applicant, before acceptance
    Withdraw {
        /// 案件の番号 / case
        case: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 手順を行う / do a step
    Step {
        /// 案件の番号 / case
        case: String,
        /// 手順の番号（例 C-4.4） / step
        step: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// 確認を記録する / note a confirmation
    Confirm {
        /// 案件の番号 / case
        case: String,
        /// 手順の番号（例 C-4.4） / step
        step: String,
        /// 確認の方法（電話、FAX、書面） / how it was confirmed
        #[arg(long)]
        how: String,
        /// 確かめるだけ / write nothing
        #[arg(long)]
        dry_run: bool,
    },
}

#[derive(Debug, Args)]
pub struct OpenArgs {
    /// 手続き（C-1 … C-12、P-16、P-22） / flow
    pub flow: String,
    /// 事業所 / facility
    #[arg(long)]
    pub facility: Option<pki::FacilityId>,
    /// 患者（チーム） / patient
    #[arg(long)]
    pub patient: Option<pki::PatientId>,
    /// 離脱する方（C-9） / who leaves
    #[arg(long)]
    pub membership: Option<pki::MembershipId>,
    /// 届いた書類（何度でも） / forms that came with it
    #[arg(long = "form", value_name = "FORM")]
    pub forms: Vec<String>,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Debug, Args)]
pub struct CallArgs {
    /// 案件の番号 / case
    pub case: String,
    /// かけてきた方（患者の氏名は書かない） / who called, no patient's name
    #[arg(long)]
    pub caller: String,
    /// 電話番号 / telephone number
    #[arg(long)]
    pub number: String,
    /// 時刻 / when
    #[arg(long)]
    pub at: String,
    /// どう本人と確かめたか / how they were recognised
    #[arg(long)]
    pub recognised_by: String,
    /// 確かめるだけ / write nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    /// はい / yes
    Yes,
    /// いいえ / no
    No,
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::args::Typed;

    #[test]
    fn commands_of_the_handbook_are_understood() {
        for line in [
            "mimamori flow list",
            "mimamori flow show 2026-00042 -o json",
            "mimamori flow open C-4 --facility f-aaaaaaaaaaaaaaaa --form 様式6 --dry-run",
            "mimamori flow form 2026-00042 様式6",
            "mimamori flow answer 2026-00042 all-teams yes",
            "mimamori flow call 2026-00042 --caller 長女 --number 0776 --at 10:00 --recognised-by 折返し",
            "mimamori flow change 2026-00042 name さくら",
            "mimamori flow attach 2026-00042 f-aaaaaaaaaaaaaaaa",
            "mimamori flow step 2026-00042 C-4.3 --dry-run",
            "mimamori flow confirm 2026-00042 C-4.6 --how 電話",
            "mimamori flow incomplete 2026-00042",
            "mimamori flow withdraw 2026-00042",
        ] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_ok(), "{line}");
        }
        for line in ["mimamori flow", "mimamori flow answer c q maybe", "mimamori flow confirm c s"] {
            assert!(Typed::try_parse_from(line.split_whitespace()).is_err(), "{line}");
        }
    }
}
