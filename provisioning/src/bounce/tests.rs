//! Bounces as they come: reports by the book, the forms of carriers and old servers, and mails that are none.

use proptest::prelude::*;

use super::*;

const ZONE: &str = "mimamori.example.jp";

fn report(action: &str, status: &str, diagnostic: &str) -> String {
    format!(
        "Return-Path: <>\r\nTo: bounce+o-bundle-18-0001-1@mimamori.example.jp\r\nFrom: MAILER-DAEMON@mx.example.ne.jp\r\n\
         Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"b=_1\"\r\nMIME-Version: 1.0\r\n\r\n\
         This is the mail system.\r\n\r\n--b=_1\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n\r\n--b=_1\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.ne.jp\r\n\r\n\
         Final-Recipient: rfc822; kanri@sakura.example.jp\r\nAction: {action}\r\nStatus: {status}\r\n{diagnostic}\r\n\
         --b=_1\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <o-bundle-18-0001-1@mimamori.example.jp>\r\n\r\n--b=_1--\r\n"
    )
}

fn plain(from: &str, to: &str, body: &str) -> String {
    format!("Return-Path: <>\nFrom: {from}\nTo: {to}\nSubject: failure notice\n\n{body}\n")
}

/// D-01, RFC 3464: final, delayed and delivered are told apart, with the words of whoever refused.
#[test]
fn d_01_a_report_by_the_book_is_read() {
    let diagnostic =
        "Diagnostic-Code: smtp; 550 5.1.1 <kanri@sakura.example.jp>:\r\n Recipient address rejected\r\n";
    let read = |mail: String| super::read(ZONE, mail.as_bytes()).unwrap();
    let bounce = read(report("failed", "5.1.1", diagnostic));
    assert_eq!(
        bounce,
        Bounce {
            letter: "o-bundle-18-0001-1".into(),
            kind: BounceKind::Failed,
            answer: "550 5.1.1 <kanri@sakura.example.jp>: Recipient address rejected".into(),
        }
    );
    let full = read(report("failed", "5.2.2", "Diagnostic-Code: x-local; mailbox full\r\n"));
    assert_eq!(full.answer, "550 5.2.2 mailbox full");
    let late = read(report("delayed", "4.4.1", ""));
    assert_eq!((late.kind, late.answer.as_str()), (BounceKind::Delayed, "450 4.4.1"));
    let arrived = read(report("delivered", "2.0.0", ""));
    assert_eq!((arrived.kind, arrived.answer.as_str()), (BounceKind::Delivered, "250 2.0.0"));
}

/// Carriers and old servers say it in their text.
#[test]
fn d_01_carriers_own_forms_are_read() {
    let to = "bounce+o-bundle-18-0001-1@mimamori.example.jp";
    for (from, body, answer) in [
        (
            "MAILER-DAEMON@docomo.ne.jp",
            "The following addresses had permanent fatal errors -----\n<kanri@docomo.ne.jp>\n\n   ----- Transcript of session follows -----\n... while talking to mfsmax.docomo.ne.jp.:\n>>> RCPT To:<kanri@docomo.ne.jp>\n<<< 550 Unknown user kanri@docomo.ne.jp",
            "550 Unknown user kanri@docomo.ne.jp",
        ),
        (
            "Postmaster@ezweb.ne.jp",
            "Each of the following recipients was rejected by a remote mail server.\nThe reasons given by the server are included.\n\n   Recipient: <kanri@ezweb.ne.jp>\n   Reason:    <kanri@ezweb.ne.jp>... User Unknown",
            "550 5.1.1 Reason:    <kanri@ezweb.ne.jp>... User Unknown",
        ),
        (
            "MAILER-DAEMON@softbank.ne.jp",
            "The following message could not be delivered: \n<<< 550 Invalid recipient: <kanri@softbank.ne.jp>",
            "550 Invalid recipient: <kanri@softbank.ne.jp>",
        ),
        (
            "MAILER-DAEMON@qmail.example.jp",
            "Hi. This is the qmail-send program at qmail.example.jp.\nI'm afraid I wasn't able to deliver your message.\n\n<kanri@sakura.example.jp>:\nSorry, no mailbox here by that name. (#5.1.1)",
            "550 5.0.0 Sorry, no mailbox here by that name. (#5.1.1)",
        ),
        ("postmaster@sakura.example.jp", "The mailbox is full.", "550 5.2.2 The mailbox is full."),
    ] {
        let bounce = super::read(ZONE, plain(from, to, body).as_bytes()).unwrap();
        assert_eq!((bounce.kind, bounce.answer.as_str()), (BounceKind::Failed, answer), "{from}");
    }
}

/// The letter is found in the mail that is given back, when the address was rewritten on its way.
#[test]
fn d_01_the_letter_is_named_by_what_is_given_back() {
    let mail = report("failed", "5.1.1", "").replace("bounce+o-bundle-18-0001-1@", "bounces@");
    assert_eq!(super::read(ZONE, mail.as_bytes()).unwrap().letter, "o-bundle-18-0001-1");
    for gone in ["mimamori.example.jp", "o-bundle-18-0001-1"] {
        let strange = mail.replace(gone, "x");
        assert_eq!(super::read(ZONE, strange.as_bytes()), Err(NoBounce::NoLetter), "{gone}");
    }
}

/// An answer from a holiday, a person's question, and forgeries that want a long or strange name in our outbox.
#[test]
fn d_01_what_is_no_bounce_is_left_alone() {
    let to = "bounce+o-bundle-18-0001-1@mimamori.example.jp";
    let holiday = format!(
        "From: kanri@sakura.example.jp\nTo: {to}\nAuto-Submitted: auto-replied\n\n550 in the office until Monday, user unknown\n"
    );
    let person = format!("From: kanri@sakura.example.jp\nTo: {to}\n\n番号が分かりません (user unknown?)\n");
    for mail in [holiday, person, plain("MAILER-DAEMON@x.example", to, "Thank you.")] {
        assert_eq!(super::read(ZONE, mail.as_bytes()), Err(NoBounce::NoReport), "{mail}");
    }
    let long = format!("bounce+o-{}@mimamori.example.jp", "a".repeat(80));
    for to in [
        "bounce+../x@mimamori.example.jp",
        "bounce+o-1' OR 1@mimamori.example.jp",
        "bounce+@mimamori.example.jp",
        long.as_str(),
    ] {
        let mail = plain("MAILER-DAEMON@x.example", to, "550 no such user");
        assert_eq!(super::read(ZONE, mail.as_bytes()), Err(NoBounce::NoLetter), "{to}");
    }
    assert_eq!(super::read(ZONE, &vec![b'a'; MAIL_MAX + 1]), Err(NoBounce::TooLarge));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever lies in the mailbox: an answer, short and in one line.
    #[test]
    fn any_mail_is_answered(octets in proptest::collection::vec(any::<u8>(), 0..400), at in 0usize..900) {
        let _ = super::read(ZONE, &octets);
        let mut mail = report("failed", "5.1.1", "Diagnostic-Code: smtp; 550 x\r\n").into_bytes();
        let at = at.min(mail.len());
        mail.splice(at..at, octets);
        if let Ok(bounce) = super::read(ZONE, &mail) {
            prop_assert!(bounce.answer.chars().count() <= 300 && !bounce.answer.contains('\n'));
            prop_assert!(bounce.letter.starts_with("o-") && bounce.letter.len() <= 60);
        }
    }
}
