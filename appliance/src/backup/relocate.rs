//! The configuration of a realm that is brought back elsewhere: the same text where the places are the same, and
//! otherwise the same values with other places. Pure: text in, text out.

use std::path::Path;

use toml::{Table, Value};

use crate::machine;

/// Where the realm shall lie.
#[derive(Clone, Copy, Debug)]
pub enum Home<'a> {
    /// In one folder, as `init --dir` makes it.
    Folder(&'a Path),
    /// In the places of a machine of our image.
    Machine,
}

/// File names of the secrets in a folder's `secrets/`; the names of their credentials on a machine.
pub const FILES: [(&str, &str); 4] = [
    ("pki_passphrase", "pki-passphrase"),
    ("vpn_key", "vpn-key"),
    ("sns_epoch", "sns-epoch"),
    ("gateway_key", "gateway-key"),
];
pub const MAIL_PASSWORD: &str = "mail_password";
const MAIL_FILE: &str = "mail-password";
pub const MAIL_SMIME: &str = "mail_smime";
const SMIME_FILE: &str = "mail-smime";
pub const BOUNCES_PASSWORD: &str = "bounces_password";
const BOUNCES_FILE: &str = "bounces-password";
pub const TOKEN_PIN: &str = "token_pin";
const PIN_FILE: &str = "token-pin";
/// The smarthost's roots, where they are the association's own.
pub const MAIL_ROOTS: &str = "mail_roots";
/// Every machine has its own of these.
const SYSTEM_ROOTS: &str = "/etc/ssl/";

/// The file name of a secret below `secrets/`.
pub fn file_of(secret: &str) -> &str {
    match FILES.iter().find(|(name, _)| *name == secret) {
        Some((_, file)) => file,
        None if secret == MAIL_PASSWORD => MAIL_FILE,
        None if secret == MAIL_SMIME => SMIME_FILE,
        None if secret == BOUNCES_PASSWORD => BOUNCES_FILE,
        None if secret == TOKEN_PIN => PIN_FILE,
        None if secret == MAIL_ROOTS => machine::MAIL_ROOTS,
        None => secret,
    }
}

/// Whether a backup must bring the roots that the configuration names.
pub fn own_roots(roots: &Path) -> bool {
    !roots.starts_with(SYSTEM_ROOTS)
}

/// The text as it will stand.
pub fn relocated(text: &str, home: Home<'_>) -> Result<String, String> {
    let mut table: Table = text.parse().map_err(|error: toml::de::Error| error.message().to_owned())?;
    let before = table.clone();
    for (name, place) in paths(home)? {
        put(&mut table, "paths", name, place);
    }
    for (secret, _) in FILES {
        secret_place(&mut table, "secrets", secret, home)?;
    }
    for (section, name) in
        [("mail", "password"), ("mail", "smime"), ("bounces", "password"), ("token", "pin")]
    {
        let written = ["file", "credential"].map(|kind| format!("{name}_{kind}"));
        let there = table.get(section).and_then(Value::as_table);
        if there.is_some_and(|there| written.iter().any(|key| there.contains_key(key))) {
            secret_place(&mut table, section, name, home)?;
        }
    }
    let roots = table.get_mut("mail").and_then(|mail| mail.get_mut("ca_file"));
    if let Some(roots) = roots
        && roots.as_str().is_some_and(|roots| own_roots(Path::new(roots)))
    {
        *roots = Value::String(match home {
            Home::Folder(dir) => text_of(&dir.join("secrets").join(machine::MAIL_ROOTS))?,
            Home::Machine => format!("{}/{}", machine::ETC, machine::MAIL_ROOTS),
        });
    }
    if table == before {
        return Ok(text.to_owned());
    }
    let written = toml::to_string(&table).map_err(|error| error.to_string())?;
    Ok(format!(
        "# 控えから戻した設定。場所だけが違います。\n# Restored from a backup; only places differ.\n{written}"
    ))
}

fn paths(home: Home<'_>) -> Result<[(&'static str, String); 4], String> {
    Ok(match home {
        Home::Machine => [
            ("state", machine::STATE.to_owned()),
            ("run", machine::RUN.to_owned()),
            ("output", machine::OUTPUT.to_owned()),
            ("root", machine::ROOT.to_owned()),
        ],
        Home::Folder(dir) => [
            ("state", text_of(&dir.join("state"))?),
            ("run", text_of(&dir.join("run"))?),
            ("output", text_of(&dir.join("output"))?),
            ("root", text_of(&dir.join("root"))?),
        ],
    })
}

