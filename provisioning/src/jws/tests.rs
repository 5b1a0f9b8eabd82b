//! Signed requests and their forgers. The signer here is aws-lc-rs's other half; openssl's signs in `tests/it/acme.rs`.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const URL: &str = "https://claim.m.example.jp/acme/new-order";
const ACCOUNTS: &str = "https://claim.m.example.jp/acme/account/";

struct Client(EcdsaKeyPair);

impl Client {
    fn new() -> Self {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).unwrap())
    }

    fn key(&self) -> AccountKey {
        AccountKey(self.0.public_key().as_ref()[1..].try_into().unwrap())
    }

    fn jwk(&self) -> Value {
        let point = self.0.public_key().as_ref();
        let half = |at: usize| BASE64URL_NOPAD.encode(&point[at..at + 32]);
        json!({ "kty": "EC", "crv": "P-256", "x": half(1), "y": half(33) })
    }

    fn header(&self) -> Value {
        json!({ "alg": "ES256", "nonce": "abc-_1", "url": URL, "jwk": self.jwk() })
    }

    fn sign(&self, header: &str, payload: &str) -> Vec<u8> {
        let (protected, payload) =
            (BASE64URL_NOPAD.encode(header.as_bytes()), BASE64URL_NOPAD.encode(payload.as_bytes()));
        let message = format!("{protected}.{payload}");
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).unwrap();
        let signature = BASE64URL_NOPAD.encode(signature.as_ref());
        json!({ "protected": protected, "payload": payload, "signature": signature }).to_string().into_bytes()
    }
}

fn fault(body: &[u8]) -> JwsFault {
    read(body, URL, ACCOUNTS).err().unwrap_or_else(|| panic!("{} was read", String::from_utf8_lossy(body)))
}

#[test]
fn a_request_is_read_by_its_key_and_by_its_account() {
    let client = Client::new();
    let by_key = read(&client.sign(&client.header().to_string(), "{}"), URL, ACCOUNTS).unwrap();
    assert_eq!((by_key.key, by_key.by, by_key.nonce.as_str()), (client.key(), By::Jwk, "abc-_1"));
    assert_eq!(by_key.payload, b"{}");
    let kid = format!("{ACCOUNTS}{}", client.key().name());
    // As Apple's own writer of JSON has it: slashes escaped, and a name that nobody here knows.
    let header = format!(
        "{{\"alg\":\"ES256\",\"typ\":\"JWS\",\"nonce\":\"n\",\"url\":\"{}\",\"kid\":\"{}\"}}",
        URL.replace('/', "\\/"),
        kid.replace('/', "\\/")
    );
    let by_account = read(&client.sign(&header, ""), URL, ACCOUNTS).unwrap();
    assert_eq!((by_account.key, by_account.by), (client.key(), By::Kid));
    assert!(by_account.payload.is_empty(), "POST-as-GET");
    assert_eq!(AccountKey::parse(&client.key().name()), Some(client.key()));
}

/// RFC 7638, for the key of RFC 7517 A.1 (P-256); the value was computed with openssl.
#[test]
fn a_thumbprint_is_over_the_canonical_form() {
    let jwk = Jwk {
        kty: "EC".into(),
        crv: "P-256".into(),
        x: "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4".into(),
        y: "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM".into(),
        d: None,
    };
    let key = AccountKey::from_jwk(&jwk).unwrap();
    assert_eq!(key.thumbprint(), "cn-I_WNMClehiVp51i_0VpOENW1upEerA8sEam5hn-s");
}

/// The attacker's table: one change each, and nothing of it is read.
#[test]
fn what_is_not_exactly_a_request_for_here_is_refused() {
    let client = Client::new();
    let changed = |name: &str, value: Value| {
        let mut header = client.header();
        header[name] = value;
        fault(&client.sign(&header.to_string(), "{}"))
    };
    for alg in ["none", "HS256", "RS256", "ES384", "es256", "ES256K", ""] {
        assert_eq!(changed("alg", json!(alg)), JwsFault::Algorithm, "{alg}");
    }
    for url in [
        "https://claim.m.example.jp/acme/new-account",
        "http://claim.m.example.jp/acme/new-order",
        "https://claim.m.example.jp/acme/new-order/",
        "https://claim.m.example.jp:443/acme/new-order",
        "https://CLAIM.m.example.jp/acme/new-order",
        "/acme/new-order",
        "",
    ] {
        assert_eq!(changed("url", json!(url)), JwsFault::Url, "{url}");
    }
    let kid = format!("{ACCOUNTS}{}", client.key().name());
    assert!(matches!(changed("kid", json!(kid)), JwsFault::Form(_)), "jwk and kid");
    assert!(matches!(changed("jwk", Value::Null), JwsFault::Form(_)), "neither");
    assert!(matches!(changed("crit", json!(["b64"])), JwsFault::Form(_)));
    assert!(matches!(changed("b64", json!(false)), JwsFault::Form(_)));
    for nonce in [json!(""), json!("a b"), json!("a=="), json!("a".repeat(65)), json!(7), json!("\u{e9}")] {
        assert!(matches!(changed("nonce", nonce.clone()), JwsFault::Form(_)), "{nonce}");
    }
    let other = Client::new();
    assert_eq!(changed("jwk", other.jwk()), JwsFault::Signature, "somebody else's key");
    for (name, value) in [
        ("kty", json!("RSA")),
        ("kty", json!("oct")),
        ("crv", json!("P-384")),
        ("x", json!("")),
        ("x", json!("AAAA")),
        ("x", json!(BASE64URL_NOPAD.encode(&[7; 32]))),
        ("y", json!("A".repeat(1_000))),
        ("d", json!("AAAA")),
    ] {
        let mut jwk = client.jwk();
        jwk[name] = value;
        assert_eq!(changed("jwk", jwk), JwsFault::Key, "{name}");
    }
    assert!(matches!(changed("more", json!("A".repeat(5_000))), JwsFault::Form(_)), "a giant header");
}

