//! The key store against restarts, crashes in the middle of a change of epoch, and old copies.

use std::fs;

use super::*;
use crate::keys::Kind;

fn secret() -> Secret {
    Secret::new([42; 32])
}

fn patient(n: u8) -> PatientId {
    PatientId::from_random([n; 10])
}

async fn open(dir: &Path) -> Result<KeyStore, KeyStoreError> {
    KeyStore::open(dir, secret(), epoch::read(dir, &secret())?).await
}

async fn sealed(store: &KeyStore, patient: &PatientId) -> Vec<u8> {
    store.ensure(patient).await.unwrap().seal(Kind::Post, "n", b"text", world::nonce().unwrap()).unwrap()
}

async fn opens(store: &KeyStore, patient: &PatientId, sealed: &[u8]) -> bool {
    match store.key(patient).await {
        Ok(key) => key.open(Kind::Post, "n", sealed).is_ok(),
        Err(_) => false,
    }
}

fn copy_keys(from: &Path, to: &Path) {
    for name in ["keys.db", "keys.db-wal", "keys.db-shm"] {
        let _ = fs::remove_file(to.join(name));
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

#[tokio::test]
async fn keys_survive_a_restart_and_a_change_of_epoch() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let text = sealed(&store, &patient(1)).await;
    assert!(matches!(store.key(&patient(2)).await, Err(KeyStoreError::Unknown)));
    assert_eq!(store.rotate_epoch().await.unwrap(), 2);
    assert!(opens(&store, &patient(1), &text).await);
    store.close().await;
    let store = open(dir.path()).await.unwrap();
    assert_eq!(store.epoch().await.unwrap(), 2);
    assert!(opens(&store, &patient(1), &text).await);
}

#[tokio::test]
async fn an_old_copy_of_keys_db_with_todays_epoch_secrets_opens_nothing_of_the_erased_ruling_10() {
    let (dir, yesterday) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(dir.path()).await.unwrap();
    let (gone, stays) = (sealed(&store, &patient(1)).await, sealed(&store, &patient(2)).await);
    copy_keys(dir.path(), yesterday.path());
    store.erase(&patient(1)).await.unwrap();
    store.erase(&patient(1)).await.unwrap();
    assert!(matches!(store.key(&patient(1)).await, Err(KeyStoreError::Erased)));
    assert!(matches!(store.ensure(&patient(1)).await, Err(KeyStoreError::Erased)), "never made anew");
    assert!(opens(&store, &patient(2), &stays).await && !opens(&store, &patient(1), &gone).await);
    assert_eq!(store.erased().await.unwrap(), [patient(1)]);
    assert_eq!(store.ring.read().await.len(), 1, "the old epoch's key is gone from memory too");

    // The attacker has yesterday's keys.db, today's epoch folder and the epoch secret.
    let todays = epoch::read(dir.path(), &secret()).unwrap();
    assert_eq!(todays.iter().map(|key| key.epoch).collect::<Vec<_>>(), [2]);
    fs::create_dir(epoch::folder(yesterday.path())).unwrap();
    fs::copy(epoch::folder(dir.path()).join("epoch.key"), epoch::folder(yesterday.path()).join("epoch.key"))
        .unwrap();
    assert!(matches!(open(yesterday.path()).await, Err(KeyStoreError::Mismatch { stored: 1, .. })));
    let options = SqliteConnectOptions::new().filename(yesterday.path().join("keys.db"));
    let pool = SqlitePool::connect_with(options).await.unwrap();
    let (epoch, wrapped): (i64, String) =
        sqlx::query_as("SELECT epoch, wrapped FROM patient_key WHERE patient = $1")
            .bind(patient(1).as_str())
            .fetch_one(&pool)
            .await
            .unwrap();
    for claimed in [u32::try_from(epoch).unwrap(), 2] {
        let wrapped = Wrapped { epoch: claimed, sealed: wrapped.clone() };
        assert!(todays[0].unwrap(&patient(1), Purpose::Content, &wrapped).is_err());
    }
    // And in today's files not even the wrapped key is left.
    for entry in
        fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = fs::read(&entry).unwrap();
        assert!(!bytes.windows(wrapped.len()).any(|part| part == wrapped.as_bytes()), "{}", entry.display());
    }
}

/// A crash after the new key was written and before the rows followed: the new key is dropped.
#[tokio::test]
async fn a_crash_before_the_rows_follow_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let text = sealed(&store, &patient(1)).await;
    let mut ring = store.ring.write().await;
    ring.push(EpochKey::new(2, [9; 32]));
    store.write_ring(&ring).await.unwrap();
    drop(ring);
    store.close().await;
    let store = open(dir.path()).await.unwrap();
    assert_eq!(store.epoch().await.unwrap(), 1);
    assert!(opens(&store, &patient(1), &text).await);
    assert_eq!(epoch::read(dir.path(), &secret()).unwrap().len(), 1);
}

/// A crash after the rows followed and before the old key was forgotten: it is forgotten at the next start.
#[tokio::test]
async fn a_crash_after_the_rows_followed_is_finished_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    let text = sealed(&store, &patient(1)).await;
    sealed(&store, &patient(2)).await;
    let mut ring = store.ring.write().await;
    ring.push(EpochKey::new(2, [9; 32]));
    store.write_ring(&ring).await.unwrap();
    store.rewrap(&ring, Some(&patient(2))).await.unwrap();
    drop(ring);
    store.close().await;
    assert_eq!(epoch::read(dir.path(), &secret()).unwrap().len(), 2);
    let store = open(dir.path()).await.unwrap();
    assert_eq!(epoch::read(dir.path(), &secret()).unwrap().len(), 1);
    assert!(opens(&store, &patient(1), &text).await);
    assert!(matches!(store.key(&patient(2)).await, Err(KeyStoreError::Erased)));
}

#[tokio::test]
async fn a_store_that_lost_a_part_refuses_to_begin_anew() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await.unwrap();
    sealed(&store, &patient(1)).await;
    store.rotate_epoch().await.unwrap();
    store.close().await;
    let key = epoch::folder(dir.path()).join("epoch.key");
    let kept = fs::read(&key).unwrap();
    fs::remove_file(&key).unwrap();
    assert!(matches!(open(dir.path()).await, Err(KeyStoreError::EpochMissing)));
    fs::write(&key, kept).unwrap();
    copy_keys(tempfile::tempdir().unwrap().path(), dir.path());
    assert!(matches!(open(dir.path()).await, Err(KeyStoreError::KeysMissing { .. })));
}
