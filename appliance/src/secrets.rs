//! Reads the secrets from where the configuration says: files of mode 0600, or systemd credentials.
//! A `Secret` has no `Debug`, no `Clone`, and wipes itself; each is handed to its one room and gone.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use data_encoding::BASE64;
use zeroize::{Zeroize, Zeroizing};

use crate::config::{Bounces, Mail, SecretPlace, Secrets, Token};
use crate::messages::Message;
use crate::process::{Process, TABLE};

/// The longest is a mail certificate with its issuers and an RSA key in PEM.
const SECRET_MAX: u64 = 32 << 10;
/// The one secret of a row's token.
pub const PIN: &str = "token.pin";
/// The mail's certificate and key.
pub const SMIME: &str = "mail.smime";
/// An X25519 or AES key.
pub const KEY_LEN: usize = 32;

/// The text of one secret, without the line's end.
pub struct Secret {
    name: &'static str,
    place: String,
    text: Zeroizing<String>,
}

/// Everything the configuration names, read.
pub struct Opened {
    pub pki_passphrase: Secret,
    pub vpn_key: Secret,
    pub sns_epoch: Secret,
    pub gateway_key: Secret,
    /// The server's URL, where there is one.
    pub database: Option<Secret>,
}

impl Secret {
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Of a secret that is 32 bytes in base64.
    pub fn expose_key(&self) -> Result<Zeroizing<[u8; KEY_LEN]>, Message> {
        let mut bytes = BASE64.decode(self.text.as_bytes()).unwrap_or_default();
        let key = <[u8; KEY_LEN]>::try_from(bytes.as_slice()).map(Zeroizing::new);
        bytes.zeroize();
        key.map_err(|_| self.misformed("32 bytes in base64"))
    }

    /// Where it was read: for messages.
    pub fn place(&self) -> &str {
        &self.place
    }

    pub fn misformed(&self, wanted: &str) -> Message {
        Message::SecretForm {
            key: self.name.to_owned(),
            place: self.place.clone(),
            wanted: wanted.to_owned(),
        }
    }
}

/// All of them, or every fault: `credentials` is `$CREDENTIALS_DIRECTORY`.
pub fn open(secrets: &Secrets, credentials: Option<&Path>) -> Result<Opened, Vec<Message>> {
    let pki_passphrase = read("pki_passphrase", &secrets.pki_passphrase, credentials);
    let vpn_key = read("vpn_key", &secrets.vpn_key, credentials);
    let sns_epoch = read("sns_epoch", &secrets.sns_epoch, credentials);
    let gateway_key = read("gateway_key", &secrets.gateway_key, credentials);
    let database = open_database(secrets, credentials);
    match (pki_passphrase, vpn_key, sns_epoch, gateway_key, database) {
        (Ok(pki_passphrase), Ok(vpn_key), Ok(sns_epoch), Ok(gateway_key), Ok(database)) => {
            Ok(Opened { pki_passphrase, vpn_key, sns_epoch, gateway_key, database })
        }
        (a, b, c, d, e) => Err([a.err(), b.err(), c.err(), d.err(), e.err()].into_iter().flatten().collect()),
    }
}

/// For the rooms that may keep their records on a server.
pub fn open_database(secrets: &Secrets, credentials: Option<&Path>) -> Result<Option<Secret>, Message> {
    secrets.database.as_ref().map(|place| read("database.url", place, credentials)).transpose()
}

/// The password of the smarthost, where the configuration names one.
pub fn open_mail(mail: &Mail, credentials: Option<&Path>) -> Result<Option<Secret>, Message> {
    mail.login.as_ref().map(|login| read("mail.password", &login.password, credentials)).transpose()
}

/// The mail certificate with its key, where the configuration names one.
pub fn open_smime(mail: &Mail, credentials: Option<&Path>) -> Result<Option<Secret>, Message> {
    mail.smime.as_ref().map(|place| read(SMIME, place, credentials)).transpose()
}

/// The password of the bounce mailbox.
pub fn open_bounces(bounces: &Bounces, credentials: Option<&Path>) -> Result<Secret, Message> {
    read("bounces.password", &bounces.password, credentials)
}

/// What opens the authorities' token.
pub fn open_pin(token: &Token, credentials: Option<&Path>) -> Result<Secret, Message> {
    read(PIN, &token.pin, credentials)
}

/// A file that the operator names: the server's URL, a passphrase from paper.
pub fn open_given(name: &'static str, path: &Path) -> Result<Secret, Message> {
    read(name, &SecretPlace::File(path.to_owned()), None)
}

/// One by its name, for the one process that may have it.
pub fn open_one(
    name: &'static str,
    secrets: &Secrets,
    credentials: Option<&Path>,
) -> Result<Secret, Message> {
    let place = match name {
        "pki_passphrase" => &secrets.pki_passphrase,
        "vpn_key" => &secrets.vpn_key,
        "sns_epoch" => &secrets.sns_epoch,
        "gateway_key" => &secrets.gateway_key,
        _ => {
            let (place, why) = ("–".to_owned(), "there is no such secret".to_owned());
            return Err(Message::SecretMissing { key: name.to_owned(), place, why });
        }
    };
    read(name, place, credentials)
}

