//! The accounts' room, as far as the gateway sees it.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use gateway::need::passkey::{Kept, Offer, Passkey, PasskeyAnswer, PasskeyQuestion};
use gateway::need::{AccountCheck, Answering, Membership, Password, PasswordChange};
use pki::identity::{PersonId, Role};

use super::doubles::{facility, membership, person, silent};

/// Person `n` signs in as `n@m` with `password-n`.
#[derive(Default)]
pub struct Accounts {
    pub memberships: Mutex<BTreeMap<u8, Vec<u8>>>,
    pub must_change: AtomicBool,
    pub paused: AtomicBool,
    pub silent: AtomicBool,
    /// Credential, whose, and at which name.
    passkeys: Mutex<Vec<(String, u8, String)>>,
}

impl Accounts {
    fn right(&self, n: u8) -> AccountCheck {
        let ids = self.memberships.lock().unwrap().get(&n).cloned().unwrap_or_else(|| vec![n]);
        let memberships = ids.into_iter().map(|id| Membership {
            membership: membership(id),
            facility: facility(id),
            facility_name: format!("施設{id}"),
            role: Role::Staff,
        });
        AccountCheck::Right {
            person: person(n),
            name: "花子".into(),
            memberships: memberships.collect(),
            must_change: self.must_change.load(Ordering::SeqCst),
        }
    }

    /// A proof is right when its signature says the challenge: what the real room verifies, its own tests show.
    fn about_passkeys(&self, question: PasskeyQuestion) -> PasskeyAnswer {
        let mut passkeys = self.passkeys.lock().unwrap();
        let number = |whose: &PersonId| (1..=9).find(|n| person(*n) == *whose).unwrap();
        match question {
            PasskeyQuestion::Offer { person: whose, password, .. } => {
                let n = number(&whose);
                let right = password.expose() == format!("password-{n}");
                let (login, name) = (format!("{n}@m"), "花子".into());
                PasskeyAnswer::Offered(if right {
                    Offer::Yours { login, name, held: vec![] }
                } else {
                    Offer::Wrong
                })
            }
            PasskeyQuestion::Keep { person: whose, asked, client_data, .. } => {
                passkeys.push((client_data, number(&whose), asked.rp));
                PasskeyAnswer::Kept(Kept::Kept)
            }
            PasskeyQuestion::List { person: whose } => {
                let own = passkeys.iter().filter(|(_, n, _)| person(*n) == whose);
                let told = own.map(|(credential, _, rp)| Passkey {
                    credential: credential.clone(),
                    rp: rp.clone(),
                    label: "phone".into(),
                    made_ms: 0,
                    used_ms: None,
                });
                PasskeyAnswer::Listed(told.collect())
            }
            PasskeyQuestion::Remove { person: whose, credential } => {
                let before = passkeys.len();
                passkeys.retain(|(held, n, _)| *held != credential || person(*n) != whose);
                PasskeyAnswer::Removed(passkeys.len() < before)
            }
            PasskeyQuestion::Check { asked, proof } => {
                let held = passkeys.iter().find(|(held, _, rp)| *held == proof.credential && *rp == asked.rp);
                PasskeyAnswer::Checked(match held {
                    _ if self.paused.load(Ordering::SeqCst) => AccountCheck::Paused { seconds: 900 },
                    Some((_, n, _)) if proof.signature == asked.challenge => self.right(*n),
                    _ => AccountCheck::Wrong,
                })
            }
        }
    }
}

impl gateway::need::Accounts for Accounts {
    fn check(&self, login: String, password: Password) -> Answering<'_, AccountCheck> {
        Box::pin(async move {
            if self.silent.load(Ordering::SeqCst) {
                return silent("provisioning");
            }
            if self.paused.load(Ordering::SeqCst) {
                return Ok(AccountCheck::Paused { seconds: 900 });
            }
            let found =
                (1..=9).find(|n| login == format!("{n}@m") && password.expose() == format!("password-{n}"));
            Ok(found.map_or(AccountCheck::Wrong, |n| self.right(n)))
        })
    }

    fn passkey(&self, question: PasskeyQuestion) -> Answering<'_, PasskeyAnswer> {
        Box::pin(async move {
            if self.silent.load(Ordering::SeqCst) {
                return silent("provisioning");
            }
            Ok(self.about_passkeys(question))
        })
    }

    fn change(&self, _: PersonId, old: Password, new: Password) -> Answering<'_, PasswordChange> {
        Box::pin(async move {
            if !old.expose().starts_with("password-") {
                return Ok(PasswordChange::Wrong);
            }
            if new.expose().len() < 10 {
                let (code, ja, en) = ("MM-5999".into(), "短すぎます".into(), "too short".into());
                return Ok(PasswordChange::Weak { code, ja, en });
            }
            self.must_change.store(false, Ordering::SeqCst);
            Ok(PasswordChange::Changed)
        })
    }
}
