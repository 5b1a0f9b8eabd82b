//! The register's part in issuing: what is about to be signed, and what was, many at a time. An edge file: SQL.
//! Each change is made inside a `Writing`, together with its line. What is planned stands in one row per group,
//! so that recording before signing costs one statement; a certificate's own row is written once, at its end.

use data_encoding::BASE64;
use sqlx::FromRow;
use sqlx::sqlite::SqliteConnection;
use vpn::slot::SlotNumber;

use crate::chain::Hash;
use crate::door::DeviceKind;
use crate::draft::Draft;
use crate::entry::{Abandon, Entry};
use crate::ledger::{Ledger, LedgerError, Writing, broken};
use crate::register;
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

    /// As it stands in `planned`.
    fn row(&self, entry: u64, at: i64) -> Row {
        Row {
            serial: self.serial.to_string(),
            token: self.token.to_string(),
            slot: self.slot.to_string(),
            kind: self.kind.as_str().to_owned(),
            key: self.key.to_string(),
            not_before: self.not_before,
            not_after: self.not_after,
            at,
            entry,
            tbs: BASE64.encode(self.draft.bytes()),
        }
    }
}

/// A certificate's row, before anybody knows whether it will be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    serial: String,
    token: String,
    slot: String,
    kind: String,
    key: String,
    not_before: i64,
    not_after: i64,
    at: i64,
    entry: u64,
    tbs: String,
}

impl Row {
    fn line(&self) -> String {
        let Self { serial, token, slot, kind, key, not_before, not_after, at, entry, tbs } = self;
        format!("{entry} {serial} {token} {slot} {kind} {key} {not_before} {not_after} {at} {tbs}\n")
    }

    fn read(line: &str) -> Option<Self> {
        let parts: Vec<&str> = line.split(' ').collect();
        let [entry, serial, token, slot, kind, key, not_before, not_after, at, tbs] = parts.as_slice() else {
            return None;
        };
        Some(Self {
            serial: (*serial).to_owned(),
            token: (*token).to_owned(),
            slot: (*slot).to_owned(),
            kind: (*kind).to_owned(),
            key: (*key).to_owned(),
            not_before: not_before.parse().ok()?,
            not_after: not_after.parse().ok()?,
            at: at.parse().ok()?,
            entry: entry.parse().ok()?,
            tbs: (*tbs).to_owned(),
        })
    }
}

impl Row {
    /// What its line says; `None` for what cannot be read.
    fn entry(&self) -> Option<Entry> {
        Some(Entry::Planned {
            serial: self.serial.parse().ok()?,
            slot: self.slot.parse().ok()?,
            kind: DeviceKind::parse(&self.kind)?,
            key: self.key.parse().ok()?,
            not_after: self.not_after,
            tbs: Hash::of(&BASE64.decode(self.tbs.as_bytes()).ok()?),
        })
    }
}

/// What was recorded together, and is settled together.
pub struct Group(Vec<Row>);

/// How one of a group ended.
pub enum Ended {
    Signed(Vec<u8>),
    Abandoned(Abandon),
}

/// What a token gave before.
#[derive(Clone)]
pub struct Known {
    pub token: Hash,
    pub serial: CertificateSerial,
    pub slot: SlotNumber,
    pub key: Hash,
    pub not_after: i64,
    /// Signed, and not revoked.
    pub living: bool,
    pub entry: u64,
    pub der: Option<Vec<u8>>,
}

/// Whom a key serves; for the authority's memory.
pub struct Holding {
    pub serial: CertificateSerial,
    pub token: Hash,
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

#[derive(FromRow)]
struct HoldingRow {
    serial: String,
    token_hash: String,
    slot: String,
    key_hash: String,
    not_after: i64,
    state: String,
    planned_entry: i64,
}

const ENDED: Forms = forms!(
    "INSERT OR FAIL INTO certificate (serial, token_hash, slot, kind, key_hash, not_before, not_after, planned_at, \
     planned_entry, tbs, state, der, signed_entry) SELECT * FROM (VALUES ",
    "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    ") WHERE column1 IS NOT NULL"
);
const SIGNED_LINES: Forms = forms!(
    "SELECT c.serial, l.number, l.body FROM certificate c JOIN ledger l ON l.number = c.signed_entry \
     WHERE c.serial IN (VALUES ",
    "(?)",
    ")"
);
const KNOWN: Forms = forms!(
    "SELECT token_hash, serial, slot, key_hash, not_after, state, planned_entry, der FROM certificate \
     WHERE state <> 'abandoned' AND serial IN (VALUES ",
    "(?)",
    ")"
);

