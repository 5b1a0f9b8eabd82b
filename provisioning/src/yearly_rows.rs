//! The rows of the 年次更新: rounds, what is ticked, how far each facility is, who was called. Edge: SQL.

use std::collections::BTreeMap;

use jiff::civil::Date;
use pki::identity::FacilityId;

use crate::dates;
use crate::door_yearly::{YearlyLine, YearlyProgress, YearlyRound};
use crate::facility::FacilityKind;
use crate::fault::{Fault, parse};
use crate::jst;
use crate::store::Conn;
use crate::yearly::{PersonTick, Round, Stage, Stay, Ticks};

/// How far one facility is.
pub struct Answer {
    pub saved_at: Option<i64>,
    pub done_at: Option<i64>,
}

impl Answer {
    pub fn stage(&self) -> Stage {
        Stage::of(self.saved_at.is_some(), self.done_at.is_some())
    }
}

/// The newest round, begun or not; or that of a year.
pub async fn round(conn: &mut Conn, year: Option<i16>) -> Result<Option<Round>, Fault> {
    let row: Option<(i64, String, String)> = sqlx::query_as(
        "SELECT fiscal_year, opens_on, due_on FROM yearly_round WHERE ($1 = 0 OR fiscal_year = $1)
         ORDER BY fiscal_year DESC LIMIT 1",
    )
    .bind(year.map_or(0, i64::from))
    .fetch_optional(conn)
    .await?;
    row.map(|(year, opens_on, due_on)| {
        let day = |text: &str| text.parse::<Date>().map_err(|_| Fault::Row(text.to_owned()));
        let year = i16::try_from(year).map_err(|_| Fault::Row("fiscal_year".to_owned()))?;
        Ok(Round { year, opens_on: day(&opens_on)?, due_on: day(&due_on)? })
    })
    .transpose()
}

/// Opens a round, or moves its days.
pub async fn write_round(conn: &mut Conn, now: i64, by: &str, round: &Round) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO yearly_round (fiscal_year, opens_on, due_on, opened_by, opened_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (fiscal_year) DO UPDATE SET opens_on = excluded.opens_on, due_on = excluded.due_on",
    )
    .bind(i64::from(round.year))
    .bind(round.opens_on.to_string())
    .bind(round.due_on.to_string())
    .bind(by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}

