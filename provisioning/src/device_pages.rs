//! 利用停止 on both consoles: the page that says what will happen, the act, and its receipt (ruling 7).
//! Edge, border: HTTP, forms.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use axum::routing::get;
use pki::identity::Role;
use serde::Deserialize;
use vpn::slot::SlotNumber;

use crate::console::{held_slot, permit, realm_of};
use crate::decide::{Action, Object};
use crate::desk;
use crate::door::{Receipt, RevokeReason};
use crate::fault::Fault;
use crate::messages_people::PeopleMessage;
use crate::page::{frame, refuse, show};
use crate::problem::{Caller, read_form, see_other};
use crate::revocation::{self, Order};
use crate::shared::Shared;
use crate::views::{self, Frame};

type Room = State<Arc<Shared>>;

pub fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/devices/{slot}/lost", get(confirm_lost).post(report_lost))
        .route("/slots/{slot}/revoke", get(confirm_revoke).post(revoke))
        .route("/receipts/{receipt}", get(receipt))
}

#[derive(Template)]
#[template(path = "revoke.html")]
struct RevokePage {
    frame: Frame,
    slot: SlotNumber,
    label: String,
    facility_name: String,
    /// What the rehearsal of the revocation says.
    would: Receipt,
    /// Every reason for the secretariat; the admin's button says 紛失.
    reasons: Vec<&'static str>,
    action: String,
    back: String,
}

#[derive(Template)]
#[template(path = "receipt.html")]
struct ReceiptPage {
    frame: Frame,
    receipt: Receipt,
}

#[derive(Deserialize)]
struct RevokeForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    note: String,
}

async fn confirm_lost(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let page = async {
        let number = held_slot(&shared, &caller, Action::ReportLost, &slot).await?;
        let (action, back) = (format!("/devices/{number}/lost"), "/".to_owned());
        confirm(&shared, &caller, number, vec![], action, back).await
    };
    show(&shared, &caller, page.await).await
}

async fn confirm_revoke(State(shared): Room, caller: Caller, Path(slot): Path<String>) -> Response {
    let page = async {
        let number = held_slot(&shared, &caller, Action::RevokeDevice, &slot).await?;
        let reasons = RevokeReason::ALL.map(RevokeReason::as_str).to_vec();
        let (action, back) = (format!("/slots/{number}/revoke"), format!("/slots/{number}"));
        confirm(&shared, &caller, number, reasons, action, back).await
    };
    show(&shared, &caller, page.await).await
}

async fn confirm(
    shared: &Shared,
    caller: &Caller,
    slot: SlotNumber,
    reasons: Vec<&'static str>,
    action: String,
    back: String,
) -> Result<RevokePage, Fault> {
    let here = if caller.identity.role == Role::Secretariat { "/slots" } else { "/" };
    let order = order(caller, slot, RevokeReason::Lost, String::new());
    let would = revocation::rehearse(shared, order).await?;
    let device = desk::devices(shared, None, &slot.to_string()).await?.into_iter().next();
    Ok(RevokePage {
        frame: frame(shared, caller, here).await?,
        slot,
        label: device.map(|device| device.label).unwrap_or_default(),
        facility_name: desk::facility_of_slot(shared, slot).await?,
        would,
        reasons,
        action,
        back,
    })
}

async fn report_lost(
    State(shared): Room,
    caller: Caller,
    Path(slot): Path<String>,
    form: Result<Form<RevokeForm>, FormRejection>,
) -> Response {
    let done = async {
        let number = held_slot(&shared, &caller, Action::ReportLost, &slot).await?;
        let form = read_form(form)?;
        revocation::revoke(&shared, order(&caller, number, RevokeReason::Lost, form.note)).await
    };
    to_receipt(&shared, &caller, done.await).await
}

async fn revoke(
    State(shared): Room,
    caller: Caller,
    Path(slot): Path<String>,
    form: Result<Form<RevokeForm>, FormRejection>,
) -> Response {
    let done = async {
        let number = held_slot(&shared, &caller, Action::RevokeDevice, &slot).await?;
        let form = read_form(form)?;
        let reason = RevokeReason::ALL.into_iter().find(|reason| reason.as_str() == form.reason);
        let reason = reason.ok_or_else(|| PeopleMessage::FieldMissing.about("理由"))?;
        revocation::revoke(&shared, order(&caller, number, reason, form.note)).await
    };
    to_receipt(&shared, &caller, done.await).await
}

async fn to_receipt(shared: &Shared, caller: &Caller, done: Result<Receipt, Fault>) -> Response {
    match done {
        Ok(receipt) => see_other(&format!("/receipts/{}", receipt.receipt)),
        Err(fault) => refuse(shared, caller, fault).await,
    }
}

async fn receipt(State(shared): Room, caller: Caller, Path(id): Path<String>) -> Response {
    let page = async {
        let unknown =
            || Fault::from(PeopleMessage::ReceiptUnknown.about(id.chars().take(40).collect::<String>()));
        let (object, _) = realm_of(&caller);
        permit(&caller, Action::SeeReceipt, &object)?;
        let facility = desk::receipt_facility(&shared, &id).await?.ok_or_else(unknown)?;
        // Another facility's receipt answers like one that nobody has.
        permit(&caller, Action::SeeReceipt, &Object::Facility(facility)).map_err(|_| unknown())?;
        let here = if caller.identity.role == Role::Secretariat { "/slots" } else { "/" };
        let frame = frame(&shared, &caller, here).await?;
        Ok(ReceiptPage { frame, receipt: revocation::show(&shared, &id).await? })
    };
    show(&shared, &caller, page.await).await
}

fn order(caller: &Caller, slot: SlotNumber, reason: RevokeReason, note: String) -> Order {
    let note = Some(note).filter(|note| !note.trim().is_empty());
    Order { slot, reason, note, by: caller.identity.person.to_string(), trace: caller.trace }
}
