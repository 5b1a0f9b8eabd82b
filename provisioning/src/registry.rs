//! The lists that the secretariat and the engineer read: facilities, cases, slots, devices, status.
//! Reads only. Edge: SQL.

use std::collections::BTreeMap;

use pki::identity::FacilityId;
use vpn::slot::{Series, SlotNumber};

use crate::audit;
use crate::case::Step;
use crate::case_rows;
use crate::channel_work;
use crate::door::{
    CaseDetail, CaseRow, CaseStep, DeviceRow, FacilityRow, ProvisioningStatus, SlotDetail, SlotHistory,
    SlotRow,
};
use crate::facility::FacilityKind;
use crate::jst;
use crate::letters;
use crate::messages::Message;
use crate::office_fault::{OfficeFault, parse};
use crate::store::{self, GRANTS_VERSION};

pub async fn status(pool: &store::Pool) -> Result<ProvisioningStatus, OfficeFault> {
    let mut conn = pool.acquire().await?;
    let counts: (i64, i64, i64, i64, i64, i64, i64) = sqlx::query_as(
        "SELECT (SELECT COUNT(*) FROM facility WHERE kind <> $1),
                (SELECT COUNT(*) FROM office_case WHERE state NOT IN ('done', 'returned')),
                (SELECT COUNT(*) FROM slot WHERE state NOT IN ('free', 'cooling')),
                (SELECT COUNT(*) FROM slot WHERE state = 'active'),
                (SELECT COUNT(*) FROM outbox WHERE state = 'waiting'),
                (SELECT COUNT(*) FROM revocation WHERE completed_at IS NULL),
                (SELECT COUNT(*) FROM outbox WHERE state = 'failed')",
    )
    .bind(FacilityKind::Office.as_str())
    .fetch_one(&mut *conn)
    .await?;
    let head = audit::head(&mut conn).await?;
    Ok(ProvisioningStatus {
        facilities: narrow(counts.0),
        cases_open: narrow(counts.1),
        slots_allotted: narrow(counts.2),
        slots_active: narrow(counts.3),
        outbox_waiting: narrow(counts.4),
        outbox_failed: narrow(counts.6),
        receipts_pending: narrow(counts.5),
        audit_entries: head.entries,
        audit_head: head.hash.to_string(),
        grants_version: store::current(&mut conn, GRANTS_VERSION).await?.unsigned_abs(),
        bounces: None,
        mail_signature: None,
    })
}

/// All facilities but the secretariat's own, by code.
pub async fn facilities(
    pool: &store::Pool,
    one: Option<&FacilityId>,
) -> Result<Vec<FacilityRow>, OfficeFault> {
    let one = one.map_or("", FacilityId::as_str);
    let rows: Vec<(String, String, String, String, String, i64, String)> = sqlx::query_as(
        "SELECT f.facility, f.code, f.name, f.kind, COALESCE(MIN(a.written), ''), f.vpn_requested, f.state
         FROM facility f
         LEFT JOIN membership m ON m.facility = f.facility AND m.role = 'facility-admin' AND m.state = 'active'
         LEFT JOIN address a ON a.person = m.person AND a.use_as = 'admin'
         WHERE f.kind <> $1 AND ($2 = '' OR f.facility = $2)
         GROUP BY f.facility, f.code, f.name, f.kind, f.vpn_requested, f.state ORDER BY f.code, f.kind",
    )
    .bind(FacilityKind::Office.as_str())
    .bind(one)
    .fetch_all(pool)
    .await?;
    let held: Vec<(String, String)> = sqlx::query_as(
        "SELECT facility, slot FROM slot WHERE facility IS NOT NULL AND ($1 = '' OR facility = $1)
         ORDER BY series, number",
    )
    .bind(one)
    .fetch_all(pool)
    .await?;
    let mut slots: BTreeMap<String, Vec<SlotNumber>> = BTreeMap::new();
    for (facility, slot) in held {
        slots.entry(facility).or_default().push(parse(&slot)?);
    }
    rows.into_iter()
        .map(|(facility, code, name, kind, admin_address, vpn_requested, state)| {
            Ok(FacilityRow {
                slots: slots.remove(&facility).unwrap_or_default(),
                facility: parse(&facility)?,
                code,
                name,
                kind,
                admin_address,
                vpn_requested: narrow(vpn_requested),
                state,
            })
        })
        .collect()
}

pub async fn cases(pool: &store::Pool) -> Result<Vec<CaseRow>, OfficeFault> {
    let rows: Vec<StoredCase> = sqlx::query_as(
        "SELECT case_id, flow, facility_name, facility_code, state, received_at FROM office_case ORDER BY case_id",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(case_row).collect())
}

