//! How engineers get in where the machine is their own authority: one more user, whose bare keys lead to certificates, and
//! root's service that signs them; and the console's rescue shell, which two of them open. Pure text.

use appliance::machine::{APPLIED, ENGINEERS_SOCKET, ENROL_SHELL, ENROL_USER, KEPT, OPERATOR_USER};

use crate::render::Rendered;
use crate::unit::BINARY;

const UNITS: &str = "usr/lib/systemd/system";
/// Between the process table's users and its arrows' groups.
const ENROL_ID: u32 = 61007;

pub fn files() -> Vec<Rendered> {
    let file = |path: &str, text: String| Rendered { path: path.to_owned(), text };
    vec![
        file("usr/lib/sysusers.d/mimamori-engineers.conf", users()),
        file(&format!("{UNITS}/mimamori-engineers.socket"), socket()),
        file(&format!("{UNITS}/mimamori-engineers@.service"), answer()),
        file(&format!("{UNITS}/mimamori-rescue.service"), rescue()),
        file(&format!("{UNITS}/mimamori-registration.service"), registration()),
    ]
}

/// At the end of `sshd_config`: bare keys lead to one program that knows nothing but certificates, and certificates to
/// nothing there.
pub fn sshd() -> String {
    format!(
        "ExposeAuthInfo yes\n\
         Match User {ENROL_USER}\n\
         \x20 TrustedUserCAKeys none\n\
         \x20 PubkeyAcceptedAlgorithms ssh-ed25519,sk-ssh-ed25519@openssh.com,ecdsa-sha2-nistp256,\
         sk-ecdsa-sha2-nistp256@openssh.com\n\
         \x20 AuthorizedKeysCommand {BINARY} machine offered %t %k\n\
         \x20 AuthorizedKeysCommandUser {ENROL_USER}\n\
         \x20 ForceCommand {BINARY} machine enrol\n\
         \x20 PermitTTY no\n"
    )
}

fn users() -> String {
    format!(
        "# Bare keys lead here.\ng {ENROL_USER} {ENROL_ID} -\n\
         u {ENROL_USER} {ENROL_ID}:{ENROL_ID} \"mimamori enrol\" / {ENROL_SHELL}\nm {OPERATOR_USER} {ENROL_USER}\n"
    )
}

fn socket() -> String {
    format!(
        "[Unit]\nDescription=mimamori: where engineers ask for certificates\n\n\
         [Socket]\nListenStream={ENGINEERS_SOCKET}\nSocketUser=root\nSocketGroup={ENROL_USER}\nSocketMode=0660\n\
         Accept=yes\nMaxConnections=4\n\n[Install]\nWantedBy=sockets.target\n"
    )
}

/// Root without capabilities: it signs with the machine's own authority, and keeps a list.
fn answer() -> String {
    format!(
        "[Unit]\nDescription=mimamori: one engineer's question\nCollectMode=inactive-or-failed\n\n\
         [Service]\nExecStart={BINARY} machine engineers\nStandardInput=socket\nStandardOutput=journal\n\
         RuntimeMaxSec=60\nReadWritePaths={KEPT} {APPLIED}\n\
         CapabilityBoundingSet=\nNoNewPrivileges=yes\nProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n\
         PrivateDevices=yes\nPrivateNetwork=yes\nProtectKernelTunables=yes\nProtectKernelModules=yes\n\
         ProtectKernelLogs=yes\nProtectControlGroups=yes\nProtectClock=yes\nProtectHostname=yes\nLockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\nRestrictNamespaces=yes\n\
         RestrictAddressFamilies=AF_UNIX\nSystemCallArchitectures=native\nSystemCallFilter=@system-service\n\
         SystemCallFilter=~@privileged @resources\nSystemCallErrorNumber=EPERM\nKeyringMode=private\nUMask=0077\n"
    )
}

/// Whoever stands at the console and has the second person's code: root, for half an hour. No certificate leads here.
fn rescue() -> String {
    format!(
        "[Unit]\nDescription=mimamori: the rescue shell that two engineers have opened\n\n\
         [Service]\nExecStart={BINARY} machine rescue\nStandardInput=tty-force\nStandardOutput=tty\nStandardError=journal\n\
         TTYPath=/dev/console\nTTYReset=yes\nTTYVHangup=yes\nRuntimeMaxSec=1800\nTimeoutStopSec=5\nSendSIGHUP=yes\n\
         Restart=no\nUMask=0077\nEnvironment=HOME=/root TERM=vt220 LANG=C.UTF-8\n"
    )
}

/// Two engineers have agreed on another one.
fn registration() -> String {
    format!(
        "[Unit]\nDescription=mimamori: ten minutes for the registration of another engineer\n\n\
         [Service]\nType=oneshot\nExecStart={BINARY} machine register\nCapabilityBoundingSet=CAP_DAC_OVERRIDE\n\
         NoNewPrivileges=yes\nProtectSystem=strict\nReadWritePaths={APPLIED}\nProtectHome=yes\nPrivateTmp=yes\n\
         PrivateNetwork=yes\nUMask=0077\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_key_leads_to_one_program_without_a_terminal() {
        let text = sshd();
        let (before, block) = text.split_once("Match User").unwrap();
        assert!(!before.contains("Command"), "{before}");
        for line in ["ForceCommand /usr/bin/mimamori machine enrol", "PermitTTY no", "TrustedUserCAKeys none"]
        {
            assert!(block.lines().any(|found| found.trim() == line), "{line}");
        }
        assert!(!rescue().contains("[Install]") && rescue().contains("RuntimeMaxSec=1800\n"));
        assert!(!block.contains("rsa") && !block.contains("cert"), "{block}");
    }
}
