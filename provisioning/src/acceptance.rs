//! 受理: a case becomes a facility with its admin, its slots and the letters that start it, in one
//! transaction per case (C-1.3 – C-12.1). Accepting twice changes nothing. Edge: SQL, tokio.

use futures_util::{StreamExt, TryStreamExt, stream};
use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde_json::json;

use crate::audit::{self, Event};
use crate::case::{CaseEvent, CaseState};
use crate::case_rows::{self, Case};
use crate::channel;
use crate::channel_work;
use crate::door::{AcceptReport, AcceptedCase, CaseChoice, Operator};
use crate::facility::{FacilityKind, MailAddress};
use crate::form1::Application;
use crate::hashing::Hasher;
use crate::issue::{self, Prepared, Recipient};
use crate::messages::Message;
use crate::office_fault::{OfficeFault, parse};
use crate::shared::Config;
use crate::slot_rows;
use crate::slots::DEVICE_QUOTA;
use crate::store::{Conn, Store, bump_grants, transaction};
use crate::world;

/// Passwords hashed at once; the hasher allows no more in any case.
const HASHED_AT_ONCE: usize = 2;

/// What one acceptance needs beside the case.
struct Acceptance {
    prepared: Prepared,
    facility: FacilityId,
    admin: PersonId,
    membership: MembershipId,
}

/// Accepts one case, or all that wait. Returns the report and the last grants version, if anything changed.
pub async fn accept(
    store: &Store,
    config: &Config,
    hasher: &Hasher,
    now_ms: i64,
    operator: &Operator,
    choice: &CaseChoice,
    dry_run: bool,
) -> Result<(AcceptReport, Option<i64>), OfficeFault> {
    // What cannot go well is found before the first case is written; this transaction is never committed.
    // It is also where the cases are read: a colleague's acceptance that is being written comes first.
    let (cases, rehearsed) = rehearse(&mut *store.begin().await?, config, now_ms, operator, choice).await?;
    if dry_run {
        return Ok((AcceptReport { dry_run, accepted: rehearsed }, None));
    }
    // Futures of owned values: a closure that borrows would not be `Send` here.
    let preparing: Vec<_> = cases.into_iter().map(|case| prepare(case.case, hasher.clone())).collect();
    let mut prepared = stream::iter(preparing).buffered(HASHED_AT_ONCE);
    let mut report = AcceptReport { dry_run, accepted: Vec::new() };
    let mut version = None;
    while let Some((case, acceptance)) = prepared.try_next().await? {
        let written: Result<_, OfficeFault> = transaction!(store, conn => {
            accept_one(conn, config, now_ms, operator, &case, &acceptance).await
        });
        let (accepted, new_version) = match written {
            // “All that wait”: what a colleague accepted meanwhile no longer does, and ends nothing.
            Err(OfficeFault::Refused(Message::CaseNotWaiting { .. }))
                if *choice == CaseChoice::AllComplete =>
            {
                continue;
            }
            written => written?,
        };
        log::info!(CASE = accepted.case.as_str(), SLOT = accepted.bundle_slot.to_string().as_str(),
            TRACE_ID = operator.trace.to_string().as_str(); "case accepted");
        report.accepted.push(accepted);
        version = Some(new_version);
    }
    Ok((report, version))
}

async fn prepare(case: String, hasher: Hasher) -> Result<(String, Acceptance), OfficeFault> {
    Ok((case, Acceptance::new(Prepared::new(&hasher).await?)?))
}

impl Acceptance {
    fn new(prepared: Prepared) -> Result<Self, OfficeFault> {
        Ok(Self {
            prepared,
            facility: FacilityId::from_random(*world::random()?),
            admin: PersonId::from_random(*world::random()?),
            membership: MembershipId::from_random(*world::random()?),
        })
    }
}

async fn waiting(conn: &mut Conn, choice: &CaseChoice) -> Result<Vec<Case>, OfficeFault> {
    match choice {
        CaseChoice::AllComplete => case_rows::all(conn, Some(CaseState::Received)).await,
        CaseChoice::One(case) => Ok(vec![case_rows::find(conn, case).await?]),
    }
}

