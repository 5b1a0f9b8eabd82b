//! The room behind its doors, from a folder as the ceremony left it.

use super::*;
use crate::authority::tests::request;
use crate::ceremony::tests::{NOW, PASSPHRASE, ceremony, folders_in};
use crate::door::{DeviceKind, RevocationReason, Revoke};
use crate::folders;
use crate::verify::{self, DeviceVerifier};

mod killed;

async fn room(dir: &Path) -> Room {
    let config = Config {
        dir: folders_in(dir).pki,
        secret: Secret::new(PASSPHRASE.into()).unwrap(),
        token: None,
        published_base: "http://10.18.255.2".into(),
    };
    open(config).unwrap().start().await.unwrap()
}

async fn published(room: &Room, path: &str) -> Option<(String, Vec<u8>)> {
    match room.published(PublishedQuestion::Get { path: path.into() }).await {
        PublishedAnswer::Bytes { media_type, bytes } => Some((media_type, bytes)),
        PublishedAnswer::NotFound => None,
    }
}

#[tokio::test]
async fn the_doors_from_issue_to_revocation_to_restart() {
    let dir = tempfile::tempdir().unwrap();
    folders::write(ceremony(), &folders_in(dir.path())).await.unwrap();
    let first = room(dir.path()).await;
    let issue = IssuingQuestion::Issue {
        slot: "18-0042".parse().unwrap(),
        kind: DeviceKind::FacilityAdmin,
        request: request(),
        token: "claim-1".into(),
    };
    let IssuingAnswer::Issued(issued) = first.issuing(issue.clone()).await else { panic!() };
    assert_eq!(first.issuing(issue.clone()).await, IssuingAnswer::Issued(issued.clone()));
    let verifier = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
    // The room's clock is the machine's, and so is this one.
    verifier.verify(&issued.chain, now()).unwrap();

    let number = {
        let answer = first.revocations(RevocationsQuestion::Snapshot { after: 0, wait_ms: 0 }).await;
        let RevocationsAnswer::Snapshot { number, living } = answer else { panic!("{answer:?}") };
        assert_eq!(living.iter().map(|one| one.serial).collect::<Vec<_>>(), [issued.serial]);
        number
    };
    let waiting = tokio::spawn({
        let room = first.clone();
        async move { room.revocations(RevocationsQuestion::Snapshot { after: number, wait_ms: 20_000 }).await }
    });
    let revoke = IssuingQuestion::Revoke {
        what: Revoke::Slot("18-0042".parse().unwrap()),
        reason: RevocationReason::KeyCompromise,
    };
    let IssuingAnswer::Revoked { serials, snapshot } = first.issuing(revoke).await else { panic!() };
    assert_eq!(serials, [issued.serial]);
    let told = waiting.await.unwrap();
    assert_eq!(told, RevocationsAnswer::Snapshot { number: snapshot, living: vec![] });

    let attest = IssuingQuestion::Attest { subject: "receipt r-1".into(), hash: Hash::of(b"receipt") };
    let IssuingAnswer::Attested(attestation) = first.issuing(attest).await else { panic!() };
    let (_, device_ca) = published(&first, "ca/device.crt").await.unwrap();
    verify::attestation(&device_ca, &attestation).unwrap();
    first.stop().await;
    let IssuingAnswer::Refused(refusal) = first.issuing(issue).await else { panic!() };
    assert_eq!(refusal.code(), "MM-2009", "a stopped room refuses, and does not hang");

    let second = room(dir.path()).await;
    let PkiAnswer::Status(status) = second.operator(PkiQuestion::Status).await else { panic!() };
    assert_eq!((status.living, status.revoked, status.lists_late), (0, 1, 0));
    assert_eq!(status.authorities.len(), 3);
    let PkiAnswer::Certificates(rows) = second.operator(PkiQuestion::List { slot: None }).await else {
        panic!()
    };
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].revoked.unwrap().1, RevocationReason::KeyCompromise);
    let verified = second.operator(PkiQuestion::VerifyLedger).await;
    assert!(matches!(verified, PkiAnswer::LedgerVerified { .. }), "{verified:?}");
    second.stop().await;
}

