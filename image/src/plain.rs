//! The files of the root that are the same on every machine: SSH, the wall's unit, the host's key, the network,
//! the kernel's switches. Pure text; what depends on the process table is rendered beside it.

use appliance::machine::{
    APPLIED, BACKUP_SOCKET, CONFIG, CONFIG_SOCKET, ENROL_USER, ETC, KEPT, RUN, SSH_CA, STATE, UPDATE_SOCKET,
};

use crate::engineers;
use crate::keeping::{self, DATA_UNIT};
use crate::render::Rendered;
use crate::unit::{BINARY, TARGET};

/// Of the one user to whom SSH leads.
pub const OPERATOR: &str = "mm-operator";
const UNITS: &str = "usr/lib/systemd/system";
pub const WALL_UNIT: &str = "mimamori-wall.service";
pub const CONFIG_UNIT: &str = "mimamori-config.service";
pub const BLESS_UNIT: &str = "mimamori-bless.service";
pub const DRILL_UNIT: &str = "mimamori-drill.service";
const DRILL_TIMER: &str = "mimamori-drill.timer";
pub const FIRST_UNIT: &str = "mimamori-first.service";
pub const HOST_KEY_UNIT: &str = "mimamori-host-key.service";

pub fn files() -> Vec<Rendered> {
    let file = |path: &str, text: String| Rendered { path: path.to_owned(), text };
    let mut files = vec![
        file("etc/ssh/sshd_config", sshd()),
        file("etc/ssh/principals/mm-operator", "operator\n".to_owned()),
        file(&format!("{UNITS}/{WALL_UNIT}"), wall()),
        file(&format!("{UNITS}/{HOST_KEY_UNIT}"), host_key()),
        file(&format!("{UNITS}/{CONFIG_UNIT}"), config_watch()),
        file(&format!("{UNITS}/mimamori-config.socket"), config_socket()),
        file(&format!("{UNITS}/mimamori-config@.service"), config_answer()),
        file(&format!("{UNITS}/{DATA_UNIT}"), keeping::data()),
        file(&format!("{UNITS}/{}", keeping::DEVICE_RULE), keeping::device_rule()),
        file(&format!("{UNITS}/{}", keeping::EMERGENCY_UNIT), keeping::emergency()),
        file(&format!("{UNITS}/{FIRST_UNIT}"), first()),
        file(&format!("{UNITS}/efi.mount"), BOOT_PARTITION.to_owned()),
        file(&format!("{UNITS}/mimamori-update.socket"), update_socket()),
        file(&format!("{UNITS}/mimamori-update@.service"), update_answer()),
        file(&format!("{UNITS}/{BLESS_UNIT}"), bless()),
        file(&format!("{UNITS}/mimamori-backup.socket"), backup_socket()),
        file(&format!("{UNITS}/mimamori-backup@.service"), backup_answer()),
        file(&format!("{UNITS}/{DRILL_UNIT}"), drill()),
        file(&format!("{UNITS}/{DRILL_TIMER}"), NIGHTLY.to_owned()),
        file(&format!("{UNITS}/run-stick.mount"), STICK.to_owned()),
        file(&format!("{UNITS}/systemd-networkd.service.d/50-wall.conf"), behind_the_wall()),
        file(&format!("{UNITS}/{TARGET}.d/50-wall.conf"), behind_the_wall()),
        file(&format!("{UNITS}/ssh.service.d/50-mimamori.conf"), sshd_unit()),
        file("usr/lib/systemd/network/80-mimamori.network", network()),
        file("usr/lib/systemd/system-preset/10-mimamori.preset", preset()),
        file("usr/lib/tmpfiles.d/mimamori-machine.conf", folders()),
        file("usr/lib/sysctl.d/60-mimamori.conf", SYSCTL.to_owned()),
        file("etc/modprobe.d/mimamori.conf", modules()),
        file("usr/lib/systemd/journald.conf.d/50-mimamori.conf", JOURNAL.to_owned()),
        file("usr/lib/systemd/coredump.conf.d/50-mimamori.conf", "[Coredump]\nStorage=none\n".to_owned()),
        file("etc/issue", "mimamori\n".to_owned()),
        file("etc/issue.net", String::new()),
    ];
    files.extend(engineers::files());
    files
}

