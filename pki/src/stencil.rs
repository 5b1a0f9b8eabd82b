//! The to-be-signed bytes of a device certificate and of a revocation list, written straight down. Pure. rcgen writes
//! everything else, and the tests hold these bytes against rcgen's, octet by octet; a certificate's are read anew by the
//! lint before any key is near. It exists because a whole tenth of what issuing cost was building and forgetting rcgen's
//! values, and most of what a long list costs.

use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::crl::{RevokedEntry, ShardList};
use crate::der::{
    BIT_STRING, ENUMERATED, GENERALIZED_TIME, INTEGER, OCTET_STRING, OID, SEQUENCE, SET, positive, tlv,
};
use crate::door::RevocationReason;
use crate::key::PublicKey;
use crate::lifetime::generalized;
use crate::profile::{Access, Class, Policy, Profile, Subject};

/// AlgorithmIdentifier of ecdsa-with-SHA256, without parameters (RFC 5758).
pub const ECDSA_SHA256: [u8; 12] = [0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// The two methods of authorityInfoAccess, content octets.
pub const ACCESS_OCSP: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
pub const ACCESS_ISSUERS: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x02];
/// anyPolicy 2.5.29.32.0, content octets.
const ANY_POLICY: [u8; 4] = [0x55, 0x1d, 0x20, 0x00];
/// d0198262-df97-4f21-bb0a-350c94754fae below 1.2.840.113556.1.8000.2554, cut as that arc's owner lets anyone cut
/// a GUID: arcs that need no registration, each below 2^28, because RFC 5280 (appendix B) asks nobody to
/// understand greater ones, and some do not. The shorter 2.25.<uuid> is one such arc.
const OUR_ARC: [u32; 13] =
    [42, 840, 113_556, 1, 8_000, 2_554, 0xd019, 0x8262, 0xdf97, 0x4f21, 0xbb0a, 0x35_0c94, 0x75_4fae];

const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const UTC_TIME: u8 = 0x17;
const BOOLEAN_TRUE: [u8; 3] = [0x01, 0x01, 0xff];
/// `[0] { INTEGER 2 }`: version 3.
const VERSION_3: [u8; 5] = [0xa0, 0x03, 0x02, 0x01, 0x02];
/// Context tags that occur here: `[0]`, `[2]` and `[6]`, simple; `[0]` and `[3]`, of parts.
const SIMPLE_0: u8 = 0x80;
const DNS_NAME: u8 = 0x82;
const URI: u8 = 0x86;
const PARTS_0: u8 = 0xa0;
const PARTS_3: u8 = 0xa3;

/// id-ce is 2.5.29; the last arc is the argument.
const fn id_ce(last: u8) -> [u8; 3] {
    [0x55, 0x1d, last]
}
/// authorityInfoAccess, 1.3.6.1.5.5.7.1.1.
const ACCESS: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x01, 0x01];
/// clientAuth, 1.3.6.1.5.5.7.3.2.
const CLIENT_AUTH: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02];
/// digitalSignature, as a bit string's content.
const DIGITAL_SIGNATURE: [u8; 2] = [0x07, 0x80];
/// Version 2 of a list.
const VERSION_2: [u8; 3] = [0x02, 0x01, 0x01];
/// onlyContainsUserCerts of issuingDistributionPoint.
const USERS_ONLY: [u8; 3] = [0x81, 0x01, 0xff];
/// One entry of a list: serial, time, reason.
const ENTRY_LEN: usize = 50;
/// From 2050 on, RFC 5280 wants the longer form.
const GENERALIZED_FROM: &str = "2050";

