//! A full disk (issue 3, "Bad input"): an import, a claim and a post meet it; each is refused in Japanese with a
//! code, nothing is half-done, and when there is room again they go through, without a restart. Needs root.

use std::path::Path;

use serde_json::Value;
use tests::disk::SmallDisk;
use tests::enrolment::{self, ADMIN_PASSWORD, Devices};
use tests::shell::{self, PATIENCE};
use tests::team::Team;
use tests::world::{Tools, World};
use tests::{Fault, Told, paperwork};

/// Four databases with their logs take a quarter of it.
const MEBIBYTES: u32 = 64;
const WORDS: &str = "満杯のときに書いた投稿";

#[test]
fn a_full_disk_stops_work_clearly_and_leaves_nothing_half_done() {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let mut world = World::raise(&tools).unwrap_or_else(|fault| panic!("{fault}"));
    let played = play(&mut world);
    played.unwrap_or_else(|fault| panic!("{}", world.with_last_words(&fault)));
}

fn play(world: &mut World) -> Told<()> {
    paperwork::create_realm(world)?;
    let state = world.server.setting("state")?;
    let disk = SmallDisk::under(Path::new(&state), MEBIBYTES)?;
    world.server.start()?;
    let pids = world.server.pids();

    import(world, &disk)?;
    let mut devices = enrolment::bring_devices_and(world, "18-0003")?;
    let Devices { office, clinic, nurses, dentist, .. } = &mut devices;
    for device in [office, clinic, nurses, dentist] {
        enrolment::claim(world, device)?;
    }
    let team = Team::gather(world, &devices)?;
    claim(world, &mut devices, &disk)?;
    post(world, &devices, &team, &disk)?;

    assert_eq!(world.server.pids(), pids, "somebody had to be started again");
    world.server.ok(&["audit", "verify"])?;
    world.server.stop()
}

fn import(world: &World, disk: &SmallDisk) -> Told<()> {
    paperwork::forms(world)?;
    let forms = world.folder.join("forms").join("forms.xlsx").to_string_lossy().into_owned();
    disk.fill()?;
    let said = world.server.ask(&["facility", "import", &forms])?;
    tests::holds!(said.code == 75, "on a full disk the import ended with {}: {}", said.code, said.text);
    told_in_japanese(&said.json["error"])?;
    let about = said.json["error"]["remedy_ja"].as_str().unwrap_or_default();
    tests::holds!(about.contains("ディスク"), "the operator is not told what to do: {about}");
    disk.free()?;
    let cases = |wanted: usize| -> Told<()> {
        let listed = world.server.ok(&["case", "list"])?;
        tests::holds!(listed.as_array().is_some_and(|list| list.len() == wanted), "cases: {listed}");
        Ok(())
    };
    cases(0)?;
    world.server.ok(&["facility", "import", &forms])?;
    cases(30)?;
    world.server.ok(&["case", "accept", "--all"])?;
    let sheets = world.output()?.join("sheets");
    shell::until("the sheets", PATIENCE, || {
        Ok((std::fs::read_dir(&sheets)?.flatten().count() >= 2 * 31).then_some(()))
    })
}

fn claim(world: &World, devices: &mut Devices, disk: &SmallDisk) -> Told<()> {
    disk.fill()?;
    let refused = devices.newcomer.claim(Some(ADMIN_PASSWORD));
    disk.free()?;
    let Err(fault) = refused else { return Err(Fault::new("a claim without a place to keep it")) };
    let text = fault.to_string();
    tests::holds!(text.contains("answered 503") && text.contains("\"code\":\"MM-"), "the claim got {text}");
    tests::holds!(text.contains("\"ja\":\""), "the claim was refused without Japanese: {text}");
    world.server.status()?;
    // Nothing was counted against the sheet.
    let answer = devices.newcomer.claim(Some(ADMIN_PASSWORD))?;
    tests::holds!(answer["claims_left"] == 2, "after the first claim that counted: {answer}");
    devices.newcomer.raise_final()?;
    Ok(())
}

fn post(world: &World, devices: &Devices, team: &Team, disk: &SmallDisk) -> Told<()> {
    let (writer, reader) = (team.writer(&devices.clinic)?, team.reader(&devices.nurses)?);
    let stream = reader.watch(&team.patient)?;
    disk.fill()?;
    let refused = writer.write(&team.patient, WORDS, Some("full-1"));
    disk.free()?;
    let refused = refused?;
    tests::holds!(refused.status == 503, "a post on a full disk got {}: {}", refused.status, refused.text());
    told_in_japanese(&refused.json()?)?;
    world.server.status()?;
    // The same attempt once more: now it is one post, live and in the list.
    writer.write(&team.patient, WORDS, Some("full-1"))?.expect(&[201])?;
    stream.event("the post that had no place", |event| event.data.contains(WORDS))?;
    let posts = reader.get(&format!("/api/teams/{}/posts", team.patient))?.expect(&[200])?;
    tests::holds!(posts.to_string().matches(WORDS).count() == 1, "it stands more than once: {posts}");
    Ok(())
}

/// Code, cause and remedy, Japanese first.
fn told_in_japanese(problem: &Value) -> Told<()> {
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let japanese = |text: &str| text.chars().any(|c| ('\u{3041}'..='\u{9fff}').contains(&c));
    tests::holds!(text("code").starts_with("MM-"), "no code: {problem}");
    tests::holds!(japanese(&text("ja")) && japanese(&text("remedy_ja")), "no Japanese: {problem}");
    Ok(())
}
