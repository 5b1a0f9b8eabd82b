//! The cases of the flows as the secretariat works with them: opened, shown, driven on. Each act is one transaction
//! of event, state, effects and audit; what must leave the room leaves after the commit. Edge: SQL, tokio.

use std::collections::BTreeSet;
use std::sync::Arc;

use pki::identity::{FacilityId, MembershipId, PatientId};
use serde_json::json;

use crate::audit;
use crate::door::{Operator, RevokeReason};
use crate::door_flow::{FlowAct, FlowAnswer, FlowAsked, FlowDetail, FlowQuestion, FlowRow, FlowStep};
use crate::fault::Fault;
use crate::flow::{self, Call, Effect, Event, How, Phase, Refused};
use crate::flow_effects::{self, After, Place};
use crate::flow_forms::{Form, Need, needs};
use crate::flow_question::Question;
use crate::flow_rows::{self, FlowCase};
use crate::flow_steps::{Does, Flow, Mail, Step, Who};
use crate::idempotency::{self, Repeatable};
use crate::jst;
use crate::messages::{Message, shown};
use crate::messages_intake::IntakeMessage;
use crate::office_fault::OfficeFault;
use crate::revocation::{self, Order};
use crate::shared::Shared;
use crate::store::{Conn, transaction};
use crate::team_orders;
use crate::world;

/// More cases than anybody reads at once; open ones stand first.
const LISTED_MAX: i64 = 2_000;
/// What a note of a call may hold.
const TEXT_MAX: usize = 100;

pub async fn answer(
    shared: &Arc<Shared>,
    operator: &Operator,
    question: FlowQuestion,
) -> Result<FlowAnswer, Fault> {
    let now = world::now_ms();
    match question {
        FlowQuestion::List => {
            let mut conn = shared.store.pool().acquire().await?;
            let cases = flow_rows::all(&mut conn, LISTED_MAX).await?;
            Ok(FlowAnswer::Cases(cases.iter().map(|case| row(case, now)).collect()))
        }
        FlowQuestion::Show { case } => {
            let mut conn = shared.store.pool().acquire().await?;
            detail(&mut conn, &case, now, false).await
        }
        FlowQuestion::Open { flow, facility, patient, membership, forms, dry_run } => {
            let opening = Opening { flow, facility, patient, membership, forms };
            open(shared, operator, &opening, None, dry_run).await
        }
        FlowQuestion::Act { case, act, dry_run } => self::act(shared, operator, &case, &act, dry_run).await,
    }
}

/// What a new case begins with.
pub struct Opening {
    pub flow: String,
    pub facility: Option<FacilityId>,
    pub patient: Option<PatientId>,
    pub membership: Option<MembershipId>,
    pub forms: Vec<String>,
}

/// A new case; the same request again shows the case that the first one opened.
pub async fn open(
    shared: &Shared,
    operator: &Operator,
    opening: &Opening,
    request: Option<&Repeatable>,
    dry_run: bool,
) -> Result<FlowAnswer, Fault> {
    let now = world::now_ms();
    if dry_run {
        return open_in(&mut *shared.store.begin().await?, operator, opening, request, now, true).await;
    }
    transaction!(shared.store, conn => open_in(conn, operator, opening, request, now, false).await)
}

async fn open_in(
    conn: &mut Conn,
    operator: &Operator,
    opening: &Opening,
    request: Option<&Repeatable>,
    now: i64,
    dry_run: bool,
) -> Result<FlowAnswer, Fault> {
    if let Some(case) = idempotency::recall(conn, request, now).await? {
        return detail(conn, &case, now, dry_run).await;
    }
    let Opening { flow, facility, patient, membership, forms } = opening;
    let flow = word(flow, Flow::parse, || Flow::ALL.map(Flow::id).join("、"))?;
    let forms = forms.iter().map(|text| form(text)).collect::<Result<BTreeSet<Form>, Message>>();
    let state = flow::open(flow, forms?, &operator.name, now);
    known(conn, facility.as_ref()).await?;
    let case = flow_rows::insert(conn, now, &state, facility.as_ref(), patient.as_ref(), membership.as_ref());
    let case = case.await?;
    let about = json!({ "flow": flow.id(), "facility": facility });
    audit::by(conn, now, operator, "case.open", &case, about).await?;
    idempotency::remember(conn, request, &case, now).await?;
    detail(conn, &case, now, dry_run).await
}

async fn known(conn: &mut Conn, facility: Option<&FacilityId>) -> Result<(), OfficeFault> {
    let Some(facility) = facility else { return Ok(()) };
    let found: Option<String> = sqlx::query_scalar("SELECT name FROM facility WHERE facility = $1")
        .bind(facility.as_str())
        .fetch_optional(conn)
        .await?;
    found.map(|_| ()).ok_or_else(|| Message::FacilityAbsent { facility: facility.to_string() }.into())
}

