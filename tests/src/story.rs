//! The story, left to right through the house. Read this first: each step says what must hold;
//! the modules above say how it is tried. Devices: the secretariat's (18-0000), clinic A (18-0042),
//! nurses B (18-0044), dentist C (18-0046, a stranger to the patient), and one that never claims.

use crate::enrolment::{self, Devices};
use crate::fault::Told;
use crate::letterbox;
use crate::memory;
use crate::paperwork;
use crate::refusals;
use crate::report::Report;
use crate::revocation;
use crate::separation;
use crate::server::{Engine, Form};
use crate::stay::Scene;
use crate::team::{self, Team};
use crate::witness;
use crate::world::{Tools, World};

pub const PLAN: [(&str, &str); 8] = [
    ("s1", "init"),
    ("s2", "import"),
    ("s3", "bundle"),
    ("s4", "bootstrap"),
    ("s5", "claim"),
    ("s6", "post"),
    ("s7", "refuse"),
    ("s8", "revoke"),
];

/// Numbered posts before, during and after the revocation.
const POSTS: [(u32, u32); 3] = [(1, 5), (6, 15), (16, 20)];

/// Before the lost device of s8: a database's server hangs up, and of separate processes each is killed.
pub fn plan(form: Form, engine: Engine) -> Vec<(&'static str, &'static str)> {
    let mut plan = PLAN.to_vec();
    if form == Form::Separated {
        plan.insert(7, ("s7k", "kill -9"));
    }
    if engine == Engine::Postgres {
        plan.insert(7, ("s7d", "hang up"));
    }
    plan
}

/// What it leaves behind may stay, or is dropped.
pub fn play(tools: &Tools, report: &mut Report) -> Told<Scene> {
    let mut world = World::raise(tools)?;
    match tell(&mut world, tools.form, report) {
        Ok((devices, team)) => Ok(Scene { world, devices, team }),
        Err(fault) => Err(world.with_last_words(&fault)),
    }
}

fn tell(world: &mut World, form: Form, report: &mut Report) -> Told<(Devices, Team)> {
    report.step("s1", || init(world))?;
    report.step("s2", || import(world))?;
    report.step("s3", || bundle(world))?;
    let mut devices = report.step_with("s4", || bootstrap(world))?;
    report.step("s5", || claim(world, &mut devices))?;
    let team = report.step_with("s6", || post(world, &devices))?;
    report.step("s7", || refuse(world, &devices, &team))?;
    if world.database.is_some() {
        report.step("s7d", || hang_up(world, &devices, &team))?;
    }
    if form == Form::Separated {
        report.step("s7k", || kill(world, &devices, &team))?;
    }
    report.step("s8", || revoke(world, &devices, &team))?;
    Ok((devices, team))
}

fn init(world: &mut World) -> Told<String> {
    paperwork::create_realm(world)?;
    world.server.start()?;
    Ok("realm with series 18, offline root, CAs, tunnel key; check and status are content".into())
}

fn import(world: &World) -> Told<String> {
    let form = paperwork::forms(world)?;
    paperwork::dry_run_changes_nothing(world, &form)?;
    paperwork::bad_rows_are_named_and_nothing_is_imported(world, &form)?;
    paperwork::thirty_facilities_arrive_once(world, &form)?;
    Ok("30 facilities from .xlsx and .csv; bad rows named; the second import changed nothing".into())
}

fn bundle(world: &World) -> Told<String> {
    let printed = paperwork::acceptance_prints_sheets(world)?;
    let arrived = letterbox::every_bundle_arrives_signed_and_whole(world)?;
    letterbox::a_mistyped_address_is_corrected(world)?;
    paperwork::clinic_owns(world, "18-0042")?;
    Ok(format!(
        "{arrived} bundles by mail, signed, {printed} sheets apart; the mistyped address was told and corrected"
    ))
}

fn bootstrap(world: &mut World) -> Told<(Devices, String)> {
    let devices = enrolment::bring_devices(world)?;
    enrolment::bootstrap_reaches_claim_and_start(world, &devices.clinic)?;
    enrolment::bootstrap_reaches_claim_and_start(world, &devices.newcomer)?;
    refusals::enrolling_seat(world, &devices.newcomer)?;
    Ok((devices, "five devices raised their bundle's tunnel: claim and start pages, nothing else".into()))
}

fn claim(world: &mut World, devices: &mut Devices) -> Told<String> {
    enrolment::wrong_password_opens_nothing(&devices.clinic)?;
    enrolment::second_claim_voids_the_first(world, &mut devices.clinic)?;
    enrolment::bootstrap_key_is_dead(world, &devices.clinic)?;
    enrolment::reissued_bundle_replaces_the_first(world, &mut devices.newcomer)?;
    enrolment::claim(world, &mut devices.office)?;
    enrolment::claim_over_acme(world, &mut devices.nurses)?;
    enrolment::claim_over_est(world, &mut devices.dentist)?;
    for device in devices.all() {
        world.remember_secrets_of(device);
    }
    Ok("own keys and certificates; the repeat voided its predecessor; mailed keys are dead after claim and reissue; one device claimed by EST, and its renewal client was heard; one by ACME".into())
}

