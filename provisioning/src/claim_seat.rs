//! The fourth step of a claim: in one transaction the certificate is the device's, the final key sits in the
//! slot's active place, the predecessor is void, the gateway hears of it. Edge: SQL.

use pki::door::IssuedCertificate;
use pki::identity::TraceId;
use serde_json::json;
use vpn::door::Seat;
use vpn::key::PresharedKey;
use vpn::slot::SeatClass;

use crate::enrolments::{self, Begun, Sheet, VoidReason, Wish, record};
use crate::fault::{Fault, parse};
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::store::{self, Conn, transaction};
use crate::{accounts, world};

/// Longest label of a device that is kept.
const LABEL_MAX: usize = 60;

/// The final seat as it stands in the registry.
pub(crate) struct Seated {
    pub seat: Seat,
    /// A new version of the grants; `None` when the seat was there already.
    pub grants: Option<i64>,
}

/// What the transaction found.
enum Outcome {
    Seated(Seated),
    /// The slot was revoked, the claim voided or overtaken meanwhile; the certificate goes.
    Overtaken,
}

pub(crate) async fn write(
    shared: &Shared,
    sheet: &Sheet,
    begun: &Begun,
    issued: &IssuedCertificate,
    wish: &Wish,
    admin_hash: Option<String>,
    trace: Option<TraceId>,
) -> Result<Seated, Fault> {
    let now = world::now_ms();
    let psk = match &wish.psk {
        Some(told) => told.clone(),
        None => PresharedKey::from_bytes(*world::random::<32>()?),
    };
    let outcome = transaction!(shared.store, conn => {
        if !stands(conn, sheet, begun).await? {
            overtaken(conn, begun, issued).await?;
            return Ok::<_, Fault>(Outcome::Overtaken);
        }
        if let Some(seat) = present(conn, sheet, begun, wish).await? {
            return Ok(Outcome::Seated(Seated { seat, grants: None }));
        }
        enrolments::void_claims(conn, &sheet.number, &begun.claim, VoidReason::Superseded).await?;
        let seat = seat(conn, sheet, wish, psk.clone()).await?;
        let grants = store::bump_grants(conn).await?;
        sqlx::query("UPDATE slot SET generation = $2, grants_version = $3 WHERE slot = $1")
            .bind(seat.slot.to_string())
            .bind(i64::try_from(seat.generation).unwrap_or(i64::MAX))
            .bind(grants)
            .execute(&mut *conn)
            .await?;
        device(conn, sheet, issued, &wish.label).await?;
        if let (Some(hash), Some(person)) = (&admin_hash, sheet.admin()) {
            accounts::set_password(conn, person, hash, false).await?;
        }
        sqlx::query("UPDATE claim SET state = 'seated', certificate = $2, sets_password = $3 WHERE claim = $1")
            .bind(&begun.claim)
            .bind(issued.serial.to_string())
            .bind(i64::from(admin_hash.is_some()))
            .execute(&mut *conn)
            .await?;
        let detail = json!({
            "claim": begun.claim, "certificate": issued.serial, "generation": seat.generation,
            "own_password": admin_hash.is_some(),
        });
        record(conn, now, trace, "claim.seat", sheet.slot, detail).await?;
        Ok(Outcome::Seated(Seated { seat, grants: Some(grants) }))
    })?;
    match outcome {
        Outcome::Seated(seated) => {
            if let Some(version) = seated.grants {
                shared.grants_changed(version);
            }
            Ok(seated)
        }
        Outcome::Overtaken => {
            shared.bells.seats.notify_one();
            Err(PeopleMessage::ClaimUnderway.into())
        }
    }
}

