//! The jail: after a process has opened what it needs and before it reads a byte from outside, it gives
//! up the rest for good. no-new-privileges, capabilities, Landlock (files, TCP, signals), seccomp.
//! What is given up is then tried: a process that can still do it does not start.
//! Entered on the first thread, before any other exists, so that all inherit it; it ends with the process.
//! Best effort by kernel, and `Held` says honestly what holds.

use std::fmt;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, LandlockStatus, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::thread::{CapabilitySet, CapabilitySets};

use crate::config::Config;
use crate::process::{self, Family, Outward, Process};

mod calls; // edge: seccomp
mod proof; // edge: tries what is given up

/// The newest Landlock that this table was tested with.
const LANDLOCK: ABI = ABI::V6;

/// What a process may still do with files once it is inside.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Jail {
    /// Folders it may change. They must exist.
    pub read_write: Vec<PathBuf>,
    /// What it may read; what does not exist is left out.
    pub read: Vec<PathBuf>,
    /// Programs it may execute, and what they are loaded by.
    pub execute: Vec<PathBuf>,
    /// Keeps CAP_NET_ADMIN, for `nft`.
    pub net_admin: bool,
    /// Kinds of socket it may still make.
    pub sockets: Vec<Family>,
    /// TCP ports that it may call: the smarthost's, the database's, and that of nobody else.
    pub calls: Vec<u16>,
}

