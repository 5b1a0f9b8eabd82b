//! Who runs, as whom, with what, and who may knock where: the process table as data, in one place.
//! `image` renders units, users and sockets from it, the tests' launcher starts from it, and the jail
//! takes its limits from it. Constant data and pure checks; it lives as long as the program.

pub mod row;
pub mod table;
pub mod check;
pub mod outward;

pub use check::{Fault, check};
pub use outward::{Callee, Outward, Server};
pub use row::{Arrow, Call, Capability, Door, Family, Held, Name, Process, Speaks};
pub use table::{TABLE, arrow_from, process};