/// Certificates of one authority, one user, one program; a connection carries nothing but its terminal.
fn sshd() -> String {
    format!(
        "# The image's own; what a realm decides (the authority) lies in {APPLIED}.\n\
         Port 22\n\
         HostKey /var/lib/mimamori-ssh/ssh_host_ed25519_key\n\
         AllowUsers {OPERATOR} {ENROL_USER}\n\
         PermitRootLogin no\n\
         AuthenticationMethods publickey\n\
         PubkeyAuthentication yes\n\
         PasswordAuthentication no\n\
         KbdInteractiveAuthentication no\n\
         HostbasedAuthentication no\n\
         GSSAPIAuthentication no\n\
         AuthorizedKeysFile none\n\
         AuthorizedKeysCommand none\n\
         TrustedUserCAKeys {APPLIED}/{SSH_CA}\n\
         AuthorizedPrincipalsFile /etc/ssh/principals/%u\n\
         ForceCommand {BINARY} shell\n\
         DisableForwarding yes\n\
         AllowAgentForwarding no\n\
         AllowTcpForwarding no\n\
         AllowStreamLocalForwarding no\n\
         X11Forwarding no\n\
         PermitTunnel no\n\
         PermitUserEnvironment no\n\
         PermitUserRC no\n\
         GatewayPorts no\n\
         AcceptEnv LANG LC_ALL\n\
         UsePAM no\n\
         StrictModes yes\n\
         LoginGraceTime 30\n\
         MaxAuthTries 3\n\
         MaxSessions 4\n\
         MaxStartups 10:30:30\n\
         PerSourceMaxStartups 5\n\
         ClientAliveInterval 60\n\
         ClientAliveCountMax 3\n\
         TCPKeepAlive no\n\
         Compression no\n\
         UseDNS no\n\
         PrintMotd no\n\
         LogLevel VERBOSE\n\
         KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,curve25519-sha256\n\
         Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com\n\
         MACs hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com\n\
         HostKeyAlgorithms ssh-ed25519\n\
         PubkeyAcceptedAlgorithms ssh-ed25519-cert-v01@openssh.com,sk-ssh-ed25519-cert-v01@openssh.com,\
         ecdsa-sha2-nistp256-cert-v01@openssh.com,sk-ecdsa-sha2-nistp256-cert-v01@openssh.com\n\
         CASignatureAlgorithms ssh-ed25519,ecdsa-sha2-nistp256,ecdsa-sha2-nistp384\n{}",
        engineers::sshd()
    )
}

