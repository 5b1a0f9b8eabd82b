//! Issue 7, mail; D-01: the bounce mailbox. On somebody else's IMAP server (Debian's Dovecot, see `tests/setup/dovecot`):
//! what the session says is understood there, and what the server says is understood here; a whole round, from a report in
//! the mailbox to what a clerk is shown. On a server of an attacker's, and one that is gone in the middle.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_bounce::BounceRound;
use provisioning::imap;
use provisioning::post::BounceBox;
use zeroize::Zeroizing;

use super::bounces::report;
use super::pages::get;
use super::town::Town;
use crate::imap_server::{self, Imap, Script};

/// Only ends a test that has failed.
const LIMIT: Duration = Duration::from_secs(120);
const PASSWORD: &str = "modori \"no\" \\ himitsu";

struct Dovecot {
    child: Child,
    place: BounceBox,
    dir: tempfile::TempDir,
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        // The master ends its children when it is asked to.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Dovecot {
    /// A port that is free now may be somebody's a moment later: then it ends, and another is tried.
    async fn start() -> Self {
        let until = tokio::time::Instant::now() + LIMIT;
        loop {
            let mut server = Self::at(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port());
            while server.child.try_wait().unwrap().is_none() {
                // Its certificate is its own: whoever else answers at that port is not taken for it.
                if let Ok(session) = imap::open(&server.place).await {
                    session.leave().await;
                    return server;
                }
                let log = fs::read_to_string(server.dir.path().join("log"));
                assert!(tokio::time::Instant::now() < until, "{log:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            assert!(
                tokio::time::Instant::now() < until,
                "{:?}",
                fs::read_to_string(server.dir.path().join("log"))
            );
        }
    }

    fn at(port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let pair = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        fs::write(dir.path().join("tls.pem"), pair.cert.pem() + &pair.signing_key.serialize_pem()).unwrap();
        fs::write(dir.path().join("password"), PASSWORD).unwrap();
        let room = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
        let mut command = Command::new(Path::new(&room).join("../tests/setup/dovecot"));
        command.arg("run").arg(dir.path()).arg(port.to_string()).stdin(Stdio::null()).process_group(0);
        let child = command.spawn().unwrap();
        let place = BounceBox {
            host: "localhost".into(),
            port,
            username: "bounce@mimamori.example.jp".into(),
            password: Zeroizing::new(PASSWORD.into()),
            folder: "INBOX".into(),
            roots_pem: pair.cert.pem().into_bytes(),
        };
        Self { child, place, dir }
    }

    /// As a delivery agent does it: written beside, then moved in.
    fn put(&self, name: &str, mail: &[u8]) {
        let mailbox = self.dir.path().join("mail");
        let (tmp, new) = (mailbox.join("tmp").join(name), mailbox.join("new").join(name));
        fs::write(&tmp, mail).unwrap();
        assert!(Command::new("chown").arg("8:8").arg(&tmp).status().unwrap().success());
        fs::rename(tmp, new).unwrap();
    }

    /// The flags of what is still there: `F` set aside.
    fn left(&self) -> Vec<String> {
        let mailbox = self.dir.path().join("mail");
        let names = ["new", "cur"].iter().flat_map(|part| fs::read_dir(mailbox.join(part)).unwrap());
        let mut flags: Vec<String> = names
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .map(|name| name.split_once(":2,").map_or(String::new(), |(_, flags)| flags.to_owned()))
            .collect();
        flags.sort();
        flags
    }
}

impl Town {
    async fn with_mailbox(place: &BounceBox) -> Self {
        let mut town = Self::new().await;
        town.crash();
        town.config.bounces = Some(place.clone());
        town.start().await;
        town
    }

    async fn fetch(&self, dry_run: bool) -> BounceRound {
        match self.ask(ProvisioningQuestion::MailFetch { dry_run }).await {
            ProvisioningAnswer::Bounces(round) => round,
            other => panic!("{other:?}"),
        }
    }

    async fn last_round(&self) -> Option<BounceRound> {
        match self.ask(ProvisioningQuestion::Status).await {
            ProvisioningAnswer::Status(status) => status.bounces,
            other => panic!("{other:?}"),
        }
    }

    /// Its first letter has left.
    async fn letter(&self) -> String {
        let (_, place) = self.facilities(1).await.remove(0);
        self.until("the papers have left", async || {
            self.number("SELECT count(*) FROM outbox WHERE state = 'waiting'").await == 0
        })
        .await;
        format!("o-bundle-{place}-1")
    }

