//! Who may come over SSH where the machine itself is the engineers' authority: the ten minutes of a registration, its code,
//! and the registered keys. Pure; time and randomness are arguments.

pub mod certificate;
pub mod rescue;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;

/// To walk from the console to a keyboard.
pub const WINDOW_MS: u64 = 10 * 60 * 1000;
/// Of 2^50 codes, in one window; whoever misses more often starts the machine anew and reads another.
pub const TRIES: u8 = 10;
/// A team, and its spare keys.
pub const KEYS_MAX: usize = 20;
/// A key whose token has an application of its own; no kind below is longer.
const KEY_MAX: usize = 400;
/// An address of mail fits.
pub const NAME_MAX: usize = 64;
/// What is longer is no code and no name.
const LINE_MAX: usize = 128;
/// Nobody registers under the names of the certificates in the safe.
pub const RECOVERY: &str = "engineer-recovery";

/// Fifty bits, easy to read off a screen: no I, L, O, U.
const LETTERS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
pub const CODE_LETTERS: usize = 10;

/// As it is shown: two halves with a dash. No `Debug`: it is nobody else's business.
pub fn code(random: [u8; CODE_LETTERS]) -> String {
    let letters: String = random.iter().map(|byte| char::from(LETTERS[usize::from(byte & 31)])).collect();
    let (one, other) = letters.split_at(CODE_LETTERS / 2);
    format!("{one}-{other}")
}

/// What was typed, as it would have been shown; `None` is no code at all.
fn typed_code(text: &str) -> Option<String> {
    let letters: String = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| match c.to_ascii_uppercase() {
            'O' => '0',
            'I' | 'L' => '1',
            other => other,
        })
        .collect();
    let known = letters.bytes().all(|byte| LETTERS.contains(&byte));
    (letters.len() == CODE_LETTERS && known).then(|| format!("{}-{}", &letters[..5], &letters[5..]))
}

/// Open from the console's showing to the first right answer. Only the code's hash is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    pub digest: Vec<u8>,
    /// Since the machine's start: nobody's clock makes ten minutes longer.
    pub until_ms: u64,
    pub tries: u8,
}

impl Window {
    pub fn open(code: &str, now_ms: u64) -> Self {
        Self { digest: hash(code), until_ms: now_ms.saturating_add(WINDOW_MS), tries: TRIES }
    }

    pub fn is_open(&self, now_ms: u64) -> bool {
        now_ms < self.until_ms && self.tries > 0
    }

    /// One try less; what is left is kept before anybody looks whether the code is right. `None` when none is left.
    #[must_use]
    pub fn spent(&self, now_ms: u64) -> Option<Self> {
        self.is_open(now_ms).then(|| Self { tries: self.tries - 1, ..self.clone() })
    }

    pub fn fits(&self, typed: &str) -> bool {
        typed_code(typed).is_some_and(|code| verify_slices_are_equal(&hash(&code), &self.digest).is_ok())
    }
}

fn hash(code: &str) -> Vec<u8> {
    digest(&SHA256, code.as_bytes()).as_ref().to_vec()
}

/// What somebody with a bare key asks for.
#[derive(Clone, PartialEq, Eq)]
pub enum Wish {
    /// The next eight hours, for a registered key.
    Renew,
    Register {
        code: String,
        name: String,
    },
}

/// The client's line: nothing, or `CODE NAME`.
pub fn wish(line: &str) -> Option<Wish> {
    if line.len() > LINE_MAX {
        return None;
    }
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        [] => Some(Wish::Renew),
        [code, name] => Some(Wish::Register { code: (*code).to_owned(), name: (*name).to_owned() }),
        _ => None,
    }
}

/// A name that stands in a list, in a certificate and in the journal: never an option, never a second word.
pub fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '@' | '.' | '-' | '_');
    name.len() <= NAME_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(plain)
        && !name.to_ascii_lowercase().starts_with(RECOVERY)
}

/// A public key of a kind that we take: `KIND BASE64`, and nothing that could be anything else in a line of sshd's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    line: String,
    /// What makes two keys the same, whatever they are called: the point on the curve.
    pub point: Vec<u8>,
}

impl Key {
    /// RSA, DSA and certificates are none of ours. What the body says of itself must be what is written before it.
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, body) = text.trim_end_matches('\n').split_once(' ')?;
        if body.len() > KEY_MAX {
            return None;
        }
        let bytes = BASE64.decode(body.as_bytes()).ok()?;
        let mut rest = bytes.as_slice();
        let said = string(&mut rest)?;
        let point = point(kind, &mut rest)?;
        let whole = said == kind.as_bytes() && rest.is_empty();
        whole.then(|| Self { line: format!("{kind} {body}"), point })
    }

    pub fn line(&self) -> &str {
        &self.line
    }

    /// As `ssh-keygen -l` says it.
    pub fn fingerprint(&self) -> String {
        let body = self.line.split_once(' ').map_or("", |(_, body)| body);
        let bytes = BASE64.decode(body.as_bytes()).unwrap_or_default();
        format!("SHA256:{}", data_encoding::BASE64_NOPAD.encode(digest(&SHA256, &bytes).as_ref()))
    }
}

/// The fields of a key behind its kind; the kinds that sshd takes here, in their right lengths.
pub(crate) fn point(kind: &str, rest: &mut &[u8]) -> Option<Vec<u8>> {
    let token = kind.starts_with("sk-");
    let point = match kind {
        "ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => string(rest)?.to_vec(),
        "ecdsa-sha2-nistp256" | "sk-ecdsa-sha2-nistp256@openssh.com" => {
            if string(rest)? != b"nistp256" {
                return None;
            }
            string(rest)?.to_vec()
        }
        _ => return None,
    };
    let length = if kind.contains("ed25519") { 32 } else { 65 };
    if token {
        let application = string(rest)?;
        if !application.starts_with(b"ssh:") {
            return None;
        }
    }
    (point.len() == length).then_some(point)
}

/// As OpenSSH writes one: four bytes of length before it.
pub(crate) fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(u32::from_be_bytes(rest.get(..4)?.try_into().ok()?)).ok()?;
    let value = rest.get(4..4usize.checked_add(length)?)?;
    *rest = rest.get(4 + length..)?;
    Some(value)
}

/// Whose key this is; a line of the list is `NAME KIND BASE64`.
pub fn registered<'a>(list: &'a str, key: &Key) -> Option<&'a str> {
    entries(list).find(|(_, known)| known.point == key.point).map(|(name, _)| name)
}

fn entries(list: &str) -> impl Iterator<Item = (&str, Key)> {
    list.lines().filter_map(|line| {
        let (name, key) = line.split_once(' ')?;
        Some((name, Key::parse(key)?)).filter(|_| is_name(name))
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotKept {
    Full,
    /// The name, or the key, is somebody's already.
    Taken,
    Name,
}

/// The list with one more.
pub fn with(list: &str, name: &str, key: &Key) -> Result<String, NotKept> {
    if !is_name(name) {
        return Err(NotKept::Name);
    }
    let taken = |(known, other): (&str, Key)| known.eq_ignore_ascii_case(name) || other.point == key.point;
    if entries(list).any(taken) {
        return Err(NotKept::Taken);
    }
    if list.lines().count() >= KEYS_MAX {
        return Err(NotKept::Full);
    }
    Ok(format!("{list}{name} {}\n", key.line))
}

/// What sshd says about how somebody came in (`ExposeAuthInfo`).
pub fn came_with(auth: &str) -> Option<&str> {
    auth.lines().find_map(|line| line.strip_prefix("publickey ")).map(str::trim)
}

#[cfg(test)]
mod tests;
