//! What follows from the configuration on a machine of our image: the firewall's base, and whom sshd trusts.
//! Run by root before the network rises. An edge: writes below `/run`, executes `nft`.
//! The wall is closed first; what cannot be applied leaves it closed.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::config::Config;
use crate::files;
use crate::machine;
use crate::messages::Message;
use crate::wall;

/// Where Debian has it; before there is a configuration nobody can say otherwise.
const NFT: &str = "/usr/sbin/nft";

/// Both; without a configuration nobody is let in.
pub fn apply(config: Option<&Config>) -> Result<(), Message> {
    if !table_stands() {
        nft(wall::CLOSED)?;
    }
    // A wall that stands is replaced in one transaction, or not at all.
    nft(&wall::rules(config))?;
    trust(config)?;
    anchor(config)
}

/// The first authority of a realm is kept: one engineer who commits another, of his own, is not two for a rescue.
fn anchor(config: Option<&Config>) -> Result<(), Message> {
    let path = Path::new(machine::RESCUE_CA);
    let Some(line) = config.and_then(|config| config.management.ssh_ca.as_deref()) else { return Ok(()) };
    if path.exists() {
        return Ok(());
    }
    files::replace(path, format!("{line}\n").as_bytes(), 0o644)
        .map_err(|error| failed("ssh", error.to_string()))
}

fn table_stands() -> bool {
    Command::new(NFT)
        .args(["list", "table", "inet", wall::TABLE_NAME])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// An empty file is nobody.
fn trust(config: Option<&Config>) -> Result<(), Message> {
    let line = config.and_then(|config| config.management.ssh_ca.as_deref()).unwrap_or_default();
    let folder = Path::new(machine::APPLIED);
    let (file, new) = (folder.join(machine::SSH_CA), folder.join("ssh-user-ca.new"));
    fs::create_dir_all(folder)
        .and_then(|()| files::remove(&new))
        .and_then(|()| files::write_new(&new, format!("{line}\n").as_bytes()))
        .and_then(|()| fs::rename(&new, &file))
        .map_err(|error| failed("ssh", error.to_string()))
}

fn nft(rules: &str) -> Result<(), Message> {
    let mut command = Command::new(NFT);
    command.args(["-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed("nft", error.to_string()))?;
    if let Some(mut stdin) = child.stdin.take() {
        // An nft that refuses may end before it has read everything; its own words follow below.
        let _ = stdin.write_all(rules.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| failed("nft", error.to_string()))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(failed("nft", words.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect()))
}

fn failed(what: &str, why: String) -> Message {
    Message::Apply { what: what.to_owned(), why }
}
