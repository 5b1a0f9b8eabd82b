//! The gateway over real TCP and TLS on loopback (the plan's first octet is 127, so that devices have
//! source addresses of their own), with the other rooms as doubles. One binary; a file per subject.

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking

mod admitting;
mod carrying;
mod cutting;
mod opening;
mod probing;
mod signing;
mod world;
