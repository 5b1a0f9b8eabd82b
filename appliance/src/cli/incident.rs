//! `incident`: what happened, the law's two clocks, step by step (H-13).

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_incident::{
    IncidentAnswer, IncidentDetail, IncidentLine, IncidentQuestion, NewIncident,
};
use provisioning::views;

use super::args_incident::{IncidentArgs, IncidentCommand};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn incident(door: &Door, command: IncidentCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        IncidentCommand::List { all } => IncidentQuestion::List { all },
        IncidentCommand::Show { incident } => IncidentQuestion::Show { incident },
        IncidentCommand::Open(args) => open(args),
        IncidentCommand::Step { incident, step, note, dry_run } => {
            IncidentQuestion::Step { incident, step, note, dry_run }
        }
    };
    let ProvisioningAnswer::Incident(answer) = door.provisioning(ProvisioningQuestion::Incident(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    match answer {
        IncidentAnswer::Lines(lines) => out.result(&lines, || lines_text(&lines, out))?,
        IncidentAnswer::Detail(detail) => out.result(&detail, || detail_text(&detail, out))?,
    }
    Ok(Exit::Ok)
}

fn open(args: IncidentArgs) -> IncidentQuestion {
    let IncidentArgs { kind, known, summary, facility, people, unlawful, no_report, dry_run } = args;
    let new =
        NewIncident { facility, kind, known_on: known, unlawful, reportable: !no_report, people, summary };
    IncidentQuestion::Open { new, dry_run }
}

fn lines_text(lines: &[IncidentLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("番号", "incident"),
        out.pick("種類", "kind"),
        out.pick("事業所", "facility"),
        out.pick("知った日", "known"),
        out.pick("速報の期限", "prompt report"),
        out.pick("確報の期限", "final report"),
    ]);
    for line in lines {
        let clock = |by: &str, state: &str, ja: &str| match state {
            "" => String::new(),
            _ => format!("{by} {}", out.pick(ja, state)),
        };
        table.row([
            line.incident.clone(),
            out.word(views::incident, &line.kind),
            line.facility_name.clone(),
            line.known_on.clone(),
            clock(&line.prompt_by, &line.prompt, &line.prompt_ja),
            clock(&line.final_by, &line.last, &line.final_ja),
        ]);
    }
    table.text(out.ink())
}

fn detail_text(detail: &IncidentDetail, out: &Out) -> String {
    let mut text = lines_text(std::slice::from_ref(&detail.line), out);
    text.push_str(&format!("{}\n", detail.line.summary));
    for step in &detail.steps {
        let word = out.pick(&step.step_ja, &step.step);
        text.push_str(&format!("{}  {word}  {}  {}\n", views::when(&step.at), step.note, step.operator));
    }
    let next = detail.next.join(", ");
    text.push_str(&out.pick(format!("次にできること: {next}\n"), format!("next: {next}\n")));
    if detail.dry_run {
        text.push_str(out.pick("（確かめただけ）\n", "(dry run)\n"));
    }
    text
}
