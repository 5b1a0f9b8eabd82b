//! Handshakes under load: forged senders beside real ones, a hospital behind one address, a device that is known.

use super::*;
use crate::lanes::LANE_MAX;
use crate::protocol::COOKIE_REPLY_LEN;
use crate::shaker::LOADED_AT;

/// Initiations with a right mac1 and nothing right behind it, each from an address of its own.
fn forged(world: &World, count: usize) -> Vec<Arrival> {
    let mac1_key = crate::handshake::mac1_key(&world.server);
    let make = |n: usize| {
        let mut message = [0; INITIATION_LEN];
        message[0] = 1;
        message[8..16].copy_from_slice(&(n as u64 + 1).to_le_bytes());
        let mac1 = crate::hashes::mac16(&mac1_key, &[&message[..116]]);
        message[116..132].copy_from_slice(&mac1);
        let peer = (Ipv4Addr::from(0x0ad0_0000 + n as u32), 4_000).into();
        Arrival { path: Path { socket: 0, peer, local: None }, message }
    };
    (0..count).map(make).collect()
}

fn take_cookie(world: &mut World, device: &mut Device) {
    let cookies = world.arrive(vec![arrival(device)]);
    device.tunn.decapsulate(None, &cookies[0].1, &mut [0; 256]);
}

fn arrival(device: &mut Device) -> Arrival {
    let path = Path { socket: 0, peer: device.endpoint.parse().unwrap(), local: None };
    Arrival { path, message: device.initiation().try_into().unwrap() }
}

impl World {
    fn arrive(&mut self, arrivals: Vec<Arrival>) -> Vec<(SocketAddr, [u8; COOKIE_REPLY_LEN])> {
        for change in self.plane.poll_changes() {
            self.shaker.handle_change(change);
        }
        let mut cookies = Vec::new();
        self.shaker
            .handle_arrivals(self.now.instant, arrivals, |path, reply| cookies.push((path.peer, reply)));
        cookies
    }

    fn next(&mut self) -> Option<Shaken> {
        loop {
            match self.shaker.poll_handshake(self.now.instant, || Some(Zeroizing::new([5; 32]))) {
                Step::Done(shaken) => return Some(*shaken),
                Step::Refused => {}
                Step::Idle => return None,
            }
        }
    }

    /// Forged senders have been waiting long enough for addresses to be asked for.
    fn load(&mut self) {
        let flood = forged(self, 50);
        assert!(self.arrive(flood).is_empty(), "nobody is asked for anything while nobody waits");
        self.pass(LOADED_AT);
    }
}

fn seated(world: &mut World, number: u16, secret: u8) -> Device {
    let device = Device::new(world, &format!("18-{number:04}"), SeatClass::Active, secret);
    world.seat(&device);
    device
}

#[test]
fn attacker_under_a_flood_a_real_device_proves_its_address_and_goes_first() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    world.load();
    let first = arrival(&mut device);
    let cookies = world.arrive(vec![first.clone()]);
    assert_eq!(cookies.len(), 1);
    let mut out = [0; 256];
    assert!(matches!(device.tunn.decapsulate(None, &cookies[0].1, &mut out), TunnResult::Done));
    assert!(world.next().is_some(), "what time is left is spent on those who have not proved themselves");

    assert!(world.next().is_none(), "and the forged ones fall through");
    let flood = forged(&world, 200);
    assert_eq!(world.arrive(flood).len(), 0, "the lane was empty again");
    world.pass(LOADED_AT);
    let flood = forged(&world, 300);
    assert_eq!(world.arrive(flood).len(), 300, "each forged sender costs a cookie and no multiplication");
    let proven = arrival(&mut device);
    assert!(world.arrive(vec![proven]).is_empty(), "a right cookie needs no other");
    let before = world.dropped(DropReason::BadHandshake);
    assert!(world.next().is_some());
    assert_eq!(world.dropped(DropReason::BadHandshake), before, "nobody forged was computed before it");
}

