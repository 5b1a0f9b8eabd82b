//! Passkeys at the gateway's own pages: a signed-in person registers, sees and gives up theirs; anybody on an admitted
//! device may sign in with one. The challenge is made and spent here; whose key it is, and whether it holds, the accounts'
//! door says. Handlers end with their request. Issue 6; ruling 1: a passkey stands for the person, never for the device.
//!
//! ```text
//! POST /passkeys/offer (password) -> challenge -> POST /passkeys                    a new one
//! POST /sign-in/passkey/challenge -> challenge -> POST /sign-in/passkey -> as if the password was right
//! ```

use http::header::RETRY_AFTER;
use http::{Method, StatusCode};
use hyper::body::Incoming;
use pki::identity::PersonId;

use crate::admission::{Purpose, admit};
use crate::answer::{self, Answer};
use crate::challenges::{Challenge, LIFE_MS};
use crate::clock::random;
use crate::forms::passkey::{AskOffer, ChallengeTold, NewPasskey, OfferTold, OldPasskey, PasskeySignIn};
use crate::forms::{FORM_MAX, Problem, Spoken};
use crate::messages::Message;
use crate::need::NeedUnmet;
use crate::need::passkey::{Asked, Kept, Offer, Passkey, PasskeyAnswer, PasskeyQuestion, Proof};
use crate::pages::{Notice, PasskeyRow, PasskeysPage};
use crate::session::{EndReason, Session, SessionToken};
use crate::signin::{Guest, Known, Trouble, known_by, sign_in_first};
use crate::turns::{TRIES_PER_MINUTE, Turn};
use crate::upload;