async fn rehearse(
    conn: &mut Conn,
    config: &Config,
    now_ms: i64,
    operator: &Operator,
    choice: &CaseChoice,
) -> Result<(Vec<Case>, Vec<AcceptedCase>), OfficeFault> {
    let cases = waiting(conn, choice).await?;
    let mut accepted = Vec::new();
    for case in &cases {
        let acceptance = Acceptance::new(Prepared::rehearsal()?)?;
        accepted.push(accept_one(conn, config, now_ms, operator, &case.case, &acceptance).await?.0);
    }
    Ok((cases, accepted))
}

async fn accept_one(
    conn: &mut Conn,
    config: &Config,
    now_ms: i64,
    operator: &Operator,
    case: &str,
    acceptance: &Acceptance,
) -> Result<(AcceptedCase, i64), OfficeFault> {
    // Read again inside the transaction: somebody else may have accepted it meanwhile.
    let Case { state, application, .. } = case_rows::find(conn, case).await?;
    if state != CaseState::Received {
        return Err(Message::CaseNotWaiting { case: case.to_owned(), state: state.as_str() }.into());
    }
    let Acceptance { prepared, facility, admin, membership } = acceptance;
    insert_facility(conn, now_ms, facility, &application).await?;
    // Before the first letter: what goes on paper never waits to be mailed (D-00).
    let delivery = channel_work::of_case(conn, case).await?;
    sqlx::query("UPDATE facility SET delivery = $2 WHERE facility = $1")
        .bind(facility.as_str())
        .bind(delivery.as_str())
        .execute(&mut *conn)
        .await?;
    insert_admin(conn, now_ms, &application, facility, admin, membership).await?;
    let (slots, meetings) = (application.slots(), application.vpn_requested);
    let slots = slot_rows::allot(conn, now_ms, config.series, facility, slots, meetings).await?;
    let bundle_slot = *slots.first().ok_or(Message::SlotsExhausted { series: config.series })?;
    let office = office(conn).await?;
    let to = Recipient {
        facility,
        facility_name: &application.name,
        admin,
        admin_name: &application.admin_name,
        admin_address: &application.admin_address,
        office_name: &office.name,
        office_telephone: &office.telephone,
    };
    let version = issue::issue(conn, now_ms, config, bundle_slot, &to, prepared).await?;
    sqlx::query("UPDATE office_case SET facility = $1 WHERE case_id = $2")
        .bind(facility.as_str())
        .bind(case)
        .execute(&mut *conn)
        .await?;
    case_rows::advance(conn, now_ms, case, CaseEvent::Accept, &operator.name).await?;
    let accepted = AcceptedCase {
        case: case.to_owned(),
        facility: facility.clone(),
        facility_name: application.name.clone(),
        slots,
        bundle_slot,
        delivery,
    };
    note(conn, now_ms, operator, &accepted).await?;
    Ok((accepted, version))
}

/// As 様式1 says; the pair of code and kind is nobody else's.
pub(crate) async fn insert_facility(
    conn: &mut Conn,
    now_ms: i64,
    facility: &FacilityId,
    application: &Application,
) -> Result<(), OfficeFault> {
    let same: Option<String> = sqlx::query_scalar("SELECT name FROM facility WHERE code = $1 AND kind = $2")
        .bind(&application.code)
        .bind(&application.kind)
        .fetch_optional(&mut *conn)
        .await?;
    if let Some(name) = same {
        return Err(Message::FacilityExists { name }.into());
    }
    sqlx::query(
        "INSERT INTO facility (facility, code, kind, name, postal_address, telephone, representative, admin_name,
            medical_net, device_quota, vpn_requested, state, created_at, kana, delivery)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'active', $12, $13, $14)",
    )
    .bind(facility.as_str())
    .bind(&application.code)
    .bind(&application.kind)
    .bind(&application.name)
    .bind(&application.postal_address)
    .bind(&application.telephone)
    .bind(&application.representative)
    .bind(&application.admin_name)
    .bind(i64::from(application.medical_net))
    .bind(i64::from(DEVICE_QUOTA))
    .bind(i64::from(application.vpn_requested))
    .bind(now_ms)
    .bind(application.kana.as_deref().unwrap_or_default())
    .bind(channel::by_itself(&application.admin_address).as_str())
    .execute(conn)
    .await?;
    Ok(())
}

