//! `machine first`: a blank machine waits for the association's stick, becomes the realm that is written there, and
//! gives back what must not stay: the root's folder, the secretariat's bundle and sheet, its SSH host key.
//! The keys of `first.toml` are the options of `init`. An edge: files, the stick, `systemctl`.

use std::ffi::OsString;
use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Parser;

use super::args::{self, Typed};
use super::args_backup::RestoreArgs;
use super::backup;
use super::engineers;
use super::failure::Failure;
use super::out::Out;
use super::realm;
use crate::exit::Exit;
use crate::files;
use crate::machine::{self, CONFIG, KEPT, NETWORK, OUTPUT, ROOT, STAGE, STATE};
use crate::messages::Message;

/// What the stick is called, and where systemd puts it.
const STICK: &str = "/dev/disk/by-label/MIMAMORI";
const PLACE: &str = "/run/stick";
const PLACE_UNIT: &str = "run-stick.mount";
/// What the association writes on it.
const WISHES: &str = "first.toml";
const AUTHORITY: &str = "user-ca.pub";
/// For whom backups are sealed: the association says it here, and no engineer later.
const RECIPIENTS: &str = "backup-recipients";
const NETWORK_FOLDER: &str = "network";
/// Instead of wishes: a backup.
const RESTORE: &str = "restore";
/// What it gets back.
const ROOT_BACK: &str = "root";
const OFFICE_BACK: &str = "office";
const KNOWN_HOSTS: &str = "known_hosts";
const HOST_KEY: &str = "/var/lib/mimamori-ssh/ssh_host_ed25519_key.pub";
/// A page of wishes.
const WISHES_MAX: usize = 64 << 10;
/// How often somebody looks whether a stick is there.
const LOOK: Duration = Duration::from_secs(1);

/// Ends when the realm stands and everything was handed over.
pub fn first(out: &Out) -> Result<Exit, Failure> {
    let mut told = false;
    while !done() {
        if Path::new(STICK).exists() {
            out.told("設定用の媒体を読みます", "reading the stick");
            systemctl(&["start", PLACE_UNIT])?;
            let result = take(Path::new(PLACE), out);
            if let Err(failure) = &result {
                // Whoever holds the stick has no other screen.
                let _ = fs::write(
                    Path::new(PLACE).join("error.txt"),
                    failure.text(out.language(), super::table::Ink::Plain),
                );
            }
            systemctl(&["stop", PLACE_UNIT])?;
            result?;
            out.told("領域ができました。媒体を抜いてください", "the realm stands; take the stick out");
            break;
        }
        if !told {
            told = true;
            out.told(
                "この機械にはまだ領域がありません。MIMAMORI という名の媒体を待っています",
                "this machine holds no realm; waiting for a stick called MIMAMORI",
            );
        }
        std::thread::park_timeout(LOOK);
    }
    engineers::awaited(Path::new(CONFIG))?;
    Ok(Exit::Ok)
}

/// The root's folder is the last thing to go.
fn done() -> bool {
    Path::new(CONFIG).exists() && !Path::new(ROOT).exists()
}

fn take(stick: &Path, out: &Out) -> Result<(), Failure> {
    if !Path::new(CONFIG).exists() {
        let network = stick.join(NETWORK_FOLDER);
        if network.is_dir() {
            copy(&network, Path::new(NETWORK))
                .and_then(|()| for_everybody(Path::new(NETWORK)))
                .map_err(|error| failed("network", &error))?;
        }
        clear().map_err(|error| failed("stage", &error))?;
        let recipients = stick.join(RECIPIENTS);
        if recipients.exists() {
            let named = files::read_limited(&recipients, WISHES_MAX)?;
            files::replace(&Path::new(KEPT).join(RECIPIENTS), &named, 0o644)
                .map_err(|error| failed(RECIPIENTS, &error))?;
        }
        if stick.join(RESTORE).is_dir() {
            return back(stick, out);
        }
        let text = files::read_limited(&stick.join(WISHES), WISHES_MAX)?;
        let brought = stick.join(AUTHORITY);
        // Who brings none is let in by the machine's own.
        let authority = if brought.exists() { brought } else { engineers::authority_made()? };
        let words = options(&String::from_utf8_lossy(&text), &authority)?;
        let typed = Typed::try_parse_from(words).map_err(|error| wrong(error.to_string()))?;
        let args::Command::Init(wishes) = typed.command else { return Err(wrong(WISHES.to_owned())) };
        realm::init(*wishes, out)?;
    }
    if Path::new(ROOT).exists() && engineers::is_own(Path::new(CONFIG))? {
        engineers::recovery(Path::new(ROOT))?;
    }
    hand_over(stick).map_err(|error| failed("stick", &error))?;
    followed()
}

/// What the realm brings with it: addresses, wall, rooms.
fn followed() -> Result<(), Failure> {
    systemctl(&["restart", "systemd-networkd.service"])?;
    systemctl(&["reload", "mimamori-wall.service"])?;
    systemctl(&["restart", "mimamori-rooms.target"])
}

