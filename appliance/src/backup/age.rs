//! Files that stock `age` opens (age-encryption.org/v1): sealed to X25519 recipients, written and read as a stream,
//! so that a backup of any size needs the memory of one chunk. Pure: what is random is handed in; the bytes go to
//! whatever writer is given. Whoever knows a recipient can make such a file: it proves nothing about its maker.

use std::io::{self, Read, Write};

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use aws_lc_rs::{hkdf, hmac};
use data_encoding::BASE64_NOPAD;
use zeroize::Zeroizing;

use super::bech32;

const VERSION: &str = "age-encryption.org/v1";
const STANZA: &str = "X25519";
const INFO: &[u8] = b"age-encryption.org/v1/X25519";
const RECIPIENT: &str = "age";
const IDENTITY: &str = "age-secret-key-";
pub const KEY_LEN: usize = 32;
const FILE_KEY: usize = 16;
const TAG: usize = 16;
const NONCE: usize = 16;
/// Of the stream's pieces.
const CHUNK: usize = 64 << 10;
/// Lines of a stanza's body end before this many letters; the last is shorter.
const COLUMNS: usize = 64;
/// A few recipients; a longer header is no file of ours.
const HEADER_MAX: usize = 16 << 10;
/// More people than that are no circle of trust.
pub const RECIPIENTS_MAX: usize = 8;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgeError {
    #[error("not a key of age: it begins with age1, 62 letters")]
    Recipient,
    #[error("not a secret key of age: it begins with AGE-SECRET-KEY-1, 74 letters")]
    Identity,
    #[error("not a file of age")]
    Header,
    #[error("none of the keys given opens it")]
    NotForUs,
    #[error("a key that no honest program makes")]
    WeakKey,
}

/// To whom a file is sealed; public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient([u8; KEY_LEN]);

/// What opens it. No `Debug`.
pub struct Identity(Zeroizing<[u8; KEY_LEN]>);

impl Recipient {
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        let bytes = bech32::decode(RECIPIENT, text.trim()).ok_or(AgeError::Recipient)?;
        bytes.try_into().map(Self).map_err(|_| AgeError::Recipient)
    }
}

impl std::fmt::Display for Recipient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&bech32::encode(RECIPIENT, &self.0))
    }
}

