//! A machine of our image under a real systemd: the built root, read-only, in a container of `systemd-nspawn`
//! that stands in the appliance's network. Owns the container and its data folder; ends both, on drop too.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::fault::{Fault, Told, While};
use crate::net::Namespace;
use crate::shell::{self, Finished};

/// Booting takes 2 s on an idle machine; reaching this means that it never ends.
const BOOT: Duration = Duration::from_secs(180);
/// The appliance's addresses in the world of the tests (`net`), as an engineer fixes them.
const NETWORK: &str = "[Match]\nName=wan\n\n[Network]\nAddress=192.0.2.1/24\nLinkLocalAddressing=no\n\
    IPv6AcceptRA=no\n\n[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.254\n";
/// systemd-nspawn forbids what it does not know; the jails lock themselves with these.
const CALLS: &str = "landlock_create_ruleset landlock_add_rule landlock_restrict_self";

pub struct Machine {
    container: Child,
    leader: u32,
    data: PathBuf,
    log: PathBuf,
}

impl Machine {
    /// Boots the root in the network of `space`; `folder` gets the data partition (a folder here) and the log.
    pub fn boot(root: &Path, space: &Namespace, folder: &Path) -> Told<Self> {
        let (data, log) = (folder.join("var"), folder.join("machine.log"));
        if !data.exists() {
            let mut copy = Command::new("cp");
            copy.arg("-a").arg(root.join("var")).arg(&data);
            shell::run(copy)?.ok("the data folder")?;
            let network = data.join("lib/mimamori-config/network");
            fs::create_dir_all(&network)?;
            fs::write(network.join("10-wan.network"), NETWORK)?;
        }
        let out = fs::File::create(&log)?;
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--boot", "--read-only", "--register=no", "--keep-unit", "--timezone=off"]);
        command.args(["--console=read-only", "--resolv-conf=off", "--machine=mimamori-test"]);
        command.arg("--directory").arg(root).arg(format!("--bind={}:/var", data.display()));
        command.arg(format!("--network-namespace-path=/run/netns/{}", space.name()));
        command.arg(format!("--system-call-filter={CALLS}")).arg("--capability=CAP_NET_ADMIN");
        // All three apart from ours: whoever waits for our output must not wait for the machine.
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out);
        let container = command.spawn().while_(|| "starting systemd-nspawn".into())?;
        let mut machine = Self { container, leader: 0, data, log };
        machine.leader = shell::until("the machine's first process", BOOT, || machine.first_process())?;
        shell::until("the machine's systemd to settle", BOOT, || {
            let said = machine.run(&["systemctl", "is-system-running"])?.text();
            Ok(matches!(said.trim(), "running" | "degraded").then_some(()))
        })
        .map_err(|fault| Fault::new(format!("{fault}\n{}", machine.last_words())))?;
        Ok(machine)
    }

    /// Where the machine keeps what it may write; `/var` inside.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A place of the data partition, from here.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.data.join(path.trim_start_matches("/var/"))
    }

    /// What stood on its console so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// A program of the image, run inside as root, as the console would.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.leader.to_string(), "--all", "--"]).args(words);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LANG", "C.UTF-8");
        command
    }

    pub fn run(&self, words: &[&str]) -> Told<Finished> {
        shell::run(self.command(words))
    }

    pub fn ok(&self, words: &[&str]) -> Told<String> {
        Ok(self.run(words)?.ok(&words.join(" "))?.text())
    }

    /// Its journal's end, for whoever must find the cause.
    pub fn last_words(&self) -> String {
        let journal = self.run(&["journalctl", "--no-pager", "-b", "-n", "60", "-o", "cat"]);
        let journal = journal.map(|done| done.text()).unwrap_or_default();
        let console = fs::read_to_string(&self.log).unwrap_or_default();
        let console: Vec<&str> = console.lines().rev().take(20).collect();
        format!("{journal}\nconsole: {}", console.into_iter().rev().collect::<Vec<_>>().join("\n"))
    }

    /// What went wrong, with them.
    pub fn said(&self, fault: &Fault) -> Fault {
        Fault::new(format!("{fault}\n\nthe machine's last words:\n{}", self.last_words()))
    }

    /// Politely, as a power button; the container's process is ours.
    pub fn stop(&mut self) {
        shell::end(&mut self.container);
    }

    /// As a power cut: nobody inside is told anything.
    pub fn cut(&mut self) -> Told<()> {
        shell::signal(self.leader, rustix::process::Signal::KILL);
        shell::until("the machine to be gone", BOOT, || Ok(self.container.try_wait()?.map(|_| ())))
    }

    fn first_process(&mut self) -> Told<Option<u32>> {
        if let Some(status) = self.container.try_wait()? {
            return Err(Fault::new(format!(
                "systemd-nspawn ended ({status}): {}",
                fs::read_to_string(&self.log)?
            )));
        }
        let children = format!("/proc/{0}/task/{0}/children", self.container.id());
        let children = fs::read_to_string(children).unwrap_or_default();
        for pid in children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()) {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            if name.trim() == "systemd" {
                return Ok(Some(pid));
            }
        }
        Ok(None)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}
