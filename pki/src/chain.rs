//! The hash chain of every room's audit trail and of the ledger: pure, SHA-256, one line per event.
//! An entry's hash covers its number, the hash before it and its body, so that nothing can be
//! changed, left out or put in unseen. Ruling 11.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};

/// SHA-256; 64 hex digits in text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hash([u8; 32]);

/// What stands before the first entry.
pub const GENESIS: Hash = Hash([0; 32]);

impl Hash {
    pub fn of(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    /// A hash that somebody else computed.
    pub fn from_bytes(hash: [u8; 32]) -> Self {
        Self(hash)
    }

    /// The result of a running digest, which must be SHA-256.
    pub(crate) fn finished(context: digest::Context) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Self(hash)
    }

    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The head of a chain: how many entries, and the hash of the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub entries: u64,
    pub hash: Hash,
}

impl Head {
    pub const EMPTY: Head = Head { entries: 0, hash: GENESIS };

    /// The head after one more entry; the entry's own hash is the new head's.
    #[must_use]
    pub fn then(self, body: &[u8]) -> Head {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"mimamori chain v1\0");
        context.update(&self.entries.to_be_bytes());
        context.update(&self.hash.0);
        context.update(&(body.len() as u64).to_be_bytes());
        context.update(body);
        Head { entries: self.entries + 1, hash: Hash::finished(context) }
    }
}

/// Where a stored chain stops telling the truth.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("entry {number} of the chain does not follow from what stands before it")]
pub struct Broken {
    pub number: u64,
}

/// Recomputes a chain from its bodies and stored hashes; returns its head.
pub fn verify<'a>(entries: impl IntoIterator<Item = (&'a [u8], Hash)>) -> Result<Head, Broken> {
    let mut head = Head::EMPTY;
    for (body, stored) in entries {
        let next = head.then(body);
        if next.hash != stored {
            return Err(Broken { number: head.entries });
        }
        head = next;
    }
    Ok(head)
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 hex digits")]
pub struct HashError;

impl FromStr for Hash {
    type Err = HashError;
    fn from_str(text: &str) -> Result<Self, HashError> {
        let bytes = HEXLOWER.decode(text.as_bytes()).map_err(|_| HashError)?;
        Ok(Self(bytes.try_into().map_err(|_| HashError)?))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Hash {
    type Error = HashError;
    fn try_from(text: String) -> Result<Self, HashError> {
        text.parse()
    }
}

impl From<Hash> for String {
    fn from(hash: Hash) -> String {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(bodies: &[&str]) -> Vec<(Vec<u8>, Hash)> {
        let mut head = Head::EMPTY;
        bodies
            .iter()
            .map(|body| {
                head = head.then(body.as_bytes());
                (body.as_bytes().to_vec(), head.hash)
            })
            .collect()
    }

    fn check(entries: &[(Vec<u8>, Hash)]) -> Result<Head, Broken> {
        verify(entries.iter().map(|(body, hash)| (body.as_slice(), *hash)))
    }

    #[test]
    fn an_untouched_chain_verifies() {
        let entries = chain(&["facility accepted", "slot allotted", "revoked"]);
        assert_eq!(check(&entries).unwrap().entries, 3);
    }

    #[test]
    fn a_changed_dropped_swapped_or_inserted_entry_is_found() {
        let good = chain(&["a", "b", "c"]);
        let mut changed = good.clone();
        changed[1].0 = b"B".to_vec();
        assert_eq!(check(&changed), Err(Broken { number: 1 }));
        let mut dropped = good.clone();
        dropped.remove(0);
        assert_eq!(check(&dropped), Err(Broken { number: 0 }));
        let mut swapped = good.clone();
        swapped.swap(0, 1);
        assert_eq!(check(&swapped), Err(Broken { number: 0 }));
        let mut inserted = good.clone();
        inserted.insert(1, (b"x".to_vec(), Hash::of(b"x")));
        assert_eq!(check(&inserted), Err(Broken { number: 1 }));
    }
}
