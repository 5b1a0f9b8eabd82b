//! The units: one for the whole appliance in one process (`mimamori run`), and one for each room with a
//! socket for each arrow (`mimamori serve ROOM`). No unit has more capability than its rows. Pure text.

use std::collections::BTreeSet;
use std::fmt::Write;

use appliance::machine::CONFIG;
pub use appliance::machine::SECRETS;
use appliance::process::{Arrow, Family, Held, Name, Process};

use crate::folders::{OUTPUT, RUN, STATE};

/// Where the binary lies on the image.
pub const BINARY: &str = "/usr/bin/mimamori";
/// What raises all rooms.
pub const TARGET: &str = "mimamori-rooms.target";
/// The form `together`, which is rendered instead of it: one realm has one form.
pub const TOGETHER: &str = "mimamori.service";

/// What hardens the unit whatever the table says; each line is a systemd.exec(5) setting.
const HARDENING: &[&str] = &[
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "ProcSubset=pid",
    "RemoveIPC=yes",
    "KeyringMode=private",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "SystemCallArchitectures=native",
    "SystemCallErrorNumber=EPERM",
    "SystemCallFilter=@system-service",
    "SystemCallFilter=~@privileged @resources",
    // What the jail itself is locked with.
    "SystemCallFilter=landlock_create_ruleset landlock_add_rule landlock_restrict_self seccomp prctl",
    "UMask=0077",
];

/// The device through which packets enter the kernel, and no other: a `/dev` of its own, into which one node is bound.
const TUN_ONLY: &str =
    "PrivateDevices=yes\nBindPaths=/dev/net/tun\nDevicePolicy=closed\nDeviceAllow=/dev/net/tun rw\n";

/// What a restart keeps for the next process: the vpn's state, its TUN and three ports of two families each;
/// the gateway's three listeners.
const RELAY: &str = "FileDescriptorStoreMax=32\n";

/// The service of the form `together`.
pub fn together(table: &[Process]) -> String {
    let capabilities: BTreeSet<&str> =
        table.iter().flat_map(|row| row.capabilities).map(|capability| capability.name).collect();
    let capabilities = capabilities.into_iter().collect::<Vec<_>>().join(" ");
    let mut text = String::from("# Rendered from the process table.\n[Unit]\n");
    text.push_str("Description=mimamori: VPN, authority, gateway, SNS and provisioning in one process\n");
    text.push_str("Wants=network-online.target\nAfter=network-online.target nftables.service\n");
    text.push_str("StartLimitIntervalSec=0\n\n[Service]\nType=notify\n");
    let _ = writeln!(text, "ExecStartPre={BINARY} check --config {CONFIG}");
    let _ = writeln!(text, "ExecStart={BINARY} run --config {CONFIG}");
    text.push_str("Restart=always\nRestartSec=1\nTimeoutStopSec=30\n");
    text.push_str(RELAY);
    let _ = writeln!(text, "CapabilityBoundingSet={capabilities}");
    let _ = writeln!(text, "AmbientCapabilities={capabilities}");
    let _ = writeln!(text, "ReadWritePaths={STATE} {RUN} -{OUTPUT}");
    text.push_str("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK\n");
    text.push_str(TUN_ONLY);
    harden(&mut text);
    text.push_str("# It gives up what it was born with.\nSystemCallFilter=capset\n");
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    text
}

/// `mimamori-rooms.target`: every room's service; its sockets come with it.
pub fn target(table: &[Process]) -> String {
    let services: Vec<String> = served(table).map(|row| service_name(row.name)).collect();
    format!(
        "# Rendered from the process table.\n[Unit]\nDescription=mimamori: every room in its own process\n\
         Wants={}\n\n[Install]\nWantedBy=multi-user.target\n",
        services.join(" ")
    )
}

/// Who has a unit: everybody but the operator.
pub fn served(table: &[Process]) -> impl Iterator<Item = &Process> {
    table.iter().filter(|row| row.name != Name::Cli)
}

pub fn service_name(name: Name) -> String {
    format!("mimamori-{}.service", name.as_str())
}

/// The socket's file name with another ending.
pub fn socket_name(arrow: &Arrow) -> String {
    format!("mimamori-{}.socket", arrow.socket.trim_end_matches(".sock"))
}

/// One arrow: open to its group alone, handed to its room under its own name.
pub fn socket(row: &Process, arrow: &Arrow) -> String {
    let mut text = String::from("# Rendered from the process table.\n[Unit]\n");
    let (from, to) = (arrow.from.as_str(), row.name.as_str());
    let _ = writeln!(text, "Description=mimamori: where {from} knocks at {to}");
    let _ = writeln!(text, "PartOf={TARGET}\n\n[Socket]\nListenStream={RUN}/{}", arrow.socket);
    let _ = writeln!(text, "SocketUser={}\nSocketGroup={}\nSocketMode=0660", row.user, arrow.group);
    let _ = writeln!(text, "DirectoryMode=0711\nRemoveOnStop=yes");
    let _ = writeln!(text, "FileDescriptorName={}\nService={}", arrow.socket, service_name(row.name));
    text
}

