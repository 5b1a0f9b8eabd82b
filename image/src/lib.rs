//! The hardened disk image: units, users and files rendered from the process table.
//!
//! So far it renders what systemd needs to run the appliance on an ordinary Debian machine; the disk
//! itself comes later. Reading order. `// edge` touches the world.

pub mod users;
pub mod folders;
pub mod unit;
pub mod outside;
pub mod render; // edge: writes the rendered files

pub use outside::Outside;
pub use render::{Form, Rendered, files, write};
