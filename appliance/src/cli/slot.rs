//! `slot`: the numbers (VPN番号), who holds them, and who held them.

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, SlotDetail, SlotRow};

use super::args::SlotCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn slot(door: &Door, command: SlotCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        SlotCommand::List { series } => {
            let ProvisioningAnswer::Slots(rows) =
                door.provisioning(ProvisioningQuestion::SlotList { series })?
            else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&rows, || rows_text(&rows, out))?;
        }
        SlotCommand::Show { slot } => {
            let ProvisioningAnswer::Slot(detail) =
                door.provisioning(ProvisioningQuestion::SlotShow { slot })?
            else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&detail, || detail_text(&detail, out))?;
        }
    }
    Ok(Exit::Ok)
}

fn rows_text(rows: &[SlotRow], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("VPN番号", "slot"),
        out.pick("状態", "state"),
        out.pick("施設名", "facility"),
        out.pick("会議", "meetings"),
        out.pick("世代", "generation"),
    ]);
    for row in rows {
        table.row([
            row.slot.to_string(),
            row.state.clone(),
            row.facility_name.clone().unwrap_or_default(),
            if row.meetings { "○".to_owned() } else { String::new() },
            row.generation.to_string(),
        ]);
    }
    table.text()
}

fn detail_text(detail: &SlotDetail, out: &Out) -> String {
    let mut text = rows_text(std::slice::from_ref(&detail.row), out);
    let mut table = Table::new(&[
        out.pick("日時", "at"),
        out.pick("状態", "state"),
        out.pick("施設名", "facility"),
        out.pick("覚え書き", "note"),
    ]);
    for entry in &detail.history {
        table.row([
            entry.at.clone(),
            entry.state.clone(),
            entry.facility_name.clone().unwrap_or_default(),
            entry.note.clone(),
        ]);
    }
    text.push('\n');
    text.push_str(&table.text());
    text
}