impl Guest<'_> {
    /// The list, and a new one.
    pub async fn passkeys(self, incoming: Incoming) -> Answer {
        let session = match self.admitted() {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        let answer = match self.method {
            Method::GET | Method::HEAD => self.passkeys_page(&session.person, StatusCode::OK, None).await,
            Method::POST => self.keep_passkey(incoming, &session.person).await,
            _ => self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused),
        };
        answer.by(session.person)
    }

    /// What the authenticator shall be asked: for the person's password, so that nobody at a terminal that stands open
    /// leaves a key of their own behind.
    pub async fn offer_passkey(self, incoming: Incoming) -> Answer {
        let session = match self.posted() {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        let Some(form) = self.form(incoming, AskOffer::read).await else { return self.unreadable() };
        let person = session.person;
        if !self.hall.takes(Turn::Try, self.device.slot()) {
            return self.paused_passkey(60 / TRIES_PER_MINUTE).by(person);
        }
        let rp = self.hall.names.name(self.host).to_owned();
        let question = PasskeyQuestion::Offer { person: person.clone(), password: form.password, rp };
        let offer = match self.hall.needs.accounts.passkey(question).await {
            Ok(PasskeyAnswer::Offered(offer)) => offer,
            other => return self.accounts_down(other).by(person),
        };
        let answer = match offer {
            Offer::Yours { login, name, held } => {
                let realm = self.hall.realm_name.clone();
                let ChallengeTold { challenge, rp, timeout_ms } = self.challenge(Some(person.clone()));
                let person = person.clone();
                let told = OfferTold { challenge, rp, realm, person, login, name, held, timeout_ms };
                answer::json(StatusCode::OK, &told)
            }
            Offer::Wrong => self.teller.problem(StatusCode::FORBIDDEN, Message::OldPasswordWrong),
            Offer::Paused { seconds } => self.paused_passkey(seconds),
            Offer::Full => self.teller.problem(StatusCode::CONFLICT, Message::PasskeysFull),
        };
        answer.by(person)
    }

    /// Given up; whoever else is signed in as this person is out, because one of them may be its finder.
    pub async fn remove_passkey(self, incoming: Incoming) -> Answer {
        let session = match self.posted() {
            Ok(session) => session,
            Err(refused) => return *refused,
        };
        let Some(form) = self.form(incoming, OldPasskey::read).await else { return self.unreadable() };
        let person = session.person.clone();
        let question = PasskeyQuestion::Remove { person: person.clone(), credential: form.credential };
        let answer = match self.hall.needs.accounts.passkey(question).await {
            Ok(PasskeyAnswer::Removed(true)) => {
                match self.end_others(&session, EndReason::PasskeyRemoved).await {
                    Ok(()) => self.done(),
                    Err(failed) => failed,
                }
            }
            // Twice is once.
            Ok(PasskeyAnswer::Removed(false)) => self.done(),
            other => self.accounts_down(other),
        };
        answer.by(person)
    }

    /// Whoever stands before the sign-in; nothing is said of anybody's keys.
    pub fn passkey_challenge(self) -> Answer {
        if self.method != Method::POST {
            return self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused);
        }
        answer::json(StatusCode::OK, &self.challenge(None))
    }

    pub async fn passkey_sign_in(self, incoming: Incoming) -> Answer {
        if self.method != Method::POST {
            // Whoever comes back to it after a failure reads the page it stood on.
            return answer::see_other("/sign-in");
        }
        let (began, spoken) = (tokio::time::Instant::now(), self.spoken());
        let form = self.form(incoming, PasskeySignIn::read).await;
        let (Some(spoken), Some(mut form)) = (spoken, form) else { return self.unreadable() };
        let membership = form.membership.take();
        let known = self.known_by_passkey(form).await;
        self.conclude(spoken, String::new(), membership, began, known).await
    }

    async fn known_by_passkey(&self, form: PasskeySignIn) -> Result<Known, Trouble> {
        if !self.hall.takes(Turn::Try, self.device.slot()) {
            return Err(Trouble::Paused { seconds: 60 / TRIES_PER_MINUTE });
        }
        let PasskeySignIn {
            challenge, credential, person, client_data, authenticator_data, signature, ..
        } = form;
        let asked = self.spend(challenge, None).ok_or(Trouble::Refused(Message::SignInFailed))?;
        let proof = Proof { credential, person, client_data, authenticator_data, signature };
        match self.hall.needs.accounts.passkey(PasskeyQuestion::Check { asked, proof }).await {
            Ok(PasskeyAnswer::Checked(check)) => known_by(check),
            Ok(_) => Err(Trouble::Down),
            Err(error) => {
                log::warn!("{error}");
                Err(Trouble::Down)
            }
        }
    }

    async fn keep_passkey(&self, incoming: Incoming, person: &PersonId) -> Answer {
        let Some(form) = self.form(incoming, NewPasskey::read).await else { return self.unreadable() };
        let NewPasskey { label, challenge, client_data, attestation } = form;
        let Some(asked) = self.spend(challenge, Some(person.clone())) else {
            return self.not_kept(person, Message::PasskeyRefused).await;
        };
        let person_ = person.clone();
        let question = PasskeyQuestion::Keep { person: person_, label, asked, client_data, attestation };
        match self.hall.needs.accounts.passkey(question).await {
            Ok(PasskeyAnswer::Kept(Kept::Kept)) => self.done(),
            Ok(PasskeyAnswer::Kept(Kept::Refused)) => self.not_kept(person, Message::PasskeyRefused).await,
            Ok(PasskeyAnswer::Kept(Kept::Full)) => self.not_kept(person, Message::PasskeysFull).await,
            other => self.accounts_down(other),
        }
    }

    async fn not_kept(&self, person: &PersonId, why: Message) -> Answer {
        let status = StatusCode::CONFLICT;
        match self.spoken() {
            Some(Spoken::Form) => {
                self.passkeys_page(person, status, Some(Notice::bad(why.words()))).await.because(why)
            }
            _ => answer::json(status, &Problem::new(why, self.teller.trace.to_string())).because(why),
        }
    }

    async fn passkeys_page(&self, person: &PersonId, status: StatusCode, notice: Option<Notice>) -> Answer {
        let question = PasskeyQuestion::List { person: person.clone() };
        let held = match self.hall.needs.accounts.passkey(question).await {
            Ok(PasskeyAnswer::Listed(held)) => held,
            other => return self.accounts_down(other),
        };
        let here = self.hall.names.name(self.host);
        let passkeys = held.into_iter().filter(|one| one.rp == here).map(row).collect();
        answer::page(status, &PasskeysPage { realm: self.hall.realm_name.clone(), notice, passkeys })
    }

    /// The person of the cookie, admitted here and past the first password.
    fn admitted(&self) -> Result<Session, Box<Answer>> {
        let session = self.session();
        let admitted = session.ok_or(Message::SessionNeeded).and_then(|session| {
            let purpose = Purpose::Serve(self.host);
            admit(self.device, &session, purpose, &self.hall.truth(), self.hall.now()).map(|_| session)
        });
        admitted.map_err(|why| Box::new(sign_in_first(&self.teller, why)))
    }

    fn posted(&self) -> Result<Session, Box<Answer>> {
        if self.method != Method::POST {
            let refused = self.teller.problem(StatusCode::METHOD_NOT_ALLOWED, Message::MethodRefused);
            return Err(Box::new(refused));
        }
        self.admitted()
    }

    async fn form<F, E>(
        &self,
        incoming: Incoming,
        read: impl Fn(Spoken, &[u8]) -> Result<F, E>,
    ) -> Option<F> {
        let spoken = self.spoken()?;
        let body = upload::collect(incoming, FORM_MAX).await.ok()?;
        read(spoken, &body).ok()
    }

    /// A new challenge for this device, at this name.
    fn challenge(&self, maker: Option<PersonId>) -> ChallengeTold {
        let token = SessionToken::from_random(&random());
        self.hall.challenges().give(token.hash(), self.challenged(maker), self.hall.now());
        let rp = self.hall.names.name(self.host).to_owned();
        ChallengeTold { challenge: token.expose().to_owned(), rp, timeout_ms: LIFE_MS }
    }

    /// The challenge, if it was made for this and is still good; it is not any more.
    fn spend(&self, challenge: String, maker: Option<PersonId>) -> Option<Asked> {
        let hash = SessionToken::parse(&challenge)?.hash();
        let good = self.hall.challenges().take(&hash, &self.challenged(maker), self.hall.now());
        let (origin, rp) = (self.hall.names.origin(self.host), self.hall.names.name(self.host).to_owned());
        good.then_some(Asked { challenge, origin, rp })
    }

    fn challenged(&self, maker: Option<PersonId>) -> Challenge {
        Challenge { slot: self.device.slot(), certificate: self.device.serial(), host: self.host, maker }
    }

    fn done(&self) -> Answer {
        match self.spoken() {
            Some(Spoken::Form) => answer::see_other("/passkeys"),
            _ => answer::nothing(),
        }
    }

    fn paused_passkey(&self, seconds: u32) -> Answer {
        let answer = self.teller.problem(StatusCode::TOO_MANY_REQUESTS, Message::SignInPaused);
        answer.with(RETRY_AFTER, &seconds.to_string())
    }

    /// The door does not answer, or not what was asked.
    fn accounts_down(&self, answer: Result<PasskeyAnswer, NeedUnmet>) -> Answer {
        match answer {
            Ok(_) => log::error!("the accounts' door answers something else"),
            Err(error) => log::warn!("{error}"),
        }
        self.teller.problem(StatusCode::SERVICE_UNAVAILABLE, Message::AccountsDown)
    }
}

fn row(one: Passkey) -> PasskeyRow {
    let Passkey { credential, label, made_ms, used_ms, .. } = one;
    PasskeyRow { credential, label, made: day(made_ms), used: used_ms.map(day) }
}

/// A day in Japan, which has no summer time.
fn day(unix_ms: i64) -> String {
    let time = jiff::Timestamp::from_millisecond(unix_ms).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let date = jiff::tz::offset(9).to_datetime(time).date();
    format!("{}年{}月{}日", date.year(), date.month(), date.day())
}
