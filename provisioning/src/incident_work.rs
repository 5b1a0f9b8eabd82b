//! Incidents (H-13): opened by the office or the facility where it happened, driven step by step with operator and time,
//! and 緊急停止 of a person or a number without anybody's agreement (H-12), noted as a step. Edge: SQL, tokio.

use jiff::civil::Date;
use pki::identity::{FacilityId, MembershipId};
use serde_json::json;
use vpn::slot::SlotNumber;

use crate::audit;
use crate::dates;
use crate::door::Operator;
use crate::door_call::CallQuestion;
use crate::door_incident::{
    IncidentAnswer, IncidentDetail, IncidentLine, IncidentQuestion, IncidentStep, NewIncident,
};
use crate::fault::{Fault, parse};
use crate::incident::{Clock, Facts, Held, IncidentKind, Step};
use crate::jst;
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::standing::Turn;
use crate::standing_work;
use crate::store::{Conn, next, transaction};
use crate::suspension;
use crate::world;

/// Longest summary or note: a paragraph of the sheet.
pub const TEXT_MAX: usize = 2_000;
/// Rows of one list.
const LIST_MAX: i64 = 500;

/// Whom or what an emergency stops.
pub enum Stop {
    Member(MembershipId),
    Slot(SlotNumber),
}

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: IncidentQuestion,
) -> Result<IncidentAnswer, Fault> {
    match question {
        IncidentQuestion::List { all } => {
            let mut lines = list(shared, None).await?;
            lines.retain(|line| all || !line.closed);
            Ok(IncidentAnswer::Lines(lines))
        }
        IncidentQuestion::Show { incident } => show(shared, &incident).await.map(detail),
        IncidentQuestion::Open { new, dry_run } => open(shared, operator, new, dry_run).await.map(detail),
        IncidentQuestion::Step { incident, step, note, dry_run } => {
            self::step(shared, operator, &incident, &step, &note, dry_run).await.map(detail)
        }
    }
}

fn detail(detail: IncidentDetail) -> IncidentAnswer {
    IncidentAnswer::Detail(Box::new(detail))
}

#[derive(sqlx::FromRow)]
struct Row {
    incident: String,
    facility: Option<String>,
    facility_name: Option<String>,
    kind: String,
    unlawful: i64,
    reportable: i64,
    known_on: String,
    people: Option<i64>,
    summary: String,
    opened_by: String,
    opened_at: i64,
}

/// One reading for the list and the case.
macro_rules! incidents {
    ($which:literal) => {
        concat!(
            "SELECT i.incident, i.facility, f.name AS facility_name, i.kind, i.unlawful, i.reportable, i.known_on,
                    i.people, i.summary, i.opened_by, i.opened_at
             FROM incident i LEFT JOIN facility f ON f.facility = i.facility ",
            $which
        )
    };
}

type StepRow = (String, String, i64, String, String);

/// Newest first; of one facility, or all.
pub async fn list(shared: &Shared, facility: Option<&FacilityId>) -> Result<Vec<IncidentLine>, Fault> {
    let today = dates::day(world::now_ms());
    let mut conn = shared.store.pool().acquire().await?;
    let rows: Vec<Row> = sqlx::query_as(incidents!(
        "WHERE ($1 = '' OR i.facility = $1) ORDER BY i.opened_at DESC, i.incident DESC LIMIT $2"
    ))
    .bind(facility.map_or("", FacilityId::as_str))
    .bind(LIST_MAX)
    .fetch_all(&mut *conn)
    .await?;
    let steps: Vec<(String, String)> =
        sqlx::query_as("SELECT incident, step FROM incident_step ORDER BY incident, number")
            .fetch_all(&mut *conn)
            .await?;
    let line_of = |row: Row| {
        let of = steps.iter().filter(|(incident, _)| *incident == row.incident);
        let done: Vec<Step> = of.filter_map(|(_, step)| Step::parse(step)).collect();
        line(&row, &done, today)
    };
    rows.into_iter().map(line_of).collect()
}

fn facts(row: &Row) -> Result<Facts, Fault> {
    let known_on: Date = row.known_on.parse().map_err(|_| Fault::Row(row.known_on.clone()))?;
    Ok(Facts { known_on, unlawful: row.unlawful != 0, reportable: row.reportable != 0 })
}