/// Is this still the sheet's last claim, and the slot still the device's?
async fn stands(conn: &mut Conn, sheet: &Sheet, begun: &Begun) -> Result<bool, Fault> {
    let enrolment = enrolments::state(conn, &sheet.number).await?;
    let latest = enrolments::latest_claim(conn, &sheet.number).await?;
    let slot_and_device: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM slot s JOIN device d ON d.slot = s.slot
         WHERE s.slot = $1 AND s.state = 'issued' AND d.device = $2 AND d.state IN ('enrolling', 'claimed')",
    )
    .bind(sheet.slot.to_string())
    .bind(&sheet.device)
    .fetch_one(conn)
    .await?;
    let last = latest.is_some_and(|latest| latest.claim == begun.claim);
    Ok(enrolment.awaits_handshake() && last && slot_and_device == 1)
}

async fn overtaken(conn: &mut Conn, begun: &Begun, issued: &IssuedCertificate) -> Result<(), Fault> {
    // A claim that is seated belongs to a device that works; only its answer comes too late.
    sqlx::query(
        "UPDATE claim SET state = 'void', certificate = $2,
             void_reason = COALESCE(void_reason, 'superseded') WHERE claim = $1 AND state IN ('begun', 'void')",
    )
    .bind(&begun.claim)
    .bind(issued.serial.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// The seat, when an earlier attempt of this claim has written it.
async fn present(conn: &mut Conn, sheet: &Sheet, begun: &Begun, wish: &Wish) -> Result<Option<Seat>, Fault> {
    let row: Option<(String, String, i64)> = sqlx::query_as(
        "SELECT t.class, t.psk, t.generation FROM seat t, claim c
         WHERE t.slot = $1 AND t.place = 'active' AND t.public_key = $2 AND c.claim = $3 AND c.state = 'seated'",
    )
    .bind(sheet.slot.to_string())
    .bind(wish.public_key.to_string())
    .bind(&begun.claim)
    .fetch_optional(conn)
    .await?;
    row.map(|(class, psk, generation)| {
        Ok(Seat {
            slot: sheet.slot,
            class: parse(&class)?,
            key: wish.public_key,
            psk: PresharedKey::try_from(psk).map_err(|_| Fault::Row("psk".to_owned()))?,
            generation: generation.unsigned_abs(),
        })
    })
    .transpose()
}

/// Puts the final key into the active place, over the predecessor's.
async fn seat(conn: &mut Conn, sheet: &Sheet, wish: &Wish, psk: PresharedKey) -> Result<Seat, Fault> {
    let (generation, meetings): (i64, i64) =
        sqlx::query_as("SELECT generation, meetings FROM slot WHERE slot = $1")
            .bind(sheet.slot.to_string())
            .fetch_one(&mut *conn)
            .await?;
    let generation = generation + 1;
    let class = if meetings != 0 { SeatClass::ActiveMeetings } else { SeatClass::Active };
    sqlx::query(
        "INSERT INTO seat (slot, place, class, public_key, psk, generation) VALUES ($1, 'active', $2, $3, $4, $5)
         ON CONFLICT (slot, place) DO UPDATE SET class = excluded.class, public_key = excluded.public_key,
             psk = excluded.psk, generation = excluded.generation",
    )
    .bind(sheet.slot.to_string())
    .bind(class.as_str())
    .bind(wish.public_key.to_string())
    .bind(psk.expose_base64())
    .bind(generation)
    .execute(conn)
    .await?;
    Ok(Seat { slot: sheet.slot, class, key: wish.public_key, psk, generation: generation.unsigned_abs() })
}

async fn device(
    conn: &mut Conn,
    sheet: &Sheet,
    issued: &IssuedCertificate,
    label: &str,
) -> Result<(), Fault> {
    let label: String = label.chars().filter(|c| !c.is_control()).take(LABEL_MAX).collect();
    sqlx::query(
        "UPDATE device SET state = 'claimed', certificate = $2, certificate_end = $3,
             label = CASE WHEN $4 = '' THEN label ELSE $4 END WHERE device = $1",
    )
    .bind(&sheet.device)
    .bind(issued.serial.to_string())
    // The authority counts in seconds.
    .bind(issued.not_after.saturating_mul(1_000))
    .bind(label.trim())
    .execute(conn)
    .await?;
    Ok(())
}
