//! Everything this room says to a person: code, Japanese, English, and what to do about it (ruling 12).
//! One exhaustive `match` per language: a text that is missing does not compile. Pure values.

/// What can be said, one name per code. The codes never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// No such patient, or not one of the caller's teams: the two are never told apart (J-03).
    NoSuchTeam,
    NotLinked,
    Erased,
    Invalid,
    Unavailable,
    WrongRole,
    NoSuchPost,
    TextEmpty,
    TextTooLong,
    BodyTooLarge,
    BodyUnreadable,
    OnceReused,
    OnceBroken,
    TooManyStreams,
    NoIdentity,
    BadPosition,
    NoSuchPage,
    WrongMethod,
    Stopping,
    ReadOnly,
}

impl Message {
    pub const ALL: [Message; 20] = [
        Message::NoSuchTeam,
        Message::NotLinked,
        Message::Erased,
        Message::Invalid,
        Message::Unavailable,
        Message::WrongRole,
        Message::NoSuchPost,
        Message::TextEmpty,
        Message::TextTooLong,
        Message::BodyTooLarge,
        Message::BodyUnreadable,
        Message::OnceReused,
        Message::OnceBroken,
        Message::TooManyStreams,
        Message::NoIdentity,
        Message::BadPosition,
        Message::NoSuchPage,
        Message::WrongMethod,
        Message::Stopping,
        Message::ReadOnly,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Message::NoSuchTeam => "MM-4001",
            Message::NotLinked => "MM-4002",
            Message::Erased => "MM-4003",
            Message::Invalid => "MM-4004",
            Message::Unavailable => "MM-4005",
            Message::WrongRole => "MM-4006",
            Message::NoSuchPost => "MM-4007",
            Message::TextEmpty => "MM-4008",
            Message::TextTooLong => "MM-4009",
            Message::BodyTooLarge => "MM-4010",
            Message::BodyUnreadable => "MM-4011",
            Message::OnceReused => "MM-4012",
            Message::OnceBroken => "MM-4013",
            Message::TooManyStreams => "MM-4014",
            Message::NoIdentity => "MM-4015",
            Message::BadPosition => "MM-4016",
            Message::NoSuchPage => "MM-4017",
            Message::WrongMethod => "MM-4018",
            Message::Stopping => "MM-4019",
            Message::ReadOnly => "MM-4020",
        }
    }

    pub fn ja(self) -> &'static str {
        match self {
            Message::NoSuchTeam => "この患者さんのチームは見つかりません。",
            Message::NotLinked => "この施設は患者さんに紐づけられていません。",
            Message::Erased => "この患者さんの記録は同意撤回により消去されています。",
            Message::Invalid => "入力された内容に誤りがあります。",
            Message::Unavailable => "ただいま記録を読み書きできません。",
            Message::WrongRole => "この利用者の役割では、チームの投稿を見ることができません。",
            Message::NoSuchPost => "この投稿は見つかりません。",
            Message::TextEmpty => "投稿の本文が空です。",
            Message::TextTooLong => "投稿の本文が長すぎます（4000文字まで）。",
            Message::BodyTooLarge => "送信された内容が大きすぎます（64 KiBまで）。",
            Message::BodyUnreadable => "送信された内容を読み取れません。",
            Message::OnceReused => "同じ送信番号が、別の内容ですでに使われています。",
            Message::OnceBroken => "送信番号（Idempotency-Key）の形が正しくありません。",
            Message::TooManyStreams => "同時に開いている画面が多すぎます。",
            Message::NoIdentity => "利用者を確認できません。",
            Message::BadPosition => "続きの位置の指定が正しくありません。",
            Message::NoSuchPage => "ページが見つかりません。",
            Message::WrongMethod => "このページではその操作はできません。",
            Message::Stopping => "サーバーを再起動しています。",
            Message::ReadOnly => "この患者さんの支援は終了しており、閲覧のみできます。",
        }
    }

    pub fn en(self) -> &'static str {
        match self {
            Message::NoSuchTeam => "There is no such patient's team.",
            Message::NotLinked => "The facility is not linked with this patient.",
            Message::Erased => "This patient's records were erased after consent was withdrawn.",
            Message::Invalid => "Something that was entered is not right.",
            Message::Unavailable => "Records cannot be read or written just now.",
            Message::WrongRole => "This role does not read a team's posts.",
            Message::NoSuchPost => "There is no such post.",
            Message::TextEmpty => "The post has no text.",
            Message::TextTooLong => "The post is too long (4000 characters at most).",
            Message::BodyTooLarge => "What was sent is too large (64 KiB at most).",
            Message::BodyUnreadable => "What was sent cannot be read.",
            Message::OnceReused => "This Idempotency-Key was used for something else.",
            Message::OnceBroken => "The Idempotency-Key is not well formed.",
            Message::TooManyStreams => "Too many screens are open at once.",
            Message::NoIdentity => "The caller is not identified.",
            Message::BadPosition => "The position to continue from is not a number.",
            Message::NoSuchPage => "There is no such page.",
            Message::WrongMethod => "This page does not do that.",
            Message::Stopping => "The server is restarting.",
            Message::ReadOnly => "Support of this patient has ended; the team can be read only.",
        }
    }

    pub fn remedy_ja(self) -> &'static str {
        match self {
            Message::NoSuchTeam => {
                "患者一覧から選び直してください。チームに入る必要がある場合は、施設内管理者に依頼してください。"
            }
            Message::NotLinked => "SNS事務局で患者と施設の紐づけを行ってから、もう一度お試しください。",
            Message::Erased => {
                "消去された記録は元に戻せません。あらためて同意がある場合は、新しい患者として登録してください。"
            }
            Message::Invalid => "示された項目を直して、もう一度送信してください。",
            Message::Unavailable => {
                "1分ほど待ってから、もう一度お試しください。続く場合はSNS事務局へお電話ください。"
            }
            Message::WrongRole => "職員用またはご家族用のアカウントでサインインし直してください。",
            Message::NoSuchPost => "投稿の一覧を開き直してください。",
            Message::TextEmpty => "本文を入力してから投稿してください。",
            Message::TextTooLong => "本文を短くするか、いくつかの投稿に分けてください。",
            Message::BodyTooLarge => "本文を短くして、もう一度送信してください。",
            Message::BodyUnreadable => "画面を開き直して、もう一度送信してください。",
            Message::OnceReused => {
                "投稿の一覧を開き、前の投稿が届いているか確かめてから、新しい画面で送信してください。"
            }
            Message::OnceBroken => "英数字と -_.: の1〜64文字にしてください。",
            Message::TooManyStreams => "使っていない画面やタブを閉じてから、開き直してください。",
            Message::NoIdentity => {
                "このサービスはゲートウェイを通してのみ利用できます。アドレスを確かめてください。"
            }
            Message::BadPosition => "画面を開き直してください。",
            Message::NoSuchPage => "患者一覧へ戻ってください。",
            Message::WrongMethod => "患者一覧へ戻り、画面のボタンから操作してください。",
            Message::Stopping => "数秒後に自動でつながり直します。",
            Message::ReadOnly => {
                "急ぎの連絡は電話でお願いします。支援を再び始めるときは、SNS事務局へご連絡ください。"
            }
        }
    }

    pub fn remedy_en(self) -> &'static str {
        match self {
            Message::NoSuchTeam => "Choose again from the list. To join a team, ask your facility's admin.",
            Message::NotLinked => {
                "The secretariat links the patient with the facility first; then try again."
            }
            Message::Erased => {
                "Erased records cannot be brought back; with a new consent, register a new patient."
            }
            Message::Invalid => "Correct the field that is named and send it again.",
            Message::Unavailable => "Wait a minute and try again; if it stays, call the secretariat.",
            Message::WrongRole => "Sign in with a staff or family account.",
            Message::NoSuchPost => "Open the list of posts again.",
            Message::TextEmpty => "Write something, then post it.",
            Message::TextTooLong => "Make it shorter, or write several posts.",
            Message::BodyTooLarge => "Make the text shorter and send it again.",
            Message::BodyUnreadable => "Open the page again and send it once more.",
            Message::OnceReused => {
                "Look in the list whether the first post arrived, then send from a new page."
            }
            Message::OnceBroken => "Use 1 to 64 letters, digits and -_.: only.",
            Message::TooManyStreams => "Close screens and tabs that are not used, then open it again.",
            Message::NoIdentity => "This service is used through the gateway only; check the address.",
            Message::BadPosition => "Open the page again.",
            Message::NoSuchPage => "Go back to the list of patients.",
            Message::WrongMethod => "Go back to the list of patients and use the buttons.",
            Message::Stopping => "It reconnects by itself in a few seconds.",
            Message::ReadOnly => "Call whom you must reach; the secretariat can begin the support anew.",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_message_has_its_own_code_of_this_room_and_says_what_to_do_ruling_12() {
        let codes: HashSet<_> = Message::ALL.iter().map(|message| message.code()).collect();
        assert_eq!(codes.len(), Message::ALL.len());
        for message in Message::ALL {
            assert!(message.code().starts_with("MM-4") && message.code().len() == 7);
            for text in [message.ja(), message.en(), message.remedy_ja(), message.remedy_en()] {
                assert!(!text.trim().is_empty());
            }
            assert!(!message.ja().is_ascii() && message.en().is_ascii());
        }
    }
}