impl Identity {
    pub fn from_random(random: [u8; KEY_LEN]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// The file of `age-keygen`: the one line that is no comment.
    pub fn parse(text: &str) -> Result<Self, AgeError> {
        let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
        let bytes = line.and_then(|line| bech32::decode(IDENTITY, line)).map(Zeroizing::new);
        let bytes = bytes.ok_or(AgeError::Identity)?;
        let key: [u8; KEY_LEN] = bytes.as_slice().try_into().map_err(|_| AgeError::Identity)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// As `age-keygen` writes it.
    pub fn text(&self) -> Zeroizing<String> {
        Zeroizing::new(bech32::encode(IDENTITY, self.0.as_slice()).to_ascii_uppercase())
    }

    pub fn recipient(&self) -> Result<Recipient, AgeError> {
        public(&private(&self.0)?).map(Recipient)
    }
}

/// What one file needs of chance: its key, its nonce, and a key of the moment for each recipient.
pub struct Chance {
    pub file_key: Zeroizing<[u8; FILE_KEY]>,
    pub nonce: [u8; NONCE],
    pub moments: Vec<Zeroizing<[u8; KEY_LEN]>>,
}

/// Takes bytes and passes them on sealed. What is not `finish`ed opens for nobody.
pub struct Sealing<W: Write> {
    out: W,
    key: LessSafeKey,
    counter: u64,
    chunk: Vec<u8>,
}

/// Writes the header to `out`.
pub fn seal<W: Write>(mut out: W, recipients: &[Recipient], chance: &Chance) -> io::Result<Sealing<W>> {
    if recipients.is_empty() || chance.moments.len() < recipients.len() {
        return Err(io::Error::other("nobody to seal it to"));
    }
    let mut head = format!("{VERSION}\n");
    for (recipient, moment) in recipients.iter().zip(&chance.moments) {
        head.push_str(&stanza(recipient, moment, &chance.file_key).map_err(io::Error::other)?);
    }
    head.push_str("---");
    let mac = BASE64_NOPAD.encode(&mac(&*chance.file_key, head.as_bytes()));
    out.write_all(format!("{head} {mac}\n").as_bytes())?;
    out.write_all(&chance.nonce)?;
    let key = payload_key(&*chance.file_key, &chance.nonce)?;
    Ok(Sealing { out, key, counter: 0, chunk: Vec::with_capacity(CHUNK + TAG) })
}

impl<W: Write> Sealing<W> {
    /// The last piece; gives the writer back.
    pub fn finish(mut self) -> io::Result<W> {
        self.pass(true)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn pass(&mut self, last: bool) -> io::Result<()> {
        let nonce = nonce(self.counter, last);
        let sealed = self.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.chunk);
        sealed.map_err(|_| io::Error::other("sealing failed"))?;
        self.out.write_all(&self.chunk)?;
        self.chunk.clear();
        self.counter += 1;
        Ok(())
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full piece waits until it is known whether another follows: the last one is marked.
        if self.chunk.len() == CHUNK {
            self.pass(false)?;
        }
        let take = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..take]);
        Ok(take)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives out what was sealed. A piece that was changed, left out or moved is an error, and so is a missing end.
pub struct Opening<R: Read> {
    from: R,
    key: LessSafeKey,
    counter: u64,
    /// Of the open piece, and how much of it was given out.
    plain: Zeroizing<Vec<u8>>,
    given: usize,
    /// Read in advance: whether a piece is the last shows when nothing follows it.
    ahead: Option<u8>,
    ended: bool,
}

/// Reads the header and finds the key with one of the identities.
pub fn open<R: Read>(mut from: R, identities: &[Identity]) -> Result<Opening<R>, AgeError> {
    let (head, mac_said) = header(&mut from)?;
    let mut lines = head.lines();
    if lines.next() != Some(VERSION) {
        return Err(AgeError::Header);
    }
    let lines: Vec<&str> = lines.collect();
    let mut key = None;
    for (at, line) in lines.iter().enumerate() {
        let mut words = line.strip_prefix("-> ").unwrap_or_default().split(' ');
        if let (Some(STANZA), Some(share), None) = (words.next(), words.next(), words.next()) {
            let body = lines.get(at + 1).copied().unwrap_or_default();
            key = key.or(identities.iter().find_map(|identity| unwrap(identity, share, body)));
        }
    }
    let key = key.ok_or(AgeError::NotForUs)?;
    let expected = hmac::Key::new(hmac::HMAC_SHA256, &mac_key(&*key));
    hmac::verify(&expected, format!("{head}---").as_bytes(), &mac_said).map_err(|_| AgeError::Header)?;
    let mut nonce = [0; NONCE];
    from.read_exact(&mut nonce).map_err(|_| AgeError::Header)?;
    let key = payload_key(&*key, &nonce).map_err(|_| AgeError::Header)?;
    let plain = Zeroizing::new(Vec::with_capacity(CHUNK + TAG));
    Ok(Opening { from, key, counter: 0, plain, given: 0, ahead: None, ended: false })
}

impl<R: Read> Opening<R> {
    fn next(&mut self) -> io::Result<()> {
        let broken = || io::Error::new(io::ErrorKind::InvalidData, "it was changed, or its end is missing");
        self.plain.clear();
        self.given = 0;
        self.plain.extend(self.ahead.take());
        let wanted = (CHUNK + TAG - self.plain.len()) as u64;
        (&mut self.from).take(wanted).read_to_end(&mut self.plain)?;
        let mut one = [0];
        let last = match self.plain.len() {
            full if full == CHUNK + TAG => self.from.read(&mut one)? == 0,
            _ => true,
        };
        if !last {
            self.ahead = Some(one[0]);
        }
        let nonce = nonce(self.counter, last);
        let opened = self.key.open_in_place(nonce, Aad::empty(), &mut self.plain).map_err(|_| broken())?;
        let length = opened.len();
        self.plain.truncate(length);
        // Only a file of nothing ends with an empty piece.
        if length == 0 && self.counter > 0 {
            return Err(broken());
        }
        self.counter += 1;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Opening<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        while self.given == self.plain.len() {
            if self.ended || bytes.is_empty() {
                return Ok(0);
            }
            self.next()?;
        }
        let take = bytes.len().min(self.plain.len() - self.given);
        bytes[..take].copy_from_slice(&self.plain[self.given..self.given + take]);
        self.given += take;
        Ok(take)
    }
}

/// Up to and with the line of the MAC; the text before `---`, and the MAC.
fn header(from: &mut impl Read) -> Result<(String, Vec<u8>), AgeError> {
    let (mut text, mut start, mut byte) = (Vec::new(), 0, [0]);
    loop {
        from.read_exact(&mut byte).map_err(|_| AgeError::Header)?;
        text.push(byte[0]);
        if text.len() > HEADER_MAX {
            return Err(AgeError::Header);
        }
        if byte[0] != b'\n' {
            continue;
        }
        if let Some(mac) = text[start..].strip_prefix(b"--- ") {
            let mac = BASE64_NOPAD.decode(mac.trim_ascii_end()).map_err(|_| AgeError::Header)?;
            let head = String::from_utf8(text[..start].to_vec()).map_err(|_| AgeError::Header)?;
            return Ok((head, mac));
        }
        start = text.len();
    }
}

fn stanza(
    recipient: &Recipient,
    moment: &[u8; KEY_LEN],
    file_key: &[u8; FILE_KEY],
) -> Result<String, AgeError> {
    let moment = private(moment)?;
    let share = public(&moment)?;
    let wrap = wrap_key(&moment, &recipient.0, &share, &recipient.0)?;
    let mut body = file_key.to_vec();
    wrap.seal_in_place_append_tag(nonce(0, false), Aad::empty(), &mut body).map_err(|_| AgeError::WeakKey)?;
    let body = BASE64_NOPAD.encode(&body);
    // 43 letters: one line, shorter than a full one, as the format wants the last to be.
    debug_assert!(body.len() < COLUMNS);
    Ok(format!("-> {STANZA} {}\n{body}\n", BASE64_NOPAD.encode(&share)))
}

fn unwrap(identity: &Identity, share: &str, body: &str) -> Option<Zeroizing<[u8; FILE_KEY]>> {
    let share: [u8; KEY_LEN] = BASE64_NOPAD.decode(share.as_bytes()).ok()?.try_into().ok()?;
    let mut body = Zeroizing::new(BASE64_NOPAD.decode(body.as_bytes()).ok()?);
    let own = private(&identity.0).ok()?;
    let ours = public(&own).ok()?;
    let wrap = wrap_key(&own, &share, &share, &ours).ok()?;
    let key = wrap.open_in_place(nonce(0, false), Aad::empty(), &mut body).ok()?;
    <[u8; FILE_KEY]>::try_from(&*key).ok().map(Zeroizing::new)
}

fn wrap_key(
    own: &PrivateKey,
    theirs: &[u8; KEY_LEN],
    share: &[u8; KEY_LEN],
    recipient: &[u8; KEY_LEN],
) -> Result<LessSafeKey, AgeError> {
    let theirs = UnparsedPublicKey::new(&X25519, theirs);
    let salt = [share.as_slice(), recipient].concat();
    let key = agreement::agree(own, theirs, AgeError::WeakKey, |common| {
        derive(common, &salt, INFO).map_err(|_| AgeError::WeakKey)
    })?;
    cipher(&key).map_err(|_| AgeError::WeakKey)
}

fn private(bytes: &[u8; KEY_LEN]) -> Result<PrivateKey, AgeError> {
    PrivateKey::from_private_key(&X25519, bytes).map_err(|_| AgeError::Identity)
}

fn public(key: &PrivateKey) -> Result<[u8; KEY_LEN], AgeError> {
    let public = key.compute_public_key().map_err(|_| AgeError::Identity)?;
    public.as_ref().try_into().map_err(|_| AgeError::Identity)
}

fn mac(file_key: &[u8], head: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &mac_key(file_key)), head).as_ref().to_vec()
}

