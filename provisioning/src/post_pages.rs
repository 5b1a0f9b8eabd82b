//! 発送 on the secretariat's screen: what waits, a run with its letters and labels, and what came back.
//! Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use crate::console::permit;
use crate::dates;
use crate::decide::{Action, Object};
use crate::door_post::{
    ItemLine, Lane, PostAnswer, PostQuestion, Remedy, ReturnReason, RunDetail, RunLine, WaitingLine,
};
use crate::fault::Fault;
use crate::label::GRIDS;
use crate::messages::{Message, shown};
use crate::messages_people::PeopleMessage;
use crate::page::{frame, notice, operator, refuse, show};
use crate::post_office::{self, Told};
use crate::problem::{Caller, download, html_as, read_form, see_other};
use crate::shared::Shared;
use crate::views::{self, Frame, Notice};
use crate::{post_rows, world};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/post", get(list))
        .route("/post/runs", post(take))
        .route("/post/runs/{run}", get(run))
        .route("/post/runs/{run}/print", post(print))
        .route("/post/runs/{run}/labels", get(labels))
        .route("/post/runs/{run}/sent", post(sent))
        .route("/post/runs/{run}/undo", post(undo))
        .route("/post/back", get(back))
        .route("/post/items/{item}", get(item))
        .route("/post/items/{item}/returned", post(returned))
        .route("/post/items/{item}/settle", post(settle))
}

/// Rows of one screen.
const SHOWN: usize = 100;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Filter {
    lane: String,
    q: String,
}

/// What one press of a button takes.
struct Offer {
    lane: Lane,
    by_hand: bool,
    /// What may leave today.
    due: usize,
    /// What waits for another day or another envelope.
    later: usize,
}

#[derive(Template)]
#[template(path = "post.html")]
struct PostPage {
    frame: Frame,
    offers: Vec<Offer>,
    lines: Vec<WaitingLine>,
    found: usize,
    lane: String,
    runs: Vec<RunLine>,
    back: usize,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "post_run.html")]
struct RunPage {
    frame: Frame,
    detail: RunDetail,
    today: String,
    notice: Option<Notice>,
}

#[derive(Template)]
#[template(path = "post_back.html")]
struct BackPage {
    frame: Frame,
    back: Vec<ItemLine>,
    q: String,
    found: Vec<ItemLine>,
}

