//! Requests on the mutual listener: an admitted device, and behind it a person. The order is the
//! proof: checked, same origin, registered, admitted, carried; each step needs the one before.
//! Handlers end with their request. Ruling 1.

use std::sync::Arc;

use http::header::{RETRY_AFTER, UPGRADE};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use pki::identity::TraceId;

use crate::admission::{AdmittedDevice, Passage, Purpose, admit};
use crate::answer::{self, Answer, Teller};
use crate::audit::{self, Outcome, Record};
use crate::body::Body;
use crate::browser;
use crate::hall::Hall;
use crate::headers::{self, Besides};
use crate::live::{Connection, Streamer};
use crate::messages::Message;
use crate::moment::Moment;
use crate::names::Host;
use crate::pages::{PASSKEY_SCRIPT_PATH, STYLESHEET_PATH};
use crate::proxy::{self, Errand, Upgrade};
use crate::routes::{self, Own};
use crate::session::SessionToken;
use crate::signin::{Guest, sign_in_first};
use crate::strict::{self, Checked, Scheme};
use crate::turns::Turn;

pub async fn answer(
    hall: Arc<Hall>,
    connection: Arc<Connection>,
    device: Arc<AdmittedDevice>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    let began = hall.now();
    let trace = hall.trace();
    let method = request.method().clone();
    let teller = Teller {
        realm: hall.realm_name.clone(),
        trace,
        page: browser::wants_page(request.headers()),
        safe: matches!(method, Method::GET | Method::HEAD),
    };
    let upgrading = request.headers().contains_key(UPGRADE).then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let (host, path, answer) = match strict::check(&parts, Scheme::Https, hall.names.mutual()) {
        Err(fault) => {
            log::info!(SLOT = device.slot().to_string().as_str(), TRACE_ID = trace.to_string().as_str(); "refused: {fault}");
            let (status, message) = fault.outside();
            (None, String::new(), teller.problem(status, message))
        }
        Ok(checked) => {
            let (host, path) = (checked.name, checked.path().to_owned());
            let visit = Visit { hall: &hall, connection: &connection, device: &device, upgrading, teller };
            (Some(host), path, visit.route(checked, parts, incoming).await)
        }
    };
    let route = Route { method, host, path };
    finish(&hall, device.slot(), route, trace, began, answer).await
}

struct Visit<'a> {
    hall: &'a Hall,
    connection: &'a Arc<Connection>,
    device: &'a AdmittedDevice,
    upgrading: Option<OnUpgrade>,
    teller: Teller,
}

