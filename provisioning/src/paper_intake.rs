//! A returned form becomes a case without retyping (E-13): it joins the case that waits for it, or opens the one that it
//! is for; all rows or nothing, and the same form twice is one. A patient's name on it is looked up in the SNS, or goes
//! there under a key of its own, and is written nowhere here, not even as a hash (ruling 10). Edge: SQL, tokio.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pki::chain::Hash;
use pki::identity::PatientId;
use serde_json::json;

use crate::audit;
use crate::dates;
use crate::door::{ImportReport, Operator, RowFault};
use crate::facility;
use crate::fault::Fault;
use crate::flow::{self, Event};
use crate::flow_forms::{Form, Need, needs};
use crate::flow_question::Question;
use crate::flow_rows::{self, FlowCase};
use crate::flow_steps::Flow;
use crate::intake;
use crate::messages::Message;
use crate::messages_paper::PaperMessage;
use crate::need::PatientText;
use crate::paper_field::{self, ALL_TEAMS, Becomes};
use crate::paper_find::{Importer, Resolved, resolve, waits};
use crate::paper_read::{self, Paper};
use crate::patients::{self, NewPatient};
use crate::shared::Shared;
use crate::sheet_file::{self, Table};
use crate::store::{Conn, transaction};
use crate::world;

/// Cases that may wait for a form at once.
const WAITING_MAX: i64 = 2_000;

pub async fn import(
    shared: &Arc<Shared>,
    importer: Importer<'_>,
    bytes: Vec<u8>,
    named: Option<Form>,
    dry_run: bool,
) -> Result<(Form, ImportReport), Fault> {
    let now = world::now_ms();
    let (bytes, table) = read(bytes).await?;
    let form = paper_read::which(&table, named)?;
    let report = if form == Form::Application {
        intake::import(&shared.store, now, importer.operator, bytes, dry_run).await?
    } else {
        take_in(shared, importer, &table, form, now, dry_run).await?
    };
    Ok((form, report))
}

async fn read(bytes: Vec<u8>) -> Result<(Vec<u8>, Table), Fault> {
    let names = paper_read::sheet_names();
    let read = move || sheet_file::read_sheet(&bytes, &names).map(|table| (bytes, table));
    let read = tokio::task::spawn_blocking(read).await;
    match read.map_err(|error| Fault::from(Message::Internal { what: error.to_string() }))? {
        Err(Message::SheetUnclear { .. }) => Err(paper_read::unclear().into()),
        read => Ok(read?),
    }
}

async fn take_in(
    shared: &Arc<Shared>,
    importer: Importer<'_>,
    table: &Table,
    form: Form,
    now: i64,
    dry_run: bool,
) -> Result<ImportReport, Fault> {
    let reading = paper_read::read(table, form, dates::day(now));
    let teams = if has_patient(form) { patients::list(shared, None).await? } else { Vec::new() };
    let rows = u32::try_from(reading.papers.len()).unwrap_or(u32::MAX);
    let (mut faults, mut warnings) = (reading.faults, reading.warnings);
    let mut resolved = Vec::new();
    let mut conn = shared.store.pool().acquire().await?;
    for paper in reading.papers {
        let seen = faults.len();
        let one = resolve(&mut conn, &importer, paper, &teams, &mut faults, &mut warnings).await?;
        resolved.extend(one.filter(|_| faults.len() == seen));
    }
    drop(conn);
    faults.extend(twice(&resolved));
    place(table, form, &mut faults);
    place(table, form, &mut warnings);
    let mut report = ImportReport { dry_run, rows, new: 0, known: 0, faults, warnings, cases: Vec::new() };
    if !report.faults.is_empty() {
        return Ok(report);
    }
    if dry_run {
        let mut rehearsal = shared.store.begin().await?;
        write(&mut rehearsal, now, importer.operator, &resolved, &mut report).await?;
        return Ok(report);
    }
    for one in &mut resolved {
        register_patient(shared, &importer, one).await?;
    }
    let empty = report;
    let report = transaction!(shared.store, conn => {
        let mut report = empty.clone();
        write(conn, now, importer.operator, &resolved, &mut report).await?;
        Ok::<_, Fault>(report)
    })?;
    // A case may have its patient now, whose scans have waited.
    shared.bells.scans.notify_one();
    Ok(report)
}