fn line(row: &Row, done: &[Step], today: Date) -> Result<IncidentLine, Fault> {
    let facts = facts(row)?;
    let clocks = facts.clocks();
    let clock = |by: Date, step: Step| {
        let clock = Clock::of(by, done.contains(&step), today);
        if facts.reportable {
            (clock.as_str().to_owned(), clock.words_ja())
        } else {
            (String::new(), String::new())
        }
    };
    let ((prompt, prompt_ja), (last, final_ja)) =
        (clock(clocks.prompt_by, Step::Prompt), clock(clocks.final_by, Step::Final));
    Ok(IncidentLine {
        incident: row.incident.clone(),
        facility: row.facility.as_deref().map(parse).transpose()?,
        facility_name: row.facility_name.clone().unwrap_or_default(),
        kind: row.kind.clone(),
        unlawful: facts.unlawful,
        reportable: facts.reportable,
        known_on: row.known_on.clone(),
        people: row.people.and_then(|people| u32::try_from(people).ok()),
        summary: row.summary.clone(),
        closed: done.contains(&Step::Closed),
        prompt_from: clocks.prompt_from.to_string(),
        prompt_by: clocks.prompt_by.to_string(),
        final_by: clocks.final_by.to_string(),
        prompt,
        prompt_ja,
        last,
        final_ja,
    })
}

pub async fn show(shared: &Shared, incident: &str) -> Result<IncidentDetail, Fault> {
    show_in(&mut *shared.store.pool().acquire().await?, incident, world::now_ms()).await
}

async fn show_in(conn: &mut Conn, incident: &str, now: i64) -> Result<IncidentDetail, Fault> {
    let row: Option<Row> =
        sqlx::query_as(incidents!("WHERE i.incident = $1")).bind(incident).fetch_optional(&mut *conn).await?;
    let shown = || incident.chars().take(20).collect::<String>();
    let row = row.ok_or_else(|| PeopleMessage::IncidentUnknown.about(shown()))?;
    let rows: Vec<StepRow> = sqlx::query_as(
        "SELECT s.incident, s.step, s.at, COALESCE(p.name, s.operator), s.note
         FROM incident_step s LEFT JOIN person p ON p.person = s.operator WHERE s.incident = $1 ORDER BY s.number",
    )
    .bind(incident)
    .fetch_all(conn)
    .await?;
    let done: Vec<Step> = rows.iter().filter_map(|(_, step, ..)| Step::parse(step)).collect();
    let facts = facts(&row)?;
    let steps = rows.into_iter().map(|(_, step, at, operator, note)| IncidentStep {
        step_ja: Step::parse(&step).map_or(step.clone(), |known| known.words_ja().to_owned()),
        at: jst::rfc3339(at),
        step,
        operator,
        note,
    });
    let next = Step::ALL
        .into_iter()
        .filter(|step| facts.reportable || !step.of_the_law())
        .filter(|step| facts.may(*step, &done).is_ok());
    Ok(IncidentDetail {
        line: line(&row, &done, dates::day(now))?,
        steps: steps.collect(),
        next: next.map(|step| step.as_str().to_owned()).collect(),
        opened_at: jst::rfc3339(row.opened_at),
        opened_by: row.opened_by,
        dry_run: false,
    })
}

pub async fn open(
    shared: &Shared,
    operator: &Operator,
    new: NewIncident,
    dry_run: bool,
) -> Result<IncidentDetail, Fault> {
    let now = world::now_ms();
    let shown = || new.kind.chars().take(20).collect::<String>();
    let kind = IncidentKind::parse(&new.kind).ok_or_else(|| PeopleMessage::IncidentKind.about(shown()))?;
    let known_on = dates::past_date(&new.known_on, now)?;
    let summary = paragraph(&new.summary);
    if summary.is_empty() {
        return Err(PeopleMessage::FieldMissing.about("summary").into());
    }
    if dry_run {
        let mut tx = shared.store.begin().await?;
        let made = open_in(&mut tx, now, operator, (kind, &known_on, &summary), &new).await?;
        let shown = show_in(&mut tx, &made, now).await?;
        return Ok(IncidentDetail { dry_run, ..shown });
    }
    let made = transaction!(shared.store, conn => {
        open_in(conn, now, operator, (kind, &known_on, &summary), &new).await
    })?;
    show(shared, &made).await
}

