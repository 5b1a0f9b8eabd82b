//! The authority against crashes, thieves and askers that repeat themselves. Rulings 2, 6, 7 and issue 5's order.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;
use rcgen::{CertificateParams, KeyPair};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::*;
use crate::ceremony::tests::{NOW, ceremony, device_key, folders_in, openssl};
use crate::chain::Hash;
use crate::door::CertificateState;
use crate::door::{Attestation, DeviceKind, IssuedCertificate, RevocationReason, Revoke};
use crate::folders::{self, LEDGER};
use crate::key::PublicKey;
use crate::pem;
use crate::realm::{SHARDS, shard_of};
use crate::serial::CertificateSerial;
use crate::signer::MemoryKey;
use crate::verify::{self, DeviceVerifier};
use vpn::slot::SlotNumber;

mod lists;
mod proving;
mod renewing;
mod review;
mod strangers;
mod vouching;
mod years;

const DAY: i64 = 86_400;

fn request_by(key: &KeyPair) -> Vec<u8> {
    CertificateParams::default().serialize_request(key).unwrap().der().to_vec()
}

pub(crate) fn request() -> Vec<u8> {
    request_by(&KeyPair::generate().unwrap())
}

fn slot(text: &str) -> SlotNumber {
    text.parse().unwrap()
}

struct World {
    dir: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        folders::write(ceremony(), &folders_in(dir.path())).await.unwrap();
        Self { dir }
    }

    fn ledger_path(&self) -> std::path::PathBuf {
        folders_in(self.dir.path()).pki.join(LEDGER)
    }

    async fn open_with(&self, signer: Box<dyn Signer>, zone: &str) -> Authority {
        let realm = Realm::new(zone, "在宅医療連携協議会", "http://10.18.255.2").unwrap();
        let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
        let ledger = Ledger::open(&self.ledger_path()).await.unwrap();
        Authority::open(realm, ca, signer, ledger, NOW).await.unwrap()
    }

    async fn open(&self) -> Authority {
        self.open_with(Box::new(device_key()), "m.example.jp").await
    }

    /// Somebody with the file and a hex editor; the guards against accidents are no guard against him.
    async fn tamper(&self, statement: &str) {
        let options = SqliteConnectOptions::new().filename(self.ledger_path()).foreign_keys(false);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        for trigger in ["DROP TRIGGER ledger_is_never_changed", "DROP TRIGGER ledger_is_never_shortened"] {
            sqlx::query(trigger).execute(&mut connection).await.ok();
        }
        let done = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
        assert!(done.rows_affected() > 0, "{statement}");
        connection.close().await.unwrap();
    }
}

async fn issue(authority: &Authority, place: &str, token: &str) -> Result<IssuedCertificate, IssuingRefusal> {
    authority.issue(slot(place), DeviceKind::Facility, &request(), token, NOW).await
}

fn code<T>(result: Result<T, IssuingRefusal>) -> &'static str {
    result.err().map_or("ok", |refusal| refusal.code())
}

fn living(authority: &Authority) -> u32 {
    authority.snapshot().count(NOW)
}

/// Stands between the authority and the key, and looks into the ledger's file before each signature.
struct Watched {
    key: MemoryKey,
    ledger: std::path::PathBuf,
    signed: Arc<AtomicU32>,
    fails: bool,
}

impl Signer for Watched {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        if order.bytes().starts_with(b"m.example.jp/mimamori\n")
            || order.bytes().starts_with(b"other.example.jp/mimamori\n")
        {
            // A checkpoint speaks of what is on disk already.
            return self.key.sign(order);
        }
        // Committed means: another connection sees it.
        let (hash, ledger) = (Hash::of(order.bytes()).to_string(), self.ledger.clone());
        let found = std::thread::spawn(move || recorded(&ledger, &hash)).join().unwrap();
        assert!(found, "signed before it was recorded");
        if self.fails {
            return Err(SignError::Key("the power failed".into()));
        }
        self.signed.fetch_add(1, Ordering::SeqCst);
        self.key.sign(order)
    }
}