/// What a facility has ticked so far.
pub async fn ticks(conn: &mut Conn, year: i16, facility: &FacilityId) -> Result<(Ticks, Answer), Fault> {
    let head: Option<(Option<String>, i64, i64, Option<i64>)> = sqlx::query_as(
        "SELECT trained_on, ledger, saved_at, done_at FROM yearly_answer WHERE fiscal_year = $1 AND facility = $2",
    )
    .bind(i64::from(year))
    .bind(facility.as_str())
    .fetch_optional(&mut *conn)
    .await?;
    let people: Vec<(String, Option<String>, i64)> = sqlx::query_as(
        "SELECT membership, stay, trained FROM yearly_person WHERE fiscal_year = $1 AND facility = $2",
    )
    .bind(i64::from(year))
    .bind(facility.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let devices: Vec<(String, i64)> =
        sqlx::query_as("SELECT device, returned FROM yearly_device WHERE fiscal_year = $1 AND facility = $2")
            .bind(i64::from(year))
            .bind(facility.as_str())
            .fetch_all(conn)
            .await?;
    let mut ticks = Ticks::default();
    for (membership, stay, trained) in people {
        let tick = PersonTick { stay: stay.as_deref().and_then(Stay::parse), trained: trained != 0 };
        ticks.people.insert(parse(&membership)?, tick);
    }
    ticks.devices = devices.into_iter().map(|(device, returned)| (device, returned != 0)).collect();
    let Some((trained_on, ledger, saved_at, done_at)) = head else {
        return Ok((ticks, Answer { saved_at: None, done_at: None }));
    };
    (ticks.trained_on, ticks.ledger) = (trained_on, ledger != 0);
    Ok((ticks, Answer { saved_at: Some(saved_at), done_at }))
}

/// Everything on the screen as it is now; what was taken back is gone.
pub async fn write_ticks(
    conn: &mut Conn,
    now: i64,
    by: &str,
    (year, facility): (i16, &FacilityId),
    ticks: &Ticks,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO yearly_answer (fiscal_year, facility, trained_on, ledger, saved_by, saved_at)
         VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (fiscal_year, facility) DO UPDATE SET trained_on = excluded.trained_on,
            ledger = excluded.ledger, saved_by = excluded.saved_by, saved_at = excluded.saved_at",
    )
    .bind(i64::from(year))
    .bind(facility.as_str())
    .bind(&ticks.trained_on)
    .bind(i64::from(ticks.ledger))
    .bind(by)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    for table in [
        "DELETE FROM yearly_person WHERE fiscal_year = $1 AND facility = $2",
        "DELETE FROM yearly_device WHERE fiscal_year = $1 AND facility = $2",
    ] {
        sqlx::query(table).bind(i64::from(year)).bind(facility.as_str()).execute(&mut *conn).await?;
    }
    for (membership, tick) in &ticks.people {
        sqlx::query(
            "INSERT INTO yearly_person (fiscal_year, membership, facility, stay, trained) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(i64::from(year))
        .bind(membership.as_str())
        .bind(facility.as_str())
        .bind(tick.stay.map(Stay::as_str))
        .bind(i64::from(tick.trained))
        .execute(&mut *conn)
        .await?;
    }
    for (device, returned) in &ticks.devices {
        sqlx::query(
            "INSERT INTO yearly_device (fiscal_year, device, facility, returned) VALUES ($1, $2, $3, $4)",
        )
        .bind(i64::from(year))
        .bind(device)
        .bind(facility.as_str())
        .bind(i64::from(*returned))
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

pub async fn done(conn: &mut Conn, now: i64, year: i16, facility: &FacilityId) -> Result<(), Fault> {
    sqlx::query("UPDATE yearly_answer SET done_at = $3 WHERE fiscal_year = $1 AND facility = $2")
        .bind(i64::from(year))
        .bind(facility.as_str())
        .bind(now)
        .execute(conn)
        .await?;
    Ok(())
}

pub async fn called(
    conn: &mut Conn,
    now: i64,
    by: &str,
    (year, facility): (i16, &FacilityId),
    note: &str,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO yearly_call (fiscal_year, facility, at, operator, note) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (fiscal_year, facility, at) DO NOTHING",
    )
    .bind(i64::from(year))
    .bind(facility.as_str())
    .bind(now)
    .bind(by)
    .bind(note)
    .execute(conn)
    .await?;
    Ok(())
}

/// Every active facility that has an admin, with how far it is.
pub async fn progress(conn: &mut Conn, round: &Round, now: i64) -> Result<YearlyProgress, Fault> {
    type Row = (String, String, String, String, String, Option<i64>, Option<i64>);
    let today = dates::day(now);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT f.facility, f.name, f.code, f.telephone, f.admin_name, a.saved_at, a.done_at
         FROM facility f LEFT JOIN yearly_answer a ON a.facility = f.facility AND a.fiscal_year = $1
         WHERE f.state = 'active' AND f.kind <> $2 AND EXISTS (SELECT 1 FROM membership m
               WHERE m.facility = f.facility AND m.role = 'facility-admin' AND m.state <> 'ended')
         ORDER BY f.name, f.facility",
    )
    .bind(i64::from(round.year))
    // A family has no admin who could answer (A-08a).
    .bind(FacilityKind::Family.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let calls = calls(conn, round.year).await?;
    let mut lines = Vec::with_capacity(rows.len());
    for (facility, facility_name, code, telephone, admin_name, saved_at, done_at) in rows {
        let facility: FacilityId = parse(&facility)?;
        let stage = Answer { saved_at, done_at }.stage();
        let call = calls.get(&facility);
        let called = call.map(|(at, _)| dates::day(*at));
        lines.push(YearlyLine {
            silent: round.is_silent(stage, today, called),
            called_on: called.map(|day| day.to_string()),
            called_note: call.map(|(_, note)| note.clone()),
            stage: stage.as_str().to_owned(),
            saved_at: saved_at.map(jst::rfc3339),
            done_at: done_at.map(jst::rfc3339),
            facility,
            facility_name,
            code,
            telephone,
            admin_name,
        });
    }
    Ok(counted(round, lines))
}

fn counted(round: &Round, lines: Vec<YearlyLine>) -> YearlyProgress {
    let count = |fits: &dyn Fn(&&YearlyLine) -> bool| {
        u32::try_from(lines.iter().filter(fits).count()).unwrap_or(u32::MAX)
    };
    let of = |stage: Stage| count(&|line| line.stage == stage.as_str());
    YearlyProgress {
        round: shown(round, false),
        done: of(Stage::Done),
        begun: of(Stage::Begun),
        untouched: of(Stage::Untouched),
        silent: count(&|line| line.silent),
        lines,
    }
}

pub fn shown(round: &Round, dry_run: bool) -> YearlyRound {
    let (opens_on, due_on) = (round.opens_on.to_string(), round.due_on.to_string());
    YearlyRound { year: round.year, opens_on, due_on, dry_run }
}

/// The last call of each facility.
async fn calls(conn: &mut Conn, year: i16) -> Result<BTreeMap<FacilityId, (i64, String)>, Fault> {
    let rows: Vec<(String, i64, String)> =
        sqlx::query_as("SELECT facility, at, note FROM yearly_call WHERE fiscal_year = $1 ORDER BY at")
            .bind(i64::from(year))
            .fetch_all(conn)
            .await?;
    rows.into_iter().map(|(facility, at, note)| Ok((parse(&facility)?, (at, note)))).collect()
}

/// Devices of a facility that are not out already: id, number, label.
pub async fn devices(
    conn: &mut Conn,
    facility: &FacilityId,
) -> Result<Vec<(String, vpn::slot::SlotNumber, String)>, Fault> {
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT device, slot, label FROM device WHERE facility = $1 AND state <> 'revoked' ORDER BY slot, device",
    )
    .bind(facility.as_str())
    .fetch_all(conn)
    .await?;
    rows.into_iter().map(|(device, slot, label)| Ok((device, parse(&slot)?, label))).collect()
}
