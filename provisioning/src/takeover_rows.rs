//! The rows of a facility that is taken over: what is registered already, and everything that comes with one facility,
//! inside the caller's transaction. Edge: SQL, randomness.

use std::collections::BTreeMap;

use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde_json::{Value, json};

use crate::acceptance::{insert_facility, insert_membership, insert_person};
use crate::audit::{self, Event};
use crate::dates;
use crate::door::Operator;
use crate::facility::MailAddress;
use crate::fault::{Fault, parse};
use crate::messages::Message;
use crate::register::{self, Training};
use crate::shared::Shared;
use crate::slot_rows;
use crate::slots::{DEVICE_QUOTA, SlotState};
use crate::store::{Conn, bump_grants};
use crate::takeover::{Staff, Taken};
use crate::takeover_known::{Known, KnownAddress, KnownFacility, KnownSlot};
use crate::world;

/// What stands in the registry now.
pub async fn known(shared: &Shared) -> Result<Known, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let mut known = Known::default();
    let facilities: Vec<(String, String, String, Option<String>)> = sqlx::query_as(
        "SELECT f.code, f.kind, f.name,
                (SELECT MAX(t.fingerprint) FROM takeover t WHERE t.facility = f.facility AND t.state <> 'undone')
         FROM facility f",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (code, kind, name, fingerprint) in facilities {
        known.facilities.insert((code, kind), KnownFacility { name, fingerprint });
    }
    let addresses: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT a.folded, a.use_as, p.name, p.state FROM address a JOIN person p ON p.person = a.person",
    )
    .fetch_all(&mut *conn)
    .await?;
    for (folded, use_as, name, state) in addresses {
        known.addresses.insert(folded, KnownAddress { use_as, name, is_active: state == "active" });
    }
    known.slots = slots(&mut conn, "").await?;
    Ok(known)
}

/// Of one number, or of all.
async fn slots(conn: &mut Conn, only: &str) -> Result<BTreeMap<vpn::slot::SlotNumber, KnownSlot>, Fault> {
    let rows: Vec<(String, String, i64, Option<String>)> = sqlx::query_as(
        "SELECT s.slot, s.state, s.cooling_until, f.name FROM slot s LEFT JOIN facility f ON f.facility = s.facility
         WHERE ($1 = '' OR s.slot = $1)",
    )
    .bind(only)
    .fetch_all(conn)
    .await?;
    let mut slots = BTreeMap::new();
    for (slot, state, cooling_until_ms, holder) in rows {
        let state = SlotState::parse(&state).ok_or(Fault::Row(state))?;
        slots.insert(parse(&slot)?, KnownSlot { state, cooling_until_ms, holder });
    }
    Ok(slots)
}

pub fn fingerprint(taken: &Taken) -> Result<String, Fault> {
    taken.fingerprint().map_err(|error| Message::Internal { what: error.to_string() }.into())
}

/// One facility with all that belongs to it; the grants' version.
pub async fn take(
    conn: &mut Conn,
    shared: &Shared,
    now: i64,
    operator: &Operator,
    batch: &str,
    taken: &Taken,
) -> Result<i64, Fault> {
    let application = &taken.application;
    let facility = FacilityId::from_random(*world::random()?);
    // Where no case says when it began, the day of registration does (F-07): the register knows it better than we.
    let registered =
        application.received_on.as_deref().and_then(dates::begins_ms).map_or(now, |day| day.min(now));
    insert_facility(conn, registered, &facility, application).await?;
    sqlx::query(
        "INSERT INTO takeover (batch, facility, name, fingerprint, state, operator, at)
         VALUES ($1, $2, $3, $4, 'taken', $5, $6)",
    )
    .bind(batch)
    .bind(facility.as_str())
    .bind(&application.name)
    .bind(fingerprint(taken)?)
    .bind(&operator.name)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    let admin = PersonId::from_random(*world::random()?);
    let address = MailAddress::of_admin(&application.admin_address)?;
    insert_person(conn, now, &address, "admin", &application.admin_name, &admin).await?;
    member(conn, batch, &facility, &admin, Role::FacilityAdmin, true).await?;
    for person in &taken.staff {
        employ(conn, now, operator, batch, &facility, person).await?;
    }
    number(conn, shared, now, &facility, taken).await?;
    for year in &taken.paid {
        sqlx::query("INSERT INTO paid_elsewhere (facility, fiscal_year, noted_at) VALUES ($1, $2, $3)")
            .bind(facility.as_str())
            .bind(i64::from(*year))
            .bind(now)
            .execute(&mut *conn)
            .await?;
    }
    let detail = json!({ "batch": batch, "people": taken.staff.len(), "slots": taken.slots.len() });
    note(conn, now, operator, "takeover.take", &facility, detail).await?;
    Ok(bump_grants(conn).await?)
}

