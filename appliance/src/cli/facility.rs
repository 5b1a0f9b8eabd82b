//! `facility`: import of 様式1, the list, the blank form, an admin's address (様式3). Reads and writes the files that the operator names.

use std::path::Path;

use provisioning::door::{AddressChange, ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_paper::{MapKind, PaperQuestion};
use provisioning::views;

use super::args_facility::FacilityCommand;
use super::args_paper::{FacilityLedger, FacilityMap, FacilityPaper};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::imported::{imported, written};
use super::out::Out;
use super::paper;
use super::table::Table;
use crate::exit::Exit;
use crate::files;

/// A form of ten thousand rows is under two; as JSON it must fit the door's frame (16 MiB).
pub const IMPORT_MAX: usize = 3 << 20;

pub fn facility(door: &Door, command: FacilityCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        FacilityCommand::Import { file, dry_run } => import(door, &file, dry_run, out),
        FacilityCommand::List => list(door, out),
        FacilityCommand::Template { out: path } => template(door, &path, out),
        FacilityCommand::Paper(FacilityPaper::Ledger(FacilityLedger {
            facility,
            out: path,
            kind,
            devices,
        })) => {
            let question = PaperQuestion::Ledger { facility, kind: paper::kind_of(kind), devices };
            paper::file(door, question, &path, out)
        }
        FacilityCommand::Paper(FacilityPaper::Map(FacilityMap { out: path, geojson })) => {
            let kind = if geojson { MapKind::Geojson } else { MapKind::Html };
            paper::file(door, PaperQuestion::Map { kind }, &path, out)
        }
        FacilityCommand::AdminAddress { facility, address, dry_run } => {
            let question = ProvisioningQuestion::FacilityAdminAddress { facility, address, dry_run };
            let ProvisioningAnswer::AddressChanged(change) = door.provisioning(question)? else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&change, || change_text(&change, out))?;
            Ok(Exit::Ok)
        }
    }
}

fn change_text(change: &AddressChange, out: &Out) -> String {
    let AddressChange { facility_name, from, to, letters, gone, dry_run, .. } = change;
    let rehearsed = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    let mut text = format!("{facility_name}: {from} → {to}{rehearsed}\n");
    for letter in letters {
        text.push_str(&out.pick(format!("送り直し: {letter}\n"), format!("sent again: {letter}\n")));
    }
    for slot in gone {
        text.push_str(&out.pick(
            format!("{slot} の接続設定一式は前のアドレスに送付済みです: mimamori slot reissue {slot}\n"),
            format!("the bundle of {slot} went to the old address: mimamori slot reissue {slot}\n"),
        ));
    }
    text
}

fn import(door: &Door, file: &Path, dry_run: bool, out: &Out) -> Result<Exit, Failure> {
    let bytes = files::read_limited(file, IMPORT_MAX)?;
    let file_name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    out.progress("様式1を確かめています", "checking the applications");
    let question = ProvisioningQuestion::FacilityImport { file_name, bytes, dry_run };
    let ProvisioningAnswer::Import(report) = door.provisioning(question)? else {
        return Err(odd_kind("provisioning"));
    };
    imported(&report, out)
}

fn list(door: &Door, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::Facilities(rows) = door.provisioning(ProvisioningQuestion::FacilityList)? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&rows, || {
        let mut table = Table::new(&[
            out.pick("施設コード", "code"),
            out.pick("施設名", "name"),
            out.pick("種別", "kind"),
            out.pick("管理者アドレス", "admin"),
            out.pick("VPN申請数", "requested"),
            out.pick("状態", "state"),
            out.pick("VPN番号", "slots"),
        ]);
        for row in &rows {
            let slots: Vec<String> = row.slots.iter().map(ToString::to_string).collect();
            table.row([
                row.code.clone(),
                row.name.clone(),
                row.kind.clone(),
                row.admin_address.clone(),
                row.vpn_requested.to_string(),
                out.word(views::state, &row.state),
                slots.join(" "),
            ]);
        }
        table.text(out.ink())
    })?;
    Ok(Exit::Ok)
}

fn template(door: &Door, path: &Path, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::File { bytes, .. } = door.provisioning(ProvisioningQuestion::FacilityTemplate)?
    else {
        return Err(odd_kind("provisioning"));
    };
    written(path, &bytes, out)
}
