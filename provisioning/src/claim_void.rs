//! Void claims lose their certificates: whatever the registry calls void and the authority has not acknowledged
//! is asked for again until it has. Level, not edge: a crash anywhere is made good by the next sweep.
//! Edge: SQL, tokio.

use std::time::Duration;

use data_encoding::BASE64;
use pki::door::{IssuingAnswer, IssuingQuestion, IssuingRefusal, RevocationReason, Revoke};
use pki::serial::CertificateSerial;

use crate::claim::REPEAT_MS;
use crate::enrolments::{VoidReason, device_kind};
use crate::fault::{Fault, parse};
use crate::shared::Shared;
use crate::store::transaction;
use crate::world;

/// Per sweep; the rest is the next one's.
const AT_ONCE: i64 = 50;
/// The authority that needs longer is asked again by the next sweep.
const WAIT: Duration = Duration::from_secs(5);

/// A void claim whose certificate may still live.
struct Void {
    claim: String,
    slot: String,
    kind: String,
    request: String,
    certificate: Option<String>,
    reason: RevocationReason,
}

/// One pass; what fails is left for the next.
pub(crate) async fn sweep(shared: &Shared) {
    match due(shared).await {
        Ok(voids) => {
            for void in voids {
                if let Err(fault) = revoke(shared, &void).await {
                    log::info!(SLOT = void.slot.as_str(); "a void claim's certificate waits for its revocation: {fault}");
                }
            }
        }
        Err(fault) => log::error!("void claims cannot be read: {fault}"),
    }
}

type StoredVoid = (String, String, String, String, Option<String>, Option<String>);

async fn due(shared: &Shared) -> Result<Vec<Void>, Fault> {
    let now = world::now_ms();
    // A claim that was begun and never came back for its answer: the certificate may exist, the seat does not.
    transaction!(shared.store, conn => {
        sqlx::query(
            "UPDATE claim SET state = 'void', void_reason = 'superseded' WHERE state = 'begun' AND begun_at < $1",
        )
        .bind(now - 2 * REPEAT_MS)
        .execute(conn)
        .await
        .map(|_| ())
    })?;
    let rows: Vec<StoredVoid> = sqlx::query_as(
        "SELECT c.claim, e.slot, d.kind, c.request, c.certificate, c.void_reason
         FROM claim c JOIN enrolment e ON e.number = c.number JOIN device d ON d.device = e.device
         WHERE c.state = 'void' AND c.revoked_at IS NULL ORDER BY c.begun_at LIMIT $1",
    )
    .bind(AT_ONCE)
    .fetch_all(shared.store.pool())
    .await?;
    let compromised = VoidReason::Compromise.as_str();
    let void = |(claim, slot, kind, request, certificate, reason): (_, _, _, _, _, Option<String>)| Void {
        claim,
        slot,
        kind,
        request,
        certificate,
        reason: if reason.as_deref() == Some(compromised) {
            RevocationReason::KeyCompromise
        } else {
            RevocationReason::Superseded
        },
    };
    Ok(rows.into_iter().map(void).collect())
}

async fn revoke(shared: &Shared, void: &Void) -> Result<(), Fault> {
    if let Some(serial) = serial(shared, void).await? {
        let question = IssuingQuestion::Revoke { what: Revoke::Certificate(serial), reason: void.reason };
        match ask(shared, question).await? {
            IssuingAnswer::Revoked { .. } | IssuingAnswer::Refused(IssuingRefusal::Unknown { .. }) => {}
            _ => return Err(Fault::Neighbour("the authority's answer".to_owned())),
        }
    }
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        sqlx::query("UPDATE claim SET revoked_at = $2 WHERE claim = $1")
            .bind(&void.claim)
            .bind(now)
            .execute(conn)
            .await
            .map(|_| ())
    })?;
    Ok(())
}

/// The certificate, also when we crashed before its serial was written: the same token gives the same one.
async fn serial(shared: &Shared, void: &Void) -> Result<Option<CertificateSerial>, Fault> {
    if let Some(serial) = &void.certificate {
        return Ok(Some(parse(serial)?));
    }
    let question = IssuingQuestion::Issue {
        slot: parse(&void.slot)?,
        kind: device_kind(&void.kind)?,
        request: BASE64
            .decode(void.request.as_bytes())
            .map_err(|_| Fault::Row("claim.request".to_owned()))?,
        token: void.claim.clone(),
    };
    match ask(shared, question).await? {
        IssuingAnswer::Issued(issued) => Ok(Some(issued.serial)),
        IssuingAnswer::Refused(IssuingRefusal::Unavailable { why }) => Err(Fault::Neighbour(why)),
        _ => Ok(None),
    }
}

async fn ask(shared: &Shared, question: IssuingQuestion) -> Result<IssuingAnswer, Fault> {
    let silent = || Fault::Neighbour("no answer of the authority".to_owned());
    tokio::time::timeout(WAIT, shared.needs.issuing.ask(question))
        .await
        .map_err(|_| silent())?
        .map_err(|_| silent())
}
