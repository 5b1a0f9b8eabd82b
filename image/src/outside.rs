//! What a unit needs beyond its row because of the configuration: the mail's passwords and certificate, the URL of
//! the database and the way to both, the PIN of the authorities' token and its store. One drop-in per unit that needs anything. Pure text.

use std::fmt::Write;
use std::net::IpAddr;

use appliance::config::{Config, SecretPlace};
use appliance::process::{Call, Callee, Outward, Process, Server};

use crate::unit::{SECRETS, is_alone};

/// Sorted before what an operator adds by hand.
pub const NAME: &str = "50-outside.conf";

/// What of the configuration changes units: read where the secrets are.
pub struct Outside<'a> {
    pub config: &'a Config,
    /// That of `[database]`.
    pub server: Option<&'a Server>,
}

/// A file that one user can read is named for a secret that several need.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("[database] url_file can be read by one user only; separate processes need url_credential")]
pub struct OneReader;

/// The text of the drop-in, for a row that needs one.
pub fn drop_in(row: &Process, outside: &Outside<'_>) -> Result<Option<String>, OneReader> {
    let mut lines = String::new();
    for call in row.calls {
        for name in credentials(*call, outside.config)? {
            let _ = writeln!(lines, "LoadCredential={name}:{SECRETS}/{name}");
        }
    }
    if let Some(token) = outside.config.token.as_ref().filter(|_| row.token) {
        if let SecretPlace::Credential(name) = &token.pin {
            let _ = writeln!(lines, "LoadCredential={name}:{SECRETS}/{name}");
        }
        for folder in &token.writes {
            let _ = writeln!(lines, "ReadWritePaths={}", folder.display());
        }
    }
    let outward = Outward::of(row, outside.config, outside.server);
    if !outward.is_empty() {
        lines.push_str("RestrictAddressFamilies=AF_INET AF_INET6\n");
        if is_alone(row) {
            lines.push_str("PrivateNetwork=no\n");
        }
        // A row that listens to the tunnels is open to addresses anyway.
        if row.listens.is_empty() {
            let _ = writeln!(lines, "IPAddressAllow={}", allowed(&outward.callees).join(" "));
        }
    }
    let head = "# Rendered from the process table and the configuration.\n[Service]\n";
    Ok((!lines.is_empty()).then(|| format!("{head}{lines}")))
}

/// The names of the credentials by which the secrets of a call reach the process; none where a file does.
fn credentials(call: Call, config: &Config) -> Result<Vec<&str>, OneReader> {
    let mail = config.mail.as_ref();
    let places = match call {
        Call::Smarthost => {
            let password = mail.and_then(|mail| mail.login.as_ref()).map(|login| &login.password);
            [password, mail.and_then(|mail| mail.smime.as_ref())]
        }
        Call::Mailbox => [config.bounces.as_ref().map(|place| &place.password), None],
        Call::Database => [config.secrets.database.as_ref(), None],
    };
    let mut names = Vec::new();
    for place in places.into_iter().flatten() {
        match (place, call) {
            (SecretPlace::Credential(name), _) => names.push(name.as_str()),
            (SecretPlace::File(_), Call::Database) => return Err(OneReader),
            (SecretPlace::File(_), Call::Smarthost | Call::Mailbox) => {}
        }
    }
    Ok(names)
}

