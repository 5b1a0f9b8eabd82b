//! The file of the audit trail: hash-chained JSON lines, put aside when it is large, and a note beside
//! it that says how far it was found good, so that a start reads what is new and not what is old.
//! Owned by the writer's thread; ends with it. Ruling 11.
//!
//! ```text
//! audit.log                   {"hash":"<64 hex>","entry":{"n":4711,"at_ms":…,"kind":"request",…}}
//! audit-000000000000.log      the files before, by their first entry
//! audit.good                  {"base":{…},"head":{…},"length":…}
//! ```

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use pki::chain::{Hash, Head};
use serde::{Deserialize, Serialize};

/// A file is put aside when it is this large: opened by an editor without pain, a busy month of a realm.
pub const FILE_MAX: u64 = 64 * 1024 * 1024;
/// The note is renewed after so much was written: what a start reads again at most.
const NOTE_EVERY: u64 = 4 * 1024 * 1024;

const PREFIX: &str = r#"{"hash":""#;
const MIDDLE: &str = r#"","entry":"#;
const HASH_HEX: usize = 64;

/// The open file and where its chain stands.
pub struct Trail {
    dir: PathBuf,
    file: File,
    /// The head before the file's first entry.
    base: Head,
    pub head: Head,
    length: u64,
    noted: u64,
    file_max: u64,
    text: Vec<u8>,
}

/// How the file was found.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    Whole,
    /// A crash left a line half-written; it was taken away.
    Torn {
        bytes: u64,
    },
    /// An entry does not follow from the one before; the file was put aside.
    Broken {
        entry: u64,
    },
}

#[derive(Serialize, Deserialize)]
struct Note {
    base: Head,
    head: Head,
    length: u64,
}

impl Trail {
    pub fn open(dir: &Path, at_ms: i64, file_max: u64) -> io::Result<(Self, Found)> {
        let path = dir.join("audit.log");
        let mut file = open_file(&path)?;
        let note = note(dir, &mut file)?;
        let base = match &note {
            Some(note) => note.base,
            None => last_head(dir)?,
        };
        let (from, good) = note.map_or((base, 0), |note| (note.head, note.length));
        let (head, length, found) = follow(&mut file, from, good)?;
        let dir = dir.to_owned();
        let mut trail = Self { dir, file, base, head, length, noted: length, file_max, text: Vec::new() };
        match found {
            Found::Whole => {}
            Found::Torn { .. } => trail.file.set_len(length)?,
            Found::Broken { .. } => {
                std::fs::rename(&path, trail.dir.join(format!("audit.broken-{at_ms}.log")))?;
                trail.begin(Head::EMPTY)?;
            }
        }
        trail.file.seek(SeekFrom::End(0))?;
        trail.note()?;
        Ok((trail, found))
    }

    /// All of these or, after an error, none.
    pub fn write<'a>(&mut self, bodies: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        let mut head = self.head;
        self.text.clear();
        for body in bodies {
            head = head.then(body);
            write!(self.text, "{PREFIX}{}{MIDDLE}", head.hash)?;
            self.text.extend_from_slice(body);
            self.text.extend_from_slice(b"}\n");
        }
        let written = self.file.write_all(&self.text).and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.file.set_len(self.length)?;
            self.file.seek(SeekFrom::End(0))?;
            return Err(error);
        }
        self.length += self.text.len() as u64;
        self.head = head;
        if self.length >= self.file_max {
            self.put_aside()
        } else if self.length >= self.noted + NOTE_EVERY {
            self.note()
        } else {
            Ok(())
        }
    }

    /// Says how far the file is good.
    pub fn note(&mut self) -> io::Result<()> {
        let note = Note { base: self.base, head: self.head, length: self.length };
        let (path, fresh) = (self.dir.join("audit.good"), self.dir.join("audit.good.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(&serde_json::to_vec(&note)?)?;
        file.sync_data()?;
        std::fs::rename(fresh, path)?;
        self.noted = self.length;
        Ok(())
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let aside = self.dir.join(format!("audit-{:012}.log", self.base.entries));
        std::fs::rename(self.dir.join("audit.log"), aside)?;
        self.begin(self.head)?;
        self.note()
    }

    fn begin(&mut self, base: Head) -> io::Result<()> {
        self.file = open_file(&self.dir.join("audit.log"))?;
        (self.base, self.head, self.length, self.noted) = (base, base, 0, 0);
        Ok(())
    }
}

/// Follows the whole chain through all files that were put aside and the open one.
pub fn verify(dir: &Path) -> io::Result<Result<Head, u64>> {
    let mut head = Head::EMPTY;
    let mut paths = put_aside(dir)?;
    paths.push(dir.join("audit.log"));
    for path in paths {
        let mut file = File::open(path)?;
        match follow(&mut file, head, 0)? {
            // The last line may be in the middle of being written.
            (reached, _, Found::Whole | Found::Torn { .. }) => head = reached,
            (_, _, Found::Broken { entry }) => return Ok(Err(entry)),
        }
    }
    Ok(Ok(head))
}

/// The files that were put aside, oldest first.
fn put_aside(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with("audit-") && name.ends_with(".log") {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names.into_iter().map(|name| dir.join(name)).collect())
}

/// Without a note: the head at the end of the newest file that was put aside.
fn last_head(dir: &Path) -> io::Result<Head> {
    let mut head = Head::EMPTY;
    for path in put_aside(dir)? {
        head = follow(&mut File::open(path)?, head, 0)?.0;
    }
    Ok(head)
}

/// What the note says, if the file still bears it out.
fn note(dir: &Path, file: &mut File) -> io::Result<Option<Note>> {
    let Ok(text) = std::fs::read(dir.join("audit.good")) else { return Ok(None) };
    let Ok(note) = serde_json::from_slice::<Note>(&text) else { return Ok(None) };
    if note.length > file.metadata()?.len() {
        // Something was cut off: follow what is left from its beginning.
        return Ok(Some(Note { head: note.base, length: 0, ..note }));
    }
    Ok(Some(note))
}

fn open_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Follows the chain from `head` at `good`; says how much of the file is good.
fn follow(file: &mut File, mut head: Head, mut good: u64) -> io::Result<(Head, u64, Found)> {
    file.seek(SeekFrom::Start(good))?;
    let mut reader = BufReader::new(&mut *file);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)? as u64;
        if read == 0 {
            return Ok((head, good, Found::Whole));
        }
        let Some(whole) = line.strip_suffix(b"\n") else {
            return Ok((head, good, Found::Torn { bytes: read }));
        };
        match parse(whole).filter(|(body, hash)| head.then(body).hash == *hash) {
            Some((body, _)) => head = head.then(body),
            None => return Ok((head, good, Found::Broken { entry: head.entries })),
        }
        good += read;
    }
}

