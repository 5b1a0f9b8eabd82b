//! The association's own mail certificate, which a public authority gave out: what a PEM file with certificate, chain and
//! key must say before a letter is signed with it (RFC 8550). Pure; the key is looked for and never opened here.

use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::oid_registry::{OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_PKCS1_RSAENCRYPTION};
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use crate::pem;

/// Leaf and issuers; a longer chain is somebody's bundle of roots.
const CHAIN_MAX: usize = 5;
/// Weaker keys are believed by nobody any more.
const RSA_BITS_MIN: usize = 2_048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKeyKind {
    EcdsaP256,
    Rsa,
}

/// A certificate that may sign our letters, with its issuers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailCertificate {
    /// Leaf first, DER.
    pub chain: Vec<Vec<u8>>,
    pub kind: MailKeyKind,
    /// As the certificate writes it.
    pub address: String,
    pub issuer: String,
    /// Unix seconds, both included.
    pub not_before: i64,
    pub not_after: i64,
}

/// What is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailCertificateFault {
    NoKey,
    NoCertificate,
    /// A block of it, counted from one, is no certificate.
    Form(usize),
    /// No certificate of the file belongs to the key.
    OtherKey,
    KeyKind,
    OtherAddress(String),
    Purpose,
    NotYet,
    Ended,
}

impl MailCertificateFault {
    pub fn ja(&self) -> String {
        match self {
            Self::NoKey => "秘密鍵（PRIVATE KEY）が一つだけ入っていません".to_owned(),
            Self::NoCertificate => format!("証明書（CERTIFICATE）が1枚以上{CHAIN_MAX}枚以下ではありません"),
            Self::Form(nth) => format!("{nth}枚目の証明書が読めません"),
            Self::OtherKey => "鍵に合う証明書が入っていません".to_owned(),
            Self::KeyKind => format!("鍵は ECDSA P-256 か {RSA_BITS_MIN} ビット以上の RSA に限ります"),
            Self::OtherAddress(found) => format!("証明書のアドレス（{found}）が mail.from と違います"),
            Self::Purpose => "メールの署名に使える証明書ではありません（emailProtection）".to_owned(),
            Self::NotYet => "証明書の有効期間がまだ始まっていません".to_owned(),
            Self::Ended => "証明書の有効期間が終わっています".to_owned(),
        }
    }

    pub fn en(&self) -> String {
        match self {
            Self::NoKey => "it does not hold exactly one private key (PRIVATE KEY)".to_owned(),
            Self::NoCertificate => format!("it does not hold one to {CHAIN_MAX} certificates (CERTIFICATE)"),
            Self::Form(nth) => format!("its certificate number {nth} cannot be read"),
            Self::OtherKey => "no certificate in it belongs to the key".to_owned(),
            Self::KeyKind => format!("the key must be ECDSA P-256, or RSA of at least {RSA_BITS_MIN} bits"),
            Self::OtherAddress(found) => format!("the certificate's address ({found}) is not mail.from"),
            Self::Purpose => "the certificate may not sign mail (emailProtection)".to_owned(),
            Self::NotYet => "the certificate is not valid yet".to_owned(),
            Self::Ended => "the certificate has ended".to_owned(),
        }
    }
}

/// The one private key of a PEM text.
pub fn private_key(text: &str) -> Result<Zeroizing<Vec<u8>>, MailCertificateFault> {
    let mut keys = pem::blocks(text)
        .filter(|(label, _)| label.ends_with("PRIVATE KEY"))
        .map(|(_, der)| Zeroizing::new(der));
    match (keys.next(), keys.next()) {
        (Some(key), None) => Ok(key),
        _ => Err(MailCertificateFault::NoKey),
    }
}

impl MailCertificate {
    /// `public_key`: SubjectPublicKeyInfo of the private key. `from`: the address that every letter comes from. Whether it
    /// is good today is asked by itself.
    pub fn read(text: &str, public_key: &[u8], from: &str) -> Result<Self, MailCertificateFault> {
        let mut chain: Vec<Vec<u8>> = pem::blocks(text)
            .filter(|(label, _)| *label == "CERTIFICATE")
            .map(|(_, der)| der)
            .take(CHAIN_MAX + 1)
            .collect();
        if chain.is_empty() || chain.len() > CHAIN_MAX {
            return Err(MailCertificateFault::NoCertificate);
        }
        let mut leaf = None;
        for (nth, der) in chain.iter().enumerate() {
            let (rest, x509) =
                X509Certificate::from_der(der).map_err(|_| MailCertificateFault::Form(nth + 1))?;
            if !rest.is_empty() {
                return Err(MailCertificateFault::Form(nth + 1));
            }
            if leaf.is_none() && x509.public_key().raw == public_key {
                leaf = Some(nth);
            }
        }
        let leaf = leaf.ok_or(MailCertificateFault::OtherKey)?;
        chain[..=leaf].rotate_right(1);
        let (kind, address, issuer, not_before, not_after) = said(&chain[0], from)?;
        Ok(Self { chain, kind, address, issuer, not_before, not_after })
    }

    pub fn good_at(&self, now: i64) -> Result<(), MailCertificateFault> {
        match now {
            _ if now < self.not_before => Err(MailCertificateFault::NotYet),
            _ if now > self.not_after => Err(MailCertificateFault::Ended),
            _ => Ok(()),
        }
    }
}

type Said = (MailKeyKind, String, String, i64, i64);

/// What the leaf says, where it may sign for `from`.
fn said(leaf: &[u8], from: &str) -> Result<Said, MailCertificateFault> {
    let (_, x509) = X509Certificate::from_der(leaf).map_err(|_| MailCertificateFault::Form(1))?;
    let kind = kind(&x509).ok_or(MailCertificateFault::KeyKind)?;
    let (mut addresses, mut mails, mut signs) = (Vec::new(), false, true);
    for extension in x509.extensions() {
        match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => {
                addresses.extend(names.general_names.iter().filter_map(|name| match name {
                    GeneralName::RFC822Name(address) => Some((*address).to_owned()),
                    _ => None,
                }));
            }
            ParsedExtension::ExtendedKeyUsage(usage) => mails = usage.email_protection,
            ParsedExtension::KeyUsage(usage) => signs = usage.digital_signature() || usage.non_repudiation(),
            _ => {}
        }
    }
    if !mails || !signs || x509.is_ca() {
        return Err(MailCertificateFault::Purpose);
    }
    // Receivers compare without regard to case (RFC 8550 3): so do we.
    let Some(address) = addresses.iter().find(|address| address.eq_ignore_ascii_case(from)) else {
        let found: String = addresses.join(" ").chars().filter(|c| !c.is_control()).take(254).collect();
        return Err(MailCertificateFault::OtherAddress(found));
    };
    let validity = x509.validity();
    Ok((
        kind,
        address.clone(),
        x509.issuer().to_string(),
        validity.not_before.timestamp(),
        validity.not_after.timestamp(),
    ))
}

fn kind(x509: &X509Certificate<'_>) -> Option<MailKeyKind> {
    let key = x509.public_key();
    if key.algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        let bits = key.parsed().ok()?.key_size();
        return (bits >= RSA_BITS_MIN).then_some(MailKeyKind::Rsa);
    }
    let curve = key.algorithm.parameters.as_ref().and_then(|curve| curve.as_oid().ok());
    let is_p256 = key.algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY && curve == Some(OID_EC_P256);
    is_p256.then_some(MailKeyKind::EcdsaP256)
}
