//! Whether the ledger tells the truth, asked while it is being written (issue 5: `pki log verify` beside issuing).

use data_encoding::BASE64;

use super::*;
use crate::witness::to_be_signed;

/// Looks at the whole ledger, as another process would, before each signature.
struct Looking {
    key: MemoryKey,
    ledger: std::path::PathBuf,
    looks: Arc<AtomicU32>,
}

impl Signer for Looking {
    fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        let path = self.ledger.clone();
        let looked = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let ledger = Ledger::open(&path).await.unwrap();
                let found = ledger.verify_all().await;
                ledger.close().await;
                found
            })
        });
        looked.join().unwrap().unwrap();
        self.looks.fetch_add(1, Ordering::SeqCst);
        self.key.sign(order)
    }
}

#[tokio::test]
async fn what_is_recorded_and_not_signed_yet_is_not_missing() {
    let (world, looks) = (World::new().await, Arc::new(AtomicU32::new(0)));
    let looking = Looking { key: device_key(), ledger: world.ledger_path(), looks: Arc::clone(&looks) };
    let authority = world.open_with(Box::new(looking), "m.example.jp").await;
    let before = looks.load(Ordering::SeqCst);
    issue(&authority, "18-0042", "a").await.unwrap();
    assert!(looks.load(Ordering::SeqCst) > before, "looked between record and signature");
    assert_eq!(authority.ledger().verify_all().await.unwrap().planned, 1);
}

#[tokio::test]
async fn looking_while_others_issue_finds_nothing_missing() {
    let world = World::new().await;
    let authority = Arc::new(world.open().await);
    let busy = Arc::clone(&authority);
    let issuing = tokio::spawn(async move {
        for n in 0..24 {
            let issued = issue(&busy, &format!("18-{n:04}"), &format!("t{n}")).await.unwrap();
            if n % 3 == 0 {
                let what = Revoke::Certificate(issued.serial);
                busy.revoke(what, RevocationReason::Superseded, NOW).await.unwrap();
            }
        }
    });
    while !issuing.is_finished() {
        authority.ledger().verify_all().await.unwrap();
    }
    issuing.await.unwrap();
    let counted = authority.ledger().verify_all().await.unwrap();
    assert_eq!((counted.planned, counted.revoked), (24, 8));
}

#[tokio::test]
async fn a_changed_plan_is_found() {
    let world = World::new().await;
    let authority = world.open().await;
    let issued = issue(&authority, "18-0042", "a").await.unwrap();
    authority.close().await;
    let tbs = BASE64.encode(to_be_signed(&issued.chain[0]).unwrap());
    world.tamper(&format!("UPDATE certificate SET tbs = '{tbs}'")).await;
    // As if it had been planned and the machine had stopped: the row of `planned` as `issues` writes it.
    world
        .tamper(
            "INSERT INTO planned (entry, lines) SELECT planned_entry, planned_entry || ' ' || serial || ' ' || \
             token_hash || ' ' || slot || ' ' || kind || ' ' || key_hash || ' ' || not_before || ' ' || not_after || \
             ' ' || planned_at || ' ' || tbs || char(10) FROM certificate",
        )
        .await;
    world.tamper("DELETE FROM certificate").await;
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    assert_eq!(ledger.verify_all().await.unwrap().planned, 1);
    ledger.close().await;
    world.tamper("UPDATE planned SET lines = replace(lines, '18-0042', '18-0043')").await;
    let ledger = Ledger::open(&world.ledger_path()).await.unwrap();
    let found = ledger.verify_all().await;
    assert!(matches!(found, Err(LedgerError::Broken { .. })), "{found:?}");
    ledger.close().await;
}
