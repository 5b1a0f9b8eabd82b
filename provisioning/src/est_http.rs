//! Renewal without a hand (RFC 7030 `simplereenroll`) on the listener that asks no certificate: the tunnel says the
//! slot, the request proves the key, and the authority knows whether this slot has it. So a device whose certificate
//! has ended comes back by itself, too. Who has no certificate yet claims with number and password. Edge, border:
//! HTTP, SQL.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use data_encoding::BASE64;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use pki::certs_only;
use pki::door::{IssuedCertificate, IssuingAnswer, IssuingQuestion, IssuingRefusal};
use pki::identity::TraceId;
use serde_json::json;
use vpn::slot::{SeatClass, SlotNumber};

use crate::enrolments::record;
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::problem::{Guest, Problem, with_type};
use crate::shared::Shared;
use crate::store::transaction;
use crate::world;

/// Longest certificate request, as for a claim, in base64.
const REQUEST_MAX: usize = 8 * 1024;
/// A neighbour that needs longer is not there; the device asks again.
const NEIGHBOUR_WAIT: Duration = Duration::from_secs(10);

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/.well-known/est/simplereenroll", post(renew))
}

async fn renew(
    State(shared): State<Arc<Shared>>,
    guest: Guest,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let trace = guest.trace;
    let outcome = async {
        if !matches!(guest.visitor.class, SeatClass::Active | SeatClass::ActiveMeetings) {
            return Err(Fault::from(PeopleMessage::RenewFirst));
        }
        let request = request(&headers, body)?;
        renewed(&shared, guest.visitor.slot, request, trace).await
    };
    match outcome.await {
        Ok(issued) => {
            let leaf = issued.chain.first().map_or(&[][..], Vec::as_slice);
            let envelope = BASE64.encode(&certs_only::envelope(&[leaf]));
            with_type(StatusCode::OK, certs_only::MEDIA_TYPE, envelope.into_bytes())
        }
        Err(fault) => Problem::new(fault, trace).into_response(),
    }
}

/// Base64 with any white space between (RFC 7030 4.2.1, RFC 8951).
fn request(headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<Vec<u8>, Fault> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if media != "application/pkcs10" {
        return Err(PeopleMessage::BodyForm.about("Content-Type: application/pkcs10").into());
    }
    let bad = || Fault::from(PeopleMessage::ClaimRequest.about("base64 DER PKCS#10"));
    let body = body.map_err(|_| bad())?;
    if body.len() > REQUEST_MAX {
        return Err(bad());
    }
    let packed: Vec<u8> = body.iter().copied().filter(|octet| !octet.is_ascii_whitespace()).collect();
    BASE64.decode(&packed).ok().filter(|request| !request.is_empty()).ok_or_else(bad)
}

/// The authority's answer first; then the registry and the trail know the device's certificate.
async fn renewed(
    shared: &Shared,
    slot: SlotNumber,
    request: Vec<u8>,
    trace: Option<TraceId>,
) -> Result<IssuedCertificate, Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM slot WHERE slot = $1")
        .bind(slot.to_string())
        .fetch_optional(shared.store.pool())
        .await?;
    if state.as_deref() != Some("active") {
        return Err(PeopleMessage::RenewFirst.into());
    }
    let silent = || Fault::from(PeopleMessage::NeighbourSilent.about("pki"));
    let question = IssuingQuestion::Renew { slot, request };
    let answer = tokio::time::timeout(NEIGHBOUR_WAIT, shared.needs.issuing.ask(question)).await;
    let issued = match answer.map_err(|_| silent())?.map_err(|_| silent())? {
        IssuingAnswer::Issued(issued) => issued,
        IssuingAnswer::Refused(IssuingRefusal::Unavailable { .. }) => return Err(silent()),
        IssuingAnswer::Refused(refusal) => {
            return Err(PeopleMessage::ClaimRequest.about(refusal.to_string()).into());
        }
        IssuingAnswer::Revoked { .. } | IssuingAnswer::Attested(_) => return Err(silent()),
    };
    let (now, serial) = (world::now_ms(), issued.serial.to_string());
    transaction!(shared.store, conn => {
        // The device that this certificate's predecessor was for; a second answer changes nothing more.
        let changed = sqlx::query(
            "UPDATE device SET certificate = $2, certificate_end = $3
             WHERE slot = $1 AND state = 'active' AND (certificate IS NULL OR certificate <> $2)",
        )
        .bind(slot.to_string())
        .bind(&serial)
        // The authority counts in seconds.
        .bind(issued.not_after.saturating_mul(1_000))
        .execute(&mut *conn)
        .await?;
        if changed.rows_affected() > 0 {
            record(conn, now, trace, "certificate.renewed", slot, json!({ "certificate": serial })).await?;
        }
        Ok::<_, Fault>(())
    })?;
    Ok(issued)
}
