//! Who a login and a password belong to (P-25, H-01), and how the password is changed (P-09).
//! Wrong login, wrong password, suspended person: one answer, one cost. Edge: SQL.

use pki::chain::Hash;
use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde_json::json;
use zeroize::Zeroizing;

use crate::audit::{self, Event};
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::messages_people::{PeopleMessage, Refusal};
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::{login, password, world};

/// Rows of logins that nobody has are dropped after a day: a table that strangers fill has an end.
const STRANGER_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountCheck {
    Right { person: PersonId, name: String, memberships: Vec<AccountMembership>, must_change: bool },
    Wrong,
    Paused { seconds: u32 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountMembership {
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub facility_name: String,
    pub role: Role,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordChange {
    Changed,
    Wrong,
    /// The rule it breaks, in words.
    Weak(Refusal),
}

/// A person's row as signing in needs it.
pub(crate) struct Account {
    person: String,
    name: String,
    hash: Option<String>,
    must_change: bool,
}

/// Signs nobody in: says who it would be.
pub async fn check(shared: &Shared, login: &str, password: &str) -> Result<AccountCheck, Fault> {
    let login = login::fold(login);
    let account = {
        let mut conn = shared.store.pool().acquire().await?;
        if let Some(seconds) = paused(&mut conn, &login, world::now_ms()).await? {
            return Ok(AccountCheck::Paused { seconds });
        }
        account(&mut conn, &login).await?
    };
    let hash = account.as_ref().and_then(|account| account.hash.clone());
    let right = shared.hasher.verify(password::read(password), hash).await?;
    transaction!(shared.store, conn => settle(conn, &login, account.as_ref(), right, world::now_ms()).await)
}

/// The person is signed in; the old password is asked for all the same.
pub async fn change_password(
    shared: &Shared,
    person: &PersonId,
    old: &str,
    new: &str,
) -> Result<PasswordChange, Fault> {
    let login: Option<String> = sqlx::query_scalar("SELECT login FROM person WHERE person = $1")
        .bind(person.as_str())
        .fetch_optional(shared.store.pool())
        .await?;
    let Some(login) = login else { return Ok(PasswordChange::Wrong) };
    if !matches!(check(shared, &login, old).await?, AccountCheck::Right { .. }) {
        return Ok(PasswordChange::Wrong);
    }
    let new = match password::check(new, &login) {
        Ok(new) if *new == *password::read(old) => {
            return Ok(PasswordChange::Weak(PeopleMessage::PasswordReused.into()));
        }
        Ok(new) => new,
        Err(message) => return Ok(PasswordChange::Weak(message.into())),
    };
    let hash = shared.hasher.hash(new).await?;
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        set_password(conn, person.as_str(), &hash, false).await?;
        let event =
            Event { actor: person.as_str(), action: "account.password", object: person.as_str(), trace: None, detail: json!({}) };
        audit::append(conn, now, event).await?;
        Ok::<_, Fault>(())
    })?;
    Ok(PasswordChange::Changed)
}

/// Stores a new password's hash; `must_change` when somebody else has seen it: then the person begins anew, without the
/// passkeys that whoever was in before may have left.
pub async fn set_password(conn: &mut Conn, person: &str, hash: &str, must_change: bool) -> Result<(), Fault> {
    if must_change {
        sqlx::query("DELETE FROM passkey WHERE person = $1").bind(person).execute(&mut *conn).await?;
    }
    sqlx::query(
        "UPDATE person SET password_hash = $2, must_change = $3, failures = 0, paused_until = 0 WHERE person = $1",
    )
    .bind(person)
    .bind(hash)
    .bind(i64::from(must_change))
    .execute(conn)
    .await?;
    Ok(())
}

/// A first password that satisfies P-09, for whoever hands it over.
pub fn first_password(login: &str) -> Result<Zeroizing<String>, Fault> {
    loop {
        let text = password::first(&*world::random::<16>()?);
        if password::check(&text, login).is_ok() {
            return Ok(text);
        }
    }
}

/// Seconds left of a pause, for a login that somebody has and one that nobody has alike.
async fn paused(conn: &mut Conn, login: &str, now: i64) -> Result<Option<u32>, Fault> {
    let until: Vec<i64> = sqlx::query_scalar(
        "SELECT paused_until FROM person WHERE login = $1
         UNION ALL SELECT paused_until FROM stranger WHERE login_hash = $2",
    )
    .bind(login)
    .bind(stranger(login))
    .fetch_all(conn)
    .await?;
    let left = until.into_iter().max().unwrap_or(0).saturating_sub(now);
    Ok((left > 0).then(|| seconds(left)))
}

pub(crate) async fn account(conn: &mut Conn, login: &str) -> Result<Option<Account>, Fault> {
    let row: Option<(String, String, Option<String>, i64)> = sqlx::query_as(
        "SELECT person, name, password_hash, must_change FROM person WHERE login = $1 AND state = 'active'",
    )
    .bind(login)
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|(person, name, hash, must_change)| Account {
        person,
        name,
        hash,
        must_change: must_change != 0,
    }))
}

