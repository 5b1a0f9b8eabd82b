//! Keeps the vpn room's seats equal to the rows of `seat`, and hears from it what ends an enrolment.
//! Level, not edge: whole truth at start, on change and every half minute; events only make it quicker.
//! Ends when the room stops. Edge: SQL, tokio. Rulings 5 and 8.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pki::identity::FacilityId;
use serde_json::json;
use vpn::door::{EVENTS_WAIT_MAX_MS, Seat, SeatEvent, SeatEventKind, SeatsAnswer, SeatsQuestion, VpnStatus};
use vpn::key::PresharedKey;
use vpn::slot::{SeatClass, SlotNumber};

use crate::case::CaseEvent;
use crate::claim::{Effect, Event, step};
use crate::enrolments::{self, Sheet, VoidReason, record};
use crate::fault::{Fault, parse};
use crate::office_fault::OfficeFault;
use crate::shared::Shared;
use crate::slots::SlotState;
use crate::store::{self, Conn, transaction};
use crate::{acme_work, case_rows, claim_void, second_device, slot_rows, world};

/// Between two reconciliations when nothing changes: the longest life of an unnoticed drift.
const RECONCILE_EVERY: Duration = Duration::from_secs(30);
/// After a failure: the vpn room restarts within a second or two.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// For answers that need no waiting.
const ANSWER_WAIT: Duration = Duration::from_secs(10);

/// The worker: both loops until the room stops.
pub async fn run(shared: Arc<Shared>) {
    tokio::select! {
        () = shared.stopped() => {}
        () = keep(&shared) => {}
        () = listen(&shared) => {}
    }
}

