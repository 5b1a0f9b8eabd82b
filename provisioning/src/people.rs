//! A facility's own users (B-14, B-16): registered by its admin, with a pledge (H-17) and an address that is
//! nobody's admin address (G-03). One account per person, a membership per facility (P-25). Edge: SQL.

use pki::identity::{FacilityId, Identity, MembershipId, PersonId, Role, TraceId};
use serde_json::json;
use zeroize::Zeroizing;

use crate::audit::{self, Event};
use crate::case::CaseEvent;
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::idempotency::{self, Repeatable};
use crate::messages_people::{PeopleMessage, Refusal};
use crate::office_fault::OfficeFault;
use crate::shared::Shared;
use crate::store::{self, Conn, transaction};
use crate::{accounts, case_rows, dates, facility, login, register, world};

/// As typed into the form.
#[derive(Clone)]
pub struct NewPerson {
    pub login: String,
    pub name: String,
    pub profession: String,
    pub pledge_date: String,
}

pub struct Registered {
    pub person: PersonId,
    pub membership: MembershipId,
    /// Shown once. `None`: the person has an account already and keeps its password.
    pub initial_password: Option<Zeroizing<String>>,
    /// What the admin should think about (H-03).
    pub warnings: Vec<Refusal>,
}

/// Everything that a transaction needs, checked and drawn before it.
struct Registration<'a> {
    actor: &'a Identity,
    trace: Option<TraceId>,
    login: String,
    written: String,
    name: String,
    profession: String,
    pledged_on: String,
    hash: String,
    person: PersonId,
    membership: MembershipId,
    now: i64,
}

/// What became of it.
enum Outcome {
    /// The first password that was drawn is the account's.
    Fresh(PersonId, MembershipId),
    /// The account was there and keeps its password.
    Known(PersonId, MembershipId),
}

/// Registers a person in the actor's facility as a user (職員); in a 患者・家族事業所 as one of the family (J-11).
pub async fn register(
    shared: &Shared,
    actor: &Identity,
    trace: Option<TraceId>,
    new: NewPerson,
    request: Option<&Repeatable>,
) -> Result<Registered, Fault> {
    let now = world::now_ms();
    if new.pledge_date.trim().is_empty() {
        return Err(PeopleMessage::PledgeMissing.into());
    }
    let login = login::check(&new.login)?;
    let password = accounts::first_password(&login)?;
    let registration = Registration {
        actor,
        trace,
        written: new.login.trim().to_owned(),
        name: text("name", &new.name)?,
        profession: text("profession", &new.profession)?,
        pledged_on: dates::past_date(&new.pledge_date, now)?,
        hash: shared.hasher.hash(password.clone()).await?,
        person: PersonId::from_random(*world::random()?),
        membership: MembershipId::from_random(*world::random()?),
        login,
        now,
    };
    let (outcome, version) = transaction!(shared.store, conn => match idempotency::recall(conn, request, now).await? {
        Some(answer) => repeat(conn, &answer, &registration).await,
        None => write(conn, &registration, request).await,
    })?;
    shared.grants_changed(version);
    let warnings = login::carrier(&registration.login).map(|domain| PeopleMessage::PrivateMail.about(domain));
    let (person, membership, initial_password) = match outcome {
        Outcome::Fresh(person, membership) => (person, membership, Some(password)),
        Outcome::Known(person, membership) => (person, membership, None),
    };
    Ok(Registered { person, membership, initial_password, warnings: warnings.into_iter().collect() })
}

/// A required line of text, named when it is missing.
pub fn text(field: &'static str, given: &str) -> Result<String, Fault> {
    let missing = || Fault::from(PeopleMessage::FieldMissing.about(field));
    let line = facility::line(given).map_err(|_| missing())?;
    if line.is_empty() { Err(missing()) } else { Ok(line) }
}

async fn write(
    conn: &mut Conn,
    new: &Registration<'_>,
    request: Option<&Repeatable>,
) -> Result<(Outcome, i64), Fault> {
    let known = claim_address(conn, new).await?;
    if known.is_none() {
        insert_person(conn, new).await?;
    }
    let person = known.as_ref().unwrap_or(&new.person);
    let version = store::bump_grants(conn).await?;
    let membership = insert_membership(conn, new, person, version).await?;
    let by = new.actor.person.as_str();
    register::pledged(conn, new.now, by, person, &new.actor.facility, &new.pledged_on).await?;
    let event = Event {
        actor: new.actor.person.as_str(),
        action: "person.register",
        object: person.as_str(),
        trace: new.trace,
        detail: json!({
            "membership": membership, "facility": new.actor.facility, "pledged_on": new.pledged_on, "rule": "B-14",
        }),
    };
    audit::append(conn, new.now, event).await?;
    let (facility, by) = (&new.actor.facility, new.actor.person.as_str());
    match case_rows::advance_of(conn, new.now, facility, CaseEvent::UsersRegistered, by).await {
        // A case that is not ready for it never stops the admin.
        Ok(()) | Err(OfficeFault::Refused(_)) => {}
        Err(fault) => return Err(fault.into()),
    }
    idempotency::remember(conn, request, &format!("{person} {membership}"), new.now).await?;
    let outcome = if known.is_none() { Outcome::Fresh } else { Outcome::Known };
    Ok((outcome(person.clone(), membership), version))
}

