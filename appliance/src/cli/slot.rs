//! `slot`: the numbers (VPN番号), who holds them, who held them; 延長 and 再発行 of what waits to be enrolled.

use provisioning::door::{
    EnrolmentRow, ProvisioningAnswer, ProvisioningQuestion, Renewal, SlotDetail, SlotRow,
};
use provisioning::door_call::{CallQuestion, SlotChange};
use provisioning::views;

use super::args::{SlotCommand, SlotTurn};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::said::{at, minute};
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
        SlotCommand::Extend { slot, dry_run } => {
            renewed(door, ProvisioningQuestion::SlotExtend { slot, dry_run }, out)?;
        }
        SlotCommand::Reissue { slot, dry_run } => {
            renewed(door, ProvisioningQuestion::SlotReissue { slot, dry_run }, out)?;
        }
        SlotCommand::Suspend(SlotTurn { slot, dry_run }) => {
            turned(door, CallQuestion::Suspend { slot, dry_run }, out)?;
        }
        SlotCommand::Resume(SlotTurn { slot, dry_run }) => {
            turned(door, CallQuestion::Resume { slot, dry_run }, out)?;
        }
        SlotCommand::Unlock(SlotTurn { slot, dry_run }) => {
            turned(door, CallQuestion::Unlock { slot, dry_run }, out)?;
        }
    }
    Ok(Exit::Ok)
}

fn turned(door: &Door, question: CallQuestion, out: &Out) -> Result<(), Failure> {
    let ProvisioningAnswer::Change(change) = door.provisioning(ProvisioningQuestion::Call(question))? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&change, || {
        let SlotChange { slot, state, changed, dry_run } = &change;
        let state = out.word(views::slot_state, state);
        let rehearsed = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
        let already = if *changed { "" } else { out.pick("（もとのまま）", " (as it was)") };
        out.pick(
            format!("VPN番号 {slot}: {state}{already}{rehearsed}\n"),
            format!("slot {slot}: {state}{already}{rehearsed}\n"),
        )
    })
}

pub fn renewed(door: &Door, question: ProvisioningQuestion, out: &Out) -> Result<(), Failure> {
    let ProvisioningAnswer::Renewed(renewal) = door.provisioning(question)? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&renewal, || renewal_text(&renewal, out))
}

fn renewal_text(renewal: &Renewal, out: &Out) -> String {
    let Renewal { slot, facility_name, recipient, valid_until, letter, dry_run } = renewal;
    let valid_until = minute(valid_until);
    let Some(letter) = letter else {
        return out.pick(
            format!("VPN番号 {slot}（{facility_name}）の期限は {valid_until} で、変わりません\n"),
            format!("slot {slot} ({facility_name}) is good until {valid_until} already\n"),
        );
    };
    let rehearsed = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    out.pick(
        format!(
            "VPN番号 {slot}（{facility_name}）: 期限 {valid_until}、{recipient} 宛て {letter}{rehearsed}\n"
        ),
        format!(
            "slot {slot} ({facility_name}): good until {valid_until}, {letter} to {recipient}{rehearsed}\n"
        ),
    )
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
            out.word(views::slot_state, &row.state),
            row.facility_name.clone().unwrap_or_default(),
            if row.meetings { "○".to_owned() } else { String::new() },
            row.generation.to_string(),
        ]);
    }
    table.text(out.ink())
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
            at(&entry.at),
            out.word(views::slot_state, &entry.state),
            entry.facility_name.clone().unwrap_or_default(),
            entry.note.clone(),
        ]);
    }
    if let Some(enrolment) = &detail.enrolment {
        text.push_str(&enrolment_text(enrolment, out));
    }
    text.push('\n');
    text.push_str(&table.text(out.ink()));
    text
}

fn enrolment_text(enrolment: &EnrolmentRow, out: &Out) -> String {
    let state = if enrolment.state == "open" && !enrolment.in_time { "late" } else { &enrolment.state };
    let state = match state {
        "open" => out.pick("登録待ち", "open"),
        "late" => out.pick("期限切れ（slot extend）", "late (slot extend)"),
        "claimed" => out.pick("切り替え待ち", "claimed"),
        "done" => out.pick("登録済み", "done"),
        "locked" => out.pick("入力ちがいで停止（slot reissue）", "locked (slot reissue)"),
        _ => out.pick("無効（slot reissue）", "void (slot reissue)"),
    };
    let until = minute(&enrolment.valid_until);
    out.pick(format!("本登録: {state}、期限 {until}\n"), format!("enrolment: {state}, until {until}\n"))
}
