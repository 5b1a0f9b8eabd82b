//! Of what the root is made: Debian's packages, and what of them is thrown away again. Constants, and the name
//! under which a downloaded base is kept.

/// Whose systemd has verity, UKIs and credentials of the TPM in one piece (12 has not).
pub const SUITE: &str = "trixie";
pub const MIRROR: &str = "http://deb.debian.org/debian";

/// Each with its reason; their dependencies come with them, recommendations do not.
pub const PACKAGES: [&str; 22] = [
    "systemd",            // the supervisor
    "systemd-sysv",       // /sbin/init
    "udev",               // disks and links get their names
    "systemd-timesyncd",  // certificates need the time
    "openssh-server",     // the engineer's only way in
    "nftables",           // the wall, and the tunnels' mirror
    "iproute2",           // an engineer's first question
    "kmod",               // the kernel's modules
    "ca-certificates",    // whom the smarthost's certificate may come from
    "cryptsetup-bin",     // the data partition
    "systemd-cryptsetup", // its keys in the TPM
    // How systemd reaches a TPM; it looks for them when it runs, so nothing depends on them.
    "libtss2-esys-3.0.2-0t64",
    "libtss2-mu-4.0.1-0t64",
    "libtss2-rc0t64",
    "libtss2-tcti-device0t64",
    "linux-image-cloud-amd64", // virtual machines and no firmware blobs
    "busybox-static",          // the small initrd
    "systemd-repart",          // the other slot and the data partition, at first boot
    "e2fsprogs",               // the data partition's file system
    "systemd-boot-efi",        // loader and stub; taken out of the root, onto the boot partition
    "fonts-ipaexfont-gothic",  // the forms' PDFs (`provisioning::paper_font`)
    "fonts-vlgothic",          // names that the first one lacks
];

/// Not on the disk in the first place.
pub const EXCLUDED: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/bug/*"];

/// Needed to make the root, or by nobody, or dangerous: gone from it. Below the root; folders whole.
pub const REMOVED: [&str; 37] = [
    // Keys are made on the machine, never shipped.
    "etc/ssh/ssh_host_rsa_key",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssh/ssh_host_ecdsa_key",
    "etc/ssh/ssh_host_ecdsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key",
    "etc/ssh/ssh_host_ed25519_key.pub",
    // No package manager: the image is replaced, never changed.
    "usr/bin/dpkg",
    "usr/bin/dpkg-deb",
    "usr/bin/dpkg-divert",
    "usr/bin/dpkg-query",
    "usr/bin/dpkg-realpath",
    "usr/bin/dpkg-split",
    "usr/bin/dpkg-statoverride",
    "usr/bin/dpkg-trigger",
    "usr/lib/systemd/system/dpkg-db-backup.timer",
    "usr/lib/systemd/system/dpkg-db-backup.service",
    "etc/systemd/system/timers.target.wants/dpkg-db-backup.timer",
    // Nobody changes identity or password here.
    "usr/bin/su",
    "usr/bin/passwd",
    "usr/bin/chsh",
    "usr/bin/chfn",
    "usr/bin/chage",
    "usr/bin/expiry",
    "usr/bin/gpasswd",
    "usr/bin/newgrp",
    // Files are not carried over SSH.
    "usr/lib/openssh/sftp-server",
    "usr/lib/openssh/ssh-keysign",
    // The forms are set in its sister.
    "usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf",
    // Of the boot partition, not of the root.
    "usr/lib/systemd/boot",
    "usr/bin/busybox",
    // The list is kept (`tree`), its place lies below the data partition.
    "var/lib/dpkg",
    "etc/init.d",
    "etc/cron.daily",
    "var/lib/apt",
    "var/cache",
    "var/log",
    "boot",
];

/// Units that would start and that nobody needs.
pub const MASKED: [&str; 16] = [
    "getty@.service",
    "getty-static.service",
    "console-getty.service",
    "container-getty@.service",
    "serial-getty@.service",
    "debug-shell.service",
    "rescue.service",
    "systemd-pstore.service",
    "systemd-ask-password-wall.path",
    "systemd-ask-password-console.path",
    "systemd-bsod.service",
    "systemd-initctl.socket",
    "rc-local.service",
    "fstrim.timer",
    "sshd-keygen.service",
    "ssh.socket",
];

/// The name of the base that these constants make: another list is another base.
pub fn name() -> String {
    let words = PACKAGES.iter().chain(&EXCLUDED).chain([&SUITE, &MIRROR]);
    format!("base-{SUITE}-{:016x}.tar", words.fold(FNV_START, |hash, word| fnv(hash, word)))
}

/// Fowler–Noll–Vo 1a: it names a cache and guards nothing.
const FNV_START: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

fn fnv(hash: u64, word: &str) -> u64 {
    word.bytes().chain([0]).fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_outside_the_root_is_ever_removed() {
        for path in REMOVED {
            assert!(
                !path.starts_with('/') && !path.split('/').any(|part| part == ".." || part.is_empty()),
                "{path}"
            );
        }
    }

    #[test]
    fn another_list_is_another_base() {
        assert_ne!(fnv(fnv(FNV_START, "ab"), "c"), fnv(fnv(FNV_START, "a"), "bc"));
        assert!(name().starts_with("base-trixie-") && name().ends_with(".tar"));
    }
}
