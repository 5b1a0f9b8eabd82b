//! OCSP (RFC 6960, the lightweight profile of RFC 5019): what is asked, and what is said, as bytes.
//! Pure. An answer speaks of one certificate under both names that askers use for it (CertID by SHA-1 and
//! by SHA-256), so that one signature, made beforehand, answers them all. Nothing is signed on request;
//! a nonce is ignored, which RFC 5019 allows and pre-signed answers demand.

use aws_lc_rs::digest;
use data_encoding::{BASE64, HEXLOWER};

use crate::ca::CaCertificate;
use crate::der::{
    BIT_STRING, DerError, ENUMERATED, GENERALIZED_TIME, INTEGER, NULL, OCTET_STRING, OID, Reader, SEQUENCE,
    tlv,
};
use crate::door::RevocationReason;
use crate::key::PublicKey;
use crate::lifetime;
use crate::serial::CertificateSerial;
use crate::stencil::ECDSA_SHA256;

/// A request for one certificate is about 100 bytes; a nonce and an exotic extension still fit.
pub const REQUEST_MAX: usize = 2 * 1024;
/// Certificates asked about at once. Browsers ask about one; more are answered when all are ours (never here).
const REQUESTS_MAX: usize = 1;

/// How long an answer is good: an authority that is down over a long weekend hurts nobody who asks.
pub const ANSWER_LIFE_SECONDS: i64 = 4 * 24 * 60 * 60;
/// Answers are made anew when half of their life is over.
pub const ANSWER_RENEW_SECONDS: i64 = ANSWER_LIFE_SECONDS / 2;

const SHA1: [u8; 5] = [0x2b, 0x0e, 0x03, 0x02, 0x1a];
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// id-pkix-ocsp-basic
const BASIC: [u8; 9] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];

/// An unsigned answer: why there is none (RFC 6960 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unanswered {
    Malformed = 1,
    /// Not signed yet; ask again.
    TryLater = 3,
    /// Not a certificate of ours, or none that lives (RFC 5019 2.2.3).
    Unauthorized = 6,
}

impl Unanswered {
    pub fn der(self) -> Vec<u8> {
        tlv(SEQUENCE, &[&tlv(ENUMERATED, &[&[self as u8]])])
    }
}

/// What one certificate's answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Good,
    Revoked { at: i64, reason: RevocationReason },
}

/// The issuer as CertIDs name it: hashes of its name and of its key.
#[derive(Clone)]
pub struct IssuerNames {
    sha1: [Vec<u8>; 2],
    sha256: [Vec<u8>; 2],
}

impl IssuerNames {
    pub fn of(ca: &CaCertificate) -> Self {
        let hashed = |algorithm| {
            let hash = |bytes: &[u8]| digest::digest(algorithm, bytes).as_ref().to_vec();
            [hash(ca.subject()), hash(ca.key().point())]
        };
        Self { sha1: hashed(&digest::SHA1_FOR_LEGACY_USE_ONLY), sha256: hashed(&digest::SHA256) }
    }

    /// The one certificate that a request asks about, if it is this issuer's.
    pub fn asked(&self, request: &[u8]) -> Result<CertificateSerial, Unanswered> {
        if request.len() > REQUEST_MAX {
            return Err(Unanswered::Malformed);
        }
        let (names, serial) = cert_id(request).map_err(|DerError| Unanswered::Malformed)?;
        let ours = match names {
            Named::Sha1(name, key) => self.sha1[0] == name && self.sha1[1] == key,
            Named::Sha256(name, key) => self.sha256[0] == name && self.sha256[1] == key,
            Named::Otherwise => false,
        };
        if !ours {
            return Err(Unanswered::Unauthorized);
        }
        CertificateSerial::from_der_integer(serial).map_err(|_| Unanswered::Unauthorized)
    }