/// The answer was lost on its way. While nobody has used the first password, a new one takes its place.
async fn repeat(conn: &mut Conn, answer: &str, new: &Registration<'_>) -> Result<(Outcome, i64), Fault> {
    let (person, membership) = answer.split_once(' ').ok_or_else(|| Fault::Row("idempotency".to_owned()))?;
    let (person, membership): (PersonId, MembershipId) = (parse(person)?, parse(membership)?);
    let version = store::current(conn, store::GRANTS_VERSION).await?;
    let made_here: Option<i64> = sqlx::query_scalar(
        "SELECT p.must_change FROM person p
         WHERE p.person = $1 AND (SELECT count(*) FROM membership m WHERE m.person = p.person) = 1",
    )
    .bind(person.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    if made_here != Some(1) {
        return Ok((Outcome::Known(person, membership), version));
    }
    accounts::set_password(conn, person.as_str(), &new.hash, true).await?;
    let event = Event {
        actor: new.actor.person.as_str(),
        action: "person.first-password",
        object: person.as_str(),
        trace: new.trace,
        detail: json!({ "rule": "B-14", "repeated": true }),
    };
    audit::append(conn, new.now, event).await?;
    Ok((Outcome::Fresh(person, membership), version))
}

/// G-03: takes the address for this person, or says whose it is. `Some`: the same person's, known already.
async fn claim_address(conn: &mut Conn, new: &Registration<'_>) -> Result<Option<PersonId>, Fault> {
    let taken = sqlx::query(
        "INSERT INTO address (folded, written, use_as, person) VALUES ($1, $2, 'user', $3)
         ON CONFLICT (folded) DO NOTHING",
    )
    .bind(&new.login)
    .bind(&new.written)
    .bind(new.person.as_str())
    .execute(&mut *conn)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let (use_as, person): (String, String) =
        sqlx::query_as("SELECT use_as, person FROM address WHERE folded = $1")
            .bind(&new.login)
            .fetch_one(&mut *conn)
            .await?;
    if use_as != "user" {
        return Err(PeopleMessage::LoginIsAdmin.about(&new.login).into());
    }
    let name: Option<String> =
        sqlx::query_scalar("SELECT name FROM person WHERE person = $1 AND state = 'active'")
            .bind(&person)
            .fetch_optional(conn)
            .await?;
    // Who knows an address but not whose it is learns nothing more and takes nobody over.
    if name.is_none_or(|name| facility::fold_word(&name) != facility::fold_word(&new.name)) {
        return Err(PeopleMessage::LoginTaken.about(&new.login).into());
    }
    Ok(Some(parse(&person)?))
}

async fn insert_person(conn: &mut Conn, new: &Registration<'_>) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO person (person, login, name, profession, password_hash, must_change, pledged_on, state, created_at)
         VALUES ($1, $2, $3, $4, $5, 1, $6, 'active', $7)",
    )
    .bind(new.person.as_str())
    .bind(&new.login)
    .bind(&new.name)
    .bind(&new.profession)
    .bind(&new.hash)
    .bind(&new.pledged_on)
    .bind(new.now)
    .execute(conn)
    .await?;
    Ok(())
}

/// Whoever comes back gets a membership of a new name, unless a case names the old one: its teams stay closed (H-14).
async fn insert_membership(
    conn: &mut Conn,
    new: &Registration<'_>,
    person: &PersonId,
    version: i64,
) -> Result<MembershipId, Fault> {
    let role = role(conn, &new.actor.facility).await?;
    let inserted: Option<String> = sqlx::query_scalar(
        "INSERT INTO membership (membership, person, facility, role, state, grants_version)
         VALUES ($1, $2, $3, $4, 'active', $5)
         ON CONFLICT (person, facility, role) DO UPDATE SET state = 'active', grants_version = excluded.grants_version,
            membership = CASE WHEN EXISTS (SELECT 1 FROM flow_case c WHERE c.membership = membership.membership)
                              THEN membership.membership ELSE excluded.membership END
         WHERE membership.state = 'ended' RETURNING membership",
    )
    .bind(new.membership.as_str())
    .bind(person.as_str())
    .bind(new.actor.facility.as_str())
    .bind(role.as_str())
    .bind(version)
    .fetch_optional(conn)
    .await?;
    parse(&inserted.ok_or_else(|| PeopleMessage::AlreadyMember.about(&new.login))?)
}

async fn role(conn: &mut Conn, facility: &FacilityId) -> Result<Role, Fault> {
    let kind: Option<String> = sqlx::query_scalar("SELECT kind FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(conn)
        .await?;
    let is_family = kind.as_deref() == Some(FacilityKind::Family.as_str());
    Ok(if is_family { Role::Family } else { Role::Staff })
}
