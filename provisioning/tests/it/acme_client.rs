//! The other half of ACME: signs as a client does, or as a forger would. One key, one slot; nonces from the last answer.

use std::cell::RefCell;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use axum::body::Body;
use data_encoding::BASE64URL_NOPAD;
use http::Request;
use serde_json::{Value, json};
use vpn::slot::SlotNumber;

use super::town::{Answer, Town};

pub struct Client<'a> {
    town: &'a Town,
    pub place: SlotNumber,
    key: EcdsaKeyPair,
    nonce: RefCell<Option<String>>,
}

/// How a request says whose it is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum By {
    Jwk,
    Kid,
}

impl<'a> Client<'a> {
    pub fn new(town: &'a Town, place: SlotNumber) -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap();
        Self::with_key(town, place, key)
    }

    /// The same device after somebody restarted.
    pub fn with_key(town: &'a Town, place: SlotNumber, key: EcdsaKeyPair) -> Self {
        Self { town, place, key, nonce: RefCell::new(None) }
    }

    pub fn into_key(self) -> EcdsaKeyPair {
        self.key
    }

    pub fn url(&self, path: &str) -> String {
        format!("https://claim.{}{path}", self.town.config.zone)
    }

    pub fn jwk(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let half = |at: usize| BASE64URL_NOPAD.encode(&point[at..at + 32]);
        json!({ "kty": "EC", "crv": "P-256", "x": half(1), "y": half(33) })
    }

    pub fn kid(&self) -> String {
        let name = BASE64URL_NOPAD.encode(&self.key.public_key().as_ref()[1..]);
        self.url(&format!("/acme/account/{name}"))
    }

    /// The nonce of the last answer, or a new one.
    pub async fn nonce(&self) -> String {
        if let Some(nonce) = self.nonce.borrow_mut().take() {
            return nonce;
        }
        let answer = self.get("/acme/new-nonce").await;
        answer.headers["replay-nonce"].to_str().unwrap().to_owned()
    }

    pub async fn get(&self, path: &str) -> Answer {
        let request = Request::get(path).header("mimamori-visitor", self.visitor()).body(Body::empty());
        self.town.send(request.unwrap()).await
    }

    pub async fn head(&self, path: &str) -> Answer {
        let request = Request::head(path).header("mimamori-visitor", self.visitor()).body(Body::empty());
        self.town.send(request.unwrap()).await
    }

    fn visitor(&self) -> String {
        format!("v1;slot={};class=enrolling", self.place)
    }

    /// The protected header that a client would make.
    pub async fn header(&self, path: &str, by: By) -> Value {
        let mut header = json!({ "alg": "ES256", "nonce": self.nonce().await, "url": self.url(path) });
        match by {
            By::Jwk => header["jwk"] = self.jwk(),
            By::Kid => header["kid"] = json!(self.kid()),
        }
        header
    }

    pub fn sign(&self, header: &Value, payload: &str) -> String {
        let protected = BASE64URL_NOPAD.encode(header.to_string().as_bytes());
        let payload = BASE64URL_NOPAD.encode(payload.as_bytes());
        let message = format!("{protected}.{payload}");
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        json!({ "protected": protected, "payload": payload, "signature": signature }).to_string()
    }

    /// Sends what somebody signed; remembers the next nonce.
    pub async fn send(&self, path: &str, body: String) -> Answer {
        let request = Request::post(path)
            .header("mimamori-visitor", self.visitor())
            .header("content-type", "application/jose+json")
            .body(Body::from(body));
        let answer = self.town.send(request.unwrap()).await;
        let next = answer.headers.get("replay-nonce").map(|nonce| nonce.to_str().unwrap().to_owned());
        *self.nonce.borrow_mut() = next;
        answer
    }

    pub async fn post(&self, path: &str, by: By, payload: &str) -> Answer {
        let header = self.header(path, by).await;
        self.send(path, self.sign(&header, payload)).await
    }

    pub async fn account(&self) -> Answer {
        self.post("/acme/new-account", By::Jwk, r#"{"termsOfServiceAgreed":true}"#).await
    }

    pub async fn order(&self, identifier: &str) -> Answer {
        let name = json!({ "type": "permanent-identifier", "value": identifier });
        self.post("/acme/new-order", By::Kid, &json!({ "identifiers": [name] }).to_string()).await
    }

    /// POST-as-GET.
    pub async fn read(&self, path: &str) -> Answer {
        self.post(path, By::Kid, "").await
    }

    pub async fn finalize(&self, order: &str, request: &[u8]) -> Answer {
        let payload = json!({ "csr": BASE64URL_NOPAD.encode(request) }).to_string();
        self.post(&format!("/acme/order/{order}/finalize"), By::Kid, &payload).await
    }
}

/// The order's name in an answer.
pub fn order_of(answer: &Answer) -> String {
    let place = answer.headers["location"].to_str().unwrap();
    place.rsplit('/').next().unwrap().to_owned()
}
