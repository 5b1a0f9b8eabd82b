//! The secretariat's pages: what waits, the cases and their acceptance, facilities, numbers with their history.
//! Each act has a page that says what it will do, and the CLI's line for it. Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::acceptance;
use crate::case_rows;
use crate::channel_work;
use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::desk::{self, DeviceLine, HeldLetter, OpenEnrolment, PendingReceipt};
use crate::door::{
    AcceptReport, AcceptedCase, CaseChoice, CaseDetail, CaseRow, FacilityRow, SlotDetail, SlotRow,
};
use crate::door_flow::FlowRow;
use crate::door_incident::IncidentLine;
use crate::door_more::MoreLine;
use crate::door_post::{Channel, ItemLine};
use crate::door_yearly::YearlyProgress;
use crate::end_notices::{self, EndingLine};
use crate::facility::FacilityKind;
use crate::fault::Fault;
use crate::find;
use crate::flow_pages;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, operator, refuse, show};
use crate::post_rows::PostToday;
use crate::problem::{Caller, see_other};
use crate::shared::Shared;
use crate::slots::SlotState;
use crate::views::{self, Frame};
use crate::{dates, incident_work, more_work, post_rows, registry, renewal, scan_work, world, yearly_work};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/cases", get(cases))
        .route("/cases/accept", get(confirm_all).post(accept_all))
        .route("/cases/{case}", get(case))
        .route("/cases/{case}/accept", post(accept))
        .route("/facilities", get(facilities))
        .route("/facilities/{facility}", get(facility_page))
        .route("/slots", get(slots))
        .route("/slots/{slot}", get(slot))
}

#[derive(Template)]
#[template(path = "office_home.html")]
struct HomePage {
    frame: Frame,
    cases: Vec<CaseRow>,
    /// Nobody can go on without the secretariat.
    stuck: Vec<OpenEnrolment>,
    enrolments: Vec<OpenEnrolment>,
    receipts: Vec<PendingReceipt>,
    letters: Vec<HeldLetter>,
    /// Certificates that end within 90 days.
    ending: Vec<EndingLine>,
    /// Cases of the flows in which the next step is the secretariat's, or a confirmation is late.
    flows: Vec<FlowRow>,
    incidents: Vec<IncidentLine>,
    /// Devices above a quota that wait for a word (G-07).
    requests: Vec<MoreLine>,
    /// Post that came back and waits for somebody.
    back: Vec<ItemLine>,
    /// Envelopes that may leave today, and runs that were begun.
    post: PostToday,
    /// The yearly round, when somebody should be called.
    yearly: Option<YearlyProgress>,
    /// Pages of scans that wait to be sorted (E-12a).
    scans: i64,
    facilities: u32,
    slots_active: u32,
}

#[derive(Template)]
#[template(path = "cases.html")]
struct CasesPage {
    frame: Frame,
    cases: Vec<CaseRow>,
    waiting: usize,
}

#[derive(Template)]
#[template(path = "case.html")]
struct CasePage {
    frame: Frame,
    case: CaseDetail,
    delivery: Channel,
    delivery_at: String,
    /// What went by post, and what came back of it.
    posted: Vec<ItemLine>,
    admin_name: String,
    admin_address: String,
    /// What accepting it would do, while it waits.
    would: Option<AcceptedCase>,
    /// Why it cannot be accepted, when it cannot.
    notice: Option<views::Notice>,
}

#[derive(Template)]
#[template(path = "cases_accept.html")]
struct AcceptAllPage {
    frame: Frame,
    would: Vec<AcceptedCase>,
}

#[derive(Template)]
#[template(path = "facilities.html")]
struct FacilitiesPage {
    frame: Frame,
    facilities: Vec<FacilityRow>,
    kinds: [FacilityKind; 10],
    shown: Shown,
    filter: ListFilter,
}

#[derive(Template)]
#[template(path = "facility_show.html")]
struct FacilityPage {
    frame: Frame,
    facility: FacilityRow,
    /// 患者・家族事業所: its people are registered by the secretariat (B-08).
    family: bool,
    delivery: Channel,
    delivery_at: String,
    slots: Vec<SlotRow>,
    devices: Vec<DeviceLine>,
}

#[derive(Template)]
#[template(path = "slots.html")]
struct SlotsPage {
    frame: Frame,
    slots: Vec<SlotRow>,
    states: [SlotState; 8],
    shown: Shown,
    filter: ListFilter,
}

#[derive(Template)]
#[template(path = "slot_show.html")]
struct SlotPage {
    frame: Frame,
    slot: SlotDetail,
    devices: Vec<DeviceLine>,
}

/// Rows of one screen: a page of them loads at once, however many facilities there are.
const SHOWN: usize = 100;

