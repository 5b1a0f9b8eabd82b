//! How this room speaks HTTP: who calls (from the gateway's headers alone), how a body is read, how an answer or a
//! problem is written. Every problem has one shape; nothing is ever cached (ruling 4). Edge, border: HTTP, JSON.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, FormRejection};
use axum::extract::{Form, FromRequestParts};
use axum::response::{IntoResponse, Response};
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode};
use pki::chain::Hash;
use pki::identity::{IDENTITY_HEADER, Identity, TRACE_HEADER, TraceId, VISITOR_HEADER, Visitor};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::door::Trouble;
use crate::fault::{Fault, Told};
use crate::idempotency::Repeatable;
use crate::messages_people::PeopleMessage;

/// The repetition key of unsafe requests.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A person of the office, and the trace of the request.
pub struct Caller {
    pub identity: Identity,
    pub trace: Option<TraceId>,
    /// A page is wanted, not data.
    pub page: bool,
}

/// A device on the claim listener.
pub struct Guest {
    pub visitor: Visitor,
    pub trace: Option<TraceId>,
}

/// A refusal on its way out.
pub struct Problem {
    told: Told,
    trace: Option<TraceId>,
}

#[derive(Serialize)]
struct ProblemBody<'a> {
    code: &'a str,
    ja: &'a str,
    en: &'a str,
    remedy_ja: &'a str,
    remedy_en: &'a str,
    trace: Option<TraceId>,
}

impl Problem {
    pub fn new(fault: impl Into<Fault>, trace: Option<TraceId>) -> Self {
        let fault: Fault = fault.into();
        Self { told: fault.told(), trace }
    }

