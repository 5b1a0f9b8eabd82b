//! What leaves the room, and what must not stay behind: no secret in audit, log, or registry (ruling 5, 11).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

use provisioning::door::CaseChoice;
use provisioning::setup::create_office;

use super::world::{SAMPLE, World, new_office};

/// Keeps every line that any crate logs, however detailed.
struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }
    fn log(&self, record: &log::Record<'_>) {
        let mut line = record.args().to_string();
        let mut pairs = Pairs(&mut line);
        record.key_values().visit(&mut pairs).unwrap();
        self.0.lock().unwrap().push(line);
    }
    fn flush(&self) {}
}

struct Pairs<'a>(&'a mut String);

impl<'kvs> log::kv::VisitSource<'kvs> for Pairs<'_> {
    fn visit_pair(
        &mut self,
        key: log::kv::Key<'kvs>,
        value: log::kv::Value<'kvs>,
    ) -> Result<(), log::kv::Error> {
        self.0.push_str(&format!(" {key}={value}"));
        Ok(())
    }
}

static LINES: Lines = Lines(Mutex::new(Vec::new()));

#[tokio::test]
async fn secrets_are_in_their_letters_and_nowhere_else() {
    log::set_logger(&LINES).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let world = World::new().await;
    let cases = world.import(SAMPLE, false).await.unwrap().cases;
    for case in &cases[..3] {
        world.accept(CaseChoice::One(case.clone()), false).await.unwrap();
    }
    world.letters_left().await;
    world.room.stop().await;

    let mut secrets = Vec::new();
    for slot in ["18-0000", "18-0001", "18-0003", "18-0005"] {
        let profile = fs::read_to_string(world.bundle(slot).join(format!("mima-{slot}.conf"))).unwrap();
        let sheet = fs::read_to_string(world.sheet(slot)).unwrap();
        let private_key = after(&profile, "PrivateKey = ");
        let password = after(&sheet, "パスワード: ");
        p_05_a_bundle_holds_nothing_of_its_sheet(
            &world.bundle(slot),
            &password,
            &after(&sheet, "証明書取得用No: "),
        );
        secrets.extend([private_key, password.replace('-', ""), password]);
    }
    let lines = LINES.0.lock().unwrap().join("\n");
    assert!(lines.contains("letter delivered"), "the log was listened to");
    for entry in fs::read_dir(&world.config.dir).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for secret in &secrets {
            assert!(!contains(&bytes, secret.as_bytes()), "{} holds a secret", path.display());
        }
    }
    let stored = world.server.as_ref().map(|server| server.dump()).unwrap_or_default();
    for secret in &secrets {
        assert!(!contains(&stored, secret.as_bytes()), "the server holds a secret");
        assert!(!lines.contains(secret.as_str()), "a log line holds a secret");
    }
}

fn p_05_a_bundle_holds_nothing_of_its_sheet(bundle: &Path, password: &str, number: &str) {
    let mut names = Vec::new();
    for entry in fs::read_dir(bundle).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(entry.path()).unwrap();
        for printed in [password, &password.replace('-', ""), number] {
            assert!(!text.contains(printed));
        }
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    let profile = format!("mima-{}.conf", bundle.file_name().unwrap().to_str().unwrap());
    assert_eq!(names, ["guide.html", &profile, "mimamori-root.crt"]);
    assert_eq!(fs::metadata(bundle).unwrap().permissions().mode() & 0o777, 0o700);
}

/// The folder is in the way of itself; the letter waits, and leaves when the way is free.
#[tokio::test]
async fn a_letter_that_cannot_leave_waits_and_leaves_later() {
    let world = World::new().await;
    let cases = world.import(SAMPLE, false).await.unwrap().cases;
    let sheets = world.config.output.join("sheets");
    let aside = world.config.output.join("aside");
    fs::rename(&sheets, &aside).unwrap();
    fs::write(&sheets, "in the way").unwrap();
    world.accept(CaseChoice::One(cases[0].clone()), false).await.unwrap();
    while !world.bundle("18-0001").join("guide.html").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let waiting: i64 =
        sqlx::query_scalar("SELECT count(*) FROM outbox WHERE state = 'waiting' AND kind = 'sheet'")
            .fetch_one(&world.registry().await)
            .await
            .unwrap();
    assert_eq!(waiting, 1);
    fs::remove_file(&sheets).unwrap();
    world.letters_left().await;
    assert!(world.sheet("18-0001").exists());
}

#[tokio::test]
async fn the_secretariat_is_created_once() {
    let world = World::new().await;
    assert_eq!(world.office.slot.to_string(), "18-0000");
    assert!(world.office.bundle.join("mima-18-0000.conf").exists() && world.office.sheet.exists());
    let before = world.rows().await;
    let again = create_office(&world.config, &new_office(), "root").await.unwrap_err();
    assert!(again.to_string().contains("registered already"), "{again}");
    assert_eq!(world.rows().await, before);
}

fn after(text: &str, name: &str) -> String {
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().to_owned()
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
