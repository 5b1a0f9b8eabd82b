//! `post`: the office's outgoing post, and the way by which a connection reaches a facility.

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_post::{Channel, DeliveryChange, PostAnswer, PostQuestion};
use provisioning::views;

use super::args_post::{PostCommand, Way};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use crate::exit::Exit;

pub fn post(door: &Door, command: PostCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        PostCommand::Delivery { whose, delivery, dry_run } => {
            let change = choose(door, &whose, delivery, dry_run)?;
            out.result(&change, || change_text(&change, out))?;
        }
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
    let PostAnswer::Delivery(change) = ask(door, question)?;
    Ok(change)
}

fn ask(door: &Door, question: PostQuestion) -> Result<PostAnswer, Failure> {
    match door.provisioning(ProvisioningQuestion::Post(question))? {
        ProvisioningAnswer::Post(answer) => Ok(answer),
        _ => Err(odd_kind("provisioning")),
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
