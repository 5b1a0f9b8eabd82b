//! One simulated device: a key made from its number, an address of its own, a socket.
//!
//! With `initiator` and the room's own sessions it costs its machine less than it costs the server, so that
//! ten thousand of them on one core still measure the server. What other people's clients think of our
//! answers is the interop tests' business.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Instant, SystemTime};

use vpn::hashes::{MAC_LEN, mac16};
use vpn::key::KEY_LEN;
use vpn::protocol::{DATA_HEADER, DATA_OVERHEAD, INITIATION_LEN};
use vpn::session::Session;
use x25519_dalek::{PublicKey, StaticSecret};

use crate::initiator::{Asked, ask, cookie};

pub struct Device {
    number: usize,
    own: [u8; KEY_LEN],
    server: [u8; KEY_LEN],
    socket: UdpSocket,
    prepared: Option<(Asked, [u8; INITIATION_LEN])>,
    flying: Option<(Asked, [u8; MAC_LEN])>,
    cookie: Option<[u8; MAC_LEN]>,
    session: Option<Box<Session>>,
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

pub fn private(number: usize) -> [u8; KEY_LEN] {
    secret(2, number).to_bytes()
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
        let source = Ipv4Addr::from(0x0ac9_0100 + if one_source { 0 } else { number as u32 });
        let socket = UdpSocket::bind((source, 0)).expect("10.201.0.0/16 is a local route of the namespace");
        socket.connect(server).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            number,
            own: private(number),
            server: *PublicKey::from(&server_secret()).as_bytes(),
            socket,
            prepared: None,
            flying: None,
            cookie: None,
            session: None,
            asked: None,
            up: false,
        }
    }

    pub fn descriptor(&self) -> &UdpSocket {
        &self.socket
    }

    /// Computes the next initiation, so that asking is only a call.
    pub fn prepare(&mut self) {
        let (mut random, now) = ([0; KEY_LEN], SystemTime::UNIX_EPOCH.elapsed().unwrap());
        getrandom::fill(&mut random).unwrap();
        let index = self.number as u32 + 1;
        let stamp = now.as_micros() as u64;
        self.prepared = Some(ask(&self.own, &self.server, &[0; KEY_LEN], index, stamp, &random));
    }

    pub fn ask(&mut self) {
        if self.prepared.is_none() {
            self.prepare();
        }
        let Some((asked, mut message)) = self.prepared.take() else { return };
        let (before, mac2) = message.split_at_mut(INITIATION_LEN - MAC_LEN);
        if let Some(cookie) = &self.cookie {
            mac2.copy_from_slice(&mac16(cookie, &[before]));
        }
        let mac1 = before[before.len() - MAC_LEN..].try_into().unwrap();
        self.flying = Some((asked, mac1));
        self.asked = Some(Instant::now());
        let _ = self.socket.send(&message);
    }

    /// Sends an ICMP echo to the server's tunnel address 10.64.0.1.
    pub fn ping(&mut self, number: usize) {
        let mut room = [0; DATA_OVERHEAD + 32];
        let packet = &mut room[DATA_HEADER..DATA_HEADER + 32];
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
        let Some(session) = &mut self.session else { return };
        if let Ok(len) = session.seal(Instant::now(), &mut room, 32) {
            self.asked = Some(Instant::now());
            let _ = self.socket.send(&room[..len]);
        }
    }

    pub fn hear(&mut self) -> Heard {
        let (mut room, mut heard) = ([0; 2048], Heard::default());
        while let Ok(len) = self.socket.recv(&mut room) {
            let message = &mut room[..len];
            match message.first() {
                Some(2) => heard.completed |= self.answered(message).is_some(),
                Some(3) => {
                    let mac1 = self.flying.as_ref().map(|(_, mac1)| *mac1);
                    self.cookie = mac1.and_then(|mac1| cookie(&self.server, &mac1, message));
                    heard.cookies += 1;
                }
                Some(4) => {
                    let opened = self.session.as_mut().map(|session| session.open(Instant::now(), message));
                    heard.packets += u64::from(matches!(opened, Some(Ok(1..))));
                }
                _ => {}
            }
        }
        heard
    }

    /// A response becomes a session, and its first message is on its way.
    fn answered(&mut self, message: &[u8]) -> Option<()> {
        let keys = self.flying.as_ref()?.0.answered(message.try_into().ok()?)?;
        self.flying = None;
        let now = Instant::now();
        let session = self.session.insert(Box::new(Session::new(now, self.number as u32 + 1, keys).ok()?));
        let mut first = [0; DATA_OVERHEAD];
        let len = session.seal(now, &mut first, 0).ok()?;
        self.socket.send(&first[..len]).ok().map(|_| ())
    }
}
