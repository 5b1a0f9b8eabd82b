//! The catalogue of what claim, accounts, people, consoles and revocation say: MM-54xx to MM-58xx.
//! Each entry has its HTTP status and both languages; one that misses a text does not compile.
//! `{}` in a text is where the detail goes (a slot, a field, a neighbour's own words). Pure.

use crate::door::{Trouble, TroubleKind};

/// One entry in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Words {
    pub code: &'static str,
    /// The HTTP status; the CLI's exit code follows from it.
    pub status: u16,
    pub ja: &'static str,
    pub en: &'static str,
    pub remedy_ja: &'static str,
    pub remedy_en: &'static str,
}

/// Writes the enum, the list of all entries and the exhaustive match from one table.
macro_rules! catalogue {
    ($($name:ident => $code:literal $status:literal { $ja:literal, $en:literal, $remedy_ja:literal, $remedy_en:literal })*) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum PeopleMessage { $($name),* }

        impl PeopleMessage {
            pub const ALL: &[PeopleMessage] = &[$(PeopleMessage::$name),*];

            pub fn words(self) -> Words {
                match self {
                    $(PeopleMessage::$name => Words {
                        code: $code, status: $status, ja: $ja, en: $en,
                        remedy_ja: $remedy_ja, remedy_en: $remedy_en,
                    }),*
                }
            }
        }
    };
}