/// What a list shows; all of it stands in the URL.
#[derive(Deserialize, Default)]
#[serde(default)]
pub(crate) struct ListFilter {
    pub q: String,
    pub kind: String,
    pub state: String,
    pub page: String,
}

/// How many there are, how many fit the filter, and where the list goes on.
pub(crate) struct Shown {
    pub all: usize,
    pub found: usize,
    pub next: Option<usize>,
}

impl ListFilter {
    /// One screen of what fits.
    pub fn screen<T>(&self, rows: Vec<T>, fits: impl Fn(&T) -> bool) -> (Vec<T>, Shown) {
        let all = rows.len();
        let found: Vec<T> = rows.into_iter().filter(fits).collect();
        let page = self.page.parse().unwrap_or(0usize).min(found.len() / SHOWN);
        let next = ((page + 1) * SHOWN < found.len()).then_some(page + 1);
        let shown = Shown { all, found: found.len(), next };
        (found.into_iter().skip(page * SHOWN).take(SHOWN).collect(), shown)
    }

    pub fn takes(&self, kind: &str, state: &str) -> bool {
        (self.kind.is_empty() || self.kind == kind) && (self.state.is_empty() || self.state == state)
    }
}

/// The first page: what needs somebody.
pub async fn home(shared: &Arc<Shared>, caller: &Caller) -> Response {
    let page = async {
        permit(caller, Action::SeeHome, &Object::Association)?;
        let pool = shared.store.pool();
        let status = registry::status(pool).await?;
        let cases = registry::cases(pool).await?.into_iter().filter(|case| case.state == "received");
        let open = desk::open_enrolments(shared).await?;
        let mut flows = flow_pages::rows(shared, caller).await?;
        flows.retain(|row| row.overdue || (row.phase != "done" && !row.next_ja.is_empty()));
        let mut incidents = incident_work::list(shared, None).await?;
        incidents.retain(|line| !line.closed);
        let yearly = yearly_work::progress(shared, None).await?;
        let (stuck, enrolments) = open.into_iter().partition(|open| open.locked || open.late);
        Ok(HomePage {
            frame: frame(shared, caller, "/").await?,
            cases: cases.collect(),
            stuck,
            enrolments,
            receipts: desk::pending_receipts(shared).await?,
            letters: desk::held_letters(shared).await?,
            ending: end_notices::shown(shared, None).await?,
            flows,
            incidents,
            requests: more_work::list(shared, None, true).await?,
            back: post_rows::back(&mut *pool.acquire().await?).await?,
            post: post_rows::today(&mut *pool.acquire().await?, dates::day(world::now_ms())).await?,
            yearly: yearly.filter(|progress| progress.silent > 0),
            scans: scan_work::waiting(shared).await?,
            facilities: status.facilities,
            slots_active: status.slots_active,
        })
    };
    show(shared, caller, page.await).await
}

async fn cases(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::ListCases, &Object::Association)?;
        let mut cases = registry::cases(shared.store.pool()).await?;
        // What waits stands first, the newest of the others next.
        cases.reverse();
        cases.sort_by_key(|case| case.state != "received");
        let waiting = cases.iter().filter(|case| case.state == "received").count();
        Ok(CasesPage { frame: frame(&shared, &caller, "/cases").await?, cases, waiting })
    };
    show(&shared, &caller, page.await).await
}

async fn case(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::ListCases, &Object::Association)?;
        let case = registry::case(shared.store.pool(), &id).await?;
        let found = case_rows::find(&mut *shared.store.pool().acquire().await?, &id).await?;
        // The address of the form, until there is an admin who may have another one since.
        let admin_address = match &found.facility {
            Some(facility) => desk::admin_address(&shared, facility).await?,
            None => found.application.admin_address.clone(),
        };
        let (mut would, mut notice) = (None, None);
        if case.row.state == "received" {
            match accepted(&shared, &caller, CaseChoice::One(id.clone()), true).await {
                Ok(report) => would = report.accepted.into_iter().next(),
                Err(fault) => notice = Some(crate::page::notice(fault).1),
            }
        }
        Ok(CasePage {
            frame: frame(&shared, &caller, "/cases").await?,
            delivery: case.delivery,
            delivery_at: format!("/cases/{}", case.row.case),
            posted: post_rows::of_facility(
                &mut *shared.store.pool().acquire().await?,
                found.facility.as_deref().unwrap_or_default(),
            )
            .await?,
            case,
            admin_name: found.application.admin_name.clone(),
            admin_address,
            would,
            notice,
        })
    };
    show(&shared, &caller, page.await).await
}

