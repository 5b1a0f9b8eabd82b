//! D-01 inside the tunnel: a facility's admin confirms a mail of a case by a button. The case's step closes when every
//! facility that got the mail has confirmed; a clerk who hears it by telephone may close it before. Edge: SQL.

use std::collections::BTreeSet;

use pki::identity::{FacilityId, Identity, TraceId};
use serde_json::json;

use crate::audit::{self, Event};
use crate::fault::Fault;
use crate::flow::{self, How, Phase, State};
use crate::flow_letter;
use crate::flow_rows;
use crate::flow_steps::{Does, Step, Who};
use crate::jst;
use crate::messages_people::PeopleMessage;
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::world;

/// A facility is asked about a handful; more is a list for the telephone.
const SHOWN_MAX: i64 = 100;

/// A mail that waits for this facility's word.
pub struct Asked {
    pub case: String,
    pub flow_ja: &'static str,
    /// The subject of the mail.
    pub title_ja: &'static str,
    pub step: &'static str,
    pub sent: String,
    /// This facility has pressed it already; others have not.
    pub done: bool,
}

/// What a facility's admin may confirm, the newest first.
pub async fn asked(shared: &Shared, facility: &FacilityId) -> Result<Vec<Asked>, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let cases: Vec<String> = sqlx::query_scalar(
        "SELECT DISTINCT l.case_id FROM flow_letter l JOIN outbox o ON o.message = l.message
         JOIN flow_case c ON c.case_id = l.case_id
         WHERE o.facility = $1 AND c.phase = 'accepted' ORDER BY l.case_id DESC LIMIT $2",
    )
    .bind(facility.as_str())
    .bind(SHOWN_MAX)
    .fetch_all(&mut *conn)
    .await?;
    let mut asked = Vec::new();
    for case in cases {
        let state = flow_rows::find(&mut conn, &case).await?.state;
        for (mail, step) in open(&state) {
            let Some(at) = mailed(&mut conn, &case, mail.id, facility).await? else { continue };
            let confirmed = confirmed(&mut conn, &case, step.id).await?;
            asked.push(Asked {
                flow_ja: state.flow.name_ja(),
                title_ja: title(mail),
                step: step.id,
                sent: jst::rfc3339(at),
                done: confirmed.contains(facility.as_str()),
                case: case.clone(),
            });
        }
    }
    Ok(asked)
}

/// Open confirmations of an admin, each with the mail that it is about.
fn open(state: &State) -> Vec<(&'static Step, &'static Step)> {
    let mut mail = None;
    let mut open = Vec::new();
    for step in flow::steps(state) {
        match step.does {
            Does::Send(_) => mail = Some(step),
            Does::Confirm if step.who == Who::Admin && !state.closed.contains_key(step.id) => {
                open.extend(mail.filter(|mail| state.closed.contains_key(mail.id)).map(|mail| (mail, step)));
            }
            _ => {}
        }
    }
    open
}

fn title(mail: &Step) -> &'static str {
    let words = if let Does::Send(mail) = mail.does { flow_letter::words(mail) } else { None };
    words.map_or(mail.name_ja, |(title, _)| title)
}

/// When the mail of a step was written to a facility.
async fn mailed(
    conn: &mut Conn,
    case: &str,
    step: &str,
    facility: &FacilityId,
) -> Result<Option<i64>, Fault> {
    let at: Option<i64> = sqlx::query_scalar(
        "SELECT MAX(o.created_at) FROM flow_letter l JOIN outbox o ON o.message = l.message
         WHERE l.case_id = $1 AND l.step = $2 AND o.facility = $3",
    )
    .bind(case)
    .bind(step)
    .bind(facility.as_str())
    .fetch_one(conn)
    .await?;
    Ok(at)
}

async fn confirmed(conn: &mut Conn, case: &str, step: &str) -> Result<BTreeSet<String>, Fault> {
    let rows: Vec<String> =
        sqlx::query_scalar("SELECT facility FROM flow_confirmation WHERE case_id = $1 AND step = $2")
            .bind(case)
            .bind(step)
            .fetch_all(conn)
            .await?;
    Ok(rows.into_iter().collect())
}

/// The button. A case of others, or a step that waits for nobody, is nobody's.
pub async fn confirm(
    shared: &Shared,
    identity: &Identity,
    trace: Option<TraceId>,
    case: &str,
    step: &str,
) -> Result<(), Fault> {
    let now = world::now_ms();
    transaction!(shared.store, conn => confirm_in(conn, now, identity, trace, case, step).await)
}

async fn confirm_in(
    conn: &mut Conn,
    now: i64,
    identity: &Identity,
    trace: Option<TraceId>,
    case: &str,
    step: &str,
) -> Result<(), Fault> {
    let facility = &identity.facility;
    let unknown = || Fault::from(PeopleMessage::ConfirmNone);
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM flow_case WHERE case_id = $1")
        .bind(case)
        .fetch_one(&mut *conn)
        .await?;
    if known == 0 {
        return Err(unknown());
    }
    let state = flow_rows::find(conn, case).await?.state;
    if confirmed(conn, case, step).await?.contains(facility.as_str()) {
        // Pressed twice, or after everybody else.
        return Ok(());
    }
    let found = open(&state).into_iter().find(|(_, known)| known.id == step);
    let (mail, known) = found.filter(|_| state.phase == Phase::Accepted).ok_or_else(unknown)?;
    mailed(conn, case, mail.id, facility).await?.ok_or_else(unknown)?;
    sqlx::query(
        "INSERT INTO flow_confirmation (case_id, step, facility, person, at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(case)
    .bind(known.id)
    .bind(facility.as_str())
    .bind(identity.person.as_str())
    .bind(now)
    .execute(&mut *conn)
    .await?;
    let silent: i64 = sqlx::query_scalar(
        "SELECT count(DISTINCT o.facility) FROM flow_letter l JOIN outbox o ON o.message = l.message
         WHERE l.case_id = $1 AND l.step = $2 AND NOT EXISTS (SELECT 1 FROM flow_confirmation c
            WHERE c.case_id = l.case_id AND c.step = $3 AND c.facility = o.facility)",
    )
    .bind(case)
    .bind(mail.id)
    .bind(known.id)
    .fetch_one(&mut *conn)
    .await?;
    let actor = identity.person.to_string();
    if silent == 0 {
        let event = flow::Event::Confirmed(known.id.to_owned(), How::Tunnel);
        let (next, _) = flow::next(&state, &event, &actor, now).map_err(|_| unknown())?;
        flow_rows::advance(conn, now, case, &next, &event, &actor).await?;
    }
    let detail = json!({ "step": known.id, "facility": facility, "slot": identity.slot, "left": silent });
    let event = Event { actor: &actor, action: "case.confirm", object: case, trace, detail };
    audit::append(conn, now, event).await?;
    Ok(())
}
