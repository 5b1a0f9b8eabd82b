//! Enrolment over secure transport (RFC 7030) on the listener that asks no certificate.
//! `simpleenroll` is the claim for a machine: number and password by HTTP Basic, and what the standard has no place for
//! (the final tunnel's public key, and the tunnel) in a header each way; the same steps, counts and refusals as the
//! page's. `simplereenroll` renews without a hand: the tunnel says the slot, the request proves the key, and the
//! authority knows whether this slot has it, so a device whose certificate has ended comes back by itself, too.
//! Edge, border: HTTP, SQL.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use data_encoding::BASE64;
use http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use pki::certs_only;
use pki::der::{OID, SEQUENCE, SET, tlv};
use pki::door::{IssuedCertificate, IssuingAnswer, IssuingQuestion, IssuingRefusal};
use pki::identity::TraceId;
use serde_json::json;
use vpn::key::PublicKey;
use vpn::slot::{SeatClass, SlotNumber};
use zeroize::Zeroizing;

use crate::bundle::final_text;
use crate::claim_work;
use crate::enrolments::{Entry, KeyMaker, Wish, record};
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

/// What an EST client asks with, and is told, beside the standard. The gateway lets both pass on this path alone.
const TUNNEL_KEY: HeaderName = HeaderName::from_static("wireguard-public-key");
const TUNNEL_PROFILE: HeaderName = HeaderName::from_static("wireguard-profile");

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/.well-known/est/simpleenroll", post(enrol))
        .route("/.well-known/est/simplereenroll", post(renew))
        .route("/.well-known/est/csrattrs", get(attributes))
}

/// What a request should be like (RFC 7030 4.5.2): an EC key of P-256, signed with SHA-256.
async fn attributes(_: Guest) -> Response {
    // id-ecPublicKey with secp256r1, ecdsa-with-SHA256: content octets.
    const EC_KEY: [u8; 7] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    const P256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
    let curve = tlv(SET, &[&tlv(OID, &[&P256])]);
    let key = tlv(SEQUENCE, &[&tlv(OID, &[&EC_KEY]), &curve]);
    let wished = tlv(SEQUENCE, &[&key, &tlv(OID, &[&ECDSA_SHA256])]);
    with_type(StatusCode::OK, "application/csrattrs", BASE64.encode(&wished).into_bytes())
}

async fn enrol(
    State(shared): State<Arc<Shared>>,
    guest: Guest,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let trace = guest.trace;
    let Some((number, password)) = credentials(&headers) else {
        let mut asks = Problem::new(PeopleMessage::EnrolWho, trace).into_response();
        let how = HeaderValue::from_static("Basic realm=\"est\", charset=\"UTF-8\"");
        asks.headers_mut().insert(WWW_AUTHENTICATE, how);
        return asks;
    };
    let outcome = async {
        let request = request(&headers, body)?;
        let public_key = tunnel_key(&headers)?;
        let entry = Entry { number, password, admin_password: None };
        let (keys, label, psk) = (KeyMaker::Device, String::new(), None);
        let wish = Wish { keys, public_key, request, label, psk };
        let claimed = claim_work::claim(&shared, guest.visitor.slot, trace, entry, wish).await?;
        let profile = final_text(&claimed.tunnel(&shared.config), None);
        let profile = Zeroizing::new(BASE64.encode(profile.as_bytes()));
        let profile = HeaderValue::from_str(&profile).map_err(|_| Fault::Row("a profile".to_owned()))?;
        Ok::<_, Fault>((claimed.chain, profile))
    };
    match outcome.await {
        Ok((chain, mut profile)) => {
            profile.set_sensitive(true);
            let mut told = envelope(&chain);
            told.headers_mut().insert(TUNNEL_PROFILE, profile);
            told
        }
        Err(fault) => Problem::new(fault, trace).into_response(),
    }
}

/// RFC 7617: number and password of the sheet, as they are printed.
fn credentials(headers: &HeaderMap) -> Option<(String, Zeroizing<String>)> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (one, None) = (given.next()?, given.next()) else { return None };
    let (scheme, packed) = one.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let text = Zeroizing::new(BASE64.decode(packed.trim().as_bytes()).ok()?);
    let (number, password) = std::str::from_utf8(&text).ok()?.split_once(':')?;
    Some((number.to_owned(), Zeroizing::new(password.to_owned())))
}

fn tunnel_key(headers: &HeaderMap) -> Result<PublicKey, Fault> {
    let missing = || Fault::from(PeopleMessage::ClaimKey.about(TUNNEL_KEY.as_str()));
    let given = headers.get(TUNNEL_KEY).and_then(|value| value.to_str().ok()).ok_or_else(missing)?;
    given.parse().map_err(|_| missing())
}

/// The device's certificate (RFC 7030 4.2.3).
fn envelope(chain: &[Vec<u8>]) -> Response {
    let leaf = chain.first().map_or(&[][..], Vec::as_slice);
    let envelope = BASE64.encode(&certs_only::envelope(&[leaf]));
    with_type(StatusCode::OK, certs_only::MEDIA_TYPE, envelope.into_bytes())
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
        Ok(issued) => envelope(&issued.chain),
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
        IssuingAnswer::Revoked { .. } | IssuingAnswer::Attested(_) | IssuingAnswer::ProfileSigned(_) => {
            return Err(silent());
        }
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
