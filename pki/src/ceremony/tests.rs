//! The ceremony: what it makes stands before OpenSSL and webpki; where it writes, it writes once.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::*;
use crate::folders::{self, Folders, HoldError};
use crate::ledger::Ledger;
use crate::room;

/// 2026-11-20T12:26:40Z
pub(crate) const NOW: i64 = 1_795_177_600;
pub(crate) const PASSPHRASE: &str = "a passphrase of the appliance";

pub(crate) fn config() -> CeremonyConfig {
    CeremonyConfig {
        zone: "m.example.jp".into(),
        realm_name: "在宅医療連携協議会".into(),
        published_base: "http://10.18.255.2".into(),
        root_secret: Secret::new(b"a passphrase in another envelope".to_vec()).unwrap(),
        pki_secret: Secret::new(PASSPHRASE.into()).unwrap(),
        shares: Some("2/3 (1A2B3C4D)  1 = 00000001  2 = 00000002  3 = 00000003".into()),
        token: None,
    }
}

/// One ceremony for all tests: sealing three keys takes a second.
pub(crate) fn ceremony() -> &'static Ceremony {
    static ONCE: OnceLock<Ceremony> = OnceLock::new();
    ONCE.get_or_init(|| create(&config(), NOW).unwrap())
}

pub(crate) fn device_key() -> MemoryKey {
    let secret = config().pki_secret;
    MemoryKey::unseal(DEVICE_CA_KEY, ceremony().device_ca_key.text(), &secret).unwrap()
}

pub(crate) fn folders_in(dir: &Path) -> Folders {
    Folders { root: dir.join("safe"), pki: dir.join("pki"), gateway: dir.join("gateway") }
}

/// `openssl` as an engineer would type it; its output on failure.
pub(crate) fn openssl(dir: &Path, arguments: &str) -> Result<String, String> {
    let out = Command::new("openssl").args(arguments.split(' ')).current_dir(dir).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    if out.status.success() { Ok(text) } else { Err(format!("openssl {arguments}\n{text}")) }
}

#[test]
fn openssl_accepts_every_certificate_of_the_ceremony() {
    let ceremony = ceremony();
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, pem: String| std::fs::write(dir.path().join(name), pem).unwrap();
    write("root.pem", pem::certificate(&ceremony.root_der));
    write("device.pem", pem::certificate(&ceremony.device_ca_der));
    write("server.pem", pem::certificate(&ceremony.server_ca_der));
    write("gateway.pem", pem::certificate(&ceremony.gateway_der));
    write("tls.key", ceremony.gateway_key_pem.as_str().to_owned());
    let strict = format!("-x509_strict -check_ss_sig -policy_check -attime {}", NOW + 60);
    for arguments in [
        format!("verify {strict} -CAfile root.pem root.pem"),
        format!("verify {strict} -CAfile root.pem device.pem"),
        format!("verify {strict} -CAfile root.pem server.pem"),
        format!(
            "verify {strict} -purpose sslserver -verify_hostname sns.m.example.jp -CAfile root.pem -untrusted server.pem gateway.pem"
        ),
    ] {
        openssl(dir.path(), &arguments).unwrap();
    }
    // The gateway's key is the certificate's.
    let from_key = openssl(dir.path(), "pkey -in tls.key -pubout").unwrap();
    let from_certificate = openssl(dir.path(), "x509 -in gateway.pem -noout -pubkey").unwrap();
    assert_eq!(from_key, from_certificate);
}

#[test]
fn webpki_accepts_the_gateway_for_its_names_and_no_other() {
    use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
    let ceremony = ceremony();
    let root = CertificateDer::from(ceremony.root_der.as_slice());
    let anchors = [webpki::anchor_from_trusted_cert(&root).unwrap()];
    let between = [CertificateDer::from(ceremony.server_ca_der.as_slice())];
    let leaf = CertificateDer::from(ceremony.gateway_der.as_slice());
    let leaf = webpki::EndEntityCert::try_from(&leaf).unwrap();
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW as u64));
    let usage = webpki::KeyUsage::server_auth();
    let algorithms = [webpki::aws_lc_rs::ECDSA_P256_SHA256];
    leaf.verify_for_usage(&algorithms, &anchors, &between, now, usage, None, None).unwrap();
    for (name, right) in [("sns", true), ("office", true), ("claim", true), ("vpn", false)] {
        let name = ServerName::try_from(format!("{name}.m.example.jp")).unwrap();
        assert_eq!(leaf.verify_is_valid_for_subject_name(&name).is_ok(), right, "{name:?}");
    }
}

