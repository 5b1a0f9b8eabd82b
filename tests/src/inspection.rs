//! What a machine of our image must do before anybody gets it: the quick tier's steps, in order.
//! Reads like the runbook: blank machine, realm, units, tunnel, wall, SSH, a power cut.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use appliance::machine as places;
use appliance::process::{Name, TABLE, process};

use crate::carried;
use crate::device::{Device, Handover, Sheet};
use crate::engineer::Engineer;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::http::Request;
use crate::machine::Machine;
use crate::net::APPLIANCE_OUTER;
use crate::registering;
use crate::rescuing;
use crate::shell::{self, PATIENCE};
use crate::world::{OFFICE_SLOT, World, ZONE};

/// A port that somebody opens and no rule mentions.
const STRAY: u16 = 9999;
/// A dropped packet is not answered; what comes at all on these links comes at once.
const SILENCE: Duration = Duration::from_secs(3);
/// Exposure of `systemd-analyze security`, in tenths. What opens sockets or devices with a capability is above the aim
/// of 15.
const EXPOSURE: [(Name, u32); 6] = [
    (Name::Firewall, 15),
    (Name::Vpn, 18),
    (Name::Pki, 15),
    (Name::Sns, 15),
    (Name::Gateway, 16),
    (Name::Provisioning, 15),
];

pub fn play(world: &mut World, root: &Path, held: &mut dyn FnMut(&str)) -> Told<usize> {
    let mut steps = 0;
    let mut step = |what: &str| {
        steps += 1;
        held(what);
    };
    image_holds_no_secret(root)?;
    step("no file of the root keeps more rights than it was started with, holds a host key or a machine id");
    let folder = world.folder.join("machine");
    std::fs::create_dir_all(&folder)?;
    let mut machine = Machine::boot(root, &world.net.app, &folder)?;
    let played = (|| {
        blank(world, &machine)?;
        step("a blank machine boots, runs no room, and its wall lets nobody in");
        let engineer = Engineer::of(world, &machine)?;
        realm(&machine)?;
        step("`init --machine` puts a realm in its places, each folder its process's own");
        all_up(&machine)?;
        step("every unit is up under a real systemd; none failed");
        exposure(&machine)?;
        step("each unit's exposure is within its limit");
        jails_hold(&machine)?;
        step("each room's jail holds whole: Landlock, system calls, capabilities");
        root_is_read_only(&machine)?;
        step("the root cannot be written");
        let device = tunnel(world, &machine.data().join("lib/mimamori-output"))?;
        step(
            "an independent WireGuard client claims its certificate through the tunnel, and is admitted over mutual TLS",
        );
        restarted(&machine, &device)?;
        step(
            "a planned restart of the vpn room hands its tunnels to the next process; a stop leaves the firewall shut",
        );
        stray_port(world, &machine, &device)?;
        step("a port that somebody opens is reached from inside the machine, and from nowhere else");
        ssh(&machine, &engineer, &device)?;
        step("SSH: a certificate leads to the engineer's shell and to nothing else");
        commits(&machine, &engineer, &device, "20s")?;
        step(
            "a commit that shuts the engineer out falls by itself, also when its watcher is killed; a confirmed one stays",
        );
        carried::steps(&machine, &engineer, &device, &mut step)?;
        registering::steps(&machine, &engineer, &device, &mut step)?;
        rescuing::by_two(&machine, &engineer, &device)?;
        step(
            "the console's rescue shell takes two names and two keys, the second's code, and is written down",
        );
        rescuing::not_by_a_committed_authority(&machine, &engineer, &device)?;
        step("an authority that one engineer commits makes no second person of him");
        machine.cut()?;
        machine = Machine::boot(root, &world.net.app, &folder)?;
        all_up(&machine)?;
        admitted(&device)?;
        let active = engineer.config(&device, "config show")?;
        holds!(active.contains("198.51.100.9"), "the confirmed commit is gone: {active}");
        step("after a power cut everything is up again, and the device is admitted without anybody's help");
        Ok(())
    })();
    played.map_err(|fault: Fault| machine.said(&fault))?;
    machine.stop();
    registering::blank(world, root)?;
    step(
        "a stick without an authority: the machine is its own, shows a code at each start, and gives the safe its two keys",
    );
    Ok(steps)
}

