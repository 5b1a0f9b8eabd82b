//! Signing in, choosing a membership, changing the first password, signing out: the gateway's own
//! forms. Every failure of a sign-in is told with the same words after the same time. Rulings 1 and 4.
//!
//! ```text
//! POST /sign-in --right--> one membership permitted here --> session, cookie
//!                    \---> several --> 409 with the list (page: a ticket) --> POST again
//! first password --> nothing but /password and /sign-out
//! ```

use std::time::Duration;

use http::header::{HeaderName, RETRY_AFTER, SET_COOKIE};
use http::{HeaderMap, Method, StatusCode};
use hyper::body::Incoming;
use pki::identity::{MembershipId, PersonId};

use crate::admission::{Admission, AdmittedDevice, Purpose, Refusal, admit, may_sign_in};
use crate::answer::{self, Answer, Teller};
use crate::audit::Kind;
use crate::clock::random;
use crate::cuts;
use crate::forms::{ChangePassword, Choice, FORM_MAX, Problem, SignIn, SignedIn, Spoken};
use crate::hall::Hall;
use crate::messages::{Message, Words};
use crate::names::Host;
use crate::need::{AccountCheck, Membership, PasswordChange};
use crate::pages::{ChoosePage, Notice, PasswordPage, SignInPage};
use crate::session::{EndReason, FORGET_COOKIE, Session, SessionId, SessionToken};
use crate::tickets::Ticket;
use crate::turns::{TRIES_PER_MINUTE, Turn};
use crate::upload;

/// A failed sign-in answers after this, whatever failed; meanwhile a membership made a moment ago
/// may still arrive on the feed.
const FAILURE_TAKES: Duration = Duration::from_millis(400);

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// Everything but cookies: the cookie is set or forgotten by itself.
const FORMER_TRACES: &str = "\"cache\", \"storage\"";

/// Whoever stands at the gateway's own pages.
pub struct Guest<'a> {
    pub hall: &'a Hall,
    pub device: &'a AdmittedDevice,
    pub host: Host,
    pub method: Method,
    pub headers: &'a HeaderMap,
    pub teller: Teller,
}

/// Who it is, by password or passkey, and what they may become.
pub struct Known {
    pub person: PersonId,
    pub memberships: Vec<Membership>,
    pub must_change: bool,
}

