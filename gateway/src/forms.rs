//! What browsers and clients send to the gateway's own paths, and what they get back: JSON and
//! URL-encoded forms as values. A border file; pure.

pub mod passkey; // border

use pki::identity::{FacilityId, MembershipId, PersonId, Role};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::messages::{Message, Words};
use crate::need::{Membership, Password};

/// A sign-in form: three short fields.
pub const FORM_MAX: usize = 8 * 1024;
/// Longest login that anybody has.
const LOGIN_MAX: usize = 254;
/// Longer passwords only cost hashing time.
const PASSWORD_MAX: usize = 256;

/// The one shape of every refusal that a program can read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: String,
    pub ja: String,
    pub en: String,
    pub remedy_ja: &'static str,
    pub remedy_en: &'static str,
    pub trace: String,
    /// The memberships to choose from, when that is what is missing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub memberships: Vec<Choice>,
}

impl Problem {
    pub fn new(message: Message, trace: String) -> Self {
        let Words { code, ja, en, remedy_ja, remedy_en } = message.words();
        let (code, ja, en) = (code.to_owned(), ja.to_owned(), en.to_owned());
        Self { code, ja, en, remedy_ja, remedy_en, trace, memberships: Vec::new() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Choice {
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub facility_name: String,
    pub role: Role,
}

impl From<&Membership> for Choice {
    fn from(one: &Membership) -> Self {
        Self {
            membership: one.membership.clone(),
            facility: one.facility.clone(),
            facility_name: one.facility_name.clone(),
            role: one.role,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignedIn {
    pub person: PersonId,
    pub membership: MembershipId,
    pub facility: FacilityId,
    pub role: Role,
    pub must_change: bool,
    pub memberships: Vec<Choice>,
}

/// Someone at the sign-in page.
#[derive(Deserialize)]
pub struct SignIn {
    #[serde(default)]
    pub login: String,
    #[serde(default = "nothing")]
    pub password: Password,
    pub membership: Option<MembershipId>,
    /// From the choose-membership page: the password was right a moment ago.
    #[serde(default)]
    pub ticket: Option<String>,
}

#[derive(Deserialize)]
pub struct ChangePassword {
    pub old: Password,
    pub new: Password,
}

/// How the body is written, and so how the answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoken {
    Json,
    Form,
}

impl Spoken {
    pub fn of(content_type: Option<&str>) -> Option<Self> {
        let media_type = content_type?.split(';').next().unwrap_or("").trim();
        match media_type.to_ascii_lowercase().as_str() {
            "application/json" => Some(Spoken::Json),
            "application/x-www-form-urlencoded" => Some(Spoken::Form),
            _ => None,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the form cannot be read")]
pub struct Unreadable;

impl SignIn {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => {
                let mut fields = Fields::read(body)?;
                let membership = match fields.take("membership") {
                    Some(text) => Some(text.parse().map_err(|_| Unreadable)?),
                    None => None,
                };
                let ticket = fields.take("ticket").map(|ticket| ticket.to_string());
                let login = fields.take("login").map(|login| login.to_string()).unwrap_or_default();
                Self { login, password: fields.password("password"), membership, ticket }
            }
        };
        let fits = form.login.len() <= LOGIN_MAX && form.password.expose().len() <= PASSWORD_MAX;
        if fits { Ok(form) } else { Err(Unreadable) }
    }
}

impl ChangePassword {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => {
                let mut fields = Fields::read(body)?;
                Self { old: fields.password("old"), new: fields.password("new") }
            }
        };
        let fits = |password: &Password| password.expose().len() <= PASSWORD_MAX;
        if fits(&form.old) && fits(&form.new) { Ok(form) } else { Err(Unreadable) }
    }
}

/// The fields of a URL-encoded form; wiped when dropped, because passwords are among them.
struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    fn read(body: &[u8]) -> Result<Self, Unreadable> {
        let mut fields: Vec<(String, Zeroizing<String>)> = Vec::new();
        for pair in body.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
            let mut halves = pair.splitn(2, |b| *b == b'=');
            let name = decode(halves.next().unwrap_or(&[]))?.to_string();
            let value = decode(halves.next().unwrap_or(&[]))?;
            // Two fields of one name mean two things to two readers.
            if fields.iter().any(|(held, _)| *held == name) {
                return Err(Unreadable);
            }
            fields.push((name, value));
        }
        Ok(Self(fields))
    }

    fn take(&mut self, name: &str) -> Option<Zeroizing<String>> {
        let at = self.0.iter().position(|(held, value)| held == name && !value.is_empty())?;
        Some(self.0.swap_remove(at).1)
    }

    fn password(&mut self, name: &str) -> Password {
        Password::new(self.take(name).map(|text| text.to_string()).unwrap_or_default())
    }
}

fn decode(text: &[u8]) -> Result<Zeroizing<String>, Unreadable> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.iter();
    while let Some(&byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || rest.next().and_then(|b| char::from(*b).to_digit(16));
                let (high, low) = (digit().ok_or(Unreadable)?, digit().ok_or(Unreadable)?);
                (high * 16 + low) as u8
            }
            byte => byte,
        });
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| Unreadable)?;
    Ok(Zeroizing::new(text.to_owned()))
}

fn nothing() -> Password {
    Password::new(String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_mean_the_same() {
        let json = br#"{"login":"hana@example.jp","password":"a&b \u3042"}"#;
        let form = b"login=hana%40example.jp&password=a%26b+%E3%81%82";
        for (spoken, body) in [(Spoken::Json, &json[..]), (Spoken::Form, &form[..])] {
            let read = SignIn::read(spoken, body).unwrap();
            assert_eq!((read.login.as_str(), read.password.expose()), ("hana@example.jp", "a&b あ"));
            assert!(read.membership.is_none() && read.ticket.is_none());
        }
    }

    #[test]
    fn what_is_ambiguous_broken_or_too_long_is_unreadable() {
        let long = format!("login=a&password={}", "x".repeat(PASSWORD_MAX + 1));
        for body in ["login=a&login=b", "login=%4", "login=%zz", "login=%ff", "membership=x-1", &long] {
            assert!(SignIn::read(Spoken::Form, body.as_bytes()).is_err(), "{body:.60}");
        }
        assert!(SignIn::read(Spoken::Json, b"{").is_err());
    }

    #[test]
    fn only_two_media_types_are_read() {
        assert_eq!(Spoken::of(Some("application/json; charset=utf-8")), Some(Spoken::Json));
        for other in [None, Some("text/plain"), Some("multipart/form-data; boundary=x")] {
            assert_eq!(Spoken::of(other), None);
        }
    }
}