/// Addresses, where they are written; a name has those that the DNS gives it today, and then the jail alone
/// keeps the process to one port.
fn allowed(callees: &[Callee]) -> Vec<String> {
    let one = |callee: &Callee| match (callee.host.as_str(), callee.address()) {
        ("localhost", _) => Some("localhost".to_owned()),
        (_, Some(IpAddr::V4(address))) if address.is_loopback() => Some("localhost".to_owned()),
        (_, Some(IpAddr::V6(address))) if address.is_loopback() => Some("localhost".to_owned()),
        (_, address) => address.map(|address| address.to_string()),
    };
    let mut addresses: Vec<String> = match callees.iter().map(one).collect::<Option<Vec<_>>>() {
        Some(addresses) => addresses,
        None => vec!["any".to_owned()],
    };
    addresses.sort();
    addresses.dedup();
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;
    use appliance::process::{Name, TABLE, process};

    const REALM: &str = "[realm]\nzone = \"care.example.jp\"\nname = \"a\"\nseries = [{ name = \"18\", block = 18 }]\n\
        [paths]\nstate = \"/s\"\nrun = \"/r\"\noutput = \"/o\"\n[secrets]\npki_passphrase_file = \"/a\"\n\
        vpn_key_file = \"/b\"\nsns_epoch_file = \"/c\"\ngateway_key_file = \"/d\"\n";
    const MAIL: &str = "[mail]\nsmarthost = \"smtp.example.jp\"\nfrom = \"a@care.example.jp\"\n\
        username = \"a\"\npassword_credential = \"mail_password\"\n";
    const DATABASE: &str = "[database]\nurl_credential = \"database_url\"\n";

    fn rendered(text: &str, server: Option<&Server>) -> Vec<(Name, String)> {
        let config = appliance::config::read(&format!("{REALM}{text}")).unwrap();
        let outside = Outside { config: &config, server };
        let one = |row: &Process| drop_in(row, &outside).unwrap().map(|text| (row.name, text));
        TABLE.iter().filter_map(one).collect()
    }

    #[test]
    fn without_mail_and_database_no_unit_is_widened() {
        assert_eq!(rendered("", None), []);
    }

    #[test]
    fn mail_widens_one_unit_and_gives_it_one_secret() {
        let found = rendered(MAIL, None);
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [Name::Provisioning]);
        let text = &found[0].1;
        assert!(
            text.contains("LoadCredential=mail_password:/etc/mimamori/secrets/mail_password\n"),
            "{text}"
        );
        assert!(text.contains("RestrictAddressFamilies=AF_INET AF_INET6\n"), "{text}");
        assert!(text.contains("IPAddressAllow=any\n"), "a name has no address yet: {text}");
    }

    /// Issue 7, mail: what signs letters reaches the room that sends them, and no other.
    #[test]
    fn the_mail_certificate_goes_to_the_same_unit() {
        let found = rendered(&format!("{MAIL}smime_credential = \"mail_smime\"\n"), None);
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [Name::Provisioning]);
        let text = &found[0].1;
        for name in ["mail_password", "mail_smime"] {
            assert!(
                text.contains(&format!("LoadCredential={name}:/etc/mimamori/secrets/{name}\n")),
                "{text}"
            );
        }
    }

    /// Issue 7, mail: the mailbox is called by the room that sends, and its password is that room's alone.
    #[test]
    fn the_bounce_mailbox_gives_the_same_unit_a_second_secret() {
        let bounces = "[bounces]\nserver = \"192.0.2.9\"\nusername = \"b\"\npassword_credential = \"bounces_password\"\n";
        let mail = MAIL.replace("smtp.example.jp", "127.0.0.1");
        let found = rendered(&format!("{mail}{bounces}"), None);
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [Name::Provisioning]);
        let text = &found[0].1;
        assert!(
            text.contains("LoadCredential=bounces_password:/etc/mimamori/secrets/bounces_password\n"),
            "{text}"
        );
        assert!(text.contains("IPAddressAllow=192.0.2.9 localhost\n"), "{text}");
    }

    #[test]
    fn a_token_gives_one_unit_its_pin_and_its_store_and_no_network() {
        let text = "[token]\nmodule = \"/usr/lib/m.so\"\nlabel = \"a\"\npin_credential = \"token_pin\"\n\
            writes = [\"/var/lib/tpm2_pkcs11\"]\n";
        let found = rendered(text, None);
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), [Name::Pki]);
        let text = &found[0].1;
        assert!(text.contains("LoadCredential=token_pin:/etc/mimamori/secrets/token_pin\n"), "{text}");
        assert!(text.contains("ReadWritePaths=/var/lib/tpm2_pkcs11\n"), "{text}");
        assert!(!text.contains("AF_INET") && !text.contains("PrivateNetwork"), "{text}");
    }

    #[test]
    fn a_databases_socket_needs_no_network_and_its_port_the_narrowest() {
        let keepers = [Name::Sns, Name::Gateway, Name::Provisioning];
        let socket = Server::Socket("/run/postgresql/.s.PGSQL.5432".into());
        let found = rendered(DATABASE, Some(&socket));
        assert_eq!(found.iter().map(|(name, _)| *name).collect::<Vec<_>>(), keepers);
        for (name, text) in &found {
            assert!(text.contains("LoadCredential=database_url:"), "{name:?}: {text}");
            assert!(!text.contains("AF_INET") && !text.contains("IPAddress"), "{name:?}: {text}");
        }
        for (host, wanted) in [("127.0.0.1", "localhost"), ("10.0.0.9", "10.0.0.9"), ("db.example.jp", "any")]
        {
            let server = Server::Tcp { host: host.to_owned(), port: 5432, reads: Vec::new() };
            for (name, text) in rendered(DATABASE, Some(&server)) {
                let listens = !process(name).listens.is_empty();
                assert_eq!(
                    text.contains(&format!("IPAddressAllow={wanted}\n")),
                    !listens,
                    "{name:?}: {text}"
                );
                assert_eq!(text.contains("PrivateNetwork=no\n"), name == Name::Sns, "{name:?}: {text}");
            }
        }
    }

    #[test]
    fn a_file_for_three_users_is_refused() {
        let config = appliance::config::read(&format!("{REALM}[database]\nurl_file = \"/u\"\n")).unwrap();
        let outside = Outside { config: &config, server: None };
        assert_eq!(drop_in(process(Name::Sns), &outside), Err(OneReader));
    }
}
