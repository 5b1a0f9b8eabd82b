//! The root of the image as a folder: Debian's packages (downloaded once, kept as a tar), our program, the
//! rendered files; then everything is taken out that nobody needs. An edge: files, as root, and Debian's
//! `mmdebstrap`, `tar`, `strip` and systemd's own tools; nothing of the root is ever executed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use appliance::machine;

use crate::render::Form;
use crate::tools::{BuildError, at, run};
use crate::{base, initrd, keeping, layout, plain, render, sbom};

/// Nothing may keep more rights than it was started with: 06000 in a mode.
const SET_ID: u32 = 0o6000;
/// Every file of the image has one time: builds differ in nothing but their inputs.
pub const EPOCH: i64 = 1_767_225_600;

/// Programs, and Debian's packages that bring them: of the root alone, and of the disk.
const TOOLS: [(&str, &str); 5] = [
    ("mmdebstrap", "mmdebstrap"),
    ("strip", "binutils"),
    ("systemd-sysusers", "systemd"),
    ("tar", "tar"),
    ("openssl", "openssl"),
];
const DISK_TOOLS: [(&str, &str); 10] = [
    ("mkfs.erofs", "erofs-utils"),
    ("veritysetup", "cryptsetup-bin"),
    ("objdump", "binutils"),
    ("xz", "xz-utils"),
    ("zstd", "zstd"),
    ("sbsign", "sbsigntool"),
    ("sfdisk", "fdisk"),
    ("mkfs.fat", "dosfstools"),
    ("mmd", "mtools"),
    ("mcopy", "mtools"),
];

/// What is made of the base.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The root, and beside it what the boot chain takes.
    Disk,
    /// The root alone, for a container.
    Root,
}

/// Makes `out`/root anew from the base kept in `cache` and the program at `binary`.
/// `label` tells two builds of one version apart; `update_keys` is whose updates it takes.
pub fn make(
    wanted: Wanted,
    binary: &Path,
    cache: &Path,
    out: &Path,
    update_keys: &str,
    label: &str,
) -> Result<PathBuf, BuildError> {
    ready(wanted)?;
    let base = download(cache)?;
    fs::create_dir_all(out).map_err(at(out))?;
    let root = out.join("root");
    if root.exists() {
        fs::remove_dir_all(&root).map_err(at(&root))?;
    }
    fs::create_dir_all(&root).map_err(at(&root))?;
    fs::set_permissions(&root, Permissions::from_mode(0o755)).map_err(at(&root))?;
    run(Command::new("tar").arg("-C").arg(&root).arg("-xpf").arg(&base).args(["--exclude=./dev/*"]))?;
    if wanted == Wanted::Disk {
        boot(&root, out)?;
    }
    program(&root, binary)?;
    render::write(&root, Form::Separated, None)?;
    for file in plain::files() {
        put(&root.join(&file.path), &file.text)?;
    }
    users(&root)?;
    links(&root)?;
    partitions(&root)?;
    put(&root.join("usr/share/mimamori/update-keys"), update_keys)?;
    put(&root.join("usr/share/mimamori/label"), &format!("{label}\n"))?;
    let efi = root.join("efi");
    fs::create_dir_all(&efi).map_err(at(&efi))?;
    packages(&root, out)?;
    remove(&root)?;
    no_set_id(&root)?;
    Ok(root)
}

fn ready(wanted: Wanted) -> Result<(), BuildError> {
    if !rustix::process::geteuid().is_root() {
        return Err(BuildError::NotRoot);
    }
    // Whatever the builder's own: what we write is for everybody to read, or says otherwise.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let of_the_disk = if wanted == Wanted::Disk { DISK_TOOLS.as_slice() } else { &[] };
    for (tool, package) in TOOLS.iter().chain(of_the_disk).copied() {
        let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
            .iter()
            .any(|folder| Path::new(folder).join(tool).exists());
        if !found {
            return Err(BuildError::Missing(tool, package));
        }
    }
    Ok(())
}

/// Once for each list of packages; written beside and renamed, so that a half of it is never taken for it.
fn download(cache: &Path) -> Result<PathBuf, BuildError> {
    let base = cache.join(base::name());
    if base.exists() {
        return Ok(base);
    }
    fs::create_dir_all(cache).map_err(at(cache))?;
    // Two builds at once each download theirs.
    let half = base.with_extension(format!("{}.half.tar", std::process::id()));
    let mut command = Command::new("mmdebstrap");
    command.args([
        "--quiet",
        "--variant=essential",
        "--format=tar",
        "--aptopt=Apt::Install-Recommends \"false\"",
        // A mirror stutters now and then.
        "--aptopt=Acquire::Retries \"5\"",
    ]);
    for path in base::EXCLUDED {
        command.arg(format!("--dpkgopt=path-exclude={path}"));
    }
    command.arg(format!("--include={}", base::PACKAGES.join(",")));
    run(command.arg(base::SUITE).arg(&half).arg(base::MIRROR))?;
    fs::rename(&half, &base).map_err(at(&base))?;
    Ok(base)
}

