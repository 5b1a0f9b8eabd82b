//! Yesterday's backup and today's export make today's ledger: every line since is taken up again, every
//! certificate known, no revocation undone. An edge file: SQL. All or nothing, in one transaction; only
//! what the export's checkpoint signed, and only where the export continues this very ledger.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::chain::Hash;
use crate::door::{DeviceKind, RevocationReason};
use crate::entry::{Fields, fields};
use crate::ledger::{Ledger, LedgerError, Writing, broken};
use crate::lifetime::BACKDATE_SECONDS;
use crate::realm::shard_of;
use crate::serial::CertificateSerial;
use crate::witness::{self, Export, WitnessError};

#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    #[error(transparent)]
    Witness(#[from] WitnessError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(
        "MM-2421 line {0} of the export is not this ledger's: another realm's export, or a ledger that went on by itself"
    )]
    Diverged(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    pub lines: u64,
    pub certificates: u64,
    pub revocations: u64,
}

/// Adds to the ledger what the export has beyond it.
pub async fn restore(ledger: &Ledger, export: &Export, dry_run: bool) -> Result<Restored, RestoreError> {
    witness::verify(export, &[])?;
    let mut bodies: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    let mut by_hash: BTreeMap<String, u64> = BTreeMap::new();
    for line in export.certificates.lines() {
        if let Some((entry, der)) = line.split_once(' ')
            && let (Ok(entry), Ok(der)) = (entry.parse(), BASE64.decode(der.as_bytes()))
        {
            by_hash.insert(Hash::of(&der).to_string(), entry);
            bodies.insert(entry, der);
        }
    }
    let mut writing = ledger.begin().await?;
    let own = ledger.head().await?.entries;
    let mut restored = Restored { lines: 0, certificates: 0, revocations: 0 };
    let mut page = Vec::new().into_iter();
    for (entry, line) in (0..).zip(export.lines.lines()) {
        if entry < own {
            if page.len() == 0 {
                page = ledger.bodies(entry, PAGE).await?.into_iter();
            }
            if page.next().as_deref() != Some(line) {
                return Err(RestoreError::Diverged(entry));
            }
            continue;
        }
        writing.restore(line.to_owned());
        restored.lines += 1;
        let said = fields(line).ok_or_else(|| broken(entry, "it cannot be read"))?;
        match said.kind {
            "planned" => again(&mut writing, entry, &said, bodies.get(&entry)).await?,
            "signed" => {
                let place = said.get("certificate").and_then(|hash| by_hash.get(hash));
                let der = place.and_then(|place| bodies.get(place));
                signed(&mut writing, entry, &said, der).await?;
                restored.certificates += 1;
            }
            "abandoned" => {
                state(&mut writing, entry, &said, "abandoned").await?;
            }
            "revoked" => {
                revoked(&mut writing, entry, &said).await?;
                restored.revocations += 1;
            }
            _ => {}
        }
    }
    if !dry_run {
        writing.commit().await?;
    }
    Ok(restored)
}

/// Lines compared at a time; bounds memory.
const PAGE: i64 = 1_000;

async fn again(
    writing: &mut Writing,
    entry: u64,
    said: &Fields<'_>,
    der: Option<&Vec<u8>>,
) -> Result<(), LedgerError> {
    let bad = || broken(entry, "it cannot be read");
    let serial: CertificateSerial = said.get("serial").and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    let kind = said.get("kind").and_then(DeviceKind::parse).ok_or_else(bad)?;
    let until = said.time("until").ok_or_else(bad)?;
    // Without a body it was never signed, and its line alone speaks of it.
    let (tbs, not_before) = match der {
        Some(der) => {
            let (_, x509) = X509Certificate::from_der(der).map_err(|_| bad())?;
            (x509.tbs_certificate.as_ref().to_vec(), x509.validity().not_before.timestamp())
        }
        None => (Vec::new(), said.at - BACKDATE_SECONDS),
    };
    sqlx::query(
        "INSERT INTO certificate (serial, token_hash, slot, kind, key_hash, not_before, not_after, state, \
         planned_at, planned_entry, tbs) VALUES ($1, $2, $3, $4, $5, $6, $7, 'planned', $8, $9, $10)",
    )
    .bind(serial.to_string())
    // Nobody's token any more: whoever repeats his claim gets a new certificate.
    .bind(Hash::of(format!("restored {serial}").as_bytes()).to_string())
    .bind(said.get("slot").ok_or_else(bad)?.to_owned())
    .bind(kind.as_str())
    .bind(said.get("key").ok_or_else(bad)?.to_owned())
    .bind(not_before)
    .bind(until)
    .bind(said.at)
    .bind(entry as i64)
    .bind(BASE64.encode(&tbs))
    .execute(writing.rows().await?)
    .await?;
    Ok(())
}

async fn signed(
    writing: &mut Writing,
    entry: u64,
    said: &Fields<'_>,
    der: Option<&Vec<u8>>,
) -> Result<(), LedgerError> {
    let bad = || broken(entry, "its certificate is not in the export");
    let der = der.ok_or_else(bad)?;
    sqlx::query(
        "UPDATE certificate SET state = 'living', der = $1, signed_entry = $2 \
         WHERE serial = $3 AND state = 'planned'",
    )
    .bind(BASE64.encode(der))
    .bind(entry as i64)
    .bind(said.get("serial").ok_or_else(bad)?.to_owned())
    .execute(writing.rows().await?)
    .await?;
    Ok(())
}

async fn revoked(writing: &mut Writing, entry: u64, said: &Fields<'_>) -> Result<(), LedgerError> {
    let bad = || broken(entry, "it cannot be read");
    let serial: CertificateSerial = said.get("serial").and_then(|text| text.parse().ok()).ok_or_else(bad)?;
    let reason = said.get("reason").and_then(RevocationReason::parse).ok_or_else(bad)?;
    sqlx::query("INSERT INTO revocation (serial, at, reason, shard, entry) VALUES ($1, $2, $3, $4, $5)")
        .bind(serial.to_string())
        .bind(said.at)
        .bind(reason.as_str())
        .bind(i64::from(shard_of(&serial)))
        .bind(entry as i64)
        .execute(writing.rows().await?)
        .await?;
    state(writing, entry, said, "revoked").await
}

async fn state(
    writing: &mut Writing,
    entry: u64,
    said: &Fields<'_>,
    state: &'static str,
) -> Result<(), LedgerError> {
    let serial = said.get("serial").ok_or_else(|| broken(entry, "it cannot be read"))?;
    sqlx::query("UPDATE certificate SET state = $1 WHERE serial = $2")
        .bind(state)
        .bind(serial.to_owned())
        .execute(writing.rows().await?)
        .await?;
    Ok(())
}