    /// As the operator's door said it.
    pub fn said(trouble: Trouble, trace: Option<TraceId>) -> Self {
        Self { told: Told::from(trouble), trace }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let Told { status, trouble, retry_after } = self.told;
        let body = ProblemBody {
            code: &trouble.code,
            ja: &trouble.ja,
            en: &trouble.en,
            remedy_ja: &trouble.remedy_ja,
            remedy_en: &trouble.remedy_en,
            trace: self.trace,
        };
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = json(status, &body);
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Answers in JSON, or with the problem.
pub fn answer<T: Serialize>(
    status: StatusCode,
    trace: Option<TraceId>,
    outcome: Result<T, Fault>,
) -> Response {
    match outcome {
        Ok(value) => json(status, &value),
        Err(fault) => Problem::new(fault, trace).into_response(),
    }
}

pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => with_type(status, "application/json; charset=utf-8", body),
        Err(error) => {
            log::error!(CODE = "MM-5806"; "an answer cannot be written: {error}");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

pub fn html(page: Result<String, askama::Error>, trace: Option<TraceId>) -> Response {
    html_as(StatusCode::OK, page, trace)
}

/// After a change: the page that shows it. A reload then changes nothing again.
pub fn see_other(path: &str) -> Response {
    match HeaderValue::from_str(path) {
        Ok(path) => (StatusCode::SEE_OTHER, [(LOCATION, path)]).into_response(),
        Err(_) => Problem::new(PeopleMessage::Internal, None).into_response(),
    }
}

pub fn html_as(status: StatusCode, page: Result<String, askama::Error>, trace: Option<TraceId>) -> Response {
    match page {
        Ok(page) => with_type(status, "text/html; charset=utf-8", page.into_bytes()),
        Err(error) => {
            log::error!(CODE = "MM-5806"; "a page cannot be written: {error}");
            Problem::new(PeopleMessage::Internal, trace).into_response()
        }
    }
}

/// A JSON body; anything else is named as what is wrong with it, without repeating it.
pub fn read<T: DeserializeOwned>(
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<T, Fault> {
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    if media.split(';').next().map(str::trim) != Some("application/json") {
        return Err(PeopleMessage::BodyForm.about("Content-Type: application/json").into());
    }
    let body = body.map_err(|_| Fault::from(PeopleMessage::BodyForm.about("length")))?;
    serde_json::from_slice(&body).map_err(|error| {
        // serde's text may repeat what was sent, which may be a password: only the place is told.
        PeopleMessage::BodyForm.about(format!("JSON {}:{}", error.line(), error.column())).into()
    })
}

/// A form's own fields.
pub fn read_form<T>(form: Result<Form<T>, FormRejection>) -> Result<T, Fault> {
    form.map(|Form(fields)| fields).map_err(|_| PeopleMessage::BodyForm.about("form").into())
}

/// A form's `once`, by which pressing its button twice is one request.
pub fn once(caller: &Caller, verb: &str, once: &str, about: &[&str]) -> Result<Option<Repeatable>, Fault> {
    let fingerprint = Hash::of(about.join("\0").as_bytes()).to_string();
    Repeatable::new(format!("{} {verb}", caller.identity.membership), once, fingerprint).map(Some)
}

fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

/// The client's key for repeating this request, if it sent one. `about` is what makes two requests the same.
pub fn repeatable(
    headers: &HeaderMap,
    caller: &Caller,
    verb: &str,
    about: &[&str],
) -> Result<Option<Repeatable>, Fault> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let key = key.to_str().map_err(|_| Fault::from(PeopleMessage::KeyForm))?;
    let fingerprint = Hash::of(about.join("\0").as_bytes()).to_string();
    Repeatable::new(format!("{} {verb}", caller.identity.membership), key, fingerprint).map(Some)
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let trace = one(&parts.headers, TRACE_HEADER);
        match one(&parts.headers, IDENTITY_HEADER) {
            Some(identity) => Ok(Self { identity, trace, page: wants_page(&parts.headers) }),
            None => Err(Problem::new(PeopleMessage::NoIdentity, trace)),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Guest {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let trace = one(&parts.headers, TRACE_HEADER);
        match one(&parts.headers, VISITOR_HEADER) {
            Some(visitor) => Ok(Self { visitor, trace }),
            None => Err(Problem::new(PeopleMessage::ClaimVisitor, trace)),
        }
    }
}

/// A header that is there exactly once and reads; two of a kind are nobody's word.
fn one<T: std::str::FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().filter(|_| values.next().is_none())?;
    value.to_str().ok()?.parse().ok()
}

/// An answer of any type, never kept by anybody.
pub fn with_type(status: StatusCode, media: &'static str, body: Vec<u8>) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(media)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (status, headers, body).into_response()
}

/// A file for the disk, not for the screen. A name beyond ASCII is written as RFC 6266 (8187) says.
pub fn download(name: &str, media: &'static str, bytes: Vec<u8>) -> Response {
    let mut response = with_type(StatusCode::OK, media, bytes);
    match HeaderValue::from_str(&disposition(name)) {
        Ok(value) => {
            response.headers_mut().insert(CONTENT_DISPOSITION, value);
            response
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

fn disposition(name: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let ascii: String = name.bytes().filter(|byte| plain(*byte)).map(char::from).collect();
    if ascii == name {
        return format!("attachment; filename=\"{name}\"");
    }
    let octet = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    let whole: String = name.bytes().map(octet).collect();
    format!("attachment; filename=\"mimamori-{ascii}\"; filename*=UTF-8''{whole}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(VISITOR_HEADER, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_files_name_beyond_ascii_is_written_twice() {
        assert_eq!(disposition("ledger-f-a.xlsx"), "attachment; filename=\"ledger-f-a.xlsx\"");
        let both =
            "attachment; filename=\"mimamori-1_.xlsx\"; filename*=UTF-8''%E6%A7%98%E5%BC%8F1_%E6%9B%B8.xlsx";
        assert_eq!(disposition("様式1_書.xlsx"), both);
        assert!(!disposition("a\"\r\nSet-Cookie: b").contains(['\r', '\n']), "a name ends no header");
    }

    /// The gateway strips and writes this header; should two arrive, neither counts.
    #[test]
    fn a_visitor_is_believed_only_when_there_is_one() {
        let good = "v1;slot=18-0042;class=enrolling";
        assert!(one::<Visitor>(&headers(&[good]), VISITOR_HEADER).is_some());
        assert!(
            one::<Visitor>(&headers(&[good, "v1;slot=18-0043;class=enrolling"]), VISITOR_HEADER).is_none()
        );
        assert!(one::<Visitor>(&headers(&[good, good]), VISITOR_HEADER).is_none());
        assert!(one::<Visitor>(&headers(&["v1;slot=18-0042"]), VISITOR_HEADER).is_none());
        assert!(one::<Visitor>(&headers(&[]), VISITOR_HEADER).is_none());
    }

    #[test]
    fn a_body_that_cannot_be_read_is_not_repeated() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let body = Bytes::from_static(br#"{"password": "himitsu", "number": }"#);
        let Err(fault) = read::<serde_json::Value>(&headers, Ok(body)) else { panic!("it was read") };
        assert!(!fault.to_string().contains("himitsu"));
    }
}
