//! The attacker's table: forged mac1, a flood from one source, from many, with and without cookies.

use std::net::{Ipv4Addr, Ipv6Addr};

use boringtun::noise::{Tunn, TunnResult};

use super::*;
use crate::key::TunnelKey;

const SERVER: [u8; 32] = [3; 32];

struct World {
    limiter: Limiter,
    now: Instant,
    client: Tunn,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let server = TunnelKey::generate(SERVER).public();
        let client = Tunn::new([5; 32].into(), (*server.as_bytes()).into(), None, None, 7, None);
        Self { limiter: Limiter::new(&server, now, [1; 32]), now, client }
    }

    /// An initiation with a right mac1, and mac2 as soon as the client was given a cookie.
    fn initiation(&mut self) -> [u8; INITIATION_LEN] {
        let mut out = [0; 256];
        match self.client.format_handshake_initiation(&mut out, true) {
            TunnResult::WriteToNetwork(bytes) => (&*bytes).try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn admit(&mut self, from: SocketAddr) -> Admission {
        let initiation = self.initiation();
        self.limiter.admit(self.now, from, &initiation)
    }

    /// Uses up what senders without a cookie share.
    fn flood(&mut self) {
        let initiation = self.initiation();
        for n in 0..UNPROVEN_BURST {
            self.limiter.admit(self.now, source(n), &initiation);
        }
    }
}

/// A different IPv4 address for every `n`.
fn source(n: u32) -> SocketAddr {
    (Ipv4Addr::from(0xcb00_0000 + n), 51_820).into()
}

#[test]
fn a_device_that_knows_the_public_key_is_admitted() {
    let mut world = World::new();
    assert_eq!(world.admit(source(1)), Admission::Admit);
}

#[test]
fn attacker_a_forged_mac1_costs_one_hash_and_leaves_no_trace() {
    let mut world = World::new();
    let good = world.initiation();
    for at in [0, 4, 8, 60, MAC1_AT, MAC1_AT + 15] {
        let mut forged = good;
        forged[at] ^= 1;
        let verdict = world.limiter.admit(world.now, source(1), &forged);
        assert_eq!(verdict, Admission::Drop(DropReason::BadMac1), "byte {at}");
    }
    assert_eq!(world.limiter.sources(), 0);
}

#[test]
fn a_hospital_behind_one_address_comes_back_within_ten_seconds() {
    let mut world = World::new();
    let mut up = 0;
    for _second in 0..10 {
        for _device in 0..50 {
            up += u32::from(world.admit(source(1)) == Admission::Admit);
        }
        world.now += Duration::from_secs(1);
    }
    assert_eq!(up, 500);
}

#[test]
fn attacker_a_flood_from_one_source_takes_only_its_own_share() {
    let mut world = World::new();
    let mut admitted = 0;
    for _ in 0..UNPROVEN_BURST - 1 {
        admitted += u32::from(world.admit(source(1)) == Admission::Admit);
    }
    assert_eq!(admitted, SOURCE_BURST);
    assert_eq!(world.admit(source(2)), Admission::Admit, "a bystander");
    assert_eq!(world.limiter.sources(), 2);
}

#[test]
fn attacker_under_a_flood_from_many_a_real_device_proves_its_address_and_port() {
    let mut world = World::new();
    world.flood();
    let home = source(900_000);
    let Admission::Cookie(reply) = world.admit(home) else { panic!("not under load") };
    let TunnResult::Done = world.client.decapsulate(None, &*reply, &mut [0; 256]) else {
        panic!("bad cookie")
    };
    let proven = world.initiation();
    let from = |world: &mut World, address| world.limiter.admit(world.now, address, &proven);
    assert_eq!(from(&mut world, home), Admission::Admit);
    let other_port = (home.ip(), home.port() + 1).into();
    assert!(matches!(from(&mut world, other_port), Admission::Cookie(_)), "over the port too");
    assert!(matches!(from(&mut world, source(900_001)), Admission::Cookie(_)), "over the address");
}

#[test]
fn a_cookie_outlives_one_turn_of_the_secret_and_not_two() {
    let mut world = World::new();
    world.now += COOKIE_TURN - Duration::from_secs(1);
    world.flood();
    let Admission::Cookie(reply) = world.admit(source(900_000)) else { panic!("not under load") };
    world.client.decapsulate(None, &*reply, &mut [0; 256]);
    let proven = world.initiation();
    for (after, held) in [(2, true), (COOKIE_TURN.as_secs(), false)] {
        world.now += Duration::from_secs(after);
        world.flood();
        let verdict = world.limiter.admit(world.now, source(900_000), &proven);
        assert_eq!(verdict == Admission::Admit, held, "{after} s later: {verdict:?}");
    }
}

#[test]
fn attacker_neither_forged_nor_real_addresses_grow_the_table_beyond_its_bound() {
    let mut world = World::new();
    let initiation = world.initiation();
    for n in 0..20_000 {
        world.limiter.admit(world.now, source(n), &initiation);
        world.now += Duration::from_micros(200); // 5,000 a second for four seconds
    }
    assert!(world.limiter.sources() <= (UNPROVEN_BURST + 5 * UNPROVEN_PER_SECOND) as usize);
    for n in 0..SOURCES_MAX as u32 + 100 {
        world.limiter.share(world.now, Source::of(source(n).ip()));
    }
    assert_eq!(world.limiter.sources(), SOURCES_MAX);
    let stranger = Source::of(source(8_000_000).ip());
    assert_eq!(world.limiter.share(world.now, stranger), Admission::Drop(DropReason::Overload));
    world.now += Duration::from_secs(10);
    assert_eq!(world.limiter.share(world.now, stranger), Admission::Admit, "those at rest are forgotten");
    assert_eq!(world.limiter.sources(), 1);
}

#[test]
fn one_ipv6_subscriber_is_one_source_and_mapped_ipv4_is_ipv4() {
    let of = |text: &str| Source::of(text.parse().unwrap());
    assert!(of("2001:db8::1") == of("2001:db8::ffff:2"));
    assert!(of("2001:db8::1") != of("2001:db8:0:1::1"));
    assert!(of("::ffff:192.0.2.1") == of("192.0.2.1"));
    assert!(Source::of(Ipv6Addr::LOCALHOST.into()) != of("192.0.2.1"));
}
