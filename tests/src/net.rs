//! The network of the world: one namespace for the appliance, one per device, one between them.
//!
//! ```text
//!   mms-<run>-app ──192.0.2.1 ══ 192.0.2.254── mms-<run>-net ──198.51.100.254 (bridge)══ mms-<run>-d<n>
//!   the appliance                               routes, knows nobody                      198.51.100.<n>
//! ```
//! Documentation addresses, no default route anywhere: nothing leaves this machine.
//! Owns namespaces, links and `/etc/netns/<namespace>/`; ends with `Net::clear`, also called on drop
//! and on a signal. What a killed run left behind is removed by the next one.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::fault::{Fault, Told, While};
use crate::shell::{self, PATIENCE};

pub const APPLIANCE_OUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const ROUTER_UP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const ROUTER_DOWN: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);

/// All names of this harness begin so; the run follows (a process id, and a count after the first).
const PREFIX: &str = "mms-";
const HOSTS: &str = "/etc/netns";
/// Where `ip netns` keeps them.
const NAMESPACES: &str = "/run/netns";
/// Where `wireguard-go` puts the control sockets of all namespaces: names must be unique.
const CONTROL_SOCKETS: &str = "/var/run/wireguard";

pub struct Net {
    run: String,
    names: Vec<(Ipv4Addr, String)>,
    pub app: Namespace,
    devices: u8,
}

/// A place to run programs in.
#[derive(Clone)]
pub struct Namespace {
    name: String,
    pub outer: Ipv4Addr,
}

impl Namespace {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// What its programs see in `/etc`: `ip netns exec` lays each entry over the one of that name. Goes with the run.
    pub fn etc(&self) -> PathBuf {
        Path::new(HOSTS).join(&self.name)
    }

    /// A command line without quotes, whose failure is a fault.
    pub fn sh(&self, line: &str) -> Told<String> {
        let mut words = line.split_whitespace();
        let mut command = self.command(words.next().unwrap_or("true"));
        command.args(words);
        Ok(shell::run(command)?.ok(line)?.text())
    }

    /// A connection that begins inside, for somebody outside. Only the thread that makes it ever enters.
    pub fn connect(&self, to: SocketAddr, within: Duration) -> Told<TcpStream> {
        let place = fs::File::open(Path::new(NAMESPACES).join(&self.name))?;
        let inside = std::thread::spawn(move || {
            move_into_link_name_space(place.as_fd(), Some(LinkNameSpaceType::Network))?;
            TcpStream::connect_timeout(&to, within)
        });
        let made = inside.join().map_err(|_| Fault::new("the thread in the namespace broke"))?;
        made.while_(|| format!("connecting to {to}"))
    }
}

