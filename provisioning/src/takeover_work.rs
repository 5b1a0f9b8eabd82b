//! 引継ぎ at the operator's door: what came over, what begins, and what is taken back as long as nothing has begun there.
//! Edge: SQL, tokio.

use std::collections::BTreeMap;

use pki::identity::{FacilityId, Role};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::acceptance;
use crate::door::{ImportReport, Operator};
use crate::door_takeover::{TakeoverLine, TakeoverQuestion};
use crate::fault::{Fault, parse};
use crate::issue::{self, Prepared, Recipient};
use crate::jst;
use crate::messages::{Message, shown};
use crate::messages_intake::IntakeMessage;
use crate::shared::Shared;
use crate::slot_rows;
use crate::slots::SlotState;
use crate::store::{Conn, bump_grants, transaction};
use crate::takeover_book;
use crate::takeover_import::import;
use crate::takeover_rows::note;
use crate::world;

pub enum Told {
    Imported(ImportReport),
    Lines(Vec<TakeoverLine>),
    File { name: String, bytes: Vec<u8> },
}

pub async fn answer(shared: &Shared, operator: &Operator, question: TakeoverQuestion) -> Result<Told, Fault> {
    match question {
        TakeoverQuestion::Import { bytes, dry_run } => {
            import(shared, operator, bytes, dry_run).await.map(Told::Imported)
        }
        TakeoverQuestion::List => lines(shared, "").await.map(Told::Lines),
        TakeoverQuestion::Template => template().map(|(name, bytes)| Told::File { name, bytes }),
        TakeoverQuestion::Undo { batch, facility, dry_run } => {
            undo(shared, operator, &batch, &facility, dry_run).await?;
            lines(shared, &batch).await.map(Told::Lines)
        }
        TakeoverQuestion::Start { batch, facility, dry_run } => {
            start(shared, operator, &batch, facility.as_ref(), u32::MAX, dry_run).await?;
            lines(shared, &batch).await.map(Told::Lines)
        }
    }
}

/// The workbook to write registers into.
pub fn template() -> Result<(String, Vec<u8>), Fault> {
    let bytes = takeover_book::blank().map_err(|error| Message::Internal { what: error.to_string() })?;
    Ok((takeover_book::FILE_NAME.to_owned(), bytes))
}

pub async fn lines(shared: &Shared, batch: &str) -> Result<Vec<TakeoverLine>, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let held: Vec<(String, String)> = sqlx::query_as(
        "SELECT s.facility, s.slot FROM slot s JOIN takeover t ON t.facility = s.facility
         WHERE ($1 = '' OR t.batch = $1) ORDER BY s.slot",
    )
    .bind(batch)
    .fetch_all(&mut *conn)
    .await?;
    let mut slots: BTreeMap<String, Vec<SlotNumber>> = BTreeMap::new();
    for (facility, slot) in held {
        slots.entry(facility).or_default().push(parse(&slot)?);
    }
    let rows: Vec<(String, String, String, String, i64, i64)> = sqlx::query_as(
        "SELECT t.batch, t.facility, t.name, t.state, t.at,
                (SELECT count(*) FROM takeover_person p WHERE p.batch = t.batch AND p.facility = t.facility)
         FROM takeover t WHERE ($1 = '' OR t.batch = $1) ORDER BY t.batch DESC, t.name, t.facility",
    )
    .bind(batch)
    .fetch_all(&mut *conn)
    .await?;
    let line = |(batch, facility, name, state, at, people): (String, String, String, String, i64, i64)| {
        let slots = slots.remove(&facility).unwrap_or_default();
        let (facility, at) = (parse(&facility)?, jst::rfc3339(at));
        let people = u32::try_from(people).unwrap_or(u32::MAX);
        Ok(TakeoverLine { batch, facility, name, state, at, slots, people })
    };
    rows.into_iter().map(line).collect()
}

/// Each facility in a transaction of its own: what was begun before a fault stands, and the rest begins next time.
pub async fn start(
    shared: &Shared,
    operator: &Operator,
    batch: &str,
    only: Option<&FacilityId>,
    limit: u32,
    dry_run: bool,
) -> Result<(), Fault> {
    let only = only.map_or("", FacilityId::as_str);
    let waiting: Vec<String> = sqlx::query_scalar(
        "SELECT facility FROM takeover WHERE batch = $1 AND state = 'taken' AND ($2 = '' OR facility = $2)
         ORDER BY name, facility LIMIT $3",
    )
    .bind(batch)
    .bind(only)
    .bind(i64::from(limit))
    .fetch_all(shared.store.pool())
    .await?;
    if waiting.is_empty() {
        return Err(IntakeMessage::TakeoverUnknown { batch: shown(batch) }.into());
    }
    for facility in waiting {
        let facility: FacilityId = parse(&facility)?;
        let now = world::now_ms();
        if dry_run {
            let prepared = Prepared::rehearsal().map_err(Fault::from)?;
            let mut conn = shared.store.begin().await?;
            start_one(&mut conn, shared, now, operator, batch, &facility, &prepared).await?;
            continue;
        }
        let prepared = Prepared::new(&shared.hasher).await?;
        let version = transaction!(shared.store, conn => {
            start_one(conn, shared, now, operator, batch, &facility, &prepared).await
        })?;
        shared.bells.outbox.notify_one();
        shared.bells.seats.notify_one();
        shared.grants_changed(version);
    }
    Ok(())
}

