//! An engineer registers: the code at the console, the certificate it gives, what renews it, and everybody whom it lets
//! in once only or not at all. Also the two certificates of the safe.

use std::path::Path;
use std::process::Command;

use appliance::engineers::TRIES;
use appliance::machine as places;

use crate::device::Device;
use crate::engineer::{Engineer, SAFE};
use crate::fault::{Fault, Told};
use crate::holds;
use crate::machine::Machine;
use crate::net::APPLIANCE_OUTER;
use crate::shell::{self, Finished, PATIENCE};
use crate::vm::wishes;
use crate::world::{World, ZONE};

/// What stands before a code at the console.
const SHOWN: &str = "\ncode ";
const REFUSED: Option<i32> = Some(5);
/// Of OpenSSH, when nobody was let in.
const OUT: Option<i32> = Some(255);

/// One who comes with a bare key, and says `line`.
struct Comer<'a> {
    engineer: &'a Engineer,
    device: &'a Device,
}

impl Comer<'_> {
    fn enrols(&self, with: &str, line: &str) -> Told<Finished> {
        let host = format!("{}@{APPLIANCE_OUTER}", places::ENROL_USER);
        let words = if line.is_empty() { vec![host.as_str()] } else { vec![host.as_str(), line] };
        self.engineer.ssh(&self.device.space, with, &words)
    }

    fn operates(&self, with: &str) -> Told<Finished> {
        let host = format!("mm-operator@{APPLIANCE_OUTER}");
        self.engineer.ssh(&self.device.space, with, &[&host, "status -o json"])
    }

    fn keeps(&self, with: &str, given: &Finished) -> Told<()> {
        std::fs::write(self.engineer.folder.join(format!("{with}-cert.pub")), &given.stdout)?;
        Ok(())
    }
}

/// As the console shows it: the newest.
pub fn shown_code(machine: &Machine, codes_before: usize) -> Told<String> {
    shell::until("a code at the console", PATIENCE, || {
        let console = machine.console();
        let codes: Vec<&str> = console.split(SHOWN).skip(1).collect();
        Ok(codes.get(codes_before).and_then(|rest| rest.split_once('\r')).map(|(code, _)| code.to_owned()))
    })
}

/// Everything around a registration, in a machine that has a realm.
pub fn steps(
    machine: &Machine,
    engineer: &Engineer,
    device: &Device,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    registered(machine, engineer, device)?;
    step(
        "the console's code registers a key, once; the key renews its certificate of eight hours without one",
    );
    recovered(machine, engineer, device)?;
    step("the certificates of the safe are sealed, and let in whoever has their passphrase");
    guessed(machine, engineer, device)?;
    step("ten wrong codes shut a registration; RSA does not get as far as one");
    Ok(())
}

/// A blank machine and a stick that brings no authority (a folder here: a container has no disks).
pub fn blank(world: &World, root: &Path) -> Told<()> {
    let (space, folder) = (&world.net.app, world.folder.join("first"));
    std::fs::create_dir_all(&folder)?;
    let mut machine = Machine::boot(root, space, &folder)?;
    let code = first(&machine).map_err(|fault| machine.said(&fault))?;
    machine.cut()?;
    let machine = Machine::boot(root, space, &folder)?;
    let next = shown_code(&machine, 0).map_err(|fault| machine.said(&fault))?;
    holds!(next != code, "the next start shows the same code");
    Ok(())
}

fn first(machine: &Machine) -> Told<String> {
    let stick = machine.inside("/var/stick");
    std::fs::create_dir_all(&stick)?;
    std::fs::write(stick.join("first.toml"), wishes(ZONE))?;
    std::fs::write(stick.join("backup-recipients"), "age1test\n")?;
    let unit = "[Mount]\nWhat=/var/stick\nWhere=/run/stick\nType=none\nOptions=bind\n";
    machine.ok(&["mkdir", "-p", "/run/systemd/system", "/dev/disk/by-label"])?;
    shell::run_with(machine.command(&["tee", "/run/systemd/system/run-stick.mount"]), unit.as_bytes())?
        .ok("tee")?;
    machine.ok(&["systemctl", "daemon-reload"])?;
    machine.ok(&["touch", "/dev/disk/by-label/MIMAMORI"])?;
    let code = shown_code(machine, 0)?;
    for name in [
        "engineer-recovery-1",
        "engineer-recovery-2-cert.pub",
        "engineer-recovery-passphrase",
        "root-passphrase",
    ] {
        holds!(stick.join("root").join(name).exists(), "the stick did not get {name}");
    }
    let recipients = std::fs::read_to_string(machine.inside("/var/lib/mimamori-config/backup-recipients"))?;
    holds!(recipients == "age1test\n", "for whom backups are sealed: {recipients}");
    let config = machine.ok(&["mimamori", "config", "show"])?;
    let authority = std::fs::read_to_string(machine.inside(&format!("{}.pub", places::ENGINEERS_CA)))?;
    holds!(
        config.contains(authority.trim()),
        "the configuration does not name the machine's authority: {config}"
    );
    Ok(code)
}

fn codes(machine: &Machine) -> usize {
    machine.console().matches(SHOWN).count()
}

