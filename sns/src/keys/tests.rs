//! The envelope's promises, by property: what was sealed opens, and nothing else does.

use proptest::prelude::*;

use super::*;

fn patient(n: u8) -> PatientId {
    PatientId::from_random([n; 10])
}

fn nonce(n: u8) -> Nonce {
    Nonce::from_random([n; NONCE_LEN])
}

fn key(n: u8) -> PatientKey {
    PatientKey::new(patient(n), [n; KEY_LEN])
}

fn any_kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(Kind::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn what_was_sealed_opens_in_its_place_and_in_no_other(
        plain in prop::collection::vec(any::<u8>(), 0..200),
        kind in any_kind(), other in any_kind(),
        row in "[a-z0-9/-]{0,20}", random in any::<[u8; 12]>(),
    ) {
        let sealed = key(1).seal(kind, &row, &plain, Nonce::from_random(random)).unwrap();
        prop_assert_eq!(&**key(1).open(kind, &row, &sealed).unwrap(), &plain[..]);
        if other != kind {
            prop_assert!(key(1).open(other, &row, &sealed).is_err());
        }
        prop_assert!(key(1).open(kind, &(row.clone() + "x"), &sealed).is_err());
        prop_assert!(key(2).open(kind, &row, &sealed).is_err());
        // The same key bytes filed under another patient's name.
        prop_assert!(PatientKey::new(patient(2), [1; KEY_LEN]).open(kind, &row, &sealed).is_err());
    }

    #[test]
    fn any_flipped_bit_and_any_shorter_message_refuses(
        plain in prop::collection::vec(any::<u8>(), 0..64), at in any::<prop::sample::Index>(), bit in 0u8..8,
    ) {
        let sealed = key(1).seal(Kind::Post, "n-1", &plain, nonce(9)).unwrap();
        let mut flipped = sealed.clone();
        let at = at.index(sealed.len());
        flipped[at] ^= 1 << bit;
        prop_assert!(key(1).open(Kind::Post, "n-1", &flipped).is_err());
        prop_assert!(key(1).open(Kind::Post, "n-1", &sealed[..at]).is_err());
    }

    #[test]
    fn foreign_bytes_never_open_and_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80), text in "\\PC{0,60}") {
        prop_assert!(key(1).open(Kind::Kept, "x", &bytes).is_err());
        prop_assert!(key(1).open_text(Kind::Kept, "x", &text).is_err());
        prop_assert!(EpochKey::from_line(&Secret::new([5; 32]), &text).is_err());
    }
}

#[test]
fn a_wrapped_key_opens_only_for_its_patient_and_epoch() {
    let epoch = EpochKey::new(3, [7; 32]);
    let wrapped = epoch.wrap(&key(1), Purpose::Content, nonce(1)).unwrap();
    let sealed = key(1).seal(Kind::Post, "n", b"x", nonce(2)).unwrap();
    let again = epoch.unwrap(&patient(1), Purpose::Content, &wrapped).unwrap();
    assert_eq!(&**again.open(Kind::Post, "n", &sealed).unwrap(), b"x");
    assert!(epoch.unwrap(&patient(2), Purpose::Content, &wrapped).is_err());
    // The same epoch key, another number: a row cannot be passed off as a later one.
    let lied = Wrapped { epoch: 4, ..wrapped.clone() };
    assert!(epoch.unwrap(&patient(1), Purpose::Content, &lied).is_err());
    assert!(EpochKey::new(3, [8; 32]).unwrap(&patient(1), Purpose::Content, &wrapped).is_err());
}

#[test]
fn the_epoch_line_opens_only_with_the_secret_and_its_number() {
    let secret = Secret::new([1; 32]);
    let line = EpochKey::new(3, [7; 32]).to_line(&secret, nonce(4)).unwrap();
    let wrapped = EpochKey::new(3, [7; 32]).wrap(&key(1), Purpose::Content, nonce(1)).unwrap();
    let read = EpochKey::from_line(&secret, &line).unwrap();
    assert!(read.unwrap(&patient(1), Purpose::Content, &wrapped).is_ok());
    assert!(EpochKey::from_line(&Secret::new([2; 32]), &line).is_err());
    assert!(EpochKey::from_line(&secret, &line.replacen('3', "4", 1)).is_err());
}

#[test]
fn marks_recognise_the_same_content_of_the_same_patient_only() {
    let mark = key(1).mark(&[b"ab", b"c"]);
    assert_eq!(mark, key(1).mark(&[b"ab", b"c"]));
    assert_ne!(mark, key(1).mark(&[b"a", b"bc"]));
    assert_ne!(mark, key(2).mark(&[b"ab", b"c"]));
}

#[test]
fn secrets_are_64_hex_digits() {
    assert!(format!(" {}\n", "0f".repeat(32)).parse::<Secret>().is_ok());
    assert!("0f".repeat(31).parse::<Secret>().is_err());
    assert!("zz".repeat(32).parse::<Secret>().is_err());
}
