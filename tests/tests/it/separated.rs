//! The process table, played: every row as its own process with its own user, killed, knocked at by
//! strangers, and each jail tried from inside (issue 3, "Separate processes"). Needs root.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use appliance::process::{Call, Family, Held, Name, Speaks, TABLE, process};
use tests::launcher::{Launcher, as_user, privileges};
use tests::postgres;
use tests::secrets::write_private;
use tests::shell::{self, PATIENCE};
use tests::world::{Tools, World, ZONE};
use tests::{Fault, Told};

/// Belongs to nobody.
const STRANGER: u32 = 61999;

/// Where a database's server seems to be, inside the appliance's network.
const DATABASE: &str = "127.0.0.1:54329";

/// Ended before the network it stands in.
struct Separated {
    launcher: Launcher,
    probe: PathBuf,
    wire: Option<(Child, postgres::Temporary)>,
    world: World,
}

fn raised() -> Separated {
    raised_in(world(), None)
}

fn world() -> World {
    World::raise(&tools()).unwrap_or_else(|fault| panic!("{fault}"))
}

fn tools() -> Tools {
    Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"))
}

/// With the records on a server that is reached by TCP alone.
fn raised_by_tcp() -> Separated {
    let world = world();
    let database = postgres::database();
    let url = database.url().replace("localhost", DATABASE);
    let url = url.split('?').next().unwrap().to_owned();
    let mut carrier = world.net.app.command(env!("CARGO_BIN_EXE_probe"));
    carrier.arg("carry").arg(DATABASE).arg(database.socket()).stdin(Stdio::piped());
    let wire = (carrier.spawn().unwrap(), database);
    raised_in(world, Some((wire, url)))
}

fn raised_in(world: World, database: Option<((Child, postgres::Temporary), String)>) -> Separated {
    let listen = format!("{}:51820", tests::net::APPLIANCE_OUTER);
    let mut words = vec![
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
    ];
    let file = world.folder.join("database-url");
    let (wire, url) = database.unzip();
    if let Some(url) = &url {
        write_private(&file, url).unwrap();
        words.extend(["--database-url-file", file.to_str().unwrap()]);
    }
    // The carrier listens in a moment.
    shell::until("the realm to be made", PATIENCE, || match world.server.init(&words) {
        Err(fault) if url.is_some() && fault.to_string().contains("MM-6025") => Ok(None),
        done => done.map(Some),
    })
    .unwrap_or_else(|fault| panic!("{fault}"));
    let launcher = Launcher::start(&world.net.app, &tools().mimamori, &world.server.home, &world.server.log)
        .unwrap_or_else(|fault| panic!("{fault}"));
    // Where every user can run it.
    let probe = world.server.home.with_file_name("bin").join("probe");
    fs::copy(env!("CARGO_BIN_EXE_probe"), &probe).unwrap();
    let separated = Separated { launcher, probe, wire, world };
    separated.whole().unwrap_or_else(|fault| panic!("{}", separated.world.with_last_words(&fault)));
    separated
}

impl Drop for Separated {
    fn drop(&mut self) {
        if let Some((carrier, _)) = &mut self.wire {
            shell::end(carrier);
        }
    }
}

impl Separated {
    /// `status --check` finds nothing missing: every process answers, every feed is fresh, every jail whole.
    fn whole(&self) -> Told<()> {
        let mut last = String::new();
        let told = shell::until("every room to answer", PATIENCE, || {
            let said = self.world.server.ask(&["status", "--check"])?;
            last = said.text;
            Ok((said.code == 0).then_some(()))
        });
        told.map_err(|fault| Fault::new(format!("{fault}: {last}")))
    }

    fn run(&self) -> PathBuf {
        self.world.server.home.join("run")
    }

    fn knock(&self, uid: u32, groups: &[u32], socket: &str) -> String {
        let mut command = as_user(&self.world.net.app, uid, groups, &self.probe);
        command.arg("knock").arg(self.run().join(socket));
        let done = shell::run(command).unwrap_or_else(|fault| panic!("{fault}"));
        done.text().trim().to_owned()
    }

