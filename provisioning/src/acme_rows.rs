//! One-time identifiers and their orders as rows, always inside somebody's transaction. What is of no more use (the
//! tunnel's preshared key, the hash of the admin's password) leaves its row with the state that needed it.
//! Edge: SQL.

use vpn::key::{PresharedKey, PublicKey};
use vpn::slot::SlotNumber;

use crate::acme::{Account, Pass, Stage};
use crate::fault::{Fault, parse};
use crate::store::Conn;

/// An identifier that was never used is forgotten after a day; one that was keeps what the device said of its key.
const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

/// An identifier with its order.
pub(crate) struct Row {
    pub order: String,
    pub number: String,
    pub pass: Pass,
    pub public_key: PublicKey,
    /// `None` once it is of no more use here.
    pub psk: Option<PresharedKey>,
    pub admin_hash: Option<String>,
    pub label: String,
    pub challenge: String,
    /// Once it was ordered with.
    pub identifier: String,
    /// base64url, as it came.
    pub attestation: String,
    pub request_hash: Option<String>,
    pub chain: Option<String>,
}

impl Row {
    /// Is its certificate there, and this request's?
    pub fn answers(&self, request_hash: &str) -> bool {
        self.chain.is_some() && self.request_hash.as_deref() == Some(request_hash)
    }
}

/// What the page's entry makes.
pub(crate) struct NewRow<'a> {
    pub order: &'a str,
    pub number: &'a str,
    pub slot: SlotNumber,
    pub secret_hash: &'a str,
    pub public_key: &'a PublicKey,
    pub psk: &'a PresharedKey,
    pub admin_hash: Option<&'a str>,
    pub label: &'a str,
    pub challenge: &'a str,
    pub valid_until: i64,
    pub now: i64,
}

type Stored = (
    String,
    String,
    String,
    String,
    Option<String>,
    String,
    i64,
    String,
    Option<String>,
    String,
    String,
    String,
    Option<String>,
    Option<String>,
);

pub(crate) async fn insert(conn: &mut Conn, new: &NewRow<'_>) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO acme_pass (pass, number, slot, secret_hash, public_key, psk, admin_hash, label, valid_until,
             state, challenge, made_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'waiting', $10, $11)",
    )
    .bind(new.order)
    .bind(new.number)
    .bind(new.slot.to_string())
    .bind(new.secret_hash)
    .bind(new.public_key.to_string())
    .bind(new.psk.expose_base64())
    .bind(new.admin_hash.map(str::to_owned))
    .bind(new.label)
    .bind(new.valid_until)
    .bind(new.challenge)
    .bind(new.now)
    .execute(conn)
    .await?;
    Ok(())
}

/// The last identifier of a sheet counts: what came before it and has no certificate is void.
pub(crate) async fn void_earlier(conn: &mut Conn, number: &str) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE acme_pass SET state = 'void', psk = '', admin_hash = NULL
         WHERE number = $1 AND state IN ('waiting', 'pending', 'ready')",
    )
    .bind(number)
    .execute(conn)
    .await?;
    Ok(())
}

/// By the identifier, in the slot that it was given to.
pub(crate) async fn by_secret(
    conn: &mut Conn,
    slot: SlotNumber,
    secret_hash: &str,
) -> Result<Option<Row>, Fault> {
    let stored: Option<Stored> = sqlx::query_as(
        "SELECT pass, number, public_key, psk, admin_hash, label, valid_until, state, account, challenge,
             identifier, attestation, request_hash, chain
         FROM acme_pass WHERE slot = $1 AND secret_hash = $2",
    )
    .bind(slot.to_string())
    .bind(secret_hash)
    .fetch_optional(conn)
    .await?;
    stored.map(row).transpose()
}

/// By the order's name, in its slot.
pub(crate) async fn by_order(conn: &mut Conn, slot: SlotNumber, order: &str) -> Result<Option<Row>, Fault> {
    let stored: Option<Stored> = sqlx::query_as(
        "SELECT pass, number, public_key, psk, admin_hash, label, valid_until, state, account, challenge,
             identifier, attestation, request_hash, chain
         FROM acme_pass WHERE slot = $1 AND pass = $2",
    )
    .bind(slot.to_string())
    .bind(order)
    .fetch_optional(conn)
    .await?;
    stored.map(row).transpose()
}

