//! The rows of the scans. What they mean is decided in `filing` and `scan_seal`; what stands on a page is opened in
//! `scan_work`. Edge: SQL.

use crate::door_scan::{CameBy, ScanLine, Why};
use crate::fault::{Fault, parse};
use crate::jst;
use crate::messages_scan::ScanMessage;
use crate::store::Conn;

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
/// A page that nobody sorts in so long is scanned again when somebody asks: the paper is in its folder.
pub const TRAY_MS: i64 = 30 * DAY_MS;
/// What went from the tray is shown for so long.
const GONE_SHOWN_MS: i64 = 14 * DAY_MS;
/// Rows of a list: more pages than a clerk sorts in a week.
const SHOWN_MAX: i64 = 500;

#[derive(Clone, sqlx::FromRow)]
pub struct Scan {
    pub scan: String,
    pub state: String,
    pub came_by: String,
    pub case_id: Option<String>,
    pub form: String,
    pub page: i64,
    pub reason: String,
    pub about: String,
    pub media: String,
    pub bytes: i64,
    pub hash: String,
    pub key_kind: String,
    pub key_name: String,
    pub wrapped: String,
    pub taken_at: i64,
    pub taken_by: String,
    pub moved_at: Option<i64>,
    pub moved_by: Option<String>,
}

/// A page to be written, sealed.
pub struct NewScan {
    pub scan: String,
    pub sheet: i64,
    pub case: Option<String>,
    pub form: String,
    pub page: i64,
    pub reason: String,
    pub about: String,
    pub media: &'static str,
    pub bytes: i64,
    pub hash: String,
    pub key: Wrapped,
    pub sealed: String,
}

/// A page's key, and under whose it lies.
#[derive(Clone)]
pub struct Wrapped {
    pub kind: &'static str,
    pub name: String,
    pub wrapped: String,
}

pub async fn insert(
    conn: &mut Conn,
    (now, operator, batch): (i64, &str, &str),
    came_by: CameBy,
    new: &NewScan,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO scan (scan, batch, sheet, came_by, state, case_id, form, page, reason, about, media, bytes, hash,
                           key_kind, key_name, wrapped, taken_at, taken_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
    )
    .bind(&new.scan)
    .bind(batch)
    .bind(new.sheet)
    .bind(came_by.as_str())
    .bind(if new.case.is_some() { "filed" } else { "tray" })
    .bind(&new.case)
    .bind(&new.form)
    .bind(new.page)
    .bind(&new.reason)
    .bind(&new.about)
    .bind(new.media)
    .bind(new.bytes)
    .bind(&new.hash)
    .bind(new.key.kind)
    .bind(&new.key.name)
    .bind(&new.key.wrapped)
    .bind(now)
    .bind(operator)
    .execute(&mut *conn)
    .await?;
    sqlx::query("INSERT INTO scan_content (scan, sealed) VALUES ($1, $2)")
        .bind(&new.scan)
        .bind(&new.sealed)
        .execute(conn)
        .await?;
    Ok(())
}

/// The same page, kept already; where.
pub async fn known(conn: &mut Conn, hash: &str) -> Result<Option<(String, Option<String>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT scan, case_id FROM scan WHERE hash = $1 AND state IN ('tray', 'filed') ORDER BY taken_at, scan LIMIT 1",
    )
    .bind(hash)
    .fetch_optional(conn)
    .await
}

pub async fn find(conn: &mut Conn, scan: &str) -> Result<Scan, Fault> {
    let found: Option<Scan> =
        sqlx::query_as("SELECT * FROM scan WHERE scan = $1").bind(scan).fetch_optional(conn).await?;
    found.ok_or_else(|| ScanMessage::ScanUnknown.into())
}

pub async fn sealed(conn: &mut Conn, scan: &str) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar("SELECT sealed FROM scan_content WHERE scan = $1")
        .bind(scan)
        .fetch_optional(conn)
        .await
}

pub async fn of_case(conn: &mut Conn, case: &str) -> Result<Vec<Scan>, sqlx::Error> {
    sqlx::query_as(
        "SELECT * FROM scan WHERE case_id = $1 AND state = 'filed' ORDER BY taken_at, batch, sheet, scan LIMIT $2",
    )
    .bind(case)
    .bind(SHOWN_MAX)
    .fetch_all(conn)
    .await
}

/// Whatever lies under the tray's key, and what went from there lately.
pub async fn tray(conn: &mut Conn, now: i64) -> Result<Vec<Scan>, sqlx::Error> {
    sqlx::query_as(
        "SELECT * FROM scan WHERE key_kind = 'tray' OR (state IN ('discarded', 'ended') AND moved_at > $1)
         ORDER BY CASE WHEN key_kind = 'tray' THEN 0 ELSE 1 END, taken_at, batch, sheet, scan LIMIT $2",
    )
    .bind(now - GONE_SHOWN_MS)
    .bind(SHOWN_MAX)
    .fetch_all(conn)
    .await
}

/// How many lie under the tray's key.
pub async fn waiting(conn: &mut Conn) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("SELECT COUNT(*) FROM scan WHERE key_kind = 'tray'").fetch_one(conn).await
}

