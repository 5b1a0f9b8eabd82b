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