/// The same machine as far as a minute goes, in `make test`: units, tunnel, wall, SSH, commits.
pub fn quick(world: &mut World, root: &Path, held: &mut dyn FnMut(&str)) -> Told<usize> {
    let mut steps = 0;
    let mut step = |what: &str| {
        steps += 1;
        held(what);
    };
    let folder = world.folder.join("machine");
    std::fs::create_dir_all(&folder)?;
    let machine = Machine::boot(root, &world.net.app, &folder)?;
    let played = (|| {
        blank(world, &machine)?;
        let engineer = Engineer::of(world, &machine)?;
        realm(&machine)?;
        all_up(&machine)?;
        step("every unit of the image is up under a real systemd");
        let device = tunnel(world, &machine.data().join("lib/mimamori-output"))?;
        step("an independent WireGuard client is admitted, and served over HTTPS through its tunnel");
        stray_port(world, &machine, &device)?;
        step("a port that no rule names is reached from nowhere outside");
        ssh(&machine, &engineer, &device)?;
        step("SSH: a certificate leads to the engineer's shell and to nothing else");
        commits(&machine, &engineer, &device, "10s")?;
        step("a commit that nobody confirms falls by itself; a confirmed one stays");
        registering::registered(&machine, &engineer, &device)?;
        step(
            "the console's code registers a key, once; the key renews its certificate of eight hours without one",
        );
        Ok(())
    })();
    played.map_err(|fault: Fault| machine.said(&fault))?;
    Ok(steps)
}

fn image_holds_no_secret(root: &Path) -> Told<()> {
    let mut find = Command::new("find");
    find.arg(root).args(["-xdev", "(", "-type", "f", "-perm", "/6000", ")", "-o", "-name", "ssh_host_*"]);
    let found = shell::run(find)?.ok("find")?.text();
    holds!(found.trim().is_empty(), "in the root: {found}");
    let id = std::fs::read_to_string(root.join("etc/machine-id"))?;
    holds!(id == "uninitialized\n", "a machine id is in the image: {id}");
    let mut grep = Command::new("grep");
    grep.args(["-rlE", "--binary-files=without-match", "-e", "-----BEGIN (OPENSSH |EC |RSA )?PRIVATE KEY"]);
    grep.args(["etc", "usr/lib/systemd", "var"]).current_dir(root);
    let found = shell::run(grep)?.text();
    holds!(found.trim().is_empty(), "a private key is in the root: {found}");
    Ok(())
}

fn blank(world: &World, machine: &Machine) -> Told<()> {
    let rules = machine.ok(&["nft", "list", "table", "inet", "mimamori_wall"])?;
    holds!(rules.matches("policy drop").count() == 3, "the wall of a blank machine: {rules}");
    for row in TABLE.iter().filter(|row| row.name != Name::Cli) {
        let unit = format!("mimamori-{}.service", row.name.as_str());
        let state = machine.run(&["systemctl", "is-active", &unit])?.text();
        holds!(state.trim() == "inactive", "{unit} of a blank machine is {state}");
    }
    let _ = world;
    Ok(())
}

fn realm(machine: &Machine) -> Told<()> {
    let authority = format!("{}.pub", places::ENGINEERS_CA);
    let listen = format!("{APPLIANCE_OUTER}:51820");
    let made = machine.ok(&[
        "mimamori",
        "init",
        "--machine",
        "--zone",
        ZONE,
        "--realm-name",
        "検証領域",
        "--operator-login",
        "office@example.jp",
        "--operator-name",
        "事務 太郎",
        "--listen",
        &listen,
        "--management",
        "198.51.100.1",
        "--ssh-ca",
        &authority,
        "-o",
        "json",
    ])?;
    holds!(made.contains(places::CONFIG), "init says: {made}");
    let again = machine.run(&[
        "mimamori",
        "init",
        "--machine",
        "--zone",
        ZONE,
        "--realm-name",
        "x",
        "--operator-login",
        "a@example.jp",
        "--operator-name",
        "x",
    ])?;
    holds!(again.code == Some(4), "a second realm on the same machine: {:?} {}", again.code, again.stderr);
    for row in TABLE.iter().filter(|row| row.state.is_some()) {
        let folder = format!("{}/{}", places::STATE, row.state.unwrap_or_default());
        let owner = machine.ok(&["stat", "-c", "%u %a", &folder])?;
        holds!(owner.trim() == format!("{} 700", row.uid), "{folder}: {owner}");
    }
    let secrets = machine.ok(&["find", "/var/lib/mimamori-config/secrets", "-printf", "%u %m %f\\n"])?;
    holds!(
        secrets.lines().all(|line| line.starts_with("root 600 ") || line == "root 700 secrets")
            && secrets.lines().count() == 5,
        "secrets: {secrets}"
    );
    machine.ok(&["systemctl", "reload", "mimamori-wall.service"])?;
    machine.ok(&["systemctl", "restart", "mimamori-rooms.target"])?;
    Ok(())
}

