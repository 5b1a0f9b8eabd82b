//! 様式3, the line that is needed most: the address of a facility's admin was mistyped or has changed (E-03, C-11).
//! It is the login too. What has not left yet goes to the new address, with the same number and the same sheet; what
//! has left stays where it went, and is told, so that somebody reissues it. Edge: SQL.

use pki::identity::FacilityId;
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::audit::{self, Event};
use crate::door::{AddressChange, Operator};
use crate::facility::MailAddress;
use crate::fault::{Fault, parse};
use crate::messages::Message;
use crate::messages_people::PeopleMessage;
use crate::office_fault::OfficeFault;
use crate::outbox;
use crate::store::{Conn, Store, transaction};

/// Gives the admin another address. Giving the one they have changes nothing. The caller rings the outbox's bell.
pub async fn correct(
    store: &Store,
    now_ms: i64,
    operator: &Operator,
    facility: &FacilityId,
    address: &str,
    dry_run: bool,
) -> Result<AddressChange, Fault> {
    let address = MailAddress::parse(address).map_err(OfficeFault::from)?;
    if dry_run {
        let mut tx = store.begin().await?;
        return change(&mut tx, now_ms, operator, facility, &address, dry_run).await;
    }
    transaction!(store, conn => change(conn, now_ms, operator, facility, &address, dry_run).await)
}

async fn change(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    facility: &FacilityId,
    address: &MailAddress,
    dry_run: bool,
) -> Result<AddressChange, Fault> {
    let (person, from, facility_name) = admin(conn, facility).await?;
    let sent = open_bundles(conn, facility, "sent").await?;
    let mut told = AddressChange {
        facility: facility.clone(),
        facility_name,
        from: from.clone(),
        to: address.written().to_owned(),
        letters: Vec::new(),
        gone: sent,
        dry_run,
    };
    if from == address.written() {
        return Ok(told);
    }
    not_anothers(conn, &person, address).await?;
    sqlx::query("UPDATE address SET folded = $1, written = $2 WHERE person = $3 AND use_as = 'admin'")
        .bind(address.folded())
        .bind(address.written())
        .bind(&person)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE person SET login = $1 WHERE person = $2")
        .bind(address.folded())
        .bind(&person)
        .execute(&mut *conn)
        .await?;
    told.letters = outbox::redirect(conn, now_ms, facility, &from, address.written()).await?;
    // Neither address: the trail is never wiped.
    let detail = json!({ "person": person, "letters": told.letters, "rule": "E-03" });
    let event = Event {
        actor: &operator.name,
        action: "facility.admin-address",
        object: facility.as_str(),
        trace: Some(operator.trace),
        detail,
    };
    audit::append(conn, now_ms, event).await?;
    Ok(told)
}

/// The admin's person, address and facility.
async fn admin(conn: &mut Conn, facility: &FacilityId) -> Result<(String, String, String), Fault> {
    let found: Option<(String, String, String)> = sqlx::query_as(
        "SELECT m.person, a.written, f.name
         FROM facility f JOIN membership m ON m.facility = f.facility AND m.role = 'facility-admin' AND m.state = 'active'
         JOIN address a ON a.person = m.person AND a.use_as = 'admin'
         WHERE f.facility = $1 ORDER BY a.written LIMIT 1",
    )
    .bind(facility.as_str())
    .fetch_optional(conn)
    .await?;
    found.ok_or_else(|| PeopleMessage::FacilityUnknown.about(facility.as_str()).into())
}

/// G-03: an address belongs to one person, as admin or as user.
async fn not_anothers(conn: &mut Conn, person: &str, address: &MailAddress) -> Result<(), Fault> {
    let taken: Option<(String, String)> =
        sqlx::query_as("SELECT person, use_as FROM address WHERE folded = $1")
            .bind(address.folded())
            .fetch_optional(&mut *conn)
            .await?;
    let login: Option<String> = sqlx::query_scalar("SELECT person FROM person WHERE login = $1")
        .bind(address.folded())
        .fetch_optional(conn)
        .await?;
    let message = match (taken, login) {
        (Some((other, use_as)), _) if other != person && use_as == "user" => Message::AddressUser,
        (Some((other, _)), _) if other != person => Message::AddressAdmin,
        (_, Some(other)) if other != person => Message::AddressUser,
        _ => return Ok(()),
    };
    Err(OfficeFault::from(message).into())
}

/// Slots that wait for their claim and whose newest bundle is in this state.
async fn open_bundles(conn: &mut Conn, facility: &FacilityId, state: &str) -> Result<Vec<SlotNumber>, Fault> {
    let slots: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT s.slot FROM slot s JOIN outbox o ON o.slot = s.slot
         WHERE s.facility = $1 AND s.state = 'issued' AND o.kind IN ('bundle', 'reissue') AND o.state = $2
           AND o.created_at = (SELECT MAX(n.created_at) FROM outbox n
                               WHERE n.slot = s.slot AND n.kind IN ('bundle', 'reissue'))
         ORDER BY s.slot",
    )
    .bind(facility.as_str())
    .bind(state)
    .fetch_all(conn)
    .await?;
    slots.iter().map(|slot| parse(slot)).collect()
}
