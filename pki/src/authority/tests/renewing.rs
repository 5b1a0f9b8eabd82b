//! Years pass and nothing is touched: the gateway's certificate and both CAs are followed by their next ones.
//! Issue 5: rollover without touching devices, by moved clocks.

use super::*;
use crate::ceremony::tests::config;
use crate::ceremony::{ROOT_KEY, SERVER_CA_KEY};
use crate::door::{PkiAct, PkiAnswer};
use crate::operator;
use crate::renewal;
use crate::succession::Succession;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

const YEAR: i64 = 365 * DAY;

fn root_key() -> MemoryKey {
    MemoryKey::unseal(ROOT_KEY, &ceremony().root_key_sealed, &config().root_secret).unwrap()
}

fn ca(der: &[u8]) -> CaCertificate {
    CaCertificate::parse(der).unwrap()
}

fn succession(world: &World) -> Succession {
    let dir = folders_in(world.dir.path()).pki;
    let read = |name: &str| ca(&std::fs::read(dir.join(name)).unwrap());
    let (device_ca, server_ca) = (read(folders::DEVICE_CA_DER), read(folders::SERVER_CA_DER));
    let sealed = ceremony().server_ca_key.text();
    let key = MemoryKey::unseal(SERVER_CA_KEY, sealed, &config().pki_secret).unwrap();
    Succession { root: read(folders::ROOT_DER), device_ca, server_ca, server_key: Some(Box::new(key)), dir }
}

async fn open_with(world: &World, succession: &Succession, now: i64) -> Authority {
    let realm = Realm::new("m.example.jp", "在宅医療連携協議会", "http://10.18.255.2").unwrap();
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    Authority::open(realm, succession.device_ca.clone(), Box::new(device_key()), ledger, now).await.unwrap()
}

/// Offline with the root's key, then at the authority; gives the folder as a restart finds it.
async fn renewed(world: &World, authority: &Authority, der: &[u8], now: i64) -> (Succession, Vec<u8>) {
    let cas = succession(world);
    let serial = CertificateSerial::from_random(crate::signer::random().unwrap());
    let certificate = renewal::certify(&ca(der), &cas.root, &root_key(), serial, now).unwrap();
    let act = PkiAct::TakeUp { certificate: certificate.clone() };
    let answer = operator::act(authority, &cas, "engineer", act, now).await;
    assert!(matches!(&answer, PkiAnswer::Certified(done) if done.serial == serial), "{answer:?}");
    (succession(world), certificate)
}

#[tokio::test]
async fn issue_5_eighteen_years_of_a_device_ca_and_no_device_is_touched() {
    let world = World::new().await;
    let mut cas = succession(&world);
    let mut authority = open_with(&world, &cas, NOW).await;
    // The gateway never reads another file: the first certificate of the CA is its anchor for ever.
    let first = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
    let mut devices: Vec<(IssuedCertificate, i64)> = Vec::new();
    for turn in 0..6 {
        let now = NOW + turn * 3 * YEAR;
        let place = format!("18-{turn:04}");
        let issued =
            authority.issue(slot(&place), DeviceKind::Facility, &request(), &place, now).await.unwrap();
        assert!(issued.not_after > now + YEAR, "turn {turn}: a useful life");
        devices.push((issued, now));
        if turn > 0 {
            let (after, der) = renewed(&world, &authority, cas.device_ca.der(), now + 60).await;
            cas = after;
            assert_eq!(cas.device_ca.der(), der, "the folder holds the next one");
        }
        authority.close().await;
        authority = open_with(&world, &cas, now + 2 * YEAR).await;
        let verifier = DeviceVerifier::new(&[cas.device_ca.der()]).unwrap();
        for (issued, then) in &devices {
            assert!(
                verifier.verify(&issued.chain, *then).is_ok() && first.verify(&issued.chain, *then).is_ok()
            );
            let late = issued.not_after - 60;
            assert!(first.verify(&issued.chain, late).is_ok(), "to its last day");
        }
    }
    let (last, now) = devices.last().unwrap();
    authority.revoke(Revoke::Certificate(last.serial), RevocationReason::KeyCompromise, *now).await.unwrap();
    // Lists signed before and after the rollover are the same CA's for everybody.
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(dir.path().join(name), bytes).unwrap();
    write("crl.der", &authority.list(shard_of(&last.serial)).unwrap());
    write("ca.pem", pem::certificate(cas.device_ca.der()).as_bytes());
    let said = openssl(dir.path(), "crl -inform DER -in crl.der -CAfile ca.pem -noout").unwrap();
    assert!(said.contains("verify OK"), "{said}");
    authority.ledger().verify_all().await.unwrap();
}

