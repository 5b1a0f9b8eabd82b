//! 年次更新 as screens: an admin's one screen of ticks (saved half-done as often as wanted), the page that says what will
//! happen, and the sending; the secretariat's progress with the call list (G-08, H-14, H-19). Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::civil::Date;
use pki::identity::{MembershipId, Role};
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::console::{facility, permit, realm_of};
use crate::decide::{Action, Object};
use crate::door_yearly::{YearlyLine, YearlyProgress};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::problem::{Caller, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::standing_work::Member;
use crate::views::{self, Frame, Notice};
use crate::yearly::{PersonTick, Stage, Stay, Ticks};
use crate::yearly_work::{self, Screen};
use crate::{dates, find, world};

type Room = State<Arc<Shared>>;
type Fields = Result<Form<Vec<(String, String)>>, FormRejection>;

/// Facilities on one screen; the others are found by the filter.
const SHOWN: usize = 200;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/yearly", get(look).post(save))
        .route("/yearly/confirm", get(confirm))
        .route("/yearly/finish", post(finish))
        .route("/yearly/open", post(open))
        .route("/yearly/{facility}/called", post(called))
}

#[derive(Template)]
#[template(path = "yearly.html")]
struct ScreenPage {
    frame: Frame,
    screen: Option<Screen>,
    saved: bool,
    notice: Option<Notice>,
}

impl ScreenPage {
    fn goes(&self, screen: &Screen, member: &Member, stay: &Stay) -> bool {
        screen.tick(&member.membership).stay == Some(*stay)
    }
}

#[derive(Template)]
#[template(path = "yearly_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    year: i16,
    stays: usize,
    moved: Vec<String>,
    left: Vec<String>,
    returned: Vec<(SlotNumber, String)>,
    trained: usize,
    trained_on: String,
}

#[derive(Template)]
#[template(path = "yearly_office.html")]
struct OfficePage {
    frame: Frame,
    progress: Option<YearlyProgress>,
    rows: Vec<YearlyLine>,
    found: usize,
    begun: bool,
    today: Date,
    typed: OpenForm,
    filter: Filter,
    notice: Option<Notice>,
}

/// All of it stands in the URL.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    /// `silent`, a stage, or all.
    show: String,
    q: String,
    saved: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct OpenForm {
    year: String,
    opens_on: String,
    due_on: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CallForm {
    note: String,
}

fn own(caller: &Caller) -> Object {
    Object::Facility(caller.identity.facility.clone())
}

async fn look(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    if caller.identity.role == Role::Secretariat {
        let page = office(&shared, &caller, filter, OpenForm::default(), None).await;
        return show(&shared, &caller, page).await;
    }
    let saved = filter.saved == "yes";
    let page = async {
        permit(&caller, Action::SeeYearly, &realm_of(&caller).0)?;
        let screen = yearly_work::screen(&shared, &caller.identity.facility).await?;
        Ok(ScreenPage { frame: frame(&shared, &caller, "/").await?, screen, saved, notice: None })
    };
    show(&shared, &caller, page.await).await
}

/// The fields of the screen: `s.<membership>` stays|moved|left, `t.<membership>`, `d.<device>` kept|returned.
fn read(fields: Vec<(String, String)>, now: i64) -> Result<(Ticks, bool), Fault> {
    let (mut ticks, mut check) = (Ticks::default(), false);
    for (name, value) in fields {
        match name.split_once('.') {
            Some((kind @ ("s" | "t"), id)) => {
                let id: MembershipId = id.parse().map_err(|_| PeopleMessage::MemberUnknown)?;
                let tick: &mut PersonTick = ticks.people.entry(id).or_default();
                match kind {
                    "s" => tick.stay = Stay::parse(&value),
                    _ => tick.trained = true,
                }
            }
            Some(("d", device)) if matches!(value.as_str(), "kept" | "returned") => {
                ticks.devices.insert(device.to_owned(), value == "returned");
            }
            _ => match name.as_str() {
                "trained_on" if !value.trim().is_empty() => {
                    ticks.trained_on = Some(dates::past_date(&value, now)?);
                }
                "ledger" => ticks.ledger = true,
                "act" => check = value == "check",
                _ => {}
            },
        }
    }
    Ok((ticks, check))
}

async fn save(State(shared): Room, caller: Caller, form: Fields) -> Response {
    let done = async {
        permit(&caller, Action::AnswerYearly, &own(&caller))?;
        let (ticks, check) = read(read_form(form)?, world::now_ms())?;
        let screen =
            yearly_work::save(&shared, &operator(&caller)?, &caller.identity.facility, ticks).await?;
        if check && !screen.gaps.is_empty() {
            return Err(PeopleMessage::YearlyGaps.about(screen.gaps.words_ja()).into());
        }
        Ok(if check { "/yearly/confirm" } else { "/yearly?saved=yes" })
    };
    match done.await {
        Ok(next) => see_other(next),
        Err(fault) => again(&shared, &caller, fault).await,
    }
}

/// The screen as it is saved, with what went wrong above it.
async fn again(shared: &Shared, caller: &Caller, fault: Fault) -> Response {
    if !caller.page || permit(caller, Action::AnswerYearly, &own(caller)).is_err() {
        return refuse(shared, caller, fault).await;
    }
    let (status, notice) = notice(fault);
    let page = async {
        let screen = yearly_work::screen(shared, &caller.identity.facility).await?;
        let frame = frame(shared, caller, "/").await?;
        Ok::<_, Fault>(ScreenPage { frame, screen, saved: false, notice: Some(notice) })
    };
    match page.await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn confirm(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::AnswerYearly, &own(&caller))?;
        let screen = yearly_work::screen(&shared, &caller.identity.facility).await?;
        let screen = screen.ok_or(PeopleMessage::YearlyNone)?;
        if screen.stage == Stage::Done {
            return Err(PeopleMessage::YearlyDone.into());
        }
        if !screen.gaps.is_empty() {
            return Err(PeopleMessage::YearlyGaps.about(screen.gaps.words_ja()).into());
        }
        let of = |stay: Stay| {
            let these = screen.people.iter().filter(|it| screen.tick(&it.membership).stay == Some(stay));
            these.map(|member| member.name.clone()).collect::<Vec<_>>()
        };
        let slots = yearly_work::returned(&screen);
        let back = screen.devices.iter().filter(|(_, slot, _)| slots.contains(slot));
        Ok(ConfirmPage {
            frame: frame(&shared, &caller, "/").await?,
            year: screen.round.year,
            stays: of(Stay::Stays).len(),
            moved: of(Stay::Moved),
            left: of(Stay::Left),
            returned: back.map(|(_, slot, label)| (*slot, label.clone())).collect(),
            trained: screen.people.iter().filter(|it| screen.tick(&it.membership).trained).count(),
            trained_on: screen.ticks.trained_on.clone().unwrap_or_default(),
        })
    };
    match page.await {
        Ok(page) => show(&shared, &caller, Ok(page)).await,
        Err(fault) => again(&shared, &caller, fault).await,
    }
}

