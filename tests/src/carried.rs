//! What leaves a machine of the image over the engineer's SSH, sealed, and whether it would bring the realm back: backups
//! opened by stock programs, the nightly rehearsal.

use std::process::Command;

use serde_json::Value;

use crate::device::Device;
use crate::engineer::Engineer;
use crate::fault::Told;
use crate::holds;
use crate::machine::Machine;
use crate::net::APPLIANCE_OUTER;
use crate::shell;

pub fn steps(
    machine: &Machine,
    engineer: &Engineer,
    device: &Device,
    step: &mut dyn FnMut(&str),
) -> Told<()> {
    backups(machine, engineer, device)?;
    step("a backup leaves over SSH, sealed to whom the association named, and opens with age and tar");
    nightly(machine)?;
    step("the nightly rehearsal of a restore waits for its hour, and holds");
    Ok(())
}

/// Both halves over SSH, opened with `age` and `tar` by the holder of the key and by nobody else.
fn backups(machine: &Machine, engineer: &Engineer, device: &Device) -> Told<()> {
    let host = format!("mm-operator@{APPLIANCE_OUTER}");
    let say = |line: &str| engineer.ssh(&device.space, "good", &[&host, line]);
    let nobody = say("backup stream records")?;
    holds!(nobody.code == Some(64), "sealed to nobody: {:?} {}", nobody.code, nobody.stderr);

    let key = engineer.folder.join("age.key");
    let mut make = Command::new("age-keygen");
    shell::run({
        make.arg("-o").arg(&key);
        make
    })?
    .ok("age-keygen")?;
    let mut show = Command::new("age-keygen");
    show.arg("-y").arg(&key);
    let recipient = shell::run(show)?.ok("age-keygen -y")?.text();
    std::fs::write(machine.data().join("lib/mimamori-config/backup-recipients"), &recipient)?;
    for part in ["records", "keys"] {
        let done = say(&format!("backup stream {part}"))?;
        holds!(done.code == Some(0), "backup stream {part}: {:?} {}", done.code, done.stderr);
        holds!(done.stdout.starts_with(b"age-encryption.org/v1\n"), "{part} is not sealed");
        let (sealed, plain) = (engineer.folder.join(part), engineer.folder.join(format!("{part}.tar")));
        std::fs::write(&sealed, &done.stdout)?;
        let mut open = Command::new("age");
        open.arg("-d").arg("-i").arg(&key).arg("-o").arg(&plain).arg(&sealed);
        shell::run(open)?.ok("age -d")?;
        let mut list = Command::new("tar");
        list.arg("-tf").arg(&plain);
        let names = shell::run(list)?.ok("tar -tf")?.text();
        holds!(names.contains("manifest.json"), "{part}: {names}");
    }
    // An engineer who could choose would take the authority's keys home.
    for line in [
        format!("backup stream records --recipient {}", recipient.trim()),
        "backup make --to /tmp".to_owned(),
        "backup key --out /tmp/x".to_owned(),
    ] {
        let done = say(&line)?;
        holds!(matches!(done.code, Some(2 | 5)) && done.stdout.is_empty(), "`{line}`: {:?}", done.code);
    }
    Ok(())
}

/// The timer waits for its hour; what it starts then is started now.
fn nightly(machine: &Machine) -> Told<()> {
    let timer = "mimamori-drill.timer";
    let state = machine.run(&["systemctl", "is-active", timer])?.text();
    holds!(state.trim() == "active", "{timer} is {state}");
    let next = machine.ok(&["systemctl", "show", "-P", "NextElapseUSecRealtime", timer])?;
    holds!(!next.trim().is_empty(), "{timer} will never come");
    machine.ok(&["systemctl", "start", "mimamori-drill.service"])?;
    let status: Value = serde_json::from_str(&machine.ok(&["mimamori", "status", "-o", "json"])?)?;
    let drill = &status["backup"]["drill"];
    holds!(drill["took_ms"].is_u64() && drill["fault"].is_null(), "the rehearsal of a restore: {drill}");
    holds!(status["backup"]["made"]["at_ms"].is_i64(), "no backup is remembered: {status}");
    Ok(())
}
