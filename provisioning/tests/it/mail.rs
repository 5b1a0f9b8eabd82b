//! Bundles by mail (M-02, D-01): through Exim into a Maildir, DKIM checked by an independent verifier; and
//! past servers that refuse, delay, break off and never answer. What a stranger finds in the message is
//! what the room sent, and nothing of the sheet is in it.

use std::fs;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use provisioning::Room;
use provisioning::door::{
    CaseChoice, LetterRow, ProvisioningAnswer, ProvisioningQuestion, RevokeReason, Trouble,
};
use provisioning::post::{MailConfig, MailLogin, MailTls, Patience};
use provisioning::smime_key::SmimeKey;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::world::{SAMPLE, World, operator};

/// Only ends a test that has failed.
const LIMIT: Duration = Duration::from_secs(60);

/// Beside this room, in the checkout that the test runs in.
fn script() -> Command {
    let room = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    Command::new(std::path::Path::new(&room).join("../tests/setup/exim"))
}

pub fn smarthost(port: u16) -> MailConfig {
    MailConfig {
        host: "localhost".into(),
        port,
        tls: MailTls::LoopbackOnly,
        login: None,
        from: "jimukyoku@mimamori.example.jp".into(),
        roots_pem: Vec::new(),
        smime: None,
        patience: Patience { greeting: Duration::from_secs(20), mail: Duration::from_secs(20) },
    }
}

/// The room with mail: facilities of the sample, none accepted yet.
pub struct Office {
    pub world: World,
    pub cases: Vec<String>,
}

impl Office {
    pub async fn new(mail: MailConfig) -> Self {
        let world = World::with_mail(Some(mail)).await;
        let cases = world.import(SAMPLE, false).await.unwrap().cases;
        Self { world, cases }
    }

    pub async fn accept(&self, nth: usize) {
        self.world.accept(CaseChoice::One(self.cases[nth].clone()), false).await.unwrap();
    }

    async fn letters(&self) -> Vec<LetterRow> {
        letters(&self.world.room).await
    }