/// A patient who is new in two rows would be registered twice.
fn twice(resolved: &[Resolved]) -> Vec<RowFault> {
    let mut seen = BTreeSet::new();
    let again = |one: &&Resolved| {
        let name = facility::fold_word(one.paper.value(Becomes::PatientName));
        one.new_patient && !seen.insert((name, one.facility.clone()))
    };
    let rows = resolved.iter().filter(again).map(|one| one.paper.row);
    rows.map(|row| PaperMessage::PatientTwice.at(row, "患者氏名")).collect()
}

fn has_patient(form: Form) -> bool {
    paper_field::fields(form).iter().any(|field| field.becomes == Becomes::PatientName)
}

fn place(table: &Table, form: Form, faults: &mut [RowFault]) {
    let Some(headings) = paper_read::headings(table, form) else { return };
    faults.iter_mut().for_each(|fault| paper_read::locate(table, form, headings, fault));
}

/// The name goes to the SNS before the case is written: after a crash the next attempt finds it there.
async fn register_patient(shared: &Shared, importer: &Importer<'_>, one: &mut Resolved) -> Result<(), Fault> {
    if let Some(patient) = &one.patient {
        // Whom an interrupted registration left behind is in the SNS, so it is done.
        return patients::opened(shared, patient).await;
    }
    let (true, Some(identity), Some(origin)) = (one.new_patient, importer.identity, one.facility.clone())
    else {
        return Ok(());
    };
    let text = |becomes| PatientText::new(one.paper.value(becomes).to_owned());
    let new = NewPatient {
        name: text(Becomes::PatientName),
        kana: text(Becomes::PatientKana),
        consent_date: one.paper.value(Becomes::Consent).to_owned(),
        origin,
    };
    let trace = Some(importer.operator.trace);
    one.patient = Some(patients::register(shared, identity, trace, new, None).await?);
    Ok(())
}

async fn write(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    resolved: &[Resolved],
    report: &mut ImportReport,
) -> Result<(), Fault> {
    for one in resolved {
        let fingerprint = fingerprint(one);
        let known: Option<String> = sqlx::query_scalar("SELECT case_id FROM paper WHERE fingerprint = $1")
            .bind(&fingerprint)
            .fetch_optional(&mut *conn)
            .await?;
        if known.is_some() {
            report.known += 1;
            continue;
        }
        let (case, is_new) = match waiting_case(conn, one).await? {
            Some(case) => (case, false),
            None => (open(conn, now, operator, one).await?, true),
        };
        take(conn, now, operator, one, &case).await?;
        keep(conn, now, operator, one, &case, &fingerprint).await?;
        report.new += u32::from(is_new);
        if !report.cases.contains(&case) {
            report.cases.push(case);
        }
    }
    Ok(())
}

/// Form, facility, patient's id and notes; no name, no birthday.
fn fingerprint(one: &Resolved) -> String {
    // Of a rehearsal: each new patient is somebody else.
    let row = one.paper.row.to_string();
    let patient =
        one.patient.as_ref().map_or(if one.new_patient { row.as_str() } else { "" }, PatientId::as_str);
    let mut text = format!("{}\0{}\0{patient}", one.paper.form.name_ja(), one.paper.value(Becomes::Kind));
    for (field, value) in kept(&one.paper) {
        text.push_str(&format!("\0{field}\0{value}"));
    }
    Hash::of(text.as_bytes()).to_string()
}

/// What may stay here of a row.
fn kept(paper: &Paper) -> BTreeMap<&'static str, &str> {
    let stays = |becomes: Becomes| match becomes {
        Becomes::PatientId | Becomes::PatientName | Becomes::PatientKana | Becomes::OfPatient => false,
        Becomes::Case
        | Becomes::Code
        | Becomes::Kind
        | Becomes::FacilityName
        | Becomes::Change(_)
        | Becomes::AdminChange
        | Becomes::Answer(..)
        | Becomes::Opens
        | Becomes::Consent
        | Becomes::Noted => true,
    };
    paper
        .filled()
        .filter(|(field, _)| stays(field.becomes))
        .map(|(field, text)| (field.heading, text))
        .collect()
}

/// The case that it names, or the newest one that waits for such a form from this facility about this patient.
async fn waiting_case(conn: &mut Conn, one: &Resolved) -> Result<Option<String>, Fault> {
    if one.case.is_some() {
        return Ok(one.case.clone());
    }
    let form = one.paper.form;
    let lacks = |found: &FlowCase| {
        waits(&found.state)
            && !found.state.forms.contains(&form)
            && needs(found.state.flow).iter().any(|need| match need {
                Need::Must(needed) | Need::When(needed, ..) => *needed == form,
            })
            && (found.patient.is_none() || one.patient.is_none() || found.patient == one.patient)
    };
    let of_code: Vec<String> = sqlx::query_scalar("SELECT case_id FROM paper WHERE facility_code = $1")
        .bind(one.paper.value(Becomes::Code))
        .fetch_all(&mut *conn)
        .await?;
    let cases = flow_rows::all(conn, WAITING_MAX).await?;
    let is_ours = |found: &FlowCase| match (&found.facility, &one.facility) {
        (Some(its), Some(ours)) => its == ours,
        _ => of_code.contains(&found.case),
    };
    Ok(cases.into_iter().find(|found| lacks(found) && is_ours(found)).map(|found| found.case))
}

