//! 管理台帳 read from the registry, and what a returned one changes: a pledge's day (H-17), a device's name. Edge: SQL.

use std::collections::BTreeMap;
use std::sync::Arc;

use pki::identity::{FacilityId, Role};
use serde_json::json;

use crate::audit::{self, Event};
use crate::dates;
use crate::desk;
use crate::door::{ImportReport, Operator, RowFault};
use crate::door_paper::PaperKind;
use crate::fault::{Fault, parse};
use crate::ledger::{
    self, Change, DEVICES_SHEET, Ledger, LedgerDevice, LedgerGroup, LedgerPerson, PEOPLE_SHEET,
};
use crate::messages::Message;
use crate::messages_people::PeopleMessage;
use crate::paper_press;
use crate::patients;
use crate::register;
use crate::shared::Shared;
use crate::sheet_file;
use crate::standing_work;
use crate::store::{Conn, transaction};
use crate::views;
use crate::world;

async fn of_facility(shared: &Shared, facility: &FacilityId, name: String) -> Result<Ledger, Fault> {
    let present = standing_work::present(shared, facility).await?;
    let mut people: Vec<LedgerPerson> = present
        .into_iter()
        .map(|member| LedgerPerson {
            admin: member.role == Role::FacilityAdmin,
            name: member.name,
            profession: member.profession,
            login: member.login,
            pledged_on: member.pledged_on.unwrap_or_default(),
            gone_on: String::new(),
        })
        .collect();
    people.extend(gone(shared, facility).await?);
    let devices = devices(shared, facility).await?;
    Ok(Ledger { facility_name: name, people, devices, groups: groups(shared, facility).await? })
}

/// The same, of whichever facility somebody names.
pub async fn of(shared: &Shared, facility: &FacilityId) -> Result<Ledger, Fault> {
    let name = desk::facility_name(shared, facility).await?;
    if name.is_empty() {
        return Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into());
    }
    of_facility(shared, facility, name).await
}

/// Whoever has left, the last one last; who came back stands in both parts.
async fn gone(shared: &Shared, facility: &FacilityId) -> Result<Vec<LedgerPerson>, Fault> {
    type Row = (String, String, String, Option<i64>, Option<String>, i64);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.name, p.profession, p.login, p.erased_at, COALESCE(g.on_day, p.pledged_on), l.at
         FROM leaving l JOIN person p ON p.person = l.person
         LEFT JOIN pledge g ON g.person = l.person AND g.facility = l.facility
         WHERE l.facility = $1 ORDER BY l.at, l.membership",
    )
    .bind(facility.as_str())
    .fetch_all(shared.store.pool())
    .await?;
    let line = |(name, profession, login, erased_at, pledged_on, at): Row| LedgerPerson {
        name,
        profession,
        admin: false,
        login: if erased_at.is_some() { String::new() } else { login },
        pledged_on: pledged_on.unwrap_or_default(),
        gone_on: day(at),
    };
    Ok(rows.into_iter().map(line).collect())
}

async fn devices(shared: &Shared, facility: &FacilityId) -> Result<Vec<LedgerDevice>, Fault> {
    let rows: Vec<(String, String, String, String, i64, Option<i64>)> = sqlx::query_as(
        "SELECT device, slot, label, state, created_at, ended_at FROM device
         WHERE facility = $1 ORDER BY slot, created_at, device",
    )
    .bind(facility.as_str())
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter()
        .map(|(device, slot, label, state, since, until)| {
            let slot: vpn::slot::SlotNumber = parse(&slot)?;
            Ok(LedgerDevice {
                device,
                slot: slot.to_string(),
                label,
                state: views::device_state(&state).to_owned(),
                since: day(since),
                until: until.map(day).unwrap_or_default(),
            })
        })
        .collect()
}

