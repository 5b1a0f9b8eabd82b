//! The points of enforcement of one revocation, asked side by side until each has acknowledged, then the
//! authority's signature. Nothing here gives up; everything here may be done twice. Ends with the receipt, or when
//! the room stops: the rows know where to go on. Edge: SQL, tokio. Ruling 7.

use std::time::Duration;

use pki::door::{IssuingAnswer, IssuingQuestion, IssuingRefusal, Revoke};
use pki::serial::CertificateSerial;
use serde_json::json;
use vpn::door::{Point, SeatsAnswer, SeatsQuestion};

use crate::audit::{self, Event};
use crate::fault::{Fault, parse};
use crate::need::Cut;
use crate::receipt::{PointName, backoff_ms, certificate_reason};
use crate::receipt_rows::{self, Pending};
use crate::shared::Shared;
use crate::slots::SlotState;
use crate::store::{Conn, transaction};
use crate::{slot_rows, world};

/// A point that needs longer counts as failed and is asked again; an answer that comes late is asked for again.
const ANSWER_WAIT: Duration = Duration::from_secs(5);
/// Longest error that is kept per point.
const ERROR_MAX: usize = 200;
/// 再割当待ち: how long a number stays nobody's (I-05). Longer than any printed sheet or profile stays in a drawer by mistake.
const COOLING_MS: i64 = 180 * 24 * 60 * 60 * 1000;

/// What one question settled: per point what it did, or why not.
type Settled = Vec<(PointName, Result<String, String>)>;

/// Drives one receipt to its end.
pub(crate) async fn drive(shared: &Shared, receipt: &str) {
    tokio::select! {
        () = shared.stopped() => {}
        () = drive_on(shared, receipt) => {}
    }
}

async fn drive_on(shared: &Shared, receipt: &str) {
    let pending = &patiently(|| load(shared, receipt)).await;
    tokio::join!(
        until(shared, pending, &[PointName::Vpn, PointName::Firewall], || tunnel(shared, pending)),
        until(shared, pending, &[PointName::Pki], || one(PointName::Pki, certificates(shared, pending))),
        until(shared, pending, &[PointName::Gateway], || one(PointName::Gateway, gateway(shared, pending))),
        until(shared, pending, &[PointName::Sns], || one(PointName::Sns, streams(shared, pending))),
        until(shared, pending, &[PointName::Mail], || one(PointName::Mail, letters(shared, pending))),
    );
    patiently(|| sign(shared, pending)).await;
    log::info!(SLOT = pending.slot.to_string().as_str(), RECEIPT = receipt; "every point has acknowledged");
}

/// Asks until all of `points` are acknowledged in the registry.
///
/// A closure that makes a future, not an async closure: of the latter the compiler cannot yet prove `Send`.
async fn until<F: Future<Output = Settled>>(
    shared: &Shared,
    pending: &Pending,
    points: &[PointName],
    mut attempt: impl FnMut() -> F,
) {
    let mut open: Vec<PointName> =
        points.iter().copied().filter(|point| pending.open.contains(point)).collect();
    let mut attempts = 0;
    while !open.is_empty() {
        let settled = match tokio::time::timeout(ANSWER_WAIT, attempt()).await {
            Ok(settled) => settled,
            Err(_) => open.iter().map(|point| (*point, Err("no answer in time".to_owned()))).collect(),
        };
        let now = world::now_ms();
        let news: Settled = settled.into_iter().filter(|(point, _)| open.contains(point)).collect();
        patiently(|| write(shared, &pending.receipt, &news, now)).await;
        open.retain(|point| !news.iter().any(|(name, outcome)| name == point && outcome.is_ok()));
        if !open.is_empty() {
            attempts += 1;
            tokio::time::sleep(Duration::from_millis(backoff_ms(attempts))).await;
        }
    }
}

async fn load(shared: &Shared, receipt: &str) -> Result<Pending, Fault> {
    receipt_rows::load(&mut *shared.store.pool().acquire().await?, receipt).await
}

