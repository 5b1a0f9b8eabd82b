//! What the accounts' door is asked about passkeys, and what it answers: the words of W3C WebAuthn, octets as base64url text.
//! Whoever owns the accounts verifies; this room keeps the challenges. A border file.

use pki::identity::PersonId;
use serde::{Deserialize, Serialize};

use super::{AccountCheck, Password};

/// What an authenticator was asked: on which page, under which name, with which octets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub challenge: String,
    pub origin: String,
    pub rp: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PasskeyQuestion {
    /// May this person make one? The password is asked for again: a terminal has several people (H-02).
    Offer {
        person: PersonId,
        password: Password,
        rp: String,
    },
    Keep {
        person: PersonId,
        label: String,
        asked: Asked,
        client_data: String,
        attestation: String,
    },
    List {
        person: PersonId,
    },
    Remove {
        person: PersonId,
        credential: String,
    },
    /// Whom does it sign in?
    Check {
        asked: Asked,
        proof: Proof,
    },
}

/// What an authenticator answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    pub credential: String,
    /// Whose it believes it is.
    pub person: Option<String>,
    pub client_data: String,
    pub authenticator_data: String,
    pub signature: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PasskeyAnswer {
    Offered(Offer),
    Kept(Kept),
    Listed(Vec<Passkey>),
    /// Was it this person's?
    Removed(bool),
    Checked(AccountCheck),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offer {
    Yours {
        login: String,
        name: String,
        /// Credentials this person has at this name already.
        held: Vec<String>,
    },
    Wrong,
    Paused {
        seconds: u32,
    },
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    Kept,
    Refused,
    Full,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passkey {
    pub credential: String,
    pub rp: String,
    pub label: String,
    pub made_ms: i64,
    pub used_ms: Option<i64>,
}
