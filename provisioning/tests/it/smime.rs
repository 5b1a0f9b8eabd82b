//! S/MIME (issue 7, mail): a letter through Exim, believed by OpenSSL and by a DKIM verifier, whole for a mail program;
//! and what of a certificate is refused before any letter leaves. Certificates are made by OpenSSL, as authorities
//! give them out.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use pki::mail_certificate::MailCertificateFault as Fault;
use provisioning::post::MailConfig;
use provisioning::smime_key::SmimeKey;

use super::mail::{Exim, Office, dkim_record, smarthost, taken_apart, verified};

const FROM: &str = "jimukyoku@mimamori.example.jp";
const EC: &str = "ec -pkeyopt ec_paramgen_curve:P-256";
const RSA: &str = "rsa -pkeyopt rsa_keygen_bits:2048";
const DAY_S: i64 = 86_400;

fn openssl(dir: &Path, line: &str) -> Output {
    Command::new("openssl").current_dir(dir).args(line.split_whitespace()).output().unwrap()
}

fn made(dir: &Path, line: &str) {
    let output = openssl(dir, line);
    assert!(output.status.success(), "openssl {line}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// A public authority with one below it, in `root.pem` and `chain.pem`.
fn authority(dir: &Path) {
    made(dir, &format!("genpkey -algorithm {EC} -out root.key"));
    made(dir, "req -x509 -new -key root.key -subj /CN=root -days 3650 -out root.pem");
    made(dir, &format!("genpkey -algorithm {EC} -out middle.key"));
    made(dir, "req -new -key middle.key -subj /CN=middle -out middle.csr");
    fs::write(dir.join("middle.ext"), "basicConstraints=critical,CA:TRUE\nkeyUsage=keyCertSign\n").unwrap();
    let sign = "x509 -req -in middle.csr -CA root.pem -CAkey root.key -days 3000 -extfile middle.ext";
    made(dir, &format!("{sign} -out middle.pem"));
}

/// What an engineer is sent: certificate, issuer and key in one file.
fn issued(dir: &Path, kind: &str, address: &str, extensions: &str) -> String {
    made(dir, &format!("genpkey -algorithm {kind} -out leaf.key"));
    made(dir, "req -new -key leaf.key -subj /O=kyogikai -out leaf.csr");
    fs::write(dir.join("leaf.ext"), format!("subjectAltName=email:{address}\n{extensions}")).unwrap();
    let sign = "x509 -req -in leaf.csr -CA middle.pem -CAkey middle.key -days 365 -extfile leaf.ext";
    made(dir, &format!("{sign} -out leaf.pem"));
    ["leaf.key", "middle.pem", "leaf.pem"].map(|name| fs::read_to_string(dir.join(name)).unwrap()).concat()
}

const MAILS: &str = "extendedKeyUsage=emailProtection\nkeyUsage=critical,digitalSignature\n";

fn now() -> i64 {
    provisioning::world::now_ms() / 1_000
}

/// A good key of this kind, and the folder with the authority that vouches for it.
pub fn good_key(kind: &str) -> (SmimeKey, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    authority(dir.path());
    let pem = issued(dir.path(), kind, FROM, MAILS);
    (SmimeKey::read(&pem, FROM).unwrap(), dir)
}

pub fn ecdsa_key() -> SmimeKey {
    good_key(EC).0
}

/// By `program` (`cms` or `smime`): what was signed, where the signature holds.
fn content(dir: &Path, program: &str, mail: &Path) -> Option<Vec<u8>> {
    let output = openssl(
        dir,
        &format!("{program} -verify -in {} -CAfile root.pem -purpose smimesign -out content", mail.display()),
    );
    output.status.success().then(|| fs::read(dir.join("content")).unwrap())
}

async fn a_letter_is_believed(kind: &str) {
    let (key, dir) = good_key(kind);
    let shown = key.shown();
    let exim = Exim::start(|_| {}).await;
    let office = Office::new(MailConfig { smime: Some(key), ..smarthost(exim.port) }).await;
    office.accept(0).await;
    let row = office.letter("18-0001", |row| row.state == "sent").await;
    let mail = exim.mail().await;
    let whole = taken_apart(&mail);
    let header = |name: &str| whole["headers"][name].as_str().unwrap_or_default().to_owned();
    assert_eq!(header("subject"), "【ふくいみまもり（試験）】仮登録完了のお知らせ（VPN番号 18-0001）");
    assert_eq!(header("message-id"), format!("<{}@mimamori.example.jp>", row.message));
    for part in ["multipart/signed", "protocol=\"application/pkcs7-signature\"", "micalg=\"sha-256\""] {
        assert!(header("content-type").contains(part), "{}", header("content-type"));
    }
    assert_eq!(whole["names"], serde_json::json!(["smime.p7s"]));

    for program in ["cms", "smime"] {
        let signed = content(dir.path(), program, &mail).expect(program);
        let path = dir.path().join("content.eml");
        fs::write(&path, signed).unwrap();
        let inner = taken_apart(&path);
        assert_eq!(
            inner["names"],
            serde_json::json!(["mima-18-0001.conf", "mimamori-root.crt", "guide.html"])
        );
        assert_eq!(
            inner["files"]["mimamori-root.crt"].as_str().unwrap(),
            office.world.config.root_pem,
            "attachments are whole"
        );
        assert!(inner["text"].as_str().unwrap().contains("施設内管理者様"));
        assert!(inner["html"].as_str().unwrap().contains("仮登録"));
    }
    let record = dkim_record(&office).await;
    assert!(verified(&mail, &record), "DKIM holds round the signature");

    // The attacker's test: an octet of a part, of an attachment's name, of the signature; and another authority's word.
    let octets = fs::read_to_string(&mail).unwrap();
    let signature = octets.split("smime.p7s").last().unwrap().trim_start_matches(|c: char| c != '\n').trim();
    let line = signature.lines().rfind(|line| line.len() > 40).unwrap();
    let bent = format!("{}{}", &line[..20], line[20..].replacen(|c: char| c.is_ascii_digit(), "A", 1));
    assert_ne!(line, bent);
    for (from, to) in [("PCFkb2N0eXBl", "PCFkb2N0eXBm"), ("guide.html", "guide.htma"), (line, bent.as_str())]
    {
        assert!(octets.contains(from), "{from}");
        let forged = exim.dir.path().join("forged");
        fs::write(&forged, octets.replacen(from, to, 1)).unwrap();
        for program in ["cms", "smime"] {
            assert_eq!(content(dir.path(), program, &forged), None, "{program} {from}");
        }
    }
    let (_, stranger) = good_key(EC);
    assert_eq!(content(stranger.path(), "cms", &mail), None, "another root");

    // The operator sees who signs and until when, and nothing of the key.
    let status = office.world.status().await;
    assert_eq!(status.mail_signature, Some(shown.clone()));
    assert!(shown.address == FROM && shown.issuer.contains("middle"), "{shown:?}");
    assert!((now() + 364 * DAY_S..now() + 366 * DAY_S).contains(&shown.not_after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_signed_by_ecdsa_is_believed_and_whole() {
    a_letter_is_believed(EC).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_signed_by_rsa_is_believed_and_whole() {
    a_letter_is_believed(RSA).await;
}

/// Refused at the start, each with its reason; the reason never repeats the file.
#[test]
fn a_certificate_that_cannot_sign_our_letters_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    authority(dir);
    let good = issued(dir, EC, FROM, MAILS);
    let read = |pem: &str, at: i64| SmimeKey::read(pem, FROM).and_then(|key| key.good_at(at)).err();
    assert_eq!(read(&good, now()), None);
    assert_eq!(read(&good.to_lowercase().replace("begin", "BEGIN"), now()), Some(Fault::NoKey));
    assert_eq!(read(&good, now() + 366 * DAY_S), Some(Fault::Ended));
    assert_eq!(read(&good, now() - DAY_S), Some(Fault::NotYet));
    assert_eq!(read("", now()), Some(Fault::NoKey));
    let (key, certificates) = good.split_once("-----BEGIN CERTIFICATE").unwrap();
    assert_eq!(read(key, now()), Some(Fault::NoCertificate));
    assert_eq!(read(&format!("-----BEGIN CERTIFICATE{certificates}"), now()), Some(Fault::NoKey));
    assert_eq!(read(&format!("{key}{good}"), now()), Some(Fault::NoKey), "two keys");
    let torn = format!("{key}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_eq!(read(&torn, now()), Some(Fault::Form(1)));
    made(dir, &format!("genpkey -algorithm {EC} -out other.key"));
    let other = fs::read_to_string(dir.join("other.key")).unwrap();
    let exchanged = format!("{other}-----BEGIN CERTIFICATE{certificates}");
    assert_eq!(read(&exchanged, now()), Some(Fault::OtherKey));
    let many = format!("{good}{}", fs::read_to_string(dir.join("middle.pem")).unwrap().repeat(4));
    assert_eq!(read(&many, now()), Some(Fault::NoCertificate), "a bundle of roots");

    let table = [
        (EC, "info@mimamori.example.jp", MAILS, Fault::OtherAddress("info@mimamori.example.jp".into())),
        (EC, FROM, "extendedKeyUsage=clientAuth\n", Fault::Purpose),
        (EC, FROM, "", Fault::Purpose),
        (EC, FROM, "extendedKeyUsage=emailProtection\nkeyUsage=keyEncipherment\n", Fault::Purpose),
        (EC, FROM, "extendedKeyUsage=emailProtection\nbasicConstraints=CA:TRUE\n", Fault::Purpose),
        ("ec -pkeyopt ec_paramgen_curve:P-384", FROM, MAILS, Fault::KeyKind),
        ("ED25519", FROM, MAILS, Fault::KeyKind),
    ];
    for (kind, address, extensions, wanted) in table {
        let pem = issued(dir, kind, address, extensions);
        assert_eq!(read(&pem, now()), Some(wanted.clone()), "{kind} {address} {extensions}");
        assert!(!wanted.ja().is_empty() && !wanted.en().contains("BEGIN"));
    }
    // Older programs write keys in their own forms; addresses are compared as receivers do.
    for (kind, program) in [(EC, "ec"), (RSA, "rsa -traditional")] {
        issued(dir, kind, "Jimukyoku@Mimamori.example.jp", MAILS);
        made(dir, &format!("{program} -in leaf.key -out old.key"));
        let pem = ["old.key", "leaf.pem"].map(|name| fs::read_to_string(dir.join(name)).unwrap()).concat();
        assert!(pem.contains("BEGIN EC PRIVATE") || pem.contains("BEGIN RSA PRIVATE"), "{program}");
        assert_eq!(read(&pem, now()), None, "{program}");
    }
}

/// A certificate that has ended signs nothing any more, and stops no room: letters leave all the same.
#[tokio::test(flavor = "multi_thread")]
async fn after_its_end_letters_leave_unsigned() {
    let mut params = rcgen::CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2024, 1, 1);
    params.not_after = rcgen::date_time_ymd(2025, 1, 1);
    params.subject_alt_names = vec![rcgen::SanType::Rfc822Name(FROM.try_into().unwrap())];
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::EmailProtection];
    let pair = rcgen::KeyPair::generate().unwrap();
    let pem = format!("{}{}", pair.serialize_pem(), params.self_signed(&pair).unwrap().pem());
    let key = SmimeKey::read(&pem, FROM).unwrap();
    let exim = Exim::start(|_| {}).await;
    let office = Office::new(MailConfig { smime: Some(key), ..smarthost(exim.port) }).await;
    office.accept(0).await;
    office.letter("18-0001", |row| row.state == "sent").await;
    let mail = exim.mail().await;
    assert!(!fs::read_to_string(&mail).unwrap().contains("multipart/signed"));
    assert!(verified(&mail, &dkim_record(&office).await));
}
