//! The passkeys of a person: offered, kept, listed, given up, and whom one signs in. Behind the same door as passwords, with the
//! same one answer for everything wrong and the same pauses. Edge: SQL.
//!
//! ```text
//! offer (password again) -> the authenticator makes a key -> keep        check -> whoever a password would be
//! ```

use data_encoding::BASE64URL_NOPAD;
use pki::identity::PersonId;
use serde_json::json;

use crate::accounts::{self, Account, AccountCheck};
use crate::audit::{self, Event};
use crate::fault::Fault;
use crate::passkey::{self, Asked, CREDENTIAL_MAX, Held, PasskeyFault, Said};
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::world;

/// A phone, a desk and a security key at both names, and a drawer of old ones.
pub const PER_PERSON: i64 = 10;
/// A person's word for a thing.
const LABEL_MAX: usize = 40;

/// What the gateway asked the authenticator; everything in base64url.
#[derive(Clone, Debug)]
pub struct Question {
    pub challenge: String,
    pub origin: String,
    pub rp: String,
}

/// What came back of a new key.
#[derive(Clone, Debug)]
pub struct NewProof {
    pub client_data: String,
    pub attestation: String,
}

/// What came back of one that signs in.
#[derive(Clone, Debug)]
pub struct Proof {
    pub credential: String,
    /// Whose the authenticator believes it is.
    pub person: Option<String>,
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    Yours { login: String, name: String, held: Vec<String> },
    Wrong,
    Paused { seconds: u32 },
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Kept,
    /// The proof does not hold, or somebody has this very key already.
    Refused,
    Full,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    pub credential: String,
    pub rp: String,
    pub label: String,
    pub made_at: i64,
    pub used_at: Option<i64>,
}

/// A stored key and whose it is.
struct Row {
    person: String,
    login: String,
    rp: String,
    key: Vec<u8>,
    counter: i64,
    portable: bool,
}

/// The person is signed in; the password is asked for all the same, because a terminal has several people (H-02).
pub async fn offer(shared: &Shared, person: &PersonId, password: &str, rp: &str) -> Result<Offer, Fault> {
    let Some(login) = login(shared, person).await? else { return Ok(Offer::Wrong) };
    let name = match accounts::check(shared, &login, password).await? {
        AccountCheck::Right { person: whose, name, .. } if whose == *person => name,
        AccountCheck::Paused { seconds } => return Ok(Offer::Paused { seconds }),
        _ => return Ok(Offer::Wrong),
    };
    let passkeys = list(shared, person).await?;
    if passkeys.len() as i64 >= PER_PERSON {
        return Ok(Offer::Full);
    }
    let held = passkeys.into_iter().filter(|one| one.rp == rp).map(|one| one.credential).collect();
    Ok(Offer::Yours { login, name, held })
}

pub async fn keep(
    shared: &Shared,
    person: &PersonId,
    label: &str,
    question: &Question,
    proof: &NewProof,
) -> Result<Kept, Fault> {
    let registered = (|| {
        let challenge = read(&question.challenge)?;
        let asked = Asked { challenge: &challenge, origin: &question.origin, rp: &question.rp };
        passkey::register(asked, &read(&proof.client_data)?, &read(&proof.attestation)?)
    })();
    let registered = match registered {
        Ok(registered) => registered,
        Err(fault) => {
            log::info!(PERSON = person.as_str(); "a passkey was not kept: {fault}");
            return Ok(Kept::Refused);
        }
    };
    let (label, now) = (worded(label), world::now_ms());
    let credential = BASE64URL_NOPAD.encode(&registered.credential);
    let key = BASE64URL_NOPAD.encode(&registered.key);
    transaction!(shared.store, conn => {
        if !is_active(conn, person).await? {
            return Ok::<_, Fault>(Kept::Refused);
        }
        if count(conn, person).await? >= PER_PERSON {
            return Ok(Kept::Full);
        }
        let made = sqlx::query(
            "INSERT INTO passkey (credential, person, rp, public_key, counter, portable, label, made_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (credential) DO NOTHING",
        )
        .bind(&credential)
        .bind(person.as_str())
        .bind(&question.rp)
        .bind(&key)
        .bind(i64::from(registered.counter))
        .bind(i64::from(registered.portable))
        .bind(&label)
        .bind(now)
        .execute(&mut *conn)
        .await?;
        if made.rows_affected() == 0 {
            return Ok(Kept::Refused);
        }
        record(conn, now, person, "account.passkey.add", json!({ "rp": question.rp })).await?;
        Ok(Kept::Kept)
    })
}

pub async fn list(shared: &Shared, person: &PersonId) -> Result<Vec<Passkey>, Fault> {
    let rows: Vec<(String, String, String, i64, Option<i64>)> = sqlx::query_as(
        "SELECT credential, rp, label, made_at, used_at FROM passkey WHERE person = $1 ORDER BY made_at, credential",
    )
    .bind(person.as_str())
    .fetch_all(shared.store.pool())
    .await?;
    let passkey =
        |(credential, rp, label, made_at, used_at)| Passkey { credential, rp, label, made_at, used_at };
    Ok(rows.into_iter().map(passkey).collect())
}

