//! `post`: the office's outgoing post: the way by which a connection reaches a facility, print runs, and what came back.
//! Writes the files that the operator names.

use std::path::Path;

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_post::{
    Channel, DeliveryChange, ItemLine, Lane, PostAnswer, PostQuestion, Remedy, ReturnReason, RunDetail,
    RunLine, WaitingLine,
};
use provisioning::views;

use super::args_post::{Cure, Kind, LabelArgs, PostCommand, ReturnedArgs, RunArgs, Way, Why};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::imported::written;
use super::out::Out;
use super::slot;
use super::table::Table;
use crate::exit::Exit;

pub fn post(door: &Door, command: PostCommand, out: &Out) -> Result<Exit, Failure> {
    let question = match command {
        PostCommand::Delivery { whose, delivery, dry_run } => {
            let change = choose(door, &whose, delivery, dry_run)?;
            out.result(&change, || change_text(&change, out))?;
            return Ok(Exit::Ok);
        }
        PostCommand::Print { run, out: path } => {
            out.progress("印刷するPDFを作っています", "drawing the letters");
            return file(door, PostQuestion::Print { run }, &path, out);
        }
        PostCommand::Labels(LabelArgs { run, out: path, grid, start }) => {
            return file(door, PostQuestion::Labels { run, grid, start }, &path, out);
        }
        PostCommand::NewSheet { slot, dry_run } => {
            let question = ProvisioningQuestion::Post(PostQuestion::NewSheet { slot, dry_run });
            slot::renewed(door, question, out)?;
            return Ok(Exit::Ok);
        }
        PostCommand::List { lane } => PostQuestion::Waiting { lane: lane.map(lane_of) },
        PostCommand::Run(RunArgs { lane, by_hand, dry_run }) => {
            PostQuestion::Take { lane: lane_of(lane), by_hand, dry_run }
        }
        PostCommand::Runs { open } => PostQuestion::Runs { open },
        PostCommand::Show { run } => PostQuestion::Run { run },
        PostCommand::Sent { run, on, dry_run } => PostQuestion::Sent { run, on, dry_run },
        PostCommand::Undo { run, dry_run } => PostQuestion::Undo { run, dry_run },
        PostCommand::Find { text } => PostQuestion::Find { text },
        PostCommand::Back => PostQuestion::Back,
        PostCommand::Returned(ReturnedArgs { item, reason, on, opened, note, dry_run }) => {
            PostQuestion::Returned { item, reason: reason_of(reason), on, opened, note, dry_run }
        }
        PostCommand::Settle { item, remedy, dry_run } => {
            PostQuestion::Settle { item, remedy: remedy_of(remedy), dry_run }
        }
    };
    told(ask(door, question)?, out)
}

fn told(answer: PostAnswer, out: &Out) -> Result<Exit, Failure> {
    match &answer {
        PostAnswer::Delivery(change) => out.result(change, || change_text(change, out))?,
        PostAnswer::Waiting(lines) => out.result(lines, || waiting_text(lines, out))?,
        PostAnswer::Runs(runs) => out.result(runs, || runs_text(runs, out))?,
        PostAnswer::Run(detail) => out.result(detail, || detail_text(detail, out))?,
        PostAnswer::Items(items) => out.result(items, || items_text(items, out))?,
        PostAnswer::Item(item) => out.result(item, || items_text(std::slice::from_ref(item), out))?,
    }
    Ok(Exit::Ok)
}

/// A facility's id, or else a case.
pub fn choose(door: &Door, whose: &str, way: Way, dry_run: bool) -> Result<DeliveryChange, Failure> {
    let delivery = match way {
        Way::Mail => Channel::Mail,
        Way::TwoEnvelopes => Channel::TwoEnvelopes,
        Way::ByHand => Channel::ByHand,
    };
    let question = match whose.parse() {
        Ok(facility) => PostQuestion::FacilityDelivery { facility, delivery, dry_run },
        Err(_) => PostQuestion::CaseDelivery { case: whose.to_owned(), delivery, dry_run },
    };
    match ask(door, question)? {
        PostAnswer::Delivery(change) => Ok(change),
        _ => Err(odd_kind("provisioning")),
    }
}

fn ask(door: &Door, question: PostQuestion) -> Result<PostAnswer, Failure> {
    match door.provisioning(ProvisioningQuestion::Post(question))? {
        ProvisioningAnswer::Post(answer) => Ok(answer),
        _ => Err(odd_kind("provisioning")),
    }
}

/// Nothing is printed for a file that could not be written: secrets are printed once.
fn file(door: &Door, question: PostQuestion, path: &Path, out: &Out) -> Result<Exit, Failure> {
    writable(path)?;
    let ProvisioningAnswer::File { bytes, .. } = door.provisioning(ProvisioningQuestion::Post(question))?
    else {
        return Err(odd_kind("provisioning"));
    };
    written(path, &bytes, out)
}

/// A place for a new file.
fn writable(path: &Path) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let why = if path.exists() {
        "it exists already"
    } else if folder.is_some_and(|folder| !folder.is_dir()) {
        "there is no such folder"
    } else {
        return Ok(());
    };
    let path = path.display().to_string();
    Err(crate::messages::Message::FileWrite { path, why: why.to_owned() }.into())
}

