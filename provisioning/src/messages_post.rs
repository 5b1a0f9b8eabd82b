//! The catalogue of the office's outgoing post: MM-597x and MM-598x. The same shape as `messages.rs`: an entry that misses a text does not compile (ruling 12). Pure.

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
        assert!(codes.iter().all(|code| ("MM-5970".."MM-5990").contains(code)));
    }
}
