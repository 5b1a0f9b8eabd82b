//! The configuration by table: each fault is named with its line, all at once, and no secret is repeated.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::keys::{KEYS, Need};
use super::written::{quoted, write};
use super::*;
use crate::messages::{Language, Message};

const GOOD: &str = r#"[realm]
zone = "mimamori.example.jp"
name = "見守り市在宅医療・介護連携推進協議会"
series = [{ name = "18", block = 18 }, { name = "18F", block = 19 }]

[paths]
state = "/var/lib/mimamori"
run = "/run/mimamori"
output = "/srv/mimamori/output"
root = "/srv/safe"

[vpn]
listen = ["0.0.0.0:51820"]

[secrets]
pki_passphrase_file = "/etc/mimamori/pki"
vpn_key_credential = "vpn-key"
sns_epoch_file = "/etc/mimamori/sns"
gateway_key_file = "/etc/mimamori/gw"
"#;

fn faults(text: &str) -> Vec<Fault> {
    read(text).expect_err("this configuration must have a fault")
}

#[test]
fn a_good_file_means_what_it_says() {
    let config = read(GOOD).unwrap();
    assert_eq!(config.realm.zone.as_str(), "mimamori.example.jp");
    assert_eq!(config.realm.series.len(), 2);
    assert_eq!(config.vpn.endpoint, "vpn.mimamori.example.jp:51820");
    assert_eq!(config.vpn.interface, "mimamori0");
    assert_eq!(config.secrets.vpn_key, SecretPlace::Credential("vpn-key".into()));
    assert!(config.jail_enforced, "jailed unless somebody says otherwise");
    assert_eq!(config.paths.operator_socket().to_str(), Some("/run/mimamori/operator.sock"));
}

#[test]
fn the_records_are_on_sqlite_unless_a_url_has_a_place_ruling_9() {
    assert_eq!(read(GOOD).unwrap().secrets.database, None);
    let with = |line: &str| format!("{GOOD}\n[database]\n{line}\n");
    let place = SecretPlace::File("/etc/mimamori/db".into());
    assert_eq!(read(&with("url_file = \"/etc/mimamori/db\"")).unwrap().secrets.database, Some(place));
    let both = "url_file = \"/etc/mimamori/db\"\nurl_credential = \"db\"";
    for (line, code) in [
        ("url_file = \"db\"", "MM-6005"),
        (both, "MM-6007"),
        ("url = \"postgres://sns:hidden@localhost/sns\"", "MM-6006"),
    ] {
        let found = faults(&with(line));
        assert_eq!(found[0].message.code(), code, "{line}");
        assert!(!format!("{found:?}").contains("hidden"));
    }
}

#[test]
fn the_mail_servers_password_has_one_place_and_is_never_repeated() {
    let with = |line: &str| {
        let sender = "smarthost = \"smtp.example.jp\"\nfrom = \"a@mimamori.example.jp\"\nusername = \"a\"";
        format!("{GOOD}\n[mail]\n{sender}\n{line}\n")
    };
    let password = |line: &str| read(&with(line)).unwrap().mail.unwrap().login.unwrap().password;
    assert_eq!(password("password_file = \"/x/mail\""), SecretPlace::File("/x/mail".into()));
    assert_eq!(password("password_credential = \"mail\""), SecretPlace::Credential("mail".into()));
    for (line, code) in [
        ("password_file = \"hidden\"", "MM-6005"),
        ("password_credential = \"hid den\"", "MM-6005"),
        ("password_file = \"/x/hidden\"\npassword_credential = \"hidden\"", "MM-6007"),
        ("", "MM-6005"),
    ] {
        let found = faults(&with(line));
        assert_eq!((found.len(), found[0].message.code()), (1, code), "{found:?}");
        assert!(!format!("{found:?}").contains("hid"));
    }
}

