//! Keys that live in a PKCS #11 token: a card, an HSM, SoftHSM, a TPM behind its module. An edge file: it loads the
//! vendor's module into this process and talks to it. Owns one line to one token, which is given up at the first
//! error and laid anew at the next signature, so that a token that was away is taken up again by itself. The module
//! stays loaded until the process ends.
//!
//! A PIN that was refused is not tried again: a token locks itself after a few.

use std::collections::BTreeMap;
use std::mem;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::der::ecdsa_signature;
use crate::key::{POINT_LEN, PublicKey};
use crate::signer::{Order, SignError, Signer, TokenError, random};

/// secp256r1 as CKA_EC_PARAMS names it.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// A key's CKA_ID, which ties its two halves together.
const ID_LEN: usize = 16;
/// Tags and lengths in front of a point that is wrapped as an OCTET STRING.
const POINT_HEAD: [u8; 2] = [0x04, POINT_LEN as u8];

/// Which token, and what opens it.
pub struct TokenConfig {
    /// The vendor's PKCS #11 library.
    pub module: PathBuf,
    /// The token's own label: the numbers of slots change with what is plugged in.
    pub label: String,
    pub pin: Pin,
}

/// Shown to nobody, wiped when dropped.
pub struct Pin(Zeroizing<String>);

impl Pin {
    pub fn new(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }
}

/// A module, loaded, and the line to its token.
pub struct Token {
    module: PathBuf,
    label: String,
    pin: AuthPin,
    context: Pkcs11,
    line: Mutex<Line>,
}

enum Line {
    New,
    /// It worked before.
    Lost,
    Open(Open),
    /// For good: trying again would bring the token nearer to locking itself.
    Refused(TokenError),
}

struct Open {
    slot: Slot,
    session: Session,
    /// Private keys that were found and looked at.
    keys: BTreeMap<String, ObjectHandle>,
}

/// A key in a token. What it signs, it signs in there.
pub struct TokenKey {
    token: Arc<Token>,
    label: String,
    public: PublicKey,
}

impl Token {
    /// Loads the module and signs in.
    pub fn open(config: TokenConfig) -> Result<Arc<Self>, TokenError> {
        let bad = |why: String| TokenError::Module { module: config.module.display().to_string(), why };
        if !config.module.is_file() {
            return Err(bad("there is no such file".to_owned()));
        }
        let context = Pkcs11::new(&config.module).map_err(|error| bad(error.to_string()))?;
        // Unloading what may still run a thread or a handler of its own is undefined: it is never done.
        mem::forget(context.clone());
        let token = Self {
            module: config.module,
            label: config.label,
            pin: AuthPin::from(config.pin.0.as_str().to_owned()),
            context,
            line: Mutex::new(Line::New),
        };
        token.with(|_| Ok(()))?;
        Ok(Arc::new(token))
    }

    pub fn label(&self) -> &str {
        &self.label
    }

    /// A key that is there.
    pub fn key(self: &Arc<Self>, label: &str) -> Result<TokenKey, TokenError> {
        let (_, public) = self.with(|open| found(&open.session, label))?;
        Ok(TokenKey { token: Arc::clone(self), label: label.to_owned(), public })
    }

    /// The key of this certificate.
    pub fn key_of(self: &Arc<Self>, label: &str, public: &PublicKey) -> Result<TokenKey, TokenError> {
        let key = self.key(label)?;
        if &key.public == public { Ok(key) } else { Err(TokenError::OtherKey { key: label.to_owned() }) }
    }

    /// A new key, which cannot leave the token.
    pub fn make(self: &Arc<Self>, label: &str) -> Result<TokenKey, TokenError> {
        self.with(|open| {
            if !labelled(&open.session, ObjectClass::PRIVATE_KEY, label)?.is_empty()
                || !labelled(&open.session, ObjectClass::PUBLIC_KEY, label)?.is_empty()
            {
                return Err(TokenError::Exists { key: label.to_owned() });
            }
            let id: [u8; ID_LEN] = random().map_err(|error| TokenError::Failed { why: error.to_string() })?;
            let named =
                || [Attribute::Token(true), Attribute::Label(label.into()), Attribute::Id(id.to_vec())];
            let public = [Attribute::Verify(true), Attribute::EcParams(P256.to_vec())];
            let private = [
                Attribute::Private(true),
                Attribute::Sensitive(true),
                Attribute::Extractable(false),
                Attribute::Sign(true),
            ];
            // The session that signs cannot write; sessions of one process share its login.
            let writing = self.context.open_rw_session(open.slot).map_err(failed)?;
            writing
                .generate_key_pair(
                    &Mechanism::EccKeyPairGen,
                    &named().into_iter().chain(public).collect::<Vec<_>>(),
                    &named().into_iter().chain(private).collect::<Vec<_>>(),
                )
                .map_err(failed)?;
            Ok(())
        })?;
        self.key(label)
    }

    fn sign(&self, label: &str, expected: &PublicKey, digest: &[u8]) -> Result<Vec<u8>, TokenError> {
        self.with(|open| {
            let key = match open.keys.get(label) {
                Some(key) => *key,
                None => {
                    let (key, public) = found(&open.session, label)?;
                    if &public != expected {
                        return Err(TokenError::OtherKey { key: label.to_owned() });
                    }
                    open.keys.insert(label.to_owned(), key);
                    key
                }
            };
            let raw = open.session.sign(&Mechanism::Ecdsa, key, digest).map_err(failed)?;
            ecdsa_signature(&raw)
                .ok_or_else(|| TokenError::Failed { why: "this is no signature of P-256".into() })
        })
    }

