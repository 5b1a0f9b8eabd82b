//! What a fuzzer drives: bytes in, nothing may fall over. Shared by the fuzz targets and by the test that
//! replays their corpora. Each function asserts what must hold whatever the bytes are.

use std::time::{Duration, Instant};

use vpn::addressing::Addressing;
use vpn::batch::{Inbound, Outbound, Path, Received};
use vpn::coalesce::Coalescer;
use vpn::cookies::Cookies;
use vpn::door::Seat;
use vpn::plane::{Command, Now, Plane};
use vpn::receiver::Receivers;
use vpn::shaker::{Shaker, Step};
use vpn::split::Split;
use vpn::virtio::{Offload, VIRTIO_LEN, decode};
use vpn::window::{WINDOW, Window};
use vpn::{AddressPlan, PresharedKey, SeatClass, Series, TunnelKey};

fn plane() -> (Plane, Shaker, Now) {
    let receivers = Receivers::new([0; 16]);
    let plan = AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap();
    let now = Now { instant: Instant::now(), unix_ms: 0 };
    let key = TunnelKey::generate([3; 32]);
    let mut plane = Plane::new(Addressing::Realm(plan), receivers);
    let seat = Seat {
        slot: "18-0042".parse().unwrap(),
        class: SeatClass::Active,
        key: TunnelKey::generate([7; 32]).public(),
        psk: PresharedKey::from_bytes([7; 32]),
        generation: 1,
    };
    plane.handle_command(Command::Seat(seat)).unwrap();
    (plane, Shaker::new(&key, receivers, now.instant, [4; 32]).ok().unwrap(), now)
}

fn path() -> Path {
    Path { socket: 0, peer: "192.0.2.1:9".parse().unwrap(), local: None }
}

/// A train of datagrams from anybody: the first byte says how long each is.
pub fn datagram(bytes: &[u8]) {
    let (mut plane, mut shaker, now) = plane();
    let Some((stride, bytes)) = bytes.split_first() else { return };
    let stride = if *stride == 0 { bytes.len() } else { usize::from(*stride) * 6 };
    let mut arena = bytes.to_vec();
    let mut inbound = Inbound::default();
    let received = Received { path: path(), at: 0..arena.len(), stride };
    plane.handle_datagrams(now, &mut arena, &[received], &mut inbound);
    assert!(inbound.packets.is_empty(), "nothing passes without a seal");
    plane.poll_changes().into_iter().for_each(|change| shaker.handle_change(change));
    shaker.handle_arrivals(now.instant, inbound.initiations, |_, _| {});
    while let Step::Done(_) | Step::Refused = match shaker.poll_handshake(now.instant, || None) {
        Step::Done(_) => panic!("nobody shook hands"),
        step => step,
    } {}
}

/// A packet of the TUN with its ten bytes, and the same packet as one that a device sent.
pub fn packet(bytes: &[u8]) {
    let (mut plane, _, now) = plane();
    let Some((header, packet)) = bytes.split_first_chunk::<VIRTIO_LEN>() else { return };
    let mut out = Outbound::new();
    let offload = decode(header).unwrap_or(Offload::None);
    plane.handle_packet(now, &mut packet.to_vec(), offload, &mut out);
    assert_eq!(out.trains().len(), 0, "nobody has a session");
    if let Ok(split) = Split::new(packet, offload) {
        let mut room = vec![0; split.longest()];
        (0..split.count()).for_each(|number| assert!(split.write(number, &mut room) <= split.longest()));
    }
    let half = packet.len() / 2;
    let mut arena = packet.to_vec();
    let mut coalescer = Coalescer::default();
    for at in [0..half, half..packet.len(), 0..packet.len()] {
        if !at.is_empty() {
            coalescer.add(&arena, at, true);
        }
    }
    let carried: usize =
        (0..coalescer.runs()).map(|run| coalescer.run(&arena, run).1.map(<[u8]>::len).sum::<usize>()).sum();
    assert!(carried <= 2 * packet.len());
    coalescer.finish(&mut arena);
}

/// Somebody's idea of an initiation with cookies.
pub fn cookie(bytes: &[u8]) {
    let now = Instant::now();
    let mut cookies = Cookies::new(&TunnelKey::generate([3; 32]).public(), now, [1; 32]);
    let mut initiation = [0; 148];
    let len = bytes.len().min(148);
    initiation[..len].copy_from_slice(&bytes[..len]);
    let peer = path().peer;
    assert!(!cookies.knows_us(&initiation) || !cookies.is_proven(now, peer, &initiation));
    let reply = cookies.reply(now, peer, &initiation);
    assert_eq!(reply[4..8], initiation[4..8]);
    assert!(!cookies.is_proven(now + Duration::from_secs(1_000_000), peer, &initiation));
}

/// Counters, eight bytes each: none is taken twice, none from behind the window.
pub fn window(bytes: &[u8]) {
    let (mut window, mut taken) = (Window::new(), std::collections::BTreeSet::new());
    for word in bytes.chunks_exact(8) {
        let counter = u64::from_le_bytes(word.try_into().unwrap());
        let newest = taken.last().copied().unwrap_or(0);
        if window.accept(counter) {
            assert!(counter >= newest || newest - counter < WINDOW, "behind the window");
            assert!(taken.insert(counter), "twice");
        }
    }
}