/// 仮登録 of the admin (G-05): an account without a password until the claim sets one.
async fn insert_admin(
    conn: &mut Conn,
    now_ms: i64,
    application: &Application,
    facility: &FacilityId,
    admin: &PersonId,
    membership: &MembershipId,
) -> Result<(), OfficeFault> {
    let address = MailAddress::of_admin(&application.admin_address)?;
    insert_person(conn, now_ms, &address, "admin", &application.admin_name, admin).await?;
    insert_membership(conn, membership, admin, facility, Role::FacilityAdmin).await
}

/// A person who signs in with an address that nobody else has (G-03); the password comes later.
pub(crate) async fn insert_person(
    conn: &mut Conn,
    now_ms: i64,
    address: &MailAddress,
    use_as: &str,
    name: &str,
    person: &PersonId,
) -> Result<(), OfficeFault> {
    let taken: Option<String> = sqlx::query_scalar("SELECT use_as FROM address WHERE folded = $1")
        .bind(address.folded())
        .fetch_optional(&mut *conn)
        .await?;
    match taken.as_deref() {
        None => {}
        Some("user") => return Err(Message::AddressUser.into()),
        Some(_) => return Err(Message::AddressAdmin.into()),
    }
    sqlx::query("INSERT INTO address (folded, written, use_as, person) VALUES ($1, $2, $3, $4)")
        .bind(address.folded())
        .bind(address.written())
        .bind(use_as)
        .bind(person.as_str())
        .execute(&mut *conn)
        .await?;
    sqlx::query(
        "INSERT INTO person (person, login, name, must_change, state, created_at) VALUES ($1, $2, $3, 1, 'active', $4)",
    )
    .bind(person.as_str())
    .bind(address.folded())
    .bind(name)
    .bind(now_ms)
    .execute(conn)
    .await?;
    Ok(())
}

pub(crate) async fn insert_membership(
    conn: &mut Conn,
    membership: &MembershipId,
    person: &PersonId,
    facility: &FacilityId,
    role: Role,
) -> Result<(), OfficeFault> {
    let version = bump_grants(conn).await?;
    sqlx::query(
        "INSERT INTO membership (membership, person, facility, role, state, grants_version)
         VALUES ($1, $2, $3, $4, 'active', $5)",
    )
    .bind(membership.as_str())
    .bind(person.as_str())
    .bind(facility.as_str())
    .bind(role.as_str())
    .bind(version)
    .execute(conn)
    .await?;
    Ok(())
}

/// 問い合わせ先 on every paper.
pub struct Office {
    pub facility: FacilityId,
    pub name: String,
    pub telephone: String,
}

pub async fn office(conn: &mut Conn) -> Result<Office, OfficeFault> {
    let row: Option<(String, String, String)> =
        sqlx::query_as("SELECT facility, name, telephone FROM facility WHERE kind = $1")
            .bind(FacilityKind::Office.as_str())
            .fetch_optional(conn)
            .await?;
    let (facility, name, telephone) = row.ok_or(Message::OfficeMissing)?;
    Ok(Office { facility: parse(&facility)?, name, telephone })
}

async fn note(
    conn: &mut Conn,
    now_ms: i64,
    operator: &Operator,
    accepted: &AcceptedCase,
) -> Result<(), OfficeFault> {
    let detail = json!({
        "facility": accepted.facility, "slots": accepted.slots, "bundle_slot": accepted.bundle_slot,
        "delivery": accepted.delivery,
    });
    let event = Event {
        actor: &operator.name,
        action: "case.accept",
        object: &accepted.case,
        trace: Some(operator.trace),
        detail,
    };
    audit::append(conn, now_ms, event).await?;
    Ok(())
}