fn read(name: &'static str, place: &SecretPlace, credentials: Option<&Path>) -> Result<Secret, Message> {
    let missing = |place: String, why: String| Message::SecretMissing { key: name.to_owned(), place, why };
    let path: PathBuf = match (place, credentials) {
        (SecretPlace::File(path), _) => path.clone(),
        (SecretPlace::Credential(credential), Some(folder)) => folder.join(credential),
        (SecretPlace::Credential(credential), None) => {
            return Err(missing(credential.clone(), "$CREDENTIALS_DIRECTORY is not set".to_owned()));
        }
    };
    let shown = path.display().to_string();
    let file = OpenOptions::new()
        .read(true)
        // A link could lead where the checks below do not look.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(&path)
        .map_err(|error| missing(shown.clone(), error.to_string()))?;
    guarded(name, &shown, &file, matches!(place, SecretPlace::Credential(_)))?;
    let mut text = Zeroizing::new(String::new());
    file.take(SECRET_MAX)
        .read_to_string(&mut text)
        .map_err(|error| missing(shown.clone(), error.kind().to_string()))?;
    let whole = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(whole);
    if text.is_empty() {
        return Err(missing(shown, "empty".to_owned()));
    }
    Ok(Secret { name, place: shown, text })
}

/// systemd shows a credential as root's, 0440: the user stands in an access list, whose mask the group's bits are.
const CREDENTIAL_MODE: u32 = 0o440;

/// Of the opened file, so that nothing can be exchanged between the check and the reading.
fn guarded(name: &str, shown: &str, file: &File, credential: bool) -> Result<(), Message> {
    let key = || name.to_owned();
    let found = file.metadata().map_err(|error| Message::SecretMissing {
        key: key(),
        place: shown.to_owned(),
        why: error.to_string(),
    })?;
    if !found.is_file() {
        return Err(Message::SecretMissing {
            key: key(),
            place: shown.to_owned(),
            why: "not a file".to_owned(),
        });
    }
    let listed =
        credential && found.mode() & 0o7777 == CREDENTIAL_MODE && (found.uid(), found.gid()) == (0, 0);
    if found.mode() & 0o077 != 0 && !listed {
        let mode = format!("{:04o}", found.mode() & 0o7777);
        return Err(Message::SecretOpen { key: key(), place: shown.to_owned(), mode });
    }
    let holds = |row: &&Process| {
        row.secrets.contains(&name)
            || row.calls.iter().any(|call| call.secrets().contains(&name))
            || row.token && name == PIN
    };
    // `check` is also run by root, for processes that have users of their own.
    let mut holders = TABLE.iter().filter(holds).map(|row| row.uid);
    let me = rustix::process::geteuid().as_raw();
    if found.uid() != 0 && found.uid() != me && !holders.any(|uid| uid == found.uid()) {
        return Err(Message::SecretOwner {
            key: key(),
            place: shown.to_owned(),
            owner: found.uid().to_string(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn place(dir: &Path, text: &str, mode: u32) -> SecretPlace {
        let path = dir.join(format!("secret-{mode:o}-{}", text.len()));
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        SecretPlace::File(path)
    }

    fn code(result: Result<Secret, Message>) -> &'static str {
        result.err().map_or("read", |message| message.code())
    }

    #[test]
    fn a_secret_is_read_only_where_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read("a", &place(dir.path(), "s\n", 0o600), None).unwrap().expose(), "s");
        assert_eq!(code(read("a", &place(dir.path(), "s", 0o640), None)), "MM-6021");
        assert_eq!(code(read("a", &place(dir.path(), "", 0o600), None)), "MM-6020");
        assert_eq!(code(read("a", &SecretPlace::File(dir.path().to_owned()), None)), "MM-6020");
        let SecretPlace::File(target) = place(dir.path(), "ss", 0o600) else { return };
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(target, &link).unwrap();
        assert_eq!(code(read("a", &SecretPlace::File(link), None)), "MM-6020");
    }

    #[test]
    fn a_credential_is_looked_for_where_systemd_puts_it() {
        let dir = tempfile::tempdir().unwrap();
        let SecretPlace::File(path) = place(dir.path(), "s", 0o400) else { return };
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let credential = SecretPlace::Credential(name);
        assert_eq!(read("a", &credential, Some(dir.path())).unwrap().expose(), "s");
        assert_eq!(code(read("a", &credential, None)), "MM-6020");
    }

    #[test]
    fn a_key_is_thirty_two_bytes_and_its_fault_does_not_repeat_it() {
        let dir = tempfile::tempdir().unwrap();
        let good = read("a", &place(dir.path(), &BASE64.encode(&[7; 32]), 0o600), None).unwrap();
        assert_eq!(*good.expose_key().unwrap(), [7; 32]);
        let bad = read("a", &place(dir.path(), "not-a-key-but-secret", 0o600), None).unwrap();
        let fault = bad.expose_key().unwrap_err();
        assert!(!format!("{fault:?}{}", fault.en()).contains("not-a-key"));
    }
}
