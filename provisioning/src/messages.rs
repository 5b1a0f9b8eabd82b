//! The catalogue of what intake, acceptance and slots say: MM-50xx to MM-53xx.
//! One table gives code, kind, both languages and both remedies together; an entry that misses a text
//! does not compile (ruling 12). `messages_people.rs` is the other half of the room. Pure.

use vpn::slot::{Series, SlotNumber};

use crate::door::{RowFault, Trouble, TroubleKind};

/// Longest piece of somebody's text that a message repeats.
const SHOWN_MAX: usize = 40;

/// Everything a message says, in one value: no field can be forgotten.
pub struct Text {
    pub code: &'static str,
    pub kind: TroubleKind,
    pub ja: String,
    pub en: String,
    pub remedy_ja: String,
    pub remedy_en: String,
}

/// An entry of the catalogue; `{name}` stands where a message puts its own value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub code: &'static str,
    pub ja: &'static str,
    pub en: &'static str,
    pub remedy_ja: &'static str,
    pub remedy_en: &'static str,
}

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident $({ $($field:ident: $type:ty),* })? => $code:literal $kind:ident
        { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum Message { $($name $({ $($field: $type),* })?),* }

        impl Message {
            /// Every entry, for the printed catalogue and the help page.
            pub const ENTRIES: &[Entry] = &[$(Entry {
                code: $code, ja: $ja, en: $en, remedy_ja: $remedy_ja, remedy_en: $remedy_en,
            }),*];

            pub fn text(&self) -> Text {
                match self {
                    $(Message::$name $({ $($field),* })? => Text {
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
    Internal { what: String } => "MM-5000" Internal {
        "内部の処理に失敗しました（{what}）。", "Something failed inside ({what}).",
        "時間をおいてやり直し、続くときは保守担当に番号を伝えてください。", "Try again; if it stays, tell the engineer this code."
    }
    DiskFull => "MM-5013" TryLater {
        "ディスクに空きがないため、保存できません。何も変わっていません。", "The disk is full and nothing could be saved; nothing has changed.",
        "サーバーのディスクを空けてから、もう一度実行してください。再起動はいりません。", "Free some disk space and do it again; nothing needs a restart."
    }
    // 51xx: the file of applications (様式1)
    FileEmpty => "MM-5101" Usage {
        "ファイルに申込の行がありません。", "The file holds no application.",
        "様式1の2行目から申込を記入し、保存してから取り込んでください。", "Write the applications from row 2 on, save, and import again."
    }
    FileTooLarge { limit_kib: usize } => "MM-5102" Usage {
        "ファイルが大きすぎます（上限{limit_kib}KiB）。", "The file is larger than {limit_kib} KiB.",
        "画像や不要なシートを消すか、いくつかに分けてください。", "Remove pictures and other sheets, or split the file."
    }
    FileLocked => "MM-5103" Usage {
        "パスワード付きのファイルです。", "The file has a password.",
        "パスワードを外し、「Excelブック（.xlsx）」で保存し直してください。", "Remove the password and save it as .xlsx."
    }
    FileUnreadable { why: String } => "MM-5104" Usage {
        "Excelファイルとして読めません（{why}）。", "The file cannot be read as .xlsx ({why}).",
        "Excelで開いて「Excelブック（.xlsx）」で保存し直してください。", "Open it in Excel and save it as .xlsx again."
    }
    FileText { row: u32 } => "MM-5105" Usage {
        "{row}行目付近に、UTF-8・UTF-16・シフトJIS（CP932）のどれとしても読めない文字があります。", "Near row {row} the text is neither UTF-8, UTF-16 nor CP932.",
        "Excelで開き、「CSV UTF-8（コンマ区切り）」か「Excelブック（.xlsx）」で保存し直してください。", "Open it in Excel and save it as \"CSV UTF-8\" or .xlsx."
    }
    FileRows { limit: usize } => "MM-5106" Usage {
        "行が多すぎます（上限{limit}行）。", "The file has more than {limit} rows.",
        "ファイルを分けて取り込んでください。", "Split the file."
    }
    FileColumns { limit: usize } => "MM-5107" Usage {
        "列が多すぎます（上限{limit}列）。", "The file has more than {limit} columns.",
        "様式1の列だけにしてください。", "Keep only the columns of the form."
    }
    SheetUnclear { found: String } => "MM-5108" Usage {
        "シート「様式1」が見つかりません（あるシート: {found}）。", "There is no sheet named 様式1 (found: {found}).",
        "申込を書いたシートの名前を「様式1」にしてください。", "Name the sheet with the applications 様式1."
    }
    FileRagged { row: u32 } => "MM-5109" Usage {
        "{row}行目の引用符（\"）が、ファイルの終わりまで閉じていません。", "The quotation mark (\") in row {row} is never closed.",
        "{row}行目の引用符を閉じるか消してください。", "Close or remove the quotation mark in row {row}."
    }
    FileKind { found: &'static str } => "MM-5110" Usage {
        "このファイルは{found}で、様式1として読めません。", "The file is not a form but something else ({found}).",
        "申込の表を「Excelブック（.xlsx）」か「CSV」で保存し、それを取り込んでください。", "Save the table as .xlsx or CSV and import that."
    }
    HeadingUnknown { given: String, nearest: &'static str } => "MM-5111" Usage {
        "見出し「{given}」は様式1にありません。", "The heading \"{given}\" is not of the form.",
        "「{nearest}」のことでしたら書き直し、そうでなければ列を削除してください。", "If it means \"{nearest}\", write that; otherwise delete the column."
    }
    HeadingMissing => "MM-5112" Usage {
        "この見出しの列がありません。", "The column with this heading is missing.",
        "様式1のとおりに列を加えてください（値が任意の列は空欄でかまいません）。", "Add the column (its cells may stay blank where the form allows it)."
    }
    HeadingMissingNear { found: String } => "MM-5113" Usage {
        "この見出しの列がありません（「{found}」と書かれた列が近いです）。", "The column with this heading is missing (\"{found}\" comes near).",
        "「{found}」の見出しを書き直すか、列を加えてください。", "Correct the heading \"{found}\", or add the column."
    }
    HeadingTwice => "MM-5114" Usage {
        "同じ見出しの列が二つあります。", "Two columns have this heading.",
        "片方の列を削除してください。", "Delete one of them."
    }
    SheetHidden { sheet: String } => "MM-5115" Usage {
        "シート「{sheet}」が非表示になっています。", "The sheet \"{sheet}\" is hidden.",
        "シートを再表示し、内容を確かめてから保存してください。", "Unhide it, look at what it holds, and save again."
    }
    FileMacros => "MM-5116" Usage {
        "マクロの入ったファイル（.xlsm）は取り込みません。", "A file with macros (.xlsm) is not imported.",
        "「Excelブック（.xlsx）」で保存し直してください。マクロは要りません。", "Save it as .xlsx; no macro is needed."
    }
    // 52xx: a cell
    CellEmpty => "MM-5201" Usage {
        "空欄です。", "The cell is empty.",
        "必ず記入してください。", "This cell is needed."
    }
    CellTooLong { limit: usize } => "MM-5202" Usage {
        "長すぎます（上限{limit}文字）。", "The text is longer than {limit} characters.",
        "短くしてください。", "Make it shorter."
    }
    CellControl => "MM-5203" Usage {
        "改行など、使えない文字が入っています。", "The cell holds a line break or another control character.",
        "1行で書き直してください。", "Write it on one line."
    }
    CellFormula { given: String } => "MM-5204" Usage {
        "数式「{given}」が入っていて、計算した値がありません。", "The cell holds a formula (\"{given}\") without a value.",
        "数式ではなく値を書いてください（コピーして「値の貼り付け」）。", "Write the value itself (copy, paste values)."
    }
    CellError { given: String } => "MM-5205" Usage {
        "Excelのエラー「{given}」が入っています。", "The cell holds Excel's error \"{given}\".",
        "値を書き直してください。", "Write the value."
    }
    CellMerged { range: String } => "MM-5206" Usage {
        "セル{range}が結合されています。", "The cells {range} are merged.",
        "結合を解除し、1行に1つの申込となるように、それぞれのセルに書いてください。", "Unmerge them and write each cell, one application a row."
    }
    CellDate { given: String } => "MM-5207" Usage {
        "Excelが日付「{given}」に変えています。", "Excel has made a date (\"{given}\") of it.",
        "セルの書式を「文字列」にしてから、元のとおりに入力し直してください。", "Format the cell as text and type it again."
    }
    CellGaiji { given: String } => "MM-5208" Usage {
        "「{given}」に、このパソコンだけの文字（外字）か読めない文字があります。", "\"{given}\" holds a character of one computer only, or an unreadable one.",
        "一般の文字（例: 髙、﨑）で書き直してください。", "Write it with characters that every computer has."
    }
    CellComputed => "MM-5209" Usage {
        "数式の計算結果を使います。", "The value was calculated by a formula.",
        "値が正しいか確かめてください。正しければこのままで取り込めます。", "Look whether it is right; if so, it can stay."
    }
    CellExponent { given: String } => "MM-5210" Usage {
        "Excelが「{given}」と指数で保存したため、元の番号が失われています。", "Excel saved \"{given}\": the digits are lost.",
        "セルの書式を「文字列」にし、元の番号を入力し直してください。", "Format the cell as text and type the number again."
    }
    CodeLength { given: String, length: usize } => "MM-5211" Usage {
        "事業所番号「{given}」は{length}桁です。10桁でなければなりません。", "The facility code \"{given}\" has {length} characters; it must have 10.",
        "指定通知書の番号を確かめてください。先頭の0が消えたときは、セルの書式を「文字列」にして入力し直してください。",
        "Compare it with the notice of designation; if Excel dropped a leading 0, format the cell as text."
    }
    CodeForm { given: String } => "MM-5212" Usage {
        "事業所番号「{given}」に使えない文字があります。", "The facility code \"{given}\" holds a character that does not belong there.",
        "数字10桁（3桁目だけは英字も可）で書いてください。", "Write ten digits; only the third may be a letter."
    }
    CodeCheck { given: String } => "MM-5213" Usage {
        "事業所番号「{given}」の検証番号（末尾）が合いません。", "The check digit of \"{given}\" does not match.",
        "写し間違いがないか申込者に確かめてください。正しければこのままで取り込めます。", "Ask the applicant; if it is right, it can stay."
    }
    CodeReserved { given: String } => "MM-5214" Usage {
        "事業所番号「{given}」は事務局のものです。", "The code \"{given}\" belongs to the secretariat.",
        "申込者の番号を書いてください。", "Write the applicant's own code."
    }
    CodeTwice { row: u32 } => "MM-5215" Conflict {
        "同じ事業所番号と種別が{row}行目にもあります。", "Row {row} has the same code and kind.",
        "二重の申込でしたら片方を削除してください。", "Delete one of the two."
    }
    CodeRegistered { facility: String } => "MM-5216" Conflict {
        "この事業所番号と種別は「{facility}」で登録済みです。", "This code and kind are registered as \"{facility}\".",
        "内容の変更は様式3で受け付けてください。", "Changes come with form 3."
    }
    CodeApplied { case: String } => "MM-5217" Conflict {
        "この事業所の申込は{case}で受付済みですが、内容が違います。", "Case {case} already holds an application of this facility with other contents.",
        "先の申込を確かめ、どちらが正しいか決めてください。", "Look at that case and decide which one is right."
    }
    CodeZeroLost { given: String, meant: String } => "MM-5218" Usage {
        "事業所番号「{given}」は9桁です。Excelが先頭の0を消したと思われます（正しくは「{meant}」でしょうか）。", "The code \"{given}\" has 9 digits; Excel probably ate a leading 0 (\"{meant}\"?).",
        "指定通知書と照らし、セルの書式を「文字列」にして10桁で入力し直してください。", "Compare it with the notice of designation, format the cell as text, and type all ten."
    }
    KindUnknown { given: String, nearest: &'static str } => "MM-5221" Usage {
        "種別「{given}」は一覧にありません。", "The kind \"{given}\" is not on the list.",
        "「{nearest}」など、様式1の一覧から選んでください。", "Choose from the list of the form, perhaps \"{nearest}\"."
    }
    AddressForm { given: String } => "MM-5231" Usage {
        "「{given}」はメールアドレスの形ではありません。", "\"{given}\" is not a mail address.",
        "名前@事業所のドメイン の形で書いてください。", "Write it as name@domain."
    }
    AddressTwice { row: u32 } => "MM-5232" Conflict {
        "同じメールアドレスが{row}行目にもあります。", "Row {row} has the same mail address.",
        "施設内管理者ごとに別のアドレスにしてください。", "Each administrator needs an address of their own."
    }
    AddressAdmin => "MM-5233" Conflict {
        "このメールアドレスは、ほかの事業所の管理画面で使われています。", "This address already signs in to another facility's console.",
        "施設内管理者ごとに別のアドレスにしてください。", "Each administrator needs an address of their own."
    }
    AddressUser => "MM-5234" Conflict {
        "このメールアドレスは利用者（職員）として登録済みです。", "This address is registered as a user's.",
        "管理画面用には、利用者と別のアドレスが必要です。", "The console needs an address that no user has."
    }
    AddressCarrier { domain: String } => "MM-5235" Usage {
        "携帯電話会社のアドレス（{domain}）です。", "The address is a mobile carrier's ({domain}).",
        "事業所のアドレスを勧めてください（H-03）。事情があればこのままで取り込めます。", "Suggest an address of the facility; it can stay."
    }
    TelephoneForm { given: String } => "MM-5241" Usage {
        "「{given}」は電話番号の形ではありません。", "\"{given}\" is not a telephone number.",
        "市外局番から、0776-00-0000 のように書いてください。", "Write it with the area code: 0776-00-0000."
    }
    TelephoneZeroLost { given: String, meant: String } => "MM-5242" Usage {
        "電話番号「{given}」の先頭の0が消えています（正しくは「{meant}」でしょうか）。", "The telephone number \"{given}\" has lost its leading 0 (\"{meant}\"?).",
        "セルの書式を「文字列」にし、市外局番の0から入力し直してください。", "Format the cell as text and type it with the area code's 0."
    }
    CountForm { given: String } => "MM-5251" Usage {
        "VPN申請数「{given}」は数ではありません。", "\"{given}\" is not a number of VPNs.",
        "0から10の数を書くか、Web会議を使わないときは空欄にしてください。", "Write a number from 0 to 10, or leave it blank."
    }
    CountUnusual { given: u32, usual: u32 } => "MM-5252" Usage {
        "VPN申請数が{given}です（原則{usual}）。", "{given} VPNs are asked for; the rule is {usual}.",
        "理由を申込者に確かめてください。正しければこのままで取り込めます。", "Ask for the reason; if it is right, it can stay."
    }
    CountTooMany { given: u32, limit: u32 } => "MM-5253" Usage {
        "VPN申請数{given}は上限{limit}を超えています。", "{given} VPNs are more than the limit of {limit}.",
        "{limit}以下にし、追加は受理後に申請してください。", "Ask for {limit} at most, and for more after the acceptance."
    }
    YesNoForm { given: String } => "MM-5261" Usage {
        "「{given}」は「参加」か空欄で答えてください。", "\"{given}\" is neither 参加 nor blank.",
        "参加しているときは「参加」、いないときは「不参加」か空欄にしてください。", "Write 参加, 不参加, or leave it blank."
    }
    DateForm { given: String } => "MM-5271" Usage {
        "「{given}」は日付として読めません。", "\"{given}\" is not a date.",
        "2026/4/1 か 令和8年4月1日 のように、年から書いてください。", "Write it with the year, as 2026/4/1 or 令和8年4月1日."
    }
    DateAhead { given: String } => "MM-5272" Usage {
        "受付日「{given}」はまだ来ていません。", "The day of receipt \"{given}\" has not come yet.",
        "申込書が届いた日を書いてください。", "Write the day on which the form arrived."
    }
    KanaForm { given: String } => "MM-5281" Usage {
        "ふりがな「{given}」に漢字があります。", "The reading \"{given}\" holds kanji.",
        "ひらがなかカタカナで書いてください。分からないときは空欄でかまいません。", "Write it in kana, or leave it blank."
    }
    // 53xx: cases and slots
    CaseUnknown { case: String } => "MM-5301" NotFound {
        "案件{case}はありません。", "There is no case {case}.",
        "case list で番号を確かめてください。", "Look at `case list`."
    }
    CaseNotWaiting { case: String, state: &'static str } => "MM-5302" Conflict {
        "案件{case}は「{state}」で、受理を待っていません。", "Case {case} does not wait for acceptance; it is {state}.",
        "何も変わっていません。続きは case show で確かめてください。", "Nothing was changed; see `case show`."
    }
    StepTooEarly { step: &'static str, missing: &'static str } => "MM-5303" Conflict {
        "手順{step}の前に、{missing}が済んでいません。", "Step {step} comes after {missing}, which is still open.",
        "先の手順を終えてください。", "Finish the earlier step first."
    }
    FacilityExists { name: String } => "MM-5304" Conflict {
        "同じ事業所番号と種別の「{name}」が登録済みです。", "\"{name}\" is registered with the same code and kind.",
        "二重の申込です。案件を差し戻してください。", "The application is a second one; return it."
    }
    SlotUnknown { slot: SlotNumber } => "MM-5311" NotFound {
        "VPN番号{slot}は一度も割り当てられていません。", "Slot {slot} was never allotted.",
        "slot list で番号を確かめてください。", "Look at `slot list`."
    }
    SlotsExhausted { series: Series } => "MM-5312" Conflict {
        "系列{series}に空いたVPN番号が足りません。", "Series {series} has not enough free numbers.",
        "再割当待ちが明けるのを待つか、系列を加えてください。", "Wait for cooling numbers, or add a series."
    }
    QuotaReached { quota: u32 } => "MM-5313" Conflict {
        "事業所の端末数の上限（{quota}）に達します。", "The facility would exceed its quota of {quota} devices.",
        "施設内管理者の「端末を追加」から、理由を添えて申請してください。事務局が承認すると増えます。",
        "The facility's admin asks for more under 端末を追加; the secretariat's approval raises it."
    }
    OfficeExists => "MM-5321" Conflict {
        "事務局は登録済みです。", "The secretariat is registered already.",
        "初期設定は一度だけです。", "`init` runs once."
    }
    OfficeMissing => "MM-5322" Conflict {
        "事務局が登録されていません。", "The secretariat is not registered.",
        "mimamori init を先に行ってください。", "Run `mimamori init` first."
    }
    AuditBroken { number: u64 } => "MM-5331" Internal {
        "監査記録の{number}番目が前の記録とつながりません。", "Entry {number} of the audit trail does not follow from what stands before it.",
        "記録に触れず、保守担当と事務局長に知らせてください。", "Touch nothing; tell the engineer and the head of the office."
    }
    // 534x: letters
    LetterUnknown { letter: String } => "MM-5341" NotFound {
        "送信箱に{letter}はありません。", "There is no letter {letter} in the outbox.",
        "mail list で番号を確かめてください。", "Look at `mail list`."
    }
    LetterSent { letter: String } => "MM-5342" Conflict {
        "{letter}は送信済みで、中身は消去されています。", "Letter {letter} has left and its contents are wiped.",
        "届いていないときは、再発行してください（slot reissue）。用紙はそのまま使えます。", "If it never arrived, reissue it (`slot reissue`); the sheet stays good."
    }
    LetterCancelled { letter: String } => "MM-5343" Conflict {
        "{letter}は取り消されています（利用停止・再発行・期限切れ）。", "Letter {letter} was cancelled (revoked, reissued or out of date).",
        "本登録を待つ端末なら再発行し（slot reissue）、そうでなければ新しい端末として発行してください。", "Reissue it while it waits to be enrolled (`slot reissue`); otherwise issue a new device."
    }
    MailOff => "MM-5344" Conflict {
        "メールの送信サーバーが設定されていません。接続設定一式はフォルダーに書き出されます。", "No smarthost is configured; bundles are written to the folder.",
        "設定ファイルの [mail] smarthost と from を書いてください。", "Write `smarthost` and `from` in [mail] of the configuration."
    }
    BounceNone { why: String } => "MM-5345" Usage {
        "このメールは、こちらから送ったメールの戻りとして読めません（{why}）。", "This mail is no bounce of ours ({why}).",
        "戻り用の受信箱のメールを、そのままの形（.eml）で渡してください。", "Hand over the mail of the bounce mailbox as it is (.eml)."
    }
    // 535x: fees
    FiscalYearForm { given: String } => "MM-5351" Usage {
        "年度「{given}」は使えません。", "\"{given}\" is not a fiscal year.",
        "西暦4桁で書いてください（令和8年度は2026）。", "Write the year in which it begins, such as 2026."
    }
    FacilityAbsent { facility: String } => "MM-5352" NotFound {
        "事業所{facility}はありません。", "There is no facility {facility}.",
        "facility list で番号を確かめてください。", "Look at `facility list`."
    }
    IssuerNumberMissing => "MM-5353" Conflict {
        "適格請求書発行事業者の登録番号がないので、請求書を発行できません。", "Without the issuer's registration number no invoice can be issued.",
        "「料金表と設定」で登録番号（T…）を入れてください（mimamori fee set issuer-number T…）。", "Set it with `mimamori fee set issuer-number T…`, or only look with --dry-run."
    }
    InvoiceUnknown { invoice: String } => "MM-5354" NotFound {
        "請求書{invoice}はありません。", "There is no invoice {invoice}.",
        "fee list で番号を確かめてください。", "Look at `fee list`."
    }
    InvoiceClosed { invoice: String, on: String } => "MM-5355" Conflict {
        "請求書{invoice}は{on}に入金済みか、取り消されています。", "Invoice {invoice} was paid on {on}, or is void.",
        "二重の入金でしたら、事業所に返金を連絡してください。", "If it was paid twice, tell the facility."
    }
    SettingForm { name: String, given: String } => "MM-5356" Usage {
        "設定「{name}」に「{given}」は使えません。", "The setting \"{name}\" cannot be \"{given}\".",
        "「料金表と設定」で名前と選べる値を確かめてください（mimamori fee settings）。", "Look at `mimamori fee settings` for names and values."
    }
    HolderForm { given: String } => "MM-5357" Usage {
        "口座名義「{given}」に、銀行で使えない文字があります。", "The account holder \"{given}\" holds a letter that banks do not have.",
        "通帳のカナ名義のとおりに、カナ・英大文字・数字で書いてください。", "Write the name in kana as the passbook has it."
    }
    AccountForm { ja: &'static str, en: &'static str } => "MM-5358" Usage {
        "口座の{ja}が正しくありません。", "The account's {en} is not right.",
        "預金口座振替依頼書と照らして、書き直してください。", "Compare it with the customer's mandate."
    }
    DebitSetting { what: String } => "MM-5359" Conflict {
        "口座振替に必要な設定がありません: {what}。", "Direct debit lacks a setting: {what}.",
        "「料金」の設定で、銀行との契約のとおりに登録してください。", "Set it under fees as agreed with the bank."
    }
    DebitFile { ja: String, en: String } => "MM-5360" Usage {
        "口座振替のファイル{ja}。", "The direct debit file{en}.",
        "何も取り込んでいません。銀行から受け取ったままのファイルか確かめてください。", "Nothing was taken over; make sure that it is the bank's own file."
    }
    // 536x: the cases of the flows
    CaseStepUnknown { case: String, step: String } => "MM-5361" NotFound {
        "案件{case}に手順{step}はありません。", "Case {case} has no step {step}.",
        "flow show {case} で手順を確かめてください。", "Look at `flow show {case}`."
    }
    CaseTooEarly { step: String, missing: String } => "MM-5362" Conflict {
        "手順{step}の前に、{missing}が済んでいません。", "Step {step} comes after {missing}, which is still open.",
        "先の手順を終えてください。", "Finish the earlier step first."
    }
    CaseMissing { missing: String } => "MM-5363" Conflict {
        "受理に足りないものがあります: {missing}。", "Missing before acceptance: {missing}.",
        "届いた書類と質問の答えを先に記録してください（flow form、flow answer）。足りないことは「書類不備」で知らせられます（flow incomplete）。",
        "Note papers with `flow form`, answers with `flow answer`; `flow incomplete` tells the applicant."
    }
    CaseOver { case: String } => "MM-5364" Conflict {
        "案件{case}は終わっています。", "Case {case} is over.",
        "続きがあるときは、新しい案件を開いてください。", "Open a new case if there is more."
    }
    CaseBegun { case: String } => "MM-5365" Conflict {
        "案件{case}は受理済みなので、答えや書類の扱いは変えられません。", "Case {case} was accepted; what it was accepted on stays.",
        "誤りでしたら、反対の手続きの案件を開いてください。", "Open a case of the opposite flow if it was wrong."
    }
    CaseNotYet { from: String } => "MM-5366" Conflict {
        "消去は{from}からです。", "Nothing may be erased before {from}.",
        "待機期間は、ご家族が考え直すための時間です。待ってください。", "The waiting time is the family's; wait."
    }
    CaseConfirmation { step: String } => "MM-5367" Usage {
        "手順{step}は、この方法では閉じられません（確認は flow confirm、ほかは flow step）。", "Step {step} is not closed this way (confirmations: `flow confirm`, others: `flow step`).",
        "画面・電話・FAX・書面のどれで確認したかを書いてください。", "Say how it was confirmed."
    }
    CaseFacilityMissing { case: String } => "MM-5368" Conflict {
        "案件{case}に事業所が結び付いていません。", "Case {case} has no facility.",
        "様式1を受理して事業所を登録し、flow attach で結び付けてください。", "Accept form 1 and use `flow attach`."
    }
    CasePatientMissing { case: String } => "MM-5369" Conflict {
        "案件{case}に患者（チーム）が結び付いていないので、宛先が分かりません。", "Case {case} has no patient, so nobody knows whom to tell.",
        "患者を指定して案件を開き直してください。", "Open the case again with its patient."
    }
    CaseMemberMissing { case: String } => "MM-5370" Conflict {
        "案件{case}に、離脱する方が指定されていません。", "Case {case} does not say who leaves.",
        "離脱する方を指定して案件を開き直してください。", "Open the case again with the membership."
    }
    CaseChangesMissing { case: String } => "MM-5371" Conflict {
        "案件{case}に、変更する内容が記録されていません。", "Case {case} changes nothing yet.",
        "様式3の内容を flow change で記録してください。", "Note what form 3 changes with `flow change`."
    }
    BundleMissing { case: String } => "MM-5372" Conflict {
        "案件{case}の事業所には、接続設定一式がまだ用意されていません。", "No bundle was made yet for the facility of case {case}.",
        "case accept で様式1を受理すると、接続設定一式が送られます。", "`case accept` makes and sends it."
    }
    WordUnknown { given: String, known: String } => "MM-5373" Usage {
        "「{given}」は使えません（{known}）。", "\"{given}\" is not one of: {known}.",
        "一覧のどれかを書いてください。", "Write one of them."
    }
}

impl Message {
    pub fn code(&self) -> &'static str {
        self.text().code
    }

    pub fn trouble(&self) -> Trouble {
        let Text { code, kind, ja, en, remedy_ja, remedy_en } = self.text();
        Trouble { code: code.to_owned(), kind, ja, en, remedy_ja, remedy_en }
    }

    /// The same, about one cell of a form; where it stands is added by who knows the table.
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

/// As much of somebody's text as a message may repeat.
pub fn shown(text: &str) -> String {
    let mut shown: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_MAX).collect();
    if text.chars().count() > SHOWN_MAX {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_which_one_in_both_languages() {
        let trouble = Message::CaseUnknown { case: "2026-00042".into() }.trouble();
        assert!(trouble.ja.contains("2026-00042") && trouble.en.contains("2026-00042"));
        assert_eq!(trouble.kind, TroubleKind::NotFound);
        let fault = Message::CellEmpty.at(7, "事業所名");
        assert_eq!((fault.row, fault.column.as_str(), fault.code.as_str()), (7, "事業所名", "MM-5201"));
    }

    #[test]
    fn codes_are_unique_ordered_and_ours() {
        let codes: Vec<&str> = Message::ENTRIES.iter().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(codes.iter().all(|code| ("MM-5000".."MM-5400").contains(code)));
        for entry in Message::ENTRIES {
            assert!(
                [entry.ja, entry.en, entry.remedy_ja, entry.remedy_en].iter().all(|text| !text.is_empty())
            );
        }
    }

    #[test]
    fn nobody_fills_our_screen_with_a_long_cell() {
        assert_eq!(shown(&"あ".repeat(500)).chars().count(), SHOWN_MAX + 1);
        assert_eq!(shown("a\nb"), "ab");
    }
}
