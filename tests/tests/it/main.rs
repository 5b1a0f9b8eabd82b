//! The one integration binary: the story, the house rules, and the simulated world.

// All of it is tests, helpers included; clippy.toml exempts only functions marked as such.
#![allow(clippy::unwrap_used)]

mod backup;
mod browser;
mod full_disk;
mod house;
mod separated;
mod sim;
mod stay;
mod story;