/// Kernel, loader, initrd: what the boot chain takes lies beside the root, not in it.
fn boot(root: &Path, out: &Path) -> Result<(), BuildError> {
    let folder = root.join("boot");
    for entry in fs::read_dir(&folder).map_err(at(&folder))? {
        let path = entry.map_err(at(&folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.starts_with("vmlinuz-") {
            let to = out.join("vmlinuz");
            fs::copy(&path, &to).map_err(at(&to))?;
        }
    }
    let folder = root.join("usr/lib/systemd/boot/efi");
    for (from, to) in [("linuxx64.efi.stub", "stub.efi"), ("systemd-bootx64.efi", "systemd-boot.efi")] {
        let from = folder.join(from);
        fs::copy(&from, out.join(to)).map_err(at(&from))?;
    }
    let made = out.join("initrd.cpio");
    fs::write(&made, initrd::make(root)?).map_err(at(&made))?;
    run(Command::new("zstd")
        .args(["-q", "-f", "-T1", "-15"])
        .arg(&made)
        .arg("-o")
        .arg(out.join("initrd.zst")))?;
    fs::remove_file(&made).map_err(at(&made))
}

/// What the first boot adds to the disk, and where the data is found then. A container has neither.
fn partitions(root: &Path) -> Result<(), BuildError> {
    for (name, text) in layout::definitions() {
        put(&root.join("usr/lib/repart.d").join(name), &text)?;
    }
    put(&root.join("etc/fstab"), &keeping::fstab())
}

/// The program, without what only a debugger reads, under its three names.
fn program(root: &Path, binary: &Path) -> Result<(), BuildError> {
    let to = root.join("usr/bin/mimamori");
    run(Command::new("strip").arg("-o").arg(&to).arg(binary))?;
    fs::set_permissions(&to, Permissions::from_mode(0o755)).map_err(at(&to))?;
    for name in [machine::OPERATOR_SHELL, machine::ENROL_SHELL] {
        link("mimamori", &root.join(name.trim_start_matches('/')))?;
    }
    Ok(())
}

fn users(root: &Path) -> Result<(), BuildError> {
    let at_root = format!("--root={}", root.display());
    run(Command::new("systemd-sysusers").arg(&at_root))?;
    // sshd takes `!` for a locked user; `*` is one without a password.
    let shadow = root.join("etc/shadow");
    let text = fs::read_to_string(&shadow).map_err(at(&shadow))?;
    let open = |line: &str| match line.split_once(':') {
        Some((name @ (plain::OPERATOR | machine::ENROL_USER), rest)) => {
            format!("{name}:*:{}\n", rest.split_once(':').map_or("", |(_, days)| days))
        }
        _ => format!("{line}\n"),
    };
    put(&shadow, &text.lines().map(open).collect::<String>())?;
    fs::set_permissions(&shadow, Permissions::from_mode(0o640)).map_err(at(&shadow))
}

/// What a machine decides lies on its data partition; what starts is what the preset says.
fn links(root: &Path) -> Result<(), BuildError> {
    link(machine::KEPT, &root.join("etc/mimamori"))?;
    // Fixed addresses are the machine's, too; without a file there the image's own asks DHCP.
    let network = root.join("etc/systemd/network");
    let _ = fs::remove_dir_all(&network);
    link(machine::NETWORK, &network)?;
    link(&format!("{}/resolv.conf", machine::NETWORK), &root.join("etc/resolv.conf"))?;
    let units = root.join("etc/systemd/system");
    for unit in base::MASKED {
        link("/dev/null", &units.join(unit))?;
    }
    run(Command::new("systemctl").arg(format!("--root={}", root.display())).args(["--quiet", "preset-all"]))?;
    for (path, text) in [("etc/machine-id", "uninitialized\n"), ("etc/hostname", "mimamori\n")] {
        put(&root.join(path), text)?;
    }
    Ok(())
}

fn remove(root: &Path) -> Result<(), BuildError> {
    for path in base::REMOVED {
        let path = root.join(path);
        match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path).map_err(at(&path))?,
            Ok(_) => fs::remove_file(&path).map_err(at(&path))?,
            Err(_) => {}
        }
    }
    for folder in ["boot", "var/log", "var/cache", "var/lib"] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).map_err(at(&folder))?;
    }
    Ok(())
}

/// Which packages there are: of the machine for whoever asks it, and beside the image as a lock and a bill of materials.
fn packages(root: &Path, out: &Path) -> Result<(), BuildError> {
    let status = root.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&status).map_err(at(&status))?;
    let lock = sbom::lock(&text);
    put(&root.join("usr/share/mimamori/packages.lock"), &lock)?;
    put(&out.join("packages.lock"), &lock)?;
    put(&out.join("sbom.cdx.json"), &sbom::bill(&text, include_str!("../../Cargo.lock")))
}

/// Bits that mount, ssh-agent and others came with are taken away: nobody here needs them.
fn no_set_id(root: &Path) -> Result<(), BuildError> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            let found = fs::symlink_metadata(&path).map_err(at(&path))?;
            if found.is_dir() {
                folders.push(path);
            } else if found.is_file() && found.mode() & SET_ID != 0 {
                fs::set_permissions(&path, Permissions::from_mode(found.mode() & 0o777))
                    .map_err(at(&path))?;
                if fs::metadata(&path).map_err(at(&path))?.mode() & SET_ID != 0 {
                    return Err(BuildError::SetId(path));
                }
            }
        }
    }
    Ok(())
}

fn link(target: &str, name: &Path) -> Result<(), BuildError> {
    if let Some(folder) = name.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    let _ = fs::remove_file(name);
    symlink(target, name).map_err(at(name))
}

fn put(path: &Path, text: &str) -> Result<(), BuildError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(at(folder))?;
    }
    fs::write(path, text).map_err(at(path))
}
