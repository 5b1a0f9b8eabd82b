//! Those who click: a person at a device, signed in with a session of their own (a cookie jar).
//! Owns the jar's file; ends with the device's folder.

use serde_json::{Value, json};

use crate::device::Device;
use crate::fault::{Fault, Told};
use crate::holds;
use crate::http::{self, Answer, Credentials, Request};
use crate::stream::Stream;

/// A person at a device, on one of the two sites.
pub struct Person<'a> {
    device: &'a Device,
    host: &'static str,
    credentials: Credentials,
    pub login: String,
}

/// Login and password, as somebody knows them.
#[derive(Clone)]
pub struct Account {
    pub login: String,
    pub password: String,
    pub membership: String,
}

impl<'a> Person<'a> {
    /// Stands before the sign-in page, with a jar of their own.
    pub fn at(device: &'a Device, host: &'static str, login: &str) -> Told<Self> {
        let mut credentials = device.credentials.clone();
        let name = format!("{host}-{}", login.split('@').next().unwrap_or("person"));
        credentials.cookies = Some(http::cookie_jar(&device.folder, &name)?);
        Ok(Self { device, host, credentials, login: login.to_owned() })
    }

    pub fn sign_in(
        device: &'a Device,
        host: &'static str,
        login: &str,
        password: &str,
    ) -> Told<(Self, Value)> {
        let person = Self::at(device, host, login)?;
        let answer = person.try_sign_in(password)?.expect(&[200])?;
        Ok((person, answer))
    }

    pub fn try_sign_in(&self, password: &str) -> Told<Answer> {
        self.post("/sign-in", &json!({"login": self.login, "password": password}))
    }

    /// The first sign-in: the handed-over password opens nothing but the page that changes it.
    pub fn first_sign_in(device: &'a Device, host: &'static str, account: &Account, new: &str) -> Told<Self> {
        let (person, answer) = Self::sign_in(device, host, &account.login, &account.password)?;
        holds!(
            answer["must_change"] == true,
            "{} may keep the handed-over password: {answer}",
            account.login
        );
        let early = person.get("/api/teams")?;
        holds!(early.status == 403, "before the password is changed /api/teams answers {}", early.status);
        person.post("/password", &json!({"old": account.password, "new": new}))?.expect(&[200, 204])?;
        // A changed password may end the session it was changed in.
        if person.get("/api/teams")?.status == 401 {
            return Ok(Self::sign_in(device, host, &account.login, new)?.0);
        }
        Ok(person)
    }

    pub fn get(&self, path: &str) -> Told<Answer> {
        self.send(self.request_get(path))
    }

    pub fn request_get(&self, path: &str) -> Request {
        Request::get(self.device.url(self.host, path)).header("Accept", "application/json")
    }

    pub fn post(&self, path: &str, body: &Value) -> Told<Answer> {
        self.send(self.request(path, body))
    }

    pub fn request(&self, path: &str, body: &Value) -> Request {
        Request::post(self.device.url(self.host, path), body).header("Accept", "application/json")
    }

    pub fn send(&self, request: Request) -> Told<Answer> {
        request.send(&self.device.space, &self.credentials)
    }

    /// The patient's live stream, begun.
    pub fn watch(&self, patient: &str) -> Told<Stream> {
        let url = self.device.url(self.host, &format!("/api/teams/{patient}/events"));
        Stream::open(&self.device.space, &self.credentials, &url)
    }

    pub fn write(&self, patient: &str, text: &str, key: Option<&str>) -> Told<Answer> {
        let mut request =
            self.request(&format!("/api/teams/{patient}/posts"), &json!({"text": text, "urgent": false}));
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        self.send(request)
    }

    /// The session's secret, for the search of the logs.
    pub fn cookie(&self) -> Option<String> {
        let jar = std::fs::read_to_string(self.credentials.cookies.as_ref()?).ok()?;
        jar.lines().find(|line| line.contains("__Host-session"))?.split_whitespace().last().map(str::to_owned)
    }
}

/// Registers a person of the admin's facility (B-14) and puts them into a patient's team (B-15).
pub fn enrol_staff(
    admin: &Person,
    patient: &str,
    login: &str,
    name: &str,
    profession: &str,
) -> Told<Account> {
    let body = json!({"login": login, "name": name, "profession": profession, "pledge_date": "2026-11-01"});
    let made = admin.post("/api/people", &body)?.expect(&[201])?;
    let account = Account {
        login: login.to_owned(),
        password: text(&made, "initial_password")?,
        membership: text(&made, "membership")?,
    };
    if !patient.is_empty() {
        let member = json!({"membership": account.membership});
        admin.post(&format!("/api/patients/{patient}/members"), &member)?.expect(&[200, 201, 204])?;
    }
    Ok(account)
}

pub fn text(value: &Value, key: &str) -> Told<String> {
    let found = crate::server::find(value, key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| Fault::new(format!("no `{key}` in {value}")))
}