    /// What the probe could do as this row's user with this row's capabilities.
    fn tried(&self, name: Name, folder: &Path, inside: &str) -> BTreeMap<String, String> {
        let row = process(name);
        let mut words = privileges(row).into_iter();
        let mut command = self.world.net.app.command(words.next().unwrap());
        command.args(words).arg(&self.probe).args(["jail", name.as_str()]);
        command.arg(self.world.server.config()).arg(folder).arg(inside);
        let done = shell::run(command).and_then(|done| done.ok("the probe")).unwrap();
        let pair = |line: &str| line.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned()));
        done.text().lines().filter_map(pair).collect()
    }
}

/// Ruling 8: a restart never needs a human.
#[test]
fn root_every_process_comes_up_and_comes_back_after_kill_9() {
    let mut all = raised();
    let status = all.world.server.status().unwrap();
    assert_eq!(status["form"], "separated");
    for row in TABLE.iter().filter(|row| row.name != Name::Cli) {
        let pid = all.launcher.pid(row.name).unwrap();
        let proc_status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = proc_status.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(field("Uid:"), vec![row.uid.to_string(); 4].join(" "), "{}", row.user);
        let kept = row.capabilities.iter().any(|capability| capability.held == Held::Always);
        // CAP_NET_ADMIN is bit 12.
        let expected = if kept { "0000000000001000" } else { "0000000000000000" };
        for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
            assert_eq!(field(set), expected, "{} {set}", row.user);
        }
        assert_eq!((field("NoNewPrivs:").as_str(), field("Seccomp:").as_str()), ("1", "2"), "{}", row.user);
    }
    for name in Name::SERVED {
        let (before, births) = (all.launcher.pid(name), all.launcher.births(name));
        assert!(all.launcher.kill(name), "{}", name.as_str());
        shell::until("it to be started again", PATIENCE, || {
            let now = all.launcher.pid(name);
            Ok((now.is_some() && now != before && all.launcher.births(name) > births).then_some(()))
        })
        .unwrap();
        all.whole()
            .unwrap_or_else(|fault| panic!("after {}: {}", name.as_str(), all.world.with_last_words(&fault)));
    }
    all.launcher.stop().unwrap_or_else(|fault| panic!("{}", all.world.with_last_words(&fault)));
}

/// The attacker's test: every user of the table, and one of nobody, at every arrow that is not theirs.
#[test]
fn root_a_wrong_uid_is_refused_at_every_door() {
    let all = raised();
    let mut tried = 0;
    for (row, door, arrow) in TABLE.iter().flat_map(|row| row.arrows().map(move |(d, a)| (row, d, a))) {
        let others = TABLE.iter().map(|other| other.uid).filter(|uid| *uid != process(arrow.from).uid);
        for uid in others.chain([STRANGER]) {
            // The file's owner is the room itself; everybody else needs the group.
            let without = all.knock(uid, &[], arrow.socket);
            let with = all.knock(uid, &[arrow.gid], arrow.socket);
            let guarded = if door.speaks == Speaks::Http { "closed" } else { "stranger" };
            let expected = if uid == row.uid { guarded } else { "forbidden" };
            assert_eq!(without, expected, "uid {uid} at {} without its group", arrow.socket);
            assert_eq!(with, guarded, "uid {uid} at {} with its group", arrow.socket);
            tried += 1;
        }
        let right = all.knock(process(arrow.from).uid, &[arrow.gid], arrow.socket);
        assert!(right != "stranger" && right != "forbidden", "{} at {}", right, arrow.socket);
    }
    assert!(tried >= 100, "{tried}");
    let log = fs::read_to_string(&all.world.server.log).unwrap();
    assert!(log.contains(&format!("refused at pki-issuing.sock: uid {STRANGER}")), "the refusal is logged");
    all.whole().unwrap();
}

