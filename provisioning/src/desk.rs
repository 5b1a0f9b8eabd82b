//! What lies on somebody's desk: what waits for the secretariat, what a facility's admin sees of its devices.
//! Reads only. Edge: SQL.

use pki::identity::FacilityId;
use vpn::slot::SlotNumber;

use crate::fault::{Fault, parse};
use crate::jst;
use crate::shared::Shared;

/// Rows of one list on the first page; the rest is one link further.
const SHOWN_MAX: i64 = 50;
/// A letter that failed this often is shown: once may be a restart.
const FAILED_FROM: i64 = 2;

/// A number with its password that nobody has used up yet.
pub struct OpenEnrolment {
    pub slot: SlotNumber,
    pub facility_name: String,
    pub valid_until: String,
    /// 15 wrong entries, or used from two places: somebody will call.
    pub locked: bool,
}

pub struct PendingReceipt {
    pub receipt: String,
    pub slot: SlotNumber,
    pub committed_at: String,
}

pub struct HeldLetter {
    pub kind: String,
    pub slot: String,
    pub recipient: String,
    pub attempts: i64,
    pub answer: String,
}

/// A facility's device with what its admin needs to know.
pub struct DeviceLine {
    pub slot: SlotNumber,
    pub label: String,
    pub state: String,
    pub certificate_ends: Option<String>,
    /// The receipt of its end.
    pub receipt: Option<String>,
}

pub async fn open_enrolments(shared: &Shared) -> Result<Vec<OpenEnrolment>, Fault> {
    let rows: Vec<(String, String, i64, String)> = sqlx::query_as(
        "SELECT e.slot, f.name, e.valid_until, e.state
         FROM enrolment e JOIN device d ON d.device = e.device JOIN facility f ON f.facility = d.facility
         WHERE e.state IN ('open', 'claimed', 'locked') AND d.state IN ('enrolling', 'claimed')
         ORDER BY e.valid_until, e.slot LIMIT $1",
    )
    .bind(SHOWN_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let open = |(slot, facility_name, valid_until, state): (String, String, i64, String)| {
        Ok(OpenEnrolment {
            slot: parse(&slot)?,
            facility_name,
            valid_until: jst::rfc3339(valid_until),
            locked: state == "locked",
        })
    };
    rows.into_iter().map(open).collect()
}

pub async fn pending_receipts(shared: &Shared) -> Result<Vec<PendingReceipt>, Fault> {
    let rows: Vec<(String, String, i64)> = sqlx::query_as(
        "SELECT receipt, slot, committed_at FROM revocation WHERE completed_at IS NULL
         ORDER BY committed_at LIMIT $1",
    )
    .bind(SHOWN_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let pending = |(receipt, slot, at): (String, String, i64)| {
        Ok(PendingReceipt { receipt, slot: parse(&slot)?, committed_at: jst::rfc3339(at) })
    };
    rows.into_iter().map(pending).collect()
}

/// Letters that could not leave.
pub async fn held_letters(shared: &Shared) -> Result<Vec<HeldLetter>, Fault> {
    type Row = (String, Option<String>, String, i64, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT kind, slot, recipient, attempts, last_answer FROM outbox
         WHERE state = 'failed' OR (state = 'waiting' AND attempts >= $1) ORDER BY created_at LIMIT $2",
    )
    .bind(FAILED_FROM)
    .bind(SHOWN_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let held = |(kind, slot, recipient, attempts, answer): Row| HeldLetter {
        kind,
        slot: slot.unwrap_or_default(),
        recipient,
        attempts,
        answer: answer.unwrap_or_default(),
    };
    Ok(rows.into_iter().map(held).collect())
}

/// The devices of a facility, or of one slot (`slot` not empty); the newest of a slot last.
pub async fn devices(
    shared: &Shared,
    facility: Option<&FacilityId>,
    slot: &str,
) -> Result<Vec<DeviceLine>, Fault> {
    type Row = (String, String, String, Option<i64>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT d.slot, d.label, d.state, d.certificate_end, r.receipt
         FROM device d LEFT JOIN revocation r ON r.slot = d.slot AND r.device = d.device
         WHERE ($1 = '' OR d.facility = $1) AND ($2 = '' OR d.slot = $2)
         ORDER BY CASE WHEN d.state = 'revoked' THEN 1 ELSE 0 END, d.slot, d.created_at",
    )
    .bind(facility.map_or("", FacilityId::as_str))
    .bind(slot)
    .fetch_all(shared.store.pool())
    .await?;
    let line = |(slot, label, state, end, receipt): Row| {
        Ok(DeviceLine { slot: parse(&slot)?, label, state, certificate_ends: end.map(jst::rfc3339), receipt })
    };
    rows.into_iter().map(line).collect()
}

/// A facility's name; empty when there is none.
pub async fn facility_name(shared: &Shared, facility: &FacilityId) -> Result<String, Fault> {
    let name: Option<String> = sqlx::query_scalar("SELECT name FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(shared.store.pool())
        .await?;
    Ok(name.unwrap_or_default())
}

/// Whose device a receipt is about.
pub async fn receipt_facility(shared: &Shared, receipt: &str) -> Result<Option<FacilityId>, Fault> {
    let facility: Option<String> = sqlx::query_scalar(
        "SELECT d.facility FROM revocation r JOIN device d ON d.device = r.device WHERE r.receipt = $1",
    )
    .bind(receipt)
    .fetch_optional(shared.store.pool())
    .await?;
    facility.as_deref().map(parse).transpose()
}

/// Who holds a slot now.
pub async fn facility_of_slot(shared: &Shared, slot: SlotNumber) -> Result<String, Fault> {
    let name: Option<String> = sqlx::query_scalar(
        "SELECT f.name FROM slot s JOIN facility f ON f.facility = s.facility WHERE s.slot = $1",
    )
    .bind(slot.to_string())
    .fetch_optional(shared.store.pool())
    .await?;
    Ok(name.unwrap_or_default())
}
