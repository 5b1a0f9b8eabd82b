//! Proves that a certificate is a device of ours, and which. Pure; what the gateway asks at every handshake.
//! The path by rustls-webpki, against the device CA alone: the server CA, the root and public CAs
//! certify no device. Whether the certificate still lives is the snapshot's answer, not this one's.

use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use vpn::slot::SlotNumber;
use webpki::{EndEntityCert, KeyUsage};
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::ca::{CaCertificate, CaError};
use crate::chain::Hash;
use crate::door::Attestation;
use crate::key::PublicKey;
use crate::realm::Zone;
use crate::serial::CertificateSerial;

/// Our leaf is below 800 bytes.
const LEAF_MAX: usize = 4 * 1024;
/// Leaf and device CA; a client may send the root too.
const CHAIN_MAX: usize = 3;

/// Device CAs (more than one while one follows the other) and the zone.
#[derive(Clone)]
pub struct DeviceVerifier {
    anchors: Vec<TrustAnchor<'static>>,
    subjects: Vec<Vec<u8>>,
    zone: Zone,
}

/// Made by `DeviceVerifier::verify` and by nobody else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedDevice {
    slot: SlotNumber,
    serial: CertificateSerial,
    not_before: i64,
    not_after: i64,
    key: Hash,
}

impl VerifiedDevice {
    pub fn slot(&self) -> SlotNumber {
        self.slot
    }

    pub fn serial(&self) -> CertificateSerial {
        self.serial
    }

    /// Unix seconds.
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// Unix seconds.
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// SHA-256 of its SubjectPublicKeyInfo.
    pub fn key_hash(&self) -> Hash {
        self.key
    }
}

/// Why a certificate is not a device of ours. Codes and texts: `messages`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// No certificate was presented.
    Missing,
    Malformed,
    /// Not from our device CA.
    NotOurs,
    Expired {
        not_after: i64,
    },
    NotYetValid {
        not_before: i64,
    },
    /// Not for a device: a CA, a server.
    WrongPurpose,
    /// Not exactly one device name of this zone.
    WrongName,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    #[error("MM-2108 {0}")]
    Ca(#[from] CaError),
    #[error("MM-2109 the attestation is not signed by this device CA")]
    Signature,
}

impl DeviceVerifier {
    /// From the DER of the device CA, or of two while one follows the other. The zone is read from
    /// their name constraints and must be the same.
    pub fn new(device_cas: &[&[u8]]) -> Result<Self, CaError> {
        let mut zone = None;
        let (mut anchors, mut subjects) = (Vec::new(), Vec::new());
        for der in device_cas {
            let ca = CaCertificate::parse(der)?;
            let own = ca.device_zone().map_err(|_| CaError("not constrained to the devices of one zone"))?;
            if zone.get_or_insert_with(|| own.clone()) != &own {
                return Err(CaError("device CAs of two zones"));
            }
            let der = CertificateDer::from(*der);
            let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|_| CaError("no anchor of trust"))?;
            anchors.push(anchor.to_owned());
            subjects.push(ca.subject().to_vec());
        }
        let zone = zone.ok_or(CaError("no device CA given"))?;
        Ok(Self { anchors, subjects, zone })
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// DER names of the device CAs: the list that a CertificateRequest carries (ruling 1).
    pub fn subjects(&self) -> &[Vec<u8>] {
        &self.subjects
    }

