//! The office's API over HTTP: each line of the table at its place. A request is permitted first, then read, then asked at
//! the operator's door under the caller's name. Edge, border: HTTP, JSON.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{self, DefaultBodyLimit, FromRequest, RawPathParams, Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

use crate::api_shape::{Misshapen, generator, shapes, unwrapped};
use crate::api_table::{Method, OPERATIONS, Operation};
use crate::console::{self, note, permit, realm_of};
use crate::decide::{Action, Object};
use crate::door::{Operator, ProvisioningAnswer, ProvisioningQuestion};
use crate::door_fee::FeeAnswer;
use crate::door_flow::FlowQuestion;
use crate::door_paper::{MapKind, PaperKind};
use crate::fault::Fault;
use crate::flow_office::Opening;
use crate::idempotency::Repeatable;
use crate::messages_people::PeopleMessage;
use crate::problem::{Caller, Problem, download, json, read, repeatable};
use crate::shared::Shared;
use crate::{flow_office, openapi, operator, page};

/// The largest file of any verb (4 MiB) in base64, and what stands around it.
const BODY_MAX: usize = 6 * 1024 * 1024;

type Room = State<Arc<Shared>>;
type Body = Result<Bytes, BytesRejection>;
type Query = Result<extract::Query<Vec<(String, String)>>, QueryRejection>;

pub fn router() -> Router<Arc<Shared>> {
    let described = Router::new().route("/api/openapi.json", get(description));
    let place = |router: Router<Arc<Shared>>, one: &'static Operation| router.route(one.path, handler(one));
    OPERATIONS.iter().fold(described, place).layer(DefaultBodyLimit::max(BODY_MAX))
}

fn handler(operation: &'static Operation) -> MethodRouter<Arc<Shared>> {
    let run =
        move |State(shared): Room, caller: Caller, places: RawPathParams, query: Query, headers, request| {
            answered(operation, shared, caller, places, query, headers, request)
        };
    match operation.method {
        Method::Get => get(run),
        Method::Post => post(run),
    }
}

async fn answered(
    operation: &'static Operation,
    shared: Arc<Shared>,
    caller: Caller,
    places: RawPathParams,
    query: Query,
    headers: HeaderMap,
    request: Request,
) -> Response {
    let outcome = async {
        permit(&caller, operation.action, &Object::Association)?;
        let mut texts: Vec<(String, String)> =
            places.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let query = query.map_err(|_| Fault::from(PeopleMessage::BodyForm.about("query")))?;
        texts.extend(query.0);
        let body = match operation.method {
            Method::Get => None,
            // Only whoever may is read at length.
            Method::Post => body(&headers, Bytes::from_request(request, &()).await)?,
        };
        let said = format!("{texts:?} {}", body.as_ref().map(Value::to_string).unwrap_or_default());
        let question = shapes().ask(operation, &texts, body).map_err(told)?;
        let request = match operation.method {
            Method::Get => None,
            Method::Post => repeatable(&headers, &caller, operation.question, &[&said])?,
        };
        ask(&shared, page::operator(&caller)?, question, request).await
    };
    match outcome.await {
        Ok(answer) => written(operation, &caller, answer),
        Err(fault) => Problem::new(fault, caller.trace).into_response(),
    }
}

/// What may be done twice is done again; a case is opened once.
async fn ask(
    shared: &Arc<Shared>,
    operator: Operator,
    question: ProvisioningQuestion,
    request: Option<Repeatable>,
) -> Result<ProvisioningAnswer, Fault> {
    match question {
        ProvisioningQuestion::Flow(FlowQuestion::Open {
            flow,
            facility,
            patient,
            membership,
            forms,
            dry_run,
        }) if request.is_some() => {
            let opening = Opening { flow, facility, patient, membership, forms };
            let opened = flow_office::open(shared, &operator, &opening, request.as_ref(), dry_run).await?;
            Ok(ProvisioningAnswer::Flow(opened))
        }
        question => {
            note(shared, request).await?;
            Ok(operator::answer(shared, None, question, operator).await)
        }
    }
}

/// A body may be missing where nothing must stand in it.
fn body(headers: &HeaderMap, body: Body) -> Result<Option<Value>, Fault> {
    if body.as_ref().is_ok_and(Bytes::is_empty) {
        return Ok(None);
    }
    read(headers, body).map(Some)
}

fn told(wrong: Misshapen) -> Fault {
    PeopleMessage::BodyForm.about(wrong.to_string()).into()
}

fn written(operation: &Operation, caller: &Caller, answer: ProvisioningAnswer) -> Response {
    match answer {
        ProvisioningAnswer::Trouble(trouble) => Problem::said(trouble, caller.trace).into_response(),
        ProvisioningAnswer::File { name, bytes }
        | ProvisioningAnswer::Fee(FeeAnswer::File { name, bytes }) => download(&name, media(&name), bytes),
        answer => match unwrapped(&answer, operation.answer) {
            Some(value) => json(StatusCode::OK, &value),
            None => {
                log::error!(CODE = "MM-5806"; "{} is not answered by {}", operation.question, operation.answer);
                Problem::new(PeopleMessage::Internal, caller.trace).into_response()
            }
        },
    }
}

fn media(name: &str) -> &'static str {
    let extension = name.rsplit('.').next().unwrap_or_default();
    let kind = PaperKind::parse(extension).map(PaperKind::media);
    kind.or_else(|| MapKind::parse(extension).map(MapKind::media)).unwrap_or("application/octet-stream")
}

/// Whoever is signed in at the office may read what there is.
async fn description(State(shared): Room, caller: Caller) -> Response {
    match permit(&caller, Action::SeeApi, &realm_of(&caller).0) {
        Ok(_) => json(StatusCode::OK, &document(&shared.config.zone)),
        Err(fault) => Problem::new(fault, caller.trace).into_response(),
    }
}

/// The API's description (OpenAPI 3.1), for the realm of this zone.
pub fn document(zone: &str) -> Value {
    let mut writes = generator(false);
    let mut reads = generator(true);
    let own = console::operations(&mut reads, &mut writes);
    let mut named = reads.take_definitions(true);
    named.extend(writes.take_definitions(true));
    openapi::document(zone, env!("CARGO_PKG_VERSION"), &own, named)
}
