//! The engineer: an SSH authority at home, a key, and certificates of every kind that somebody may try.
//! Owns a folder of keys.

use std::path::PathBuf;
use std::process::Command;

use appliance::machine as places;

use crate::device::Device;
use crate::fault::Told;
use crate::machine::Machine;
use crate::net::{APPLIANCE_OUTER, Namespace};
use crate::shell;
use crate::world::World;

/// Where the tests let the machine put what is for the safe.
pub const SAFE: &str = "/var/lib/safe";

/// The authority of the engineers, at home; the machine knows its public key.
pub struct Engineer {
    pub folder: PathBuf,
}

impl Engineer {
    pub fn new(world: &World) -> Told<Self> {
        let folder = world.folder.join("engineer");
        std::fs::create_dir_all(&folder)?;
        let engineer = Self { folder };
        engineer.key("ca", "ed25519")?;
        engineer.equipped()
    }

    /// Of a machine that is its own authority, whose key the tests borrow.
    pub fn of(world: &World, machine: &Machine) -> Told<Self> {
        let folder = world.folder.join("engineer");
        std::fs::create_dir_all(&folder)?;
        machine.ok(&["mimamori", "machine", "authority", "--safe", SAFE])?;
        for half in ["", ".pub"] {
            let from = format!("{}{half}", places::ENGINEERS_CA);
            std::fs::copy(machine.inside(&from), folder.join(format!("ca{half}")))?;
        }
        Self { folder }.equipped()
    }

    /// A key of that name and kind.
    pub fn key(&self, name: &str, kind: &str) -> Told<()> {
        let mut make = Command::new("ssh-keygen");
        make.args(["-q", "-t", kind, "-N", "", "-C", name, "-f"]).arg(self.folder.join(name));
        shell::run(make)?.ok("ssh-keygen")?;
        Ok(())
    }

    fn equipped(self) -> Told<Self> {
        let engineer = self;
        engineer.key("other-ca", "ed25519")?;
        engineer.key("key", "ed25519")?;
        engineer.certify("good", "ca", "operator", "+8h")?;
        engineer.certify("late", "ca", "operator", "-2h:-1h")?;
        engineer.certify("stranger", "other-ca", "operator", "+8h")?;
        engineer.certify("clerk", "ca", "clerk", "+8h")?;
        Ok(engineer)
    }

    fn certify(&self, name: &str, authority: &str, principal: &str, valid: &str) -> Told<()> {
        self.certify_as(name, "key", authority, principal, valid, &format!("test-{name}"))
    }

    /// A certificate in the file `name`, over `key`, that calls its owner `called`.
    pub fn certify_as(
        &self,
        name: &str,
        key: &str,
        authority: &str,
        principal: &str,
        valid: &str,
        called: &str,
    ) -> Told<()> {
        for half in ["", ".pub"] {
            std::fs::copy(
                self.folder.join(format!("{key}{half}")),
                self.folder.join(format!("{name}{half}")),
            )?;
        }
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-s"]).arg(self.folder.join(authority));
        sign.args(["-I", called, "-n", principal, "-V", valid]).arg(self.folder.join(format!("{name}.pub")));
        shell::run(sign)?.ok("ssh-keygen -s")?;
        Ok(())
    }

    /// OpenSSH from a place outside; the machine's key is taken as it comes.
    pub fn ssh(&self, from: &Namespace, with: &str, words: &[&str]) -> Told<shell::Finished> {
        let mut ssh = self.command(from, with);
        ssh.args(words);
        shell::run(ssh)
    }

    fn command(&self, from: &Namespace, with: &str) -> Command {
        let mut ssh = from.command("ssh");
        ssh.args([
            "-F",
            "none",
            "-o",
            "BatchMode=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "ConnectTimeout=20",
        ]);
        ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "IdentitiesOnly=yes", "-o", "LogLevel=ERROR"]);
        ssh.arg("-i").arg(self.folder.join(with));
        ssh
    }
}

impl Engineer {
    pub fn config(&self, device: &Device, line: &str) -> Told<String> {
        let host = format!("mm-operator@{APPLIANCE_OUTER}");
        Ok(self.ssh(&device.space, "good", &[&host, line])?.ok(line)?.text())
    }

    /// The text travels on standard input; nothing is a file over there.
    pub fn commit(&self, device: &Device, text: &str, words: &str) -> Told<shell::Finished> {
        let mut ssh = self.command(&device.space, "good");
        ssh.arg(format!("mm-operator@{APPLIANCE_OUTER}")).arg(format!("config commit - {words}"));
        shell::run_with(ssh, text.as_bytes())
    }
}
