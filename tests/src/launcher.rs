//! Runs the process table where there is no systemd: a user for each row without /etc/passwd, the sockets
//! of its arrows handed over (LISTEN_FDS), its capabilities and no other, and again after a crash.
//! Owns the sockets and the processes; ends them by their ids, on drop too.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use appliance::config::{self, Config, SecretPlace};
use appliance::process::{Name, Process, TABLE, process};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::Signal;

use crate::fault::{Fault, Told, While};
use crate::net::Namespace;
use crate::shell;

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);
/// As systemd's RestartSec with its steps: at once the first time, slower when it fails again and again.
const AGAIN_FIRST: Duration = Duration::from_millis(50);
const AGAIN_LONGEST: Duration = Duration::from_secs(2);
/// A process that lived this long starts anew with the first pause.
const LIVED: Duration = Duration::from_secs(5);
/// A room stops within this, or is killed.
const STOP: Duration = Duration::from_secs(20);
/// The first descriptor of LISTEN_FDS, and where they wait until the child takes them over.
const FIRST: usize = 3;
const WAITING: i32 = 100;

/// The whole appliance as separate processes.
pub struct Launcher {
    inner: Arc<Inner>,
    keepers: Vec<(Name, JoinHandle<()>)>,
}

struct Inner {
    space: Namespace,
    binary: PathBuf,
    configs: BTreeMap<Name, PathBuf>,
    log: File,
    sockets: BTreeMap<Name, Vec<(&'static str, UnixListener)>>,
    running: Mutex<BTreeMap<Name, State>>,
    /// One child is born at a time: descriptors stay open across its birth.
    births: Mutex<()>,
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    births: u32,
}

impl Launcher {
    /// Gives the realm's folders to their users, makes the sockets, starts every process of the table.
    pub fn start(space: &Namespace, binary: &Path, home: &Path, log: &Path) -> Told<Self> {
        let config_path = home.join("mimamori.toml");
        let text = fs::read_to_string(&config_path)?;
        let config = config::read(&text).map_err(|faults| Fault::new(format!("{faults:?}")))?;
        let binary = settle(&config, home, binary)?;
        let (mut sockets, mut configs) = (BTreeMap::new(), BTreeMap::new());
        for name in Name::SERVED {
            sockets.insert(name, listeners(process(name), &config)?);
            configs.insert(name, own_config(process(name), home, &text)?);
        }
        let inner = Arc::new(Inner {
            space: space.clone(),
            binary,
            configs,
            log: fs::OpenOptions::new().create(true).append(true).open(log)?,
            sockets,
            running: Mutex::default(),
            births: Mutex::default(),
            stopping: AtomicBool::new(false),
        });
        let mut keepers = Vec::new();
        for name in Name::SERVED {
            inner.bear(name)?;
            let kept = Arc::clone(&inner);
            keepers.push((name, std::thread::spawn(move || kept.keep(name))));
        }
        Ok(Self { inner, keepers })
    }

    /// The process that runs now, if one does.
    pub fn pid(&self, name: Name) -> Option<u32> {
        self.inner.states().get(&name)?.child.as_ref().map(Child::id)
    }

    /// How often it was started.
    pub fn births(&self, name: Name) -> u32 {
        self.inner.states().get(&name).map_or(0, |state| state.births)
    }

    /// SIGKILL, by its id; false when it was not running.
    pub fn kill(&self, name: Name) -> bool {
        // The lock keeps the child from being collected, so the id is still its own.
        let states = self.inner.states();
        let Some(child) = states.get(&name).and_then(|state| state.child.as_ref()) else { return false };
        shell::signal(child.id(), Signal::KILL);
        true
    }

