//! The disk: a boot partition with a signed loader and a signed kernel that carries its root hash, and slot A. The
//! other slot and the data partition are made by the machine. An edge: Debian's `openssl`, `sbsign`, `sfdisk`,
//! `mkfs.fat`, `mtools`; the signing key stays outside of the image.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::layout::{self, Disk};
use crate::policy;
use crate::seal::Sealed;
use crate::tools::{BuildError, at, run};
use crate::tree::EPOCH;
use crate::uki;

/// The limit, in bytes.
pub const LIMIT: u64 = 200_000_000;
/// No menu, no line to edit: whoever holds the keyboard chooses nothing.
const LOADER_CONF: &str = "timeout 0\neditor no\nauto-firmware no\nconsole-mode keep\n";
/// Credentials from the firmware are refused; partitions are ours to find. On a host that is busy at that moment the check
/// of the timer fails, and what the kernel tries instead may never tick again: known hypervisors switch it off, too.
const COMMAND_LINE: &str = "console=tty0 console=ttyS0 quiet loglevel=4 panic=10 systemd.import_credentials=no \
    systemd.gpt_auto=no systemd.mask=systemd-gpt-auto-generator lockdown=integrity no_timer_check";

/// What lies in the folder `out` then.
#[derive(Clone, Debug)]
pub struct Booted {
    pub raw: PathBuf,
    pub kernel: PathBuf,
    pub size: u64,
}

/// `keys` holds what signs; made there once.
pub fn make(sealed: &Sealed, keys: &Path, out: &Path) -> Result<Booted, BuildError> {
    let key = signing_key(keys)?;
    let kernel = kernel(sealed, &key, keys, out)?;
    certificate(&key, out)?;
    let loader = out.join("loader.efi");
    sign(&out.join("systemd-boot.efi"), &loader, &key)?;
    let esp = boot_partition(&loader, &kernel, out)?;
    let raw = out.join("mimamori.raw");
    let disk = Disk::of(size(&sealed.erofs)?);
    let file = File::create(&raw).map_err(at(&raw))?;
    file.set_len(disk.length).map_err(at(&raw))?;
    partition(&raw, &disk.script())?;
    for (from, place) in [(&esp, disk.esp), (&sealed.verity, disk.verity), (&sealed.erofs, disk.root)] {
        put_at(from, &raw, place).map_err(at(&raw))?;
    }
    fs::remove_file(&esp).map_err(at(&esp))?;
    let size = size(&raw)?;
    if size > LIMIT {
        let why = format!("{size} bytes are more than {LIMIT}");
        return Err(BuildError::Program { program: "the disk".into(), why });
    }
    Ok(Booted { raw, kernel, size })
}

struct Key {
    private: PathBuf,
    certificate: PathBuf,
}

/// Made at the first build, of this builder alone: an association signs with its own.
fn signing_key(folder: &Path) -> Result<Key, BuildError> {
    let key = Key { private: folder.join("boot.key"), certificate: folder.join("boot.crt") };
    if !key.private.exists() {
        fs::create_dir_all(folder).map_err(at(folder))?;
        fs::set_permissions(folder, Permissions::from_mode(0o700)).map_err(at(folder))?;
        let half = folder.join("boot.key.new");
        let mut make = Command::new("openssl");
        make.args(["req", "-x509", "-newkey", "rsa:3072", "-noenc", "-sha256", "-days", "7300"]);
        make.args(["-subj", "/CN=mimamori boot/"])
            .arg("-keyout")
            .arg(&half)
            .arg("-out")
            .arg(&key.certificate);
        run(&mut make)?;
        fs::set_permissions(&half, Permissions::from_mode(0o600)).map_err(at(&half))?;
        fs::rename(&half, &key.private).map_err(at(&key.private))?;
    }
    Ok(key)
}

/// Three files: what two builds must have in common; the same with the policy's public key and signature, which only
/// this builder can make; and that one signed.
fn kernel(sealed: &Sealed, key: &Key, keys: &Path, out: &Path) -> Result<PathBuf, BuildError> {
    let read = |name: &str| {
        let path = out.join(name);
        fs::read(&path).map_err(at(&path))
    };
    let (stub, linux, initrd) = (read("stub.efi")?, read("vmlinuz")?, read("initrd.zst")?);
    let line = format!("mimamori.root={} {COMMAND_LINE}", sealed.root_hash);
    let release = release(&sealed.root_hash);
    let mut sections: Vec<(&str, &[u8])> = vec![
        (".osrel", release.as_bytes()),
        (".cmdline", line.as_bytes()),
        (".initrd", &initrd),
        (".linux", &linux),
    ];
    let unsigned = out.join("mimamori.unsigned.efi");
    fs::write(&unsigned, joined(&stub, &sections)?).map_err(at(&unsigned))?;
    let public = policy::public_key(keys)?;
    sections.push((".pcrpkey", &public));
    let signature = policy::signature(&joined(&stub, &sections)?, keys, out)?;
    sections.push((".pcrsig", &signature));
    let measured = out.join("mimamori.measured.efi");
    fs::write(&measured, joined(&stub, &sections)?).map_err(at(&measured))?;
    let signed = out.join("mimamori.efi");
    sign(&measured, &signed, key)?;
    Ok(signed)
}

