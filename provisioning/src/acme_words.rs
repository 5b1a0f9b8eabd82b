//! What is said over ACME: the directory, orders, authorizations and errors as JSON (RFC 8555 7.1, RFC 7807), and what a
//! client asks inside its signed requests. Names that the standard has and we do not use are ignored, as it says.
//! Border: JSON. Pure.

use pki::identity::TraceId;
use serde::{Deserialize, Serialize};

use crate::acme::{Kind, Pass};
use crate::door::Trouble;
use crate::jst;
use crate::jws::object;
use crate::messages_people::{PeopleMessage, Refusal};

/// The one kind of name that is ordered here (RFC 4043), and the one challenge for it (draft-acme-device-attest).
const IDENTIFIER: &str = "permanent-identifier";
const CHALLENGE: &str = "device-attest-01";

/// Where everything is: `https://claim.<zone>` and a path.
pub struct Places<'a> {
    pub base: &'a str,
}

#[derive(Serialize)]
pub struct Directory {
    #[serde(rename = "newNonce")]
    new_nonce: String,
    #[serde(rename = "newAccount")]
    new_account: String,
    #[serde(rename = "newOrder")]
    new_order: String,
    meta: Meta,
}

#[derive(Serialize)]
struct Meta {
    #[serde(rename = "externalAccountRequired")]
    external_account_required: bool,
}

#[derive(Serialize)]
pub struct AccountBody {
    pub status: &'static str,
}

#[derive(Serialize)]
struct Identifier<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    value: &'a str,
}

#[derive(Serialize)]
pub struct OrderBody<'a> {
    status: &'static str,
    expires: String,
    identifiers: [Identifier<'a>; 1],
    authorizations: [String; 1],
    finalize: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
}

#[derive(Serialize)]
pub struct AuthorizationBody<'a> {
    status: &'static str,
    expires: String,
    identifier: Identifier<'a>,
    challenges: [ChallengeBody<'a>; 1],
}

#[derive(Serialize)]
pub struct ChallengeBody<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    url: String,
    status: &'static str,
    token: &'a str,
}

/// An error in the standard's words and in ours, side by side.
#[derive(Serialize)]
pub struct ProblemBody<'a> {
    #[serde(rename = "type")]
    urn: &'static str,
    detail: String,
    status: u16,
    code: &'a str,
    ja: &'a str,
    en: &'a str,
    remedy_ja: &'a str,
    remedy_en: &'a str,
    trace: Option<TraceId>,
}

/// An order as it is told.
pub struct Told<'a> {
    pub order: &'a str,
    /// As its account ordered it.
    pub identifier: &'a str,
    pub pass: &'a Pass,
    pub challenge: &'a str,
    pub now: i64,
}

impl Places<'_> {
    pub fn account(&self, name: &str) -> String {
        format!("{}/acme/account/{name}", self.base)
    }

    /// What stands before an account's name.
    pub fn accounts(&self) -> String {
        self.account("")
    }

    pub fn order(&self, order: &str) -> String {
        format!("{}/acme/order/{order}", self.base)
    }

    pub fn directory_url(&self) -> String {
        format!("{}/acme/directory", self.base)
    }

    fn below(&self, what: &str, order: &str) -> String {
        format!("{}/acme/{what}/{order}", self.base)
    }

    pub fn directory(&self) -> Directory {
        let place = |name: &str| format!("{}/acme/{name}", self.base);
        Directory {
            new_nonce: place("new-nonce"),
            new_account: place("new-account"),
            new_order: place("new-order"),
            meta: Meta { external_account_required: false },
        }
    }

    pub fn order_body<'a>(&self, told: &Told<'a>) -> OrderBody<'a> {
        let status = told.pass.order_status(told.now);
        OrderBody {
            status,
            expires: jst::rfc3339(told.pass.valid_until),
            identifiers: [Identifier { kind: IDENTIFIER, value: told.identifier }],
            authorizations: [self.below("authorization", told.order)],
            finalize: format!("{}/finalize", self.order(told.order)),
            certificate: (status == "valid").then(|| self.below("certificate", told.order)),
        }
    }

    pub fn authorization_body<'a>(&self, told: &Told<'a>) -> AuthorizationBody<'a> {
        AuthorizationBody {
            status: told.pass.challenge_status(told.now),
            expires: jst::rfc3339(told.pass.valid_until),
            identifier: Identifier { kind: IDENTIFIER, value: told.identifier },
            challenges: [self.challenge_body(told)],
        }
    }

    pub fn challenge_body<'a>(&self, told: &Told<'a>) -> ChallengeBody<'a> {
        ChallengeBody {
            kind: CHALLENGE,
            url: self.below("challenge", told.order),
            status: told.pass.challenge_status(told.now),
            token: told.challenge,
        }
    }

    /// What a challenge's answer points up to.
    pub fn authorization(&self, order: &str) -> String {
        self.below("authorization", order)
    }
}

impl<'a> ProblemBody<'a> {
    pub fn new(kind: Kind, status: u16, trouble: &'a Trouble, trace: Option<TraceId>) -> Self {
        Self {
            urn: kind.urn(),
            detail: format!("{} {} {}", trouble.code, trouble.en, trouble.remedy_en),
            status,
            code: &trouble.code,
            ja: &trouble.ja,
            en: &trouble.en,
            remedy_ja: &trouble.remedy_ja,
            remedy_en: &trouble.remedy_en,
            trace,
        }
    }
}

