//! The tray looks after itself: what nobody sorts in time ends, what waited for a patient goes under the patient's key once
//! there is one, and the tray's own key is replaced every week. Looks at start and every hour; ends when the room stops.
//! Edge: SQL, tokio.

use std::sync::Arc;
use std::time::Duration;

use pki::identity::TraceId;
use serde_json::json;

use crate::audit::{self, Event};
use crate::door::Operator;
use crate::fault::Fault;
use crate::flow_forms::Form;
use crate::messages::Message;
use crate::scan_rows::{self, Scan, TRAY_MS};
use crate::scan_seal::{SealedBy, sealed_by};
use crate::scan_take::case_key;
use crate::scan_vault;
use crate::scan_work;
use crate::shared::Shared;
use crate::store::transaction;
use crate::world;

const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// An old disk then opens at most a week of the tray.
const KEY_MS: i64 = 7 * 24 * 60 * 60 * 1_000;
/// Pages of one look: the next one takes the rest.
const BATCH_MAX: i64 = 200;

/// The worker, until the room stops.
pub async fn run(shared: Arc<Shared>) {
    let look = async {
        loop {
            if let Err(fault) = sweep(&shared).await {
                log::warn!("the tray of scans waits for the next look: {fault}");
            }
            tokio::select! {
                () = shared.bells.scans.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    };
    tokio::select! {
        () = shared.stopped() => {}
        () = look => {}
    }
}

pub async fn sweep(shared: &Arc<Shared>) -> Result<(), Fault> {
    let _turn = shared.scans.turn.lock().await;
    let now = world::now_ms();
    end(shared, now).await?;
    settle(shared).await?;
    renew(shared, now).await
}

/// Pages whose time is over.
async fn end(shared: &Shared, now: i64) -> Result<(), Fault> {
    let late: Vec<Scan> = sqlx::query_as(
        "SELECT * FROM scan WHERE key_kind = 'tray' AND taken_at < $1 ORDER BY taken_at LIMIT $2",
    )
    .bind(now - TRAY_MS)
    .bind(BATCH_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    if late.is_empty() {
        return Ok(());
    }
    log::info!("{} pages were sorted by nobody in time and end", late.len());
    transaction!(shared.store, conn => {
        for scan in &late {
            scan_rows::gone(conn, (now, "mimamori"), &scan.scan, ("ended", "")).await?;
            let detail = json!({ "hash": scan.hash, "case": scan.case_id });
            let event = Event { actor: "mimamori", action: "scan.ended", object: &scan.scan, trace: None, detail };
            audit::append(conn, now, event).await?;
        }
        Ok::<_, Fault>(())
    })
}

/// Filed, and now its case has a patient.
async fn settle(shared: &Shared) -> Result<(), Fault> {
    let ready: Vec<Scan> = sqlx::query_as(
        "SELECT s.* FROM scan s JOIN flow_case c ON c.case_id = s.case_id
         WHERE s.key_kind = 'tray' AND s.state = 'filed' AND c.patient IS NOT NULL ORDER BY s.taken_at LIMIT $1",
    )
    .bind(BATCH_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    for scan in ready {
        let Some(case) = scan.case_id.clone() else { continue };
        let Some(key) = case_key(&mut *shared.store.pool().acquire().await?, &case).await? else { continue };
        let form = Form::parse(&scan.form);
        let by = sealed_by(form, key.flow, key.patient.as_ref());
        if by == SealedBy::Tray {
            continue;
        }
        let trace = TraceId::from_random(*world::random()?);
        let operator = Operator { name: "mimamori".to_owned(), trace };
        // One that cannot be opened any more keeps nobody else from their key.
        if let Err(fault) = scan_work::moved(shared, &operator, &scan, (&case, form), &by).await {
            log::warn!("a scan waits for its patient's key: {fault}");
        }
    }
    Ok(())
}

async fn renew(shared: &Arc<Shared>, now: i64) -> Result<(), Fault> {
    let keys = &shared.scans.keys;
    let old = keys.tray().is_some_and(|key| key.made_at < now - KEY_MS);
    if !old && !keys.is_changing() {
        return Ok(());
    }
    on_disk(shared, |shared| shared.scans.keys.begin()).await?;
    let Some(newest) = keys.tray() else { return Ok(()) };
    let rows: Vec<Scan> = sqlx::query_as("SELECT * FROM scan WHERE key_kind = 'tray' AND key_name <> $1")
        .bind(newest.number.to_string())
        .fetch_all(shared.store.pool())
        .await?;
    let mut again = Vec::new();
    for row in rows {
        // What cannot be opened stays as it is: it ends with its time.
        let Ok(key) = scan_vault::key(shared, &row).await else { continue };
        let wrapped = scan_vault::wrapped(shared, &row.scan, &SealedBy::Tray, &key).await?;
        again.push((row, wrapped));
    }
    transaction!(shared.store, conn => {
        for (row, wrapped) in &again {
            scan_rows::rewrap(conn, row, wrapped).await?;
        }
        Ok::<_, Fault>(())
    })?;
    on_disk(shared, |shared| shared.scans.keys.forget()).await
}

async fn on_disk(
    shared: &Arc<Shared>,
    work: impl FnOnce(&Shared) -> Result<(), crate::scan_key::ScanKeyError> + Send + 'static,
) -> Result<(), Fault> {
    let held = shared.clone();
    let done = tokio::task::spawn_blocking(move || work(&held)).await;
    let internal = |what: String| Fault::from(Message::Internal { what });
    done.map_err(|error| internal(error.to_string()))?.map_err(|error| internal(error.to_string()))
}
