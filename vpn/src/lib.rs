//! Where someone sits: the WireGuard responder for the numbered slots, and the firewall that mirrors its seating.
//!
//! Reading order. `// edge` touches the world (IO, clock, randomness); `// border` crosses a process border.
//! What this room does not do: it knows no person and no certificate, and it never initiates a tunnel.

// names
pub mod slot; // border
pub mod address;
pub mod key; // border
pub mod door; // border

// what is counted, spoken and carried
pub mod drops;
pub mod meters;
pub mod protocol;
pub mod batch;
pub mod packet;
pub mod virtio;

// the protocol core, pure
pub mod hashes;
pub mod window;
pub mod receiver;
pub mod handshake;
pub mod kept;
pub mod session;

// handshakes, pure
pub mod cookies;
pub mod shares;
pub mod lanes;
pub mod shaker;

// the data plane, pure
pub mod seating;
pub mod addressing;
pub mod inner;
pub mod split;
pub mod coalesce;
pub mod tunnel;
pub mod plane;

// the firewall that mirrors the seating
pub mod ruleset;
pub mod mirror;
pub mod mirroring; // edge: task and timer
pub mod firewall; // edge: runs nft

// what the loop touches
pub mod journal; // edge: askers wait
pub mod links; // edge: netlink
pub mod tun; // edge: TUN device
pub mod udp; // edge: sockets
pub mod desk; // edge: clock, randomness, the handshake thread
pub mod server; // edge: clock, poll, thread
pub mod snapshot; // edge, border: file
pub mod handover; // edge: descriptors, clock

pub mod room; // edge: tasks, randomness
pub mod conf;
pub mod foreground; // edge: file, signals

pub use address::{AddressPlan, Place};
pub use handover::Handover;
pub use key::{PresharedKey, PublicKey, TunnelKey};
pub use room::{Config, OpenError, Opened, Room, StartError, open, open_from, open_with};
pub use slot::{SeatClass, Series, SlotNumber};
