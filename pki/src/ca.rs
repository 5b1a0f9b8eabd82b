//! One of our CA's certificates, read: what issuing, linting and verifying need of it. A pure value.

use x509_parser::extensions::{GeneralName, GeneralSubtree, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::key::PublicKey;
use crate::realm::{RealmError, Zone};
use crate::serial::CertificateSerial;

#[derive(Clone, PartialEq, Eq)]
pub struct CaCertificate {
    der: Vec<u8>,
    subject: Vec<u8>,
    key: PublicKey,
    key_id: Vec<u8>,
    serial: CertificateSerial,
    organization: String,
    common_name: String,
    not_before: i64,
    not_after: i64,
    permitted: Vec<String>,
    excluded: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a CA certificate of ours: {0}")]
pub struct CaError(pub(crate) &'static str);

impl CaCertificate {
    pub fn parse(der: &[u8]) -> Result<Self, CaError> {
        let (rest, x509) = X509Certificate::from_der(der).map_err(|_| CaError("not DER of a certificate"))?;
        if !rest.is_empty() {
            return Err(CaError("bytes after its end"));
        }
        if !x509.is_ca() {
            return Err(CaError("cA is not set"));
        }
        let text =
            |mut parts: Box<dyn Iterator<Item = &x509_parser::x509::AttributeTypeAndValue<'_>> + '_>| {
                parts.next().and_then(|part| part.as_str().ok()).unwrap_or_default().to_owned()
            };
        let mut ca = Self {
            der: der.to_vec(),
            subject: x509.subject().as_raw().to_vec(),
            key: PublicKey::from_spki(x509.public_key().raw).map_err(|_| CaError("its key is not P-256"))?,
            key_id: Vec::new(),
            serial: CertificateSerial::from_der_integer(x509.raw_serial())
                .map_err(|_| CaError("its serial is not ours"))?,
            organization: text(Box::new(x509.subject().iter_organization())),
            common_name: text(Box::new(x509.subject().iter_common_name())),
            not_before: x509.validity().not_before.timestamp(),
            not_after: x509.validity().not_after.timestamp(),
            permitted: Vec::new(),
            excluded: Vec::new(),
        };
        for extension in x509.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::SubjectKeyIdentifier(id) => ca.key_id = id.0.to_vec(),
                ParsedExtension::NameConstraints(names) => {
                    ca.permitted = dns_names(names.permitted_subtrees.as_deref())?;
                    ca.excluded = dns_names(names.excluded_subtrees.as_deref())?;
                }
                _ => {}
            }
        }
        if ca.key_id.is_empty() {
            return Err(CaError("no subject key identifier"));
        }
        Ok(ca)
    }

    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The subject's DER, which must be the issuer of everything below, byte for byte.
    pub fn subject(&self) -> &[u8] {
        &self.subject
    }

    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    pub fn key_id(&self) -> &[u8] {
        &self.key_id
    }

    pub fn serial(&self) -> CertificateSerial {
        self.serial
    }

    /// The realm's name.
    pub fn organization(&self) -> &str {
        &self.organization
    }

    pub fn common_name(&self) -> &str {
        &self.common_name
    }

    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether the name constraints let this dNSName stand below.
    pub fn permits(&self, name: &str) -> bool {
        let within = |zone: &String| {
            name.strip_suffix(zone.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        self.permitted.iter().any(within) && !self.excluded.iter().any(within)
    }

    /// The zone of a device CA: its one permitted name is `dev.<zone>`.
    pub fn device_zone(&self) -> Result<Zone, RealmError> {
        match self.permitted.as_slice() {
            [one] => Zone::of_devices(one),
            _ => Err(RealmError::Zone(self.permitted.join(" "))),
        }
    }

    /// The zone of a server CA: its one permitted name is the zone itself.
    pub fn server_zone(&self) -> Result<Zone, RealmError> {
        match (self.permitted.as_slice(), self.excluded.as_slice()) {
            ([one], [_]) => Zone::parse(one),
            _ => Err(RealmError::Zone(self.permitted.join(" "))),
        }
    }
}

fn dns_names(subtrees: Option<&[GeneralSubtree<'_>]>) -> Result<Vec<String>, CaError> {
    subtrees
        .unwrap_or_default()
        .iter()
        .map(|subtree| match &subtree.base {
            GeneralName::DNSName(name) => Ok((*name).to_owned()),
            _ => Err(CaError("a name constraint of another kind than dNSName")),
        })
        .collect()
}
