//! `takeover`: registers that were kept elsewhere come over, begin, or are taken back. Reads the file that the operator names.

use provisioning::door::{ImportReport, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_takeover::{TakeoverLine, TakeoverQuestion};
use provisioning::views;

use super::args_takeover::TakeoverCommand;
use super::ask::{Door, odd_kind};
use super::facility::IMPORT_MAX;
use super::failure::Failure;
use super::imported::{ended, written};
use super::out::Out;
use super::said::at;
use super::table::Table;
use crate::exit::Exit;
use crate::files;

pub fn takeover(door: &Door, command: TakeoverCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        TakeoverCommand::Import { file, dry_run } => {
            let bytes = files::read_limited(&file, IMPORT_MAX)?;
            out.progress("台帳を確かめています", "checking the registers");
            TakeoverQuestion::Import { bytes, dry_run }
        }
        TakeoverCommand::List => TakeoverQuestion::List,
        TakeoverCommand::Template { out: path } => {
            let question = ProvisioningQuestion::Takeover(TakeoverQuestion::Template);
            let ProvisioningAnswer::File { bytes, .. } = door.provisioning(question)? else {
                return Err(odd_kind("provisioning"));
            };
            return written(&path, &bytes, out);
        }
        TakeoverCommand::Start { batch, facility, dry_run } => {
            TakeoverQuestion::Start { batch, facility, dry_run }
        }
        TakeoverCommand::Undo { batch, facility, dry_run } => {
            TakeoverQuestion::Undo { batch, facility, dry_run }
        }
    };
    match door.provisioning(ProvisioningQuestion::Takeover(question))? {
        ProvisioningAnswer::Import(report) => ended(&report, &summary(&report, out), out),
        ProvisioningAnswer::Takeovers(lines) => {
            out.result(&lines, || lines_text(&lines, out))?;
            Ok(Exit::Ok)
        }
        _ => Err(odd_kind("provisioning")),
    }
}

/// With the batch's name, which `start` and `undo` ask for.
fn summary(report: &ImportReport, out: &Out) -> String {
    let batch = report.cases.first().map(String::as_str).unwrap_or("–");
    out.pick(
        format!("引き継いだ施設 {} 取り込み済み {} 引継ぎの番号 {batch}", report.new, report.known),
        format!("{} facilities taken over, {} known, batch {batch}", report.new, report.known),
    )
}

fn lines_text(lines: &[TakeoverLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("引継ぎ", "batch"),
        out.pick("施設のID", "facility"),
        out.pick("施設名", "name"),
        out.pick("状態", "state"),
        out.pick("人数", "people"),
        out.pick("VPN番号", "slots"),
        out.pick("日時", "at"),
    ]);
    for line in lines {
        let state = out.pick(views::takeover(&line.state), line.state.as_str());
        let slots: Vec<String> = line.slots.iter().map(ToString::to_string).collect();
        table.row([
            line.batch.clone(),
            line.facility.to_string(),
            line.name.clone(),
            state.to_owned(),
            line.people.to_string(),
            slots.join(" "),
            at(&line.at),
        ]);
    }
    table.text(out.ink())
}
