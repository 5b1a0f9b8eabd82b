//! What signs letters as S/MIME (RFC 8551): the association's mail certificate and its key, out of one PEM file that the
//! appliance reads before the jail closes. The key has no `Debug` and goes nowhere. Edge: randomness (of ECDSA).

use std::sync::Arc;

use data_encoding::BASE64;
use pki::chain::Hash;
use pki::cms;
use pki::mail_certificate::{self, MailCertificate, MailCertificateFault, MailKeyKind};
use rustls::SignatureScheme;
use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;

use crate::door_mail::MailSignature;

#[derive(Clone)]
pub struct SmimeKey {
    certificate: MailCertificate,
    key: Arc<dyn SigningKey>,
}

/// What one letter's signature is of.
pub struct ToSign {
    attributes: Vec<u8>,
    /// Of the attributes and of who signs: a remembered signature is good for these alone.
    name: Hash,
}

#[derive(Debug, thiserror::Error)]
#[error("the mail certificate's key signs nothing")]
pub struct SmimeError;

impl SmimeKey {
    /// `from`: the address that every letter comes from.
    pub fn read(pem: &str, from: &str) -> Result<Self, MailCertificateFault> {
        let der = mail_certificate::private_key(pem)?;
        let der = PrivateKeyDer::try_from(der.as_slice()).map_err(|_| MailCertificateFault::KeyKind)?;
        let key = any_supported_type(&der).map_err(|_| MailCertificateFault::KeyKind)?;
        let public_key = key.public_key().ok_or(MailCertificateFault::KeyKind)?;
        let certificate = MailCertificate::read(pem, &public_key, from)?;
        Ok(Self { certificate, key })
    }

    pub fn good_at(&self, now: i64) -> Result<(), MailCertificateFault> {
        self.certificate.good_at(now)
    }

    pub fn shown(&self) -> MailSignature {
        let MailCertificate { address, issuer, not_after, .. } = self.certificate.clone();
        MailSignature { address, issuer, not_after }
    }

    /// `written_at`: the letter's own time, so that every attempt says the same; but never before the certificate began.
    pub fn to_sign(&self, content: &[u8], written_at: i64) -> Option<ToSign> {
        let at = written_at.max(self.certificate.not_before);
        let attributes = cms::attributes(&Hash::of(content), at)?;
        let leaf = self.certificate.chain.first()?;
        let name = Hash::of(&[attributes.as_slice(), leaf].concat());
        Some(ToSign { attributes, name })
    }

    /// To be remembered: ECDSA signs otherwise each time.
    pub fn sign(&self, what: &ToSign) -> Result<String, SmimeError> {
        let scheme = match self.certificate.kind {
            MailKeyKind::EcdsaP256 => SignatureScheme::ECDSA_NISTP256_SHA256,
            MailKeyKind::Rsa => SignatureScheme::RSA_PKCS1_SHA256,
        };
        let signer = self.key.choose_scheme(&[scheme]).ok_or(SmimeError)?;
        let signature = signer.sign(&what.attributes).map_err(|_| SmimeError)?;
        Ok(format!("{} {}", what.name, BASE64.encode(&signature)))
    }

    /// The CMS octets; `None` when what is remembered is of another letter, text or certificate.
    pub fn detached(&self, what: &ToSign, remembered: &str) -> Option<Vec<u8>> {
        let (name, signature) = remembered.split_once(' ')?;
        if name != what.name.to_string() {
            return None;
        }
        cms::detached(&self.certificate, &what.attributes, &BASE64.decode(signature.as_bytes()).ok()?)
    }
}
