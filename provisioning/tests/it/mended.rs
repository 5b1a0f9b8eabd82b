//! An address that was mistyped (D-01, E-03): told, corrected, and the same letter leaves; whatever was under way to
//! the old address counts for nothing.

use std::time::Duration;

use provisioning::door::{
    AddressChange, CaseDetail, ProvisioningAnswer, ProvisioningQuestion, ReceiptPoint, RevokeReason, Trouble,
};
use provisioning::post::Patience;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::mail::{Office, smarthost};

/// A server that knows nobody at `mistyped`, and answers a mail when it is told to.
async fn server() -> (u16, mpsc::UnboundedReceiver<String>, mpsc::UnboundedSender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, gets) = mpsc::unbounded_channel();
    let (go, mut goes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // One after another is enough: what waits, waits.
        while let Ok((stream, _)) = listener.accept().await {
            let _ = serve(stream, &got, &mut goes).await;
        }
    });
    (port, gets, go)
}

async fn serve(
    stream: TcpStream,
    got: &mpsc::UnboundedSender<String>,
    go: &mut mpsc::UnboundedReceiver<()>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mx.example.net\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.split([' ', '\r']).next().unwrap_or_default() {
            "EHLO" => "250 mx.example.net\r\n",
            "RCPT" if line.contains("mistyped@") => "550 5.1.1 no such user\r\n",
            "RCPT" => {
                let _ = got.send(line.clone());
                "250 ok\r\n"
            }
            "MAIL" => "250 ok\r\n",
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            "DATA" => {
                stream.write_all(b"354 go\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail).await? == 0 {
                        return Ok(());
                    }
                }
                let _ = go.recv().await;
                "250 2.0.0 queued\r\n"
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

async fn correct(office: &Office, address: &str, dry_run: bool) -> Result<AddressChange, Trouble> {
    let answer = office.world.ask(ProvisioningQuestion::FacilityList).await;
    let ProvisioningAnswer::Facilities(rows) = answer else { panic!("{answer:?}") };
    let facility = rows.into_iter().find(|row| row.slots[0].to_string() == "18-0001").unwrap().facility;
    let address = address.to_owned();
    match office.world.ask(ProvisioningQuestion::FacilityAdminAddress { facility, address, dry_run }).await {
        ProvisioningAnswer::AddressChanged(change) => Ok(change),
        ProvisioningAnswer::Trouble(trouble) => Err(trouble),
        other => panic!("{other:?}"),
    }
}

async fn case(office: &Office) -> CaseDetail {
    match office.world.ask(ProvisioningQuestion::CaseShow { case: office.cases[0].clone() }).await {
        ProvisioningAnswer::Case(detail) => detail,
        other => panic!("{other:?}"),
    }
}

/// The first applicant, whose form says `address`.
async fn office_with(port: u16, address: &str) -> Office {
    let patience = Patience { greeting: Duration::from_secs(50), mail: Duration::from_secs(50) };
    let office = Office::new(provisioning::post::MailConfig { patience, ..smarthost(port) }).await;
    let registry = office.world.registry().await;
    let text: String = sqlx::query_scalar("SELECT application FROM office_case WHERE case_id = $1")
        .bind(&office.cases[0])
        .fetch_one(&registry)
        .await
        .unwrap();
    let mut application: serde_json::Value = serde_json::from_str(&text).unwrap();
    application["admin_address"] = address.into();
    sqlx::query("UPDATE office_case SET application = $1 WHERE case_id = $2")
        .bind(application.to_string())
        .bind(&office.cases[0])
        .execute(&registry)
        .await
        .unwrap();
    office.accept(0).await;
    office
}

/// The server's answer stands in the case (D-01); with the right address the same letter leaves, with the same sheet.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_letter_leaves_for_the_corrected_address() {
    let (port, mut got, go) = server().await;
    let office = office_with(port, "mistyped@sakura.example.jp").await;
    let refused = office.letter("18-0001", |row| row.state == "failed").await;
    assert_eq!(refused.answer.as_deref(), Some("550 5.1.1 no such user"));
    assert!(refused.meaning_ja.as_deref().unwrap().contains("宛先のアドレスがありません"));
    let shown = case(&office).await;
    assert_eq!((shown.row.state.as_str(), shown.letters[0].clone()), ("accepted", refused.clone()));
    let (before, sheet) = (office.world.rows().await, std::fs::read(office.world.sheet("18-0001")).unwrap());

    // What cannot be, is not; nothing changes meanwhile.
    for (address, code) in [
        ("電話で", "MM-5231"),
        ("kanri@sakura.example.jp\r\nBcc: a@b.jp", "MM-5231"),
        ("jimukyoku@mimamori.example.jp", "MM-5233"),
    ] {
        assert_eq!(correct(&office, address, false).await.unwrap_err().code, code, "{address}");
    }
    let would = correct(&office, "right@sakura.example.jp", true).await.unwrap();
    assert_eq!(would.letters, std::slice::from_ref(&refused.message));
    assert_eq!((office.world.rows().await, case(&office).await), (before.clone(), shown));

    go.send(()).unwrap();
    let change = correct(&office, "Right@sakura.example.jp", false).await.unwrap();
    assert_eq!((change.letters, change.gone), (vec![refused.message.clone()], vec![]));
    let sent = office.letter("18-0001", |row| row.state == "sent").await;
    assert_eq!((sent.message, sent.recipient.as_str()), (refused.message, "Right@sakura.example.jp"));
    assert_eq!(got.recv().await.unwrap().trim(), "RCPT TO:<Right@sakura.example.jp>");
    assert_eq!(std::fs::read(office.world.sheet("18-0001")).unwrap(), sheet);
    assert_eq!(case(&office).await.row.state, "sent");

    // It is the login, in the form in which two addresses are one; nobody signs in with the old one.
    let registry = office.world.registry().await;
    let logins = |login: &'static str| {
        let registry = registry.clone();
        async move {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM person WHERE login = $1");
            count.bind(login).fetch_one(&registry).await.unwrap()
        }
    };
    assert_eq!(logins("right@sakura.example.jp").await, 1);
    assert_eq!(logins("mistyped@sakura.example.jp").await, 0);
    let after = office.world.rows().await;
    assert_eq!(
        (after["address"], after["person"], after["outbox"]),
        (before["address"], before["person"], before["outbox"])
    );
    let trail: String = sqlx::query_scalar("SELECT body FROM audit WHERE action = 'facility.admin-address'")
        .fetch_one(&registry)
        .await
        .unwrap();
    assert!(!trail.contains('@'), "the trail is never wiped: {trail}");

    // The same again is nothing; another one later says whose bundle went elsewhere.
    let audit = office.world.rows().await["audit"];
    assert_eq!(
        correct(&office, "Right@sakura.example.jp", false).await.unwrap().letters,
        Vec::<String>::new()
    );
    assert_eq!(office.world.rows().await["audit"], audit);
    let late = correct(&office, "other@sakura.example.jp", false).await.unwrap();
    assert!(late.letters.is_empty() && late.gone == ["18-0001".parse().unwrap()], "{late:?}");
}

