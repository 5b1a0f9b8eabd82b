//! Whom a process calls outside the appliance, under one configuration: what the jail leaves open, and what
//! its unit allows. Pure: a row, the configuration and how the database is reached in, a list out.

use std::net::IpAddr;
use std::path::PathBuf;

pub use provisioning::Server;

use super::row::{Call, Process};
use super::table::TABLE;
use crate::config::Config;

/// One place outside, reached by TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callee {
    pub host: String,
    pub port: u16,
    /// Files that every new connection reads.
    pub reads: Vec<PathBuf>,
}

impl Callee {
    /// Its address, where nobody has to be asked for it.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.trim_matches(['[', ']']).parse().ok()
    }
}

/// Empty: no socket of the internet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outward {
    pub callees: Vec<Callee>,
}

impl Outward {
    /// `server` is that of `[database]`, if there is one.
    pub fn of(row: &Process, config: &Config, server: Option<&Server>) -> Self {
        Self { callees: row.calls.iter().filter_map(|call| callee(*call, config, server)).collect() }
    }

    /// What its rows call, together.
    pub fn together(config: &Config, server: Option<&Server>) -> Self {
        let mut callees: Vec<Callee> = Vec::new();
        for callee in TABLE.iter().flat_map(|row| Self::of(row, config, server).callees) {
            if !callees.contains(&callee) {
                callees.push(callee);
            }
        }
        Self { callees }
    }

    pub fn is_empty(&self) -> bool {
        self.callees.is_empty()
    }

    /// Has a name to be looked up?
    pub fn has_names(&self) -> bool {
        self.callees.iter().any(|callee| callee.address().is_none())
    }
}

fn callee(call: Call, config: &Config, server: Option<&Server>) -> Option<Callee> {
    match (call, server) {
        (Call::Smarthost, _) => config.mail.as_ref().map(|mail| Callee {
            host: mail.host.clone(),
            port: mail.port,
            // Read once, before the jail.
            reads: Vec::new(),
        }),
        (Call::Mailbox, _) => config.bounces.as_ref().map(|place| Callee {
            host: place.host.clone(),
            port: place.port,
            reads: Vec::new(),
        }),
        (Call::Database, Some(Server::Tcp { host, port, reads })) => {
            Some(Callee { host: host.clone(), port: *port, reads: reads.clone() })
        }
        // A socket of this machine is a file, not a call.
        (Call::Database, Some(Server::Socket(_)) | None) => None,
    }
}
