//! HTTP as the gateway forwards it: the API in JSON, the pages in HTML, the live stream in SSE.
//! Nobody is believed but the gateway's identity header; without it there is no answer at all.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::{FormRejection, JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, FromRequestParts, Path, Query, State};
use axum::middleware::map_response;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use pki::identity::{IDENTITY_HEADER, PatientId, Role, TRACE_HEADER, TraceId};

use crate::desk::Desk;
use crate::messages::Message;
use crate::post::{NewPost, Once, PostId, PostText};
use crate::team::Caller;
use crate::wire::{self, FollowQuery, PageQuery, PostForm, PostRequest, Problem};
use crate::{care, page, world};

/// Four thousand characters of four bytes, escaped in a form, and room to spare.
const BODY_MAX: usize = 64 * 1024;
/// Shorter than any proxy's or phone's patience.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Our one script, nothing from elsewhere, no frame.
const CSP: &str = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; form-action 'self'; \
                   base-uri 'none'; frame-ancestors 'none'";

type Room = State<Arc<Desk>>;

pub fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/", get(teams_page))
        .route("/team.js", get(team_script))
        .route("/teams/{patient}", get(team_page))
        .route("/teams/{patient}/posts", post(post_form))
        .route("/teams/{patient}/posts/{post}/ack", post(ack_form))
        .route("/api/teams", get(teams))
        .route("/api/teams/{patient}/posts", get(posts).post(create_post))
        .route("/api/teams/{patient}/events", get(events))
        .route("/api/posts/{post}/ack", post(acknowledge))
        .fallback(no_such_page)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_MAX))
        .layer(map_response(harden))
        .with_state(desk)
}

async fn teams(State(desk): Room, caller: Caller) -> Result<Response, Refused> {
    let teams = care::teams(&desk, &caller).await.map_err(json(&caller))?;
    Ok(Json(wire::teams(teams)).into_response())
}

async fn posts(
    State(desk): Room,
    caller: Caller,
    Path(patient): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let say = json(&caller);
    let Query(query) = query.map_err(|_| say(Message::BadPosition))?;
    let timeline =
        care::read(&desk, &caller, &patient_of(&caller, &patient).map_err(&say)?, query.before, query.limit)
            .await;
    Ok(Json(wire::timeline(timeline.map_err(&say)?)).into_response())
}

async fn create_post(
    State(desk): Room,
    caller: Caller,
    Path(patient): Path<String>,
    headers: HeaderMap,
    body: Result<Json<PostRequest>, JsonRejection>,
) -> Result<Response, Refused> {
    let say = json(&caller);
    let Json(body) = body.map_err(|rejection| say(unreadable(rejection.status())))?;
    let once = one_header(&headers, &IDEMPOTENCY_KEY).map_err(|()| say(Message::OnceBroken))?;
    let once = once.map(str::parse::<Once>).transpose().map_err(&say)?;
    let patient = patient_of(&caller, &patient).map_err(&say)?;
    let new = NewPost {
        text: PostText::new(body.text).map_err(&say)?,
        urgent: body.urgent,
        with_family: body.family,
    };
    let posted = care::post(&desk, &caller, &patient, new, once).await.map_err(&say)?;
    Ok((StatusCode::CREATED, Json(wire::posted(posted))).into_response())
}

async fn acknowledge(
    State(desk): Room,
    caller: Caller,
    Path(post): Path<String>,
) -> Result<Response, Refused> {
    let say = json(&caller);
    let stands =
        care::acknowledge(&desk, &caller, &post_of(&caller, &post).map_err(&say)?).await.map_err(&say)?;
    Ok(Json(wire::ack_stands(stands)).into_response())
}

async fn events(
    State(desk): Room,
    caller: Caller,
    Path(patient): Path<String>,
    headers: HeaderMap,
    query: Result<Query<FollowQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let say = json(&caller);
    let Query(query) = query.map_err(|_| say(Message::BadPosition))?;
    let last = one_header(&headers, &LAST_EVENT_ID).map_err(|()| say(Message::BadPosition))?;
    let last = last.map(str::parse::<i64>).transpose().map_err(|_| say(Message::BadPosition))?;
    let patient = patient_of(&caller, &patient).map_err(&say)?;
    // A browser that reconnects sends the header and the first query too: the header is newer.
    let following = care::follow(&desk, &caller, &patient, last.or(query.after)).await.map_err(&say)?;
    let frames = following.filter_map(|event| async {
        let number = event.number();
        let (name, data) = wire::event(event);
        let frame = sse::Event::default().event(name).id(number.to_string()).json_data(data);
        frame.ok().map(Ok::<_, Infallible>)
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE).text("keep-alive");
    Ok(Sse::new(frames).keep_alive(keep_alive).into_response())
}

async fn teams_page(State(desk): Room, caller: Caller) -> Result<Response, Refused> {
    let say = html(&caller);
    let teams = care::teams(&desk, &caller).await.map_err(&say)?;
    show(page::teams(&teams), &say)
}

/// The same for everybody who is signed in.
async fn team_script(_: Caller) -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], page::TEAM_SCRIPT).into_response()
}

async fn team_page(
    State(desk): Room,
    caller: Caller,
    Path(patient): Path<String>,
    query: Result<Query<PageQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let say = html(&caller);
    let Query(query) = query.map_err(|_| say(Message::BadPosition))?;
    let patient = patient_of(&caller, &patient).map_err(&say)?;
    let older = query.before.is_some();
    let timeline = care::read(&desk, &caller, &patient, query.before, query.limit).await.map_err(&say)?;
    let once = PostId::from_random(world::random().map_err(|_| say(Message::Unavailable))?);
    show(page::team(&timeline, older, caller.identity.role == Role::Staff, once.as_str()), &say)
}