/// One act on a case; a dry run commits nothing and revokes nothing.
pub async fn act(
    shared: &Arc<Shared>,
    operator: &Operator,
    case: &str,
    act: &FlowAct,
    dry_run: bool,
) -> Result<FlowAnswer, Fault> {
    let now = world::now_ms();
    let team = team(shared, case, act).await?;
    let realm = shared.config.realm_name.as_str();
    if dry_run {
        return Ok(act_in(&mut *shared.store.begin().await?, operator, case, act, now, (realm, &team), true)
            .await?
            .0);
    }
    let (answer, after) = transaction!(shared.store, conn => {
        act_in(conn, operator, case, act, now, (realm, &team), false).await
    })?;
    if let Some(version) = after.grants {
        shared.grants_changed(version);
        // Whoever is out of the registry is out of the teams, too.
        shared.bells.leavings.notify_one();
    }
    if after.letters {
        shared.bells.outbox.notify_one();
    }
    if after.orders {
        shared.bells.orders.notify_one();
    }
    if matches!(act, FlowAct::Patient { .. }) {
        // Scans of this case have waited for a key.
        shared.bells.scans.notify_one();
    }
    for slot in after.revoke {
        let order = Order {
            slot,
            reason: RevokeReason::Retired,
            note: Some(format!("案件 {case}")),
            by: operator.name.clone(),
            trace: Some(operator.trace),
        };
        // Committed with its points; what does not acknowledge now is retried for ever (ruling 7).
        if let Err(fault) = revocation::revoke(shared, order).await {
            log::warn!(SLOT = slot.to_string().as_str(), CODE = "MM-5365"; "a leaving facility's device: {fault}");
        }
    }
    Ok(answer)
}

/// Whom a step's mail goes to beyond the case's own facility; asked of the SNS only where a step needs it.
async fn team(shared: &Shared, case: &str, act: &FlowAct) -> Result<Vec<FacilityId>, Fault> {
    let FlowAct::Step { step } = act else { return Ok(Vec::new()) };
    let found = flow_rows::find(&mut *shared.store.pool().acquire().await?, case).await?;
    let wanted = flow::steps(&found.state).find(|known| known.id == step.as_str());
    let to_team = wanted.is_some_and(|step| {
        step.does == Does::StopLinks
            || matches!(
                step.does,
                Does::Send(Mail::M04 | Mail::M06 | Mail::M07 | Mail::M08 | Mail::M10 | Mail::M12 | Mail::End)
            )
    });
    if !to_team || found.state.closed.contains_key(step) {
        return Ok(Vec::new());
    }
    // C-10.5 comes when nobody is linked any more.
    let before = team_orders::stopped(&mut *shared.store.pool().acquire().await?, case).await?;
    if let Some(before) = before {
        return Ok(before);
    }
    let is_m04 = wanted.is_some_and(|step| step.does == Does::Send(Mail::M04));
    if is_m04 && found.patient.is_none() {
        // Opened before the patient was registered: the case's own facility is all that is known.
        return Ok(Vec::new());
    }
    let patient = found
        .patient
        .ok_or_else(|| OfficeFault::from(Message::CasePatientMissing { case: found.case.clone() }))?;
    let listed = shared.needs.teams.list(None).await.map_err(|unmet| Fault::Neighbour(unmet.to_string()))?;
    let teams = listed.map_err(|refused| Fault::Neighbour(refused.ja))?;
    let team = teams.into_iter().find(|team| team.patient == patient);
    Ok(team
        .map(|team| team.facilities.into_iter().map(|(facility, _)| facility).collect())
        .unwrap_or_default())
}

