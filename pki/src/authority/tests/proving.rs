//! The transparency log (issue 5): proofs that hold without us, an export that others can check, a restore
//! that forgets nothing.

use data_encoding::BASE64;

use super::*;
use crate::checkpoint::{LineProof, origin};
use crate::restore::{RestoreError, restore};
use crate::witness::{self, Export, WitnessError};

async fn export(authority: &Authority) -> Export {
    let (mut lines, mut certificates) = (String::new(), String::new());
    let size = authority.ledger().tree().size();
    while (lines.lines().count() as u64) < size {
        let from = lines.lines().count() as u64;
        for line in authority.ledger().bodies(from, 100).await.unwrap() {
            lines += &format!("{line}\n");
        }
    }
    for (entry, der) in authority.ledger().certificates(0, 10_000).await.unwrap() {
        certificates += &format!("{entry} {}\n", BASE64.encode(&der));
    }
    let checkpoint = authority.checkpoint().unwrap().to_string();
    Export { lines, certificates, checkpoint, device_ca: ceremony().device_ca_der.clone() }
}

#[tokio::test]
async fn a_certificates_proof_holds_without_us_and_for_no_other() {
    let world = World::new().await;
    let authority = world.open().await;
    let mut issued = Vec::new();
    for n in 0..100 {
        issued.push(issue(&authority, &format!("18-{n:04}"), &format!("t{n}")).await.unwrap());
    }
    let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
    let origin = origin(authority.realm().zone());
    assert!(authority.ledger().tree().size() > 256, "more than one tile");
    for one in issued.iter().step_by(9) {
        let text = authority.proof_of(&one.serial).await.unwrap().unwrap().text();
        let proof = LineProof::read(&text).unwrap();
        let checkpoint = proof.verify(&origin, ca.key()).unwrap();
        assert_eq!(checkpoint.size, authority.ledger().tree().size());
        proof.speaks_of(&one.serial, &one.chain[0]).unwrap();
        assert!(proof.speaks_of(&one.serial, &issued[1].chain[0]).is_err() || one == &issued[1]);
    }
    let unknown = CertificateSerial::from_random([9; 16]);
    assert_eq!(authority.proof_of(&unknown).await.unwrap(), None);
    // Many at once are the same proofs, in the order in which they were asked for.
    let mut asked: Vec<_> = issued.iter().rev().map(|one| one.serial).collect();
    asked.insert(7, unknown);
    let many = authority.proofs_of(&asked).await.unwrap();
    for (serial, proof) in asked.iter().zip(many) {
        assert_eq!(proof, authority.proof_of(serial).await.unwrap(), "{serial}");
    }
    // The same after a restart, whose tree is read from the disk; and the older is the newer's beginning.
    let old = authority.ledger().tree();
    authority.close().await;
    let authority = world.open().await;
    let new = authority.ledger().tree();
    let path = authority.ledger().consistency(old.size(), new.size()).await.unwrap().unwrap();
    assert!(crate::tlog::consistent(old.size(), &old.root(), new.size(), &new.root(), &path));
    let proof = authority.proof_of(&issued[3].serial).await.unwrap().unwrap();
    proof.verify(&origin, ca.key()).unwrap();
    // Tiles say the same: leaves of the first tile, and its root one level up.
    let leaves = authority.tile(0, 0, 256).await.unwrap().unwrap();
    let levels =
        crate::tlog::Levels::of(leaves.chunks(32).map(|hash| Hash::from_bytes(hash.try_into().unwrap())));
    let root = crate::tlog::root(&levels, 256).unwrap();
    assert_eq!(authority.tile(1, 0, 1).await.unwrap().unwrap(), root.as_bytes());
    assert_eq!(authority.tile(0, 1_000_000, 256).await.unwrap(), None);
}

#[tokio::test]
async fn a_witness_finds_every_change_of_an_export() {
    let world = World::new().await;
    let authority = world.open().await;
    let one = issue(&authority, "18-0042", "a").await.unwrap();
    let early = authority.checkpoint().unwrap().to_string();
    let two = issue(&authority, "18-0043", "b").await.unwrap();
    authority.revoke(Revoke::Certificate(one.serial), RevocationReason::Superseded, NOW).await.unwrap();
    let good = export(&authority).await;
    let seen = witness::verify(&good, std::slice::from_ref(&early)).unwrap();
    assert_eq!((seen.certificates, seen.revoked), (2, 1));
    let with = |change: fn(&mut Export)| {
        let Export { lines, certificates, checkpoint, device_ca } = &good;
        let mut bad = Export {
            lines: lines.clone(),
            certificates: certificates.clone(),
            checkpoint: checkpoint.clone(),
            device_ca: device_ca.clone(),
        };
        change(&mut bad);
        witness::verify(&bad, &[]).unwrap_err()
    };
    assert_eq!(with(|e| e.lines = e.lines.replace("superseded", "unspecified")), WitnessError::Root);
    assert!(matches!(
        with(|e| e.lines = e.lines.lines().skip(1).map(|l| format!("{l}\n")).collect()),
        WitnessError::Length { .. }
    ));
    assert!(matches!(with(|e| e.checkpoint = e.checkpoint.replace('—', "-")), WitnessError::Checkpoint(_)));
    assert!(matches!(with(|e| e.certificates = String::new()), WitnessError::Line { .. }));
    assert!(matches!(
        with(|e| e.certificates = e.certificates.lines().take(1).map(|l| format!("{l}\n{l}\n")).collect()),
        WitnessError::Line { .. }
    ));
    assert!(matches!(with(|e| e.device_ca = ceremony().root_der.clone()), WitnessError::Ca(_)));
    // Another history with the same beginning: the old checkpoint, kept elsewhere, tells.
    authority.close().await;
    let fork = World::new().await;
    let authority = fork.open().await;
    issue(&authority, "18-0042", "a").await.unwrap();
    issue(&authority, "18-0043", "b").await.unwrap();
    let forked = export(&authority).await;
    witness::verify(&forked, &[]).unwrap();
    assert!(matches!(witness::verify(&forked, &[early]), Err(WitnessError::Rewritten(_))));
    drop(two);
}

