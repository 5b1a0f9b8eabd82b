//! 端末の追加 (ruling 5): a facility's further device gets its place from the admin's screen. The bootstrap profile and
//! the number with its password leave with the answer and are stored nowhere; what is not claimed within ten minutes
//! loses its seat, and its number is the first that the facility uses again. Edge: SQL, randomness.

use data_encoding::BASE32_NOPAD;
use pki::door::DeviceKind;
use pki::identity::{FacilityId, Identity, TraceId};
use serde_json::json;
use vpn::Place;
use vpn::key::PresharedKey;
use vpn::slot::{SeatClass, SlotNumber};
use zeroize::Zeroizing;

use crate::audit::{self, Event};
use crate::bundle::{Profile, TunnelPrivateKey, claim_url, profile_text};
use crate::fault::{Fault, parse};
use crate::idempotency::{self, Repeatable};
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::slots::{self, SlotState};
use crate::store::{self, Conn, transaction};
use crate::ticket::{PASSWORD_LENGTH, TicketNumber, TicketPassword};
use crate::{issue, slot_rows, world};

/// Ruling 5: long enough to scan two codes, too short to be carried away.
pub const VALID_MS: i64 = 10 * 60 * 1_000;
/// Longest label of a device that is kept.
const LABEL_MAX: usize = 60;

/// Shown once.
pub struct NewDevice {
    pub slot: SlotNumber,
    pub valid_until: i64,
    /// The first code: a wg-quick file.
    pub profile: Zeroizing<String>,
    /// The second code: the claim page with number and password behind `#`, which no server is sent.
    pub claim_url: Zeroizing<String>,
}

/// Where the next device goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPlace {
    /// Codes were shown for it and ran out.
    Again(SlotNumber),
    /// The facility's, and nobody sits there.
    Allotted(SlotNumber),
    /// A number that the facility does not have yet.
    New,
}

/// What a device is made of before its transaction; nothing of it is stored but public key, preshared key and hash.
struct Drawn {
    device: String,
    key: TunnelPrivateKey,
    psk: PresharedKey,
    number: TicketNumber,
    password: TicketPassword,
    hash: String,
}

/// Adds a device to the actor's facility. A repetition of the same form makes no second one.
pub async fn add(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    label: &str,
    request: Option<&Repeatable>,
) -> Result<NewDevice, Fault> {
    let drawn = draw(shared).await?;
    let label: String = label.trim().chars().filter(|c| !c.is_control()).take(LABEL_MAX).collect();
    let now = world::now_ms();
    let (slot, grants) = transaction!(shared.store, conn => {
        if idempotency::recall(conn, request, now).await?.is_some() {
            return Err(PeopleMessage::DeviceQrShown.into());
        }
        let (slot, grants) = place(conn, shared, &actor.facility, &drawn, &label, now).await?;
        let event = Event {
            actor: actor.person.as_str(),
            action: "device.add",
            object: &slot.to_string(),
            trace,
            detail: json!({ "facility": actor.facility, "valid_until": now + VALID_MS, "rule": "B-06" }),
        };
        audit::append(conn, now, event).await?;
        idempotency::remember(conn, request, &slot.to_string(), now).await?;
        Ok::<_, Fault>((slot, grants))
    })?;
    shared.grants_changed(grants);
    shared.bells.seats.notify_one();
    show(shared, slot, &drawn, now)
}

