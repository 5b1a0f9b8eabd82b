//! To-be-signed bytes: encoded by rcgen, caught before any key is near, finished with a signature later.
//! Pure. Owns `Draft` and its finished form; ends when the signed DER is made.
//!
//! rcgen encodes only while it signs, so it is given a "key" that keeps the bytes and signs nothing.

use std::cell::RefCell;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CrlDistributionPoint, CustomExtension, DistinguishedName, DnType,
    DnValue, ExtendedKeyUsagePurpose, GeneralSubtree, IsCa, Issuer, KeyUsagePurpose, NameConstraints,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm, SigningKey,
    date_time_ymd,
};
use rustls_pki_types::CertificateDer;

use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::crl::ShardList;
use crate::der::{BIT_STRING, NULL, OID, SEQUENCE, tlv};
use crate::key::PublicKey;
use crate::profile::{Access, Class, Profile, Subject};
use crate::stencil::{self, ACCESS_ISSUERS, ACCESS_OCSP, ECDSA_SHA256, policy_oid};

/// certificatePolicies (RFC 5280 4.2.1.4), which rcgen does not write itself.
const CERTIFICATE_POLICIES: [u64; 4] = [2, 5, 29, 32];
/// authorityInfoAccess (RFC 5280 4.2.2.1).
const AUTHORITY_ACCESS: [u64; 9] = [1, 3, 6, 1, 5, 5, 7, 1, 1];
/// id-pkix-ocsp-nocheck (RFC 6960 4.2.2.2.1): nobody asks about the delegate itself; it lives two weeks.
const OCSP_NOCHECK: [u64; 10] = [1, 3, 6, 1, 5, 5, 7, 48, 1, 5];
/// 9999-01-01, before which every certificate's time must lie.
const YEAR_9999: u64 = 253_370_764_800;

/// Bytes that nobody has signed yet.
#[derive(Clone, PartialEq, Eq)]
pub struct Draft(Vec<u8>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot encode what is to be signed: {0}")]
pub struct DraftError(String);

impl Draft {
    /// A certificate for `key`; self-issued without an `issuer`.
    pub fn certificate(
        profile: &Profile,
        key: &PublicKey,
        issuer: Option<&CaCertificate>,
    ) -> Result<Self, DraftError> {
        let direct = issuer.and_then(|ca| stencil::device(profile, key, ca));
        direct.map_or_else(|| Self::by_rcgen(profile, key, issuer), |bytes| Ok(Self(bytes)))
    }

    fn by_rcgen(
        profile: &Profile,
        key: &PublicKey,
        issuer: Option<&CaCertificate>,
    ) -> Result<Self, DraftError> {
        let params = params(profile)?;
        match issuer {
            Some(ca) => Self::catch(ca.key(), |catcher| {
                let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(ca.der()), catcher)?;
                params.signed_by(key, &issuer).map(drop)
            }),
            None => Self::catch(key, |catcher| params.self_signed(catcher).map(drop)),
        }
    }

    pub fn revocation_list(list: &ShardList, issuer: &CaCertificate) -> Result<Self, DraftError> {
        let bytes = stencil::revocation_list(list, issuer);
        bytes.map(Self).ok_or_else(|| DraftError("a time that no list can have".into()))
    }

    /// Bytes that were recorded before.
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn hash(&self) -> Hash {
        Hash::of(&self.0)
    }

    /// The finished DER: these bytes, the algorithm, the signature.
    pub fn finished(&self, signature: &[u8]) -> Vec<u8> {
        let bits = tlv(BIT_STRING, &[&[0], signature]);
        tlv(SEQUENCE, &[&self.0, &ECDSA_SHA256, &bits])
    }

    fn catch(
        public: &PublicKey,
        encode: impl FnOnce(&Catcher) -> Result<(), rcgen::Error>,
    ) -> Result<Self, DraftError> {
        let catcher = Catcher { public: *public, caught: RefCell::new(None) };
        encode(&catcher).map_err(|error| DraftError(error.to_string()))?;
        let caught = catcher.caught.into_inner();
        caught.map(Self).ok_or_else(|| DraftError("nothing was encoded".into()))
    }
}

/// Keeps what it is asked to sign, and gives an empty signature.
struct Catcher {
    public: PublicKey,
    caught: RefCell<Option<Vec<u8>>>,
}

