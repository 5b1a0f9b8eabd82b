//! The room from outside: its router, its doors, its files. One binary, a module per promise.
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod attack;
mod erase;
mod live;
mod office;
mod timeline;
mod world;
