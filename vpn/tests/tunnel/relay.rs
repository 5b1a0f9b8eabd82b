//! Between a device and the room: passes datagrams on, knows each message by its type, and may keep some back.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::world::{SERVER, WIREGUARD, World};

/// What a datagram is, as far as anybody outside can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Initiation,
    /// An initiation with a second MAC: the cookie has come and is used.
    Proven,
    Response,
    Cookie,
    /// A data message of nothing.
    Keepalive,
    Data,
    Other,
}

impl Kind {
    pub const COUNT: usize = 7;

    fn of(datagram: &[u8]) -> Self {
        match (datagram.first(), datagram.len()) {
            (Some(1), 148) if datagram[132..] == [0; 16] => Self::Initiation,
            (Some(1), 148) => Self::Proven,
            (Some(2), 92) => Self::Response,
            (Some(3), 64) => Self::Cookie,
            (Some(4), 32) => Self::Keepalive,
            (Some(4), 33..) => Self::Data,
            _ => Self::Other,
        }
    }
}

pub struct Relay {
    /// Where the device believes the server to be.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    up: [AtomicU64; Kind::COUNT],
    down: [AtomicU64; Kind::COUNT],
    must_prove: AtomicBool,
    ended: AtomicBool,
}

impl Relay {
    pub fn new(world: &World) -> Self {
        let (front, back) = world.in_device(|| {
            let back = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).unwrap();
            back.connect((SERVER, WIREGUARD)).unwrap();
            (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap(), back)
        });
        let address = front.local_addr().unwrap();
        let (front, back, shared) = (Arc::new(front), Arc::new(back), Arc::new(Shared::default()));
        let device = Arc::new(Mutex::new(None));
        for socket in [&front, &back] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        let (from, to, known, here) = (front.clone(), back.clone(), device.clone(), shared.clone());
        std::thread::spawn(move || {
            here.pass(&from, &here.up, |message, sender| {
                *known.lock().unwrap() = Some(sender);
                to.send(message).map(drop)
            })
        });
        let here = shared.clone();
        std::thread::spawn(move || {
            here.pass(&back, &here.down, |message, _| {
                let device = *device.lock().unwrap();
                device.map_or(Ok(()), |device| front.send_to(message, device).map(drop))
            })
        });
        Self { address, shared }
    }

    /// From now on the device is told only cookies, until it has proved its address.
    pub fn must_prove(&self) {
        self.shared.must_prove.store(true, Ordering::SeqCst);
    }

    /// How many messages of a kind the device has sent.
    pub fn up(&self, kind: Kind) -> u64 {
        self.shared.up[kind as usize].load(Ordering::SeqCst)
    }

    /// And how many it was given.
    pub fn down(&self, kind: Kind) -> u64 {
        self.shared.down[kind as usize].load(Ordering::SeqCst)
    }
}

impl Shared {
    fn pass(
        &self,
        from: &UdpSocket,
        counts: &[AtomicU64],
        to: impl Fn(&[u8], SocketAddr) -> std::io::Result<()>,
    ) {
        let mut room = [0; 2048];
        while !self.ended.load(Ordering::SeqCst) {
            let Ok((len, sender)) = from.recv_from(&mut room) else { continue };
            let kind = Kind::of(&room[..len]);
            if kind == Kind::Proven {
                self.must_prove.store(false, Ordering::SeqCst);
            }
            if kind == Kind::Response && self.must_prove.load(Ordering::SeqCst) {
                continue;
            }
            // Counted first, so that whoever sees what it caused finds it counted.
            counts[kind as usize].fetch_add(1, Ordering::SeqCst);
            let _ = to(&room[..len], sender);
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
    }
}