async fn finish(State(shared): Room, caller: Caller) -> Response {
    let done = async {
        permit(&caller, Action::AnswerYearly, &own(&caller))?;
        let (facility, here) = (&caller.identity.facility, caller.identity.slot);
        yearly_work::finish(&shared, &operator(&caller)?, facility, here).await
    };
    match done.await {
        Ok(_) => see_other("/yearly"),
        Err(fault) => again(&shared, &caller, fault).await,
    }
}

async fn office(
    shared: &Shared,
    caller: &Caller,
    filter: Filter,
    typed: OpenForm,
    notice: Option<Notice>,
) -> Result<OfficePage, Fault> {
    permit(caller, Action::SeeYearly, &Object::Association)?;
    let today = dates::day(world::now_ms());
    let mut progress = yearly_work::progress(shared, None).await?;
    let query = find::Query::new(&filter.q);
    let fits = |line: &YearlyLine| {
        let shown = match filter.show.as_str() {
            "silent" => line.silent,
            "" | "all" => true,
            stage => line.stage == stage,
        };
        shown && query.fits(&[&line.facility_name, &line.code, &line.admin_name]).is_some()
    };
    let lines = progress.as_mut().map(|progress| std::mem::take(&mut progress.lines)).unwrap_or_default();
    let mut rows: Vec<YearlyLine> = lines.into_iter().filter(fits).collect();
    let found = rows.len();
    rows.truncate(SHOWN);
    let begun = progress
        .as_ref()
        .is_some_and(|progress| progress.round.opens_on.parse::<Date>().is_ok_and(|day| today >= day));
    let frame = frame(shared, caller, "/yearly").await?;
    Ok(OfficePage { frame, progress, rows, found, begun, today, typed, filter, notice })
}

async fn open(State(shared): Room, caller: Caller, form: Result<Form<OpenForm>, FormRejection>) -> Response {
    let form = async {
        permit(&caller, Action::ManageYearly, &Object::Association)?;
        read_form(form)
    };
    let form = match form.await {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let done = async {
        let wrong = || PeopleMessage::YearlyDates.about(form.year.chars().take(20).collect::<String>());
        let year: i16 = form.year.trim().parse().map_err(|_| wrong())?;
        let days = (form.opens_on.as_str(), form.due_on.as_str());
        yearly_work::open(&shared, &operator(&caller)?, year, days, false).await
    };
    match done.await {
        Ok(_) => see_other("/yearly"),
        Err(fault) if caller.page => {
            let (status, notice) = notice(fault);
            match office(&shared, &caller, Filter::default(), form, Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn called(
    State(shared): Room,
    caller: Caller,
    Path(id): Path<String>,
    form: Result<Form<CallForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::ManageYearly, &Object::Association)?;
        let form = read_form(form)?;
        yearly_work::called(&shared, &operator(&caller)?, &facility(&id)?, &form.note, false).await
    };
    match done.await {
        Ok(_) => see_other("/yearly?show=silent"),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