async fn write(shared: &Shared, receipt: &str, news: &Settled, now: i64) -> Result<(), Fault> {
    transaction!(shared.store, conn => {
        for (point, outcome) in news {
            match outcome {
                Ok(detail) => receipt_rows::acknowledge(conn, receipt, *point, now, detail).await?,
                Err(why) => {
                    let why: String = why.chars().take(ERROR_MAX).collect();
                    receipt_rows::fail(conn, receipt, *point, &why).await?;
                }
            }
        }
        Ok::<_, Fault>(())
    })
}

/// One answer of the vpn room speaks for two points.
async fn tunnel(shared: &Shared, pending: &Pending) -> Settled {
    let question = SeatsQuestion::Unseat {
        slot: pending.slot,
        enrolling: true,
        active: true,
        generation: pending.generation,
    };
    let both = |why: String| vec![(PointName::Vpn, Err(why.clone())), (PointName::Firewall, Err(why))];
    match shared.needs.seats.ask(question).await {
        Ok(SeatsAnswer::Unseated { data_plane, firewall, .. }) => {
            let tunnel = if data_plane {
                Ok("seats empty".to_owned())
            } else {
                Err("the seat is still held".to_owned())
            };
            let firewall = match firewall {
                Point::Acknowledged => Ok("addresses dropped".to_owned()),
                Point::Pending { why } => Err(why),
            };
            vec![(PointName::Vpn, tunnel), (PointName::Firewall, firewall)]
        }
        Ok(SeatsAnswer::Refused(refusal)) => both(refusal.to_string()),
        Ok(_) => both("an answer to another question".to_owned()),
        Err(closed) => both(closed.to_string()),
    }
}

/// The slot's certificates; once somebody else holds the slot, only those that were this device's.
async fn certificates(shared: &Shared, pending: &Pending) -> Result<String, String> {
    let whats = match successor(shared, pending).await.map_err(|fault| fault.to_string())? {
        None => vec![Revoke::Slot(pending.slot)],
        Some(serials) => serials.into_iter().map(Revoke::Certificate).collect(),
    };
    let mut revoked = 0;
    for what in whats {
        let question = IssuingQuestion::Revoke { what, reason: certificate_reason(pending.reason) };
        match shared.needs.issuing.ask(question).await.map_err(|closed| closed.to_string())? {
            IssuingAnswer::Revoked { serials, .. } => revoked += serials.len(),
            IssuingAnswer::Refused(IssuingRefusal::Unknown { .. }) => {}
            IssuingAnswer::Refused(refusal) => return Err(refusal.to_string()),
            IssuingAnswer::Issued(_) | IssuingAnswer::Attested(_) | IssuingAnswer::ProfileSigned(_) => {
                return Err("an answer to another question".to_owned());
            }
        }
    }
    Ok(format!("{revoked} certificates"))
}

/// `Some`: the slot has a newer device, and these were the old one's certificates.
async fn successor(shared: &Shared, pending: &Pending) -> Result<Option<Vec<CertificateSerial>>, Fault> {
    let pool = shared.store.pool();
    let newer: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM device WHERE slot = $1 AND device <> $2 AND state <> 'revoked'",
    )
    .bind(pending.slot.to_string())
    .bind(&pending.device)
    .fetch_one(pool)
    .await?;
    if newer == 0 {
        return Ok(None);
    }
    let serials: Vec<String> = sqlx::query_scalar(
        "SELECT c.certificate FROM claim c JOIN enrolment e ON e.number = c.number
         WHERE e.device = $1 AND c.certificate IS NOT NULL",
    )
    .bind(&pending.device)
    .fetch_all(pool)
    .await?;
    serials.iter().map(|serial| parse(serial)).collect::<Result<_, _>>().map(Some)
}

async fn gateway(shared: &Shared, pending: &Pending) -> Result<String, String> {
    let cut = Cut::Slot { slot: pending.slot, generation: pending.generation };
    let done = shared.needs.cuts.cut(cut).await.map_err(|unmet| unmet.to_string())?;
    Ok(format!("{} connections, {} sessions", done.connections, done.sessions))
}

