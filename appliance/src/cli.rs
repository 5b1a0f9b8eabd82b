//! The operator's command `mimamori`: what was typed (`args`), how it is shown (`table`, `out`), whom it
//! asks (`ask`), and one file per noun. Nothing here decides: it asks the running appliance and shows.

pub mod args_backup;
pub mod args_config;
pub mod args_engineers;
pub mod args_fee;
pub mod args_flow;
pub mod args_incident;
pub mod args_keys;
pub mod args_machine;
pub mod args_more;
pub mod args_paper;
pub mod args_facility;
pub mod args_person;
pub mod args_post;
pub mod args_scan;
pub mod pki_args;
pub mod args_token;
pub mod args_takeover;
pub mod args_update;
pub mod args_vpn;
pub mod args_yearly;
pub mod args;
pub mod width;
pub mod said;
pub mod table;
pub mod failure;
pub mod misread;
pub mod out; // edge, border: the terminal
pub mod ask; // edge: tokio, the operator door
pub mod catalogue;
pub mod explain;
pub mod imported; // edge: files that the operator names
pub mod paper; // edge: files that the operator names
pub mod scan; // edge: files that the operator names
pub mod facility; // edge: files that the operator names
pub mod takeover; // edge: files that the operator names
pub mod dns_wire;
pub mod mail;
pub mod slot;
pub mod outgoing; // edge: files that the operator names
pub mod case;
pub mod more;
pub mod device;
pub mod person;
pub mod yearly;
pub mod incident;
pub mod report;
pub mod flow;
pub mod fee; // edge: files that the operator names
pub mod gateway;
pub mod tunnels; // edge: tokio, signals, clock
pub mod audit;
pub mod authority; // edge: files, tokio
pub mod pki_log; // edge: files, tokio
pub mod renew; // edge: files
pub mod bench; // edge: files, tokio
pub mod ceremony; // edge: files
pub mod pki; // edge: files
pub mod realm; // edge: init, check and run touch files
pub mod api;
pub mod mail_doctor; // edge: network, files, randomness
pub mod status; // border: with what the realm remembers
pub mod keys; // edge: files, randomness
pub mod backup_target; // edge: files, ssh
pub mod backup_wire; // edge, border: root's socket
pub mod backup; // edge: files, the clock, root's socket
pub mod doctor; // edge: files of the kernel, name look-ups, the clock
pub mod pages; // edge: the folder of manual pages that the operator names
pub mod difference;
pub mod config; // edge, border: files, root's socket, systemctl
pub mod update; // edge, border: root's socket, the stick, systemctl
pub mod engineers; // edge, border: files, consoles, ssh-keygen
pub mod rescue; // edge, border: files, the console, script, systemctl
pub mod engineers_wire; // edge, border: root's socket
pub mod first; // edge: files, the stick, systemctl
pub mod data; // edge: block devices, the stick, consoles, programs
pub mod machine; // edge: through `applied`
pub mod line;
pub mod shell; // edge: the terminal
pub mod command; // edge: environment, arguments

pub use command::main;
