//! OCSP before stock OpenSSL (RFC 6960, RFC 5019): good, revoked, unknown; both hashes; nothing signed on request.

use super::*;
use crate::ocsp::Unanswered;
use crate::{lifetime, ocsp};

/// Writes the CAs and a certificate for `openssl ocsp`.
fn written(world: &World, issued: &IssuedCertificate) -> std::path::PathBuf {
    let dir = world.dir.path();
    let write = |name: &str, der: &[u8]| std::fs::write(dir.join(name), pem::certificate(der)).unwrap();
    write("root.pem", &ceremony().root_der);
    write("device.pem", &ceremony().device_ca_der);
    write("leaf.pem", &issued.chain[0]);
    dir.to_owned()
}

/// What `openssl ocsp` says of our answer to its own request.
fn asked(authority: &Authority, dir: &Path, hash: &str, nonce: &str, now: i64) -> Result<String, String> {
    openssl(dir, &format!("ocsp {hash} -issuer device.pem -cert leaf.pem {nonce} -reqout req.der"))?;
    let request = std::fs::read(dir.join("req.der")).unwrap();
    let answer = authority.answers().reply(&request, now).map_err(|why| format!("{why:?}"))?;
    std::fs::write(dir.join("resp.der"), &answer).unwrap();
    openssl(
        dir,
        &format!(
            "ocsp {hash} -issuer device.pem -cert leaf.pem -no_nonce -respin resp.der -CAfile root.pem \
             -verify_other device.pem -attime {}",
            now + 60
        ),
    )
}

#[tokio::test]
async fn openssl_hears_good_then_revoked_under_both_hashes() {
    let world = World::new().await;
    let authority = world.open().await;
    let issued = issue(&authority, "18-0042", "a").await.unwrap();
    let dir = written(&world, &issued);
    let refused = asked(&authority, &dir, "-sha1", "-no_nonce", NOW).unwrap_err();
    assert!(refused.contains("Unauthorized"), "not signed yet, and nothing is signed on request: {refused}");
    authority.renew_answers(NOW).await;
    for (hash, nonce) in [("-sha1", "-no_nonce"), ("-sha256", "-no_nonce"), ("-sha256", "-nonce")] {
        let said = asked(&authority, &dir, hash, nonce, NOW).unwrap();
        assert!(said.contains("Response verify OK") && said.contains("leaf.pem: good"), "{said}");
    }
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(Revoke::Certificate(issued.serial), reason, NOW + 9).await.unwrap();
    for hash in ["-sha1", "-sha256"] {
        let said = asked(&authority, &dir, hash, "-no_nonce", NOW + 9).unwrap();
        assert!(said.contains("Response verify OK") && said.contains("leaf.pem: revoked"), "{said}");
        assert!(said.contains("Reason: keyCompromise"), "{said}");
    }
    // After a restart nothing says "good" before, or after, the answers are signed again.
    authority.close().await;
    let authority = world.open().await;
    assert!(asked(&authority, &dir, "-sha1", "-no_nonce", NOW).is_err());
    authority.renew_answers(NOW + 10).await;
    assert!(asked(&authority, &dir, "-sha1", "-no_nonce", NOW + 10).unwrap().contains("revoked"));
}

#[tokio::test]
async fn the_delegate_lives_two_weeks_is_in_the_log_and_vouches_for_nothing_else() {
    let world = World::new().await;
    let authority = world.open().await;
    let issued = issue(&authority, "18-0042", "a").await.unwrap();
    authority.renew_answers(NOW).await;
    let lines = authority.ledger().bodies(0, 1_000).await.unwrap();
    let delegates: Vec<_> = lines.iter().filter(|line| line.contains(" delegate ")).collect();
    assert_eq!(delegates.len(), 1);
    assert!(delegates[0].contains(&format!("until={}", lifetime::utc(NOW - 300 + 14 * DAY))));
    let dir = written(&world, &issued);
    asked(&authority, &dir, "-sha1", "-no_nonce", NOW).unwrap();
    let text = openssl(&dir, "ocsp -respin resp.der -resp_text -noverify").unwrap();
    for part in
        ["OCSP Signing", "OCSP No Check", "CA:FALSE", "Hash Algorithm: sha1", "Hash Algorithm: sha256"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Its certificate opens no door.
    let verifier = DeviceVerifier::new(&[&ceremony().device_ca_der]).unwrap();
    let pem: String =
        text.lines().skip_while(|line| !line.starts_with("-----BEGIN")).collect::<Vec<_>>().join("\n");
    std::fs::write(dir.join("delegate.pem"), pem).unwrap();
    openssl(&dir, "x509 -in delegate.pem -outform DER -out delegate.der").unwrap();
    let delegate = std::fs::read(dir.join("delegate.der")).unwrap();
    assert!(verifier.verify(&[delegate], NOW).is_err());
    // A week later there is another, and the answers are its own.
    authority.renew_answers(NOW + 8 * DAY).await;
    let lines = authority.ledger().bodies(0, 1_000).await.unwrap();
    assert_eq!(lines.iter().filter(|line| line.contains(" delegate ")).count(), 2);
    assert!(asked(&authority, &dir, "-sha1", "-no_nonce", NOW + 8 * DAY).unwrap().contains("good"));
    let request = std::fs::read(dir.join("req.der")).unwrap();
    assert_eq!(
        authority.answers().reply(&request, NOW + 8 * DAY + ocsp::ANSWER_LIFE_SECONDS).err(),
        Some(Unanswered::TryLater),
        "an answer that ended is not given"
    );
}

/// A "good" that is signed while the revocation happens never comes out after it.
#[tokio::test]
async fn good_never_follows_revoked() {
    let world = World::new().await;
    let authority = Arc::new(world.open().await);
    let mut serials = Vec::new();
    for n in 0..40 {
        serials.push(issue(&authority, &format!("18-{n:04}"), &format!("t{n}")).await.unwrap().serial);
    }
    let vouching = tokio::spawn({
        let authority = Arc::clone(&authority);
        async move {
            for round in 0..30 {
                // Each round everything is due again.
                authority.renew_answers(NOW + round * 3 * DAY).await;
            }
        }
    });
    for serial in &serials {
        let reason = RevocationReason::Superseded;
        authority.revoke(Revoke::Certificate(*serial), reason, NOW).await.unwrap();
        assert!(authority.answers().of(serial).is_none_or(|der| is_revoked(&der)), "{serial}");
        tokio::task::yield_now().await;
    }
    vouching.await.unwrap();
    assert!(serials.iter().all(|serial| is_revoked(&authority.answers().of(serial).unwrap())));
}

/// CertStatus `revoked` is [1], with a time inside.
fn is_revoked(der: &[u8]) -> bool {
    der.windows(4).any(|part| part[0] == 0xa1 && part[2] == 0x18 && part[3] == 15)
}
