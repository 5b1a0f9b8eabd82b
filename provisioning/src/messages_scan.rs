//! The catalogue of what scans say: MM-584x to MM-586x. The same shape as `messages.rs`: an entry that misses a text does not
//! compile (ruling 12). Pure.

use crate::door::{Trouble, TroubleKind};
use crate::messages::{Entry, Text};

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident $({ $($field:ident: $type:ty),* })? => $code:literal $kind:ident
        { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ScanMessage { $($name $({ $($field: $type),* })?),* }

        impl ScanMessage {
            /// Every entry, for the printed catalogue and the help page.
            pub const ENTRIES: &[Entry] = &[$(Entry {
                code: $code, ja: $ja, en: $en, remedy_ja: $remedy_ja, remedy_en: $remedy_en,
            }),*];

            pub fn text(&self) -> Text {
                match self {
                    $(ScanMessage::$name $({ $($field),* })? => Text {
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
    // 584x: a file that is not read
    FileKind => "MM-5840" Usage {
        "スキャンとして読める種類のファイルではありません。", "It is no kind of file that a scan comes in.",
        "PNG、JPEG、TIFF（FAXのものも）かPDFで保存して、取り込み直してください。", "Save it as PNG, JPEG, TIFF (a FAX's, too) or PDF."
    }
    FileTooLarge { limit_mib: usize } => "MM-5841" Usage {
        "ファイルが大きすぎます（{limit_mib} MiBまで）。", "The file is too large (at most {limit_mib} MiB).",
        "分けて取り込むか、白黒かグレー、300 dpiまでで取り直してください。", "Split it, or scan in grey at no more than 300 dpi."
    }
    PagesTooMany { limit: usize } => "MM-5842" Usage {
        "一度に取り込めるのは{limit}ページまでです。", "At most {limit} pages are taken at once.",
        "束を分けて取り込んでください。", "Split the pile."
    }
    PageTooLarge { page: usize, limit_million: u64 } => "MM-5843" Usage {
        "{page}ページの画像が大きすぎます（{limit_million}百万画素まで）。", "The picture of page {page} is too large (at most {limit_million} million dots).",
        "白黒は600 dpi、グレーとカラーは400 dpiまでで取り直してください。", "Scan at no more than 600 dpi in black and white, 400 dpi otherwise."
    }
    WorkTooMuch { page: usize } => "MM-5844" Usage {
        "{page}ページまでで、一度に扱える大きさを超えました。", "By page {page} it is more than is worked on at once.",
        "束を分けて取り込んでください。", "Split the pile."
    }
    PageUnreadable { page: usize, kind: &'static str } => "MM-5845" Usage {
        "{page}ページの画像（{kind}）が読めません。", "The picture of page {page} ({kind}) cannot be read.",
        "そのページを取り直すか、TIFFかJPEGで保存してください。", "Scan that page again, or save it as TIFF or JPEG."
    }
    PdfLocked => "MM-5846" Usage {
        "PDFに暗号がかかっています。", "The PDF is encrypted.",
        "暗号をかけずに保存し直してください。", "Save it without encryption."
    }
    PdfPage { page: usize } => "MM-5847" Usage {
        "PDFの{page}ページは、一枚の画像ではありません。", "Page {page} of the PDF is not one picture.",
        "紙をスキャンしたPDFか、TIFF・JPEGを使ってください（高圧縮PDFは切る）。記入された表計算は「様式」から取り込みます。", "Use a plain scan (no high-compression PDF), TIFF or JPEG; a filled-in workbook is taken with the forms."
    }
    FileBroken { kind: &'static str } => "MM-5848" Usage {
        "{kind}の作りが壊れていて読めません。", "The {kind} is broken and cannot be read.",
        "もう一度保存するか、取り直してください。", "Save it again, or scan again."
    }
    FilesTooMany { limit: usize } => "MM-5849" Usage {
        "一度に取り込めるのは{limit}ファイルまでです。", "At most {limit} files are taken at once.",
        "分けて取り込んでください。", "Take them in parts."
    }
    // 585x: why a page waits to be sorted
    NoCode => "MM-5850" Usage {
        "様式のQRコードが見つかりません。", "No code of a form is found.",
        "画像を見て案件を選んでください。", "Look at it and choose the case."
    }
    OtherRealm => "MM-5851" Usage {
        "よその協議会の様式のQRコードです。", "It is the code of another association's form.",
        "届け間違いなら返送し、この協議会の手続きなら案件を選んでください。", "Send it back, or choose the case if it is ours after all."
    }
    CodeBroken => "MM-5852" Usage {
        "QRコードが様式のものとして読めません。", "The code reads like a form's and is none.",
        "画像を見て案件を選んでください。印刷し直した様式かもしれません。", "Look at it and choose the case."
    }
    NoCase { form: &'static str } => "MM-5853" Usage {
        "{form}の空欄の用紙です。案件番号がありません。", "It is a blank {form}: it names no case.",
        "案件がまだなければ「手続き」で開いてから、案件を選んでください。", "Open its case if there is none yet, then choose it."
    }
    CaseUnknown { case: String } => "MM-5854" NotFound {
        "案件{case}はありません。", "There is no case {case}.",
        "画像を見て案件を選んでください。", "Look at it and choose the case."
    }
    CaseClosed { case: String } => "MM-5855" Conflict {
        "案件{case}は終わっています。", "Case {case} is closed.",
        "新しい手続きなら案件を開いて選び、終わった案件の書類なら、その案件を選んでください。", "Open a new case and choose it, or choose the closed one if it belongs there."
    }
    HashDiffers { case: String } => "MM-5856" Conflict {
        "QRコードの照合が案件{case}の内容と合いません。", "The code's hash is not what case {case} says.",
        "印刷の後に登録が変わったか、手を加えた用紙です。画像を見て、案件を確かめてから選んでください。", "Something was changed since it was printed; look at it before you choose the case."
    }
    CodesTwo => "MM-5857" Usage {
        "一枚に様式のQRコードが二つ以上あります。", "There are several forms' codes on the page.",
        "重なって読まれていないか、画像を見て確かめてください。", "See whether two papers lie over one another."
    }
    Follows => "MM-5858" Usage {
        "仕分け待ちの用紙の続きのページです。", "It follows a page that waits to be sorted.",
        "前のページと同じ案件を選んでください。", "Choose the same case as for the page before it."
    }
    WaitsForPatient { case: String } => "MM-5859" Conflict {
        "案件{case}の患者がまだ登録されていません。", "The patient of case {case} is not registered yet.",
        "同意書のとおりに患者を登録して案件に結び付けると、この用紙は患者の鍵で保管されます。", "Register the patient and attach them to the case; it is then kept under the patient's key."
    }
    // 586x: one page
    ScanUnknown => "MM-5860" NotFound {
        "このスキャンはありません。", "There is no such scan.",
        "一覧から選び直してください。", "Choose it from the list."
    }
    ScanGone => "MM-5861" Conflict {
        "このスキャンは破棄されたか、保管期限が過ぎました。", "This scan was thrown away, or its time is over.",
        "要るときは、紙から取り直してください。", "Scan the paper again."
    }
    ScanErased => "MM-5862" Conflict {
        "このスキャンは、患者の鍵とともに消去されました。", "This scan was erased with the patient's key.",
        "内容はどの複製からも戻せません（同意撤回書だけは別に保管されています）。", "It comes back from no copy; only the withdrawal of consent is kept apart."
    }
    ScanLost => "MM-5863" Conflict {
        "このスキャンを開く鍵がありません。", "The key of this scan is gone.",
        "仕分け待ちの鍵は控えに含まれません。紙から取り直し、これは破棄してください。", "The tray's key is in no backup: scan the paper again and throw this away."
    }
    ScanFiled { case: String } => "MM-5864" Conflict {
        "このスキャンはもう案件{case}にあります。", "This scan is with case {case} already.",
        "案件の画面で見られます。", "See it on the case's page."
    }
    ScanKey { why: String } => "MM-5865" TryLater {
        "患者の鍵で封をできません（{why}）。", "It cannot be sealed under the patient's key ({why}).",
        "何も取り込んでいません。しばらくして、もう一度取り込んでください。", "Nothing was taken; try again later."
    }
    NoFile => "MM-5866" Usage {
        "ファイルが選ばれていません。", "No file is chosen.",
        "スキャンのファイルを一つ以上選んでください。", "Choose at least one file."
    }
}

impl ScanMessage {
    pub fn code(&self) -> &'static str {
        self.text().code
    }

    pub fn trouble(&self) -> Trouble {
        let Text { code, kind, ja, en, remedy_ja, remedy_en } = self.text();
        Trouble { code: code.to_owned(), kind, ja, en, remedy_ja, remedy_en }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_ordered_and_ours() {
        let codes: Vec<&str> = ScanMessage::ENTRIES.iter().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(codes.iter().all(|code| ("MM-5840".."MM-5870").contains(code)));
    }
}
