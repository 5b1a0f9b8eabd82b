//! `person`: who is registered where; 一時停止, 再開, a new first password (B-13, B-24, B-29).

use provisioning::door::{ProvisioningAnswer, ProvisioningQuestion};
use provisioning::door_person::{FirstPassword, PersonChange, PersonLine, PersonQuestion};
use provisioning::views;

use super::args_person::{PersonCommand, PersonTurn};
use super::ask::{Door, odd_kind};
use super::failure::Failure;
use super::out::Out;
use super::table::Table;
use crate::exit::Exit;

pub fn person(door: &Door, command: PersonCommand, out: &Out) -> Result<Exit, Failure> {
    match command {
        PersonCommand::List { facility, words } => {
            let ProvisioningAnswer::People(lines) = ask(door, PersonQuestion::List { facility, words })?
            else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&lines, || lines_text(&lines, out))?;
        }
        PersonCommand::Suspend(PersonTurn { person, dry_run }) => {
            changed(door, PersonQuestion::Suspend { person, dry_run }, out)?;
        }
        PersonCommand::Resume(PersonTurn { person, dry_run }) => {
            changed(door, PersonQuestion::Resume { person, dry_run }, out)?;
        }
        PersonCommand::Password(PersonTurn { person, dry_run }) => {
            let ProvisioningAnswer::FirstPassword(made) =
                ask(door, PersonQuestion::Password { person, dry_run })?
            else {
                return Err(odd_kind("provisioning"));
            };
            out.result(&made, || password_text(&made, out))?;
        }
    }
    Ok(Exit::Ok)
}

fn ask(door: &Door, question: PersonQuestion) -> Result<ProvisioningAnswer, Failure> {
    door.provisioning(ProvisioningQuestion::Person(question))
}

fn changed(door: &Door, question: PersonQuestion, out: &Out) -> Result<(), Failure> {
    let ProvisioningAnswer::PersonChanged(change) = ask(door, question)? else {
        return Err(odd_kind("provisioning"));
    };
    out.result(&change, || {
        let PersonChange { name, login, state, changed, dry_run, .. } = &change;
        let state = out.word(views::state, state);
        let rehearsed = if *dry_run { out.pick("（確かめただけ）", " (dry run)") } else { "" };
        let already = if *changed { "" } else { out.pick("（もとのまま）", " (as it was)") };
        format!("{name} {login}: {state}{already}{rehearsed}\n")
    })
}

fn password_text(made: &FirstPassword, out: &Out) -> String {
    let FirstPassword { name, login, password, .. } = made;
    match password {
        None => out.pick(
            format!("{name} {login}: はじめのパスワードを出し直せます（確かめただけ）\n"),
            format!("{name} {login}: can be given a new first password (dry run)\n"),
        ),
        Some(password) => out.pick(
            format!("{name} {login}\nはじめのパスワード: {password}\nこの表示は一度だけです。本人に直接伝えてください。\n"),
            format!("{name} {login}\nfirst password: {password}\nIt is shown once; tell the person directly.\n"),
        ),
    }
}

fn lines_text(lines: &[PersonLine], out: &Out) -> String {
    let mut table = Table::new(&[
        out.pick("氏名", "name"),
        out.pick("ログインID", "login"),
        out.pick("役割", "role"),
        out.pick("施設名", "facility"),
        out.pick("状態", "state"),
        out.pick("利用者", "person"),
    ]);
    for line in lines {
        let state = if line.state == "active" { &line.account } else { &line.state };
        table.row([
            line.name.clone(),
            line.login.clone(),
            out.word(views::role_word, &line.role),
            line.facility_name.clone(),
            out.word(views::state, state),
            line.person.to_string(),
        ]);
    }
    table.text(out.ink())
}