async fn open_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    (kind, known_on, summary): (IncidentKind, &str, &str),
    new: &NewIncident,
) -> Result<String, Fault> {
    if let Some(facility) = &new.facility {
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM facility WHERE facility = $1")
            .bind(facility.as_str())
            .fetch_one(&mut *conn)
            .await?;
        if known == 0 {
            return Err(PeopleMessage::FacilityUnknown.about(facility.as_str()).into());
        }
    }
    let incident = format!("J-{}-{:05}", jst::year(now), next(conn, "incident").await?);
    sqlx::query(
        "INSERT INTO incident (incident, facility, kind, unlawful, reportable, known_on, people, summary, opened_by, opened_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    )
    .bind(&incident)
    .bind(new.facility.as_ref().map(|facility| facility.as_str()))
    .bind(kind.as_str())
    .bind(i64::from(new.unlawful))
    .bind(i64::from(new.reportable))
    .bind(known_on)
    .bind(new.people.map(i64::from))
    .bind(summary)
    .bind(&operator.name)
    .bind(now)
    .execute(&mut *conn)
    .await?;
    // What happened stays in the case, not in the trail, which is never wiped.
    let detail =
        json!({ "kind": kind.as_str(), "facility": new.facility, "known_on": known_on, "rule": "H-13" });
    audit::by(conn, now, operator, "incident.open", &incident, detail).await?;
    Ok(incident)
}

/// Notes a step, if the ones before it are there.
pub async fn step(
    shared: &Shared,
    operator: &Operator,
    incident: &str,
    step: &str,
    note: &str,
    dry_run: bool,
) -> Result<IncidentDetail, Fault> {
    let now = world::now_ms();
    let shown = || step.chars().take(20).collect::<String>();
    let step = Step::parse(step).ok_or_else(|| PeopleMessage::IncidentStep.about(shown()))?;
    let note = paragraph(note);
    if dry_run {
        let mut tx = shared.store.begin().await?;
        step_in(&mut tx, now, operator, incident, step, &note).await?;
        let shown = show_in(&mut tx, incident, now).await?;
        return Ok(IncidentDetail { dry_run, ..shown });
    }
    transaction!(shared.store, conn => {
        step_in(conn, now, operator, incident, step, &note).await?;
        show_in(conn, incident, now).await
    })
}

async fn step_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    incident: &str,
    step: Step,
    note: &str,
) -> Result<(), Fault> {
    let detail = show_in(conn, incident, now).await?;
    let done: Vec<Step> = detail.steps.iter().filter_map(|it| Step::parse(&it.step)).collect();
    let known_on: Date =
        detail.line.known_on.parse().map_err(|_| Fault::Row(detail.line.known_on.clone()))?;
    let facts = Facts { known_on, unlawful: detail.line.unlawful, reportable: detail.line.reportable };
    match facts.may(step, &done) {
        Ok(()) => {}
        // Twice is once.
        Err(Held::Done) if done.contains(&step) && step != Step::Stopped => return Ok(()),
        Err(Held::Done) => return Err(PeopleMessage::IncidentHeld.about(Step::Closed.words_ja()).into()),
        Err(Held::Before(before)) => {
            return Err(PeopleMessage::IncidentHeld.about(before.words_ja()).into());
        }
    }
    let number = i64::try_from(detail.steps.len()).unwrap_or(i64::MAX).saturating_add(1);
    sqlx::query(
        "INSERT INTO incident_step (incident, number, at, operator, step, note) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(incident)
    .bind(number)
    .bind(now)
    .bind(&operator.name)
    .bind(step.as_str())
    .bind(note)
    .execute(&mut *conn)
    .await?;
    audit::by(
        conn,
        now,
        operator,
        "incident.step",
        incident,
        json!({ "step": step.as_str(), "rule": "H-13" }),
    )
    .await?;
    Ok(())
}

/// H-12: at once, without agreement: tunnels or sign-ins and streams are cut, then the incident knows of it.
pub async fn stop(
    shared: &Shared,
    operator: &Operator,
    incident: &str,
    stop: &Stop,
) -> Result<IncidentDetail, Fault> {
    // A wrong number of an incident stops nobody.
    let known = show(shared, incident).await?;
    if known.line.closed {
        return Err(PeopleMessage::IncidentHeld.about(Step::Closed.words_ja()).into());
    }
    let note = match stop {
        Stop::Member(membership) => {
            let member = standing_work::find(&mut *shared.store.pool().acquire().await?, membership).await?;
            standing_work::turn_person(shared, operator, &member.person, Turn::Suspend, false).await?;
            format!("{}（{}）", member.name, member.login)
        }
        Stop::Slot(slot) => {
            suspension::answer(shared, operator, CallQuestion::Suspend { slot: *slot, dry_run: false })
                .await?;
            format!("VPN番号 {slot}")
        }
    };
    step(shared, operator, incident, Step::Stopped.as_str(), &note, false).await
}

/// Lines stay, other control characters go.
fn paragraph(text: &str) -> String {
    let kept = text.trim().chars().filter(|c| *c == '\n' || !c.is_control());
    kept.take(TEXT_MAX).collect()
}
