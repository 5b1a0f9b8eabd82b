//! Tells a facility's admin that certificates end, at 90, 30, 7 and 1 days (issue 5): notice and record in one
//! transaction, one letter for all devices of a facility that are due together. Looks at start and every hour; ends
//! when the room stops. Also what the consoles show of it. Edge: SQL, tokio.

use std::sync::Arc;
use std::time::Duration;

use pki::identity::FacilityId;
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::acceptance;
use crate::audit::{self, Event};
use crate::certificate_end::{self, EndLetter, Ending, FIRST_MS, LATE_MS, due};
use crate::fault::{Fault, parse};
use crate::jst;
use crate::office_fault::OfficeFault;
use crate::outbox::{self, LetterKind, NewLetter};
use crate::shared::{Config, Shared};
use crate::store::{self, Conn, transaction};
use crate::world;

/// A day is the measure of the steps; an hour is soon enough, and cheap.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// Devices looked at in one transaction: the next look takes the rest.
const BATCH_MAX: i64 = 500;
/// Rows of the list on the first page.
const SHOWN_MAX: i64 = 50;

/// The worker, until the room stops.
pub async fn run(shared: Arc<Shared>) {
    let look = async {
        loop {
            if let Err(fault) = sweep(&shared).await {
                log::warn!("notices of certificates that end wait for the next look: {fault}");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = shared.stopped() => {}
        () = look => {}
    }
}

/// Writes what is due now; returns how many letters that were.
pub async fn sweep(shared: &Shared) -> Result<usize, Fault> {
    let now = world::now_ms();
    let letters = transaction!(shared.store, conn => write(conn, &shared.config, now).await)?;
    if letters > 0 {
        shared.bells.outbox.notify_one();
    }
    Ok(letters)
}

/// A device whose certificate ends, and the nearest step that was told of it.
struct Row {
    device: String,
    certificate: String,
    facility: String,
    facility_name: String,
    ending: Ending,
    told: Option<u32>,
}

async fn write(conn: &mut Conn, config: &Config, now: i64) -> Result<usize, Fault> {
    let mut rows = rows(conn, now).await?;
    rows.retain(|row| due(row.ending.end_ms, row.told, now).is_some());
    let mut letters = 0;
    while !rows.is_empty() {
        let facility = rows[0].facility.clone();
        let (theirs, others) = rows.into_iter().partition(|row: &Row| row.facility == facility);
        letters += usize::from(tell(conn, config, now, theirs).await?);
        rows = others;
    }
    Ok(letters)
}

/// One letter to one facility. Without an admin's address nothing is told and nothing is marked as told: the
/// secretariat sees it on its page, and the next look finds the address.
async fn tell(conn: &mut Conn, config: &Config, now: i64, rows: Vec<Row>) -> Result<bool, Fault> {
    let Some(first) = rows.first() else { return Ok(false) };
    let (facility, name): (FacilityId, _) = (parse(&first.facility)?, first.facility_name.clone());
    let Some(address) = address(conn, &facility).await? else { return Ok(false) };
    let office = acceptance::office(conn).await?;
    let slot = first.ending.slot;
    let steps: Vec<(String, String, u32)> = rows
        .iter()
        .filter_map(|row| {
            let step = due(row.ending.end_ms, row.told, now)?;
            Some((row.device.clone(), row.certificate.clone(), step))
        })
        .collect();
    let devices: Vec<Ending> = rows.into_iter().map(|row| row.ending).collect();
    let files = certificate_end::files(&EndLetter {
        facility_name: &name,
        realm_name: &config.realm_name,
        office_name: &office.name,
        office_telephone: &office.telephone,
        now_ms: now,
        devices: &devices,
    })
    .map_err(OfficeFault::from)?;
    let nth = store::next(conn, "notice").await?;
    let letter = NewLetter {
        kind: LetterKind::Notice,
        slot,
        nth,
        facility: &facility,
        recipient: &address,
        files: &files,
    };
    let letter = outbox::put(conn, now, letter).await?;
    for (device, certificate, days) in &steps {
        sqlx::query(
            "INSERT INTO end_notice (device, certificate, days, at, letter) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(device)
        .bind(certificate)
        .bind(i64::from(*days))
        .bind(now)
        .bind(&letter)
        .execute(&mut *conn)
        .await?;
    }
    let told: Vec<_> =
        devices.iter().zip(&steps).map(|(device, step)| json!([device.slot, step.2])).collect();
    let detail = json!({ "letter": letter, "told": told });
    let (actor, action, object) = ("mimamori", "certificate.end-notice", facility.as_str());
    audit::append(conn, now, Event { actor, action, object, trace: None, detail }).await?;
    Ok(true)
}

async fn rows(conn: &mut Conn, now: i64) -> Result<Vec<Row>, Fault> {
    type Stored = (String, String, String, String, i64, String, String, Option<i64>);
    let stored: Vec<Stored> = sqlx::query_as(
        "SELECT d.device, d.slot, d.label, d.certificate, d.certificate_end, d.facility, f.name, MIN(n.days)
         FROM device d JOIN facility f ON f.facility = d.facility
              LEFT JOIN end_notice n ON n.device = d.device AND n.certificate = d.certificate
         WHERE d.state = 'active' AND d.certificate IS NOT NULL AND d.certificate_end <= $1 AND d.certificate_end >= $2
         GROUP BY d.device, d.slot, d.label, d.certificate, d.certificate_end, d.facility, f.name
         HAVING MIN(n.days) IS NULL OR MIN(n.days) > 1
         ORDER BY d.certificate_end, d.slot LIMIT $3",
    )
    .bind(now.saturating_add(FIRST_MS))
    .bind(now.saturating_sub(LATE_MS))
    .bind(BATCH_MAX)
    .fetch_all(conn)
    .await?;
    let row = |(device, slot, label, certificate, end_ms, facility, facility_name, told): Stored| {
        let ending = Ending { slot: parse(&slot)?, label, end_ms };
        let told = told.and_then(|days| u32::try_from(days).ok());
        Ok(Row { device, certificate, facility, facility_name, ending, told })
    };
    stored.into_iter().map(row).collect()
}

/// Whoever manages the facility's devices; the association's own are its operators'.
async fn address(conn: &mut Conn, facility: &FacilityId) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT MIN(a.written) FROM membership m
         JOIN address a ON a.person = m.person AND a.use_as IN ('admin', 'office') WHERE m.facility = $1 AND m.role IN ('facility-admin', 'secretariat') AND m.state = 'active'",
    )
    .bind(facility.as_str())
    .fetch_one(conn)
    .await?)
}

