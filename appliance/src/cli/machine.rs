//! `machine apply`: brings firewall and SSH into line with the configuration, or shows what would come.

use std::path::Path;

use serde_json::json;

use super::args_machine::MachineCommand;
use super::failure::Failure;
use super::out::Out;
use super::{backup, config, data, engineers, engineers_wire, first, realm, rescue, update};
use crate::applied;
use crate::exit::Exit;
use crate::wall;

pub fn machine(path: &Path, command: MachineCommand, out: &Out) -> Result<Exit, Failure> {
    let dry_run = match command {
        MachineCommand::Apply { dry_run } => dry_run,
        MachineCommand::Answer => return config::answer(path),
        MachineCommand::Update => return update::answer(),
        MachineCommand::Bless => return update::bless(path),
        MachineCommand::Data => return data::data(out),
        MachineCommand::Authority { safe } => return engineers::authority(safe.as_deref(), out),
        MachineCommand::Register => return engineers::open_window(path).map(|()| Exit::Ok),
        MachineCommand::Offered { kind, body } => return engineers::offered(&kind, &body, out),
        MachineCommand::Enrol => return engineers_wire::enrol(out),
        MachineCommand::Engineers => return engineers_wire::answer(path),
        MachineCommand::Rescue => return rescue::console(out),
        MachineCommand::Backup => return backup::answer(path),
        MachineCommand::First => return first::first(out),
    };
    // A blank machine has none yet; one that cannot be read is a fault.
    let config = path.exists().then(|| realm::config(path)).transpose()?;
    let rules = wall::rules(config.as_ref());
    if !dry_run {
        applied::apply(config.as_ref())?;
    }
    let management: Vec<String> = config
        .iter()
        .flat_map(|config| config.management.addresses.iter().map(ToString::to_string))
        .collect();
    let ssh_ca = config.as_ref().and_then(|config| config.management.ssh_ca.clone());
    let value = json!({ "dry_run": dry_run, "rules": rules, "management": management, "ssh_ca": ssh_ca });
    out.result(&value, || if dry_run { rules } else { String::new() })?;
    Ok(Exit::Ok)
}
