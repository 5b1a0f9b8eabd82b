//! Our own lints over a to-be-signed certificate, before the key is touched (issue 5: record, lint, sign).
//! Pure. It reads the bytes anew and believes neither the encoder nor the profile alone:
//! what the bytes say must be what was meant, and what was meant must be allowed.

use x509_parser::certificate::TbsCertificate;
use x509_parser::extensions::{
    AccessDescription, AuthorityInfoAccess, CRLDistributionPoint, DistributionPointName, ExtendedKeyUsage,
    GeneralName, ParsedExtension,
};
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::x509::X509Version;

use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::door::{DeviceKind, IssuingRefusal};
use crate::draft::Draft;
use crate::key::PublicKey;
use crate::lifetime;
use crate::profile::{Access, Class, Profile};
use crate::realm::Realm;
use crate::serial::CertificateSerial;
use crate::stencil::{ACCESS_ISSUERS, ACCESS_OCSP, policy_oid};

/// Content octets of ecdsa-with-SHA256.
const ECDSA_SHA256: [u8; 8] = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];

/// keyUsage bits as x509-parser gives them.
const DIGITAL_SIGNATURE: u16 = 1;
const CERT_AND_CRL_SIGN: u16 = 0b110_0000;

/// That these very bytes passed. Only made here; a signature needs it.
pub struct Linted(Hash);

impl Linted {
    /// The hash of the bytes that passed.
    pub fn covers(&self) -> Hash {
        self.0
    }
}

/// Which lint, and what it found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{lint}: {found}")]
pub struct LintFault {
    pub lint: &'static str,
    pub found: String,
}

impl From<LintFault> for IssuingRefusal {
    fn from(fault: LintFault) -> Self {
        IssuingRefusal::Lint { why: fault.to_string() }
    }
}

/// All lints; `issuer` is absent for the root, which issues itself.
pub fn certificate(
    draft: &Draft,
    profile: &Profile,
    key: &PublicKey,
    issuer: Option<&CaCertificate>,
) -> Result<Linted, LintFault> {
    let (rest, tbs) = TbsCertificate::from_der(draft.bytes())
        .map_err(|error| fault("encoding", format!("cannot be read back ({error})")))?;
    demand("encoding", rest.is_empty(), || "bytes after its end".into())?;
    demand("version", tbs.version == X509Version::V3, || format!("{:?}", tbs.version))?;
    demand("serial", tbs.raw_serial() == profile.serial.as_bytes(), || tbs.raw_serial_as_string())?;
    demand("algorithm", tbs.signature.algorithm.as_bytes() == ECDSA_SHA256, || {
        tbs.signature.algorithm.to_id_string()
    })?;
    demand("unique-id", tbs.issuer_uid.is_none() && tbs.subject_uid.is_none(), || "present".into())?;
    names(&tbs, profile, issuer)?;
    validity(&tbs, profile, issuer)?;
    demand("public-key", PublicKey::from_spki(tbs.subject_pki.raw).as_ref() == Ok(key), || {
        "not the key that was proved".into()
    })?;
    extensions(&tbs, profile, issuer)?;
    Ok(Linted(draft.hash()))
}

/// A finished device certificate: its issuer's signature, and every lint against what such a certificate
/// would say if we issued it for the slot and profile that it names.
pub fn finished(der: &[u8], issuer: &CaCertificate) -> Result<(), LintFault> {
    let unreadable = || fault("encoding", "not a certificate".into());
    let (rest, x509) = X509Certificate::from_der(der).map_err(|_| unreadable())?;
    demand("encoding", rest.is_empty(), || "bytes after its end".into())?;
    let draft = Draft::from_bytes(x509.tbs_certificate.as_ref().to_vec());
    let signature = &x509.signature_value.data;
    let right = issuer.key().verifies(draft.bytes(), signature) && draft.finished(signature) == der;
    demand("signature", right, || "not the issuer's, or not in its one form".into())?;
    let key = PublicKey::from_spki(x509.public_key().raw)
        .map_err(|_| fault("public-key", "not a point of P-256".into()))?;
    let profile = meant(&x509, issuer)?;
    certificate(&draft, &profile, &key, Some(issuer)).map(drop)
}

