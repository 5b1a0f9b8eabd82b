//! The ceremony: root, device CA, server CA and the gateway's first certificate, made once. An edge file:
//! randomness. `create` makes everything in memory; `folders` writes it down. The root's key exists in the
//! clear only inside `create`, and leaves it sealed.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::ca::{CaCertificate, CaError};
use crate::chain::Hash;
use crate::draft::DraftError;
use crate::lifetime::{LifetimeError, utc};
use crate::lint::LintFault;
use crate::pem;
use crate::profile::Profile;
use crate::realm::{Realm, RealmError};
use crate::seal::{SealError, Secret};
use crate::serial::CertificateSerial;
use crate::signer::{MemoryKey, SignError, Signer, founded, random, sealed};
use crate::token::Token;

/// Names under which the keys are sealed.
pub const ROOT_KEY: &str = "root";
pub const DEVICE_CA_KEY: &str = "device-ca";
pub const SERVER_CA_KEY: &str = "server-ca";

pub struct CeremonyConfig {
    pub zone: String,
    /// The realm's own name (在宅医療連携協議会…); stands in every certificate.
    pub realm_name: String,
    /// `http://` and the open gateway address.
    pub published_base: String,
    /// Opens the root's key; belongs into another envelope than the safe's folder.
    pub root_secret: Secret,
    /// Opens the issuing CAs' keys on the appliance.
    pub pki_secret: Secret,
    /// The shares of the root's passphrase as the transcript names them; none: it stays in one hand.
    pub shares: Option<String>,
    /// Where the issuing CAs' keys live; none: sealed in the authority's folder.
    pub token: Option<TokenKeys>,
}

/// Keys of the issuing CAs in a token. The root's is never in one: it is offline, in a file that outlives devices.
pub struct TokenKeys {
    pub token: Arc<Token>,
    /// In front of `-device-ca` and `-server-ca`, the keys' labels.
    pub prefix: String,
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Made in the token, and never anywhere else.
    Made,
    /// Made there before, by the association's own procedure.
    Found,
}

/// How an issuing CA's key is kept.
pub enum KeptKey {
    /// The text of a sealed key file.
    Sealed(String),
    /// Its label in the token.
    Token(String),
}

/// All that the ceremony made.
pub struct Ceremony {
    pub root_der: Vec<u8>,
    pub device_ca_der: Vec<u8>,
    pub server_ca_der: Vec<u8>,
    pub gateway_der: Vec<u8>,
    pub root_key_sealed: String,
    pub device_ca_key: KeptKey,
    pub server_ca_key: KeptKey,
    /// The gateway's own TLS key (PEM, PKCS #8): the one key that is not sealed, in a folder of its own.
    pub gateway_key_pem: Zeroizing<String>,
    /// To print, check aloud, sign and keep; its hash is entry 0 of the ledger.
    pub transcript: String,
    pub serials: [CertificateSerial; 4],
    /// Unix seconds.
    pub at: i64,
}

impl Ceremony {
    /// Leaf, then server CA.
    pub fn gateway_chain_pem(&self) -> String {
        pem::certificate(&self.gateway_der) + &pem::certificate(&self.server_ca_der)
    }

