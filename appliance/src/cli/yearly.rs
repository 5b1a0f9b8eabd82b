//! `yearly` and `register`: how far the 年次更新 is and who should be called; who is late with pledge and training
//! (G-08, H-17 … H-19).

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_register::{RegisterAnswer, RegisterLine, RegisterQuestion, TrainingNoted};
use provisioning::door_yearly::{YearlyAnswer, YearlyCalled, YearlyProgress, YearlyQuestion, YearlyRound};
use provisioning::views;

use super::args_yearly::{RegisterCommand, TrainingArgs, YearlyCommand};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn yearly(door: &Door, command: YearlyCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        YearlyCommand::Open { year, from, until, dry_run } => {
            YearlyQuestion::Open { year, opens_on: from, due_on: until, dry_run }
        }
        YearlyCommand::List { year, silent } => YearlyQuestion::List { year, silent },
        YearlyCommand::Called { facility, note, dry_run } => {
            YearlyQuestion::Called { facility, note, dry_run }
        }
    };
    let ProvisioningAnswer::Yearly(answer) = door.provisioning(ProvisioningQuestion::Yearly(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    match answer {
        YearlyAnswer::Round(round) => out.result(&round, || round_text(&round, out))?,
        YearlyAnswer::Progress(progress) => out.result(&progress, || progress_text(&progress, out))?,
        YearlyAnswer::Called(called) => out.result(&called, || called_text(&called, out))?,
    }
    Ok(Exit::Ok)
}

pub fn register(door: &Door, command: RegisterCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        RegisterCommand::List { facility, late } => RegisterQuestion::List { facility, late },
        RegisterCommand::Training(TrainingArgs { kind, on, people, dry_run }) => {
            RegisterQuestion::Training { people, kind, held_on: on, dry_run }
        }
    };
    let ProvisioningAnswer::Register(answer) = door.provisioning(ProvisioningQuestion::Register(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    match answer {
        RegisterAnswer::Lines(lines) => out.result(&lines, || lines_text(&lines, out))?,
        RegisterAnswer::Noted(noted) => out.result(&noted, || noted_text(&noted, out))?,
    }
    Ok(Exit::Ok)
}

fn rehearsed<'a>(dry_run: bool, out: &Out) -> &'a str {
    if dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" }
}

fn round_text(round: &YearlyRound, out: &Out) -> String {
    let YearlyRound { year, opens_on, due_on, dry_run } = round;
    let tail = rehearsed(*dry_run, out);
    out.pick(
        format!("{year}年度の年次更新: {opens_on} から {due_on} まで{tail}\n"),
        format!("yearly round {year}: {opens_on} to {due_on}{tail}\n"),
    )
}

fn called_text(called: &YearlyCalled, out: &Out) -> String {
    let YearlyCalled { facility, year, dry_run } = called;
    let tail = rehearsed(*dry_run, out);
    out.pick(
        format!("{facility}: {year}年度の電話を記録しました{tail}\n"),
        format!("{facility}: call of {year} noted{tail}\n"),
    )
}

fn progress_text(progress: &YearlyProgress, out: &Out) -> String {
    let YearlyProgress { done, begun, untouched, silent, lines, round } = progress;
    let mut table = Table::new(&[
        out.pick("事業所", "facility"),
        out.pick("管理者", "administrator"),
        out.pick("電話番号", "telephone"),
        out.pick("状態", "stage"),
        out.pick("電話", "call"),
        out.pick("番号", "id"),
    ]);
    for line in lines {
        table.row([
            line.facility_name.clone(),
            line.admin_name.clone(),
            line.telephone.clone(),
            out.word(views::stage, &line.stage),
            if line.silent { out.pick("要", "due") } else { "" }.to_owned(),
            line.facility.to_string(),
        ]);
    }
    let head = out.pick(
        format!("済み{done}、途中{begun}、まだ{untouched}、電話するところ{silent}\n"),
        format!("done {done}, begun {begun}, untouched {untouched}, to call {silent}\n"),
    );
    format!("{}{head}{}", round_text(round, out), table.text(out.ink()))
}

fn noted_text(noted: &TrainingNoted, out: &Out) -> String {
    let TrainingNoted { kind, held_on, new, known, dry_run } = noted;
    let (tail, words) = (rehearsed(*dry_run, out), views::training(kind));
    out.pick(
        format!("{held_on} {words}: 新しく{new}名、記録済み{known}名{tail}\n"),
        format!("{held_on} {kind}: {new} new, {known} known{tail}\n"),
    )
}

fn lines_text(lines: &[RegisterLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("事業所", "facility"),
        out.pick("氏名", "name"),
        out.pick("誓約書", "pledge"),
        out.pick("説明", "briefing"),
        out.pick("研修", "training"),
        out.pick("次の研修", "next"),
        out.pick("利用者", "person"),
    ]);
    for line in lines {
        let day = |day: &Option<String>, late: bool| match day {
            Some(day) => day.clone(),
            None if late => out.pick("なし", "missing").to_owned(),
            None => String::new(),
        };
        let late = if line.training == "late" { out.pick("（過ぎています）", " (late)") } else { "" };
        table.row([
            line.facility_name.clone(),
            line.name.clone(),
            day(&line.pledged_on, line.pledge_late),
            day(&line.briefed_on, line.briefing_late),
            day(&line.trained_on, false),
            format!("{}{late}", line.training_due),
            line.person.to_string(),
        ]);
    }
    table.text(out.ink())
}
