//! The rows of `revocation` and `revocation_point`, and the receipt they make. Edge: SQL.

use pki::door::Attestation;
use pki::identity::PersonId;
use serde_json::{Value, json};
use vpn::slot::SlotNumber;

use crate::door::{Receipt, ReceiptPoint, ReceiptSignature, RevokeReason};
use crate::fault::{Fault, parse};
use crate::jst;
use crate::messages_people::PeopleMessage;
use crate::receipt::{PointName, Statement};
use crate::store::{Conn, Pool};

/// What is to be driven.
#[derive(Clone)]
pub(crate) struct Pending {
    pub receipt: String,
    pub slot: SlotNumber,
    pub device: String,
    pub generation: u64,
    pub reason: RevokeReason,
    pub by: String,
    pub committed_at: i64,
    /// Points that have not acknowledged.
    pub open: Vec<PointName>,
}

/// Whose revocation, in the columns' order.
pub(crate) struct NewReceipt<'a> {
    pub receipt: &'a str,
    pub slot: SlotNumber,
    pub device: &'a str,
    pub generation: i64,
    pub reason: RevokeReason,
    pub by: &'a str,
}

pub(crate) async fn insert(conn: &mut Conn, new: NewReceipt<'_>, now: i64) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO revocation (receipt, slot, device, generation, reason, by_whom, committed_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(new.receipt)
    .bind(new.slot.to_string())
    .bind(new.device)
    .bind(new.generation)
    .bind(new.reason.as_str())
    .bind(new.by)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    for point in PointName::ALL {
        sqlx::query("INSERT INTO revocation_point (receipt, point) VALUES ($1, $2)")
            .bind(new.receipt)
            .bind(point.as_str())
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// The receipt of a device that was revoked in this slot.
pub(crate) async fn of_device(
    conn: &mut Conn,
    slot: SlotNumber,
    device: &str,
) -> Result<Option<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT receipt FROM revocation WHERE slot = $1 AND device = $2")
        .bind(slot.to_string())
        .bind(device)
        .fetch_optional(conn)
        .await?)
}

/// Receipts that still miss something, oldest first.
pub(crate) async fn pending(pool: &Pool) -> Result<Vec<String>, Fault> {
    Ok(sqlx::query_scalar("SELECT receipt FROM revocation WHERE completed_at IS NULL ORDER BY committed_at")
        .fetch_all(pool)
        .await?)
}

pub(crate) async fn load(conn: &mut Conn, receipt: &str) -> Result<Pending, Fault> {
    type Row = (String, String, i64, String, String, i64);
    let row: Option<Row> = sqlx::query_as(
        "SELECT slot, device, generation, reason, by_whom, committed_at FROM revocation WHERE receipt = $1",
    )
    .bind(receipt)
    .fetch_optional(&mut *conn)
    .await?;
    let (slot, device, generation, reason, by, committed_at) = row.ok_or_else(|| unknown(receipt))?;
    let open: Vec<String> = sqlx::query_scalar(
        "SELECT point FROM revocation_point WHERE receipt = $1 AND acknowledged_at IS NULL",
    )
    .bind(receipt)
    .fetch_all(conn)
    .await?;
    Ok(Pending {
        receipt: receipt.to_owned(),
        slot: parse(&slot)?,
        device,
        generation: generation.unsigned_abs(),
        reason: revoke_reason(&reason)?,
        by,
        committed_at,
        open: PointName::ALL
            .into_iter()
            .filter(|point| open.iter().any(|name| name == point.as_str()))
            .collect(),
    })
}

/// An acknowledgement with its time. The first one counts.
pub(crate) async fn acknowledge(
    conn: &mut Conn,
    receipt: &str,
    point: PointName,
    at: i64,
    detail: &str,
) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE revocation_point SET acknowledged_at = $3, detail = $4, attempts = attempts + 1
         WHERE receipt = $1 AND point = $2 AND acknowledged_at IS NULL",
    )
    .bind(receipt)
    .bind(point.as_str())
    .bind(at)
    .bind(detail)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn fail(conn: &mut Conn, receipt: &str, point: PointName, why: &str) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE revocation_point SET attempts = attempts + 1, last_error = $3
         WHERE receipt = $1 AND point = $2 AND acknowledged_at IS NULL",
    )
    .bind(receipt)
    .bind(point.as_str())
    .bind(why)
    .execute(conn)
    .await?;
    Ok(())
}