    /// `chain` as the client sent it, leaf first (what stands behind the leaf is not needed and not
    /// believed); `now` in Unix seconds.
    pub fn verify<C: AsRef<[u8]>>(&self, chain: &[C], now: i64) -> Result<VerifiedDevice, VerifyError> {
        let leaf = chain.first().ok_or(VerifyError::Missing)?.as_ref();
        if leaf.len() > LEAF_MAX || chain.len() > CHAIN_MAX {
            return Err(VerifyError::Malformed);
        }
        self.path(leaf, now)?;
        let (rest, x509) = X509Certificate::from_der(leaf).map_err(|_| VerifyError::Malformed)?;
        if !rest.is_empty() {
            return Err(VerifyError::Malformed);
        }
        for_a_device(&x509)?;
        Ok(VerifiedDevice {
            slot: self.slot(&x509)?,
            serial: CertificateSerial::from_der_integer(x509.raw_serial())
                .map_err(|_| VerifyError::NotOurs)?,
            not_before: x509.validity().not_before.timestamp(),
            not_after: x509.validity().not_after.timestamp(),
            key: PublicKey::from_spki(x509.public_key().raw).map_err(|_| VerifyError::WrongPurpose)?.hash(),
        })
    }

    fn path(&self, leaf: &[u8], now: i64) -> Result<(), VerifyError> {
        let der = CertificateDer::from(leaf);
        let leaf = EndEntityCert::try_from(&der).map_err(refusal)?;
        let now = u64::try_from(now).map_err(|_| VerifyError::NotYetValid { not_before: 0 })?;
        let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now));
        let algorithms = [webpki::aws_lc_rs::ECDSA_P256_SHA256];
        leaf.verify_for_usage(&algorithms, &self.anchors, &[], now, KeyUsage::client_auth(), None, None)
            .map(drop)
            .map_err(refusal)
    }

    /// Exactly one name, of the one form, in our zone.
    fn slot(&self, x509: &X509Certificate<'_>) -> Result<SlotNumber, VerifyError> {
        let names = x509.subject_alternative_name().ok().flatten().ok_or(VerifyError::WrongName)?;
        match names.value.general_names.as_slice() {
            [GeneralName::DNSName(name)] => self.zone.slot_of(name).ok_or(VerifyError::WrongName),
            _ => Err(VerifyError::WrongName),
        }
    }
}

/// That the ledger of this device CA holds this line, and the CA's key says so.
pub fn attestation(device_ca_der: &[u8], attestation: &Attestation) -> Result<(), AttestationError> {
    let ca = CaCertificate::parse(device_ca_der)?;
    let message =
        Attestation::message(attestation.entry, &attestation.subject, &attestation.hash, &attestation.head);
    // The text form has one line per field; a subject with a line break could pretend to be two fields.
    let one_line = !attestation.subject.contains(char::is_control);
    if one_line && ca.key().verifies(&message, &attestation.signature) {
        Ok(())
    } else {
        Err(AttestationError::Signature)
    }
}

/// webpki takes a missing extended key usage for any; we do not.
fn for_a_device(x509: &X509Certificate<'_>) -> Result<(), VerifyError> {
    let mut client = false;
    for extension in x509.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::ExtendedKeyUsage(usage) => {
                client = usage.client_auth && !usage.any && !usage.server_auth && usage.other.is_empty();
            }
            ParsedExtension::BasicConstraints(basic) if basic.ca => return Err(VerifyError::WrongPurpose),
            _ => {}
        }
    }
    if client { Ok(()) } else { Err(VerifyError::WrongPurpose) }
}

fn refusal(error: webpki::Error) -> VerifyError {
    use webpki::Error as E;
    match error {
        E::CertExpired { not_after, .. } => VerifyError::Expired { not_after: seconds(not_after) },
        E::CertNotValidYet { not_before, .. } => VerifyError::NotYetValid { not_before: seconds(not_before) },
        E::CaUsedAsEndEntity
        | E::EndEntityUsedAsCa
        | E::RequiredEkuNotFoundContext(_)
        | E::EmptyEkuExtension
        | E::UnsupportedCriticalExtension => VerifyError::WrongPurpose,
        E::NameConstraintViolation => VerifyError::WrongName,
        E::UnknownIssuer
        | E::InvalidSignatureForPublicKey
        | E::UnsupportedSignatureAlgorithmContext(_)
        | E::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | E::PathLenConstraintViolated => VerifyError::NotOurs,
        _ => VerifyError::Malformed,
    }
}

fn seconds(time: UnixTime) -> i64 {
    i64::try_from(time.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
