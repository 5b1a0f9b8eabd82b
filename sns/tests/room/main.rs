//! The room from outside: its router, its doors, its files. One binary, a module per promise.

mod attack;
mod erase;
mod live;
mod office;
mod timeline;
mod world;
