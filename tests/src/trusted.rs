//! What a machine with Secure Boot and a TPM must do, and what it must refuse: its disk elsewhere, other keys in the
//! firmware, a kernel that nobody signed, one wrong bit. Reads like the attacker's afternoon.

use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;

use crate::booting;
use crate::device::Device;
use crate::engineer::Engineer;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::inspection::{admitted, tunnel};
use crate::shell;
use crate::vm::{BOOT, Drives, Keys, LUKS_HEADER, Vm, wishes};
use crate::world::{World, ZONE};

const SEALED: &str = "the data partition is sealed to the TPM";
const ASKED: &str = "recovery key: ";
/// How the firmware's refusal is told by the loader.
const REFUSALS: [&str; 2] = ["access denied", "security violation"];
/// Of an erofs: what is read before anything else.
const SUPERBLOCK: u64 = 1024;

pub fn play(world: &mut World, out: &Path, held: &mut dyn FnMut(&str)) -> Told<usize> {
    let mut steps = 0;
    let mut step = |what: &str| {
        steps += 1;
        held(what);
    };
    let ours = fs::read(out.join("boot.der"))?;
    let engineer = Engineer::new(world)?;
    let mut drives = Drives::of(&out.join("mimamori.raw"), &world.folder.join("vm-trusted"))?;
    drives.enrol(Keys::Of(vec![ours.clone()]))?;
    drives.write_stick(&wishes(ZONE), &engineer.folder.join("ca.pub"), false)?;
    Vm::wire(&world.net.app)?;
    let mut vm = Vm::boot(&drives, &world.net.app, true)?;
    vm.says(SEALED)?;
    vm.says("the realm stands")?;
    let back = drives.read_stick()?;
    let recovery = fs::read_to_string(back.join("recovery-key.txt"))?;
    let recovery = recovery.lines().next().unwrap_or_default().to_owned();
    holds!(recovery.len() == 71, "the stick got no recovery key: {} letters", recovery.len());
    step(
        "Secure Boot starts our loader and kernel; the data is sealed to the TPM, the recovery key is on the stick",
    );
    let device = tunnel(world, &back.join("office")).map_err(|fault| said(&fault, &vm))?;
    vm.cut()?;
    encrypted(&drives)?;
    elsewhere(world, &device, &drives, &recovery, &mut step)?;
    updated(world, out, &engineer, &device, &drives, &mut step)?;
    refused(world, out, &ours, drives, &mut step)?;
    Ok(steps)
}

/// The disk in another machine, where it stays.
fn elsewhere(
    world: &World,
    device: &Device,
    drives: &Drives,
    recovery: &str,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    drives.another_tpm()?;
    let mut vm = Vm::boot(drives, &world.net.app, false)?;
    vm.says(ASKED)?;
    vm.types("cbdefghi\n")?;
    vm.says("no. recovery key: ")?;
    step(
        "on the disk everything is ciphertext, and in another machine it opens for nobody without the recovery key",
    );
    vm.types(&format!("reseal {recovery}\n"))?;
    admitted_again(device, &vm)?;
    holds!(!vm.serial().contains(recovery), "the console shows the recovery key");
    vm.cut()?;
    step("the recovery key of the safe brings the realm back there");
    Ok(())
}

/// The next version's kernel is another one, signed under the same policy.
fn updated(
    world: &World,
    out: &Path,
    engineer: &Engineer,
    device: &Device,
    drives: &Drives,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    let unasked = |vm: &Vm| {
        admitted_again(device, vm)?;
        holds!(!vm.serial().contains(ASKED), "the machine asked for the recovery key");
        Ok(())
    };
    drives.write_update(&out.with_file_name("image-next").join("mimamori.update"))?;
    let mut vm = Vm::boot(drives, &world.net.app, true)?;
    unasked(&vm)?;
    step("after a power cut the TPM to which it was sealed anew opens it without anybody's help");
    booting::update(engineer, device)?;
    vm.ends()?;
    vm = Vm::boot(drives, &world.net.app, false)?;
    unasked(&vm)?;
    booting::kept(drives, &vm)?;
    vm.cut()?;
    step("the next version's kernel opens it, too, and is kept");
    Ok(())
}

