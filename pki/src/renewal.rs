//! A CA's certificate made anew before it ends: the same key under the same name, so that whatever stands below it
//! (devices, lists, answers, receipts) stays as it is and no device is touched. Pure. The root's key signs it
//! offline (`certify`); the authority looks at all of it again (`follows`) before it takes it up.
//!
//! A stolen key is no matter of renewal: everything below it is revoked, and another realm begins.

use crate::ca::{CaCertificate, CaError};
use crate::draft::{Draft, DraftError};
use crate::lifetime::{BACKDATE_SECONDS, LifetimeError, utc};
use crate::lint::{self, LintFault};
use crate::profile::Profile;
use crate::realm::{Realm, RealmError};
use crate::serial::CertificateSerial;
use crate::signer::{SignError, Signer, founded};

use x509_parser::prelude::{FromDer, X509Certificate};

/// A CA's certificate names no address of ours; a realm needs one.
const NOWHERE: &str = "http://127.0.0.1";

#[derive(Debug, thiserror::Error)]
pub enum RenewalError {
    #[error("MM-2501 the new certificate is no successor of the old one: {0}")]
    Other(&'static str),
    #[error(
        "MM-2502 the new certificate would end at {0} and the old one does so later; the root must be renewed first"
    )]
    NoGain(String),
    #[error("MM-2503 the key is not the root's")]
    OtherRoot,
    #[error("MM-2307 {0}")]
    Ca(#[from] CaError),
    #[error(transparent)]
    Realm(#[from] RealmError),
    #[error("MM-2304 {0}")]
    Lifetime(#[from] LifetimeError),
    #[error("MM-2305 {0}")]
    Draft(#[from] DraftError),
    #[error("MM-2306 our own lint refused the new certificate: {0}")]
    Lint(#[from] LintFault),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// Which of the two a certificate is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issuing {
    Devices,
    Servers,
}

impl Issuing {
    /// As the log names it.
    pub fn as_str(self) -> &'static str {
        match self {
            Issuing::Devices => "device-ca",
            Issuing::Servers => "server-ca",
        }
    }

    pub fn of(ca: &CaCertificate) -> Self {
        if ca.device_zone().is_ok() { Issuing::Devices } else { Issuing::Servers }
    }
}

/// The successor of `old`, signed by the root. `serial` is random.
pub fn certify(
    old: &CaCertificate,
    root: &CaCertificate,
    key: &dyn Signer,
    serial: CertificateSerial,
    now: i64,
) -> Result<Vec<u8>, RenewalError> {
    if &key.public_key() != root.key() {
        return Err(RenewalError::OtherRoot);
    }
    let profile = profile(old, root, serial, now)?;
    let der = founded::<RenewalError>(&profile, old.key(), Some(root), key)?;
    follows(&der, old, root, now)?;
    Ok(der)
}

/// Reads a certificate that is to follow `old`, and believes nothing of it.
pub fn follows(
    der: &[u8],
    old: &CaCertificate,
    root: &CaCertificate,
    now: i64,
) -> Result<CaCertificate, RenewalError> {
    let new = CaCertificate::parse(der)?;
    let (_, x509) = X509Certificate::from_der(der).map_err(|_| CaError("not DER of a certificate"))?;
    let draft = Draft::from_bytes(x509.tbs_certificate.as_ref().to_vec());
    let signature = &x509.signature_value.data;
    if !root.key().verifies(draft.bytes(), signature) || draft.finished(signature) != der {
        return Err(RenewalError::Other("it is not signed by this root, or not in its one form"));
    }
    if new.key() != old.key() || new.key_id() != old.key_id() {
        return Err(RenewalError::Other("its key is another one"));
    }
    if new.subject() != old.subject() {
        return Err(RenewalError::Other("its name is another one"));
    }
    if now < new.not_before() || new.not_after() <= now {
        return Err(RenewalError::Other("it is not valid now"));
    }
    let mut meant = profile(old, root, new.serial(), new.not_before() + BACKDATE_SECONDS)?;
    meant.not_after = meant.not_after.min(new.not_after());
    lint::certificate(&draft, &meant, old.key(), Some(root))?;
    if new.not_after() <= old.not_after() {
        return Err(RenewalError::NoGain(utc(new.not_after())));
    }
    Ok(new)
}

/// What such a certificate says: all that a new CA's would, under the old name.
fn profile(
    old: &CaCertificate,
    root: &CaCertificate,
    serial: CertificateSerial,
    now: i64,
) -> Result<Profile, RenewalError> {
    let mut profile = match old.device_zone() {
        Ok(zone) => {
            let realm = Realm::new(zone.as_str(), old.organization(), NOWHERE)?;
            Profile::device_ca(&realm, serial, now, root.not_after())?
        }
        Err(_) => {
            let zone = old.server_zone()?;
            let realm = Realm::new(zone.as_str(), old.organization(), NOWHERE)?;
            Profile::server_ca(&realm, serial, now, root.not_after())?
        }
    };
    old.common_name().clone_into(&mut profile.subject.common_name);
    Ok(profile)
}

#[cfg(test)]
mod tests;