    /// Over the line as it stands; if that fails, once more over a new one.
    fn with<T>(&self, act: impl Fn(&mut Open) -> Result<T, TokenError>) -> Result<T, TokenError> {
        let mut line = self.line();
        if let Line::Open(open) = &mut *line {
            match act(open) {
                Err(TokenError::Failed { why }) => {
                    log::warn!("the line to the token {} is laid anew: {why}", self.label);
                    *line = Line::Lost;
                    // What it knew of a token that was taken away, a module only forgets here.
                    let _ = self.context.clone().finalize();
                }
                done => return done,
            }
        }
        if let Line::Refused(error) = &*line {
            return Err(error.clone());
        }
        match self.lay() {
            Ok(mut open) => {
                let done = act(&mut open);
                *line = Line::Open(open);
                done
            }
            Err(error) => {
                let error = match (error, &*line) {
                    // The module is not at fault that has worked before.
                    (TokenError::Module { why, .. }, Line::Lost) => TokenError::Failed { why },
                    (error, _) => error,
                };
                if matches!(error, TokenError::Pin { .. } | TokenError::Locked { .. }) {
                    *line = Line::Refused(error.clone());
                }
                let _ = self.context.clone().finalize();
                Err(error)
            }
        }
    }

    fn lay(&self) -> Result<Open, TokenError> {
        match self.context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => {
                return Err(TokenError::Module {
                    module: self.module.display().to_string(),
                    why: error.to_string(),
                });
            }
        }
        let slot = self.slot()?;
        let label = || self.label.clone();
        if self.context.get_token_info(slot).map_err(failed)?.user_pin_locked() {
            return Err(TokenError::Locked { label: label() });
        }
        let session = self.context.open_ro_session(slot).map_err(failed)?;
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(Error::Pkcs11(RvError::PinLocked, _)) => return Err(TokenError::Locked { label: label() }),
            Err(Error::Pkcs11(
                why @ (RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::UserPinNotInitialized),
                _,
            )) => return Err(TokenError::Pin { label: label(), why: why.to_string() }),
            Err(error) => return Err(failed(error)),
        }
        Ok(Open { slot, session, keys: BTreeMap::new() })
    }

    /// By its label; two of one label are as good as none.
    fn slot(&self) -> Result<Slot, TokenError> {
        let (mut ours, mut found) = (Vec::new(), Vec::new());
        for slot in self.context.get_slots_with_token().map_err(failed)? {
            // A reader whose token is just being pulled out.
            let Ok(info) = self.context.get_token_info(slot) else { continue };
            if info.token_initialized() {
                found.push(info.label().to_owned());
            }
            if info.label() == self.label {
                ours.push(slot);
            }
        }
        match ours.as_slice() {
            [slot] => Ok(*slot),
            _ => {
                let found = if found.is_empty() { "–".to_owned() } else { found.join(", ") };
                Err(TokenError::Gone { label: self.label.clone(), found })
            }
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        // Every change leaves it whole, even one that panicked.
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Signer for TokenKey {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, order: &Order<'_>) -> Result<Vec<u8>, SignError> {
        // The digest is made here: not every token knows CKM_ECDSA_SHA256, and all know CKM_ECDSA.
        Ok(self.token.sign(&self.label, &self.public, order.digest().as_bytes())?)
    }
}

fn labelled(session: &Session, class: ObjectClass, label: &str) -> Result<Vec<ObjectHandle>, TokenError> {
    session.find_objects(&[Attribute::Class(class), Attribute::Label(label.into())]).map_err(failed)
}

/// A private key by its label, and the public one that belongs to it.
fn found(session: &Session, label: &str) -> Result<(ObjectHandle, PublicKey), TokenError> {
    let missing = || TokenError::NoKey { key: label.to_owned() };
    let private = match labelled(session, ObjectClass::PRIVATE_KEY, label)?.as_slice() {
        [] => return Err(missing()),
        [private] => *private,
        _ => return Err(TokenError::Ambiguous { key: label.to_owned() }),
    };
    let wanted = [AttributeType::Id, AttributeType::KeyType, AttributeType::Extractable];
    let mut id = Vec::new();
    for attribute in session.get_attributes(private, &wanted).map_err(failed)? {
        match attribute {
            Attribute::KeyType(kind) if kind != KeyType::EC => {
                return Err(TokenError::Curve { key: label.to_owned() });
            }
            Attribute::Extractable(true) => {
                log::warn!("the key {label} may be taken out of its token: it was made that way");
            }
            Attribute::Id(found) => id = found,
            _ => {}
        }
    }
    let public = [Attribute::Class(ObjectClass::PUBLIC_KEY), Attribute::Id(id)];
    let public = match session.find_objects(&public).map_err(failed)?.as_slice() {
        [] => return Err(missing()),
        [public, ..] => *public,
    };
    let (mut curve, mut point) = (Vec::new(), Vec::new());
    for attribute in
        session.get_attributes(public, &[AttributeType::EcParams, AttributeType::EcPoint]).map_err(failed)?
    {
        match attribute {
            Attribute::EcParams(found) => curve = found,
            Attribute::EcPoint(found) => point = found,
            _ => {}
        }
    }
    // Some modules leave the octet string away that PKCS #11 asks for.
    let bare = point.strip_prefix(&POINT_HEAD).filter(|bare| bare.len() == POINT_LEN).unwrap_or(&point);
    match PublicKey::from_point(bare) {
        Ok(public) if curve == P256 => Ok((private, public)),
        _ => Err(TokenError::Curve { key: label.to_owned() }),
    }
}

fn failed(error: Error) -> TokenError {
    TokenError::Failed { why: error.to_string() }
}

#[cfg(test)]
mod tests;
