//! The register of pledges and trainings (H-17 … H-19): who has what, what is late, and noting that people attended.
//! One reading serves the facility, the office and the CLI. Edge: SQL.

use std::collections::BTreeSet;

use jiff::civil::Date;
use pki::identity::{FacilityId, PersonId, Role};
use serde_json::json;

use crate::audit::{self, Event};
use crate::dates;
use crate::door::Operator;
use crate::door_register::{RegisterAnswer, RegisterLine, RegisterQuestion, TrainingNoted};
use crate::fault::{Fault, parse};
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::training::{self, Due, TrainingKind};
use crate::world;

/// People of one noting: an assembly hall, not a file.
const PEOPLE_MAX: usize = 2_000;

pub async fn answer(
    shared: &Shared,
    operator: &Operator,
    question: RegisterQuestion,
) -> Result<RegisterAnswer, Fault> {
    match question {
        RegisterQuestion::List { facility, late } => {
            let mut lines = lines(shared, facility.as_ref()).await?;
            lines.retain(|line| !late || line.is_late());
            Ok(RegisterAnswer::Lines(lines))
        }
        RegisterQuestion::Training { people, kind, held_on, dry_run } => {
            let training = Training::read(&kind, &held_on, world::now_ms())?;
            note(shared, operator, None, &people, &training, dry_run).await.map(RegisterAnswer::Noted)
        }
    }
}

/// What was held, and when; read from a form.
pub struct Training {
    pub kind: TrainingKind,
    pub held_on: String,
}

impl Training {
    pub fn read(kind: &str, held_on: &str, now: i64) -> Result<Self, Fault> {
        let shown = || kind.chars().take(20).collect::<String>();
        let kind = TrainingKind::parse(kind).ok_or_else(|| PeopleMessage::TrainingKind.about(shown()))?;
        Ok(Self { kind, held_on: dates::past_date(held_on, now)? })
    }
}

#[derive(sqlx::FromRow)]
struct Row {
    person: String,
    membership: String,
    name: String,
    profession: String,
    role: String,
    facility: String,
    facility_name: String,
    created_at: i64,
    pledged_on: Option<String>,
    briefed_on: Option<String>,
    trained_on: Option<String>,
}

/// Everybody who may use it now, whoever is late or not.
pub async fn lines(shared: &Shared, facility: Option<&FacilityId>) -> Result<Vec<RegisterLine>, Fault> {
    let today = dates::day(world::now_ms());
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT p.person, m.membership, p.name, p.profession, m.role, f.facility, f.name AS facility_name, p.created_at,
                COALESCE(g.on_day, p.pledged_on) AS pledged_on,
                (SELECT MAX(t.held_on) FROM training t WHERE t.person = p.person AND t.kind = 'briefing') AS briefed_on,
                (SELECT MAX(t.held_on) FROM training t WHERE t.person = p.person AND t.kind = 'security') AS trained_on
         FROM membership m JOIN person p ON p.person = m.person JOIN facility f ON f.facility = m.facility
         LEFT JOIN pledge g ON g.person = m.person AND g.facility = m.facility
         WHERE ($1 = '' OR m.facility = $1) AND m.state <> 'ended' AND m.role IN ('staff', 'facility-admin')
           AND f.state = 'active'
         ORDER BY f.name, m.facility, m.role, p.name, m.membership",
    )
    .bind(facility.map_or("", FacilityId::as_str))
    .fetch_all(shared.store.pool())
    .await?;
    rows.into_iter().map(|row| line(row, today)).collect()
}

