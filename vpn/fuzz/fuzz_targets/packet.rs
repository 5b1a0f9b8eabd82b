//! `cargo fuzz run packet`: see `vpn/tests/corpus/drive.rs` for what must hold.
#![no_main]
#[path = "../../tests/corpus/drive.rs"]
#[allow(dead_code)]
mod drive;
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drive::packet(bytes));
