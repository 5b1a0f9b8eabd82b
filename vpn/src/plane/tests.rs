//! A simulated pair without a socket: boringtun's `Tunn` as the device, our plane and handshakes as the
//! server. `Device` is the helper, the attacker's tests are the point.

use std::sync::Arc;
use std::time::Duration;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use proptest::prelude::*;
use zeroize::Zeroizing;

use super::*;
use crate::address::AddressPlan;
use crate::key::{PresharedKey, PublicKey, TunnelKey};
use crate::protocol::{INITIATION_LEN, SESSION_LIFETIME};
use crate::shaker::{SEAT_EVERY, Shaker, Step};
use crate::slot::Series;

mod clocks;
mod roaming;
mod storm;
mod succession;
mod weather;

const GATEWAY: &str = "10.18.255.1";
const OPEN: &str = "10.18.255.2";
const DATAGRAM_MAX: usize = 1_312;

pub struct World {
    pub plane: Plane,
    pub shaker: Shaker,
    pub now: Now,
    server: PublicKey,
    receivers: Receivers,
    drawn: u8,
}

impl World {
    pub fn new() -> Self {
        let key = TunnelKey::generate([3; 32]);
        let now = Now { instant: Instant::now(), unix_ms: 1_000 };
        let receivers = Receivers::new([9; 16]);
        let plan = AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap();
        let shaker = Shaker::new(&key, receivers, now.instant, [4; 32]).ok().unwrap();
        let plane = Plane::new(Addressing::Realm(plan), receivers);
        Self { plane, shaker, now, server: key.public(), receivers, drawn: 0 }
    }

    pub fn pass(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += time.as_millis() as i64;
    }

    /// Datagrams in; what goes to the network and to the TUN comes out.
    pub fn receive(&mut self, from: &str, bytes: &[u8]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
        let mut arena = bytes.to_vec();
        let path = Path { socket: 0, peer: from.parse().unwrap(), local: None };
        let received = Received { path, at: 0..bytes.len(), stride: bytes.len() };
        let mut inbound = Inbound::default();
        self.plane.handle_datagrams(self.now, &mut arena, &[received], &mut inbound);
        let packets = inbound.packets.iter().map(|at| arena[at.clone()].to_vec()).collect();
        (self.shake(inbound.initiations), packets)
    }

    /// The handshake thread's part.
    fn shake(&mut self, arrivals: Vec<Arrival>) -> Vec<Vec<u8>> {
        let mut sent = Vec::new();
        for change in self.plane.poll_changes() {
            self.shaker.handle_change(change);
        }
        self.shaker.handle_arrivals(self.now.instant, arrivals, |_, cookie| sent.push(cookie.to_vec()));
        let mut out = Outbound::new();
        loop {
            self.drawn = self.drawn.wrapping_add(1);
            let random = || Some(Zeroizing::new([self.drawn; 32]));
            match self.shaker.poll_handshake(self.now.instant, random) {
                Step::Done(shaken) => self.plane.handle_shaken(*shaken, &mut out),
                Step::Refused => {}
                Step::Idle => break,
            }
        }
        sent.extend(out.trains().map(|(_, bytes)| bytes.to_vec()));
        sent
    }

    fn send(&mut self, packet: &[u8]) -> Vec<(SocketAddr, Vec<u8>)> {
        let mut out = Outbound::new();
        self.plane.handle_packet(self.now, &mut packet.to_vec(), Offload::None, &mut out);
        out.trains().map(|(train, bytes)| (train.path.peer, bytes.to_vec())).collect()
    }

    fn seat(&mut self, device: &Device) -> Outcome {
        self.plane.handle_command(Command::Seat(device.seat.clone())).unwrap()
    }

    fn unseat(&mut self, device: &Device, generation: u64) -> Outcome {
        let (slot, places) = (device.seat.slot, vec![device.seat.class.into()]);
        self.plane.handle_command(Command::Unseat { slot, places, generation }).unwrap()
    }

    fn dropped(&self, reason: DropReason) -> u64 {
        self.plane.drops().and(self.shaker.drops()).of(reason)
    }

    fn events(&mut self) -> Vec<SeatEventKind> {
        std::iter::from_fn(|| self.plane.poll_event()).map(|event| event.kind).collect()
    }
}

struct Device {
    seat: Seat,
    tunn: Tunn,
    own: String,
    endpoint: String,
}