async fn act_in(
    conn: &mut Conn,
    operator: &Operator,
    case: &str,
    act: &FlowAct,
    now: i64,
    (realm_name, team): (&str, &[FacilityId]),
    dry_run: bool,
) -> Result<(FlowAnswer, After), Fault> {
    let mut found = flow_rows::find(conn, case).await?;
    let mut after = After::default();
    match act {
        FlowAct::Change { field, value } => {
            let value = flow_effects::changed(field, value)?;
            if found.state.phase == Phase::Done {
                return Err(Message::CaseOver { case: case.to_owned() }.into());
            }
            found.changes.insert(field.clone(), value);
            flow_rows::change(conn, case, &found.changes).await?;
        }
        FlowAct::Attach { facility } => {
            known(conn, Some(facility)).await?;
            flow_rows::attach(conn, case, facility).await?;
        }
        FlowAct::Patient { patient } => {
            if matches!(found.state.phase, Phase::Done | Phase::Withdrawn) {
                return Err(Message::CaseOver { case: case.to_owned() }.into());
            }
            // Whoever was linked for nobody stays so: this case would not link anybody any more.
            let mut linking =
                flow::steps(&found.state).filter(|step| matches!(step.does, Does::Link | Does::LinkFamily));
            let other = found.patient.as_ref().is_some_and(|known| known != patient);
            let over = linking.any(|step| found.state.closed.contains_key(step.id));
            let case_id = || case.to_owned();
            if !found.state.flow.has_patient() {
                return Err(IntakeMessage::CaseNoPatient { case: case_id() }.into());
            }
            if other || (over && found.patient.is_none()) {
                return Err(IntakeMessage::CasePatientFixed { case: case_id() }.into());
            }
            flow_rows::attach_patient(conn, case, patient).await?;
            audit::by(conn, now, operator, "case.patient", case, json!({ "patient": patient })).await?;
        }
        _ => {
            let event = event(act)?;
            let (state, effects) = flow::next(&found.state, &event, &operator.name, now)
                .map_err(|refused| told(case, refused))?;
            if state != found.state || !effects.is_empty() {
                let step = if let Event::Step(step) = &event { step.as_str() } else { "" };
                let place = Place { now_ms: now, realm_name, case: &found, step, team };
                after = flow_effects::apply(conn, &place, &effects).await?;
                flow_rows::advance(conn, now, case, &state, &event, &operator.name).await?;
                remember(conn, now, operator, case, act, &effects).await?;
            }
        }
    }
    Ok((detail(conn, case, now, dry_run).await?, after))
}

fn event(act: &FlowAct) -> Result<Event, Message> {
    Ok(match act {
        FlowAct::Form { form: text } => Event::FormArrived(form(text)?),
        FlowAct::Answer { question, yes } => {
            let known = || Question::ALL.map(Question::name).join("、");
            Event::Answered(word(question, Question::parse, known)?, *yes)
        }
        FlowAct::Call { caller, number, at, recognised_by } => {
            for text in [caller, number, at, recognised_by] {
                let length = text.trim().chars().count();
                if length == 0 {
                    return Err(Message::CellEmpty);
                }
                if length > TEXT_MAX || text.chars().any(char::is_control) {
                    return Err(Message::CellTooLong { limit: TEXT_MAX });
                }
            }
            Event::Called(Call {
                caller: caller.trim().to_owned(),
                number: number.trim().to_owned(),
                at: at.trim().to_owned(),
                recognised_by: recognised_by.trim().to_owned(),
            })
        }
        FlowAct::Incomplete => Event::Incomplete,
        FlowAct::Withdraw => Event::Withdraw,
        FlowAct::Step { step } => Event::Step(step.clone()),
        FlowAct::Confirm { step, how } => {
            Event::Confirmed(step.clone(), word(how, How::parse, || How::ALL.map(How::ja).join("、"))?)
        }
        FlowAct::Change { .. } | FlowAct::Attach { .. } | FlowAct::Patient { .. } => {
            return Err(Message::Internal { what: "not an event".to_owned() });
        }
    })
}

fn form(text: &str) -> Result<Form, Message> {
    word(text, Form::parse, || Form::ALL.map(Form::name_ja).join("、"))
}

fn word<T>(text: &str, parse: impl Fn(&str) -> Option<T>, known: impl Fn() -> String) -> Result<T, Message> {
    parse(text.trim()).ok_or_else(|| Message::WordUnknown { given: shown(text), known: known() })
}

fn told(case: &str, refused: Refused) -> Message {
    let case = case.to_owned();
    match refused {
        Refused::NoStep { step, .. } => Message::CaseStepUnknown { case, step: shown(&step) },
        Refused::TooEarly { step, missing } => Message::CaseTooEarly { step, missing },
        Refused::Missing { missing } => Message::CaseMissing { missing: missing.join("、") },
        Refused::Over => Message::CaseOver { case },
        Refused::Begun => Message::CaseBegun { case },
        Refused::NotYet { from_ms } => Message::CaseNotYet { from: jst::date(from_ms) },
        Refused::ByConfirmation { step } | Refused::NoConfirmation { step } => {
            Message::CaseConfirmation { step }
        }
    }
}

