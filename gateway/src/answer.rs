//! Answers that the gateway makes itself, and what its record will say of them. Pages and problems
//! carry the same words; which of them is sent is the asker's choice.

use askama::Template;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use pki::identity::{PersonId, TraceId};
use serde::Serialize;

use crate::audit::Kind;
use crate::body::{self, Body};
use crate::forms::Problem;
use crate::messages::Message;
use crate::pages::{PASSKEY_SCRIPT, ProblemPage, STYLESHEET};

/// An answer on its way out.
pub struct Answer {
    pub response: Response<Body>,
    pub kind: Kind,
    pub person: Option<PersonId>,
    /// Why not, if not; the exact reason, which may differ from what is told.
    pub refusal: Option<Message>,
}

impl Answer {
    pub fn of(response: Response<Body>) -> Self {
        Self { response, kind: Kind::Request, person: None, refusal: None }
    }

    #[must_use]
    pub fn by(mut self, person: PersonId) -> Self {
        self.person = Some(person);
        self
    }

    #[must_use]
    pub fn recorded_as(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    /// The exact reason for the record.
    #[must_use]
    pub fn because(mut self, why: Message) -> Self {
        self.refusal = Some(why);
        self
    }

    #[must_use]
    pub fn with(mut self, name: header::HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.response.headers_mut().append(name, value);
        }
        self
    }
}

/// How refusals are told: as data, or as a page.
pub struct Teller {
    pub realm: String,
    pub trace: TraceId,
    /// A page is wanted, not data.
    pub page: bool,
    /// Nothing was to be changed, so that another page may be shown instead.
    pub safe: bool,
}

impl Teller {
    pub fn problem(&self, status: StatusCode, message: Message) -> Answer {
        let problem = Problem::new(message, self.trace.to_string());
        self.tell(status, problem).because(message)
    }

    pub fn tell(&self, status: StatusCode, problem: Problem) -> Answer {
        if self.page {
            page(status, &ProblemPage { realm: self.realm.clone(), problem })
        } else {
            json(status, &problem)
        }
    }
}

pub fn page(status: StatusCode, template: &impl Template) -> Answer {
    match template.render() {
        Ok(html) => sized(status, "text/html; charset=utf-8", html),
        Err(error) => {
            log::error!("a page cannot be rendered: {error}");
            sized(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "MM-3051".to_owned())
        }
    }
}

pub fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(text) => sized(status, "application/json", text),
        Err(error) => {
            log::error!("an answer cannot be written as JSON: {error}");
            sized(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", "MM-3051".to_owned())
        }
    }
}

pub fn bytes(media_type: &str, bytes: Vec<u8>) -> Answer {
    sized(StatusCode::OK, media_type, bytes)
}

pub fn stylesheet() -> Answer {
    sized(StatusCode::OK, "text/css; charset=utf-8", STYLESHEET.as_bytes().to_vec())
}

pub fn passkey_script() -> Answer {
    sized(StatusCode::OK, "text/javascript; charset=utf-8", PASSKEY_SCRIPT.as_bytes().to_vec())
}

pub fn see_other(path: &'static str) -> Answer {
    let answer = Answer::of(status(StatusCode::SEE_OTHER, body::empty()));
    answer.with(header::LOCATION, path)
}

pub fn nothing() -> Answer {
    Answer::of(status(StatusCode::NO_CONTENT, body::empty()))
}

fn sized(code: StatusCode, media_type: &str, text: impl Into<bytes::Bytes>) -> Answer {
    Answer::of(status(code, body::whole(text))).with(header::CONTENT_TYPE, media_type)
}

fn status(code: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response
}