    /// Both CertIDs of a certificate.
    pub(crate) fn cert_ids(&self, serial: &CertificateSerial) -> [Vec<u8>; 2] {
        let id = |oid: &[u8], [name, key]: &[Vec<u8>; 2]| {
            let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[oid]), &tlv(NULL, &[])]);
            let (name, key) = (tlv(OCTET_STRING, &[name]), tlv(OCTET_STRING, &[key]));
            tlv(SEQUENCE, &[&algorithm, &name, &key, &tlv(INTEGER, &[serial.as_bytes()])])
        };
        [id(&SHA1, &self.sha1), id(&SHA256, &self.sha256)]
    }
}

enum Named<'a> {
    Sha1(&'a [u8], &'a [u8]),
    Sha256(&'a [u8], &'a [u8]),
    Otherwise,
}

/// OCSPRequest with exactly one certificate; a requestor's name, a signature and extensions are skipped.
fn cert_id(request: &[u8]) -> Result<(Named<'_>, &[u8]), DerError> {
    let mut outer = Reader::new(request);
    let mut message = outer.inside(SEQUENCE)?;
    outer.end()?;
    let mut tbs = message.inside(SEQUENCE)?;
    message.maybe(0xa0)?;
    message.end()?;
    tbs.maybe(0xa0)?;
    tbs.maybe(0xa1)?;
    let mut list = tbs.inside(SEQUENCE)?;
    tbs.maybe(0xa2)?;
    tbs.end()?;
    let mut found = None;
    for _ in 0..REQUESTS_MAX {
        let mut one = list.inside(SEQUENCE)?;
        let mut id = one.inside(SEQUENCE)?;
        one.maybe(0xa0)?;
        one.end()?;
        let mut algorithm = id.inside(SEQUENCE)?;
        let oid = algorithm.take(OID)?;
        algorithm.maybe(NULL)?;
        algorithm.end()?;
        let (name, key) = (id.take(OCTET_STRING)?, id.take(OCTET_STRING)?);
        let serial = id.take(INTEGER)?;
        id.end()?;
        let named = match oid {
            oid if oid == SHA1 => Named::Sha1(name, key),
            oid if oid == SHA256 => Named::Sha256(name, key),
            _ => Named::Otherwise,
        };
        found = Some((named, serial));
    }
    list.end()?;
    found.ok_or(DerError)
}

/// The signed part of an answer. Only made here.
pub struct ResponseData(Vec<u8>);

impl ResponseData {
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// How an answer names the key that signed it: SHA-1 of the key (RFC 6960 4.2.1, KeyHash).
pub fn responder(key: &PublicKey) -> Vec<u8> {
    digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, key.point()).as_ref().to_vec()
}

/// What is said of one certificate, to be signed by the delegate of this name.
pub fn response_data(
    names: &IssuerNames,
    responder: &[u8],
    serial: &CertificateSerial,
    status: Status,
    this_update: i64,
    next_update: i64,
) -> Result<ResponseData, DerError> {
    let this = time(this_update)?;
    let status = match status {
        Status::Good => tlv(0x80, &[]),
        Status::Revoked { at, reason } => {
            let code = reason_code(reason)
                .map(|code| tlv(0xa0, &[&tlv(ENUMERATED, &[&[code]])]))
                .unwrap_or_default();
            tlv(0xa1, &[&time(at)?, &code])
        }
    };
    let until = tlv(0xa0, &[&time(next_update)?]);
    let singles: Vec<Vec<u8>> =
        names.cert_ids(serial).iter().map(|id| tlv(SEQUENCE, &[id, &status, &this, &until])).collect();
    let by_key = tlv(0xa2, &[&tlv(OCTET_STRING, &[responder])]);
    Ok(ResponseData(tlv(SEQUENCE, &[&by_key, &this, &tlv(SEQUENCE, &[&singles[0], &singles[1]])])))
}

/// The finished answer: data, signature, and the delegate's certificate.
pub fn response(data: &ResponseData, signature: &[u8], delegate: &[u8]) -> Vec<u8> {
    let bits = tlv(BIT_STRING, &[&[0], signature]);
    let certificates = tlv(0xa0, &[&tlv(SEQUENCE, &[delegate])]);
    let basic = tlv(SEQUENCE, &[data.bytes(), &ECDSA_SHA256, &bits, &certificates]);
    let bytes = tlv(SEQUENCE, &[&tlv(OID, &[&BASIC]), &tlv(OCTET_STRING, &[&basic])]);
    tlv(SEQUENCE, &[&tlv(ENUMERATED, &[&[0]]), &tlv(0xa0, &[&bytes])])
}