    /// Politely, the gateway first; whoever does not end is killed and named.
    pub fn stop(&mut self) -> Told<()> {
        self.inner.stopping.store(true, Ordering::SeqCst);
        let mut stubborn = Vec::new();
        let order = [Name::Gateway, Name::Provisioning, Name::Sns, Name::Pki, Name::Vpn, Name::Firewall];
        for name in order {
            if let Some(pid) = self.pid(name) {
                shell::signal(pid, Signal::TERM);
            }
            let begun = Instant::now();
            while self.pid(name).is_some() && begun.elapsed() < STOP {
                std::thread::park_timeout(LOOK);
            }
            if self.kill(name) {
                stubborn.push(name.as_str());
            }
        }
        for (_, keeper) in self.keepers.drain(..) {
            let _ = keeper.join();
        }
        crate::holds!(stubborn.is_empty(), "killed, because they did not stop: {}", stubborn.join(", "));
        Ok(())
    }
}

impl Drop for Launcher {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

impl Inner {
    fn states(&self) -> MutexGuard<'_, BTreeMap<Name, State>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stopping.load(Ordering::SeqCst) || shell::interrupted()
    }

    /// Collects the process when it ends, and starts it again until told to stop.
    fn keep(&self, name: Name) {
        let mut pause = AGAIN_FIRST;
        let mut born = Instant::now();
        loop {
            std::thread::park_timeout(LOOK);
            let ended = {
                let mut states = self.states();
                let state = states.entry(name).or_default();
                let ended = match &mut state.child {
                    Some(child) => !matches!(child.try_wait(), Ok(None)),
                    None => true,
                };
                if ended {
                    state.child = None;
                }
                ended
            };
            if self.stopped() && ended {
                return;
            }
            if !ended {
                continue;
            }
            pause = if born.elapsed() > LIVED { AGAIN_FIRST } else { (pause * 2).min(AGAIN_LONGEST) };
            let until = Instant::now() + pause;
            while Instant::now() < until && !self.stopped() {
                std::thread::park_timeout(LOOK);
            }
            born = Instant::now();
            if !self.stopped() && self.bear(name).is_err() {
                continue;
            }
        }
    }

    fn bear(&self, name: Name) -> Told<()> {
        let _birth = self.births.lock().unwrap_or_else(PoisonError::into_inner);
        let row = process(name);
        let listeners = self.sockets.get(&name).map(Vec::as_slice).unwrap_or_default();
        let config =
            self.configs.get(&name).ok_or_else(|| Fault::new("a process without a configuration"))?;
        // Kept over `exec` until the child is born; at numbers above those that it will use.
        let mut handed: Vec<OwnedFd> = Vec::new();
        for (_, listener) in listeners {
            let copy = fcntl_dupfd_cloexec(listener, WAITING).while_(|| "copying a socket".into())?;
            fcntl_setfd(&copy, FdFlags::empty()).while_(|| "handing a socket over".into())?;
            handed.push(copy);
        }
        let names: Vec<&str> = listeners.iter().map(|(name, _)| *name).collect();
        let mut command = self.space.command("bash");
        command.arg("-c").arg(script(&handed)).arg("bash");
        command.args(privileges(row)).arg(&self.binary);
        command.arg("--config").arg(config).args(["serve", name.as_str()]);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("LISTEN_FDNAMES", names.join(":"));
        command.stdin(Stdio::null()).stdout(self.log.try_clone()?).stderr(self.log.try_clone()?);
        let child = command.spawn().while_(|| format!("starting {}", name.as_str()))?;
        let mut states = self.states();
        let state = states.entry(name).or_default();
        state.child = Some(child);
        state.births += 1;
        Ok(())
    }
}

/// Moves the sockets to 3, 4, … and becomes what follows: the process id stays the same throughout.
fn script(handed: &[OwnedFd]) -> String {
    let moves: Vec<String> = handed
        .iter()
        .enumerate()
        .map(|(at, fd)| format!("{}<&{fd} {fd}<&-", at + FIRST, fd = fd.as_raw_fd()))
        .collect();
    let take = if moves.is_empty() { String::new() } else { format!("exec {}; ", moves.join(" ")) };
    format!("{take}export LISTEN_PID=$$ LISTEN_FDS={}; exec \"$@\"", handed.len())
}

/// `setpriv` of util-linux, as the row says: its numbers, its groups, its capabilities.
pub fn privileges(row: &Process) -> Vec<String> {
    let groups: Vec<String> = groups(row).iter().map(u32::to_string).collect();
    let mut words = vec![
        "setpriv".to_owned(),
        format!("--reuid={}", row.uid),
        format!("--regid={}", row.gid),
        "--no-new-privs".to_owned(),
    ];
    words.push(if groups.is_empty() {
        "--clear-groups".to_owned()
    } else {
        format!("--groups={}", groups.join(","))
    });
    let mut capabilities = String::from("-all");
    for capability in row.capabilities {
        let name = capability.name.trim_start_matches("CAP_").to_ascii_lowercase();
        capabilities.push_str(&format!(",+{name}"));
    }
    for set in ["--inh-caps", "--ambient-caps", "--bounding-set"] {
        words.push(format!("{set}={capabilities}"));
    }
    words
}

/// Of the arrows that start at this process, and of those that end there.
fn groups(row: &Process) -> Vec<u32> {
    let mut groups: Vec<u32> = TABLE
        .iter()
        .flat_map(|other| other.arrows().map(move |(_, arrow)| (other.name, arrow)))
        .filter(|(offered_by, arrow)| arrow.from == row.name || *offered_by == row.name)
        .map(|(_, arrow)| arrow.gid)
        .collect();
    groups.sort_unstable();
    groups
}

/// One socket per arrow: the offering user's, open to the arrow's group.
fn listeners(row: &Process, config: &Config) -> Told<Vec<(&'static str, UnixListener)>> {
    let mut made = Vec::new();
    for (_, arrow) in row.arrows() {
        let path = config.paths.run.join(arrow.socket);
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).while_(|| path.display().to_string())?;
        chown(&path, Some(row.uid), Some(arrow.gid))?;
        fs::set_permissions(&path, Permissions::from_mode(0o660))?;
        made.push((arrow.socket, listener));
    }
    Ok(made)
}

