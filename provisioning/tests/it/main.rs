//! The room as its neighbours and operators see it: one binary, a module per concern.

mod world; // a whole room in a temporary folder, its neighbours away
mod constraints; // what the database itself refuses (G-01, G-03)
mod intake; // 様式1 becomes cases, all or nothing
mod acceptance; // cases become facilities, slots and letters
mod letters; // what leaves, and what must not stay behind