async fn keep(shared: &Shared) {
    loop {
        if let Err(fault) = second_device::expire(shared).await {
            log::warn!("QR codes that ran out keep their seats for now: {fault}");
        }
        if let Err(fault) = acme_work::expire(shared).await {
            log::warn!("identifiers that ran out keep their rows for now: {fault}");
        }
        let wait = match reconcile(shared).await {
            Ok(()) => RECONCILE_EVERY,
            Err(fault) => {
                log::warn!("the vpn room's seats may differ from the registry: {fault}");
                RETRY_AFTER
            }
        };
        claim_void::sweep(shared).await;
        tokio::select! {
            () = shared.bells.seats.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn listen(shared: &Shared) {
    let mut after = 0;
    loop {
        match events(shared, after).await {
            Ok(next) => {
                if next < after {
                    // The vpn room started anew and counts from the beginning.
                    shared.bells.seats.notify_one();
                    after = 0;
                } else {
                    after = next;
                }
            }
            Err(fault) => {
                // It may be another process when it is back: nothing that it held is taken for granted.
                log::info!("no events from the vpn room: {fault}");
                after = 0;
                tokio::time::sleep(RETRY_AFTER).await;
                shared.bells.seats.notify_one();
            }
        }
    }
}

/// Tells the vpn room the whole truth, then looks at what it has seen meanwhile.
pub async fn reconcile(shared: &Shared) -> Result<(), Fault> {
    let told = {
        let _seating = shared.seating.lock().await;
        let seats = rows(shared).await?;
        ask(shared, SeatsQuestion::Reconcile { seats }, ANSWER_WAIT).await?
    };
    match told {
        SeatsAnswer::Reconciled { .. } => {}
        SeatsAnswer::Refused(refusal) => return Err(Fault::Neighbour(refusal.to_string())),
        _ => return Err(unexpected()),
    }
    match ask(shared, SeatsQuestion::Status, ANSWER_WAIT).await? {
        SeatsAnswer::Status(status) => catch_up(shared, status).await,
        _ => Err(unexpected()),
    }
}

/// One question for events; returns where to go on.
async fn events(shared: &Shared, after: u64) -> Result<u64, Fault> {
    let wait = Duration::from_millis(u64::from(EVENTS_WAIT_MAX_MS)) + ANSWER_WAIT;
    let question = SeatsQuestion::Events { after, wait_ms: EVENTS_WAIT_MAX_MS };
    let SeatsAnswer::Events { next, events } = ask(shared, question, wait).await? else {
        return Err(unexpected());
    };
    for event in &events {
        handle(shared, event).await?;
    }
    Ok(next)
}

async fn handle(shared: &Shared, event: &SeatEvent) -> Result<(), Fault> {
    let place = (event.class.is_enrolling(), &event.kind);
    match place {
        (false, SeatEventKind::FirstHandshake { .. }) => {
            first_handshake(shared, event.slot, event.generation).await
        }
        (true, SeatEventKind::FirstHandshake { endpoint }) => {
            bootstrap_seen(shared, event.slot, *endpoint).await
        }
        (true, SeatEventKind::EndpointChanged { to, .. }) => bootstrap_seen(shared, event.slot, *to).await,
        // Two places with one bootstrap key: whatever the copy is for, the claim ends (ruling 5).
        (true, SeatEventKind::KeyInTwoPlaces { other, .. }) => {
            bootstrap_seen(shared, event.slot, SocketAddr::new(*other, 0)).await
        }
        // Whoever is enrolled may walk; a copied key is told in vpn's log, and a person decides.
        (false, SeatEventKind::EndpointChanged { .. } | SeatEventKind::KeyInTwoPlaces { .. }) => Ok(()),
    }
}

/// The same conclusions from the status, for events that nobody heard.
async fn catch_up(shared: &Shared, status: VpnStatus) -> Result<(), Fault> {
    let waiting: Vec<String> = sqlx::query_scalar(
        "SELECT slot FROM enrolment WHERE claimed_at IS NOT NULL AND state IN ('claimed', 'locked')",
    )
    .fetch_all(shared.store.pool())
    .await?;
    let waits = |slot: SlotNumber| waiting.contains(&slot.to_string());
    for seat in status.seats.iter().filter(|seat| waits(seat.slot)) {
        match (seat.class.is_enrolling(), seat.last_handshake_ms, seat.endpoint) {
            (false, Some(_), _) => first_handshake(shared, seat.slot, seat.generation).await?,
            (true, _, Some(endpoint)) => bootstrap_seen(shared, seat.slot, endpoint).await?,
            _ => {}
        }
    }
    Ok(())
}

/// The final key's tunnel stands: the enrolment is done and the bootstrap key dies (ruling 5).
async fn first_handshake(shared: &Shared, slot: SlotNumber, generation: u64) -> Result<(), Fault> {
    let now = world::now_ms();
    let killed = transaction!(shared.store, conn => {
        let Some(sheet) = enrolments::of_slot(conn, slot).await? else { return Ok::<_, Fault>(None) };
        // A late word about a predecessor's key says nothing about this one.
        if active_generation(conn, slot).await? != Some(generation) {
            return Ok(None);
        }
        let (next, effects) = step(sheet.enrolment.clone(), &Event::FirstHandshake, now)?;
        if !effects.contains(&Effect::KillBootstrap) {
            return Ok(None);
        }
        enrolments::store(conn, &sheet.number, &next).await?;
        let generation = activate(conn, &sheet, now).await?;
        record(conn, now, None, "claim.done", slot, json!({ "generation": generation })).await?;
        Ok(Some(generation))
    })?;
    let Some(generation) = killed else { return Ok(()) };
    log::info!(SLOT = slot.to_string().as_str(); "enrolment done, bootstrap key dead");
    unseat(shared, slot, true, generation).await
}

async fn activate(conn: &mut Conn, sheet: &Sheet, now: i64) -> Result<i64, Fault> {
    let slot = sheet.slot.to_string();
    sqlx::query("DELETE FROM seat WHERE slot = $1 AND place = 'enrolling'")
        .bind(&slot)
        .execute(&mut *conn)
        .await?;
    let (generation, facility): (i64, Option<String>) =
        sqlx::query_as("UPDATE slot SET state = 'active' WHERE slot = $1 RETURNING generation, facility")
            .bind(&slot)
            .fetch_one(&mut *conn)
            .await?;
    let facility: Option<FacilityId> = facility.as_deref().map(parse).transpose()?;
    slot_rows::record(conn, now, sheet.slot, generation, SlotState::Active, facility.as_ref(), "").await?;
    sqlx::query("UPDATE device SET state = 'active' WHERE device = $1")
        .bind(&sheet.device)
        .execute(&mut *conn)
        .await?;
    if let Some(facility) = facility {
        match case_rows::advance_of(conn, now, &facility, CaseEvent::Claimed, "device").await {
            // A case that is not ready for it never stops the device.
            Ok(()) | Err(OfficeFault::Refused(_)) => {}
            Err(fault) => return Err(fault.into()),
        }
    }
    Ok(generation)
}

/// The bootstrap tunnel was seen somewhere: while a claim stands, another address is another hand.
async fn bootstrap_seen(shared: &Shared, slot: SlotNumber, at: SocketAddr) -> Result<(), Fault> {
    let now = world::now_ms();
    let voided = transaction!(shared.store, conn => {
        let Some(sheet) = enrolments::of_slot(conn, slot).await? else { return Ok::<_, Fault>(None) };
        let (next, effects) = step(sheet.enrolment.clone(), &Event::BootstrapSeen { at }, now)?;
        if next != sheet.enrolment {
            enrolments::store(conn, &sheet.number, &next).await?;
        }
        if !effects.contains(&Effect::VoidClaim) {
            return Ok(None);
        }
        let (generation, grants) = void_claim(conn, &sheet, VoidReason::Compromise).await?;
        for effect in effects {
            if let Effect::Alarm { first, second } = effect {
                let detail = json!({ "first": first.to_string(), "second": second.to_string() });
                record(conn, now, None, "claim.alarm", slot, detail).await?;
            }
        }
        Ok(Some((generation, grants)))
    })?;
    let Some((generation, grants)) = voided else { return Ok(()) };
    shared.grants_changed(grants);
    log::warn!(SLOT = slot.to_string().as_str(); "bootstrap key used from two addresses: the claim is void");
    unseat(shared, slot, false, generation).await?;
    claim_void::sweep(shared).await;
    Ok(())
}

/// Takes back what the claim gave: seat, certificate, and a password that came with it. Returns the slot's new
/// generation and the version of the grants.
pub(crate) async fn void_claim(
    conn: &mut Conn,
    sheet: &Sheet,
    reason: VoidReason,
) -> Result<(i64, i64), Fault> {
    let slot = sheet.slot.to_string();
    if let (Some(person), true) =
        (&sheet.admin_person, enrolments::set_password_before(conn, &sheet.number).await?)
    {
        sqlx::query("UPDATE person SET password_hash = NULL, must_change = 1 WHERE person = $1")
            .bind(person)
            .execute(&mut *conn)
            .await?;
    }
    enrolments::void_claims(conn, &sheet.number, "", reason).await?;
    sqlx::query("DELETE FROM seat WHERE slot = $1 AND place = 'active'")
        .bind(&slot)
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "UPDATE device SET state = 'enrolling', certificate = NULL, certificate_end = NULL
         WHERE device = $1 AND state = 'claimed'",
    )
    .bind(&sheet.device)
    .execute(&mut *conn)
    .await?;
    let grants = store::bump_grants(conn).await?;
    let generation = sqlx::query_scalar(
        "UPDATE slot SET generation = generation + 1, grants_version = $2 WHERE slot = $1 RETURNING generation",
    )
    .bind(&slot)
    .bind(grants)
    .fetch_one(conn)
    .await?;
    Ok((generation, grants))
}

/// The row is gone already; if vpn does not hear us now, the next reconciliation says the same.
async fn unseat(shared: &Shared, slot: SlotNumber, enrolling: bool, generation: i64) -> Result<(), Fault> {
    let generation = generation.unsigned_abs();
    let question = SeatsQuestion::Unseat { slot, enrolling, active: !enrolling, generation };
    if !matches!(ask(shared, question, ANSWER_WAIT).await, Ok(SeatsAnswer::Unseated { .. })) {
        shared.bells.seats.notify_one();
    }
    Ok(())
}

async fn active_generation(conn: &mut Conn, slot: SlotNumber) -> Result<Option<u64>, Fault> {
    let generation: Option<i64> =
        sqlx::query_scalar("SELECT generation FROM seat WHERE slot = $1 AND place = 'active'")
            .bind(slot.to_string())
            .fetch_optional(conn)
            .await?;
    Ok(generation.map(i64::unsigned_abs))
}

async fn rows(shared: &Shared) -> Result<Vec<Seat>, Fault> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        // Who is suspended keeps the key and has no seat.
        "SELECT t.slot, t.class, t.public_key, t.psk, t.generation FROM seat t JOIN slot s ON s.slot = t.slot
             WHERE s.state <> 'suspended' ORDER BY t.slot, t.place",
    )
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter()
        .map(|(slot, class, key, psk, generation)| {
            Ok(Seat {
                slot: parse(&slot)?,
                class: parse::<SeatClass>(&class)?,
                key: parse(&key)?,
                psk: PresharedKey::try_from(psk).map_err(|_| Fault::Row("seat.psk".to_owned()))?,
                generation: generation.unsigned_abs(),
            })
        })
        .collect()
}

async fn ask(shared: &Shared, question: SeatsQuestion, wait: Duration) -> Result<SeatsAnswer, Fault> {
    match tokio::time::timeout(wait, shared.needs.seats.ask(question)).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(closed)) => Err(Fault::Neighbour(closed.to_string())),
        Err(_) => Err(Fault::Neighbour("no answer of the vpn room in time".to_owned())),
    }
}

fn unexpected() -> Fault {
    Fault::Neighbour("an answer of the vpn room that belongs to another question".to_owned())
}