/// Counts a failure or forgets the earlier ones, in one transaction with the answer; `right`: the password, or a passkey.
pub(crate) async fn settle(
    conn: &mut Conn,
    login: &str,
    account: Option<&Account>,
    right: bool,
    now: i64,
) -> Result<AccountCheck, Fault> {
    // Guesses that were verified side by side must not outrun the pause.
    if let Some(seconds) = paused(conn, login, now).await? {
        return Ok(AccountCheck::Paused { seconds });
    }
    if let (true, Some(account)) = (right, account) {
        let memberships = memberships(conn, &account.person).await?;
        if !memberships.is_empty() {
            sqlx::query("UPDATE person SET failures = 0, paused_until = 0 WHERE person = $1")
                .bind(&account.person)
                .execute(conn)
                .await?;
            return Ok(AccountCheck::Right {
                person: parse(&account.person)?,
                name: account.name.clone(),
                memberships,
                must_change: account.must_change,
            });
        }
    }
    let failures = count_failure(conn, login, now).await?;
    let Some(pause) = password::pause_ms(failures) else { return Ok(AccountCheck::Wrong) };
    pause_until(conn, login, now + pause).await?;
    // The login may be anybody's typing error, even a password: only a known person is named.
    let object = account.map_or("-", |account| account.person.as_str());
    let event = Event {
        actor: "-",
        action: "account.paused",
        object,
        trace: None,
        detail: json!({ "failures": failures }),
    };
    audit::append(conn, now, event).await?;
    log::warn!(PERSON = object, FAILURES = failures; "sign-in paused after repeated failures");
    Ok(AccountCheck::Paused { seconds: seconds(pause) })
}

/// Active memberships in active facilities, in a stable order.
async fn memberships(conn: &mut Conn, person: &str) -> Result<Vec<AccountMembership>, Fault> {
    let rows: Vec<(String, String, String, String)> = sqlx::query_as(
        "SELECT m.membership, m.facility, f.name, m.role FROM membership m
         JOIN facility f ON f.facility = m.facility
         WHERE m.person = $1 AND m.state = 'active' AND f.state = 'active' AND NOT (f.kind = $2 AND m.role = $3)
         ORDER BY f.name, m.membership",
    )
    .bind(person)
    // A-08a: as the feed says it to the gateway.
    .bind(FacilityKind::Family.as_str())
    .bind(Role::FacilityAdmin.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(membership, facility, facility_name, role)| {
            Ok(AccountMembership {
                membership: parse(&membership)?,
                facility: parse(&facility)?,
                facility_name,
                role: parse(&role)?,
            })
        })
        .collect()
}

async fn count_failure(conn: &mut Conn, login: &str, now: i64) -> Result<i64, Fault> {
    let known: Option<i64> =
        sqlx::query_scalar("UPDATE person SET failures = failures + 1 WHERE login = $1 RETURNING failures")
            .bind(login)
            .fetch_optional(&mut *conn)
            .await?;
    if let Some(failures) = known {
        return Ok(failures);
    }
    sqlx::query("DELETE FROM stranger WHERE at < $1")
        .bind(now - STRANGER_KEPT_MS)
        .execute(&mut *conn)
        .await?;
    let failures = sqlx::query_scalar(
        "INSERT INTO stranger (login_hash, failures, paused_until, at) VALUES ($1, 1, 0, $2)
         ON CONFLICT (login_hash) DO UPDATE SET failures = stranger.failures + 1, at = excluded.at RETURNING failures",
    )
    .bind(stranger(login))
    .bind(now)
    .fetch_one(conn)
    .await?;
    Ok(failures)
}

async fn pause_until(conn: &mut Conn, login: &str, until: i64) -> Result<(), Fault> {
    sqlx::query("UPDATE person SET paused_until = $2 WHERE login = $1")
        .bind(login)
        .bind(until)
        .execute(&mut *conn)
        .await?;
    sqlx::query("UPDATE stranger SET paused_until = $2 WHERE login_hash = $1")
        .bind(stranger(login))
        .bind(until)
        .execute(conn)
        .await?;
    Ok(())
}

/// What strangers type is not kept in clear: it may be a password in the wrong field.
fn stranger(login: &str) -> String {
    Hash::of(login.as_bytes()).to_string()
}

fn seconds(ms: i64) -> u32 {
    u32::try_from((ms + 999) / 1000).unwrap_or(u32::MAX)
}
