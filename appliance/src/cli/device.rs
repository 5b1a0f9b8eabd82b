//! `device`: what sits in the slots, and 利用停止. A revocation ends with 0 only when every point of
//! enforcement has acknowledged it (ruling 7); until then it is recorded, retried, and ends with 75.

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion, Receipt, RevokeReason};
use provisioning::views;
use vpn::SlotNumber;

use super::args::DeviceCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::more;
use super::out::Out;
use super::said::{at, minute};
use super::table::Table;
use crate::exit::Exit;
use crate::messages::{Language, Message};

pub fn device(door: &Door, command: DeviceCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        DeviceCommand::List { facility } => list(door, facility, out),
        DeviceCommand::Revoke { slot, reason, note, dry_run } => {
            revoke(door, slot, reason, note, dry_run, out)
        }
        DeviceCommand::Receipt { id } => {
            let ProvisioningAnswer::Receipt(receipt) =
                door.provisioning(ProvisioningQuestion::ReceiptShow { receipt: id })?
            else {
                return Err(odd_kind("provisioning"));
            };
            shown(&receipt, out)
        }
        DeviceCommand::More(command) => more::more(door, command, out),
    }
}

fn list(door: &Door, facility: Option<pki::FacilityId>, out: &Out) -> Result<Exit, Failure> {
    let ProvisioningAnswer::Devices(rows) =
        door.provisioning(ProvisioningQuestion::DeviceList { facility })?
    else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&rows, || {
        let mut table = Table::new(&[
            out.pick("VPN番号", "slot"),
            out.pick("名前", "label"),
            out.pick("状態", "state"),
            out.pick("証明書", "certificate"),
            out.pick("期限", "ends"),
        ]);
        for row in &rows {
            table.row([
                row.slot.to_string(),
                row.label.clone(),
                out.word(views::device_state, &row.state),
                row.certificate.clone().unwrap_or_default(),
                row.certificate_ends.as_deref().map(minute).unwrap_or_default(),
            ]);
        }
        table.text(out.ink())
    })?;
    Ok(Exit::Ok)
}

fn revoke(
    door: &Door,
    slot: SlotNumber,
    reason: RevokeReason,
    note: Option<String>,
    dry_run: bool,
    out: &Out,
) -> Result<Exit, Failure> {
    let question = ProvisioningQuestion::DeviceRevoke { slot, reason, note, dry_run };
    let ProvisioningAnswer::Receipt(receipt) = door.provisioning(question)? else {
        return Err(odd_kind("provisioning"));
    };
    shown(&receipt, out)
}

/// The receipt with its points; pending is not done.
fn shown(receipt: &Receipt, out: &Out) -> Result<Exit, Failure> {
    out.result(receipt, || text(receipt, out))?;
    let exit = exit(receipt);
    if exit == Exit::TryLater {
        out.remark(&Message::Pending { receipt: receipt.receipt.clone() }.into());
    }
    Ok(exit)
}

fn exit(receipt: &Receipt) -> Exit {
    if receipt.complete || receipt.dry_run { Exit::Ok } else { Exit::TryLater }
}

fn text(receipt: &Receipt, out: &Out) -> String {
    let title = match (receipt.dry_run, receipt.complete) {
        (true, _) => out.pick("利用停止（確かめただけ）", "revocation (dry run)"),
        (false, true) => out.pick("利用停止 完了", "revocation, complete"),
        (false, false) => out.pick("利用停止 確認待ち", "revocation, pending"),
    };
    let mut text = format!(
        "{title}  {}  {}  {}  {}  {}\n",
        receipt.receipt,
        receipt.slot,
        out.word(views::reason, receipt.reason.as_str()),
        at(&receipt.committed_at),
        receipt.by
    );
    let mut table = Table::new(&[
        out.pick("確認する所", "point"),
        out.pick("確認", "acknowledged"),
        out.pick("ミリ秒", "ms"),
        out.pick("回数", "attempts"),
        out.pick("内容", "detail"),
    ]);
    // A rehearsal waits for nobody.
    let waiting = if receipt.dry_run { "–" } else { out.pick("待っています", "pending") };
    for point in &receipt.points {
        let name = match out.language() {
            Language::Ja => format!("{}（{}）", views::point(&point.point), point.point),
            Language::En => point.point.clone(),
        };
        let cells = [
            name,
            point.acknowledged_at.as_deref().map_or_else(|| waiting.to_owned(), at),
            point.after_ms.map(|ms| ms.to_string()).unwrap_or_default(),
            point.attempts.to_string(),
            point.detail.clone().or_else(|| point.last_error.clone()).unwrap_or_default(),
        ];
        if point.acknowledged_at.is_none() && point.last_error.is_some() {
            table.bad_row(cells);
        } else {
            table.row(cells);
        }
    }
    text.push_str(&table.text(out.ink()));
    if let Some(signature) = &receipt.signature {
        text.push_str(&out.pick(
            format!("署名済み: 台帳 {} {}\n", signature.ledger_entry, signature.hash),
            format!("signed: ledger entry {} {}\n", signature.ledger_entry, signature.hash),
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use provisioning::door::ReceiptPoint;

    use super::*;
    use crate::cli::args::Format;

    fn receipt(complete: bool, dry_run: bool) -> Receipt {
        let point = |point: &str, at: Option<&str>| ReceiptPoint {
            point: point.into(),
            acknowledged_at: at.map(str::to_owned),
            after_ms: at.map(|_| 12),
            attempts: 1,
            last_error: None,
            detail: None,
        };
        Receipt {
            receipt: "r-1".into(),
            slot: "18-0042".parse().unwrap(),
            reason: RevokeReason::Lost,
            by: "unix:root".into(),
            person: None,
            committed_at: "2026-11-20T09:00:00+09:00".into(),
            points: vec![point("vpn", Some("09:00:00")), point("sns", complete.then_some("09:00:00"))],
            complete,
            signature: None,
            dry_run,
        }
    }

    #[test]
    fn only_a_complete_receipt_ends_with_zero() {
        assert_eq!(exit(&receipt(true, false)).code(), 0);
        assert_eq!(exit(&receipt(false, false)).code(), 75);
        assert_eq!(exit(&receipt(false, true)).code(), 0);
    }

    #[test]
    fn each_point_stands_in_the_table() {
        let text = text(&receipt(false, false), &Out::new(Format::Text, Language::Ja));
        assert!(text.contains("vpn") && text.contains("sns") && text.contains("待っています"), "{text}");
    }
}
