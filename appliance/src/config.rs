//! The configuration: one TOML text, read whole and checked whole before anything opens (habit 19).
//! `keys` says which keys exist, `typed` is what somebody wrote, `meant` is what it means,
//! `mail`, `bounces`, `management` and `token` are its sections of that name, `written` is the commented file that `init` leaves behind.
//! All pure: text in, values out.

pub mod fault;
pub mod keys;
pub mod titles;
pub mod typed;
pub mod zone;
pub mod mail;
pub mod bounces;
pub mod management;
pub mod token;
pub mod meant;
pub mod written;

pub use bounces::Bounces;
pub use fault::Fault;
pub use mail::Mail;
pub use meant::{Config, Paths, Realm, Secrets, Vpn, read};
pub use token::Token;
pub use typed::SecretPlace;
pub use zone::Zone;

#[cfg(test)]
mod tests;
