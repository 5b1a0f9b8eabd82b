//! The rows beside the ledger's lines: certificates, revocations, current lists. An edge file: SQL.
//! Every change is made inside a `Writing`, together with its line; reads are open to anyone.

use data_encoding::BASE64;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use vpn::slot::SlotNumber;

use crate::crl::RevokedEntry;
use crate::door::{
    CertificateRow, CertificateState, DeviceKind, LIST_MAX, LivingCertificate, RevocationReason, Revoke,
};
use crate::entry::{Abandon, Entry};
use crate::ledger::{Ledger, LedgerError, Writing, broken};
use crate::realm::shard_of;
use crate::serial::CertificateSerial;

/// A certificate as the table holds it.
#[derive(Clone, FromRow)]
pub(crate) struct Row {
    pub serial: String,
    pub token_hash: String,
    pub slot: String,
    pub kind: String,
    pub key_hash: String,
    pub not_before: i64,
    pub not_after: i64,
    pub state: String,
    pub planned_at: i64,
    pub planned_entry: i64,
    pub tbs: String,
    pub der: Option<String>,
    pub signed_entry: Option<i64>,
    pub revoked_at: Option<i64>,
    pub reason: Option<String>,
    pub revoked_entry: Option<i64>,
}

/// A certificate that was signed, and may be revoked.
pub struct SignedOne {
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    pub revoked: bool,
    pub not_after: i64,
}

/// One text for every reading of whole certificates.
macro_rules! certificates {
    ($which:literal) => {
        concat!(
            "SELECT c.serial, c.token_hash, c.slot, c.kind, c.key_hash, c.not_before, c.not_after, c.state, c.planned_at, ",
            "c.planned_entry, c.tbs, c.der, c.signed_entry, r.at AS revoked_at, r.reason, r.entry AS revoked_entry ",
            "FROM certificate c LEFT JOIN revocation r ON r.serial = c.serial ",
            $which
        )
    };
}

impl Writing {
    pub async fn abandon(
        &mut self,
        at: i64,
        serial: CertificateSerial,
        why: Abandon,
    ) -> Result<(), LedgerError> {
        self.append(at, &Entry::Abandoned { serial, why });
        sqlx::query("UPDATE certificate SET state = 'abandoned' WHERE serial = $1 AND state = 'planned'")
            .bind(serial.to_string())
            .execute(self.rows().await?)
            .await?;
        Ok(())
    }

    pub async fn planned(&mut self) -> Result<Vec<CertificateSerial>, LedgerError> {
        let rows: Vec<(String,)> =
            sqlx::query_as("SELECT serial FROM certificate WHERE state = 'planned' ORDER BY planned_entry")
                .fetch_all(self.rows().await?)
                .await?;
        rows.into_iter().map(|(serial,)| parsed(&serial, 0)).collect()
    }

    /// The signed ones of a certificate, a slot or a key.
    pub async fn signed_ones(&mut self, what: &Revoke) -> Result<Vec<SignedOne>, LedgerError> {
        let (serial, slot, key) = match what {
            Revoke::Certificate(serial) => (Some(serial.to_string()), None, None),
            Revoke::Slot(slot) => (None, Some(slot.to_string()), None),
            Revoke::Key(key) => (None, None, Some(key.to_string())),
        };
        let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
            "SELECT serial, slot, state, planned_entry, not_after FROM certificate \
             WHERE (serial = $1 OR slot = $2 OR key_hash = $3) AND state IN ('living', 'revoked') \
             ORDER BY planned_entry",
        )
        .bind(serial)
        .bind(slot)
        .bind(key)
        .fetch_all(self.rows().await?)
        .await?;
        let read = |(serial, slot, state, entry, not_after): (String, String, String, i64, i64)| {
            let slot = slot.parse().map_err(|_| broken(entry as u64, "its slot is no slot"))?;
            Ok(SignedOne { serial: parsed(&serial, entry)?, slot, revoked: state == "revoked", not_after })
        };
        rows.into_iter().map(read).collect()
    }

    pub async fn revoke(
        &mut self,
        at: i64,
        serial: CertificateSerial,
        reason: RevocationReason,
    ) -> Result<(), LedgerError> {
        let entry = self.append(at, &Entry::Revoked { serial, reason });
        sqlx::query("INSERT INTO revocation (serial, at, reason, shard, entry) VALUES ($1, $2, $3, $4, $5)")
            .bind(serial.to_string())
            .bind(at)
            .bind(reason.as_str())
            .bind(i64::from(shard_of(&serial)))
            .bind(entry as i64)
            .execute(self.rows().await?)
            .await?;
        sqlx::query("UPDATE certificate SET state = 'revoked' WHERE serial = $1 AND state = 'living'")
            .bind(serial.to_string())
            .execute(self.rows().await?)
            .await?;
        Ok(())
    }

    /// What a shard's list must hold: revoked, and not expired since.
    /// All that were ever revoked in a shard, each with its certificate's end.
    pub async fn revoked_in(&mut self, shard: u8) -> Result<Vec<(RevokedEntry, i64)>, LedgerError> {
        let rows: Vec<(String, i64, String, i64, i64)> = sqlx::query_as(
            "SELECT r.serial, r.at, r.reason, r.entry, c.not_after FROM revocation r \
             JOIN certificate c ON c.serial = r.serial WHERE r.shard = $1 ORDER BY r.serial",
        )
        .bind(i64::from(shard))
        .fetch_all(self.rows().await?)
        .await?;
        let read = |(serial, at, reason, entry, not_after)| {
            Ok((entry_of_list((serial, at, reason, entry))?, not_after))
        };
        rows.into_iter().map(read).collect()
    }

    pub async fn list_number(&mut self, shard: u8) -> Result<Option<u64>, LedgerError> {
        let row: Option<(i64,)> = sqlx::query_as("SELECT number FROM list WHERE shard = $1")
            .bind(i64::from(shard))
            .fetch_optional(self.rows().await?)
            .await?;
        Ok(row.map(|(number,)| number as u64))
    }

    pub async fn keep_list(&mut self, list: &StoredList) -> Result<(), LedgerError> {
        sqlx::query(
            "INSERT INTO list (shard, number, next_update, der, entry) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (shard) DO UPDATE SET number = excluded.number, next_update = excluded.next_update, \
             der = excluded.der, entry = excluded.entry",
        )
        .bind(i64::from(list.shard))
        .bind(list.number as i64)
        .bind(list.next_update)
        .bind(BASE64.encode(&list.der))
        .bind(list.entry as i64)
        .execute(self.rows().await?)
        .await?;
        Ok(())
    }
}