/// One change, the line of the fault, its code, and a word of its text.
#[test]
fn each_fault_is_named_with_its_line() {
    let table = [
        ("zone = \"mimamori.example.jp\"", "zome = \"mimamori.example.jp\"", 2, "MM-6002", "realm.zone"),
        ("[vpn]", "[vnp]", 12, "MM-6002", "[vpn]"),
        ("zone = \"mimamori.example.jp\"", "zone = 7", 2, "MM-6004", "realm.zone"),
        ("zone = \"mimamori.example.jp\"", "zone = \"localhost\"", 2, "MM-6005", "localhost"),
        ("zone = \"mimamori.example.jp\"", "zone = \"Mimamori.example.jp\"", 2, "MM-6005", "Mimamori"),
        ("zone = \"mimamori.example.jp\"", "zone = \"10.18.255.1\"", 2, "MM-6005", "10.18.255.1"),
        ("zone = \"mimamori.example.jp\"", "zone = \"-a.example.jp\"", 2, "MM-6005", "-a.example.jp"),
        ("block = 19", "block = 18", 4, "MM-6005", "share the block"),
        ("block = 19", "block = 300", 4, "MM-6005", "300"),
        ("name = \"18F\"", "name = \"18f\"", 4, "MM-6005", "18f"),
        ("block = 19", "block = 19, extra = 1", 4, "MM-6004", "realm.series"),
        ("run = \"/run/mimamori\"", "run = \"run/mimamori\"", 8, "MM-6005", "run/mimamori"),
        ("run = \"/run/mimamori\"", "run = \"/run/../etc\"", 8, "MM-6005", ".."),
        ("run = \"/run/mimamori\"", "run = \"/var/lib//mimamori/\"", 8, "MM-6008", "paths.state"),
        ("root = \"/srv/safe\"", "root = \"/var/lib/mimamori/safe\"", 10, "MM-6008", "paths.state"),
        ("[\"0.0.0.0:51820\"]", "[\"0.0.0.0:51820\", \"0.0.0.0:51820\"]", 13, "MM-6009", "0.0.0.0:51820"),
        ("[\"0.0.0.0:51820\"]", "[\"0.0.0.0:0\"]", 13, "MM-6005", "0.0.0.0:0"),
        ("[\"0.0.0.0:51820\"]", "[]", 13, "MM-6005", "8"),
        (
            "[\"0.0.0.0:51820\"]",
            "[\"0.0.0.0:51820\"]\ninterface = \"a name of sixteen\"",
            14,
            "MM-6005",
            "15",
        ),
        ("[\"0.0.0.0:51820\"]", "[\"0.0.0.0:51820\"]\nendpoint = \"vpn\"", 14, "MM-6005", "vpn.endpoint"),
        ("/etc/mimamori/sns", "/etc/mimamori/pki", 18, "MM-6008", "secrets.pki_passphrase"),
        (
            "vpn_key_credential = \"vpn-key\"",
            "vpn_key_credential = \"../vpn\"",
            17,
            "MM-6005",
            "vpn_key_credential",
        ),
        ("[vpn]", "[log]\nlevel = \"loud\"\n[vpn]", 13, "MM-6005", "loud"),
        ("[vpn]", "[jail]\nenforce = \"no\"\n[vpn]", 13, "MM-6004", "true / false"),
        ("[vpn]", "[mail]\nfrom = \"a@gmail.com\"\n[vpn]", 13, "MM-6005", "mail.smarthost"),
        (
            "[vpn]",
            "[mail]\nsmarthost = \"smtp.example.jp\"\nfrom = \"fukui@gmail.com\"\n[vpn]",
            14,
            "MM-6005",
            "DMARC",
        ),
        ("[vpn]", "[paths]\n[vpn]", 12, "MM-6001", ""),
        ("name = \"見守り市在宅医療・介護連携推進協議会\"", "name = \"\"", 3, "MM-6005", "64"),
        ("series = [", "first_octet = 127\nseries = [", 4, "MM-6005", "127"),
    ];
    for (from, to, line, code, word) in table {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD, "{from}");
        let faults = faults(&text);
        let named = faults.iter().any(|fault| {
            fault.line == Some(line)
                && fault.message.code() == code
                && (fault.text(Language::Ja).contains(word) && fault.text(Language::En).contains(word))
        });
        assert!(named, "{to}: wanted {code} at {line} with `{word}`, got {faults:?}");
    }
}

#[test]
fn all_faults_are_reported_at_once_in_the_order_of_their_lines() {
    let text = GOOD
        .replace("mimamori.example.jp", "localhost")
        .replace("state = \"/var", "state = \"var")
        .replace("listen", "lisen")
        .replace("sns_epoch_file = \"/etc/mimamori/sns\"\n", "");
    let faults = faults(&text);
    let codes: Vec<_> = faults.iter().map(|fault| (fault.line, fault.message.code())).collect();
    assert_eq!(codes, [(Some(2), "MM-6005"), (Some(7), "MM-6005"), (Some(13), "MM-6002"), (None, "MM-6007")]);
}