/// Its first number gets bundle and sheet, as after an acceptance.
async fn start_one(
    conn: &mut Conn,
    shared: &Shared,
    now: i64,
    operator: &Operator,
    batch: &str,
    facility: &FacilityId,
    prepared: &Prepared,
) -> Result<i64, Fault> {
    // Read again inside the transaction: a colleague may have begun, or taken it back.
    let done = sqlx::query(
        "UPDATE takeover SET state = 'started' WHERE batch = $1 AND facility = $2 AND state = 'taken'",
    )
    .bind(batch)
    .bind(facility.as_str())
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Err(IntakeMessage::TakeoverUnknown { batch: shown(batch) }.into());
    }
    let slot: Option<String> =
        sqlx::query_scalar("SELECT MIN(slot) FROM slot WHERE facility = $1 AND state = 'allotted'")
            .bind(facility.as_str())
            .fetch_one(&mut *conn)
            .await?;
    let (name, person, admin, address): (String, String, String, String) = sqlx::query_as(
        "SELECT f.name, p.person, p.name, a.written FROM facility f
         JOIN membership m ON m.facility = f.facility AND m.role = $2 AND m.state = 'active'
         JOIN person p ON p.person = m.person
         JOIN address a ON a.person = p.person AND a.use_as = 'admin' WHERE f.facility = $1",
    )
    .bind(facility.as_str())
    .bind(Role::FacilityAdmin.as_str())
    .fetch_one(&mut *conn)
    .await?;
    let Some(slot) = slot else { return Err(IntakeMessage::TakeoverNoSlot { name }.into()) };
    let slot: SlotNumber = parse(&slot)?;
    let office = acceptance::office(conn).await?;
    let to = Recipient {
        facility,
        facility_name: &name,
        admin: &parse(&person)?,
        admin_name: &admin,
        admin_address: &address,
        office_name: &office.name,
        office_telephone: &office.telephone,
    };
    let version = issue::issue(conn, now, &shared.config, slot, &to, prepared).await?;
    note(conn, now, operator, "takeover.start", facility, json!({ "batch": batch, "slot": slot })).await?;
    Ok(version)
}

pub async fn undo(
    shared: &Shared,
    operator: &Operator,
    batch: &str,
    facility: &FacilityId,
    dry_run: bool,
) -> Result<(), Fault> {
    let now = world::now_ms();
    if dry_run {
        undo_in(&mut *shared.store.begin().await?, now, operator, batch, facility).await?;
        return Ok(());
    }
    let version = transaction!(shared.store, conn => undo_in(conn, now, operator, batch, facility).await)?;
    shared.grants_changed(version);
    Ok(())
}

