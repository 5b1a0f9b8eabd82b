//! What of a realm goes into which of the two files, and what into none. Pure: names in, decisions out.
//!
//! ```text
//! records  configuration, CAs and ledger, registry, posts (sealed per patient), tunnels' and gateway's keys
//! keys     keys.db (patients' keys, wrapped by the epoch's key) and the epoch secret
//! neither  sns/epoch/: whoever has it, keys.db and the epoch secret reads everybody, erased ones included;
//!          provisioning/tray.key: what nobody has sorted yet may name a patient
//! ```

/// One of the two files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Records,
    Keys,
}

impl Part {
    pub const ALL: [Part; 2] = [Part::Records, Part::Keys];

    pub fn as_str(self) -> &'static str {
        match self {
            Part::Records => "records",
            Part::Keys => "keys",
        }
    }
}

/// What becomes of one file below the state folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// SQLite's: copied by SQLite, while others write.
    Database(Part),
    /// Written whole and renamed, or appended to.
    File(Part),
    /// Why it stays.
    Left(&'static str),
}

/// The secrets, by their names in the process table, and which file brings each.
pub const SECRETS: [(&str, Part); 9] = [
    ("pki_passphrase", Part::Records),
    ("vpn_key", Part::Records),
    ("gateway_key", Part::Records),
    ("mail_password", Part::Records),
    ("mail_smime", Part::Records),
    ("bounces_password", Part::Records),
    ("token_pin", Part::Records),
    // No secret, but lost with the machine like one: whose certificates the smarthost may show.
    ("mail_roots", Part::Records),
    // Beside what it helps to open, and apart from the records.
    ("sns_epoch", Part::Keys),
];

pub const MANIFEST: &str = "manifest.json";
pub const CONFIG: &str = "mimamori.toml";
pub const STATE: &str = "state/";
pub const SECRET: &str = "secrets/";

/// The authority's ledger is copied last: what the registry knows of, the ledger then knows, too.
const LAST: &str = "pki/ledger.db";

/// `path` is relative to the state folder.
pub fn fate(path: &str) -> Fate {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = |ending: &str| name.ends_with(ending);
    if !path.contains('/') {
        return Fate::Left("no room's");
    }
    if path.starts_with("sns/epoch/") {
        return Fate::Left("the epoch's key is in no backup");
    }
    if path == "provisioning/tray.key" {
        return Fate::Left("the tray's key is in no backup");
    }
    if path == "gateway/tls.key" {
        return Fate::Left("among the secrets");
    }
    if path == "gateway/sessions.db" {
        return Fate::Left("people sign in again; who signed out stays out");
    }
    if ends("-wal") || ends("-shm") || ends("-journal") {
        return Fate::Left("copied with its database");
    }
    if name == "lock"
        || ends(".lock")
        || ends(".sock")
        || ends(".new")
        || ends(".part")
        || name.starts_with('.')
    {
        return Fate::Left("of the moment");
    }
    match (path, ends(".db")) {
        ("sns/keys.db", _) => Fate::Database(Part::Keys),
        (_, true) => Fate::Database(Part::Records),
        (_, false) => Fate::File(Part::Records),
    }
}

/// In the order in which they are copied.
pub fn ordered(mut paths: Vec<String>) -> Vec<String> {
    paths.sort();
    paths.sort_by_key(|path| path == LAST);
    paths
}

/// Whether a file of this name belongs into this part: a restore takes nothing else.
pub fn belongs(name: &str, part: Part) -> bool {
    if let Some(path) = name.strip_prefix(STATE) {
        return matches!(fate(path), Fate::Database(of) | Fate::File(of) if of == part);
    }
    if let Some(secret) = name.strip_prefix(SECRET) {
        return SECRETS.contains(&(secret, part));
    }
    name == CONFIG && part == Part::Records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_one_place() {
        let table = [
            ("pki/ledger.db", Fate::Database(Part::Records)),
            ("pki/device-ca.key.sealed", Fate::File(Part::Records)),
            ("provisioning/registry.db", Fate::Database(Part::Records)),
            ("provisioning/scans.key", Fate::File(Part::Records)),
            ("provisioning/tray.key", Fate::Left("the tray's key is in no backup")),
            ("sns/sns.db", Fate::Database(Part::Records)),
            ("sns/keys.db", Fate::Database(Part::Keys)),
            ("vpn/seats.json", Fate::File(Part::Records)),
            ("gateway/audit.log", Fate::File(Part::Records)),
        ];
        for (path, expected) in table {
            assert_eq!(fate(path), expected, "{path}");
        }
        for path in [
            "sns/keys.db-wal",
            "pki/lock",
            "sns/epoch/epoch.key",
            "gateway/tls.key",
            "gateway/sessions.db",
            "backup.json",
            "a/b.new",
        ] {
            assert!(matches!(fate(path), Fate::Left(_)), "{path}");
        }
    }

    /// Ruling 10: neither file alone, nor both, hold what opens an erased patient's record.
    #[test]
    fn the_epochs_key_is_in_no_part_and_the_patients_keys_never_beside_the_records() {
        for part in Part::ALL {
            for name in
                ["state/sns/epoch/epoch.key", "state/sns/epoch/epoch.key.new", "state/sns/epoch/copy.db"]
            {
                assert!(!belongs(name, part), "{name}");
            }
        }
        assert!(!belongs("state/sns/keys.db", Part::Records) && !belongs("secrets/sns_epoch", Part::Records));
        assert!(!belongs("state/sns/sns.db", Part::Keys) && !belongs("secrets/vpn_key", Part::Keys));
        assert!(belongs("state/sns/keys.db", Part::Keys) && belongs("secrets/sns_epoch", Part::Keys));
    }

    #[test]
    fn the_ledger_is_copied_after_everything_that_speaks_of_it() {
        let paths = ["sns/sns.db", "pki/ledger.db", "provisioning/registry.db"].map(str::to_owned).to_vec();
        assert_eq!(ordered(paths).last().unwrap(), "pki/ledger.db");
    }
}
