//! What a browser sends about passkeys, and what its script is told to ask the authenticator. A border file; pure.

use pki::identity::{MembershipId, PersonId};
use serde::{Deserialize, Serialize};

use super::{Fields, PASSWORD_MAX, Spoken, Unreadable};
use crate::need::Password;

/// Octets as text: the standard's longest name of a credential, a key of 4096 bits and what comes with it.
const OCTETS_MAX: usize = 4 * 1024;
/// A person's word for a thing, in UTF-8.
const LABEL_MAX: usize = 200;

/// The script asks for a new key's question; the password is given again.
#[derive(Deserialize)]
pub struct AskOffer {
    pub password: Password,
}

/// What the authenticator is asked when it shall make a key.
#[derive(Debug, Serialize)]
pub struct OfferTold {
    pub challenge: String,
    pub rp: String,
    pub realm: String,
    pub person: PersonId,
    pub login: String,
    pub name: String,
    pub held: Vec<String>,
    pub timeout_ms: u64,
}

/// And when it shall sign in.
#[derive(Debug, Serialize)]
pub struct ChallengeTold {
    pub challenge: String,
    pub rp: String,
    pub timeout_ms: u64,
}

#[derive(Deserialize)]
pub struct NewPasskey {
    pub label: String,
    pub challenge: String,
    pub client_data: String,
    pub attestation: String,
}

#[derive(Deserialize)]
pub struct OldPasskey {
    pub credential: String,
}

#[derive(Deserialize)]
pub struct PasskeySignIn {
    pub challenge: String,
    pub credential: String,
    pub person: Option<String>,
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
    pub membership: Option<MembershipId>,
}

impl AskOffer {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form: Self = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => Self { password: Fields::read(body)?.password("password") },
        };
        if form.password.expose().len() <= PASSWORD_MAX { Ok(form) } else { Err(Unreadable) }
    }
}

impl NewPasskey {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form: Self = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => {
                let mut fields = Fields::read(body)?;
                let mut take = |name| fields.take(name).map(|text| text.to_string()).unwrap_or_default();
                Self {
                    label: take("label"),
                    challenge: take("challenge"),
                    client_data: take("client_data"),
                    attestation: take("attestation"),
                }
            }
        };
        let octets = [&form.challenge, &form.client_data, &form.attestation];
        let fits = octets.into_iter().all(|text| text.len() <= OCTETS_MAX) && form.label.len() <= LABEL_MAX;
        if fits { Ok(form) } else { Err(Unreadable) }
    }
}

impl OldPasskey {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form: Self = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => {
                Self { credential: Fields::read(body)?.take("credential").ok_or(Unreadable)?.to_string() }
            }
        };
        if form.credential.len() <= OCTETS_MAX { Ok(form) } else { Err(Unreadable) }
    }
}

impl PasskeySignIn {
    pub fn read(spoken: Spoken, body: &[u8]) -> Result<Self, Unreadable> {
        let form: Self = match spoken {
            Spoken::Json => serde_json::from_slice(body).map_err(|_| Unreadable)?,
            Spoken::Form => {
                let mut fields = Fields::read(body)?;
                let person = fields.take("person").map(|text| text.to_string());
                let mut take = |name| fields.take(name).map(|text| text.to_string()).unwrap_or_default();
                Self {
                    challenge: take("challenge"),
                    credential: take("credential"),
                    person,
                    client_data: take("client_data"),
                    authenticator_data: take("authenticator_data"),
                    signature: take("signature"),
                    membership: None,
                }
            }
        };
        let octets =
            [&form.challenge, &form.credential, &form.client_data, &form.authenticator_data, &form.signature];
        let known = form.person.iter().chain(octets).all(|text| text.len() <= OCTETS_MAX);
        if known { Ok(form) } else { Err(Unreadable) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_and_json_mean_the_same() {
        let json = br#"{"challenge":"a","credential":"b","client_data":"c","authenticator_data":"d","signature":"e"}"#;
        let form = b"challenge=a&credential=b&person=&client_data=c&authenticator_data=d&signature=e";
        for (spoken, body) in [(Spoken::Json, &json[..]), (Spoken::Form, &form[..])] {
            let read = PasskeySignIn::read(spoken, body).unwrap();
            let all = [&read.challenge, &read.credential, &read.client_data, &read.authenticator_data];
            assert_eq!((all.map(String::as_str), read.signature.as_str()), (["a", "b", "c", "d"], "e"));
            assert!(read.person.is_none() && read.membership.is_none());
        }
        let long = format!("challenge={}", "x".repeat(OCTETS_MAX + 1));
        assert!(PasskeySignIn::read(Spoken::Form, long.as_bytes()).is_err());
        assert!(NewPasskey::read(Spoken::Form, long.as_bytes()).is_err());
        assert!(OldPasskey::read(Spoken::Form, b"").is_err());
    }
}
