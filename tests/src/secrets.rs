//! What must never be found: secrets and patients' words in logs, patients' words in any file of the state.
//! Owns the list of planted needles; ends with the world.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use data_encoding::BASE64;

use crate::fault::{Fault, Told, While};
use crate::holds;

/// Too short a needle would be found by chance.
const NEEDLE_MIN: usize = 8;

#[derive(Default)]
pub struct Needles {
    secrets: Vec<(String, String)>,
    patient: Vec<(String, String)>,
    /// Secrets that the appliance verifies but never needs to know again.
    forgotten: Vec<(String, String)>,
}

impl Needles {
    pub fn secret(&mut self, what: &str, value: &str) {
        if value.len() >= NEEDLE_MIN {
            self.secrets.push((what.to_owned(), value.to_owned()));
        }
    }

    /// A password somebody chose, a session's cookie: not in a log, and not in plain in any file either.
    pub fn forgotten(&mut self, what: &str, value: &str) {
        self.secret(what, value);
        self.forgotten.push((what.to_owned(), value.to_owned()));
    }

    /// Words that name a patient or were written about one.
    pub fn patient(&mut self, what: &str, value: &str) {
        self.patient.push((what.to_owned(), value.to_owned()));
    }

    pub fn len(&self) -> usize {
        self.secrets.len() + self.patient.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// No line of the log holds any of them.
    pub fn absent_from_log(&self, log: &Path) -> Told<u64> {
        let bytes = fs::read(log).while_(|| format!("the log {}", log.display()))?;
        holds!(!bytes.is_empty(), "the log {} is empty: nothing was searched", log.display());
        for (what, value) in self.secrets.iter().chain(&self.patient) {
            // The message names the kind; printing the needle would leak it again.
            holds!(!contains(&bytes, value.as_bytes()), "a log line holds {what}");
        }
        Ok(bytes.iter().filter(|b| **b == b'\n').count() as u64)
    }

    /// No file below `folder` holds a patient's words (ruling 10) or a forgotten secret, plain or in
    /// base64. Returns how many were read.
    pub fn absent_below(&self, folder: &Path) -> Told<u64> {
        let mut read = 0;
        for file in files_below(folder)? {
            let Ok(bytes) = fs::read(&file) else { continue };
            read += 1;
            self.absent_in(&file.display().to_string(), &bytes)?;
        }
        holds!(read > 0, "{} has no files: nothing was searched", folder.display());
        Ok(read)
    }

    /// As `absent_below`, of bytes that somebody else keeps.
    pub fn absent_in(&self, place: &str, bytes: &[u8]) -> Told<()> {
        for (what, value) in self.patient.iter().chain(&self.forgotten) {
            let encoded = BASE64.encode(value.as_bytes());
            // The last group depends on what follows it.
            let encoded = &encoded[..encoded.len() - encoded.len() % 4 - 4];
            let found = contains(bytes, value.as_bytes()) || contains(bytes, encoded.as_bytes());
            holds!(!found, "{place} holds {what} in plain");
        }
        Ok(())
    }
}

/// Readable by its owner only, from its first byte on.
pub fn write_private(file: &Path, text: &str) -> Told<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(file).while_(|| format!("writing {}", file.display()))?;
    out.write_all(text.as_bytes()).map_err(Fault::from)
}

fn files_below(folder: &Path) -> Told<Vec<std::path::PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).while_(|| format!("reading {}", folder.display()))?.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(path),
                Ok(kind) if kind.is_file() => files.push(path),
                _ => {}
            }
        }
    }
    Ok(files)
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_word_is_found_plain_and_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let mut needles = Needles::default();
        needles.patient("the name", "福井花子さん");
        fs::write(folder.path().join("a.log"), "nothing here\n").unwrap();
        assert!(needles.absent_from_log(&folder.path().join("a.log")).is_ok());
        assert!(needles.absent_below(folder.path()).is_ok());
        fs::write(folder.path().join("b.db"), BASE64.encode("福井花子さん、熱".as_bytes())).unwrap();
        assert!(needles.absent_below(folder.path()).is_err());
        fs::write(folder.path().join("a.log"), "post 福井花子さん\n").unwrap();
        assert!(needles.absent_from_log(&folder.path().join("a.log")).is_err());
    }
}