/// The device's half, whose clock runs by itself.
fn tunn(world: &World, key: &TunnelKey, psk: [u8; 32]) -> Tunn {
    let unlimited = Arc::new(RateLimiter::new(&(*key.public().as_bytes()).into(), u64::MAX));
    Tunn::new(key.expose(), (*world.server.as_bytes()).into(), Some(psk), None, 9, Some(unlimited))
}

impl Device {
    fn new(world: &World, slot: &str, class: SeatClass, secret: u8) -> Self {
        let key = TunnelKey::generate([secret; 32]);
        let slot: SlotNumber = slot.parse().unwrap();
        let own = world.plane.seating().plan().address(slot, class.into()).unwrap().to_string();
        let psk = PresharedKey::from_bytes([secret; 32]);
        let seat = Seat { slot, class, key: key.public(), psk, generation: 1 };
        let tunn = tunn(world, &key, [secret; 32]);
        Self { seat, tunn, own, endpoint: format!("192.0.2.{secret}:51820") }
    }

    fn initiation(&mut self) -> Vec<u8> {
        let mut out = [0; 2048];
        match self.tunn.format_handshake_initiation(&mut out, true) {
            TunnResult::WriteToNetwork(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    /// Seated and connected: initiation, response, first message.
    fn connect(&mut self, world: &mut World) {
        world.pass(SEAT_EVERY);
        let initiation = self.initiation();
        let (answers, _) = world.receive(&self.endpoint, &initiation);
        let mut out = [0; 2048];
        let TunnResult::WriteToNetwork(first) = self.tunn.decapsulate(None, &answers[0], &mut out) else {
            panic!("no session");
        };
        let first = first.to_vec();
        world.receive(&self.endpoint, &first);
    }

    fn seal(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut out = [0; 4096];
        match self.tunn.encapsulate(packet, &mut out) {
            TunnResult::WriteToNetwork(bytes) => bytes.to_vec(),
            other => panic!("{other:?}"),
        }
    }

    fn says(&mut self, world: &mut World, to: &str) -> Vec<Vec<u8>> {
        let sealed = self.seal(&packet(&self.own, to, 60));
        world.receive(&self.endpoint, &sealed).1
    }
}

fn packet(from: &str, to: &str, len: usize) -> Vec<u8> {
    let mut packet = vec![0; len];
    packet[0] = 0x45;
    packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
    packet[12..16].copy_from_slice(&from.parse::<Ipv4Addr>().unwrap().octets());
    packet[16..20].copy_from_slice(&to.parse::<Ipv4Addr>().unwrap().octets());
    packet
}

fn connected(class: SeatClass) -> (World, Device) {
    let mut world = World::new();
    let mut device = Device::new(&world, "18-0042", class, 7);
    world.seat(&device);
    device.connect(&mut world);
    (world, device)
}

#[test]
fn a_seated_device_shakes_hands_and_packets_pass_both_ways() {
    let (mut world, mut device) = connected(SeatClass::Active);
    assert_eq!(
        world.events(),
        [SeatEventKind::FirstHandshake { endpoint: device.endpoint.parse().unwrap() }]
    );
    assert_eq!(device.says(&mut world, GATEWAY), [packet(&device.own, GATEWAY, 60)]);
    let answer = packet(GATEWAY, &device.own, 1280);
    let sent = world.send(&answer);
    assert_eq!(sent[0].0.to_string(), device.endpoint);
    let mut out = [0; 2048];
    match device.tunn.decapsulate(None, &sent[0].1, &mut out) {
        TunnResult::WriteToTunnelV4(opened, _) => assert_eq!(opened, answer),
        other => panic!("{other:?}"),
    }
    let status = &world.plane.status()[0];
    assert_eq!((status.rx_bytes, status.tx_bytes, status.last_handshake_ms), (60, 1280, Some(1_020)));
    assert!(world.plane.drops().named().is_empty(), "{:?}", world.plane.drops().named());
}

#[test]
fn attacker_a_wrong_inner_source_is_dropped_and_counted() {
    let (mut world, mut device) = connected(SeatClass::Active);
    for source in ["10.18.0.143", "10.18.100.142", GATEWAY, "127.0.0.1"] {
        let sealed = device.seal(&packet(source, GATEWAY, 60));
        assert_eq!(world.receive(&device.endpoint, &sealed).1.len(), 0, "{source}");
    }
    assert_eq!(world.dropped(DropReason::InnerSource), 4);
}

#[test]
fn attacker_device_to_device_is_impossible_in_both_directions() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let mut other = Device::new(&world, "18-0043", SeatClass::Active, 8);
    world.seat(&other);
    other.connect(&mut world);
    assert!(device.says(&mut world, &other.own).is_empty());
    assert_eq!(world.dropped(DropReason::DeviceToDevice), 1);
    let forwarded = packet(&device.own, &other.own, 60);
    assert!(world.send(&forwarded).is_empty(), "not even when the host forwards it");
    assert_eq!(world.dropped(DropReason::OutSource), 1);
}

#[test]
fn enrolling_and_leaving_seats_reach_only_the_open_address() {
    for class in [SeatClass::Enrolling, SeatClass::Leaving] {
        let (mut world, mut device) = connected(class);
        assert!(device.says(&mut world, GATEWAY).is_empty(), "{class}");
        assert_eq!(device.says(&mut world, OPEN).len(), 1, "{class}");
        assert_eq!(world.dropped(DropReason::InnerDestination), 1);
        assert!(world.send(&packet(GATEWAY, &device.own, 60)).is_empty());
        assert_eq!(world.send(&packet(OPEN, &device.own, 60)).len(), 1);
    }
}

#[test]
fn attacker_a_replayed_message_and_a_replayed_initiation_do_nothing() {
    let mut world = World::new();
    let mut device = Device::new(&world, "18-0042", SeatClass::Active, 7);
    world.seat(&device);
    let initiation = device.initiation();
    device.connect(&mut world);
    let sealed = device.seal(&packet(&device.own, GATEWAY, 60));
    assert_eq!(world.receive(&device.endpoint, &sealed).1.len(), 1);
    assert_eq!(world.receive("198.51.100.1:9", &sealed).1.len(), 0);
    assert_eq!(world.dropped(DropReason::Replayed), 1);
    world.pass(SESSION_LIFETIME * 2);
    world.plane.handle_timeout(world.now);
    assert!(
        world.receive("198.51.100.1:9", &initiation).0.is_empty(),
        "even after its session's keys are gone"
    );
    assert_eq!(world.dropped(DropReason::BadHandshake), 1);
    assert_eq!(world.plane.status()[0].endpoint.unwrap().to_string(), device.endpoint, "nobody roamed");
}

#[test]
fn attacker_truncated_oversize_empty_and_misdirected_datagrams_are_dropped_by_name() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let good = device.seal(&packet(&device.own, GATEWAY, 60));
    let mut cases: Vec<(Vec<u8>, DropReason)> = vec![
        (vec![], DropReason::Empty),
        (good[..31].to_vec(), DropReason::Malformed),
        (good[..good.len() - 1].to_vec(), DropReason::BadSeal),
        (vec![4; DATAGRAM_MAX + 1], DropReason::Oversize),
        (device.initiation()[..INITIATION_LEN - 1].to_vec(), DropReason::Malformed),
    ];
    let mut aimed = |receiver: u32, reason| {
        let mut bytes = good.clone();
        bytes[4..8].copy_from_slice(&receiver.to_le_bytes());
        cases.push((bytes, reason));
    };
    aimed(world.receivers.of(SeatIndex::new(0xff_ffff), 1), DropReason::NoSeat);
    let index = |slot: &str| {
        let plan = world.plane.addressing.plan();
        plan.seat_index(slot.parse().unwrap(), Place::Active).unwrap()
    };
    aimed(world.receivers.of(index("18-0043"), 1), DropReason::NoSeat);
    aimed(world.receivers.of(index("18-0042"), 2), DropReason::NoSession);
    for (bytes, reason) in cases {
        let before = world.dropped(reason);
        let (network, tunnel) = world.receive(&device.endpoint, &bytes);
        assert!(network.is_empty() && tunnel.is_empty());
        assert_eq!(world.dropped(reason), before + 1, "{}", reason.name());
    }
    let long = device.seal(&packet(&device.own, GATEWAY, 1281));
    assert!(world.receive(&device.endpoint, &long).1.is_empty());
    assert_eq!(world.receive(&device.endpoint, &good).1.len(), 1, "the session is unharmed");
}

#[test]
fn attacker_a_key_that_sits_nowhere_gets_no_answer() {
    let mut world = World::new();
    let mut stranger = Device::new(&world, "18-0042", SeatClass::Active, 7);
    let initiation = stranger.initiation();
    assert!(world.receive("192.0.2.7:1", &initiation).0.is_empty());
    assert_eq!(world.dropped(DropReason::UnknownKey), 1);
    let mut wrong_psk = Device::new(&world, "18-0043", SeatClass::Active, 8);
    wrong_psk.seat.psk = PresharedKey::from_bytes([99; 32]);
    world.seat(&wrong_psk);
    let initiation = wrong_psk.initiation();
    let (answers, _) = world.receive("192.0.2.8:1", &initiation);
    let mut out = [0; 2048];
    let verdict = wrong_psk.tunn.decapsulate(None, &answers[0], &mut out);
    assert!(matches!(verdict, TunnResult::Err(_)), "the right key with the wrong preshared key");
    assert!(world.events().is_empty());
}

#[test]
fn unseating_ends_the_session_at_once_and_a_stale_seat_does_not_come_back() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let done = world.unseat(&device, 2);
    assert_eq!(done.gates, [(device.own.parse().unwrap(), None)]);
    assert!(device.says(&mut world, GATEWAY).is_empty());
    assert_eq!(world.dropped(DropReason::NoSeat), 1);
    assert!(world.send(&packet(GATEWAY, &device.own, 60)).is_empty());
    let initiation = device.initiation();
    assert!(world.receive(&device.endpoint, &initiation).0.is_empty());
    assert_eq!(world.plane.next_deadline(), None);
    let stale = world.plane.handle_command(Command::Seat(device.seat.clone()));
    assert!(matches!(stale, Err(SeatRefusal::Stale { given: 1, held: 3, .. })));
}