/// Names, hosts, time zones and certificates: what a C library or a resolver may look up.
const READABLE: [&str; 17] = [
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/localtime",
    "/etc/protocols",
    "/etc/services",
    "/etc/ssl",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/iproute2",
    "/usr/share/iproute2",
    "/usr/share/zoneinfo",
    "/usr/lib",
    "/lib",
    "/lib64",
];
/// For a room that executes nothing.
const LITTLE: [&str; 2] = ["/etc/localtime", "/usr/share/zoneinfo"];
/// The kernel opens a program's loader for execution too.
const LOADERS: [&str; 4] = [
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

impl Jail {
    /// All rooms in one process: what the process table grants to each, together.
    pub fn together(read_write: Vec<PathBuf>, nft: PathBuf) -> Self {
        Self {
            read_write,
            read: READABLE.map(PathBuf::from).to_vec(),
            execute: std::iter::once(nft).chain(LOADERS.map(PathBuf::from)).collect(),
            net_admin: true,
            sockets: vec![Family::Unix, Family::Netlink, Family::Internet],
            calls: Vec::new(),
        }
    }

    /// One room in its own process: its row of the process table, and nothing of another row.
    pub fn of(row: &Process, config: &Config) -> Self {
        let folder = |key: &&str| (*key == "paths.output").then(|| config.paths.output.clone());
        let program = |key: &&str| (*key == "vpn.nft").then(|| config.vpn.nft.clone());
        let state = row.state.map(|state| config.paths.room(state));
        let programs: Vec<PathBuf> = row.executes.iter().filter_map(program).collect();
        let loaded = if programs.is_empty() { &[][..] } else { &LOADERS[..] };
        let readable = if programs.is_empty() { &LITTLE[..] } else { &READABLE[..] };
        Self {
            read_write: state.into_iter().chain(row.writes.iter().filter_map(folder)).collect(),
            read: readable.iter().map(PathBuf::from).collect(),
            execute: programs.into_iter().chain(loaded.iter().map(PathBuf::from)).collect(),
            net_admin: row
                .capabilities
                .iter()
                .any(|held| held.name == "CAP_NET_ADMIN" && held.held == process::Held::Always),
            sockets: row.sockets.to_vec(),
            calls: Vec::new(),
        }
    }

    /// With what the module of the authorities' token needs, once it is loaded: its store and its settings.
    pub fn keeping(mut self, row: &Process, config: &Config) -> Self {
        if let Some(token) = config.token.as_ref().filter(|_| row.token) {
            self.read_write.extend(token.writes.iter().cloned());
            self.read.extend(token.reads.iter().cloned());
        }
        self
    }

    /// With those outside whom the configuration names: their ports may be called, their names looked up.
    pub fn calling(mut self, outward: &Outward) -> Self {
        if outward.is_empty() {
            return self;
        }
        if !self.sockets.contains(&Family::Internet) {
            self.sockets.push(Family::Internet);
        }
        if outward.has_names() {
            self.read = READABLE.map(PathBuf::from).to_vec();
        }
        for callee in &outward.callees {
            self.calls.push(callee.port);
            self.read.extend(callee.reads.iter().cloned());
        }
        self
    }
}

#[derive(Debug, thiserror::Error)]
pub enum JailError {
    #[error("no-new-privileges: {0}")]
    Privileges(std::io::Error),
    #[error("capabilities: {0}")]
    Capabilities(std::io::Error),
    #[error("{path}: {why}")]
    Path { path: String, why: String },
    #[error("landlock: {0}")]
    Landlock(#[from] landlock::RulesetError),
    #[error("seccomp: {0}")]
    Seccomp(String),
    #[error("{0} should be given up, and is not")]
    NotGivenUp(String),
}

/// What holds from now on; printed by `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub landlock: Landlock,
    /// Denied system calls.
    pub seccomp: Option<usize>,
    pub capabilities: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Landlock {
    Full {
        version: u32,
    },
    /// The kernel is older than the rules: some of them hold.
    Partial {
        version: u32,
    },
    /// The kernel has none.
    Absent,
}

impl Held {
    /// The configuration says `[jail] enforce = false`.
    pub fn nothing() -> Self {
        Self { landlock: Landlock::Absent, seccomp: None, capabilities: vec!["all".to_owned()] }
    }

    pub fn is_whole(&self) -> bool {
        matches!(self.landlock, Landlock::Full { .. }) && self.seccomp.is_some()
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.landlock {
            Landlock::Full { version } => write!(f, "jail: landlock v{version}")?,
            Landlock::Partial { version } => write!(f, "jail: landlock v{version} (partial)")?,
            Landlock::Absent => write!(f, "jail: no landlock")?,
        }
        match self.seccomp {
            Some(calls) => write!(f, ", seccomp denies {calls} calls")?,
            None => write!(f, ", no seccomp")?,
        }
        let held = if self.capabilities.is_empty() { "none".to_owned() } else { self.capabilities.join(" ") };
        write!(f, ", capabilities {held}")
    }
}

/// Locks the door behind this process. Files, sockets and devices that are already open stay open.
pub fn enter(jail: &Jail) -> Result<Held, JailError> {
    rustix::thread::set_no_new_privs(true).map_err(|error| JailError::Privileges(error.into()))?;
    let capabilities = drop_capabilities(jail.net_admin)?;
    proof::capabilities(jail.net_admin)?;
    let landlock = landlock(jail)?;
    let (program, calls) = calls::program(jail)?;
    // After Landlock: its own calls stay allowed, but nothing below is needed any more.
    seccompiler::apply_filter_all_threads(&program).map_err(|error| JailError::Seccomp(error.to_string()))?;
    // No core dump and no debugger of the same user sees a key. Best effort: the rest does not rest on it.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    proof::calls(jail)?;
    Ok(Held { landlock, seccomp: Some(calls), capabilities })
}

/// Keeps CAP_NET_ADMIN where it is wanted and there; drops everything else, also for what is executed.
fn drop_capabilities(net_admin: bool) -> Result<Vec<String>, JailError> {
    let failed = |error: rustix::io::Errno| JailError::Capabilities(error.into());
    let wanted = if net_admin { CapabilitySet::NET_ADMIN } else { CapabilitySet::empty() };
    let now = rustix::thread::capabilities(None).map_err(failed)?;
    let keep = now.permitted & wanted;
    if now.effective.contains(CapabilitySet::SETPCAP) {
        for capability in CapabilitySet::all().iter().filter(|capability| !keep.contains(*capability)) {
            // A kernel that does not know a capability cannot grant it either.
            let _ = rustix::thread::remove_capability_from_bounding_set(capability);
        }
    }
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: keep };
    // Whoever was born with no more than it keeps may be forbidden the very call.
    if now != sets {
        rustix::thread::set_capabilities(None, sets).map_err(failed)?;
    }
    let names = keep.iter_names().map(|(name, _)| name.to_ascii_lowercase()).collect();
    Ok(names)
}

fn landlock(jail: &Jail) -> Result<Landlock, JailError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let change: BitFlags<AccessFs> = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::MakeSock
        | AccessFs::RemoveFile
        | AccessFs::RemoveDir
        | AccessFs::Refer;
    let mut rules = Ruleset::default()
        .handle_access(AccessFs::from_all(LANDLOCK))?
        // Every listener stands already, and nothing here calls out by TCP but to whom the configuration names.
        .handle_access(AccessNet::from_all(LANDLOCK))?
        .scope(Scope::Signal)?
        .create()?
        .add_rules(path_beneath_rules(&jail.read, read))?
        .add_rules(path_beneath_rules(&jail.execute, AccessFs::Execute | AccessFs::ReadFile))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(["/dev/urandom"], AccessFs::ReadFile))?;
    for port in &jail.calls {
        rules = rules.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
    }
    for path in &jail.read_write {
        let folder = PathFd::new(path)
            .map_err(|error| JailError::Path { path: path.display().to_string(), why: error.to_string() })?;
        rules = rules.add_rule(PathBeneath::new(folder, change))?;
    }
    let status = rules.restrict_self()?;
    let version = match status.landlock {
        LandlockStatus::Available { effective_abi, kernel_abi } => {
            kernel_abi.and_then(|abi| u32::try_from(abi).ok()).unwrap_or(effective_abi as u32)
        }
        _ => 0,
    };
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Landlock::Full { version },
        RulesetStatus::PartiallyEnforced => Landlock::Partial { version },
        RulesetStatus::NotEnforced => Landlock::Absent,
    })
}

#[cfg(test)]
mod tests;
