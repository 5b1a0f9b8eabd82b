//! A signed request of ACME (RFC 8555 6.2, RFC 7515): one flattened JSON object, ES256 and nothing else, for this very URL,
//! by a key that stands in it or in the name of its account. An account is its key: nothing is stored for one, and no
//! flood of accounts fills anything. What has another form is refused, not mended. Border: JSON in. Pure.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey, UnparsedPublicKey};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A whole request: an attestation of 16 KiB, in base64 in JSON in base64, and a header.
pub const REQUEST_MAX: usize = 40 * 1024;
/// Algorithm, nonce, two URLs or a key: 600 octets as a rule.
const HEADER_MAX: usize = 2 * 1024;
/// What is left of a request, unpacked.
const PAYLOAD_MAX: usize = 30 * 1024;
/// Two coordinates of P-256, and two halves of a signature.
const PAIR: usize = 64;
/// Longest nonce of ours, with room.
const NONCE_MAX: usize = 64;

/// Why a request is not read. The attacker learns what every client's author needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JwsFault {
    #[error("{0}")]
    Form(&'static str),
    #[error("alg is not ES256")]
    Algorithm,
    #[error("the key is not a point of P-256")]
    Key,
    #[error("signed for another url")]
    Url,
    #[error("kid is not an account of this server")]
    Account,
    #[error("the signature does not fit")]
    Signature,
}

/// Whose key signed: one that the request brings, or an account's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    Jwk,
    Kid,
}

/// A point of P-256: x and y.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountKey([u8; PAIR]);

/// A request whose signature fits. Only made by `read`; its nonce is still to be taken. Its payload may hold a secret.
pub struct Signed {
    pub key: AccountKey,
    pub by: By,
    pub nonce: String,
    pub payload: Vec<u8>,
}

/// Neither an unprotected header nor several signatures: RFC 8555 forbids both.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened<'a> {
    protected: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// Names that RFC 7515 would have us understand (`crit`), or that change what is signed (`b64`), are refused below; others
/// are ignored, as it says.
#[derive(Deserialize)]
struct Header {
    alg: String,
    nonce: String,
    url: String,
    #[serde(default)]
    kid: Option<String>,
    #[serde(default)]
    jwk: Option<Jwk>,
    #[serde(default)]
    crit: Option<IgnoredAny>,
    #[serde(default)]
    b64: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(default)]
    crv: String,
    #[serde(default)]
    x: String,
    #[serde(default)]
    y: String,
    /// Who sends a private key has made a mistake that must not work.
    #[serde(default)]
    d: Option<IgnoredAny>,
}

impl AccountKey {
    fn from_jwk(jwk: &Jwk) -> Result<Self, JwsFault> {
        if jwk.kty != "EC" || jwk.crv != "P-256" || jwk.d.is_some() {
            return Err(JwsFault::Key);
        }
        let half = |text: &str| -> Option<[u8; PAIR / 2]> {
            if text.len() > PAIR {
                None
            } else {
                BASE64URL_NOPAD.decode(text.as_bytes()).ok()?.try_into().ok()
            }
        };
        let (x, y) = half(&jwk.x).zip(half(&jwk.y)).ok_or(JwsFault::Key)?;
        let mut pair = [0; PAIR];
        pair[..PAIR / 2].copy_from_slice(&x);
        pair[PAIR / 2..].copy_from_slice(&y);
        Self(pair).on_the_curve().ok_or(JwsFault::Key)
    }

    /// Out of an account's name; each key has one.
    pub fn parse(name: &str) -> Option<Self> {
        if name.len() > 2 * PAIR {
            return None;
        }
        let pair: [u8; PAIR] = BASE64URL_NOPAD.decode(name.as_bytes()).ok()?.try_into().ok()?;
        Self(pair).on_the_curve()
    }

    /// The account's name in URLs.
    pub fn name(&self) -> String {
        BASE64URL_NOPAD.encode(&self.0)
    }

    /// RFC 7638: by which an order knows whose it is.
    pub fn thumbprint(&self) -> String {
        let (x, y) = self.0.split_at(PAIR / 2);
        let (x, y) = (BASE64URL_NOPAD.encode(x), BASE64URL_NOPAD.encode(y));
        let canonical = format!("{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":\"{x}\",\"y\":\"{y}\"}}");
        BASE64URL_NOPAD.encode(digest(&SHA256, canonical.as_bytes()).as_ref())
    }

    fn point(&self) -> [u8; PAIR + 1] {
        let mut point = [4; PAIR + 1];
        point[1..].copy_from_slice(&self.0);
        point
    }

    fn on_the_curve(self) -> Option<Self> {
        ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.point()[..]).is_ok().then_some(self)
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == PAIR
            && UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.point())
                .verify(message, signature)
                .is_ok()
    }
}

/// Reads one request. `url` is where it came to, `accounts` what stands before an account's name.
pub fn read(body: &[u8], url: &str, accounts: &str) -> Result<Signed, JwsFault> {
    if body.len() > REQUEST_MAX {
        return Err(JwsFault::Form("longer than 40 KiB"));
    }
    let whole: Flattened<'_> = object(body).ok_or(JwsFault::Form("not a flattened JWS"))?;
    let header = unpacked(whole.protected, HEADER_MAX, "protected")?;
    let header: Header = object(&header).ok_or(JwsFault::Form("the protected header cannot be read"))?;
    if header.alg != "ES256" {
        return Err(JwsFault::Algorithm);
    }
    if header.crit.is_some() || header.b64.is_some() {
        return Err(JwsFault::Form("crit and b64 are not understood"));
    }
    if header.url != url {
        return Err(JwsFault::Url);
    }
    let nonce_fits = (1..=NONCE_MAX).contains(&header.nonce.len()) && header.nonce.bytes().all(is_base64url);
    if !nonce_fits {
        return Err(JwsFault::Form("the nonce has another form"));
    }
    let (key, by) = match (&header.jwk, &header.kid) {
        (Some(jwk), None) => (AccountKey::from_jwk(jwk)?, By::Jwk),
        (None, Some(kid)) => {
            let name = kid.strip_prefix(accounts).ok_or(JwsFault::Account)?;
            (AccountKey::parse(name).ok_or(JwsFault::Account)?, By::Kid)
        }
        _ => return Err(JwsFault::Form("exactly one of jwk and kid")),
    };
    let payload = unpacked(whole.payload, PAYLOAD_MAX, "payload")?;
    let signature = unpacked(whole.signature, PAIR, "signature")?;
    let signed = [whole.protected.as_bytes(), b".", whole.payload.as_bytes()].concat();
    if !key.verifies(&signed, &signature) {
        return Err(JwsFault::Signature);
    }
    Ok(Signed { key, by, nonce: header.nonce, payload })
}

/// An object with its names: what reads structs would take a list of their values, too.
pub fn object<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    let first = bytes.iter().find(|octet| !octet.is_ascii_whitespace())?;
    if *first == b'{' { serde_json::from_slice(bytes).ok() } else { None }
}

/// base64url without padding, in its one form, no longer than `most` unpacked.
fn unpacked(text: &str, most: usize, what: &'static str) -> Result<Vec<u8>, JwsFault> {
    if text.len() / 4 * 3 > most {
        return Err(JwsFault::Form(what));
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwsFault::Form(what))
}

fn is_base64url(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_'
}

#[cfg(test)]
mod tests;