impl PublicKeyData for Catcher {
    fn der_bytes(&self) -> &[u8] {
        self.public.point()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Catcher {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        *self.caught.borrow_mut() = Some(message.to_vec());
        Ok(Vec::new())
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.point()
    }
    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn params(profile: &Profile) -> Result<CertificateParams, DraftError> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(profile.serial.as_bytes()));
    params.distinguished_name = name(&profile.subject)?;
    params.not_before = date_time_ymd(1970, 1, 1) + since_epoch(profile.not_before)?;
    params.not_after = date_time_ymd(1970, 1, 1) + since_epoch(profile.not_after)?;
    for dns in &profile.names {
        let dns = dns.as_str().try_into().map_err(|_| DraftError(format!("`{dns}` is no DNS name")))?;
        params.subject_alt_names.push(SanType::DnsName(dns));
    }
    params.is_ca = match profile.class.path_length() {
        Some(length) => IsCa::Ca(BasicConstraints::Constrained(length)),
        None => IsCa::ExplicitNoCa,
    };
    (params.key_usages, params.extended_key_usages) = usages(profile.class);
    let subtrees = |names: &[String]| names.iter().cloned().map(GeneralSubtree::DnsName).collect();
    if !profile.permitted.is_empty() || !profile.excluded.is_empty() {
        params.name_constraints = Some(NameConstraints {
            permitted_subtrees: subtrees(&profile.permitted),
            excluded_subtrees: subtrees(&profile.excluded),
        });
    }
    params.crl_distribution_points =
        profile.crl.iter().map(|url| CrlDistributionPoint { uris: vec![url.clone()] }).collect();
    params.use_authority_key_identifier_extension = profile.class != Class::Root;
    if let Some(policy) = profile.class.policy() {
        let content = tlv(SEQUENCE, &[&tlv(SEQUENCE, &[&tlv(OID, &[&policy_oid(policy)])])]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&CERTIFICATE_POLICIES, content));
    }
    if let Some(Access { ocsp, issuer }) = &profile.access {
        // uniformResourceIdentifier is [6] of GeneralName.
        let at =
            |method: &[u8], url: &str| tlv(SEQUENCE, &[&tlv(OID, &[method]), &tlv(0x86, &[url.as_bytes()])]);
        let content = tlv(SEQUENCE, &[&at(&ACCESS_OCSP, ocsp), &at(&ACCESS_ISSUERS, issuer)]);
        params.custom_extensions.push(CustomExtension::from_oid_content(&AUTHORITY_ACCESS, content));
    }
    if profile.class == Class::OcspDelegate {
        params.custom_extensions.push(CustomExtension::from_oid_content(&OCSP_NOCHECK, tlv(NULL, &[])));
    }
    Ok(params)
}

fn usages(class: Class) -> (Vec<KeyUsagePurpose>, Vec<ExtendedKeyUsagePurpose>) {
    use ExtendedKeyUsagePurpose as Eku;
    use KeyUsagePurpose as Ku;
    match class {
        Class::Device(_) => (vec![Ku::DigitalSignature], vec![Eku::ClientAuth]),
        Class::Gateway => (vec![Ku::DigitalSignature], vec![Eku::ServerAuth]),
        Class::OcspDelegate => (vec![Ku::DigitalSignature], vec![Eku::OcspSigning]),
        // It signs attestations and checkpoints too, and has OCSP delegates.
        Class::DeviceCa => (
            vec![Ku::DigitalSignature, Ku::KeyCertSign, Ku::CrlSign],
            vec![Eku::ClientAuth, Eku::OcspSigning],
        ),
        Class::ServerCa => (vec![Ku::KeyCertSign, Ku::CrlSign], vec![Eku::ServerAuth, Eku::OcspSigning]),
        Class::Root => (vec![Ku::KeyCertSign, Ku::CrlSign], vec![]),
    }
}

fn name(subject: &Subject) -> Result<DistinguishedName, DraftError> {
    let mut name = DistinguishedName::new();
    let country = "JP".try_into().map_err(|_| DraftError("country".into()))?;
    name.push(DnType::CountryName, DnValue::PrintableString(country));
    name.push(DnType::OrganizationName, subject.organization.as_str());
    if let Some(unit) = &subject.unit {
        name.push(DnType::OrganizationalUnitName, unit.as_str());
    }
    name.push(DnType::CommonName, subject.common_name.as_str());
    Ok(name)
}

