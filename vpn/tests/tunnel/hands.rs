//! Interop: each message type of WireGuard, spoken by three implementations that are not ours, all at once.

use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use vpn::door::{Seat, SeatsAnswer, SeatsQuestion};
use vpn::handshake::mac1_key;
use vpn::hashes::mac16;
use vpn::{PresharedKey, PublicKey, SeatClass};

use super::device::{Device, Hand};
use super::relay::{Kind, Relay};
use super::world::{
    DEVICE, PASSES_WITHIN, SERVER, Seated, Server, WIREGUARD, World, echoes_within, inside, must_be_root,
    until,
};

struct End {
    hand: Hand,
    device: Device,
    relay: Relay,
    seated: Seated,
}

impl End {
    fn new(hand: Hand, number: u8, world: &World, server: &Server, folder: &std::path::Path) -> Self {
        let seated = Seated::new(&format!("18-004{number}"), SeatClass::Active, u64::from(number));
        let (device, relay) = (Device::begin(world, hand, &format!("mmth{number}")), Relay::new(world));
        device.configure(
            world,
            &seated.conf(server, &relay.address.to_string(), "PersistentKeepalive = 1\n"),
            folder,
        );
        device.raise(world, server, &seated, 10 + u32::from(number));
        Self { hand, device, relay, seated }
    }

    /// A socket that leaves through this device.
    fn socket(&self, world: &World, kind: Type) -> Socket {
        let interface = self.device.interface.clone();
        world.in_device(move || {
            let socket = Socket::new(Domain::IPV4, kind, None).unwrap();
            socket.bind_device(Some(interface.as_bytes())).unwrap();
            socket
        })
    }

    fn last_handshake(&self, server: &Server) -> Option<i64> {
        let status = server.status();
        status.seats.iter().find(|seat| seat.slot == self.seated.seat.slot)?.last_handshake_ms
    }
}

#[test]
fn three_hands_that_never_saw_ours_speak_every_message_with_us() {
    must_be_root();
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&world, folder.path());
    let hands = [(Hand::WireguardGo, 2), (Hand::Boringtun, 3), (Hand::Gotatun, 4)];

    // Another preshared key than the device's: it gets a response, believes none of it, and says nothing.
    let ends = hands.map(|(hand, number)| End::new(hand, number, &world, &server, folder.path()));
    for end in &ends {
        let wrong = Seat { psk: PresharedKey::from_bytes([0x55; 32]), ..end.seated.seat.clone() };
        assert!(matches!(server.ask(SeatsQuestion::Seat(wrong)), SeatsAnswer::Seated { .. }));
    }
    for end in &ends {
        assert!(until(|| end.relay.down(Kind::Response) > 0), "{:?}: no response", end.hand);
        assert_eq!((end.relay.up(Kind::Keepalive), end.relay.up(Kind::Data)), (0, 0), "{:?}", end.hand);
        assert_eq!(end.last_handshake(&server), None, "{:?}", end.hand);
    }

    // Under load: cookie reply, initiation with its proof, response. The right key comes to the server meanwhile.
    let flood = Flood::start(&world, server.status().public_key);
    for end in &ends {
        end.relay.must_prove();
        let seat = Seat { generation: end.seated.seat.generation + 1, ..end.seated.seat.clone() };
        assert!(matches!(server.ask(SeatsQuestion::Seat(seat)), SeatsAnswer::Seated { .. }));
    }
    for end in &ends {
        assert!(until(|| end.last_handshake(&server).is_some()), "{:?}: {:?}", end.hand, server.status());
        assert!(end.relay.down(Kind::Cookie) > 0 && end.relay.up(Kind::Proven) > 0, "{:?}", end.hand);
    }
    drop(flood);

    // Data both ways, and keepalives that the device was told to send.
    let gateway = SocketAddr::from((server.plan.gateway(), 443));
    let mut streams = ends.each_ref().map(|end| {
        let socket = end.socket(&world, Type::STREAM);
        let connected = socket.connect_timeout(&gateway.into(), PASSES_WITHIN);
        connected.unwrap_or_else(|error| panic!("{:?}: {error}", end.hand));
        TcpStream::from(socket)
    });
    for (end, stream) in ends.iter().zip(&mut streams) {
        assert!(echoes_within(stream, PASSES_WITHIN), "{:?}", end.hand);
        assert!(until(|| end.relay.up(Kind::Keepalive) > 1), "{:?}", end.hand);
    }

    // What nobody answers makes a device renew its session after 15 s; the connection inside lives on. Some hands
    // tell time in quarters of a second, so one datagram right behind an answer is not enough.
    let before = ends.each_ref().map(|end| end.last_handshake(&server));
    let unanswered = ends.each_ref().map(|end| UdpSocket::from(end.socket(&world, Type::DGRAM)));
    for (number, end) in ends.iter().enumerate() {
        let renewed = until(|| {
            let nobody = (server.plan.gateway(), 9);
            unanswered.iter().for_each(|socket| drop(socket.send_to(b"?", nobody)));
            end.last_handshake(&server) > before[number]
        });
        assert!(renewed, "{:?}: no new session; {:?}", end.hand, server.status());
        assert!(echoes_within(&mut streams[number], PASSES_WITHIN), "{:?}: the new session", end.hand);
    }

    for end in &ends {
        let (up, down) = (|kind| end.relay.up(kind), |kind| end.relay.down(kind));
        assert!(up(Kind::Initiation) > 0 && up(Kind::Data) > 0 && down(Kind::Data) > 0, "{:?}", end.hand);
        // The server wakes no idle phone and initiates to nobody.
        let silent = [Kind::Initiation, Kind::Proven, Kind::Keepalive, Kind::Other];
        assert_eq!(silent.map(down), [0; 4], "{:?}", end.hand);
    }
    drop(streams);
    drop(ends);
    server.stop();
}

