//! A planned restart: the next process takes up the sessions, and only those of whoever still sits.

use super::*;
use crate::kept::Kept;

/// Another process with the same key: everything passes through the binary form, seats come from elsewhere.
fn succeed(world: &mut World, seats: &[&Seat]) {
    let kept = Kept {
        at: Duration::ZERO,
        receivers: world.receivers.keep(),
        interface: "mmt0".into(),
        tun_offload: true,
        tun_udp_offload: true,
        listen: Vec::new(),
        tunnels: world.plane.keep(world.now),
        keys: world.shaker.keep(),
    };
    let kept = Kept::read(&kept.write()).unwrap();
    let plan = world.plane.seating().plan().clone();
    let receivers = Receivers::new(kept.receivers);
    world.plane = Plane::new(Addressing::Realm(plan), receivers);
    let key = TunnelKey::generate([3; 32]);
    world.shaker = Shaker::new(&key, receivers, world.now.instant, [8; 32]).ok().unwrap();
    for seat in seats {
        world.plane.handle_command(Command::Seat((*seat).clone())).unwrap();
    }
    world.plane.resume(world.now, kept.tunnels);
    world.plane.poll_changes().into_iter().for_each(|change| world.shaker.handle_change(change));
    world.shaker.resume(kept.keys);
}

#[test]
fn a_successor_goes_on_where_its_predecessor_stopped() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.events();
    let passed = device.seal(&packet(&device.own.clone(), GATEWAY, 60));
    let on_its_way = device.seal(&packet(&device.own.clone(), GATEWAY, 60));
    let old_initiation = device.initiation();
    assert_eq!(world.receive(&device.endpoint, &passed).1.len(), 1);
    assert_eq!(world.send(&packet(GATEWAY, &device.own, 60)).len(), 1);
    let heard = |device: &mut Device, sealed: &[u8]| {
        let mut out = [0; 4096];
        matches!(device.tunn.decapsulate(None, sealed, &mut out), TunnResult::WriteToTunnelV4(..))
    };

    let seat = device.seat.clone();
    succeed(&mut world, &[&seat]);
    assert_eq!(world.receive(&device.endpoint, &on_its_way).1.len(), 1, "no new handshake");
    assert!(world.receive(&device.endpoint, &passed).1.is_empty());
    assert_eq!(world.dropped(DropReason::Replayed), 1, "what was seen stays seen");
    let answer = world.send(&packet(GATEWAY, &device.own, 60));
    assert_eq!(answer[0].0.to_string(), device.endpoint, "its place is known");
    assert!(heard(&mut device, &answer[0].1), "no counter is used twice");
    assert!(world.events().is_empty(), "this was no first handshake");
    assert_eq!(world.plane.status()[0].last_handshake_ms, Some(1_020));

    // The next handshakes are as if nothing had been; an old one is still an old one.
    device.connect(&mut world);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
    world.pass(SEAT_EVERY);
    assert!(world.receive(&device.endpoint, &old_initiation).0.is_empty(), "attacker: a replay");
    assert_eq!(world.dropped(DropReason::BadHandshake), 1);
}

#[test]
fn attacker_who_was_unseated_between_two_processes_finds_no_session() {
    let (mut world, mut device) = connected(SeatClass::Active);
    succeed(&mut world, &[]);
    assert!(device.says(&mut world, GATEWAY).is_empty());
    assert_eq!(world.dropped(DropReason::NoSeat), 1);

    let (mut world, mut device) = connected(SeatClass::Active);
    let turned = Device::new(&world, "18-0042", SeatClass::Active, 99);
    succeed(&mut world, &[&turned.seat]);
    assert!(device.says(&mut world, GATEWAY).is_empty(), "another key sits there now");

    let (mut world, mut device) = connected(SeatClass::Active);
    let moved = Seat { slot: "18-0043".parse().unwrap(), ..device.seat.clone() };
    succeed(&mut world, &[&moved]);
    assert!(device.says(&mut world, GATEWAY).is_empty(), "the same key in another slot has another address");
}

#[test]
fn a_session_does_not_outlive_its_time_by_changing_hands() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let seat = device.seat.clone();
    world.pass(SESSION_LIFETIME - Duration::from_secs(1));
    succeed(&mut world, &[&seat]);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
    assert!(world.plane.next_deadline().is_some());
    world.pass(Duration::from_secs(1));
    assert!(device.says(&mut world, GATEWAY).is_empty());
    succeed(&mut world, &[&seat]);
    assert!(device.says(&mut world, GATEWAY).is_empty());
}
