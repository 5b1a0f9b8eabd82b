//! 患者 on both consoles: the secretariat registers and links (B-09), a facility's admin puts its own people into a team
//! (B-15). Names pass through to the SNS and are written nowhere here (ruling 10). Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use pki::identity::{MembershipId, Role};
use serde::Deserialize;

use crate::console::{patient_id, permit, realm_of};
use crate::decide::{Action, Object};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::need::{PatientText, TeamRow};
use crate::office_pages::{ListFilter, Shown};
use crate::page::{frame, fresh, notice, refuse, show};
use crate::patients::{self, NewPatient};
use crate::problem::{Caller, html_as, once, read_form, see_other};
use crate::shared::Shared;
use crate::standing::Standing;
use crate::standing_work::{self, Member};
use crate::views::{Frame, Notice};
use crate::{find, find_rows};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/patients", get(list).post(register))
        // A name is sought by a form that is sent: in a URL it would stay in histories and logs.
        .route("/patients/find", post(find))
        .route("/patients/{patient}/facilities", post(link))
        .route("/patients/{patient}/members", post(add_member))
}

#[derive(Template)]
#[template(path = "patients.html")]
struct PatientsPage {
    frame: Frame,
    patients: Vec<TeamRow>,
    shown: Shown,
    sought: PatientText,
    /// For the secretariat: where a patient may be linked, as far as a page can hold it.
    offered: Vec<(String, String)>,
    /// For a facility: who may join a team.
    people: Vec<Member>,
    office: bool,
    typed: PatientForm,
    notice: Option<Notice>,
}

/// As typed; a refusal gives it back to the same screen and to nothing else.
#[derive(Deserialize)]
struct PatientForm {
    name: PatientText,
    kana: PatientText,
    consent_date: String,
    origin: String,
    once: String,
}

#[derive(Deserialize)]
struct LinkForm {
    facility: String,
}

#[derive(Deserialize)]
struct MemberForm {
    membership: String,
}

#[derive(Deserialize)]
struct FindForm {
    q: PatientText,
}

/// Which screen of the list, or whom somebody looks for.
struct Seeking {
    filter: ListFilter,
    sought: PatientText,
}

fn nothing() -> PatientText {
    PatientText::new(String::new())
}

fn blank() -> Result<PatientForm, Fault> {
    Ok(PatientForm {
        name: nothing(),
        kana: nothing(),
        consent_date: String::new(),
        origin: String::new(),
        once: fresh()?,
    })
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<ListFilter>) -> Response {
    // Of a list's filter this one takes the place alone.
    let seeking = Seeking { filter: ListFilter { q: String::new(), ..filter }, sought: nothing() };
    let page = async { page(&shared, &caller, blank()?, None, seeking).await };
    show(&shared, &caller, page.await).await
}

async fn find(State(shared): Room, caller: Caller, form: Result<Form<FindForm>, FormRejection>) -> Response {
    let page = async {
        permit(&caller, Action::ListPatients, &realm_of(&caller).0)?;
        let seeking = Seeking { filter: ListFilter::default(), sought: read_form(form)?.q };
        page(&shared, &caller, blank()?, None, seeking).await
    };
    show(&shared, &caller, page.await).await
}

async fn page(
    shared: &Shared,
    caller: &Caller,
    typed: PatientForm,
    notice: Option<Notice>,
    seeking: Seeking,
) -> Result<PatientsPage, Fault> {
    let (object, own) = realm_of(caller);
    permit(caller, Action::ListPatients, &object)?;
    let office = caller.identity.role == Role::Secretariat;
    let (mut offered, mut people) = (vec![], vec![]);
    if office {
        offered = find_rows::offered(shared).await?;
    } else {
        people = standing_work::present(shared, &caller.identity.facility).await?;
        people.retain(|person| {
            matches!(person.role, Role::Staff | Role::Family) && person.shown() == Standing::Active.as_str()
        });
    }
    let Seeking { filter, sought } = seeking;
    let query = find::Query::new(sought.expose());
    let fits = |row: &TeamRow| {
        let places = row.facilities.iter().filter(|_| office).map(|place| place.1.as_str());
        query.fits(&places.chain([row.name.expose()]).collect::<Vec<_>>()).is_some()
    };
    let (patients, shown) = filter.screen(patients::list(shared, own.as_ref()).await?, fits);
    let frame = frame(shared, caller, "/patients").await?;
    Ok(PatientsPage { frame, patients, shown, sought, offered, people, office, typed, notice })
}

async fn register(
    State(shared): Room,
    caller: Caller,
    form: Result<Form<PatientForm>, FormRejection>,
) -> Response {
    let form = async {
        permit(&caller, Action::RegisterPatient, &Object::Association)?;
        read_form(form)
    };
    let form = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let done = async {
        // Without the name: a hash of it would be the name to whoever has a list of names.
        let request = once(&caller, "patient", &form.once, &[&form.consent_date, &form.origin])?;
        let origin = find_rows::meant(&shared, &form.origin).await?;
        let new = NewPatient {
            name: form.name.clone(),
            kana: form.kana.clone(),
            consent_date: form.consent_date.clone(),
            origin,
        };
        patients::register(&shared, &caller.identity, caller.trace, new, request.as_ref()).await
    };
    match done.await {
        Ok(_) => see_other("/patients"),
        Err(fault) => again(&shared, &caller, form, fault).await,
    }
}

/// The form once more, with what was typed and what is wrong with it.
async fn again(shared: &Shared, caller: &Caller, form: PatientForm, fault: Fault) -> Response {
    let (status, notice) = notice(fault);
    let page = async {
        // Another content is another request.
        let typed = PatientForm { once: fresh()?, ..form };
        let seeking = Seeking { filter: ListFilter::default(), sought: nothing() };
        page(shared, caller, typed, Some(notice), seeking).await
    };
    match page.await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn link(
    State(shared): Room,
    caller: Caller,
    Path(patient): Path<String>,
    form: Result<Form<LinkForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::LinkPatient, &Object::Association)?;
        let patient = patient_id(&patient)?;
        let facility = find_rows::meant(&shared, &read_form(form)?.facility).await?;
        patients::link(&shared, &caller.identity, caller.trace, &patient, &facility).await
    };
    back(&shared, &caller, done.await).await
}

async fn add_member(
    State(shared): Room,
    caller: Caller,
    Path(patient): Path<String>,
    form: Result<Form<MemberForm>, FormRejection>,
) -> Response {
    let done = async {
        // The role first: whoever has no such verb does not learn which patients there are.
        let own = caller.identity.facility.clone();
        permit(&caller, Action::AddMember, &Object::Patient { linked: true, facility: own.clone() })?;
        let patient = patient_id(&patient)?;
        let membership: MembershipId =
            read_form(form)?.membership.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
        let linked = patients::is_linked(&shared, &patient, &own).await?;
        if permit(&caller, Action::AddMember, &Object::Patient { linked, facility: own }).is_err() {
            return Err(PeopleMessage::PatientUnknown.into());
        }
        patients::add_member(&shared, &caller.identity, caller.trace, &patient, &membership).await
    };
    back(&shared, &caller, done.await).await
}

/// The list that shows the change, or the list that says why there is none.
async fn back(shared: &Shared, caller: &Caller, done: Result<(), Fault>) -> Response {
    match done {
        Ok(()) => see_other("/patients"),
        Err(fault) if caller.page => match blank() {
            Ok(form) => again(shared, caller, form, fault).await,
            Err(fault) => refuse(shared, caller, fault).await,
        },
        Err(fault) => refuse(shared, caller, fault).await,
    }
}