/// To a case, sealed anew; nothing happens when somebody else was faster.
pub async fn file(
    conn: &mut Conn,
    (now, operator): (i64, &str),
    before: &Scan,
    (case, form, reason): (&str, &str, &str),
    (key, sealed): (&Wrapped, &str),
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE scan SET state = 'filed', case_id = $3, form = $4, reason = $5, about = $6, key_kind = $7, key_name = $8,
                         wrapped = $9, moved_at = $10, moved_by = $11
         WHERE scan = $1 AND wrapped = $2",
    )
    .bind(&before.scan)
    .bind(&before.wrapped)
    .bind(case)
    .bind(form)
    .bind(reason)
    .bind(if reason.is_empty() { "" } else { case })
    .bind(key.kind)
    .bind(&key.name)
    .bind(&key.wrapped)
    .bind(now)
    .bind(operator)
    .execute(&mut *conn)
    .await?;
    if done.rows_affected() == 0 {
        return Ok(false);
    }
    sqlx::query("UPDATE scan_content SET sealed = $2 WHERE scan = $1")
        .bind(&before.scan)
        .bind(sealed)
        .execute(conn)
        .await?;
    Ok(true)
}

/// Key and content go; that it was here stays.
pub async fn gone(
    conn: &mut Conn,
    (now, operator): (i64, &str),
    scan: &str,
    (state, why): (&str, &str),
) -> Result<bool, sqlx::Error> {
    let done = sqlx::query(
        "UPDATE scan SET state = $2, reason = $3, key_kind = 'none', key_name = '', wrapped = '', moved_at = $4, moved_by = $5
         WHERE scan = $1 AND key_kind = 'tray'",
    )
    .bind(scan)
    .bind(state)
    .bind(why)
    .bind(now)
    .bind(operator)
    .execute(&mut *conn)
    .await?;
    sqlx::query("DELETE FROM scan_content WHERE scan = $1 AND $2 = 1")
        .bind(scan)
        .bind(i64::from(done.rows_affected() > 0))
        .execute(conn)
        .await?;
    Ok(done.rows_affected() > 0)
}

pub async fn rewrap(conn: &mut Conn, before: &Scan, key: &Wrapped) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE scan SET key_kind = $3, key_name = $4, wrapped = $5 WHERE scan = $1 AND wrapped = $2",
    )
    .bind(&before.scan)
    .bind(&before.wrapped)
    .bind(key.kind)
    .bind(&key.name)
    .bind(&key.wrapped)
    .execute(conn)
    .await?;
    Ok(())
}

/// As it is shown.
pub fn line(scan: Scan, now: i64) -> Result<ScanLine, Fault> {
    let number = |value: i64| u32::try_from(value).unwrap_or(0);
    let waits = scan.key_kind == "tray";
    let left = (scan.taken_at + TRAY_MS - now).max(0) / DAY_MS;
    let gone = match scan.state.as_str() {
        "discarded" => Some(Why::parse(&scan.reason).map_or("", Why::ja).to_owned()),
        "ended" => Some("仕分けられないまま保管期限が過ぎた".to_owned()),
        _ => None,
    };
    let filled = |text: String| Some(text).filter(|text| !text.is_empty());
    Ok(ScanLine {
        reason: reason(&scan.reason, &scan.about).filter(|_| waits).map(|message| message.trouble()),
        came_by: CameBy::parse(&scan.came_by).ok_or_else(|| Fault::Row(scan.came_by.clone()))?,
        scan: scan.scan,
        state: scan.state,
        case: scan.case_id,
        form: filled(scan.form),
        page: number(scan.page),
        bytes: u64::try_from(scan.bytes).unwrap_or(0),
        hash: scan.hash,
        key: scan.key_kind,
        gone_ja: gone,
        taken: jst::rfc3339(scan.taken_at),
        taken_by: scan.taken_by,
        moved: scan.moved_at.map(jst::rfc3339),
        moved_by: scan.moved_by,
        days_left: waits.then(|| number(left)),
    })
}

/// What is written down of a reason, and back.
pub fn written(message: &ScanMessage) -> (String, String) {
    let about = match message {
        ScanMessage::NoCase { form } => (*form).to_owned(),
        ScanMessage::CaseUnknown { case }
        | ScanMessage::CaseClosed { case }
        | ScanMessage::HashDiffers { case }
        | ScanMessage::WaitsForPatient { case } => case.clone(),
        _ => String::new(),
    };
    (message.code().to_owned(), about)
}

fn reason(code: &str, about: &str) -> Option<ScanMessage> {
    let case = about.to_owned();
    let form = crate::flow_forms::Form::parse(about).map_or("様式", crate::flow_forms::Form::name_ja);
    [
        ScanMessage::NoCode,
        ScanMessage::OtherRealm,
        ScanMessage::CodeBroken,
        ScanMessage::NoCase { form },
        ScanMessage::CaseUnknown { case: case.clone() },
        ScanMessage::CaseClosed { case: case.clone() },
        ScanMessage::HashDiffers { case: case.clone() },
        ScanMessage::CodesTwo,
        ScanMessage::Follows,
        ScanMessage::WaitsForPatient { case },
    ]
    .into_iter()
    .find(|message| message.code() == code)
}

/// Whose key a row names.
pub fn patient(scan: &Scan) -> Result<pki::identity::PatientId, Fault> {
    parse(&scan.key_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_reads_back_as_it_was_written() {
        let case = || "2026-00042".to_owned();
        for message in [
            ScanMessage::NoCode,
            ScanMessage::NoCase { form: "様式6" },
            ScanMessage::HashDiffers { case: case() },
            ScanMessage::WaitsForPatient { case: case() },
        ] {
            let (code, about) = written(&message);
            assert_eq!(reason(&code, &about), Some(message));
        }
        assert_eq!(reason("twice", ""), None);
    }
}
