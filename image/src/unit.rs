//! The unit that runs the whole appliance in one process (`mimamori run`), with no more capability
//! than the rows of the process table name together. Pure text.

use std::collections::BTreeSet;
use std::fmt::Write;

use appliance::process::Process;

use crate::folders::{RUN, STATE};

/// Where the binary and the configuration lie on the image.
const BINARY: &str = "/usr/bin/mimamori";
const CONFIG: &str = "/etc/mimamori/mimamori.toml";

/// What hardens the unit whatever the table says; each line is a systemd.exec(5) setting.
const HARDENING: &[&str] = &[
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=yes",
    "PrivateTmp=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectControlGroups=yes",
    "ProtectClock=yes",
    "ProtectHostname=yes",
    "ProtectProc=invisible",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallArchitectures=native",
    "DevicePolicy=closed",
    "DeviceAllow=/dev/net/tun rw",
    "UMask=0077",
];

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
    let _ = writeln!(text, "CapabilityBoundingSet={capabilities}");
    let _ = writeln!(text, "AmbientCapabilities={capabilities}");
    let _ = writeln!(text, "ReadWritePaths={STATE} {RUN}");
    for line in HARDENING {
        let _ = writeln!(text, "{line}");
    }
    text.push_str("\n[Install]\nWantedBy=multi-user.target\n");
    text
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
}
