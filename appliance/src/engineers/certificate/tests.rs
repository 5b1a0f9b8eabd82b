//! Certificates of stock ssh-keygen, and what an attacker would make of them: none of these opens anything.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use proptest::prelude::*;

use super::super::rescue::{ASKED_MS, Asked, NotOpened, Wanted, second};
use super::*;

/// Ed25519, P-256 and P-384; they have signed the first three in turn, and the first one a host's.
const AUTHORITIES: &str = include_str!("../stock/authorities");
const CERTIFICATES: &str = include_str!("../stock/certificates");
/// 2026-11-21; they are good from 2026 to 2036.
const NOW: u64 = 1_795_219_200;

#[test]
fn what_stock_ssh_keygen_signed_is_read_and_verified() {
    let certificates: Vec<&str> = CERTIFICATES.lines().collect();
    for certificate in &certificates[..3] {
        let person = Person::of(certificate, AUTHORITIES, NOW).unwrap();
        assert_eq!(person.name, "kato@example.jp");
    }
    let of = |at: usize, authorities: &str, now| Person::of(certificates[at], authorities, now);
    assert_eq!(of(3, AUTHORITIES, NOW), Err(NotOne::NotNow), "a host's certificate");
    assert_eq!(of(0, AUTHORITIES, 1_767_225_599), Err(NotOne::NotNow), "too early");
    assert_eq!(of(0, AUTHORITIES, 2_082_758_400), Err(NotOne::NotNow), "too late");
    let others: Vec<&str> = AUTHORITIES.lines().skip(1).collect();
    assert_eq!(
        of(0, &others.join("\n"), NOW),
        Err(NotOne::Stranger),
        "an authority that was committed later"
    );
    assert_eq!(of(0, "", NOW), Err(NotOne::Stranger));
    assert_eq!(Person::of("ssh-ed25519 AAAA", AUTHORITIES, NOW), Err(NotOne::Unreadable), "a bare key");
}

/// Whoever changes a letter of a certificate has none.
#[test]
fn no_octet_can_be_changed() {
    for certificate in CERTIFICATES.lines().take(3) {
        let (kind, body) = certificate.split_once(' ').unwrap();
        let bytes = BASE64.decode(body.as_bytes()).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = format!("{kind} {}", BASE64.encode(&changed));
            assert!(Person::of(&text, AUTHORITIES, NOW).is_err(), "octet {at} of {kind}");
        }
        let longer = format!("{kind} {}", BASE64.encode(&[&bytes[..], b"x"].concat()));
        assert!(Person::of(&longer, AUTHORITIES, NOW).is_err(), "more than a certificate");
    }
}

fn put(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend_from_slice(&u32::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend_from_slice(value);
}

fn authority() -> (Ed25519KeyPair, String) {
    let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
    let mut blob = Vec::new();
    put(&mut blob, b"ssh-ed25519");
    put(&mut blob, pair.public_key().as_ref());
    let line = format!("ssh-ed25519 {} of the realm", BASE64.encode(&blob));
    (pair, line)
}

/// As the authority would sign it, with a key of `key` again and again.
fn certificate(name: &[u8], role: &[u8], key: u8) -> String {
    let (pair, line) = authority();
    let kind = "ssh-ed25519-cert-v01@openssh.com";
    let mut bytes = Vec::new();
    for value in [kind.as_bytes(), b"nonce", &[key; 32]] {
        put(&mut bytes, value);
    }
    bytes.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    put(&mut bytes, name);
    let mut roles = Vec::new();
    put(&mut roles, role);
    put(&mut bytes, &roles);
    bytes.extend_from_slice(&0u64.to_be_bytes());
    bytes.extend_from_slice(&u64::MAX.to_be_bytes());
    for value in [&b""[..], b"", b"", &blob(&line).unwrap()] {
        put(&mut bytes, value);
    }
    let mut signature = Vec::new();
    put(&mut signature, b"ssh-ed25519");
    put(&mut signature, pair.sign(&bytes).as_ref());
    put(&mut bytes, &signature);
    format!("{kind} {}", BASE64.encode(&bytes))
}

fn person(name: &str, key: u8) -> Person {
    Person::of(&certificate(name.as_bytes(), ROLE, key), &authority().1, NOW).unwrap()
}

#[test]
fn a_name_that_would_make_a_mess_of_the_records_is_none() {
    let long = vec![b'a'; NAME_MAX + 1];
    for name in [&b""[..], b"kato\nmori agrees", b"kato mori", b"\x1b[2J", b"\xff", &long] {
        let told = Person::of(&certificate(name, ROLE, 1), &authority().1, NOW);
        assert_eq!(told, Err(NotOne::Name), "{name:?}");
    }
    for role in [&b"clerk"[..], b"", b"operator ", b"Operator"] {
        let told = Person::of(&certificate(b"kato", role, 1), &authority().1, NOW);
        assert_eq!(told, Err(NotOne::NotNow), "{role:?}");
    }
}

#[test]
fn two_are_two_when_name_and_key_differ() {
    let asked = Asked::new(person("kato", 1), Wanted::Shell, "disk\n full", 1000).unwrap();
    assert_eq!(asked.reason, "disk full");
    let (mori, last) = (person("mori", 2), 1000 + ASKED_MS - 1);
    for (by, with, now, expected) in [
        (&mori, "kato", 1000, Ok(())),
        (&mori, "kato", last, Ok(())),
        (&mori, "kato", last + 1, Err(NotOpened::Nobody)),
        (&mori, "sato", 1000, Err(NotOpened::Another)),
        (&person("kato", 1), "kato", 1000, Err(NotOpened::Same)),
        (&person("mori", 1), "kato", 1000, Err(NotOpened::Same)),
        (&person("kato", 2), "kato", 1000, Err(NotOpened::Same)),
        (&person("KATO", 2), "kato", 1000, Err(NotOpened::Same)),
    ] {
        assert_eq!(second(Some(&asked), by, with, now), expected, "{} agrees with {with} at {now}", by.name);
    }
    assert_eq!(second(None, &mori, "kato", 1000), Err(NotOpened::Nobody));
    assert_eq!(Asked::new(mori, Wanted::Registration, " \n", 1000), None, "without a reason");
}

proptest! {
    #[test]
    fn whatever_is_shown_it_is_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let text = format!("ssh-ed25519-cert-v01@openssh.com {}", BASE64.encode(&bytes));
        prop_assert!(Person::of(&text, AUTHORITIES, NOW).is_err());
    }
}