/// Yesterday's backup, and today's export: no certificate forgotten, no revocation undone.
#[tokio::test]
async fn a_restore_with_the_export_has_no_amnesia() {
    let world = World::new().await;
    let authority = world.open().await;
    let one = issue(&authority, "18-0042", "a").await.unwrap();
    authority.close().await;
    let yesterday = std::fs::read(world.ledger_path()).unwrap();
    let authority = world.open().await;
    let two = issue(&authority, "18-0043", "b").await.unwrap();
    let three = issue(&authority, "18-0044", "c").await.unwrap();
    let reason = RevocationReason::KeyCompromise;
    authority.revoke(Revoke::Certificate(one.serial), reason, NOW).await.unwrap();
    authority.revoke(Revoke::Certificate(three.serial), reason, NOW).await.unwrap();
    let export = export(&authority).await;
    let tree = authority.ledger().tree();
    authority.close().await;
    for companion in ["-wal", "-shm"] {
        let path = format!("{}{companion}", world.ledger_path().display());
        std::fs::remove_file(path).ok();
    }

    std::fs::write(world.ledger_path(), &yesterday).unwrap();
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    let seen = restore(&ledger, &export, true).await.unwrap();
    assert_eq!((seen.certificates, seen.revocations), (2, 2));
    assert_ne!(ledger.tree(), tree, "a dry run changes nothing");
    assert_eq!(restore(&ledger, &export, false).await.unwrap(), seen);
    assert_eq!(ledger.tree(), tree);
    ledger.verify_all().await.unwrap();
    ledger.close().await;
    let authority = world.open().await;
    let answer = authority.snapshot().answer(0, 0, || NOW).await;
    let crate::door::RevocationsAnswer::Snapshot { living, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(living.iter().map(|one| one.serial).collect::<Vec<_>>(), [two.serial]);
    authority.renew_lists(NOW + 4 * DAY).await;
    for lost in [&one, &three] {
        let list = authority.list(shard_of(&lost.serial)).unwrap();
        assert!(list.windows(16).any(|part| part == lost.serial.as_bytes()));
    }
    // A ledger that went on by itself is not overwritten.
    issue(&authority, "18-0050", "z").await.unwrap();
    let again = restore(authority.ledger(), &export, false).await.unwrap();
    assert_eq!(again.lines, 0, "it holds all of the export already");
    authority.close().await;
    std::fs::write(world.ledger_path(), &yesterday).unwrap();
    for companion in ["-wal", "-shm"] {
        let path = format!("{}{companion}", world.ledger_path().display());
        std::fs::remove_file(path).ok();
    }
    let authority = world.open().await;
    issue(&authority, "18-0051", "y").await.unwrap();
    assert!(matches!(restore(authority.ledger(), &export, false).await, Err(RestoreError::Diverged(_))));
}

#[tokio::test]
async fn an_attestation_can_be_checked_by_anyone_with_the_device_ca() {
    let world = World::new().await;
    let authority = world.open().await;
    let attestation = authority.attest("受領書 r-1", Hash::of(b"receipt"), NOW).await.unwrap();
    let ca = &ceremony().device_ca_der;
    verify::attestation(ca, &attestation).unwrap();
    let head = authority.ledger().head().await.unwrap();
    assert_eq!((attestation.entry + 1, attestation.head), (head.entries, head.hash));
    type Change = fn(&mut Attestation);
    let changes: [Change; 5] = [
        |a| a.entry += 1,
        |a| a.subject.push('x'),
        |a| a.hash = Hash::of(b"another"),
        |a| a.head = Hash::of(b"another"),
        |a| a.signature[10] ^= 1,
    ];
    for change in changes {
        let mut forged = attestation.clone();
        change(&mut forged);
        assert!(verify::attestation(ca, &forged).is_err(), "{forged:?}");
    }
    assert!(verify::attestation(&ceremony().root_der, &attestation).is_err());
    assert_eq!(code(authority.attest("two\nlines", Hash::of(b""), NOW).await), "MM-2001");
}
