//! What one line of the process table says: a process, its doors, and the arrows that lead to them.
//! Plain values with good names, for whoever renders units or starts processes.

/// Every process of the appliance. `Cli` is the operator's command, one Unix user per role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    Firewall,
    Vpn,
    Pki,
    Sns,
    Gateway,
    Provisioning,
    Cli,
}

impl Name {
    /// Those that run all the time, in the order in which they are started.
    pub const SERVED: [Name; 6] =
        [Name::Firewall, Name::Vpn, Name::Pki, Name::Sns, Name::Gateway, Name::Provisioning];

    pub fn as_str(self) -> &'static str {
        match self {
            Name::Firewall => "firewall",
            Name::Vpn => "vpn",
            Name::Pki => "pki",
            Name::Sns => "sns",
            Name::Gateway => "gateway",
            Name::Provisioning => "provisioning",
            Name::Cli => "cli",
        }
    }
}

/// A capability, how long it is held, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: &'static str,
    pub held: Held,
    pub why: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Given up when the process jails itself.
    WhileOpening,
    /// Ambient, so that the program it executes has it too.
    Always,
}

/// A set of questions that a process answers; on sockets, one per arrow.
#[derive(Clone, Copy, Debug)]
pub struct Door {
    pub name: &'static str,
    pub speaks: Speaks,
    /// The arrows that lead here.
    pub arrows: &'static [Arrow],
    /// At which doors it may have to knock before it can answer. No circle among these: a circle of
    /// waiting is a standstill.
    pub waits_for: &'static [&'static str],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaks {
    /// Length-delimited frames of one closed question enum.
    Questions,
    Http,
}

/// Who may knock at a door: a socket (0660) and the group that may open it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrow {
    pub from: Name,
    pub socket: &'static str,
    pub group: &'static str,
    pub gid: u32,
}

/// A kind of socket. The rooms meet at Unix sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Unix,
    Netlink,
    /// TCP and UDP over IPv4 and IPv6, and no other protocol. In no row: it comes with a `Call` that the
    /// configuration fills, and in the form `together`.
    Internet,
}

/// Whom a process calls outside the appliance, where the configuration names one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `[mail]`
    Smarthost,
    /// `[bounces]`
    Mailbox,
    /// `[database]`, at a socket of this machine or by TCP.
    Database,
}

impl Call {
    /// The secrets that go with it, by their keys of the configuration without `_file` or `_credential`.
    /// Several processes may need one: each has a copy of its own.
    pub fn secrets(self) -> &'static [&'static str] {
        match self {
            Call::Smarthost => &["mail.password", "mail.smime"],
            Call::Mailbox => &["bounces.password"],
            Call::Database => &["database.url"],
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Process {
    pub name: Name,
    pub user: &'static str,
    pub uid: u32,
    pub gid: u32,
    pub capabilities: &'static [Capability],
    pub offers: &'static [Door],
    /// `process.door` of everything it may ask.
    pub knocks: &'static [&'static str],
    /// Below the state path; the only place it may write, together with `writes`.
    pub state: Option<&'static str>,
    /// Keys of the configuration that name further folders it may write.
    pub writes: &'static [&'static str],
    /// Names in `[secrets]` that it alone may read.
    pub secrets: &'static [&'static str],
    /// Keys of the configuration that name programs it may execute.
    pub executes: &'static [&'static str],
    /// Kinds of socket it may still make inside the jail; what it listens at is open by then.
    pub sockets: &'static [Family],
    /// Without these in the configuration it makes no socket of the internet at all.
    pub calls: &'static [Call],
    /// May it load the module of `[token]`, where the configuration names one, and read its PIN?
    pub token: bool,
    /// Does it face anything outside the appliance?
    pub listens: &'static str,
}

impl Process {
    /// Every socket at which it answers.
    pub fn arrows(&self) -> impl Iterator<Item = (&'static Door, &'static Arrow)> {
        self.offers.iter().flat_map(|door| door.arrows.iter().map(move |arrow| (door, arrow)))
    }

    pub fn door(&self, name: &str) -> Option<&'static Door> {
        self.offers.iter().find(|door| door.name == name)
    }
}

/// For tables.
pub const fn arrow(from: Name, socket: &'static str, group: &'static str, gid: u32) -> Arrow {
    Arrow { from, socket, group, gid }
}

/// For tables.
pub const fn door(
    name: &'static str,
    speaks: Speaks,
    arrows: &'static [Arrow],
    waits_for: &'static [&'static str],
) -> Door {
    Door { name, speaks, arrows, waits_for }
}
