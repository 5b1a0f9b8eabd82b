//! How long a planned restart keeps the data plane from working, with everybody connected: what the one
//! process does after its last packet and the other before its first. What lies between (systemd, starting a
//! program) is not in it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use vpn::addressing::Addressing;
use vpn::batch::{Arrival, Inbound, Outbound, Path, Received};
use vpn::door::Seat;
use vpn::kept::Kept;
use vpn::plane::{Command, Plane};
use vpn::protocol::DATA_OVERHEAD;
use vpn::receiver::Receivers;
use vpn::server::{self, Export};
use vpn::session::Session;
use vpn::shaker::{SEAT_EVERY, Shaker, Step};
use vpn::{AddressPlan, TunnelKey, snapshot};
use zeroize::Zeroizing;

use crate::device::{private, public, server_secret};
use crate::initiator::ask;

/// Both halves of the server, with these seats.
fn server(plan: &AddressPlan, seats: Vec<Seat>, receivers: Receivers) -> (Plane, Shaker) {
    let key = TunnelKey::generate(server_secret().to_bytes());
    let mut plane = Plane::new(Addressing::Realm(plan.clone()), receivers);
    let mut shaker = Shaker::new(&key, receivers, Instant::now(), [7; 32]).ok().unwrap();
    for seat in seats {
        plane.handle_command(Command::Seat(seat)).unwrap();
    }
    plane.poll_changes().into_iter().for_each(|change| shaker.handle_change(change));
    (plane, shaker)
}

/// Milliseconds of the predecessor's part, the successor's part, and megabytes between them.
pub fn over(plan: &AddressPlan, seats: &[Seat], folder: &std::path::Path) -> (f64, f64, f64) {
    let (mut plane, mut shaker) = server(plan, seats.to_vec(), Receivers::new([7; 16]));
    for (number, seat) in seats.iter().enumerate() {
        connect(&mut plane, &mut shaker, number, seat);
    }
    let file = folder.join("left");
    snapshot::write(&file, &Export { seats: seats.to_vec(), closed: Vec::new() }).unwrap();

    let begun = Instant::now();
    let state = Kept {
        at: Duration::ZERO,
        receivers: plane.receivers().keep(),
        interface: "mimamori0".into(),
        tun_offload: true,
        tun_udp_offload: true,
        listen: Vec::new(),
        tunnels: plane.keep(server::now()),
        keys: shaker.keep(),
    }
    .write();
    let left = begun.elapsed();
    let begun = Instant::now();
    let kept = Kept::read(&state).unwrap();
    assert_eq!(kept.tunnels.len(), seats.len());
    let seats = snapshot::read(&file).unwrap().unwrap().seats;
    let (mut plane, mut shaker) = self::server(plan, seats, Receivers::new(kept.receivers));
    plane.resume(server::now(), kept.tunnels);
    shaker.resume(kept.keys);
    let taken = begun.elapsed();
    (left.as_secs_f64() * 1e3, taken.as_secs_f64() * 1e3, state.len() as f64 / 1e6)
}

/// Initiation, response, first message.
fn connect(plane: &mut Plane, shaker: &mut Shaker, number: usize, seat: &Seat) {
    let peer = SocketAddr::from((u32::to_be_bytes(0x0ac9_0100 + number as u32), 4_500));
    let path = Path { socket: 0, peer, local: None };
    let own = *TunnelKey::generate(server_secret().to_bytes()).public().as_bytes();
    let (asked, message) = ask(&private(number), &own, seat.psk.expose(), 1, 1, &[9; 32]);
    assert_eq!(*seat.key.as_bytes(), public(number));
    let now = Instant::now() + SEAT_EVERY;
    shaker.handle_arrivals(now, [Arrival { path, message }], |_, _| {});
    let Step::Done(shaken) = shaker.poll_handshake(now, || Some(Zeroizing::new([8; 32]))) else {
        panic!("no handshake for {}", seat.slot);
    };
    let keys = asked.answered(&shaken.response).unwrap();
    plane.handle_shaken(*shaken, &mut Outbound::new());
    let mut first = [0; DATA_OVERHEAD];
    let len = Session::new(now, 1, keys).ok().unwrap().seal(now, &mut first, 0).ok().unwrap();
    let received = [Received { path, at: 0..len, stride: len }];
    plane.handle_datagrams(server::now(), &mut first, &received, &mut Inbound::default());
}
