//! What the first file of each part says of it, and what the realm remembers of its backups. Values that cross a
//! border: JSON, read from a stranger's file, so that nothing in it is believed before it was compared.

use serde::{Deserialize, Serialize};

/// Of the two files; another is another program's.
pub const FORMAT: u32 = 1;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub part: String,
    pub program: String,
    pub zone: String,
    pub realm: String,
    /// When it was begun.
    pub at_ms: i64,
    /// Of the epoch's key that wraps the patients' keys; more than one in the middle of an erasure.
    pub epochs: Vec<u32>,
}

/// Beside the rooms' folders, for `status` and `doctor`; holds no secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub made: Option<Made>,
    pub drill: Option<Drilled>,
    /// The last sealed copy of the epoch's key, which is in no backup.
    pub epoch: Option<Copied>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    pub at_ms: i64,
    /// The newest that it holds: an erasure begins another.
    pub epoch: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    pub at_ms: i64,
    pub to: String,
    pub bytes: u64,
}

/// How the last rehearsal of a restore went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drilled {
    pub at_ms: i64,
    pub took_ms: u64,
    /// None: everything came back and held.
    pub fault: Option<String>,
    pub certificates: u64,
}

impl Manifest {
    /// Why the two files do not make one realm; the records come first.
    pub fn fits(&self, keys: &Manifest) -> Result<(), &'static str> {
        match () {
            () if self.format != FORMAT || keys.format != FORMAT => Err("another version's backup"),
            () if self.part != "records" || keys.part != "keys" => Err("records and keys were exchanged"),
            () if self.zone != keys.zone || self.realm != keys.realm => {
                Err("the two are of different realms")
            }
            () => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_files_of_one_realm_fit_and_no_others() {
        let of = |part: &str, zone: &str, format: u32| Manifest {
            format,
            part: part.into(),
            program: "1".into(),
            zone: zone.into(),
            realm: "a".into(),
            at_ms: 0,
            epochs: vec![1],
        };
        let records = of("records", "a.jp", FORMAT);
        assert_eq!(records.fits(&of("keys", "a.jp", FORMAT)), Ok(()));
        assert!(records.fits(&of("keys", "b.jp", FORMAT)).is_err());
        assert!(records.fits(&records).is_err() && of("keys", "a.jp", FORMAT).fits(&records).is_err());
        assert!(records.fits(&of("keys", "a.jp", 2)).is_err());
    }
}
