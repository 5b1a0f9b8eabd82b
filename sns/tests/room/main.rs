//! The room from outside: its router, its doors, its files. One binary, a module per promise,
//! and all of them once per engine (ruling 9).
#![allow(clippy::unwrap_used, reason = "a helper that fails fails its test")]
#![allow(clippy::duplicate_mod, reason = "the same tests on both engines")]

#[path = "../../../tests/support/postgres.rs"]
mod postgres_server;

#[path = "."]
mod sqlite {
    mod attack;
    mod erase;
    mod live;
    mod office;
    mod timeline;
    mod world;

    const ON_SERVER: bool = false;
}

#[path = "."]
mod postgres {
    mod attack;
    mod erase;
    mod live;
    mod office;
    mod timeline;
    mod world;

    const ON_SERVER: bool = true;
}