impl Guest<'_> {
    pub async fn sign_in(self, incoming: Incoming) -> Answer {
        match self.method {
            Method::GET | Method::HEAD => self.sign_in_page(StatusCode::OK, String::new(), None),
            Method::POST => self.sign_in_form(incoming).await,
            _ => self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused),
        }
    }

    pub async fn sign_out(self) -> Answer {
        if self.method != Method::POST {
            return self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused);
        }
        let session = self.session();
        if let Some(session) = &session
            && let Err(failed) = self.end(session.id, EndReason::SignedOut).await
        {
            return failed;
        }
        let spoken_form = self.spoken() == Some(Spoken::Form) || self.teller.page;
        let answer = if spoken_form { answer::see_other("/sign-in") } else { answer::nothing() };
        let answer = answer
            .with(SET_COOKIE, FORGET_COOKIE)
            .with(CLEAR_SITE_DATA, FORMER_TRACES)
            .recorded_as(Kind::SignedOut);
        match session {
            Some(session) => answer.by(session.person),
            None => answer,
        }
    }

    pub async fn password(self, incoming: Incoming) -> Answer {
        let session = self.session();
        let now = self.hall.now();
        let admitted = session.as_ref().ok_or(Message::SessionNeeded).and_then(|session| {
            admit(self.device, session, Purpose::ChangePassword(self.host), &self.hall.truth(), now)
        });
        let (session, admission) = match (session, admitted) {
            (Some(session), Ok(admission)) => (session, admission),
            (_, Err(why)) => return sign_in_first(&self.teller, why),
            (None, Ok(_)) => return sign_in_first(&self.teller, Message::SessionNeeded),
        };
        let person = admission.identity().person.clone();
        let answer = match self.method {
            Method::GET | Method::HEAD => self.password_page(StatusCode::OK, session.must_change, None),
            Method::POST => self.password_form(incoming, &session, &admission).await,
            _ => self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused),
        };
        answer.by(person)
    }

    async fn sign_in_form(self, incoming: Incoming) -> Answer {
        let Some(spoken) = self.spoken() else { return self.unreadable() };
        let form = match upload::collect(incoming, FORM_MAX).await.map(|b| SignIn::read(spoken, &b)) {
            Ok(Ok(form)) => form,
            Ok(Err(_)) | Err(_) => return self.unreadable(),
        };
        let began = tokio::time::Instant::now();
        let login = form.login.clone();
        let asked = form.membership.clone();
        let known = self.known(form).await;
        self.conclude(spoken, login, asked, began, known).await
    }

    /// From who it is to a session: the same answers and the same times whichever way it was found out.
    pub async fn conclude(
        self,
        spoken: Spoken,
        login: String,
        asked: Option<MembershipId>,
        began: tokio::time::Instant,
        known: Result<Known, Trouble>,
    ) -> Answer {
        let known = match known {
            Ok(known) => known,
            Err(Trouble::Refused(why)) => {
                tokio::time::sleep_until(began + FAILURE_TAKES).await;
                return self.failed(spoken, login, why);
            }
            Err(Trouble::Paused { seconds }) => {
                let answer = self.paused(spoken, login);
                return answer.with(RETRY_AFTER, &seconds.to_string());
            }
            Err(Trouble::Down) => {
                return self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown);
            }
        };
        let permitted = match self.permitted(&known, asked.as_ref(), began).await {
            Ok(permitted) => permitted,
            Err(why) => {
                tokio::time::sleep_until(began + FAILURE_TAKES).await;
                return self.failed(spoken, login, why).by(known.person);
            }
        };
        match permitted.as_slice() {
            [only] => self.begin(spoken, &known, only).await,
            several => self.choose(spoken, &known, several),
        }
    }

    /// By login and password, or by the ticket of a right password a moment ago.
    async fn known(&self, form: SignIn) -> Result<Known, Trouble> {
        if let Some(ticket) = form.ticket {
            let hash = SessionToken::parse(&ticket).ok_or(Trouble::Refused(Message::SignInFailed))?.hash();
            let (slot, serial) = (self.device.slot(), self.device.serial());
            let ticket = self.hall.tickets().take(&hash, slot, serial, self.hall.now());
            let Ticket { person, memberships, must_change, .. } =
                ticket.ok_or(Trouble::Refused(Message::SignInFailed))?;
            return Ok(Known { person, memberships, must_change });
        }
        if !self.hall.takes(Turn::Try, self.device.slot()) {
            // No hash is spent on a device that guesses.
            return Err(Trouble::Paused { seconds: 60 / TRIES_PER_MINUTE });
        }
        match self.hall.needs.accounts.check(form.login, form.password).await {
            Ok(check) => known_by(check),
            Err(error) => {
                log::warn!("{error}");
                Err(Trouble::Down)
            }
        }
    }

    /// The memberships that this slot permits: all of them, or the one that was asked for.
    async fn permitted(
        &self,
        known: &Known,
        asked: Option<&MembershipId>,
        began: tokio::time::Instant,
    ) -> Result<Vec<Membership>, Refusal> {
        let mut changes = self.hall.changes();
        loop {
            changes.mark_unchanged();
            let (truth, now) = (self.hall.truth(), self.hall.now());
            let mut why = Message::MembershipNotPermitted;
            let mut permitted = Vec::new();
            for one in &known.memberships {
                if asked.is_some_and(|asked| *asked != one.membership) {
                    continue;
                }
                match may_sign_in(self.device, &known.person, &one.membership, &truth, now) {
                    Ok(()) => permitted.push(one.clone()),
                    Err(refusal) => why = refusal,
                }
            }
            if !permitted.is_empty() {
                return Ok(permitted);
            }
            let more = tokio::time::timeout_at(began + FAILURE_TAKES, changes.changed());
            if more.await.is_err() {
                return Err(why);
            }
        }
    }

    async fn begin(self, spoken: Spoken, known: &Known, chosen: &Membership) -> Answer {
        // Switching the person ends the former's session and streams.
        let former = self.session();
        if let Some(former) = &former
            && let Err(failed) = self.end(former.id, EndReason::Switched).await
        {
            return failed;
        }
        let now = self.hall.now();
        let token = SessionToken::from_random(&random());
        let session = Session {
            id: SessionId::from_random(random()),
            slot: self.device.slot(),
            generation: self.device.generation(),
            certificate: self.device.serial(),
            person: known.person.clone(),
            membership: chosen.membership.clone(),
            must_change: known.must_change,
            created_ms: now.unix_ms,
            seen_ms: now.unix_ms,
        };
        let purpose = Purpose::ChangePassword(self.host);
        match self.hall.sessions.begin(token.hash(), session.clone(), now).await {
            Ok(crowded) => cuts::end_streams(self.hall, &crowded),
            Err(error) => {
                log::warn!("{error}");
                return self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown);
            }
        }
        // Registered, now checked again: what was cut meanwhile gives no cookie.
        let admitted = admit(self.device, &session, purpose, &self.hall.truth(), self.hall.now());
        let identity = match admitted {
            Ok(admission) => admission.identity().clone(),
            Err(why) => {
                let _ = self.end(session.id, EndReason::NotPermitted).await;
                return self.failed(spoken, String::new(), why).by(session.person);
            }
        };
        let answer = match spoken {
            Spoken::Form if known.must_change => answer::see_other("/password"),
            Spoken::Form => answer::see_other("/"),
            Spoken::Json => answer::json(
                StatusCode::OK,
                &SignedIn {
                    person: identity.person.clone(),
                    membership: identity.membership,
                    facility: identity.facility,
                    role: identity.role,
                    must_change: known.must_change,
                    memberships: known.memberships.iter().map(Choice::from).collect(),
                },
            ),
        };
        let answer = match former {
            // What the former saw is not for the next one at the same terminal (H-02).
            Some(former) if former.person != identity.person => answer.with(CLEAR_SITE_DATA, FORMER_TRACES),
            _ => answer,
        };
        answer.with(SET_COOKIE, &token.set_cookie()).recorded_as(Kind::SignedIn).by(identity.person)
    }

    fn choose(&self, spoken: Spoken, known: &Known, several: &[Membership]) -> Answer {
        let choices: Vec<Choice> = several.iter().map(Choice::from).collect();
        let answer = match spoken {
            Spoken::Json => {
                let problem = Problem::new(Message::ChooseMembership, self.teller.trace.to_string());
                answer::json(StatusCode::CONFLICT, &Problem { memberships: choices, ..problem })
            }
            Spoken::Form => {
                let random: [u8; 32] = random();
                let token = SessionToken::from_random(&random);
                let ticket = Ticket {
                    slot: self.device.slot(),
                    certificate: self.device.serial(),
                    person: known.person.clone(),
                    memberships: several.to_vec(),
                    must_change: known.must_change,
                };
                self.hall.tickets().give(token.hash(), ticket, self.hall.now());
                let page = ChoosePage {
                    realm: self.hall.realm_name.clone(),
                    ticket: token.expose().to_owned(),
                    memberships: choices,
                };
                answer::page(StatusCode::CONFLICT, &page)
            }
        };
        answer.by(known.person.clone())
    }

    async fn password_form(&self, incoming: Incoming, session: &Session, admission: &Admission) -> Answer {
        let Some(spoken) = self.spoken() else { return self.unreadable() };
        let read = upload::collect(incoming, FORM_MAX).await.map(|b| ChangePassword::read(spoken, &b));
        let Ok(Ok(form)) = read else { return self.unreadable() };
        let person = admission.identity().person.clone();
        match self.hall.needs.accounts.change(person, form.old, form.new).await {
            Ok(PasswordChange::Changed) => {}
            Ok(PasswordChange::Wrong) => {
                return self.not_changed(spoken, session, Message::OldPasswordWrong, None);
            }
            Ok(PasswordChange::Weak { code, ja, en }) => {
                let rule = Some((code, ja, en));
                return self.not_changed(spoken, session, Message::PasswordWeak, rule);
            }
            Err(error) => {
                log::warn!("{error}");
                return self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown);
            }
        }
        // Whoever else was signed in with the old password is no longer.
        if let Err(failed) = self.end_others(session, EndReason::PasswordChanged).await {
            return failed;
        }
        if let Err(error) = self.hall.sessions.password_changed(session.id).await {
            log::warn!("{error}");
            return self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown);
        }
        match spoken {
            Spoken::Form => answer::see_other("/"),
            Spoken::Json => {
                let done = Problem::new(Message::PasswordChanged, self.teller.trace.to_string());
                answer::json(StatusCode::OK, &done)
            }
        }
    }

    fn not_changed(
        &self,
        spoken: Spoken,
        session: &Session,
        why: Message,
        rule: Option<(String, String, String)>,
    ) -> Answer {
        let status = match why {
            Message::PasswordWeak => StatusCode::UNPROCESSABLE_ENTITY,
            _ => StatusCode::FORBIDDEN,
        };
        let answer = match spoken {
            Spoken::Json => {
                let mut problem = Problem::new(why, self.teller.trace.to_string());
                if let Some((code, ja, en)) = rule {
                    problem = Problem { code, ja, en, ..problem };
                }
                answer::json(status, &problem)
            }
            Spoken::Form => {
                let mut notice = Notice::bad(why.words());
                if let Some((code, ja, en)) = rule {
                    notice = Notice { code, ja, en, ..notice };
                }
                self.password_page(status, session.must_change, Some(notice))
            }
        };
        answer.because(why)
    }

    /// The same words whatever failed; the reason is for the record.
    fn failed(&self, spoken: Spoken, login: String, why: Refusal) -> Answer {
        let (status, told) = match why {
            Message::FeedsStale => (StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown),
            _ => (StatusCode::UNAUTHORIZED, Message::SignInFailed),
        };
        self.told(spoken, status, login, told).because(why)
    }

    fn paused(&self, spoken: Spoken, login: String) -> Answer {
        let status = StatusCode::TOO_MANY_REQUESTS;
        self.told(spoken, status, login, Message::SignInPaused).because(Message::SignInPaused)
    }

    fn told(&self, spoken: Spoken, status: StatusCode, login: String, told: Message) -> Answer {
        match spoken {
            Spoken::Json => answer::json(status, &Problem::new(told, self.teller.trace.to_string())),
            Spoken::Form => self.sign_in_page(status, login, Some(told.words())),
        }
    }

    pub fn unreadable(&self) -> Answer {
        self.teller.problem(StatusCode::BAD_REQUEST, Message::FormUnreadable)
    }

    fn sign_in_page(&self, status: StatusCode, login: String, notice: Option<Words>) -> Answer {
        let realm = self.hall.realm_name.clone();
        answer::page(status, &SignInPage { realm, login, notice: notice.map(Notice::bad) })
    }

    fn password_page(&self, status: StatusCode, forced: bool, notice: Option<Notice>) -> Answer {
        answer::page(status, &PasswordPage { realm: self.hall.realm_name.clone(), forced, notice })
    }

    /// The session of the cookie, if it is this device's own.
    pub fn session(&self) -> Option<Session> {
        let token = SessionToken::from_cookies(self.headers)?;
        let session = self.hall.sessions.find(&token.hash(), self.hall.now())?;
        let own = session.slot == self.device.slot() && session.certificate == self.device.serial();
        own.then_some(session)
    }

    async fn end(&self, id: SessionId, reason: EndReason) -> Result<(), Answer> {
        self.end_where(|session| session.id == id, reason).await
    }

    /// Every other session of the same person.
    pub async fn end_others(&self, own: &Session, reason: EndReason) -> Result<(), Answer> {
        self.end_where(|other| other.person == own.person && other.id != own.id, reason).await
    }

    async fn end_where(&self, which: impl Fn(&Session) -> bool, reason: EndReason) -> Result<(), Answer> {
        let now = self.hall.now();
        match self.hall.sessions.end_where(which, reason, now).await {
            Ok(ended) => {
                cuts::end_streams(self.hall, &ended);
                Ok(())
            }
            Err(error) => {
                log::warn!("{error}");
                Err(self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown))
            }
        }
    }

    pub fn spoken(&self) -> Option<Spoken> {
        Spoken::of(self.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok()))
    }
}

/// Why nobody is known.
pub enum Trouble {
    Refused(Refusal),
    Paused { seconds: u32 },
    Down,
}

/// What the accounts' door says of a password or a passkey.
pub fn known_by(check: AccountCheck) -> Result<Known, Trouble> {
    match check {
        AccountCheck::Right { person, memberships, must_change, .. } => {
            Ok(Known { person, memberships, must_change })
        }
        AccountCheck::Wrong => Err(Trouble::Refused(Message::SignInFailed)),
        AccountCheck::Paused { seconds } => Err(Trouble::Paused { seconds }),
    }
}

/// Nobody, or nobody any more: the same answer for every reason.
pub fn sign_in_first(teller: &Teller, why: Refusal) -> Answer {
    let answer = match why {
        Message::PasswordMustChange if teller.page && teller.safe => answer::see_other("/password"),
        Message::PasswordMustChange => teller.problem(StatusCode::FORBIDDEN, why),
        _ if teller.page && teller.safe => answer::see_other("/sign-in"),
        _ => teller.problem(StatusCode::UNAUTHORIZED, Message::SessionNeeded),
    };
    answer.because(why)
}
