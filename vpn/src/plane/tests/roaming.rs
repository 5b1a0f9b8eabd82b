//! A device on the move, and two devices with one key.

use super::*;
use crate::tunnel::{RIVAL_RETURNS, RIVALS_AGAIN};

#[test]
fn a_thousand_changes_of_address_lose_nothing_and_alarm_nobody() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.events();
    for n in 0..1_000u32 {
        device.endpoint = format!("{}:{}", Ipv4Addr::from(0xc633_6400 + n / 3), 1_024 + n);
        assert_eq!(device.says(&mut world, GATEWAY).len(), 1, "move {n}");
        let answer = world.send(&packet(GATEWAY, &device.own, 60));
        assert_eq!(answer[0].0.to_string(), device.endpoint, "the answer follows at once");
        world.pass(Duration::from_millis(100));
    }
    assert!(world.events().is_empty());
    assert!(world.plane.drops().named().is_empty());
}

#[test]
fn attacker_a_copied_key_is_noticed_by_its_two_places_and_the_slot_is_named() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.events();
    let turns = |world: &mut World, device: &mut Device| {
        for n in 0..2 * u32::from(RIVAL_RETURNS) + 4 {
            device.endpoint = format!("198.51.100.{}:9", 1 + n % 2);
            device.says(world, GATEWAY);
            world.pass(Duration::from_secs(2));
        }
    };
    turns(&mut world, &mut device);
    let told: Vec<_> = std::iter::from_fn(|| world.plane.poll_event()).collect();
    assert_eq!(told.len(), 1, "once, however long it goes on: {told:?}");
    assert_eq!(told[0].slot.to_string(), "18-0042");
    assert!(matches!(told[0].kind, SeatEventKind::KeyInTwoPlaces { one, other } if one != other));
    turns(&mut world, &mut device);
    assert!(world.events().is_empty());
    world.pass(RIVALS_AGAIN);
    device.connect(&mut world);
    world.events();
    turns(&mut world, &mut device);
    assert_eq!(world.events().len(), 1, "and again when it has not been mended");
}

#[test]
fn a_phone_between_wlan_and_carrier_is_no_alarm() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.events();
    for n in 0..20u32 {
        device.endpoint = format!("198.51.100.{}:{}", 1 + n % 2, 1_000 + n);
        world.pass(Duration::from_secs(170));
        device.connect(&mut world);
    }
    assert!(world.events().iter().all(|kind| matches!(kind, SeatEventKind::EndpointChanged { .. })));
}
