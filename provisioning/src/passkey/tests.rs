//! Each thing that is checked, wrong by itself.

#[path = "../../tests/it/authenticator.rs"]
mod authenticator;

use authenticator::{Authenticator, GOOD, ORIGIN, RP, attestation};

use super::*;

const CHALLENGE: [u8; 32] = [7; 32];
const ASKED: Asked<'_> = Asked { challenge: &CHALLENGE, origin: ORIGIN, rp: RP };

fn registered(authenticator: &Authenticator) -> Registered {
    let (client_data, object) = authenticator.makes(&CHALLENGE);
    register(ASKED, &client_data, &object).unwrap()
}

fn checked(authenticator: &mut Authenticator, held: &Registered) -> Result<u32, PasskeyFault> {
    let (client_data, data, signature) = authenticator.says(&CHALLENGE);
    let said = Said { client_data: &client_data, authenticator_data: &data, signature: &signature };
    check(ASKED, &kept(held), &said)
}

fn kept(held: &Registered) -> Held<'_> {
    Held { key: &held.key, counter: held.counter, portable: held.portable }
}

#[test]
fn every_kind_of_key_that_is_asked_for_registers_and_signs_in() {
    for mut authenticator in
        [Authenticator::new(b"one"), Authenticator::ed25519(b"two"), Authenticator::rsa(b"three")]
    {
        let held = registered(&authenticator);
        assert_eq!((&held.credential, held.counter), (&authenticator.credential, 1));
        assert_eq!(checked(&mut authenticator, &held), Ok(2));
        let mut other = Authenticator::new(b"one");
        assert_eq!(checked(&mut other, &held), Err(PasskeyFault::Signature), "another's key");
    }
}

