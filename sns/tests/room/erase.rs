//! Erasure that reaches the backups (ruling 10, J-14), and no plain text anywhere before it.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

use http::StatusCode;
use pki::identity::Role;
use serde_json::json;
use sns::door::TeamsRefusal;
use sns::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};

use crate::postgres_server::Temporary;

use super::world::{
    KANA, NAME, TEXT, World, ack, contains, facility, files, identity, patient, posts, start, trail,
};

/// Everything that must not be found in a file or a log line.
fn planted() -> Vec<String> {
    let mut words: Vec<String> =
        [NAME, KANA, TEXT, "職員11号", "看護師", "家族の山田"].map(str::to_owned).into();
    words.push(facility(1).name);
    words
}

/// As bytes, as base64 in the three places a byte can have, as UTF-16.
fn disguises(word: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![word.as_bytes().to_vec(), word.encode_utf16().flat_map(u16::to_le_bytes).collect()];
    for skip in 0..3 {
        let whole = (word.len() - skip) / 3 * 3;
        forms.push(data_encoding::BASE64.encode(&word.as_bytes()[skip..skip + whole]).into_bytes());
    }
    forms.push(data_encoding::HEXLOWER.encode(word.as_bytes()).into_bytes());
    forms
}

fn copy(from: &Path, to: &Path, names: &[&str]) {
    for name in names {
        for end in ["", "-wal", "-shm"] {
            let (from, to) = (from.join(format!("{name}{end}")), to.join(format!("{name}{end}")));
            let _ = fs::remove_file(&to);
            if from.exists() {
                fs::copy(from, to).unwrap();
            }
        }
    }
}

#[derive(Default)]
struct Lines(Mutex<Vec<String>>);

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        let mut line = record.args().to_string();
        let _ = record.key_values().visit(&mut Pairs(&mut line));
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

#[tokio::test]
async fn no_planted_word_is_in_any_file_or_log_line_ruling_10() {
    static LINES: Lines = Lines(Mutex::new(Vec::new()));
    // Another test of this process may have been first; then this one sees its own lines nowhere and says so below.
    let logging = log::set_logger(&LINES).is_ok();
    log::set_max_level(log::LevelFilter::Trace);
    let world = World::new().await;
    let who = identity(11, Role::Staff);
    let once = world.post_once(&who, &posts(1), json!({ "text": TEXT }), Some("k")).await;
    let post = once.json()["post"].as_str().unwrap().to_owned();
    world.post(&identity(22, Role::Family), &posts(1), json!({ "text": "家族の山田" })).await;
    world.post(&identity(21, Role::Staff), &ack(&post), json!(null)).await;
    world.get(&who, &posts(1)).await;
    world.get(&identity(31, Role::Staff), &posts(1)).await;
    world.post(&who, &posts(1), json!({ "text": TEXT, "unknown": NAME })).await;
    world.room.teams(TeamsQuestion::List { facility: None }).await;
    // With the write-ahead logs still full, and again when they are folded in.
    for stopped in [false, true] {
        if stopped {
            world.room.stop().await;
        }
        let dumped = world.server.as_ref().map(|server| ("the server".to_owned(), server.dump()));
        let on_disk = files(&world.dir).into_iter();
        let stored = on_disk.map(|file| (file.display().to_string(), fs::read(&file).unwrap()));
        for (place, bytes) in stored.chain(dumped) {
            assert!(!bytes.is_empty() || place.ends_with("-wal"), "{place} is empty");
            for word in planted() {
                for form in disguises(&word) {
                    assert!(!contains(&bytes, &form), "{word} in {place}");
                }
            }
        }
    }
    assert!(
        world.get(&who, &posts(1)).await.status == StatusCode::SERVICE_UNAVAILABLE,
        "a stopped room says so, and logs it"
    );
    let lines = LINES.0.lock().unwrap().join("\n");
    assert!(!logging || lines.contains("the records cannot be used"), "the log was listened to");
    for word in planted() {
        assert!(!lines.contains(&word), "{word} in the log");
    }
}