#[tokio::test]
async fn the_gateways_certificate_is_followed_by_one_for_the_same_key() {
    let world = World::new().await;
    let mut cas = succession(&world);
    let authority = open_with(&world, &cas, NOW).await;
    let root = CertificateDer::from(ceremony().root_der.as_slice());
    let anchor = webpki::anchor_from_trusted_cert(&root).unwrap();
    let mut certificate = ceremony().gateway_der.clone();
    let own = |der: &[u8]| {
        use x509_parser::prelude::{FromDer, X509Certificate};
        X509Certificate::from_der(der).unwrap().1.public_key().raw.to_vec()
    };
    let key = own(&certificate);
    for turn in 1..=9 {
        let now = NOW + turn * 600 * DAY;
        if turn == 2 {
            cas = renewed(&world, &authority, cas.server_ca.der(), now).await.0;
        }
        let act = PkiAct::RenewGateway { certificate };
        let answer = operator::act(&authority, &cas, "engineer", act, now).await;
        let done = match answer {
            PkiAnswer::Certified(done) => done,
            PkiAnswer::Refused(refusal) => {
                assert!(turn > 5, "turn {turn}: {refusal}");
                assert_eq!(refusal.code(), "MM-2009", "the server CA ends: renew it first");
                break;
            }
            other => panic!("{other:?}"),
        };
        let leaf = CertificateDer::from(done.chain[0].as_slice());
        let issuer = CertificateDer::from(done.chain[1].as_slice());
        let entity = webpki::EndEntityCert::try_from(&leaf).unwrap();
        for (at, good) in [(now + 60, true), (done.not_after - 60, true), (done.not_after + 60, false)] {
            let time = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at as u64));
            let usage = webpki::KeyUsage::server_auth();
            let algorithms = [webpki::aws_lc_rs::ECDSA_P256_SHA256];
            let path = entity.verify_for_usage(
                &algorithms,
                std::slice::from_ref(&anchor),
                std::slice::from_ref(&issuer),
                time,
                usage,
                None,
                None,
            );
            assert_eq!(path.is_ok(), good, "turn {turn} at {at}: {:?}", path.err());
        }
        for name in authority.realm().zone().gateway_names() {
            entity.verify_is_valid_for_subject_name(&ServerName::try_from(name.as_str()).unwrap()).unwrap();
        }
        assert_eq!(own(&done.chain[0]), key, "the same key");
        let line = authority.ledger().body(done.ledger_entry as i64).await.unwrap().unwrap();
        assert!(line.contains(&format!(" server serial={}", done.serial)), "{line}");
        certificate = done.chain[0].clone();
    }
    authority.ledger().verify_all().await.unwrap();
}

#[tokio::test]
async fn nothing_but_our_gateways_certificate_is_renewed() {
    let world = World::new().await;
    let mut cas = succession(&world);
    let authority = open_with(&world, &cas, NOW).await;
    let device = issue(&authority, "18-0042", "a").await.unwrap();
    let before = authority.ledger().head().await.unwrap().entries;
    let other = crate::ceremony::create(&config(), NOW).unwrap();
    let mut broken = ceremony().gateway_der.clone();
    *broken.last_mut().unwrap() ^= 1;
    let trailing = [ceremony().gateway_der.as_slice(), &[0]].concat();
    for (name, certificate) in [
        ("a device", device.chain[0].clone()),
        ("a CA", ceremony().server_ca_der.clone()),
        ("another realm's gateway", other.gateway_der.clone()),
        ("a broken signature", broken),
        ("bytes after its end", trailing),
        ("nothing", vec![]),
        ("garbage", vec![0x30; 4_000]),
    ] {
        let refused = cas.gateway(&authority, &certificate, NOW).await.err().unwrap();
        assert_eq!(refused.code(), "MM-2001", "{name}");
        let refused = cas.take_up(&authority, &certificate, NOW).await.err().unwrap();
        assert_eq!(refused.code(), "MM-2001", "{name}");
    }
    cas.server_key = None;
    let refused = cas.gateway(&authority, &ceremony().gateway_der, NOW).await.err().unwrap();
    assert_eq!(refused.code(), "MM-2009", "its key is in the safe");
    assert_eq!(authority.ledger().head().await.unwrap().entries, before, "nothing was recorded");
}

/// Renews, and issues what follows; whether it is a new one.
async fn next(
    authority: &Authority,
    place: &str,
    request: &[u8],
    now: i64,
) -> Result<(IssuedCertificate, bool), IssuingRefusal> {
    match authority.renewal(slot(place), request, now).await? {
        Renewal::Again(issued) => Ok((issued, false)),
        Renewal::Wish(wish) => {
            let mut outcomes = authority.issue_many(&[wish], now).await;
            outcomes.pop().unwrap().map(|issued| (issued, true))
        }
    }
}