    /// The bundle of a slot, once it has come to be so.
    pub async fn letter(&self, slot: &str, wanted: impl Fn(&LetterRow) -> bool) -> LetterRow {
        let until = tokio::time::Instant::now() + LIMIT;
        loop {
            let rows = self.letters().await;
            let row = rows.iter().find(|row| row.message.starts_with(&format!("o-bundle-{slot}-")));
            if let Some(row) = row.filter(|row| wanted(row)) {
                return row.clone();
            }
            assert!(tokio::time::Instant::now() < until, "{rows:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn retry(&self, message: &str) -> Result<LetterRow, Trouble> {
        match self.world.ask(ProvisioningQuestion::OutboxRetry { message: message.into() }).await {
            ProvisioningAnswer::Letter(row) => Ok(row),
            ProvisioningAnswer::Trouble(trouble) => Err(trouble),
            other => panic!("{other:?}"),
        }
    }

    async fn payload(&self, message: &str) -> String {
        sqlx::query_scalar("SELECT payload FROM outbox WHERE message = $1")
            .bind(message)
            .fetch_one(&self.world.registry().await)
            .await
            .unwrap()
    }
}

async fn letters(room: &Room) -> Vec<LetterRow> {
    match room.operator(ProvisioningQuestion::OutboxList, operator()).await {
        ProvisioningAnswer::Outbox(rows) => rows,
        other => panic!("{other:?}"),
    }
}

/// Exim on a loopback port, everything it writes below one folder; ended by its pid.
pub struct Exim {
    child: Child,
    pub dir: tempfile::TempDir,
    pub port: u16,
}

impl Exim {
    pub async fn start(prepare: impl FnOnce(&Path)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        // Free a moment ago; a second run of the test picks another.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = script();
        command.arg("run").arg(dir.path()).arg(port.to_string()).stdin(Stdio::null()).process_group(0);
        let mut exim = Self { child: command.spawn().unwrap(), dir, port };
        for _ in 0..3_000 {
            if TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return exim;
            }
            assert!(exim.child.try_wait().unwrap().is_none(), "exim ended by itself");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("exim does not listen");
    }

    /// Every message of the Maildir.
    fn mails(&self) -> Vec<PathBuf> {
        let new = self.dir.path().join("mail/new");
        let Ok(entries) = fs::read_dir(new) else { return Vec::new() };
        let mut mails: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        mails.sort();
        mails
    }

    pub async fn mail(&self) -> PathBuf {
        for _ in 0..3_000 {
            if let [mail] = self.mails().as_slice() {
                return mail.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{:?}", self.mails());
    }
}

impl Drop for Exim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Python's own mail library takes the message apart: a JSON of headers, both bodies and all attachments.
pub fn taken_apart(mail: &Path) -> serde_json::Value {
    const PROGRAM: &str = r#"
import email, email.policy, json, sys
m = email.message_from_binary_file(open(sys.argv[1], "rb"), policy=email.policy.default)
assert not list(m.defects), m.defects
parts = [p for p in m.iter_attachments() if not p.is_multipart()]
files = {p.get_filename(): p.get_payload(decode=True).decode(errors="replace") for p in parts}
print(json.dumps({
  "headers": {k.lower(): str(v) for k, v in m.items()},
  "text": m.get_body(("plain",)).get_content(),
  "html": m.get_body(("html",)).get_content(),
  "files": files, "names": [p.get_filename() for p in parts],
  "encodings": sorted({p["content-transfer-encoding"] for p in m.walk() if not p.is_multipart()}),
}))
"#;
    let output = Command::new("python3").args(["-c", PROGRAM]).arg(mail).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

pub async fn dkim_record(office: &Office) -> (String, String) {
    match office.world.ask(ProvisioningQuestion::MailDns).await {
        ProvisioningAnswer::MailDns(records) => {
            assert_eq!(records.len(), 3);
            (records[0].name.clone(), records[0].value.clone())
        }
        other => panic!("{other:?}"),
    }
}

pub fn verified(mail: &Path, record: &(String, String)) -> bool {
    let checked = script().arg("verify").arg(mail).args([&record.0, &record.1]).output().unwrap();
    assert!(checked.stderr.is_empty(), "{}", String::from_utf8_lossy(&checked.stderr));
    checked.status.success()
}

/// M-02, C-12.1, D-01, P-05: the bundle arrives as it was issued, believed by a stranger, and without its sheet.
/// Requirements D-02, G-02, M-02a.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_arrives_through_a_real_server_signed_and_whole() {
    let exim = Exim::start(|_| {}).await;
    let office = Office::new(smarthost(exim.port)).await;
    office.accept(0).await;
    let row = office.letter("18-0001", |row| row.state == "sent").await;
    assert!(row.answer.as_deref().unwrap().starts_with("250 OK"), "{row:?}");
    assert_eq!((row.attempts, office.payload(&row.message).await.as_str()), (1, ""));

    let mail = exim.mail().await;
    let parts = taken_apart(&mail);
    let header = |name: &str| parts["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("subject"), "【ふくいみまもり（試験）】仮登録完了のお知らせ（VPN番号 18-0001）");
    assert_eq!(header("message-id"), format!("<{}@mimamori.example.jp>", row.message));
    assert_eq!(header("return-path"), format!("<bounce+{}@mimamori.example.jp>", row.message));
    assert_eq!(header("auto-submitted"), "auto-generated");
    assert_eq!(header("to"), row.recipient);
    assert!(header("from").ends_with("<jimukyoku@mimamori.example.jp>"));
    assert_eq!(parts["encodings"], serde_json::json!(["base64"]));
    assert_eq!(parts["names"], serde_json::json!(["mima-18-0001.conf", "mimamori-root.crt", "guide.html"]));

    // The profile's key is the one that is seated, and the sheet stays here (P-05).
    let profile = parts["files"]["mima-18-0001.conf"].as_str().unwrap();
    assert!(profile.contains("PrivateKey = ") && profile.contains("Address = 10.18.100.101/32"), "{profile}");
    assert_eq!(parts["files"]["mimamori-root.crt"].as_str().unwrap(), office.world.config.root_pem);
    office.world.letters_left().await;
    assert!(!office.world.bundle("18-0001").exists(), "a mailed bundle is not written down as well");
    let sheet = fs::read_to_string(office.world.sheet("18-0001")).unwrap();
    let everything = parts.to_string();
    for name in ["証明書取得用No: ", "パスワード: "] {
        let printed = sheet.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        assert!(!everything.contains(printed) && !everything.contains(&printed.replace('-', "")));
    }
    for body in ["text", "html"] {
        let body = parts[body].as_str().unwrap();
        assert!(body.contains("18-0001") && body.contains("みまもり事務局") && !body.contains("http"));
    }

    let record = dkim_record(&office).await;
    assert!(verified(&mail, &record), "a verifier that is not ours believes it");
    // The attacker's test: one other word, one other recipient, another file.
    let octets = fs::read_to_string(&mail).unwrap();
    for (from, to) in
        [("Subject: =?", "Subject: x=?"), ("auto-generated", "no"), ("PCFkb2N0eXBl", "PCFkb2N0eXBm")]
    {
        assert!(octets.contains(from), "{from}");
        let forged = exim.dir.path().join("forged");
        fs::write(&forged, octets.replacen(from, to, 1)).unwrap();
        assert!(!verified(&forged, &record), "{from}");
    }
    let added = octets.replacen("\nFrom: ", "\nFrom: evil@example.com\nFrom: ", 1);
    let forged = exim.dir.path().join("forged");
    fs::write(&forged, added).unwrap();
    assert!(!verified(&forged, &record), "no second From");
}

/// A bad address is told and looked at; nobody else waits for it. A greylisted one is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_address_holds_nobody_up() {
    let exim = Exim::start(|_| {}).await;
    let office = Office::new(smarthost(exim.port)).await;
    let registry = office.world.registry().await;
    // Applications are checked on the way in; here the admins' addresses die later.
    let change = |case: String, to: &'static str| {
        let registry = registry.clone();
        async move {
            let text: String = sqlx::query_scalar("SELECT application FROM office_case WHERE case_id = $1")
                .bind(&case)
                .fetch_one(&registry)
                .await
                .unwrap();
            let mut application: serde_json::Value = serde_json::from_str(&text).unwrap();
            let address = application["admin_address"].as_str().unwrap().to_owned();
            let domain = address.split_once('@').unwrap().1.to_owned();
            application["admin_address"] = format!("{to}@{domain}").into();
            sqlx::query("UPDATE office_case SET application = $1 WHERE case_id = $2")
                .bind(application.to_string())
                .bind(&case)
                .execute(&registry)
                .await
                .unwrap();
        }
    };
    change(office.cases[0].clone(), "nobody").await;
    change(office.cases[1].clone(), "greylisted").await;
    for nth in 0..3 {
        office.accept(nth).await;
    }
    let refused = office.letter("18-0001", |row| row.state == "failed").await;
    let rows = office.letters().await;
    let grey = rows.iter().find(|row| row.recipient.starts_with("greylisted@")).unwrap().clone();
    let slot = grey.slot.unwrap().to_string();
    let delayed = office.letter(&slot, |row| row.attempts == 1).await;
    let good = rows
        .iter()
        .find(|row| row.kind == "bundle" && row.facility != grey.facility && row.message != refused.message);
    let good = good.unwrap().slot.unwrap().to_string();
    office.letter(&good, |row| row.state == "sent").await;
    assert_eq!(refused.answer.as_deref(), Some("550 no such user here"));
    assert_eq!((delayed.state.as_str(), delayed.answer.as_deref()), ("waiting", Some("451 try again later")));
    assert!(delayed.next_at.is_some());
    assert_eq!(office.world.status().await.outbox_failed, 1);

    // The operator tries it again: it is asked again, and refused again.
    assert_eq!(office.retry(&refused.message).await.unwrap().state, "waiting");
    office.letter("18-0001", |row| row.state == "failed" && row.attempts == 1).await;
    assert_eq!(office.retry("o-nothing").await.unwrap_err().code, "MM-5341");
    assert_eq!(office.retry(&format!("o-bundle-{good}-1")).await.unwrap_err().code, "MM-5342");

    // A lost device's letter never leaves any more, whatever its state (ruling 7).
    let slot = "18-0001".parse().unwrap();
    let revoke =
        ProvisioningQuestion::DeviceRevoke { slot, reason: RevokeReason::Lost, note: None, dry_run: false };
    let answer = office.world.ask(revoke).await;
    assert!(matches!(answer, ProvisioningAnswer::Receipt(_)), "{answer:?}");
    assert_eq!(office.retry(&refused.message).await.unwrap_err().code, "MM-5343");
    assert_eq!(office.payload(&refused.message).await, "");
}

/// TLS with a certificate of ours, and the login; a wrong root or password is our fault and never the mail's.
#[tokio::test(flavor = "multi_thread")]
async fn the_smarthost_is_known_by_its_certificate_and_asks_who_we_are() {
    let cert = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let chain = cert.cert.pem();
    let exim = Exim::start(|dir| {
        fs::write(dir.join("tls.pem"), format!("{chain}{}", cert.signing_key.serialize_pem())).unwrap();
        fs::write(dir.join("password"), "himitsu-0123\n").unwrap();
    })
    .await;
    let login = |password: &str| {
        Some(MailLogin { username: "mimamori".into(), password: password.to_owned().into() })
    };
    let stranger = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    for (roots, password) in [(&stranger, "himitsu-0123"), (&chain, "wrong")] {
        let mail = MailConfig {
            tls: MailTls::Required,
            login: login(password),
            roots_pem: roots.clone().into_bytes(),
            ..smarthost(exim.port)
        };
        let office = Office::new(mail).await;
        office.accept(0).await;
        let row = office.letter("18-0001", |row| row.attempts == 1).await;
        assert_eq!(row.state, "waiting", "{row:?}");
        assert!(!format!("{row:?}").contains("himitsu"), "{row:?}");
        office.world.room.stop().await;
    }
    let mail = MailConfig {
        tls: MailTls::Required,
        login: login("himitsu-0123"),
        roots_pem: chain.into_bytes(),
        ..smarthost(exim.port)
    };
    let office = Office::new(mail).await;
    office.accept(0).await;
    office.letter("18-0001", |row| row.state == "sent").await;
    let mut log = String::new();
    fs::File::open(exim.dir.path().join("log/mainlog")).unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("P=esmtpsa") && log.contains("A=plain:mimamori"), "{log}");
}

/// How a server of our own misbehaves.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Closes after the last dot, before its 250: nobody knows whether the mail arrived.
    ClosesBeforeTheAnswer,
    /// Closes in the middle of the data.
    ClosesInTheData,
    NeverGreets,
    /// Offers no STARTTLS.
    Plain,
    Busy,
    Takes,
    /// Answers what is no SMTP.
    Babbles,
}

/// Serves every connection in the manner of the moment and passes on what it got.
async fn server(manner: tokio::sync::watch::Receiver<Manner>) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (got, gets) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let manner = *manner.borrow();
            let got = got.clone();
            tokio::spawn(async move {
                let _ = serve(stream, manner, &got).await;
            });
        }
    });
    (port, gets)
}

