//! Sheets and their claims as rows: read into the state machine's values and written back, always inside
//! somebody's transaction. Edge: SQL.

use pki::door::DeviceKind;
use pki::identity::TraceId;
use serde_json::Value;
use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::SlotNumber;
use zeroize::Zeroizing;

use crate::audit::{self, Event};
use crate::claim::{Enrolment, EnrolmentState};
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::store::Conn;

/// A sheet with what it belongs to.
#[derive(Clone)]
pub struct Sheet {
    pub number: String,
    pub slot: SlotNumber,
    pub device: String,
    pub kind: DeviceKind,
    pub password_hash: String,
    /// Of a printed sheet: whom it is addressed to.
    pub admin_person: Option<String>,
    /// Of a 患者・家族事業所.
    pub of_family: bool,
    pub enrolment: Enrolment,
}

impl Sheet {
    /// Whose own password the claim sets (本登録, G-05). A family has no admin (A-08a): its device has a tunnel, and whoever
    /// uses it has the account that the secretariat made for them.
    pub fn admin(&self) -> Option<&str> {
        self.admin_person.as_deref().filter(|_| !self.of_family)
    }
}

/// A claim of a sheet: its id, and what makes a request the same claim.
pub struct ClaimRow {
    pub claim: String,
    pub fingerprint: String,
}

/// Why a claim ended; decides the reason in the revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoidReason {
    Superseded,
    Compromise,
}

impl VoidReason {
    pub fn as_str(self) -> &'static str {
        match self {
            VoidReason::Superseded => "superseded",
            VoidReason::Compromise => "compromise",
        }
    }
}

/// Who made the keys of a claim; the trail says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyMaker {
    Device,
    /// The fallback: the device's key was once known to somebody else.
    Server,
}

impl KeyMaker {
    pub fn as_str(self) -> &'static str {
        match self {
            KeyMaker::Device => "device",
            KeyMaker::Server => "server",
        }
    }
}

/// Who holds the sheet: what is typed from it.
pub struct Entry {
    pub number: String,
    pub password: Zeroizing<String>,
    pub admin_password: Option<Zeroizing<String>>,
}

/// What a claim is to make out of whose keys.
pub struct Wish {
    pub keys: KeyMaker,
    pub public_key: PublicKey,
    /// PKCS #10, DER.
    pub request: Vec<u8>,
    pub label: String,
    /// The final tunnel's, when the device knows it already; else one is drawn.
    pub psk: Option<PresharedKey>,
}

/// A claim in the registry, new or gone on with.
pub(crate) struct Begun {
    pub claim: String,
    pub claims_left: u32,
}

type SheetRow = (String, String, String, String, Option<String>, String);
type StateRow = (String, i64, i64, i64, Option<i64>, i64, Option<i64>, Option<String>);

/// The sheet that counts for a slot: the living one, else the newest.
pub async fn of_slot(conn: &mut Conn, slot: SlotNumber) -> Result<Option<Sheet>, Fault> {
    let row: Option<SheetRow> = sqlx::query_as(
        "SELECT e.number, e.device, d.kind, e.password_hash, e.admin_person, f.kind
         FROM enrolment e JOIN device d ON d.device = e.device JOIN facility f ON f.facility = d.facility
         WHERE e.slot = $1
         ORDER BY CASE WHEN e.state IN ('open', 'claimed') THEN 0 ELSE 1 END, e.generation DESC, e.number LIMIT 1",
    )
    .bind(slot.to_string())
    .fetch_optional(&mut *conn)
    .await?;
    let Some((number, device, kind, password_hash, admin_person, of)) = row else { return Ok(None) };
    let enrolment = state(conn, &number).await?;
    Ok(Some(Sheet {
        number,
        slot,
        device,
        kind: device_kind(&kind)?,
        password_hash,
        admin_person,
        of_family: of == FacilityKind::Family.as_str(),
        enrolment,
    }))
}

/// The state machine's value of one sheet.
pub async fn state(conn: &mut Conn, number: &str) -> Result<Enrolment, Fault> {
    let row: StateRow = sqlx::query_as(
        "SELECT state, failures, paused_until, valid_until, opened_at, claims, claimed_at, bootstrap_from
         FROM enrolment WHERE number = $1",
    )
    .bind(number)
    .fetch_one(conn)
    .await?;
    let (state, failures, paused_until, valid_until, opened_at, claims, claimed_at, bootstrap_from) = row;
    Ok(Enrolment {
        state: EnrolmentState::parse(&state).ok_or(Fault::Row(state))?,
        failures: u32::try_from(failures).unwrap_or(u32::MAX),
        paused_until,
        valid_until,
        opened_at,
        claims: u32::try_from(claims).unwrap_or(u32::MAX),
        claimed_at,
        bootstrap_from: bootstrap_from.map(|from| parse(&from)).transpose()?,
    })
}

pub async fn store(conn: &mut Conn, number: &str, enrolment: &Enrolment) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE enrolment SET state = $2, failures = $3, paused_until = $4, opened_at = $5, claims = $6,
             claimed_at = $7, bootstrap_from = $8, valid_until = $9 WHERE number = $1",
    )
    .bind(number)
    .bind(enrolment.state.as_str())
    .bind(i64::from(enrolment.failures))
    .bind(enrolment.paused_until)
    .bind(enrolment.opened_at)
    .bind(i64::from(enrolment.claims))
    .bind(enrolment.claimed_at)
    .bind(enrolment.bootstrap_from.map(|from| from.to_string()))
    .bind(enrolment.valid_until)
    .execute(conn)
    .await?;
    Ok(())
}

/// The last claim of a sheet that is not void.
pub async fn latest_claim(conn: &mut Conn, number: &str) -> Result<Option<ClaimRow>, Fault> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT claim, fingerprint FROM claim
         WHERE number = $1 AND state <> 'void' ORDER BY nth DESC, begun_at DESC LIMIT 1",
    )
    .bind(number)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(claim, fingerprint)| ClaimRow { claim, fingerprint }))
}

/// Voids every claim of a sheet but one (`keep`; empty keeps none); their certificates are revoked afterwards.
pub async fn void_claims(conn: &mut Conn, number: &str, keep: &str, reason: VoidReason) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE claim SET state = 'void', void_reason = $3 WHERE number = $1 AND claim <> $2 AND state <> 'void'",
    )
    .bind(number)
    .bind(keep)
    .bind(reason.as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// Did a claim of this sheet set its admin's password?
pub async fn set_password_before(conn: &mut Conn, number: &str) -> Result<bool, Fault> {
    let set: i64 = sqlx::query_scalar("SELECT count(*) FROM claim WHERE number = $1 AND sets_password = 1")
        .bind(number)
        .fetch_one(conn)
        .await?;
    Ok(set > 0)
}

/// A line of the audit about a slot's claim; the device has no name yet.
pub(crate) async fn record(
    conn: &mut Conn,
    now: i64,
    trace: Option<TraceId>,
    action: &str,
    slot: SlotNumber,
    detail: Value,
) -> Result<(), Fault> {
    let object = slot.to_string();
    audit::append(conn, now, Event { actor: "device", action, object: &object, trace, detail }).await?;
    Ok(())
}

pub fn device_kind(text: &str) -> Result<DeviceKind, Fault> {
    match text {
        "facility" => Ok(DeviceKind::Facility),
        "facility-admin" => Ok(DeviceKind::FacilityAdmin),
        "family" => Ok(DeviceKind::Family),
        other => Err(Fault::Row(other.to_owned())),
    }
}
