//! The whole authority over a token (SoftHSM 2, and a TPM 2.0 behind its own module), and everything that a token can refuse. Issue 5: PKCS #11.
//! A module reads where its tokens lie from the environment, once: each test plays in a child process of its own.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use x509_parser::prelude::{CertificateRevocationList, FromDer};

use super::*;
use crate::authority::tests::request;
use crate::ceremony::tests::{NOW, PASSPHRASE, config, folders_in, openssl};
use crate::ceremony::{self, Ceremony, Origin, TokenKeys};
use crate::door::{
    DeviceKind, IssuingAnswer, IssuingQuestion, PkiAct, PkiAnswer, PkiQuestion, PublishedAnswer,
    PublishedQuestion, RevocationReason, Revoke,
};
use crate::folders::{self, DEVICE_CA_KEY_SEALED, DEVICE_CA_KEY_TOKEN, SERVER_CA_KEY_SEALED};
use crate::ledger::Ledger;
use crate::pem;
use crate::realm::{crl_path, shard_of};
use crate::room::{self, Room};
use crate::seal::Secret;
use crate::serial::CertificateSerial;
use crate::verify::DeviceVerifier;

const INSIDE: &str = "MIMAMORI_TEST_TOKEN";
/// Another module than SoftHSM's.
const OTHER_MODULE: &str = "MIMAMORI_TEST_MODULE";
const LABEL: &str = "mimamori test";
const PIN: &str = "4711-0815";
/// Where Debian puts it.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
/// An event is waited for, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(120);

/// Debian's module for TPMs; its folder has the machine's name in it.
fn tpm_module() -> PathBuf {
    Path::new("/usr/lib").join(format!("{}-linux-gnu/pkcs11/libtpm2_pkcs11.so", std::env::consts::ARCH))
}

/// Outside: makes a token, plays the test again beside it, and gives nothing. Inside: the folder.
fn beside_a_token(test: &str) -> Option<PathBuf> {
    if let Ok(dir) = std::env::var(INSIDE) {
        return Some(dir.into());
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = dir.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    std::fs::write(&conf, text).unwrap();
    play(test, dir.path(), Path::new(MODULE), &[("SOFTHSM2_CONF", conf.into_os_string())]);
    None
}

/// Initializes the module's token and plays the test beside it.
fn play(test: &str, dir: &Path, module: &Path, environment: &[(&str, OsString)]) {
    run(Command::new("softhsm2-util")
        .args(["--init-token", "--free", "--label", LABEL, "--pin", PIN, "--so-pin", "1234567", "--module"])
        .arg(module)
        .envs(environment.iter().cloned()));
    let said = run(Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("token::tests::{test}"), "--nocapture", "--test-threads=1"])
        .envs(environment.iter().cloned())
        .env(INSIDE, dir));
    assert!(said.contains("1 passed"), "{said}");
}

fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    text
}

fn token_config(label: &str, pin: &str) -> TokenConfig {
    let module = std::env::var_os(OTHER_MODULE).map_or_else(|| MODULE.into(), PathBuf::from);
    TokenConfig { module, label: label.into(), pin: Pin::new(pin) }
}

/// An emulated TPM at two ports side by side, as its library wants them; ends with the test.
struct Tpm {
    child: Child,
    port: u16,
}

impl Tpm {
    fn start(state: &Path) -> Self {
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE {
            let Some(port) = two_ports() else { continue };
            let at = |port: u16| format!("type=tcp,port={port},bindaddr=127.0.0.1");
            let child = Command::new("swtpm")
                .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear", "--tpmstate"])
                .arg(format!("dir={}", state.display()))
                .args(["--server", &at(port), "--ctrl", &at(port + 1)])
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let mut tpm = Self { child, port };
            // Whoever took one of the ports meanwhile ends it: then others are tried.
            while begun.elapsed() < PATIENCE && tpm.child.try_wait().unwrap().is_none() {
                if TcpStream::connect(("127.0.0.1", port + 1)).is_ok()
                    && tpm.child.try_wait().unwrap().is_none()
                {
                    return tpm;
                }
                std::thread::yield_now();
            }
        }
        panic!("no TPM in {PATIENCE:?}");
    }
}

