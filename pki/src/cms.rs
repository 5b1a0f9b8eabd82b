//! CMS SignedData with its content inside (RFC 5652), as Apple reads signed profiles. In two halves: what is signed needs
//! the content's hash alone, so that the authority never sees a profile, which holds a device's keys; whoever has the
//! profile puts both together. Pure bytes.

use x509_parser::prelude::{FromDer, X509Certificate};

use crate::chain::Hash;
use crate::der::{INTEGER, NULL, OCTET_STRING, OID, SEQUENCE, SET, tlv};
use crate::door::ProfileSignature;
use crate::lifetime;
use crate::stencil::ECDSA_SHA256;

const DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
const SIGNED_DATA: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
const CONTENT_TYPE: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
const MESSAGE_DIGEST: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
const SIGNING_TIME: [u8; 9] = [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x05];
const SHA256: [u8; 9] = [0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
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
    let leaf = by.chain.first()?;
    let (_, x509) = X509Certificate::from_der(leaf).ok()?;
    let algorithm = tlv(SEQUENCE, &[&tlv(OID, &[&SHA256]), &tlv(NULL, &[])]);
    let issuer = x509.tbs_certificate.issuer.as_raw();
    let signer = tlv(SEQUENCE, &[issuer, &tlv(INTEGER, &[x509.raw_serial()])]);
    // Signed as a SET, written as [0].
    let mut attributes = by.attributes.clone();
    *attributes.first_mut()? = CONTEXT_0;
    let signature = tlv(OCTET_STRING, &[&by.signature]);
    let version = tlv(INTEGER, &[&[1]]);
    let info = [&version[..], &signer, &algorithm, &attributes, &ECDSA_SHA256, &signature];
    let held = tlv(CONTEXT_0, &[&tlv(OCTET_STRING, &[content])]);
    let content = tlv(SEQUENCE, &[&tlv(OID, &[&DATA]), &held]);
    let chain: Vec<&[u8]> = by.chain.iter().map(Vec::as_slice).collect();
    let data = [
        &version[..],
        &tlv(SET, &[&algorithm]),
        &content,
        &tlv(CONTEXT_0, &chain),
        &tlv(SET, &[&tlv(SEQUENCE, &info)]),
    ];
    Some(tlv(SEQUENCE, &[&tlv(OID, &[&SIGNED_DATA]), &tlv(CONTEXT_0, &[&tlv(SEQUENCE, &data)])]))
}
