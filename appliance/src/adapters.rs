//! Between rooms that do not know one another: each file carries one arrow of the process table, and
//! converts plain values field by field. A line (`wire::Line`) *is* the door it leads to.

pub mod seats;
pub mod mirror;
pub mod authority;
pub mod grants; // border
pub mod accounts; // border
pub mod passkeys;
pub mod cuts; // border
pub mod teams; // edge: clock
pub mod upstream;