/// What a flood costs to be sorted is more than there is time for; proofs are looked at first, and cost nobody a reply.
#[test]
fn attacker_who_has_proved_himself_is_not_buried_among_those_who_pretend_to() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    world.load();
    take_cookie(&mut world, &mut device);
    let proven = arrival(&mut device);
    let mut pretenders = forged(&world, 300);
    pretenders.iter_mut().for_each(|arrival| arrival.message[INITIATION_LEN - 1] = 1);
    let mut unknown = proven.clone();
    unknown.message[120] ^= 1;
    let mut arrivals = [pretenders, vec![unknown, proven]].concat();
    world.shaker.handle_proofs(world.now.instant, &mut arrivals);
    assert_eq!(arrivals.len(), 301, "they wait with the others");
    let refused = world.dropped(DropReason::BadHandshake);
    assert!(world.next().is_some());
    assert_eq!(world.dropped(DropReason::BadHandshake), refused, "nobody else was computed before it");
    assert_eq!(world.arrive(arrivals).len(), 300, "each is asked anew, and one does not know us");
}

#[test]
fn a_proof_while_nobody_waits_costs_no_share() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    let mut message = arrival(&mut device);
    message.message[INITIATION_LEN - 1] = 1;
    let mut arrivals = vec![message];
    world.shaker.handle_proofs(world.now.instant, &mut arrivals);
    assert_eq!(arrivals.len(), 1);
    assert!(world.arrive(arrivals).is_empty());
    assert!(world.next().is_some(), "an old cookie's proof harms nobody");
}

#[test]
fn attacker_a_stolen_cookie_is_worth_nothing_elsewhere() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    world.load();
    take_cookie(&mut world, &mut device);
    let mut elsewhere = arrival(&mut device);
    elsewhere.path.peer = "203.0.113.9:1".parse().unwrap();
    assert_eq!(world.arrive(vec![elsewhere]).len(), 1, "asked to prove that address");
}

#[test]
fn a_hospital_of_five_hundred_behind_one_address_comes_back_at_once() {
    let mut world = World::new();
    let devices: Vec<Device> = (0..250).map(|n| seated(&mut world, n, n as u8 + 1)).collect();
    let mut devices: Vec<Device> = devices
        .into_iter()
        .enumerate()
        .map(|(n, device)| Device { endpoint: format!("203.0.113.7:{}", 2_000 + n), ..device })
        .collect();
    let arrivals = devices.iter_mut().map(arrival).collect();
    assert!(world.arrive(arrivals).is_empty());
    assert_eq!(std::iter::from_fn(|| world.next()).count(), devices.len(), "no load, no limit");
    world.load();
    world.pass(SEAT_EVERY);
    let arrivals: Vec<_> = devices.iter_mut().map(arrival).collect();
    for (peer, reply) in world.arrive(arrivals) {
        let device = devices.iter_mut().find(|device| device.endpoint == peer.to_string()).unwrap();
        let mut out = [0; 256];
        device.tunn.decapsulate(None, &reply, &mut out);
    }
    world.pass(SEAT_EVERY);
    for _ in 0..2 {
        let arrivals: Vec<_> = devices.iter_mut().map(arrival).collect();
        world.arrive(arrivals);
    }
    assert_eq!(std::iter::from_fn(|| world.next()).count(), devices.len());
    assert_eq!(world.dropped(DropReason::SourceLimit), 0);
}

#[test]
fn a_device_that_was_here_last_goes_before_everybody() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.pass(SEAT_EVERY);
    world.load();
    let again = arrival(&mut device);
    assert!(world.arrive(vec![again]).is_empty(), "its address needs no second proof");
    let before = world.dropped(DropReason::BadHandshake);
    assert!(world.next().is_some());
    assert_eq!(world.dropped(DropReason::BadHandshake), before);
}

