//! What lies on somebody's desk: what waits for the secretariat, what a facility's admin sees of its devices.
//! Reads only. Edge: SQL.

use pki::identity::{FacilityId, MembershipId};
use vpn::slot::SlotNumber;

use crate::claim::WINDOW_MS;
use crate::fault::{Fault, parse};
use crate::jst;
use crate::reply;
use crate::shared::Shared;
use crate::world;

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
    /// The 30 days or the 24 hours are over.
    pub late: bool,
}

pub struct PendingReceipt {
    pub receipt: String,
    pub slot: SlotNumber,
    pub committed_at: String,
}

pub struct HeldLetter {
    pub message: String,
    pub facility_name: String,
    pub kind: String,
    pub slot: String,
    pub recipient: String,
    /// It waits for somebody, not for the next attempt.
    pub failed: bool,
    pub answer: String,
    pub meaning: &'static str,
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
    type Row = (String, String, i64, Option<i64>, String);
    let now = world::now_ms();
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT e.slot, f.name, e.valid_until, e.opened_at, e.state
         FROM enrolment e JOIN device d ON d.device = e.device JOIN facility f ON f.facility = d.facility
         WHERE (e.state IN ('open', 'claimed', 'locked') OR (e.state = 'void' AND e.admin_person IS NOT NULL))
           AND d.state IN ('enrolling', 'claimed') AND (e.admin_person IS NOT NULL OR e.valid_until > $2)
         ORDER BY e.valid_until, e.slot LIMIT $1",
    )
    .bind(SHOWN_MAX)
    .bind(now)
    .fetch_all(shared.store.pool())
    .await?;
    let open = |(slot, facility_name, valid_until, opened_at, state): Row| {
        let until = opened_at.map_or(valid_until, |at| valid_until.min(at.saturating_add(WINDOW_MS)));
        Ok(OpenEnrolment {
            slot: parse(&slot)?,
            facility_name,
            valid_until: jst::rfc3339(until),
            locked: matches!(state.as_str(), "locked" | "void"),
            late: until <= now,
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
    type Row = (String, String, Option<String>, String, Option<String>, String, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT o.message, o.kind, o.slot, o.recipient, f.name, o.state, o.last_answer
         FROM outbox o LEFT JOIN facility f ON f.facility = o.facility
         WHERE o.state = 'failed' OR (o.state = 'waiting' AND o.attempts >= $1)
            OR (o.state = 'bounced' AND NOT EXISTS (SELECT 1 FROM outbox n WHERE n.slot = o.slot
                AND n.facility = o.facility AND n.created_at > o.created_at AND n.state IN ('waiting', 'sent')))
         ORDER BY CASE WHEN o.state = 'waiting' THEN 1 ELSE 0 END, o.created_at LIMIT $2",
    )
    .bind(FAILED_FROM)
    .bind(SHOWN_MAX)
    .fetch_all(shared.store.pool())
    .await?;
    let held = |(message, kind, slot, recipient, facility_name, state, answer): Row| {
        let answer = answer.unwrap_or_default();
        HeldLetter {
            message,
            facility_name: facility_name.unwrap_or_default(),
            kind,
            slot: slot.unwrap_or_default(),
            recipient,
            failed: state != "waiting",
            meaning: reply::explain(&state, &answer).map_or("", |meaning| meaning.ja),
            answer,
        }
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

/// Where a facility's admin is written to; empty when there is none.
pub async fn admin_address(shared: &Shared, facility: &str) -> Result<String, Fault> {
    let address: Option<String> = sqlx::query_scalar(
        "SELECT MIN(a.written) FROM membership m JOIN address a ON a.person = m.person AND a.use_as = 'admin'
         WHERE m.facility = $1 AND m.role = 'facility-admin' AND m.state = 'active'",
    )
    .bind(facility)
    .fetch_one(shared.store.pool())
    .await?;
    Ok(address.unwrap_or_default())
}

/// Members of families, with the name of the 患者・家族事業所: who may leave (C-9).
pub async fn family_members(shared: &Shared) -> Result<Vec<(MembershipId, String)>, Fault> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT m.membership, p.name, f.name FROM membership m
         JOIN person p ON p.person = m.person JOIN facility f ON f.facility = m.facility
         WHERE m.role = 'family' AND m.state = 'active' ORDER BY f.code, p.login",
    )
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter().map(|(id, name, facility)| Ok((parse(&id)?, format!("{name}（{facility}）")))).collect()
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
