//! One claim from entry to answer: four durable steps, each of which may be the last before a crash.
//! The device asks again with the same keys and the work goes on where it stopped. Edge: SQL, tokio.
//!
//! ```text
//! entry counted ─▶ claim begun ─▶ certificate issued (token = claim) ─▶ seat written ─▶ vpn seated ─▶ answer
//! ```
//! A wrong number and a wrong password take one way and one Argon2 run; a number of another slot is a wrong number.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use data_encoding::{BASE32_NOPAD, BASE64};
use pki::chain::Hash;
use pki::door::{IssuedCertificate, IssuingAnswer, IssuingQuestion, IssuingRefusal};
use pki::identity::TraceId;
use serde_json::json;
use subtle::ConstantTimeEq;
use vpn::Place;
use vpn::door::{SeatsAnswer, SeatsQuestion};
use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::{SeatClass, SlotNumber};

use crate::bundle::FinalTunnel;
use crate::claim::{Effect, Event, step};
use crate::claim_seat::{self, Seated};
use crate::enrolments::{self, Begun, Entry, Sheet, Wish, record};
use crate::fault::Fault;
use crate::messages_people::{PeopleMessage, Refusal};
use crate::shared::{Config, Shared};
use crate::store::{Conn, transaction};
use crate::ticket::{TicketNumber, TicketPassword};
use crate::{claim_void, password, world};

/// A neighbour that needs longer is not there; the device asks again.
const NEIGHBOUR_WAIT: Duration = Duration::from_secs(10);

/// What the device needs from now on.
pub struct Claimed {
    pub slot: SlotNumber,
    /// The final tunnel's address.
    pub address: Ipv4Addr,
    pub psk: PresharedKey,
    /// Leaf, then the device CA (DER).
    pub chain: Vec<Vec<u8>>,
    /// The admin's login, when the claim was an admin's.
    pub login: Option<String>,
    pub claims_left: u32,
}

pub async fn claim(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    entry: Entry,
    wish: Wish,
) -> Result<Claimed, Fault> {
    let (sheet, admin_hash) = admit(shared, slot, trace, &entry, &wish.public_key).await?;
    proceed(shared, &sheet, trace, &wish, admin_hash).await
}

/// The first half: the sheet is in right hands, the key can be used, and an admin has chosen a password (its hash).
pub(crate) async fn admit(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    entry: &Entry,
    public_key: &PublicKey,
) -> Result<(Sheet, Option<String>), Fault> {
    let sheet = enter(shared, slot, trace, entry).await?;
    if !public_key.is_usable() {
        return Err(PeopleMessage::ClaimKey.about("weak").into());
    }
    let admin_hash = admin_password(shared, &sheet, entry).await?;
    Ok((sheet, admin_hash))
}

/// The second half, for a sheet that was admitted: from the claim's row to the seat in the data plane.
pub(crate) async fn proceed(
    shared: &Shared,
    sheet: &Sheet,
    trace: Option<TraceId>,
    wish: &Wish,
    admin_hash: Option<String>,
) -> Result<Claimed, Fault> {
    let slot = sheet.slot;
    let from = bootstrap_endpoint(shared, slot).await?;
    let begun = begin(shared, sheet, trace, wish, from).await?;
    let issued = issue(shared, sheet, &begun, wish).await?;
    let seated = claim_seat::write(shared, sheet, &begun, &issued, wish, admin_hash, trace).await?;
    place(shared, &seated).await?;
    // The predecessor's certificate; what fails now is done by the worker.
    claim_void::sweep(shared).await;
    let login = login(shared, sheet).await?;
    let address = final_address(shared, slot)?;
    let (psk, chain, claims_left) = (seated.seat.psk, issued.chain, begun.claims_left);
    Ok(Claimed { slot, address, psk, chain, login, claims_left })
}

/// Where the slot's final tunnel is.
pub(crate) fn final_address(shared: &Shared, slot: SlotNumber) -> Result<Ipv4Addr, Fault> {
    let address = shared.config.plan.address(slot, Place::Active);
    address.ok_or_else(|| Fault::Row(format!("{slot} is not of this realm")))
}

impl Claimed {
    pub fn tunnel<'a>(&'a self, config: &'a Config) -> FinalTunnel<'a> {
        FinalTunnel {
            address: self.address,
            psk: &self.psk,
            server_public_key: config.server_public_key,
            gateway: config.plan.gateway(),
            gateway_open: config.plan.gateway_open(),
            endpoint: &config.endpoint,
        }
    }
}

