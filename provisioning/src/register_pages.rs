//! 研修・誓約 as a screen: who is late at which facility (the secretariat), one's own people with their dates and a form
//! for whoever attended (a facility's admin), the same as CSV (H-17 … H-19). Edge, border: HTTP, forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde::Deserialize;
use serde_json::json;

use crate::audit::{self, Event};
use crate::console::{facility, permit, realm_of};
use crate::decide::{Action, Object};
use crate::door_register::RegisterLine;
use crate::fault::Fault;
use crate::fee_paper::quoted;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, download, html_as, read_form, see_other};
use crate::register::{self, Training};
use crate::shared::Shared;
use crate::store::transaction;
use crate::training::TrainingKind;
use crate::views::{self, Frame, Notice};
use crate::{dates, desk, find, standing_work, world};

type Room = State<Arc<Shared>>;
/// What a form of ticks sends: names that come once per person.
type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// Facilities on one screen; the others are found by their name.
const SHOWN: usize = 200;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/register", get(list))
        .route("/register/csv", get(csv))
        .route("/register/training", post(training))
        .route("/people/{membership}/pledge", post(pledge))
}

/// All of it stands in the URL.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    facility: String,
    /// `late`, or all.
    show: String,
    q: String,
}

/// One facility in the office's list.
struct Counted {
    facility: FacilityId,
    name: String,
    people: usize,
    pledge: usize,
    briefing: usize,
    training: usize,
}

impl Counted {
    fn is_late(&self) -> bool {
        self.pledge + self.briefing + self.training > 0
    }
}

#[derive(Template)]
#[template(path = "register_office.html")]
struct OfficePage {
    frame: Frame,
    rows: Vec<Counted>,
    found: usize,
    all: usize,
    late: usize,
    filter: Filter,
}

#[derive(Template)]
#[template(path = "register.html")]
struct RegisterPage {
    frame: Frame,
    lines: Vec<RegisterLine>,
    late: usize,
    /// The facility of another, seen by the office.
    of: Option<(FacilityId, String)>,
    kinds: [TrainingKind; 3],
    typed: Typed,
    notice: Option<Notice>,
}

/// What was ticked, so that a refusal loses nothing.
#[derive(Default)]
struct Typed {
    kind: String,
    held_on: String,
    facility: String,
    people: Vec<String>,
}

impl RegisterPage {
    fn is_ticked(&self, membership: &MembershipId) -> bool {
        self.typed.people.iter().any(|ticked| ticked == membership.as_str())
    }
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    if caller.identity.role == Role::Secretariat && filter.facility.is_empty() {
        return show(&shared, &caller, office(&shared, &caller, filter).await).await;
    }
    let page = register_page(&shared, &caller, &filter.facility, Typed::default(), None).await;
    show(&shared, &caller, page).await
}

async fn office(shared: &Shared, caller: &Caller, filter: Filter) -> Result<OfficePage, Fault> {
    permit(caller, Action::SeeRegister, &Object::Association)?;
    let mut counted: BTreeMap<FacilityId, Counted> = BTreeMap::new();
    for line in register::lines(shared, None).await? {
        let row = counted.entry(line.facility.clone()).or_insert_with(|| Counted {
            facility: line.facility.clone(),
            name: line.facility_name.clone(),
            people: 0,
            pledge: 0,
            briefing: 0,
            training: 0,
        });
        row.people += 1;
        row.pledge += usize::from(line.pledge_late);
        row.briefing += usize::from(line.briefing_late);
        row.training += usize::from(line.training == "late");
    }
    let query = find::Query::new(&filter.q);
    let (all, late) = (counted.len(), counted.values().filter(|row| row.is_late()).count());
    let mut rows: Vec<Counted> = counted
        .into_values()
        .filter(|row| (filter.show == "all" || row.is_late()) && query.fits(&[&row.name]).is_some())
        .collect();
    rows.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| a.facility.cmp(&b.facility)));
    let found = rows.len();
    rows.truncate(SHOWN);
    Ok(OfficePage { frame: frame(shared, caller, "/register").await?, rows, found, all, late, filter })
}

/// Whose people: the office names the facility, everybody else has one.
fn whose(caller: &Caller, named: &str) -> Result<FacilityId, Fault> {
    match caller.identity.role {
        Role::Secretariat => facility(named),
        Role::FacilityAdmin | Role::Staff | Role::Family => Ok(caller.identity.facility.clone()),
    }
}