/// W3C WebAuthn, 7.1: what a registration must say.
#[test]
fn a_registration_that_says_anything_else_is_refused() {
    let wrong = |change: fn(&mut Authenticator)| {
        let mut authenticator = Authenticator::new(b"one");
        change(&mut authenticator);
        let (client_data, object) = authenticator.makes(&CHALLENGE);
        register(ASKED, &client_data, &object).unwrap_err()
    };
    assert_eq!(wrong(|a| a.rp = "office.mimamori.example.jp".into()), PasskeyFault::Name);
    assert_eq!(wrong(|a| a.origin = "https://office.mimamori.example.jp".into()), PasskeyFault::Origin);
    assert_eq!(wrong(|a| a.origin = format!("{ORIGIN}:443")), PasskeyFault::Origin);
    assert_eq!(wrong(|a| a.flags = 0x01), PasskeyFault::Unverified, "nobody was verified");
    assert_eq!(wrong(|a| a.flags = 0x04), PasskeyFault::Unverified, "nobody was there");
    assert_eq!(wrong(|a| a.flags = GOOD | COPIED), PasskeyFault::Authenticator);
    assert_eq!(wrong(|a| a.flags = GOOD | HAS_EXTENSIONS), PasskeyFault::Authenticator);
    assert_eq!(wrong(|a| a.credential = vec![]), PasskeyFault::Authenticator);
    assert_eq!(wrong(|a| a.credential = vec![1; CREDENTIAL_MAX + 1]), PasskeyFault::Authenticator);
    let authenticator = Authenticator::new(b"one");
    let (client_data, object) = authenticator.makes(&CHALLENGE);
    let other = Asked { challenge: &[8; 32], ..ASKED };
    assert_eq!(register(other, &client_data, &object), Err(PasskeyFault::Challenge));
    let get = authenticator.client_data("webauthn.get", &CHALLENGE);
    assert_eq!(register(ASKED, &get, &object), Err(PasskeyFault::Act));
    for framed in [r#","crossOrigin":true}"#, r#","topOrigin":"https://evil.example"}"#] {
        let text = String::from_utf8(client_data.clone()).unwrap();
        let text = text.replace(r#","crossOrigin":false}"#, framed);
        assert_eq!(register(ASKED, text.as_bytes(), &object), Err(PasskeyFault::Origin), "{framed}");
    }
    let padded = [&object[..], &[0]].concat();
    assert_eq!(register(ASKED, &client_data, &padded), Err(PasskeyFault::Authenticator));
    assert_eq!(register(ASKED, b"{", &object), Err(PasskeyFault::ClientData));
    assert_eq!(register(ASKED, &vec![b' '; 4096], &object), Err(PasskeyFault::ClientData));
}

#[test]
fn only_keys_that_can_verify_something_are_kept() {
    let authenticator = Authenticator::new(b"one");
    let register = |key: &[u8]| {
        let data = [&authenticator.head(GOOD | HAS_KEY)[..], &[0; 16], &[0, 3], b"one", key].concat();
        let client_data = authenticator.client_data("webauthn.create", &CHALLENGE);
        register(ASKED, &client_data, &attestation(&data))
    };
    let good = authenticator.cose();
    assert!(register(&good).is_ok());
    let mut off_the_curve = good.clone();
    off_the_curve[10..42].fill(0xff);
    let mut other_curve = good.clone();
    other_curve[6] = 2;
    let mut other_algorithm = good.clone();
    other_algorithm[4] = 0x27;
    for wrong in [off_the_curve, other_curve, other_algorithm, vec![0xa0], vec![0]] {
        assert_eq!(register(&wrong), Err(PasskeyFault::Key));
    }
    assert_eq!(register(&good[..good.len() - 1]), Err(PasskeyFault::Key));
    assert_eq!(register(&[&good[..], &[0]].concat()), Err(PasskeyFault::Authenticator));
}

/// W3C WebAuthn, 7.2: what a sign-in must say.
#[test]
fn a_sign_in_that_says_anything_else_is_refused() {
    let wrong = |change: fn(&mut Authenticator)| {
        let mut authenticator = Authenticator::new(b"one");
        let held = registered(&authenticator);
        change(&mut authenticator);
        checked(&mut authenticator, &held).unwrap_err()
    };
    assert_eq!(wrong(|a| a.rp = "office.mimamori.example.jp".into()), PasskeyFault::Name);
    assert_eq!(wrong(|a| a.origin = "https://evil.example".into()), PasskeyFault::Origin);
    assert_eq!(wrong(|a| a.flags = 0x01), PasskeyFault::Unverified);
    assert_eq!(wrong(|a| a.flags = GOOD | PORTABLE), PasskeyFault::Portable);
    assert_eq!(wrong(|a| a.flags = GOOD | HAS_KEY), PasskeyFault::Authenticator);
    let mut authenticator = Authenticator::new(b"one");
    let held = registered(&authenticator);
    let (client_data, data, signature) = authenticator.says(&CHALLENGE);
    let say = |client_data: &[u8], authenticator_data: &[u8], signature: &[u8]| {
        check(ASKED, &kept(&held), &Said { client_data, authenticator_data, signature })
    };
    assert_eq!(say(&client_data, &data, &signature), Ok(2));
    assert_eq!(say(&client_data, &data, &signature[1..]), Err(PasskeyFault::Signature));
    let mut louder = data.clone();
    louder[36] += 1;
    assert_eq!(say(&client_data, &louder, &signature), Err(PasskeyFault::Signature), "the counter is signed");
    let reworded = [&client_data[..client_data.len() - 1], br#","x":1}"#].concat();
    assert_eq!(say(&reworded, &data, &signature), Err(PasskeyFault::Signature), "and the browser's words");
}

#[test]
fn a_counter_goes_forward_or_stays_at_nothing() {
    let mut authenticator = Authenticator::new(b"one");
    authenticator.counter = 9;
    let held = registered(&authenticator);
    for (before, told) in [(8, Err(PasskeyFault::Counter)), (7, Err(PasskeyFault::Counter)), (9, Ok(10))] {
        authenticator.counter = before;
        assert_eq!(checked(&mut authenticator, &held), told, "{before}");
    }
    let never = Registered { counter: 0, ..held };
    let (client_data, data, signature) = {
        // What phones say, which never count.
        authenticator.counter = 0;
        let client_data = authenticator.client_data("webauthn.get", &CHALLENGE);
        let data = authenticator.head(GOOD);
        let signature = authenticator.signs(&data, &client_data);
        (client_data, data, signature)
    };
    let said = Said { client_data: &client_data, authenticator_data: &data, signature: &signature };
    assert_eq!(check(ASKED, &kept(&never), &said), Ok(0));
}