/// The request of a GET (RFC 6960 A.1): base64, with `+`, `/` and `=` escaped or not.
pub fn from_path(text: &str) -> Result<Vec<u8>, Unanswered> {
    if text.len() > REQUEST_MAX * 2 {
        return Err(Unanswered::Malformed);
    }
    let (mut plain, mut rest) = (Vec::with_capacity(text.len()), text.bytes());
    while let Some(octet) = rest.next() {
        plain.push(match octet {
            b'%' => {
                let hex =
                    [rest.next().unwrap_or(0), rest.next().unwrap_or(0)].map(|h| h.to_ascii_lowercase());
                *HEXLOWER
                    .decode(&hex)
                    .map_err(|_| Unanswered::Malformed)?
                    .first()
                    .ok_or(Unanswered::Malformed)?
            }
            octet => octet,
        });
    }
    BASE64.decode(&plain).map_err(|_| Unanswered::Malformed)
}

/// True when an answer that ends at `next_update` should be made anew, also after the clock was set back.
pub fn due(next_update: i64, now: i64) -> bool {
    let left = next_update.saturating_sub(now);
    !(ANSWER_RENEW_SECONDS..=ANSWER_LIFE_SECONDS).contains(&left)
}

fn reason_code(reason: RevocationReason) -> Option<u8> {
    match reason {
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(1),
        RevocationReason::AffiliationChanged => Some(3),
        RevocationReason::Superseded => Some(4),
        RevocationReason::CessationOfOperation => Some(5),
    }
}

fn time(at: i64) -> Result<Vec<u8>, DerError> {
    let text = lifetime::generalized(at).ok_or(DerError)?;
    Ok(tlv(GENERALIZED_TIME, &[text.as_bytes()]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ceremony::tests::ceremony;

    fn names() -> IssuerNames {
        IssuerNames::of(&CaCertificate::parse(&ceremony().device_ca_der).unwrap())
    }

    fn request(id: &[u8]) -> Vec<u8> {
        tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[id])])])])
    }

    #[test]
    fn both_names_of_a_certificate_lead_to_it_and_a_strangers_to_nobody() {
        let (names, serial) = (names(), CertificateSerial::from_random([7; 16]));
        for id in names.cert_ids(&serial) {
            assert_eq!(names.asked(&request(&id)), Ok(serial));
            let mut stranger = id.clone();
            stranger[20] ^= 1;
            assert_ne!(names.asked(&request(&stranger)), Ok(serial));
        }
        let other = IssuerNames::of(&CaCertificate::parse(&ceremony().server_ca_der).unwrap());
        let [sha1, sha256] = other.cert_ids(&serial);
        assert_eq!(names.asked(&request(&sha1)), Err(Unanswered::Unauthorized));
        assert_eq!(names.asked(&request(&sha256)), Err(Unanswered::Unauthorized));
        let two = tlv(SEQUENCE, &[&sha1]);
        let two = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&two, &two])])]);
        assert_eq!(names.asked(&two), Err(Unanswered::Malformed), "two at once");
        assert_eq!(names.asked(&vec![0x30; REQUEST_MAX + 1]), Err(Unanswered::Malformed));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(512) })]
        #[test]
        fn hostile_requests_are_answered_and_break_nothing(
            at in any::<usize>(), octet in any::<u8>(), cut in any::<usize>(),
            noise in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let names = names();
            prop_assert!(names.asked(&noise).is_err());
            let mut bytes = request(&names.cert_ids(&CertificateSerial::from_random([7; 16]))[1]);
            let length = bytes.len();
            bytes[at % length] = octet;
            let _ = names.asked(&bytes);
            prop_assert!(names.asked(&bytes[..cut % length]).is_err());
        }
    }
}
