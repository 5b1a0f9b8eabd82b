//! The rows of `slot` and their history: what `slots` decides is written here, inside the caller's
//! transaction. A number's history is only ever added to (I-05). Edge: SQL.

use pki::identity::FacilityId;
use vpn::slot::{Series, SlotNumber};

use crate::office_fault::OfficeFault;
use crate::slots::{self, Known, SlotState};
use crate::store::{Conn, bump_grants};

/// Allots `count` numbers to a facility, the first `meetings` of them with meeting media (P-01).
/// Its quota and the free numbers decide.
pub async fn allot(
    conn: &mut Conn,
    now_ms: i64,
    series: Series,
    facility: &FacilityId,
    count: u32,
    meetings: u32,
) -> Result<Vec<SlotNumber>, OfficeFault> {
    let (held, quota): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM slot WHERE facility = $1 AND state NOT IN ('free', 'cooling', 'revoked')),
                device_quota FROM facility WHERE facility = $1",
    )
    .bind(facility.as_str())
    .fetch_one(&mut *conn)
    .await?;
    slots::within_quota(narrow(held), count, narrow(quota))?;
    let chosen = slots::choose(series, &known(conn, series).await?, count, now_ms)?;
    for (place, slot) in chosen.iter().enumerate() {
        take(conn, now_ms, *slot, facility, place < meetings as usize).await?;
    }
    Ok(chosen)
}

/// Gives one number to a facility. A number that comes back gets a new generation.
pub async fn take(
    conn: &mut Conn,
    now_ms: i64,
    slot: SlotNumber,
    facility: &FacilityId,
    meetings: bool,
) -> Result<i64, OfficeFault> {
    let version = bump_grants(conn).await?;
    let generation: i64 = sqlx::query_scalar(
        "INSERT INTO slot (slot, series, number, state, facility, meetings, generation, cooling_until, grants_version)
         VALUES ($1, $2, $3, 'allotted', $4, $5, 1, 0, $6)
         ON CONFLICT (slot) DO UPDATE SET state = 'allotted', facility = excluded.facility,
            meetings = excluded.meetings, generation = slot.generation + 1, cooling_until = 0,
            grants_version = excluded.grants_version
         WHERE slot.state IN ('free', 'cooling')
         RETURNING generation",
    )
    .bind(slot.to_string())
    .bind(slot.series().as_str())
    .bind(i64::from(slot.number()))
    .bind(facility.as_str())
    .bind(i64::from(meetings))
    .bind(version)
    .fetch_one(&mut *conn)
    .await?;
    record(conn, now_ms, slot, generation, SlotState::Allotted, Some(facility), "").await?;
    Ok(generation)
}

/// Adds a line to a number's history, in the transaction of the change.
pub async fn record(
    conn: &mut Conn,
    now_ms: i64,
    slot: SlotNumber,
    generation: i64,
    state: SlotState,
    facility: Option<&FacilityId>,
    note: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO slot_history (entry, slot, at, state, facility, note) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (entry) DO NOTHING",
    )
    .bind(format!("{slot}/{generation}/{}", state.as_str()))
    .bind(slot.to_string())
    .bind(now_ms)
    .bind(state.as_str())
    .bind(facility.map(FacilityId::as_str))
    .bind(note)
    .execute(conn)
    .await?;
    Ok(())
}

async fn known(conn: &mut Conn, series: Series) -> Result<Vec<Known>, OfficeFault> {
    let rows: Vec<(i64, String, i64)> =
        sqlx::query_as("SELECT number, state, cooling_until FROM slot WHERE series = $1 ORDER BY number")
            .bind(series.as_str())
            .fetch_all(conn)
            .await?;
    rows.into_iter()
        .map(|(number, state, cooling_until_ms)| {
            let state = SlotState::parse(&state).ok_or(OfficeFault::Row(state))?;
            let number = u16::try_from(number).map_err(|_| OfficeFault::Row(number.to_string()))?;
            Ok(Known { number, state, cooling_until_ms })
        })
        .collect()
}

fn narrow(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
