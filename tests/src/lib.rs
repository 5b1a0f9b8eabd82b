//! Plays the whole world: real devices in network namespaces against the real binary, from a
//! facility's form to a revoked device. `make demo` prints it, `tests/it` asserts it.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness); `// border` crosses a process border.
//! To learn what the product does, read `story` first; the rest is how.

pub mod fault;
pub mod coverage; // which requirements the tests that ran have proved
pub mod report; // edge, border: report.json and the table on the terminal
pub mod shell; // edge: runs programs, waits for events with a limit
pub mod net; // edge: namespaces, links, hosts files, and their removal
pub mod disk; // edge: a tmpfs that is too small
pub mod secrets; // edge: what must never be found in a log or a file
pub mod mailserver; // edge, border: Exim in a namespace, its Maildir read by others' programs
pub mod http; // edge, border: curl inside a namespace, JSON bodies
pub mod stream; // edge: a live stream (SSE) read by curl
pub mod keys; // edge: keys and certificate request, made on the device
pub mod device; // edge: a device with its tunnel and certificate
pub mod shim; // who may borrow a device, and what changes on the way
pub mod shim_carry; // edge: loopback listeners, namespaces, TLS
pub mod launcher; // edge: the process table without systemd
pub mod server; // edge, border: the binary `mimamori` in its namespace
#[path = "../support/postgres.rs"]
pub mod postgres; // edge: a PostgreSQL that ends with its last user
pub mod browser; // edge, border: Chromium on a device, driven over its pipe
pub mod forms; // edge: thirty facilities as 様式1
pub mod world; // edge: all of it together, and its end
pub mod hands; // edge: a device with a person at its browser
pub mod shown; // edge: which requirements a playing test has met
pub mod clerk; // edge: a case of a flow, driven over its own page
pub mod people; // edge: those who click, with a session each
pub mod refusals; // edge: the attackers of s4 and s7
pub mod paperwork; // edge: forms, cases, sheets (s1–s3)
pub mod letterbox; // edge: bundles by mail, an address that was mistyped (s3)
pub mod est; // edge: a claim and a renewal by openssl and curl
pub mod acme; // edge: a claim by python, openssl and curl
pub mod enrolment; // edge: from the bundle to a device in service (s4, s5)
pub mod team; // edge: a patient, two facilities, a post (s6)
pub mod revocation; // edge: the lost device of s8
pub mod witness; // edge: a certificate in the log and in OCSP
pub mod memory; // edge: the memory of other processes
pub mod separation; // edge: each process killed in the middle
pub mod stay; // edge, border: the appliance stays, stay.json
pub mod story; // edge: s1 to s8
pub mod restoring; // edge: a lost realm and its backup
pub mod machine; // edge: the image's root under a real systemd
pub mod engineer; // edge: SSH keys, ssh
pub mod efivars; // a machine's firmware variables
pub mod vm; // edge: the image's disk in an emulated machine, its TPM
pub mod registering; // edge: codes, certificates
pub mod rescuing; // edge: a console and two engineers
pub mod carried; // edge: age, tar
pub mod inspection; // edge: what a machine must do
pub mod booting; // edge: what the disk must do
pub mod trusted; // edge: Secure Boot and a TPM

pub use fault::{Fault, Told};
