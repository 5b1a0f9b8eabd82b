//! 受付: a file of 様式1 becomes cases, all of it or nothing (E-01, E-13). The same application twice is
//! one case; whatever is wrong is named before anything is written. Edge: SQL.

use std::collections::BTreeMap;

use serde_json::json;

use crate::audit::{self, Event};
use crate::case::CaseState;
use crate::case_rows;
use crate::dates;
use crate::door::{ImportReport, Operator, RowFault};
use crate::form1::{self, Application, Column, Reading};
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::sheet_file;
use crate::store::{Conn, Store, transaction};

/// Imports a file, or says what importing it would do.
pub async fn import(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    bytes: Vec<u8>,
    dry_run: bool,
) -> Result<ImportReport, OfficeFault> {
    let read = move || sheet_file::read(&bytes).map(|table| (form1::read(&table), table));
    let (reading, table) =
        tokio::task::spawn_blocking(read).await.map_err(|error| OfficeFault::Task(error.to_string()))??;
    let mut report = if dry_run {
        // Never committed: dropping it takes everything back.
        receive_all(&mut *store.begin().await?, now_ms, operator, &reading).await?
    } else {
        transaction!(store, conn => receive_all(conn, now_ms, operator, &reading).await)?
    };
    report.dry_run = dry_run;
    report.faults.iter_mut().for_each(|fault| form1::locate(&table, fault));
    report.warnings = reading.warnings;
    Ok(report)
}

async fn receive_all(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    reading: &Reading,
) -> Result<ImportReport, OfficeFault> {
    let (new, known, registry_faults) = compare(conn, now_ms, &reading.applications).await?;
    let mut report = ImportReport {
        dry_run: false,
        rows: count(reading.applications.len()),
        new: count(new.len()),
        known,
        faults: reading.faults.iter().cloned().chain(registry_faults).collect(),
        warnings: Vec::new(),
        cases: Vec::new(),
    };
    report.faults.sort_by_key(|fault| fault.row);
    if !report.faults.is_empty() {
        return Ok(report);
    }
    for (application, fingerprint) in new {
        let case = case_rows::receive(conn, now_ms, application, &fingerprint, &operator.name).await?;
        let detail =
            json!({ "code": application.code, "kind": application.kind, "fingerprint": fingerprint });
        let event = Event {
            actor: &operator.name,
            action: "case.receive",
            object: &case,
            trace: Some(operator.trace),
            detail,
        };
        audit::append(conn, now_ms, event).await?;
        report.cases.push(case);
    }
    Ok(report)
}

type Compared<'a> = (Vec<(&'a Application, String)>, u32, Vec<RowFault>);

/// Sorts applications into new ones, known ones, and ones that the registry contradicts.
async fn compare<'a>(
    conn: &mut Conn,
    now_ms: i64,
    applications: &'a [(u32, Application)],
) -> Result<Compared<'a>, OfficeFault> {
    let registered = Registered::load(conn).await?;
    let (mut new, mut known, mut faults) = (Vec::new(), 0, Vec::new());
    for (row, application) in applications {
        let fingerprint = application.fingerprint().map_err(|error| OfficeFault::Row(error.to_string()))?;
        if registered.fingerprints.contains_key(&fingerprint) {
            known += 1;
            continue;
        }
        if let Some(day) = application.received_on.as_deref().filter(|day| dates::is_ahead(day, now_ms)) {
            let ahead = Message::DateAhead { given: day.to_owned() };
            faults.push(ahead.at(*row, Column::ReceivedOn.heading()));
        }
        registered.contradictions(*row, application, &mut faults);
        new.push((application, fingerprint));
    }
    Ok((new, known, faults))
}

/// What an application may contradict: facilities, waiting cases, addresses in use (G-01, G-03).
struct Registered {
    fingerprints: BTreeMap<String, String>,
    facilities: BTreeMap<(String, String), String>,
    waiting: BTreeMap<(String, String), String>,
    /// Folded address to its use; of waiting cases too, since they will be admins.
    addresses: BTreeMap<String, String>,
}

impl Registered {
    async fn load(conn: &mut Conn) -> Result<Self, OfficeFault> {
        let facilities: Vec<(String, String, String)> =
            sqlx::query_as("SELECT code, kind, name FROM facility").fetch_all(&mut *conn).await?;
        let addresses: Vec<(String, String)> =
            sqlx::query_as("SELECT folded, use_as FROM address").fetch_all(&mut *conn).await?;
        let mut registered = Self {
            fingerprints: BTreeMap::new(),
            facilities: facilities.into_iter().map(|(code, kind, name)| ((code, kind), name)).collect(),
            waiting: BTreeMap::new(),
            addresses: addresses.into_iter().collect(),
        };
        for case in case_rows::all(conn, None).await? {
            if case.state == CaseState::Received {
                let Application { code, kind, admin_address, .. } = case.application;
                registered.waiting.insert((code, kind), case.case.clone());
                registered
                    .addresses
                    .entry(crate::login::fold(&admin_address))
                    .or_insert_with(|| "admin".to_owned());
            }
            registered.fingerprints.insert(case.fingerprint, case.case);
        }
        Ok(registered)
    }

    fn contradictions(&self, row: u32, application: &Application, faults: &mut Vec<RowFault>) {
        let place = (application.code.clone(), application.kind.clone());
        if let Some(facility) = self.facilities.get(&place) {
            let registered = Message::CodeRegistered { facility: facility.clone() };
            faults.push(registered.at(row, Column::Code.heading()));
            // Its address is taken by itself; saying so as well would mislead.
            return;
        }
        if let Some(case) = self.waiting.get(&place) {
            faults.push(Message::CodeApplied { case: case.clone() }.at(row, Column::Code.heading()));
            return;
        }
        let message =
            match self.addresses.get(&crate::login::fold(&application.admin_address)).map(String::as_str) {
                None => return,
                Some("user") => Message::AddressUser,
                Some(_) => Message::AddressAdmin,
            };
        faults.push(message.at(row, Column::AdminAddress.heading()));
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