/// From a bare key to eight hours, and the attackers beside it.
pub fn registered(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let comer = Comer { engineer, device };
    engineer.key("kato", "ed25519")?;
    engineer.key("mori", "ecdsa")?;
    holds!(
        comer.enrols("kato", "AAAAA-AAAAA kato")?.code == OUT,
        "a bare key led in while nobody asks for one"
    );
    let before = codes(machine);
    machine.ok(&["mimamori", "machine", "register"])?;
    let code = shown_code(machine, before)?;
    let line = format!("{code} kato@example.jp");
    for (line, expected) in [
        ("AAAAA-AAAAA kato@example.jp", REFUSED),
        ("", REFUSED),
        (&format!("{code} -Oforce-command=sh") as &str, REFUSED),
        (&format!("{code} engineer-recovery-3"), REFUSED),
        ("/bin/sh -c id", Some(2)),
        (&format!("{code} a b"), Some(2)),
    ] {
        let done = comer.enrols("kato", line)?;
        holds!(
            done.code == expected && done.stdout.is_empty(),
            "`{line}` was answered with {:?} {}{}",
            done.code,
            done.text(),
            done.stderr
        );
    }
    let given = comer.enrols("kato", &line)?.ok("registration")?;
    comer.keeps("kato", &given)?;
    looks_right(&engineer.folder.join("kato-cert.pub"))?;
    let done = comer.operates("kato")?;
    holds!(done.code == Some(0) && done.text().contains("\"seats\""), "{:?} {}", done.code, done.stderr);
    let again = comer.enrols("kato", "")?.ok("renewal")?;
    holds!(again.stdout != given.stdout, "the renewal is the same certificate");
    comer.keeps("kato", &again)?;
    looks_right(&engineer.folder.join("kato-cert.pub"))?;
    holds!(comer.operates("kato")?.code == Some(0), "the renewed certificate leads nowhere");
    let done = comer.enrols("kato", &format!("{code} kato2"))?;
    holds!(done.code == REFUSED, "a code was good twice: {:?} {}", done.code, done.text());
    let done = comer.enrols("mori", &format!("{code} mori"))?;
    holds!(done.code == OUT, "a code was good twice: {:?} {}", done.code, done.text());
    let log = machine.ok(&["journalctl", "--no-pager", "-b", "-o", "cat"])?;
    holds!(log.contains("kato@example.jp is registered as an engineer"), "the journal does not say who");
    holds!(!log.contains(&code), "the code stands in the journal");
    Ok(())
}

/// Eight hours, one role, a terminal, a name; nothing else.
fn looks_right(certificate: &Path) -> Told<()> {
    let mut list = Command::new("ssh-keygen");
    list.arg("-L").arg("-f").arg(certificate).env("TZ", "UTC");
    let text = shell::run(list)?.ok("ssh-keygen -L")?.text();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let after = |head: &str| lines.iter().skip_while(|line| !line.starts_with(head)).nth(1).copied();
    holds!(lines.contains(&"Key ID: \"kato@example.jp\""), "{text}");
    holds!(after("Principals:") == Some("operator"), "{text}");
    holds!(
        after("Extensions:") == Some("permit-pty") && lines.contains(&"Critical Options: (none)"),
        "{text}"
    );
    let valid = lines.iter().find_map(|line| line.strip_prefix("Valid: from ")).unwrap_or_default();
    let (from, to) = valid.split_once(" to ").ok_or_else(|| Fault::new(text.clone()))?;
    let at = |text: &str| {
        let mut date = Command::new("date");
        date.args(["-u", "+%s", "-d", text]);
        let seconds = shell::run(date)?.ok("date")?.text();
        seconds.trim().parse::<i64>().map_err(|_| Fault::new(seconds))
    };
    holds!(at(to)? - at(from)? == (8 * 60 + 5) * 60, "valid {valid}");
    Ok(())
}

/// A second window, in which nobody says the right code soon enough; and who never gets as far as a code.
pub fn guessed(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let comer = Comer { engineer, device };
    engineer.key("weak", "rsa")?;
    let before = codes(machine);
    machine.ok(&["mimamori", "machine", "register"])?;
    let code = shown_code(machine, before)?;
    for _ in 0..TRIES {
        holds!(comer.enrols("mori", "AAAAA-AAAAA mori")?.code == REFUSED, "a wrong code was good");
    }
    let done = comer.enrols("mori", &format!("{code} mori"))?;
    holds!(done.code == REFUSED, "an eleventh try: {:?} {}", done.code, done.text());
    machine.ok(&["mimamori", "machine", "register"])?;
    shown_code(machine, before + 1)?;
    holds!(comer.enrols("weak", "")?.code == OUT, "RSA led to mm-enrol");
    Ok(())
}

/// The safe's: nothing without the passphrase, the operator's shell with it.
pub fn recovered(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let comer = Comer { engineer, device };
    let safe = machine.inside(SAFE);
    let passphrase = std::fs::read_to_string(safe.join("engineer-recovery-passphrase"))?;
    for name in ["engineer-recovery-1", "engineer-recovery-2"] {
        for half in ["", "-cert.pub"] {
            std::fs::copy(safe.join(format!("{name}{half}")), engineer.folder.join(format!("{name}{half}")))?;
        }
        holds!(comer.operates(name)?.code == OUT, "{name} is not sealed");
        let mut open = Command::new("ssh-keygen");
        open.args(["-q", "-p", "-N", "", "-P", passphrase.trim(), "-f"]).arg(engineer.folder.join(name));
        shell::run(open)?.ok("ssh-keygen -p")?;
        let done = comer.operates(name)?;
        holds!(done.code == Some(0), "{name}: {:?} {}", done.code, done.stderr);
    }
    Ok(())
}