/// What `add` would use; writes nothing.
pub async fn next_place(conn: &mut Conn, facility: &FacilityId, now: i64) -> Result<NextPlace, Fault> {
    let again: Option<String> = sqlx::query_scalar(
        "SELECT s.slot FROM slot s JOIN device d ON d.slot = s.slot JOIN enrolment e ON e.device = d.device
         WHERE s.facility = $1 AND s.state = 'issued' AND d.state = 'enrolling' AND e.admin_person IS NULL
           AND NOT EXISTS (SELECT 1 FROM enrolment v WHERE v.device = d.device
                           AND v.state IN ('open', 'claimed') AND v.valid_until > $2)
         ORDER BY s.series, s.number LIMIT 1",
    )
    .bind(facility.as_str())
    .bind(now)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(slot) = again {
        return Ok(NextPlace::Again(parse(&slot)?));
    }
    let allotted: Option<String> = sqlx::query_scalar(
        "SELECT slot FROM slot WHERE facility = $1 AND state = 'allotted' ORDER BY series, number LIMIT 1",
    )
    .bind(facility.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(slot) = allotted {
        return Ok(NextPlace::Allotted(parse(&slot)?));
    }
    let (held, quota) = held(conn, facility).await?;
    slots::within_quota(held, 1, quota).map_err(crate::office_fault::OfficeFault::from)?;
    Ok(NextPlace::New)
}

/// Numbers that the facility holds, and how many it may.
pub async fn held(conn: &mut Conn, facility: &FacilityId) -> Result<(u32, u32), Fault> {
    let (held, quota): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM slot WHERE facility = $1 AND state NOT IN ('free', 'cooling', 'revoked')),
                device_quota FROM facility WHERE facility = $1",
    )
    .bind(facility.as_str())
    .fetch_one(conn)
    .await?;
    Ok((u32::try_from(held).unwrap_or(u32::MAX), u32::try_from(quota).unwrap_or(0)))
}

/// Numbers that it was given and that no device has had yet.
pub async fn unused(conn: &mut Conn, facility: &FacilityId) -> Result<u32, Fault> {
    let unused: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM slot WHERE facility = $1 AND state = 'allotted'")
            .bind(facility.as_str())
            .fetch_one(conn)
            .await?;
    Ok(u32::try_from(unused).unwrap_or(u32::MAX))
}

/// Codes that ran out lose their seat: the tunnel ends with the ten minutes. Sheets keep theirs, they can be extended.
pub async fn expire(shared: &Shared) -> Result<(), Fault> {
    let now = world::now_ms();
    let ended = transaction!(shared.store, conn => {
        let ended = sqlx::query(
            "DELETE FROM seat WHERE place = 'enrolling' AND slot IN (
                 SELECT e.slot FROM enrolment e WHERE e.admin_person IS NULL AND e.state = 'open' AND e.valid_until <= $1)",
        )
        .bind(now)
        .execute(&mut *conn)
        .await?;
        sqlx::query(
            "UPDATE enrolment SET state = 'void' WHERE admin_person IS NULL AND state = 'open' AND valid_until <= $1",
        )
        .bind(now)
        .execute(conn)
        .await?;
        Ok::<_, Fault>(ended.rows_affected())
    })?;
    if ended > 0 {
        log::info!("{ended} bootstrap seats ended with their QR codes");
    }
    Ok(())
}