/// Has this account ordered anything in this slot?
pub(crate) async fn knows(conn: &mut Conn, slot: SlotNumber, account: &Account) -> Result<bool, Fault> {
    let orders: i64 = sqlx::query_scalar("SELECT count(*) FROM acme_pass WHERE slot = $1 AND account = $2")
        .bind(slot.to_string())
        .bind(&account.0)
        .fetch_one(conn)
        .await?;
    Ok(orders > 0)
}

/// The stage that `acme::step` gave, over the one that it was given; false when another writer was first.
pub(crate) async fn advance(conn: &mut Conn, row: &Row, next: &Stage) -> Result<bool, Fault> {
    let changed = sqlx::query(
        "UPDATE acme_pass SET state = $3, account = $4, identifier = $5, attestation = $6
         WHERE pass = $1 AND state = $2",
    )
    .bind(&row.order)
    .bind(row.pass.stage.as_str())
    .bind(next.as_str())
    .bind(next.account().map(|account| account.0.clone()))
    .bind(&row.identifier)
    .bind(&row.attestation)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// From its first request on an order is that request's alone; false when another one was first, or the identifier is
/// void.
pub(crate) async fn hold(conn: &mut Conn, order: &str, request_hash: &str) -> Result<bool, Fault> {
    let changed = sqlx::query(
        "UPDATE acme_pass SET request_hash = $2
         WHERE pass = $1 AND state = 'ready' AND (request_hash IS NULL OR request_hash = $3)",
    )
    .bind(order)
    .bind(request_hash)
    .bind(request_hash)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

/// A request that the authority refuses was no claim: the order takes another one.
pub(crate) async fn let_go(conn: &mut Conn, order: &str, request_hash: &str) -> Result<(), Fault> {
    sqlx::query(
        "UPDATE acme_pass SET request_hash = NULL WHERE pass = $1 AND state = 'ready' AND request_hash = $2",
    )
    .bind(order)
    .bind(request_hash)
    .execute(conn)
    .await?;
    Ok(())
}

/// Identifiers that ran out leave nothing behind that opens anything: the tunnel's preshared key and the admin's hash go.
/// That their time is over, the time says; their state stays, so that nothing is told otherwise before and after.
pub(crate) async fn expire(conn: &mut Conn, now: i64) -> Result<(), Fault> {
    sqlx::query("UPDATE acme_pass SET psk = '', admin_hash = NULL WHERE valid_until <= $1 AND psk <> ''")
        .bind(now)
        .execute(&mut *conn)
        .await?;
    sqlx::query("DELETE FROM acme_pass WHERE chain IS NULL AND made_at < $1")
        .bind(now - KEPT_MS)
        .execute(conn)
        .await?;
    Ok(())
}

/// The certificate is there; false when the identifier was void meanwhile.
pub(crate) async fn done(
    conn: &mut Conn,
    order: &str,
    request_hash: &str,
    chain: &str,
) -> Result<bool, Fault> {
    let changed = sqlx::query(
        "UPDATE acme_pass SET state = 'valid', request_hash = $2, chain = $3, psk = '', admin_hash = NULL
         WHERE pass = $1 AND state = 'ready'",
    )
    .bind(order)
    .bind(request_hash)
    .bind(chain)
    .execute(conn)
    .await?;
    Ok(changed.rows_affected() == 1)
}

fn row(stored: Stored) -> Result<Row, Fault> {
    let (
        order,
        number,
        public_key,
        psk,
        admin_hash,
        label,
        valid_until,
        state,
        account,
        challenge,
        identifier,
        attestation,
        request_hash,
        chain,
    ) = stored;
    let psk = match psk.is_empty() {
        true => None,
        false => Some(PresharedKey::try_from(psk).map_err(|_| Fault::Row("psk".to_owned()))?),
    };
    let stage = Stage::parse(&state, account).ok_or(Fault::Row(state))?;
    Ok(Row {
        order,
        number,
        pass: Pass { stage, valid_until },
        public_key: parse(&public_key)?,
        psk,
        admin_hash,
        label,
        challenge,
        identifier,
        attestation,
        request_hash,
        chain,
    })
}
