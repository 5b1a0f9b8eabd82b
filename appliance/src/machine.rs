//! The places of a machine that is nothing but mimamori: where the image keeps what, the same on each. The
//! state lies on the one partition that can be written; `/etc/mimamori` is a link to its folder there. Constants.

/// Below which the rooms keep their state.
pub const STATE: &str = "/var/lib/mimamori";
/// Where the doors' sockets lie.
pub const RUN: &str = "/run/mimamori";
/// Where bundles and sheets are written; apart from the state, because it is carried away.
pub const OUTPUT: &str = "/var/lib/mimamori-output";
/// What goes into the safe after `init`, until it is carried there.
pub const ROOT: &str = "/var/lib/mimamori-root";
/// Configuration, its history, and the secrets' files that systemd hands over as credentials.
pub const KEPT: &str = "/var/lib/mimamori-config";
/// The name by which everybody knows `KEPT`.
pub const ETC: &str = "/etc/mimamori";
pub const CONFIG: &str = "/etc/mimamori/mimamori.toml";
pub const SECRETS: &str = "/etc/mimamori/secrets";
/// In `KEPT`: the smarthost's roots, where they are the association's own.
pub const MAIL_ROOTS: &str = "mail-roots.pem";
/// Where the machine's own addresses are written, as systemd.network(5) reads them.
pub const NETWORK: &str = "/var/lib/mimamori-config/network";
/// Where `init --machine` works before anything is in its place; on the same partition.
pub const STAGE: &str = "/var/lib/mimamori-init";
/// What follows from the configuration and outlives no boot.
pub const APPLIED: &str = "/run/mimamori-machine";
/// Whom sshd trusts; in `APPLIED`.
pub const SSH_CA: &str = "ssh-user-ca.pub";
/// The user to whom a certificate of that authority leads, and the program that is its shell.
pub const OPERATOR_SHELL: &str = "/usr/bin/mimamori-shell";
/// To whom a bare key leads: it gets certificates and nothing else.
pub const ENROL_USER: &str = "mm-enrol";
pub const ENROL_SHELL: &str = "/usr/bin/mimamori-enrol";
/// The engineers registered with the console's code, one to a line: name, kind, key.
pub const ENGINEERS: &str = "/var/lib/mimamori-config/engineers";
/// The machine's own authority, where the stick brought none; its public half has `.pub` behind.
pub const ENGINEERS_CA: &str = "/var/lib/mimamori-ssh/engineers-ca";
/// Whose certificates open a rescue: the authority that the realm began with, whatever is committed later.
pub const RESCUE_CA: &str = "/var/lib/mimamori-config/rescue-ca.pub";
/// To whom a certificate leads.
pub const OPERATOR_USER: &str = "mm-operator";
/// Where root's service hears engineers.
pub const ENGINEERS_SOCKET: &str = "/run/mimamori-engineers.sock";
/// Where root's service takes a new version.
pub const UPDATE_SOCKET: &str = "/run/mimamori-update.sock";
/// To whom backups are sealed; the engineer cannot write it.
pub const BACKUP_RECIPIENTS: &str = "/etc/mimamori/backup-recipients";
/// Where root's service makes a backup for the engineer to carry away.
pub const BACKUP_SOCKET: &str = "/run/mimamori-backup.sock";
/// Where root's service hears what the engineer commits.
pub const CONFIG_SOCKET: &str = "/run/mimamori-config.sock";