/// What `sysusers.d`, `tmpfiles.d` and the installer do on the image: folders and secrets belong to their
/// processes, and everybody may walk through. Returns the program where every user can run it.
fn settle(config: &Config, home: &Path, binary: &Path) -> Told<PathBuf> {
    let paths = &config.paths;
    let mode = |path: &Path, mode: u32| -> Told<()> {
        fs::set_permissions(path, Permissions::from_mode(mode)).while_(|| path.display().to_string())
    };
    for folder in home.ancestors().take(2).filter(|folder| folder.parent().is_some()) {
        mode(folder, fs::metadata(folder)?.permissions().mode() | 0o011)?;
    }
    for folder in [&paths.state, &paths.run] {
        mode(folder, 0o711)?;
    }
    mode(&home.join("mimamori.toml"), 0o644)?;
    for row in &TABLE {
        if let Some(state) = row.state {
            let folder = paths.room(state);
            fs::create_dir_all(&folder)?;
            mode(&folder, 0o700)?;
            give(&folder, row)?;
        }
        if row.writes.contains(&"paths.output") {
            give(&paths.output, row)?;
        }
        for secret in row.secrets {
            let place = match *secret {
                "pki_passphrase" => &config.secrets.pki_passphrase,
                "vpn_key" => &config.secrets.vpn_key,
                "sns_epoch" => &config.secrets.sns_epoch,
                _ => &config.secrets.gateway_key,
            };
            if let SecretPlace::File(path) = place {
                chown(path, Some(row.uid), Some(row.gid))?;
                if let Some(folder) = path.parent().filter(|folder| !folder.starts_with(&paths.state)) {
                    mode(folder, 0o711)?;
                }
            }
        }
    }
    // Beside the realm, whose files are searched for secrets.
    let folder = home.with_file_name("bin");
    fs::create_dir_all(&folder)?;
    mode(&folder, 0o755)?;
    let program = folder.join("mimamori");
    let _ = fs::remove_file(&program);
    if fs::hard_link(binary, &program).is_err() {
        fs::copy(binary, &program).while_(|| program.display().to_string())?;
    }
    Ok(program)
}