/// Initiations with a right first MAC, from ports that are nobody's: addresses must be proved. In a namespace without a way out; ends when it is dropped.
struct Flood {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Fewer than wait for the handshake thread, so that nobody else's is lost; often enough that some always wait.
const BURST: usize = 8_000;
const EVERY: Duration = Duration::from_millis(250);

/// Below the ports that the kernel gives away.
const FORGED_PORTS: std::ops::Range<u16> = 1_024..30_000;

impl Flood {
    fn start(world: &World, server: PublicKey) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = inside(world.name("d"), move || {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(255))).unwrap();
            socket.set_header_included_v4(true).unwrap();
            let to = SocketAddr::from((SERVER, WIREGUARD)).into();
            let mut ports = FORGED_PORTS.cycle();
            let mut packet = forged(&server);
            while !told.load(Ordering::Relaxed) {
                for port in ports.by_ref().take(BURST) {
                    packet[20..22].copy_from_slice(&port.to_be_bytes());
                    let _ = socket.send_to(&packet, &to);
                }
                std::thread::park_timeout(EVERY);
            }
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// IPv4, UDP without a sum, and an initiation that nobody made.
fn forged(server: &PublicKey) -> [u8; 176] {
    let mut packet = [0; 176];
    packet[0] = 0x45;
    packet[8..10].copy_from_slice(&[64, 17]);
    packet[12..16].copy_from_slice(&DEVICE.octets());
    packet[16..20].copy_from_slice(&SERVER.octets());
    packet[22..24].copy_from_slice(&WIREGUARD.to_be_bytes());
    packet[24..26].copy_from_slice(&156u16.to_be_bytes());
    let message = &mut packet[28..];
    message[0] = 1;
    (0..).zip(&mut message[4..116]).for_each(|(place, byte): (u8, _)| *byte = place ^ 0xa5);
    let mac1 = mac16(&mac1_key(server), &[&message[..116]]);
    message[116..132].copy_from_slice(&mac1);
    packet
}