/// One shard's current list.
#[derive(Clone)]
pub struct StoredList {
    pub shard: u8,
    pub number: u64,
    pub next_update: i64,
    pub der: Vec<u8>,
    pub entry: u64,
}

impl Ledger {
    pub async fn lists(&self) -> Result<Vec<StoredList>, LedgerError> {
        let rows: Vec<(i64, i64, i64, String, i64)> =
            sqlx::query_as("SELECT shard, number, next_update, der, entry FROM list ORDER BY shard")
                .fetch_all(self.pool())
                .await?;
        rows.into_iter()
            .map(|(shard, number, next_update, der, entry)| {
                let bad = || broken(entry as u64, "its list cannot be read");
                Ok(StoredList {
                    shard: u8::try_from(shard).map_err(|_| bad())?,
                    number: number as u64,
                    next_update,
                    der: BASE64.decode(der.as_bytes()).map_err(|_| bad())?,
                    entry: entry as u64,
                })
            })
            .collect()
    }

    /// All that are not revoked, the expired too: whoever is asked compares with the clock of that moment,
    /// because the clock of the start may have been wrong.
    pub async fn living(&self) -> Result<Vec<LivingCertificate>, LedgerError> {
        let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
            "SELECT serial, slot, not_after, planned_entry FROM certificate WHERE state = 'living'",
        )
        .fetch_all(self.pool())
        .await?;
        rows.into_iter()
            .map(|(serial, slot, not_after, entry)| {
                let slot = slot.parse().map_err(|_| broken(entry as u64, "its slot is no slot"))?;
                Ok(LivingCertificate { serial: parsed(&serial, entry)?, slot, not_after })
            })
            .collect()
    }

    /// Shards whose list is older than their last revocation: whoever was to sign it died in between.
    pub async fn late_shards(&self) -> Result<Vec<u8>, LedgerError> {
        let rows: Vec<(i64,)> = sqlx::query_as(
            "SELECT r.shard FROM revocation r LEFT JOIN list l ON l.shard = r.shard \
             GROUP BY r.shard HAVING MAX(r.entry) > COALESCE(MAX(l.entry), -1)",
        )
        .fetch_all(self.pool())
        .await?;
        Ok(rows.into_iter().filter_map(|(shard,)| u8::try_from(shard).ok()).collect())
    }

    /// Revoked, and not expired since.
    pub async fn revoked(&self, now: i64) -> Result<Vec<RevokedEntry>, LedgerError> {
        let rows: Vec<(String, i64, String, i64)> = sqlx::query_as(
            "SELECT r.serial, r.at, r.reason, r.entry FROM revocation r \
             JOIN certificate c ON c.serial = r.serial WHERE c.not_after > $1",
        )
        .bind(now)
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(entry_of_list).collect()
    }

    /// The line that says that this certificate was signed.
    pub async fn signed_entry(&self, serial: &CertificateSerial) -> Result<Option<u64>, LedgerError> {
        let row: Option<(Option<i64>,)> =
            sqlx::query_as("SELECT signed_entry FROM certificate WHERE serial = $1")
                .bind(serial.to_string())
                .fetch_optional(self.pool())
                .await?;
        Ok(row.and_then(|(entry,)| entry).map(|entry| entry as u64))
    }

    /// A signed certificate (DER).
    pub async fn certificate(&self, serial: &CertificateSerial) -> Result<Option<Vec<u8>>, LedgerError> {
        let row: Option<(Option<String>, i64)> =
            sqlx::query_as("SELECT der, planned_entry FROM certificate WHERE serial = $1")
                .bind(serial.to_string())
                .fetch_optional(self.pool())
                .await?;
        let Some((Some(der), entry)) = row else { return Ok(None) };
        let bad = |_| broken(entry as u64, "its certificate cannot be read");
        BASE64.decode(der.as_bytes()).map(Some).map_err(bad)
    }

    pub async fn revoked_count(&self) -> Result<u32, LedgerError> {
        let (count,): (i64,) =
            sqlx::query_as("SELECT COUNT(*) FROM revocation").fetch_one(self.pool()).await?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    /// Newest first.
    pub async fn rows(&self, slot: Option<SlotNumber>, now: i64) -> Result<Vec<CertificateRow>, LedgerError> {
        let rows: Vec<Row> = sqlx::query_as(certificates!(
            "WHERE (c.slot = $1 OR $1 IS NULL) ORDER BY c.planned_entry DESC LIMIT $2"
        ))
        .bind(slot.map(|slot| slot.to_string()))
        .bind(i64::from(LIST_MAX))
        .fetch_all(self.pool())
        .await?;
        rows.into_iter().map(|row| shown(row, now)).collect()
    }

    pub async fn row(
        &self,
        serial: &CertificateSerial,
        now: i64,
    ) -> Result<Option<CertificateRow>, LedgerError> {
        let row: Option<Row> = sqlx::query_as(certificates!("WHERE c.serial = $1"))
            .bind(serial.to_string())
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| shown(row, now)).transpose()
    }

    /// Signed certificates (DER) from this entry of their recording on.
    pub async fn certificates(&self, from: u64, limit: u32) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT planned_entry, der FROM certificate WHERE planned_entry >= $1 AND der IS NOT NULL \
             ORDER BY planned_entry LIMIT $2",
        )
        .bind(from as i64)
        .bind(i64::from(limit))
        .fetch_all(self.pool())
        .await?;
        let read = |(entry, der): (i64, String)| {
            let bad = |_| broken(entry as u64, "its certificate cannot be read");
            Ok((entry as u64, BASE64.decode(der.as_bytes()).map_err(bad)?))
        };
        rows.into_iter().map(read).collect()
    }

    /// The line of an entry.
    pub async fn body(&self, number: i64) -> Result<Option<String>, LedgerError> {
        body(&mut *self.pool().acquire().await?, number).await
    }
}