async fn streams(shared: &Shared, pending: &Pending) -> Result<String, String> {
    let cut = Cut::Slot { slot: pending.slot, generation: pending.generation };
    let streams = shared.needs.teams.end(cut).await.map_err(|unmet| unmet.to_string())?;
    Ok(format!("{streams} streams"))
}

/// The transaction has cancelled them; this proves that none was put back by a delivery that was under way.
async fn letters(shared: &Shared, pending: &Pending) -> Result<String, String> {
    let cancelled: Result<i64, Fault> = transaction!(shared.store, conn => {
        sqlx::query(
            "UPDATE outbox SET state = 'cancelled', payload = ''
             WHERE slot = $1 AND state IN ('waiting', 'failed', 'post') AND kind <> 'notice' AND created_at <= $2",
        )
        .bind(pending.slot.to_string())
        .bind(pending.committed_at)
        .execute(&mut *conn)
        .await?;
        let cancelled = sqlx::query_scalar(
            "SELECT count(*) FROM outbox WHERE slot = $1 AND state = 'cancelled' AND created_at <= $2",
        )
        .bind(pending.slot.to_string())
        .bind(pending.committed_at)
        .fetch_one(conn)
        .await?;
        Ok(cancelled)
    });
    cancelled.map(|cancelled| format!("{cancelled} letters cancelled")).map_err(|fault| fault.to_string())
}

/// All have acknowledged: the authority signs, the number begins to cool.
async fn sign(shared: &Shared, pending: &Pending) -> Result<(), Fault> {
    let hash = receipt_rows::hash(&mut *shared.store.pool().acquire().await?, pending).await?;
    let hash = hash.ok_or_else(|| Fault::Row(format!("receipt {} without a point", pending.receipt)))?;
    let question = IssuingQuestion::Attest { subject: format!("receipt {}", pending.receipt), hash };
    let silent = |why: String| Fault::Neighbour(why);
    let answer = tokio::time::timeout(ANSWER_WAIT, shared.needs.issuing.ask(question)).await;
    let answer = answer.map_err(|_| silent("no signature in time".to_owned()))?;
    let attestation = match answer.map_err(|closed| silent(closed.to_string()))? {
        IssuingAnswer::Attested(attestation) if attestation.hash == hash => attestation,
        IssuingAnswer::Refused(refusal) => return Err(silent(refusal.to_string())),
        _ => return Err(silent("an answer to another question".to_owned())),
    };
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        if receipt_rows::complete(conn, &pending.receipt, &attestation, now).await? {
            cool(conn, pending, now).await?;
            let event = Event {
                actor: &pending.by,
                action: "device.revoked",
                object: &pending.slot.to_string(),
                trace: None,
                detail: json!({ "receipt": pending.receipt, "hash": hash, "ledger_entry": attestation.entry }),
            };
            audit::append(conn, now, event).await?;
        }
        Ok::<_, Fault>(())
    })
}

async fn cool(conn: &mut Conn, pending: &Pending, now: i64) -> Result<(), Fault> {
    let cooled = sqlx::query(
        "UPDATE slot SET state = 'cooling', cooling_until = $3
         WHERE slot = $1 AND state = 'revoked' AND generation = $2",
    )
    .bind(pending.slot.to_string())
    .bind(signed(pending.generation))
    .bind(now + COOLING_MS)
    .execute(&mut *conn)
    .await?;
    if cooled.rows_affected() == 1 {
        let generation = signed(pending.generation);
        slot_rows::record(conn, now, pending.slot, generation, SlotState::Cooling, None, "").await?;
    }
    Ok(())
}

/// Until it succeeds: the registry may be busy, the authority restarting.
async fn patiently<T, F: Future<Output = Result<T, Fault>>>(mut attempt: impl FnMut() -> F) -> T {
    let mut attempts = 0;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(fault) => {
                attempts += 1;
                log::warn!("a revocation waits: {fault}");
                tokio::time::sleep(Duration::from_millis(backoff_ms(attempts))).await;
            }
        }
    }
}

async fn one(point: PointName, asked: impl Future<Output = Result<String, String>>) -> Settled {
    vec![(point, asked.await)]
}

fn signed(generation: u64) -> i64 {
    i64::try_from(generation).unwrap_or(i64::MAX)
}
