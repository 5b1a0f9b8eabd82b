//! 一時停止 and 再開 of a number, 解錠 of a sheet that pauses (B-28, B-29, H-12, P-16). A suspended number keeps its
//! device, its certificate and its place: its tunnel is out of its seat and the gateway admits it nowhere, until the
//! secretariat lets it in again under a new generation. Edge: SQL, tokio.

use std::time::Duration;

use pki::identity::FacilityId;
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::alarm_letter::Alarm;
use crate::alarms::{self, Told};
use crate::audit;
use crate::claim;
use crate::door::Operator;
use crate::door_call::{CallQuestion, SlotChange};
use crate::enrolments;
use crate::fault::{Fault, parse};
use crate::messages::Message;
use crate::messages_people::PeopleMessage;
use crate::need::Cut;
use crate::shared::{Config, Shared};
use crate::slots::SlotState;
use crate::store::{Conn, bump_grants, transaction};
use crate::{devices, seats, slot_rows, world};

/// A neighbour that hangs does not hold up the answer: the grants feed and the reconciliation tell it too.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: CallQuestion,
) -> Result<SlotChange, Fault> {
    match question {
        CallQuestion::Suspend { slot, dry_run } => turn(shared, operator, slot, false, dry_run).await,
        CallQuestion::Resume { slot, dry_run } => turn(shared, operator, slot, true, dry_run).await,
        CallQuestion::Unlock { slot, dry_run } => unlock(shared, operator, slot, dry_run).await,
    }
}

/// Twice is once: what is suspended already stays as it is.
async fn turn(
    shared: &Shared,
    operator: &Operator,
    slot: SlotNumber,
    resume: bool,
    dry_run: bool,
) -> Result<SlotChange, Fault> {
    let now = world::now_ms();
    let turned = if dry_run {
        turn_in(&mut *shared.store.begin().await?, &shared.config, now, operator, slot, resume).await?
    } else {
        transaction!(shared.store, conn => turn_in(conn, &shared.config, now, operator, slot, resume).await)?
    };
    let state = if resume { SlotState::Active } else { SlotState::Suspended };
    let change = SlotChange { slot, state: state.as_str().to_owned(), changed: turned.is_some(), dry_run };
    let Some((generation, grants)) = turned.filter(|_| !dry_run) else { return Ok(change) };
    shared.grants_changed(grants);
    shared.bells.outbox.notify_one();
    let hurry = async {
        if let Err(fault) = seats::reconcile(shared).await {
            log::warn!(SLOT = slot.to_string().as_str(); "the tunnel follows when the vpn room answers: {fault}");
            shared.bells.seats.notify_one();
        }
        if !resume {
            for unmet in shared.end_live(Cut::Slot { slot, generation }).await {
                log::warn!(SLOT = slot.to_string().as_str(); "live connections end by the feed: {unmet}");
            }
        }
    };
    if tokio::time::timeout(ANSWER_WAIT, hurry).await.is_err() {
        shared.bells.seats.notify_one();
    }
    Ok(change)
}

/// The new generation and version of the grants; `None` when it stands so already.
async fn turn_in(
    conn: &mut Conn,
    config: &Config,
    now: i64,
    operator: &Operator,
    slot: SlotNumber,
    resume: bool,
) -> Result<Option<(u64, i64)>, Fault> {
    let (from, to, action) = if resume {
        (SlotState::Suspended, SlotState::Active, "slot.resume")
    } else {
        (SlotState::Active, SlotState::Suspended, "slot.suspend")
    };
    let row: Option<(String, Option<String>, i64)> =
        sqlx::query_as("SELECT state, facility, generation FROM slot WHERE slot = $1")
            .bind(slot.to_string())
            .fetch_optional(&mut *conn)
            .await?;
    let (state, facility, generation) = row.ok_or(Message::SlotUnknown { slot })?;
    if state == to.as_str() {
        return Ok(None);
    }
    if state != from.as_str() {
        return Err(PeopleMessage::NotSuspendable.about(slot.to_string()).into());
    }
    let generation = generation + 1;
    let grants = bump_grants(conn).await?;
    sqlx::query("UPDATE slot SET state = $2, generation = $3, grants_version = $4 WHERE slot = $1")
        .bind(slot.to_string())
        .bind(to.as_str())
        .bind(generation)
        .bind(grants)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE seat SET generation = $2 WHERE slot = $1")
        .bind(slot.to_string())
        .bind(generation)
        .execute(&mut *conn)
        .await?;
    let facility: Option<FacilityId> = facility.as_deref().map(parse).transpose()?;
    let note = if resume { "再開" } else { "一時停止" };
    slot_rows::record(conn, now, slot, generation, to, facility.as_ref(), note).await?;
    let rule = if resume { "B-29" } else { "B-28" };
    audit::by(
        conn,
        now,
        operator,
        action,
        &slot.to_string(),
        json!({ "generation": generation, "rule": rule }),
    )
    .await?;
    if let (Some(facility), false) = (&facility, resume) {
        let label = devices::holder(conn, slot).await?.map(|holder| holder.label).unwrap_or_default();
        let (alarm, facilities) = (Alarm::Number { slot, label }, std::slice::from_ref(facility));
        alarms::tell(conn, config, now, Told { alarm: &alarm, facilities, by: &operator.name }).await?;
    }
    Ok(Some((generation.unsigned_abs(), grants)))
}

/// Wrong entries of a sheet are forgotten, so that nobody waits out the pause on the telephone.
async fn unlock(
    shared: &Shared,
    operator: &Operator,
    slot: SlotNumber,
    dry_run: bool,
) -> Result<SlotChange, Fault> {
    let now = world::now_ms();
    if dry_run {
        unlock_in(&mut *shared.store.begin().await?, now, operator, slot).await?;
    } else {
        transaction!(shared.store, conn => unlock_in(conn, now, operator, slot).await)?;
    }
    Ok(SlotChange { slot, state: SlotState::Issued.as_str().to_owned(), changed: true, dry_run })
}

async fn unlock_in(conn: &mut Conn, now: i64, operator: &Operator, slot: SlotNumber) -> Result<(), Fault> {
    let none = || Fault::from(PeopleMessage::NotPaused.about(slot.to_string()));
    let sheet = enrolments::of_slot(conn, slot).await?.ok_or_else(none)?;
    let next = claim::unpaused(sheet.enrolment, now).ok_or_else(none)?;
    enrolments::store(conn, &sheet.number, &next).await?;
    audit::by(conn, now, operator, "slot.unlock", &slot.to_string(), json!({ "rule": "P-16" })).await?;
    Ok(())
}