/// A line of 「期限が近い証明書」.
pub struct EndingLine {
    pub slot: SlotNumber,
    pub label: String,
    pub facility_name: String,
    pub ends: String,
    pub left: String,
    pub over: bool,
    /// When its admin was last written to; `None`: nobody was.
    pub told: Option<String>,
}

/// What ends within the first step, the nearest first; all facilities, or one.
pub async fn shown(shared: &Shared, facility: Option<&FacilityId>) -> Result<Vec<EndingLine>, Fault> {
    type Stored = (String, String, i64, String, Option<i64>);
    let now = world::now_ms();
    let stored: Vec<Stored> = sqlx::query_as(
        "SELECT d.slot, d.label, d.certificate_end, f.name, MAX(n.at)
         FROM device d JOIN facility f ON f.facility = d.facility
              LEFT JOIN end_notice n ON n.device = d.device AND n.certificate = d.certificate
         WHERE d.state = 'active' AND d.certificate_end <= $1 AND ($2 = '' OR d.facility = $2)
         GROUP BY d.device, d.slot, d.label, d.certificate_end, f.name ORDER BY d.certificate_end, d.slot LIMIT $3",
    )
    .bind(now.saturating_add(FIRST_MS))
    .bind(facility.map_or("", FacilityId::as_str))
    .bind(SHOWN_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let line = |(slot, label, end_ms, facility_name, told): Stored| {
        let ending = Ending { slot: parse(&slot)?, label, end_ms };
        let (left, over) = (ending.left(now), end_ms <= now);
        let (ends, told) = (jst::rfc3339(end_ms), told.map(jst::rfc3339));
        Ok(EndingLine { slot: ending.slot, label: ending.label, facility_name, ends, left, over, told })
    };
    stored.into_iter().map(line).collect()
}
