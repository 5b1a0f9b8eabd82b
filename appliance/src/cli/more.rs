//! `device requests`, `approve`, `decline`: what facilities ask for above their quota, and the secretariat's word (G-07).

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_more::{MoreAnswer, MoreDecided, MoreLine, MoreQuestion};
use provisioning::views;

use super::args_more::{MoreCommand, MoreTurn};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::said::minute;
use super::table::Table;
use crate::exit::Exit;

pub fn more(door: &Door, command: MoreCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        MoreCommand::Requests { facility, waiting } => MoreQuestion::List { facility, waiting },
        MoreCommand::Approve(MoreTurn { request, dry_run }) => {
            MoreQuestion::Decide { request, approved: true, dry_run }
        }
        MoreCommand::Decline(MoreTurn { request, dry_run }) => {
            MoreQuestion::Decide { request, approved: false, dry_run }
        }
    };
    let ProvisioningAnswer::More(answer) = door.provisioning(ProvisioningQuestion::More(question))? else {
        return Err(odd_kind("provisioning"));
    };
    match answer {
        MoreAnswer::Lines(lines) => out.result(&lines, || lines_text(&lines, out))?,
        MoreAnswer::Decided(decided) => out.result(&decided, || decided_text(&decided, out))?,
    }
    Ok(Exit::Ok)
}

fn lines_text(lines: &[MoreLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("申請", "request"),
        out.pick("施設", "facility"),
        out.pick("台数", "wanted"),
        out.pick("いま／上限", "held/quota"),
        out.pick("状態", "standing"),
        out.pick("申請日時", "asked"),
        out.pick("申請者", "by"),
        out.pick("理由", "reason"),
    ]);
    for line in lines {
        table.row([
            line.request.clone(),
            line.facility_name.clone(),
            line.wanted.to_string(),
            format!("{}/{}", line.held, line.quota),
            out.word(views::more, &line.standing),
            minute(&line.asked_at),
            line.admin_name.clone(),
            line.reason.clone(),
        ]);
    }
    table.text(out.ink())
}

fn decided_text(decided: &MoreDecided, out: &Out) -> String {
    let MoreDecided { request, facility_name, wanted, standing, quota, dry_run, .. } = decided;
    let tail = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    let word = out.word(views::more, standing);
    out.pick(
        format!("{request} {facility_name} {wanted}台: {word}、上限 {quota}件{tail}\n"),
        format!("{request} {facility_name} {wanted} more: {word}, quota {quota}{tail}\n"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Format;
    use crate::messages::Language;

    /// G-07: a rehearsal says that it was one, and both languages say how many there may be.
    #[test]
    fn a_decision_says_the_new_quota() {
        let decided = |dry_run| MoreDecided {
            request: "m-abc".into(),
            facility: "f-0001".parse().unwrap(),
            facility_name: "青葉病院".into(),
            wanted: 2,
            standing: "approved".into(),
            quota: 22,
            dry_run,
        };
        let said = decided_text(&decided(true), &Out::new(Format::Text, Language::Ja));
        assert_eq!(said, "m-abc 青葉病院 2台: 承認、上限 22件（確かめただけ）\n");
        let said = decided_text(&decided(false), &Out::new(Format::Text, Language::En));
        assert_eq!(said, "m-abc 青葉病院 2 more: approved, quota 22\n");
    }
}