impl Drop for Tpm {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn two_ports() -> Option<u16> {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = first.local_addr().unwrap().port();
    TcpListener::bind(("127.0.0.1", port.checked_add(1)?)).ok().map(|_| port)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

/// A realm whose issuing CAs live in the token.
async fn realm(dir: &Path, origin: Origin) -> Ceremony {
    let token = Token::open(token_config(LABEL, PIN)).unwrap();
    let keys = TokenKeys { token, prefix: "mimamori".into(), origin };
    let held = ceremony::create(&ceremony::CeremonyConfig { token: Some(keys), ..config() }, NOW).unwrap();
    folders::write(&held, &folders_in(dir)).await.unwrap();
    held
}

fn open(dir: &Path, token: Option<TokenConfig>) -> Result<room::Opened, room::OpenError> {
    room::open(room::Config {
        dir: folders_in(dir).pki,
        secret: Secret::new(PASSPHRASE.into()).unwrap(),
        token,
        published_base: "http://10.18.255.2".into(),
    })
}

async fn started(dir: &Path) -> Room {
    open(dir, Some(token_config(LABEL, PIN))).unwrap().start().await.unwrap()
}

async fn issue(room: &Room, slot: &str, token: &str) -> IssuingAnswer {
    let kind = DeviceKind::Facility;
    room.issuing(IssuingQuestion::Issue {
        slot: slot.parse().unwrap(),
        kind,
        request: request(),
        token: token.into(),
    })
    .await
}

async fn bytes(room: &Room, path: &str) -> Vec<u8> {
    match room.published(PublishedQuestion::Get { path: path.into() }).await {
        PublishedAnswer::Bytes { bytes, .. } => bytes,
        PublishedAnswer::NotFound => panic!("{path} is not published"),
    }
}

/// Whether the list of its shard names it.
async fn listed(room: &Room, serial: &CertificateSerial) -> bool {
    let der = bytes(room, &crl_path(shard_of(serial))).await;
    let (_, list) = CertificateRevocationList::from_der(&der).unwrap();
    list.iter_revoked_certificates().any(|one| one.raw_serial() == serial.as_bytes())
}

#[test]
fn issue_5_the_whole_authority_over_a_token() {
    let Some(dir) = beside_a_token("issue_5_the_whole_authority_over_a_token") else { return };
    runtime().block_on(async {
        let held = realm(&dir, Origin::Made).await;
        let folder = folders_in(&dir).pki;
        assert!(held.transcript.contains("mimamori-device-ca, mimamori-server-ca"), "{}", held.transcript);
        assert_eq!(
            std::fs::read_to_string(folder.join(DEVICE_CA_KEY_TOKEN)).unwrap(),
            "mimamori-device-ca\n"
        );
        for sealed in [DEVICE_CA_KEY_SEALED, SERVER_CA_KEY_SEALED] {
            assert!(!folder.join(sealed).exists(), "{sealed}: there is nothing to seal");
        }
        assert!(folders_in(&dir).held(), "the form with a token is a whole realm, too");

        let room = started(&dir).await;
        let IssuingAnswer::Issued(issued) = issue(&room, "18-0042", "claim-1").await else { panic!() };
        let now = now();
        let verifier = DeviceVerifier::new(&[&held.device_ca_der]).unwrap();
        verifier.verify(&issued.chain, now).unwrap();
        // Many at once are one record and many signatures.
        let many = (0..40).map(|n| {
            let room = room.clone();
            tokio::spawn(async move { issue(&room, &format!("18-01{n:02}"), &format!("many-{n}")).await })
        });
        for one in many.collect::<Vec<_>>() {
            let IssuingAnswer::Issued(one) = one.await.unwrap() else { panic!() };
            verifier.verify(&one.chain, now).unwrap();
        }
        // Renewal of the gateway, by the other key of the token.
        let act = PkiAct::RenewGateway { certificate: held.gateway_der.clone() };
        let renewed = room.operator(PkiQuestion::Act { by: "engineer".into(), act }).await;
        let PkiAnswer::Certified(gateway) = renewed else { panic!("{renewed:?}") };
        let revoke = IssuingQuestion::Revoke {
            what: Revoke::Certificate(issued.serial),
            reason: RevocationReason::KeyCompromise,
        };
        assert!(matches!(room.issuing(revoke).await, IssuingAnswer::Revoked { .. }));
        assert!(listed(&room, &issued.serial).await);
        let verified = room.operator(PkiQuestion::VerifyLedger).await;
        assert!(matches!(verified, PkiAnswer::LedgerVerified { .. }), "{verified:?}");
        room.stop().await;
        strangers(
            &dir,
            &held,
            &issued.chain[0],
            &gateway.chain[0],
            &bytes(&room, &crl_path(shard_of(&issued.serial))).await,
        );

        // A restart finds both keys again; the passphrase opens nothing that is needed.
        let again = started(&dir).await;
        let PkiAnswer::Status(status) = again.operator(PkiQuestion::Status).await else { panic!() };
        assert_eq!((status.living, status.revoked, status.lists_late), (40, 1, 0));
        assert!(matches!(issue(&again, "18-0043", "claim-2").await, IssuingAnswer::Issued(_)));
        again.stop().await;
    });
}

/// OpenSSL reads what the token signed: its raw halves were turned into DER rightly.
fn strangers(dir: &Path, held: &Ceremony, leaf: &[u8], gateway: &[u8], list: &[u8]) {
    let write = |name: &str, text: String| std::fs::write(dir.join(name), text).unwrap();
    write("root.pem", pem::certificate(&held.root_der));
    write("device.pem", pem::certificate(&held.device_ca_der));
    write("server.pem", pem::certificate(&held.server_ca_der));
    write("leaf.pem", pem::certificate(leaf));
    write("gateway.pem", pem::certificate(gateway));
    std::fs::write(dir.join("list.crl"), list).unwrap();
    for arguments in [
        "verify -x509_strict -purpose sslclient -CAfile root.pem -untrusted device.pem leaf.pem",
        "verify -x509_strict -purpose sslserver -CAfile root.pem -untrusted server.pem gateway.pem",
        "crl -inform DER -in list.crl -CAfile device.pem -noout",
    ] {
        openssl(dir, arguments).unwrap();
    }
}

fn fault(opened: Result<room::Opened, room::OpenError>) -> String {
    opened.err().map_or_else(|| "it opened".to_owned(), |error| error.to_string())
}

#[test]
fn whose_fault_it_is_that_a_token_does_not_open() {
    let Some(dir) = beside_a_token("whose_fault_it_is_that_a_token_does_not_open") else { return };
    runtime().block_on(async {
        let error = |config| Token::open(config).err().unwrap().to_string();
        let module = |module: &str| TokenConfig { module: module.into(), ..token_config(LABEL, PIN) };
        assert!(error(module("/usr/lib/nothing.so")).starts_with("MM-2241 /usr/lib/nothing.so"));
        assert!(error(module("/etc/hostname")).starts_with("MM-2241"), "a file that is no library");
        let wrong = error(token_config(LABEL, "1111"));
        assert!(wrong.starts_with("MM-2242") && !wrong.contains("1111"), "{wrong}");
        let other = error(token_config("another", PIN));
        assert!(other.starts_with("MM-2244") && other.contains(LABEL), "what is there is said: {other}");

        realm(&dir, Origin::Made).await;
        assert!(fault(open(&dir, None)).starts_with("MM-2235"));
        assert!(fault(open(&dir, Some(token_config(LABEL, "1111")))).starts_with("MM-2242"));
        let file = folders_in(&dir).pki.join(DEVICE_CA_KEY_TOKEN);
        std::fs::write(&file, "mimamori-server-ca\n").unwrap();
        let mixed = fault(open(&dir, Some(token_config(LABEL, PIN))));
        assert!(mixed.starts_with("MM-2250"), "{mixed}");
        std::fs::write(&file, "mimamori-nobody\n").unwrap();
        assert!(fault(open(&dir, Some(token_config(LABEL, PIN)))).starts_with("MM-2245"));
        // A second ceremony does not write over the first one's keys, and may take them up by name.
        let token = Token::open(token_config(LABEL, PIN)).unwrap();
        let keys = |origin| TokenKeys { token: Arc::clone(&token), prefix: "mimamori".into(), origin };
        let held = |origin| {
            ceremony::create(&ceremony::CeremonyConfig { token: Some(keys(origin)), ..config() }, NOW)
        };
        assert!(held(Origin::Made).err().unwrap().to_string().starts_with("MM-2248"));
        assert!(held(Origin::Found).is_ok());
    });
}

/// secp384r1.
const P384: [u8; 7] = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

#[test]
fn keys_of_another_kind_are_refused_by_name() {
    if beside_a_token("keys_of_another_kind_are_refused_by_name").is_none() {
        return;
    }
    let token = Token::open(token_config(LABEL, PIN)).unwrap();
    let pair = |label: &str, mechanism: &Mechanism<'_>, public: Attribute| {
        token
            .with(|open| {
                let session = token.context.open_rw_session(open.slot).map_err(failed)?;
                let named =
                    [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(label.into())];
                let public: Vec<_> = named.iter().cloned().chain([public.clone()]).collect();
                session.generate_key_pair(mechanism, &public, &named).map(drop).map_err(failed)
            })
            .unwrap();
    };
    let curve = |oid: &[u8]| Attribute::EcParams(oid.to_vec());
    pair("p384", &Mechanism::EccKeyPairGen, curve(&P384));
    pair("rsa", &Mechanism::RsaPkcsKeyPairGen, Attribute::ModulusBits(2048.into()));
    pair("twice", &Mechanism::EccKeyPairGen, curve(&P256));
    pair("twice", &Mechanism::EccKeyPairGen, curve(&P256));
    let code = |label: &str| {
        token.key(label).err().map_or_else(|| "ok".to_owned(), |error| error.to_string()[..7].to_owned())
    };
    assert_eq!([code("p384"), code("rsa")], ["MM-2247", "MM-2247"]);
    assert_eq!([code("twice"), code("nobody")], ["MM-2246", "MM-2245"]);
    token.make("ours").unwrap();
    assert_eq!(code("ours"), "ok");
    // What we make cannot be taken out.
    let private = token.with(|open| found(&open.session, "ours")).unwrap().0;
    let wanted = [AttributeType::Extractable, AttributeType::Sensitive, AttributeType::Value];
    let told = token.with(|open| open.session.get_attributes(private, &wanted).map_err(failed)).unwrap();
    assert!(
        told.contains(&Attribute::Extractable(false)) && told.contains(&Attribute::Sensitive(true)),
        "{told:?}"
    );
    assert!(!told.iter().any(|one| matches!(one, Attribute::Value(_))), "the scalar was read");
}

/// Three tries lock a card: a PIN that was refused once is not sent again.
#[test]
fn a_refused_pin_is_not_tried_again() {
    if beside_a_token("a_refused_pin_is_not_tried_again").is_none() {
        return;
    }
    let right = Token::open(token_config(LABEL, PIN)).unwrap();
    let key = right.make("ours").unwrap();
    // The line is lost, and meanwhile the PIN has become another one.
    let wrong = Arc::new(Token {
        module: right.module.clone(),
        label: right.label.clone(),
        pin: AuthPin::from("1111".to_owned()),
        context: right.context.clone(),
        line: Mutex::new(Line::Lost),
    });
    *right.line() = Line::Lost;
    right.context.clone().finalize().unwrap();
    let key = TokenKey { token: Arc::clone(&wrong), label: key.label, public: key.public };
    let sign = || key.sign(&Order::anything(b"to be signed")).err().unwrap().to_string();
    let first = sign();
    assert!(first.starts_with("MM-2242"), "{first}");
    // No slot is even looked for: the module is not asked any more.
    assert!(matches!(&*wrong.line(), Line::Refused(TokenError::Pin { .. })));
    assert_eq!(sign(), first);
    assert!(wrong.context.get_slots_with_token().is_err(), "the module was opened again");
}

#[test]
fn a_token_that_goes_away_signs_nothing_loses_nothing_and_is_taken_up_again() {
    let name = "a_token_that_goes_away_signs_nothing_loses_nothing_and_is_taken_up_again";
    let Some(dir) = beside_a_token(name) else { return };
    runtime().block_on(async {
        let held = realm(&dir, Origin::Made).await;
        let room = started(&dir).await;
        let IssuingAnswer::Issued(first) = issue(&room, "18-0042", "claim-1").await else { panic!() };
        let (here, away) = (dir.join("tokens"), dir.join("drawer"));

        std::fs::rename(&here, &away).unwrap();
        let refused = issue(&room, "18-0043", "claim-2").await;
        let IssuingAnswer::Refused(refusal) = refused else { panic!("signed without a token: {refused:?}") };
        assert_eq!(refusal.code(), "MM-2009");
        let why = format!("{refusal:?}");
        assert!(why.contains("MM-2244") || why.contains("MM-2249"), "{why}");
        // A revocation stands without any signature: nobody is let in, and OCSP says so, by the delegate's key.
        let revoke = IssuingQuestion::Revoke {
            what: Revoke::Certificate(first.serial),
            reason: RevocationReason::KeyCompromise,
        };
        assert!(matches!(room.issuing(revoke).await, IssuingAnswer::Revoked { .. }));
        let PkiAnswer::Status(status) = room.operator(PkiQuestion::Status).await else { panic!() };
        assert_eq!(
            (status.living, status.revoked, status.lists_late),
            (0, 1, 1),
            "its list is late, and said to be"
        );
        assert!(!listed(&room, &first.serial).await, "no list was signed");

        std::fs::rename(&away, &here).unwrap();
        // Nobody restarts anything: what is late is signed by itself.
        tokio::time::timeout(PATIENCE, async {
            while !listed(&room, &first.serial).await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await
        .expect("the list is late for ever");
        let IssuingAnswer::Issued(second) = issue(&room, "18-0043", "claim-2").await else { panic!() };
        DeviceVerifier::new(&[&held.device_ca_der]).unwrap().verify(&second.chain, now()).unwrap();
        room.stop().await;

        let ledger = Ledger::open(&folders_in(&dir).pki.join(folders::LEDGER)).await.unwrap();
        ledger.verify_all().await.unwrap();
        let states: Vec<_> = ledger.rows(None, NOW).await.unwrap().into_iter().map(|row| row.state).collect();
        assert_eq!(states.len(), 3, "{states:?}: the one that was never signed stands as abandoned");
        ledger.close().await;
    });
}

/// The same signer, a TPM 2.0 behind Debian's module for it: made in the chip, used in the chip, and no signature
/// when the chip is gone.
#[test]
fn issue_5_the_authority_over_a_tpm() {
    const TEST: &str = "issue_5_the_authority_over_a_tpm";
    let Ok(dir) = std::env::var(INSIDE).map(PathBuf::from) else {
        let dir = tempfile::tempdir().unwrap();
        let (state, store) = (dir.path().join("state"), dir.path().join("store"));
        std::fs::create_dir(&state).unwrap();
        std::fs::create_dir(&store).unwrap();
        let tpm = Tpm::start(&state);
        let environment = [
            ("TPM2_PKCS11_TCTI", format!("swtpm:host=127.0.0.1,port={}", tpm.port).into()),
            ("TPM2_PKCS11_STORE", store.into_os_string()),
            ("TSS2_LOG", "all+NONE".into()),
            (OTHER_MODULE, tpm_module().into_os_string()),
            ("MIMAMORI_TEST_TPM", tpm.child.id().to_string().into()),
        ];
        play(TEST, dir.path(), &tpm_module(), &environment);
        return;
    };
    runtime().block_on(async {
        let held = realm(&dir, Origin::Made).await;
        let room = started(&dir).await;
        let IssuingAnswer::Issued(issued) = issue(&room, "18-0042", "claim-1").await else { panic!() };
        let verifier = DeviceVerifier::new(&[&held.device_ca_der]).unwrap();
        verifier.verify(&issued.chain, now()).unwrap();
        let revoke = IssuingQuestion::Revoke {
            what: Revoke::Certificate(issued.serial),
            reason: RevocationReason::KeyCompromise,
        };
        assert!(matches!(room.issuing(revoke).await, IssuingAnswer::Revoked { .. }));
        assert!(listed(&room, &issued.serial).await);
        room.stop().await;
        let again = started(&dir).await;
        assert!(matches!(issue(&again, "18-0043", "claim-2").await, IssuingAnswer::Issued(_)));

        let chip = std::env::var("MIMAMORI_TEST_TPM").unwrap();
        run(Command::new("kill").args(["-KILL", &chip]));
        let refused = issue(&again, "18-0044", "claim-3").await;
        assert!(matches!(refused, IssuingAnswer::Refused(_)), "signed without a chip: {refused:?}");
        again.stop().await;
    });
}
