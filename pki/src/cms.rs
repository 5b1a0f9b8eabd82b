//! CMS SignedData (RFC 5652): with its content inside, as Apple reads signed profiles, and detached, as mail programs read
//! signed letters (RFC 8551). In two halves: what is signed needs the content's hash alone, so that the authority never
//! sees a profile, which holds a device's keys; whoever has the content puts both together. Pure bytes.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::chain::Hash;
use crate::der::{INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, tlv};
use crate::door::ProfileSignature;
use crate::lifetime;
use crate::mail_certificate::{MailCertificate, MailKeyKind};
use crate::stencil::ECDSA_SHA256;

const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const CONTENT_TYPE: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_TIME: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
const RSA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const CONTEXT_0: u8 = 0xa0;

/// The signed attributes as they are signed (5.4): a SET in the order of its octets. `None` for a year that no
/// certificate has either.
pub fn attributes(content: &Hash, now: i64) -> Option<Vec<u8>> {
    let time = lifetime::generalized(now)?;
    // RFC 5652 11.3: two digits of the year until 2049.
    let time = match time.strip_prefix("20") {
        Some(short) if short.as_bytes() < b"5".as_slice() => tlv(UTC_TIME, &[short.as_bytes()]),
        _ => tlv(GENERALIZED_TIME, &[time.as_bytes()]),
    };
    let mut all = [
        attribute(&CONTENT_TYPE, &tlv(OID, &[&DATA])),
        attribute(&SIGNING_TIME, &time),
        attribute(&MESSAGE_DIGEST, &tlv(OCTET_STRING, &[content.as_bytes()])),
    ];
    all.sort();
    Some(tlv(SET, &[&all[0], &all[1], &all[2]]))
}

fn attribute(kind: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(OID, &[kind]), &tlv(SET, &[value])])
}

/// The whole: content, certificates, one signer. `None` when the signer's certificate cannot be read.
pub fn signed(content: &[u8], by: &ProfileSignature) -> Option<Vec<u8>> {
    data(Some(content), &by.chain, &by.attributes, &ECDSA_SHA256, &by.signature)
}

/// Without the content, which stands beside it. `signature` is of the attributes, PKCS #1 v1.5 where the key is RSA.
pub fn detached(by: &MailCertificate, attributes: &[u8], signature: &[u8]) -> Option<Vec<u8>> {
    // RFC 3370 3.2: the signature's own name is that of the key.
    let rsa = tlv(SEQUENCE, &[&tlv(OID, &[&RSA]), &tlv(NULL, &[])]);
    let algorithm = match by.kind {
        MailKeyKind::EcdsaP256 => &ECDSA_SHA256[..],
        MailKeyKind::Rsa => &rsa,
    };
    data(None, &by.chain, attributes, algorithm, signature)
}

fn data(
    content: Option<&[u8]>,
    chain: &[Vec<u8>],
    attributes: &[u8],
    signature_algorithm: &[u8],
    signature: &[u8],
) -> Option<Vec<u8>> {
    let (_, x509) = X509Certificate::from_der(chain.first()?).ok()?;
    let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[&SHA256]), &tlv(NULL, &[])]);
    let issuer = x509.tbs_certificate.issuer.as_raw();
    let signer = tlv(SEQUENCE, &[issuer, &tlv(INTEGER, &[x509.raw_serial()])]);
    // Signed as a SET, written as [0].
    let mut attributes = attributes.to_vec();
    *attributes.first_mut()? = CONTEXT_0;
    let signature = tlv(OCTET_STRING, &[signature]);
    let version = tlv(INTEGER, &[&[1]]);
    let info = [&version[..], &signer, &algorithm, &attributes, signature_algorithm, &signature];
    let held = content.map(|content| tlv(CONTEXT_0, &[&tlv(OCTET_STRING, &[content])])).unwrap_or_default();
    let content = tlv(SEQUENCE, &[&tlv(OID, &[&DATA]), &held]);
    let certificates = certificates(chain);
    let data = [
        &version[..],
        &tlv(SET, &[&algorithm]),
        &content,
        &certificates,
        &tlv(SET, &[&tlv(SEQUENCE, &info)]),
    ];
    Some(tlv(SEQUENCE, &[&tlv(OID, &[&SIGNED_DATA]), &tlv(CONTEXT_0, &[&tlv(SEQUENCE, &data)])]))
}

fn certificates(chain: &[Vec<u8>]) -> Vec<u8> {
    let chain: Vec<&[u8]> = chain.iter().map(Vec::as_slice).collect();
    tlv(CONTEXT_0, &chain)
}
