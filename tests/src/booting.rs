//! What the image's disk must do, from a blank machine to one that was cut off and one that was tampered with.
//! Reads like the runbook: power, stick, SSH, tunnel, power cut, a flipped bit.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::device::Device;
use crate::engineer::Engineer;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::inspection::{admitted, tunnel};
use crate::net::APPLIANCE_OUTER;
use crate::shell;
use crate::vm::{BOOT, Drives, Vm, wishes};
use crate::world::{World, ZONE};

/// Two slots of two partitions, the boot partition, the data.
const PARTITIONS: usize = 6;
/// A tampered root is tampered everywhere: whatever is read first meets it.
const STEP: u64 = 1 << 20;

/// A machine that came up from the disk, with its realm and one device in service.
pub struct Up {
    pub vm: Vm,
    pub drives: Drives,
    pub engineer: Engineer,
    pub device: Device,
}

/// From a blank disk and a stick to the first admitted tunnel.
pub fn raise(world: &mut World, out: &Path) -> Told<Up> {
    let drives = Drives::of(&out.join("mimamori.raw"), &world.folder.join("vm"))?;
    let engineer = Engineer::new(world)?;
    drives.write_stick(&wishes(ZONE), &engineer.folder.join("ca.pub"), true)?;
    Vm::wire(&world.net.app)?;
    let mut vm = Vm::boot(&drives, &world.net.app, true)?;
    vm.says("the realm stands")?;
    let back = drives.read_stick()?;
    for file in ["root/root-passphrase", "known_hosts"] {
        holds!(back.join(file).exists(), "the stick did not get {file}");
    }
    let device = tunnel(world, &back.join("office")).map_err(|fault| said(&fault, &vm))?;
    Ok(Up { vm, drives, engineer, device })
}

/// The directory beside `out` holds another build, whose update is brought; see the Makefile.
pub fn play(world: &mut World, out: &Path, held: &mut dyn FnMut(&str)) -> Told<usize> {
    let mut steps = 0;
    let mut step = |what: &str| {
        steps += 1;
        held(what);
    };
    let Up { mut vm, drives, engineer, device } = raise(world, out)?;
    step("firmware, loader, signed kernel and sealed root start a blank machine; a stick makes it a realm");
    step("an independent WireGuard client claims its certificate and is admitted over mutual TLS");
    let told = (|| {
        holds!(drives.partitions()?.len() == PARTITIONS, "partitions: {:?}", drives.partitions()?);
        step("the first boot made the other slot and the data partition");
        ssh(&engineer, &device)?;
        step(
            "SSH: a certificate leads to the engineer's shell; a stranger's, a late one and a bare key do not",
        );
        Ok(())
    })();
    told.map_err(|fault: Fault| said(&fault, &vm))?;
    vm.cut()?;
    vm = Vm::boot(&drives, &world.net.app, false)?;
    shell::until("the device to be admitted again", BOOT, || Ok(admitted(&device).ok()))
        .map_err(|fault| said(&fault, &vm))?;
    step("after a power cut the device is admitted without anybody's help");
    vm.cut()?;
    verify(&drives, out)?;
    step("nothing has changed in the root: its hashes hold over the whole slot");
    updates(world, &engineer, &device, &drives, &out.with_file_name("image-next"), &mut step)?;
    dataless(world, &drives)?;
    step("a machine whose data cannot be mounted does not go on without it: it starts anew");
    tampered(world, out)?;
    step("a root with flipped bits is not started");
    Ok(steps)
}

fn ssh(engineer: &Engineer, device: &Device) -> Told<()> {
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let done = engineer.ssh(&device.space, "good", &[&host, "status -o json"])?;
    holds!(
        done.code == Some(0) && done.text().contains("\"seats\""),
        "status: {:?} {}",
        done.code,
        done.stderr
    );
    let done = engineer.ssh(&device.space, "good", &[&host, "/bin/sh -c id"])?;
    holds!(done.code == Some(5), "a shell over SSH: {:?} {}", done.code, done.text());
    std::fs::copy(engineer.folder.join("key"), engineer.folder.join("bare"))?;
    for with in ["stranger", "late", "clerk", "bare"] {
        let done = engineer.ssh(&device.space, with, &[&host, "status"])?;
        holds!(done.code == Some(255), "`{with}` led in: {:?} {}", done.code, done.text());
    }
    Ok(())
}

/// A new version into the other slot, its trial, and the way back when it breaks.
fn updates(
    world: &World,
    engineer: &Engineer,
    device: &Device,
    drives: &Drives,
    next: &Path,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    let admitted_again = |vm: &Vm| {
        shell::until("the device to be admitted again", BOOT, || Ok(admitted(device).ok()))
            .map_err(|fault| said(&fault, vm))
    };
    drives.write_update(&next.join("mimamori.update"))?;
    let mut vm = Vm::boot(drives, &world.net.app, true)?;
    admitted_again(&vm)?;
    update(engineer, device)?;
    vm.ends()?;
    holds!(drives.kernels()?.contains("_0002+3"), "the new kernel is not on trial: {}", drives.kernels()?);
    let vm = Vm::boot(drives, &world.net.app, false)?;
    admitted_again(&vm)?;
    kept(drives, &vm)?;
    vm.cut()?;
    step("an update from a stick is written into the other slot, tried, and kept once every room answers");
    Ok(())
}

/// The engineer brings the stick's version into the other slot, and the machine starts anew.
pub fn update(engineer: &Engineer, device: &Device) -> Told<()> {
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let told = engineer.ssh(&device.space, "good", &[&host, "update --stick --restart -o json"])?;
    holds!(told.code == Some(0), "update: {:?} {}{}", told.code, told.text(), told.stderr);
    Ok(())
}

/// Until its trial is over, well.
pub fn kept(drives: &Drives, vm: &Vm) -> Told<()> {
    shell::until("the new version to be kept", BOOT, || {
        Ok((drives.kernels()?.contains("_0002.efi")).then_some(()))
    })
    .map_err(|fault| said(&fault, vm))
}

/// A file system that cannot be mounted; the disk is of no use afterwards.
fn dataless(world: &World, drives: &Drives) -> Told<()> {
    drives.spoil_data()?;
    let mut vm = Vm::boot(drives, &world.net.app, false)?;
    vm.says("something that every start needs has failed; starting anew")?;
    vm.ends()
}

fn verify(drives: &Drives, out: &Path) -> Told<()> {
    let hash = std::fs::read_to_string(out.join("roothash"))?;
    let (root, tree): (PathBuf, PathBuf) =
        (drives.extract("mimamori-root-a")?, drives.extract("mimamori-verity-a")?);
    let mut verify = Command::new("veritysetup");
    verify.arg("verify").args([&root, &tree]).arg(hash.trim());
    shell::run(verify)?.ok("veritysetup verify")?;
    Ok(())
}

fn tampered(world: &World, out: &Path) -> Told<()> {
    let drives = Drives::of(&out.join("mimamori.raw"), &world.folder.join("vm-tampered"))?;
    let (_, start, length) = drives.partition("mimamori-root-a")?;
    for at in (start + STEP / 2..start + length).step_by(usize::try_from(STEP).unwrap_or(1 << 20)) {
        drives.flip(at)?;
    }
    let mut vm = Vm::boot(&drives, &world.net.app, false)?;
    vm.gives_up()
}

fn said(fault: &Fault, vm: &Vm) -> Fault {
    Fault::new(format!("{fault}\n\nthe machine's last words:\n{}", vm.last_words()))
}
