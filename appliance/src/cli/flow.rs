//! `flow`: the cases of the eleven flows, the telephone and the end of care. Decides nothing.

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_flow::{FlowAct, FlowAnswer, FlowDetail, FlowQuestion, FlowRow, FlowStep};

use super::args_flow::{FlowCommand, YesNo};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn flow(door: &Door, command: FlowCommand, out: &Out) -> Result<Exit, Failure> {
    match door.provisioning(ProvisioningQuestion::Flow(question(command)))? {
        ProvisioningAnswer::Flow(FlowAnswer::Cases(rows)) => out.result(&rows, || rows_text(&rows, out))?,
        ProvisioningAnswer::Flow(FlowAnswer::Case(detail)) => {
            out.result(&detail, || detail_text(&detail, out))?;
        }
        _ => return Err(odd_kind("provisioning")),
    }
    Ok(Exit::Ok)
}

fn question(command: FlowCommand) -> FlowQuestion {
    use FlowCommand as Typed;
    let (case, act, dry_run) = match command {
        Typed::List => return FlowQuestion::List,
        Typed::Show { case } => return FlowQuestion::Show { case },
        Typed::Open(open) => {
            return FlowQuestion::Open {
                flow: open.flow,
                facility: open.facility,
                patient: open.patient,
                membership: open.membership,
                forms: open.forms,
                dry_run: open.dry_run,
            };
        }
        Typed::Form { case, form, dry_run } => (case, FlowAct::Form { form }, dry_run),
        Typed::Answer { case, question, answer, dry_run } => {
            (case, FlowAct::Answer { question, yes: answer == YesNo::Yes }, dry_run)
        }
        Typed::Call(call) => {
            let act = FlowAct::Call {
                caller: call.caller,
                number: call.number,
                at: call.at,
                recognised_by: call.recognised_by,
            };
            (call.case, act, call.dry_run)
        }
        Typed::Change { case, field, value, dry_run } => (case, FlowAct::Change { field, value }, dry_run),
        Typed::Attach { case, facility, dry_run } => (case, FlowAct::Attach { facility }, dry_run),
        Typed::Patient { case, patient, dry_run } => (case, FlowAct::Patient { patient }, dry_run),
        Typed::Incomplete { case, dry_run } => (case, FlowAct::Incomplete, dry_run),
        Typed::Withdraw { case, dry_run } => (case, FlowAct::Withdraw, dry_run),
        Typed::Step { case, step, dry_run } => (case, FlowAct::Step { step }, dry_run),
        Typed::Confirm { case, step, how, dry_run } => (case, FlowAct::Confirm { step, how }, dry_run),
    };
    FlowQuestion::Act { case, act, dry_run }
}

fn rows_text(rows: &[FlowRow], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("案件", "case"),
        out.pick("手続き", "flow"),
        out.pick("事業所", "facility"),
        out.pick("状態", "phase"),
        out.pick("次にすること", "next"),
        out.pick("催促", "overdue"),
    ]);
    for row in rows {
        table.row([
            row.case.clone(),
            row.flow_ja.clone(),
            row.facility_name.clone(),
            phase(&row.phase, out),
            row.next_ja.clone(),
            if row.overdue { out.pick("確認待ち", "unconfirmed").to_owned() } else { String::new() },
        ]);
    }
    table.text(out.ink())
}

fn phase(phase: &str, out: &Out) -> String {
    let ja = match phase {
        "received" => "受付",
        "incomplete" => "書類不備",
        "accepted" => "受理済み",
        "done" => "完了",
        "withdrawn" => "取下げ",
        other => other,
    };
    out.pick(ja.to_owned(), phase.to_owned())
}

fn detail_text(detail: &FlowDetail, out: &Out) -> String {
    let rehearsed = if detail.dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    let row = &detail.row;
    let mut text =
        format!("{} {} {} {}{rehearsed}\n", row.case, row.flow_ja, row.facility_name, phase(&row.phase, out));
    if !detail.forms.is_empty() {
        text.push_str(&format!("{}: {}\n", out.pick("届いた書類", "forms"), detail.forms.join("、")));
    }
    for asked in &detail.questions {
        let answer = match asked.answer {
            Some(true) => out.pick("はい", "yes"),
            Some(false) => out.pick("いいえ", "no"),
            None => "?",
        };
        text.push_str(&format!("{} ({}): {answer}\n", asked.ja, asked.question));
    }
    for (field, value) in &detail.changes {
        text.push_str(&format!("{}: {field} → {value}\n", out.pick("変更", "change")));
    }
    if !detail.missing.is_empty() {
        text.push_str(&format!("{}: {}\n", out.pick("不足", "missing"), detail.missing.join("、")));
    }
    if let Some(from) = &detail.erase_from {
        text.push_str(&format!("{}: {from}\n", out.pick("消去できる日", "erasure from")));
    }
    text.push_str(&steps_text(&detail.steps, out));
    for order in &detail.orders {
        let state = order.done.as_deref().unwrap_or(out.pick("処理しています", "under way"));
        let problem = order.problem.as_deref().unwrap_or_default();
        text.push_str(&format!("SNS {} {} {state} {problem}\n", order.step, order.what_ja));
    }
    for letter in &detail.letters {
        let answer = letter.answer.as_deref().unwrap_or_default();
        text.push_str(&format!(
            "{} {} {} {} {answer}\n",
            letter.step, letter.message, letter.recipient, letter.state
        ));
    }
    text
}

fn steps_text(steps: &[FlowStep], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("手順", "step"),
        out.pick("だれが", "who"),
        out.pick("内容", "what"),
        out.pick("済んだ時刻", "at"),
        out.pick("担当", "by"),
        out.pick("確認", "how"),
        out.pick("今", "now"),
    ]);
    for step in steps {
        let now = match (step.ready, step.confirms) {
            (true, true) => out.pick("確認を記録できます", "may be confirmed"),
            (true, false) => out.pick("行えます", "ready"),
            (false, _) => "",
        };
        table.row([
            step.id.clone(),
            step.who_ja.clone(),
            step.name_ja.clone(),
            step.at.clone().unwrap_or_default(),
            step.operator.clone().unwrap_or_default(),
            step.how.clone().unwrap_or_default(),
            now.to_owned(),
        ]);
    }
    table.text(out.ink())
}
