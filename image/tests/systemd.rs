//! What we render is read by the real systemd tools: users are made with the table's numbers, folders
//! belong to them, and the unit has no mistake. Needs root (folders change their owner) and systemd.

// All of it is tests, helpers included; clippy.toml exempts only functions marked as such.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use appliance::process::TABLE;

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

fn rendered() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    image::write(root.path()).unwrap();
    root
}

#[test]
fn sysusers_and_tmpfiles_make_what_the_table_says() {
    let root = rendered();
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
        assert_eq!(std::os::unix::fs::MetadataExt::uid(&meta), row.uid, "{}", folder.display());
    }
}

#[test]
fn no_unit_has_a_mistake() {
    let root = rendered();
    let units = root.path().join("usr/lib/systemd/system");
    let mut files = Vec::new();
    for entry in std::fs::read_dir(&units).unwrap() {
        let file = entry.unwrap().path();
        // The binary lies elsewhere on this machine; systemd only asks whether it can be executed.
        let text = std::fs::read_to_string(&file).unwrap().replace("/usr/bin/mimamori", "/bin/true");
        std::fs::write(&file, text).unwrap();
        files.push(file);
    }
    let sockets = files.iter().filter(|file| file.extension().is_some_and(|e| e == "socket")).count();
    assert_eq!(sockets, TABLE.iter().flat_map(|row| row.arrows()).count());
    let mut args = vec!["verify", "--man=no"];
    args.extend(files.iter().map(|file| path(file)));
    let said = run("systemd-analyze", &args);
    assert!(!said.contains("mimamori"), "{said}");
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
