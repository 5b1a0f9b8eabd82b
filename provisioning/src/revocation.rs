//! Revocation (ruling 7): intent, audit and grants commit first, in one transaction; then every point of
//! enforcement is asked until it has acknowledged. One slot's device has one receipt, however often it is asked for.
//! Edge: SQL, tokio.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use pki::identity::{PersonId, TraceId};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::alarm_letter::Alarm;
use crate::alarms::{self, Told};
use crate::audit::{self, Event as AuditEvent};
use crate::claim::{Event, step};
use crate::devices::{self, Holder};
use crate::door::{Receipt, ReceiptPoint, RevokeReason};
use crate::fault::Fault;
use crate::jst;
use crate::messages_people::PeopleMessage;
use crate::receipt::PointName;
use crate::receipt_rows::{self, NewReceipt};
use crate::shared::{Config, Shared};
use crate::slots::SlotState;
use crate::store::{self, Conn, transaction};
use crate::{enrolments, points, slot_rows, world};

/// How long the asker waits for the last acknowledgement; what is pending then goes on without it.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// Between two looks at a receipt that somebody else is driving.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Longest note: a sentence for the history, not a report.
const NOTE_MAX: usize = 200;

/// Who wants which slot's device out, and why.
#[derive(Clone)]
pub struct Order {
    pub slot: SlotNumber,
    pub reason: RevokeReason,
    pub note: Option<String>,
    pub by: String,
    pub trace: Option<TraceId>,
}

/// What the transaction left.
struct Committed {
    receipt: String,
    fresh: bool,
    grants: i64,
}

/// Revokes the slot's device, or shows the receipt of its revocation.
/// Answers when all points have acknowledged, after five seconds at the latest.
pub async fn revoke(shared: &Arc<Shared>, order: Order) -> Result<Receipt, Fault> {
    let now = world::now_ms();
    let fresh = format!("r-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    let committed =
        transaction!(shared.store, conn => commit(conn, &shared.config, &order, &fresh, now).await)?;
    if committed.fresh {
        shared.grants_changed(committed.grants);
        shared.bells.outbox.notify_one();
        log::info!(SLOT = order.slot.to_string().as_str(), RECEIPT = committed.receipt.as_str(); "device revoked");
        // A task of its own: an asker who goes away does not stop it.
        let (room, receipt) = (shared.clone(), committed.receipt.clone());
        tokio::spawn(async move { points::drive(&room, &receipt).await });
    }
    settled(shared, &committed.receipt).await
}

/// What a revocation would do; writes nothing.
pub async fn rehearse(shared: &Shared, order: Order) -> Result<Receipt, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let holder = holder(&mut conn, order.slot).await?;
    if !holder.living {
        let known = receipt_rows::of_device(&mut conn, order.slot, &holder.device).await?;
        let receipt = known.ok_or_else(|| PeopleMessage::DeviceUnknown.about(order.slot.to_string()))?;
        return Ok(Receipt { dry_run: true, ..receipt_rows::show(&mut conn, &receipt).await? });
    }
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM outbox WHERE slot = $1 AND state IN ('waiting', 'failed', 'post') AND kind <> 'notice'",
    )
    .bind(order.slot.to_string())
    .fetch_one(&mut *conn)
    .await?;
    let would = |point: PointName| match point {
        PointName::Vpn => "would end the tunnel and empty both seats".to_owned(),
        PointName::Firewall => "would drop the slot's addresses".to_owned(),
        PointName::Pki => "would revoke every living certificate of the slot".to_owned(),
        PointName::Gateway => "would end connections and sessions".to_owned(),
        PointName::Sns => "would end live streams".to_owned(),
        PointName::Mail => format!("would cancel {waiting} waiting letters"),
    };
    let point = |point: PointName| ReceiptPoint {
        point: point.as_str().to_owned(),
        acknowledged_at: None,
        after_ms: None,
        attempts: 0,
        last_error: None,
        detail: Some(would(point)),
    };
    Ok(Receipt {
        receipt: String::new(),
        slot: order.slot,
        reason: order.reason,
        person: order.by.parse::<PersonId>().ok(),
        by: order.by,
        committed_at: jst::rfc3339(world::now_ms()),
        points: PointName::ALL.map(point).to_vec(),
        complete: false,
        signature: None,
        dry_run: true,
    })
}

/// A receipt as it stands.
pub async fn show(shared: &Shared, receipt: &str) -> Result<Receipt, Fault> {
    receipt_rows::show(&mut *shared.store.pool().acquire().await?, receipt).await
}