/// Was it this person's?
pub async fn remove(shared: &Shared, person: &PersonId, credential: &str) -> Result<bool, Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => {
        let gone = sqlx::query("DELETE FROM passkey WHERE credential = $1 AND person = $2")
            .bind(credential)
            .bind(person.as_str())
            .execute(&mut *conn)
            .await?;
        if gone.rows_affected() == 0 {
            return Ok::<_, Fault>(false);
        }
        record(conn, now, person, "account.passkey.remove", json!({})).await?;
        Ok(true)
    })
}

/// Signs nobody in: says who it would be.
pub async fn check(shared: &Shared, question: &Question, proof: &Proof) -> Result<AccountCheck, Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => settle(conn, question, proof, now).await)
}

/// In one transaction, so that of two proofs with one counter only one is good.
async fn settle(
    conn: &mut Conn,
    question: &Question,
    proof: &Proof,
    now: i64,
) -> Result<AccountCheck, Fault> {
    if proof.credential.len() > CREDENTIAL_MAX * 2 {
        return Ok(AccountCheck::Wrong);
    }
    let Some(row) = row(conn, &proof.credential).await? else { return Ok(AccountCheck::Wrong) };
    let counter = verify(question, proof, &row);
    if let Err(fault) = counter {
        log::info!(PERSON = row.person.as_str(); "a passkey does not sign in: {fault}");
        if fault == PasskeyFault::Counter {
            log::warn!(PERSON = row.person.as_str(); "a passkey was used twice with one counter: somebody holds a copy");
            let object = row.person.as_str();
            let event = Event {
                actor: "-",
                action: "account.passkey.copied",
                object,
                trace: None,
                detail: json!({ "rp": row.rp }),
            };
            audit::append(conn, now, event).await?;
        }
    }
    let account: Option<Account> = accounts::account(conn, &row.login).await?;
    let answer = accounts::settle(conn, &row.login, account.as_ref(), counter.is_ok(), now).await?;
    if let (Ok(counter), AccountCheck::Right { .. }) = (counter, &answer) {
        sqlx::query("UPDATE passkey SET counter = $2, used_at = $3 WHERE credential = $1")
            .bind(&proof.credential)
            .bind(i64::from(counter))
            .bind(now)
            .execute(conn)
            .await?;
    }
    Ok(answer)
}

fn verify(question: &Question, proof: &Proof, row: &Row) -> Result<u32, PasskeyFault> {
    if row.rp != question.rp {
        return Err(PasskeyFault::Name);
    }
    if proof.person.as_ref().is_some_and(|person| *person != row.person) {
        return Err(PasskeyFault::Authenticator);
    }
    let challenge = read(&question.challenge)?;
    let asked = Asked { challenge: &challenge, origin: &question.origin, rp: &question.rp };
    let counter = u32::try_from(row.counter).unwrap_or(u32::MAX);
    let held = Held { key: &row.key, counter, portable: row.portable };
    let (client_data, data) = (read(&proof.client_data)?, read(&proof.authenticator_data)?);
    let signature = read(&proof.signature)?;
    let said = Said { client_data: &client_data, authenticator_data: &data, signature: &signature };
    passkey::check(asked, &held, &said)
}

async fn row(conn: &mut Conn, credential: &str) -> Result<Option<Row>, Fault> {
    type Columns = (String, String, String, String, i64, i64);
    let row: Option<Columns> = sqlx::query_as(
        "SELECT k.person, p.login, k.rp, k.public_key, k.counter, k.portable FROM passkey k
         JOIN person p ON p.person = k.person WHERE k.credential = $1",
    )
    .bind(credential)
    .fetch_optional(conn)
    .await?;
    let Some((person, login, rp, key, counter, portable)) = row else { return Ok(None) };
    let key = BASE64URL_NOPAD.decode(key.as_bytes()).map_err(|_| Fault::Row("passkey".to_owned()))?;
    Ok(Some(Row { person, login, rp, key, counter, portable: portable != 0 }))
}

async fn is_active(conn: &mut Conn, person: &PersonId) -> Result<bool, Fault> {
    let state: Option<String> = sqlx::query_scalar("SELECT state FROM person WHERE person = $1")
        .bind(person.as_str())
        .fetch_optional(conn)
        .await?;
    Ok(state.as_deref() == Some("active"))
}

async fn count(conn: &mut Conn, person: &PersonId) -> Result<i64, Fault> {
    let count = "SELECT count(*) FROM passkey WHERE person = $1";
    Ok(sqlx::query_scalar(count).bind(person.as_str()).fetch_one(conn).await?)
}

async fn login(shared: &Shared, person: &PersonId) -> Result<Option<String>, Fault> {
    let login = "SELECT login FROM person WHERE person = $1";
    Ok(sqlx::query_scalar(login).bind(person.as_str()).fetch_optional(shared.store.pool()).await?)
}

async fn record(
    conn: &mut Conn,
    now: i64,
    person: &PersonId,
    action: &str,
    detail: serde_json::Value,
) -> Result<(), Fault> {
    let (actor, object) = (person.as_str(), person.as_str());
    audit::append(conn, now, Event { actor, action, object, trace: None, detail }).await?;
    Ok(())
}

fn read(text: &str) -> Result<Vec<u8>, PasskeyFault> {
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| PasskeyFault::ClientData)
}

/// One line, of bounded length, never empty.
fn worded(label: &str) -> String {
    let plain: String = label.chars().filter(|c| !c.is_control()).take(LABEL_MAX).collect();
    let plain = plain.trim();
    if plain.is_empty() { "パスキー".to_owned() } else { plain.to_owned() }
}