#[test]
fn attacker_strangers_are_not_computed_while_others_wait_to_be_sorted() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.pass(SEAT_EVERY);
    world.load();
    let random = || Some(Zeroizing::new([5; 32]));
    assert!(matches!(world.shaker.poll_vouched(world.now.instant, random), Step::Idle));
    let own = arrival(&mut device);
    world.arrive(vec![own]);
    assert!(matches!(world.shaker.poll_vouched(world.now.instant, random), Step::Done(_)));
    assert!(!world.shaker.is_idle(), "the strangers are still there");
}

#[test]
fn attacker_who_forges_a_devices_very_address_pushes_nothing_of_its_own_out() {
    let (mut world, mut device) = connected(SeatClass::Active);
    world.pass(SEAT_EVERY);
    let own = arrival(&mut device);
    let under_its_address =
        |world: &World| forged(world, 1_000).into_iter().map(|arrival| Arrival { path: own.path, ..arrival });
    world.arrive(vec![own.clone()]);
    let flood = under_its_address(&world).collect();
    let asked = world.arrive(flood).len();
    assert!(world.next().is_some(), "who waits stays, whatever comes under its address");
    assert!(world.next().is_none());

    // The forger comes first and takes every place of the address: the device is asked for a proof, gives
    // it with its next try, and from then on goes where no forger can.
    assert!(asked > 900, "so is everything that finds no place");
    world.pass(SEAT_EVERY);
    let flood = under_its_address(&world).collect();
    world.arrive(flood);
    let cookies = world.arrive(vec![arrival(&mut device)]);
    assert_eq!(cookies.len(), 1);
    let mut out = [0; 256];
    device.tunn.decapsulate(None, &cookies[0].1, &mut out);
    let again = arrival(&mut device);
    let flood = under_its_address(&world).collect();
    world.arrive(flood);
    assert!(world.arrive(vec![again]).is_empty(), "a right proof finds its place");
    let before = world.dropped(DropReason::BadHandshake);
    assert!(world.next().is_some());
    assert!(world.dropped(DropReason::BadHandshake) - before <= 1, "known and proven take turns");
}

#[test]
fn attacker_nobody_asks_more_often_than_the_protocol_allows_and_lanes_are_bounded() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    let first = arrival(&mut device);
    world.arrive(vec![first]);
    assert!(world.next().is_some());
    let mut second = arrival(&mut device);
    second.path.peer.set_port(9);
    world.arrive(vec![second]);
    assert!(world.next().is_none());
    assert_eq!(world.dropped(DropReason::SeatLimit), 1);
    let flood = forged(&world, LANE_MAX + 1_000);
    world.arrive(flood);
    assert_eq!(world.dropped(DropReason::Overload), 1_000);
}

#[test]
fn attacker_low_order_points_give_no_answer() {
    let mut world = World::new();
    seated(&mut world, 42, 7);
    let mut arrivals = forged(&world, 2);
    let mac1_key = crate::handshake::mac1_key(&world.server);
    for (n, arrival) in arrivals.iter_mut().enumerate() {
        arrival.message[8..40].fill(0);
        arrival.message[8] = n as u8; // the points zero and one
        let mac1 = crate::hashes::mac16(&mac1_key, &[&arrival.message[..116]]);
        arrival.message[116..132].copy_from_slice(&mac1);
    }
    world.arrive(arrivals);
    assert!(world.next().is_none());
    assert_eq!(world.dropped(DropReason::BadHandshake), 2);
}

#[test]
fn a_handshake_for_somebody_who_has_left_meanwhile_is_not_let_in() {
    let mut world = World::new();
    let mut device = seated(&mut world, 42, 7);
    let first = arrival(&mut device);
    world.arrive(vec![first]);
    let shaken = world.next().unwrap();
    world.unseat(&device, 1);
    device.seat.generation = 2;
    world.seat(&device);
    let mut out = Outbound::new();
    world.plane.handle_shaken(shaken, &mut out);
    assert_eq!(out.trains().len(), 0, "not even when the same key sits there again");
    assert_eq!(world.dropped(DropReason::UnknownKey), 1);
}