#[tokio::test]
async fn erasing_a_patient_reaches_yesterdays_copies_and_leaves_the_others_whole() {
    let mut world = World::new().await;
    world.open_patient(2).await;
    let (who, yesterday) = (identity(11, Role::Staff), tempfile::tempdir().unwrap());
    let post = world.write(&who, TEXT).await;
    world.post(&who, &posts(2), json!({ "text": "残る投稿" })).await;
    let seal = KeysQuestion::Seal { patient: patient(1), context: "case/1".into(), plain: NAME.into() };
    let KeysAnswer::Sealed(kept) = world.room.keys(seal).await else { panic!() };
    world.room.stop().await;
    copy(&world.dir, yesterday.path(), &["sns.db", "keys.db"]);
    let yesterdays_server = world.server.as_ref().map(Temporary::copy);
    world.start().await;

    for _ in 0..2 {
        assert_eq!(world.room.keys(KeysQuestion::Erase { patient: patient(1) }).await, KeysAnswer::Erased);
    }
    let gone = world.get(&who, &posts(1)).await;
    let never = world.get(&who, &posts(99)).await;
    assert_eq!(
        (gone.status, gone.body),
        (never.status, never.body),
        "an erased patient is a patient that never was"
    );
    assert_eq!(world.post(&who, &ack(&post), json!(null)).await.status, StatusCode::NOT_FOUND);
    let open = KeysQuestion::Open { patient: patient(1), context: "case/1".into(), sealed: kept };
    assert_eq!(world.room.keys(open).await, KeysAnswer::Refused(TeamsRefusal::Erased));
    let page = world.get(&who, &posts(2)).await.json();
    assert_eq!(page["posts"][0]["text"], "残る投稿");
    let listed = world.room.teams(TeamsQuestion::List { facility: None }).await;
    assert!(matches!(listed, TeamsAnswer::Teams(teams) if teams.len() == 1));
    world.room.stop().await;

    // Yesterday's sns.db with today's keys: the others come back whole, the erasure is replayed.
    copy(yesterday.path(), &world.dir, &["sns.db"]);
    world.server = yesterdays_server;
    world.start().await;
    assert_eq!(world.get(&who, &posts(2)).await.json()["posts"][0]["text"], "残る投稿");
    assert_eq!(world.get(&who, &posts(1)).await.status, StatusCode::NOT_FOUND);
    assert!(trail(&world.room, None).await.iter().any(|line| line.act == "erase-replayed"));
    let SnsAnswer::Status { teams, epoch, .. } = world.room.operator(SnsQuestion::Status).await else {
        panic!()
    };
    assert_eq!((teams, epoch), (1, 2));
    world.room.stop().await;

    // Yesterday's keys.db too, with today's epoch folder and secret: the room does not even start.
    copy(yesterday.path(), &world.dir, &["sns.db", "keys.db"]);
    let refused = start(&world.dir, world.server.as_ref()).await.err().unwrap();
    assert!(
        refused.contains("MM-4032") && refused.contains("epoch 1") && refused.contains("holds 2"),
        "{refused}"
    );
}

#[tokio::test]
async fn an_erasure_ends_the_teams_streams_and_is_never_undone_by_opening_again() {
    let world = World::new().await;
    world.room.keys(KeysQuestion::Erase { patient: patient(1) }).await;
    let name = || sns::door::PatientText::new(NAME.into());
    let open = TeamsQuestion::Open {
        patient: patient(1),
        name: name(),
        kana: name(),
        origin: facility(1),
        at_ms: 2,
    };
    assert_eq!(world.room.teams(open).await, TeamsAnswer::Refused(TeamsRefusal::Erased));
    let unknown = world.room.keys(KeysQuestion::Erase { patient: patient(9) }).await;
    assert_eq!(unknown, KeysAnswer::Refused(TeamsRefusal::UnknownPatient));
}

#[tokio::test]
async fn another_epoch_secret_does_not_open_the_room() {
    let world = World::new().await;
    world.room.stop().await;
    let (dir, epoch_secret) = (world.dir.clone(), sns::Secret::new([8; 32]));
    let config = sns::Config { dir, database: sns::Database::Folder, epoch_secret };
    let refused = sns::open(config).err().unwrap().to_string();
    assert!(refused.contains("MM-4031") && refused.contains("epoch secret"), "{refused}");
}
