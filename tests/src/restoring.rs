//! A realm that is lost with its machine and comes back from two files: the same CA, the same tunnels, the same posts,
//! and whoever was revoked stays out, before the backup and after it. What stock programs find in the files is looked
//! at on the way. Owns nothing beyond a call.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::enrolment::{self, Devices};
use crate::fault::Told;
use crate::holds;
use crate::http::Request;
use crate::paperwork;
use crate::refusals::counted;
use crate::revocation;
use crate::secrets::write_private;
use crate::shell::{self, PATIENCE};
use crate::team::Team;
use crate::world::World;

const WORDS: &str = "控えの前に書いた投稿";
/// A certificate that the authority no longer counts among the living.
const CERTIFICATE_UNLISTED: &str = "MM-3010";
/// Never claims.
const NEWCOMER: &str = "18-0003";

/// What somebody carried away from the machine before it was lost.
struct Carried {
    records: PathBuf,
    keys: PathBuf,
    identity: PathBuf,
    epoch: PathBuf,
    passphrase: PathBuf,
    log: PathBuf,
}

pub fn play(world: &mut World) -> Told<()> {
    let (devices, team) = town(world)?;
    let writer = team.writer(&devices.clinic)?;
    writer.write(&team.patient, WORDS, Some("kept-1"))?.expect(&[201])?;
    world.server.ok(&["device", "revoke", &devices.dentist.slot, "--reason", "lost"])?;
    drilled(world)?;
    let carried = carry(world)?;
    // The clock goes on: what happens now is in no backup, only in the log that lies elsewhere.
    world.server.ok(&["device", "revoke", &devices.newcomer.slot, "--reason", "lost"])?;
    world.server.ok(&["pki", "log", "export", "--out", &text(&carried.log)])?;
    opens_without_us(world, &carried)?;

    let before = world.server.ok(&["status"])?;
    world.server.stop()?;
    let lost = world.server.home.with_extension("lost");
    fs::rename(&world.server.home, &lost)?;
    world.server.home = world.folder.join("restored");
    refused(world, &carried)?;
    let told = brought_back(world, &carried)?;
    holds!(told["revoke_again"].as_array().is_some_and(|slots| slots.len() == 1), "revoked since: {told}");
    world.server.start()?;
    let after = world.server.ok(&["status"])?;
    let authorities = |status: &Value| status["pki"]["authorities"].clone();
    holds!(authorities(&before) == authorities(&after), "other CAs: {before} {after}");
    holds!(authorities(&after).as_array().is_some_and(|all| !all.is_empty()), "no CA: {after}");
    holds!(before["vpn"]["public_key"] == after["vpn"]["public_key"], "another tunnel key");

    nobody_enrols_again(&devices, &team)?;
    revoked_stay_out(world, &devices)?;
    world.server.ok(&["audit", "verify"])?;
    world.server.stop()
}

fn town(world: &mut World) -> Told<(Devices, Team)> {
    paperwork::create_realm(world)?;
    world.server.start()?;
    paperwork::forms(world)?;
    let forms = text(&world.folder.join("forms").join("forms.xlsx"));
    world.server.ok(&["facility", "import", &forms])?;
    world.server.ok(&["case", "accept", "--all"])?;
    let mut devices = enrolment::bring_devices_and(world, NEWCOMER)?;
    let Devices { office, clinic, nurses, dentist, newcomer } = &mut devices;
    for device in [office, clinic, nurses, dentist, newcomer] {
        enrolment::claim(world, device)?;
    }
    let team = Team::gather(world, &devices)?;
    Ok((devices, team))
}

/// The rehearsal brings it all back beside, and says so in the status.
fn drilled(world: &World) -> Told<()> {
    let told = world.server.ok(&["backup", "drill"])?;
    holds!(told["fault"].is_null() && told["certificates"].as_u64() >= Some(5), "the drill: {told}");
    let status = world.server.ok(&["status"])?;
    holds!(status["backup"]["drill"]["fault"].is_null(), "status: {}", status["backup"]);
    holds!(status["backup"]["drill"]["at_ms"].is_i64(), "status: {}", status["backup"]);
    let state = PathBuf::from(world.server.setting("state")?);
    for rest in [state.join(".backup"), PathBuf::from(world.server.setting("run")?).join("drill-epoch")] {
        holds!(!rest.exists(), "the drill left {}", rest.display());
    }
    Ok(())
}

fn carry(world: &World) -> Told<Carried> {
    let folder = world.folder.join("usb");
    fs::create_dir_all(&folder)?;
    let path = |name: &str| folder.join(name);
    let identity = path("identity");
    let key = world.server.ok(&["backup", "key", "--out", &text(&identity)])?;
    let recipient = key["recipient"].as_str().unwrap_or_default().to_owned();
    let told = world.server.ok(&["backup", "make", "--to", &text(&folder), "--recipient", &recipient])?;
    let file = |at: usize| folder.join(told["files"][at].as_str().unwrap_or_default());
    let epoch = path("epoch.sealed");
    let copy = world.server.ok(&["keys", "export-epoch", "--to", &text(&epoch)])?;
    let passphrase = path("epoch-passphrase");
    write_private(&passphrase, copy["passphrase"].as_str().unwrap_or_default())?;
    Ok(Carried { records: file(0), keys: file(1), identity, epoch, passphrase, log: path("log") })
}