fn mac_key(file_key: &[u8]) -> [u8; KEY_LEN] {
    // Thirty-two bytes are always within what HKDF gives.
    derive(file_key, &[], b"header").map_or([0; KEY_LEN], |key| *key)
}

fn payload_key(file_key: &[u8], nonce: &[u8; NONCE]) -> io::Result<LessSafeKey> {
    derive(file_key, nonce, b"payload").and_then(|key| cipher(&key))
}

fn cipher(key: &[u8; KEY_LEN]) -> io::Result<LessSafeKey> {
    let key = UnboundKey::new(&CHACHA20_POLY1305, key);
    key.map(LessSafeKey::new).map_err(|_| io::Error::other("no key"))
}

fn derive(secret: &[u8], salt: &[u8], info: &[u8]) -> io::Result<Zeroizing<[u8; KEY_LEN]>> {
    let mut key = Zeroizing::new([0; KEY_LEN]);
    let extracted = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    let parts = [info];
    let expanded = extracted.expand(&parts, hkdf::HKDF_SHA256);
    expanded.and_then(|okm| okm.fill(key.as_mut_slice())).map_err(|_| io::Error::other("no key"))?;
    Ok(key)
}

/// Eleven bytes of counter and one that marks the last piece.
fn nonce(counter: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    bytes[3..11].copy_from_slice(&counter.to_be_bytes());
    bytes[11] = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests;
