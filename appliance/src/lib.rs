//! The composition root: the binary `mimamori`, its configuration, its process table and its wire.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, tokio); `// border` crosses a process border.

pub mod exit;
pub mod messages;
pub mod config;
pub mod process;
pub mod machine;
pub mod wall;
pub mod engineers;
pub mod keeping;
pub mod update;
pub mod history; // border: the state's file
pub mod wire; // edge, border: channels and framed Unix sockets
pub mod adapters;
pub mod files; // edge: files and folders
pub mod sheets; // edge: files, randomness
pub mod secrets; // edge: files of secrets, systemd credentials
pub mod jail; // edge: Landlock, seccomp, capabilities
pub mod log; // edge: the journal, stderr, clock
pub mod operator;
pub mod database; // edge: SQL through the provisioning room, tokio
pub mod compose; // edge: certificates of the ceremony
pub mod socket; // edge: the operator door's socket and lock
pub mod relay; // edge, unsafe: descriptors by number, systemd's store
pub mod doors; // edge: Unix sockets, LISTEN_FDS, locks
pub mod lines; // edge: tokio
pub mod apart; // edge, border: Unix sockets, tokio
pub mod token; // edge: a file of a secret, a PKCS #11 module
pub mod init; // edge: files, clock, randomness
pub mod kept; // edge: files, the clock since boot
pub mod settle; // edge: files and their owners
pub mod backup;
pub mod doctor; // border: findings
pub mod slots; // edge: block devices, the boot partition, veritysetup
pub mod applied; // edge: files, nft
pub mod loopback; // edge: tokio, sockets
pub mod running; // edge: tokio, signals, systemd
pub mod together; // edge: tokio
pub mod serve; // edge: tokio
pub mod cli;
