//! What lies where on the disk: the partitions of a new image, and what the machine adds at its first boot. A slot
//! is two partitions, root and verity; which of the two is booted, the hash in the kernel says. Pure text.

use std::fmt::Write;

const MIB: u64 = 1 << 20;
/// Three kernels with their initrds: the running one, the other slot's, and one that is being written.
pub const ESP: u64 = 72 * MIB;
/// Of each slot, so that years of updates fit; slot A grows to it at the first boot.
pub const ROOT: u64 = 512 * MIB;
/// 128 hashes of 32 octets for each 4 KiB block: 1/127 of the root, and room.
pub const VERITY: u64 = 8 * MIB;
/// As every tool aligns.
const GRAIN: u64 = MIB;
const SECTOR: u64 = 512;
/// What the last sectors hold: the second copy of the table.
const TAIL: u64 = MIB;
pub const ESP_LABEL: &str = "mimamori-esp";
pub const DATA_LABEL: &str = "mimamori-data";
/// Root and verity of each slot.
pub const SLOTS: [[&str; 2]; 2] =
    [["mimamori-root-a", "mimamori-verity-a"], ["mimamori-root-b", "mimamori-verity-b"]];

/// The kinds of the discoverable-partitions specification, x86-64.
const KIND_ESP: &str = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
const KIND_ROOT: &str = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709";
const KIND_VERITY: &str = "2C7357ED-EBD2-46D9-AEC1-23D437EC2BF5";
/// Fixed, so that builds can be compared.
const DISK_ID: &str = "6D696D61-6D6F-7269-A000-000000000010";

/// A new image's disk: where its three partitions begin, and how long it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    pub esp: u64,
    pub verity: u64,
    pub root: u64,
    pub length: u64,
    root_length: u64,
}

impl Disk {
    /// The root comes last: only what stands before free space can grow.
    pub fn of(root_length: u64) -> Self {
        let esp = GRAIN;
        let verity = esp + ESP;
        let root = verity + VERITY;
        let root_length = root_length.div_ceil(GRAIN) * GRAIN;
        Self { esp, verity, root, length: root + root_length + TAIL, root_length }
    }

    /// As sfdisk(8) reads it.
    pub fn script(&self) -> String {
        let mut text = format!("label: gpt\nlabel-id: {DISK_ID}\nunit: sectors\nsector-size: {SECTOR}\n");
        let rows = [
            (self.esp, ESP, KIND_ESP, ESP_LABEL),
            (self.verity, VERITY, KIND_VERITY, SLOTS[0][1]),
            (self.root, self.root_length, KIND_ROOT, SLOTS[0][0]),
        ];
        for (number, (start, size, kind, name)) in rows.into_iter().enumerate() {
            let _ = writeln!(
                text,
                "start={}, size={}, type={kind}, uuid=6D696D61-6D6F-7269-A000-00000000002{number}, name=\"{name}\"",
                start / SECTOR,
                size / SECTOR
            );
        }
        text
    }
}

/// What systemd-repart adds or grows, in the order of the disk; the numbers keep the order. What the data partition
/// holds, and under which keys, is the business of `mimamori machine data`.
pub fn definitions() -> Vec<(&'static str, String)> {
    let part = |kind: &str, label: &str, least: u64, most: Option<u64>, more: &str| {
        let most = most.map(|most| format!("SizeMaxBytes={most}\n")).unwrap_or_default();
        format!("[Partition]\nType={kind}\nLabel={label}\nSizeMinBytes={least}\n{most}{more}")
    };
    vec![
        ("10-esp.conf", part("esp", ESP_LABEL, ESP, Some(ESP), "")),
        ("20-verity-a.conf", part("root-verity", SLOTS[0][1], VERITY, Some(VERITY), "")),
        ("30-root-a.conf", part("root", SLOTS[0][0], ROOT, Some(ROOT), "")),
        ("40-verity-b.conf", part("root-verity", SLOTS[1][1], VERITY, Some(VERITY), "")),
        ("50-root-b.conf", part("root", SLOTS[1][0], ROOT, Some(ROOT), "")),
        ("60-data.conf", part("var", DATA_LABEL, ROOT, None, "FactoryReset=yes\n")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_are_aligned_and_do_not_overlap() {
        let disk = Disk::of(98_824_193);
        assert_eq!((disk.esp % GRAIN, disk.verity % GRAIN, disk.root % GRAIN), (0, 0, 0));
        assert!(disk.esp + ESP <= disk.verity && disk.verity + VERITY <= disk.root);
        assert!(disk.root + 98_824_193 <= disk.length - TAIL);
        assert!(disk.length < 200_000_000, "the issue's limit: {}", disk.length);
    }

    #[test]
    fn what_can_grow_stands_before_free_space() {
        let text = Disk::of(1).script();
        assert!(text.lines().last().unwrap().contains("name=\"mimamori-root-a"), "{text}");
        // A verity tree for a full root fits.
        const { assert!(ROOT / 127 + MIB <= VERITY) };
    }
}