#[test]
fn an_account_is_one_of_ours_in_its_one_spelling() {
    let client = Client::new();
    let name = client.key().name();
    let longer = format!("{name}A");
    let elsewhere = format!("https://evil.example/acme/account/{name}");
    let below = format!("{ACCOUNTS}{name}/");
    let (empty, off_curve) = (ACCOUNTS.to_owned(), format!("{ACCOUNTS}{}", "A".repeat(86)));
    for kid in [name.clone(), elsewhere, below, empty, format!("{ACCOUNTS}{longer}"), off_curve] {
        let header = json!({ "alg": "ES256", "nonce": "n", "url": URL, "kid": kid });
        assert_eq!(fault(&client.sign(&header.to_string(), "")), JwsFault::Account, "{kid}");
    }
    let other = format!("{ACCOUNTS}{}", Client::new().key().name());
    let header = json!({ "alg": "ES256", "nonce": "n", "url": URL, "kid": other });
    assert_eq!(fault(&client.sign(&header.to_string(), "")), JwsFault::Signature);
}

#[test]
fn the_form_is_one_flattened_object_and_nothing_said_twice() {
    let client = Client::new();
    let good = String::from_utf8(client.sign(&client.header().to_string(), "{}")).unwrap();
    let parts: Value = serde_json::from_str(&good).unwrap();
    let part = |name: &str| parts[name].as_str().unwrap().to_owned();
    let (protected, payload, signature) = (part("protected"), part("payload"), part("signature"));
    let whole = |protected: &str, payload: &str, signature: &str| {
        json!({ "protected": protected, "payload": payload, "signature": signature }).to_string()
    };
    let more = |name: &str, value: Value| {
        let mut parts = parts.clone();
        parts[name] = value;
        parts.to_string()
    };
    let twice = good.replacen('{', &format!("{{\"payload\":\"{payload}\","), 1);
    let header_twice = format!("{{\"alg\":\"none\",{}", &client.header().to_string()[1..]);
    let nested = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (name, body) in [
        ("empty", String::new()),
        ("a list", "[]".into()),
        ("its values in a list", json!([protected, payload, signature]).to_string()),
        ("compact", format!("{protected}.{payload}.{signature}")),
        ("general", json!({ "payload": payload, "signatures": [] }).to_string()),
        ("an unprotected header", more("header", json!({ "alg": "none" }))),
        ("something else", more("x", json!(1))),
        ("no payload", json!({ "protected": protected, "signature": signature }).to_string()),
        ("a payload of null", more("payload", Value::Null)),
        ("the payload twice", twice),
        ("trailing text", format!("{good}{{}}")),
        ("padding", whole(&format!("{protected}="), &payload, &signature)),
        ("base64 of the other kind", whole(&protected, "e30+", &signature)),
        ("bits behind the end", whole(&protected, "e31", &signature)),
        ("a nested nothing", nested.clone()),
        ("a giant", whole(&protected, &"A".repeat(REQUEST_MAX), &signature)),
        ("a giant header", whole(&"A".repeat(4_000), &payload, &signature)),
        ("a header twice", String::from_utf8(client.sign(&header_twice, "{}")).unwrap()),
        ("a nested header", String::from_utf8(client.sign(&"[".repeat(1_000), "{}")).unwrap()),
    ] {
        assert!(matches!(fault(body.as_bytes()), JwsFault::Form(_)), "{name}");
    }
    for (name, signature) in [
        ("none", String::new()),
        ("half", signature[..40].to_owned()),
        ("zeros", BASE64URL_NOPAD.encode(&[0; 64])),
    ] {
        assert_eq!(fault(whole(&protected, &payload, &signature).as_bytes()), JwsFault::Signature, "{name}");
    }
    let der = BASE64URL_NOPAD.encode(&[0x30; 70]);
    assert!(matches!(fault(whole(&protected, &payload, &der).as_bytes()), JwsFault::Form(_)), "too long");
    assert_eq!(
        fault(whole(&protected, "e30x", &signature).as_bytes()),
        JwsFault::Signature,
        "another payload"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]

    #[test]
    fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(read(&bytes, URL, ACCOUNTS).is_err());
    }

    /// Whatever octet changes, it is another request: refused, or (in white space of JSON) the same one.
    #[test]
    fn a_request_with_one_octet_changed_says_nothing_else(at in any::<prop::sample::Index>(), flip in 1u8..=255) {
        let client = Client::new();
        let good = client.sign(&client.header().to_string(), "{\"a\":1}");
        let mut bad = good.clone();
        let at = at.index(bad.len());
        bad[at] ^= flip;
        if let Ok(read) = read(&bad, URL, ACCOUNTS) {
            prop_assert_eq!(read.payload, b"{\"a\":1}".to_vec());
            prop_assert_eq!(read.key, client.key());
        }
    }

    #[test]
    fn an_account_has_one_name(name in "[A-Za-z0-9_-]{80,90}") {
        if let Some(key) = AccountKey::parse(&name) {
            prop_assert_eq!(key.name(), name);
        }
    }
}