/// All certificates, as this connection sees them, oldest first.
pub(crate) async fn all(connection: &mut SqliteConnection) -> Result<Vec<Row>, LedgerError> {
    Ok(sqlx::query_as(certificates!("ORDER BY c.planned_entry")).fetch_all(connection).await?)
}

/// The line of an entry, as this connection sees it.
pub(crate) async fn body(
    connection: &mut SqliteConnection,
    number: i64,
) -> Result<Option<String>, LedgerError> {
    let row: Option<(String,)> = sqlx::query_as("SELECT body FROM ledger WHERE number = $1")
        .bind(number)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|(body,)| body))
}

pub(crate) fn parsed(serial: &str, entry: i64) -> Result<CertificateSerial, LedgerError> {
    serial.parse().map_err(|_| broken(entry as u64, "its serial is no serial"))
}

fn entry_of_list(
    (serial, at, reason, entry): (String, i64, String, i64),
) -> Result<RevokedEntry, LedgerError> {
    let reason = RevocationReason::parse(&reason)
        .ok_or_else(|| broken(entry as u64, "the reason of its revocation is unknown"))?;
    Ok(RevokedEntry { serial: parsed(&serial, entry)?, at, reason })
}

pub(crate) fn state(text: &str) -> CertificateState {
    match text {
        "planned" => CertificateState::Planned,
        "living" => CertificateState::Living,
        "revoked" => CertificateState::Revoked,
        _ => CertificateState::Abandoned,
    }
}

fn shown(row: Row, now: i64) -> Result<CertificateRow, LedgerError> {
    let bad = || broken(row.planned_entry as u64, "its certificate cannot be read");
    let state = match state(&row.state) {
        CertificateState::Living if row.not_after <= now => CertificateState::Expired,
        other => other,
    };
    let reason = row.reason.as_deref().and_then(RevocationReason::parse);
    Ok(CertificateRow {
        serial: parsed(&row.serial, row.planned_entry)?,
        slot: row.slot.parse().map_err(|_| bad())?,
        kind: DeviceKind::parse(&row.kind).ok_or_else(bad)?,
        state,
        not_before: row.not_before,
        not_after: row.not_after,
        revoked: row.revoked_at.zip(reason),
        ledger_entry: row.planned_entry as u64,
    })
}
