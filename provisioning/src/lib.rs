//! Facilities, people, devices, cases, bundles, and the two consoles.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod need; // border
pub mod door; // border
pub mod world; // edge: clock, randomness
pub mod hashing; // edge: threads
pub mod store; // edge: SQL
pub mod audit; // edge: SQL
pub mod shared; // edge: tokio
mod room; // edge: files, tokio

pub use room::{OpenError, Opened, Room, StartError, open};
pub use shared::{Config, Needs};
