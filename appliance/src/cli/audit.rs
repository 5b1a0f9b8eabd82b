//! `audit`: the trail of decisions, and whether every room's chain still tells the truth.

use pki::door::{PkiAnswer, PkiQuestion};
use provisioning::door::{AuditRow, ProvisioningAnswer, ProvisioningQuestion};
use serde_json::{Value, json};
use sns::door::{SnsAnswer, SnsQuestion};

use super::args::AuditCommand;
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

/// Longest detail in a table; `-o json` gives all of it.
const DETAIL_MAX: usize = 60;

pub fn audit(door: &Door, command: AuditCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        AuditCommand::List { trace, after, limit } => {
            let question = ProvisioningQuestion::AuditList { after, limit, trace };
            let ProvisioningAnswer::Audit { entries, next } = door.provisioning(question)? else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&json!({ "entries": entries, "next": next }), || rows_text(&entries, out))?;
            Ok(Exit::Ok)
        }
        AuditCommand::Verify => verify(door, out),
    }
}

fn rows_text(entries: &[AuditRow], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("番号", "number"),
        out.pick("日時", "at"),
        out.pick("だれが", "actor"),
        out.pick("何を", "action"),
        out.pick("対象", "object"),
        out.pick("追跡", "trace"),
        out.pick("内容", "detail"),
    ]);
    for entry in entries {
        table.row([
            entry.number.to_string(),
            entry.at.clone(),
            entry.actor.clone(),
            entry.action.clone(),
            entry.object.clone(),
            entry.trace.map(|trace| trace.to_string()).unwrap_or_default(),
            entry.detail.to_string().chars().take(DETAIL_MAX).collect(),
        ]);
    }
    table.text()
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
    let chains = [office(door)?, ledger(door)?, care(door)?];
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
            let result = match &chain.broken {
                None => out.pick("正しい", "whole").to_owned(),
                Some(why) => why.clone(),
            };
            table.row([chain.room.to_owned(), result, chain.entries.to_string(), chain.head.clone()]);
        }
        table.text()
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