/// The audit trail: which event, and what followed; no caller's name or number, the trail is never wiped.
async fn remember(
    conn: &mut Conn,
    now: i64,
    operator: &Operator,
    case: &str,
    act: &FlowAct,
    effects: &[Effect],
) -> Result<(), OfficeFault> {
    let (action, what) = match act {
        FlowAct::Form { form } => ("case.form", json!(form)),
        FlowAct::Answer { question, yes } => ("case.answer", json!({ question: yes })),
        FlowAct::Call { .. } => ("case.call", json!(null)),
        FlowAct::Change { field, .. } => ("case.change", json!(field)),
        FlowAct::Attach { facility } => ("case.attach", json!(facility)),
        FlowAct::Patient { .. } => ("case.patient", json!(null)),
        FlowAct::Incomplete => ("case.incomplete", json!(null)),
        FlowAct::Withdraw => ("case.withdraw", json!(null)),
        FlowAct::Step { step } => ("case.step", json!(step)),
        FlowAct::Confirm { step, how } => ("case.confirm", json!({ step: how })),
    };
    audit::by(conn, now, operator, action, case, json!({ "what": what, "effects": effects })).await?;
    Ok(())
}

fn row(case: &FlowCase, now: i64) -> FlowRow {
    let state = &case.state;
    let next = flow::ready(state, now).into_iter().find(|step| step.who == Who::Secretariat);
    FlowRow {
        case: case.case.clone(),
        flow: state.flow.id().to_owned(),
        flow_ja: state.flow.name_ja().to_owned(),
        phase: state.phase.as_str().to_owned(),
        facility: case.facility.clone(),
        facility_name: case.facility_name.clone(),
        received: jst::rfc3339(case.received_at),
        next_ja: match (next, state.phase) {
            (Some(step), _) => step.name_ja.to_owned(),
            (None, Phase::Received | Phase::Incomplete) => {
                format!("不足: {}", flow::missing(state).join("、"))
            }
            (None, _) => String::new(),
        },
        overdue: !flow::overdue(state, now).is_empty(),
    }
}

async fn detail(conn: &mut Conn, case: &str, now: i64, dry_run: bool) -> Result<FlowAnswer, Fault> {
    let found = flow_rows::find(conn, case).await?;
    let state = &found.state;
    let asked = needs(state.flow)
        .iter()
        .filter_map(|need| if let Need::When(_, question, _) = need { Some(*question) } else { None });
    let questions: BTreeSet<Question> = asked.chain(state.flow.asks().iter().copied()).collect();
    let steps = flow::steps(state).map(|step| shown_step(case, state, step, now));
    Ok(FlowAnswer::Case(Box::new(FlowDetail {
        row: row(&found, now),
        patient: found.patient.clone(),
        leaver: flow_rows::leaver(conn, found.membership.as_ref()).await?,
        forms: state.forms.iter().map(|form| form.name_ja().to_owned()).collect(),
        missing: if matches!(state.phase, Phase::Received | Phase::Incomplete) {
            flow::missing(state)
        } else {
            Vec::new()
        },
        questions: questions
            .into_iter()
            .map(|question| FlowAsked {
                question: question.name().to_owned(),
                ja: question.ja().to_owned(),
                answer: state.answers.get(&question).copied(),
            })
            .collect(),
        changes: found.changes.clone().into_iter().collect(),
        steps: steps.collect(),
        letters: flow_rows::letters(conn, case).await?,
        orders: team_orders::of_case(conn, case).await?,
        erase_from: state.erase_from.map(jst::rfc3339),
        dry_run,
    })))
}

/// A step with what closing it would do, or what it waits for.
fn shown_step(case: &str, state: &flow::State, step: &'static Step, now: i64) -> FlowStep {
    let closed = state.closed.get(step.id);
    let refused = closed.is_none().then(|| flow::refused(state, step, now)).flatten();
    FlowStep {
        id: step.id.to_owned(),
        name_ja: step.name_ja.to_owned(),
        who_ja: who(step.who).to_owned(),
        at: closed.map(|closed| jst::rfc3339(closed.at)),
        operator: closed.map(|closed| closed.operator.clone()),
        how: closed.and_then(|closed| closed.how).map(|how| how.ja().to_owned()),
        ready: closed.is_none() && refused.is_none(),
        confirms: step.does == Does::Confirm,
        held_ja: refused.map(|refused| held(case, refused)).unwrap_or_default(),
        would_ja: step.does.would_ja().to_owned(),
        grave: step.does.is_grave(),
    }
}

/// What a step waits for, as short as a line of a list.
fn held(case: &str, refused: Refused) -> String {
    match refused {
        Refused::TooEarly { missing, .. } => format!("{missing}の後"),
        other => told(case, other).trouble().ja,
    }
}

fn who(who: Who) -> &'static str {
    match who {
        Who::Secretariat => "事務局",
        Who::Facility => "事業所",
        Who::Admin => "施設内管理者",
        Who::User => "利用者（職員）",
        Who::Family => "患者・家族",
    }
}
