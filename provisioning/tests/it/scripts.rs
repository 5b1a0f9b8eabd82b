//! The claim page's scripts, run by node: what they make is read by OpenSSL, GnuTLS, NSS, Java, wg-quick, ZBar and
//! Python, and Linux's renewal client is run. A browser at the page itself is another test (`tests`).

use std::path::Path;
use std::process::Command;

fn passes(test: &str) {
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
    let mut node = Command::new("node");
    let done = node
        .args(["--test", "--test-reporter=tap"])
        .arg(Path::new("test").join(test))
        .current_dir(assets)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{test}\n{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("# skipped 0"), "nothing may be left out: {said}");
}

#[test]
fn what_the_page_makes_is_read_by_others() {
    passes("files.test.mjs");
}

#[test]
fn the_bundles_of_each_system_are_as_they_were_seen_and_linux_renews_by_itself() {
    passes("bundles.test.mjs");
}

#[test]
fn the_pages_arithmetic_agrees_with_others() {
    passes("pure.test.mjs");
}
