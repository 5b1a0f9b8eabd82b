//! The hardened disk image: units, users and files rendered from the process table.
//!
//! `render` writes what systemd needs to run the appliance on an ordinary Debian machine; `tree` makes the
//! image's root of Debian's packages and the same files. Reading order. `// edge` touches the world.

pub mod users;
pub mod folders;
pub mod unit;
pub mod outside;
pub mod render; // edge: writes the rendered files
pub mod engineers;
pub mod base;
pub mod layout;
pub mod keeping;
pub mod plain;
pub mod sbom;
mod cpio;
pub mod uki;
pub mod measure;
pub mod tools; // edge: processes
pub mod initrd; // edge: files of the root, programs of Debian
pub mod tree; // edge: programs of Debian, files
pub mod seal; // edge: programs of Debian, files
pub mod policy; // edge: programs of Debian, files
pub mod disk; // edge: programs of Debian, files
pub mod package; // edge: programs of Debian, files

pub use outside::Outside;
pub use render::{Form, Rendered, files, write};
