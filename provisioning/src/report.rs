//! The yearly report of operation (M4-06): what the council wants to see, counted from the registry. A fiscal year runs
//! from April to March; one that still runs is counted until today. Reads only. Edge: SQL.

use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::dates;
use crate::door_report::{
    CaseCounts, DeviceCounts, FacilityCounts, FeeCounts, IncidentCounts, LetterCounts, PatientCounts,
    PeopleCounts, ReportQuestion, TrainingCounts, YearReport,
};
use crate::facility::FacilityKind;
use crate::fault::Fault;
use crate::flow_steps::Flow;
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::store::Conn;
use crate::world;

/// Of which years a report may be asked.
const YEARS: std::ops::RangeInclusive<i16> = 2020..=2099;

pub async fn answer(shared: &Shared, question: ReportQuestion) -> Result<YearReport, Fault> {
    let ReportQuestion::Year { year } = question;
    of_year(shared, year).await
}

/// Moments: from the first, before the second.
#[derive(Clone, Copy)]
struct Span {
    from: i64,
    until: i64,
}

pub async fn of_year(shared: &Shared, year: i16) -> Result<YearReport, Fault> {
    if !YEARS.contains(&year) {
        return Err(PeopleMessage::FieldMissing.about("year").into());
    }
    let today = dates::day(world::now_ms());
    let first = date(year, 4, 1);
    let last = date(year + 1, 3, 31).min(today).max(first);
    let begins = |day: Date| dates::begins_ms(&day.to_string()).unwrap_or(i64::MAX);
    let span = Span { from: begins(first), until: begins(last.saturating_add(1.day())) };
    let days = (first.to_string(), last.to_string());
    let mut conn = shared.store.pool().acquire().await?;
    let conn = &mut *conn;
    let people = people(conn, span).await?;
    Ok(YearReport {
        year,
        facilities: facilities(conn, span, &days).await?,
        devices: devices(conn, span).await?,
        patients: PatientCounts {
            registered: within(
                conn,
                "SELECT count(*) FROM patient WHERE registered_at >= $1 AND registered_at < $2",
                span,
            )
            .await?,
            all: within(
                conn,
                "SELECT count(*) FROM patient WHERE $1 < registered_at + $2 AND registered_at < $2",
                span,
            )
            .await?,
        },
        cases: cases(conn, span).await?,
        letters: letters(conn, span).await?,
        trainings: trainings(conn, year, &days, &people).await?,
        incidents: incidents(conn, span).await?,
        fees: fees(conn, year).await?,
        people,
        from: days.0,
        until: days.1,
    })
}

fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// A count between two moments.
async fn within(conn: &mut Conn, query: &'static str, span: Span) -> Result<u64, Fault> {
    let found: i64 = sqlx::query_scalar(query).bind(span.from).bind(span.until).fetch_one(conn).await?;
    Ok(count(found))
}

async fn facilities(
    conn: &mut Conn,
    span: Span,
    (from, until): &(String, String),
) -> Result<FacilityCounts, Fault> {
    // The association itself and the families' places are no members of the network.
    let kinds: Vec<(String, i64)> = sqlx::query_as(
        "SELECT f.kind, count(*) FROM facility f LEFT JOIN facility_end e ON e.facility = f.facility
         WHERE f.kind NOT IN ('事務局', '患者・家族事業所') AND f.created_at < $1 AND (e.on_day IS NULL OR e.on_day > $2)
         GROUP BY f.kind ORDER BY count(*) DESC, f.kind",
    )
    .bind(span.until)
    .bind(until)
    .fetch_all(&mut *conn)
    .await?;
    let ended: i64 =
        sqlx::query_scalar("SELECT count(*) FROM facility_end WHERE on_day >= $1 AND on_day <= $2")
            .bind(from)
            .bind(until)
            .fetch_one(&mut *conn)
            .await?;
    let joined = within(
        conn,
        "SELECT count(*) FROM facility WHERE kind NOT IN ('事務局', '患者・家族事業所') AND created_at >= $1 AND created_at < $2",
        span,
    );
    Ok(FacilityCounts {
        joined: joined.await?,
        active: kinds.iter().map(|(_, n)| count(*n)).sum(),
        ended: count(ended),
        by_kind: kinds.into_iter().map(|(kind, n)| (kind, count(n))).collect(),
    })
}

async fn people(conn: &mut Conn, span: Span) -> Result<PeopleCounts, Fault> {
    let roles: Vec<(String, i64)> = sqlx::query_as(
        "SELECT m.role, count(*) FROM membership m JOIN facility f ON f.facility = m.facility
         WHERE m.state <> 'ended' AND NOT (f.kind = $1 AND m.role = 'facility-admin') GROUP BY m.role ORDER BY m.role",
    )
    // A-08a: a family's contact is no admin.
    .bind(FacilityKind::Family.as_str())
    .fetch_all(&mut *conn)
    .await?;
    let of = |role: &str| roles.iter().find(|(word, _)| word == role).map_or(0, |(_, n)| count(*n));
    Ok(PeopleCounts {
        admins: of("facility-admin"),
        staff: of("staff"),
        family: of("family"),
        registered: within(
            conn,
            "SELECT count(*) FROM person WHERE created_at >= $1 AND created_at < $2",
            span,
        )
        .await?,
        left: within(conn, "SELECT count(*) FROM leaving WHERE at >= $1 AND at < $2", span).await?,
    })
}