/// rcgen counts time in a type of another crate; from the epoch it can be reached without naming it.
fn since_epoch(seconds: i64) -> Result<Duration, DraftError> {
    u64::try_from(seconds)
        .ok()
        .filter(|seconds| *seconds < YEAR_9999)
        .map(Duration::from_secs)
        .ok_or_else(|| DraftError(format!("{seconds} is no time for a certificate")))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{
        CertificateRevocationListParams, CrlIssuingDistributionPoint, CrlScope, KeyIdMethod,
        RevokedCertParams,
    };
    use vpn::slot::SlotNumber;

    use super::*;
    use crate::ceremony::tests::{NOW, ceremony, device_key};
    use crate::crl::RevokedEntry;
    use crate::door::{DeviceKind, RevocationReason};
    use crate::realm::Realm;
    use crate::serial::CertificateSerial;
    use crate::signer::Signer;

    /// What the list is held against.
    fn list_by_rcgen(list: &ShardList, issuer: &CaCertificate) -> Result<Draft, DraftError> {
        let params = CertificateRevocationListParams {
            this_update: date_time_ymd(1970, 1, 1) + since_epoch(list.this_update)?,
            next_update: date_time_ymd(1970, 1, 1) + since_epoch(list.next_update)?,
            crl_number: SerialNumber::from(list.number),
            issuing_distribution_point: Some(CrlIssuingDistributionPoint {
                distribution_point: CrlDistributionPoint { uris: vec![list.url.clone()] },
                scope: Some(CrlScope::UserCertsOnly),
            }),
            revoked_certs: list.revoked.iter().map(revoked).collect::<Result<_, _>>()?,
            key_identifier_method: KeyIdMethod::PreSpecified(issuer.key_id().to_vec()),
        };
        Draft::catch(issuer.key(), |catcher| {
            let issuer = Issuer::from_ca_cert_der(&CertificateDer::from(issuer.der()), catcher)?;
            params.signed_by(&issuer).map(drop)
        })
    }

    fn revoked(entry: &RevokedEntry) -> Result<RevokedCertParams, DraftError> {
        Ok(RevokedCertParams {
            serial_number: SerialNumber::from_slice(entry.serial.as_bytes()),
            revocation_time: date_time_ymd(1970, 1, 1) + since_epoch(entry.at)?,
            reason_code: match entry.reason {
                RevocationReason::Unspecified => None,
                RevocationReason::KeyCompromise => Some(rcgen::RevocationReason::KeyCompromise),
                RevocationReason::AffiliationChanged => Some(rcgen::RevocationReason::AffiliationChanged),
                RevocationReason::Superseded => Some(rcgen::RevocationReason::Superseded),
                RevocationReason::CessationOfOperation => Some(rcgen::RevocationReason::CessationOfOperation),
            },
            invalidity_date: None,
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]
        #[test]
        fn every_octet_of_a_list_is_the_one_that_rcgen_writes(
            revoked in proptest::collection::vec((any::<[u8; 16]>(), 0i64..5_000_000_000, 0usize..5), 0..40),
            now in 0i64..5_000_000_000,
            last in prop::option::of(0u64..=u64::MAX),
            shard in 0u8..64,
        ) {
            let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
            let realm = Realm::new("m.example.jp", "x", "http://10.18.255.2").unwrap();
            let one = |(random, at, reason): ([u8; 16], i64, usize)| RevokedEntry {
                serial: CertificateSerial::from_random(random),
                at,
                reason: RevocationReason::ALL[reason],
            };
            let list = ShardList::new(&realm, shard, last, now, revoked.into_iter().map(one).collect());
            let ours = Draft::revocation_list(&list, &ca).unwrap();
            let theirs = list_by_rcgen(&list, &ca).unwrap();
            prop_assert_eq!(ours.bytes(), theirs.bytes());
        }

        #[test]
        fn every_octet_that_we_write_is_the_one_that_rcgen_writes(
            random: [u8; 16],
            number in 0u16..=9999,
            series in prop::sample::select(vec!["18", "18F", "18D"]),
            kind in prop::sample::select(DeviceKind::ALL.to_vec()),
            name in prop::sample::select(vec!["在宅医療連携協議会", "x", "A & B, \"C\" ü"]),
            base in prop::sample::select(vec!["http://10.18.255.2", "http://lists.m.example.jp:8080"]),
            later in 0i64..30 * 365 * 86_400,
        ) {
            let ca = CaCertificate::parse(&ceremony().device_ca_der).unwrap();
            let realm = Realm::new("m.example.jp", name, base).unwrap();
            let slot: SlotNumber = format!("{series}-{number:04}").parse().unwrap();
            let serial = CertificateSerial::from_random(random);
            let mut profile = Profile::device(&realm, slot, kind, serial, NOW, ca.not_after()).unwrap();
            // What the lint would refuse must still be the same octets.
            (profile.not_before, profile.not_after) = (profile.not_before + later, profile.not_after + later);
            let key = device_key().public_key();
            let ours = stencil::device(&profile, &key, &ca).unwrap();
            let theirs = Draft::by_rcgen(&profile, &key, Some(&ca)).unwrap();
            prop_assert_eq!(&ours[..], theirs.bytes());
        }
    }
}
