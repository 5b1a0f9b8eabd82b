//! The operator's command `mimamori`: what was typed (`args`), how it is shown (`table`, `out`), whom it
//! asks (`ask`), and one file per noun. Nothing here decides: it asks the running appliance and shows.

pub mod args;
pub mod ask; // edge: tokio, the operator door
pub mod audit;
pub mod case;
pub mod catalogue;
pub mod command;
pub mod device;
pub mod explain;
pub mod facility; // edge: files that the operator names
pub mod failure;
pub mod out; // edge, border: the terminal
pub mod realm; // edge: init, check and run touch files
pub mod slot;
pub mod status;
pub mod table;
pub mod width; // edge: environment, arguments

pub use command::main;
