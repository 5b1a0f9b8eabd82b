//! The console's rescue shell: one person asks, the same one agrees in vain whatever he calls himself, another opens it;
//! the console takes the second's code and nothing else, and what its screen shows is kept.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex};

use appliance::machine as places;

use crate::device::Device;
use crate::engineer::Engineer;
use crate::fault::Told;
use crate::holds;
use crate::machine::Machine;
use crate::net::APPLIANCE_OUTER;
use crate::shell::{self, Finished, PATIENCE};

const REFUSED: Option<i32> = Some(5);
const UNIT: &str = "mimamori-rescue.service";

/// The terminal at which somebody stands: a container's console cannot be typed at, so it is another.
struct Console {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<Vec<u8>>>,
}

impl Console {
    fn stand_at(machine: &Machine) -> Told<Self> {
        let mut command =
            machine.command(&["script", "-q", "-f", "-c", "tty; exec sleep infinity", "/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let screen = Arc::new(Mutex::new(Vec::new()));
        if let Some(mut stdout) = child.stdout.take() {
            let screen = Arc::clone(&screen);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = stdout.read(&mut bytes) {
                    if let Ok(mut screen) = screen.lock() {
                        screen.extend_from_slice(&bytes[..count]);
                    }
                }
            });
        }
        let keys = child.stdin.take().ok_or_else(|| crate::Fault::new("a console without keys"))?;
        let console = Self { child, keys, screen };
        let terminal = shell::until("a terminal", PATIENCE, || {
            Ok(console
                .shows()
                .lines()
                .find(|line| line.starts_with("/dev/pts/"))
                .map(|line| line.trim().to_owned()))
        })?;
        let unit = format!("[Service]\nTTYPath={terminal}\nTTYVHangup=no\nTTYReset=no\n");
        machine.ok(&["mkdir", "-p", &format!("/run/systemd/system/{UNIT}.d")])?;
        let place = format!("/run/systemd/system/{UNIT}.d/console.conf");
        shell::run_with(machine.command(&["tee", &place]), unit.as_bytes())?.ok("tee")?;
        machine.ok(&["systemctl", "daemon-reload"])?;
        Ok(console)
    }

    fn shows(&self) -> String {
        let screen = self.screen.lock().map(|screen| screen.clone()).unwrap_or_default();
        String::from_utf8_lossy(&screen).into_owned()
    }

    fn waits_for(&self, text: &str, times: usize) -> Told<()> {
        let told =
            shell::until(text, PATIENCE, || Ok((self.shows().matches(text).count() >= times).then_some(())));
        told.map_err(|fault| crate::Fault::new(format!("{fault}: {}", self.shows())))
    }

    fn types(&mut self, line: &str) -> Told<()> {
        self.keys.write_all(format!("{line}\n").as_bytes())?;
        Ok(self.keys.flush()?)
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        shell::end(&mut self.child);
    }
}

pub fn by_two(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    engineer.key("second", "ed25519")?;
    for (name, key, called) in [
        ("kato", "key", "kato"),
        ("twin", "key", "mori"),
        ("namesake", "second", "Kato"),
        ("mori", "second", "mori"),
    ] {
        engineer.certify_as(&format!("rescue-{name}"), key, "ca", "operator", "+8h", called)?;
    }
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let say = |with: &str, line: &str| -> Told<Finished> {
        engineer.ssh(&device.space, &format!("rescue-{with}"), &[&host, line])
    };
    let refused = |with: &str, line: &str| -> Told<()> {
        let done = say(with, line)?;
        holds!(done.code == REFUSED, "{with}: `{line}`: {:?} {}{}", done.code, done.text(), done.stderr);
        Ok(())
    };
    let mut console = Console::stand_at(machine)?;
    refused("mori", "rescue agree kato")?;
    refused("kato", "rescue ask --reason ' '")?;
    say("kato", "rescue ask --reason 'the disk is full'")?.ok("rescue ask")?;
    let shown = say("mori", "rescue show -o json")?.ok("rescue show")?.text();
    holds!(shown.contains("\"kato\"") && shown.contains("the disk is full"), "{shown}");
    for (with, of) in [("kato", "kato"), ("twin", "kato"), ("namesake", "kato"), ("mori", "sato")] {
        refused(with, &format!("rescue agree {of}"))?;
    }
    let state = machine.run(&["systemctl", "is-active", UNIT])?.text();
    holds!(state.trim() == "inactive", "one person opened it: {state}");

    let agreed: serde_json::Value =
        serde_json::from_str(&say("mori", "rescue agree kato -o json")?.ok("rescue agree")?.text())?;
    let code = agreed["code"].as_str().unwrap_or_default().to_owned();
    refused("mori", "rescue agree kato")?;
    console.waits_for("code: ", 1)?;
    console.types("id -u > /run/without-a-code")?;
    console.waits_for("code: ", 2)?;
    console.types(&code)?;
    console.waits_for("# ", 1)?;
    console.types("id -u > /run/rescued")?;
    shell::until("the rescue shell to do it", PATIENCE, || {
        Ok((machine.run(&["cat", "/run/rescued"])?.text().trim() == "0").then_some(()))
    })?;
    holds!(machine.run(&["cat", "/run/without-a-code"])?.code != Some(0), "a shell without a code");
    let limit = machine.ok(&["systemctl", "show", "-P", "RuntimeMaxUSec", UNIT])?;
    holds!(limit.trim() == "30min", "the rescue shell has {limit}");
    console.types("exit")?;
    shell::until("the rescue shell to end", PATIENCE, || {
        Ok((machine.run(&["systemctl", "is-active", UNIT])?.text().trim() == "inactive").then_some(()))
    })?;
    let mut transcript = String::new();
    for entry in std::fs::read_dir(machine.inside("/var/log/mimamori-rescue"))? {
        transcript.push_str(&std::fs::read_to_string(entry?.path())?);
    }
    holds!(transcript.contains("id -u > /run/rescued"), "the transcript: {transcript}");
    let log = machine.ok(&["journalctl", "--no-pager", "-b", "-o", "cat"])?;
    for line in ["kato asks for the rescue shell: the disk is full", "mori agrees with kato", "is closed"] {
        holds!(log.contains(line), "the journal does not say: {line}");
    }
    holds!(!log.contains(&code), "the code stands in the journal");
    Ok(())
}

/// One engineer commits an authority of his own and is two by it: to sshd, not for a rescue. And two admit a third.
pub fn not_by_a_committed_authority(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let own = std::fs::read_to_string(engineer.folder.join("other-ca.pub"))?;
    let good = engineer.config(device, "config show")?;
    let authority = std::fs::read_to_string(machine.inside(&format!("{}.pub", places::ENGINEERS_CA)))?;
    let his = good.replace(authority.trim(), own.trim());
    holds!(his != good, "the text names no authority: {good}");
    engineer.commit(device, &his, "--confirm 5m")?.ok("commit")?;
    let enters = || engineer.ssh(&device.space, "stranger", &[&host, "version"]);
    shell::until("his authority to be trusted by sshd", PATIENCE, || {
        Ok((enters()?.code == Some(0)).then_some(()))
    })?;
    let done = engineer.ssh(&device.space, "stranger", &[&host, "rescue ask --reason x"])?;
    holds!(done.code == REFUSED, "an authority that one committed: {:?} {}", done.code, done.stderr);
    engineer.ssh(&device.space, "stranger", &[&host, "config rollback"])?.ok("rollback")?;
    shell::until("the realm's authority to be trusted again", PATIENCE, || {
        Ok((engineer.ssh(&device.space, "good", &[&host, "version"])?.code == Some(0)).then_some(()))
    })
}