async fn draw(shared: &Shared) -> Result<Drawn, Fault> {
    let password = TicketPassword::from_random(&*world::random::<PASSWORD_LENGTH>()?);
    Ok(Drawn {
        device: format!("d-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase()),
        key: TunnelPrivateKey::from_random(&*world::random()?),
        psk: PresharedKey::from_bytes(*world::random()?),
        number: TicketNumber::from_random(*world::random()?),
        hash: shared.hasher.hash(password.expose()).await?,
        password,
    })
}

/// Slot, device, seat and enrolment, inside the caller's transaction.
async fn place(
    conn: &mut Conn,
    shared: &Shared,
    facility: &FacilityId,
    drawn: &Drawn,
    label: &str,
    now: i64,
) -> Result<(SlotNumber, i64), Fault> {
    let slot = match next_place(conn, facility, now).await? {
        NextPlace::Again(slot) | NextPlace::Allotted(slot) => slot,
        NextPlace::New => {
            let new = slot_rows::allot(conn, now, shared.config.series, facility, 1, 0).await?;
            *new.first().ok_or_else(|| Fault::Row("no slot was allotted".to_owned()))?
        }
    };
    let grants = store::bump_grants(conn).await?;
    // A new generation: what was seated here before is older.
    let generation: i64 = sqlx::query_scalar(
        "UPDATE slot SET state = 'issued', generation = generation + 1, grants_version = $2
         WHERE slot = $1 RETURNING generation",
    )
    .bind(slot.to_string())
    .bind(grants)
    .fetch_one(&mut *conn)
    .await?;
    slot_rows::record(conn, now, slot, generation, SlotState::Issued, Some(facility), "").await?;
    let device = device(conn, slot, facility, &drawn.device, label, now).await?;
    seat(conn, slot, drawn, generation).await?;
    enrolment(conn, slot, &device, drawn, generation, now).await?;
    Ok((slot, grants))
}

/// The device that waited here for codes that ran out, or a new one.
async fn device(
    conn: &mut Conn,
    slot: SlotNumber,
    facility: &FacilityId,
    fresh: &str,
    label: &str,
    now: i64,
) -> Result<String, Fault> {
    let waiting: Option<String> = sqlx::query_scalar(
        "UPDATE device SET label = $2 WHERE slot = $1 AND state = 'enrolling' RETURNING device",
    )
    .bind(slot.to_string())
    .bind(label)
    .fetch_optional(&mut *conn)
    .await?;
    if let Some(device) = waiting {
        return Ok(device);
    }
    let kind =
        if issue::is_family(conn, facility).await? { DeviceKind::Family } else { DeviceKind::Facility };
    sqlx::query(
        "INSERT INTO device (device, slot, facility, label, kind, state, created_at)
         VALUES ($1, $2, $3, $4, $5, 'enrolling', $6)",
    )
    .bind(fresh)
    .bind(slot.to_string())
    .bind(facility.as_str())
    .bind(label)
    .bind(issue::device_kind(kind))
    .bind(now)
    .execute(conn)
    .await?;
    Ok(fresh.to_owned())
}

async fn seat(conn: &mut Conn, slot: SlotNumber, drawn: &Drawn, generation: i64) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO seat (slot, place, class, public_key, psk, generation) VALUES ($1, 'enrolling', $2, $3, $4, $5)
         ON CONFLICT (slot, place) DO UPDATE SET class = excluded.class, public_key = excluded.public_key,
             psk = excluded.psk, generation = excluded.generation",
    )
    .bind(slot.to_string())
    .bind(SeatClass::Enrolling.as_str())
    .bind(drawn.key.public().to_string())
    .bind(drawn.psk.expose_base64())
    .bind(generation)
    .execute(conn)
    .await?;
    Ok(())
}

async fn enrolment(
    conn: &mut Conn,
    slot: SlotNumber,
    device: &str,
    drawn: &Drawn,
    generation: i64,
    now: i64,
) -> Result<(), Fault> {
    sqlx::query("UPDATE enrolment SET state = 'void' WHERE device = $1 AND state <> 'done'")
        .bind(device)
        .execute(&mut *conn)
        .await?;
    // No admin's own password comes with it (G-05 is for the sheet): that is also what tells a code from a sheet.
    sqlx::query(
        "INSERT INTO enrolment (number, slot, device, password_hash, admin_person, state, valid_until, generation)
         VALUES ($1, $2, $3, $4, NULL, 'open', $5, $6)",
    )
    .bind(drawn.number.as_str())
    .bind(slot.to_string())
    .bind(device)
    .bind(&drawn.hash)
    .bind(now + VALID_MS)
    .bind(generation)
    .execute(conn)
    .await?;
    Ok(())
}

fn show(shared: &Shared, slot: SlotNumber, drawn: &Drawn, now: i64) -> Result<NewDevice, Fault> {
    let config = &shared.config;
    let address = config.plan.address(slot, Place::Enrolling);
    let address = address.ok_or_else(|| Fault::Row(format!("{slot} is not of this realm")))?;
    let profile = profile_text(&Profile {
        key: &drawn.key,
        psk: &drawn.psk,
        address,
        server_public_key: config.server_public_key,
        gateway_open: config.plan.gateway_open(),
        endpoint: &config.endpoint,
    });
    let password = drawn.password.expose();
    let claim_url = Zeroizing::new(format!(
        "{}#number={}&password={}",
        claim_url(&config.zone),
        drawn.number.as_str(),
        password.as_str()
    ));
    Ok(NewDevice { slot, valid_until: now + VALID_MS, profile, claim_url })
}
