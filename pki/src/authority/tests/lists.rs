//! Revocation lists as others read them (issue 5: 64 shards fixed in the certificate).

use super::*;

#[tokio::test]
async fn a_revoked_device_stands_in_its_own_shard_as_openssl_reads_it() {
    let world = World::new().await;
    let authority = world.open().await;
    let lost = issue(&authority, "18-0042", "a").await.unwrap();
    let kept = issue(&authority, "18-0043", "b").await.unwrap();
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(Revoke::Certificate(lost.serial), reason, NOW + 5).await.unwrap();
    let dir = world.dir.path();
    let write = |name: &str, der: &[u8]| std::fs::write(dir.join(name), der).unwrap();
    write("root.pem", pem::certificate(&ceremony().root_der).as_bytes());
    write("device.pem", pem::certificate(&ceremony().device_ca_der).as_bytes());
    for (name, issued, revoked) in [("lost", &lost, true), ("kept", &kept, false)] {
        write(&format!("{name}.pem"), pem::certificate(&issued.chain[0]).as_bytes());
        write(&format!("{name}.crl"), &authority.list(shard_of(&issued.serial)).unwrap());
        openssl(dir, &format!("crl -inform DER -in {name}.crl -out {name}.crl.pem -CAfile device.pem"))
            .unwrap();
        let check = format!(
            "verify -x509_strict -crl_check -extended_crl -attime {} -CAfile root.pem -untrusted device.pem -CRLfile {name}.crl.pem {name}.pem",
            NOW + 60
        );
        let found = openssl(dir, &check);
        if revoked {
            assert!(found.unwrap_err().contains("certificate revoked"));
        } else {
            found.unwrap();
        }
    }
    let text = openssl(dir, "crl -inform DER -in lost.crl -noout -text").unwrap();
    let uri = format!("URI:http://10.18.255.2/crl/{:02}.crl", shard_of(&lost.serial));
    assert!(
        text.contains(&uri) && text.contains("Key Compromise") && text.contains("Only User Certificates"),
        "{text}"
    );
}

#[tokio::test]
async fn lists_are_renewed_before_they_end_and_forget_the_expired() {
    let world = World::new().await;
    let authority = world.open().await;
    let lost = issue(&authority, "18-0042", "a").await.unwrap();
    let shard = shard_of(&lost.serial);
    let reason = RevocationReason::Unspecified;
    authority.revoke(Revoke::Certificate(lost.serial), reason, NOW).await.unwrap();
    let first = authority.list(shard).unwrap();
    authority.renew_lists(NOW + DAY).await;
    assert_eq!(authority.list(shard).unwrap(), first, "still young");
    authority.renew_lists(NOW + 4 * DAY).await;
    let second = authority.list(shard).unwrap();
    assert_ne!(second, first);
    let holds = |list: &[u8]| list.windows(16).any(|part| part == lost.serial.as_bytes());
    assert!(holds(&second));
    assert_eq!(authority.lists_state(), (NOW + 11 * DAY, 0));
    authority.renew_lists(lost.not_after + DAY).await;
    assert!(!holds(&authority.list(shard).unwrap()), "expired: nobody would ask");
}

/// Died between the revocation and its list: the next start signs it, whatever the old list's age.
#[tokio::test]
async fn a_list_that_was_not_signed_is_signed_at_the_next_start() {
    let world = World::new().await;
    let authority = world.open().await;
    let lost = issue(&authority, "18-0042", "a").await.unwrap();
    authority.close().await;
    let (signer, _) = watched(&world, true);
    let authority = world.open_with(signer, "m.example.jp").await;
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(Revoke::Certificate(lost.serial), reason, NOW).await.unwrap();
    let holds = |list: &[u8]| list.windows(16).any(|part| part == lost.serial.as_bytes());
    assert!(!holds(&authority.list(shard_of(&lost.serial)).unwrap()), "the key failed");
    assert_eq!(authority.lists_state().1, 1);
    authority.close().await;
    let authority = world.open().await;
    assert!(holds(&authority.list(shard_of(&lost.serial)).unwrap()));
    assert_eq!(authority.lists_state().1, 0);
}

/// Issue 5, revoke -> signed shard: counted, because time decides no test. However many are revoked already, one more
/// reads no list's entries, signs one list and one checkpoint, and leaves the other lists as they are.
#[tokio::test]
async fn one_more_revocation_does_no_work_that_grows_with_those_before() {
    let world = World::new().await;
    let signed = Arc::new(AtomicU32::new(0));
    let counted = Counted { key: device_key(), signed: Arc::clone(&signed) };
    let authority = world.open_with(Box::new(counted), "m.example.jp").await;
    let mut serials = Vec::new();
    for n in 0..120 {
        serials.push(issue(&authority, &format!("18-{n:04}"), &format!("t{n}")).await.unwrap().serial);
    }
    let read = authority.shards_read();
    assert_eq!(read, u64::from(SHARDS), "each shard once, when its first list was signed");
    for (turn, serial) in serials.iter().enumerate() {
        let others: Vec<_> = (0..SHARDS).filter(|shard| *shard != shard_of(serial)).collect();
        let before: Vec<_> = others.iter().map(|shard| authority.list(*shard)).collect();
        let signatures = signed.load(Ordering::SeqCst);
        let reason = RevocationReason::ALL[turn % 5];
        authority.revoke(Revoke::Certificate(*serial), reason, NOW + 5).await.unwrap();
        // The revocation's checkpoint, the list's, and the list.
        assert_eq!(signed.load(Ordering::SeqCst) - signatures, 3, "turn {turn}");
        assert!(
            others.iter().map(|shard| authority.list(*shard)).eq(before),
            "turn {turn}: another list moved"
        );
        assert_eq!(authority.shards_read(), read, "turn {turn}: a shard was read again");
    }
    // What was remembered is what the ledger says: a restart reads it there, and signs the same entries.
    let lists =
        |authority: &Authority| (0..SHARDS).map(|shard| entries(&authority.list(shard).unwrap())).collect();
    let remembered: Vec<_> = lists(&authority);
    assert_eq!(remembered.iter().map(Vec::len).sum::<usize>(), serials.len());
    authority.close().await;
    let authority = world.open().await;
    authority.renew_lists(NOW + 4 * DAY).await;
    assert_eq!(lists(&authority), remembered);
}

/// Serials with times and reasons.
fn entries(list: &[u8]) -> Vec<(Vec<u8>, i64, Option<u8>)> {
    use x509_parser::prelude::{CertificateRevocationList, FromDer};
    let (_, list) = CertificateRevocationList::from_der(list).unwrap();
    let entry = |one: &x509_parser::prelude::RevokedCertificate<'_>| {
        let reason = one.reason_code().map(|(_, reason)| reason.0);
        (one.raw_serial().to_vec(), one.revocation_date.timestamp(), reason)
    };
    list.iter_revoked_certificates().map(entry).collect()
}

/// Counts its signatures.
struct Counted {
    key: MemoryKey,
    signed: Arc<AtomicU32>,
}

impl Signer for Counted {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        self.signed.fetch_add(1, Ordering::SeqCst);
        self.key.sign(order)
    }

    fn is_foreign(&self) -> bool {
        false
    }
}