async fn devices(conn: &mut Conn, span: Span) -> Result<DeviceCounts, Fault> {
    let active: i64 = sqlx::query_scalar("SELECT count(*) FROM device WHERE state = 'active'")
        .fetch_one(&mut *conn)
        .await?;
    Ok(DeviceCounts {
        active: count(active),
        enrolled: within(conn, "SELECT count(*) FROM slot_history WHERE state = 'active' AND at >= $1 AND at < $2", span).await?,
        lost: within(
            conn,
            "SELECT count(*) FROM revocation WHERE reason IN ('lost', 'stolen') AND committed_at >= $1 AND committed_at < $2",
            span,
        )
        .await?,
        ended: within(conn, "SELECT count(*) FROM revocation WHERE committed_at >= $1 AND committed_at < $2", span).await?,
    })
}

async fn cases(conn: &mut Conn, span: Span) -> Result<Vec<CaseCounts>, Fault> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT flow, count(*), SUM(CASE WHEN phase = 'done' THEN 1 ELSE 0 END) FROM (
            SELECT flow, phase, received_at FROM flow_case
            UNION ALL SELECT flow, state, received_at FROM office_case) c
         WHERE received_at >= $1 AND received_at < $2 GROUP BY flow ORDER BY flow",
    )
    .bind(span.from)
    .bind(span.until)
    .fetch_all(conn)
    .await?;
    let named = |id: &str| Flow::ALL.into_iter().find(|flow| flow.id() == id).map(Flow::name_ja);
    let counted = |(flow, received, done): (String, i64, i64)| CaseCounts {
        flow_ja: named(&flow).unwrap_or("利用申込（様式1）").to_owned(),
        received: count(received),
        done: count(done),
        flow,
    };
    Ok(rows.into_iter().map(counted).collect())
}

async fn letters(conn: &mut Conn, span: Span) -> Result<LetterCounts, Fault> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT state, count(*) FROM outbox WHERE kind <> 'sheet' AND created_at >= $1 AND created_at < $2
         GROUP BY state ORDER BY state",
    )
    .bind(span.from)
    .bind(span.until)
    .fetch_all(conn)
    .await?;
    let of = |state: &str| rows.iter().find(|(word, _)| word == state).map_or(0, |(_, n)| count(*n));
    Ok(LetterCounts { sent: of("sent"), bounced: of("bounced"), failed: of("failed") })
}

async fn trainings(
    conn: &mut Conn,
    year: i16,
    (from, until): &(String, String),
    people: &PeopleCounts,
) -> Result<TrainingCounts, Fault> {
    let trained: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT person) FROM training WHERE kind = 'security' AND held_on >= $1 AND held_on <= $2",
    )
    .bind(from)
    .bind(until)
    .fetch_one(&mut *conn)
    .await?;
    let (done, asked): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM yearly_answer WHERE fiscal_year = $1 AND done_at IS NOT NULL),
                (SELECT count(DISTINCT m.facility) FROM membership m JOIN facility f ON f.facility = m.facility
                 WHERE m.role = 'facility-admin' AND m.state <> 'ended' AND f.state = 'active' AND f.kind <> $2
                   AND EXISTS (SELECT 1 FROM yearly_round WHERE fiscal_year = $1))",
    )
    .bind(i64::from(year))
    .bind(FacilityKind::Family.as_str())
    .fetch_one(conn)
    .await?;
    Ok(TrainingCounts {
        trained: count(trained),
        of: people.admins + people.staff,
        yearly_done: count(done),
        yearly_asked: count(asked),
    })
}

async fn incidents(conn: &mut Conn, span: Span) -> Result<IncidentCounts, Fault> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT kind, count(*) FROM incident WHERE opened_at >= $1 AND opened_at < $2 GROUP BY kind ORDER BY kind",
    )
    .bind(span.from)
    .bind(span.until)
    .fetch_all(&mut *conn)
    .await?;
    let suspensions = within(
        conn,
        "SELECT count(*) FROM audit WHERE action IN ('person.suspend', 'membership.suspend', 'slot.suspend')
           AND at >= $1 AND at < $2",
        span,
    );
    Ok(IncidentCounts {
        suspensions: suspensions.await?,
        by_kind: rows.into_iter().map(|(kind, n)| (kind, count(n))).collect(),
    })
}

async fn fees(conn: &mut Conn, year: i16) -> Result<FeeCounts, Fault> {
    let rows: Vec<(String, i64, i64)> = sqlx::query_as(
        "SELECT state, count(*), CAST(SUM(total) AS BIGINT) FROM fee_invoice WHERE fiscal_year = $1 AND state <> 'void'
         GROUP BY state ORDER BY state",
    )
    .bind(i64::from(year))
    .fetch_all(conn)
    .await?;
    Ok(FeeCounts {
        invoices: rows.iter().map(|(_, n, _)| count(*n)).sum(),
        total: rows.iter().map(|(.., yen)| count(*yen)).sum(),
        paid: rows.iter().filter(|(state, ..)| state == "paid").map(|(.., yen)| count(*yen)).sum(),
    })
}