/// The teams of the facility, by the names that the SNS knows.
async fn groups(shared: &Shared, facility: &FacilityId) -> Result<Vec<LedgerGroup>, Fault> {
    let rows: Vec<(String, i64, String)> = sqlx::query_as(
        "SELECT p.patient, p.registered_at, f.name FROM patient p JOIN facility f ON f.facility = p.origin",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let known: BTreeMap<String, (i64, String)> =
        rows.into_iter().map(|(patient, at, origin)| (patient, (at, origin))).collect();
    let teams = patients::list(shared, Some(facility)).await?;
    let line = |team: &crate::need::TeamRow| {
        let (at, origin) = known.get(team.patient.as_str()).cloned().unwrap_or_default();
        LedgerGroup { patient_name: team.name.expose().to_owned(), since: day(at), invited_by: origin }
    };
    Ok(teams.iter().map(line).collect())
}

/// The ledger as a file. `devices`: of CSV, the other table.
pub async fn file(
    shared: &Arc<Shared>,
    ledger: Ledger,
    kind: PaperKind,
    devices: bool,
) -> Result<Vec<u8>, Fault> {
    match kind {
        PaperKind::Xlsx => {
            ledger.xlsx().map_err(|error| Message::Internal { what: error.to_string() }.into())
        }
        PaperKind::Csv => Ok(ledger.csv(devices)),
        PaperKind::Pdf => {
            let today = dates::day(world::now_ms()).to_string();
            paper_press::drawn(shared, move |font| ledger.pdf(font, &today)).await
        }
    }
}

fn day(at: i64) -> String {
    dates::day(at).to_string()
}

/// A returned ledger: all its changes, or what is wrong with them and none.
pub async fn import(
    shared: &Shared,
    operator: &Operator,
    facility: &FacilityId,
    bytes: Vec<u8>,
    dry_run: bool,
) -> Result<ImportReport, Fault> {
    let ledger = of(shared, facility).await?;
    let read = move || {
        let of = |sheet| sheet_file::read_sheet(&bytes, &[sheet]);
        let first = of(PEOPLE_SHEET)?;
        // A text file has one table; a workbook may have both.
        let second = if first.sheet.is_some() { of(DEVICES_SHEET).ok() } else { None };
        Ok::<_, Message>((first, second.filter(|table| table.sheet.as_deref() == Some(DEVICES_SHEET))))
    };
    let (first, second) = tokio::task::spawn_blocking(read)
        .await
        .map_err(|error| Fault::from(Message::Internal { what: error.to_string() }))??;
    let now = world::now_ms();
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    let mut rows = 0;
    for table in std::iter::once(&first).chain(&second) {
        let (more, wrong) = ledger::returned(&ledger, table, dates::day(now));
        rows += table.rows.len().saturating_sub(1);
        changes.extend(more);
        faults.extend(wrong);
    }
    let report = report(dry_run, rows, changes.len(), faults);
    if report.faults.is_empty() && !dry_run {
        transaction!(shared.store, conn => {
            for change in &changes {
                apply(conn, now, operator, facility, change).await?;
            }
            Ok::<_, Fault>(())
        })?;
    }
    Ok(report)
}

fn report(dry_run: bool, rows: usize, new: usize, faults: Vec<RowFault>) -> ImportReport {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    ImportReport {
        dry_run,
        rows: count(rows),
        new: count(new),
        known: count(rows.saturating_sub(new + faults.len())),
        faults,
        warnings: Vec::new(),
        cases: Vec::new(),
    }
}

async fn apply(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    facility: &FacilityId,
    change: &Change,
) -> Result<(), Fault> {
    let (action, object, detail) = match change {
        Change::Pledge { login, on } => {
            let on = dates::past_date(on, now)?;
            let person: Option<String> = sqlx::query_scalar(
                "SELECT p.person FROM person p JOIN membership m ON m.person = p.person
                 WHERE p.login = $1 AND m.facility = $2 AND m.state <> 'ended'",
            )
            .bind(login)
            .bind(facility.as_str())
            .fetch_optional(&mut *conn)
            .await?;
            let person = person.ok_or(PeopleMessage::MemberUnknown)?;
            register::pledged(conn, now, &operator.name, &parse(&person)?, facility, &on).await?;
            ("pledge.note", person, json!({ "pledged_on": on, "rule": "H-17", "by": "E-09" }))
        }
        Change::Label { device, label } => {
            sqlx::query("UPDATE device SET label = $2 WHERE device = $1 AND facility = $3")
                .bind(device)
                .bind(label)
                .bind(facility.as_str())
                .execute(&mut *conn)
                .await?;
            ("device.label", device.clone(), json!({ "rule": "E-09" }))
        }
    };
    let event = Event { actor: &operator.name, action, object: &object, trace: Some(operator.trace), detail };
    audit::append(conn, now, event).await?;
    Ok(())
}
