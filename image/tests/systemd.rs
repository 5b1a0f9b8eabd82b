//! What we render is read by the real systemd tools: users are made with the table's numbers, folders
//! belong to them, and the unit has no mistake. Needs root (folders change their owner) and systemd.

// All of it is tests, helpers included; clippy.toml exempts only functions marked as such.
#![allow(clippy::unwrap_used)]

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use appliance::process::{Server, TABLE};
use image::{Form, Outside};

fn run(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .output()
        .unwrap_or_else(|e| panic!("{program}: {e}; install Debian's package systemd"));
    let text =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program} {args:?}: {text}");
    text
}

fn rendered(form: Form) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    image::write(root.path(), form, None).unwrap();
    root
}

#[test]
fn sysusers_and_tmpfiles_make_what_the_table_says() {
    let root = rendered(Form::Separated);
    std::fs::create_dir(root.path().join("etc")).unwrap();
    let at = format!("--root={}", root.path().display());
    run("systemd-sysusers", &[&at]);
    let passwd = std::fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    for row in &TABLE {
        let line = format!("{}:x:{}:{}:", row.user, row.uid, row.gid);
        assert!(passwd.contains(&line), "{line} in\n{passwd}");
    }
    run("systemd-tmpfiles", &[&at, "--create"]);
    for row in TABLE.iter().filter(|row| row.state.is_some()) {
        let folder = root.path().join(format!("var/lib/mimamori/{}", row.state.unwrap()));
        let meta = std::fs::metadata(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        assert_eq!(meta.uid(), row.uid, "{}", folder.display());
    }
}

/// One process is one user: it must be able to use what tmpfiles makes.
#[test]
fn together_the_folders_belong_to_the_user_who_runs() {
    let root = rendered(Form::Together);
    let unit = std::fs::read_to_string(root.path().join("usr/lib/systemd/system/mimamori.service")).unwrap();
    assert!(!unit.contains("\nUser="), "it runs as root, with its rows' capabilities and no other: {unit}");
    run("systemd-tmpfiles", &[&format!("--root={}", root.path().display()), "--create"]);
    for folder in ["var/lib/mimamori", "var/lib/mimamori-output"] {
        let meta = std::fs::metadata(root.path().join(folder)).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o700), "{folder}");
    }
    let rooms = root.path().join("var/lib/mimamori");
    assert_eq!(std::fs::read_dir(rooms).unwrap().count(), 0, "no folder of another user lies in it");
    verified(&root);
}

#[test]
fn no_unit_has_a_mistake() {
    let root = rendered(Form::Separated);
    let sockets = verified(&root);
    assert_eq!(sockets, TABLE.iter().flat_map(|row| row.arrows()).count());
}

/// With mail, and the records on a server of another machine: the widest that units can be.
#[test]
fn no_drop_in_has_a_mistake_and_verifying_reads_them() {
    let text = "[realm]\nzone = \"care.example.jp\"\nname = \"a\"\nseries = [{ name = \"18\", block = 18 }]\n\
        [paths]\nstate = \"/s\"\nrun = \"/r\"\noutput = \"/o\"\n[secrets]\npki_passphrase_file = \"/a\"\n\
        vpn_key_file = \"/b\"\nsns_epoch_file = \"/c\"\ngateway_key_file = \"/d\"\n\
        [database]\nurl_credential = \"database_url\"\n\
        [mail]\nsmarthost = \"127.0.0.1\"\ntls = \"none\"\nfrom = \"a@care.example.jp\"\n";
    let config = appliance::config::read(text).unwrap();
    let server = Server::Tcp { host: "10.0.0.9".into(), port: 5432, reads: Vec::new() };
    let outside = Outside { config: &config, server: Some(&server) };
    for (extra, clean) in [("", true), ("Nonsense=1\n", false)] {
        let root = tempfile::tempdir().unwrap();
        let mut drop_ins = 0;
        for file in image::files(&TABLE, Form::Separated, Some(&outside)).unwrap() {
            // Beside its unit, where verifying looks for it.
            let path = root.path().join(file.path.replace("etc/systemd/system", "usr/lib/systemd/system"));
            let drop_in = file.path.ends_with(".conf") && file.path.contains(".service.d/");
            drop_ins += usize::from(drop_in);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, file.text + if drop_in { extra } else { "" }).unwrap();
        }
        assert_eq!(drop_ins, 3);
        let said = said_of(&root).0;
        assert_eq!(!said.contains("Nonsense"), clean, "{said}");
        assert!(!clean || !said.contains("mimamori"), "{said}");
    }
}

/// Verifies every unit below the root; returns how many sockets were among them.
fn verified(root: &tempfile::TempDir) -> usize {
    let (said, sockets) = said_of(root);
    assert!(!said.contains("mimamori"), "{said}");
    sockets
}

fn said_of(root: &tempfile::TempDir) -> (String, usize) {
    let units = root.path().join("usr/lib/systemd/system");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&units).unwrap() {
        let file = entry.unwrap().path();
        if file.is_dir() {
            continue;
        }
        // The binary lies elsewhere on this machine; systemd only asks whether it can be executed.
        let text = std::fs::read_to_string(&file).unwrap().replace("/usr/bin/mimamori", "/bin/true");
        std::fs::write(&file, text).unwrap();
        files.push(file);
    }
    let sockets = files.iter().filter(|file| file.extension().is_some_and(|e| e == "socket")).count();
    let mut args = vec!["verify", "--man=no"];
    args.extend(files.iter().map(|file| path(file)));
    (run("systemd-analyze", &args), sockets)
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
