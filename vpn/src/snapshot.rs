//! The seating on disk, so that tunnels rise after a restart without any other process (ruling 8).
//! An edge and a border: owns the file's form. Written whole, under another name, then renamed; 0600,
//! because it holds preshared keys. A torn or foreign file is a warning and an empty seating: the next
//! reconciliation fills it (ruling 7: until then a tunnel reaches only a gateway that refuses).

use std::fs::{File, OpenOptions, rename};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use blake2::{Blake2s256, Digest};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::address::Place;
use crate::door::Seat;
use crate::server::Export;
use crate::slot::SlotNumber;

/// First line: what this is, its version, and the hash of the rest.
const MAGIC: &str = "mimamori-seating 1 ";

/// Eight series with both places taken come to about 40 MB; anything larger is not ours.
const BYTES_MAX: u64 = 64 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    seats: Vec<Seat>,
    closed: Vec<Closed>,
}

/// An empty place that remembers which generations may not come back.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closed {
    slot: SlotNumber,
    enrolling: bool,
    least: u64,
}

/// What is wrong with the file, and what that means.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error(
        "MM-1104 the seating snapshot {path} cannot be read: {why}; starting with no seats until reconciliation"
    )]
    Read { path: String, why: String },
    #[error(
        "MM-1105 the seating snapshot {path} is damaged: {why}; starting with no seats until reconciliation"
    )]
    Damaged { path: String, why: String },
}

/// `Ok(None)` when there is no snapshot yet.
pub fn read(path: &Path) -> Result<Option<Export>, SnapshotError> {
    let shown = || path.display().to_string();
    let mut text = Zeroizing::new(String::new());
    match File::open(path).and_then(|file| file.take(BYTES_MAX).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SnapshotError::Read { path: shown(), why: error.to_string() }),
    }
    parse(&text).map(Some).map_err(|why| SnapshotError::Damaged { path: shown(), why })
}

/// Returns when the new snapshot would survive a power cut.
pub fn write(path: &Path, export: &Export) -> io::Result<()> {
    let text = render(export)?;
    let next = path.with_extension("next");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    rename(&next, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn render(export: &Export) -> io::Result<Zeroizing<String>> {
    let closed = export.closed.iter().map(|(slot, place, least)| Closed {
        slot: *slot,
        enrolling: *place == Place::Enrolling,
        least: *least,
    });
    let document = Document { seats: export.seats.clone(), closed: closed.collect() };
    let body = Zeroizing::new(serde_json::to_string(&document)?);
    Ok(Zeroizing::new(format!("{MAGIC}{}\n{}", digest(&body), *body)))
}

fn parse(text: &str) -> Result<Export, String> {
    let (head, body) = text.split_once('\n').ok_or("it has no first line")?;
    let expected = head.strip_prefix(MAGIC).ok_or("its first line is not ours")?;
    if expected != digest(body) {
        return Err("its hash does not match".into());
    }
    let document: Document = serde_json::from_str(body).map_err(|error| format!("line {}", error.line()))?;
    let place = |enrolling| if enrolling { Place::Enrolling } else { Place::Active };
    let closed =
        document.closed.into_iter().map(|closed| (closed.slot, place(closed.enrolling), closed.least));
    Ok(Export { seats: document.seats, closed: closed.collect() })
}

fn digest(body: &str) -> String {
    HEXLOWER.encode(&Blake2s256::digest(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::key::{PresharedKey, TunnelKey};
    use crate::slot::SeatClass;

    fn export() -> Export {
        let seat = Seat {
            slot: "18-0042".parse().unwrap(),
            class: SeatClass::Active,
            key: TunnelKey::generate([1; 32]).public(),
            psk: PresharedKey::from_bytes([2; 32]),
            generation: 7,
        };
        Export { seats: vec![seat], closed: vec![("18-0001".parse().unwrap(), Place::Enrolling, 4)] }
    }

    #[test]
    fn what_is_written_is_read_and_only_its_owner_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seating");
        assert!(read(&path).unwrap().is_none());
        write(&path, &export()).unwrap();
        write(&path, &export()).unwrap();
        let read = read(&path).unwrap().unwrap();
        assert_eq!((read.seats, read.closed), (export().seats, export().closed));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_damaged_snapshot_is_named_and_is_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seating");
        write(&path, &export()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        *flipped.last_mut().unwrap() ^= 1;
        let cases: [&[u8]; 6] = [b"", b"\n", b"{}", &whole[..whole.len() / 2], &flipped, &[0xff; 40]];
        for damaged in cases {
            std::fs::write(&path, damaged).unwrap();
            let Err(error) = read(&path) else { panic!("{damaged:?}") };
            assert!(error.to_string().contains("MM-110"), "{error}");
        }
    }
}