fn lane_of(kind: Kind) -> Lane {
    match kind {
        Kind::Connection => Lane::Connection,
        Kind::Sheet => Lane::Sheet,
        Kind::Letter => Lane::Letter,
        Kind::Invoice => Lane::Invoice,
    }
}

fn reason_of(why: Why) -> ReturnReason {
    match why {
        Why::Unknown => ReturnReason::Unknown,
        Why::Moved => ReturnReason::Moved,
        Why::Refused => ReturnReason::Refused,
        Why::Uncollected => ReturnReason::Uncollected,
    }
}

fn remedy_of(cure: Cure) -> Remedy {
    match cure {
        Cure::Again => Remedy::Again,
        Cure::Reissue => Remedy::Reissue,
        Cure::Called => Remedy::Called,
    }
}

fn change_text(change: &DeliveryChange, out: &Out) -> String {
    let DeliveryChange { facility_name, from, to, letters, dry_run } = change;
    let rehearsed = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
    let word = |channel: &Channel| out.pick(views::channel(channel), channel.as_str());
    let moved = match letters {
        0 => String::new(),
        _ => out.pick(format!("、待っている {letters}通も"), format!(", {letters} waiting letters too")),
    };
    format!("{facility_name}: {} → {}{moved}{rehearsed}\n", word(from), word(to))
}

fn waiting_text(lines: &[WaitingLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("種類", "kind"),
        out.pick("内容", "what"),
        out.pick("施設名", "facility"),
        out.pick("VPN番号", "slot"),
        out.pick("いつ出せるか", "due"),
        out.pick("印刷", "print"),
    ]);
    for line in lines {
        let due = match &line.from {
            _ if line.after_other => out.pick("もう一方の後", "after the other").to_owned(),
            Some(from) => from.clone(),
            None => out.pick("今日から", "now").to_owned(),
        };
        let by_hand = if line.by_hand { out.pick("（手渡し）", " (by hand)") } else { "" };
        table.row([
            format!("{}{by_hand}", out.pick(views::lane(&line.lane), line.lane.as_str())),
            out.word(views::letter, &line.kind),
            line.facility_name.clone(),
            line.slot.map(|slot| slot.to_string()).unwrap_or_default(),
            due,
            if line.whole { String::new() } else { out.pick("宛名だけ", "address only").to_owned() },
        ]);
    }
    table.text(out.ink())
}

fn runs_text(runs: &[RunLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("発送番号", "run"),
        out.pick("種類", "kind"),
        out.pick("通数", "pieces"),
        out.pick("戻り", "back"),
        out.pick("印刷", "prints"),
        out.pick("状態", "state"),
        out.pick("発送した日", "sent"),
        out.pick("担当", "by"),
    ]);
    for run in runs {
        table.row([
            run.run.clone(),
            out.pick(views::lane(&run.lane), run.lane.as_str()).to_owned(),
            run.items.to_string(),
            run.returned.to_string(),
            run.prints.to_string(),
            out.word(views::run_state, &run.state),
            run.sent_on.clone().unwrap_or_default(),
            run.taken_by.clone(),
        ]);
    }
    table.text(out.ink())
}

fn detail_text(detail: &RunDetail, out: &Out) -> String {
    let mut text = runs_text(std::slice::from_ref(&detail.run), out);
    text.push('\n');
    text.push_str(&items_text(&detail.items, out));
    for left in &detail.left_out {
        let (why, remedy) = (out.pick(&left.ja, &left.en), out.pick(&left.remedy_ja, &left.remedy_en));
        let head = out.pick("入れられません", "left out");
        text.push_str(&format!("{head}: {} {why} {remedy} {}\n", left.facility_name, left.code));
    }
    if detail.dry_run {
        text.push_str(out.pick("（確かめただけ）\n", "(dry run)\n"));
    }
    text
}

fn items_text(items: &[ItemLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("番号", "piece"),
        out.pick("宛先", "to"),
        out.pick("VPN番号", "slot"),
        out.pick("状態", "state"),
        out.pick("発送した日", "sent"),
        out.pick("戻った日・理由", "came back"),
        out.pick("手続き", "remedy"),
    ]);
    for item in items {
        let reason =
            item.reason.map(|reason| out.pick(views::return_reason(&reason), reason.as_str())).unwrap_or("");
        let opened = if item.opened { out.pick("（開封）", " (open)") } else { "" };
        let remedy = item.remedy.map(|remedy| out.pick(views::remedy(&remedy), remedy.as_str()));
        table.row([
            item.item.clone(),
            format!("{} {}", item.to_name, item.to_address),
            item.slot.map(|slot| slot.to_string()).unwrap_or_default(),
            out.word(views::run_state, &item.state),
            item.sent_on.clone().unwrap_or_default(),
            format!("{} {reason}{opened}", item.returned_on.as_deref().unwrap_or_default()).trim().to_owned(),
            remedy.unwrap_or_default().to_owned(),
        ]);
    }
    table.text(out.ink())
}
