//! The image's disk in an emulated machine (QEMU without hardware help): firmware, loader, signed kernel, sealed root.
//! It stands in the appliance's network by a bridge; where keys are enrolled, with Secure Boot and an emulated TPM.
//! Owns both emulators and copies of disk and stick; ends all of them.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::efivars;
use crate::fault::{Fault, Told, While};
use crate::net::{APPLIANCE_OUTER, Namespace};
use crate::shell;

/// A quarter of a minute on an idle machine; reaching this means that it never comes up.
pub const BOOT: Duration = Duration::from_secs(900);
/// Room for the other slot and the data; the file is sparse.
const DISK: u64 = 4 << 30;
/// Room for an update.
const STICK: u64 = 256 << 20;
/// Of LUKS2, with the room for its keys.
pub const LUKS_HEADER: u64 = 16 << 20;
/// Of ext4: the superblock lies in the first.
const BLOCK: u64 = 4096;
/// Its table of groups, their bitmaps, and the first files.
const SPOILT: usize = 8 << 20;
const FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
/// The same, which asks for signatures and keeps its variables from whoever runs.
const SECURE_FIRMWARE: &str = "/usr/share/OVMF/OVMF_CODE_4M.secboot.fd";
const VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";
const NETWORK: &str = "[Match]\nType=ether\n\n[Network]\nAddress=192.0.2.1/24\nLinkLocalAddressing=no\n\
    IPv6AcceptRA=no\n\n[Route]\nDestination=198.51.100.0/24\nGateway=192.0.2.254\n";

/// Whose kernels the firmware starts.
pub enum Keys {
    /// Anybody's: Secure Boot is off.
    None,
    /// Of these certificates alone, in DER.
    Of(Vec<Vec<u8>>),
}

/// What a machine keeps when its power is cut.
pub struct Drives {
    folder: PathBuf,
    /// It has a TPM, and firmware that can ask for signatures.
    trusted: bool,
    pub disk: PathBuf,
    pub stick: PathBuf,
}

impl Drives {
    /// Copies: the image itself is never written.
    pub fn of(raw: &Path, folder: &Path) -> Told<Self> {
        fs::create_dir_all(folder)?;
        let (disk, stick) = (folder.join("disk.raw"), folder.join("stick.img"));
        let mut copy = Command::new("cp");
        shell::run({
            copy.arg("--sparse=always").arg(raw).arg(&disk);
            copy
        })?
        .ok("copying the disk")?;
        OpenOptions::new().write(true).open(&disk)?.set_len(DISK)?;
        fs::copy(VARIABLES, folder.join("vars.fd"))
            .while_(|| format!("copying {VARIABLES}: apt-get install ovmf"))?;
        Ok(Self { folder: folder.to_owned(), trusted: false, disk, stick })
    }

    /// From now on the machine has a TPM, and these keys in its firmware instead of others.
    pub fn enrol(&mut self, keys: Keys) -> Told<()> {
        let empty = fs::read(VARIABLES)?;
        let variables = match keys {
            Keys::None => empty,
            Keys::Of(certificates) => efivars::enrolled(&empty, &certificates)?,
        };
        fs::write(self.folder.join("vars.fd"), variables)?;
        fs::create_dir_all(self.tpm())?;
        self.trusted = true;
        Ok(())
    }

    fn tpm(&self) -> PathBuf {
        self.folder.join("tpm")
    }

    /// The disk comes into another machine.
    pub fn another_tpm(&self) -> Told<()> {
        fs::remove_dir_all(self.tpm())?;
        Ok(fs::create_dir_all(self.tpm())?)
    }

    /// Another file under the name of the kernel that is booted.
    pub fn replace_kernel(&self, with: &Path) -> Told<()> {
        let (_, start, _) = self.partition("mimamori-esp")?;
        let kernels = self.kernels()?;
        let name = kernels.lines().map(str::trim).find(|line| line.ends_with(".efi"));
        let name = name.ok_or_else(|| Fault::new(format!("no kernel: {kernels}")))?;
        let mut copy = Command::new("mcopy");
        copy.args(["-o", "-i"]).arg(format!("{}@@{start}", self.disk.display())).arg(with).arg(name);
        shell::run(copy)?.ok("mcopy")?;
        Ok(())
    }

