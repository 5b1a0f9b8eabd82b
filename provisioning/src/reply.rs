//! What a mail server's answer means to a clerk, and what to do about it: by its code (RFC 5321 4.2), more exactly
//! by its enhanced code (RFC 3463) where it gives one. The server's own words are shown beside it. Pure.

/// In both languages, with the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meaning {
    pub ja: &'static str,
    pub en: &'static str,
}

const fn meaning(ja: &'static str, en: &'static str) -> Meaning {
    Meaning { ja, en }
}

/// The answer of a letter that went into the folder.
pub const WRITTEN: &str = "written";
/// How the answer of a letter begins that went by post.
pub const POSTED: &str = "posted";

const TAKEN: Meaning = meaning("送信サーバーが受け取りました。", "The mail server has taken it.");
const FILED: Meaning =
    meaning("印刷用のフォルダーに書き出しました。", "It was written to the folder for printing.");
const GONE_BY_POST: Meaning = meaning("郵送しました。", "It went by post.");
const BACK_BY_POST: Meaning = meaning(
    "郵便で戻りました。「発送」の「戻った郵便」で、次の手続きをしてください。",
    "It came back by post: see the page of the outgoing post.",
);
const NOBODY: Meaning = meaning(
    "宛先のアドレスがありません（打ち間違いが多いです）。電話で確かめ、アドレスを直してください。",
    "There is no such address, most often a typing mistake: ask by telephone and correct it.",
);
const FULL: Meaning = meaning(
    "相手の受信箱がいっぱいです。空けてもらってから、送り直してください。",
    "The mailbox is full: have it emptied, then send again.",
);
const LARGE: Meaning = meaning(
    "相手のサーバーには大きすぎるメールです。別のアドレスを聞いてください。",
    "The mail is too large for that server: ask for another address.",
);
const DISTRUST: Meaning = meaning(
    "迷惑メールとして断られました。ネットワーク担当に連絡してください（DKIM・SPF・DMARC、mail dns）。",
    "Refused as spam: tell the engineer (DKIM, SPF, DMARC; `mail dns`).",
);
const LOGIN: Meaning = meaning(
    "送信サーバーにログインできません。ネットワーク担当に連絡してください（[mail] の設定）。",
    "The login at our mail server fails: tell the engineer ([mail] of the configuration).",
);
const REFUSED: Meaning = meaning(
    "相手のサーバーが受け取りを断りました。宛先を電話で確かめてください。",
    "The server refused it for good: ask the recipient by telephone.",
);
const LATER: Meaning = meaning(
    "相手のサーバーが、あとで送るように答えました。自動で送り直しますので、お待ちください。",
    "The server asks us to come again; it is tried again by itself.",
);
const SILENT: Meaning = meaning(
    "送信サーバーとうまく話せません。自動で送り直します。1時間たっても残るときは、ネットワーク担当に連絡してください。",
    "Our mail server cannot be reached; it is tried again by itself. After an hour tell the engineer.",
);
const GIVEN_UP: Meaning = meaning(
    "5日間送り直しましたが、届きませんでした。宛先を電話で確かめてください。",
    "It was tried for five days in vain: ask the recipient by telephone.",
);

/// `state` as the outbox spells it; `None` while there is no answer.
pub fn explain(state: &str, answer: &str) -> Option<Meaning> {
    if answer.is_empty() {
        return None;
    }
    if answer == WRITTEN {
        return Some(FILED);
    }
    if answer.starts_with(POSTED) {
        return Some(if state == "returned" { BACK_BY_POST } else { GONE_BY_POST });
    }
    let meant = match code(answer) {
        Some(200..300) => TAKEN,
        Some(code @ 500..600) => refused(code, enhanced(answer)),
        _ if state == "failed" => GIVEN_UP,
        Some(code) => delayed(code, enhanced(answer)),
        None => SILENT,
    };
    Some(meant)
}