/// `X_file` in a folder; `X_credential` on a machine, under the one name that it has there.
fn secret_place(table: &mut Table, section: &str, name: &str, home: Home<'_>) -> Result<(), String> {
    let (file, credential) = (format!("{name}_file"), format!("{name}_credential"));
    let full = match (section, name) {
        ("mail", "password") => MAIL_PASSWORD,
        ("mail", "smime") => MAIL_SMIME,
        ("bounces", "password") => BOUNCES_PASSWORD,
        (_, "pin") => TOKEN_PIN,
        (_, name) => name,
    };
    let Some(section) = table.get_mut(section).and_then(Value::as_table_mut) else {
        return Err(format!("[{section}]"));
    };
    match home {
        Home::Folder(dir) => {
            section.remove(&credential);
            let place = dir.join("secrets").join(file_of(full));
            section.insert(file, Value::String(text_of(&place)?));
        }
        Home::Machine => {
            section.remove(&file);
            section.insert(credential, Value::String(full.to_owned()));
        }
    }
    Ok(())
}

fn put(table: &mut Table, section: &str, name: &str, value: String) {
    let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
    if let Some(section) = section.as_table_mut() {
        section.insert(name.to_owned(), Value::String(value));
    }
}

fn text_of(path: &Path) -> Result<String, String> {
    path.to_str().map(str::to_owned).ok_or_else(|| format!("{}: not UTF-8", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &str = "# mine\n[realm]\nzone = \"care.example.jp\"\nname = \"a\"\nseries = [{ name = \"18\", block = 18 }]\n\
        [paths]\nstate = \"/s/state\"\nrun = \"/s/run\"\noutput = \"/s/output\"\nroot = \"/s/root\"\n\
        [secrets]\npki_passphrase_file = \"/s/secrets/pki-passphrase\"\nvpn_key_file = \"/s/secrets/vpn-key\"\n\
        sns_epoch_file = \"/s/secrets/sns-epoch\"\ngateway_key_file = \"/s/secrets/gateway-key\"\n";
    const MAIL: &str = "[mail]\nsmarthost = \"smtp.example.jp\"\nfrom = \"a@care.example.jp\"\n\
        username = \"a\"\npassword_credential = \"smtp\"\nsmime_file = \"/s/smime\"\nca_file = \"/s/roots.pem\"\n\
        [bounces]\nserver = \"imap.example.jp\"\nusername = \"b\"\npassword_file = \"/s/bounces\"\n";

    #[test]
    fn what_lies_in_the_same_places_keeps_its_text() {
        assert_eq!(relocated(FOLDER, Home::Folder(Path::new("/s"))).unwrap(), FOLDER);
    }

    #[test]
    fn elsewhere_only_places_differ_and_the_result_is_a_configuration() {
        let given = format!("{FOLDER}{MAIL}");
        let machine = relocated(&given, Home::Machine).unwrap();
        let read = crate::config::read(&machine).unwrap_or_else(|faults| panic!("{faults:?}\n{machine}"));
        assert_eq!(read.paths.state, Path::new(machine::STATE));
        for credential in ["mail_password", "mail_smime", "bounces_password"] {
            assert!(machine.contains(&format!("_credential = \"{credential}\"")), "{machine}");
        }
        assert!(machine.contains("ca_file = \"/etc/mimamori/mail-roots.pem\""), "{machine}");
        assert!(!own_roots(Path::new("/etc/ssl/certs/ca-certificates.crt")));
        assert_eq!(relocated(&machine, Home::Machine).unwrap(), machine);
        let folder = relocated(&machine, Home::Folder(Path::new("/t"))).unwrap();
        let read = crate::config::read(&folder).unwrap_or_else(|faults| panic!("{faults:?}\n{folder}"));
        assert_eq!(read.paths.state, Path::new("/t/state"));
        assert!(
            folder.contains("password_file = \"/t/secrets/mail-password\"")
                && folder.contains("smime_file = \"/t/secrets/mail-smime\"")
                && folder.contains("password_file = \"/t/secrets/bounces-password\"")
                && !folder.contains("_credential")
        );
    }
}