/// A realm that was lost elsewhere: its two files, the key that opens them, and the epoch's key lie on the stick.
fn back(stick: &Path, out: &Out) -> Result<(), Failure> {
    let folder = stick.join(RESTORE);
    let there = |name: &str| Some(folder.join(name)).filter(|path| path.exists());
    let needed = |name: &str| {
        let shown = format!("{RESTORE}/{name}");
        there(name).ok_or_else(|| Failure::from(Message::FileRead { path: shown, why: "missing".to_owned() }))
    };
    let args = RestoreArgs {
        records: needed("records.age")?,
        keys: needed("keys.age")?,
        identities: vec![needed("identity")?],
        epoch: there("epoch"),
        epoch_passphrase_file: there("epoch-passphrase"),
        log: there("log"),
        dir: None,
        machine: true,
    };
    backup::restore(args, out)?;
    if let Ok(key) = fs::read_to_string(HOST_KEY) {
        let path = stick.join(KNOWN_HOSTS);
        fs::write(path, format!("mimamori {key}")).map_err(|error| failed("stick", &error))?;
    }
    followed()
}

/// A power cut may have left half of a realm. Without a configuration nobody has ever used it.
fn clear() -> io::Result<()> {
    let secrets = Path::new(KEPT).join("secrets");
    for folder in [Path::new(STAGE), Path::new(ROOT), &secrets] {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    for folder in [STATE, OUTPUT] {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry?.path();
            if fs::symlink_metadata(&path)?.is_dir() {
                fs::remove_dir_all(&path)?
            } else {
                fs::remove_file(&path)?
            }
        }
    }
    Ok(())
}

/// `key = value` is `--key value`; a list is the option again and again.
fn options(text: &str, authority: &Path) -> Result<Vec<OsString>, Failure> {
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| Message::NotToml { why: error.message().to_owned() })?;
    let mut words: Vec<OsString> = vec!["mimamori".into(), "init".into(), "--machine".into()];
    for (key, value) in &table {
        let option = format!("--{}", key.replace('_', "-"));
        let values = match value {
            toml::Value::Array(values) => values.iter().collect(),
            one => vec![one],
        };
        for value in values {
            let toml::Value::String(value) = value else {
                return Err(wrong(format!("{key}: \"text\"")));
            };
            words.extend([OsString::from(format!("{option}={value}"))]);
        }
    }
    words.extend(["--ssh-ca".into(), authority.into()]);
    Ok(words)
}

/// Everything is on the stick, and read back from it, before the machine forgets it.
fn hand_over(stick: &Path) -> io::Result<()> {
    let office = stick.join(OFFICE_BACK);
    copy(Path::new(OUTPUT), &office)?;
    if let Ok(key) = fs::read_to_string(HOST_KEY) {
        fs::write(stick.join(KNOWN_HOSTS), format!("mimamori {key}"))?;
    }
    let root = Path::new(ROOT);
    if root.exists() {
        let back = stick.join(ROOT_BACK);
        copy(root, &back)?;
        File::open(stick)?.sync_all()?;
        same(root, &back)?;
        fs::remove_dir_all(root)?;
    }
    files::sync_folder(&Path::new(machine::KEPT).join("."))
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy(&path, &to)?;
        } else {
            fs::copy(&path, &to)?;
            File::open(&to)?.sync_all()?;
        }
    }
    Ok(())
}

/// No secret stands in them, and the network's manager is not root.
fn for_everybody(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        fs::set_permissions(entry?.path(), Permissions::from_mode(0o644))?;
    }
    Ok(())
}

fn same(one: &Path, other: &Path) -> io::Result<()> {
    for entry in fs::read_dir(one)? {
        let entry = entry?;
        let (path, copy) = (entry.path(), other.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            same(&path, &copy)?;
        } else if fs::read(&path)? != fs::read(&copy)? {
            return Err(io::Error::other(format!("{} differs from its copy", path.display())));
        }
    }
    Ok(())
}

fn systemctl(words: &[&str]) -> Result<(), Failure> {
    let done = Command::new("systemctl").args(words).stdin(Stdio::null()).stdout(Stdio::null()).status();
    if done.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    Err(Message::Apply { what: "systemctl".to_owned(), why: words.join(" ") }.into())
}

fn wrong(why: String) -> Failure {
    let why = why.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(300).collect();
    Message::Usage { why, verb: "mimamori init".to_owned() }.into()
}

fn failed(what: &str, error: &io::Error) -> Failure {
    Message::Settle { what: what.to_owned(), why: error.to_string() }.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<args::Command, Failure> {
        let words = options(text, Path::new("/s/user-ca.pub"))?;
        Typed::try_parse_from(words).map(|typed| typed.command).map_err(|error| wrong(error.to_string()))
    }

    #[test]
    fn the_stick_says_what_init_is_told() {
        let text = "zone = \"care.example.jp\"\nrealm_name = \"領域\"\noperator_login = \"a@b.jp\"\n\
            operator_name = \"-x 太郎\"\nmanagement = [\"192.0.2.0/24\", \"198.51.100.1\"]\n";
        let args::Command::Init(wishes) = parsed(text).unwrap() else { panic!("not init") };
        assert!(wishes.machine && wishes.dir.is_none());
        assert_eq!(wishes.management, ["192.0.2.0/24", "198.51.100.1"]);
        assert_eq!(wishes.operator_name, "-x 太郎", "a value is never an option");
        assert_eq!(wishes.ssh_ca, Some("/s/user-ca.pub".into()));
    }

    #[test]
    fn what_is_no_option_of_init_or_no_text_is_refused() {
        let text =
            "zone = \"a.jp\"\nrealm_name = \"r\"\noperator_login = \"a@b.jp\"\noperator_name = \"n\"\n";
        for more in ["nonsense = \"1\"\n", "management = [1]\n", "dir = \"/\"\n", "zone"] {
            assert!(parsed(&format!("{text}{more}")).is_err(), "{more}");
        }
    }
}
