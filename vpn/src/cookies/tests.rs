//! A real device against both MACs: forged, without a cookie, with one, with one for somebody else.

use std::net::Ipv4Addr;

use boringtun::noise::{Tunn, TunnResult};

use super::*;
use crate::key::TunnelKey;

struct World {
    cookies: Cookies,
    now: Instant,
    client: Tunn,
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let server = TunnelKey::generate([3; 32]).public();
        let client = Tunn::new([5; 32].into(), (*server.as_bytes()).into(), None, None, 7, None);
        Self { cookies: Cookies::new(&server, now, [1; 32]), now, client }
    }

    /// An initiation with a right mac1, and mac2 as soon as the client was given a cookie.
    fn initiation(&mut self) -> [u8; INITIATION_LEN] {
        let mut out = [0; 256];
        match self.client.format_handshake_initiation(&mut out, true) {
            TunnResult::WriteToNetwork(bytes) => (&*bytes).try_into().unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The client asks from `from` and takes the cookie.
    fn give_cookie(&mut self, from: SocketAddr) {
        let initiation = self.initiation();
        let reply = self.cookies.reply(self.now, from, &initiation);
        let mut out = [0; 256];
        let taken = self.client.decapsulate(None, &reply, &mut out);
        assert!(matches!(taken, TunnResult::Done), "{taken:?}");
    }
}

fn source(n: u32) -> SocketAddr {
    (Ipv4Addr::from(0xcb00_0000 + n), 51_820).into()
}

#[test]
fn who_knows_the_public_key_is_heard_and_every_changed_byte_is_noticed() {
    let mut world = World::new();
    let initiation = world.initiation();
    assert!(world.cookies.knows_us(&initiation));
    for at in 0..MAC2_AT {
        let mut forged = initiation;
        forged[at] ^= 1;
        assert!(!world.cookies.knows_us(&forged), "byte {at}");
    }
}

#[test]
fn a_cookie_proves_its_address_and_port_for_two_turns_and_nobody_elses() {
    let mut world = World::new();
    let before = world.initiation();
    assert!(!world.cookies.is_proven(world.now, source(1), &before));
    world.give_cookie(source(1));
    let proven = world.initiation();
    assert!(world.cookies.is_proven(world.now, source(1), &proven));
    assert!(!world.cookies.is_proven(world.now, source(2), &proven), "another address");
    let port = SocketAddr::new(source(1).ip(), 9);
    assert!(!world.cookies.is_proven(world.now, port, &proven), "another port");
    assert!(world.cookies.is_proven(world.now + COOKIE_TURN, source(1), &proven));
    assert!(!world.cookies.is_proven(world.now + 2 * COOKIE_TURN, source(1), &proven));
}

#[test]
fn attacker_no_two_cookie_replies_share_a_nonce() {
    let mut world = World::new();
    let initiation = world.initiation();
    let replies: std::collections::BTreeSet<_> =
        (0..100).map(|_| world.cookies.reply(world.now, source(1), &initiation)[8..32].to_vec()).collect();
    assert_eq!(replies.len(), 100);
}