    /// SHA-256 of the root certificate: what people compare.
    pub fn root_fingerprint(&self) -> Hash {
        Hash::of(&self.root_der)
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CeremonyError {
    #[error(transparent)]
    Realm(#[from] RealmError),
    #[error("MM-2304 {0}")]
    Lifetime(#[from] LifetimeError),
    #[error("MM-2305 {0}")]
    Draft(#[from] DraftError),
    #[error("MM-2306 our own lint refused a certificate of the ceremony: {0}")]
    Lint(#[from] LintFault),
    #[error("MM-2307 {0}")]
    Ca(#[from] CaError),
    #[error(transparent)]
    Sign(#[from] SignError),
    #[error(transparent)]
    Seal(#[from] SealError),
}

/// Makes keys and certificates; writes nothing.
pub fn create(config: &CeremonyConfig, now: i64) -> Result<Ceremony, CeremonyError> {
    let realm = Realm::new(&config.zone, &config.realm_name, &config.published_base)?;
    let mut serials = [CertificateSerial::from_random([0; 16]); 4];
    for serial in &mut serials {
        *serial = CertificateSerial::from_random(random()?);
    }
    let (root_key, root_pkcs8) = MemoryKey::generate()?;
    let root = Profile::root(&realm, serials[0], now)?;
    let root_der = founded::<CeremonyError>(&root, &root_key.public_key(), None, &root_key)?;
    let root = CaCertificate::parse(&root_der)?;

    let (device_key, device_kept) = issuing_key(config, DEVICE_CA_KEY)?;
    let device_ca = Profile::device_ca(&realm, serials[1], now, root.not_after())?;
    let device_ca_der =
        founded::<CeremonyError>(&device_ca, &device_key.public_key(), Some(&root), &root_key)?;

    let (server_key, server_kept) = issuing_key(config, SERVER_CA_KEY)?;
    let server_ca = Profile::server_ca(&realm, serials[2], now, root.not_after())?;
    let server_ca_der =
        founded::<CeremonyError>(&server_ca, &server_key.public_key(), Some(&root), &root_key)?;
    let server_ca = CaCertificate::parse(&server_ca_der)?;

    let (gateway_key, gateway_pkcs8) = MemoryKey::generate()?;
    let gateway = Profile::gateway(&realm, serials[3], now, server_ca.not_after())?;
    let gateway_der =
        founded::<CeremonyError>(&gateway, &gateway_key.public_key(), Some(&server_ca), server_key.as_ref())?;

    let mut ceremony = Ceremony {
        root_key_sealed: sealed(ROOT_KEY, &root_pkcs8, &config.root_secret)?,
        device_ca_key: device_kept,
        server_ca_key: server_kept,
        gateway_key_pem: pem::private_key(&gateway_pkcs8),
        root_der,
        device_ca_der,
        server_ca_der,
        gateway_der,
        transcript: String::new(),
        serials,
        at: now,
    };
    ceremony.transcript = transcript(&realm, &ceremony, config.shares.as_deref())?;
    Ok(ceremony)
}

/// An issuing CA's key, and how it is kept.
fn issuing_key(config: &CeremonyConfig, name: &str) -> Result<(Box<dyn Signer>, KeptKey), CeremonyError> {
    let Some(keys) = &config.token else {
        let (key, pkcs8) = MemoryKey::generate()?;
        return Ok((Box::new(key), KeptKey::Sealed(sealed(name, &pkcs8, &config.pki_secret)?)));
    };
    let label = format!("{}-{name}", keys.prefix);
    let key = match keys.origin {
        Origin::Made => keys.token.make(&label),
        Origin::Found => keys.token.key(&label),
    };
    Ok((Box::new(key.map_err(SignError::from)?), KeptKey::Token(label)))
}

fn transcript(realm: &Realm, ceremony: &Ceremony, shares: Option<&str>) -> Result<String, CeremonyError> {
    let mut text = format!(
        "認証局の作成記録 / Transcript of the key ceremony\n\
         ================================================\n\
         組織名 / realm:    {}\n\
         ゾーン / zone:     {}\n\
         失効情報 / lists:  {}\n\
         日時 / at:         {}\n\
         版 / version:      mimamori {}\n\n",
        realm.name(),
        realm.zone().as_str(),
        realm.published(),
        utc(ceremony.at),
        env!("CARGO_PKG_VERSION"),
    );
    let certificates = [
        ("ルート認証局 / root CA", &ceremony.root_der),
        ("端末認証局 / device CA", &ceremony.device_ca_der),
        ("サーバ認証局 / server CA", &ceremony.server_ca_der),
    ];
    for (title, der) in certificates {
        let ca = CaCertificate::parse(der)?;
        text += &block(title, ca.common_name(), &ca.serial(), &utc(ca.not_after()), der);
    }
    let gateway = realm.zone().gateway_names().join(" ");
    text += &block("ゲートウェイ / gateway", &gateway, &ceremony.serials[3], "", &ceremony.gateway_der);
    if let Some(shares) = shares {
        text += &format!(
            "パスフレーズの分散 / shares of the passphrase\n  必要/全部（組） 照合番号 / needed/all (set) checks\n  {shares}\n"
        );
    }
    if let (KeptKey::Token(device), KeptKey::Token(server)) =
        (&ceremony.device_ca_key, &ceremony.server_ca_key)
    {
        text += &format!("鍵の装置（トークン） / keys in a token\n  {device}, {server}\n");
    }
    text += "\n\
        保管 / keeping\n\
        1. この記録を印刷し、指紋（SHA-256）を読み合わせ、下に署名してください。\n   \
           Print this, read the fingerprints aloud, sign below.\n\
        2. ルート認証局の鍵（root.key.sealed）は金庫へ。パスフレーズ（またはその分散用紙の一枚ずつ）は別の封筒で、別の場所へ。\n   \
           The root's key goes into the safe; its passphrase, or each share of it, into another envelope in another place.\n\
        3. ルート認証局の鍵は、認証局の更新のときにだけ使います。\n   \
           The root's key is used again only to renew the CAs.\n\n\
        立会人 / witnesses\n\n\
        氏名 ______________________  日付 ____________  署名 ______________________\n\n\
        氏名 ______________________  日付 ____________  署名 ______________________\n";
    Ok(text)
}

fn block(title: &str, name: &str, serial: &CertificateSerial, until: &str, der: &[u8]) -> String {
    let hex = Hash::of(der).to_string();
    let pairs: Vec<&str> = (0..hex.len()).step_by(4).filter_map(|at| hex.get(at..at + 4)).collect();
    let until = if until.is_empty() { String::new() } else { format!("  期限 / until     {until}\n") };
    format!(
        "{title}\n  名前 / name      {name}\n  番号 / serial    {serial}\n{until}  指紋 / SHA-256   {}\n                   {}\n",
        pairs[..8].join(" "),
        pairs[8..].join(" "),
    )
}

impl KeptKey {
    /// What seals or names it.
    pub fn text(&self) -> &str {
        match self {
            Self::Sealed(text) | Self::Token(text) => text,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