/// newAccount: contacts and terms are nothing to us.
#[derive(Deserialize)]
pub struct NewAccount {
    #[serde(default, rename = "onlyReturnExisting")]
    pub only_return_existing: bool,
}

#[derive(Deserialize)]
struct NewOrder {
    identifiers: Vec<Wished>,
    #[serde(default, rename = "notBefore")]
    not_before: Option<String>,
    #[serde(default, rename = "notAfter")]
    not_after: Option<String>,
}

#[derive(Deserialize)]
struct Wished {
    #[serde(rename = "type")]
    kind: String,
    value: String,
}

/// What a device answers the challenge with: its statement, or that it cannot make one.
#[derive(Deserialize)]
pub struct ChallengeAnswer {
    #[serde(default, rename = "attObj")]
    pub statement: String,
}

#[derive(Deserialize)]
pub struct Finalize {
    pub csr: String,
}

/// A payload, or that it is none; what was sent is never repeated.
pub fn read<'a, T: Deserialize<'a>>(payload: &'a [u8], what: &str) -> Result<T, Refusal> {
    object(payload).ok_or_else(|| PeopleMessage::AcmeForm.about(format!("payload: {what}")))
}

/// The ClientIdentifier of a new order: one name of our kind, and no times, which our own rules decide.
pub fn ordered(payload: &[u8]) -> Result<String, Refusal> {
    let order: NewOrder = read(payload, "newOrder")?;
    let mut names = order.identifiers.into_iter();
    match (names.next(), names.next()) {
        (Some(name), None)
            if name.kind == IDENTIFIER && order.not_before.is_none() && order.not_after.is_none() =>
        {
            Ok(name.value)
        }
        _ => Err(PeopleMessage::AcmeIdentifier.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::acme::{Account, Stage};

    const PLACES: Places<'static> = Places { base: "https://claim.m.example.jp" };

    fn told(pass: &Pass) -> Told<'_> {
        let (order, identifier, challenge) = ("o-abc", "4976052383-x", "tok");
        Told { order, identifier, pass, challenge, now: 1_799_999_999_999 }
    }

    fn written<T: Serialize>(body: &T) -> Value {
        serde_json::to_value(body).unwrap()
    }

    #[test]
    fn an_order_is_told_with_the_standards_names() {
        let mut pass = Pass { stage: Stage::Ready(Account("a".into())), valid_until: 1_800_000_000_000 };
        let ready = written(&PLACES.order_body(&told(&pass)));
        assert_eq!(ready["status"], "ready");
        assert_eq!(
            ready["identifiers"],
            json!([{ "type": "permanent-identifier", "value": "4976052383-x" }])
        );
        assert_eq!(ready["authorizations"][0], "https://claim.m.example.jp/acme/authorization/o-abc");
        assert_eq!(ready["finalize"], "https://claim.m.example.jp/acme/order/o-abc/finalize");
        assert!(ready.get("certificate").is_none());
        let authorization = written(&PLACES.authorization_body(&told(&pass)));
        let challenge = json!({
            "type": "device-attest-01", "status": "valid", "token": "tok",
            "url": "https://claim.m.example.jp/acme/challenge/o-abc",
        });
        assert_eq!(authorization["challenges"], json!([challenge]));
        pass.stage = Stage::Valid(Account("a".into()));
        let valid = written(&PLACES.order_body(&told(&pass)));
        assert_eq!(valid["certificate"], "https://claim.m.example.jp/acme/certificate/o-abc");
        assert_eq!(written(&PLACES.directory())["newOrder"], "https://claim.m.example.jp/acme/new-order");
    }

    #[test]
    fn an_order_has_one_name_of_our_kind() {
        let name = json!({ "type": "permanent-identifier", "value": "4976052383-x" });
        let good = json!({ "identifiers": [name], "more": { "ignored": [1] } }).to_string();
        assert_eq!(ordered(good.as_bytes()).unwrap(), "4976052383-x");
        for (body, message) in [
            (json!({ "identifiers": [] }), PeopleMessage::AcmeIdentifier),
            (json!({ "identifiers": [name, name] }), PeopleMessage::AcmeIdentifier),
            (json!({ "identifiers": [{ "type": "dns", "value": "x" }] }), PeopleMessage::AcmeIdentifier),
            (
                json!({ "identifiers": [name], "notAfter": "2099-01-01T00:00:00Z" }),
                PeopleMessage::AcmeIdentifier,
            ),
            (json!({ "identifiers": name }), PeopleMessage::AcmeForm),
            (
                json!({ "identifiers": [{ "type": "permanent-identifier", "value": 7 }] }),
                PeopleMessage::AcmeForm,
            ),
            (json!([[name]]), PeopleMessage::AcmeForm),
            (json!({}), PeopleMessage::AcmeForm),
        ] {
            assert_eq!(ordered(body.to_string().as_bytes()).unwrap_err().message, message, "{body}");
        }
        let secret = br#"{"identifiers":[{"type":"permanent-identifier","value":"himitsu""#;
        let refusal = ordered(secret).unwrap_err();
        assert!(!refusal.to_string().contains("himitsu"));
    }

    /// As real devices answer: with a statement, with an empty object, or with why there is none.
    #[test]
    fn a_challenge_is_answered_in_three_ways() {
        for (payload, statement) in
            [("{}", ""), (r#"{"attObj":"e30"}"#, "e30"), (r#"{"error":"unavailable"}"#, "")]
        {
            let answer: ChallengeAnswer = read(payload.as_bytes(), "challenge").unwrap();
            assert_eq!(answer.statement, statement);
        }
    }
}
