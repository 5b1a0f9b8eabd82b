//! The resource map in the consoles: a facility's entry (B-26), and the export for the association's public site. The
//! appliance itself publishes nothing (L-03). Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use pki::identity::{FacilityId, Role};
use serde::Deserialize;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door_paper::MapKind;
use crate::fault::Fault;
use crate::map::Typed;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, download, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{Frame, Notice};
use crate::{desk, map_rows};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new().route("/map", get(entry).post(save)).route("/map/export/{kind}", get(export))
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Wanted {
    facility: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Sent {
    facility: String,
    city: String,
    latitude: String,
    longitude: String,
    fixed: String,
    fax: String,
    url: String,
    closed_days: String,
    hours: String,
    also: String,
    other: String,
    shown: String,
}

#[derive(Template)]
#[template(path = "map_entry.html")]
struct EntryPage {
    frame: Frame,
    facility: FacilityId,
    name: String,
    typed: Typed,
    office: bool,
    notice: Option<Notice>,
}

fn whose(caller: &Caller, named: &str) -> Result<FacilityId, Fault> {
    let whose = match caller.identity.role {
        Role::Secretariat => facility(named)?,
        Role::FacilityAdmin | Role::Staff | Role::Family => caller.identity.facility.clone(),
    };
    permit(caller, Action::EditMap, &Object::Facility(whose.clone()))?;
    Ok(whose)
}

async fn entry(State(shared): Room, caller: Caller, Query(wanted): Query<Wanted>) -> Response {
    let page = async {
        let whose = whose(&caller, &wanted.facility)?;
        page(&shared, &caller, whose, None, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn page(
    shared: &Shared,
    caller: &Caller,
    whose: FacilityId,
    typed: Option<Typed>,
    notice: Option<Notice>,
) -> Result<EntryPage, Fault> {
    let name = desk::facility_name(shared, &whose).await?;
    if name.is_empty() {
        return Err(PeopleMessage::FacilityUnknown.about(whose.as_str()).into());
    }
    let typed = match typed {
        Some(typed) => typed,
        None => map_rows::stored(shared, &whose).await?.unwrap_or_default(),
    };
    let office = caller.identity.role == Role::Secretariat;
    let here = if office { "/facilities" } else { "/" };
    Ok(EntryPage { frame: frame(shared, caller, here).await?, facility: whose, name, typed, office, notice })
}

async fn save(State(shared): Room, caller: Caller, form: Result<Form<Sent>, FormRejection>) -> Response {
    let sent = async {
        let sent = read_form(form)?;
        Ok::<_, Fault>((whose(&caller, &sent.facility)?, sent))
    };
    let (whose, sent) = match sent.await {
        Ok(sent) => sent,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let back = if caller.identity.role == Role::Secretariat {
        format!("/map?facility={whose}")
    } else {
        "/map".to_owned()
    };
    let typed = Typed {
        city: sent.city,
        latitude: sent.latitude,
        longitude: sent.longitude,
        fixed: sent.fixed == "yes",
        fax: sent.fax,
        url: sent.url,
        closed_days: sent.closed_days,
        hours: sent.hours,
        also: sent.also,
        other: sent.other,
        shown: sent.shown == "yes",
    };
    let fault = match write(&shared, &caller, &whose, &typed).await {
        Ok(()) => return see_other(&back),
        Err(fault) => fault,
    };
    if !caller.page {
        return refuse(&shared, &caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match page(&shared, &caller, whose, Some(typed), Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn write(shared: &Shared, caller: &Caller, whose: &FacilityId, typed: &Typed) -> Result<(), Fault> {
    map_rows::write(shared, &operator(caller)?, whose, typed).await
}

async fn export(State(shared): Room, caller: Caller, Path(kind): Path<String>) -> Response {
    let file = async {
        permit(&caller, Action::EditMap, &Object::Association)?;
        let kind = MapKind::parse(&kind).ok_or(PeopleMessage::NotFound)?;
        let (name, bytes) = map_rows::export(&shared, kind).await?;
        Ok::<_, Fault>((name, kind.media(), bytes))
    };
    match file.await {
        Ok((name, media, bytes)) => download(name, media, bytes),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