#[test]
fn names_and_ends_are_as_ruled() {
    let ceremony = ceremony();
    let [root, device, server] = [&ceremony.root_der, &ceremony.device_ca_der, &ceremony.server_ca_der]
        .map(|der| CaCertificate::parse(der).unwrap());
    assert_eq!(device.device_zone().unwrap().as_str(), "m.example.jp");
    assert!(device.permits("18-0042.dev.m.example.jp") && !device.permits("sns.m.example.jp"));
    assert!(server.permits("sns.m.example.jp") && !server.permits("18-0042.dev.m.example.jp"));
    assert!(!server.permits("sns.xm.example.jp") && !server.permits("example.jp"));
    assert!(root.permits("x.m.example.jp") && !root.permits("m.example.com"));
    for ca in [&root, &device, &server] {
        assert!(!crate::lifetime::forbidden(ca.not_after()));
    }
    assert!(device.not_after() < root.not_after());
    let fingerprint = Hash::of(&ceremony.root_der).to_string();
    assert!(ceremony.transcript.replace([' ', '\n'], "").contains(&fingerprint), "{}", ceremony.transcript);
}

#[test]
fn no_key_lies_open_but_the_gateways_own() {
    let ceremony = ceremony();
    for sealed in
        [ceremony.root_key_sealed.as_str(), ceremony.device_ca_key.text(), ceremony.server_ca_key.text()]
    {
        assert!(sealed.starts_with("mimamori sealed key v1\n") && !sealed.contains("PRIVATE KEY"));
    }
    assert!(!ceremony.transcript.contains("PRIVATE"));
    // The root opens with its own passphrase, not with the appliance's.
    let config = config();
    assert!(MemoryKey::unseal(ROOT_KEY, &ceremony.root_key_sealed, &config.pki_secret).is_err());
    let root = MemoryKey::unseal(ROOT_KEY, &ceremony.root_key_sealed, &config.root_secret).unwrap();
    assert!(&root.public_key() == CaCertificate::parse(&ceremony.root_der).unwrap().key());
}

#[tokio::test]
async fn a_realm_is_written_once_and_never_over() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let folders = folders_in(dir.path());
    assert!(!folders.held());
    folders::write(ceremony(), &folders).await.unwrap();
    assert!(folders.held());
    for (path, mode) in [
        (folders.root.clone(), 0o700),
        (folders.pki.clone(), 0o700),
        (folders.root.join(folders::ROOT_KEY_SEALED), 0o600),
        (folders.pki.join(folders::DEVICE_CA_KEY_SEALED), 0o600),
        (folders.pki.join(folders::LEDGER), 0o600),
        (folders.gateway.join(folders::GATEWAY_KEY), 0o600),
        (folders.gateway.join(folders::GATEWAY_CHAIN), 0o644),
    ] {
        let found = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{}", path.display());
    }
    assert!(!folders.pki.join(folders::ROOT_KEY_SEALED).exists(), "the root's key is not on the appliance");
    let before = std::fs::read(folders.root.join(folders::ROOT_KEY_SEALED)).unwrap();
    let again = folders::hold(&config(), &folders, NOW).await.err().unwrap();
    assert!(matches!(&again, HoldError::Exists(path) if path.starts_with(dir.path())), "{again}");
    assert_eq!(std::fs::read(folders.root.join(folders::ROOT_KEY_SEALED)).unwrap(), before);

    let ledger = Ledger::open(&folders.pki.join(folders::LEDGER)).await.unwrap();
    assert_eq!(ledger.verify_all().await.unwrap().head.entries, 5);
    let first = ledger.body(0).await.unwrap().unwrap();
    assert!(first.ends_with(&Hash::of(ceremony().transcript.as_bytes()).to_string()), "{first}");
}