/// The one configuration, with this process's own copy of a secret that several need (on the image systemd's
/// credentials do that).
fn own_config(row: &Process, home: &Path, text: &str) -> Told<PathBuf> {
    let folder = home.join("config").join(row.name.as_str());
    fs::create_dir_all(&folder)?;
    let (mut own, mut section) = (String::new(), String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name.to_owned();
        }
        let found = line.split_once('=').and_then(|(key, place)| {
            let full = format!("{section}.{}", key.trim());
            let shared = row
                .calls
                .iter()
                .flat_map(|call| call.secrets())
                .any(|secret| full == format!("{secret}_file"));
            shared.then(|| (key.trim(), PathBuf::from(place.trim().trim_matches('"'))))
        });
        match found {
            Some((key, place)) => {
                let copy = folder.join(format!("{section}-{key}"));
                fs::copy(&place, &copy).while_(|| place.display().to_string())?;
                fs::set_permissions(&copy, Permissions::from_mode(0o600))?;
                own.push_str(&format!("{key} = \"{}\"\n", copy.display()));
            }
            None => own.push_str(&format!("{line}\n")),
        }
    }
    let file = folder.join("mimamori.toml");
    fs::write(&file, own)?;
    fs::set_permissions(&folder, Permissions::from_mode(0o700))?;
    fs::set_permissions(home.join("config"), Permissions::from_mode(0o711))?;
    give(&folder, row)?;
    Ok(file)
}

/// A folder with everything below it.
fn give(path: &Path, row: &Process) -> Told<()> {
    lchown(path, Some(row.uid), Some(row.gid)).while_(|| path.display().to_string())?;
    if fs::symlink_metadata(path)?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), row)?;
        }
    }
    Ok(())
}

/// A program as another user with these groups, and nothing else of root.
pub fn as_user(space: &Namespace, uid: u32, groups: &[u32], program: &Path) -> Command {
    let mut command = space.command("setpriv");
    command.arg(format!("--reuid={uid}")).arg(format!("--regid={uid}"));
    let groups: Vec<String> = groups.iter().map(u32::to_string).collect();
    command.arg(if groups.is_empty() {
        "--clear-groups".to_owned()
    } else {
        format!("--groups={}", groups.join(","))
    });
    command.args(["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]).arg(program);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs root, which gives the copies away.
    #[test]
    fn root_a_shared_secret_is_copied_for_those_who_need_it_and_nobody_else() {
        let home = tempfile::tempdir().unwrap();
        let url = home.path().join("url");
        fs::write(&url, "postgres://").unwrap();
        let text = format!("[database]\nurl_file = \"{}\"\n", url.display());
        let config = |name: Name| own_config(process(name), home.path(), &text).unwrap();
        assert_eq!(fs::read_to_string(config(Name::Pki)).unwrap(), text);
        let sns = config(Name::Sns);
        let copy = sns.with_file_name("database-url_file");
        assert!(fs::read_to_string(&sns).unwrap().contains(&copy.display().to_string()));
        let meta = fs::metadata(&copy).unwrap();
        use std::os::unix::fs::MetadataExt;
        assert_eq!((meta.uid(), meta.mode() & 0o777), (process(Name::Sns).uid, 0o600));
    }

    #[test]
    fn each_process_gets_its_rows_privileges_and_no_other() {
        let vpn = privileges(process(Name::Vpn)).join(" ");
        assert!(vpn.contains("--ambient-caps=-all,+net_admin,+net_bind_service"), "{vpn}");
        let pki = privileges(process(Name::Pki)).join(" ");
        assert!(pki.contains("--reuid=61002") && pki.ends_with("--bounding-set=-all"), "{pki}");
        // The gateway may open the SNS's socket, and not the seats'.
        let gateway = groups(process(Name::Gateway));
        assert!(gateway.contains(&61027) && !gateway.contains(&61021));
    }
}