#[test]
fn another_key_or_class_ends_the_old_session_and_a_mere_renewal_does_not() {
    let (mut world, mut device) = connected(SeatClass::Active);
    device.seat.generation = 2;
    world.seat(&device);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
    (device.seat.generation, device.seat.class) = (3, SeatClass::Leaving);
    assert_eq!(world.seat(&device).gates, [(device.own.parse().unwrap(), Some(Gate::Leaving))]);
    assert!(device.says(&mut world, OPEN).is_empty());
}

#[test]
fn another_preshared_key_counts_from_the_next_handshake_and_ends_nothing() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let mut bystander = Device::new(&world, "18-0043", SeatClass::Active, 8);
    world.seat(&bystander);
    bystander.connect(&mut world);
    device.seat.psk = PresharedKey::from_bytes([77; 32]);
    device.seat.generation = 2;
    world.seat(&device);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1, "the session lives on");
    assert_eq!(world.send(&packet(GATEWAY, &device.own, 60)).len(), 1);

    world.pass(SEAT_EVERY);
    let initiation = device.initiation();
    let (answers, _) = world.receive(&device.endpoint, &initiation);
    let mut out = [0; 2048];
    let verdict = device.tunn.decapsulate(None, &answers[0], &mut out);
    assert!(matches!(verdict, TunnResult::Err(_)), "the old preshared key opens no new session");
    let mut device = Device { tunn: tunn(&world, &TunnelKey::generate([7; 32]), [77; 32]), ..device };
    device.connect(&mut world);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
    assert_eq!(bystander.says(&mut world, GATEWAY).len(), 1, "nobody else notices");
}