    async fn bounced(&self) -> (i64, i64) {
        (
            self.number("SELECT count(*) FROM outbox WHERE state = 'bounced'").await,
            self.number("SELECT count(*) FROM audit WHERE action = 'outbox.bounced'").await,
        )
    }
}

#[tokio::test]
async fn d_01_mails_are_fetched_deleted_and_set_aside_on_a_server_that_is_not_ours() {
    let server = Dovecot::start().await;
    let long =
        [b"Subject: long\r\n\r\n".as_slice(), &vec![b'x'; provisioning::bounce::MAIL_MAX + 50_000]].concat();
    let report = b"Subject: a report\r\n\r\n* 1 FETCH (UID 1 {3}\r\nm4 OK of a stranger\r\n".as_slice();
    for (name, mail) in [("1.a", report), ("2.b", b"Subject: hello\r\n\r\nhello\r\n"), ("3.c", &long)] {
        server.put(name, mail);
    }
    let mut session = imap::open(&server.place).await.unwrap();
    let waiting = session.waiting(10).await.unwrap();
    assert_eq!(waiting.len(), 3);
    let mut seen = Vec::new();
    for uid in &waiting {
        seen.push((session.fetch(*uid).await.unwrap().unwrap(), *uid));
    }
    let of = |start: &[u8]| seen.iter().find(|(mail, _)| mail.starts_with(start)).unwrap();
    assert_eq!(of(b"Subject: a report").0, report, "octet for octet");
    let cut = of(b"Subject: long").0.len();
    assert_eq!(cut, provisioning::bounce::MAIL_MAX + 1, "asked for no more, and told as too long");
    assert_eq!(session.fetch(9_999).await.unwrap(), None);
    session.delete(of(b"Subject: a report").1).await.unwrap();
    session.set_aside(of(b"Subject: hello").1).await.unwrap();
    let rest = of(b"Subject: long").1;
    session.end().await.unwrap();
    assert_eq!(server.left().len(), 2);
    let mut again = imap::open(&server.place).await.unwrap();
    assert_eq!(again.waiting(10).await.unwrap(), [rest], "what was set aside waits for a person");
    again.end().await.unwrap();
}

/// D-01: a report in the mailbox of a server that is not ours, and the case shows that the mail came back.
#[tokio::test]
async fn d_01_a_report_in_the_mailbox_is_shown_in_its_case() {
    let server = Dovecot::start().await;
    let town = Town::with_mailbox(&server.place).await;
    let letter = town.letter().await;
    town.until("the room's own first round", async || town.last_round().await.is_some()).await;
    server.put("1.report", report(&letter, "failed", "550 5.1.1 no such user").as_bytes());
    server.put("2.spam", b"From: a@b.example\r\nSubject: hello\r\n\r\nhello\r\n");
    let looked = town.fetch(true).await;
    assert_eq!((looked.found, looked.noted, &looked.fault), (2, 0, &None));
    assert_eq!((server.left().len(), town.bounced().await), (2, (0, 0)), "a rehearsal changes nothing");

    let round = town.fetch(false).await;
    assert_eq!((round.found, round.noted, round.set_aside, round.early, &round.fault), (2, 1, 1, 0, &None));
    assert_eq!((server.left(), town.bounced().await), (vec!["F".to_owned()], (1, 1)));
    assert_eq!(town.last_round().await, Some(round), "the status shows the last round");
    let office = town.secretariat().await;
    let home = get(&town, &office, "/", "office-home-fetched").await;
    assert!(home.text.contains("届いていないもの"), "D-01: it stands on the desk");
    let case = match town.ask(ProvisioningQuestion::CaseList).await {
        ProvisioningAnswer::Cases(cases) => cases[0].case.clone(),
        other => panic!("{other:?}"),
    };
    match town.ask(ProvisioningQuestion::CaseShow { case }).await {
        ProvisioningAnswer::Case(case) => {
            let shown = case.letters.iter().find(|row| row.message == letter).unwrap();
            assert_eq!(
                (shown.state.as_str(), shown.answer.as_deref()),
                ("bounced", Some("550 5.1.1 no such user"))
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(town.fetch(false).await.found, 0, "nothing is read twice");
}

#[tokio::test]
async fn a_stranger_at_the_servers_place_gets_no_password() {
    let server = Dovecot::start().await;
    let other = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let strange = BounceBox { roots_pem: other.cert.pem().into_bytes(), ..server.place.clone() };
    let wrong = BounceBox { password: Zeroizing::new("wrong".into()), ..server.place.clone() };
    let nowhere = BounceBox { folder: "Nowhere".into(), ..server.place.clone() };
    for (place, code) in [(strange, "MM-5953"), (wrong, "MM-5954"), (nowhere, "MM-5954")] {
        let town = Town::with_mailbox(&place).await;
        let fault = town.fetch(true).await.fault.unwrap();
        assert_eq!(fault.code, code, "{fault:?}");
    }
}

/// Gone between the note in the registry and the mark in the mailbox, and before either: nothing is lost, and nothing
/// happens twice.
#[tokio::test]
async fn d_01_a_server_that_is_gone_in_the_middle_costs_nothing_and_doubles_nothing() {
    let server = Imap::start().await;
    let town = Town::with_mailbox(&server.place).await;
    let letter = town.letter().await;
    town.until("the room's own first round", async || town.last_round().await.is_some()).await;
    server.put(7, report(&letter, "failed", "550 5.1.1 no such user").as_bytes());
    for (gone_at, after) in [("UID FETCH", (0, 0)), ("UID STORE", (1, 1)), ("EXPUNGE", (1, 1))] {
        server.script(Script::GoneAt(gone_at));
        let round = town.fetch(false).await;
        assert_eq!(round.fault.as_ref().map(|fault| fault.code.as_str()), Some("MM-5952"), "{gone_at}");
        assert_eq!(town.bounced().await, after, "{gone_at}");
    }
    assert_eq!(town.last_round().await.unwrap().failed_in_a_row, 3);
    server.script(Script::Honest);
    let round = town.fetch(false).await;
    assert_eq!((round.failed_in_a_row, &round.fault, town.bounced().await), (0, &None, (1, 1)));
    assert_eq!(server.left(), 0);
}

/// The room itself is killed while the server holds its answer to STORE: the next one begins again.
#[tokio::test]
async fn d_01_a_kill_between_the_note_and_the_mark_is_made_good() {
    let server = Imap::start().await;
    let mut town = Town::with_mailbox(&server.place).await;
    let letter = town.letter().await;
    town.until("the room's own first round", async || town.last_round().await.is_some()).await;
    server.put(7, report(&letter, "failed", "550 5.1.1 no such user").as_bytes());
    server.script(Script::SilentAt("UID STORE"));
    let room = town.room();
    let _never = town.begin(async move {
        room.operator(ProvisioningQuestion::MailFetch { dry_run: false }, super::world::operator()).await
    });
    town.until("it is noted, and not yet marked", async || town.bounced().await == (1, 1)).await;
    town.crash();
    server.script(Script::Honest);
    town.start().await;
    town.until("the next one has made its first round", async || town.last_round().await.is_some()).await;
    assert_eq!((server.left(), town.bounced().await), (0, (1, 1)));
}

/// The refusal is faster than the note that the letter has left: the report stays for the next round.
#[tokio::test]
async fn d_01_a_report_that_comes_before_the_note_waits() {
    let server = Imap::start().await;
    let town = Town::with_mailbox(&server.place).await;
    let letter = town.letter().await;
    town.until("the room's own first round", async || town.last_round().await.is_some()).await;
    let set = |state: &'static str| {
        let town = &town;
        let letter = letter.clone();
        async move {
            let pool = town.registry().await;
            sqlx::query("UPDATE outbox SET state = $1, next_at = 9000000000000 WHERE message = $2")
                .bind(state)
                .bind(letter)
                .execute(&pool)
                .await
                .unwrap();
        }
    };
    set("waiting").await;
    server.put(7, report(&letter, "failed", "550 5.1.1 no such user").as_bytes());
    let round = town.fetch(false).await;
    assert_eq!((round.early, round.noted, server.left()), (1, 0, 1));
    set("sent").await;
    let round = town.fetch(false).await;
    assert_eq!((round.early, round.noted, server.left(), town.bounced().await), (0, 1, 0, (1, 1)));
}

/// The attacker's: whoever stands at the server's place with its certificate is told as what he is, and holds nobody.
#[tokio::test]
async fn an_attackers_server_is_bounded_and_refused() {
    let server = Imap::start().await;
    let town = Town::with_mailbox(&server.place).await;
    let letter = town.letter().await;
    town.until("the room's own first round", async || town.last_round().await.is_some()).await;
    server.put(7, report(&letter, "failed", "550 5.1.1 no such user").as_bytes());
    for script in
        [Script::GiantLiteral, Script::EndlessLine, Script::EndlessLines, Script::OtherTag, Script::OtherMail]
    {
        server.script(script);
        let fault = town.fetch(false).await.fault.unwrap();
        assert_eq!(fault.code, "MM-5955", "{script:?}: {fault:?}");
        assert_eq!((server.left(), town.bounced().await), (1, (0, 0)), "{script:?}");
    }
    server.script(Script::QuotesThePassword);
    let fault = town.fetch(false).await.fault.unwrap();
    assert_eq!(fault.code, "MM-5954");
    assert!(!format!("{fault:?}").contains(imap_server::PASSWORD), "{fault:?}");
}
