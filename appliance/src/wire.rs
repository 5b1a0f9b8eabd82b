//! How a question travels from one room to another: by a channel inside one process, by a framed
//! Unix socket between two. Room code is the same for both; only `together` chooses.

pub mod fault;
pub mod frame; // edge, border: Unix sockets
pub mod line; // edge: tokio channels and time limits
pub mod http; // edge: byte streams to the rooms that speak HTTP

pub use fault::WireFault;
pub use line::{Line, LineEnd};