/// `None` for what is no device's certificate, or not whole.
pub fn device(profile: &Profile, key: &PublicKey, issuer: &CaCertificate) -> Option<Vec<u8>> {
    let (Class::Device(_), [name]) = (profile.class, profile.names.as_slice()) else { return None };
    let policy = policy_oid(profile.class.policy()?);
    let (crl, Access { ocsp, issuer: fetched }) = (profile.crl.as_deref()?, profile.access.as_ref()?);
    let key_id = key_id(key);
    let at = |method: &[u8], url: &str| tlv(SEQUENCE, &[&tlv(OID, &[method]), &tlv(URI, &[url.as_bytes()])]);
    let crl = tlv(PARTS_0, &[&tlv(PARTS_0, &[&tlv(URI, &[crl.as_bytes()])])]);
    let extensions = [
        extension(&id_ce(35), false, &tlv(SEQUENCE, &[&tlv(SIMPLE_0, &[issuer.key_id()])])),
        extension(&id_ce(17), false, &tlv(SEQUENCE, &[&tlv(DNS_NAME, &[name.as_bytes()])])),
        extension(&id_ce(15), true, &tlv(BIT_STRING, &[&DIGITAL_SIGNATURE])),
        extension(&id_ce(37), false, &tlv(SEQUENCE, &[&tlv(OID, &[&CLIENT_AUTH])])),
        extension(&id_ce(31), false, &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&crl])])),
        extension(&id_ce(14), false, &tlv(OCTET_STRING, &[&key_id])),
        extension(&id_ce(19), true, &tlv(SEQUENCE, &[])),
        extension(&id_ce(32), false, &tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(OID, &[&policy])])])),
        extension(&ACCESS, false, &tlv(SEQUENCE, &[&at(&ACCESS_OCSP, ocsp), &at(&ACCESS_ISSUERS, fetched)])),
    ];
    let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    Some(tlv(
        SEQUENCE,
        &[
            &VERSION_3,
            &tlv(INTEGER, &[profile.serial.as_bytes()]),
            &ECDSA_SHA256,
            issuer.subject(),
            &tlv(SEQUENCE, &[&time(profile.not_before)?, &time(profile.not_after)?]),
            &subject(&profile.subject),
            &key.spki(),
            &tlv(PARTS_3, &[&tlv(SEQUENCE, &extensions)]),
        ],
    ))
}

/// One shard's list; `None` for a time that no list can have.
pub fn revocation_list(list: &ShardList, issuer: &CaCertificate) -> Option<Vec<u8>> {
    let mut entries = Vec::with_capacity(ENTRY_LEN * list.revoked.len());
    for entry in &list.revoked {
        revoked(entry, &mut entries)?;
    }
    // RFC 5280 5.1.2.6: an empty one is left away.
    let entries = if entries.is_empty() { entries } else { tlv(SEQUENCE, &[&entries]) };
    let point = tlv(PARTS_0, &[&tlv(PARTS_0, &[&tlv(URI, &[list.url.as_bytes()])])]);
    let extensions = [
        extension(&id_ce(35), false, &tlv(SEQUENCE, &[&tlv(SIMPLE_0, &[issuer.key_id()])])),
        extension(&id_ce(20), false, &positive(&list.number.to_be_bytes())?),
        extension(&id_ce(28), true, &tlv(SEQUENCE, &[&point, &USERS_ONLY])),
    ];
    let extensions: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
    Some(tlv(
        SEQUENCE,
        &[
            &VERSION_2,
            &ECDSA_SHA256,
            issuer.subject(),
            &time(list.this_update)?,
            &time(list.next_update)?,
            &entries,
            &tlv(PARTS_0, &[&tlv(SEQUENCE, &extensions)]),
        ],
    ))
}

