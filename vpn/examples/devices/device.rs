//! One simulated device: a key made from its number, an address of its own, a socket.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Instant;

use boringtun::noise::rate_limiter::RateLimiter;
use boringtun::noise::{Tunn, TunnResult};
use x25519_dalek::{PublicKey, StaticSecret};

pub struct Device {
    pub tunn: Tunn,
    pub socket: UdpSocket,
    pub asked: Option<Instant>,
    pub up: bool,
}

/// What came of reading a device's socket.
#[derive(Default)]
pub struct Heard {
    pub completed: bool,
    pub cookies: u64,
    pub packets: u64,
}

/// Keys of the bench: made from numbers, worth nothing elsewhere.
fn secret(kind: u8, number: usize) -> StaticSecret {
    let mut bytes = [0x5a; 32];
    bytes[0] = kind;
    bytes[8..16].copy_from_slice(&(number as u64).to_le_bytes());
    StaticSecret::from(bytes)
}

pub fn server_secret() -> StaticSecret {
    secret(1, 0)
}

pub fn public(number: usize) -> [u8; 32] {
    *PublicKey::from(&secret(2, number)).as_bytes()
}

/// Inside the tunnel.
pub fn inner(number: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0a40_0100 + number as u32)
}

impl Device {
    /// `one_source`: all behind one address, a port each; else each from an address of 10.201.0.0/16.
    pub fn new(number: usize, server: SocketAddr, one_source: bool) -> Self {
        let key = secret(2, number);
        // The generator must not limit itself.
        let limiter = Arc::new(RateLimiter::new(&PublicKey::from(&key), u64::MAX));
        let theirs = PublicKey::from(&server_secret());
        let tunn = Tunn::new(key, theirs, None, None, number as u32 + 1, Some(limiter));
        let source = Ipv4Addr::from(0x0ac9_0100 + if one_source { 0 } else { number as u32 });
        let socket = UdpSocket::bind((source, 0)).expect("10.201.0.0/16 is a local route of the namespace");
        socket.connect(server).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self { tunn, socket, asked: None, up: false }
    }

    pub fn ask(&mut self) {
        let mut room = [0; 256];
        if let TunnResult::WriteToNetwork(initiation) = self.tunn.format_handshake_initiation(&mut room, true)
        {
            self.asked = Some(Instant::now());
            let _ = self.socket.send(initiation);
        }
    }

    /// Sends an ICMP echo to the server's tunnel address 10.64.0.1.
    pub fn ping(&mut self, number: usize) {
        let mut packet = [0u8; 32];
        packet[0] = 0x45;
        packet[3] = 32;
        packet[8..10].copy_from_slice(&[64, 1]);
        packet[12..16].copy_from_slice(&inner(number).octets());
        packet[16..20].copy_from_slice(&[10, 64, 0, 1]);
        let sum = !vpn::packet::fold(vpn::packet::sum(&packet[..20]));
        packet[10..12].copy_from_slice(&sum.to_be_bytes());
        packet[20] = 8;
        let sum = !vpn::packet::fold(vpn::packet::sum(&packet[20..]));
        packet[22..24].copy_from_slice(&sum.to_be_bytes());
        let mut room = [0; 256];
        if let TunnResult::WriteToNetwork(sealed) = self.tunn.encapsulate(&packet, &mut room) {
            self.asked = Some(Instant::now());
            let _ = self.socket.send(sealed);
        }
    }

    pub fn hear(&mut self) -> Heard {
        let (mut room, mut out, mut heard) = ([0; 2048], [0; 2048], Heard::default());
        while let Ok(len) = self.socket.recv(&mut room) {
            let kind = room[0];
            match self.tunn.decapsulate(None, &room[..len], &mut out) {
                TunnResult::WriteToNetwork(first) => {
                    let _ = self.socket.send(first);
                    heard.completed |= kind == 2;
                    while let TunnResult::WriteToNetwork(more) = self.tunn.decapsulate(None, &[], &mut out) {
                        let _ = self.socket.send(more);
                    }
                }
                TunnResult::WriteToTunnelV4(..) => heard.packets += 1,
                TunnResult::Done if kind == 3 => heard.cookies += 1,
                _ => {}
            }
        }
        heard
    }
}