/// The server still holds the mail to the old address when the address is corrected: its 250 is not believed,
/// and the letter leaves for the new one.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_under_way_to_the_old_address_counts_for_nothing() {
    let (port, mut got, go) = server().await;
    let office = office_with(port, "old@sakura.example.jp").await;
    assert!(got.recv().await.unwrap().contains("old@"), "it is with the server now");
    let change = correct(&office, "new@sakura.example.jp", false).await.unwrap();
    assert_eq!(change.letters, ["o-bundle-18-0001-1"]);
    go.send(()).unwrap();
    assert!(got.recv().await.unwrap().contains("new@"), "it goes out again");
    let waiting = office.letter("18-0001", |_| true).await;
    assert_eq!((waiting.state.as_str(), waiting.answer), ("waiting", None), "the first 250 was not ours");
    go.send(()).unwrap();
    let sent = office.letter("18-0001", |row| row.state == "sent").await;
    assert_eq!((sent.recipient.as_str(), sent.attempts), ("new@sakura.example.jp", 1));
}

/// 再発行 by mail: the letter with the dead key is withdrawn though a server holds it, the new one says what is dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_reissued_bundle_overtakes_one_that_is_still_under_way() {
    let (port, mut got, go) = server().await;
    let office = office_with(port, "kanri@sakura.example.jp").await;
    got.recv().await.unwrap();
    let slot = "18-0001".parse().unwrap();
    let answer = office.world.ask(ProvisioningQuestion::SlotReissue { slot, dry_run: false }).await;
    let ProvisioningAnswer::Renewed(renewal) = answer else { panic!("{answer:?}") };
    assert_eq!(renewal.letter.as_deref(), Some("o-reissue-18-0001-2"));
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    got.recv().await.unwrap();
    for _ in 0..3_000 {
        let letters = case(&office).await.letters;
        let state = |message: &str| letters.iter().find(|row| row.message == message).unwrap().state.clone();
        if state("o-reissue-18-0001-2") == "sent" {
            assert_eq!(state("o-bundle-18-0001-1"), "cancelled");
            assert_eq!(case(&office).await.row.state, "sent", "the case goes on");
            // A revocation stops whatever is left (ruling 7).
            let lost = ProvisioningQuestion::DeviceRevoke {
                slot,
                reason: RevokeReason::Lost,
                note: None,
                dry_run: false,
            };
            let ProvisioningAnswer::Receipt(receipt) = office.world.ask(lost).await else { panic!() };
            assert!(receipt.points.iter().any(|point: &ReceiptPoint| point.point == "mail"));
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never sent");
}