/// A unit that does not start fails the build.
fn all_up(machine: &Machine) -> Told<()> {
    for name in Name::SERVED {
        let unit = format!("mimamori-{}.service", name.as_str());
        shell::until(&format!("{unit} to be up"), PATIENCE * 2, || {
            Ok((machine.run(&["systemctl", "is-active", &unit])?.text().trim() == "active").then_some(()))
        })?;
        let pid = machine.ok(&["systemctl", "show", "-P", "MainPID", &unit])?;
        let owner = machine.ok(&["stat", "-c", "%u", &format!("/proc/{}", pid.trim())])?;
        holds!(owner.trim() == process(name).uid.to_string(), "{unit} runs as {owner}");
    }
    for unit in
        ["ssh.service", "mimamori-wall.service", "mimamori-host-key.service", "systemd-networkd.service"]
    {
        let state = machine.run(&["systemctl", "is-active", unit])?.text();
        let made_before = unit == "mimamori-host-key.service" && state.trim() == "inactive";
        holds!(state.trim() == "active" || made_before, "{unit} is {state}");
    }
    let failed = machine.ok(&["systemctl", "--failed", "--no-legend", "--plain"])?;
    holds!(failed.trim().is_empty(), "failed units: {failed}");
    let told = shell::until("every room to answer", PATIENCE * 2, || {
        Ok((machine.run(&["mimamori", "status", "--check"])?.code == Some(0)).then_some(()))
    });
    told.map_err(|fault| match machine.run(&["mimamori", "status", "--check"]) {
        Ok(said) => Fault::new(format!("{fault}: {}{}", said.text(), said.stderr)),
        Err(_) => fault,
    })
}

fn exposure(machine: &Machine) -> Told<()> {
    for (name, limit) in EXPOSURE {
        let unit = format!("mimamori-{}.service", name.as_str());
        let limit = limit.to_string();
        let done =
            machine.run(&["systemd-analyze", "security", "--no-pager", "--threshold", &limit, &unit])?;
        let last = done
            .text()
            .lines()
            .rev()
            .find(|line| line.contains("exposure level"))
            .unwrap_or_default()
            .to_owned();
        holds!(done.code == Some(0), "{last} (limit {limit} tenths)");
    }
    Ok(())
}

fn jails_hold(machine: &Machine) -> Told<()> {
    for name in Name::SERVED {
        let unit = format!("mimamori-{}.service", name.as_str());
        let log = machine.ok(&["journalctl", "--no-pager", "-b", "-o", "cat", "-u", &unit])?;
        let line = log.lines().rev().find(|line| line.starts_with("jail: ")).unwrap_or_default();
        holds!(
            line.starts_with("jail: landlock v")
                && !line.contains("partial")
                && line.contains("seccomp denies"),
            "{unit}: `{line}`"
        );
    }
    Ok(())
}

fn root_is_read_only(machine: &Machine) -> Told<()> {
    for path in ["/usr/bin/x", "/etc/x", "/x"] {
        let done = machine.run(&["touch", path])?;
        holds!(done.code != Some(0), "{path} could be written");
    }
    Ok(())
}

/// The secretariat's own device, from the bundle that `init` left on the machine.
pub fn tunnel(world: &mut World, output: &Path) -> Told<Device> {
    let handover = Handover {
        bundle: output.join("bundles").join(OFFICE_SLOT),
        sheet: Sheet::read(&output.join("sheets").join(format!("{OFFICE_SLOT}.txt")))?,
    };
    let space = world.net.add_device()?;
    let interface = world.net.interface_name();
    let folder = world.folder.join(OFFICE_SLOT);
    let mut device = Device::new(OFFICE_SLOT, space, interface, folder, handover, ZONE, &world.client)?;
    device.raise_bootstrap()?;
    let page = shell::until("the claim page", PATIENCE * 2, || {
        let answer = device.send(Request::get(device.url("claim", "/")))?;
        Ok((answer.status == 200).then_some(answer))
    })?;
    holds!(page.status == 200, "the claim page answered {}", page.status);
    device.claim(Some(crate::enrolment::ADMIN_PASSWORD))?;
    device.raise_final()?;
    admitted(&device)?;
    Ok(device)
}

/// The sign-in page of the consoles: behind tunnel and certificate.
pub fn admitted(device: &Device) -> Told<()> {
    shell::until("the gateway to admit the device", PATIENCE * 2, || {
        let answer = device.send(Request::get(device.url("office", "/sign-in")))?;
        Ok((answer.status == 200).then_some(()))
    })?;
    holds!(device.last_handshake()? > 0, "admitted without a tunnel");
    Ok(())
}