async fn serve(
    stream: TcpStream,
    manner: Manner,
    got: &mpsc::UnboundedSender<String>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    match manner {
        Manner::NeverGreets => std::future::pending().await,
        Manner::Babbles => return stream.write_all(b"\x1b[31m hello \xff\r\n").await,
        _ => stream.write_all(b"220 mx.example.net\r\n").await?,
    }
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.split(' ').next().unwrap_or_default().trim() {
            "EHLO" => "250 mx.example.net\r\n",
            "RCPT" if matches!(manner, Manner::Busy) => "452 4.3.1 full\r\n",
            "MAIL" | "RCPT" => "250 ok\r\n",
            "QUIT" => return stream.write_all(b"221 bye\r\n").await,
            "DATA" => {
                stream.write_all(b"354 go\r\n").await?;
                let mut mail = String::new();
                while !mail.ends_with("\r\n.\r\n") {
                    if stream.read_line(&mut mail).await? == 0 {
                        return Ok(());
                    }
                    if matches!(manner, Manner::ClosesInTheData) {
                        return Ok(());
                    }
                }
                let _ = got.send(mail);
                if matches!(manner, Manner::ClosesBeforeTheAnswer) {
                    return Ok(());
                }
                "250 2.0.0 queued as 42\r\n"
            }
            _ => "502 what\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
    }
}