impl Net {
    /// `names`: what every hosts file says (ruling 4: tests use hosts entries).
    pub fn raise(run: &str, names: Vec<(Ipv4Addr, String)>) -> Told<Self> {
        let app = Namespace { name: format!("{PREFIX}{run}-app"), outer: APPLIANCE_OUTER };
        let net = Self { run: run.to_owned(), names, app, devices: 0 };
        let router = net.router();
        net.add_namespace(&net.app)?;
        net.add_namespace(&router)?;
        ip(&format!("link add wan netns {} type veth peer name wan netns {}", net.app.name, router.name))?;
        net.app.sh(&format!("ip address add {APPLIANCE_OUTER}/24 dev wan"))?;
        net.app.sh("ip link set wan up")?;
        net.app.sh(&format!("ip route add 198.51.100.0/24 via {ROUTER_UP}"))?;
        router.sh(&format!("ip address add {ROUTER_UP}/24 dev wan"))?;
        router.sh("ip link set wan up")?;
        router.sh("ip link add lan type bridge")?;
        router.sh(&format!("ip address add {ROUTER_DOWN}/24 dev lan"))?;
        router.sh("ip link set lan up")?;
        let mut forward = router.command("sh");
        forward.args(["-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
        shell::run(forward)?.ok("forwarding in the router")?;
        Ok(net)
    }

    /// A namespace for one more device, linked and named.
    pub fn add_device(&mut self) -> Told<Namespace> {
        self.devices += 1;
        let n = self.devices;
        self.add_server(&format!("d{n}"), Ipv4Addr::new(198, 51, 100, n))
    }

    /// A namespace for somebody else's machine, beside the devices.
    pub fn add_server(&self, port: &str, outer: Ipv4Addr) -> Told<Namespace> {
        let space = Namespace { name: format!("{PREFIX}{}-{port}", self.run), outer };
        self.add_namespace(&space)?;
        let router = self.router();
        ip(&format!("link add wan netns {} type veth peer name {port} netns {}", space.name, router.name))?;
        space.sh(&format!("ip address add {}/24 dev wan", space.outer))?;
        space.sh("ip link set wan up")?;
        space.sh(&format!("ip route add 192.0.2.0/24 via {ROUTER_DOWN}"))?;
        router.sh(&format!("ip link set {port} master lan up"))?;
        Ok(space)
    }

    /// The provider's router carries an inner address to the appliance's outer link, as an attacker
    /// beside us could.
    pub fn route_inward(&self, inner: Ipv4Addr) -> Told<()> {
        self.router().sh(&format!("ip route replace {inner} via {APPLIANCE_OUTER}"))?;
        Ok(())
    }

    /// Counts packets for an inner address that come in on the outer link, before any firewall looks at them.
    pub fn count_arrivals(&self, inner: Ipv4Addr) -> Told<()> {
        for line in [
            "add table inet mms_probe".to_owned(),
            "add chain inet mms_probe arrivals { type filter hook prerouting priority -300 ; }".to_owned(),
            format!("add rule inet mms_probe arrivals iifname \"wan\" ip daddr {inner} counter"),
        ] {
            let mut nft = self.app.command("nft");
            nft.arg(&line);
            shell::run(nft)?.ok(&line)?;
        }
        Ok(())
    }

    pub fn arrivals(&self) -> Told<u64> {
        let listed = self.app.sh("nft list chain inet mms_probe arrivals")?;
        let packets = listed.split("packets ").nth(1).and_then(|rest| rest.split_whitespace().next());
        packets.and_then(|count| count.parse().ok()).ok_or_else(|| Fault::new("nft shows no counter"))
    }

    /// At most 15 characters, unique on this machine, short enough for every client.
    pub fn interface_name(&self) -> String {
        interface_name(&self.run, self.devices)
    }

    /// Everything with this run's name: processes by id, namespaces, files.
    pub fn clear(&self) {
        clear(&self.run);
    }

    fn router(&self) -> Namespace {
        Namespace { name: format!("{PREFIX}{}-net", self.run), outer: ROUTER_DOWN }
    }

    fn add_namespace(&self, space: &Namespace) -> Told<()> {
        let folder = Path::new(HOSTS).join(&space.name);
        fs::create_dir_all(&folder)?;
        let mut hosts = String::from("127.0.0.1 localhost\n");
        for (address, name) in &self.names {
            hosts.push_str(&format!("{address} {name}\n"));
        }
        fs::write(folder.join("hosts"), hosts)?;
        ip(&format!("netns add {}", space.name))?;
        space.sh("ip link set lo up")?;
        Ok(())
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The folder of a run's files: keys, bundles, state. Removed with it.
pub fn folder(run: &str) -> PathBuf {
    std::env::temp_dir().join(format!("{PREFIX}{run}"))
}

/// A name for a run of this process that no other run has.
pub fn fresh_run() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static RUNS: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    match RUNS.fetch_add(1, Ordering::SeqCst) {
        0 => pid.to_string(),
        again => format!("{pid}x{again}"),
    }
}

/// Runs whose process is gone: somebody killed them too hard to let them clean up.
pub fn clear_leftovers() {
    let mut runs: Vec<String> = namespaces().iter().filter_map(|name| run_of(name)).collect();
    for folder in [Path::new(HOSTS), &std::env::temp_dir()] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        runs.extend(entries.filter_map(|entry| run_of(&entry.file_name().to_string_lossy())));
    }
    runs.sort();
    runs.dedup();
    for run in runs {
        let pid = run.split('x').next().unwrap_or_default();
        if !Path::new("/proc").join(pid).exists() {
            clear(&run);
        }
    }
}

/// Ends the processes in this run's namespaces, nothing else.
pub fn kill_processes(run: &str) {
    for name in of_run(run) {
        kill_inside(&name, Signal::KILL);
    }
}

fn clear(run: &str) {
    for name in of_run(run) {
        kill_inside(&name, Signal::TERM);
        let empty = || Ok(pids(&name).is_empty().then_some(()));
        if shell::interrupted() || shell::until("a namespace to empty", PATIENCE / 12, empty).is_err() {
            kill_inside(&name, Signal::KILL);
        }
        let _ = ip_now(&["netns", "delete", &name]);
        let _ = fs::remove_dir_all(Path::new(HOSTS).join(&name));
    }
    // Only when nobody else uses it.
    let _ = fs::remove_dir(HOSTS);
    for n in 1..=u8::MAX {
        let _ = fs::remove_file(Path::new(CONTROL_SOCKETS).join(interface_name(run, n) + ".sock"));
    }
    let _ = fs::remove_dir_all(folder(run));
}

fn interface_name(run: &str, n: u8) -> String {
    format!("m{run}d{n}")
}

fn of_run(run: &str) -> Vec<String> {
    let mut names = namespaces();
    names.retain(|name| run_of(name).as_deref() == Some(run));
    // A hosts folder may be left without its namespace.
    let entries = fs::read_dir(HOSTS).into_iter().flatten().flatten();
    for name in entries.map(|entry| entry.file_name().to_string_lossy().into_owned()) {
        if run_of(&name).as_deref() == Some(run) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

fn namespaces() -> Vec<String> {
    let listed = ip_now(&["netns", "list"]);
    listed.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// `mms-<run>-app` and `mms-<run>` → `<run>`, which begins with a process id.
fn run_of(name: &str) -> Option<String> {
    let run = name.strip_prefix(PREFIX)?.split('-').next()?;
    let pid = run.split('x').next()?;
    (!pid.is_empty() && pid.bytes().all(|b| b.is_ascii_digit())).then(|| run.to_owned())
}

fn kill_inside(namespace: &str, with: Signal) {
    for pid in pids(namespace) {
        shell::signal(pid, with);
    }
}

fn pids(namespace: &str) -> Vec<u32> {
    let listed = ip_now(&["netns", "pids", namespace]);
    listed.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

/// For the clean-up, which must work after an interruption too: no limit but the kernel's own speed.
fn ip_now(words: &[&str]) -> String {
    let done = Command::new("ip").args(words).output();
    done.map(|done| String::from_utf8_lossy(&done.stdout).into_owned()).unwrap_or_default()
}

fn ip(line: &str) -> Told<()> {
    let mut command = Command::new("ip");
    command.args(line.split_whitespace());
    shell::run(command)?.ok(&format!("ip {line}")).while_(|| "setting up the network".into())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ever_cleared() {
        assert_eq!(run_of("mms-123-app").as_deref(), Some("123"));
        assert_eq!(run_of("mms-123x1-d12").as_deref(), Some("123x1"));
        assert_eq!(run_of("mms-123").as_deref(), Some("123"));
        for other in ["mms-app", "mms-", "mmt-1-app", "vpn", "mms-x1-app", "mms-12a-app"] {
            assert_eq!(run_of(other), None, "{other}");
        }
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        assert!(interface_name("4194304", 255).len() <= 15);
    }
}