    /// The association's stick; `open` says that the data need not be sealed.
    pub fn write_stick(&self, wishes: &str, authority: &Path, open: bool) -> Told<()> {
        File::create(&self.stick)?.set_len(STICK)?;
        let mut make = Command::new("mkfs.fat");
        make.args(["-n", "MIMAMORI"]).arg(&self.stick);
        shell::run(make)?.ok("mkfs.fat")?;
        let texts = self.folder.join("texts");
        fs::create_dir_all(texts.join("network"))?;
        fs::write(texts.join("first.toml"), wishes)?;
        fs::write(texts.join("network/10-wan.network"), NETWORK)?;
        fs::copy(authority, texts.join("user-ca.pub"))?;
        fs::write(texts.join("machine.toml"), format!("[data]\nunsealed = {open}\n"))?;
        let mut copy = Command::new("mcopy");
        copy.arg("-s").arg("-i").arg(&self.stick);
        copy.args(["first.toml", "machine.toml", "network", "user-ca.pub"].map(|name| texts.join(name)))
            .arg("::/");
        shell::run(copy)?.ok("mcopy")?;
        Ok(())
    }

    /// A stick with an update, in place of the first one.
    pub fn write_update(&self, update: &Path) -> Told<()> {
        File::create(&self.stick)?.set_len(STICK)?;
        let mut make = Command::new("mkfs.fat");
        make.args(["-n", "MIMAMORI"]).arg(&self.stick);
        shell::run(make)?.ok("mkfs.fat")?;
        let mut copy = Command::new("mcopy");
        copy.arg("-i").arg(&self.stick).arg(update).arg("::/mimamori.update");
        shell::run(copy)?.ok("mcopy")?;
        Ok(())
    }

    /// The kernels on the boot partition.
    pub fn kernels(&self) -> Told<String> {
        let (_, start, _) = self.partition("mimamori-esp")?;
        let mut list = Command::new("mdir");
        list.arg("-b").arg("-i").arg(format!("{}@@{start}", self.disk.display())).arg("::/EFI/Linux");
        Ok(shell::run(list)?.ok("mdir")?.text())
    }

    /// Everything that the machine left on the stick, in a folder here.
    pub fn read_stick(&self) -> Told<PathBuf> {
        let to = self.folder.join("from-stick");
        fs::create_dir_all(&to)?;
        let mut copy = Command::new("mcopy");
        copy.args(["-s", "-n", "-i"]).arg(&self.stick).arg("::/*").arg(&to);
        shell::run(copy)?.ok("mcopy")?;
        Ok(to)
    }

    /// Names of the partitions, with the first byte and the length of each.
    pub fn partitions(&self) -> Told<Vec<(String, u64, u64)>> {
        let mut list = Command::new("sfdisk");
        list.arg("--json").arg(&self.disk);
        let text = shell::run(list)?.ok("sfdisk")?.text();
        let value: serde_json::Value = serde_json::from_str(&text).map_err(|e| Fault::new(e.to_string()))?;
        let rows = value["partitiontable"]["partitions"].as_array().cloned().unwrap_or_default();
        Ok(rows
            .iter()
            .map(|row| {
                let bytes = |key: &str| row[key].as_u64().unwrap_or_default() * 512;
                (row["name"].as_str().unwrap_or_default().to_owned(), bytes("start"), bytes("size"))
            })
            .collect())
    }

    /// The first partition whose name begins so.
    pub fn partition(&self, prefix: &str) -> Told<(String, u64, u64)> {
        let all = self.partitions()?;
        let found = all.iter().find(|(name, ..)| name.starts_with(prefix)).cloned();
        found.ok_or_else(|| Fault::new(format!("no partition {prefix}: {all:?}")))
    }

    /// One bit.
    pub fn flip(&self, at: u64) -> Told<()> {
        let mut file = OpenOptions::new().read(true).write(true).open(&self.disk)?;
        let mut byte = [0];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut byte)?;
        file.seek(SeekFrom::Start(at))?;
        Ok(file.write_all(&[byte[0] ^ 1])?)
    }

    /// What leads to everything in the data's file system; its first block still says that it is one.
    pub fn spoil_data(&self) -> Told<()> {
        let (_, start, _) = self.partition("mimamori-data")?;
        let mut file = OpenOptions::new().write(true).open(&self.disk)?;
        file.seek(SeekFrom::Start(start + LUKS_HEADER + BLOCK))?;
        Ok(file.write_all(&vec![0; SPOILT])?)
    }

    /// A partition as a file of its own.
    pub fn extract(&self, prefix: &str) -> Told<PathBuf> {
        let (_, start, length) = self.partition(prefix)?;
        let to = self.folder.join(format!("{prefix}part"));
        let mut from = File::open(&self.disk)?;
        from.seek(SeekFrom::Start(start))?;
        std::io::copy(&mut from.take(length), &mut File::create(&to)?)?;
        Ok(to)
    }
}