impl Writing {
    /// What these tokens gave, unless it was abandoned.
    pub async fn given(&mut self, serials: &[CertificateSerial]) -> Result<Vec<Known>, LedgerError> {
        let found: Vec<KnownRow> =
            rows::read(self.rows().await?, &KNOWN, serials, |query, serial| query.bind(serial.to_string()))
                .await?;
        found.into_iter().map(known).collect()
    }

    /// Records what is about to be signed.
    pub fn plan(&mut self, at: i64, plans: &[Plan]) -> Group {
        let rows: Vec<Row> = plans.iter().map(|plan| plan.row(self.append(at, &plan.entry()), at)).collect();
        let Some(first) = rows.first().map(|row| row.entry) else { return Group(rows) };
        let lines: String = rows.iter().map(Row::line).collect();
        let plan = "INSERT INTO planned (entry, lines) VALUES (?, ?)";
        self.later().statement(plan).bind(first as i64).bind(lines);
        Group(rows)
    }

    /// Records how each of the group ended, in its order; one that is not named was never signed.
    pub fn ended(&mut self, at: i64, group: Group, ends: Vec<Ended>) -> Result<(), LedgerError> {
        let Group(rows) = group;
        let Some(first) = rows.first().map(|row| row.entry) else { return Ok(()) };
        let mut ends = ends.into_iter();
        let mut settled = Vec::with_capacity(rows.len());
        for row in rows {
            let serial = serial(&row)?;
            settled.push(match ends.next().unwrap_or(Ended::Abandoned(Abandon::Stopped)) {
                Ended::Signed(der) => {
                    let entry = self.append(at, &Entry::Signed { serial, certificate: Hash::of(&der) });
                    (row, "living", Some(BASE64.encode(&der)), Some(entry as i64))
                }
                Ended::Abandoned(why) => {
                    self.append(at, &Entry::Abandoned { serial, why });
                    (row, "abandoned", None, None)
                }
            });
        }
        let later = self.later();
        later.rows(&ENDED, 13, settled, |bundle, (row, state, der, signed)| {
            bundle
                .bind(row.serial)
                .bind(row.token)
                .bind(row.slot)
                .bind(row.kind)
                .bind(row.key)
                .bind(row.not_before)
                .bind(row.not_after)
                .bind(row.at)
                .bind(row.entry as i64)
                // What was signed holds it.
                .bind(if der.is_some() { String::new() } else { row.tbs })
                .bind(state)
                .bind(der)
                .bind(signed);
        });
        later.statement("DELETE FROM planned WHERE entry = ?").bind(first as i64);
        Ok(())
    }

    /// Whoever planned these is gone: they were never signed. Gives their serials.
    pub async fn settle(&mut self, at: i64) -> Result<Vec<CertificateSerial>, LedgerError> {
        let left: Vec<(i64, String)> = sqlx::query_as("SELECT entry, lines FROM planned ORDER BY entry")
            .fetch_all(self.rows().await?)
            .await?;
        let mut serials = Vec::new();
        for (entry, lines) in left {
            let rows = planned(entry, &lines)?;
            for row in &rows {
                serials.push(serial(row)?);
            }
            self.ended(at, Group(rows), Vec::new())?;
        }
        Ok(serials)
    }
}

/// What stands in one row of `planned`.
fn planned(entry: i64, lines: &str) -> Result<Vec<Row>, LedgerError> {
    let rows: Option<Vec<Row>> = lines.lines().map(Row::read).collect();
    rows.ok_or_else(|| broken(entry as u64, "what was planned cannot be read"))
}

