//! How the machine comes by `/var`, which it never does without: the unit that makes the data partition at the first boot
//! and opens it at every other (`mimamori machine data`), the line of fstab that follows it, and what happens when either
//! fails. Pure text.

use crate::layout;
use crate::unit::BINARY;

pub const DATA_UNIT: &str = "mimamori-data.service";
/// In place of systemd's own emergency shell, for which nobody here has a password.
pub const EMERGENCY_UNIT: &str = "emergency.service";
/// Where the opened partition appears, as systemd writes it.
const DEVICE: &str = "dev-mapper-mimamori\\x2ddata";
pub const DEVICE_RULE: &str = "dev-mapper-mimamori\\x2ddata.device.d/50-mimamori.conf";
/// From the opened partition to its file system in udev's eyes; the wait for a stick or a key lies before it.
const APPEARS: &str = "5min";

/// Before anything can be written, and before either barrier moves register 11 on: the later one waits for no other.
/// fsck waits for the device alone, so it is told of the service that brings it.
pub fn data() -> String {
    format!(
        "[Unit]\nDescription=mimamori: the data partition\nDefaultDependencies=no\nConditionVirtualization=!container\n\
         Requires=systemd-repart.service\nWants=tpm2.target systemd-udevd.service\n\
         After=systemd-repart.service tpm2.target systemd-udevd.service systemd-udev-trigger.service\n\
         After=systemd-tpm2-setup-early.service\n\
         Before=systemd-fsck@{DEVICE}.service var.mount local-fs.target\n\
         Before=systemd-pcrphase-sysinit.service systemd-pcrphase.service\n\
         Conflicts=shutdown.target\nBefore=shutdown.target\n\n\
         [Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart={BINARY} machine data\nTimeoutStartSec=infinity\n\
         StandardOutput=journal\nStandardError=journal+console\nEnvironment=LANG=en_US.UTF-8\n\
         KeyringMode=private\nUMask=0077\nNoNewPrivileges=yes\nProtectHome=yes\nPrivateNetwork=yes\n\
         ProtectKernelLogs=yes\nProtectControlGroups=yes\nLockPersonality=yes\n\
         MemoryDenyWriteExecute=yes\nRestrictRealtime=yes\nRestrictSUIDSGID=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_NETLINK AF_ALG\nSystemCallArchitectures=native\n"
    )
}

/// The patience for the device begins when the service has ended, however long that waited for somebody.
pub fn device_rule() -> String {
    format!("[Unit]\nAfter={DATA_UNIT}\n")
}

/// A container has neither partition nor this file's mount: `/var` is bound from outside there.
pub fn fstab() -> String {
    format!(
        "/dev/mapper/{} /var ext4 nosuid,nodev,noexec,x-systemd.requires={DATA_UNIT},\
         x-systemd.after={DATA_UNIT},x-systemd.device-timeout={APPEARS} 0 2\n",
        layout::DATA_LABEL
    )
}

/// Whatever `local-fs.target` misses (a repart, key, device, fsck or mount that failed) leads here: systemd drops every
/// unit that was to start, and the machine starts anew. A version on trial gives way so. Long enough to be read.
pub fn emergency() -> String {
    "[Unit]\nDescription=mimamori: it does not go on without its data\nDefaultDependencies=no\n\
     Conflicts=shutdown.target\nBefore=shutdown.target\nSuccessAction=reboot-force\nFailureAction=reboot-force\n\n\
     [Service]\nType=oneshot\nStandardOutput=journal+console\nStandardError=journal+console\n\
     ExecStart=-/usr/bin/systemctl list-units --failed --plain --no-legend --no-pager\n\
     ExecStart=-/usr/bin/echo mimamori: something that every start needs has failed; starting anew\n\
     ExecStart=-/usr/bin/sleep 10\n"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_opened_before_it_is_looked_at_and_before_the_register_moves_on() {
        let text = data();
        let before: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("Before="))
            .flat_map(str::split_whitespace)
            .collect();
        for later in [
            "systemd-fsck@dev-mapper-mimamori\\x2ddata.service",
            "var.mount",
            "local-fs.target",
            "systemd-pcrphase-sysinit.service",
            "systemd-pcrphase.service",
        ] {
            assert!(before.contains(&later), "{later}: {text}");
        }
        assert!(fstab().starts_with("/dev/mapper/mimamori-data /var ext4 "), "{}", fstab());
        assert_eq!(DEVICE_RULE.split_once('.').map(|(name, _)| name), Some(DEVICE));
    }

    /// Without it `/var` is the sealed root's empty folder, and every room would begin as on a blank machine.
    #[test]
    fn no_machine_goes_on_without_its_data() {
        assert!(!fstab().contains("nofail"), "{}", fstab());
        assert!(
            !crate::base::MASKED.contains(&EMERGENCY_UNIT)
                && !crate::base::MASKED.contains(&"emergency.target")
        );
        for action in ["SuccessAction=reboot-force", "FailureAction=reboot-force"] {
            assert!(emergency().lines().any(|line| line == action), "{action}");
        }
    }
}
