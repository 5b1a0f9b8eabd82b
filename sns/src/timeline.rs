//! The tables of posts, 了解, the team's numbered feed, and of requests that may come twice.
//! Rows in, rows out, in the transaction that is handed in. An event's number is its place in the team's
//! feed: no gaps, and never visible before a smaller one, because writers come one after another.

use pki::identity::{FacilityId, MembershipId, PatientId, PersonId, Role};

use crate::post::{Lane, Once, PostId};
use crate::roster::person;
use crate::store::{Conn, StoreError};

/// A client that repeats a request later than this has been told long ago that it failed.
const ONCE_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

pub struct PostRow {
    pub post: PostId,
    pub number: i64,
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub lane: Lane,
    pub urgent: bool,
    pub at_ms: i64,
    pub author_sealed: String,
    pub text_sealed: String,
}

pub struct AckRow {
    pub membership: MembershipId,
    pub person: PersonId,
    pub facility: FacilityId,
    pub display_sealed: String,
    pub at_ms: i64,
}

/// Where a 了解's display is sealed to.
pub fn ack_row(post: &PostId, membership: &MembershipId) -> String {
    format!("{post}/{membership}")
}

pub enum EventKind {
    Post,
    Ack(MembershipId),
}

pub struct EventRow {
    pub number: i64,
    pub post: PostId,
    pub kind: EventKind,
}

type PostFields = (String, i64, String, String, String, String, i64, i64, String, String);

/// The number that the next event of the team will have.
pub async fn next_number(conn: &mut Conn, patient: &PatientId) -> Result<i64, StoreError> {
    Ok(last_number(conn, patient).await? + 1)
}

pub async fn last_number(conn: &mut Conn, patient: &PatientId) -> Result<i64, StoreError> {
    let (number,): (i64,) = sqlx::query_as("SELECT COALESCE(MAX(number), 0) FROM event WHERE patient = $1")
        .bind(patient.as_str())
        .fetch_one(conn)
        .await?;
    Ok(number)
}

pub async fn insert_post(conn: &mut Conn, patient: &PatientId, row: &PostRow) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO post (post, patient, number, person, membership, facility, lane, urgent, at_ms, author_sealed, text_sealed) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
    )
    .bind(row.post.as_str())
    .bind(patient.as_str())
    .bind(row.number)
    .bind(row.person.as_str())
    .bind(row.membership.as_str())
    .bind(row.facility.as_str())
    .bind(row.lane.as_str())
    .bind(i64::from(row.urgent))
    .bind(row.at_ms)
    .bind(&row.author_sealed)
    .bind(&row.text_sealed)
    .execute(&mut *conn)
    .await?;
    insert_event(conn, patient, row.number, "post", &row.post, "", row.at_ms).await
}

/// The newest posts before a number that this role may see, newest first.
pub async fn posts(
    conn: &mut Conn,
    patient: &PatientId,
    role: Role,
    before: i64,
    limit: u32,
) -> Result<Vec<PostRow>, StoreError> {
    let rows: Vec<PostFields> = sqlx::query_as(
        "SELECT post, number, person, membership, facility, lane, urgent, at_ms, author_sealed, text_sealed FROM post \
         WHERE patient = $1 AND number < $2 AND ($3 = 1 OR lane = 'family') ORDER BY number DESC LIMIT $4",
    )
    .bind(patient.as_str())
    .bind(before)
    .bind(i64::from(Lane::Professionals.is_seen_by(role)))
    .bind(i64::from(limit))
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(post_row).collect()
}

/// A post and the patient it is about.
pub async fn post(conn: &mut Conn, post: &PostId) -> Result<Option<(PatientId, PostRow)>, StoreError> {
    let row: Option<PostFields> = sqlx::query_as(
        "SELECT post, number, person, membership, facility, lane, urgent, at_ms, author_sealed, text_sealed \
         FROM post WHERE post = $1",
    )
    .bind(post.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (patient,): (String,) = sqlx::query_as("SELECT patient FROM post WHERE post = $1")
        .bind(post.as_str())
        .fetch_one(conn)
        .await?;
    Ok(Some((patient.parse().map_err(|_| StoreError::Broken("post.patient"))?, post_row(row)?)))
}

/// False when it was pressed already; then nothing changes.
pub async fn insert_ack(
    conn: &mut Conn,
    patient: &PatientId,
    post: &PostId,
    row: &AckRow,
) -> Result<Option<i64>, StoreError> {
    let done = sqlx::query(
        "INSERT INTO ack (post, membership, patient, person, facility, display_sealed, at_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (post, membership) DO NOTHING",
    )
    .bind(post.as_str())
    .bind(row.membership.as_str())
    .bind(patient.as_str())
    .bind(row.person.as_str())
    .bind(row.facility.as_str())
    .bind(&row.display_sealed)
    .bind(row.at_ms)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(None);
    }
    let number = next_number(conn, patient).await?;
    insert_event(conn, patient, number, "ack", post, row.membership.as_str(), row.at_ms).await?;
    Ok(Some(number))
}

