//! The key, and the only way to it: an `Order`, which needs the record in the ledger and, for a
//! certificate, the lint. An edge file: key generation and ECDSA's nonces draw on the machine's randomness.
//! A key lives inside its signer, in memory that is wiped when it is dropped.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use zeroize::Zeroizing;

use crate::ca::CaCertificate;
use crate::chain::Hash;
use crate::checkpoint::Checkpoint;
use crate::draft::{Draft, DraftError};
use crate::key::PublicKey;
use crate::ledger::Recorded;
use crate::lint::{self, LintFault, Linted};
use crate::ocsp::ResponseData;
use crate::profile::Profile;
use crate::seal::{self, NONCE_LEN, SALT_LEN, SealError, Secret};
use crate::tiles::TreeHead;

/// Bytes that may be signed.
pub struct Order<'a>(&'a [u8]);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("MM-2221 what is to be signed is not what was recorded and linted")]
    NotRecorded,
    #[error("MM-2222 the key cannot sign: {0}")]
    Key(String),
    #[error(transparent)]
    Token(#[from] TokenError),
}

/// Whose fault it is that a token does not sign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("MM-2241 {module}: this is no PKCS #11 module that works here: {why}")]
    Module { module: String, why: String },
    #[error("MM-2242 the token {label} refuses the PIN ({why}); it is not tried again before the next start")]
    Pin { label: String, why: String },
    #[error("MM-2243 the token {label} has locked itself after wrong PINs")]
    Locked { label: String },
    #[error("MM-2244 no token {label} is there; found: {found}")]
    Gone { label: String, found: String },
    #[error("MM-2245 the token has no key {key}, or only half of one")]
    NoKey { key: String },
    #[error("MM-2246 the token has several keys {key}: which one is meant, cannot be told")]
    Ambiguous { key: String },
    #[error("MM-2247 the key {key} of the token is not one of the curve P-256")]
    Curve { key: String },
    #[error("MM-2248 the token has a key {key} already, and it is not written over")]
    Exists { key: String },
    #[error("MM-2249 the token failed: {why}")]
    Failed { why: String },
    #[error("MM-2250 the key {key} of the token is another one than the certificate's")]
    OtherKey { key: String },
}

impl<'a> Order<'a> {
    /// A certificate: recorded and linted, both for these very bytes.
    pub fn certificate(draft: &'a Draft, recorded: &Recorded, linted: &Linted) -> Result<Self, SignError> {
        let hash = draft.hash();
        if recorded.covers() == hash && linted.covers() == hash {
            Ok(Self(draft.bytes()))
        } else {
            Err(SignError::NotRecorded)
        }
    }

    /// A revocation list or a statement: recorded.
    pub fn recorded(bytes: &'a [u8], recorded: &Recorded) -> Result<Self, SignError> {
        let right = recorded.covers() == Hash::of(bytes) && !recorded.is_certificate();
        if right { Ok(Self(bytes)) } else { Err(SignError::NotRecorded) }
    }

    /// The ceremony's certificates: linted; their record is the transcript, which is entry 0 before
    /// anything leaves the ceremony.
    pub(crate) fn founding(draft: &'a Draft, linted: &Linted) -> Result<Self, SignError> {
        if linted.covers() == draft.hash() { Ok(Self(draft.bytes())) } else { Err(SignError::NotRecorded) }
    }

    /// A checkpoint of the log as it stands on disk.
    pub fn checkpoint(text: &'a str, checkpoint: &Checkpoint, tree: &TreeHead) -> Result<Self, SignError> {
        let true_head = checkpoint.size == tree.size() && checkpoint.root == tree.root();
        if true_head && text == checkpoint.text() {
            Ok(Self(text.as_bytes()))
        } else {
            Err(SignError::NotRecorded)
        }
    }

    /// An OCSP answer; only the delegate's key is ever given one.
    pub fn answer(data: &'a ResponseData) -> Self {
        Self(data.bytes())
    }

    /// What a thief of the key would sign.
    #[cfg(test)]
    pub(crate) fn anything(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn bytes(&self) -> &[u8] {
        self.0
    }

    /// What a key store is given, which need not see more.
    pub fn digest(&self) -> Hash {
        Hash::of(self.0)
    }
}

/// A key that signs: opened from a sealed file into this memory (`MemoryKey`), or behind PKCS #11 in a token, an HSM
/// or a TPM (`token`).
pub trait Signer: Send + Sync {
    fn public_key(&self) -> PublicKey;
    /// ECDSA P-256 with SHA-256, ASN.1.
    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError>;
    /// Whether each signature must be looked at: a key store outside this process may be faulty or
    /// exchanged. Of a key in our own memory, the first of each batch is looked at.
    fn is_foreign(&self) -> bool {
        true
    }
}

/// A key in this process's memory.
pub struct MemoryKey {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl MemoryKey {
    /// A new key, and its PKCS #8, which is wiped when dropped.
    pub fn generate() -> Result<(Self, Zeroizing<Vec<u8>>), SignError> {
        let failed = |_| SignError::Key("no new key could be made".into());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(failed)?;
        let pkcs8 = Zeroizing::new(pkcs8.as_ref().to_vec());
        Ok((Self::from_pkcs8(&pkcs8)?, pkcs8))
    }

    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, SignError> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8)
            .map_err(|error| SignError::Key(error.to_string()))?;
        let public = PublicKey::from_point(pair.public_key().as_ref())
            .map_err(|error| SignError::Key(error.to_string()))?;
        Ok(Self { pair, public })
    }

    /// From a sealed key file.
    pub fn unseal(name: &str, text: &str, secret: &Secret) -> Result<Self, SealError> {
        let pkcs8 = seal::open(name, text, secret)?;
        Self::from_pkcs8(&pkcs8).map_err(|_| SealError::Form("what it holds is no P-256 key"))
    }
}

impl Signer for MemoryKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        let signature = self.pair.sign(&SystemRandom::new(), order.bytes());
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| SignError::Key("ECDSA failed".into()))
    }

    fn is_foreign(&self) -> bool {
        false
    }
}

/// A certificate whose record stands elsewhere (the transcript of a ceremony): draft, lint, sign, and a look at the
/// signature. Self-issued without an `issuer`.
pub(crate) fn founded<E>(
    profile: &Profile,
    key: &PublicKey,
    issuer: Option<&CaCertificate>,
    signer: &dyn Signer,
) -> Result<Vec<u8>, E>
where
    E: From<DraftError> + From<LintFault> + From<SignError>,
{
    let draft = Draft::certificate(profile, key, issuer)?;
    let linted = lint::certificate(&draft, profile, key, issuer)?;
    let order = Order::founding(&draft, &linted)?;
    let signature = signer.sign(&order)?;
    if !signer.public_key().verifies(order.bytes(), &signature) {
        return Err(SignError::Key("its signature does not verify".into()).into());
    }
    Ok(draft.finished(&signature))
}

/// Seals a key with fresh salt and nonce.
pub fn sealed(name: &str, pkcs8: &[u8], secret: &Secret) -> Result<String, SealError> {
    let salt: [u8; SALT_LEN] = random().map_err(|_| SealError::Crypto("no randomness"))?;
    let nonce: [u8; NONCE_LEN] = random().map_err(|_| SealError::Crypto("no randomness"))?;
    seal::seal(name, pkcs8, secret, &salt, nonce)
}

/// Fresh bytes from the machine.
pub fn random<const N: usize>() -> Result<[u8; N], SignError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| SignError::Key(error.to_string()))?;
    Ok(bytes)
}
