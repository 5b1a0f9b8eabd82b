//! How a console's page leaves: its frame, and a refusal as a page where a page was asked for. Edge: HTTP, SQL.

use askama::Template;
use axum::response::{IntoResponse, Response};
use data_encoding::BASE32_NOPAD;
use http::StatusCode;
use pki::identity::{Role, TraceId};

use crate::door::Operator;
use crate::fault::{Fault, Told};
use crate::problem::{Caller, Problem, html, html_as};
use crate::shared::Shared;
use crate::views::{Frame, Notice};
use crate::{desk, world};

#[derive(Template)]
#[template(path = "console_problem.html")]
struct ProblemPage {
    frame: Frame,
    notice: Option<Notice>,
    trace: String,
}

pub async fn frame(shared: &Shared, caller: &Caller, here: &'static str) -> Result<Frame, Fault> {
    let role = caller.identity.role;
    let place = match role {
        Role::Secretariat => "SNS事務局".to_owned(),
        Role::FacilityAdmin | Role::Staff | Role::Family => {
            desk::facility_name(shared, &caller.identity.facility).await?
        }
    };
    Ok(Frame { realm: shared.config.realm_name.clone(), place, role, here })
}

/// The page, or the refusal.
pub async fn show<T: Template>(shared: &Shared, caller: &Caller, page: Result<T, Fault>) -> Response {
    match page {
        Ok(page) => html(page.render(), caller.trace),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

/// A refusal in the shape that was asked for.
pub async fn refuse(shared: &Shared, caller: &Caller, fault: Fault) -> Response {
    if !caller.page {
        return Problem::new(fault, caller.trace).into_response();
    }
    let (status, notice) = notice(fault);
    match frame(shared, caller, "").await {
        Ok(frame) => {
            let trace = caller.trace.map(|trace| trace.to_string()).unwrap_or_default();
            html_as(status, ProblemPage { frame, notice: Some(notice), trace }.render(), caller.trace)
        }
        Err(fault) => Problem::new(fault, caller.trace).into_response(),
    }
}

/// A fault as the bar above a form.
pub fn notice(fault: Fault) -> (StatusCode, Notice) {
    let Told { status, trouble, .. } = fault.told();
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), trouble.into())
}

/// Names one showing of a form: its button pressed twice is one request.
pub fn fresh() -> Result<String, Fault> {
    Ok(BASE32_NOPAD.encode(world::random::<10>()?.as_slice()).to_ascii_lowercase())
}

/// The caller as the operator of an act that the CLI has too.
pub fn operator(caller: &Caller) -> Result<Operator, Fault> {
    let trace = match caller.trace {
        Some(trace) => trace,
        None => TraceId::from_random(*world::random()?),
    };
    Ok(Operator { name: caller.identity.person.to_string(), trace })
}
