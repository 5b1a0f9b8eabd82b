//! Teams around a patient: timelines, 了解, and the key store of all patients.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness, SQL); `// border` crosses a process border.

pub mod door; // border
