//! The catalogue of what the papers say: MM-59xx. The third part of the room's catalogue; the same shape as `messages.rs`: an entry that misses a text does not compile (ruling 12). Pure.

use crate::door::{RowFault, Trouble, TroubleKind};
use crate::messages::{Entry, Text};

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident $({ $($field:ident: $type:ty),* })? => $code:literal $kind:ident
        { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum PaperMessage { $($name $({ $($field: $type),* })?),* }

        impl PaperMessage {
            /// Every entry, for the printed catalogue and the help page.
            pub const ENTRIES: &[Entry] = &[$(Entry {
                code: $code, ja: $ja, en: $en, remedy_ja: $remedy_ja, remedy_en: $remedy_en,
            }),*];

            pub fn text(&self) -> Text {
                match self {
                    $(PaperMessage::$name $({ $($field),* })? => Text {
                        code: $code,
                        kind: TroubleKind::$kind,
                        ja: format!($ja),
                        en: format!($en),
                        remedy_ja: format!($remedy_ja),
                        remedy_en: format!($remedy_en),
                    }),*
                }
            }
        }
    };
}

catalogue! {
    // 590x: printing
    FontMissing { path: String } => "MM-5901" Conflict {
        "印刷用の書体（{path}）がありません。", "The font for printing ({path}) is missing.",
        "書体のパッケージ（fonts-ipaexfont-gothic、fonts-vlgothic）を入れて起動し直すか、表計算の様式を使ってください。", "Install fonts-ipaexfont-gothic and fonts-vlgothic and start again, or use the .xlsx forms meanwhile."
    }
    FontBroken { why: String } => "MM-5902" Internal {
        "印刷用の書体が読めません（{why}）。", "The font for printing cannot be read ({why}).",
        "書体のパッケージを入れ直してください。", "Reinstall the font's package."
    }
    FontLacks { given: String } => "MM-5903" Usage {
        "「{given}」は印刷用の書体にない文字です。", "The font for printing has no \"{given}\".",
        "別の文字で登録し直すか、手書きで補ってください。置き換えて印刷することはしません。", "Register it with another character, or write it by hand; nothing is replaced silently."
    }
    PagesTooMany { limit: usize } => "MM-5904" Usage {
        "{limit}ページを超えます。", "It would have more than {limit} pages.",
        "分けて印刷するか、表計算の形で受け取ってください。", "Print parts of it, or take it as a spreadsheet."
    }
    // 591x: a returned form
    FormUnclear { known: String } => "MM-5911" Usage {
        "どの様式のファイルか分かりません。", "It is not clear which form the file is.",
        "シートの名前を {known} のどれかにするか、様式を指定して取り込んでください。", "Name the sheet after one of {known}, or say which form it is."
    }
    FormOther { form: &'static str } => "MM-5912" Usage {
        "{form}はこの取り込みの対象ではありません。", "{form} is not imported here.",
        "様式1〜8を取り込めます。管理台帳は施設が保管するもので、施設の「管理台帳」から取り込みます。", "Forms 1 to 8 are taken here; the ledger is the facility's own, on its own page."
    }
    HeadingUnknown { given: String, nearest: &'static str } => "MM-5913" Usage {
        "見出し「{given}」はこの様式にありません。", "The heading \"{given}\" is not of this form.",
        "「{nearest}」のことでしたら書き直し、そうでなければ列を削除してください。", "If it means \"{nearest}\", write that; otherwise delete the column."
    }
    ChoiceForm { given: String, known: String } => "MM-5914" Usage {
        "「{given}」は選べる言葉ではありません。", "\"{given}\" is not one of the choices.",
        "{known} のどれかを選んでください。", "Choose one of {known}."
    }
    CodeUnknown { given: String } => "MM-5915" NotFound {
        "事業所番号「{given}」の事業所は登録されていません。", "No facility has the code \"{given}\".",
        "番号を確かめてください。新しい事業所なら様式1を先に取り込んでください。", "Check it; a new facility sends form 1 first."
    }
    KindNeeded { kinds: String } => "MM-5916" Usage {
        "この番号の事業所が二つ以上あります（{kinds}）。", "Several facilities have this code ({kinds}).",
        "種別の列に、どの事業所か書いてください。", "Say which in the column 種別."
    }
    NameDiffers { registered: String } => "MM-5917" Usage {
        "登録された名称は「{registered}」です。", "It is registered as \"{registered}\".",
        "同じ事業所か確かめてください。名称が変わったときは様式3を受け付けてください。", "See whether it is the same one; a new name comes with form 3."
    }
    PatientNone => "MM-5918" NotFound {
        "この患者のチームが見つかりません。", "No team of this patient is found.",
        "患者番号を書くか、登録したときの氏名と同じに書いてください。新しい患者の様式5は、事業所が登録された後に管理画面から取り込みます。", "Write the number, or the name as registered; form 5 of a new patient is imported on the screen, once its facility is registered."
    }
    PatientMany => "MM-5919" Conflict {
        "同じ氏名の患者が二人以上います。", "Several patients have this name.",
        "患者番号の列に、どの方か書いてください。", "Write the patient's number."
    }
    PatientNeeded => "MM-5920" Usage {
        "一つのチームの手続きには、患者番号か患者氏名が要ります。", "Which patient's team is missing.",
        "患者番号か患者氏名を書いてください。", "Write the patient's number or name."
    }
    CaseOther { case: String } => "MM-5921" Conflict {
        "案件{case}は、この事業所・患者のものではないか、もう受理されています。", "Case {case} is of another facility or patient, or is accepted already.",
        "案件番号を確かめてください。空欄なら新しい案件になります。", "Check the number; a blank one opens a new case."
    }
    NothingChanged => "MM-5922" Usage {
        "変わる項目が一つも書かれていません。", "Nothing on the form changes.",
        "「新しい…」の列のどれかに記入してください。", "Fill one of the columns that begin with 新しい."
    }
    AdminByCall => "MM-5923" Usage {
        "管理画面用アドレスと施設内管理者の変更は、折り返しの本人確認の後に行います。", "The admin and the address change after a call back (G-04).",
        "登録番号へ折り返してから、事業所の画面の「直す」で変えてください。", "Call the registered number back, then change it on the facility's page."
    }
    DateAhead { given: String } => "MM-5924" Usage {
        "「{given}」はまだ来ていない日です。", "\"{given}\" has not come yet.",
        "年を確かめてください。", "Check the year."
    }
    PatientTwice => "MM-5925" Usage {
        "同じ新しい患者の行が二つあります。", "The same new patient stands in two rows.",
        "一人を一行にしてください。同姓同名の別の方なら、ファイルを分けて取り込んでください。", "One row for each; import namesakes with files of their own."
    }
    FormEmpty { form: &'static str } => "MM-5926" Usage {
        "{form}に記入された行がありません。", "No row of {form} is filled in.",
        "2行目から記入し、保存してから取り込んでください。", "Write from row 2 on, save, and import again."
    }
    // 593x: 管理台帳
    LedgerRow { what: String } => "MM-5931" Usage {
        "台帳の「{what}」は、この事業所の登録と結び付きません。", "\"{what}\" of the ledger belongs to nobody registered here.",
        "IDかVPN番号を、書き出した台帳のとおりに戻してください。新しい人は「利用者」から登録します。", "Restore the ID or number as exported; new people are registered on their own page."
    }
    LedgerFixed { column: String } => "MM-5932" Usage {
        "「{column}」は台帳からは変えられません。", "\"{column}\" is not changed by the ledger.",
        "書き出したときの値に戻すか、台帳を書き出し直してください。変更はその画面で行います。", "Restore it, or export the ledger again; a change has a page of its own."
    }
}

impl PaperMessage {
    pub fn code(&self) -> &'static str {
        self.text().code
    }

    pub fn trouble(&self) -> Trouble {
        let Text { code, kind, ja, en, remedy_ja, remedy_en } = self.text();
        Trouble { code: code.to_owned(), kind, ja, en, remedy_ja, remedy_en }
    }

    /// The same, about one cell.
    pub fn at(&self, row: u32, column: &str) -> RowFault {
        let Text { code, ja, en, remedy_ja, remedy_en, .. } = self.text();
        RowFault {
            row,
            column: column.to_owned(),
            sheet: None,
            cell: None,
            given: String::new(),
            expected_ja: String::new(),
            code: code.to_owned(),
            reason_ja: ja,
            reason_en: en,
            remedy_ja,
            remedy_en,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_ours() {
        let codes: Vec<&str> = PaperMessage::ENTRIES.iter().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(codes.iter().all(|code| ("MM-5900".."MM-5940").contains(code)));
    }
}
