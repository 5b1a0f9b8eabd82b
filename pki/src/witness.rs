//! An exported log, checked by somebody who trusts nobody: from the four files of an export alone. Pure, and
//! on purpose without the code that keeps the log: the tree is computed as RFC 6962 defines it.
//!
//! - the checkpoint is signed by the device CA, and is the root over exactly these lines;
//! - an older checkpoint, kept elsewhere, is a beginning of the same log: nothing was changed since;
//! - every certificate has its record before its signature, and none was signed that is not here.

use std::collections::{BTreeMap, BTreeSet};

use data_encoding::BASE64;

use crate::ca::{CaCertificate, CaError};
use crate::chain::Hash;
use crate::checkpoint::{Checkpoint, ProofError, origin};
use crate::der::{Reader, SEQUENCE};

/// The files of an export.
pub const LINES: &str = "lines.txt";
pub const CERTIFICATES: &str = "certificates.txt";
pub const CHECKPOINT: &str = "checkpoint";
pub const DEVICE_CA: &str = "device-ca.crt";

/// An export as it was read.
pub struct Export {
    /// One line per entry.
    pub lines: String,
    /// `<entry> <base64>`, one certificate per line.
    pub certificates: String,
    pub checkpoint: String,
    /// DER.
    pub device_ca: Vec<u8>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    pub lines: u64,
    pub root: Hash,
    pub certificates: u64,
    pub revoked: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessError {
    #[error("MM-2411 {0}")]
    Ca(#[from] CaError),
    #[error("MM-2412 the checkpoint does not hold: {0}")]
    Checkpoint(#[from] ProofError),
    #[error("MM-2413 the checkpoint is over {signed} lines, and here are {found}")]
    Length { signed: u64, found: u64 },
    #[error("MM-2414 the lines are not those that were signed: somebody changed them, or the disk did")]
    Root,
    #[error(
        "MM-2415 the older checkpoint of {0} lines is not the beginning of this log: history was rewritten"
    )]
    Rewritten(u64),
    #[error("MM-2416 line {entry}: {why}")]
    Line { entry: u64, why: &'static str },
}

/// `older` are checkpoints that were kept elsewhere.
pub fn verify(export: &Export, older: &[String]) -> Result<Witnessed, WitnessError> {
    let ca = CaCertificate::parse(&export.device_ca)?;
    let zone = ca.device_zone().map_err(|_| CaError("not constrained to the devices of one zone"))?;
    let origin = origin(&zone);
    let lines: Vec<&str> = export.lines.lines().collect();
    let found = lines.len() as u64;
    let checkpoint = Checkpoint::open(&export.checkpoint, &origin, ca.key())?;
    if checkpoint.size != found {
        return Err(WitnessError::Length { signed: checkpoint.size, found });
    }
    if tree(&lines) != checkpoint.root {
        return Err(WitnessError::Root);
    }
    for older in older {
        let older = Checkpoint::open(older, &origin, ca.key())?;
        let before = usize::try_from(older.size).ok().and_then(|size| lines.get(..size));
        if before.is_none_or(|before| tree(before) != older.root) {
            return Err(WitnessError::Rewritten(older.size));
        }
    }
    let certificates = certificates(&lines, &export.certificates)?;
    let revoked = lines.iter().filter(|line| kind(line) == "revoked").count() as u64;
    Ok(Witnessed { lines: found, root: checkpoint.root, certificates, revoked })
}

/// MTH of RFC 6962 2.1, word for word.
fn tree(lines: &[&str]) -> Hash {
    match lines {
        [] => Hash::of(&[]),
        [line] => Hash::of(&[&[0], line.as_bytes()].concat()),
        lines => {
            let mut k = 1;
            while k * 2 < lines.len() {
                k *= 2;
            }
            let (left, right) = (tree(&lines[..k]), tree(&lines[k..]));
            Hash::of(&[&[1], left.as_bytes().as_slice(), right.as_bytes()].concat())
        }
    }
}

/// Every certificate against the line of its record and of its signature, and the other way round.
fn certificates(lines: &[&str], text: &str) -> Result<u64, WitnessError> {
    let mut said: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
    let mut planned: BTreeSet<&str> = BTreeSet::new();
    for (entry, line) in (0..).zip(lines) {
        let wrong = |why| WitnessError::Line { entry, why };
        match kind(line) {
            "planned" => {
                planned.insert(field(line, "serial").ok_or_else(|| wrong("no serial"))?);
            }
            "signed" => {
                let serial = field(line, "serial").ok_or_else(|| wrong("no serial"))?;
                if !planned.remove(serial) {
                    return Err(wrong("signed before it was recorded, or twice"));
                }
                let hash = field(line, "certificate").ok_or_else(|| wrong("no certificate"))?;
                said.insert(hash, (entry, serial));
            }
            _ => {}
        }
    }
    let mut count = 0;
    for line in text.lines() {
        let (entry, der) = line.split_once(' ').unwrap_or_default();
        let entry: u64 = entry.parse().unwrap_or(u64::MAX);
        let wrong = |why| WitnessError::Line { entry, why };
        let der = BASE64.decode(der.as_bytes()).map_err(|_| wrong("its certificate is no base64"))?;
        let record = usize::try_from(entry).ok().and_then(|entry| lines.get(entry));
        let record = record.filter(|line| kind(line) == "planned");
        let record = record.ok_or_else(|| wrong("a certificate that was never recorded"))?;
        let tbs = to_be_signed(&der).ok_or_else(|| wrong("its certificate is no certificate"))?;
        if field(record, "tbs") != Some(Hash::of(tbs).to_string().as_str()) {
            return Err(wrong("its certificate is not the one that was recorded"));
        }
        let signed = said.remove(Hash::of(&der).to_string().as_str());
        if signed.map(|(_, serial)| Some(serial)) != Some(field(record, "serial")) {
            return Err(wrong("its certificate was never said to be signed"));
        }
        count += 1;
    }
    match said.into_values().next() {
        Some((entry, _)) => Err(WitnessError::Line { entry, why: "its certificate is not in the export" }),
        None => Ok(count),
    }
}

/// What a certificate or a list signs.
pub(crate) fn to_be_signed(der: &[u8]) -> Option<&[u8]> {
    let mut outer = Reader::new(der);
    let mut inner = outer.inside(SEQUENCE).ok()?;
    outer.end().ok()?;
    Some(inner.any().ok()?.2)
}

fn kind(line: &str) -> &str {
    line.split(' ').nth(2).unwrap_or("")
}

fn field<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split(' ').skip(3).find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}
