//! `mail`: the outbox, what the mail server said, and the DNS records that make receivers believe us.

use std::path::Path;

use provisioning::door::{
    DnsRecord, LetterRow, ProvisioningAnswer, ProvisioningQuestion, Trouble, TroubleKind,
};
use provisioning::door_bounce::{BounceFault, BounceRound};
use provisioning::views;

use super::args::MailCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::said::{self, at};
use super::table::Table;
use crate::exit::Exit;
use crate::files;

/// A mail with the whole of ours in it.
const BOUNCE_MAX: usize = provisioning::bounce::MAIL_MAX;

pub fn mail(door: &Door, command: MailCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        MailCommand::List => {
            let rows = letters(door)?;
            out.result(&rows, || rows_text(&rows, out))?;
        }
        MailCommand::Retry { id: Some(id), .. } => {
            let row = again(door, id)?;
            out.result(&row, || rows_text(std::slice::from_ref(&row), out))?;
        }
        MailCommand::Retry { id: None, .. } => {
            let failed = letters(door)?.into_iter().filter(|row| row.state == "failed");
            let rows = failed.map(|row| again(door, row.message)).collect::<Result<Vec<_>, _>>()?;
            out.result(&rows, || rows_text(&rows, out))?;
        }
        MailCommand::Bounce { files, dry_run } => {
            let noted =
                files.iter().map(|file| bounced(door, file, dry_run)).collect::<Result<Vec<_>, _>>()?;
            out.result(&noted, || rows_text(&noted, out))?;
        }
        MailCommand::Fetch { dry_run } => {
            let round = fetched(door, dry_run)?;
            out.result(&round, || round_text(&round, out))?;
            if let Some(fault) = round.fault {
                return Err(bounce_failure(fault));
            }
        }
        // It needs the configuration, too: `command` hands it to `mail_doctor`.
        MailCommand::Doctor { .. } => return Err(odd_kind("mail doctor")),
        MailCommand::Dns => {
            let ProvisioningAnswer::MailDns(records) = door.provisioning(ProvisioningQuestion::MailDns)?
            else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&records, || records_text(&records))?;
        }
    }
    Ok(Exit::Ok)
}

/// A round of the bounce mailbox; its faults are in it.
pub fn fetched(door: &Door, dry_run: bool) -> Result<BounceRound, Failure> {
    match door.provisioning(ProvisioningQuestion::MailFetch { dry_run })? {
        ProvisioningAnswer::Bounces(round) => Ok(round),
        _ => Err(odd_kind("provisioning")),
    }
}

/// What came of a round, in a line; also below the status.
pub fn round_text(round: &BounceRound, out: &Out) -> String {
    let BounceRound { at, found, noted, set_aside, early, .. } = round;
    let (at, fault) = (said::at(at), round.fault.as_ref());
    let ended =
        fault.map(|fault| format!(": {} {}", fault.code, out.pick(&fault.ja, &fault.en))).unwrap_or_default();
    out.pick(
        format!("戻りメール {at} 受信箱に{found}通 記録{noted} 残した{set_aside} 次回{early}{ended}\n"),
        format!("bounces {at}: {found} found, {noted} noted, {set_aside} left there, {early} for the next round{ended}\n"),
    )
}

fn bounce_failure(fault: BounceFault) -> Failure {
    let BounceFault { code, ja, en, remedy_ja, remedy_en } = fault;
    Trouble { code, kind: TroubleKind::TryLater, ja, en, remedy_ja, remedy_en }.into()
}

fn letters(door: &Door) -> Result<Vec<LetterRow>, Failure> {
    match door.provisioning(ProvisioningQuestion::OutboxList)? {
        ProvisioningAnswer::Outbox(rows) => Ok(rows),
        _ => Err(odd_kind("provisioning")),
    }
}

fn bounced(door: &Door, file: &Path, dry_run: bool) -> Result<LetterRow, Failure> {
    let mail = files::read_limited(file, BOUNCE_MAX)?;
    match door.provisioning(ProvisioningQuestion::MailBounce { mail, dry_run })? {
        ProvisioningAnswer::Letter(row) => Ok(row),
        _ => Err(odd_kind("provisioning")),
    }
}

fn again(door: &Door, message: String) -> Result<LetterRow, Failure> {
    match door.provisioning(ProvisioningQuestion::OutboxRetry { message })? {
        ProvisioningAnswer::Letter(row) => Ok(row),
        _ => Err(odd_kind("provisioning")),
    }
}

/// Letters with what the mail server said; under it, for a clerk, what that means. Also below a case.
pub fn rows_text(rows: &[LetterRow], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("番号", "letter"),
        out.pick("状態", "state"),
        out.pick("宛先", "to"),
        out.pick("施設名", "facility"),
        out.pick("試行", "attempts"),
        out.pick("次回", "next"),
        out.pick("サーバーの答え", "answer"),
    ]);
    for row in rows {
        let cells = [
            row.message.clone(),
            out.word(views::letter_state, &row.state),
            row.recipient.clone(),
            row.facility_name.clone().unwrap_or_default(),
            row.attempts.to_string(),
            row.next_at.as_deref().map(at).unwrap_or_default(),
            row.answer.clone().unwrap_or_default(),
        ];
        if row.state == "failed" {
            table.bad_row(cells);
        } else {
            table.row(cells);
        }
    }
    let mut text = table.text(out.ink());
    for row in rows.iter().filter(|row| row.state != "sent") {
        let meaning = out.pick(row.meaning_ja.as_ref(), row.meaning_en.as_ref());
        if let Some(meaning) = meaning {
            text.push_str(&format!("{}: {meaning}\n", row.message));
        }
    }
    text
}

/// Lines of a zone file and nothing else, so that they can be copied.
fn records_text(records: &[DnsRecord]) -> String {
    records.iter().map(|record| format!("{}\n", record.zone_line)).collect()
}
