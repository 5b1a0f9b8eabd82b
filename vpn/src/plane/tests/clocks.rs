//! Clocks that step: the one on the wall means nothing to the data plane, the other one may be read late.

use super::*;

#[test]
fn attacker_a_clock_that_steps_back_and_forth_ends_no_session_and_lets_nothing_pass_twice() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.pass(Duration::from_secs(60));
    let replayed = device.seal(&packet(&device.own, GATEWAY, 60));
    assert_eq!(world.receive(&device.endpoint, &replayed).1.len(), 1);
    for (wall, back) in [(i64::MIN, 60), (i64::MAX, 0), (0, 59), (-1, 1), (1 << 60, 30)] {
        let before = world.now;
        world.now.unix_ms = wall;
        world.now.instant -= Duration::from_secs(back);
        world.plane.handle_timeout(world.now);
        assert_eq!(device.says(&mut world, GATEWAY).len(), 1, "{wall} {back}");
        assert_eq!(world.send(&packet(GATEWAY, &device.own, 60)).len(), 1, "{wall} {back}");
        assert!(world.receive(&device.endpoint, &replayed).1.is_empty(), "{wall} {back}");
        let mut other = Device::new(&world, "18-0043", SeatClass::Active, 60 + back as u8);
        other.seat.generation = 2 + before.unix_ms.unsigned_abs();
        world.seat(&other);
        world.now = before;
        other.connect(&mut world);
        assert_eq!(other.says(&mut world, GATEWAY).len(), 1, "{wall} {back}");
        world.unseat(&other, other.seat.generation + 1);
        world.pass(Duration::from_secs(2));
    }
}

/// What stands in the lanes and in the shares when time goes back is neither lost nor kept for ever.
#[test]
fn handshakes_go_on_when_time_goes_back() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.pass(Duration::from_secs(600));
    device.connect(&mut world);
    let later = world.now;
    world.now.instant -= Duration::from_secs(599);
    let mut other = Device::new(&world, "18-0043", SeatClass::Active, 9);
    world.seat(&other);
    other.connect(&mut world);
    assert_eq!(other.says(&mut world, GATEWAY).len(), 1);
    world.now = later;
    world.pass(Duration::from_secs(1));
    device.connect(&mut world);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
}
