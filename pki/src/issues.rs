//! The register's part in issuing: what is about to be signed, and what was, many at a time. An edge file: SQL.
//! Each change is made inside a `Writing`, together with its line.

use data_encoding::BASE64;
use sqlx::FromRow;
use vpn::slot::SlotNumber;

use crate::chain::Hash;
use crate::door::DeviceKind;
use crate::draft::Draft;
use crate::entry::Entry;
use crate::ledger::{Ledger, LedgerError, Writing, broken};
use crate::rows::{self, Forms, forms};
use crate::serial::CertificateSerial;

/// A certificate that is about to be signed.
pub struct Plan {
    pub serial: CertificateSerial,
    pub token: Hash,
    pub slot: SlotNumber,
    pub kind: DeviceKind,
    pub key: Hash,
    pub not_before: i64,
    pub not_after: i64,
    pub draft: Draft,
}

impl Plan {
    fn entry(&self) -> Entry {
        Entry::Planned {
            serial: self.serial,
            slot: self.slot,
            kind: self.kind,
            key: self.key,
            not_after: self.not_after,
            tbs: self.draft.hash(),
        }
    }
}

/// What a token gave before.
#[derive(Clone)]
pub struct Known {
    pub token: Hash,
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    pub key: Hash,
    pub not_after: i64,
    /// Planned, and nobody there to sign it.
    pub planned: bool,
    /// Signed, and not revoked.
    pub living: bool,
    pub entry: u64,
    pub der: Option<Vec<u8>>,
}

/// Whom a key serves; for the authority's memory.
pub struct Holding {
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    pub key: Hash,
    pub not_after: i64,
    pub revoked: bool,
}

#[derive(FromRow)]
struct KnownRow {
    token_hash: String,
    serial: String,
    slot: String,
    key_hash: String,
    not_after: i64,
    state: String,
    planned_entry: i64,
    der: Option<String>,
}

const PLANS: Forms = forms!(
    "INSERT INTO certificate (serial, token_hash, slot, kind, key_hash, not_before, not_after, planned_at, \
     planned_entry, tbs, state) VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'planned')",
    ""
);
const SIGNED: Forms = forms!(
    "UPDATE certificate SET state = 'living', der = v.column2, signed_entry = v.column3 FROM (VALUES ",
    "(?, ?, ?)",
    ") AS v WHERE certificate.serial = v.column1 AND certificate.state = 'planned'"
);
const KNOWN: Forms = forms!(
    "SELECT token_hash, serial, slot, key_hash, not_after, state, planned_entry, der FROM certificate \
     WHERE state <> 'abandoned' AND token_hash IN (VALUES ",
    "(?)",
    ")"
);

impl Writing {
    /// The certificates of these tokens, unless they were abandoned.
    pub async fn of_tokens(&mut self, tokens: &[Hash]) -> Result<Vec<Known>, LedgerError> {
        let found: Vec<KnownRow> =
            rows::read(self.rows().await?, &KNOWN, tokens, |query, token| query.bind(token.to_string()))
                .await?;
        found.into_iter().map(known).collect()
    }

    /// Records what is about to be signed.
    pub async fn plan(&mut self, at: i64, plans: &[Plan]) -> Result<(), LedgerError> {
        let entries: Vec<(&Plan, u64)> =
            plans.iter().map(|plan| (plan, self.append(at, &plan.entry()))).collect();
        rows::write(self.rows().await?, &PLANS, &entries, |query, (plan, entry)| {
            query
                .bind(plan.serial.to_string())
                .bind(plan.token.to_string())
                .bind(plan.slot.to_string())
                .bind(plan.kind.as_str())
                .bind(plan.key.to_string())
                .bind(plan.not_before)
                .bind(plan.not_after)
                .bind(at)
                .bind(*entry as i64)
                .bind(BASE64.encode(plan.draft.bytes()))
        })
        .await?;
        Ok(())
    }

    /// Records what was signed.
    pub async fn signed(
        &mut self,
        at: i64,
        signed: &[(CertificateSerial, Vec<u8>)],
    ) -> Result<(), LedgerError> {
        let mut entries = Vec::with_capacity(signed.len());
        for (serial, der) in signed {
            let entry = Entry::Signed { serial: *serial, certificate: Hash::of(der) };
            entries.push((serial, der, self.append(at, &entry)));
        }
        rows::write(self.rows().await?, &SIGNED, &entries, |query, (serial, der, entry)| {
            query.bind(serial.to_string()).bind(BASE64.encode(der)).bind(*entry as i64)
        })
        .await?;
        Ok(())
    }
}

impl Ledger {
    /// Every key that serves a slot, and every key that was revoked.
    pub async fn holdings(&self) -> Result<Vec<Holding>, LedgerError> {
        let found: Vec<(String, String, String, i64, String, i64)> = sqlx::query_as(
            "SELECT serial, slot, key_hash, not_after, state, planned_entry FROM certificate \
             WHERE state IN ('living', 'revoked')",
        )
        .fetch_all(self.pool())
        .await?;
        let read =
            |(serial, slot, key, not_after, state, entry): (String, String, String, i64, String, i64)| {
                let bad = || broken(entry as u64, "its certificate cannot be read");
                Ok(Holding {
                    serial: serial.parse().map_err(|_| bad())?,
                    slot: slot.parse().map_err(|_| bad())?,
                    key: key.parse().map_err(|_| bad())?,
                    not_after,
                    revoked: state == "revoked",
                })
            };
        found.into_iter().map(read).collect()
    }
}

fn known(row: KnownRow) -> Result<Known, LedgerError> {
    let bad = || broken(row.planned_entry as u64, "its certificate cannot be read");
    let der = row.der.as_ref().map(|der| BASE64.decode(der.as_bytes()).map_err(|_| bad())).transpose()?;
    Ok(Known {
        token: row.token_hash.parse().map_err(|_| bad())?,
        serial: row.serial.parse().map_err(|_| bad())?,
        slot: row.slot.parse().map_err(|_| bad())?,
        key: row.key_hash.parse().map_err(|_| bad())?,
        not_after: row.not_after,
        planned: row.state == "planned",
        living: row.state == "living",
        entry: row.planned_entry as u64,
        der,
    })
}
