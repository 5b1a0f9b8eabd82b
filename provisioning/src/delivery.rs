//! Letters leave: written below the output folder, for its owner only, whole or not at all.
//! A sheet is never put beside a bundle (P-05). The worker ends when the room stops. Edge: files, tokio.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use crate::audit::{self, Event};
use crate::bundle::PrivateFile;
use crate::case::CaseEvent;
use crate::case_rows;
use crate::office_fault::OfficeFault;
use crate::outbox::{self, Letter, LetterKind};
use crate::shared::Shared;
use crate::store::{Store, transaction};
use crate::world;

/// Who stands in the audit trail for what the outbox does.
const ACTOR: &str = "outbox";
/// Failures of one letter after which somebody should be woken: about a minute.
const WARN_AFTER: u32 = 6;
/// Longest sleep; a bell or a due letter comes sooner.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Where letters go.
#[derive(Clone)]
pub enum Delivery {
    /// `<folder>/bundles/<slot>/` and `<folder>/sheets/`.
    Folder(PathBuf),
    /// Path below the folder, and text; for tests.
    Memory(Arc<Mutex<Vec<(PathBuf, String)>>>),
}

impl Delivery {
    fn deliver(&self, letter: &Letter) -> io::Result<()> {
        let place = place(letter);
        match self {
            Delivery::Folder(folder) => {
                let place = folder.join(place);
                DirBuilder::new().recursive(true).mode(0o700).create(&place)?;
                letter.files.iter().try_for_each(|file| write_whole(&place, file))?;
                File::open(&place)?.sync_all()
            }
            Delivery::Memory(kept) => {
                let mut kept = kept.lock().map_err(|_| io::Error::other("a test panicked"))?;
                kept.extend(letter.files.iter().map(|file| (place.join(&file.name), file.text.clone())));
                Ok(())
            }
        }
    }
}

/// Delivers everything that is due; returns how many letters left. A letter that cannot leave waits longer.
pub async fn deliver_due(store: &Store, delivery: &Delivery) -> Result<u32, OfficeFault> {
    let mut left = 0;
    loop {
        let letters = outbox::due(&mut *store.pool().acquire().await?, world::now_ms()).await?;
        if letters.is_empty() {
            break;
        }
        for letter in letters {
            left += u32::from(deliver_one(store, delivery, letter).await?);
        }
    }
    if left > 0 {
        store.forget().await?;
    }
    Ok(left)
}

/// Runs until the room stops.
pub async fn work(shared: Arc<Shared>, delivery: Delivery) {
    loop {
        if let Err(fault) = deliver_due(&shared.store, &delivery).await {
            log::warn!("the outbox cannot be read: {fault}");
        }
        let sleep = until_next(&shared.store).await;
        tokio::select! {
            () = shared.stopped() => return,
            () = shared.bells.outbox.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

async fn until_next(store: &Store) -> Duration {
    let next = match store.pool().acquire().await {
        Ok(mut conn) => outbox::next_due(&mut conn).await.ok().flatten(),
        Err(_) => None,
    };
    let wait = next.map_or(i64::MAX, |at| at.saturating_sub(world::now_ms()).max(0));
    Duration::from_millis(wait.unsigned_abs()).min(SLEEP_MAX)
}

async fn deliver_one(store: &Store, delivery: &Delivery, letter: Letter) -> Result<bool, OfficeFault> {
    let delivery = delivery.clone();
    let (letter, outcome) = tokio::task::spawn_blocking(move || {
        let outcome = delivery.deliver(&letter);
        (letter, outcome)
    })
    .await
    .map_err(|error| OfficeFault::Task(error.to_string()))?;
    let now_ms = world::now_ms();
    match outcome {
        Ok(()) => {
            transaction!(store, conn => note_sent(conn, now_ms, &letter).await)?;
            log::info!(SLOT = letter.slot.to_string().as_str(), KIND = letter.kind.as_str(); "letter delivered");
            Ok(true)
        }
        Err(error) => {
            let why = error.to_string();
            transaction!(store, conn => {
                outbox::put_back(conn, now_ms, &letter.message, letter.attempts, &why).await
            })?;
            if letter.attempts >= WARN_AFTER {
                log::warn!(SLOT = letter.slot.to_string().as_str(), KIND = letter.kind.as_str(); "a letter cannot leave: {why}");
            }
            Ok(false)
        }
    }
}

async fn note_sent(conn: &mut crate::store::Conn, now_ms: i64, letter: &Letter) -> Result<(), OfficeFault> {
    if !outbox::sent(conn, now_ms, &letter.message, "written").await? {
        return Ok(());
    }
    let detail = json!({ "kind": letter.kind.as_str(), "slot": letter.slot });
    let event = Event { actor: ACTOR, action: "outbox.sent", object: &letter.message, trace: None, detail };
    audit::append(conn, now_ms, event).await?;
    if letter.kind == LetterKind::Bundle {
        case_rows::advance_of(conn, now_ms, &letter.facility, CaseEvent::BundleSent, ACTOR).await?;
    }
    Ok(())
}

fn place(letter: &Letter) -> PathBuf {
    match letter.kind {
        LetterKind::Bundle => Path::new("bundles").join(letter.slot.to_string()),
        LetterKind::Sheet => PathBuf::from("sheets"),
    }
}

/// A reader sees the old file or the whole new one; a crash leaves at most a `.part`, which is replaced.
fn write_whole(folder: &Path, file: &PrivateFile) -> io::Result<()> {
    let part = folder.join(format!(".{}.part", file.name));
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    out.write_all(file.text.as_bytes())?;
    out.sync_all()?;
    std::fs::rename(&part, folder.join(&file.name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn letter(kind: LetterKind, text: &str) -> Letter {
        Letter {
            message: "o-1".into(),
            kind,
            slot: "18-0042".parse().unwrap(),
            facility: "f-a".parse().unwrap(),
            attempts: 0,
            files: vec![PrivateFile { name: "18-0042.txt".into(), text: text.into() }],
        }
    }

    #[test]
    fn files_are_private_whole_and_may_be_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let delivery = Delivery::Folder(dir.path().join("out"));
        // What a crash in the middle leaves behind.
        std::fs::create_dir_all(dir.path().join("out/sheets")).unwrap();
        std::fs::write(dir.path().join("out/sheets/.18-0042.txt.part"), "ha").unwrap();
        delivery.deliver(&letter(LetterKind::Sheet, "half")).unwrap();
        delivery.deliver(&letter(LetterKind::Sheet, "whole")).unwrap();
        delivery.deliver(&letter(LetterKind::Bundle, "b")).unwrap();
        let sheet = dir.path().join("out/sheets/18-0042.txt");
        assert_eq!(std::fs::read_to_string(&sheet).unwrap(), "whole");
        assert_eq!(std::fs::metadata(&sheet).unwrap().permissions().mode() & 0o777, 0o600);
        let bundle = dir.path().join("out/bundles/18-0042");
        assert_eq!(std::fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(std::fs::read_dir(dir.path().join("out/sheets")).unwrap().count(), 1, "no .part is left");
    }
}
