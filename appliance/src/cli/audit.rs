//! `audit`: the trail of decisions, and whether every room's chain still tells the truth.

use gateway::door::{GatewayAnswer, GatewayQuestion};
use pki::TraceId;
use pki::door::{PkiAnswer, PkiQuestion};
use provisioning::door::{AuditRow, ProvisioningAnswer, ProvisioningQuestion};
use serde_json::{Value, json};
use sns::door::{AuditLine, SnsAnswer, SnsQuestion};

use super::args::{AuditCommand, Trail};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::said::{at, detail};
use super::table::Table;
use crate::exit::Exit;
use crate::messages::Message;

/// Longest detail in a table; `-o json` gives all of it.
const DETAIL_MAX: usize = 60;

pub fn audit(door: &Door, command: AuditCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List { trace, room, after, limit } => {
            let page = Page { after, limit, trace };
            let rows = match (room, trace) {
                (Some(Trail::Sns), _) => care_rows(door, page)?,
                (None, Some(_)) => {
                    let mut rows = office_rows(door, page)?;
                    rows.extend(care_rows(door, page)?);
                    rows.sort_by(|a, b| a.at.cmp(&b.at));
                    rows
                }
                (Some(Trail::Provisioning), _) | (None, None) => office_rows(door, page)?,
            };
            let next = rows.last().map_or(after, |row| row.number);
            let entries: Vec<Value> = rows.iter().map(Row::json).collect();
            out.result(&json!({ "entries": entries, "next": next }), || rows_text(&rows, out))?;
            Ok(Exit::Ok)
        }
        AuditCommand::Verify => verify(door, out),
    }
}

/// Which part of a trail is asked for.
#[derive(Clone, Copy)]
struct Page {
    after: u64,
    limit: u32,
    trace: Option<TraceId>,
}

/// One entry of whichever room's trail.
struct Row {
    room: &'static str,
    number: u64,
    at: String,
    actor: String,
    action: String,
    object: String,
    trace: Option<TraceId>,
    detail: Value,
}

impl Row {
    fn json(&self) -> Value {
        let Self { room, number, at, actor, action, object, trace, detail } = self;
        json!({
            "room": room, "number": number, "at": at, "actor": actor, "action": action,
            "object": object, "trace": trace, "detail": detail,
        })
    }
}

fn office_rows(door: &Door, page: Page) -> Result<Vec<Row>, Failure> {
    let Page { after, limit, trace } = page;
    let question = ProvisioningQuestion::AuditList { after, limit, trace };
    let ProvisioningAnswer::Audit { entries, .. } = door.provisioning(question)? else {
        return Err(odd_kind("provisioning"));
    };
    let row = |entry: AuditRow| {
        let AuditRow { number, at, actor, action, object, trace, detail, hash: _ } = entry;
        Row { room: "provisioning", number, at, actor, action, object, trace, detail }
    };
    Ok(entries.into_iter().map(row).collect())
}

fn care_rows(door: &Door, page: Page) -> Result<Vec<Row>, Failure> {
    let Page { after, limit, trace } = page;
    let lines = match door.sns(SnsQuestion::Audit { after, limit, trace })? {
        SnsAnswer::Audit(lines) => lines,
        SnsAnswer::Refused(refusal) => {
            return Err(Message::RoomSilent { room: "sns".to_owned(), why: refusal.to_string() }.into());
        }
        _ => return Err(odd_kind("sns")),
    };
    let row = |line: AuditLine| {
        let patient = line.patient.map(|patient| patient.to_string());
        let object: Vec<String> = patient.into_iter().chain(line.on).collect();
        Row {
            room: "sns",
            number: line.number,
            at: provisioning::jst::rfc3339(line.at_ms),
            actor: line.who,
            action: line.act,
            object: object.join(" "),
            trace: line.trace,
            detail: json!({ "rule": line.rule, "allowed": line.allowed }),
        }
    };
    Ok(lines.into_iter().map(row).collect())
}