/// The descriptor store of a real systemd between two processes of the vpn room; and a stop for good, after which
/// nobody comes for what was left.
fn restarted(machine: &Machine, device: &Device) -> Told<()> {
    let unit = "mimamori-vpn.service";
    let show =
        |what: &str| Ok::<_, Fault>(machine.ok(&["systemctl", "show", "-P", what, unit])?.trim().to_owned());
    let said = |what: &str| {
        let log = machine.ok(&["journalctl", "--no-pager", "-b", "-o", "cat", "-u", unit])?;
        Ok::<_, Fault>(log.lines().filter(|line| line.contains(what)).count())
    };
    let before = show("MainPID")?;
    machine.ok(&["systemctl", "restart", unit])?;
    holds!(show("MainPID")? != before, "the vpn room was not restarted");
    admitted(device)?;
    let (left, taken) = (said("left to the next process")?, said("tunnels are taken up")?);
    holds!(left == 1 && taken == 1, "left {left} times, taken up {taken} times");
    // A crash later must not bring back sessions that are older than their counters.
    let kept = show("NFileDescriptorStore")?;
    holds!(kept == "0", "systemd still keeps {kept} descriptors");

    machine.ok(&["systemctl", "stop", unit])?;
    // The kernel takes the device away when the last descriptor is closed, which systemd may do a moment later.
    shell::until("the stopped room's tunnel to go", PATIENCE, || {
        Ok((!machine.ok(&["ip", "-o", "link"])?.contains(": mimamori0")).then_some(()))
    })?;
    machine.ok(&["nft", "list", "table", "inet", "mimamori"])?;
    machine.ok(&["systemctl", "start", unit])?;
    all_up(machine)?;
    admitted(device)?;
    holds!(said("tunnels are taken up")? == 1, "what a stopped room left was taken up");
    Ok(())
}

fn stray_port(world: &World, machine: &Machine, device: &Device) -> Told<()> {
    let stray = SocketAddr::from((APPLIANCE_OUTER, STRAY));
    let mut opened = world.net.app.command("python3");
    opened
        .args(["-c", &format!("import socket,time\ns=socket.create_server(('',{STRAY}))\ntime.sleep(600)")]);
    let mut server = opened.stdin(std::process::Stdio::null()).spawn()?;
    let told = (|| {
        let local = SocketAddr::from(([127, 0, 0, 1], STRAY));
        shell::until("the stray port to be open", PATIENCE, || {
            Ok(world.net.app.connect(local, SILENCE).ok())
        })?;
        watch_port(machine, STRAY)?;
        // They end with their own patience; nobody waits for them.
        for _ in 0..2 {
            let place = device.space.clone();
            std::thread::spawn(move || place.connect(stray, SILENCE));
        }
        // Whoever is not answered knocks again: when the third has come the first two have been judged.
        let passed = shell::until("three knocks at the stray port", PATIENCE, || {
            Ok((counted(machine, "came")? >= 3).then_some(counted(machine, "passed")?))
        })?;
        holds!(passed == 0, "a port that no rule names is reached from outside");
        Ok(())
    })();
    shell::end(&mut server);
    told
}

/// Counts what comes for a port from outside, and what of it every firewall lets through. With the machine's own
/// `nft`: an older one does not read its tables.
fn watch_port(machine: &Machine, port: u16) -> Told<()> {
    let chain = |name: &str, hook: &str| {
        format!(
            "add chain inet mms_watch {name} {{ type filter hook {hook} ; }}\n\
             add rule inet mms_watch {name} iifname \"wan\" tcp dport {port} counter\n"
        )
    };
    let (came, passed) = (chain("came", "prerouting priority -300"), chain("passed", "input priority 300"));
    let rules = format!("add table inet mms_watch\n{came}{passed}");
    shell::run_with(machine.command(&["nft", "-f", "-"]), rules.as_bytes())?.ok("nft")?;
    Ok(())
}

fn counted(machine: &Machine, chain: &str) -> Told<u64> {
    let listed = machine.ok(&["nft", "list", "chain", "inet", "mms_watch", chain])?;
    let packets = listed.split("packets ").nth(1).and_then(|rest| rest.split_whitespace().next());
    packets.and_then(|count| count.parse().ok()).ok_or_else(|| Fault::new("nft shows no counter"))
}