/// Closed first, then opened as far as the configuration says; what fails leaves it closed and the network down.
fn wall() -> String {
    format!(
        "[Unit]\nDescription=mimamori: the wall, and whom SSH trusts\nDefaultDependencies=no\n\
         RequiresMountsFor={ETC} /var/lib\nAfter=local-fs.target systemd-sysusers.service\n\
         Before=network-pre.target systemd-networkd.service ssh.service {TARGET}\nWants=network-pre.target\n\
         Conflicts=shutdown.target\nBefore=shutdown.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\n\
         ExecStartPre=-{BINARY} config settle\nExecStart={BINARY} machine apply\nExecReload={BINARY} machine apply\n\
         CapabilityBoundingSet=CAP_NET_ADMIN\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\n\
         ReadWritePaths=/run {KEPT}\nPrivateTmp=yes\nPrivateDevices=yes\nProtectKernelTunables=yes\nProtectControlGroups=yes\n\
         ProtectClock=yes\nProtectHostname=yes\nProtectKernelLogs=yes\nProtectProc=invisible\nProcSubset=pid\n\
         LockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
         RestrictNamespaces=yes\nRestrictAddressFamilies=AF_UNIX AF_NETLINK\nSystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\nSystemCallErrorNumber=EPERM\n\
         KeyringMode=private\nRemoveIPC=yes\nUMask=0022\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// What root does for the engineer's `config`: nothing but files of one folder and two units. It follows a commit
/// with `systemctl`, so it keeps no capability but root's name.
const CONFIG_HARDENING: &str = "CapabilityBoundingSet=\nNoNewPrivileges=yes\nProtectSystem=strict\n\
    ProtectHome=yes\nPrivateTmp=yes\nPrivateDevices=yes\nPrivateNetwork=yes\nProtectKernelTunables=yes\n\
    ProtectKernelModules=yes\nProtectKernelLogs=yes\nProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\n\
    LockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
    RestrictNamespaces=yes\nRestrictAddressFamilies=AF_UNIX\nSystemCallArchitectures=native\n\
    SystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\nSystemCallErrorNumber=EPERM\n\
    KeyringMode=private\nUMask=0022\n";

/// Drops a commit that nobody confirmed; killed, it is started again, and what is overdue falls then.
fn config_watch() -> String {
    format!(
        "[Unit]\nDescription=mimamori: commits that nobody confirms\nAfter={WALL_UNIT}\nStartLimitIntervalSec=0\n\n\
         [Service]\nExecStart={BINARY} config settle --watch\nRestart=always\nRestartSec=1\nReadWritePaths={KEPT}\n\
         {CONFIG_HARDENING}\n[Install]\nWantedBy=multi-user.target\n"
    )
}

fn config_socket() -> String {
    format!(
        "[Unit]\nDescription=mimamori: where the engineer commits a configuration\n\n\
         [Socket]\nListenStream={CONFIG_SOCKET}\nSocketUser=root\nSocketGroup={OPERATOR}\nSocketMode=0660\n\
         Accept=yes\nMaxConnections=4\n\n[Install]\nWantedBy=sockets.target\n"
    )
}

fn config_answer() -> String {
    format!(
        "[Unit]\nDescription=mimamori: one commit of the engineer\nCollectMode=inactive-or-failed\n\n\
         [Service]\nExecStart={BINARY} machine answer\nStandardInput=socket\nStandardOutput=journal\n\
         TimeoutStartSec=60\nRuntimeMaxSec=120\nReadWritePaths={KEPT}\n{CONFIG_HARDENING}"
    )
}

/// The stick of the first boot: what stands on it belongs to root, and nothing of it is executed.
const STICK: &str = "[Unit]\nDescription=mimamori: the stick of the first boot\n\n\
    [Mount]\nWhat=/dev/disk/by-label/MIMAMORI\nWhere=/run/stick\nType=vfat\n\
    Options=umask=0077,nosuid,nodev,noexec,nosymfollow,utf8=1\n";

/// Only root's updater has business there. A container boots without a loader, and has none.
const BOOT_PARTITION: &str = "[Unit]\nDescription=mimamori: loader and kernels\nConditionVirtualization=!container\n\n\
    [Mount]\nWhat=/dev/disk/by-partlabel/mimamori-esp\nWhere=/efi\nType=vfat\n\
    Options=umask=0077,nosuid,nodev,noexec,nosymfollow\n";

/// Root without capabilities, with the disks and the boot partition.
const UPDATE_HARDENING: &str = "CapabilityBoundingSet=\nNoNewPrivileges=yes\nProtectSystem=strict\n\
    ReadWritePaths=/efi\nProtectHome=yes\nPrivateTmp=yes\nDevicePolicy=closed\nDeviceAllow=block-* rw\n\
    PrivateNetwork=yes\nProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\n\
    ProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\n\
    RestrictRealtime=yes\nRestrictSUIDSGID=yes\nRestrictNamespaces=yes\nRestrictAddressFamilies=AF_UNIX\n\
    SystemCallArchitectures=native\nSystemCallFilter=@system-service\nSystemCallFilter=~@privileged @resources\n\
    SystemCallErrorNumber=EPERM\nKeyringMode=private\nUMask=0077\n";

fn update_socket() -> String {
    format!(
        "[Unit]\nDescription=mimamori: where the engineer brings a new version\n\n\
         [Socket]\nListenStream={UPDATE_SOCKET}\nSocketUser=root\nSocketGroup={OPERATOR}\nSocketMode=0660\n\
         Accept=yes\nMaxConnections=1\n\n[Install]\nWantedBy=sockets.target\n"
    )
}

fn update_answer() -> String {
    format!(
        "[Unit]\nDescription=mimamori: one update of the engineer\nCollectMode=inactive-or-failed\n\
         RequiresMountsFor=/efi\n\n\
         [Service]\nExecStart={BINARY} machine update\nStandardInput=socket\nStandardOutput=journal\n\
         RuntimeMaxSec=3600\n{UPDATE_HARDENING}"
    )
}

/// What is on trial stays when it is healthy; otherwise the machine starts anew, and the loader counts.
fn bless() -> String {
    format!(
        "[Unit]\nDescription=mimamori: the trial of a new version\nConditionVirtualization=!container\n\
         RequiresMountsFor=/efi\nAfter={TARGET}\n\n\
         [Service]\nType=exec\nExecStart={BINARY} machine bless\n{UPDATE_HARDENING}\
         # It knocks at every room's door, as the operator does.\nCapabilityBoundingSet=CAP_DAC_OVERRIDE\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// What makes a realm of a blank machine. It writes the rooms' folders and gives them away, and nothing else.
fn first() -> String {
    format!(
        "[Unit]\nDescription=mimamori: a blank machine waits for its realm\n\
         Wants={HOST_KEY_UNIT}\nAfter={WALL_UNIT} {HOST_KEY_UNIT}\nRequiresMountsFor=/var/lib\n\n\
         [Service]\nType=exec\nExecStart={BINARY} machine first\nStandardOutput=journal\nStandardError=journal+console\n\
         Environment=LANG=en_US.UTF-8\nRestart=on-failure\nRestartSec=30\n\
         CapabilityBoundingSet=CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE\nNoNewPrivileges=yes\nProtectHome=yes\nPrivateTmp=yes\n\
         ProtectKernelTunables=yes\nProtectKernelModules=yes\nProtectKernelLogs=yes\nProtectControlGroups=yes\nProtectClock=yes\n\
         ProtectHostname=yes\nPrivateNetwork=yes\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\nRestrictNamespaces=yes\nRestrictAddressFamilies=AF_UNIX\nSystemCallArchitectures=native\n\
         SystemCallFilter=@system-service\nSystemCallErrorNumber=EPERM\nUMask=0077\n\n\
         [Install]\nWantedBy=multi-user.target\n"
    )
}

/// A backup of the realm, brought back beside it and looked through; nothing of it leaves the machine. It reads every
/// room's folder, and writes beside them.
fn drill() -> String {
    format!(
        "[Unit]\nDescription=mimamori: the nightly rehearsal of a restore\nConditionPathExists={CONFIG}\n\
         RequiresMountsFor=/var/lib\nAfter={TARGET}\n\n\
         [Service]\nType=oneshot\nExecStart={BINARY} backup drill\nNice=10\nIOSchedulingClass=idle\n\
         TimeoutStartSec=3600\nReadWritePaths={STATE} {RUN}\nSuccessExitStatus=6\n\
         {CONFIG_HARDENING}CapabilityBoundingSet=CAP_DAC_OVERRIDE\n"
    )
}

fn backup_socket() -> String {
    format!(
        "[Unit]\nDescription=mimamori: where the engineer fetches a sealed backup\n\n\
         [Socket]\nListenStream={BACKUP_SOCKET}\nSocketUser=root\nSocketGroup={OPERATOR}\nSocketMode=0660\n\
         Accept=yes\nMaxConnections=1\n\n[Install]\nWantedBy=sockets.target\n"
    )
}

/// As the rehearsal: it reads every room's folder.
fn backup_answer() -> String {
    format!(
        "[Unit]\nDescription=mimamori: one backup for the engineer\nCollectMode=inactive-or-failed\n\
         RequiresMountsFor=/var/lib\n\n\
         [Service]\nExecStart={BINARY} machine backup\nStandardInput=socket\nStandardOutput=journal\nNice=10\n\
         RuntimeMaxSec=3600\nReadWritePaths={STATE} {RUN}\n{CONFIG_HARDENING}CapabilityBoundingSet=CAP_DAC_OVERRIDE\n"
    )
}

/// When nobody works and nothing else is planned.
const NIGHTLY: &str = "[Unit]\nDescription=mimamori: every night\n\n\
    [Timer]\nOnCalendar=*-*-* 03:17\nPersistent=yes\n\n[Install]\nWantedBy=timers.target\n";

/// No wall, no network.
fn behind_the_wall() -> String {
    format!("[Unit]\nRequires={WALL_UNIT}\nAfter={WALL_UNIT}\n")
}

/// Made once, on the machine.
fn host_key() -> String {
    "[Unit]\nDescription=mimamori: the machine's own SSH key\nRequiresMountsFor=/var/lib/mimamori-ssh\n\
     ConditionPathExists=!/var/lib/mimamori-ssh/ssh_host_ed25519_key\nBefore=ssh.service\n\n\
     [Service]\nType=oneshot\nRemainAfterExit=yes\nUMask=0077\n\
     ExecStart=/usr/bin/ssh-keygen -q -t ed25519 -N \"\" -C \"\" -f /var/lib/mimamori-ssh/ssh_host_ed25519_key\n\
     PrivateNetwork=yes\nPrivateDevices=yes\nProtectSystem=strict\nReadWritePaths=/var/lib/mimamori-ssh\n\
     ProtectHome=yes\nPrivateTmp=yes\nNoNewPrivileges=yes\nCapabilityBoundingSet=\n\n\
     [Install]\nWantedBy=multi-user.target\n"
        .to_owned()
}

/// Debian's own unit, narrowed. It becomes the operator, so it keeps the capabilities for that.
fn sshd_unit() -> String {
    format!(
        "[Unit]\nRequires={WALL_UNIT}\nAfter={WALL_UNIT} {HOST_KEY_UNIT}\nWants={HOST_KEY_UNIT}\n\n\
         [Service]\nEnvironmentFile=\nEnvironment=SSHD_OPTS=\n\
         CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SYS_CHROOT CAP_NET_BIND_SERVICE CAP_KILL CAP_CHOWN\n\
         ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\nProtectKernelModules=yes\nProtectKernelTunables=yes\n\
         ProtectKernelLogs=yes\nProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\n\
         ProtectProc=invisible\nProcSubset=pid\nLockPersonality=yes\nMemoryDenyWriteExecute=yes\nRestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\nRestrictNamespaces=yes\nDevicePolicy=closed\nDeviceAllow=/dev/ptmx rw\n\
         DeviceAllow=char-pts rw\nRestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\nSystemCallArchitectures=native\n\
         NoNewPrivileges=yes\nKeyringMode=private\nReadOnlyPaths={RUN}\nUMask=0077\n"
    )
}

/// Until a configuration of its own is committed: addresses by DHCP.
fn network() -> String {
    "[Match]\nType=ether\n\n[Network]\nDHCP=yes\nLLMNR=no\nMulticastDNS=no\nLinkLocalAddressing=ipv6\n\n\
     [DHCPv4]\nUseHostname=no\nSendHostname=no\n"
        .to_owned()
}

fn preset() -> String {
    format!(
        "enable {WALL_UNIT}\nenable {HOST_KEY_UNIT}\nenable {CONFIG_UNIT}\nenable {FIRST_UNIT}\nenable mimamori-config.socket\nenable mimamori-update.socket\nenable mimamori-engineers.socket\nenable mimamori-backup.socket\nenable {BLESS_UNIT}\nenable {DRILL_TIMER}\nenable {TARGET}\nenable ssh.service\n\
         enable systemd-networkd.service\nenable systemd-timesyncd.service\ndisable *\n"
    )
}

fn folders() -> String {
    format!(
        "# Root's own.\nd /var/lib/mimamori-config 0755 root root -\n\
         d /var/lib/mimamori-config/network 0755 root root -\nd /var/lib/mimamori-ssh 0700 root root -\n\
         d {APPLIED} 0755 root root -\nd /run/sshd 0755 root root -\n"
    )
}

/// The kernel's own hardening; forwarding stays off, because devices never reach each other.
const SYSCTL: &str = "\
# What the kernel tells, and to whom.
kernel.kptr_restrict = 2
kernel.dmesg_restrict = 1
kernel.unprivileged_bpf_disabled = 1
kernel.yama.ptrace_scope = 3
kernel.sysrq = 0
kernel.kexec_load_disabled = 1
kernel.perf_event_paranoid = 3
kernel.randomize_va_space = 2
kernel.core_pattern = |/bin/false
dev.tty.ldisc_autoload = 0
net.core.bpf_jit_harden = 2
fs.protected_fifos = 2
fs.protected_regular = 2
fs.protected_hardlinks = 1
fs.protected_symlinks = 1
fs.suid_dumpable = 0
vm.unprivileged_userfaultfd = 0
# Devices never reach each other, and nobody sends us elsewhere.
net.ipv4.ip_forward = 0
net.ipv6.conf.all.forwarding = 0
net.ipv4.conf.all.accept_redirects = 0
net.ipv4.conf.default.accept_redirects = 0
net.ipv6.conf.all.accept_redirects = 0
net.ipv6.conf.default.accept_redirects = 0
net.ipv4.conf.all.send_redirects = 0
net.ipv4.conf.default.send_redirects = 0
net.ipv4.conf.all.accept_source_route = 0
net.ipv6.conf.all.accept_source_route = 0
net.ipv4.conf.all.rp_filter = 1
net.ipv4.conf.default.rp_filter = 1
net.ipv4.conf.all.log_martians = 0
net.ipv4.tcp_syncookies = 1
net.ipv4.tcp_rfc1337 = 1
# A realm's tunnels in bursts.
net.core.rmem_max = 8388608
net.core.wmem_max = 8388608
";

/// Protocols and buses that nobody here speaks, each a way into the kernel.
fn modules() -> String {
    const NEVER: [&str; 15] = [
        "dccp",
        "sctp",
        "rds",
        "tipc",
        "ax25",
        "netrom",
        "x25",
        "can",
        "atm",
        "n_hdlc",
        "cramfs",
        "hfs",
        "udf",
        "firewire_core",
        "bluetooth",
    ];
    NEVER.iter().map(|name| format!("install {name} /bin/false\n")).collect()
}

const JOURNAL: &str =
    "[Journal]\nStorage=persistent\nSystemMaxUse=512M\nSystemKeepFree=256M\nForwardToConsole=no\n";

#[cfg(test)]
mod tests {
    use appliance::machine::OPERATOR_SHELL;

    use super::*;

    #[test]
    fn ssh_leads_to_one_program_and_carries_nothing_else() {
        let text = sshd();
        for line in [
            "ForceCommand /usr/bin/mimamori shell",
            "DisableForwarding yes",
            "PasswordAuthentication no",
            "AuthorizedKeysFile none",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}");
        }
        assert!(!text.contains("Subsystem"), "no file server");
        assert!(OPERATOR_SHELL.starts_with("/usr/bin/"));
    }

    #[test]
    fn nothing_has_a_network_before_the_wall_stands() {
        let of = |path: &str| files().into_iter().find(|file| file.path == path).unwrap().text;
        for unit in ["systemd-networkd.service.d/50-wall.conf", "ssh.service.d/50-mimamori.conf"] {
            assert!(of(&format!("{UNITS}/{unit}")).contains("Requires=mimamori-wall.service\n"), "{unit}");
        }
    }
}