/// What the authority signs; `None` while a point is open.
pub(crate) async fn hash(conn: &mut Conn, pending: &Pending) -> Result<Option<pki::chain::Hash>, Fault> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT point, acknowledged_at FROM revocation_point WHERE receipt = $1 AND acknowledged_at IS NOT NULL",
    )
    .bind(&pending.receipt)
    .fetch_all(conn)
    .await?;
    let acknowledged = PointName::ALL
        .into_iter()
        .filter_map(|point| rows.iter().find(|(name, _)| name == point.as_str()).map(|(_, at)| (point, *at)))
        .collect();
    let statement = Statement {
        receipt: &pending.receipt,
        slot: &pending.slot.to_string(),
        device: &pending.device,
        generation: pending.generation,
        reason: pending.reason.as_str(),
        by: &pending.by,
        committed_at: pending.committed_at,
        acknowledged,
    };
    Ok(statement.hash())
}

/// The receipt is complete and signed. False when it was already.
pub(crate) async fn complete(
    conn: &mut Conn,
    receipt: &str,
    attestation: &Attestation,
    now: i64,
) -> Result<bool, Fault> {
    let signed = json!({
        "hash": attestation.hash, "entry": attestation.entry, "head": attestation.head,
        "signature": data_encoding::BASE64.encode(&attestation.signature),
    });
    let done = sqlx::query(
        "UPDATE revocation SET completed_at = $2, attestation = $3 WHERE receipt = $1 AND completed_at IS NULL",
    )
    .bind(receipt)
    .bind(now)
    .bind(signed.to_string())
    .execute(conn)
    .await?;
    Ok(done.rows_affected() == 1)
}

/// The receipt as people and programs read it.
pub(crate) async fn show(conn: &mut Conn, receipt: &str) -> Result<Receipt, Fault> {
    type Row = (String, String, String, i64, Option<i64>, Option<String>);
    let row: Option<Row> = sqlx::query_as(
        "SELECT slot, reason, by_whom, committed_at, completed_at, attestation FROM revocation WHERE receipt = $1",
    )
    .bind(receipt)
    .fetch_optional(&mut *conn)
    .await?;
    let (slot, reason, by, committed_at, completed_at, attestation) = row.ok_or_else(|| unknown(receipt))?;
    Ok(Receipt {
        receipt: receipt.to_owned(),
        slot: parse(&slot)?,
        reason: revoke_reason(&reason)?,
        person: by.parse::<PersonId>().ok(),
        by,
        committed_at: jst::rfc3339(committed_at),
        points: show_points(conn, receipt, committed_at).await?,
        complete: completed_at.is_some(),
        signature: attestation.as_deref().map(show_signature).transpose()?,
        dry_run: false,
    })
}

async fn show_points(conn: &mut Conn, receipt: &str, committed_at: i64) -> Result<Vec<ReceiptPoint>, Fault> {
    type Row = (String, Option<i64>, i64, Option<String>, Option<String>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT point, acknowledged_at, attempts, last_error, detail FROM revocation_point WHERE receipt = $1",
    )
    .bind(receipt)
    .fetch_all(conn)
    .await?;
    let mut points: Vec<ReceiptPoint> = rows
        .into_iter()
        .map(|(point, at, attempts, last_error, detail)| ReceiptPoint {
            point,
            acknowledged_at: at.map(jst::rfc3339),
            after_ms: at.map(|at| at - committed_at),
            attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
            last_error,
            detail,
        })
        .collect();
    points.sort_by_key(|shown| PointName::ALL.into_iter().position(|point| point.as_str() == shown.point));
    Ok(points)
}

fn show_signature(stored: &str) -> Result<ReceiptSignature, Fault> {
    let broken = || Fault::Row("revocation.attestation".to_owned());
    let stored: Value = serde_json::from_str(stored).map_err(|_| broken())?;
    let text = |name: &str| stored[name].as_str().map(str::to_owned).ok_or_else(broken);
    Ok(ReceiptSignature {
        hash: text("hash")?,
        ledger_entry: stored["entry"].as_u64().ok_or_else(broken)?,
        ledger_head: text("head")?,
        signature: text("signature")?,
    })
}

fn revoke_reason(text: &str) -> Result<RevokeReason, Fault> {
    let reason = RevokeReason::ALL.into_iter().find(|reason| reason.as_str() == text);
    reason.ok_or_else(|| Fault::Row(text.to_owned()))
}

fn unknown(receipt: &str) -> Fault {
    PeopleMessage::ReceiptUnknown.about(receipt.chars().take(40).collect::<String>()).into()
}
