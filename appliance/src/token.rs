//! The authorities' keys in a token, as `init` is told of it: what the configuration will say, and the ceremony's side.
//! An edge: the PIN's file, the vendor's module.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use pki::ceremony::{Origin, TokenKeys};
use pki::token::{Pin, Token, TokenConfig};

use crate::config::written::quoted;
use crate::messages::Message;
use crate::secrets::{self, PIN, Secret};

/// The realm's own copy of the PIN: the file that was given may be thrown away.
pub const PIN_FILE: &str = "token-pin";
/// The same on a machine of our image.
pub const PIN_CREDENTIAL: &str = "token_pin";

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct TokenWishes {
    pub module: PathBuf,
    pub label: String,
    pub pin_file: PathBuf,
    /// In front of the keys' names.
    pub prefix: String,
    pub origin: Origin,
    pub writes: Vec<PathBuf>,
    pub reads: Vec<PathBuf>,
}

impl TokenWishes {
    pub fn pin(&self) -> Result<Secret, Message> {
        secrets::open_given(PIN, &self.pin_file)
    }

    /// Loads the module, and signs in: what is wrong with the token is said before anything is made.
    pub fn open(&self, pin: &Secret) -> Result<TokenKeys, Message> {
        let config = TokenConfig {
            module: self.module.clone(),
            label: self.label.clone(),
            pin: Pin::new(pin.expose()),
        };
        let token = Token::open(config)
            .map_err(|error| Message::OpenFailed { room: "pki".to_owned(), why: error.to_string() })?;
        Ok(TokenKeys { token, prefix: self.prefix.clone(), origin: self.origin })
    }

    /// The section `[token]`; `pin` says where the PIN will lie.
    pub fn write(&self, given: &mut BTreeMap<&'static str, String>, pin: (&'static str, String)) {
        let text = |path: &Path| quoted(&path.to_string_lossy());
        let list = |paths: &[PathBuf]| {
            let paths: Vec<String> = paths.iter().map(|path| text(path)).collect();
            format!("[{}]", paths.join(", "))
        };
        given.insert("token.module", text(&self.module));
        given.insert("token.label", quoted(&self.label));
        given.insert("token.writes", list(&self.writes));
        given.insert("token.reads", list(&self.reads));
        given.insert(pin.0, pin.1);
    }
}
