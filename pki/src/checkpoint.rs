//! The log's checkpoint and a line's proof, as texts that anyone can keep and check (C2SP tlog-checkpoint,
//! signed-note, tlog-proof). Pure. A checkpoint says how long the log is and its root; the device CA signs it.
//!
//! ```text
//! m.example.jp/mimamori          c2sp.org/tlog-proof@v1
//! 412                            extra <the line, base64>
//! <root, base64>                 index 67
//!                                <hashes, base64, one per line>
//! — m.example.jp/mimamori <base64>
//!                                <the checkpoint>
//! ```

use data_encoding::BASE64;

use crate::chain::Hash;
use crate::key::PublicKey;
use crate::realm::Zone;
use crate::serial::CertificateSerial;
use crate::tlog;

const PROOF_FORM: &str = "c2sp.org/tlog-proof@v1";
/// Longest checkpoint or proof that is read: sixty-four hashes and three lines are below 5 KiB.
pub const TEXT_MAX: usize = 16 * 1024;
/// A tree of 2^63 leaves has no longer path.
const PATH_MAX: usize = 63;
/// SHA-256 of the key, shortened: how a note names its signer.
const KEY_ID_LEN: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Hash,
}

/// Whose fault a proof is. Each says what does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    #[error("MM-2401 this is not a checkpoint or a proof of ours")]
    Form,
    #[error("MM-2402 the checkpoint is not signed by this device CA")]
    Signature,
    #[error("MM-2403 the line does not stand in the log that the checkpoint names")]
    Path,
    #[error("MM-2404 the proof is another certificate's")]
    Certificate,
    #[error("MM-2405 the log is another realm's")]
    Origin,
}

/// The log's name.
pub fn origin(zone: &Zone) -> String {
    format!("{}/mimamori", zone.as_str())
}

impl Checkpoint {
    /// The signed text.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root.as_bytes()))
    }

    /// The whole note.
    pub fn note(&self, key: &PublicKey, signature: &[u8]) -> String {
        let signed = BASE64.encode(&[key_id(key).as_slice(), signature].concat());
        format!("{}\n— {} {signed}\n", self.text(), self.origin)
    }

    /// Reads a note and checks its signature by this key, and that it is of this log.
    pub fn open(note: &str, origin: &str, key: &PublicKey) -> Result<Self, ProofError> {
        if note.len() > TEXT_MAX {
            return Err(ProofError::Form);
        }
        let (text, signatures) = note.split_once("\n\n").ok_or(ProofError::Form)?;
        let mut lines = text.split('\n');
        let mut line = || lines.next().ok_or(ProofError::Form);
        let checkpoint = Self {
            origin: line()?.to_owned(),
            size: number(line()?).ok_or(ProofError::Form)?,
            root: hash(line()?)?,
        };
        if lines.next().is_some() {
            return Err(ProofError::Form);
        }
        if checkpoint.origin != origin {
            return Err(ProofError::Origin);
        }
        let head = format!("— {origin} ");
        let mine = signatures.lines().filter_map(|line| line.strip_prefix(head.as_str()));
        for signed in mine {
            let signed = BASE64.decode(signed.as_bytes()).map_err(|_| ProofError::Form)?;
            if let Some(signature) = signed.strip_prefix(key_id(key).as_slice())
                && key.verifies(checkpoint.text().as_bytes(), signature)
            {
                return Ok(checkpoint);
            }
        }
        Err(ProofError::Signature)
    }
}

/// That one line stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineProof {
    pub line: String,
    pub index: u64,
    pub path: Vec<Hash>,
    /// The note.
    pub checkpoint: String,
}

