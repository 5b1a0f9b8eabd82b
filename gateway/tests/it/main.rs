//! The gateway over real TCP and TLS on loopback (the plan's first octet is 127, so that devices have
//! source addresses of their own), with the other rooms as doubles. One binary; a file per subject,
//! and all of them once per engine (ruling 9).

#![allow(clippy::unwrap_used)] // a test that cannot go on says so by panicking
#![allow(clippy::duplicate_mod)] // the same tests on both engines

#[path = "../../../tests/support/postgres.rs"]
mod postgres_server;

#[path = "."]
mod sqlite {
    mod admitting;
    mod carrying;
    mod conforming;
    mod cutting;
    mod keeping;
    mod leaving;
    mod opening;
    mod passkeys;
    mod probing;
    mod reloading;
    mod replaying;
    mod restarting;
    mod signing;
    mod speaking;
    mod standing;
    mod world;

    const ON_SERVER: bool = false;
}

#[path = "."]
mod postgres {
    mod admitting;
    mod carrying;
    mod cutting;
    mod keeping;
    mod leaving;
    mod opening;
    mod passkeys;
    mod probing;
    mod reloading;
    mod restarting;
    mod signing;
    mod speaking;
    mod standing;
    mod world;

    const ON_SERVER: bool = true;
}
