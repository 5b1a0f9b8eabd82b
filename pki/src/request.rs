//! A certificate request (PKCS #10) from outside: hostile until proved. Pure.
//! Only its public key is taken, and only with a proof that the sender holds the private key (C-10, ruling 5).
//! Names, attributes and extensions in it are ignored, whatever they say.

use x509_parser::prelude::{FromDer, X509CertificationRequest};

use crate::door::IssuingRefusal;
use crate::draft::Draft;
use crate::key::PublicKey;

/// A P-256 request with everything that Windows' certreq adds is below 2 KiB.
pub const REQUEST_MAX: usize = 8 * 1024;

/// A key whose holder signed the request with it. Only made here.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProvenKey(PublicKey);

impl ProvenKey {
    pub fn key(&self) -> &PublicKey {
        &self.0
    }
}

/// Reads a request and proves possession; everything else is a refusal with a code.
pub fn prove(der: &[u8]) -> Result<ProvenKey, IssuingRefusal> {
    let bad = |why: &str| IssuingRefusal::BadRequest { why: why.to_owned() };
    if der.len() > REQUEST_MAX {
        return Err(bad("longer than 8 KiB"));
    }
    let (rest, request) =
        X509CertificationRequest::from_der(der).map_err(|_| bad("not the DER of a PKCS #10 request"))?;
    if !rest.is_empty() {
        return Err(bad("bytes after its end"));
    }
    let info = &request.certification_request_info;
    let key = PublicKey::from_spki(info.subject_pki.raw).map_err(|_| IssuingRefusal::WrongKey)?;
    // Put together again from its parts, with the one algorithm a proof may use, it must be these very
    // bytes: a lenient reader cannot be talked into anything.
    let signature = &request.signature_value.data;
    let strict = Draft::from_bytes(info.raw.to_vec()).finished(signature) == der;
    if !strict || !key.verifies(info.raw, signature) {
        return Err(IssuingRefusal::NoProof);
    }
    Ok(ProvenKey(key))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, CustomExtension, KeyPair, SanType};

    use super::*;

    fn request(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        change(&mut params);
        params.serialize_request(key).unwrap().der().to_vec()
    }

    fn code(der: &[u8]) -> &'static str {
        prove(der).err().map_or("proved", |refusal| refusal.code())
    }

    #[test]
    fn unfamiliar_extensions_and_wishes_are_ignored_not_refused() {
        let key = KeyPair::generate().unwrap();
        let der = request(&key, |params| {
            params.subject_alt_names = vec![SanType::DnsName("evil.example".try_into().unwrap())];
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            let windows = CustomExtension::from_oid_content(&[1, 3, 6, 1, 4, 1, 311, 13, 2, 3], vec![5, 0]);
            params.custom_extensions = vec![windows];
        });
        let proven = prove(&der).unwrap();
        assert_eq!(proven.key().point().as_slice(), key.public_key_raw());
    }

    #[test]
    fn hostile_requests_are_refused_each_with_its_code() {
        let key = KeyPair::generate().unwrap();
        let good = request(&key, |_| {});
        assert_eq!(code(&good), "proved");
        let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
        let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        let mut broken = good.clone();
        *broken.last_mut().unwrap() ^= 1;
        let mut swapped = good.clone();
        let other = KeyPair::generate().unwrap();
        let at = good.windows(65).position(|part| part == key.public_key_raw()).unwrap();
        swapped[at..at + 65].copy_from_slice(other.public_key_raw());
        let mut off_curve = good.clone();
        off_curve[at + 1..at + 65].fill(7);
        let trailing = [good.as_slice(), &[0]].concat();
        for (name, der, expected) in [
            ("empty", vec![], "MM-2001"),
            ("garbage", vec![0x42; 300], "MM-2001"),
            ("nested garbage", vec![0x30; 4_000], "MM-2001"),
            ("an endless length", vec![0x30, 0x84, 0xff, 0xff, 0xff, 0xff], "MM-2001"),
            ("truncated", good[..good.len() - 3].to_vec(), "MM-2001"),
            ("trailing bytes", trailing, "MM-2001"),
            ("huge", vec![0x30; REQUEST_MAX + 1], "MM-2001"),
            ("RSA", request(&rsa, |_| {}), "MM-2003"),
            ("P-384", request(&p384, |_| {}), "MM-2003"),
            ("Ed25519", request(&ed25519, |_| {}), "MM-2003"),
            ("broken proof", broken, "MM-2002"),
            ("somebody else's key", swapped, "MM-2002"),
            ("a point off the curve", off_curve, "MM-2002"),
        ] {
            assert_eq!(code(&der), expected, "{name}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(128) })]
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(prove(&bytes).is_err());
        }

        #[test]
        fn a_request_with_one_octet_changed_is_never_proved(flip in 1u8..=255) {
            let key = KeyPair::generate().unwrap();
            let good = request(&key, |_| {});
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= flip;
                prop_assert!(prove(&bad).is_err(), "octet {}", at);
            }
        }
    }
}