/// A process of another user does not even start.
#[test]
fn root_a_room_refuses_to_run_as_somebody_else() {
    let all = raised();
    let mut command = as_user(
        &all.world.net.app,
        process(Name::Sns).uid,
        &[],
        &all.world.server.home.with_file_name("bin").join("mimamori"),
    );
    command.arg("--config").arg(all.world.server.config()).args(["serve", "pki"]);
    let done = shell::run(command).unwrap();
    assert_eq!(done.code, Some(5), "{}", done.stderr);
    assert!(done.stderr.contains("MM-6045"), "{}", done.stderr);
}

/// Each jail tried from inside, beside a control without it: same user, same capabilities, same attempts.
#[test]
fn root_each_jail_forbids_what_its_row_does_not_name() {
    let all = raised();
    let open = all.world.server.home.join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("readable"), "x").unwrap();
    fs::set_permissions(open.join("readable"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    chown(&open, Some(0), Some(0)).unwrap();
    for name in Name::SERVED {
        let row = process(name);
        let yes = |seen: &BTreeMap<String, String>, what: &str| seen.get(what).is_some_and(|v| v == "yes");
        let free = all.tried(name, &open, "free");
        for what in [
            "foreign_read",
            "foreign_write",
            "exec",
            "exec_nft",
            "tcp_connect",
            "tcp_listen",
            "udp",
            "netlink",
            "signal_another",
            "descriptor_of_another",
        ] {
            assert!(yes(&free, what), "the control of {}: {what} in {free:?}", row.user);
        }
        let held = all.tried(name, &open, "jailed");
        let landlock = !held.get("held").is_some_and(|text| text.contains("no landlock"));
        assert!(landlock, "this kernel has no Landlock, so the jails cannot be proved: {held:?}");
        for what in [
            "foreign_read",
            "foreign_write",
            "exec",
            "tcp_connect",
            "tcp_listen",
            "udp",
            "raw_packets",
            "signal_another",
            "descriptor_of_another",
        ] {
            assert!(!yes(&held, what), "{} can {what}: {held:?}", row.user);
        }
        assert_eq!(yes(&held, "own_state"), row.state.is_some(), "{}: {held:?}", row.user);
        assert_eq!(yes(&held, "output"), row.writes.contains(&"paths.output"), "{}: {held:?}", row.user);
        assert_eq!(yes(&held, "exec_nft"), !row.executes.is_empty(), "{}: {held:?}", row.user);
        assert_eq!(yes(&held, "netlink"), row.sockets.contains(&Family::Netlink), "{}: {held:?}", row.user);
        assert!(yes(&held, "unix"), "{}: {held:?}", row.user);
    }
}

/// Records on a server by TCP: three processes know its URL and call it, the others cannot even ask for a
/// socket of its kind; and `check` says in Japanese what is wrong when it is away (ruling 9).
#[test]
fn root_on_a_server_by_tcp_three_processes_call_it_and_nobody_else() {
    let mut all = raised_by_tcp();
    for name in Name::SERVED {
        let keeps = process(name).calls.contains(&Call::Database);
        let pid = all.launcher.pid(name).unwrap();
        let mut command = all.world.net.app.command("ss");
        command.args(["-Htnp", "state", "established", "dst", DATABASE]);
        let shown = shell::run(command).unwrap().text();
        assert_eq!(shown.contains(&format!("pid={pid},")), keeps, "{}: {shown}", name.as_str());
        let copy = all.world.server.home.join("config").join(name.as_str()).join("database-url_file");
        assert_eq!(copy.exists(), keeps, "{}", copy.display());
    }
    assert_eq!(all.world.server.ask(&["check"]).unwrap().code, 0);
    let (carrier, _) = all.wire.as_mut().unwrap();
    shell::end(carrier);
    let said = shell::until("`check` to miss the server", PATIENCE, || {
        let said = all.world.server.ask(&["check"])?;
        Ok((said.code == 75).then_some(said))
    })
    .unwrap();
    let error = &said.json["error"];
    assert_eq!(error["code"], "MM-6025", "{}", said.text);
    assert!(
        said.text.contains(&format!("データベースのサーバー（{DATABASE}）につながりません")),
        "{}",
        said.text
    );
    assert!(!said.text.contains("postgres://"), "the URL is a secret: {}", said.text);
}