/// Thousands stand in a list: nothing is built in between.
fn revoked(entry: &RevokedEntry, out: &mut Vec<u8>) -> Option<()> {
    let (serial, time) = (positive(entry.serial.as_bytes())?, time(entry.at)?);
    let code = match entry.reason {
        // RFC 5280 5.3.1: it is left away.
        RevocationReason::Unspecified => None,
        RevocationReason::KeyCompromise => Some(1),
        RevocationReason::AffiliationChanged => Some(3),
        RevocationReason::Superseded => Some(4),
        RevocationReason::CessationOfOperation => Some(5),
    };
    // `{ { reasonCode 2.5.29.21, OCTET STRING { ENUMERATED code } } }`
    let reason = code.map(|code| {
        [SEQUENCE, 12, SEQUENCE, 10, OID, 3, 0x55, 0x1d, 21, OCTET_STRING, 3, ENUMERATED, 1, code]
    });
    let reason: &[u8] = reason.as_ref().map_or(&[], |reason| reason);
    let length = serial.len() + time.len() + reason.len();
    // Below 128: a serial has at most 16 octets.
    out.extend([SEQUENCE, u8::try_from(length).ok()?]);
    out.extend_from_slice(&serial);
    out.extend_from_slice(&time);
    out.extend_from_slice(reason);
    Some(())
}

/// RFC 7093, method 1.
fn key_id(key: &PublicKey) -> [u8; 20] {
    let mut id = [0; 20];
    id.copy_from_slice(&Hash::of(&key.spki()).as_bytes()[..20]);
    id
}

fn extension(id: &[u8], critical: bool, content: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &BOOLEAN_TRUE } else { &[] };
    tlv(SEQUENCE, &[&tlv(OID, &[id]), critical, &tlv(OCTET_STRING, &[content])])
}

fn subject(subject: &Subject) -> Vec<u8> {
    let part = |last: u8, tag: u8, text: &str| {
        let pair = tlv(SEQUENCE, &[&tlv(OID, &[&[0x55, 0x04, last]]), &tlv(tag, &[text.as_bytes()])]);
        tlv(SET, &[&pair])
    };
    let unit = subject.unit.as_deref().map_or_else(Vec::new, |unit| part(11, UTF8, unit));
    tlv(
        SEQUENCE,
        &[
            &part(6, PRINTABLE, "JP"),
            &part(10, UTF8, &subject.organization),
            &unit,
            &part(3, UTF8, &subject.common_name),
        ],
    )
}

/// `None` where four digits do not hold the year.
fn time(at: i64) -> Option<Vec<u8>> {
    let text = generalized(at).filter(|_| at >= 0)?;
    if text.as_str() < GENERALIZED_FROM {
        Some(tlv(UTC_TIME, &[&text.as_bytes()[2..]]))
    } else {
        Some(tlv(GENERALIZED_TIME, &[text.as_bytes()]))
    }
}

/// Content octets of the policy's object identifier.
pub fn policy_oid(policy: Policy) -> Vec<u8> {
    match policy {
        Policy::Any => ANY_POLICY.to_vec(),
        // The first two arcs are one number (1 * 40 + 2); the profile's number stands last.
        Policy::Ours(number) => {
            let arcs = OUR_ARC.iter().copied().chain([u32::from(number)]);
            arcs.flat_map(base128).collect()
        }
    }
}

fn base128(mut value: u32) -> Vec<u8> {
    let mut octets = vec![(value & 0x7f) as u8];
    value >>= 7;
    while value > 0 {
        octets.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    octets.reverse();
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_policies_have_arcs_that_everybody_must_understand() {
        assert!(OUR_ARC.iter().all(|arc| *arc < 1 << 28), "RFC 5280, appendix B");
        let oid = policy_oid(Policy::Ours(2));
        assert_eq!(oid[..11], [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x14, 0x01, 0xbe, 0x40, 0x93, 0x7a]);
        assert_eq!(oid.last(), Some(&2));
    }

    #[test]
    fn times_have_the_form_that_their_year_asks_for() {
        assert_eq!(time(1_795_180_000).unwrap(), b"\x17\x0d261120130640Z");
        assert_eq!(time(2_524_607_999).unwrap(), b"\x17\x0d491231235959Z");
        assert_eq!(time(2_524_608_000).unwrap(), b"\x18\x0f20500101000000Z");
        for bad in [-1, i64::MIN, i64::MAX, 253_402_300_800] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }
}
