//! Teams around a patient: timelines, 了解, and the key store of all patients.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod door; // border
pub mod messages;
pub mod post;
pub mod keys;
pub mod audit;
pub mod team;
pub mod view;
mod world; // edge: clock and randomness
mod epoch; // edge: the file of the epoch's key
pub mod escrow; // edge: the same file, sealed and carried away
mod keystore; // edge: SQL (keys.db, SQLite only)
mod engine; // edge: SQL (sns.db, or a PostgreSQL server)
mod store; // edge: SQL
mod roster; // edge: SQL (teams, facilities, members)
mod timeline; // edge: SQL (posts, 了解, events)
mod live; // edge: tokio (streams)
mod desk; // edge: where the stores meet
mod office; // edge: answers the doors
mod care; // edge: answers a team's people
mod wire; // border: the JSON of the HTTP API
mod page;
mod http; // edge: HTTP
mod room; // edge: opens and composes the room

pub use door::{KeysAnswer, KeysQuestion, SnsAnswer, SnsQuestion, TeamsAnswer, TeamsQuestion};
pub use engine::{Database, DatabaseUrl, UrlError};
pub use keys::Secret;
pub use room::{Config, OpenError, Opened, Room, StartError, open};
