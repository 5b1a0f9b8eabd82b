//! Backup and restore: the realm in two sealed files that open without us (ruling 14), and back from them on a blank
//! machine. The patients' keys travel apart from what they open, and the key that wraps them in no backup at all, so
//! that an erased patient stays erased (ruling 10).

pub mod bech32;
pub mod age;
pub mod tar;
pub mod parts;
pub mod manifest; // border: the first file of each part, and what is remembered
pub mod relocate;
pub mod memory; // edge: files
pub mod copies; // edge: SQL
pub mod make; // edge: files, randomness
pub mod back; // edge: files, SQL through the rooms
pub mod drill; // edge: files, the clock