#[tokio::test]
async fn a_device_renews_from_two_thirds_of_its_life_to_three_months_after_its_end() {
    let world = World::new().await;
    let authority = world.open().await;
    let key = KeyPair::generate().unwrap();
    let asked = || request_by(&key);
    let kind = DeviceKind::FacilityAdmin;
    let first = authority.issue(slot("18-0042"), kind, &asked(), "claim", NOW).await.unwrap();
    let life = first.not_after - NOW;
    // Early: the same again, however often.
    for now in [NOW, NOW + life / 2, NOW + life * 2 / 3 - DAY] {
        let (again, new) = next(&authority, "18-0042", &asked(), now).await.unwrap();
        assert!(!new && again == first);
    }
    // In time: one successor, however often it is asked for (a request is never the same bytes twice).
    let due = NOW + life * 2 / 3 + DAY;
    let (second, new) = next(&authority, "18-0042", &asked(), due).await.unwrap();
    assert!(new && second.serial != first.serial && second.not_after > first.not_after);
    let (again, new) = next(&authority, "18-0042", &asked(), due + 60).await.unwrap();
    assert!(!new && again.serial == second.serial && again.chain == second.chain);
    let rows = authority.ledger().rows(Some(slot("18-0042")), due).await.unwrap();
    assert!(rows.len() == 2 && rows.iter().all(|row| row.kind == kind && row.revoked.is_none()), "both live");
    // Late, but in the grace; and too late.
    let lain = KeyPair::generate().unwrap();
    let asked = || request_by(&lain);
    let ended = authority.issue(slot("18-0043"), kind, &asked(), "drawer", NOW).await.unwrap().not_after;
    assert_eq!(code(next(&authority, "18-0043", &asked(), ended + 91 * DAY).await), "MM-2010");
    let (back, new) = next(&authority, "18-0043", &asked(), ended + 80 * DAY).await.unwrap();
    assert!(new && back.not_after > ended + 90 * DAY);
    authority.ledger().verify_all().await.unwrap();
}

#[tokio::test]
async fn two_who_renew_at_once_get_one_successor() {
    let world = World::new().await;
    let authority = world.open().await;
    let key = KeyPair::generate().unwrap();
    let first =
        authority.issue(slot("18-0042"), DeviceKind::Facility, &request_by(&key), "c", NOW).await.unwrap();
    let due = first.not_after - DAY;
    let mut wishes = Vec::new();
    for _ in 0..3 {
        match authority.renewal(slot("18-0042"), &request_by(&key), due).await.unwrap() {
            Renewal::Wish(wish) => wishes.push(wish),
            Renewal::Again(_) => panic!("nobody has renewed yet"),
        }
    }
    let issued = authority.issue_many(&wishes, due).await;
    let serials: BTreeSet<_> = issued.into_iter().map(|issued| issued.unwrap().serial).collect();
    assert_eq!(serials.len(), 1, "one certificate is followed by one");
}

/// The attacker's table: only the slot and the key together renew.
#[tokio::test]
async fn nobody_renews_what_is_not_his() {
    let world = World::new().await;
    let authority = world.open().await;
    let (key, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let kind = DeviceKind::Facility;
    let first = authority.issue(slot("18-0042"), kind, &request_by(&key), "a", NOW).await.unwrap();
    authority.issue(slot("18-0043"), kind, &request_by(&other), "b", NOW).await.unwrap();
    let due = first.not_after - DAY;
    let before = authority.ledger().head().await.unwrap().entries;
    let mut unproved = request_by(&key);
    *unproved.last_mut().unwrap() ^= 1;
    for (name, place, request, expected) in [
        ("another slot", "18-0043", request_by(&key), "MM-2010"),
        ("another key", "18-0042", request_by(&other), "MM-2010"),
        ("a slot that nobody has", "18-9999", request_by(&key), "MM-2010"),
        ("no proof", "18-0042", unproved, "MM-2002"),
        ("garbage", "18-0042", vec![0x30; 300], "MM-2001"),
    ] {
        assert_eq!(code(next(&authority, place, &request, due).await), expected, "{name}");
    }
    assert_eq!(authority.ledger().head().await.unwrap().entries, before, "nothing was recorded");
    // Revoked is over, for the key as for the slot.
    authority.revoke(Revoke::Slot(slot("18-0042")), RevocationReason::KeyCompromise, due).await.unwrap();
    assert_eq!(code(next(&authority, "18-0042", &request_by(&key), due).await), "MM-2010");
}