catalogue! {
    // 54xx: the claim page (本登録)
    ClaimWrong => "MM-5401" 403 {
        "証明書取得用Noかパスワードが違います。", "The number or the password is wrong.",
        "お手元の用紙のとおりに、もう一度入力してください。", "Enter both again as they are printed on the sheet."
    }
    ClaimPaused => "MM-5402" 429 {
        "続けて間違えたため、しばらく入力できません（あと{}秒）。", "Too many wrong entries; wait {} seconds.",
        "時間をおいて、用紙を見ながら入力してください。", "Wait, then enter what is printed on the sheet."
    }
    ClaimLocked => "MM-5403" 403 {
        "間違いが15回になったため、この用紙は使えなくなりました。", "Fifteen wrong entries: this sheet is locked.",
        "事務局に電話し、再発行を依頼してください。", "Call the secretariat and ask for a new sheet."
    }
    ClaimExpired => "MM-5404" 410 {
        "番号とパスワードの有効期間（用紙は30日、QRコードは10分）が過ぎています。",
        "The number is past its time: 30 days for a sheet, 10 minutes for a QR code.",
        "用紙のときは事務局に延長を、QRコードのときは施設内管理者に作り直しを依頼してください。",
        "Ask the secretariat to extend the sheet, or your administrator for new QR codes."
    }
    ClaimWindowOver => "MM-5405" 410 {
        "最初に正しく入力してから24時間が過ぎました。", "More than 24 hours have passed since the first correct entry.",
        "事務局に延長を依頼してください。", "Ask the secretariat to extend it."
    }
    ClaimRepeatOver => "MM-5406" 410 {
        "前回の登録から10分が過ぎたため、やり直せません。", "More than 10 minutes have passed since the last claim.",
        "受け取った設定で接続してください。接続できないときは事務局に再発行を依頼してください。",
        "Connect with what you received, or ask the secretariat for a new sheet."
    }
    ClaimsUsed => "MM-5407" 410 {
        "登録のやり直しは3回までです。", "The claim was made three times; there is no fourth.",
        "最後に受け取った設定で接続するか、事務局に再発行を依頼してください。",
        "Connect with what you received last, or ask the secretariat for a new sheet."
    }
    ClaimDone => "MM-5408" 410 {
        "この用紙での登録は済んでいます。", "This sheet has done its work: the device is enrolled.",
        "心当たりがないときは、すぐ事務局に連絡してください。", "If that was not you, tell the secretariat at once."
    }
    ClaimVoid => "MM-5409" 410 {
        "この用紙は無効になりました。", "This sheet is void.",
        "事務局に電話し、再発行を依頼してください。", "Call the secretariat and ask for a new sheet."
    }
    ClaimRequest => "MM-5410" 422 {
        "端末の証明書要求が使えません（{}）。", "The device's certificate request cannot be used ({}).",
        "新しい鍵（ECDSA P-256）で要求を作り直してください。", "Make a new request with a new ECDSA P-256 key."
    }
    ClaimKey => "MM-5411" 422 {
        "WireGuardの公開鍵が使えません（{}）。", "The WireGuard public key cannot be used ({}).",
        "この端末で新しい鍵を作ってください。", "Make a new key on this device."
    }
    ClaimAdminPassword => "MM-5412" 422 {
        "管理者ご自身のパスワードを決めてください。", "Choose the administrator's own password.",
        "新しいパスワードを入力してください（管理者の本登録）。", "Enter the new password (the administrator's own registration)."
    }
    ClaimUnderway => "MM-5413" 409 {
        "別の登録が同時に行われました。", "Another claim overtook this one.",
        "用紙を持っている方だけで、もう一度お試しください。", "Try again, with nobody else doing the same."
    }
    ClaimVisitor => "MM-5414" 401 {
        "このページは、登録用の接続からだけ開けます。", "This page opens only through the tunnel.",
        "お届けした接続設定で接続してから開いてください。", "Connect with the profile you received, then open it."
    }
    RenewFirst => "MM-5415" 403 {
        "このVPN番号は、まだ使い始めていないか、使えなくなっています。", "This slot is not in use yet, or no longer.",
        "登録用の用紙で本登録をしてください。用紙がないときは事務局にお電話ください。", "Claim it with its sheet; without one, call the secretariat."
    }
    EnrolWho => "MM-5416" 401 {
        "証明書取得用Noとパスワードを付けて要求してください。", "Ask with the number and the password.",
        "用紙の2つをHTTPのBasic認証で送ってください（番号が利用者名です）。画面で行うときは、本登録のページを開いてください。",
        "Send both by HTTP Basic authentication, the number as the user name; or open the claim page."
    }
    // What Apple's payload is told over ACME; a person reads it in the trail or on the device.
    AcmeForm => "MM-5417" 400 {
        "ACMEの要求を読めません（{}）。", "The ACME request cannot be read ({}).",
        "プロファイルを作り直してください。続くときは事務局に連絡してください。", "Make the profile anew; if it stays, tell the secretariat."
    }
    AcmeAlgorithm => "MM-5418" 400 {
        "ACMEの要求はES256（P-256）で署名してください。", "An ACME request is signed with ES256 (P-256) only.",
        "プロファイルのKeyTypeとKeySizeを変えずに使ってください。", "Leave KeyType and KeySize of the profile as they are."
    }
    AcmeNonce => "MM-5419" 400 {
        "ACMEの要求の使い捨て番号（nonce）が、使用済みか期限切れです。", "The nonce was used, or is too old.",
        "返された新しい番号で、もう一度送ってください（端末は自動で行います）。", "Send it again with the nonce of this answer; devices do so by themselves."
    }
    AcmeAccount => "MM-5420" 400 {
        "このACMEアカウントは登録されていません。", "There is no such ACME account.",
        "アカウントを作ってから送ってください（端末は自動で行います）。", "Create the account first; devices do so by themselves."
    }
    AcmeIdentifier => "MM-5421" 400 {
        "ACMEの注文は、permanent-identifierを1つだけ付けて送ってください。", "An order has exactly one permanent-identifier, and no times of its own.",
        "登録の画面で作ったプロファイルを使ってください。", "Use the profile of the claim page."
    }
    AcmePass => "MM-5422" 410 {
        "このプロファイルの登録用の符号（ClientIdentifier）は、使用済みか、15分の期限が過ぎています。", "This profile's ClientIdentifier was used, or its 15 minutes are over.",
        "登録の画面を開き直し、同じ用紙でプロファイルを作り直してください。", "Open the claim page again and make a new profile with the same sheet."
    }
    AcmeOrder => "MM-5423" 403 {
        "該当するACMEの注文がありません。", "There is no such order for this account.",
        "登録の画面でプロファイルを作り直してください。", "Make a new profile on the claim page."
    }
    AcmeNotReady => "MM-5424" 403 {
        "このACMEの注文は、まだ証明書を発行できる状態ではありません。", "The order is not ready: its challenge was not answered, or another request got its certificate.",
        "登録の画面でプロファイルを作り直してください。", "Make a new profile on the claim page."
    }
    // 549x: said by the claim page itself (assets/problem.js), where no server can be asked
    PageInsecure => "MM-5491" 400 {
        "このブラウザでは、鍵を作れません。", "This browser cannot make keys on this page.",
        "アドレスが https:// で始まることと、ルート証明書を入れたことを確かめ、新しい版のブラウザで開き直してください。",
        "Check that the address begins with https:// and the root certificate is installed, then use a current browser."
    }
    PageSilent => "MM-5492" 503 {
        "サーバーから返事がありません。", "The server did not answer.",
        "WireGuardの接続がオンになっているか確かめ、もう一度「登録する」を押してください。入力した内容は残っています。",
        "Check that the WireGuard tunnel is on, then press the button again. What you typed is still here."
    }
    PageKeys => "MM-5493" 500 {
        "端末の中で鍵を作る途中で止まりました。", "Making the keys on this device failed.",
        "もう一度「登録する」を押してください。続くときは、別のブラウザでお試しください。",
        "Press the button again; if it stays, try another browser."
    }
    PageAnswer => "MM-5494" 500 {
        "サーバーの返事が、この端末の鍵と合いません。", "The server's answer does not belong to this device's keys.",
        "受け取ったものは使わず、事務局に電話してください。",
        "Do not use what was received; call the secretariat."
    }
    PageUnknown => "MM-5495" 500 {
        "サーバーが登録を受け付けませんでした。", "The server did not accept the registration.",
        "しばらくして、もう一度「登録する」を押してください。", "Try again later."
    }
    // 55xx: accounts and passwords
    PasswordShort => "MM-5501" 422 {
        "パスワードが短すぎます。", "The password is too short.",
        "13文字以上、または8文字以上で英字・数字・記号をすべて使ってください。",
        "Use 13 characters or more, or 8 or more with letters, digits and symbols."
    }
    PasswordLong => "MM-5502" 422 {
        "パスワードが長すぎます。", "The password is too long.",
        "128文字以内にしてください。", "Use at most 128 characters."
    }
    PasswordCommon => "MM-5503" 422 {
        "よく使われるパスワードです。", "This password is one of the common ones.",
        "ほかの言葉の組み合わせにしてください。", "Choose another combination of words."
    }
    PasswordIsLogin => "MM-5504" 422 {
        "ログインIDを含むパスワードは使えません。", "The password contains the login.",
        "ログインIDと関係のないものにしてください。", "Choose one that has nothing to do with the login."
    }
    PasswordReused => "MM-5505" 422 {
        "今と同じパスワードです。", "This is the present password.",
        "新しいパスワードを決めてください。", "Choose a new one."
    }
    // 56xx: people, patients, facilities
    LoginForm => "MM-5601" 422 {
        "ログインID「{}」は使えません。", "`{}` cannot be a login.",
        "メールアドレスか、3〜64文字の半角英数字（. _ - 可）にしてください。",
        "Use a mail address, or 3 to 64 ASCII letters and digits (. _ - allowed)."
    }
    LoginIsAdmin => "MM-5602" 409 {
        "「{}」は管理者用のアドレスです。利用者には使えません。", "`{}` is an administrator's address and cannot be a user's (G-03).",
        "別のアドレスを登録してください。", "Register another address."
    }
    LoginTaken => "MM-5604" 409 {
        "「{}」は別の方が使っています。", "`{}` belongs to another person.",
        "お名前を確かめるか、別のアドレスを登録してください。", "Check the name, or register another address."
    }
    PledgeMissing => "MM-5605" 422 {
        "誓約書（様式4）の日付がありません。", "The date of the pledge (form 4) is missing.",
        "誓約書を受け取り、その日付（例 2026-11-20）を入れてください。", "Take the pledge and enter its date (such as 2026-11-20)."
    }
    DateForm => "MM-5606" 422 {
        "日付「{}」が正しくありません。", "`{}` is not a date up to today.",
        "今日までの日付を 2026-11-20 の形で入れてください。", "Enter a date up to today as 2026-11-20."
    }
    FieldMissing => "MM-5607" 422 {
        "「{}」を入力してください。", "`{}` is missing or too long.",
        "必要な項目をすべて入力してください。", "Fill in everything that is asked for."
    }
    ConsentMissing => "MM-5608" 422 {
        "同意書の日付がありません。", "The date of the patient's consent is missing (J-10).",
        "同意書を受け取り、その日付を入れてください。", "Take the consent and enter its date."
    }
    FacilityUnknown => "MM-5609" 404 {
        "事業所「{}」がありません。", "There is no facility `{}`.",
        "事業所の一覧から選んでください。", "Choose one from the list of facilities."
    }
    FacilityNotActive => "MM-5610" 409 {
        "事業所「{}」は利用中ではありません。", "The facility `{}` is not active.",
        "利用中の事業所を選んでください。", "Choose an active facility."
    }
    PatientUnknown => "MM-5611" 404 {
        "該当する患者がありません。", "There is no such patient.",
        "一覧から選んでください。", "Choose one from the list."
    }
    MemberUnknown => "MM-5612" 404 {
        "該当する利用者がありません。", "There is no such member.",
        "自施設の利用者から選んでください。", "Choose one of your own people."
    }
    TeamsRefused => "MM-5613" 409 {
        "SNSが受け付けませんでした（{}）。", "The SNS refused it ({}).",
        "内容を確かめて、もう一度お試しください。", "Check it and try again."
    }
    PrivateMail => "MM-5614" 422 {
        "携帯電話会社のアドレスです（{}）。", "`{}` is a mobile carrier's mail domain (H-03).",
        "業務用のアドレスを勧めます。登録はできています。", "A business address is advised; it is registered all the same."
    }
    AlreadyMember => "MM-5615" 409 {
        "「{}」は登録済みです。", "`{}` is registered already.",
        "利用者の一覧を確かめてください。", "See the list of people."
    }
    AddressesDiffer => "MM-5616" 422 {
        "二つのアドレスが違います。", "The two addresses differ.",
        "正しいアドレスを確かめ、二つとも入力し直してください。", "Make sure of the right one and type it twice."
    }
    FlowFacility => "MM-5617" 422 {
        "どの事業所の案件かが選ばれていません。", "No facility was chosen for the case.",
        "事業所を名前か番号で探して、選んでください。", "Find the facility by name or code and choose it."
    }
    FlowPatient => "MM-5618" 422 {
        "どの患者の案件かが選ばれていません。", "No patient was chosen for the case.",
        "患者を選んでください。登録がまだのときは、先に「患者」で登録してください。", "Choose the patient; register them first if they are not listed."
    }
    CallBackMissing => "MM-5619" 409 {
        "折り返しの電話の記録がないので、電話での依頼では変更できません。", "Nothing is changed by telephone before the facility was called back.",
        "登録されている番号に折り返し、相手を確かめて記録してください（30分間有効です）。", "Call the registered number, recognise the person, and note it; it counts for 30 minutes."
    }
    NotPaused => "MM-5620" 409 {
        "VPN番号{}は入力ちがいで止まっていません。", "Slot {} is not paused by wrong entries.",
        "期限切れのときは延長を、入力ちがいが15回のときは再発行を使ってください。", "Extend it when it is out of date; reissue it after fifteen wrong entries."
    }
    NotSuspendable => "MM-5621" 409 {
        "VPN番号{}は、いまの状態では一時停止も再開もできません。", "Slot {} can be neither suspended nor resumed as it stands.",
        "VPN番号の画面で状態を確かめてください。", "Look at the slot's state."
    }
    ConfirmNone => "MM-5622" 404 {
        "確かめていただくお知らせはありません。", "Nothing waits for your confirmation there.",
        "「お知らせ」の一覧から選んでください。", "Choose one from the list of notices."
    }
    PersonNotNow => "MM-5623" 409 {
        "いまの状態（{}）では、この操作はできません。", "Not possible as it stands ({}).",
        "利用者の画面で状態を確かめてください。退職・異動で解除した人は、もう一度登録します。",
        "Look at the person's state; whoever has left is registered anew."
    }
    PersonAdmin => "MM-5624" 409 {
        "施設内管理者は、ここでは変更できません。", "An administrator is not changed here.",
        "施設内管理者の変更は、様式3で事務局に届け出てください。", "Tell the secretariat with 様式3."
    }
    PersonElsewhere => "MM-5625" 409 {
        "ほかの事業所でも同じログインIDを使っている人なので、パスワードは出し直せません。",
        "The person uses the same account at another facility.",
        "事務局に依頼してください。", "Ask the secretariat."
    }
    LastOperator => "MM-5626" 409 {
        "事務局の最後の一人は、一時停止できません。", "The last of the secretariat is not suspended.",
        "先に、ほかの事務局職員を登録してください。", "Register another one first."
    }
    PersonUnknown => "MM-5627" 404 {
        "「{}」という利用者はありません。", "There is no person `{}`.",
        "mimamori person list で確かめてください。", "See `mimamori person list`."
    }
    YearlyNone => "MM-5640" 409 {
        "いまは年次更新の期間ではありません。", "No yearly round is open.",
        "事務局が始める日を決めると、この画面が開きます（mimamori yearly open）。", "The secretariat opens it with `mimamori yearly open`."
    }
    YearlyDates => "MM-5641" 422 {
        "年次更新の日付「{}」が正しくありません。", "`{}` is no day of a yearly round.",
        "始める日と締切を、年度の前後1年のうちの日付で、締切が後になるように入れてください。", "Give a first day and a later last day, near the fiscal year."
    }
    YearlyGaps => "MM-5642" 422 {
        "まだ入力のないところがあります（{}）。", "Not everything is ticked yet ({}).",
        "入力してから、もう一度「内容を確かめる」を押してください。途中の入力は保存されています。", "Tick the rest and try again; what was ticked is saved."
    }
    YearlyOwnDevice => "MM-5643" 409 {
        "いま使っている端末（VPN番号 {}）は、返却にできません。", "The device in use (slot {}) cannot be returned from itself.",
        "別の端末から送るか、「使い続ける」にしてください。", "Send it from another device, or keep this one."
    }
    YearlyDone => "MM-5644" 409 {
        "この年度の年次更新は済んでいます。", "This year's update is done.",
        "そのあとの変更は「利用者」と「端末」の画面で行ってください。", "Change what came later on the pages of people and devices."
    }
    TrainingKind => "MM-5645" 422 {
        "研修の種類「{}」はありません。", "There is no training of the kind `{}`.",
        "security（個人情報・セキュリティ研修）、briefing（説明資料・説明会）、system（操作の研修）から選んでください。",
        "Choose security, briefing or system."
    }
    NobodyChosen => "MM-5646" 422 {
        "人が選ばれていません。", "Nobody was chosen.",
        "受けた人に印を付けてください。", "Tick who attended."
    }
    IncidentUnknown => "MM-5650" 404 {
        "事故の番号「{}」はありません。", "There is no incident `{}`.",
        "「事故」の一覧（mimamori incident list）で番号を確かめてください。", "See `mimamori incident list`."
    }
    IncidentKind => "MM-5651" 422 {
        "事故の種類「{}」はありません。", "There is no incident of the kind `{}`.",
        "lost（紛失・盗難）、leak（漏えい・誤送信）、unauthorised（不正アクセス）、failure（障害）から選んでください。",
        "Choose lost, leak, unauthorised or failure."
    }
    IncidentStep => "MM-5652" 422 {
        "手順「{}」はありません。", "There is no step `{}`.",
        "mimamori incident show で、次にできることを確かめてください。", "See `mimamori incident show`."
    }
    IncidentHeld => "MM-5653" 409 {
        "「{}」がすむまで、または終わったあとでは、記録できません。", "It waits for, or comes after: {}.",
        "経過を確かめ、先の手順から記録してください。", "Look at the steps and note the earlier one first."
    }
    // 57xx: devices and revocation
    DeviceUnknown => "MM-5701" 404 {
        "VPN番号 {} に端末はありません。", "There is no device in slot {}.",
        "番号を確かめてください。", "Check the number."
    }
    ReceiptUnknown => "MM-5702" 404 {
        "受付番号 {} の記録はありません。", "There is no receipt {}.",
        "番号を確かめてください。", "Check the number."
    }
    DeviceQrShown => "MM-5703" 409 {
        "この画面のQRコードは、もう一度は出せません。", "These QR codes were shown once and are stored nowhere.",
        "「端末を追加」から作り直してください。前のQRコードで登録していない番号は、そのまま使われます。",
        "Begin again with 端末を追加; a number that was not claimed is used again."
    }
    MoreForm => "MM-5704" 422 {
        "追加の台数（1〜20）と理由（200文字以内）を入力してください。", "Say how many more (1 to 20) and why (up to 200 characters).",
        "「端末を追加」の画面で、二つとも入力してください。", "Fill in both on the page that adds a device."
    }
    MoreRoom => "MM-5705" 409 {
        "上限まで、あと{}台を追加できます。申請は要りません。", "There is room for {} more; no request is needed.",
        "「端末を追加」から登録してください。", "Add the device on the spot."
    }
    MoreWaiting => "MM-5706" 409 {
        "前の申請が、事務局の承認を待っています。", "An earlier request waits for the secretariat.",
        "承認されるまでお待ちください。急ぐときは事務局に電話してください。", "Wait for it, or call the secretariat."
    }
    MoreDecided => "MM-5707" 409 {
        "この申請は処理済みです。", "This request was decided.",
        "申請の一覧で確かめてください。", "See the list of requests."
    }
    MoreUnknown => "MM-5708" 404 {
        "該当する申請がありません。", "There is no such request.",
        "申請の一覧から選んでください。", "Choose one from the list of requests."
    }
    RenewalDone => "MM-5711" 409 {
        "VPN番号 {} の本登録は済んでいます。", "The device of slot {} is enrolled.",
        "延長も再発行も要りません。端末が替わるときは、利用停止のあとで登録し直します。",
        "Nothing is left to renew; a replaced device is revoked and enrolled again."
    }
    RenewalReissue => "MM-5712" 409 {
        "VPN番号 {} は、延長しても登録できません（登録の途中・入力ちがいで停止・無効）。",
        "More time does not help slot {}: it is half claimed, locked or void.",
        "再発行してください（slot reissue）。お手元の用紙はそのまま使えます。", "Reissue it (`slot reissue`); the sheet stays good."
    }
    RenewalCodes => "MM-5713" 409 {
        "VPN番号 {} は、画面のQRコードで登録する端末です。", "Slot {} is enrolled by QR codes on a screen.",
        "施設内管理者に「端末を追加」からやり直すよう伝えてください。", "Have the administrator add the device again."
    }
    RenewalNone => "MM-5714" 404 {
        "VPN番号 {} に、本登録を待つ端末はありません。", "No device waits to be enrolled in slot {}.",
        "番号を確かめてください。", "Check the number."
    }
    // 58xx: the console's own
    NotPermitted => "MM-5801" 403 {
        "この操作は許可されていません（{}）。", "You may not do this ({}).",
        "必要なときは事務局か施設内管理者に依頼してください。", "Ask the secretariat or your facility's administrator."
    }
    NoIdentity => "MM-5802" 401 {
        "サインインしていません。", "You are not signed in.",
        "サインインしてください。", "Sign in."
    }
    BodyForm => "MM-5803" 400 {
        "送られた内容を読めません（{}）。", "What was sent cannot be read ({}).",
        "画面を開き直して、もう一度お試しください。", "Reload the page and try again."
    }
    KeyReused => "MM-5804" 409 {
        "同じ受付キーで別の内容が送られました。", "This Idempotency-Key was used for another request.",
        "新しいキーで送ってください。", "Send it with a new key."
    }
    NotFound => "MM-5805" 404 {
        "ページがありません。", "There is nothing here.",
        "画面の初めから開き直してください。", "Start again from the first page."
    }
    Internal => "MM-5806" 500 {
        "内部の問題で処理できません。", "It failed for a reason of our own.",
        "しばらくして、もう一度お試しください。続くときは事務局に連絡してください。",
        "Try again later; if it stays, tell the secretariat."
    }
    NeighbourSilent => "MM-5807" 503 {
        "いま処理できません（{}）。", "It cannot be done now ({}).",
        "しばらくして、もう一度お試しください。", "Try again later."
    }
    DiskFull => "MM-5809" 503 {
        "保存する場所（ディスク）に空きがないため、受け付けられません。何も変わっていません。",
        "There is no disk space to save it; nothing has changed.",
        "事務局に連絡してください。ディスクを空けたあと、同じ操作をもう一度行えます。",
        "Tell the secretariat; once there is space, do the same again."
    }
    KeyForm => "MM-5808" 400 {
        "受付キーの形が正しくありません。", "The Idempotency-Key is not well formed.",
        "1〜100文字の半角英数字と記号にしてください。", "Use 1 to 100 visible ASCII characters."
    }
}

