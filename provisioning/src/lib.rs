//! Facilities, people, devices, cases, bundles, and the two consoles.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod need; // border
pub mod door; // border
