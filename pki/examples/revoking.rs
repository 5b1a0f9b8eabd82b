//! Revoke -> signed shard, measured: an authority with many revoked certificates behind it revokes some more.
//! Usage: revoking FOLDER [BEFORE [TIMES]]   ->  one line of JSON. The folder should lie on the disk that is meant.

#![allow(clippy::print_stdout)] // a program for a terminal

use std::path::Path;
use std::time::Instant;

use pki::authority::{Authority, Wish};
use pki::ca::CaCertificate;
use pki::ceremony::{CeremonyConfig, DEVICE_CA_KEY};
use pki::door::{DeviceKind, RevocationReason, Revoke};
use pki::folders::{self, DEVICE_CA_DER, DEVICE_CA_KEY_SEALED, Folders, LEDGER};
use pki::holders::Sharing;
use pki::ledger::Ledger;
use pki::realm::Realm;
use pki::signer::MemoryKey;
use pki::{CertificateSerial, Secret};

const BEFORE: usize = 100_000;
const TIMES: usize = 400;
const NUMBERS: usize = 10_000;
const GROUP: usize = 500;
const ZONE: &str = "bench.example.jp";
const BASE: &str = "http://127.0.0.1";
const NOW: i64 = 1_795_177_600;

type Fault = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    let mut words = std::env::args().skip(1);
    let dir = words.next().ok_or("a folder")?;
    let mut number = |usual| words.next().map_or(Ok(usual), |word| word.parse::<usize>());
    let (before, times) = (number(BEFORE)?, number(TIMES)?);
    let dir = Path::new(&dir);
    let folders = Folders { root: dir.join("root"), pki: dir.join("pki"), gateway: dir.join("gateway") };
    hold(&folders).await?;

    let authority = open(&folders).await?;
    let serials = issue(&authority, before + times).await?;
    let (old, fresh) = serials.split_at(before);
    for group in old.chunks(GROUP * 10) {
        // As many revocations would have left it, but in few transactions.
        let mut writing = authority.ledger().begin().await?;
        for serial in group {
            writing.revoke(NOW, *serial, RevocationReason::KeyCompromise).await?;
        }
        writing.commit().await?;
    }
    authority.close().await;

    let authority = open(&folders).await?;
    authority.renew_answers(NOW).await;
    let mut took = Vec::with_capacity(times);
    for serial in fresh {
        let begun = Instant::now();
        let done =
            authority.revoke(Revoke::Certificate(*serial), RevocationReason::KeyCompromise, NOW + 5).await;
        took.push(begun.elapsed().as_micros());
        done.map_err(|refusal| format!("{refusal:?}"))?;
    }
    if authority.lists_state().1 > 0 {
        return Err("a list is late".into());
    }
    let longest =
        (0..pki::realm::SHARDS).filter_map(|shard| authority.list(shard)).map(|list| list.len()).max();
    authority.close().await;
    took.sort_unstable();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    println!(
        "{{\"revoked_before\":{before},\"times\":{times},\"p50_us\":{},\"p99_us\":{},\"max_us\":{},\"list_bytes\":{}}}",
        at(50),
        at(99),
        at(100),
        longest.unwrap_or(0)
    );
    Ok(())
}

fn secret() -> Result<Secret, Fault> {
    Ok(Secret::new(vec![b'x'; 32])?)
}

async fn hold(folders: &Folders) -> Result<(), Fault> {
    let config = CeremonyConfig {
        zone: ZONE.into(),
        realm_name: "性能測定".into(),
        published_base: BASE.into(),
        root_secret: secret()?,
        pki_secret: secret()?,
        shares: None,
        token: None,
    };
    folders::hold(&config, folders, NOW).await?;
    Ok(())
}

async fn open(folders: &Folders) -> Result<Authority, Fault> {
    let ca = CaCertificate::parse(&std::fs::read(folders.pki.join(DEVICE_CA_DER))?)?;
    let sealed = std::fs::read_to_string(folders.pki.join(DEVICE_CA_KEY_SEALED))?;
    let key = MemoryKey::unseal(DEVICE_CA_KEY, &sealed, &secret()?)?;
    let ledger = Ledger::open(&folders.pki.join(LEDGER)).await?;
    Ok(Authority::open(Realm::new(ZONE, "性能測定", BASE)?, ca, Box::new(key), ledger, NOW).await?)
}

async fn issue(authority: &Authority, count: usize) -> Result<Vec<CertificateSerial>, Fault> {
    let key = rcgen::KeyPair::generate()?;
    let request = rcgen::CertificateParams::default().serialize_request(&key)?.der().to_vec();
    let mut serials = Vec::with_capacity(count);
    for from in (0..count).step_by(GROUP) {
        let mut wishes = Vec::new();
        for n in from..count.min(from + GROUP) {
            let slot = format!("18-{:04}", n % NUMBERS).parse()?;
            let wish =
                Wish::new(slot, DeviceKind::Facility, &request, &format!("bench-{n}"), Sharing::Vouched);
            wishes.push(wish.map_err(|refusal| format!("{refusal:?}"))?);
        }
        for outcome in authority.issue_many(&wishes, NOW).await {
            serials.push(outcome.map_err(|refusal| format!("{refusal:?}"))?.serial);
        }
    }
    Ok(serials)
}