/// An entry and the detail that belongs into it: what a refusal is, everywhere in these parts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}", .message.words().code, .message.words().en.replace("{}", .detail))]
pub struct Refusal {
    pub message: PeopleMessage,
    pub detail: String,
    /// Seconds until it is worth trying again; becomes `Retry-After`.
    pub retry_after: Option<u32>,
}

impl From<PeopleMessage> for Refusal {
    fn from(message: PeopleMessage) -> Self {
        Self { message, detail: String::new(), retry_after: None }
    }
}

impl PeopleMessage {
    pub fn about(self, detail: impl Into<String>) -> Refusal {
        Refusal { message: self, detail: detail.into(), retry_after: None }
    }
}

impl Refusal {
    pub fn paused(message: PeopleMessage, seconds: u32) -> Self {
        Self { message, detail: seconds.to_string(), retry_after: Some(seconds) }
    }

    pub fn status(&self) -> u16 {
        self.message.words().status
    }

    /// The same refusal for the operator's door.
    pub fn trouble(&self) -> Trouble {
        let words = self.message.words();
        let fill = |text: &str| text.replace("{}", &self.detail);
        Trouble {
            code: words.code.to_owned(),
            kind: match words.status {
                401 | 403 => TroubleKind::Denied,
                404 => TroubleKind::NotFound,
                409 | 410 => TroubleKind::Conflict,
                429 | 503 => TroubleKind::TryLater,
                500 => TroubleKind::Internal,
                _ => TroubleKind::Usage,
            },
            ja: fill(words.ja),
            en: fill(words.en),
            remedy_ja: fill(words.remedy_ja),
            remedy_en: fill(words.remedy_en),
        }
    }
}

#[cfg(test)]
mod tests;