pub struct Vm {
    emulator: Child,
    /// Ends when the emulator lets go of it.
    tpm: Option<Child>,
    serial: PathBuf,
    keyboard: PathBuf,
    /// Once somebody has typed; until the end, so that no letter is lost.
    typed: Option<UnixStream>,
}

impl Vm {
    /// The appliance's place in the world becomes a bridge to the machine.
    pub fn wire(space: &Namespace) -> Told<()> {
        for line in [
            "ip address flush dev wan".to_owned(),
            "ip link add bridge type bridge".to_owned(),
            "ip link set wan master bridge".to_owned(),
            "ip tuntap add tap0 mode tap".to_owned(),
            "ip link set tap0 master bridge".to_owned(),
            "ip link set tap0 up".to_owned(),
            "ip link set bridge up".to_owned(),
        ] {
            space.sh(&line)?;
        }
        Ok(())
    }

    pub fn boot(drives: &Drives, space: &Namespace, with_stick: bool) -> Told<Self> {
        let serial = drives.folder.join("serial.log");
        let _ = fs::remove_file(&serial);
        let keyboard = drives.folder.join("serial.sock");
        let _ = fs::remove_file(&keyboard);
        let tpm = drives.trusted.then(|| start_tpm(&drives.tpm())).transpose()?;
        let mut command = space.command("qemu-system-x86_64");
        command.args([
            "-machine",
            if drives.trusted { "q35,usb=off,vmport=off,smm=on" } else { "q35,usb=off,vmport=off" },
            // Two emulated processors run each other's half-patched code: one boot of sixteen panicked in the kernel's
            // static branches. One processor in one thread has nobody to do that to.
            "-accel",
            "tcg,thread=single,tb-size=512",
            "-smp",
            "1",
        ]);
        // cmpxchg16b as it is emulated here breaks the kernel's allocator now and then.
        command.args([
            "-m",
            "1024",
            "-cpu",
            "max,la57=off,cx16=off",
            "-nodefaults",
            "-no-user-config",
            "-no-reboot",
        ]);
        command.args(["-display", "none", "-serial", "chardev:serial", "-chardev"]).arg(format!(
            "socket,id=serial,path={},server=on,wait=off,logfile={}",
            keyboard.display(),
            serial.display()
        ));
        if drives.trusted {
            command.args(["-global", "driver=cfi.pflash01,property=secure,value=on"]);
            command.args(["-global", "ICH9-LPC.disable_s3=1", "-chardev"]);
            command.arg(format!("socket,id=tpm,path={}", drives.tpm().join(TPM_SOCKET).display()));
            command.args(["-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-crb,tpmdev=tpm0"]);
        }
        let firmware = if drives.trusted { SECURE_FIRMWARE } else { FIRMWARE };
        let drive = |text: &str, file: &Path| format!("{text},format=raw,file={}", file.display());
        command.arg("-drive").arg(drive("if=pflash,unit=0,readonly=on", Path::new(firmware)));
        command.arg("-drive").arg(drive("if=pflash,unit=1", &drives.folder.join("vars.fd")));
        command.arg("-drive").arg(drive("if=virtio", &drives.disk));
        if with_stick {
            command.arg("-drive").arg(drive("if=virtio", &drives.stick));
        }
        command.args(["-netdev", "tap,id=n,ifname=tap0,script=no,downscript=no", "-device"]);
        command.args(["virtio-net-pci,netdev=n,romfile=", "-device", "virtio-rng-pci"]);
        let said = File::create(drives.folder.join("qemu.log"))?;
        // All three apart from ours: whoever waits for our output must not wait for the machine.
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        let emulator = command.spawn().while_(|| "starting qemu-system-x86_64".into())?;
        Ok(Self { emulator, tpm, serial, keyboard, typed: None })
    }