/// The numbers as they are (I-05). Who holds more than is usual may hold them, and no more.
async fn number(
    conn: &mut Conn,
    shared: &Shared,
    now: i64,
    facility: &FacilityId,
    taken: &Taken,
) -> Result<(), Fault> {
    for (_, slot, meetings) in &taken.slots {
        // Looked at again inside the transaction: a colleague may have given it away meanwhile.
        let known = Known { slots: slots(conn, &slot.to_string()).await?, ..Known::default() };
        if let Some(message) = known.slot(*slot, shared.config.series, now) {
            return Err(message.into());
        }
        slot_rows::take(conn, now, *slot, facility, *meetings).await?;
    }
    let held = i64::try_from(taken.slots.len()).unwrap_or(i64::MAX);
    if held > i64::from(DEVICE_QUOTA) {
        sqlx::query("UPDATE facility SET device_quota = $2 WHERE facility = $1")
            .bind(facility.as_str())
            .bind(held)
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// A person who is known by this address gets another membership (P-25).
async fn employ(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    batch: &str,
    facility: &FacilityId,
    staff: &Staff,
) -> Result<(), Fault> {
    let address = MailAddress::parse(&staff.address)?;
    let known: Option<String> =
        sqlx::query_scalar("SELECT person FROM address WHERE folded = $1 AND use_as = 'user'")
            .bind(address.folded())
            .fetch_optional(&mut *conn)
            .await?;
    let is_new = known.is_none();
    let person = match known {
        Some(person) => parse(&person)?,
        None => {
            let person = PersonId::from_random(*world::random()?);
            insert_person(conn, now, &address, "user", &staff.name, &person).await?;
            sqlx::query("UPDATE person SET profession = $2, kana = $3 WHERE person = $1")
                .bind(person.as_str())
                .bind(&staff.profession)
                .bind(&staff.kana)
                .execute(&mut *conn)
                .await?;
            person
        }
    };
    member(conn, batch, facility, &person, Role::Staff, is_new).await?;
    let pledged_on = dates::past_date(&staff.pledged_on, now)?;
    register::pledged(conn, now, &operator.name, &person, facility, &pledged_on).await?;
    for (kind, day) in &staff.trainings {
        let training = Training { kind: *kind, held_on: dates::past_date(day, now)? };
        register::attended(conn, now, operator, &person, facility, &training).await?;
    }
    Ok(())
}

async fn member(
    conn: &mut Conn,
    batch: &str,
    facility: &FacilityId,
    person: &PersonId,
    role: Role,
    is_new: bool,
) -> Result<(), Fault> {
    let membership = MembershipId::from_random(*world::random()?);
    insert_membership(conn, &membership, person, facility, role).await?;
    sqlx::query("INSERT INTO takeover_person (batch, facility, person, registered) VALUES ($1, $2, $3, $4)")
        .bind(batch)
        .bind(facility.as_str())
        .bind(person.as_str())
        .bind(i64::from(is_new))
        .execute(conn)
        .await?;
    Ok(())
}

/// One line of the trail.
pub async fn note(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    action: &str,
    facility: &FacilityId,
    detail: Value,
) -> Result<(), Fault> {
    let (actor, object, trace) = (operator.name.as_str(), facility.as_str(), Some(operator.trace));
    audit::append(conn, now, Event { actor, action, object, trace, detail })
        .await
        .map_err(|error| Fault::Office(error.into()))?;
    Ok(())
}