/// Died before the marker: swept away. Died after it, at any file: carried on.
#[tokio::test]
async fn a_ceremony_that_dies_is_swept_away_or_carried_on() {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders_in(dir.path());
    folders::write(ceremony(), &folders).await.unwrap();
    let stage = |folder: &Path| folder.join("ceremony.unfinished");
    // Put one file of each folder back, with the marker: as if the power had failed while moving.
    for (folder, file) in [(&folders.gateway, folders::GATEWAY_KEY), (&folders.pki, folders::LEDGER)] {
        std::fs::create_dir(stage(folder)).unwrap();
        std::fs::rename(folder.join(file), stage(folder).join(file)).unwrap();
    }
    std::fs::write(stage(&folders.pki).join("complete"), "").unwrap();
    assert!(!folders.held());
    // The safe is not connected: nothing is declared finished, nothing is made anew.
    let elsewhere = dir.path().join("elsewhere");
    std::fs::rename(&folders.root, &elsewhere).unwrap();
    for _ in 0..2 {
        let missing = folders::hold(&config(), &folders, NOW).await.err().unwrap();
        assert!(missing.to_string().starts_with("MM-2313"), "{missing}");
    }
    std::fs::rename(&elsewhere, &folders.root).unwrap();
    let held = folders::hold(&config(), &folders, NOW).await.unwrap();
    assert!(held.continued && folders.held());
    assert_eq!(held.root_fingerprint, ceremony().root_fingerprint());

    let other = tempfile::tempdir().unwrap();
    let folders = folders_in(other.path());
    std::fs::create_dir_all(stage(&folders.root)).unwrap();
    std::fs::write(stage(&folders.root).join(folders::ROOT_KEY_SEALED), "half").unwrap();
    folders::write(ceremony(), &folders).await.unwrap();
    assert!(folders.held() && !stage(&folders.root).exists());
}

#[tokio::test]
async fn a_wrong_passphrase_and_a_lost_ledger_are_said_clearly() {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders_in(dir.path());
    folders::write(ceremony(), &folders).await.unwrap();
    let open = |secret: &str| {
        room::open(room::Config {
            dir: folders.pki.clone(),
            secret: Secret::new(secret.into()).unwrap(),
            token: None,
            published_base: "http://10.18.255.2".into(),
        })
    };
    let wrong = open("not the passphrase").err().unwrap().to_string();
    assert_eq!(
        wrong,
        "MM-2202 the passphrase does not open the sealed key `device-ca`, or its file was changed"
    );
    // A new ledger would forget every revocation: never made silently.
    std::fs::remove_file(folders.pki.join(folders::LEDGER)).unwrap();
    let lost = open(PASSPHRASE).err().unwrap().to_string();
    assert!(lost.starts_with("MM-2211"), "{lost}");
    std::fs::write(folders.pki.join(folders::LEDGER), "").unwrap();
    let empty = open(PASSPHRASE).unwrap().start().await.err().unwrap().to_string();
    assert!(empty.starts_with("MM-2211"), "{empty}");
}

/// Issue 5: the root outlives four generations of device CAs.
#[test]
fn issue_5_the_root_signs_device_cas_for_twenty_years_and_no_longer() {
    const YEAR: i64 = 365 * 86_400;
    let root = CaCertificate::parse(&ceremony().root_der).unwrap();
    let key = MemoryKey::unseal(ROOT_KEY, &ceremony().root_key_sealed, &config().root_secret).unwrap();
    let realm = Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("root.pem"), pem::certificate(&ceremony().root_der)).unwrap();
    let generation = |now: i64| {
        let serial = CertificateSerial::from_random(random().unwrap());
        let profile = Profile::device_ca(&realm, serial, now, root.not_after())?;
        founded::<CeremonyError>(&profile, &MemoryKey::generate()?.0.public_key(), Some(&root), &key)
    };
    assert!(root.not_after() > NOW + 19 * YEAR, "twenty years, but for the season");
    for year in [0, 4, 8, 12, 16, 18] {
        let now = NOW + year * YEAR;
        let der = generation(now).unwrap();
        let ca = CaCertificate::parse(&der).unwrap();
        assert!(ca.not_after() <= root.not_after() && ca.not_after() > now + YEAR / 2, "year {year}");
        std::fs::write(dir.path().join("ca.pem"), pem::certificate(&der)).unwrap();
        openssl(dir.path(), &format!("verify -x509_strict -attime {} -CAfile root.pem ca.pem", now + 60))
            .unwrap();
    }
    assert!(generation(NOW + 21 * YEAR).is_err());
}

#[test]
fn the_transcript_names_the_shares_of_the_passphrase() {
    assert!(ceremony().transcript.contains("2/3 (1A2B3C4D)  1 = 00000001  2 = 00000002"));
}