    /// What it has said on its serial line.
    pub fn serial(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.serial).unwrap_or_default()).into_owned()
    }

    /// As somebody at the serial console.
    pub fn types(&mut self, text: &str) -> Told<()> {
        if self.typed.is_none() {
            let console = UnixStream::connect(&self.keyboard).while_(|| "the serial console".into())?;
            let mut answers = console.try_clone()?;
            // The log has them; here somebody must take them, or the machine waits. Ends with the emulator.
            std::thread::spawn(move || std::io::copy(&mut answers, &mut std::io::sink()));
            self.typed = Some(console);
        }
        match &mut self.typed {
            Some(console) => Ok(console.write_all(text.as_bytes())?),
            None => Ok(()),
        }
    }

    /// Until the serial line says one of these, in whatever case.
    pub fn says_any(&mut self, words: &[&str]) -> Told<()> {
        shell::until(&format!("the machine to say one of {words:?}"), BOOT, || {
            let serial = self.serial().to_lowercase();
            Ok(words.iter().any(|word| serial.contains(word)).then_some(()))
        })
        .map_err(|fault| Fault::new(format!("{fault}\n{}", self.last_words())))
    }

    /// Until the serial line says so.
    pub fn says(&mut self, words: &str) -> Told<()> {
        shell::until(&format!("the machine to say `{words}`"), BOOT, || {
            if self.serial().contains(words) {
                return Ok(Some(()));
            }
            match self.emulator.try_wait()? {
                Some(status) => {
                    Err(Fault::new(format!("the emulator ended ({status}): {}", self.last_words())))
                }
                None => Ok(None),
            }
        })
        .map_err(|fault| Fault::new(format!("{fault}\n{}", self.last_words())))
    }

    /// Until it starts anew: the emulator ends instead.
    pub fn ends(&mut self) -> Told<()> {
        shell::until("the machine to start anew", BOOT, || Ok(self.emulator.try_wait()?.map(|_| ())))
            .map_err(|fault| Fault::new(format!("{fault}\n{}", self.last_words())))
    }

    /// Until it gives up by itself.
    pub fn gives_up(&mut self) -> Told<()> {
        shell::until("the machine to refuse what it was given", BOOT, || {
            if self.serial().contains("login:") || self.serial().contains("the realm stands") {
                return Err(Fault::new(format!("it came up: {}", self.last_words())));
            }
            Ok(self.emulator.try_wait()?.map(|_| ()))
        })
    }

    /// As a power cut.
    pub fn cut(mut self) -> Told<()> {
        shell::signal(self.emulator.id(), rustix::process::Signal::KILL);
        self.emulator.wait()?;
        if let Some(tpm) = &mut self.tpm {
            shell::end(tpm);
        }
        Ok(())
    }

    pub fn last_words(&self) -> String {
        let serial = self.serial();
        let lines: Vec<&str> = serial.lines().rev().take(40).collect();
        lines.into_iter().rev().map(|line| format!("{line}\n")).collect()
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        shell::end(&mut self.emulator);
        if let Some(tpm) = &mut self.tpm {
            shell::end(tpm);
        }
    }
}

const TPM_SOCKET: &str = "control";

/// An emulated TPM whose state lies in the folder; it answers when this returns.
fn start_tpm(folder: &Path) -> Told<Child> {
    let socket = folder.join(TPM_SOCKET);
    let _ = fs::remove_file(&socket);
    let said = File::create(folder.join("swtpm.log"))?;
    let mut command = Command::new("swtpm");
    command.args(["socket", "--tpm2", "--terminate", "--tpmstate"]).arg(format!("dir={}", folder.display()));
    command.arg("--ctrl").arg(format!("type=unixio,path={}", socket.display()));
    command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
    let mut tpm = command.spawn().while_(|| "starting swtpm".into())?;
    let up = shell::until("the TPM's socket", shell::PATIENCE, || Ok(socket.exists().then_some(())));
    if up.is_err() {
        shell::end(&mut tpm);
    }
    up.map(|()| tpm)
}

/// What the stick asks for, in the world of the tests.
pub fn wishes(zone: &str) -> String {
    format!(
        "zone = \"{zone}\"\nrealm_name = \"検証領域\"\noperator_login = \"office@example.jp\"\n\
         operator_name = \"事務 太郎\"\nlisten = [\"{APPLIANCE_OUTER}:51820\"]\nmanagement = [\"198.51.100.1\"]\n"
    )
}