#[tokio::test]
async fn published_bytes_are_these_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    folders::write(ceremony(), &folders_in(dir.path())).await.unwrap();
    let room = room(dir.path()).await;
    let der = |bytes: &[u8]| Some(("application/pkix-cert".to_owned(), bytes.to_vec()));
    assert_eq!(published(&room, "ca/root.crt").await, der(&ceremony().root_der));
    assert_eq!(published(&room, "/ca/device.crt").await, der(&ceremony().device_ca_der));
    assert_eq!(published(&room, "ca/server.crt").await, der(&ceremony().server_ca_der));
    let (_, root_pem) = published(&room, "ca/root.pem").await.unwrap();
    assert!(root_pem.starts_with(b"-----BEGIN CERTIFICATE-----\n"));
    for shard in 0..SHARDS {
        let (media_type, _) = published(&room, &format!("crl/{shard:02}.crl")).await.unwrap();
        assert_eq!(media_type, "application/pkix-crl");
    }
    for attack in
        ["", "/", "crl/64.crl", "crl/7.crl", "crl/007.crl", "../ledger.db", "ca/device.key", "//ca/root.crt"]
    {
        assert_eq!(published(&room, attack).await, None, "{attack}");
    }
    room.stop().await;
}

#[tokio::test]
async fn a_folder_that_was_mixed_up_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let folders = folders_in(dir.path());
    folders::write(ceremony(), &folders).await.unwrap();
    // Another realm's device CA over ours.
    let other = crate::ceremony::create(&crate::ceremony::tests::config(), NOW).unwrap();
    std::fs::write(folders.pki.join(DEVICE_CA_DER), &other.device_ca_der).unwrap();
    let config = || Config {
        dir: folders.pki.clone(),
        secret: Secret::new(PASSPHRASE.into()).unwrap(),
        token: None,
        published_base: "http://10.18.255.2".into(),
    };
    assert!(matches!(open(config()).err(), Some(OpenError::OtherKey)));
    std::fs::write(folders.pki.join(DEVICE_CA_DER), &ceremony().device_ca_der).unwrap();
    // Another transcript than the one of entry 0.
    std::fs::write(folders.pki.join(TRANSCRIPT), "another story").unwrap();
    let room = open(config()).unwrap().start().await.unwrap();
    let verified = room.operator(PkiQuestion::VerifyLedger).await;
    assert!(matches!(verified, PkiAnswer::LedgerBroken { entry: 0, .. }), "{verified:?}");
    room.stop().await;
    std::fs::remove_file(folders.pki.join(DEVICE_CA_KEY_SEALED)).unwrap();
    let missing = open(config()).err().unwrap().to_string();
    assert!(missing.starts_with("MM-2231") && missing.contains("mimamori init"), "{missing}");
}

/// Issue 5: another reader finds our root above a signed profile, and the log knows its hash; the same key signs the next.
#[tokio::test]
async fn a_signed_profile_verifies_by_openssl_and_stands_in_the_log_without_being_seen() {
    let dir = tempfile::tempdir().unwrap();
    folders::write(ceremony(), &folders_in(dir.path())).await.unwrap();
    let room = room(dir.path()).await;
    let at = |name: &str| dir.path().join(name);
    std::fs::write(at("root.crt"), crate::pem::certificate(&ceremony().root_der)).unwrap();
    let mut signers = Vec::new();
    for profile in [&b"<plist>one</plist>"[..], "<plist>二</plist>".as_bytes()] {
        let (slot, content) = ("18-0042".parse().unwrap(), Hash::of(profile));
        let answer = room.issuing(IssuingQuestion::SignProfile { slot, content }).await;
        let IssuingAnswer::ProfileSigned(signature) = answer else { panic!("{answer:?}") };
        std::fs::write(at("p.mobileconfig"), crate::cms::signed(profile, &signature).unwrap()).unwrap();
        let verify = "cms -verify -inform DER -in p.mobileconfig -CAfile root.crt -purpose sslserver \
                      -verify_hostname profiles.m.example.jp -x509_strict -binary -out said";
        crate::ceremony::tests::openssl(dir.path(), verify).unwrap();
        assert_eq!(std::fs::read(at("said")).unwrap(), profile);
        // Somebody changes one letter on the way.
        let mut changed = std::fs::read(at("p.mobileconfig")).unwrap();
        let place = changed.windows(7).position(|part| part == b"<plist>").unwrap();
        changed[place + 7] ^= 1;
        std::fs::write(at("p.mobileconfig"), changed).unwrap();
        assert!(crate::ceremony::tests::openssl(dir.path(), verify).is_err());
        signers.push(signature.chain[0].clone());
    }
    assert_eq!(signers[0], signers[1]);
    let ledger = room.authority().ledger();
    let bodies = ledger.bodies(0, 100).await.unwrap().join("\n");
    assert!(bodies.contains(&format!("hash={} subject=profile 18-0042", Hash::of(b"<plist>one</plist>"))));
    assert_eq!(bodies.matches(" server ").count(), 1, "one key for both: {bodies}");
    room.stop().await;
}
