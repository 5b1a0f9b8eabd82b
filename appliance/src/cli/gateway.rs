//! `gateway`: who is connected now, why somebody is not, and the cut.

use gateway::door::{GatewayAnswer, GatewayQuestion, LiveConnection, RefusalRecord};
use provisioning::jst;
use serde_json::json;
use vpn::SlotNumber;

use super::args::GatewayCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;
use crate::messages::Message;

pub fn gateway(door: &Door, command: GatewayCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        GatewayCommand::Live => {
            let GatewayAnswer::Live(rows) = door.gateway(GatewayQuestion::Live)? else {
                return Err(odd_kind("gateway"));
            };
            out.result(&rows, || live_text(&rows, out))?;
            Ok(Exit::Ok)
        }
        GatewayCommand::Cut { slot, dry_run } => cut(door, slot, dry_run, out),
        GatewayCommand::Reload { dry_run } => reload(door, dry_run, out),
        GatewayCommand::Why { what } => why(door, &what, out),
        GatewayCommand::Metrics => {
            let GatewayAnswer::Metrics(text) = door.gateway(GatewayQuestion::Metrics)? else {
                return Err(odd_kind("gateway"));
            };
            out.result(&json!({ "metrics": text }), || text.clone())?;
            Ok(Exit::Ok)
        }
    }
}

fn reload(door: &Door, dry_run: bool, out: &Out) -> Result<Exit, Failure> {
    match door.gateway(GatewayQuestion::Reload { dry_run })? {
        GatewayAnswer::Reloaded => {}
        GatewayAnswer::Failed { why } => {
            return Err(Message::OpenFailed { room: "gateway".to_owned(), why }.into());
        }
        _ => return Err(odd_kind("gateway")),
    }
    out.result(&json!({ "reloaded": !dry_run, "dry_run": dry_run }), || {
        let ja = if dry_run {
            "読み直せます。\n"
        } else {
            "読み直しました。次の接続から使います。\n"
        };
        let en = if dry_run { "can be read anew\n" } else { "read anew; used from the next connection on\n" };
        out.pick(ja, en).to_owned()
    })?;
    Ok(Exit::Ok)
}

fn live_text(rows: &[LiveConnection], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("VPN番号", "slot"),
        out.pick("つながった日時", "since"),
        out.pick("利用者", "person"),
        out.pick("通信", "streams"),
        out.pick("証明書", "certificate"),
    ]);
    for row in rows {
        table.row([
            row.slot.to_string(),
            jst::rfc3339(row.since_ms),
            row.person.as_ref().map(ToString::to_string).unwrap_or_default(),
            row.streams.to_string(),
            row.certificate.map(|serial| serial.to_string()).unwrap_or_default(),
        ]);
    }
    table.text(out.ink())
}

fn cut(door: &Door, slot: SlotNumber, dry_run: bool, out: &Out) -> Result<Exit, Failure> {
    let answer = match door.gateway(GatewayQuestion::Cut { slot, dry_run })? {
        GatewayAnswer::Cut(answer) => answer,
        GatewayAnswer::NothingToCut => {
            return Err(Message::NothingThere { what: slot.to_string() }.into());
        }
        _ => return Err(odd_kind("gateway")),
    };
    let (connections, sessions) = (answer.connections, answer.sessions);
    let value = json!({ "slot": slot, "connections": connections, "sessions": sessions, "dry_run": dry_run });
    out.result(&value, || {
        let ja = if dry_run { "切断されるもの" } else { "切断しました" };
        let en = if dry_run { "would be cut" } else { "cut" };
        out.pick(
            format!("{slot} {ja}: 接続 {connections} サインイン {sessions}\n（利用停止ではありません。証明書とトンネルも断つには device revoke）\n"),
            format!("{slot} {en}: {connections} connections, {sessions} sessions\n(not a revocation: for certificate and tunnel too, use device revoke)\n"),
        )
    })?;
    Ok(Exit::Ok)
}

/// A four-digit code of the help page, or a slot.
fn why(door: &Door, what: &str, out: &Out) -> Result<Exit, Failure> {
    let question = match what.parse() {
        Ok(slot) => GatewayQuestion::Why { slot },
        Err(_) => GatewayQuestion::Code { code: what.to_owned() },
    };
    let GatewayAnswer::Why(rows) = door.gateway(question)? else { return Err(odd_kind("gateway")) };
    if rows.is_empty() {
        return Err(Message::NothingThere { what: what.to_owned() }.into());
    }
    out.result(&rows, || why_text(&rows, out))?;
    Ok(Exit::Ok)
}

fn why_text(rows: &[RefusalRecord], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("日時", "at"),
        out.pick("VPN番号", "slot"),
        out.pick("コード", "code"),
        out.pick("理由", "reason"),
        out.pick("追跡", "trace"),
    ]);
    for row in rows {
        table.row([
            jst::rfc3339(row.at_ms),
            row.slot.map(|slot| slot.to_string()).unwrap_or_default(),
            row.code.clone(),
            out.pick(row.ja.clone(), row.en.clone()),
            row.trace.clone(),
        ]);
    }
    table.text(out.ink())
}
