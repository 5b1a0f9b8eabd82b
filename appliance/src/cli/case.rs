//! `case`: applications on their way, and their acceptance.

use provisioning::door::{AcceptReport, CaseChoice, CaseDetail, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::views;

use super::args::CaseCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::mail;
use super::out::Out;
use super::outgoing;
use super::said::{at, minute};
use super::table::Table;
use crate::exit::Exit;

pub fn case(door: &Door, command: CaseCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        CaseCommand::List => list(door, out),
        CaseCommand::Show { id } => show(door, id, out),
        CaseCommand::Accept { id, delivery, dry_run, .. } => {
            if let (Some(case), Some(way)) = (&id, delivery) {
                outgoing::choose(door, case, way, dry_run)?;
            }
            // clap has made sure that it is one or the other.
            let case = id.map_or(CaseChoice::AllComplete, CaseChoice::One);
            accept(door, case, dry_run, out)
        }
    }
}

fn list(door: &Door, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::Cases(rows) = door.provisioning(ProvisioningQuestion::CaseList)? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&rows, || {
        let mut table = Table::new(&[
            out.pick("申請", "case"),
            out.pick("手続き", "flow"),
            out.pick("施設コード", "code"),
            out.pick("施設名", "facility"),
            out.pick("状態", "state"),
            out.pick("受付", "received"),
        ]);
        for row in &rows {
            table.row([
                row.case.clone(),
                row.flow.clone(),
                row.facility_code.clone(),
                row.facility_name.clone(),
                out.word(views::case_state, &row.state),
                minute(&row.received),
            ]);
        }
        table.text(out.ink())
    })?;
    Ok(Exit::Ok)
}

fn show(door: &Door, case: String, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::Case(detail) = door.provisioning(ProvisioningQuestion::CaseShow { case })? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&detail, || detail_text(&detail, out))?;
    Ok(Exit::Ok)
}

fn detail_text(detail: &CaseDetail, out: &Out) -> String {
    let row = &detail.row;
    let state = out.word(views::case_state, &row.state);
    let mut text =
        format!("{}  {}  {} {}  {}\n", row.case, row.flow, row.facility_code, row.facility_name, state);
    let mut table = Table::new(&[
        out.pick("手順", "step"),
        out.pick("内容", "what"),
        out.pick("日時", "at"),
        out.pick("担当", "by"),
    ]);
    for step in &detail.steps {
        table.row([
            step.id.clone(),
            step.name_ja.clone(),
            step.at.as_deref().map_or_else(|| "–".to_owned(), at),
            step.operator.clone().unwrap_or_default(),
        ]);
    }
    text.push_str(&table.text(out.ink()));
    if !detail.letters.is_empty() {
        text.push('\n');
        text.push_str(&mail::rows_text(&detail.letters, out));
    }
    text
}

fn accept(door: &Door, case: CaseChoice, dry_run: bool, out: &Out) -> Result<Exit, Failure> {
    out.progress("受理し、接続設定一式を作っています", "accepting, and making the bundles");
    let question = ProvisioningQuestion::CaseAccept { case, dry_run };
    let ProvisioningAnswer::Accepted(report) = door.provisioning(question)? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&report, || accepted_text(&report, out))?;
    Ok(Exit::Ok)
}

fn accepted_text(report: &AcceptReport, out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("申請", "case"),
        out.pick("施設名", "facility"),
        out.pick("VPN番号", "slots"),
        out.pick("接続設定一式", "bundle"),
    ]);
    for accepted in &report.accepted {
        let slots: Vec<String> = accepted.slots.iter().map(ToString::to_string).collect();
        table.row([
            accepted.case.clone(),
            accepted.facility_name.clone(),
            slots.join(" "),
            accepted.bundle_slot.to_string(),
        ]);
    }
    let count = report.accepted.len();
    let summary = match (report.dry_run, count) {
        (_, 0) => out
            .pick("受理できる申請はありません\n".to_owned(), "no case is ready to be accepted\n".to_owned()),
        (true, _) => out.pick(
            format!("{count}件を受理できます（確かめただけ）\n"),
            format!("{count} could be accepted (dry run)\n"),
        ),
        (false, _) => out.pick(format!("{count}件を受理しました\n"), format!("{count} accepted\n")),
    };
    if table.is_empty() { summary } else { format!("{}{summary}", table.text(out.ink())) }
}
