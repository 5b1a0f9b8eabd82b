//! How a page is sealed (ruling 10): its content under a random key of its own, that key under one of three: the patient's, when
//! the paper names one; the office's, for what must stay (同意撤回書) or names nobody; the tray's, for what nobody has
//! sorted yet. Pure: keys and nonces are arguments.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use data_encoding::BASE64;
use pki::identity::PatientId;
use zeroize::Zeroizing;

use crate::flow_forms::Form;
use crate::flow_steps::Flow;
use crate::paper_field::{self, Becomes};

pub const KEY_LEN: usize = 32;
pub const NONCE: usize = NONCE_LEN;

/// A key that wipes itself.
pub type Octets = Zeroizing<[u8; KEY_LEN]>;

/// Under which key a page is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SealedBy {
    /// It ends with this patient's key, in every copy (P-27).
    Patient(PatientId),
    /// It stays as long as the office's papers do (P-08, P-23).
    Office,
    /// It names a patient whom nobody has registered, or nobody knows what it is.
    Tray,
}

/// Whose key a paper of a case belongs under. What may name a patient never lies under the office's key, but 様式7 (ruling 10).
pub fn sealed_by(form: Option<Form>, flow: Flow, patient: Option<&PatientId>) -> SealedBy {
    let may_name = match form {
        Some(Form::Withdrawal) => return SealedBy::Office,
        Some(form) => {
            let field = paper_field::fields(form).iter().find(|field| field.becomes == Becomes::PatientName);
            field.is_some_and(|field| field.must || patient.is_some() || flow.has_patient())
        }
        None => patient.is_some() || flow.has_patient(),
    };
    match patient {
        _ if !may_name => SealedBy::Office,
        Some(patient) => SealedBy::Patient(patient.clone()),
        None => SealedBy::Tray,
    }
}

/// Nonce and ciphertext in base64; what it is about is sealed with it.
pub fn seal(key: &Octets, nonce: [u8; NONCE], about: &str, plain: &[u8]) -> Option<String> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?);
    let mut sealed = plain.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(about), &mut sealed).ok()?;
    Some(BASE64.encode(&[nonce.as_slice(), &sealed].concat()))
}

/// `None`: another key, another page, or changed octets.
pub fn open(key: &Octets, about: &str, sealed: &str) -> Option<Zeroizing<Vec<u8>>> {
    let octets = BASE64.decode(sealed.as_bytes()).ok()?;
    let (nonce, rest) = octets.split_first_chunk::<NONCE>()?;
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.as_slice()).ok()?);
    let mut plain = Zeroizing::new(rest.to_vec());
    let length =
        key.open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(about), &mut plain).ok()?.len();
    plain.truncate(length);
    Some(plain)
}

/// What a page's content is sealed about; and its key.
pub fn content_of(scan: &str) -> String {
    format!("scan {scan} content")
}

pub fn key_of(scan: &str) -> String {
    format!("scan {scan} key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ruling_10_what_may_name_a_patient_is_never_the_offices() {
        let patient: PatientId = "t-aaaaaaaaaaaaaaaa".parse().unwrap();
        let theirs = SealedBy::Patient(patient.clone());
        for (form, flow, known, expected) in [
            (Some(Form::Withdrawal), Flow::C10, true, SealedBy::Office),
            (Some(Form::Withdrawal), Flow::C10, false, SealedBy::Office),
            (Some(Form::Consent), Flow::C8, true, theirs.clone()),
            (Some(Form::Consent), Flow::C1, false, SealedBy::Tray),
            (Some(Form::Consent), Flow::C12, false, SealedBy::Tray),
            (Some(Form::TeamEntry), Flow::C5, true, theirs.clone()),
            (Some(Form::Removal), Flow::C7, true, theirs.clone()),
            (Some(Form::Removal), Flow::C4, false, SealedBy::Office),
            (Some(Form::Change), Flow::C11, false, SealedBy::Office),
            (Some(Form::FacilityPledge), Flow::C1, true, SealedBy::Office),
            (Some(Form::StaffPledge), Flow::C12, false, SealedBy::Office),
            (None, Flow::C8, true, theirs.clone()),
            (None, Flow::C10, true, theirs),
            (None, Flow::C1, false, SealedBy::Tray),
            (None, Flow::C11, false, SealedBy::Office),
        ] {
            let known = known.then_some(&patient);
            assert_eq!(sealed_by(form, flow, known), expected, "{form:?} {flow:?} {known:?}");
        }
        for form in Form::ALL {
            for flow in Flow::ALL {
                let names =
                    paper_field::fields(form).iter().any(|field| field.becomes == Becomes::PatientName);
                let office = sealed_by(Some(form), flow, Some(&patient)) == SealedBy::Office;
                assert!(!office || !names || form == Form::Withdrawal, "{form:?} {flow:?}");
            }
        }
    }

    #[test]
    fn a_seal_opens_for_its_own_page_and_key_alone() {
        let (key, other) = (Octets::new([1; KEY_LEN]), Octets::new([2; KEY_LEN]));
        let sealed = seal(&key, [3; NONCE], &content_of("s-1"), b"picture").unwrap();
        assert_eq!(open(&key, &content_of("s-1"), &sealed).unwrap().as_slice(), b"picture");
        assert!(open(&key, &content_of("s-2"), &sealed).is_none(), "of another page");
        assert!(open(&key, &key_of("s-1"), &sealed).is_none(), "as another thing");
        assert!(open(&other, &content_of("s-1"), &sealed).is_none(), "by another key");
        let mut octets = BASE64.decode(sealed.as_bytes()).unwrap();
        octets[14] ^= 1;
        assert!(open(&key, &content_of("s-1"), &BASE64.encode(&octets)).is_none(), "changed");
        for broken in ["", "AAAA", "%"] {
            assert!(open(&key, "", broken).is_none());
        }
    }
}