/// What a device certificate with this name, policy and addresses would say.
fn meant(x509: &X509Certificate<'_>, issuer: &CaCertificate) -> Result<Profile, LintFault> {
    let unnamed = |found: &str| fault("subject-alternative-name", found.to_owned());
    let zone = issuer.device_zone().map_err(|error| fault("issuer", error.to_string()))?;
    let (mut slot, mut kind, mut base) = (None, None, None);
    for extension in x509.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                slot = names.general_names.iter().find_map(|name| zone.slot_of(dns(name)?));
            }
            ParsedExtension::CertificatePolicies(policies) => {
                let is = |kind: &DeviceKind| {
                    let policy = Class::Device(*kind).policy().map(policy_oid);
                    policies.iter().any(|one| Some(one.policy_id.as_bytes()) == policy.as_deref())
                };
                kind = DeviceKind::ALL.into_iter().find(is);
            }
            ParsedExtension::CRLDistributionPoints(points) => {
                base = only_uri(&points.points).and_then(|uri| uri.split_once("/crl/")).map(|(base, _)| base);
            }
            _ => {}
        }
    }
    let slot = slot.ok_or_else(|| unnamed("no device of this issuer's zone"))?;
    let kind = kind.ok_or_else(|| fault("policies", "none of ours".into()))?;
    let base = base.ok_or_else(|| fault("crl-distribution-point", "none".into()))?;
    let realm = Realm::new(zone.as_str(), issuer.organization(), base)
        .map_err(|error| fault("crl-distribution-point", error.to_string()))?;
    let serial = CertificateSerial::from_der_integer(x509.raw_serial())
        .map_err(|error| fault("serial", error.to_string()))?;
    let from = x509.validity().not_before.timestamp();
    let born = from.saturating_add(lifetime::BACKDATE_SECONDS);
    let mut profile = Profile::device(&realm, slot, kind, serial, born, issuer.not_after())
        .map_err(|error| fault("validity", error.to_string()))?;
    // The issuer may have meant a shorter life, never a longer one.
    profile.not_after = profile.not_after.min(x509.validity().not_after.timestamp());
    Ok(profile)
}

fn names(
    tbs: &TbsCertificate<'_>,
    profile: &Profile,
    issuer: Option<&CaCertificate>,
) -> Result<(), LintFault> {
    let expected = issuer.map_or(tbs.subject.as_raw(), CaCertificate::subject);
    demand("issuer", tbs.issuer.as_raw() == expected, || tbs.issuer.to_string())?;
    // id-at is 2.5.4.
    let text = |last: u8| -> Vec<&str> {
        let parts =
            tbs.subject.iter_attributes().filter(|part| part.attr_type().as_bytes() == [0x55, 4, last]);
        parts.map(|part| part.as_str().unwrap_or("?")).collect()
    };
    let subject = &profile.subject;
    let unit: Vec<&str> = subject.unit.as_deref().into_iter().collect();
    let right = text(6) == ["JP"]
        && text(10) == [subject.organization.as_str()]
        && text(11) == unit
        && text(3) == [subject.common_name.as_str()]
        && tbs.subject.iter_attributes().count() == 3 + unit.len();
    demand("subject", right, || tbs.subject.to_string())?;
    let longest = [&subject.organization, &subject.common_name].map(|part| part.chars().count());
    demand("subject-length", longest.iter().all(|length| (1..=64).contains(length)), || {
        tbs.subject.to_string()
    })
}

fn validity(
    tbs: &TbsCertificate<'_>,
    profile: &Profile,
    issuer: Option<&CaCertificate>,
) -> Result<(), LintFault> {
    let (from, until) = (tbs.validity.not_before.timestamp(), tbs.validity.not_after.timestamp());
    let shown = || format!("{} to {}", lifetime::utc(from), lifetime::utc(until));
    demand("validity", from == profile.not_before && until == profile.not_after && from < until, shown)?;
    let longest = profile.class.life().longest_days() * 86_400;
    demand("lifetime", until - from <= longest, shown)?;
    demand("season", !profile.class.life().seasonal() || !lifetime::forbidden(until), shown)?;
    let within = issuer.is_none_or(|ca| ca.not_before() <= from && until <= ca.not_after());
    demand("issuer-lifetime", within, shown)
}