fn post(world: &mut World, devices: &Devices) -> Told<(Team, String)> {
    let team = Team::gather(world, devices)?;
    let seen = team::post_is_read_live_and_acknowledged(world, &team, devices)?;
    team::trace_leads_to_the_audit(world, &seen)?;
    let files = world.nothing_in_plain()?;
    Ok((
        team,
        format!("posted, read live, 了解; trace {} in the audit; sealed in all {files} files", seen.trace),
    ))
}

fn refuse(world: &World, devices: &Devices, team: &Team) -> Told<String> {
    let Devices { clinic, nurses, dentist, newcomer, .. } = devices;
    let (writer, reader, stranger) = (team.writer(clinic)?, team.reader(nurses)?, team.stranger(dentist)?);
    refusals::no_certificate(world, clinic)?;
    refusals::other_slots_certificate(world, nurses, clinic)?;
    refusals::outside_any_tunnel(world, newcomer, clinic)?;
    refusals::membership_not_permitted(world, dentist, &team.writer.login, &team.writer.password)?;
    refusals::third_facility(&stranger, &team.patient)?;
    refusals::device_to_device(world, clinic, nurses)?;
    newcomer.raise_bootstrap()?;
    refusals::enrolling_seat(world, newcomer)?;
    refusals::forged_identity(&reader, &stranger, team.forged_identity(), &team.patient)?;
    refusals::cross_origin(&writer, &team.patient)?;
    Ok("all nine refused, each for its own reason".into())
}

fn hang_up(world: &World, devices: &Devices, team: &Team) -> Told<String> {
    let (writer, reader) = (team.writer(&devices.clinic)?, team.reader(&devices.nurses)?);
    separation::the_server_hangs_up_and_nothing_is_lost(world, &writer, &reader, &team.patient)?;
    Ok("the database's server hung up on every room; nobody signed in again, the post stands once".into())
}

fn kill(world: &World, devices: &Devices, team: &Team) -> Told<String> {
    let (writer, reader) = (team.writer(&devices.clinic)?, team.reader(&devices.nurses)?);
    // These processes have issued, proved and listed: the next ones only revoke.
    let searched = memory::no_ca_key_outside_the_authority(world)?;
    let killed = separation::each_is_killed_and_nothing_is_lost(world, &writer, &reader, &team.patient)?;
    separation::revocation_survives_kills(world, &devices.dentist)?;
    Ok(format!(
        "no CA key in {searched} MB of the others' memory; {killed} processes killed, each post once; a revocation outlived two of its points and its owner"
    ))
}

fn revoke(world: &mut World, devices: &Devices, team: &Team) -> Told<String> {
    let (clinic, nurses) = (&devices.clinic, &devices.nurses);
    let (lost, bystander) = (team.writer(clinic)?, team.reader(nurses)?);
    let (lost_stream, stream) = (lost.watch(&team.patient)?, bystander.watch(&team.patient)?);
    let [before, during, after] = POSTS;
    let write = |(from, to): (u32, u32)| revocation::post_numbered(&bystander, &team.patient, from, to);

    let witness = witness::proves_life(world, clinic, nurses)?;
    write(before)?;
    lost_stream.event("a post on the device that is about to be lost", |e| e.kind == "post")?;
    let cut = revocation::revoke_while(world, clinic, || write(during))?;
    write(after)?;

    let slowest = revocation::within_the_law(&cut)?;
    revocation::nothing_lost(&stream, before.0, after.1)?;
    revocation::heard_nothing_since(&lost_stream, after.0, after.1)?;
    revocation::signature_holds(world, &cut.receipt, nurses)?;
    revocation::on_the_list(world, clinic, nurses)?;
    let death = witness.proves_death(world, nurses)?;
    revocation::tls_refused(clinic, nurses)?;
    revocation::handshake_refused(world, clinic)?;
    revocation::nothing_answers(clinic, &lost)?;
    if world.server.form() == Form::Separated {
        memory::no_ca_key_outside_the_authority(world)?;
    }
    finish(world)?;
    let gone = cut.gone_after.as_millis();
    Ok(format!(
        "gone after {gone} ms, slowest point {slowest} ms, receipt signed; certificate proved as {}, its death as {death} and by OCSP; 20 of 20 posts reached the bystander",
        witness.life
    ))
}

/// The audit is whole, the process ends by itself, and no secret or patient's word was ever logged.
fn finish(world: &mut World) -> Told<()> {
    world.server.ok(&["audit", "verify"])?;
    world.server.stop()?;
    world.nothing_in_plain()?;
    world.needles.absent_from_log(&world.server.log)?;
    Ok(())
}