#[test]
fn a_slots_key_turns_without_the_others_noticing() {
    let (mut world, mut device) = connected(SeatClass::Active);
    let mut bystander = Device::new(&world, "18-0043", SeatClass::Active, 8);
    world.seat(&bystander);
    bystander.connect(&mut world);
    let mut turned = Device::new(&world, "18-0042", SeatClass::Active, 9);
    turned.seat.generation = 2;
    world.seat(&turned);
    assert!(device.says(&mut world, GATEWAY).is_empty(), "the old key's session is gone at once");
    let before = world.dropped(DropReason::UnknownKey);
    let initiation = device.initiation();
    assert!(world.receive(&device.endpoint, &initiation).0.is_empty());
    assert_eq!(world.dropped(DropReason::UnknownKey), before + 1);
    turned.connect(&mut world);
    assert_eq!(turned.says(&mut world, GATEWAY).len(), 1);
    assert_eq!(bystander.says(&mut world, GATEWAY).len(), 1);
}

#[test]
fn the_device_roams_and_only_a_completed_handshake_elsewhere_is_told() {
    let (mut world, mut device) = connected(SeatClass::Enrolling);
    world.events();
    let home = device.endpoint.clone();
    device.endpoint = "198.51.100.9:4500".into();
    assert_eq!(device.says(&mut world, OPEN).len(), 1);
    assert_eq!(world.send(&packet(OPEN, &device.own, 60))[0].0.to_string(), device.endpoint);
    assert!(world.events().is_empty());
    let initiation = device.initiation();
    world.receive("203.0.113.66:1", &initiation);
    assert!(world.events().is_empty(), "an initiation that somebody else carried proves nothing");
    device.connect(&mut world);
    let (from, to) = (home.parse().unwrap(), device.endpoint.parse().unwrap());
    assert_eq!(world.events(), [SeatEventKind::EndpointChanged { from, to }]);
}