/// What the machine does not start, and where its TPM gives nothing away.
fn refused(
    world: &World,
    out: &Path,
    ours: &[u8],
    mut drives: Drives,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    drives.enrol(Keys::Of(vec![ours.to_vec(), strangers(&world.folder)?]))?;
    let mut vm = Vm::boot(&drives, &world.net.app, false)?;
    vm.says(ASKED)?;
    vm.cut()?;
    step("with another key in the firmware the TPM keeps the data shut");
    drives.enrol(Keys::None)?;
    vm = Vm::boot(&drives, &world.net.app, false)?;
    vm.says(ASKED)?;
    vm.cut()?;
    step("without Secure Boot the TPM keeps the data shut");

    let mut drives = Drives::of(&out.join("mimamori.raw"), &world.folder.join("vm-refused"))?;
    drives.enrol(Keys::Of(vec![ours.to_vec()]))?;
    let (_, start, _) = drives.partition("mimamori-root-a")?;
    drives.flip(start + SUPERBLOCK)?;
    vm = Vm::boot(&drives, &world.net.app, false)?;
    vm.gives_up()?;
    step("one wrong bit in the root, and it is not started");
    drives.replace_kernel(&out.join("mimamori.unsigned.efi"))?;
    vm = Vm::boot(&drives, &world.net.app, false)?;
    vm.says_any(&REFUSALS)?;
    holds!(!vm.serial().contains("mimamori:"), "an unsigned kernel was started: {}", vm.last_words());
    vm.cut()?;
    step("a kernel that nobody signed is not started");
    Ok(())
}

fn admitted_again(device: &Device, vm: &Vm) -> Told<()> {
    shell::until("the device to be admitted again", BOOT, || Ok(admitted(device).ok()))
        .map_err(|fault| said(&fault, vm))
}

fn encrypted(drives: &Drives) -> Told<()> {
    let (_, start, _) = drives.partition("mimamori-data")?;
    let header = drives.disk.with_extension("header");
    let mut from = fs::File::open(&drives.disk)?;
    from.seek(SeekFrom::Start(start))?;
    std::io::copy(&mut from.take(LUKS_HEADER), &mut fs::File::create(&header)?)?;
    let mut dump = Command::new("cryptsetup");
    dump.arg("luksDump").arg(&header);
    let text = shell::run(dump)?.ok("cryptsetup luksDump")?.text();
    for token in ["systemd-tpm2", "systemd-recovery"] {
        holds!(text.contains(token), "no {token}: {text}");
    }
    // Every realm's databases begin so; none may lie in the clear. The data is the disk's last partition.
    let mut grep = Command::new("sh");
    grep.args(["-c", "tail -c +\"$2\" \"$1\" | LC_ALL=C grep -c -a -z 'SQLite format 3'", "sh"]);
    let found = shell::run({
        grep.arg(&drives.disk).arg((start + 1).to_string());
        grep
    })?;
    holds!(found.code == Some(1), "the data lies in the clear: {} {}", found.text(), found.stderr);
    Ok(())
}

/// A certificate of somebody else.
fn strangers(folder: &Path) -> Told<Vec<u8>> {
    let (key, certificate) = (folder.join("stranger.key"), folder.join("stranger.der"));
    let mut make = Command::new("openssl");
    make.args([
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-noenc",
        "-sha256",
        "-days",
        "30",
        "-subj",
        "/CN=stranger/",
    ]);
    make.args(["-outform", "DER"]).arg("-keyout").arg(key).arg("-out").arg(&certificate);
    shell::run(make)?.ok("openssl req")?;
    Ok(fs::read(certificate)?)
}

fn said(fault: &Fault, vm: &Vm) -> Fault {
    Fault::new(format!("{fault}\n\nthe machine's last words:\n{}", vm.last_words()))
}
