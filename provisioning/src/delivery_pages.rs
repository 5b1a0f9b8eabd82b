//! 届け方 on a case and on a facility: chosen while nothing has gone out (D-00). Edge, border: HTTP, forms.

use std::sync::Arc;

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;

use crate::console::{facility, permit};
use crate::decide::{Action, Object};
use crate::door_post::{Channel, PostQuestion};
use crate::fault::Fault;
use crate::messages::{Message, shown};
use crate::page::{operator, refuse};
use crate::post_office;
use crate::problem::{Caller, read_form, see_other};
use crate::shared::Shared;

type Room = State<Arc<Shared>>;
type Chosen = Result<Form<ChoiceForm>, FormRejection>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/cases/{case}/delivery", post(of_case))
        .route("/facilities/{facility}/delivery", post(of_facility))
}

#[derive(Deserialize)]
struct ChoiceForm {
    #[serde(default)]
    delivery: String,
}

async fn of_case(State(shared): Room, caller: Caller, Path(case): Path<String>, form: Chosen) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        let delivery = known(&read_form(form)?.delivery)?;
        let question = PostQuestion::CaseDelivery { case: case.clone(), delivery, dry_run: false };
        post_office::answer(&shared, &operator(&caller)?, question).await
    };
    match done.await {
        Ok(_) => see_other(&format!("/cases/{case}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

async fn of_facility(State(shared): Room, caller: Caller, Path(id): Path<String>, form: Chosen) -> Response {
    let done = async {
        permit(&caller, Action::SendPost, &Object::Association)?;
        let (facility, delivery) = (facility(&id)?, known(&read_form(form)?.delivery)?);
        let question = PostQuestion::FacilityDelivery { facility, delivery, dry_run: false };
        post_office::answer(&shared, &operator(&caller)?, question).await
    };
    match done.await {
        Ok(_) => see_other(&format!("/facilities/{id}")),
        Err(fault) => refuse(&shared, &caller, fault).await,
    }
}

/// A choice of the form.
fn known(text: &str) -> Result<Channel, Fault> {
    let known = || Channel::ALL.map(Channel::as_str).join("、");
    Channel::parse(text).ok_or_else(|| Message::WordUnknown { given: shown(text), known: known() }.into())
}
