//! Replays what the fuzzers have found worth keeping (`vpn/fuzz/corpus`): every input, every time.
//! `cargo fuzz run datagram` in `vpn/fuzz` looks for more.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod drive;

use std::path::Path;

fn replay(corpus: &str, least: usize, drive: fn(&[u8])) {
    // At run time: a target folder may serve several checkouts.
    let room = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let folder = Path::new(&room).join("fuzz/corpus").join(corpus);
    let inputs: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(
        inputs.len() >= least,
        "{}: {} inputs, at least {least} are kept",
        folder.display(),
        inputs.len()
    );
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        // Whole, and cut at every place: half of all faults are lengths.
        for len in 0..=bytes.len() {
            let fell = std::panic::catch_unwind(|| drive(&bytes[..len])).is_err();
            assert!(!fell, "{} cut to {len} bytes; its panic is above", input.display());
        }
    }
}

#[test]
fn attacker_kept_datagrams() {
    replay("datagram", 10, drive::datagram);
}

#[test]
fn attacker_kept_packets() {
    replay("packet", 8, drive::packet);
}

#[test]
fn attacker_kept_cookies() {
    replay("cookie", 4, drive::cookie);
}

#[test]
fn attacker_kept_counters() {
    replay("window", 6, drive::window);
}