fn parse(line: &[u8]) -> Option<(&[u8], Hash)> {
    let rest = line.strip_prefix(PREFIX.as_bytes())?;
    let (hash, rest) = rest.split_at_checked(HASH_HEX)?;
    let body = rest.strip_prefix(MIDDLE.as_bytes())?.strip_suffix(b"}")?;
    let hash = std::str::from_utf8(hash).ok()?.parse().ok()?;
    Some((body, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(trail: &mut Trail, count: usize) {
        for _ in 0..count {
            let body = format!(r#"{{"n":{}}}"#, trail.head.entries);
            trail.write([body.as_bytes()].into_iter()).unwrap();
        }
    }

    fn open(dir: &Path, at_ms: i64) -> (Trail, Found) {
        Trail::open(dir, at_ms, 500).unwrap()
    }

    #[test]
    fn a_trail_goes_on_after_a_restart_and_a_torn_line_is_repaired() {
        let dir = tempfile::tempdir().unwrap();
        let (mut trail, found) = open(dir.path(), 1);
        assert_eq!(found, Found::Whole);
        write(&mut trail, 3);
        let head = trail.head;
        trail.file.write_all(br#"{"hash":"12"#).unwrap();
        drop(trail);
        let (trail, found) = open(dir.path(), 2);
        assert_eq!((trail.head, found), (head, Found::Torn { bytes: 11 }));
        assert_eq!(verify(dir.path()).unwrap(), Ok(head));
    }

    #[test]
    fn a_changed_line_is_noticed_and_the_file_is_kept_aside() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (mut trail, _) = open(dir.path(), 1);
        write(&mut trail, 3);
        let forged = std::fs::read_to_string(&path).unwrap().replacen("\"n\":1", "\"n\":9", 1);
        std::fs::write(&path, &forged).unwrap();
        assert_eq!(verify(dir.path()).unwrap(), Err(1));
        let (trail, found) = open(dir.path(), 2);
        assert_eq!((found, trail.head), (Found::Broken { entry: 1 }, Head::EMPTY));
        assert_eq!(std::fs::read_to_string(dir.path().join("audit.broken-2.log")).unwrap(), forged);
    }

    #[test]
    fn a_full_file_is_put_aside_and_the_chain_runs_through_all_of_them() {
        let dir = tempfile::tempdir().unwrap();
        let (mut trail, _) = open(dir.path(), 1);
        write(&mut trail, 20);
        let head = trail.head;
        drop(trail);
        assert!(put_aside(dir.path()).unwrap().len() >= 3);
        assert_eq!(verify(dir.path()).unwrap(), Ok(head));
        std::fs::remove_file(dir.path().join("audit.good")).unwrap();
        assert_eq!(open(dir.path(), 2).0.head, head, "without the note too");
        let second = &put_aside(dir.path()).unwrap()[1];
        let forged = std::fs::read_to_string(second).unwrap().replacen("\"n\":", "\"m\":", 1);
        std::fs::write(second, forged).unwrap();
        assert!(verify(dir.path()).unwrap().is_err(), "an old file that was changed");
    }

    #[test]
    fn a_start_reads_what_is_new_and_a_file_that_was_cut_off_is_followed_from_its_beginning() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        let (mut trail, _) = Trail::open(dir.path(), 1, FILE_MAX).unwrap();
        write(&mut trail, 5);
        trail.note().unwrap();
        drop(trail);
        // What stands before the note is not read again at a start; `verify` reads everything.
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replacen("\"n\":1", "\"n\":9", 1)).unwrap();
        assert_eq!(Trail::open(dir.path(), 2, FILE_MAX).unwrap().1, Found::Whole);
        assert_eq!(verify(dir.path()).unwrap(), Err(1));
        let lines: Vec<&str> = text.lines().take(3).collect();
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
        let (trail, found) = Trail::open(dir.path(), 3, FILE_MAX).unwrap();
        assert_eq!((trail.head.entries, found), (3, Found::Whole));
    }
}