fn ssh(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let from = &device.space;
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let say = |with: &str, words: &[&str]| {
        let mut all = vec![host.as_str()];
        all.extend_from_slice(words);
        engineer.ssh(from, with, &all)
    };
    let done = say("good", &["status -o json"])?;
    holds!(
        done.code == Some(0) && done.text().contains("\"seats\""),
        "status over SSH: {:?} {}{}",
        done.code,
        done.text(),
        done.stderr
    );
    for line in [
        "/bin/sh",
        "bash -c id",
        "cat /etc/passwd",
        "init --machine",
        "status --config /tmp/x",
        "sftp-server",
    ] {
        let done = say("good", &[line])?;
        holds!(done.code == Some(5), "`{line}` over SSH: {:?} {}{}", done.code, done.text(), done.stderr);
        holds!(
            !done.text().contains("uid=") && !done.text().contains("root:"),
            "`{line}` was run: {}",
            done.text()
        );
    }
    for with in ["late", "stranger", "clerk"] {
        let done = say(with, &["status"])?;
        holds!(done.code == Some(255), "the certificate `{with}` led in: {:?} {}", done.code, done.text());
    }
    let plain = engineer.folder.join("bare");
    std::fs::copy(engineer.folder.join("key"), &plain)?;
    holds!(say("bare", &["status"])?.code == Some(255), "a key without a certificate led in");
    let done =
        engineer.ssh(from, "good", &["-o", "ExitOnForwardFailure=yes", "-W", "127.0.0.1:22", &host])?;
    holds!(
        done.code != Some(0) && !done.text().contains("SSH-2.0"),
        "SSH carried a connection: {}",
        done.text()
    );
    let root = format!("root@{APPLIANCE_OUTER}");
    holds!(engineer.ssh(from, "good", &[&root, "status"])?.code == Some(255), "root over SSH");
    let log = machine.ok(&["journalctl", "--no-pager", "-b", "-o", "cat", "-u", "ssh.service"])?;
    holds!(log.contains("test-good"), "the journal does not say whose certificate it was");
    Ok(())
}

/// Commits over SSH: one that is broken, one that shuts everybody out, one that is confirmed.
/// `span` is how long the one that shuts everybody out may stand.
fn commits(machine: &Machine, engineer: &Engineer, device: &Device, span: &str) -> Told<()> {
    let good = engineer.config(device, "config show")?;
    let broken = engineer.commit(device, &good.replace("zone = ", "zonen = "), "")?;
    holds!(broken.code == Some(64), "a broken text was committed: {:?} {}", broken.code, broken.stderr);
    let away = good.replace("\"198.51.100.1\"", "\"203.0.113.1\"");
    holds!(away != good, "the text names no management address: {good}");
    let done = engineer.commit(device, &away, &format!("--confirm {span}"))?;
    holds!(done.code == Some(0), "commit: {:?} {}{}", done.code, done.text(), done.stderr);
    let watcher = machine.ok(&["systemctl", "show", "-P", "MainPID", "mimamori-config.service"])?;
    holds!(watcher.trim() != "0", "nobody watches over the commit");
    machine.ok(&["kill", "-9", watcher.trim()])?;
    let lets_in = |address: &str| {
        let rules = machine.ok(&["nft", "list", "chain", "inet", "mimamori_wall", "input"])?;
        Ok::<_, Fault>(rules.lines().any(|line| line.contains("dport 22 ") && line.contains(address)))
    };
    let fell = || Ok::<_, Fault>(machine.ok(&["mimamori", "config", "show"])?.contains("\"198.51.100.1\""));
    // Whoever looks too late on a slow machine finds it fallen already: that is the event, not the time.
    shell::until("the wall to shut the engineer out", PATIENCE, || {
        let shut = lets_in("203.0.113.1")? && !lets_in("198.51.100.1")?;
        Ok((shut || fell()?).then_some(()))
    })?;
    shell::until("the commit to fall by itself", PATIENCE * 2, || {
        Ok((fell()? && lets_in("198.51.100.1")?).then_some(()))
    })?;
    let back = engineer.config(device, "config show")?;
    holds!(back == good, "what came back is not what was there: {back}");
    all_up(machine)?;

    let wider = good.replace("\"198.51.100.1\"", "\"198.51.100.1\", \"198.51.100.9\"");
    let done = engineer.commit(device, &wider, "--confirm 5m")?;
    holds!(done.code == Some(0), "commit: {:?} {}{}", done.code, done.text(), done.stderr);
    shell::until("the confirmation to be heard", PATIENCE * 2, || {
        let host = format!("mm-operator@{APPLIANCE_OUTER}");
        Ok((engineer.ssh(&device.space, "good", &[&host, "config confirm"])?.code == Some(0)).then_some(()))
    })?;
    let told = engineer.config(device, "config history")?;
    holds!(told.contains("unix:mm-operator"), "the history does not say who: {told}");
    all_up(machine)
}
