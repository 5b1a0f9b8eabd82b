//! Letters leave: written below the output folder, for its owner only, whole or not at all; bundles by mail
//! where there is a smarthost. A sheet is never put beside a bundle (P-05) and never mailed.
//! The worker ends when the room stops. Edge: files, tokio.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::bundle::PrivateFile;
use crate::letters;
use crate::mailing::{Postman, UnderWay};
use crate::office_fault::OfficeFault;
use crate::outbox::{self, Lane, Letter, LetterKind};
use crate::reply::WRITTEN;
use crate::shared::Shared;
use crate::store::{Store, transaction};
use crate::world;

/// Failures of one letter after which somebody should be woken: about a minute.
const WARN_AFTER: u32 = 6;
/// Longest sleep; a bell or a due letter comes sooner.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Where letters go.
#[derive(Clone)]
pub enum Delivery {
    /// `<folder>/bundles/<slot>/`, `<folder>/sheets/` and `<folder>/notices/`.
    Folder(PathBuf),
    /// Everything to the smarthost and nowhere else but sheets; these to `<folder>/sheets/`, to be printed.
    Mail { folder: PathBuf, postman: Arc<Postman> },
    /// Path below the folder, and text; for tests.
    Memory(Arc<Mutex<Vec<(PathBuf, String)>>>),
}

impl Delivery {
    /// What this writes itself, without the postman.
    fn lane(&self) -> Lane {
        match self {
            Delivery::Folder(_) | Delivery::Memory(_) => Lane::All,
            Delivery::Mail { .. } => Lane::Sheets,
        }
    }

    fn deliver(&self, letter: &Letter) -> io::Result<()> {
        let place = place(letter);
        match self {
            Delivery::Folder(folder) | Delivery::Mail { folder, .. } => {
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

/// Writes everything that is due and is not mailed; returns how many letters left. A letter that cannot leave waits longer.
pub async fn deliver_due(store: &Store, delivery: &Delivery) -> Result<u32, OfficeFault> {
    let mut left = 0;
    loop {
        let letters =
            outbox::due(&mut *store.pool().acquire().await?, world::now_ms(), delivery.lane()).await?;
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
    let mut under_way = UnderWay::default();
    loop {
        if let Err(fault) = round(&shared.store, &delivery, &mut under_way).await {
            log::warn!("the outbox cannot be read: {fault}");
        }
        // With every place taken only a landing makes room.
        let sleep = if under_way.is_full() {
            SLEEP_MAX
        } else {
            until_next(&shared.store, &under_way.letters()).await
        };
        tokio::select! {
            () = shared.stopped() => break,
            () = shared.bells.outbox.notified() => {}
            () = under_way.landed() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
    under_way.end().await;
}

async fn round(store: &Store, delivery: &Delivery, under_way: &mut UnderWay) -> Result<(), OfficeFault> {
    deliver_due(store, delivery).await?;
    if let Delivery::Mail { postman, .. } = delivery {
        under_way.launch(store, postman).await?;
    }
    if transaction!(store, conn => outbox::wipe_stale(conn, world::now_ms()).await)? {
        store.forget().await?;
    }
    Ok(())
}

async fn until_next(store: &Store, under_way: &[String]) -> Duration {
    let next = match store.pool().acquire().await {
        Ok(mut conn) => outbox::next_due(&mut conn, under_way).await.ok().flatten(),
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
            letters::note_sent(store, now_ms, &letter, WRITTEN).await?;
            log::info!(SLOT = letter.slot.to_string().as_str(), KIND = letter.kind.as_str(); "letter delivered");
            Ok(true)
        }
        Err(error) => {
            let why = error.to_string();
            letters::note_delay(store, now_ms, &letter, outbox::folder_wait_ms(letter.attempts), &why)
                .await?;
            if letter.attempts >= WARN_AFTER {
                log::warn!(SLOT = letter.slot.to_string().as_str(), KIND = letter.kind.as_str(); "a letter cannot leave: {why}");
            }
            Ok(false)
        }
    }
}

fn place(letter: &Letter) -> PathBuf {
    match letter.kind {
        LetterKind::Bundle | LetterKind::Reissue => Path::new("bundles").join(letter.slot.to_string()),
        LetterKind::Extension | LetterKind::Notice => PathBuf::from("notices"),
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
            recipient: "kanri@sakura.example.jp".into(),
            slot: "18-0042".parse().unwrap(),
            facility: "f-a".parse().unwrap(),
            attempts: 0,
            created_at: 0,
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
