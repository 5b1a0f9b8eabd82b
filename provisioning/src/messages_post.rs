//! The catalogue of the office's outgoing post: MM-597x to MM-599x. The same shape as `messages.rs`: an entry that misses a text does not compile (ruling 12). Pure.

use crate::door::{Trouble, TroubleKind};
use crate::messages::{Entry, Text};

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident $({ $($field:ident: $type:ty),* })? => $code:literal $kind:ident
        { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum PostMessage { $($name $({ $($field: $type),* })?),* }

        impl PostMessage {
            /// Every entry, for the printed catalogue and the help page.
            pub const ENTRIES: &[Entry] = &[$(Entry {
                code: $code, ja: $ja, en: $en, remedy_ja: $remedy_ja, remedy_en: $remedy_en,
            }),*];

            pub fn text(&self) -> Text {
                match self {
                    $(PostMessage::$name $({ $($field),* })? => Text {
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
    // 597x: the way to a facility
    ChannelGone => "MM-5971" Conflict {
        "接続設定一式か用紙がもう出ているため、届け方は変えられません。", "Bundle or sheet has gone out already: the way is no longer changed.",
        "届かないときは、端末の再発行か、戻った郵便の手続きで送り直してください。", "If it does not arrive, reissue it, or note the post that came back."
    }
    ChannelPrinting => "MM-5972" Conflict {
        "印刷した封筒が発送待ちのため、届け方は変えられません。", "An envelope of it is printed and waits to be posted.",
        "その発送を取り消してから、変えてください。", "Undo that run first."
    }
    ChannelNoAddress => "MM-5973" Conflict {
        "管理者にメールアドレスがないため、メールでは届けられません。", "The admin has no mail address.",
        "二通の封筒か手渡しを選ぶか、先に様式3でメールアドレスを登録してください。", "Choose two envelopes or by hand, or register an address first."
    }
    LetterOnPaper => "MM-5974" Conflict {
        "この届け先には紙で送ります。メールでは送れません。", "It goes on paper and is not mailed.",
        "発送の画面から印刷してください。", "Print it on the page of the outgoing post."
    }
    SheetUsed { slot: String } => "MM-5975" Conflict {
        "VPN番号{slot}の用紙は、もう使われています。", "The sheet of {slot} was used already.",
        "端末を失効し、端末の追加からやり直してください。", "Revoke the device and add it again."
    }
    // 598x: printing, sending, coming back
    AddressLong { given: String } => "MM-5981" Usage {
        "「{given}」は、封筒の窓に収まりません。", "\"{given}\" does not fit into the window.",
        "所在地か名称を短く登録し直すか（様式3）、手で書いた封筒で送ってください。切って印刷することはしません。", "Register a shorter address or name (form 3), or write the envelope by hand; nothing is cut off."
    }
    LabelStart { given: u32, limit: u32 } => "MM-5982" Usage {
        "ラベルの開始位置{given}は、1から{limit}までではありません。", "Label {given} is not on the sheet, which has {limit}.",
        "台紙に残っている最初のラベルの番号を、左上から右へ数えて書いてください。", "Count the first label that is left, along the rows."
    }
    AddressMissing => "MM-5983" Usage {
        "所在地が登録されていません。", "No postal address is registered.",
        "様式3で所在地を登録するか、届け方を手渡しにしてください。", "Register it (form 3), or choose to hand it over."
    }
    NothingDue => "MM-5984" Conflict {
        "いま発送できるものはありません。", "Nothing is due for the post.",
        "2通目は、1通目を発送した次の営業日から出せます。", "The second envelope follows on the next business day after the first."
    }
    NothingFits { why: String } => "MM-5985" Conflict {
        "印刷できるものがありません（{why}）。", "Nothing of it can be printed ({why}).",
        "登録を直してから、もう一度まとめてください。", "Mend what is registered, then take the run again."
    }
    RunUnknown { given: String } => "MM-5986" NotFound {
        "発送「{given}」はありません。", "There is no run \"{given}\".",
        "発送の一覧で番号を確かめてください。", "Look at `post list`."
    }
    RunClosed { run: String } => "MM-5987" Conflict {
        "発送{run}は、発送済みか取り消し済みです。", "The run {run} was sent or undone.",
        "出し直すものは、新しい発送にまとめてください。", "Take what goes out again into a new run."
    }
    SecretPrinted { run: String } => "MM-5988" Conflict {
        "発送{run}の番号とパスワードは、一度印刷したため、もう印刷できません。", "The secrets of {run} were printed once and are gone.",
        "紙が手元にあれば、そのまま封筒に入れてください。失くしたときは、発送を取り消し、用紙を再発行してください（post new-sheet）。", "Use the paper that was printed; if it is lost, undo the run and issue new sheets (`post new-sheet`)."
    }
    PieceGone { item: String } => "MM-5989" Conflict {
        "{item}の中身は、端末の失効などで取り消されています。", "What {item} held was cancelled meanwhile.",
        "この発送を取り消し、もう一度まとめてください。", "Undo this run and take it again."
    }
    NotPrinted { run: String } => "MM-5990" Conflict {
        "発送{run}は、まだ印刷していません。", "The run {run} was not printed.",
        "先に印刷してください。", "Print it first."
    }
    SentBefore { on: String } => "MM-5991" Usage {
        "{on}は、この発送をまとめた日より前です。", "{on} is before the run was taken.",
        "封筒を出した日を書いてください。", "Say the day on which it left."
    }
    TooSoon { slot: String, from: String } => "MM-5992" Conflict {
        "VPN番号{slot}のもう一方の封筒を出したばかりです。{from}から出せます。", "The other envelope of {slot} has just left; this one may from {from} on.",
        "その日まで待ってください。二通は同じ日に出しません。", "Wait until then: the two never travel on one day."
    }
    ItemUnknown { given: String } => "MM-5994" NotFound {
        "郵便「{given}」はありません。", "There is no piece of post \"{given}\".",
        "封筒の中の紙の下にある発送番号を確かめてください。", "The number stands at the foot of the paper in the envelope."
    }
    ItemNotOut { item: String } => "MM-5995" Conflict {
        "{item}は、発送済みではないか、もう戻ったと記録されています。", "{item} is not on its way.",
        "発送の番号を確かめてください。", "Check its number."
    }
    ReturnBefore { on: String } => "MM-5996" Usage {
        "{on}は、発送した日より前です。", "{on} is before it was sent.",
        "戻ってきた日を書いてください。", "Say the day on which it came back."
    }
    ItemSettled { item: String } => "MM-5997" Conflict {
        "{item}は、戻っていないか、手続きが済んでいます。", "{item} did not come back, or was settled.",
        "戻った郵便の一覧を確かめてください。", "Look at `post back`."
    }
    OpenedReissue => "MM-5998" Conflict {
        "封筒が開いていたため、中身はもう使えません。", "The envelope was open: what it held is not used again.",
        "再発行してください。", "Issue it anew."
    }
    NoSecret => "MM-5999" Usage {
        "秘密の入っていない郵便は、再発行しません。", "What holds no secret is not issued anew.",
        "もう一度送るか、電話で済ませてください。", "Send it again, or settle it by telephone."
    }
}

impl PostMessage {
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
        let codes: Vec<&str> = PostMessage::ENTRIES.iter().map(|entry| entry.code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
        assert!(codes.iter().all(|code| ("MM-5970".."MM-6000").contains(code)));
    }
}
