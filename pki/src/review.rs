//! Whether the ledger and the register tell one truth: every line follows from what stands before it, and every
//! certificate and revocation says what its line says. An edge file: SQL. Changes nothing; it may be asked while
//! others write, because it reads one moment.

use std::collections::HashSet;

use data_encoding::BASE64;
use sqlx::sqlite::SqliteConnection;

use crate::chain::Hash;
use crate::door::{CertificateState, DeviceKind, RevocationReason};
use crate::entry::Entry;
use crate::issues;
use crate::ledger::{Counted, Ledger, LedgerError, broken};
use crate::register::{self, Row, body, parsed, state};
use crate::witness::to_be_signed;

impl Ledger {
    /// The chain, and that every certificate and revocation says what its line says. One reading of one moment:
    /// what is issued meanwhile is in all of it or in none.
    pub async fn verify_all(&self) -> Result<Counted, LedgerError> {
        let mut reading = self.pool().begin().await?;
        let counted = self.verify_by(&mut reading).await?;
        let rows = register::all(&mut reading).await?;
        let revoked = rows.iter().filter(|row| row.revoked_at.is_some()).count() as u64;
        let mut tokens = HashSet::new();
        for row in &rows {
            compare(&mut reading, row).await?;
            if row.state != "abandoned" && !tokens.insert(&row.token_hash) {
                return Err(broken(row.planned_entry as u64, "its token gave another certificate, too"));
            }
        }
        // Recorded, and not signed yet: they have lines, and no rows of their own.
        let underway = issues::underway(&mut reading).await?;
        if rows.len() as u64 + underway != counted.planned {
            return Err(broken(counted.head.entries, "certificates are missing from the register"));
        }
        if revoked != counted.revoked {
            return Err(broken(counted.head.entries, "revocations are missing from the register"));
        }
        Ok(counted)
    }
}

async fn compare(connection: &mut SqliteConnection, row: &Row) -> Result<(), LedgerError> {
    let number = row.planned_entry as u64;
    let bad = || broken(number, "its certificate in the register is another one");
    let serial = parsed(&row.serial, row.planned_entry)?;
    let mut tbs = BASE64.decode(row.tbs.as_bytes()).map_err(|_| bad())?;
    if let (true, Some(der)) = (tbs.is_empty(), &row.der) {
        let der = BASE64.decode(der.as_bytes()).map_err(|_| bad())?;
        tbs = to_be_signed(&der).ok_or_else(bad)?.to_vec();
    }
    let planned = Entry::Planned {
        serial,
        slot: row.slot.parse().map_err(|_| bad())?,
        kind: DeviceKind::parse(&row.kind).ok_or_else(bad)?,
        key: row.key_hash.parse().map_err(|_| bad())?,
        not_after: row.not_after,
        tbs: Hash::of(&tbs),
    };
    let (said, means) =
        (body(connection, row.planned_entry).await?.unwrap_or_default(), planned.line(row.planned_at));
    // What was never signed may have been restored without its bytes; its line still stands.
    let bodiless = tbs.is_empty() && state(&row.state) == CertificateState::Abandoned;
    let told = |line: &str| line.split(if bodiless { " tbs=" } else { "\n" }).next().unwrap_or("").to_owned();
    if told(&said) != told(&means) {
        return Err(bad());
    }
    compare_signed(connection, row, &tbs).await?;
    let revoked = row.revoked_at.is_some();
    if revoked != (row.state == "revoked") {
        return Err(broken(number, "its revocation was taken back"));
    }
    if let (Some(at), Some(reason), Some(entry)) = (row.revoked_at, &row.reason, row.revoked_entry) {
        let reason = RevocationReason::parse(reason).ok_or_else(bad)?;
        let line = Entry::Revoked { serial, reason }.line(at);
        if body(connection, entry).await?.as_deref() != Some(line.as_str()) {
            return Err(broken(entry as u64, "its revocation in the register is another one"));
        }
    }
    Ok(())
}

/// What was signed is what was planned and what the line of its signing says; only the signed live.
async fn compare_signed(connection: &mut SqliteConnection, row: &Row, tbs: &[u8]) -> Result<(), LedgerError> {
    let bad = || broken(row.planned_entry as u64, "its signed certificate in the register is another one");
    let signed = matches!(state(&row.state), CertificateState::Living | CertificateState::Revoked);
    match (&row.der, row.signed_entry) {
        (Some(der), Some(entry)) if signed => {
            let der = BASE64.decode(der.as_bytes()).map_err(|_| bad())?;
            let line = format!(" signed serial={} certificate={}", row.serial, Hash::of(&der));
            let said = body(connection, entry).await?.is_some_and(|body| body.ends_with(&line));
            let planned = der.windows(tbs.len().max(1)).any(|part| part == tbs);
            if said && planned { Ok(()) } else { Err(bad()) }
        }
        (None, None) if !signed => Ok(()),
        _ => Err(bad()),
    }
}