pub async fn acks(conn: &mut Conn, post: &PostId) -> Result<Vec<AckRow>, StoreError> {
    let rows: Vec<(String, String, String, String, i64)> = sqlx::query_as(
        "SELECT membership, person, facility, display_sealed, at_ms FROM ack WHERE post = $1 ORDER BY at_ms, membership",
    )
    .bind(post.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter()
        .map(|(membership, who, facility, display_sealed, at_ms)| {
            Ok(AckRow {
                membership: membership.parse().map_err(|_| StoreError::Broken("ack.membership"))?,
                person: person(who)?,
                facility: facility.parse().map_err(|_| StoreError::Broken("ack.facility"))?,
                display_sealed,
                at_ms,
            })
        })
        .collect()
}

/// Posts of others that this membership has not acknowledged (K-05).
pub async fn awaiting(
    conn: &mut Conn,
    patient: &PatientId,
    who: &PersonId,
    membership: &MembershipId,
    role: Role,
) -> Result<u32, StoreError> {
    let (count,): (i64,) = sqlx::query_as(
        "SELECT COUNT(*) FROM post p WHERE p.patient = $1 AND p.person <> $2 AND ($3 = 1 OR p.lane = 'family') \
         AND NOT EXISTS (SELECT 1 FROM ack a WHERE a.post = p.post AND a.membership = $4)",
    )
    .bind(patient.as_str())
    .bind(who.as_str())
    .bind(i64::from(Lane::Professionals.is_seen_by(role)))
    .bind(membership.as_str())
    .fetch_one(conn)
    .await?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

pub async fn event_after(
    conn: &mut Conn,
    patient: &PatientId,
    after: i64,
) -> Result<Option<EventRow>, StoreError> {
    let row: Option<(i64, String, String, String)> = sqlx::query_as(
        "SELECT number, kind, post, membership FROM event WHERE patient = $1 AND number > $2 ORDER BY number LIMIT 1",
    )
    .bind(patient.as_str())
    .bind(after)
    .fetch_optional(conn)
    .await?;
    let Some((number, kind, post, membership)) = row else { return Ok(None) };
    let kind = match kind.as_str() {
        "post" => EventKind::Post,
        "ack" => EventKind::Ack(membership.parse().map_err(|_| StoreError::Broken("event.membership"))?),
        _ => return Err(StoreError::Broken("event.kind")),
    };
    Ok(Some(EventRow { number, post: post.parse().map_err(|_| StoreError::Broken("event.post"))?, kind }))
}

/// What the same request was answered with: its mark, and the post it made.
pub async fn once(
    conn: &mut Conn,
    membership: &MembershipId,
    place: &str,
    once: &Once,
) -> Result<Option<(String, PostId)>, StoreError> {
    let row: Option<(String, String)> = sqlx::query_as(
        "SELECT mark, post FROM idempotency WHERE membership = $1 AND place = $2 AND once = $3",
    )
    .bind(membership.as_str())
    .bind(place)
    .bind(once.as_str())
    .fetch_optional(conn)
    .await?;
    let Some((mark, post)) = row else { return Ok(None) };
    Ok(Some((mark, post.parse().map_err(|_| StoreError::Broken("idempotency.post"))?)))
}

pub async fn remember_once(
    conn: &mut Conn,
    membership: &MembershipId,
    place: &str,
    once: &Once,
    mark: &str,
    row: &PostRow,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency WHERE at_ms < $1")
        .bind(row.at_ms - ONCE_KEPT_MS)
        .execute(&mut *conn)
        .await?;
    sqlx::query("INSERT INTO idempotency (membership, place, once, mark, post, at_ms) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(membership.as_str())
        .bind(place)
        .bind(once.as_str())
        .bind(mark)
        .bind(row.post.as_str())
        .bind(row.at_ms)
        .execute(&mut *conn)
        .await?;
    Ok(())
}

async fn insert_event(
    conn: &mut Conn,
    patient: &PatientId,
    number: i64,
    kind: &'static str,
    post: &PostId,
    membership: &str,
    at_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO event (patient, number, kind, post, membership, at_ms) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(patient.as_str())
    .bind(number)
    .bind(kind)
    .bind(post.as_str())
    .bind(membership)
    .bind(at_ms)
    .execute(conn)
    .await?;
    Ok(())
}

fn post_row(fields: PostFields) -> Result<PostRow, StoreError> {
    let (post, number, who, membership, facility, lane, urgent, at_ms, author_sealed, text_sealed) = fields;
    Ok(PostRow {
        post: post.parse().map_err(|_| StoreError::Broken("post.post"))?,
        number,
        person: person(who)?,
        membership: membership.parse().map_err(|_| StoreError::Broken("post.membership"))?,
        facility: facility.parse().map_err(|_| StoreError::Broken("post.facility"))?,
        lane: Lane::read(&lane),
        urgent: urgent != 0,
        at_ms,
        author_sealed,
        text_sealed,
    })
}