impl LineProof {
    pub fn text(&self) -> String {
        let mut text =
            format!("{PROOF_FORM}\nextra {}\nindex {}\n", BASE64.encode(self.line.as_bytes()), self.index);
        for hash in &self.path {
            text.push_str(&BASE64.encode(hash.as_bytes()));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    /// Several, one after the other, as they are written for a folder of requests.
    pub fn each(text: &str) -> impl Iterator<Item = Result<Self, ProofError>> {
        let begins = text.match_indices(PROOF_FORM).map(|(at, _)| at);
        let begins: Vec<usize> = begins.filter(|at| *at == 0 || text[..*at].ends_with('\n')).collect();
        let ends: Vec<usize> = begins.iter().skip(1).copied().chain([text.len()]).collect();
        begins.into_iter().zip(ends).map(|(begin, end)| Self::read(&text[begin..end]))
    }

    pub fn read(text: &str) -> Result<Self, ProofError> {
        if text.len() > TEXT_MAX {
            return Err(ProofError::Form);
        }
        let (head, checkpoint) = text.split_once("\n\n").ok_or(ProofError::Form)?;
        let mut lines = head.split('\n');
        let mut line = |prefix: &str| {
            let line = lines.next().ok_or(ProofError::Form)?;
            line.strip_prefix(prefix).ok_or(ProofError::Form)
        };
        line(PROOF_FORM)?.is_empty().then_some(()).ok_or(ProofError::Form)?;
        let extra = BASE64.decode(line("extra ")?.as_bytes()).map_err(|_| ProofError::Form)?;
        let index = number(line("index ")?).ok_or(ProofError::Form)?;
        let path: Vec<Hash> = lines.map(hash).collect::<Result<_, _>>()?;
        if path.len() > PATH_MAX {
            return Err(ProofError::Form);
        }
        let line = String::from_utf8(extra).map_err(|_| ProofError::Form)?;
        Ok(Self { line, index, path, checkpoint: checkpoint.to_owned() })
    }

    /// Signature of the checkpoint, then the path. Returns the checkpoint it holds for.
    pub fn verify(&self, origin: &str, key: &PublicKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, origin, key)?;
        let leaf = tlog::leaf(self.line.as_bytes());
        if tlog::included(leaf, self.index, checkpoint.size, &self.path, &checkpoint.root) {
            Ok(checkpoint)
        } else {
            Err(ProofError::Path)
        }
    }

    /// That the line is the one which says that this very certificate was signed.
    pub fn speaks_of(&self, serial: &CertificateSerial, certificate: &[u8]) -> Result<(), ProofError> {
        let said = format!(" signed serial={serial} certificate={}", Hash::of(certificate));
        if self.line.ends_with(&said) { Ok(()) } else { Err(ProofError::Certificate) }
    }
}

fn key_id(key: &PublicKey) -> [u8; KEY_ID_LEN] {
    let [a, b, c, d, ..] = *key.hash().as_bytes();
    [a, b, c, d]
}

/// Decimal, without sign or leading zeros.
fn number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn hash(line: &str) -> Result<Hash, ProofError> {
    let bytes = BASE64.decode(line.as_bytes()).map_err(|_| ProofError::Form)?;
    bytes.try_into().map(Hash::from_bytes).map_err(|_| ProofError::Form)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signer::{MemoryKey, Order, Signer};
    use crate::tlog::Levels;

    const ORIGIN: &str = "m.example.jp/mimamori";

    fn proof(key: &MemoryKey) -> LineProof {
        let serial = CertificateSerial::from_random([1; 16]);
        let line = |n: u64| match n {
            5 => format!("v1 now signed serial={serial} certificate={}", Hash::of(b"certificate")),
            n => format!("line {n}"),
        };
        let levels = Levels::of((0..11).map(|n| tlog::leaf(line(n).as_bytes())));
        let checkpoint =
            Checkpoint { origin: ORIGIN.into(), size: 11, root: tlog::root(&levels, 11).unwrap() };
        let signature = key.sign(&Order::anything(checkpoint.text().as_bytes())).unwrap();
        LineProof {
            line: line(5),
            index: 5,
            path: tlog::inclusion(&levels, 5, 11).unwrap(),
            checkpoint: checkpoint.note(&key.public_key(), &signature),
        }
    }

    #[test]
    fn a_proof_reads_back_and_holds_for_its_certificate_and_log_only() {
        let (key, _) = MemoryKey::generate().unwrap();
        let (other, _) = MemoryKey::generate().unwrap();
        let proof = proof(&key);
        let read = LineProof::read(&proof.text()).unwrap();
        assert_eq!(read, proof);
        assert_eq!(read.verify(ORIGIN, &key.public_key()).unwrap().size, 11);
        let serial = CertificateSerial::from_random([1; 16]);
        read.speaks_of(&serial, b"certificate").unwrap();
        assert_eq!(read.speaks_of(&serial, b"another"), Err(ProofError::Certificate));
        assert_eq!(read.verify(ORIGIN, &other.public_key()), Err(ProofError::Signature));
        assert_eq!(read.verify("x.example.jp/mimamori", &key.public_key()), Err(ProofError::Origin));
        let moved = LineProof { index: 4, ..read.clone() };
        assert_eq!(moved.verify(ORIGIN, &key.public_key()), Err(ProofError::Path));
        let reworded = LineProof { line: read.line.replace("now", "then"), ..read };
        assert_eq!(reworded.verify(ORIGIN, &key.public_key()), Err(ProofError::Path));
    }

    #[test]
    fn proofs_that_follow_one_another_are_told_apart() {
        let (key, _) = MemoryKey::generate().unwrap();
        let one = proof(&key);
        let other = LineProof { line: format!("a line that names {PROOF_FORM}"), index: 4, ..one.clone() };
        let text = [&one, &other, &one].map(LineProof::text).concat();
        let read: Result<Vec<_>, _> = LineProof::each(&text).collect();
        assert_eq!(read.unwrap(), [one.clone(), other, one]);
        assert_eq!(LineProof::each("").count(), 0);
        assert_eq!(LineProof::each("nothing of ours").count(), 0);
        assert!(LineProof::each(PROOF_FORM).all(|one| one == Err(ProofError::Form)));
    }

    #[test]
    fn a_changed_octet_of_a_note_is_refused() {
        let (key, _) = MemoryKey::generate().unwrap();
        let note = proof(&key).checkpoint;
        Checkpoint::open(&note, ORIGIN, &key.public_key()).unwrap();
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8_lossy(&bytes).into_owned();
            assert!(Checkpoint::open(&changed, ORIGIN, &key.public_key()).is_err(), "octet {at}");
        }
        let huge = "x".repeat(TEXT_MAX + 1);
        for attack in ["", "\n\n", "a\n01\nAAAA\n\n", &huge] {
            assert!(Checkpoint::open(attack, ORIGIN, &key.public_key()).is_err());
            assert!(LineProof::read(attack).is_err());
        }
    }
}
