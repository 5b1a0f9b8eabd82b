//! Everything this room says to people, in Japanese and English, each with a stable code and what
//! to do about it. One table makes the enum and its exhaustive match: a message without one of its
//! five texts does not compile. Ruling 12.

/// One message in both languages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    pub code: &'static str,
    pub ja: &'static str,
    pub en: &'static str,
    pub remedy_ja: &'static str,
    pub remedy_en: &'static str,
}

const CALL_ADMIN_JA: &str = "施設内管理者に連絡し、「つながらないとき」のページに出る番号を伝えてください。";
const CALL_ADMIN_EN: &str = "Tell your facility's administrator the code shown on the help page.";
const SIGN_IN_JA: &str = "もう一度ログインしてください。";
const SIGN_IN_EN: &str = "Sign in again.";
const WAIT_JA: &str =
    "しばらく待ってから、もう一度お試しください。続くときは施設内管理者に連絡してください。";
const WAIT_EN: &str = "Wait a little and try again. If it goes on, tell your facility's administrator.";
const REOPEN_JA: &str = "画面を開き直してください。続くときは、表示された番号を事務局に伝えてください。";
const REOPEN_EN: &str = "Open the page again. If it goes on, tell the secretariat the code.";

macro_rules! catalogue {
    ($($name:ident: $code:literal, $ja:literal, $en:literal, $remedy_ja:expr, $remedy_en:expr;)*) => {
        /// A message of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Message {
            $($name,)*
        }

        impl Message {
            pub const ALL: &'static [Message] = &[$(Message::$name,)*];

            pub fn words(self) -> Words {
                match self {
                    $(Message::$name => Words {
                        code: $code,
                        ja: $ja,
                        en: $en,
                        remedy_ja: $remedy_ja,
                        remedy_en: $remedy_en,
                    },)*
                }
            }

            pub fn code(self) -> &'static str {
                self.words().code
            }
        }
    };
}

