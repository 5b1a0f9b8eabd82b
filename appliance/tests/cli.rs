//! The binary as an operator uses it: exit codes, what stands on stdout, and a realm made once.
//! Needs no root and no network; running it with tunnels is the story's part.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

#[path = "../../tests/support/postgres.rs"]
mod postgres;

fn mimamori(words: &[&str]) -> Output {
    command(words).output().expect("the binary runs")
}

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_mimamori"));
    command.args(words).stdin(Stdio::null());
    for name in ["LANG", "LC_ALL", "LC_MESSAGES", "MIMAMORI_CONFIG", "CREDENTIALS_DIRECTORY"] {
        command.env_remove(name);
    }
    command
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ends by itself")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", stdout(output)))
}

fn init(dir: &Path, more: &[&str]) -> Output {
    let dir = dir.to_str().expect("UTF-8");
    let words = [
        "-o",
        "json",
        "init",
        "--dir",
        dir,
        "--zone",
        "care.example.jp",
        "--realm-name",
        "見守り協議会",
        "--operator-login",
        "jimu@example.jp",
        "--operator-name",
        "加藤花子",
    ];
    mimamori(&[&words, more].concat())
}

#[test]
fn exit_codes_are_those_that_scripts_rely_on() {
    let dir = tempfile::tempdir().expect("a folder");
    let missing = dir.path().join("none.toml");
    let missing = missing.to_str().expect("UTF-8");
    let table: [(&[&str], i32); 8] = [
        (&["version"], 0),
        (&["--help"], 0),
        (&["explain", "MM-6002"], 0),
        (&["explain", "MM-9999"], 3),
        (&["nonsense"], 2),
        (&["device", "revoke", "18-42", "--reason", "lost"], 2),
        (&["--config", missing, "check"], 64),
        (&["--config", missing, "status"], 64),
    ];
    for (words, wanted) in table {
        assert_eq!(code(&mimamori(words)), wanted, "{words:?}");
    }
}

#[test]
fn with_json_nothing_else_stands_on_stdout() {
    assert_eq!(json(&mimamori(&["-o", "json", "version"]))["name"], "mimamori");
    assert_eq!(json(&mimamori(&["-o", "json", "explain", "6002"]))["code"], "MM-6002");
    let wrong = mimamori(&["-o", "json", "nonsense"]);
    assert_eq!(json(&wrong)["error"]["code"], "MM-6053");
    assert!(stderr(&wrong).starts_with("MM-6053 使い方が違います"), "{}", stderr(&wrong));
}