/// One room.
pub fn service(table: &[Process], row: &Process) -> String {
    let sockets: Vec<String> = row.arrows().map(|(_, arrow)| socket_name(arrow)).collect();
    let sockets = sockets.join(" ");
    let mut text = String::from("# Rendered from the process table.\n[Unit]\n");
    let _ = writeln!(text, "Description=mimamori: {}", row.name.as_str());
    let _ = writeln!(text, "PartOf={TARGET}\nRequires={sockets}\nAfter={sockets}");
    // The firewall closes before the tunnels' device exists.
    if row.knocks.contains(&"firewall.mirror") {
        let firewall = service_name(Name::Firewall);
        let _ =
            writeln!(text, "Wants={firewall} network-online.target\nAfter={firewall} network-online.target");
    }
    // A machine that holds no realm yet has nothing to run.
    let _ = writeln!(text, "ConditionPathExists={CONFIG}");
    text.push_str("StartLimitIntervalSec=0\n\n[Service]\nType=notify\n");
    let _ = writeln!(text, "ExecStart={BINARY} serve {} --config {CONFIG}", row.name.as_str());
    let _ = writeln!(text, "User={}\nGroup={}", row.user, row.user);
    let _ = writeln!(text, "SupplementaryGroups={}", groups(table, row).join(" "));
    let _ = writeln!(text, "Sockets={sockets}\nRestart=always\nRestartSec=100ms\nTimeoutStopSec=30");
    for secret in row.secrets {
        let _ = writeln!(text, "LoadCredential={secret}:{SECRETS}/{secret}");
    }
    let capabilities: Vec<&str> = row.capabilities.iter().map(|capability| capability.name).collect();
    let capabilities = capabilities.join(" ");
    let _ = writeln!(text, "CapabilityBoundingSet={capabilities}\nAmbientCapabilities={capabilities}");
    if let Some(state) = row.state {
        let _ = writeln!(text, "ReadWritePaths={STATE}/{state}");
    }
    if row.writes.contains(&"paths.output") {
        let _ = writeln!(text, "ReadWritePaths={OUTPUT}");
    }
    let _ = writeln!(text, "RestrictAddressFamilies={}", families(row).join(" "));
    if row.listens.is_empty() {
        text.push_str("IPAddressDeny=any\n");
    }
    if is_alone(row) {
        text.push_str("PrivateNetwork=yes\n");
    }
    text.push_str(if row.name == Name::Vpn { TUN_ONLY } else { "PrivateDevices=yes\n" });
    if matches!(row.name, Name::Vpn | Name::Gateway) {
        text.push_str(RELAY);
    }
    harden(&mut text);
    if row.capabilities.iter().any(|capability| capability.held == Held::WhileOpening) {
        text.push_str("# It gives up what it was born with.\nSystemCallFilter=capset\n");
    }
    text
}

/// Whoever knocks nowhere and listens to nobody outside has no network to see.
pub fn is_alone(row: &Process) -> bool {
    row.knocks.is_empty() && row.sockets == [Family::Unix]
}

/// Its arrows, both those that start and those that end here.
fn groups(table: &[Process], row: &Process) -> Vec<&'static str> {
    let all = table.iter().flat_map(|other| other.arrows().map(move |(_, arrow)| (other.name, arrow)));
    all.filter(|(offered_by, arrow)| arrow.from == row.name || *offered_by == row.name)
        .map(|(_, arrow)| arrow.group)
        .collect()
}

/// While it opens; afterwards its own jail leaves less.
fn families(row: &Process) -> Vec<&'static str> {
    let mut families = vec!["AF_UNIX"];
    if !row.listens.is_empty() {
        families.extend(["AF_INET", "AF_INET6"]);
    }
    if row.sockets.contains(&Family::Netlink) || row.name == Name::Vpn {
        families.push("AF_NETLINK");
    }
    families
}

fn harden(text: &mut String) {
    for line in HARDENING {
        let _ = writeln!(text, "{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use appliance::process::TABLE;

    #[test]
    fn the_unit_holds_the_tables_capabilities_and_no_other() {
        let text = together(&TABLE);
        assert!(text.contains("CapabilityBoundingSet=CAP_NET_ADMIN CAP_NET_BIND_SERVICE\n"));
        assert!(!text.contains("CAP_SYS_"), "{text}");
    }

    #[test]
    fn each_room_has_its_rows_capabilities_secret_and_network_and_no_other() {
        let unit = |name: Name| service(&TABLE, appliance::process::process(name));
        let pki = unit(Name::Pki);
        assert!(pki.contains("CapabilityBoundingSet=\nAmbientCapabilities=\n"), "{pki}");
        assert!(
            pki.contains("RestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\nPrivateNetwork=yes\n"),
            "{pki}"
        );
        assert_eq!(pki.matches("LoadCredential=").count(), 1, "{pki}");
        for room in [Name::Vpn, Name::Gateway] {
            assert!(unit(room).contains(RELAY), "a restart keeps what it listens on");
        }
        assert!(!unit(Name::Gateway).contains("mm-a-seats"), "the gateway must not reach the seats");
        assert!(!unit(Name::Provisioning).contains("LoadCredential="));
        assert!(unit(Name::Provisioning).contains("RestrictAddressFamilies=AF_UNIX\nIPAddressDeny=any\n"));
        for row in served(&TABLE) {
            // Doors check uids: a user namespace would lie to them.
            assert!(!service(&TABLE, row).contains("PrivateUsers"), "{}", row.user);
        }
    }

    #[test]
    fn only_the_vpn_room_has_a_device_and_it_has_one() {
        for row in served(&TABLE) {
            let text = service(&TABLE, row);
            assert!(text.contains("PrivateDevices=yes\n"), "{text}");
            let bound = text.matches("BindPaths=").count();
            assert_eq!(bound, usize::from(row.name == Name::Vpn), "{text}");
        }
    }

    #[test]
    fn each_arrow_is_a_socket_for_its_group_alone() {
        let pki = appliance::process::process(Name::Pki);
        let (_, arrow) = pki.arrows().next().unwrap();
        let text = socket(pki, arrow);
        assert!(text.contains("SocketGroup=mm-a-issuing\nSocketMode=0660\n"), "{text}");
        assert!(
            text.contains("FileDescriptorName=pki-issuing.sock\nService=mimamori-pki.service\n"),
            "{text}"
        );
    }
}
