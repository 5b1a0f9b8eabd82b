//! The binary as an operator uses it: exit codes, what stands on stdout, and a realm made once.
//! Needs no root and no network; running it with tunnels is the story's part.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

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
