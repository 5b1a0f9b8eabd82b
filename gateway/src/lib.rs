//! The only room that listens towards the tunnels: admission, sign-in, proxy.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod need; // border
pub mod door; // border
