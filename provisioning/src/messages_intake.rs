//! The catalogue of what comes in by itself or at once, the bounce mailbox and the registers taken over: MM-594x and
//! MM-595x. The same shape as `messages.rs`: an entry that misses a text does not compile (ruling 12). Pure.

use crate::door::{RowFault, Trouble, TroubleKind};
use crate::messages::{Entry, Text};

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident $({ $($field:ident: $type:ty),* })? => $code:literal $kind:ident
        { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum IntakeMessage { $($name $({ $($field: $type),* })?),* }

        impl IntakeMessage {
            /// Every entry, for the printed catalogue and the help page.
            pub const ENTRIES: &[Entry] = &[$(Entry {
                code: $code, ja: $ja, en: $en, remedy_ja: $remedy_ja, remedy_en: $remedy_en,
            }),*];

            pub fn text(&self) -> Text {
                match self {
                    $(IntakeMessage::$name $({ $($field),* })? => Text {
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
    // 594x: registers taken over
    TakeoverRow { what: String } => "MM-5941" Usage {
        "この行が指す事業所「{what}」が、様式1のシートにありません。", "The row refers to \"{what}\", which is not on the sheet of facilities.",
        "様式1のシートに加えるか、事業所番号と種別を直してください。", "Add it there, or correct code and kind."
    }
    SlotTaken { slot: String, by: String } => "MM-5942" Conflict {
        "VPN番号{slot}は「{by}」のものです。", "{slot} belongs to \"{by}\".",
        "番号を確かめてください。一つの番号は一つの事業所だけが持てます。", "A number belongs to one facility only."
    }
    TakeoverUnknown { batch: String } => "MM-5943" NotFound {
        "引継ぎ{batch}に、開始や取消を待つその事業所はありません。", "In the take-over {batch} no such facility waits to begin or to be taken back.",
        "takeover list で番号と状態を確かめてください。", "Look at `takeover list`."
    }
    TakeoverUsed { why: &'static str, why_en: &'static str } => "MM-5944" Conflict {
        "引き継いだ後に使い始めているため、元に戻せません（{why}）。", "It has been used since and cannot be taken back ({why_en}).",
        "事業所の終了の手続きで終えてください。", "End it by its own procedure."
    }
    YearForm { given: String } => "MM-5945" Usage {
        "「{given}」は年度ではありません。", "\"{given}\" is not a fiscal year.",
        "2025 か 令和7年度 のように書いてください。複数は「、」で区切ります。", "Write 2025 or 令和7年度; separate several with a comma."
    }
    SlotForm { given: String } => "MM-5946" Usage {
        "「{given}」は、この領域のVPN番号ではありません。", "\"{given}\" is no slot number of this realm.",
        "18-0042 のように、系列と4桁で書いてください。", "Write series and four digits: 18-0042."
    }
    TakeoverNoSlot { name: String } => "MM-5947" Conflict {
        "「{name}」には発行を待つVPN番号がありません。", "\"{name}\" has no number that waits to be issued.",
        "VPN番号のシートに書いて引き継ぎ直すか、端末の追加の手続きで始めてください。", "Take it over again with its numbers, or begin by adding a device."
    }
    TakeoverPerson { name: String } => "MM-5948" Conflict {
        "このメールアドレスは、登録済みの「{name}」のものです。", "This address is registered for \"{name}\".",
        "同じ方なら登録どおりの氏名を、別の方なら別のアドレスを書いてください。一つのアドレスは一人だけが使えます。",
        "Write the name as registered if it is the same person; another person needs another address."
    }
    SlotCooling { slot: String, until: String } => "MM-5949" Conflict {
        "VPN番号{slot}は返された番号で、{until}までほかの事業所に渡せません。", "{slot} was given back and is nobody's before {until}.",
        "その日を待つか、別の番号にしてください。", "Wait until then, or take another number."
    }
    CaseNoPatient { case: String } => "MM-5950" Conflict {
        "案件{case}は、患者についての手続きではありません。", "Case {case} is about no patient.",
        "「手続き」で種類を確かめ、患者についての案件を開いてください。", "Look at its kind, and open a case that is about a patient."
    }
    // 595x: the bounce mailbox
    BoxOff => "MM-5951" Conflict {
        "戻りメールの受信箱が設定されていません。", "No bounce mailbox is configured.",
        "設定ファイルの [bounces] に server、username、password_file を書くか、戻ってきたメールを mail bounce で渡してください。",
        "Write `server`, `username` and `password_file` in [bounces] of the configuration, or hand mails over with `mail bounce`."
    }
    BoxAway { why: String } => "MM-5952" TryLater {
        "戻りメールの受信箱のサーバーにつながりません（{why}）。", "The bounce mailbox's server cannot be reached ({why}).",
        "自動でまた試します。続くときは bounces.server と bounces.port、回線を確かめてください。",
        "It is tried again by itself; if it lasts, look at bounces.server, bounces.port and the line."
    }
    BoxStranger { why: String } => "MM-5953" Conflict {
        "戻りメールの受信箱のサーバーが、証明書で確かめられません（{why}）。パスワードは送っていません。",
        "The bounce mailbox's server cannot be told by its certificate ({why}); the password was not sent.",
        "bounces.server の名前と mail.ca_file を確かめてください。合っていれば、事業者か回線の管理者に知らせてください。",
        "Look at bounces.server and mail.ca_file; if they are right, tell the provider or whoever keeps the line."
    }
    BoxRefused { why: String } => "MM-5954" Conflict {
        "戻りメールの受信箱のサーバーに断られました（{why}）。", "The bounce mailbox's server refused ({why}).",
        "bounces.username、パスワード、bounces.folder を確かめてください。", "Look at bounces.username, the password and bounces.folder."
    }
    BoxOdd { why: String } => "MM-5955" Conflict {
        "戻りメールの受信箱のサーバーの答えが、IMAPとして読めません（{why}）。何も消していません。",
        "What the bounce mailbox's server says is no IMAP ({why}); nothing was deleted.",
        "bounces.server と bounces.port が IMAPS（993）を指しているか確かめてください。", "See that bounces.server and bounces.port name an IMAPS server (993)."
    }
    BoxAccount { why: String } => "MM-5956" Conflict {
        "戻りメールの受信箱の設定が使えません（{why}）。", "The bounce mailbox's settings cannot be used ({why}).",
        "bounces.server、username、folder、パスワードは印字できる英数字と記号で書き、mail.ca_file は証明書（PEM）にしてください。",
        "Server, account, folder and password are printable ASCII; mail.ca_file holds certificates (PEM)."
    }
    CasePatientFixed { case: String } => "MM-5957" Conflict {
        "案件{case}は、すでに患者との手続きが進んでいるので、患者を選び直せません。", "Case {case} has gone on with its patient, who cannot be chosen any more.",
        "患者が違うときは、この案件を取り下げ、紐づけを解いてから、正しい患者で新しい案件を開いてください。",
        "If it is the wrong patient, withdraw the case, unlink what was linked, and open one for the right patient."
    }
}

impl IntakeMessage {
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
        let codes: Vec<&str> = IntakeMessage::ENTRIES.iter().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(codes.iter().all(|code| ("MM-5940".."MM-5960").contains(code)));
    }
}
