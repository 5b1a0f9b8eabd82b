//! Where someone sits: the WireGuard responder for the numbered slots, and the firewall that mirrors its seating.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness); `// border` crosses a process border.

pub mod slot; // border
pub mod address;
pub mod key; // border
pub mod door; // border

pub use address::{AddressPlan, Place};
pub use slot::{SeatClass, Series, SlotNumber};