/// Step 1: number and password. A failure is stored before it is answered.
async fn enter(
    shared: &Shared,
    slot: SlotNumber,
    trace: Option<TraceId>,
    entry: &Entry,
) -> Result<Sheet, Fault> {
    let sheet = enrolments::of_slot(&mut *shared.store.pool().acquire().await?, slot).await?;
    if let Some(sheet) = &sheet {
        // Paused and locked are known to everybody in this slot: no hash is spent on them.
        step(sheet.enrolment.clone(), &Event::Entry { right: false }, world::now_ms())?;
    }
    let number = TicketNumber::parse(&entry.number);
    let number_right: bool = match (&sheet, &number) {
        (Some(sheet), Some(number)) => sheet.number.as_bytes().ct_eq(number.as_str().as_bytes()).into(),
        _ => false,
    };
    // What cannot be a sheet's password is verified all the same, so that it costs the same.
    let typed = TicketPassword::parse(&entry.password).map(|password| password.expose());
    let typed = typed.unwrap_or_else(|| entry.password.clone());
    let hash = sheet.as_ref().map(|sheet| sheet.password_hash.clone());
    let password_right = shared.hasher.verify(typed, hash).await?;
    let Some(sheet) = sheet else { return Err(PeopleMessage::ClaimWrong.into()) };
    count(shared, &sheet, trace, number_right & password_right).await?;
    Ok(sheet)
}

/// One entry, counted and stored before it is answered; `Err` is what whoever entered is told.
pub(crate) async fn count(
    shared: &Shared,
    sheet: &Sheet,
    trace: Option<TraceId>,
    right: bool,
) -> Result<(), Fault> {
    let now = world::now_ms();
    let refused = transaction!(shared.store, conn => {
        let enrolment = enrolments::state(conn, &sheet.number).await?;
        let (next, effects) = step(enrolment, &Event::Entry { right }, now)?;
        enrolments::store(conn, &sheet.number, &next).await?;
        let refused = effects.into_iter().find_map(|effect| match effect {
            Effect::Refuse(refusal) => Some(refusal),
            _ => None,
        });
        if let Some(refusal) = &refused {
            let detail = json!({ "code": refusal.message.words().code, "failures": next.failures });
            record(conn, now, trace, "claim.refused", sheet.slot, detail).await?;
        }
        Ok::<_, Fault>(refused)
    })?;
    match refused {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// 本登録 (G-05): the admin's own password, asked for once; a repeated claim may change it.
async fn admin_password(shared: &Shared, sheet: &Sheet, entry: &Entry) -> Result<Option<String>, Fault> {
    let Some(person) = sheet.admin() else { return Ok(None) };
    let (login, has_password): (String, i64) = sqlx::query_as(
        "SELECT login, CASE WHEN password_hash IS NULL THEN 0 ELSE 1 END FROM person WHERE person = $1",
    )
    .bind(person)
    .fetch_one(shared.store.pool())
    .await?;
    let ours =
        enrolments::set_password_before(&mut *shared.store.pool().acquire().await?, &sheet.number).await?;
    if has_password == 1 && !ours {
        // An admin who is known keeps the password: a sheet is no way to reset it.
        return Ok(None);
    }
    match &entry.admin_password {
        None if has_password == 1 => Ok(None),
        None => Err(PeopleMessage::ClaimAdminPassword.into()),
        Some(typed) => {
            let password = password::check(typed, &login).map_err(Refusal::from)?;
            Ok(Some(shared.hasher.hash(password).await?))
        }
    }
}

/// Where the bootstrap tunnel is now. Without the vpn room nothing is begun: it could not be ended.
async fn bootstrap_endpoint(shared: &Shared, slot: SlotNumber) -> Result<Option<SocketAddr>, Fault> {
    match tokio::time::timeout(NEIGHBOUR_WAIT, shared.needs.seats.ask(SeatsQuestion::Status)).await {
        Ok(Ok(SeatsAnswer::Status(status))) => Ok(status
            .seats
            .iter()
            .find(|seat| seat.slot == slot && seat.class == SeatClass::Enrolling)
            .and_then(|seat| seat.endpoint)),
        _ => Err(PeopleMessage::NeighbourSilent.about("vpn").into()),
    }
}

/// Step 2: the claim exists. The same keys within the time are the same claim and cost nothing.
async fn begin(
    shared: &Shared,
    sheet: &Sheet,
    trace: Option<TraceId>,
    wish: &Wish,
    from: Option<SocketAddr>,
) -> Result<Begun, Fault> {
    let fingerprint = fingerprint(wish);
    let fresh = format!("c-{}", BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase());
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        let enrolment = enrolments::state(conn, &sheet.number).await?;
        if enrolment.awaits_handshake()
            && let Some(latest) = enrolments::latest_claim(conn, &sheet.number).await?
            && latest.fingerprint == fingerprint
        {
            step(enrolment.clone(), &Event::Entry { right: true }, now)?;
            return Ok(Begun { claim: latest.claim, claims_left: enrolment.claims_left() });
        }
        refuse_taken_key(conn, sheet.slot, &wish.public_key).await?;
        let (next, _) = step(enrolment, &Event::Claim { bootstrap_from: from }, now)?;
        enrolments::store(conn, &sheet.number, &next).await?;
        sqlx::query(
            "INSERT INTO claim (claim, number, nth, fingerprint, request, state, begun_at)
             VALUES ($1, $2, $3, $4, $5, 'begun', $6)",
        )
        .bind(&fresh)
        .bind(&sheet.number)
        .bind(i64::from(next.claims))
        .bind(&fingerprint)
        .bind(BASE64.encode(&wish.request))
        .bind(now)
        .execute(&mut *conn)
        .await?;
        let detail = json!({ "claim": fresh, "nth": next.claims, "keys": wish.keys.as_str() });
        record(conn, now, trace, "claim.begin", sheet.slot, detail).await?;
        Ok(Begun { claim: fresh.clone(), claims_left: next.claims_left() })
    })
}

