//! The only room that listens towards the tunnels: admission, sign-in, proxy.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

// Nouns.
pub mod messages;
pub mod moment;
pub mod label;
pub mod need; // edge, border: what is asked of siblings, byte streams to them
pub mod door; // border
pub mod names;
pub mod grants;
pub mod revocations;
pub mod floors;
pub mod truth;
pub mod session;

// Deciding.
pub mod admission;
pub mod pace;
pub mod heads;
mod hpack;
pub mod frames;
pub mod upgrade;
pub mod strict;
pub mod headers;
pub mod browser;
pub mod routes;
mod forms; // border
mod pages;
mod refusals;
mod tickets;
mod challenges;
mod turns;
pub mod meters;

// Touching.
pub mod clock; // edge: clock, randomness
pub mod trail; // edge, border: the audit file
pub mod audit; // edge, border: a thread
mod engine; // edge: SQL (sessions.db, or a PostgreSQL server)
mod store; // edge: SQL
pub mod live; // edge: who is connected
pub mod wire; // edge: TCP
pub mod gate; // edge: between the wire and HTTP
pub mod upload; // edge: HTTP bodies
pub mod lines; // edge: connections to the rooms behind
pub mod body; // edge: HTTP bodies
mod tunnel; // edge: WebSockets
pub mod talk; // edge: HTTP/1.1 and HTTP/2
pub mod tls; // edge: TLS
pub mod handshake; // edge: TLS
pub mod proxy; // edge: HTTP to the rooms behind
mod hall; // edge: what all tasks share
mod cuts; // edge: ends what is live
mod feeds; // edge: the two feeds
mod answer; // edge, border: HTTP, JSON
mod signin; // edge: HTTP
mod passkeys; // edge: HTTP
mod inside; // edge: HTTP
mod outside; // edge: HTTP
mod server; // edge: accepts, serves
pub mod listeners; // edge: binds
mod room; // edge: binds, starts, stops

pub use admission::{Admission, AdmittedDevice, AdmittedVisitor, Passage, Refusal};
pub use clock::Clock;
pub use door::{CutAnswer, CutQuestion, GatewayAnswer, GatewayQuestion};
pub use engine::{Database, DatabaseUrl, UrlError};
pub use listeners::{Kept, Listen};
pub use need::Needs;
pub use room::{Config, Files, OpenError, Opened, Room, StartError, open};
