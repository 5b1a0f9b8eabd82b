//! The composition root: the binary `mimamori`, its configuration, its process table and its wire.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, tokio); `// border` crosses a process border.

pub mod config;
pub mod exit;
pub mod files; // edge: files and folders
pub mod jail; // edge: Landlock, seccomp, capabilities
pub mod log;
pub mod messages;
pub mod process;
pub mod secrets; // edge: files of secrets, systemd credentials
pub mod wire; // edge, border: channels and framed Unix sockets // edge: the journal, stderr, clock