/// An extension's identifier (content octets), and whether it is critical.
type Extension = (&'static [u8], bool);

/// authorityInfoAccess and ocsp-nocheck; id-ce is 2.5.29.
const ACCESS: Extension = (&[0x2b, 6, 1, 5, 5, 7, 1, 1], false);
const NO_CHECK: Extension = (&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 5], false);
const SUBJECT_KEY: Extension = (&[0x55, 0x1d, 14], false);
const KEY_USAGE: Extension = (&[0x55, 0x1d, 15], true);
const ALTERNATIVE_NAME: Extension = (&[0x55, 0x1d, 17], false);
const BASIC: Extension = (&[0x55, 0x1d, 19], true);
const CONSTRAINTS: Extension = (&[0x55, 0x1d, 30], true);
const DISTRIBUTION: Extension = (&[0x55, 0x1d, 31], false);
const POLICIES: Extension = (&[0x55, 0x1d, 32], false);
const ISSUER_KEY: Extension = (&[0x55, 0x1d, 35], false);
const PURPOSES: Extension = (&[0x55, 0x1d, 37], false);

/// Which extensions there are, and whether critical: exactly these, in the order of their identifiers.
fn allowed(class: Class) -> &'static [Extension] {
    match class {
        Class::Device(_) => &[
            ACCESS,
            SUBJECT_KEY,
            KEY_USAGE,
            ALTERNATIVE_NAME,
            BASIC,
            DISTRIBUTION,
            POLICIES,
            ISSUER_KEY,
            PURPOSES,
        ],
        Class::Gateway => &[SUBJECT_KEY, KEY_USAGE, ALTERNATIVE_NAME, BASIC, ISSUER_KEY, PURPOSES],
        Class::OcspDelegate => &[NO_CHECK, SUBJECT_KEY, KEY_USAGE, BASIC, ISSUER_KEY, PURPOSES],
        Class::DeviceCa => &[SUBJECT_KEY, KEY_USAGE, BASIC, CONSTRAINTS, POLICIES, ISSUER_KEY, PURPOSES],
        Class::ServerCa => &[SUBJECT_KEY, KEY_USAGE, BASIC, CONSTRAINTS, ISSUER_KEY, PURPOSES],
        Class::Root => &[SUBJECT_KEY, KEY_USAGE, BASIC, CONSTRAINTS],
    }
}

fn extensions(
    tbs: &TbsCertificate<'_>,
    profile: &Profile,
    issuer: Option<&CaCertificate>,
) -> Result<(), LintFault> {
    let mut found: Vec<(&[u8], bool)> =
        tbs.extensions().iter().map(|extension| (extension.oid.as_bytes(), extension.critical)).collect();
    found.sort_unstable();
    let told = || {
        let told = tbs.extensions().iter().map(|one| (one.oid.to_id_string(), one.critical));
        format!("{:?}", told.collect::<Vec<_>>())
    };
    demand("extensions-once", found.windows(2).all(|two| two[0].0 != two[1].0), told)?;
    demand("extensions", found == allowed(profile.class), told)?;
    for extension in tbs.extensions() {
        let (lint, right) = content(extension.parsed_extension(), profile, issuer);
        demand(lint, right, || format!("{:?}", extension.parsed_extension()))?;
    }
    let key_id = tbs.extensions().iter().find_map(|extension| match extension.parsed_extension() {
        ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0.to_vec()),
        _ => None,
    });
    let distinct = issuer.is_none_or(|ca| key_id.as_deref() != Some(ca.key_id()));
    demand("subject-key-id", key_id.is_some_and(|id| id.len() == 20) && distinct, || "wrong".into())
}