#[test]
fn english_for_those_who_ask_for_it() {
    let output = command(&["explain", "MM-9999"]).env("LANG", "en_GB.UTF-8").output().expect("it runs");
    assert!(stderr(&output).starts_with("MM-6057 there is no code"), "{}", stderr(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let mut child =
        command(&["--help"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((code(&output), stderr(&output).as_str()), (0, ""));
}

#[test]
fn a_realm_is_made_once_checked_and_never_written_over() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("realm");
    let made = init(&dir, &["--listen", "127.0.0.1:51820"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let made = json(&made);
    assert_eq!(made["slot"], "18-0000");
    for path in ["config", "root", "root_passphrase", "transcript", "bundle", "sheet"] {
        assert!(Path::new(made[path].as_str().expect("a path")).exists(), "{path}");
    }
    let config = made["config"].as_str().expect("a path");
    assert_eq!(code(&mimamori(&["--config", config, "check"])), 0);
    assert_eq!(code(&mimamori(&["--config", config, "status"])), 75, "nobody runs");

    let text = std::fs::read_to_string(config).expect("the configuration");
    let again = init(&dir, &[]);
    assert_eq!((code(&again), &json(&again)["error"]["code"]), (4, &Value::from("MM-6030")));
    assert_eq!(std::fs::read_to_string(config).expect("the configuration"), text);

    // What others may read is refused by name, before anything opens.
    let secret = dir.join("secrets/sns-epoch");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(&secret, open).expect("chmod");
    let checked = mimamori(&["-o", "json", "--config", config, "check"]);
    assert_eq!(
        (code(&checked), &json(&checked)["error"]["faults"][0]["code"]),
        (64, &Value::from("MM-6021"))
    );
    let run = mimamori(&["--config", config, "run"]);
    assert_eq!(code(&run), 64, "{}", stderr(&run));

    // Without its configuration the folder is the rest of an init, and is said to be.
    std::fs::remove_file(config).expect("rm");
    assert_eq!(json(&init(&dir, &[]))["error"]["code"], "MM-6031");
}

#[test]
fn wishes_that_make_no_realm_leave_no_trace() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("realm");
    for (more, wanted) in [
        (["--endpoint", "nowhere"], "MM-6034"),
        (["--series", "18,18"], "MM-6034"),
        (["--series", "18=x"], "MM-6033"),
        (["--office-name", ""], "MM-6033"),
    ] {
        let output = init(&dir, &more);
        assert_eq!((code(&output), &json(&output)["error"]["code"]), (2, &Value::from(wanted)), "{more:?}");
        assert!(!dir.exists(), "{more:?}");
    }
}

#[test]
fn every_fault_of_a_configuration_is_named_at_once() {
    let home = tempfile::tempdir().expect("a folder");
    let config = home.path().join("mimamori.toml");
    std::fs::write(
        &config,
        "[realm]\nzome = \"care.example.jp\"\nname = 7\n[secrets]\nvpn_key = \"s3cret\"\n",
    )
    .expect("write");
    let output = mimamori(&["-o", "json", "--config", config.to_str().expect("UTF-8"), "check"]);
    assert_eq!(code(&output), 64);
    let faults = json(&output)["error"]["faults"].as_array().expect("a list").len();
    assert!(faults >= 6, "{}", stderr(&output));
    assert!(
        stderr(&output).contains("2行目: MM-6002 `realm.zome`") && stderr(&output).contains("realm.zone")
    );
    assert!(!format!("{}{}", stdout(&output), stderr(&output)).contains("s3cret"));
}

/// Issue 7, mail: what signs letters is looked at before a room starts with it, and never repeated.
#[test]
fn a_mail_certificate_that_cannot_sign_our_letters_is_named_by_check() {
    let dir = tempfile::tempdir().expect("a folder");
    let realm = dir.path().join("realm");
    assert_eq!(code(&init(&realm, &[])), 0);
    let config = realm.join("mimamori.toml");
    let pem = dir.path().join("smime.pem");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let mail = format!(
        "[mail]\nsmarthost = \"localhost\"\ntls = \"none\"\nfrom = \"jimu@care.example.jp\"\nsmime_file = {pem:?}\n"
    );
    std::fs::write(&config, text.replacen("[mail]\n", &mail, 1)).expect("written");
    let checked = |address: &str| {
        let request = format!(
            "[req]\ndistinguished_name=d\nx509_extensions=v\nprompt=no\n[d]\nCN=a\n[v]\n\
             subjectAltName=email:{address}\nextendedKeyUsage=emailProtection\n"
        );
        std::fs::write(dir.path().join("openssl.cnf"), request).expect("written");
        let words = "req -x509 -newkey rsa:2048 -nodes -days 30 -config openssl.cnf -keyout key -out crt";
        let made = Command::new("openssl").current_dir(dir.path()).args(words.split(' ')).output();
        assert!(made.expect("openssl").status.success());
        let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).expect("PEM");
        std::fs::write(&pem, read("key") + &read("crt")).expect("written");
        std::fs::set_permissions(&pem, std::fs::Permissions::from_mode(0o600)).expect("0600");
        mimamori(&["-o", "json", "--config", config.to_str().expect("UTF-8"), "check"])
    };
    let good = checked("jimu@care.example.jp");
    assert_eq!(code(&good), 0, "{}", stdout(&good));
    let other = checked("info@care.example.jp");
    assert_eq!(code(&other), 64);
    assert!(stdout(&other).contains("MM-6012") && stdout(&other).contains("info@care.example.jp"));
    assert!(!stdout(&other).contains("PRIVATE KEY-") && !stderr(&other).contains("PRIVATE KEY-"));
    std::fs::remove_file(&pem).expect("removed");
    let gone = mimamori(&["-o", "json", "--config", config.to_str().expect("UTF-8"), "check"]);
    assert!(code(&gone) == 64 && stdout(&gone).contains("MM-6020"), "{}", stdout(&gone));
}

fn url_file(path: &Path, url: &str) -> String {
    std::fs::write(path, url).expect("write");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("chmod");
    path.to_str().expect("UTF-8").to_owned()
}

/// Ruling 9: a realm on a server, whose URL is read from a file and repeated nowhere.
#[test]
fn a_realm_on_a_server_is_made_once_and_checked_there() {
    let home = tempfile::tempdir().expect("a folder");
    let database = postgres::database();
    let file = url_file(&home.path().join("url"), &database.url());
    let dir = home.path().join("realm");
    let made = init(&dir, &["--database-url-file", &file]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let config = json(&made)["config"].as_str().expect("a path").to_owned();
    let text = std::fs::read_to_string(&config).expect("the configuration");
    let copy = dir.join("secrets/database-url");
    assert!(text.contains(&format!("url_file = \"{}\"", copy.display())), "{text}");
    assert_eq!(std::fs::metadata(&copy).expect("the copy").permissions().mode() & 0o777, 0o600);
    assert!(!text.contains("postgres://mimamori"), "the configuration holds the URL itself");
    assert!(!dir.join("state/provisioning/registry.db").exists(), "there is a second registry in the folder");
    // The given file has served.
    std::fs::remove_file(&file).expect("rm");
    assert_eq!(code(&mimamori(&["--config", &config, "check"])), 0);

    // Another realm does not fit beside it, and leaves no trace.
    let file = url_file(&home.path().join("url"), &database.url());
    let other = home.path().join("other");
    let twice = init(&other, &["--database-url-file", &file]);
    assert_eq!((code(&twice), &json(&twice)["error"]["code"]), (4, &Value::from("MM-6028")));
    assert!(!other.exists());
    // An exchanged database is noticed before anything runs on it.
    let empty = postgres::database();
    url_file(&copy, &empty.url());
    let checked = mimamori(&["-o", "json", "--config", &config, "check"]);
    assert_eq!((code(&checked), &json(&checked)["error"]["code"]), (64, &Value::from("MM-6029")));
    assert!(!format!("{}{}", stdout(&checked), stderr(&checked)).contains(empty.password()));
}

#[test]
fn what_is_wrong_with_a_url_or_its_server_is_said_in_japanese_before_anything_is_made() {
    const PASSWORD: &str = "himitsu-0123456789";
    let home = tempfile::tempdir().expect("a folder");
    let (dir, path) = (home.path().join("realm"), home.path().join("url"));
    let database = postgres::database();
    let table = [
        (format!("mysql://a:{PASSWORD}@localhost/b"), 64, "MM-6024", "postgres:// で始まっていません"),
        (format!("postgres://a:{PASSWORD}@db.example.jp/b"), 64, "MM-6024", "sslmode=verify-full"),
        (format!("postgres://a:{PASSWORD}@127.0.0.1:1/b"), 75, "MM-6025", "127.0.0.1:1）につながりません"),
        (database.url().replace(database.password(), PASSWORD), 64, "MM-6026", "ログインを断りました"),
        (database.url().replace("?host", "x?host"), 64, "MM-6027", "その名前のデータベースがありません"),
    ];
    for (url, exit, wanted, words) in table {
        let file = url_file(&path, &url);
        let output = init(&dir, &["--database-url-file", &file]);
        assert_eq!((code(&output), &json(&output)["error"]["code"]), (exit, &Value::from(wanted)), "{words}");
        let said = format!("{}{}", stdout(&output), stderr(&output));
        assert!(said.contains(words) && !said.contains(PASSWORD), "{said}");
        assert!(!dir.exists(), "{wanted} left something behind");
    }
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
    let open = init(&dir, &["--database-url-file", path.to_str().expect("UTF-8")]);
    assert_eq!(json(&open)["error"]["code"], "MM-6021");
    assert!(!dir.exists());
}

/// The epoch's key is in no backup: a sealed copy brings it back where it was lost, and the SNS opens again.
#[test]
fn the_epochs_key_is_carried_away_sealed_and_brought_back_where_it_was_lost() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("realm");
    let config = json(&init(&dir, &[]))["config"].as_str().expect("a path").to_owned();
    let copy = home.path().join("copy").display().to_string();
    let export = |more: &[&str]| {
        mimamori(
            &[&["-o", "json", "--config", &config, "keys", "export-epoch", "--to", &copy], more].concat(),
        )
    };
    let early = export(&[]);
    assert_eq!((code(&early), &json(&early)["error"]["code"]), (3, &Value::from("MM-6070")));
    opened_once(&config);

    assert_eq!(json(&export(&["--dry-run"]))["written"], false);
    assert!(!Path::new(&copy).exists() && !dir.join("state/backup.json").exists());
    let exported = export(&[]);
    assert_eq!(code(&exported), 0, "{}", stderr(&exported));
    let passphrase = json(&exported)["passphrase"].as_str().expect("words").to_owned();
    assert_eq!(std::fs::metadata(&copy).expect("the copy").permissions().mode() & 0o777, 0o600);
    assert_eq!(code(&export(&[])), 1, "a copy is never written over another");
    let kept = || {
        let bytes = std::fs::read(dir.join("state/backup.json")).expect("what the realm remembers");
        serde_json::from_slice::<Value>(&bytes).expect("JSON")["epoch"]["epoch"].as_u64()
    };
    assert_eq!(
        kept(),
        Some(1),
        "doctor and status ask for another copy when an erasure has begun epoch 2 (P-27)"
    );

    let words = url_file(&home.path().join("words"), &passphrase.to_lowercase());
    let words = ["--passphrase-file", &words];
    let import = |words: &[&str]| {
        mimamori(
            &[&["-o", "json", "--config", &config, "keys", "import-epoch", "--from", &copy], words].concat(),
        )
    };
    assert_eq!(json(&import(&words))["error"]["code"], "MM-6071", "it stands");
    let epoch = dir.join("state/sns/epoch");
    let before = std::fs::read(epoch.join("epoch.key")).expect("the key");
    std::fs::remove_dir_all(&epoch).expect("rm");
    let wrong = url_file(&home.path().join("wrong"), "AAAA-BBBB-CCCC-DDDD");
    assert_eq!(json(&import(&["--passphrase-file", &wrong]))["error"]["code"], "MM-6072");
    assert!(!epoch.exists());
    assert_eq!(code(&import(&words)), 0);
    assert_eq!(kept(), Some(1));
    assert_eq!(std::fs::read(epoch.join("epoch.key")).expect("the key"), before);
    opened_once(&config);

    // P-27: what an erasure does; the copy of before is of no use, and the next one is remembered.
    asked(&config, Some(sns::door::SnsQuestion::RotateEpoch));
    assert_eq!(kept(), Some(1));
    let next = home.path().join("next").display().to_string();
    let exported = mimamori(&["-o", "json", "--config", &config, "keys", "export-epoch", "--to", &next]);
    assert_eq!((json(&exported)["epochs"].clone(), kept()), (serde_json::json!([2]), Some(2)));
}

fn opened_once(config: &str) {
    asked(config, None);
}

/// As the room is opened when it runs.
fn asked(config: &str, question: Option<sns::door::SnsQuestion>) {
    let text = std::fs::read_to_string(config).expect("the configuration");
    let config = appliance::config::read(&text).expect("no fault");
    let secret = appliance::secrets::open_one("sns_epoch", &config.secrets, None);
    let room = secret.and_then(|secret| appliance::compose::sns(&config, &secret, None));
    let room = sns::open(room.unwrap_or_else(|fault| panic!("{fault:?}"))).expect("it opens");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let room = room.start().await.expect("it starts");
        if let Some(question) = question {
            room.operator(question).await;
        }
        room.stop().await;
    });
}

/// Issue 5: the root's passphrase in the hands of three, two of whom open it.
#[test]
fn the_roots_passphrase_is_shared_among_sheets_and_any_two_open_the_key() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("realm");
    let made = init(&dir, &["--root-shares", "2/3"]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let made = json(&made);
    assert_eq!(made["root_passphrase"], Value::Null);
    assert!(!dir.join("root-passphrase").exists(), "it stands nowhere in one piece");
    let sheets: Vec<String> = made["root_sheets"].as_array().expect("sheets").iter().map(text_of).collect();
    assert_eq!(sheets.len(), 3);
    let transcript = std::fs::read_to_string(made["transcript"].as_str().expect("a path")).expect("text");

    // What a person types from the paper, letter by letter.
    let typed: Vec<String> = sheets
        .iter()
        .map(|sheet| {
            let page = std::fs::read_to_string(sheet).expect("a sheet");
            let letters = page.split("letters\">").nth(1).and_then(|rest| rest.split('<').next());
            letters.expect("the letters").to_lowercase()
        })
        .collect();
    for line in &typed {
        let check = line.replace(' ', "").rsplit(':').next().expect("a check").to_uppercase();
        assert!(transcript.contains(&check), "the transcript knows {check}");
    }
    let file = |name: &str, text: &str| {
        let path = home.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    };
    let root = made["root"].as_str().expect("a path");
    let check = |shares: &str| {
        mimamori(&["-o", "json", "pki", "ceremony", "check", "--root", root, "--share", shares])
    };
    let two = file("two", &format!("{}\n\n{}\n", typed[2], typed[0]));
    let opened = check(&two);
    assert_eq!(json(&opened)["root_fingerprint"], made["root_fingerprint"], "{}", stderr(&opened));
    let alone = check(&file("one", &typed[1]));
    assert_eq!(code(&alone), 2);
    assert!(stderr(&alone).contains("MM-2326"), "{}", stderr(&alone));
    let mistyped =
        check(&file("mistyped", &format!("{}\n{}", typed[0].replacen("mms1", "mms2", 1), typed[1])));
    assert!(code(&mistyped) == 2 && stderr(&mistyped).contains("MM-2323"), "{}", stderr(&mistyped));

    // Joined, and shared anew on other terms.
    let joined = home.path().join("joined");
    let joined = joined.to_str().expect("UTF-8");
    let ceremony = |words: &[&str]| mimamori(&[&["-o", "json", "pki", "ceremony"], words].concat());
    assert_eq!(code(&ceremony(&["join", "--share", &two, "--out", joined])), 0);
    let again = home.path().join("again");
    let words = ["split", "--passphrase-file", joined, "--root", root, "--shares", "3/5", "--out"];
    let again = [&words[..], &[again.to_str().expect("UTF-8")]].concat();
    assert_eq!(json(&ceremony(&again))["sheets"].as_array().map(Vec::len), Some(5));
    let wrong = file("wrong", "not the passphrase of this root");
    let wrong =
        ["split", "--passphrase-file", &wrong, "--root", root, "--shares", "3/5", "--out", "x", "--dry-run"];
    assert_eq!(code(&ceremony(&wrong)), 1, "what opens nothing is not shared");
}

/// Issue 5: certificates are followed by others for the same keys; the root's key signs offline.
#[test]
fn the_gateways_certificate_is_renewed_and_no_ca_before_its_time() {
    let home = tempfile::tempdir().expect("a folder");
    let dir = home.path().join("realm");
    let made = init(&dir, &[]);
    assert_eq!(code(&made), 0, "{}", stderr(&made));
    let made = json(&made);
    let config = made["config"].as_str().expect("a path");
    let pki = |words: &[&str]| mimamori(&[&["-o", "json", "--config", config, "pki"], words].concat());
    let chain = dir.join("state/gateway/tls.crt");
    let before = std::fs::read_to_string(&chain).expect("the chain");
    let mode = std::fs::metadata(&chain).expect("the chain").permissions().mode();

    let dry = pki(&["renew", "gateway", "--dry-run"]);
    assert_eq!(code(&dry), 0, "{}", stderr(&dry));
    assert_eq!(std::fs::read_to_string(&chain).expect("the chain"), before);
    let renewed = pki(&["renew", "gateway"]);
    assert_eq!(code(&renewed), 0, "{}", stderr(&renewed));
    assert_eq!(json(&renewed)["reloaded"], false, "nobody runs");
    let after = std::fs::read_to_string(&chain).expect("the chain");
    assert_ne!(after, before);
    assert_eq!(after.split("-----END").nth(1), before.split("-----END").nth(1), "the same server CA");
    assert_eq!(std::fs::metadata(&chain).expect("the chain").permissions().mode(), mode);
    // The key was not touched, and is the new certificate's: the gateway opens with both.
    let key = std::fs::read_to_string(dir.join("state/gateway/tls.key")).expect("the key");
    let device_ca = std::fs::read(dir.join("state/gateway/device-ca.der")).expect("the device CA");
    gateway::tls::Tls::new(&after, &key, &device_ca).expect("they fit");
    let elsewhere = home.path().join("elsewhere.crt");
    let elsewhere = elsewhere.to_str().expect("UTF-8");
    assert_eq!(code(&pki(&["renew", "gateway", "--out", elsewhere])), 0);
    assert_eq!(std::fs::read_to_string(&chain).expect("the chain"), after, "written elsewhere only");

    // The root's key, offline.
    let (root, passphrase) = (made["root"].as_str().expect("a path"), made["root_passphrase"].as_str());
    let passphrase = passphrase.expect("a path");
    let ca = dir.join("state/pki/device-ca.der");
    let ca = ca.to_str().expect("UTF-8");
    let next = home.path().join("next.pem");
    let next = next.to_str().expect("UTF-8");
    let words = ["-o", "json", "pki", "ceremony", "renew", "--root", root, "--ca", ca, "--out", next];
    let early = mimamori(&[&words[..], &["--passphrase-file", passphrase]].concat());
    assert!(code(&early) == 1 && stderr(&early).contains("MM-2502"), "{}", stderr(&early));
    let wrong = mimamori(&[&words[..], &["--passphrase-file", config]].concat());
    assert_eq!(code(&wrong), 1, "{}", stderr(&wrong));
    assert!(!Path::new(next).exists() && !Path::new(root).join("renewals.txt").exists());
    let taken = std::fs::read(ca).expect("the device CA");
    for (which, file) in [("device-ca", ca), ("device-ca", elsewhere), ("server-ca", ca)] {
        let refused = pki(&["renew", which, "--certificate", file]);
        assert_eq!(code(&refused), 2, "{which} {file}: {}", stderr(&refused));
    }
    assert_eq!(std::fs::read(ca).expect("the device CA"), taken);
    let verified = pki(&["log", "checkpoint"]);
    assert_eq!(code(&verified), 0, "{}", stderr(&verified));
}

fn text_of(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}