/// Step 3: the authority signs, or says why not; a refused request is no claim.
async fn issue(
    shared: &Shared,
    sheet: &Sheet,
    begun: &Begun,
    wish: &Wish,
) -> Result<IssuedCertificate, Fault> {
    let question = IssuingQuestion::Issue {
        slot: sheet.slot,
        kind: sheet.kind,
        request: wish.request.clone(),
        token: begun.claim.clone(),
    };
    let silent = || Fault::from(PeopleMessage::NeighbourSilent.about("pki"));
    let answer = tokio::time::timeout(NEIGHBOUR_WAIT, shared.needs.issuing.ask(question)).await;
    match answer.map_err(|_| silent())?.map_err(|_| silent())? {
        IssuingAnswer::Issued(issued) => Ok(issued),
        IssuingAnswer::Refused(IssuingRefusal::Unavailable { .. }) => Err(silent()),
        IssuingAnswer::Refused(refusal) => {
            not_issued(shared, sheet, begun).await?;
            Err(PeopleMessage::ClaimRequest.about(refusal.to_string()).into())
        }
        IssuingAnswer::Revoked { .. } | IssuingAnswer::Attested(_) | IssuingAnswer::ProfileSigned(_) => {
            Err(silent())
        }
    }
}

async fn not_issued(shared: &Shared, sheet: &Sheet, begun: &Begun) -> Result<(), Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        let voided = sqlx::query(
            "UPDATE claim SET state = 'void', revoked_at = $2 WHERE claim = $1 AND state = 'begun'",
        )
        .bind(&begun.claim)
        .bind(now)
        .execute(&mut *conn)
        .await?;
        // Two answers to the same refused claim take back one claim.
        if voided.rows_affected() == 1 {
            let enrolment = enrolments::state(conn, &sheet.number).await?;
            let (next, _) = step(enrolment, &Event::NotIssued, now)?;
            enrolments::store(conn, &sheet.number, &next).await?;
        }
        Ok::<_, Fault>(())
    })
}

/// Step 5: the data plane. The row is there already: if vpn is not, the worker seats it later.
async fn place(shared: &Shared, seated: &Seated) -> Result<(), Fault> {
    let question = SeatsQuestion::Seat(seated.seat.clone());
    let _seating = shared.seating.lock().await;
    match tokio::time::timeout(NEIGHBOUR_WAIT, shared.needs.seats.ask(question)).await {
        Ok(Ok(SeatsAnswer::Seated { .. })) => Ok(()),
        other => {
            if let Ok(Ok(SeatsAnswer::Refused(refusal))) = other {
                log::warn!(SLOT = seated.seat.slot.to_string().as_str(); "the vpn room refused a seat: {refusal}");
            }
            shared.bells.seats.notify_one();
            Err(PeopleMessage::NeighbourSilent.about("vpn").into())
        }
    }
}

pub(crate) async fn login(shared: &Shared, sheet: &Sheet) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT login FROM person WHERE person = $1")
        .bind(sheet.admin())
        .fetch_optional(shared.store.pool())
        .await?)
}

/// One key sits in one seat, in this slot or any other.
pub(crate) async fn refuse_taken_key(
    conn: &mut Conn,
    slot: SlotNumber,
    key: &PublicKey,
) -> Result<(), Fault> {
    let taken: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM seat WHERE public_key = $1 AND NOT (slot = $2 AND place = 'active')",
    )
    .bind(key.to_string())
    .bind(slot.to_string())
    .fetch_one(conn)
    .await?;
    if taken > 0 { Err(PeopleMessage::ClaimKey.about("in use").into()) } else { Ok(()) }
}

/// What makes two requests the same claim.
fn fingerprint(wish: &Wish) -> String {
    let mut bytes = wish.public_key.as_bytes().to_vec();
    bytes.extend_from_slice(&wish.request);
    Hash::of(&bytes).to_string()
}