#[test]
fn every_required_key_is_missed_when_it_is_not_there() {
    for key in KEYS.iter().filter(|key| key.need == Need::Required) {
        let text: String = GOOD
            .lines()
            .filter(|line| !line.starts_with(&format!("{} =", key.name)))
            .collect::<Vec<_>>()
            .join("\n");
        let missed =
            faults(&text).iter().any(|fault| fault.message == Message::MissingKey { key: key.path() });
        assert!(missed, "{}", key.path());
    }
}

#[test]
fn every_key_of_the_table_is_read_by_somebody() {
    for key in &KEYS {
        // A value of no kind at all must be noticed, whatever the key means.
        let body: String = GOOD
            .lines()
            .filter(|line| !line.starts_with(&format!("{} =", key.name)))
            .collect::<Vec<_>>()
            .join("\n");
        let (before, wrong) = if body.contains(&format!("[{}]", key.section)) {
            (
                body.replace(
                    &format!("[{}]", key.section),
                    &format!("[{}]\n{} = 1.5", key.section, key.name),
                ),
                true,
            )
        } else {
            (format!("{body}\n[{}]\n{} = 1.5\n", key.section, key.name), true)
        };
        assert_eq!(faults(&before).iter().any(|f| f.message.code() == "MM-6004"), wrong, "{}", key.path());
    }
}

#[test]
fn a_secret_written_out_is_refused_and_never_repeated() {
    const SECRET: &str = "correct horse battery staple";
    let attacks = [
        GOOD.replace(
            "pki_passphrase_file = \"/etc/mimamori/pki\"",
            &format!("pki_passphrase = \"{SECRET}\""),
        ),
        GOOD.replace("/etc/mimamori/pki", SECRET),
        GOOD.replace("\"vpn-key\"", &format!("\"{SECRET}\"")),
        GOOD.replace("pki_passphrase_file = \"/etc/mimamori/pki\"", &format!("passphrase = \"{SECRET}\"")),
        GOOD.replace("\"/etc/mimamori/pki\"", &format!("\"{SECRET}")),
        GOOD.replace("\"/etc/mimamori/pki\"", SECRET),
    ];
    for text in &attacks {
        for fault in faults(text) {
            for shown in [fault.text(Language::Ja), fault.text(Language::En), format!("{fault:?}")] {
                assert!(!shown.contains("horse"), "{shown}");
            }
        }
    }
    assert!(faults(&attacks[0]).iter().any(|fault| fault.message.code() == "MM-6006"));
}

#[test]
fn the_debug_of_a_configuration_holds_places_and_no_secrets() {
    let shown = format!("{:?}", read(GOOD).unwrap());
    assert!(shown.contains("/etc/mimamori/pki"));
}

#[test]
fn what_init_writes_is_read_back_without_a_fault() {
    let given = BTreeMap::from([
        ("realm.zone", quoted("mimamori.example.jp")),
        ("realm.name", quoted("協議会 \"みまもり\" \\ 1")),
        ("realm.series", "[{ name = \"18\", block = 18 }]".to_owned()),
        ("paths.state", quoted("/x/state")),
        ("paths.run", quoted("/x/run")),
        ("paths.output", quoted("/x/output")),
        ("secrets.pki_passphrase_file", quoted("/x/secrets/a")),
        ("secrets.vpn_key_file", quoted("/x/secrets/b")),
        ("secrets.sns_epoch_file", quoted("/x/secrets/c")),
        ("secrets.gateway_key_file", quoted("/x/secrets/d")),
    ]);
    let text = write(&given);
    assert_eq!(read(&text).unwrap().realm.name, "協議会 \"みまもり\" \\ 1");
    assert!(text.contains("# level = \"info\""), "what is not given stands as a comment with its default");
}

#[test]
fn a_mark_before_the_first_line_is_no_fault() {
    assert!(read(&format!("\u{feff}{GOOD}")).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the file holds, reading ends with a value or with faults, and never otherwise.
    #[test]
    fn no_text_breaks_the_reader(text in "(\\[?[a-z\\.\"'= \\{\\}\\[\\],#0-9\n]{0,12}){0,12}") {
        if let Err(faults) = read(&text) {
            prop_assert!(!faults.is_empty());
        }
    }
}