async fn accept(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let done = async {
        permit(&caller, Action::AcceptCase, &Object::Association)?;
        let case = registry::case(shared.store.pool(), &id).await?;
        // The button pressed twice: the page shows what the first press did.
        if case.row.state == "received" {
            accepted(&shared, &caller, CaseChoice::One(id.clone()), false).await?;
        }
        Ok::<_, Fault>(case.row.case)
    };
    match done.await {
        Ok(case) => see_other(&format!("/cases/{case}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn confirm_all(State(shared): Room, caller: Caller) -> Response {
    let page = async {
        permit(&caller, Action::AcceptCase, &Object::Association)?;
        let would = accepted(&shared, &caller, CaseChoice::AllComplete, true).await?.accepted;
        Ok(AcceptAllPage { frame: frame(&shared, &caller, "/cases").await?, would })
    };
    show(&shared, &caller, page.await).await
}

async fn accept_all(State(shared): Room, caller: Caller) -> Response {
    let done = async {
        permit(&caller, Action::AcceptCase, &Object::Association)?;
        accepted(&shared, &caller, CaseChoice::AllComplete, false).await
    };
    match done.await {
        Ok(_) => see_other("/cases"),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// The same acceptance as the operator's, in the caller's name.
async fn accepted(
    shared: &Arc<Shared>,
    caller: &Caller,
    choice: CaseChoice,
    dry_run: bool,
) -> Result<AcceptReport, Fault> {
    let Shared { store, config, hasher, .. } = &**shared;
    let operator = operator(caller)?;
    let outcome =
        acceptance::accept(store, config, hasher, world::now_ms(), &operator, &choice, dry_run).await;
    // Rung also after a failure: cases before the failing one are accepted and their letters wait.
    if !dry_run {
        shared.bells.outbox.notify_one();
        shared.bells.seats.notify_one();
    }
    let (report, version) = outcome?;
    if let Some(version) = version {
        shared.grants_changed(version);
    }
    Ok(report)
}

async fn facilities(State(shared): Room, caller: Caller, Query(filter): Query<ListFilter>) -> Response {
    let page = async {
        permit(&caller, Action::ListFacilities, &Object::Association)?;
        let query = find::Query::new(&filter.q);
        let fits = |row: &FacilityRow| {
            filter.takes(&row.kind, &row.state)
                && query.fits(&[&row.name, &row.code, &row.admin_address]).is_some()
        };
        let (facilities, shown) = filter.screen(registry::facilities(shared.store.pool(), None).await?, fits);
        let (frame, kinds) = (frame(&shared, &caller, "/facilities").await?, FacilityKind::APPLICANTS);
        Ok(FacilitiesPage { frame, facilities, kinds, shown, filter })
    };
    show(&shared, &caller, page.await).await
}

async fn facility_page(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::ListFacilities, &Object::Association)?;
        let id = facility(&id)?;
        let facility = registry::facilities(shared.store.pool(), Some(&id)).await?.pop();
        let facility = facility.ok_or_else(|| PeopleMessage::FacilityUnknown.about(id.as_str()))?;
        Ok(FacilityPage {
            frame: frame(&shared, &caller, "/facilities").await?,
            slots: registry::slots(shared.store.pool(), None, Some(&id)).await?,
            devices: desk::devices(&shared, Some(&id), "").await?,
            family: facility.kind == FacilityKind::Family.as_str(),
            delivery: channel_work::of_facility(&mut *shared.store.pool().acquire().await?, id.as_str())
                .await?,
            delivery_at: format!("/facilities/{id}"),
            facility,
        })
    };
    show(&shared, &caller, page.await).await
}

async fn slots(State(shared): Room, caller: Caller, Query(filter): Query<ListFilter>) -> Response {
    let page = async {
        permit(&caller, Action::ListSlots, &Object::Association)?;
        let query = find::Query::new(&filter.q);
        let fits = |row: &SlotRow| {
            let name = row.facility_name.as_deref().unwrap_or_default();
            filter.takes("", &row.state) && query.fits(&[&row.slot.to_string(), name]).is_some()
        };
        let (slots, shown) = filter.screen(registry::slots(shared.store.pool(), None, None).await?, fits);
        let (frame, states) = (frame(&shared, &caller, "/slots").await?, SlotState::ALL);
        Ok(SlotsPage { frame, slots, states, shown, filter })
    };
    show(&shared, &caller, page.await).await
}

async fn slot(State(shared): Room, caller: Caller, Path(number): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::ListSlots, &Object::Association)?;
        let number: SlotNumber = number
            .parse()
            .map_err(|_| PeopleMessage::DeviceUnknown.about(number.chars().take(12).collect::<String>()))?;
        Ok(SlotPage {
            frame: frame(&shared, &caller, "/slots").await?,
            slot: SlotDetail {
                enrolment: renewal::shown(&shared, number).await?,
                ..registry::slot(shared.store.pool(), number).await?
            },
            devices: desk::devices(&shared, None, &number.to_string()).await?,
        })
    };
    show(&shared, &caller, page.await).await
}
