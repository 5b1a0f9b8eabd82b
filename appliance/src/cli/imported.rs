//! What is said of a file that was taken in, of 様式1 and of every other form, and of one that was written.

use std::path::Path;

use provisioning::door::{ImportReport, RowFault};
use serde_json::json;

use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;
use crate::files;
use crate::messages::Message;

/// What came of an import of applications.
pub fn imported(report: &ImportReport, out: &Out) -> Result<Exit, Failure> {
    let summary = out.pick(
        format!("{}行: 新しい申請 {} 取り込み済み {}", report.rows, report.new, report.known),
        format!("{} rows: {} new cases, {} known", report.rows, report.new, report.known),
    );
    ended(report, &summary, out)
}

/// What came of an import, and its summary if nothing was wrong.
pub fn ended(report: &ImportReport, summary: &str, out: &Out) -> Result<Exit, Failure> {
    out.result(report, || report_text(report, summary, out))?;
    if report.faults.is_empty() {
        return Ok(Exit::Ok);
    }
    let failure = Failure::from(Message::RowFaults { count: report.faults.len().to_string() });
    out.remark(&failure);
    Ok(failure.exit)
}

fn report_text(report: &ImportReport, summary: &str, out: &Out) -> String {
    let mut text = String::new();
    for (title, faults) in [
        (out.pick("直すところ", "to mend"), &report.faults),
        (out.pick("確かめるところ", "to look at"), &report.warnings),
    ] {
        if !faults.is_empty() {
            text.push_str(&format!("{title}\n{}", faults_table(faults, out)));
        }
    }
    if report.faults.is_empty() {
        text.push_str(summary);
        text.push_str(if report.dry_run {
            out.pick("（確かめただけ）\n", " (dry run)\n")
        } else {
            "\n"
        });
    }
    text
}

fn faults_table(faults: &[RowFault], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("場所", "place"),
        out.pick("列", "column"),
        out.pick("読んだ値", "read"),
        out.pick("コード", "code"),
        out.pick("理由", "reason"),
        out.pick("直し方", "remedy"),
        out.pick("書くもの", "belongs there"),
    ]);
    for fault in faults {
        table.row([
            place(fault, out),
            fault.column.clone(),
            fault.given.clone(),
            fault.code.clone(),
            out.pick(&fault.reason_ja, &fault.reason_en).clone(),
            out.pick(&fault.remedy_ja, &fault.remedy_en).clone(),
            fault.expected_ja.clone(),
        ]);
    }
    table.text(out.ink())
}

/// `様式1!B4` as Excel writes it, or the row of a column that is missing.
fn place(fault: &RowFault, out: &Out) -> String {
    match (&fault.sheet, &fault.cell) {
        (Some(sheet), Some(cell)) => format!("{sheet}!{cell}"),
        (None, Some(cell)) => cell.clone(),
        (_, None) => out.pick(format!("{}行", fault.row), format!("row {}", fault.row)),
    }
}

/// A new file at the place that the operator names.
pub fn written(path: &Path, bytes: &[u8], out: &Out) -> Result<Exit, Failure> {
    let shown = path.display().to_string();
    files::write_new(path, bytes)
        .map_err(|error| Message::FileWrite { path: shown.clone(), why: error.to_string() })?;
    out.result(&json!({ "file": shown, "bytes": bytes.len() }), || format!("{shown}\n"))?;
    Ok(Exit::Ok)
}