async fn post_form(
    State(desk): Room,
    caller: Caller,
    Path(patient): Path<String>,
    body: Result<Form<PostForm>, FormRejection>,
) -> Result<Response, Refused> {
    let say = html(&caller);
    let Form(body) = body.map_err(|rejection| say(unreadable(rejection.status())))?;
    let patient = patient_of(&caller, &patient).map_err(&say)?;
    let once = body.once.as_deref().map(str::parse::<Once>).transpose().map_err(&say)?;
    let new = NewPost {
        text: PostText::new(body.text).map_err(&say)?,
        urgent: body.urgent.is_some(),
        with_family: body.family.is_some(),
    };
    care::post(&desk, &caller, &patient, new, once).await.map_err(&say)?;
    Ok(Redirect::to(&format!("/teams/{patient}")).into_response())
}

async fn ack_form(
    State(desk): Room,
    caller: Caller,
    Path((patient, post)): Path<(String, String)>,
) -> Result<Response, Refused> {
    let say = html(&caller);
    let patient = patient_of(&caller, &patient).map_err(&say)?;
    let post = post_of(&caller, &post).map_err(&say)?;
    care::acknowledge(&desk, &caller, &post).await.map_err(&say)?;
    Ok(Redirect::to(&format!("/teams/{patient}#{post}")).into_response())
}

async fn no_such_page(caller: Caller, headers: HeaderMap) -> Refused {
    as_asked(&caller, &headers, Message::NoSuchPage)
}

async fn wrong_method(caller: Caller, headers: HeaderMap) -> Refused {
    as_asked(&caller, &headers, Message::WrongMethod)
}

/// Where no handler says who asks: a browser says that it wants a page.
fn as_asked(caller: &Caller, headers: &HeaderMap, message: Message) -> Refused {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let html = accept.contains("text/html");
    Refused { message, trace: caller.trace.to_string(), html }
}

/// Whoever comes without a whole identity is not the gateway.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        let trace = one_header(&parts.headers, &HeaderName::from_static(TRACE_HEADER))
            .ok()
            .flatten()
            .and_then(|text| text.parse::<TraceId>().ok());
        let identity = one_header(&parts.headers, &HeaderName::from_static(IDENTITY_HEADER))
            .ok()
            .flatten()
            .and_then(|text| text.parse().ok());
        match (identity, trace) {
            (Some(identity), Some(trace)) => Ok(Caller { identity, trace }),
            _ => {
                log::warn!(CODE = Message::NoIdentity.code(); "a request without the gateway's identity was refused");
                Err(Refused { message: Message::NoIdentity, trace: String::new(), html: false })
            }
        }
    }
}

/// A refusal on its way out: JSON for programs, a page for people.
pub struct Refused {
    message: Message,
    trace: String,
    html: bool,
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = status(self.message);
        if self.html
            && let Ok(page) = page::refusal(self.message, &self.trace)
        {
            return (status, Html(page)).into_response();
        }
        (status, Json(Problem::new(self.message, self.trace))).into_response()
    }
}

fn json(caller: &Caller) -> impl Fn(Message) -> Refused + use<> {
    let trace = caller.trace.to_string();
    move |message| Refused { message, trace: trace.clone(), html: false }
}

fn html(caller: &Caller) -> impl Fn(Message) -> Refused + use<> {
    let trace = caller.trace.to_string();
    move |message| Refused { message, trace: trace.clone(), html: true }
}

fn status(message: Message) -> StatusCode {
    match message {
        Message::NoSuchTeam | Message::NoSuchPost | Message::NoSuchPage => StatusCode::NOT_FOUND,
        Message::NotLinked | Message::OnceReused | Message::ReadOnly => StatusCode::CONFLICT,
        Message::Erased => StatusCode::GONE,
        Message::Invalid | Message::TextEmpty | Message::TextTooLong => StatusCode::UNPROCESSABLE_ENTITY,
        Message::Unavailable | Message::Stopping => StatusCode::SERVICE_UNAVAILABLE,
        Message::WrongRole => StatusCode::FORBIDDEN,
        Message::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Message::BodyUnreadable | Message::OnceBroken | Message::NoIdentity | Message::BadPosition => {
            StatusCode::BAD_REQUEST
        }
        Message::TooManyStreams => StatusCode::TOO_MANY_REQUESTS,
        Message::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
    }
}

/// What is no id is a patient that does not exist. The role is looked at first, as everywhere.
fn patient_of(caller: &Caller, text: &str) -> Result<PatientId, Message> {
    role_first(caller)?;
    text.parse().map_err(|_| Message::NoSuchTeam)
}

fn post_of(caller: &Caller, text: &str) -> Result<PostId, Message> {
    role_first(caller)?;
    text.parse()
}

fn role_first(caller: &Caller) -> Result<(), Message> {
    let refusal = crate::team::decide_role(caller.identity.role).and_then(|decision| decision.refusal);
    refusal.map_or(Ok(()), Err)
}

fn unreadable(status: StatusCode) -> Message {
    if status == StatusCode::PAYLOAD_TOO_LARGE { Message::BodyTooLarge } else { Message::BodyUnreadable }
}

/// A header that comes twice, or not as text, is broken.
fn one_header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| ()),
        (Some(_), Some(_)) => Err(()),
    }
}

fn show(page: Result<String, askama::Error>, say: &impl Fn(Message) -> Refused) -> Result<Response, Refused> {
    page.map(|page| Html(page).into_response()).map_err(|_| say(Message::Unavailable))
}

async fn harden(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(CSP));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}
