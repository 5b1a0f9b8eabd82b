//! 引継ぎ: a workbook of registers becomes facilities with all that belongs to them. A rehearsal, and every import before it
//! writes, shows what is wrong, each fault at its cell; then each facility is whole or not there, and the same file once
//! more brings whatever an interruption left. No letter leaves by it. Edge: SQL, tokio.

use crate::door::{ImportReport, Operator};
use crate::fault::Fault;
use crate::jst;
use crate::messages::Message;
use crate::office_fault::OfficeFault;
use crate::shared::Shared;
use crate::store::{next, transaction};
use crate::takeover::{self, FACILITIES, Reading, Sheets, Taken};
use crate::takeover_rows;
use crate::world;

pub async fn import(
    shared: &Shared,
    operator: &Operator,
    bytes: Vec<u8>,
    dry_run: bool,
) -> Result<ImportReport, Fault> {
    let read =
        tokio::task::spawn_blocking(move || Sheets::open(&bytes).map(|it| (takeover::read(&it), it))).await;
    let (reading, sheets) = read.map_err(|error| Message::Internal { what: error.to_string() })??;
    let Reading { taken: all, faults, warnings } = reading;
    let rows = count(all.len());
    let mut report = ImportReport { dry_run, rows, new: 0, known: 0, faults, warnings, cases: Vec::new() };
    let now = world::now_ms();
    let known = takeover_rows::known(shared).await?;
    let mut new = Vec::new();
    for taken in all {
        if known.has(&taken, &takeover_rows::fingerprint(&taken)?) {
            report.known += 1;
        } else {
            report.faults.extend(known.contradictions(&sheets, &taken, shared.config.series, now));
            new.push(taken);
        }
    }
    if !report.faults.is_empty() || new.is_empty() {
        report.new = count(new.len());
        report.faults.sort_by_key(|fault| (takeover::place(fault.sheet.as_deref()), fault.row));
        return Ok(report);
    }
    if dry_run {
        rehearse(shared, operator, &new, &mut report).await?;
    } else {
        take_all(shared, operator, &new, &mut report).await?;
    }
    for fault in &mut report.faults {
        sheets.locate(FACILITIES, fault);
    }
    Ok(report)
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// What the database itself would refuse, it refuses now; nothing of this is committed.
async fn rehearse(
    shared: &Shared,
    operator: &Operator,
    new: &[Taken],
    report: &mut ImportReport,
) -> Result<(), Fault> {
    for taken in new {
        let mut conn = shared.store.begin().await?;
        let taking = takeover_rows::take(&mut conn, shared, world::now_ms(), operator, "t-0", taken).await;
        if !told(taking.map(drop), taken, report)? {
            break;
        }
    }
    Ok(())
}

/// Each facility in a transaction of its own, so that the office goes on meanwhile and an interruption halves nothing.
async fn take_all(
    shared: &Shared,
    operator: &Operator,
    new: &[Taken],
    report: &mut ImportReport,
) -> Result<(), Fault> {
    let year = jst::year(world::now_ms());
    let number = transaction!(shared.store, conn => next(conn, &format!("takeover {year}")).await)?;
    let batch = format!("t-{year}-{number:05}");
    for taken in new {
        let now = world::now_ms();
        let taking = transaction!(shared.store, conn => {
            takeover_rows::take(conn, shared, now, operator, &batch, taken).await
        });
        // What came before a refusal stands.
        if !told(taking.map(|version| shared.grants_changed(version)), taken, report)? {
            break;
        }
        if report.cases.is_empty() {
            report.cases.push(batch.clone());
        }
    }
    Ok(())
}

/// Whatever a colleague has changed since it was looked at is said at the facility's row; the rest waits for the next try.
fn told(taking: Result<(), Fault>, taken: &Taken, report: &mut ImportReport) -> Result<bool, Fault> {
    match taking {
        Ok(()) => {
            report.new += 1;
            Ok(true)
        }
        Err(Fault::Office(OfficeFault::Refused(message))) => {
            report.faults.push(message.at(taken.row, "事業所番号"));
            Ok(false)
        }
        Err(Fault::Intake(message)) => {
            report.faults.push(message.at(taken.row, "事業所番号"));
            Ok(false)
        }
        Err(fault) => Err(fault),
    }
}
