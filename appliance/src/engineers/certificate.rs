//! An engineer's certificate, read again where it opens more than the operator's shell: sshd has let its owner in, but what
//! asks here is a process of the operator's, and the authority may be another than the realm began with. Pure.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use data_encoding::BASE64;

use super::{point, string};

/// An authority's key over P-384, options and a long name fit.
const CERTIFICATE_MAX: usize = 8 << 10;
/// In words of OpenSSH: a user's, not a host's.
const USER: u32 = 1;
const ROLE: &[u8] = b"operator";
const OF_CERTIFICATES: &str = "-cert-v01@openssh.com";
/// Longer names are no names.
const NAME_MAX: usize = 100;

/// Whose certificate it is: its name for the records, and its key, whatever the key is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub point: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOne {
    /// No certificate of a kind that we take, or not whole.
    Unreadable,
    /// Of another authority than those given, or changed since.
    Stranger,
    /// Too early or too late, or for another role.
    NotNow,
    /// The name would make a mess of the records.
    Name,
}

impl Person {
    /// `KIND BASE64` of a certificate; `authorities` has a public key to a line; `now_s` is the wall's clock, as sshd reads it.
    pub fn of(certificate: &str, authorities: &str, now_s: u64) -> Result<Self, NotOne> {
        let read = Certificate::read(certificate).ok_or(NotOne::Unreadable)?;
        if !authorities.lines().filter_map(blob).any(|known| known == read.authority)
            || !verified(&read.authority, &read.signed, &read.signature)
        {
            return Err(NotOne::Stranger);
        }
        let now = (read.after..read.before).contains(&now_s);
        if read.kind != USER || !now || !read.roles.iter().any(|role| role == ROLE) {
            return Err(NotOne::NotNow);
        }
        let name = String::from_utf8(read.name).map_err(|_| NotOne::Name)?;
        let plain = |c: char| !c.is_control() && !c.is_whitespace();
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(plain) {
            return Err(NotOne::Name);
        }
        Ok(Self { name, point: read.point })
    }

    /// One person is not two: not by another key, and not by another name.
    pub fn is(&self, other: &Self) -> bool {
        self.name.to_lowercase() == other.name.to_lowercase() || self.point == other.point
    }
}

/// The fields that count, in the order of their bytes.
struct Certificate {
    point: Vec<u8>,
    kind: u32,
    name: Vec<u8>,
    roles: Vec<Vec<u8>>,
    after: u64,
    before: u64,
    authority: Vec<u8>,
    signed: Vec<u8>,
    signature: Vec<u8>,
}

impl Certificate {
    fn read(text: &str) -> Option<Self> {
        if text.len() > CERTIFICATE_MAX {
            return None;
        }
        let (kind, body) = text.trim().split_once(' ')?;
        let bytes = BASE64.decode(body.split(' ').next()?.as_bytes()).ok()?;
        let mut rest = bytes.as_slice();
        if string(&mut rest)? != kind.as_bytes() {
            return None;
        }
        let bare = kind.strip_suffix(OF_CERTIFICATES)?;
        let bare = if bare.starts_with("sk-") { format!("{bare}@openssh.com") } else { bare.to_owned() };
        let _nonce = string(&mut rest)?;
        let point = point(&bare, &mut rest)?;
        let (_serial, kind) = (number::<8>(&mut rest)?, number::<4>(&mut rest)?);
        let name = string(&mut rest)?.to_vec();
        let mut named = string(&mut rest)?;
        let mut roles = Vec::new();
        while !named.is_empty() {
            roles.push(string(&mut named)?.to_vec());
        }
        let (after, before) = (number::<8>(&mut rest)?, number::<8>(&mut rest)?);
        // Critical options were sshd's business: it has let them in.
        let (_options, _extensions, _reserved) = (string(&mut rest)?, string(&mut rest)?, string(&mut rest)?);
        let authority = string(&mut rest)?.to_vec();
        let signed = bytes.get(..bytes.len() - rest.len())?.to_vec();
        let signature = string(&mut rest)?.to_vec();
        let kind = u32::try_from(kind).ok()?;
        rest.is_empty().then_some(Self {
            point,
            kind,
            name,
            roles,
            after,
            before,
            authority,
            signed,
            signature,
        })
    }
}

fn number<const BYTES: usize>(rest: &mut &[u8]) -> Option<u64> {
    let value = rest.get(..BYTES)?;
    *rest = rest.get(BYTES..)?;
    Some(value.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// Of a line of a public key.
fn blob(line: &str) -> Option<Vec<u8>> {
    BASE64.decode(line.split(' ').nth(1)?.trim().as_bytes()).ok()
}

fn verified(authority: &[u8], signed: &[u8], signature: &[u8]) -> bool {
    verify(authority, signed, signature).is_some()
}

/// The kinds that the configuration takes for an authority.
fn verify(mut authority: &[u8], signed: &[u8], mut signature: &[u8]) -> Option<()> {
    let kind = string(&mut authority)?;
    if string(&mut signature)? != kind {
        return None;
    }
    let by = string(&mut signature)?;
    let (algorithm, length): (&'static dyn VerificationAlgorithm, usize) = match kind {
        b"ssh-ed25519" => {
            let key = string(&mut authority)?;
            return UnparsedPublicKey::new(&ED25519, key).verify(signed, by).ok();
        }
        b"ecdsa-sha2-nistp256" => (&ECDSA_P256_SHA256_FIXED, 32),
        b"ecdsa-sha2-nistp384" => (&ECDSA_P384_SHA384_FIXED, 48),
        _ => return None,
    };
    let _curve = string(&mut authority)?;
    let key = string(&mut authority)?;
    let mut parts = by;
    let mut fixed = whole(string(&mut parts)?, length)?;
    fixed.extend(whole(string(&mut parts)?, length)?);
    UnparsedPublicKey::new(algorithm, key).verify(signed, &fixed).ok()
}

/// A number without its leading zeros, in as many bytes as the curve has.
fn whole(number: &[u8], length: usize) -> Option<Vec<u8>> {
    let start = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    let number = &number[start..];
    let mut bytes = vec![0; length.checked_sub(number.len())?];
    bytes.extend_from_slice(number);
    Some(bytes)
}

#[cfg(test)]
mod tests;
