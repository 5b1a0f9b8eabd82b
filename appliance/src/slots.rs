//! The slots of the machine it runs on: which one is mounted, what lies on the boot partition, and the steps of an
//! update done on the disk. An edge: block devices, the boot partition, `veritysetup`; as root.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use aws_lc_rs::digest::{Context, SHA256};
use data_encoding::HEXLOWER_PERMISSIVE;
use rustix::fs::{Advice, fadvise};

use crate::update::package::{Manifest, Part, root_hash_of};
use crate::update::{Kernel, Running, Slot, Step, TEMPORARY};

/// Where systemd mounts the boot partition, and where the loader looks.
const KERNELS: &str = "/efi/EFI/Linux";
const LABELS: &str = "/dev/disk/by-partlabel";
const CHUNK: usize = 1 << 20;

/// What runs, from the kernel's own words and what it stands on.
pub fn running() -> io::Result<Running> {
    let line = fs::read("/proc/cmdline")?;
    let root_hash = root_hash_of(&line).ok_or_else(|| io::Error::other("the root is not sealed"))?;
    let mut kernels = Vec::new();
    for entry in fs::read_dir(KERNELS)? {
        let entry = entry?;
        let file = entry.file_name().to_string_lossy().into_owned();
        if let Some(root_hash) = root_hash_of(&fs::read(entry.path())?) {
            kernels.push(Kernel { file, root_hash });
        }
    }
    Ok(Running { slot: mounted()?, root_hash, kernels })
}

/// The partition below the root, by its name.
fn mounted() -> io::Result<Slot> {
    for device in fs::read_dir("/sys/class/block")? {
        let device = device?.path();
        if fs::read_to_string(device.join("dm/name")).is_ok_and(|name| name.trim() == "root") {
            for part in fs::read_dir(device.join("slaves"))? {
                let event = fs::read_to_string(part?.path().join("uevent"))?;
                for slot in [Slot::A, Slot::B] {
                    let name = format!("PARTNAME=mimamori-root-{}", slot.letter());
                    if event.lines().any(|line| line == name) {
                        return Ok(slot);
                    }
                }
            }
        }
    }
    Err(io::Error::other("no slot is mounted"))
}

/// One step, whole on the disk when this returns. `package` stands at the part that the step needs.
pub fn perform(step: &Step, manifest: &Manifest, package: &mut dyn Read) -> io::Result<()> {
    match step {
        Step::Forget(name) => {
            fs::remove_file(Path::new(KERNELS).join(name))?;
            flush_names()
        }
        Step::Root(slot) => write(&device("root", *slot), &manifest.root, package),
        Step::Tree(slot) => write(&device("verity", *slot), &manifest.tree, package),
        Step::Check(slot) => check(*slot, &manifest.root_hash),
        Step::Kernel => kernel(manifest, package),
        Step::Commit(name) => {
            let folder = Path::new(KERNELS);
            fs::rename(folder.join(TEMPORARY), folder.join(name))?;
            flush_names()
        }
    }
}

/// A version on trial stays.
pub fn bless(from: &str, to: &str) -> io::Result<()> {
    fs::rename(Path::new(KERNELS).join(from), Path::new(KERNELS).join(to))?;
    flush_names()
}

fn device(kind: &str, slot: Slot) -> PathBuf {
    Path::new(LABELS).join(format!("mimamori-{kind}-{}", slot.letter()))
}

fn write(device: &Path, part: &Part, package: &mut dyn Read) -> io::Result<()> {
    let mut to = OpenOptions::new().read(true).write(true).open(device)?;
    let mut sum = Context::new(&SHA256);
    let mut left = part.size;
    let mut bytes = vec![0; CHUNK];
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        let count = package.read(&mut bytes[..most])?;
        if count == 0 {
            return Err(io::Error::other("the update ends before its end"));
        }
        sum.update(&bytes[..count]);
        to.write_all(&bytes[..count])?;
        left -= count as u64;
    }
    to.sync_all()?;
    // What is checked next is what the disk has, not what memory remembers.
    let _ = fadvise(&to, 0, None, Advice::DontNeed);
    same(sum, part)
}

fn check(slot: Slot, root_hash: &str) -> io::Result<()> {
    let done = Command::new("/usr/sbin/veritysetup")
        .arg("verify")
        .args([device("root", slot), device("verity", slot)])
        .arg(root_hash)
        .stdin(Stdio::null())
        .output()?;
    if done.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "read back, the slot does not fit: {}",
        String::from_utf8_lossy(&done.stderr).trim()
    )))
}

fn kernel(manifest: &Manifest, package: &mut dyn Read) -> io::Result<()> {
    let mut bytes = Vec::new();
    package.take(manifest.kernel.size).read_to_end(&mut bytes)?;
    let mut sum = Context::new(&SHA256);
    sum.update(&bytes);
    same(sum, &manifest.kernel)?;
    if root_hash_of(&bytes).as_deref() != Some(manifest.root_hash.as_str()) {
        return Err(io::Error::other("its kernel leads to another root"));
    }
    let path = Path::new(KERNELS).join(TEMPORARY);
    let mut file = File::create(&path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    if fs::read(&path)? == bytes {
        flush_names()
    } else {
        Err(io::Error::other("the kernel reads back differently"))
    }
}

fn same(sum: Context, part: &Part) -> io::Result<()> {
    let sum = HEXLOWER_PERMISSIVE.encode(sum.finish().as_ref());
    if sum == part.sha256.to_ascii_lowercase() {
        Ok(())
    } else {
        Err(io::Error::other("the update is damaged"))
    }
}

/// The whole boot partition: FAT has no journal.
fn flush_names() -> io::Result<()> {
    let folder = File::open(KERNELS)?;
    folder.sync_all()?;
    Ok(rustix::fs::syncfs(&folder)?)
}
