//! `status`: how every room is, in a dozen lines, and what is not as it should be.

use std::path::Path;

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};

use super::ask::Door;
use super::failure::Failure;
use super::mail;
use super::out::Out;
use super::realm;
use super::table::Table;
use crate::backup::manifest::Remembered;
use crate::backup::memory;
use crate::doctor::{self, Finding};
use crate::exit::Exit;
use crate::messages::Message;
use crate::operator::Status;

/// With `check`, the exit code says whether something is missing.
pub fn status(config: &Path, door: &Door, check: bool, out: &Out) -> Result<Exit, Failure> {
    let status = door.status()?;
    let kept = memory::recall(&realm::config(config)?);
    let epoch = doctor::epoch(Some(&status), &kept);
    out.result(&Whole { status: &status, backup: &kept, epoch: epoch.as_ref() }, || {
        let epoch = epoch.as_ref().map(|finding| epoch_text(finding, out)).unwrap_or_default();
        text(&status, out) + &bounces_text(&status, out) + &backup_text(&kept, out) + &epoch
    })?;
    if check && !status.degraded.is_empty() {
        let what = status.degraded.iter().map(|d| format!("{}: {}", d.room, out.pick(&d.ja, &d.en)));
        let what = what.collect::<Vec<_>>().join(", ");
        out.remark(&Message::Degraded { what }.into());
        return Ok(Exit::Degraded);
    }
    Ok(Exit::Ok)
}

/// What the rooms say, and what the realm remembers.
#[derive(serde::Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    status: &'a Status,
    backup: &'a Remembered,
    /// What is to be done about the copy of the epoch's key (P-27); none when it is as it should be.
    epoch: Option<&'a Finding>,
}

fn text(status: &Status, out: &Out) -> String {
    let silent = || out.pick("答えがありません", "does not answer").to_owned();
    let mut table = Table::new(&[out.pick("部屋", "room"), out.pick("状態", "state")]);
    let vpn = status.vpn.as_ref().map(|vpn| {
        let alive = vpn.seats.iter().filter(|seat| seat.last_handshake_ms.is_some()).count();
        let listen: Vec<String> = vpn.listen.iter().map(ToString::to_string).collect();
        out.pick(
            format!("着席 {}（応答あり {alive}） 待ち受け {}", vpn.seats.len(), listen.join(" ")),
            format!(
                "{} seats ({alive} with a handshake), listening at {}",
                vpn.seats.len(),
                listen.join(" ")
            ),
        )
    });
    let pki = status.pki.as_ref().map(|pki| {
        out.pick(
            format!("有効な証明書 {} 失効 {} 台帳 {}", pki.living, pki.revoked, pki.ledger_entries),
            format!(
                "{} living certificates, {} revoked, ledger {}",
                pki.living, pki.revoked, pki.ledger_entries
            ),
        )
    });
    let gateway = status.gateway.as_ref().map(|gateway| {
        let refused: u64 = gateway.refusals.values().sum();
        out.pick(
            format!("接続 {} サインイン {} 断り {refused}", gateway.connections, gateway.sessions),
            format!("{} connections, {} sessions, {refused} refusals", gateway.connections, gateway.sessions),
        )
    });
    let sns = status.sns.as_ref().map(|sns| {
        out.pick(
            format!("チーム {} 投稿 {} 配信中 {}", sns.teams, sns.posts, sns.streams),
            format!("{} teams, {} posts, {} live streams", sns.teams, sns.posts, sns.streams),
        )
    });
    let office = status.provisioning.as_ref().map(|office| {
        out.pick(
            format!(
                "施設 {} 処理中の申請 {} 利用中のVPN番号 {} 送信待ち {} 送れなかったメール {} 利用停止の確認待ち {}",
                office.facilities, office.cases_open, office.slots_active, office.outbox_waiting, office.outbox_failed,
                office.receipts_pending
            ),
            format!(
                "{} facilities, {} open cases, {} active slots, {} waiting in the outbox, {} failed, {} pending receipts",
                office.facilities, office.cases_open, office.slots_active, office.outbox_waiting, office.outbox_failed,
                office.receipts_pending
            ),
        )
    });
    for (room, state) in
        [("vpn", vpn), ("pki", pki), ("sns", sns), ("gateway", gateway), ("provisioning", office)]
    {
        match state {
            Some(state) => table.row([room.to_owned(), state]),
            None => table.bad_row([room.to_owned(), silent()]),
        }
    }
    let mut text = table.text(out.ink());
    text.push_str(&format!(
        "\nmimamori {} ({}, {})\n{}\n",
        status.version, status.form, status.engine, status.jail.text
    ));
    for degraded in &status.degraded {
        let line = format!("! {}: {}", degraded.room, out.pick(&degraded.ja, &degraded.en));
        text.push_str(&format!("{}\n", out.ink().bad(&line)));
    }
    text
}

/// The last round of the bounce mailbox, where there is one.
fn bounces_text(status: &Status, out: &Out) -> String {
    let round = status.provisioning.as_ref().and_then(|office| office.bounces.as_ref());
    round.map(|round| mail::round_text(round, out)).unwrap_or_default()
}

/// When the last backup was made, and how the last rehearsal of a restore went.
fn backup_text(kept: &Remembered, out: &Out) -> String {
    let never = || out.pick("まだありません", "none yet").to_owned();
    let made = kept.made.as_ref().map_or_else(never, |made| moment(made.at_ms));
    let drill = kept.drill.as_ref().map_or_else(never, |drill| {
        let (at, ms) = (moment(drill.at_ms), drill.took_ms);
        match &drill.fault {
            None => out.pick(format!("{at} に戻せました（{ms} ミリ秒）"), format!("held at {at} ({ms} ms)")),
            Some(why) => {
                out.pick(format!("{at} に戻せませんでした: {why}"), format!("failed at {at}: {why}"))
            }
        }
    });
    out.pick(
        format!("控え {made}  戻す練習 {drill}\n"),
        format!("backup {made}, rehearsal of a restore {drill}\n"),
    )
}

/// As `doctor` says it, with its command.
fn epoch_text(finding: &Finding, out: &Out) -> String {
    let severity = out.pick(finding.severity.ja(), finding.severity.en());
    let line = format!("! {} {severity}: {}", finding.id, out.pick(&finding.ja, &finding.en));
    format!("{}\n  {}\n", out.ink().bad(&line), finding.command)
}

fn moment(at_ms: i64) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    // An association of Japan reads its own time, wherever the engineer sits.
    at.to_zoned(TimeZone::fixed(Offset::constant(9))).strftime("%Y-%m-%d %H:%M").to_string()
}
