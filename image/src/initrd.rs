//! The small initrd: busybox, veritysetup, the modules that reach a disk, and one script that finds the slot
//! that fits the root hash of the command line. What fails starts the machine anew, and the loader counts. An
//! edge: files of the root, Debian's `objdump` and `xz`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cpio::{Kind, archive};
use crate::tools::{BuildError, at, run};

/// Disks of virtual machines, and what a sealed root needs. Those built into the kernel are no files.
const MODULES: [&str; 12] = [
    "virtio_blk",
    "virtio_scsi",
    "sd_mod",
    "ahci",
    "hv_storvsc",
    "vmw_pvscsi",
    "xen-blkfront",
    "sha256-ssse3",
    "crc32c_generic",
    "crc32c-intel",
    "dm-verity",
    "erofs",
];
const NEEDED: [&str; 2] = ["dm-verity", "erofs"];
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// The first process. A disk may take a while to appear; after half a minute it does not come.
const SCRIPT: &str = r#"#!/bin/busybox sh
b=/bin/busybox
export LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu DM_DISABLE_UDEV=1
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
$b mount -t tmpfs -o mode=755 tmpfs /run
fail() {
  echo "mimamori: $1; starting anew" > /dev/console
  $b sleep 2
  $b reboot -f
  $b sleep 600
}
hash=
for word in $($b cat /proc/cmdline); do
  case $word in mimamori.root=*) hash=${word#*=} ;; esac
done
[ ${#hash} = 64 ] || fail 'no root hash on the command line'
for module in $($b cat /modules/order); do $b insmod /modules/$module 2>/dev/null; done
# A slot is a tree of hashes and the root it fits; which pair is ours, the hash says and no name.
parts() {
  for event in /sys/class/block/*/uevent; do
    if $b grep -qx "PARTNAME=$1" "$event"; then $b sed -n 's/^DEVNAME=//p' "$event"; fi
  done
}
try() {
  /usr/sbin/veritysetup open "/dev/$1" root "/dev/$2" "$hash" 2>/dev/null || return 1
  if $b mount -t erofs -o ro /dev/mapper/root /sysroot 2>/dev/null; then
    $b umount /sysroot
    /usr/sbin/veritysetup close root
    return 0
  fi
  /usr/sbin/veritysetup close root
  return 1
}
turn=0
found=
while [ -z "$found" ]; do
  for slot in a b; do
    root=$(parts "mimamori-root-$slot")
    verity=$(parts "mimamori-verity-$slot")
    [ -n "$root" ] && [ -n "$verity" ] && try "$root" "$verity" && found=1 && break
  done
  turn=$((turn + 1))
  [ $turn -lt 50 ] || fail "no slot holds the root ${hash%????????????????????????????????????????????????????????}"
  [ -n "$found" ] || $b usleep 500000
done
# From here on a wrong bit starts the machine anew, and the loader counts.
/usr/sbin/veritysetup open --restart-on-corruption "/dev/$root" root "/dev/$verity" "$hash" > /dev/console 2>&1 ||
  fail 'the root does not match its hash'
$b mount -t erofs -o ro /dev/mapper/root /sysroot || fail 'the root cannot be mounted'
$b mount --move /dev /sysroot/dev
$b umount /proc /sys
# What the stub brought for the TPM; the machine's own start opens the data with it.
$b mkdir -p /run/systemd
for file in tpm2-pcr-signature.json tpm2-pcr-public-key.pem; do
  [ ! -f /.extra/$file ] || $b cp /.extra/$file /run/systemd/$file
done
$b mount --move /run /sysroot/run || fail 'the folder run cannot be moved'
exec $b switch_root /sysroot /usr/lib/systemd/systemd
fail 'nothing to start'
"#;

/// From a root whose packages are still whole.
pub fn make(root: &Path) -> Result<Vec<u8>, BuildError> {
    let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let read = |path: &str| {
        let from = root.join(path);
        fs::read(&from).map_err(at(&from))
    };
    let busybox = read("usr/bin/busybox")?;
    let verity = "usr/sbin/veritysetup";
    files.insert(verity.to_owned(), read(verity)?);
    for library in libraries(root, &root.join(verity))? {
        files.insert(format!("{LIBRARIES}/{library}"), read(&format!("{LIBRARIES}/{library}"))?);
    }
    let loader = read(&format!("{LIBRARIES}/ld-linux-x86-64.so.2"))?;
    let (order, modules) = modules(root)?;
    for (name, bytes) in modules {
        files.insert(format!("modules/{name}"), bytes);
    }
    files.insert("modules/order".to_owned(), order.into_bytes());
    let mut entries: Vec<(String, Kind<'_>)> =
        ["bin", "dev", "lib64", "proc", "run", "sys", "sysroot", "usr"]
            .iter()
            .chain(&["usr/sbin", "usr/lib", LIBRARIES, "modules"])
            .map(|folder| ((*folder).to_owned(), Kind::Folder))
            .collect();
    entries.push(("init".to_owned(), Kind::Program(SCRIPT.as_bytes())));
    entries.push(("bin/busybox".to_owned(), Kind::Program(&busybox)));
    entries.push((LOADER.to_owned(), Kind::Program(&loader)));
    for (path, bytes) in &files {
        let kind = if path.starts_with("modules/") { Kind::File(bytes) } else { Kind::Program(bytes) };
        entries.push((path.clone(), kind));
    }
    Ok(archive(&entries))
}

/// What a program asks the loader for, and what that asks for.
fn libraries(root: &Path, program: &Path) -> Result<BTreeSet<String>, BuildError> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![program.to_owned()];
    while let Some(path) = waiting.pop() {
        let said = run(Command::new("objdump").arg("-p").arg(&path))?;
        let needed = said.lines().filter_map(|line| line.trim().strip_prefix("NEEDED"));
        for name in needed.map(|name| name.trim().to_owned()) {
            if !name.starts_with("ld-linux") && found.insert(name.clone()) {
                waiting.push(root.join(LIBRARIES).join(name));
            }
        }
    }
    Ok(found)
}

/// Its name, and what is loaded.
type Module = (String, Vec<u8>);

/// Their names in the order of loading, one to a line, and the modules themselves.
fn modules(root: &Path) -> Result<(String, Vec<Module>), BuildError> {
    let folder = root.join("usr/lib/modules");
    let version = fs::read_dir(&folder).map_err(at(&folder))?.flatten().next();
    let folder = version.map_or(folder, |version| version.path());
    let list = folder.join("modules.dep");
    let text = fs::read_to_string(&list).map_err(at(&list))?;
    let order = in_order(&text, &MODULES);
    let mut names = String::new();
    let mut modules = Vec::new();
    for path in &order {
        let name = stem(path);
        let from = folder.join(path);
        let bytes = if path.ends_with(".xz") {
            let done = Command::new("xz")
                .args(["-dc"])
                .arg(&from)
                .stdin(Stdio::null())
                .output()
                .map_err(at(&from))?;
            done.stdout
        } else {
            fs::read(&from).map_err(at(&from))?
        };
        names.push_str(&format!("{name}.ko\n"));
        modules.push((format!("{name}.ko"), bytes));
    }
    for needed in NEEDED {
        if !order.iter().any(|path| stem(path) == needed) {
            return Err(BuildError::Program { program: "modules.dep".into(), why: format!("no {needed}") });
        }
    }
    Ok((names, modules))
}

/// Of `modules.dep`: what each needs stands before it.
fn in_order(list: &str, wanted: &[&str]) -> Vec<String> {
    fn add<'a>(path: &'a str, needs: &BTreeMap<&'a str, Vec<&'a str>>, order: &mut Vec<String>) {
        if order.iter().any(|known| known == path) {
            return;
        }
        for need in needs.get(path).into_iter().flatten() {
            add(need, needs, order);
        }
        order.push(path.to_owned());
    }
    let needs: BTreeMap<&str, Vec<&str>> = list
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, needs)| (path, needs.split_whitespace().collect()))
        .collect();
    let mut order = Vec::new();
    for name in wanted {
        if let Some(path) = needs.keys().find(|path| stem(path) == *name) {
            add(path, &needs, &mut order);
        }
    }
    order
}

fn stem(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.split(".ko").next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_after_what_it_needs_and_once() {
        let list = "kernel/md/dm-verity.ko.xz: kernel/md/dm-bufio.ko.xz kernel/md/dm-mod.ko.xz\n\
            kernel/md/dm-bufio.ko.xz: kernel/md/dm-mod.ko.xz\nkernel/md/dm-mod.ko.xz:\nkernel/fs/erofs.ko:\n";
        let order: Vec<String> = in_order(list, &["dm-verity", "erofs", "not-there", "dm-mod"])
            .iter()
            .map(|p| stem(p).to_owned())
            .collect();
        assert_eq!(order, ["dm-mod", "dm-bufio", "dm-verity", "erofs"]);
    }

    #[test]
    fn no_failure_of_the_script_ends_in_a_shell() {
        assert!(!SCRIPT.contains("/bin/sh\n") && !SCRIPT.contains("exec $b sh"));
        assert!(SCRIPT.matches("fail ").count() >= 5, "each step says why it ended");
    }
}