/// At least once, and every copy is the same octets: a receiver can tell. Nothing is lost meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_server_does_the_mail_waits_and_arrives_the_same() {
    waits_and_arrives_the_same(None).await;
}

/// ECDSA signs otherwise each time, so that the signature is made once (RFC 8551).
#[tokio::test(flavor = "multi_thread")]
async fn a_mail_with_a_signature_of_its_own_arrives_the_same() {
    waits_and_arrives_the_same(Some(super::smime::ecdsa_key())).await;
}

async fn waits_and_arrives_the_same(smime: Option<SmimeKey>) {
    let is_signed = smime.is_some();
    let (manner, seen) = tokio::sync::watch::channel(Manner::ClosesBeforeTheAnswer);
    let (port, mut got) = server(seen).await;
    let patience = Patience { greeting: Duration::from_millis(300), mail: Duration::from_secs(20) };
    let office = Office::new(MailConfig { patience, smime, ..smarthost(port) }).await;
    office.accept(0).await;
    let row = office.letter("18-0001", |row| row.attempts == 1).await;
    let first = got.recv().await.unwrap();
    assert!(first.contains("DKIM-Signature: v=1;") && first.contains("multipart/signed") == is_signed);
    for next in [Manner::ClosesInTheData, Manner::NeverGreets, Manner::Busy, Manner::Babbles] {
        manner.send(next).unwrap();
        office.retry(&row.message).await.unwrap();
        let row = office.letter("18-0001", |row| row.attempts == 1).await;
        assert_eq!(row.state, "waiting", "{next:?} {row:?}");
        assert!(row.answer.is_some_and(|answer| !answer.is_empty() && !answer.chars().any(char::is_control)));
    }
    // Its sheet never waited for the mail.
    assert!(office.world.sheet("18-0001").exists());
    manner.send(Manner::ClosesBeforeTheAnswer).unwrap();
    office.retry(&row.message).await.unwrap();
    office.letter("18-0001", |row| row.attempts == 1).await;
    manner.send(Manner::Takes).unwrap();
    // The room is killed and started again: the outbox is all it has.
    let config = office.world.config.clone();
    office.world.room.stop().await;
    sqlx::query("UPDATE outbox SET next_at = 0").execute(&office.world.registry().await).await.unwrap();
    let again = provisioning::open(config)
        .unwrap()
        .start_with(super::world::needs(), super::world::cheap())
        .await
        .unwrap();
    let (second, third) = (got.recv().await.unwrap(), got.recv().await.unwrap());
    assert!(first == second && second == third, "the same octets, the same Message-ID");
    for _ in 0..3_000 {
        let rows = letters(&again).await;
        if let Some(row) = rows.iter().find(|row| {
            row.kind == "bundle" && row.state == "sent" && row.slot != Some(office.world.office.slot)
        }) {
            assert_eq!(row.answer.as_deref(), Some("250 2.0.0 queued as 42"));
            again.stop().await;
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("never sent");
}

/// No mail in the clear where TLS is required, and none to a server that is not there.
#[tokio::test(flavor = "multi_thread")]
async fn without_tls_or_without_a_server_nothing_leaves() {
    let (_manner, seen) = tokio::sync::watch::channel(Manner::Plain);
    let (port, mut got) = server(seen).await;
    let roots = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap().cert.pem();
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    for (port, tls) in [(port, MailTls::Required), (gone, MailTls::LoopbackOnly)] {
        let office =
            Office::new(MailConfig { tls, roots_pem: roots.clone().into(), ..smarthost(port) }).await;
        office.accept(0).await;
        let row = office.letter("18-0001", |row| row.attempts == 1).await;
        assert_eq!(row.state, "waiting", "{row:?}");
        office.world.room.stop().await;
    }
    assert!(got.try_recv().is_err(), "not a word of it");
}

/// Without a smarthost everything is as before, and says so.
#[tokio::test]
async fn without_a_smarthost_bundles_lie_in_the_folder() {
    let world = World::new().await;
    let answer = world.ask(ProvisioningQuestion::MailDns).await;
    assert!(matches!(answer, ProvisioningAnswer::Trouble(trouble) if trouble.code == "MM-5344"));
    let rows = letters(&world.room).await;
    assert!(
        rows.iter().all(|row| row.state == "sent" && row.answer.as_deref() == Some("written")),
        "{rows:?}"
    );
}