fn refused(code: u16, detail: Option<(u16, u16)>) -> Meaning {
    match (detail, code) {
        (Some((1, _)) | Some((2, 1)), _) => NOBODY,
        (Some((2, 2)), _) => FULL,
        (Some((2, 3) | (3, 4)), _) => LARGE,
        (Some((7, 8 | 9 | 57)), _) | (None, 530 | 534 | 535 | 538) => LOGIN,
        (Some((7, _)), _) | (None, 554) => DISTRUST,
        (None, 550 | 551 | 553) => NOBODY,
        (None, 552) => FULL,
        _ => REFUSED,
    }
}

fn delayed(code: u16, detail: Option<(u16, u16)>) -> Meaning {
    match (detail, code) {
        (Some((2, 2)), _) | (None, 452) => FULL,
        (Some((7, 8 | 9)), _) | (None, 530 | 535) => LOGIN,
        _ => LATER,
    }
}

fn code(answer: &str) -> Option<u16> {
    let word = answer.split([' ', '-']).next()?;
    let three = word.len() == 3 && word.bytes().all(|octet| octet.is_ascii_digit());
    word.parse().ok().filter(|_| three)
}

/// Subject and detail of `5.1.1`; the class repeats the code's first digit.
fn enhanced(answer: &str) -> Option<(u16, u16)> {
    let mut parts = answer.split(' ').nth(1)?.split('.');
    let class = parts.next()?;
    let (subject, detail) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    (matches!(class, "2" | "4" | "5") && parts.next().is_none()).then_some((subject, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D-01: what Exim, Postfix, Gmail and Exchange say, as their manuals quote it.
    #[test]
    fn answers_of_well_known_servers_are_understood() {
        for (state, answer, meant) in [
            ("sent", "250 OK id=1tA2B3-0001", TAKEN),
            ("sent", "written", FILED),
            ("failed", "550 no such user here", NOBODY),
            ("failed", "550 5.1.1 The email account that you tried to reach does not exist.", NOBODY),
            ("failed", "550 5.1.10 RESOLVER.ADR.RecipientNotFound", NOBODY),
            ("failed", "553 sorry, no mailbox here by that name", NOBODY),
            ("failed", "550 5.2.1 The email account that you tried to reach is inactive.", NOBODY),
            ("failed", "552 5.2.2 The email account that you tried to reach is over quota.", FULL),
            ("waiting", "452 4.2.2 The recipient's inbox is out of storage space.", FULL),
            ("failed", "552 5.3.4 Message size exceeds fixed limit", LARGE),
            ("failed", "550 5.7.26 This mail is unauthenticated", DISTRUST),
            ("failed", "554 Message rejected", DISTRUST),
            ("failed", "530 5.7.57 Client not authenticated to send mail", LOGIN),
            ("waiting", "535 Incorrect authentication data", LOGIN),
            ("failed", "501 5.5.4 Invalid argument", REFUSED),
            ("waiting", "451 try again later", LATER),
            ("waiting", "450 4.2.0 Recipient address rejected: Greylisted", LATER),
            ("waiting", "421 Service not available", LATER),
            ("waiting", "no greeting in time", SILENT),
            ("waiting", "Connection error: Connection refused (os error 111)", SILENT),
            ("failed", "451 try again later", GIVEN_UP),
            ("failed", "Connection error", GIVEN_UP),
        ] {
            assert_eq!(explain(state, answer), Some(meant), "{state} {answer}");
        }
        assert_eq!(explain("waiting", ""), None);
    }

    /// A stranger's words decide nothing but which sentence of ours is shown.
    #[test]
    fn strange_answers_are_no_codes() {
        for answer in ["５５０ ユーザーがいません", "55 0", "5500 x", "550\u{202e}", "-550", "no. 5.1.1"]
        {
            assert_eq!(explain("waiting", answer), Some(SILENT), "{answer}");
        }
        assert_eq!(explain("failed", "550 5.1.1.1.1 x"), Some(NOBODY));
        assert_eq!(explain("failed", "550 5.99999999.1 x"), Some(NOBODY));
    }
}