fn recorded(ledger: &Path, hash: &str) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options = SqliteConnectOptions::new().filename(ledger).read_only(true);
        let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
        let found: (i64,) = sqlx::query_as("SELECT COUNT(*) FROM ledger WHERE body LIKE '%tbs=' || $1")
            .bind(hash)
            .fetch_one(&mut connection)
            .await
            .unwrap();
        connection.close().await.unwrap();
        found.0 == 1
    })
}

fn watched(world: &World, fails: bool) -> (Box<dyn Signer>, Arc<AtomicU32>) {
    let signed = Arc::new(AtomicU32::new(0));
    let signer =
        Watched { key: device_key(), ledger: world.ledger_path(), signed: Arc::clone(&signed), fails };
    (Box::new(signer), signed)
}

#[tokio::test]
async fn the_key_is_never_touched_before_record_and_lint() {
    let world = World::new().await;
    let (signer, signed) = watched(&world, false);
    // A realm of another zone: the device CA may not certify its names, which only the lint sees.
    let authority = world.open_with(signer, "other.example.jp").await;
    let lists = signed.load(Ordering::SeqCst);
    assert_eq!(lists, u32::from(SHARDS), "each list was recorded, then signed");
    assert_eq!(code(issue(&authority, "18-0042", "a").await), "MM-2007");
    assert_eq!(signed.load(Ordering::SeqCst), lists, "the key was touched after the lint refused");
    assert_eq!(living(&authority), 0);
    let rows = authority.ledger().rows(None, NOW).await.unwrap();
    assert_eq!(rows[0].state, CertificateState::Abandoned);
    authority.close().await;

    let (signer, signed) = watched(&world, false);
    let authority = world.open_with(signer, "m.example.jp").await;
    issue(&authority, "18-0042", "a").await.unwrap();
    assert_eq!(signed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_issued_certificate_is_a_device_of_ours_and_in_the_snapshot() {
    let world = World::new().await;
    let authority = world.open().await;
    let verifier = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
    for (n, kind) in DeviceKind::ALL.into_iter().enumerate() {
        let place = slot(&format!("18-000{n}"));
        let issued = authority.issue(place, kind, &request(), &format!("t{n}"), NOW).await.unwrap();
        let device = verifier.verify(&issued.chain, NOW).unwrap();
        assert_eq!((device.slot(), device.serial()), (place, issued.serial));
        assert_eq!(device.not_after(), issued.not_after);
        assert_eq!(device.not_before(), NOW - 300);
    }
    assert_eq!(living(&authority), 3);
    assert_eq!(authority.ledger().verify_all().await.unwrap().planned, 3);
}

#[tokio::test]
async fn the_same_token_gives_the_same_certificate_and_only_to_the_same_asker() {
    let world = World::new().await;
    let authority = world.open().await;
    let key = KeyPair::generate().unwrap();
    let facility = DeviceKind::Facility;
    let ask = async |place: &str, key: &KeyPair, token: &str| {
        authority.issue(slot(place), facility, &request_by(key), token, NOW).await
    };
    let first = ask("18-0042", &key, "a").await.unwrap();
    assert_eq!(ask("18-0042", &key, "a").await.unwrap(), first);
    assert_eq!(code(ask("18-0043", &key, "a").await), "MM-2008");
    assert_eq!(code(ask("18-0042", &KeyPair::generate().unwrap(), "a").await), "MM-2008");
    // The key serves one slot at a time, whatever the token.
    assert_eq!(code(ask("18-0043", &key, "b").await), "MM-2001");
    assert_eq!(code(ask("18-0042", &key, "").await), "MM-2001");
    assert_eq!(code(ask("18-0042", &key, &"x".repeat(201)).await), "MM-2001");
    assert_eq!(living(&authority), 1);
}

/// Ruling 2: up to five certificates per slot; a revoked key never returns.
#[tokio::test]
async fn five_live_in_a_slot_and_a_revoked_key_never_returns() {
    let world = World::new().await;
    let authority = world.open().await;
    let key = KeyPair::generate().unwrap();
    let lost =
        authority.issue(slot("18-0042"), DeviceKind::Facility, &request_by(&key), "t0", NOW).await.unwrap();
    for n in 1..5 {
        issue(&authority, "18-0042", &format!("t{n}")).await.unwrap();
    }
    assert_eq!(code(issue(&authority, "18-0042", "t5").await), "MM-2004");
    issue(&authority, "18-0043", "t6").await.unwrap();
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(Revoke::Certificate(lost.serial), reason, NOW).await.unwrap();
    issue(&authority, "18-0042", "t7").await.unwrap();
    for token in ["t0", "t8"] {
        for place in ["18-0042", "18-0050"] {
            let again =
                authority.issue(slot(place), DeviceKind::Facility, &request_by(&key), token, NOW).await;
            assert!(["MM-2006", "MM-2008"].contains(&code(again)), "{token} {place}");
        }
    }
    // Three years later all have expired by themselves, and their places are free.
    let later = NOW + 4 * 365 * DAY;
    assert_eq!(authority.snapshot().count(later), 0);
    assert_eq!(
        code(authority.issue(slot("18-0042"), DeviceKind::Facility, &request(), "t9", later).await),
        "ok"
    );
}

/// Ruling 7: durable, in force and idempotent.
#[tokio::test]
async fn revocation_is_in_force_when_it_returns_and_after_a_restart() {
    let world = World::new().await;
    let authority = world.open().await;
    let mut lost = Vec::new();
    for n in 0..3 {
        lost.push(issue(&authority, "18-0042", &format!("t{n}")).await.unwrap().serial);
    }
    let bystander = issue(&authority, "18-0043", "t9").await.unwrap();
    let before = authority.snapshot().number();
    let reason = RevocationReason::KeyCompromise;
    let (serials, number) = authority.revoke(Revoke::Slot(slot("18-0042")), reason, NOW).await.unwrap();
    assert_eq!(serials, lost);
    assert!(number > before);
    let again = authority.revoke(Revoke::Slot(slot("18-0042")), reason, NOW + 1).await.unwrap();
    assert_eq!(again, (lost.clone(), number), "again: the same serials, the same snapshot");
    assert_eq!(
        authority.revoke(Revoke::Slot(slot("18-9999")), reason, NOW).await.unwrap(),
        (vec![], number),
        "an empty slot is acknowledged too"
    );
    let unknown = CertificateSerial::from_random([9; 16]);
    assert_eq!(code(authority.revoke(Revoke::Certificate(unknown), reason, NOW).await), "MM-2005");
    // A later certificate of the slot is not touched by the earlier revocation.
    let later = issue(&authority, "18-0042", "t5").await.unwrap();
    authority.close().await;
    let authority = world.open().await;
    let answer = authority.snapshot().answer(0, 0, || NOW).await;
    let crate::door::RevocationsAnswer::Snapshot { living, .. } = answer else { panic!("{answer:?}") };
    let mut found: Vec<_> = living.iter().map(|one| one.serial).collect();
    let mut expected = vec![bystander.serial, later.serial];
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(authority.ledger().verify_all().await.unwrap().revoked, 3);
}

#[tokio::test]
async fn a_crash_between_record_and_signature_leaves_nothing_but_a_line() {
    let world = World::new().await;
    let key = KeyPair::generate().unwrap();
    let facility = DeviceKind::Facility;
    // Lists first, with a sound key; then a key that fails at the moment of signing.
    world.open().await.close().await;
    let (signer, _) = watched(&world, true);
    let authority = world.open_with(signer, "m.example.jp").await;
    let crashed = authority.issue(slot("18-0042"), facility, &request_by(&key), "a", NOW).await;
    assert_eq!(code(crashed), "MM-2009");
    authority.close().await;
    // As kill -9 leaves it: planned, and nobody there to abandon it.
    world.tamper("UPDATE certificate SET state = 'planned' WHERE state = 'abandoned'").await;

    let authority = world.open().await;
    assert_eq!(living(&authority), 0);
    let rows = authority.ledger().rows(None, NOW).await.unwrap();
    assert_eq!(rows[0].state, CertificateState::Abandoned, "the restart settles it");
    let issued = authority.issue(slot("18-0042"), facility, &request_by(&key), "a", NOW).await.unwrap();
    assert_ne!(issued.serial, rows[0].serial, "a serial is never used again");
    // Died after the record of the result, before the answer: the retry gets the very same certificate.
    authority.close().await;
    let authority = world.open().await;
    let again = authority.issue(slot("18-0042"), facility, &request_by(&key), "a", NOW).await.unwrap();
    assert_eq!(again, issued);
    assert_eq!(living(&authority), 1);
}

/// An asker that goes away in the middle of the act, at every point where it can.
#[tokio::test]
async fn an_act_dropped_anywhere_loses_nothing() {
    let world = World::new().await;
    let authority = world.open().await;
    let key = KeyPair::generate().unwrap();
    for polls in 1..40 {
        let request = request_by(&key);
        let act = authority.issue(slot("18-0042"), DeviceKind::Facility, &request, "a", NOW);
        let mut act = std::pin::pin!(act);
        for _ in 0..polls {
            if std::future::poll_fn(|context| std::task::Poll::Ready(act.as_mut().poll(context)))
                .await
                .is_ready()
            {
                break;
            }
            tokio::task::yield_now().await;
        }
    }
    let issued =
        authority.issue(slot("18-0042"), DeviceKind::Facility, &request_by(&key), "a", NOW).await.unwrap();
    authority.close().await;
    let authority = world.open().await;
    assert_eq!(living(&authority), 1, "one token, one certificate");
    let rows = authority.ledger().rows(None, NOW).await.unwrap();
    let alive: Vec<_> = rows.iter().filter(|row| row.state == CertificateState::Living).collect();
    assert_eq!(alive.len(), 1);
    assert_eq!(alive[0].serial, issued.serial);
    authority.ledger().verify_all().await.unwrap();
}

#[tokio::test]
async fn every_change_of_the_ledger_is_found() {
    let world = World::new().await;
    let authority = world.open().await;
    let one = issue(&authority, "18-0042", "a").await.unwrap();
    issue(&authority, "18-0043", "b").await.unwrap();
    let reason = RevocationReason::Superseded;
    authority.revoke(Revoke::Certificate(one.serial), reason, NOW).await.unwrap();
    authority.attest("receipt r-1", Hash::of(b"receipt"), NOW).await.unwrap();
    authority.ledger().verify_all().await.unwrap();
    authority.close().await;
    let good = std::fs::read(world.ledger_path()).unwrap();
    for attack in [
        "UPDATE ledger SET body = replace(body, '18-0042', '18-0099') WHERE body LIKE '%planned%18-0042%'",
        "UPDATE ledger SET hash = '0000000000000000000000000000000000000000000000000000000000000000' WHERE number = 3",
        "DELETE FROM ledger WHERE number = 2",
        "UPDATE certificate SET slot = '18-0099' WHERE slot = '18-0042'",
        "UPDATE certificate SET not_after = not_after + 1",
        "UPDATE certificate SET tbs = 'AAAA'",
        "UPDATE certificate SET token_hash = (SELECT token_hash FROM certificate WHERE slot = '18-0043')",
        "UPDATE certificate SET der = 'AAAA'",
        "UPDATE certificate SET der = (SELECT der FROM certificate WHERE slot = '18-0043')",
        "UPDATE certificate SET state = 'abandoned' WHERE slot = '18-0043'",
        "UPDATE certificate SET signed_entry = planned_entry",
        "UPDATE certificate SET state = 'living' WHERE state = 'revoked'",
        "UPDATE revocation SET reason = 'unspecified'",
        "DELETE FROM revocation",
        "DELETE FROM certificate WHERE slot = '18-0043'",
    ] {
        std::fs::write(world.ledger_path(), &good).unwrap();
        world.tamper(attack).await;
        let found = match Ledger::open(&world.ledger_path()).await {
            Ok(ledger) => {
                let found = ledger.verify_all().await;
                ledger.close().await;
                found
            }
            Err(error) => Err(error),
        };
        assert!(matches!(found, Err(LedgerError::Broken { .. })), "{attack}: {found:?}");
    }
    std::fs::write(world.ledger_path(), &good).unwrap();
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    ledger.verify_all().await.unwrap();
    // By accident nobody changes it at all.
    for accident in ["UPDATE ledger SET body = ''", "DELETE FROM ledger"] {
        assert!(sqlx::query(accident).execute(ledger.pool()).await.is_err(), "{accident}");
    }
}

#[tokio::test]
async fn a_hostile_request_leaves_no_trace_and_no_signature() {
    let world = World::new().await;
    let authority = world.open().await;
    let before = authority.ledger().head().await.unwrap();
    let rsa = request_by(&KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap());
    for (hostile, expected) in [
        (vec![0x30; 100_000], "MM-2001"),
        (b"-----BEGIN CERTIFICATE REQUEST-----".to_vec(), "MM-2001"),
        (rsa, "MM-2003"),
    ] {
        let refused = authority.issue(slot("18-0042"), DeviceKind::Facility, &hostile, "a", NOW).await;
        assert_eq!(code(refused), expected);
    }
    assert_eq!(authority.ledger().head().await.unwrap(), before);
}

/// Started with a clock ten years ahead, which is then set right: nobody is locked out.
#[tokio::test]
async fn a_clock_that_is_set_right_brings_everybody_back() {
    let world = World::new().await;
    let authority = world.open().await;
    issue(&authority, "18-0042", "a").await.unwrap();
    authority.close().await;
    let realm = Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap();
    let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    let ahead = NOW + 10 * 365 * DAY;
    let authority = Authority::open(realm, ca, Box::new(device_key()), ledger, ahead).await.unwrap();
    assert_eq!(authority.snapshot().count(ahead), 0);
    assert_eq!(living(&authority), 1);
    authority.renew_lists(NOW).await;
    assert_eq!(authority.lists_state(), (NOW + 7 * DAY, 0), "lists of the future are signed anew");
}

/// A certificate's record does not open the key without its lint.
#[tokio::test]
async fn a_record_alone_opens_nothing() {
    let world = World::new().await;
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    let mut writing = ledger.begin().await.unwrap();
    let serial = CertificateSerial::from_random([1; 16]);
    let (bytes, other) = (b"bytes".as_slice(), b"other".as_slice());
    let (tbs, key) = (Hash::of(bytes), Hash::of(b"key"));
    let kind = DeviceKind::Facility;
    writing.append(NOW, &Entry::Planned { serial, slot: slot("18-0042"), kind, key, not_after: NOW, tbs });
    writing.append(NOW, &Entry::List { shard: 1, number: 1, tbs });
    let recorded = writing.commit().await.unwrap().recorded;
    assert!(Order::recorded(bytes, &recorded[0]).is_err());
    assert!(Order::recorded(bytes, &recorded[1]).is_ok());
    assert!(Order::recorded(other, &recorded[1]).is_err());
}

/// A clock ten years off is a refusal, not a certificate.
#[tokio::test]
async fn a_clock_far_off_signs_nothing() {
    let world = World::new().await;
    let authority = world.open().await;
    for now in [NOW - 10 * 365 * DAY, NOW + 10 * 365 * DAY, 0, -5, i64::MAX, i64::MIN] {
        let refused = authority.issue(slot("18-0042"), DeviceKind::Facility, &request(), "a", now).await;
        assert!(["MM-2007", "MM-2009"].contains(&code(refused)), "{now}");
    }
    assert_eq!(living(&authority), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(12) })]

    /// Whatever slot, kind, day and wishes: strict OpenSSL and webpki accept what we issue.
    #[test]
    fn what_we_issue_passes_strict_verifiers(
        number in 0u16..10_000,
        series in prop_oneof![Just("18"), Just("18F"), Just("01D")],
        kind in 0usize..3,
        days in 0i64..1_000,
        wish in "[a-z]{1,20}\\.example",
    ) {
        let now = NOW + days * DAY;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = World::new().await;
            let authority = world.open().await;
            let place = slot(&format!("{series}-{number:04}"));
            let mut params = CertificateParams::new(vec![wish]).unwrap();
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let request = params.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
            let issued = authority.issue(place, DeviceKind::ALL[kind], &request, "a", now).await.unwrap();
            let verifier = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
            assert_eq!(verifier.verify(&issued.chain, now).unwrap().slot(), place);
            let dir = world.dir.path();
            for (name, der) in [("root", &ceremony().root_der), ("device", &issued.chain[1]), ("leaf", &issued.chain[0])] {
                std::fs::write(dir.join(format!("{name}.pem")), pem::certificate(der)).unwrap();
            }
            let strict = format!("verify -x509_strict -check_ss_sig -policy_check -purpose sslclient -attime {now}");
            openssl(dir, &format!("{strict} -CAfile root.pem -untrusted device.pem leaf.pem")).unwrap();
            authority.close().await;
        });
    }
}
