//! Where someone sits: the WireGuard responder for the numbered slots, and the firewall that mirrors its seating.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness); `// border` crosses a process border.
//! What this room does not do: it knows no person and no certificate, and it never initiates a tunnel.

pub mod address;
pub mod door;
pub mod key; // border
pub mod slot; // border // border

pub mod batch;
pub mod drops;
pub mod inner;
pub mod limiter;
pub mod noise; // edge: boringtun reads the clock and draws ephemeral keys itself
pub mod plane;
pub mod protocol;
pub mod seating;

pub mod firewall; // edge: runs nft
pub mod mirror;
pub mod mirroring;
pub mod ruleset; // edge: task and timer

pub mod journal; // edge: askers wait
pub mod links; // edge: netlink
pub mod room;
pub mod server; // edge: clock, poll, thread
pub mod snapshot; // edge, border: file
pub mod tun; // edge: TUN device
pub mod udp; // edge: sockets // edge: tasks, randomness

pub use address::{AddressPlan, Place};
pub use key::{PresharedKey, PublicKey, TunnelKey};
pub use room::{Config, OpenError, Opened, Room, StartError, open};
pub use slot::{SeatClass, Series, SlotNumber};