/// A case with its whole checklist, the open steps too.
pub async fn case(pool: &store::Pool, case: &str) -> Result<CaseDetail, OfficeFault> {
    let mut conn = pool.acquire().await?;
    let found = case_rows::find(&mut conn, case).await?;
    let row: StoredCase = sqlx::query_as(
        "SELECT case_id, flow, facility_name, facility_code, state, received_at FROM office_case WHERE case_id = $1",
    )
    .bind(&found.case)
    .fetch_one(&mut *conn)
    .await?;
    let closed: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT step, at, operator FROM case_step WHERE case_id = $1")
            .bind(&found.case)
            .fetch_all(&mut *conn)
            .await?;
    let steps = Step::ALL.map(|step| {
        let closed = closed.iter().find(|(id, ..)| id == step.id());
        CaseStep {
            id: step.id().to_owned(),
            name_ja: step.name_ja().to_owned(),
            at: closed.map(|(_, at, _)| jst::rfc3339(*at)),
            operator: closed.map(|(.., operator)| operator.clone()),
        }
    });
    let letters = match &found.facility {
        Some(facility) => letters::of_facility(&mut conn, facility).await?,
        None => Vec::new(),
    };
    let delivery = match &found.facility {
        Some(facility) => channel_work::of_facility(&mut conn, facility).await?,
        None => channel_work::of_case(&mut conn, &found.case).await?,
    };
    Ok(CaseDetail { row: case_row(row), delivery, steps: steps.to_vec(), letters })
}

pub async fn slots(
    pool: &store::Pool,
    series: Option<Series>,
    one: Option<&FacilityId>,
) -> Result<Vec<SlotRow>, OfficeFault> {
    let rows: Vec<StoredSlot> = sqlx::query_as(
        "SELECT s.slot, s.state, s.facility, f.name, s.meetings, s.generation
         FROM slot s LEFT JOIN facility f ON f.facility = s.facility
         WHERE ($1 = '' OR s.series = $1) AND ($2 = '' OR s.facility = $2) ORDER BY s.series, s.number",
    )
    .bind(series.map(|series| series.to_string()).unwrap_or_default())
    .bind(one.map_or("", FacilityId::as_str))
    .fetch_all(pool)
    .await?;
    rows.into_iter().map(slot_row).collect()
}

/// A number with its history; `renewal` knows its enrolment.
pub async fn slot(pool: &store::Pool, slot: SlotNumber) -> Result<SlotDetail, OfficeFault> {
    let row: Option<StoredSlot> = sqlx::query_as(
        "SELECT s.slot, s.state, s.facility, f.name, s.meetings, s.generation
         FROM slot s LEFT JOIN facility f ON f.facility = s.facility WHERE s.slot = $1",
    )
    .bind(slot.to_string())
    .fetch_optional(pool)
    .await?;
    let history: Vec<(i64, String, Option<String>, String)> = sqlx::query_as(
        "SELECT h.at, h.state, f.name, h.note
         FROM slot_history h LEFT JOIN facility f ON f.facility = h.facility
         WHERE h.slot = $1 ORDER BY h.at, h.entry",
    )
    .bind(slot.to_string())
    .fetch_all(pool)
    .await?;
    let history = history
        .into_iter()
        .map(|(at, state, facility_name, note)| SlotHistory {
            at: jst::rfc3339(at),
            state,
            facility_name,
            note,
        })
        .collect();
    Ok(SlotDetail { row: slot_row(row.ok_or(Message::SlotUnknown { slot })?)?, history, enrolment: None })
}

pub async fn devices(
    pool: &store::Pool,
    facility: Option<&FacilityId>,
) -> Result<Vec<DeviceRow>, OfficeFault> {
    let rows: Vec<StoredDevice> = sqlx::query_as(
        "SELECT device, slot, facility, label, state, certificate, certificate_end FROM device
         WHERE $1 = '' OR facility = $1 ORDER BY slot, created_at",
    )
    .bind(facility.map_or("", FacilityId::as_str))
    .fetch_all(pool)
    .await?;
    rows.into_iter()
        .map(|(device, slot, facility, label, state, certificate, certificate_end)| {
            Ok(DeviceRow {
                device,
                slot: parse(&slot)?,
                facility: parse(&facility)?,
                label,
                state,
                certificate,
                certificate_ends: certificate_end.map(jst::rfc3339),
            })
        })
        .collect()
}

type StoredCase = (String, String, String, String, String, i64);
type StoredDevice = (String, String, String, String, String, Option<String>, Option<i64>);
type StoredSlot = (String, String, Option<String>, Option<String>, i64, i64);

fn case_row((case, flow, facility_name, facility_code, state, received): StoredCase) -> CaseRow {
    CaseRow { case, flow, facility_name, facility_code, state, received: jst::rfc3339(received) }
}

fn slot_row(row: StoredSlot) -> Result<SlotRow, OfficeFault> {
    let (slot, state, facility, facility_name, meetings, generation) = row;
    Ok(SlotRow {
        slot: parse(&slot)?,
        state,
        facility: facility.as_deref().map(parse).transpose()?,
        facility_name,
        meetings: meetings != 0,
        generation: generation.unsigned_abs(),
    })
}

fn narrow(count: i64) -> u32 {
    u32::try_from(count).unwrap_or(0)
}