fn joined(stub: &[u8], sections: &[(&str, &[u8])]) -> Result<Vec<u8>, BuildError> {
    uki::join(stub, sections)
        .map_err(|error| BuildError::Program { program: "stub".into(), why: error.to_string() })
}

/// What the loader sorts and shows by.
pub fn release(root_hash: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let shown = root_hash.get(..8).unwrap_or(root_hash);
    format!(
        "ID=mimamori\nIMAGE_ID=mimamori\nNAME=mimamori\nPRETTY_NAME=\"mimamori {version} {shown}\"\nVERSION_ID={version}\nIMAGE_VERSION={version}\n"
    )
}

/// What the firmware must know before it starts our loader: public, and beside the image.
fn certificate(key: &Key, out: &Path) -> Result<(), BuildError> {
    let mut show = Command::new("openssl");
    show.args(["x509", "-outform", "DER", "-in"]).arg(&key.certificate).arg("-out").arg(out.join("boot.der"));
    run(&mut show).map(|_| ())
}

fn sign(from: &Path, to: &Path, key: &Key) -> Result<(), BuildError> {
    let mut sign = Command::new("sbsign");
    sign.arg("--key").arg(&key.private).arg("--cert").arg(&key.certificate).arg("--output").arg(to).arg(from);
    run(&mut sign).map(|_| ())
}

fn boot_partition(loader: &Path, kernel: &Path, out: &Path) -> Result<PathBuf, BuildError> {
    let esp = out.join("esp.fat");
    let conf = out.join("loader.conf");
    fs::write(&conf, LOADER_CONF).map_err(at(&conf))?;
    let file = File::create(&esp).map_err(at(&esp))?;
    file.set_len(layout::ESP).map_err(at(&esp))?;
    // Sectors of 512: firmware does not boot from others.
    run(Command::new("mkfs.fat")
        .args(["--invariant", "-F", "32", "-S", "512", "-s", "1", "-n", "MMBOOT"])
        .arg(&esp))?;
    let tool = |name: &str| {
        let mut tool = Command::new(name);
        tool.env("SOURCE_DATE_EPOCH", EPOCH.to_string())
            .env("MTOOLS_SKIP_CHECK", "1")
            .env("TZ", "UTC")
            .arg("-i")
            .arg(&esp);
        tool
    };
    run(tool("mmd").args(["::/EFI", "::/EFI/BOOT", "::/EFI/systemd", "::/EFI/Linux", "::/loader"]))?;
    let version = env!("CARGO_PKG_VERSION");
    for (from, to) in [
        (loader, "::/EFI/BOOT/BOOTX64.EFI".to_owned()),
        // A second copy: FAT has no journal.
        (loader, "::/EFI/systemd/systemd-bootx64.efi".to_owned()),
        (&conf, "::/loader/loader.conf".to_owned()),
        (kernel, format!("::/EFI/Linux/mimamori_{version}_0001.efi")),
    ] {
        run(tool("mcopy").arg(from).arg(to))?;
    }
    Ok(esp)
}

fn partition(raw: &Path, script: &str) -> Result<(), BuildError> {
    let failed = |why: String| BuildError::Program { program: "sfdisk".into(), why };
    let mut child = Command::new("sfdisk")
        .args(["--quiet", "--no-reread", "--no-tell-kernel"])
        .arg(raw)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    if let Some(mut input) = child.stdin.take() {
        // What it thinks of the script, it says itself.
        let _ = io::Write::write_all(&mut input, script.as_bytes());
    }
    let done = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    if done.status.success() {
        Ok(())
    } else {
        Err(failed(String::from_utf8_lossy(&done.stderr).into_owned()))
    }
}

fn put_at(from: &Path, raw: &Path, place: u64) -> io::Result<()> {
    let mut to = OpenOptions::new().write(true).open(raw)?;
    to.seek(SeekFrom::Start(place))?;
    io::copy(&mut File::open(from)?, &mut to)?;
    to.sync_all()
}

fn size(path: &Path) -> Result<u64, BuildError> {
    fs::metadata(path).map(|found| found.len()).map_err(at(path))
}