/// At start every receipt that is not complete goes on; ends when the room stops.
pub async fn run(shared: Arc<Shared>) {
    let pending = loop {
        match receipt_rows::pending(shared.store.pool()).await {
            Ok(pending) => break pending,
            Err(fault) => log::error!("pending receipts cannot be read: {fault}"),
        }
        tokio::select! {
            () = shared.stopped() => return,
            () = tokio::time::sleep(ANSWER_WITHIN) => {}
        }
    };
    let mut driving = tokio::task::JoinSet::new();
    for receipt in pending {
        let room = shared.clone();
        driving.spawn(async move { points::drive(&room, &receipt).await });
    }
    while driving.join_next().await.is_some() {}
}

/// Waits for the last acknowledgement, but not for ever.
async fn settled(shared: &Shared, receipt: &str) -> Result<Receipt, Fault> {
    let wait = async {
        loop {
            let shown = show(shared, receipt).await?;
            if shown.complete {
                return Ok::<_, Fault>(shown);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    match tokio::time::timeout(ANSWER_WITHIN, wait).await {
        Ok(shown) => shown,
        Err(_) => show(shared, receipt).await,
    }
}

async fn holder(conn: &mut Conn, slot: SlotNumber) -> Result<Holder, Fault> {
    let holder = devices::holder(conn, slot).await?;
    holder.ok_or_else(|| PeopleMessage::DeviceUnknown.about(slot.to_string()).into())
}

/// The one transaction.
async fn commit(
    conn: &mut Conn,
    config: &Config,
    order: &Order,
    fresh: &str,
    now: i64,
) -> Result<Committed, Fault> {
    let holder = holder(conn, order.slot).await?;
    if !holder.living {
        let known = receipt_rows::of_device(conn, order.slot, &holder.device).await?;
        let receipt = known.ok_or_else(|| PeopleMessage::DeviceUnknown.about(order.slot.to_string()))?;
        return Ok(Committed { receipt, fresh: false, grants: 0 });
    }
    let slot = order.slot.to_string();
    let grants = store::bump_grants(conn).await?;
    let generation: i64 = sqlx::query_scalar(
        "UPDATE slot SET state = 'revoked', generation = generation + 1, grants_version = $2
         WHERE slot = $1 RETURNING generation",
    )
    .bind(&slot)
    .bind(grants)
    .fetch_one(&mut *conn)
    .await?;
    let note: String =
        order.note.iter().flat_map(|note| note.chars()).filter(|c| !c.is_control()).take(NOTE_MAX).collect();
    slot_rows::record(conn, now, order.slot, generation, SlotState::Revoked, Some(&holder.facility), &note)
        .await?;
    sqlx::query("DELETE FROM seat WHERE slot = $1").bind(&slot).execute(&mut *conn).await?;
    sqlx::query("UPDATE device SET state = 'revoked', ended_at = $2 WHERE device = $1")
        .bind(&holder.device)
        .bind(now)
        .execute(&mut *conn)
        .await?;
    end_enrolments(conn, &holder.device, now).await?;
    let new = NewReceipt {
        receipt: fresh,
        slot: order.slot,
        device: &holder.device,
        generation,
        reason: order.reason,
        by: &order.by,
    };
    receipt_rows::insert(conn, new, now).await?;
    let event = AuditEvent {
        actor: &order.by,
        action: "device.revoke",
        object: &slot,
        trace: order.trace,
        detail: json!({
            "receipt": fresh, "device": holder.device, "facility": holder.facility, "generation": generation,
            "reason": order.reason.as_str(), "rule": "B-28",
        }),
    };
    audit::append(conn, now, event).await?;
    if let Some(alarm) = Alarm::device(order.slot, holder.label, order.reason) {
        let told = Told { alarm: &alarm, facilities: &[holder.facility], by: &order.by };
        alarms::tell(conn, config, now, told).await?;
    }
    Ok(Committed { receipt: fresh.to_owned(), fresh: true, grants })
}

/// The sheet is void, a claim under way has nothing to end in, and no letter of the device leaves any more. A notice is
/// about its facility and only lies under this number: it leaves.
async fn end_enrolments(conn: &mut Conn, device: &str, now: i64) -> Result<(), Fault> {
    let numbers: Vec<String> = sqlx::query_scalar("SELECT number FROM enrolment WHERE device = $1")
        .bind(device)
        .fetch_all(&mut *conn)
        .await?;
    for number in numbers {
        let enrolment = enrolments::state(conn, &number).await?;
        let (next, _) = step(enrolment, &Event::Revoked, now)?;
        enrolments::store(conn, &number, &next).await?;
        sqlx::query("UPDATE claim SET state = 'void', void_reason = 'superseded' WHERE number = $1 AND state = 'begun'")
            .bind(&number)
            .execute(&mut *conn)
            .await?;
    }
    sqlx::query(
        "UPDATE outbox SET state = 'cancelled', payload = '' WHERE state IN ('waiting', 'failed', 'post') AND kind <> 'notice'
         AND slot = (SELECT slot FROM device WHERE device = $1)",
    )
    .bind(device)
    .execute(conn)
    .await?;
    Ok(())
}