#[test]
fn a_session_ends_after_its_lifetime_and_the_server_never_speaks_first() {
    let (mut world, mut device) = connected(SeatClass::Active);
    assert_eq!(world.plane.next_deadline(), Some(world.now.instant + SESSION_LIFETIME));
    world.pass(SESSION_LIFETIME);
    let sealed = device.seal(&packet(&device.own, GATEWAY, 60));
    assert!(world.receive(&device.endpoint, &sealed).1.is_empty());
    assert_eq!(world.dropped(DropReason::NoSession), 1);
    world.plane.handle_timeout(world.now);
    assert_eq!(world.plane.next_deadline(), None, "an idle seat costs nothing");
    assert!(world.send(&packet(GATEWAY, &device.own, 60)).is_empty());
    assert_eq!(world.dropped(DropReason::OutNoSession), 1);
    device.connect(&mut world);
    assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
}

#[test]
fn rekeying_for_hours_keeps_one_deadline_and_the_newest_session() {
    let (mut world, mut device) = connected(SeatClass::Active);
    for _ in 0..300 {
        world.pass(Duration::from_secs(120));
        world.plane.handle_timeout(world.now);
        device.connect(&mut world);
        assert_eq!(device.says(&mut world, GATEWAY).len(), 1);
        assert_eq!(world.send(&packet(GATEWAY, &device.own, 60)).len(), 1);
        assert!(world.plane.next_deadline() <= Some(world.now.instant + SESSION_LIFETIME));
        assert_eq!(world.plane.deadlines.len(), 1);
    }
    assert_eq!(world.events().len(), 1);
}

#[test]
fn both_places_of_a_slot_live_at_once_and_reconciling_takes_one_away() {
    let (mut world, mut enrolling) = connected(SeatClass::Enrolling);
    let mut active = Device::new(&world, "18-0042", SeatClass::Active, 8);
    active.seat.generation = 2;
    world.seat(&active);
    active.connect(&mut world);
    assert_eq!(enrolling.says(&mut world, OPEN).len(), 1);
    assert_eq!(active.says(&mut world, GATEWAY).len(), 1);
    let truth = vec![active.seat.clone()];
    let done = world.plane.handle_command(Command::Reconcile { seats: truth }).unwrap();
    assert_eq!((done.seated, done.unseated), (0, 1));
    assert!(enrolling.says(&mut world, OPEN).is_empty());
    assert_eq!(active.says(&mut world, GATEWAY).len(), 1, "a bystander notices nothing");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn attacker_no_bytes_from_anywhere_reach_the_tun_without_a_seal(
        mut bytes in prop::collection::vec(any::<u8>(), 0..1400), kind in 0u8..6, aim in any::<bool>(),
    ) {
        let (mut world, _device) = connected(SeatClass::Active);
        if bytes.len() >= 8 {
            bytes[..4].copy_from_slice(&u32::from(kind).to_le_bytes());
            if aim {
                let seat = SeatIndex::new(42);
                bytes[4..8].copy_from_slice(&world.receivers.of(seat, 0).to_le_bytes());
            }
        }
        let (network, tunnel) = world.receive("198.51.100.1:9", &bytes);
        prop_assert!(network.is_empty() && tunnel.is_empty());
        let drops = world.plane.drops().and(world.shaker.drops());
        prop_assert_eq!(drops.named().values().sum::<u64>(), 1);
    }
}