fn line(row: Row, today: Date) -> Result<RegisterLine, Fault> {
    let day = |text: &Option<String>| -> Result<Option<Date>, Fault> {
        text.as_deref().map(|text| text.parse().map_err(|_| Fault::Row(text.to_owned()))).transpose()
    };
    let registered = dates::day(row.created_at);
    let role: Role = parse(&row.role)?;
    let yearly = training::yearly(day(&row.trained_on)?, registered, today);
    let briefing = training::briefing(day(&row.briefed_on)?, registered);
    Ok(RegisterLine {
        person: parse(&row.person)?,
        membership: parse(&row.membership)?,
        facility: parse(&row.facility)?,
        // 様式2 binds whoever is responsible; 様式4 is for the employees.
        pledge_late: role == Role::Staff && row.pledged_on.is_none(),
        briefing_late: matches!(briefing, Due::Late(_)),
        training: yearly.as_str().to_owned(),
        training_due: yearly.day().to_string(),
        role: row.role,
        name: row.name,
        profession: row.profession,
        facility_name: row.facility_name,
        pledged_on: row.pledged_on,
        briefed_on: row.briefed_on,
        trained_on: row.trained_on,
    })
}

/// These people attended; whoever has the same row already keeps it. `own`: only people of this facility.
pub async fn note(
    shared: &Shared,
    operator: &Operator,
    own: Option<&FacilityId>,
    people: &[PersonId],
    training: &Training,
    dry_run: bool,
) -> Result<TrainingNoted, Fault> {
    let now = world::now_ms();
    let people: BTreeSet<&PersonId> = people.iter().take(PEOPLE_MAX).collect();
    if people.is_empty() {
        return Err(PeopleMessage::NobodyChosen.into());
    }
    let (kind, held_on) = (training.kind.as_str().to_owned(), training.held_on.clone());
    let new = if dry_run {
        note_in(&mut *shared.store.begin().await?, now, operator, own, &people, training).await?
    } else {
        transaction!(shared.store, conn => note_in(conn, now, operator, own, &people, training).await)?
    };
    let known = u32::try_from(people.len()).unwrap_or(u32::MAX) - new;
    Ok(TrainingNoted { kind, held_on, new, known, dry_run })
}

async fn note_in(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    own: Option<&FacilityId>,
    people: &BTreeSet<&PersonId>,
    training: &Training,
) -> Result<u32, Fault> {
    let mut new = 0;
    for person in people {
        let facility: Option<String> = sqlx::query_scalar(
            "SELECT MIN(facility) FROM membership WHERE person = $1 AND state <> 'ended' AND ($2 = '' OR facility = $2)",
        )
        .bind(person.as_str())
        .bind(own.map_or("", FacilityId::as_str))
        .fetch_one(&mut *conn)
        .await?;
        let facility = facility.ok_or(PeopleMessage::MemberUnknown)?;
        new += attended(conn, now, operator, person, &parse(&facility)?, training).await?;
    }
    let event = Event {
        actor: &operator.name,
        action: "training.note",
        object: training.kind.as_str(),
        trace: Some(operator.trace),
        detail: json!({ "held_on": training.held_on, "people": people, "rule": "H-19" }),
    };
    audit::append(conn, now, event).await?;
    Ok(new)
}

/// One row, once.
pub(crate) async fn attended(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    person: &PersonId,
    facility: &FacilityId,
    training: &Training,
) -> Result<u32, Fault> {
    let inserted = sqlx::query(
        "INSERT INTO training (person, kind, held_on, facility, noted_by, noted_at) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (person, kind, held_on) DO NOTHING",
    )
    .bind(person.as_str())
    .bind(training.kind.as_str())
    .bind(&training.held_on)
    .bind(facility.as_str())
    .bind(&operator.name)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(u32::try_from(inserted.rows_affected()).unwrap_or(u32::MAX))
}

/// H-17: the day of a person's pledge to a facility, first or mended.
pub(crate) async fn pledged(
    conn: &mut Conn,
    now: i64,
    by: &str,
    person: &PersonId,
    facility: &FacilityId,
    on_day: &str,
) -> Result<(), Fault> {
    sqlx::query(
        "INSERT INTO pledge (person, facility, on_day, noted_by, noted_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (person, facility) DO UPDATE
         SET on_day = excluded.on_day, noted_by = excluded.noted_by, noted_at = excluded.noted_at",
    )
    .bind(person.as_str())
    .bind(facility.as_str())
    .bind(on_day)
    .bind(by)
    .bind(now)
    .execute(conn)
    .await?;
    Ok(())
}
