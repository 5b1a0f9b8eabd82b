//! Backup and restore (issue 8): the whole way with the real binary, real tunnels and stock programs. Needs root.

use tests::restoring;
use tests::world::{Tools, World};

#[test]
fn a_lost_realm_comes_back_from_two_files_and_the_revoked_stay_out() {
    let tools = Tools::beside(env!("CARGO_BIN_EXE_demo").as_ref()).unwrap_or_else(|fault| panic!("{fault}"));
    let mut world = World::raise(&tools).unwrap_or_else(|fault| panic!("{fault}"));
    let played = restoring::play(&mut world);
    played.unwrap_or_else(|fault| panic!("{}", world.with_last_words(&fault)));
}