/// What would be lost: whoever has begun is not taken back.
const BEGUN: [(&str, &str, &str); 9] = [
    ("SELECT count(*) FROM device WHERE facility = $1", "端末", "devices"),
    ("SELECT count(*) FROM slot WHERE facility = $1 AND state <> 'allotted'", "VPN番号", "numbers in use"),
    ("SELECT count(*) FROM flow_case WHERE facility = $1", "案件", "cases"),
    ("SELECT count(*) FROM outbox WHERE facility = $1", "メール", "mails"),
    ("SELECT count(*) FROM fee_invoice WHERE facility = $1", "請求", "invoices"),
    ("SELECT count(*) FROM patient WHERE origin = $1", "患者", "patients"),
    (
        "SELECT count(*) FROM membership m WHERE m.facility = $1 AND NOT EXISTS
            (SELECT 1 FROM takeover_person t WHERE t.facility = m.facility AND t.person = m.person)",
        "後から登録した利用者",
        "people registered since",
    ),
    (
        "SELECT count(*) FROM takeover_person t JOIN person p ON p.person = t.person
         WHERE t.facility = $1 AND t.registered = 1 AND p.password_hash IS NOT NULL",
        "利用者のパスワード",
        "people who sign in",
    ),
    (
        "SELECT count(*) FROM takeover k WHERE k.facility = $1 AND
            (EXISTS (SELECT 1 FROM training t WHERE t.facility = k.facility AND t.noted_at > k.at)
             OR EXISTS (SELECT 1 FROM pledge g WHERE g.facility = k.facility AND g.noted_at > k.at))",
        "後から書いた研修・誓約",
        "trainings or pledges noted since",
    ),
];
/// In this order, because of what refers to what; people only who came with some batch and are nowhere else by now. The
/// gateway keeps its copy of the memberships until it starts again: without a number of the facility they open nothing.
const GONE: [&str; 9] = [
    // What somebody has learned stays with them wherever else they are.
    "UPDATE training SET facility = (SELECT MIN(m.facility) FROM membership m WHERE m.person = training.person
        AND m.facility <> $1) WHERE facility = $1 AND EXISTS
        (SELECT 1 FROM membership m WHERE m.person = training.person AND m.facility <> $1)",
    "DELETE FROM training WHERE facility = $1",
    "DELETE FROM pledge WHERE facility = $1",
    "DELETE FROM membership WHERE facility = $1",
    "DELETE FROM paid_elsewhere WHERE facility = $1",
    "DELETE FROM fee_account WHERE facility = $1",
    "DELETE FROM address WHERE person IN
        (SELECT t.person FROM takeover_person t WHERE t.registered = 1 AND t.person IN
            (SELECT h.person FROM takeover_person h WHERE h.facility = $1))
       AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.person = address.person)",
    "DELETE FROM person WHERE person IN
        (SELECT t.person FROM takeover_person t WHERE t.registered = 1 AND t.person IN
            (SELECT h.person FROM takeover_person h WHERE h.facility = $1))
       AND NOT EXISTS (SELECT 1 FROM membership m WHERE m.person = person.person)",
    "DELETE FROM facility WHERE facility = $1",
];

async fn undo_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    batch: &str,
    facility: &FacilityId,
) -> Result<i64, Fault> {
    let state: Option<String> =
        sqlx::query_scalar("SELECT state FROM takeover WHERE batch = $1 AND facility = $2")
            .bind(batch)
            .bind(facility.as_str())
            .fetch_optional(&mut *conn)
            .await?;
    match state.as_deref() {
        Some("taken") => {}
        Some("started") => {
            return Err(IntakeMessage::TakeoverUsed { why: "開始済み", why_en: "begun" }.into());
        }
        _ => return Err(IntakeMessage::TakeoverUnknown { batch: shown(batch) }.into()),
    }
    for (count, why, why_en) in BEGUN {
        let begun: i64 = sqlx::query_scalar(count).bind(facility.as_str()).fetch_one(&mut *conn).await?;
        if begun > 0 {
            return Err(IntakeMessage::TakeoverUsed { why, why_en }.into());
        }
    }
    free_slots(conn, now, facility).await?;
    for statement in GONE {
        gone(conn, statement, facility).await?;
    }
    sqlx::query("UPDATE takeover SET state = 'undone' WHERE batch = $1 AND facility = $2")
        .bind(batch)
        .bind(facility.as_str())
        .execute(&mut *conn)
        .await?;
    note(conn, now, operator, "takeover.undo", facility, json!({ "batch": batch })).await?;
    Ok(bump_grants(conn).await?)
}

/// The numbers are anybody's again: nothing was ever issued for them here.
async fn free_slots(conn: &mut Conn, now: i64, facility: &FacilityId) -> Result<(), Fault> {
    let slots: Vec<(String, i64)> =
        sqlx::query_as("SELECT slot, generation FROM slot WHERE facility = $1 ORDER BY slot")
            .bind(facility.as_str())
            .fetch_all(&mut *conn)
            .await?;
    let version = bump_grants(conn).await?;
    for (slot, generation) in slots {
        sqlx::query("UPDATE slot SET state = 'free', facility = NULL, meetings = 0, grants_version = $2 WHERE slot = $1")
            .bind(&slot)
            .bind(version)
            .execute(&mut *conn)
            .await?;
        slot_rows::record(
            conn,
            now,
            parse(&slot)?,
            generation,
            SlotState::Free,
            Some(facility),
            "引継ぎの取消",
        )
        .await?;
    }
    Ok(())
}

/// Whatever else somebody has written about them meanwhile keeps them.
async fn gone(conn: &mut Conn, statement: &'static str, facility: &FacilityId) -> Result<(), Fault> {
    match sqlx::query(statement).bind(facility.as_str()).execute(conn).await {
        Ok(_) => Ok(()),
        Err(sqlx::Error::Database(error)) if error.is_foreign_key_violation() => {
            Err(IntakeMessage::TakeoverUsed { why: "ほかの記録", why_en: "other records" }.into())
        }
        Err(error) => Err(error.into()),
    }
}