async fn open(conn: &mut Conn, now: i64, operator: &Operator, one: &Resolved) -> Result<String, Fault> {
    let state = flow::open(one.flow, BTreeSet::new(), &operator.name, now);
    let case =
        flow_rows::insert(conn, now, &state, one.facility.as_ref(), one.patient.as_ref(), None).await?;
    let event = audit::Event {
        actor: &operator.name,
        action: "case.open",
        object: &case,
        trace: Some(operator.trace),
        detail: json!({ "flow": one.flow.id(), "facility": one.facility, "by": one.paper.form.name_ja() }),
    };
    audit::append(conn, now, event).await?;
    Ok(case)
}

/// The form's events on its case: it arrived, and what it answers and changes.
async fn take(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    one: &Resolved,
    case: &str,
) -> Result<(), Fault> {
    let mut found = flow_rows::find(conn, case).await?;
    let mut events = vec![Event::FormArrived(one.paper.form)];
    events.extend(
        answers(&one.paper, found.state.flow)
            .into_iter()
            .map(|(question, yes)| Event::Answered(question, yes)),
    );
    for event in events {
        let (state, _) = flow::next(&found.state, &event, &operator.name, now)
            .map_err(|_| Message::CaseBegun { case: case.to_owned() })?;
        flow_rows::advance(conn, now, case, &state, &event, &operator.name).await?;
        found.state = state;
    }
    let changes = one.paper.filled().filter_map(|(field, text)| match field.becomes {
        Becomes::Change(name) => Some((name.to_owned(), text.to_owned())),
        _ => None,
    });
    let before = found.changes.len();
    found.changes.extend(changes);
    if found.changes.len() > before || one.paper.form == Form::Change {
        flow_rows::change(conn, case, &found.changes).await?;
    }
    if let (None, Some(facility)) = (&found.facility, &one.facility) {
        flow_rows::attach(conn, case, facility).await?;
    }
    if let (None, Some(patient)) = (&found.patient, &one.patient) {
        sqlx::query("UPDATE flow_case SET patient = $2 WHERE case_id = $1")
            .bind(case)
            .bind(patient.as_str())
            .execute(conn)
            .await?;
    }
    Ok(())
}

/// Only what the case asks: a form may know more.
fn answers(paper: &Paper, flow: Flow) -> BTreeMap<Question, bool> {
    let mut answers: BTreeMap<Question, bool> = paper
        .filled()
        .filter_map(|(field, text)| match field.becomes {
            Becomes::Answer(question, yes) => Some((question, text == yes)),
            _ => None,
        })
        .collect();
    match paper.form {
        Form::Removal => {
            answers.insert(Question::AllTeams, paper.value(Becomes::Opens) == ALL_TEAMS);
        }
        // Who brings a consent has a team to form (E-12).
        Form::Consent => {
            answers.insert(Question::TeamReady, true);
        }
        _ => {}
    }
    let asked = |question: &Question| {
        flow.asks().contains(question)
            || needs(flow).iter().any(|need| matches!(need, Need::When(_, asked, _) if asked == question))
    };
    answers.retain(|question, _| asked(question));
    answers
}

async fn keep(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    one: &Resolved,
    case: &str,
    fingerprint: &str,
) -> Result<(), Fault> {
    let form = one.paper.form.name_ja();
    sqlx::query(
        "INSERT INTO paper (fingerprint, case_id, form, facility_code, noted, received_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(fingerprint)
    .bind(case)
    .bind(form)
    .bind(one.paper.value(Becomes::Code))
    .bind(json!(kept(&one.paper)).to_string())
    .bind(now)
    .execute(&mut *conn)
    .await?;
    let event = audit::Event {
        actor: &operator.name,
        action: "case.paper",
        object: case,
        trace: Some(operator.trace),
        detail: json!({ "form": form, "fingerprint": fingerprint }),
    };
    audit::append(conn, now, event).await?;
    Ok(())
}