catalogue! {
    // The tunnel and the certificate.
    SeatUnknown: "MM-3001",
        "登録のない接続元です。",
        "The source address belongs to no slot.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    SlotClosed: "MM-3002",
        "このVPN番号は利用できません（停止中または失効）。",
        "This slot admits nobody (suspended, revoked or free).",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    SlotCut: "MM-3003",
        "このVPN番号は切断されました。",
        "This slot was cut off.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    SeatEnrolling: "MM-3004",
        "本登録が終わっていない端末です。",
        "This device is still enrolling.",
        "本登録のページで手続きを終えてください。",
        "Finish enrolling on the claim page.";
    ClassForbids: "MM-3005",
        "このVPN番号は利用終了の手続き中です。",
        "This slot is leaving the service.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    CertificateMissing: "MM-3006",
        "証明書が提示されませんでした。",
        "No certificate was presented.",
        "証明書を入れた端末とブラウザー（iPhoneはSafari）で開いてください。",
        "Use the device and browser that hold the certificate (Safari on iPhone).";
    CertificateInvalid: "MM-3007",
        "証明書を確認できません。",
        "The certificate does not verify.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    CertificateOfOtherSlot: "MM-3008",
        "別のVPN番号の証明書です。",
        "The certificate belongs to another slot.",
        "この端末の証明書を選んでください。",
        "Choose this device's own certificate.";
    CertificateExpired: "MM-3009",
        "証明書の有効期限が切れています。",
        "The certificate has expired.",
        "施設内管理者に更新を依頼してください。",
        "Ask your administrator to renew it.";
    CertificateUnlisted: "MM-3010",
        "失効したか、登録のない証明書です。",
        "The certificate is revoked or not listed.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    CertificateCut: "MM-3011",
        "この証明書は切断されました。",
        "This certificate was cut off.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    FeedsStale: "MM-3012",
        "利用可否を確認できないため、新しい接続を受け付けていません。",
        "New connections are held because permissions cannot be confirmed.",
        WAIT_JA,
        WAIT_EN;
    TooManyConnections: "MM-3013",
        "この端末からの接続が多すぎます。",
        "Too many connections from this device.",
        "使っていない画面を閉じてください。",
        "Close pages you do not use.";
    HandshakeBroken: "MM-3014",
        "接続の手続きが途中で終わりました。",
        "The TLS handshake did not finish.",
        WAIT_JA,
        WAIT_EN;
    TooSlow: "MM-3015",
        "通信が途中で止まったため、接続を閉じました。",
        "The connection was closed because it stood still.",
        "電波の良い場所で、もう一度お試しください。",
        "Try again where the connection is better.";
    TooManyRequests: "MM-3016",
        "この端末からの操作が多すぎます。",
        "Too many requests from this device.",
        "少し待ってから、もう一度お試しください。",
        "Wait a moment and try again.";
    // The person.
    SessionNeeded: "MM-3020",
        "ログインが必要です。",
        "Sign in first.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    SessionUnknown: "MM-3021",
        "ログインの記録がありません。",
        "There is no such session.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    SessionOfOtherSlot: "MM-3022",
        "別のVPN番号でのログインです。",
        "The session belongs to another slot.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    SessionOfOtherCertificate: "MM-3023",
        "別の証明書でのログインです。",
        "The session belongs to another certificate.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    SessionIdle: "MM-3024",
        "操作がなかったため、ログアウトしました。",
        "Signed out after a time without use.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    SessionOver: "MM-3025",
        "ログインから12時間たったため、ログアウトしました。",
        "Signed out twelve hours after signing in.",
        SIGN_IN_JA,
        SIGN_IN_EN;
    MembershipInactive: "MM-3026",
        "この所属は利用停止中です。",
        "This membership is suspended or ended.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    MembershipNotPermitted: "MM-3027",
        "この所属は、このVPN番号の端末では利用できません。",
        "This membership is not permitted on this slot.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    PersonCut: "MM-3028",
        "この利用者または施設は切断されました。",
        "This person or facility was cut off.",
        CALL_ADMIN_JA,
        CALL_ADMIN_EN;
    PasswordMustChange: "MM-3029",
        "最初のパスワードを変更してください。",
        "Change your first password.",
        "パスワードの変更ページで新しいパスワードを決めてください。",
        "Choose a new password on the password page.";
    SignInFailed: "MM-3030",
        "ログインできませんでした。ログインIDかパスワードが違うか、この端末では利用できません。",
        "Sign-in failed: the login or password is wrong, or may not be used on this device.",
        "入力を確かめてください。忘れたときは施設内管理者に連絡してください。",
        "Check what you typed. If you forgot it, ask your administrator.";
    SignInPaused: "MM-3031",
        "失敗が続いたため、ログインを一時止めています。",
        "Sign-in is paused after repeated failures.",
        WAIT_JA,
        WAIT_EN;
    ChooseMembership: "MM-3032",
        "どの所属で利用するか選んでください。",
        "Choose which membership to use.",
        "所属を選んでください。",
        "Pick one membership.";
    OldPasswordWrong: "MM-3033",
        "いまのパスワードが違います。",
        "The current password is wrong.",
        "入力を確かめてください。",
        "Check what you typed.";
    PasswordWeak: "MM-3034",
        "新しいパスワードが決まりに合っていません。",
        "The new password breaks a rule.",
        "表示された決まりに合わせてください。",
        "Follow the rule shown.";
    FormUnreadable: "MM-3035",
        "入力を読み取れませんでした。",
        "The form cannot be read.",
        REOPEN_JA,
        REOPEN_EN;
    PasswordChanged: "MM-3036",
        "パスワードを変更しました。",
        "The password was changed.",
        "次回から新しいパスワードを使ってください。",
        "Use the new password from now on.";
    SignedOut: "MM-3037",
        "ログアウトしました。",
        "Signed out.",
        "端末を離れるときは画面を閉じてください。",
        "Close the page when you leave the device.";
    PasskeyRefused: "MM-3038",
        "パスキーを登録できませんでした。",
        "The passkey was not registered.",
        "もう一度「パスキーを登録」からやり直してください。この端末に登録済みのものは、一覧から削除すると登録し直せます。",
        "Begin again. One that is registered already can be removed from the list first.";
    PasskeysFull: "MM-3039",
        "登録できるパスキーは10個までです。",
        "A person has ten passkeys at most.",
        "使っていないものを一覧から削除してください。",
        "Remove one that you no longer use.";
    // The request.
    OriginForeign: "MM-3040",
        "別のサイトからの操作は受け付けません。",
        "Requests from another site are refused.",
        REOPEN_JA,
        REOPEN_EN;
    RequestMalformed: "MM-3041",
        "通信の形式が正しくありません。",
        "The request is malformed.",
        REOPEN_JA,
        REOPEN_EN;
    HostWrong: "MM-3042",
        "このアドレスでは受け付けていません。",
        "This name is not served here.",
        "案内のアドレスを開いてください。",
        "Open the address given in your guide.";
    BodyTooLarge: "MM-3043",
        "送るデータが大きすぎます（上限25MB）。",
        "The upload is too large (limit 25 MB).",
        "ファイルを小さくしてから、もう一度お試しください。",
        "Make the file smaller and try again.";
    MethodRefused: "MM-3044",
        "この操作には対応していません。",
        "This method is not supported here.",
        REOPEN_JA,
        REOPEN_EN;
    BodyStalled: "MM-3045",
        "送信が途中で止まりました。",
        "The upload stopped half-way.",
        "電波の良い場所で、もう一度お試しください。",
        "Try again where the connection is better.";
    NotFound: "MM-3046",
        "ページが見つかりません。",
        "There is no such page.",
        "アドレスを確かめてください。",
        "Check the address.";
    // What stands behind.
    UpstreamDown: "MM-3050",
        "サービスを一時的に利用できません。書き込みは保存されていません。",
        "The service is not available now. Nothing was saved.",
        WAIT_JA,
        WAIT_EN;
    UpstreamBroken: "MM-3051",
        "サービスの応答が途切れました。書き込みが保存されたか確かめてください。",
        "The service's answer broke off. Check whether your entry was saved.",
        WAIT_JA,
        WAIT_EN;
    AuditDown: "MM-3052",
        "記録を残せないため、受け付けを止めています。",
        "Requests are held because the audit trail cannot be written.",
        "事務局に連絡してください。記録用ディスクの空きを確かめる必要があります。",
        "Tell the secretariat: the audit disk needs attention.";
    AccountsDown: "MM-3053",
        "いまはログインできません。",
        "Signing in is not possible now.",
        WAIT_JA,
        WAIT_EN;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_ours_and_given_once() {
        let mut codes: Vec<_> = Message::ALL.iter().map(|m| m.code()).collect();
        assert!(codes.iter().all(|code| code.starts_with("MM-3") && code.len() == 7));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Message::ALL.len());
    }

    #[test]
    fn every_message_says_what_to_do_in_both_languages() {
        for &message in Message::ALL {
            let words = message.words();
            for text in [words.ja, words.en, words.remedy_ja, words.remedy_en] {
                assert!(!text.is_empty(), "{message:?}");
            }
            assert!(words.en.is_ascii() && !words.ja.is_ascii(), "{message:?}");
        }
    }
}
