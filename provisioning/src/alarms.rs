//! Whom a 利用停止 is told (M-16): the facility's admins and the secretariat, in the transaction of the stop, so that there
//! is none that nobody heard of. Edge: SQL.

use std::collections::BTreeSet;

use pki::identity::FacilityId;
use vpn::slot::SlotNumber;

use crate::acceptance;
use crate::alarm_letter::{self, Alarm, AlarmLetter};
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::office_fault::OfficeFault;
use crate::outbox::{self, LetterKind, NewLetter};
use crate::shared::Config;
use crate::store::{self, Conn};

/// Admins of one facility, or operators, that are written to; more is a register gone wrong.
const READERS_MAX: i64 = 20;

/// What stopped, at whose places, and who did it.
pub(crate) struct Told<'a> {
    pub alarm: &'a Alarm,
    pub facilities: &'a [FacilityId],
    pub by: &'a str,
}

/// Writes to everybody whom it concerns; the caller rings the outbox's bell after its commit. A facility without an
/// address of an admin's is not written to: the secretariat is, and telephones.
pub(crate) async fn tell(conn: &mut Conn, config: &Config, now: i64, told: Told<'_>) -> Result<(), Fault> {
    let office = acceptance::office(conn).await?;
    let mut names = Vec::new();
    let mut written = BTreeSet::new();
    for facility in told.facilities.iter().chain([&office.facility]) {
        let to_office = *facility == office.facility;
        let name: Option<String> = sqlx::query_scalar("SELECT name FROM facility WHERE facility = $1")
            .bind(facility.as_str())
            .fetch_optional(&mut *conn)
            .await?;
        names.extend(name.clone().filter(|_| told.facilities.contains(facility)));
        let about = if to_office { names.join("、") } else { name.unwrap_or_default() };
        let by = actor(conn, facility, told.by).await?;
        let files = alarm_letter::files(&AlarmLetter {
            alarm: told.alarm,
            to_office,
            facility_name: &about,
            by: &by,
            at_ms: now,
            realm_name: &config.realm_name,
            office_name: &office.name,
            office_telephone: &office.telephone,
        })
        .map_err(OfficeFault::from)?;
        let Some(slot) = first_slot(conn, facility).await? else { continue };
        for recipient in readers(conn, facility).await? {
            if !written.insert(recipient.clone()) {
                continue;
            }
            let nth = store::next(conn, "notice").await?;
            let (kind, recipient, files) = (LetterKind::Notice, recipient.as_str(), files.as_slice());
            outbox::put(conn, now, NewLetter { kind, slot, nth, facility, recipient, files }).await?;
        }
    }
    Ok(())
}

/// Its own people by name; to a facility whoever else did it is the secretariat, which itself reads a name.
async fn actor(conn: &mut Conn, reader: &FacilityId, by: &str) -> Result<String, Fault> {
    let name: Option<String> = sqlx::query_scalar(
        "SELECT p.name FROM person p JOIN membership m ON m.person = p.person
         JOIN facility f ON f.facility = $2 AND (m.facility = f.facility OR f.kind = $3) WHERE p.person = $1
         ORDER BY m.membership LIMIT 1",
    )
    .bind(by)
    .bind(reader.as_str())
    .bind(FacilityKind::Office.as_str())
    .fetch_optional(conn)
    .await?;
    Ok(name.map_or_else(|| "事務局".to_owned(), |name| format!("{name} 様")))
}

/// A letter lies under a number of its reader's; notices are cancelled with none.
async fn first_slot(conn: &mut Conn, facility: &FacilityId) -> Result<Option<SlotNumber>, Fault> {
    let slot: Option<String> = sqlx::query_scalar("SELECT MIN(slot) FROM device WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_one(conn)
        .await?;
    slot.as_deref().map(parse).transpose()
}

async fn readers(conn: &mut Conn, facility: &FacilityId) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar(
        "SELECT DISTINCT a.written FROM membership m
         JOIN address a ON a.person = m.person AND a.use_as IN ('admin', 'office')
         WHERE m.facility = $1 AND m.role IN ('facility-admin', 'secretariat') AND m.state <> 'ended'
         ORDER BY a.written LIMIT $2",
    )
    .bind(facility.as_str())
    .bind(READERS_MAX)
    .fetch_all(conn)
    .await?)
}