async fn register_page(
    shared: &Shared,
    caller: &Caller,
    named: &str,
    typed: Typed,
    notice: Option<Notice>,
) -> Result<RegisterPage, Fault> {
    permit(caller, Action::SeeRegister, &realm_of(caller).0)?;
    let whose = whose(caller, named)?;
    let lines = register::lines(shared, Some(&whose)).await?;
    let of = match caller.identity.role {
        Role::Secretariat => {
            let name = desk::facility_name(shared, &whose).await?;
            if name.is_empty() {
                return Err(PeopleMessage::FacilityUnknown.about(whose.as_str()).into());
            }
            Some((whose, name))
        }
        Role::FacilityAdmin | Role::Staff | Role::Family => None,
    };
    Ok(RegisterPage {
        frame: frame(shared, caller, if of.is_some() { "/register" } else { "/people" }).await?,
        late: lines.iter().filter(|line| line.is_late()).count(),
        lines,
        of,
        kinds: TrainingKind::ALL,
        typed,
        notice,
    })
}

async fn csv(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let file = async {
        let (object, own) = realm_of(&caller);
        permit(&caller, Action::SeeRegister, &object)?;
        let named = match own {
            Some(own) => Some(own),
            None if filter.facility.is_empty() => None,
            None => Some(facility(&filter.facility)?),
        };
        let mut lines = register::lines(&shared, named.as_ref()).await?;
        lines.retain(|line| filter.show != "late" || line.is_late());
        Ok::<_, Fault>(written(&lines))
    };
    match file.await {
        Ok(bytes) => download("register.csv", "text/csv; charset=utf-8", bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// As Excel opens it.
fn written(lines: &[RegisterLine]) -> Vec<u8> {
    let heading = ["事業所", "氏名", "職種", "役割", "誓約書", "説明", "研修", "次の研修"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    for line in lines {
        let day = |day: &Option<String>| day.clone().unwrap_or_default();
        rows.push(vec![
            line.facility_name.clone(),
            line.name.clone(),
            line.profession.clone(),
            views::role_word(&line.role).to_owned(),
            day(&line.pledged_on),
            day(&line.briefed_on),
            day(&line.trained_on),
            line.training_due.clone(),
        ]);
    }
    let line = |row: &Vec<String>| row.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n";
    format!("\u{feff}{}", rows.iter().map(line).collect::<String>()).into_bytes()
}

async fn training(State(shared): Room, caller: Caller, form: Fields) -> Response {
    let fields = async {
        permit(&caller, Action::NoteTraining, &realm_of(&caller).0)?;
        read_form(form)
    };
    let mut typed = Typed::default();
    match fields.await {
        Ok(fields) => {
            for (name, value) in fields {
                match name.as_str() {
                    "kind" => typed.kind = value,
                    "held_on" => typed.held_on = value,
                    "facility" => typed.facility = value,
                    "person" => typed.people.push(value),
                    _ => {}
                }
            }
        }
        Err(fault) => return refuse(&shared, &caller, fault).await,
    }
    match noted(&shared, &caller, &typed).await {
        Ok(back) => see_other(&back),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            let named = typed.facility.clone();
            match register_page(&shared, &caller, &named, typed, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn noted(shared: &Shared, caller: &Caller, typed: &Typed) -> Result<String, Fault> {
    let whose = whose(caller, &typed.facility)?;
    let training = Training::read(&typed.kind, &typed.held_on, world::now_ms())?;
    let lines = register::lines(shared, Some(&whose)).await?;
    let mut people: Vec<PersonId> = vec![];
    for ticked in &typed.people {
        let line = lines.iter().find(|line| line.membership.as_str() == ticked);
        people.push(line.ok_or(PeopleMessage::MemberUnknown)?.person.clone());
    }
    register::note(shared, &operator(caller)?, Some(&whose), &people, &training, false).await?;
    Ok(match caller.identity.role {
        Role::Secretariat => format!("/register?facility={whose}"),
        Role::FacilityAdmin | Role::Staff | Role::Family => "/register".to_owned(),
    })
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct PledgeForm {
    pledge_date: String,
}

/// H-17: the day of the pledge, where it was wrong or is another one since.
async fn pledge(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<PledgeForm>, FormRejection>,
) -> Response {
    let done = async {
        let own = caller.identity.facility.clone();
        permit(&caller, Action::NotePledge, &Object::Facility(own.clone()))?;
        let id: MembershipId = id.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
        let member = standing_work::find(&mut *shared.store.pool().acquire().await?, &id).await?;
        if member.facility != own {
            return Err(PeopleMessage::MemberUnknown.into());
        }
        let form = read_form(form)?;
        let now = world::now_ms();
        let on_day = dates::past_date(&form.pledge_date, now)?;
        let operator = operator(&caller)?;
        transaction!(shared.store, conn => {
            register::pledged(conn, now, &operator.name, &member.person, &own, &on_day).await?;
            let event = Event {
                actor: &operator.name,
                action: "pledge.note",
                object: member.membership.as_str(),
                trace: Some(operator.trace),
                detail: json!({ "pledged_on": on_day, "rule": "H-17" }),
            };
            audit::append(conn, now, event).await?;
            Ok::<_, Fault>(())
        })?;
        Ok::<_, Fault>(member.membership)
    };
    match done.await {
        Ok(membership) => see_other(&format!("/people/{membership}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
