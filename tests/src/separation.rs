//! Each process killed in the middle of work, and in the middle of a revocation (issue 3; rulings 7, 8).
//! Only for the form `separated`. Owns nothing beyond a call; what it freezes it kills.

use appliance::process::Name;
use rustix::process::Signal;
use serde_json::Value;

use crate::device::Device;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::launcher::Launcher;
use crate::people::{Person, text};
use crate::revocation;
use crate::server::{Said, find};
use crate::shell::{self, PATIENCE};
use crate::world::World;

/// The exit code of a revocation that is recorded and not yet complete.
const PENDING: i32 = 75;

/// Kills one after another; after each, both people go on with their old sessions, and each post stands once.
pub fn each_is_killed_and_nothing_is_lost(
    world: &World,
    writer: &Person,
    reader: &Person,
    patient: &str,
) -> Told<usize> {
    for name in Name::SERVED {
        world.server.kill(name)?;
        both_go_on(writer, reader, patient, name.as_str())?;
    }
    Ok(Name::SERVED.len())
}

/// A server that is restarted hangs up on everybody, in the middle of whatever they ask.
pub fn the_server_hangs_up_and_nothing_is_lost(
    world: &World,
    writer: &Person,
    reader: &Person,
    patient: &str,
) -> Told<()> {
    let database = world.database.as_ref().ok_or_else(|| Fault::new("the records are in files"))?;
    database.hang_up();
    both_go_on(writer, reader, patient, "the database's server")?;
    world.server.whole()
}

/// With the sessions they had; a repeated post stands once.
fn both_go_on(writer: &Person, reader: &Person, patient: &str, gone: &str) -> Told<()> {
    let posts = format!("/api/teams/{patient}/posts");
    let (words, key) = (format!("再開報告〔{gone}〕"), format!("after-{}", gone.replace([' ', '\''], "-")));
    // The tunnel's client finds out by itself that the other end has forgotten it; a repeat is one post.
    shell::until("the writer to be served again", PATIENCE, || {
        let answer = writer.write(patient, &words, Some(&key))?;
        match answer.status {
            200 | 201 => Ok(Some(())),
            401 | 403 => Err(Fault::new(format!("the session is gone: {}", answer.text()))),
            _ => Ok(None),
        }
    })?;
    let seen = shell::until("the reader to be served again", PATIENCE, || {
        let answer = reader.get(&posts)?;
        Ok((answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned()))
    })?;
    let times = seen.matches(&words).count();
    holds!(times == 1, "after {gone} was away, the post stands {times} times");
    Ok(())
}

/// Two points are frozen, so that the revocation stops between its steps; then its owner and both points
/// are killed. Nobody does anything more, and it completes.
pub fn revocation_survives_kills(world: &World, lost: &Device) -> Told<()> {
    let launcher = world.server.launcher().ok_or_else(|| Fault::new("there is one process"))?;
    for name in [Name::Sns, Name::Pki] {
        freeze(launcher, name)?;
    }
    let said = world.server.ask(&["device", "revoke", &lost.slot, "--reason", "stolen"])?;
    holds!(said.code == PENDING, "with two points frozen it ended with {}: {}", said.code, said.text);
    let receipt = text(&said.json, "receipt")?;
    holds!(pending(&said) == ["pki", "sns"], "pending are {:?}: {}", pending(&said), said.json);

    // Its owner forgets nothing.
    let births = launcher.births(Name::Provisioning);
    holds!(launcher.kill(Name::Provisioning), "provisioning does not run");
    shell::until("provisioning to be started again", PATIENCE, || {
        Ok((launcher.births(Name::Provisioning) > births).then_some(()))
    })?;
    let said = shell::until("provisioning to answer", PATIENCE, || {
        let said = world.server.ask(&["device", "receipt", &receipt])?;
        Ok((find(&said.json, "points").is_some()).then_some(said))
    })?;
    holds!(pending(&said) == ["pki", "sns"], "after the kill, pending are {:?}", pending(&said));

    for name in [Name::Pki, Name::Sns] {
        holds!(launcher.kill(name), "{} does not run", name.as_str());
    }
    let mut last = Value::Null;
    let told = shell::until("the revocation to complete", PATIENCE, || {
        let said = world.server.ask(&["device", "receipt", &receipt])?;
        last = said.json;
        Ok((find(&last, "complete") == Some(&Value::Bool(true))).then_some(()))
    });
    told.map_err(|fault| Fault::new(format!("{fault}: {last}")))?;
    holds!(find(&last, "signature").is_some_and(Value::is_object), "the receipt is not signed: {last}");
    world.server.whole()?;
    revocation::handshake_refused(world, lost)
}

/// It keeps its sockets and answers nobody.
fn freeze(launcher: &Launcher, name: Name) -> Told<()> {
    let pid = launcher.pid(name).ok_or_else(|| Fault::new(format!("{} does not run", name.as_str())))?;
    shell::signal(pid, Signal::STOP);
    Ok(())
}

/// The points that have not acknowledged.
fn pending(said: &Said) -> Vec<String> {
    let points = find(&said.json, "points").and_then(Value::as_array).cloned().unwrap_or_default();
    let waiting = points.iter().filter(|point| point["after_ms"].is_null());
    let mut names: Vec<String> =
        waiting.filter_map(|point| point["point"].as_str().map(str::to_owned)).collect();
    names.sort();
    names
}
