//! The feed from which the gateway learns who holds a slot and who is a member of what: versioned,
//! waited for, complete from version 0. Rulings 1 and 8. Edge: SQL, tokio.

use std::collections::HashMap;
use std::time::Duration;

use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use vpn::slot::{SeatClass, SlotNumber};

use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::shared::Shared;
use crate::store;

/// Longest wait of a question; well below the age at which the gateway calls the feed stale (30 s).
const WAIT_MAX_MS: u32 = 10_000;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Ask with this next time.
    pub version: u64,
    pub slots: Vec<SlotGrant>,
    pub memberships: Vec<MembershipGrant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotGrant {
    pub slot: SlotNumber,
    /// `None`: the slot admits nobody.
    pub holder: Option<SlotHolder>,
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotHolder {
    pub facility: FacilityId,
    pub class: SeatClass,
    /// Facilities grouped with the owner (併設).
    pub also: Vec<FacilityId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembershipGrant {
    pub membership: MembershipId,
    pub person: PersonId,
    pub facility: FacilityId,
    pub role: Role,
    pub active: bool,
}

/// Everything that changed after version `after`; waits up to `wait_ms` when nothing did.
pub async fn changes(shared: &Shared, after: u64, wait_ms: u32) -> Result<Changes, Fault> {
    let mut version = shared.grants.subscribe();
    let seen = *version.borrow_and_update();
    if seen == after {
        let wait = Duration::from_millis(u64::from(wait_ms.min(WAIT_MAX_MS)));
        tokio::select! {
            // Whatever ends the wait, the database has the last word.
            _ = tokio::time::timeout(wait, version.changed()) => {}
            () = shared.stopped() => {}
        }
    }
    read(shared, after).await
}

async fn read(shared: &Shared, after: u64) -> Result<Changes, Fault> {
    // One transaction, so that version and rows belong together.
    let mut tx = shared.store.pool().begin().await?;
    let version = store::current(&mut tx, store::GRANTS_VERSION).await?.unsigned_abs();
    // A reader that is ahead of us has seen a registry which is gone: it gets the whole truth.
    let after = if after > version { -1 } else { i64::try_from(after).unwrap_or(i64::MAX) };
    let after = if after == 0 { -1 } else { after };
    let slots = slots(&mut tx, after).await?;
    let memberships = memberships(&mut tx, after).await?;
    tx.commit().await?;
    Ok(Changes { version, slots, memberships })
}

type SlotRow = (String, String, Option<String>, i64, i64, Option<String>, Option<String>);

async fn slots(conn: &mut store::Conn, after: i64) -> Result<Vec<SlotGrant>, Fault> {
    let rows: Vec<SlotRow> = sqlx::query_as(
        "SELECT s.slot, s.state, s.facility, s.meetings, s.generation, t.class, f.state
         FROM slot s
         LEFT JOIN seat t ON t.slot = s.slot AND t.place = 'active'
         LEFT JOIN facility f ON f.facility = s.facility
         WHERE s.grants_version > $1 ORDER BY s.slot",
    )
    .bind(after)
    .fetch_all(&mut *conn)
    .await?;
    let groups = groups(conn).await?;
    rows.into_iter().map(|row| slot_grant(row, &groups)).collect()
}

async fn groups(conn: &mut store::Conn) -> Result<HashMap<String, Vec<FacilityId>>, Fault> {
    let rows: Vec<(String, String)> =
        sqlx::query_as("SELECT facility, also FROM facility_group ORDER BY facility, also")
            .fetch_all(conn)
            .await?;
    let mut groups: HashMap<String, Vec<FacilityId>> = HashMap::new();
    for (facility, also) in rows {
        groups.entry(facility).or_default().push(parse(&also)?);
    }
    Ok(groups)
}

fn slot_grant(row: SlotRow, groups: &HashMap<String, Vec<FacilityId>>) -> Result<SlotGrant, Fault> {
    let (slot, state, facility, meetings, generation, active_seat, facility_state) = row;
    let seated = active_seat.map(|class| parse::<SeatClass>(&class)).transpose()?;
    let working = if meetings != 0 { SeatClass::ActiveMeetings } else { SeatClass::Active };
    let class = match state.as_str() {
        // Once a claim has put the final key in its seat, that device is let in; the enrolling seat still
        // reaches the claim page, which asks for no class.
        "issued" => Some(seated.unwrap_or(SeatClass::Enrolling)),
        "active" => Some(seated.unwrap_or(working)),
        "leaving" => Some(SeatClass::Leaving),
        _ => None,
    };
    let holder = match (facility, class) {
        (Some(facility), Some(class)) if facility_state.as_deref() == Some("active") => Some(SlotHolder {
            also: groups.get(&facility).cloned().unwrap_or_default(),
            facility: parse(&facility)?,
            class,
        }),
        _ => None,
    };
    Ok(SlotGrant { slot: parse(&slot)?, holder, generation: generation.unsigned_abs() })
}

async fn memberships(conn: &mut store::Conn, after: i64) -> Result<Vec<MembershipGrant>, Fault> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT m.membership, m.person, m.facility, m.role,
                CASE WHEN m.state = 'active' AND p.state = 'active' AND f.state = 'active'
                      AND NOT (f.kind = $2 AND m.role = $3) THEN 1 ELSE 0 END
         FROM membership m
         JOIN person p ON p.person = m.person
         JOIN facility f ON f.facility = m.facility
         WHERE m.grants_version > $1 ORDER BY m.membership",
    )
    .bind(after)
    // A-08a: whom a family is written to by is no admin, and opens nothing.
    .bind(FacilityKind::Family.as_str())
    .bind(Role::FacilityAdmin.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(membership, person, facility, role, active)| {
            Ok(MembershipGrant {
                membership: parse(&membership)?,
                person: parse(&person)?,
                facility: parse(&facility)?,
                role: parse(&role)?,
                active: active != 0,
            })
        })
        .collect()
}