/// The printed page, followed with stock programs (ruling 14); and what must not be found there (ruling 10).
fn opens_without_us(world: &World, carried: &Carried) -> Told<()> {
    let folder = world.folder.join("by-hand");
    fs::create_dir_all(&folder)?;
    for sealed in [&carried.records, &carried.keys] {
        let (identity, sealed) = (text(&carried.identity), text(sealed));
        sh(&folder, &format!("age -d -i {identity} {sealed} | tar -x"))?;
    }
    for database in ["provisioning/registry.db", "pki/ledger.db", "sns/sns.db", "sns/keys.db"] {
        let said = sh(&folder, &format!("sqlite3 state/{database} 'PRAGMA integrity_check'"))?;
        holds!(said.trim() == "ok", "{database}: {said}");
    }
    let facilities = sh(&folder, "sqlite3 state/provisioning/registry.db 'SELECT COUNT(*) FROM facility'")?;
    holds!(facilities.trim().parse::<u32>().is_ok_and(|count| count > 30), "facilities: {facilities}");
    sh(&folder, "openssl x509 -inform DER -in state/pki/device-ca.der -noout -text")?;
    holds!(fs::read_to_string(folder.join("mimamori.toml"))?.contains("zone = "), "no configuration");
    let found =
        sh(&folder, "find . -path '*epoch*' -not -name sns_epoch; find . -name '*.sock' -o -name lock")?;
    holds!(found.trim().is_empty(), "what no backup may hold: {found}");
    let words = sh(&folder, &format!("grep -rlaF '{WORDS}' . || true"))?;
    holds!(words.trim().is_empty(), "a patient's words lie open in {words}");
    Ok(())
}

/// What an attacker or a tired hand may bring: another key, exchanged files, a changed byte, a place that is taken.
fn refused(world: &World, carried: &Carried) -> Told<()> {
    let other = world.folder.join("usb").join("other-identity");
    world.server.ask(&["backup", "key", "--out", &text(&other)])?;
    let (records, keys) = (text(&carried.records), text(&carried.keys));
    let (identity, other) = (text(&carried.identity), text(&other));
    let changed = world.folder.join("usb").join("changed.age");
    let mut bytes = fs::read(&carried.records)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&changed, bytes)?;
    let changed = text(&changed);
    for (name, records, keys, identity) in [
        ("another key", &records, &keys, &other),
        ("exchanged", &keys, &records, &identity),
        ("changed", &changed, &keys, &identity),
    ] {
        let dir = text(&world.folder.join("refused").join(name.replace(' ', "-")));
        let said =
            restore(world, &["--records", records, "--keys", keys, "--identity", identity, "--dir", &dir])?;
        holds!(said.code == Some(1), "{name}: {:?} {}", said.code, said.stderr);
        holds!(
            !Path::new(&dir).join("mimamori.toml").exists(),
            "{name}: half a realm looks like a whole one"
        );
    }
    let taken = text(&world.folder.join("usb"));
    let said =
        restore(world, &["--records", &records, "--keys", &keys, "--identity", &identity, "--dir", &taken])?;
    holds!(said.code == Some(4), "over a folder that is not empty: {:?} {}", said.code, said.stderr);
    Ok(())
}

fn brought_back(world: &World, carried: &Carried) -> Told<Value> {
    let home = text(&world.server.home);
    let (records, keys, identity) = (text(&carried.records), text(&carried.keys), text(&carried.identity));
    let (epoch, passphrase, log) = (text(&carried.epoch), text(&carried.passphrase), text(&carried.log));
    let done = restore(
        world,
        &[
            "--records",
            &records,
            "--keys",
            &keys,
            "--identity",
            &identity,
            "--epoch",
            &epoch,
            "--epoch-passphrase-file",
            &passphrase,
            "--log",
            &log,
            "--dir",
            &home,
        ],
    )?
    .ok("restore")?;
    Ok(serde_json::from_slice(&done.stdout)?)
}

/// On a machine that has no configuration yet.
fn restore(world: &World, words: &[&str]) -> Told<shell::Finished> {
    let mut command = world.net.app.command(world.server.binary());
    command.args(["-o", "json", "restore"]).args(words);
    shell::run(command)
}

/// The device's own profile and certificate, as they were; its people sign in and find what they wrote. The
/// secretariat's own device keeps its root where the realm was, and that is gone.
fn nobody_enrols_again(devices: &Devices, team: &Team) -> Told<()> {
    for device in [&devices.clinic, &devices.nurses] {
        device.raise_final()?;
        shell::until(&format!("{} to be admitted again", device.slot), PATIENCE, || {
            let answer = device.send(Request::get(device.url("sns", "/sign-in")))?;
            Ok((answer.status == 200).then_some(()))
        })?;
        holds!(device.last_handshake()? > 0, "{} is admitted without a tunnel", device.slot);
    }
    let reader = team.reader(&devices.nurses)?;
    let posts = reader.get(&format!("/api/teams/{}/posts", team.patient))?.expect(&[200])?;
    holds!(posts.to_string().contains(WORDS), "the post is gone: {posts}");
    let writer = team.writer(&devices.clinic)?;
    writer.write(&team.patient, "控えから戻した後の投稿", Some("after-1"))?.expect(&[201])?;
    Ok(())
}

/// One was revoked before the backup, the other after it; the registry learns the second again.
fn revoked_stay_out(world: &World, devices: &Devices) -> Told<()> {
    revocation::handshake_refused(world, &devices.dentist)?;
    let late = &devices.newcomer;
    late.raise_final()?;
    let answer = counted(world, "refusals", CERTIFICATE_UNLISTED, || {
        late.send(Request::get(late.url("sns", "/sign-in")).attack())
    })?;
    holds!(answer.nothing(), "{} was revoked after the backup and is admitted: {}", late.slot, answer.status);
    world.server.ok(&["device", "revoke", &late.slot, "--reason", "lost"])?;
    revocation::handshake_refused(world, late)
}

fn sh(folder: &Path, line: &str) -> Told<String> {
    let mut command = Command::new("bash");
    command.args(["-o", "pipefail", "-c", line]).current_dir(folder);
    Ok(shell::run(command)?.ok(line)?.text())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