fn content(
    extension: &ParsedExtension<'_>,
    profile: &Profile,
    issuer: Option<&CaCertificate>,
) -> (&'static str, bool) {
    use ParsedExtension as Ext;
    let class = profile.class;
    match extension {
        Ext::KeyUsage(usage) => ("key-usage", usage.flags == key_usage(class)),
        Ext::ExtendedKeyUsage(usage) => ("extended-key-usage", purposes(usage, class)),
        Ext::BasicConstraints(basic) => {
            let length = basic.path_len_constraint;
            let expected = class.path_length().map(u32::from);
            ("basic-constraints", basic.ca == expected.is_some() && length == expected)
        }
        Ext::SubjectAlternativeName(names) => {
            let found: Vec<_> = names.general_names.iter().map(dns).collect();
            let meant: Vec<_> = profile.names.iter().map(|name| Some(name.as_str())).collect();
            let permitted = issuer.is_some_and(|ca| profile.names.iter().all(|name| ca.permits(name)));
            let one = !matches!(class, Class::Device(_)) || found.len() == 1;
            ("subject-alternative-name", !found.is_empty() && one && found == meant && permitted)
        }
        Ext::NameConstraints(constraints) => {
            let read = |subtrees: &Option<Vec<x509_parser::extensions::GeneralSubtree<'_>>>| -> Vec<String> {
                let subtrees = subtrees.iter().flatten();
                subtrees.map(|subtree| dns(&subtree.base).unwrap_or("?").to_owned()).collect()
            };
            let right = read(&constraints.permitted_subtrees) == profile.permitted
                && read(&constraints.excluded_subtrees) == profile.excluded
                && !profile.permitted.is_empty();
            ("name-constraints", right)
        }
        Ext::CRLDistributionPoints(points) => {
            let uri = only_uri(&points.points);
            ("crl-distribution-point", uri.is_some() && uri == profile.crl.as_deref())
        }
        Ext::CertificatePolicies(policies) => {
            let right = match (policies.as_slice(), class.policy()) {
                ([one], Some(policy)) => {
                    one.policy_id.as_bytes() == policy_oid(policy) && one.policy_qualifiers.is_none()
                }
                _ => false,
            };
            ("policies", right)
        }
        Ext::AuthorityKeyIdentifier(id) => {
            let by_key = id.key_identifier.as_ref().map(|id| id.0);
            let only = id.authority_cert_issuer.is_none() && id.authority_cert_serial.is_none();
            ("authority-key-id", only && by_key == issuer.map(CaCertificate::key_id))
        }
        Ext::AuthorityInfoAccess(access) => ("authority-info-access", addresses(access, profile)),
        Ext::SubjectKeyIdentifier(_) => ("subject-key-id", true),
        // ocsp-nocheck, whose only content is NULL; the list of extensions says who may have it.
        Ext::UnsupportedExtension { .. } => ("extensions", class == Class::OcspDelegate),
        _ => ("extensions", false),
    }
}

fn purposes(usage: &ExtendedKeyUsage<'_>, class: Class) -> bool {
    let server = matches!(class, Class::Gateway | Class::ServerCa);
    let delegate = class == Class::OcspDelegate;
    let ocsp = class.path_length().is_some() || delegate;
    let other = usage.any || usage.code_signing || usage.email_protection || usage.time_stamping;
    usage.server_auth == server
        && usage.client_auth != (server || delegate)
        && usage.ocsp_signing == ocsp
        && !other
        && usage.other.is_empty()
}

fn addresses(access: &AuthorityInfoAccess<'_>, profile: &Profile) -> bool {
    let found = access
        .iter()
        .map(|one: &AccessDescription<'_>| (one.access_method.as_bytes(), uri(&one.access_location)));
    profile.access.as_ref().is_some_and(|Access { ocsp, issuer }| {
        let meant = [(&ACCESS_OCSP[..], Some(ocsp.as_str())), (&ACCESS_ISSUERS[..], Some(issuer.as_str()))];
        found.eq(meant)
    })
}

fn key_usage(class: Class) -> u16 {
    match class {
        Class::Device(_) | Class::Gateway | Class::OcspDelegate => DIGITAL_SIGNATURE,
        Class::DeviceCa => DIGITAL_SIGNATURE | CERT_AND_CRL_SIGN,
        Class::ServerCa | Class::Root => CERT_AND_CRL_SIGN,
    }
}

/// One point with one address and nothing else.
fn only_uri<'a>(points: &[CRLDistributionPoint<'a>]) -> Option<&'a str> {
    let [CRLDistributionPoint { distribution_point: Some(point), reasons: None, crl_issuer: None }] = points
    else {
        return None;
    };
    let DistributionPointName::FullName(names) = point else { return None };
    match names.as_slice() {
        [GeneralName::URI(uri)] => Some(uri),
        _ => None,
    }
}

fn uri<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::URI(uri) => Some(uri),
        _ => None,
    }
}

fn dns<'a>(name: &GeneralName<'a>) -> Option<&'a str> {
    match name {
        GeneralName::DNSName(name) => Some(name),
        _ => None,
    }
}

fn fault(lint: &'static str, found: String) -> LintFault {
    LintFault { lint, found }
}

fn demand(lint: &'static str, holds: bool, found: impl FnOnce() -> String) -> Result<(), LintFault> {
    if holds { Ok(()) } else { Err(fault(lint, found())) }
}

#[cfg(test)]
mod tests;