#[derive(Template)]
#[template(path = "post_item.html")]
struct ItemPage {
    frame: Frame,
    item: ItemLine,
    today: String,
    typed: ReturnForm,
    notice: Option<Notice>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct TakeForm {
    lane: String,
    by_hand: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SentForm {
    on: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct LabelForm {
    grid: String,
    start: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ReturnForm {
    reason: String,
    on: String,
    opened: String,
    note: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct SettleForm {
    remedy: String,
}

impl ItemPage {
    /// An envelope that was open, with something secret in it.
    fn exposed(&self) -> bool {
        self.item.opened && self.secret()
    }

    fn secret(&self) -> bool {
        matches!(self.item.lane, Lane::Connection | Lane::Sheet)
    }
}

async fn ask(shared: &Arc<Shared>, caller: &Caller, question: PostQuestion) -> Result<Told, Fault> {
    post_office::answer(shared, &operator(caller)?, question).await
}

async fn list(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::SeePost, &Object::Association)?;
        list_page(&shared, &caller, filter.lane, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn list_page(
    shared: &Arc<Shared>,
    caller: &Caller,
    lane: String,
    notice: Option<Notice>,
) -> Result<PostPage, Fault> {
    let mut conn = shared.store.pool().acquire().await?;
    let all = post_rows::waiting(&mut conn, dates::day(world::now_ms())).await?;
    let mut offers = Vec::new();
    for (kind, by_hand) in Lane::ALL.into_iter().flat_map(|lane| [(lane, false), (lane, true)]) {
        let of = || all.iter().filter(|one| one.line.lane == kind && one.line.by_hand == by_hand);
        let due = of().filter(|one| one.due()).count();
        let later = of().count() - due;
        if due + later > 0 {
            offers.push(Offer { lane: kind, by_hand, due, later });
        }
    }
    let wanted = Lane::parse(&lane);
    let mut lines: Vec<WaitingLine> = all.into_iter().map(|one| one.line).collect();
    lines.retain(|line| wanted.is_none_or(|lane| line.lane == lane));
    let found = lines.len();
    lines.truncate(SHOWN);
    let mut runs = post_rows::runs(&mut conn, "", false).await?;
    // What is open needs somebody.
    runs.sort_by_key(|run| run.state != "open");
    runs.truncate(SHOWN);
    let back = post_rows::back(&mut conn).await?.len();
    drop(conn);
    Ok(PostPage {
        frame: frame(shared, caller, "/post").await?,
        offers,
        lines,
        found,
        lane,
        runs,
        back,
        notice,
    })
}

async fn take(State(shared): Room, caller: Caller, form: Result<Form<TakeForm>, FormRejection>) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        let form = read_form(form)?;
        let known = || Lane::ALL.map(Lane::as_str).join("、");
        let lane = Lane::parse(&form.lane)
            .ok_or_else(|| Fault::from(Message::WordUnknown { given: shown(&form.lane), known: known() }))?;
        let by_hand = form.by_hand == "yes";
        match ask(&shared, &caller, PostQuestion::Take { lane, by_hand, dry_run: false }).await? {
            Told::Answer(PostAnswer::Run(detail)) => Ok(detail),
            _ => Err(odd()),
        }
    };
    match done.await {
        Ok(detail) if detail.left_out.is_empty() => see_other(&format!("/post/runs/{}", detail.run.run)),
        // Shown once, beside the run that was made.
        Ok(detail) => show(&shared, &caller, run_page(&shared, &caller, detail, None).await).await,
        Err(fault) if caller.page && permit(&caller, Action::SendPost, &Object::Association).is_ok() => {
            let (status, notice) = notice(fault);
            match list_page(&shared, &caller, String::new(), Some(notice)).await {
                Ok(page) => html_as(status, page.render(), caller.trace),
                Err(fault) => refuse(&shared, &caller, fault).await,
            }
        }
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

fn odd() -> Fault {
    Message::Internal { what: "post".to_owned() }.into()
}

async fn run(State(shared): Room, caller: Caller, Path(run): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeePost, &Object::Association)?;
        detail_page(&shared, &caller, run, None).await
    };
    show(&shared, &caller, page.await).await
}

async fn detail_page(
    shared: &Arc<Shared>,
    caller: &Caller,
    run: String,
    notice: Option<Notice>,
) -> Result<RunPage, Fault> {
    match ask(shared, caller, PostQuestion::Run { run }).await? {
        Told::Answer(PostAnswer::Run(detail)) => run_page(shared, caller, detail, notice).await,
        _ => Err(odd()),
    }
}

async fn run_page(
    shared: &Arc<Shared>,
    caller: &Caller,
    detail: RunDetail,
    notice: Option<Notice>,
) -> Result<RunPage, Fault> {
    let today = dates::day(world::now_ms()).to_string();
    Ok(RunPage { frame: frame(shared, caller, "/post").await?, detail, today, notice })
}

/// A file, or the run's page with what is wrong.
async fn handed(
    shared: &Arc<Shared>,
    caller: &Caller,
    action: Action,
    run: String,
    question: PostQuestion,
) -> Response {
    let file = async {
        permit(caller, action, &Object::Association)?;
        ask(shared, caller, question).await
    };
    match file.await {
        Ok(Told::File { name, bytes }) => download(&name, "application/pdf", bytes),
        Ok(_) => refuse(shared, caller, odd()).await,
        Err(fault) => amiss(shared, caller, run, fault).await,
    }
}

/// A refusal above the run that it is about.
async fn amiss(shared: &Arc<Shared>, caller: &Caller, run: String, fault: Fault) -> Response {
    if !caller.page || permit(caller, Action::SeePost, &Object::Association).is_err() {
        return refuse(shared, caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match detail_page(shared, caller, run, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn print(State(shared): Room, caller: Caller, Path(run): Path<String>) -> Response {
    let question = PostQuestion::Print { run: run.clone() };
    handed(&shared, &caller, Action::SendPost, run, question).await
}

async fn labels(
    State(shared): Room,
    caller: Caller,
    Path(run): Path<String>,
    Query(form): Query<LabelForm>,
) -> Response {
    let start = form.start.trim().parse().unwrap_or(0);
    let question = PostQuestion::Labels { run: run.clone(), grid: form.grid, start };
    handed(&shared, &caller, Action::SeePost, run, question).await
}

async fn sent(
    State(shared): Room,
    caller: Caller,
    Path(run): Path<String>,
    form: Result<Form<SentForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        let on = Some(read_form(form)?.on);
        ask(&shared, &caller, PostQuestion::Sent { run: run.clone(), on, dry_run: false }).await
    };
    match done.await {
        Ok(_) => see_other(&format!("/post/runs/{run}")),
        Err(fault) => amiss(&shared, &caller, run, fault).await,
    }
}

async fn undo(State(shared): Room, caller: Caller, Path(run): Path<String>) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        ask(&shared, &caller, PostQuestion::Undo { run: run.clone(), dry_run: false }).await
    };
    match done.await {
        Ok(_) => see_other("/post"),
        Err(fault) => amiss(&shared, &caller, run, fault).await,
    }
}

async fn back(State(shared): Room, caller: Caller, Query(filter): Query<Filter>) -> Response {
    let page = async {
        permit(&caller, Action::SeePost, &Object::Association)?;
        let mut conn = shared.store.pool().acquire().await?;
        let (back, mut found) =
            (post_rows::back(&mut conn).await?, post_rows::find(&mut conn, &filter.q).await?);
        drop(conn);
        found.truncate(SHOWN);
        Ok(BackPage { frame: frame(&shared, &caller, "/post").await?, back, q: filter.q, found })
    };
    show(&shared, &caller, page.await).await
}

async fn item(State(shared): Room, caller: Caller, Path(item): Path<String>) -> Response {
    let page = async {
        permit(&caller, Action::SeePost, &Object::Association)?;
        item_page(&shared, &caller, &item, ReturnForm::default(), None).await
    };
    show(&shared, &caller, page.await).await
}

async fn item_page(
    shared: &Shared,
    caller: &Caller,
    item: &str,
    typed: ReturnForm,
    notice: Option<Notice>,
) -> Result<ItemPage, Fault> {
    let item = post_rows::item(&mut *shared.store.pool().acquire().await?, item).await?;
    let today = dates::day(world::now_ms()).to_string();
    Ok(ItemPage { frame: frame(shared, caller, "/post").await?, item, today, typed, notice })
}

async fn returned(
    State(shared): Room,
    caller: Caller,
    Path(item): Path<String>,
    form: Result<Form<ReturnForm>, FormRejection>,
) -> Response {
    if let Err(fault) = permit(&caller, Action::SendPost, &Object::Association) {
        return refuse(&shared, &caller, fault).await;
    }
    let form = match read_form(form) {
        Ok(form) => form,
        Err(fault) => return refuse(&shared, &caller, fault).await,
    };
    let done = async {
        let known = || ReturnReason::ALL.map(ReturnReason::as_str).join("、");
        let reason = ReturnReason::parse(&form.reason).ok_or_else(|| {
            Fault::from(Message::WordUnknown { given: shown(&form.reason), known: known() })
        })?;
        let question = PostQuestion::Returned {
            item: item.clone(),
            reason,
            on: Some(form.on.clone()),
            opened: form.opened == "yes",
            note: Some(form.note.clone()),
            dry_run: false,
        };
        ask(&shared, &caller, question).await
    };
    match done.await {
        Ok(_) => see_other(&format!("/post/items/{item}")),
        Err(fault) => item_amiss(&shared, &caller, &item, form, fault).await,
    }
}

async fn item_amiss(
    shared: &Shared,
    caller: &Caller,
    item: &str,
    typed: ReturnForm,
    fault: Fault,
) -> Response {
    if !caller.page {
        return refuse(shared, caller, fault).await;
    }
    let (status, notice) = notice(fault);
    match item_page(shared, caller, item, typed, Some(notice)).await {
        Ok(page) => html_as(status, page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn settle(
    State(shared): Room,
    caller: Caller,
    Path(item): Path<String>,
    form: Result<Form<SettleForm>, FormRejection>,
) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        permit(&caller, Action::RenewBundle, &Object::Association)?;
        let remedy = Remedy::parse(&read_form(form)?.remedy).ok_or(PeopleMessage::NotFound)?;
        ask(&shared, &caller, PostQuestion::Settle { item: item.clone(), remedy, dry_run: false }).await
    };
    let may = permit(&caller, Action::SendPost, &Object::Association).is_ok();
    match done.await {
        Ok(_) => see_other("/post/back"),
        Err(fault) if may => item_amiss(&shared, &caller, &item, ReturnForm::default(), fault).await,
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}