impl Visit<'_> {
    async fn route(self, checked: Checked<Host>, parts: http::request::Parts, incoming: Incoming) -> Answer {
        if !self.hall.takes(Turn::Request, self.device.slot()) {
            let told = self.teller.problem(StatusCode::TOO_MANY_REQUESTS, Message::TooManyRequests);
            return told.with(RETRY_AFTER, "1");
        }
        // A WebSocket is as good as an unsafe request: it can send anything later.
        if checked.unsafe_method || checked.upgrade.is_some() {
            let origin = self.hall.names.origin(checked.name);
            if let Err(message) = browser::same_origin(&parts.headers, &origin) {
                return self.teller.problem(StatusCode::FORBIDDEN, message);
            }
        }
        if checked.path() == STYLESHEET_PATH && !checked.unsafe_method {
            return answer::stylesheet();
        }
        if checked.path() == PASSKEY_SCRIPT_PATH && !checked.unsafe_method {
            return answer::passkey_script();
        }
        if checked.path().starts_with("/assets/") {
            return self.teller.problem(StatusCode::NOT_FOUND, Message::NotFound);
        }
        let Some(own) = routes::own(checked.path()) else {
            return self.carry(checked, parts, incoming).await;
        };
        let guest = Guest {
            hall: self.hall,
            device: self.device,
            host: checked.name,
            method: parts.method,
            headers: &parts.headers,
            teller: self.teller,
        };
        match own {
            Own::SignIn => guest.sign_in(incoming).await,
            Own::SignOut => guest.sign_out().await,
            Own::Password => guest.password(incoming).await,
            Own::Passkeys => guest.passkeys(incoming).await,
            Own::PasskeyOffer => guest.offer_passkey(incoming).await,
            Own::PasskeyRemove => guest.remove_passkey(incoming).await,
            Own::PasskeyChallenge => guest.passkey_challenge(),
            Own::PasskeySignIn => guest.passkey_sign_in(incoming).await,
        }
    }

    async fn carry(self, checked: Checked<Host>, parts: http::request::Parts, incoming: Incoming) -> Answer {
        let token = SessionToken::from_cookies(&parts.headers);
        let Some(token) = token else { return sign_in_first(&self.teller, Message::SessionNeeded) };
        let Some(session) = self.hall.sessions.find(&token.hash(), self.hall.now()) else {
            return sign_in_first(&self.teller, Message::SessionUnknown);
        };
        // Registered first, checked then: a cut finds the entry, or this check finds the cut.
        let facility = self.hall.truth().grants.membership(&session.membership).map(|m| m.facility.clone());
        let stream = self.connection.stream(Streamer {
            session: session.id,
            person: session.person.clone(),
            membership: session.membership.clone(),
            facility,
        });
        let Ok(stream) = stream else {
            return self.teller.problem(StatusCode::TOO_MANY_REQUESTS, Message::TooManyRequests);
        };
        let Some(session) = self.hall.sessions.current(session.id) else {
            return sign_in_first(&self.teller, Message::SessionUnknown);
        };
        let (truth, now) = (self.hall.truth(), self.hall.now());
        let purpose = Purpose::Serve(checked.name);
        let admission = match admit(self.device, &session, purpose, &truth, now) {
            Ok(admission) => admission,
            Err(why) => return sign_in_first(&self.teller, why),
        };
        let person = admission.identity().person.clone();
        let upgrade = checked.upgrade.zip(self.upgrading).map(|(wish, upgrading)| Upgrade {
            wish,
            upgrading,
            connection: self.connection.clone(),
        });
        let errand = Errand {
            passage: &Passage::Person(admission),
            name: self.hall.names.name(checked.name),
            target: checked.target,
            trace: self.teller.trace,
            stream: Some(stream),
            upgrade,
            besides: Besides::Nothing,
        };
        match proxy::forward(&self.hall.lines, errand, &parts, incoming).await {
            Ok(response) => Answer::of(response).by(person),
            Err((status, message)) => self.teller.problem(status, message).by(person),
        }
    }
}

/// What the record may say of a request's target.
pub struct Route {
    pub method: Method,
    pub host: Option<Host>,
    pub path: String,
}

impl Route {
    fn class(&self) -> audit::Route {
        let host = self.host.map_or("-", Host::label);
        audit::Route::of(format_args!("{} {host} {}", self.method, routes::Class(&self.path)))
    }
}

/// Every answer leaves through here: guarded, and written down before its first byte.
pub async fn finish(
    hall: &Hall,
    slot: vpn::slot::SlotNumber,
    route: Route,
    trace: TraceId,
    began: Moment,
    answer: Answer,
) -> Response<Body> {
    let now = hall.now();
    let Answer { mut response, kind, person, refusal } = answer;
    if let Some(why) = refusal {
        hall.refusals().note(Some(slot), why, trace, now);
    }
    let status = response.status().as_u16();
    let took_ms = now.up_ms.saturating_sub(began.up_ms);
    hall.meters.answer(status, took_ms);
    let record = Record {
        at_ms: now.unix_ms,
        kind,
        slot: Some(slot),
        person: audit::who(person.as_ref()),
        route: route.class(),
        result: refusal
            .map_or_else(|| Outcome::of(status), |why| Outcome::of(format_args!("{status} {}", why.code()))),
        took_ms: Some(took_ms),
        trace: Some(trace),
    };
    if hall.audit.record(record).await.is_err() {
        let (realm, page, safe) = (hall.realm_name.clone(), false, false);
        let teller = Teller { realm, trace, page, safe };
        response = teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AuditDown).response;
    }
    headers::guard(response.headers_mut(), route.host);
    if let Ok(value) = http::HeaderValue::from_str(&trace.to_string()) {
        response.headers_mut().insert(pki::identity::TRACE_HEADER, value);
    }
    response
}