/// How many are recorded and not signed yet, as this connection sees them; each says what its line says.
pub(crate) async fn underway(connection: &mut SqliteConnection) -> Result<u64, LedgerError> {
    let groups: Vec<(i64, String)> =
        sqlx::query_as("SELECT entry, lines FROM planned ORDER BY entry").fetch_all(&mut *connection).await?;
    let mut count = 0;
    for (entry, lines) in groups {
        for row in planned(entry, &lines)? {
            let means = row.entry().map(|entry| entry.line(row.at));
            if means.is_none() || register::body(connection, row.entry as i64).await? != means {
                return Err(broken(row.entry, "what was planned is another one"));
            }
            count += 1;
        }
    }
    Ok(count)
}

fn serial(row: &Row) -> Result<CertificateSerial, LedgerError> {
    row.serial.parse().map_err(|_| broken(row.entry, "its serial is no serial"))
}

/// A key's latest certificate in a slot.
pub struct Latest {
    pub serial: CertificateSerial,
    pub kind: DeviceKind,
    pub not_before: i64,
    pub not_after: i64,
    pub entry: u64,
    pub der: Vec<u8>,
}

impl Ledger {
    /// What a key may be certified anew for: its certificate in this slot that ends last and was not revoked.
    pub async fn latest(&self, slot: SlotNumber, key: Hash) -> Result<Option<Latest>, LedgerError> {
        let row: Option<(String, String, i64, i64, i64, String)> = sqlx::query_as(
            "SELECT serial, kind, not_before, not_after, planned_entry, der FROM certificate \
             WHERE slot = $1 AND key_hash = $2 AND state = 'living' AND der IS NOT NULL \
             ORDER BY not_after DESC, planned_entry DESC LIMIT 1",
        )
        .bind(slot.to_string())
        .bind(key.to_string())
        .fetch_optional(self.pool())
        .await?;
        let Some((serial, kind, not_before, not_after, entry, der)) = row else { return Ok(None) };
        let bad = || broken(entry as u64, "its certificate cannot be read");
        Ok(Some(Latest {
            serial: serial.parse().map_err(|_| bad())?,
            kind: DeviceKind::parse(&kind).ok_or_else(bad)?,
            not_before,
            not_after,
            entry: entry as u64,
            der: BASE64.decode(der.as_bytes()).map_err(|_| bad())?,
        }))
    }

    /// The lines that say that these were signed, in no order; who was never signed has none.
    pub async fn signed_lines(
        &self,
        serials: &[CertificateSerial],
    ) -> Result<Vec<(CertificateSerial, u64, String)>, LedgerError> {
        let mut connection = self.pool().acquire().await?;
        let found: Vec<(String, i64, String)> =
            rows::read(&mut connection, &SIGNED_LINES, serials, |query, serial| {
                query.bind(serial.to_string())
            })
            .await?;
        let read = |(serial, entry, line): (String, i64, String)| {
            let serial = serial.parse().map_err(|_| broken(entry as u64, "its serial is no serial"))?;
            Ok((serial, entry as u64, line))
        };
        found.into_iter().map(read).collect()
    }

    /// Every key that serves a slot, and every key that was revoked.
    pub async fn holdings(&self) -> Result<Vec<Holding>, LedgerError> {
        let found: Vec<HoldingRow> = sqlx::query_as(
            "SELECT serial, token_hash, slot, key_hash, not_after, state, planned_entry FROM certificate \
             WHERE state IN ('living', 'revoked')",
        )
        .fetch_all(self.pool())
        .await?;
        let read = |row: HoldingRow| {
            let bad = || broken(row.planned_entry as u64, "its certificate cannot be read");
            Ok(Holding {
                serial: row.serial.parse().map_err(|_| bad())?,
                token: row.token_hash.parse().map_err(|_| bad())?,
                slot: row.slot.parse().map_err(|_| bad())?,
                key: row.key_hash.parse().map_err(|_| bad())?,
                not_after: row.not_after,
                revoked: row.state == "revoked",
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
        living: row.state == "living",
        entry: row.planned_entry as u64,
        der,
    })
}
