//! gateway → provisioning: accounts. Passwords pass through here and are kept nowhere.

use gateway::need::passkey::{PasskeyAnswer, PasskeyQuestion};
use gateway::need::{AccountCheck, Accounts, Answering, Membership, NeedUnmet, Password, PasswordChange};
use pki::identity::PersonId;
use provisioning::accounts as office;
use serde::{Deserialize, Serialize};

use crate::wire::Line;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum AccountsQuestion {
    Check { login: String, password: Password },
    Change { person: PersonId, old: Password, new: Password },
    Passkey(PasskeyQuestion),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AccountsAnswer {
    Checked(AccountCheck),
    Changed(PasswordChange),
    Passkey(PasskeyAnswer),
    Failed { why: String },
}

type AccountsLine = Line<AccountsQuestion, AccountsAnswer>;

impl Accounts for AccountsLine {
    fn check(&self, login: String, password: Password) -> Answering<'_, AccountCheck> {
        Box::pin(async move {
            match asked(self, AccountsQuestion::Check { login, password }).await? {
                AccountsAnswer::Checked(check) => Ok(check),
                other => Err(odd(self, other)),
            }
        })
    }

    fn change(&self, person: PersonId, old: Password, new: Password) -> Answering<'_, PasswordChange> {
        Box::pin(async move {
            match asked(self, AccountsQuestion::Change { person, old, new }).await? {
                AccountsAnswer::Changed(change) => Ok(change),
                other => Err(odd(self, other)),
            }
        })
    }

    fn passkey(&self, question: PasskeyQuestion) -> Answering<'_, PasskeyAnswer> {
        Box::pin(async move {
            match asked(self, AccountsQuestion::Passkey(question)).await? {
                AccountsAnswer::Passkey(answer) => Ok(answer),
                other => Err(odd(self, other)),
            }
        })
    }
}

async fn asked(line: &AccountsLine, question: AccountsQuestion) -> Result<AccountsAnswer, NeedUnmet> {
    line.ask(question)
        .await
        .map_err(|fault| NeedUnmet { room: line.room().to_owned(), why: fault.to_string() })
}

fn odd(line: &AccountsLine, answer: AccountsAnswer) -> NeedUnmet {
    let why = match answer {
        AccountsAnswer::Failed { why } => why,
        _ => "an answer of another kind".to_owned(),
    };
    NeedUnmet { room: line.room().to_owned(), why }
}

/// provisioning's words in the gateway's.
pub fn told_check(check: office::AccountCheck) -> AccountCheck {
    match check {
        office::AccountCheck::Right { person, name, memberships, must_change } => AccountCheck::Right {
            person,
            name,
            memberships: memberships
                .into_iter()
                .map(|membership| Membership {
                    membership: membership.membership,
                    facility: membership.facility,
                    facility_name: membership.facility_name,
                    role: membership.role,
                })
                .collect(),
            must_change,
        },
        office::AccountCheck::Wrong => AccountCheck::Wrong,
        office::AccountCheck::Paused { seconds } => AccountCheck::Paused { seconds },
    }
}

/// provisioning's words in the gateway's; a weak password hears the catalogue's rule.
pub fn told_change(change: office::PasswordChange) -> PasswordChange {
    match change {
        office::PasswordChange::Changed => PasswordChange::Changed,
        office::PasswordChange::Wrong => PasswordChange::Wrong,
        office::PasswordChange::Weak(refusal) => {
            let trouble = refusal.trouble();
            PasswordChange::Weak { code: trouble.code, ja: trouble.ja, en: trouble.en }
        }
    }
}
