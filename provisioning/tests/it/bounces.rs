//! D-01: a mail that came back is shown where somebody looks, and does nothing else: anybody may send to that mailbox.

use http::StatusCode;
use provisioning::door::{LetterRow, ProvisioningAnswer, ProvisioningQuestion};

use super::pages::{get, link, send};
use super::town::Town;

impl Town {
    async fn bounce(&self, mail: &str, dry_run: bool) -> Result<LetterRow, String> {
        match self.ask(ProvisioningQuestion::MailBounce { mail: mail.into(), dry_run }).await {
            ProvisioningAnswer::Letter(row) => Ok(row),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble.code),
            other => panic!("{other:?}"),
        }
    }
}

pub fn report(letter: &str, action: &str, words: &str) -> String {
    format!(
        "Return-Path: <>\r\nTo: bounce+{letter}@mimamori.example.jp\r\nFrom: MAILER-DAEMON@mx.example.ne.jp\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b1\r\n\r\n--b1\r\n\
         Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.ne.jp\r\n\r\nAction: {action}\r\n\
         Status: 5.1.1\r\nDiagnostic-Code: smtp; {words}\r\n\r\n--b1--\r\n"
    )
}

#[tokio::test]
async fn d_01_a_bounce_stands_on_the_desk_until_something_newer_leaves() {
    let town = Town::new().await;
    let (facility, place) = town.facilities(1).await.remove(0);
    let office = town.secretariat().await;
    town.until("the papers have left", async || {
        town.number("SELECT count(*) FROM outbox WHERE state = 'waiting'").await == 0
    })
    .await;
    let letter = format!("o-bundle-{place}-1");
    let mail = report(&letter, "failed", "550 5.1.1 no such user");
    assert_eq!(town.bounce(&mail, true).await.unwrap().state, "bounced");
    assert_eq!(town.number("SELECT count(*) FROM outbox WHERE state = 'bounced'").await, 0, "a rehearsal");
    let late = town.bounce(&report(&letter, "delayed", "450 4.2.0 greylisted"), false).await.unwrap();
    assert_eq!((late.state.as_str(), late.answer.as_deref()), ("sent", Some("450 4.2.0 greylisted")));
    for _twice in 0..2 {
        let row = town.bounce(&mail, false).await.unwrap();
        assert!(row.state == "bounced" && row.meaning_ja.unwrap().contains("電話で確かめ"));
    }
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE action = 'outbox.bounced'").await, 1);

    let home = get(&town, &office, "/", "office-home-bounced").await;
    assert!(home.text.contains("届いていないもの") && home.text.contains("届きません"));
    let page = get(&town, &office, link(&home.text, &format!("/letters/{letter}")), "letter-bounced").await;
    for wanted in ["戻ってきました", "550 5.1.1 no such user", "再発行…", "電話の画面"] {
        assert!(page.text.contains(wanted), "{wanted}");
    }
    let again = send(&town, &office, "POST", &format!("/letters/{letter}/retry"), &[]).await;
    assert!(again.status == StatusCode::CONFLICT && again.text.contains("MM-5342"), "its contents are wiped");
    let telephone = send(&town, &office, "GET", &format!("/facilities/{facility}/telephone"), &[]).await;
    assert!(telephone.text.contains("戻ってきました"));

    send(&town, &office, "POST", &format!("/slots/{place}/reissue"), &[]).await;
    town.until("the new one has left", async || {
        town.number("SELECT count(*) FROM outbox WHERE kind = 'reissue' AND state = 'sent'").await == 1
    })
    .await;
    assert!(
        !send(&town, &office, "GET", "/", &[]).await.text.contains("届いていないもの"),
        "nobody waits any more"
    );
}

/// The attacker's: no forged report opens, sends, cancels or names anything.
#[tokio::test]
async fn d_01_a_forged_bounce_moves_nothing() {
    let town = Town::new().await;
    let (_, place) = town.facilities(1).await.remove(0);
    town.until("the papers have left", async || {
        town.number("SELECT count(*) FROM outbox WHERE state = 'waiting'").await == 0
    })
    .await;
    let claims = "SELECT count(*) FROM enrolment WHERE state = 'open'";
    let (open, letters) = (town.number(claims).await, town.number("SELECT count(*) FROM outbox").await);
    for (mail, code) in [
        (report("o-bundle-18-9999-1", "failed", "550 x"), "MM-5341"),
        (report(&format!("o-bundle-{place}-1"), "dance", "550 x"), "MM-5345"),
        ("From: a@b.example\r\n\r\n550 user unknown".to_owned(), "MM-5345"),
        (String::new(), "MM-5345"),
    ] {
        assert_eq!(town.bounce(&mail, false).await.unwrap_err(), code);
    }
    let evil = report(&format!("o-bundle-{place}-1"), "failed", "550 <script>alert(1)</script>");
    town.bounce(&evil, false).await.unwrap();
    let office = town.secretariat().await;
    get(&town, &office, &format!("/letters/o-bundle-{place}-1"), "letter-forged").await;
    assert_eq!(
        (town.number(claims).await, town.number("SELECT count(*) FROM outbox").await),
        (open, letters)
    );
    assert_eq!(town.number("SELECT count(*) FROM audit WHERE body LIKE '%script%'").await, 0);
}