fn rows_text(rows: &[Row], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("部屋", "room"),
        out.pick("番号", "number"),
        out.pick("日時", "at"),
        out.pick("だれが", "actor"),
        out.pick("何を", "action"),
        out.pick("対象", "object"),
        out.pick("追跡", "trace"),
        out.pick("内容", "detail"),
    ]);
    for row in rows {
        table.row([
            row.room.to_owned(),
            row.number.to_string(),
            at(&row.at),
            row.actor.clone(),
            row.action.clone(),
            row.object.clone(),
            row.trace.map(|trace| trace.to_string()).unwrap_or_default(),
            detail(&row.detail, DETAIL_MAX),
        ]);
    }
    table.text(out.ink())
}

/// One room's chain.
struct Chain {
    room: &'static str,
    entries: u64,
    head: String,
    /// Where and why it stops telling the truth.
    broken: Option<String>,
}

fn verify(door: &Door, out: &Out) -> Result<Exit, Failure> {
    let chains = [office(door)?, ledger(door)?, care(door)?, requests(door)?];
    let value: Vec<Value> = chains
        .iter()
        .map(|chain| {
            json!({
                "room": chain.room, "ok": chain.broken.is_none(), "entries": chain.entries,
                "head": chain.head, "broken": chain.broken,
            })
        })
        .collect();
    out.result(&value, || {
        let mut table = Table::new(&[
            out.pick("部屋", "room"),
            out.pick("結果", "result"),
            out.pick("件数", "entries"),
            out.pick("末尾", "head"),
        ]);
        for chain in &chains {
            let cells = |result: &str| {
                [chain.room.to_owned(), result.to_owned(), chain.entries.to_string(), chain.head.clone()]
            };
            match &chain.broken {
                None => table.row(cells(out.pick("正しい", "whole"))),
                Some(why) => table.bad_row(cells(why)),
            }
        }
        table.text(out.ink())
    })?;
    Ok(if chains.iter().all(|chain| chain.broken.is_none()) { Exit::Ok } else { Exit::Failed })
}

fn office(door: &Door) -> Result<Chain, Failure> {
    match door.provisioning(ProvisioningQuestion::AuditVerify) {
        Ok(ProvisioningAnswer::AuditVerified { entries, head }) => {
            Ok(Chain { room: "provisioning", entries, head, broken: None })
        }
        Ok(_) => Err(odd_kind("provisioning")),
        // A broken chain is an answer; a room that cannot answer is not.
        Err(failure) if failure.exit == Exit::TryLater => Err(failure),
        Err(failure) => Ok(Chain {
            room: "provisioning",
            entries: 0,
            head: String::new(),
            broken: Some(format!("{} {}", failure.words.code, failure.words.en)),
        }),
    }
}

fn ledger(door: &Door) -> Result<Chain, Failure> {
    let chain = |entries, head, broken| Chain { room: "pki", entries, head, broken };
    match door.pki(PkiQuestion::VerifyLedger)? {
        PkiAnswer::LedgerVerified { entries, head } => Ok(chain(entries, head.to_string(), None)),
        PkiAnswer::LedgerBroken { entry, why } => Ok(chain(entry, String::new(), Some(why))),
        PkiAnswer::Refused(refusal) => Ok(chain(0, String::new(), Some(refusal.to_string()))),
        _ => Err(odd_kind("pki")),
    }
}

fn care(door: &Door) -> Result<Chain, Failure> {
    let chain = |entries, head, broken| Chain { room: "sns", entries, head, broken };
    match door.sns(SnsQuestion::VerifyAudit)? {
        SnsAnswer::AuditVerified(head) => Ok(chain(head.entries, head.hash.to_string(), None)),
        SnsAnswer::Refused(refusal) => Ok(chain(0, String::new(), Some(refusal.to_string()))),
        _ => Err(odd_kind("sns")),
    }
}

fn requests(door: &Door) -> Result<Chain, Failure> {
    let chain = |entries, head, broken| Chain { room: "gateway", entries, head, broken };
    match door.gateway(GatewayQuestion::VerifyAudit)? {
        GatewayAnswer::AuditVerified { entries, head } => Ok(chain(entries, head, None)),
        GatewayAnswer::AuditBroken { entry } => {
            Ok(chain(entry, String::new(), Some(format!("entry {entry} does not follow"))))
        }
        GatewayAnswer::Failed { why } => Ok(chain(0, String::new(), Some(why))),
        _ => Err(odd_kind("gateway")),
    }
}
