//! What a data plane leaves to its successor, so that a restart interrupts nobody: the sessions with their
//! keys, counters and windows, where each device is, and what keeps an old handshake from being replayed.
//! Owns the binary form; pure. Made and read once per planned restart, only ever in memory that no other
//! process sees. Numbers are little-endian; whatever is cut short or left over is refused whole.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use zeroize::Zeroizing;

use crate::batch::Path;
use crate::handshake::Stamp;
use crate::key::{KEY_LEN, PublicKey};
use crate::window::WORDS;

/// First line: another version is another program's, and is not guessed at.
const MAGIC: &[u8] = b"mimamori-sessions 1\n";

/// As many keys as all seats of all series; what claims more is not ours.
const KEYS_MAX: u32 = 200_000;
const LISTENERS_MAX: u32 = 64;

/// Everything; `at` is the machine's monotonic clock, to which all ages refer.
pub struct Kept {
    pub at: Duration,
    pub receivers: [u8; 16],
    pub interface: String,
    pub tun_offload: bool,
    pub tun_udp_offload: bool,
    /// The sockets' own addresses, in the order that the paths count them.
    pub listen: Vec<SocketAddr>,
    pub tunnels: Vec<KeptTunnel>,
    pub keys: Vec<KeptKey>,
}

/// One seat's tunnel. Whose it is says the key: seats are told by the snapshot.
pub struct KeptTunnel {
    pub key: PublicKey,
    /// Current, previous, next.
    pub sessions: [Option<KeptSession>; 3],
    pub path: Option<Path>,
    pub shook_at: Option<SocketAddr>,
    pub shook_ms: Option<i64>,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
}

pub struct KeptSession {
    pub local: u32,
    pub remote: u32,
    pub age: Duration,
    pub open: Zeroizing<[u8; KEY_LEN]>,
    pub seal: Zeroizing<[u8; KEY_LEN]>,
    pub sent: u64,
    /// As `Window::parts`: the ring itself is a kilobyte, and most of it is nothing.
    pub window: (Vec<(u8, u64)>, u64),
}

/// What the handshakes remember of a key.
pub struct KeptKey {
    pub key: PublicKey,
    pub stamp: Option<Stamp>,
    pub sessions: u8,
    pub endpoint: Option<SocketAddr>,
}

/// It is not what this program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what the predecessor left is not readable")]
pub struct Torn;

impl Kept {
    pub fn write(&self) -> Zeroizing<Vec<u8>> {
        // The whole room at once: a buffer that grows leaves copies of keys behind.
        let mut to = Writer(Zeroizing::new(Vec::with_capacity(self.room())));
        to.bytes(MAGIC);
        to.time(self.at);
        to.bytes(&self.receivers);
        to.number(self.interface.len() as u32);
        to.bytes(self.interface.as_bytes());
        to.bytes(&[u8::from(self.tun_offload), u8::from(self.tun_udp_offload)]);
        to.number(self.listen.len() as u32);
        self.listen.iter().for_each(|address| to.address(*address));
        to.number(self.tunnels.len() as u32);
        self.tunnels.iter().for_each(|tunnel| to.tunnel(tunnel));
        to.number(self.keys.len() as u32);
        for kept in &self.keys {
            to.bytes(kept.key.as_bytes());
            to.maybe(kept.stamp.as_ref(), |to, stamp| to.bytes(stamp));
            to.bytes(&[kept.sessions]);
            to.maybe(kept.endpoint, Writer::address);
        }
        to.0
    }

    /// No fewer bytes than `write` fills.
    fn room(&self) -> usize {
        let sessions = self.tunnels.iter().flat_map(|tunnel| tunnel.sessions.iter().flatten());
        let sessions: usize = sessions.map(|session| 128 + 9 * session.window.0.len()).sum();
        1024 + 32 * self.listen.len() + 160 * self.tunnels.len() + sessions + 80 * self.keys.len()
    }

    pub fn read(bytes: &[u8]) -> Result<Kept, Torn> {
        let mut from = Reader(bytes.strip_prefix(MAGIC).ok_or(Torn)?);
        let at = from.time()?;
        let receivers = from.array()?;
        let name = from.count(64)?;
        let interface = String::from_utf8(from.take(name)?.to_vec()).map_err(|_| Torn)?;
        let (tun_offload, tun_udp_offload) = (from.flag()?, from.flag()?);
        let listen = from.list(LISTENERS_MAX, Reader::address)?;
        let tunnels = from.list(KEYS_MAX, Reader::tunnel)?;
        let keys = from.list(KEYS_MAX, |from| {
            Ok(KeptKey {
                key: PublicKey::from_bytes(from.array()?),
                stamp: from.maybe(Reader::array)?,
                sessions: from.array::<1>()?[0],
                endpoint: from.maybe(Reader::address)?,
            })
        })?;
        if !from.0.is_empty() {
            return Err(Torn);
        }
        Ok(Kept { at, receivers, interface, tun_offload, tun_udp_offload, listen, tunnels, keys })
    }
}

struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn number(&mut self, number: u32) {
        self.bytes(&number.to_le_bytes());
    }

    fn long(&mut self, number: u64) {
        self.bytes(&number.to_le_bytes());
    }

    fn time(&mut self, time: Duration) {
        self.long(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    fn maybe<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bytes(&[u8::from(value.is_some())]);
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn ip(&mut self, ip: IpAddr) {
        match ip {
            IpAddr::V4(v4) => {
                self.bytes(&[4]);
                self.bytes(&v4.octets());
            }
            IpAddr::V6(v6) => {
                self.bytes(&[6]);
                self.bytes(&v6.octets());
            }
        }
    }

    fn address(&mut self, address: SocketAddr) {
        self.ip(address.ip());
        self.bytes(&address.port().to_le_bytes());
    }

    fn tunnel(&mut self, tunnel: &KeptTunnel) {
        self.bytes(tunnel.key.as_bytes());
        for session in &tunnel.sessions {
            self.maybe(session.as_ref(), Self::session);
        }
        self.maybe(tunnel.path, |to, path| {
            to.bytes(&path.socket.to_le_bytes());
            to.address(path.peer);
            to.maybe(path.local, Self::ip);
        });
        self.maybe(tunnel.shook_at, Self::address);
        self.maybe(tunnel.shook_ms, |to, ms| to.bytes(&ms.to_le_bytes()));
        self.long(tunnel.rx_bytes);
        self.long(tunnel.tx_bytes);
    }

    fn session(&mut self, session: &KeptSession) {
        self.number(session.local);
        self.number(session.remote);
        self.time(session.age);
        self.bytes(&*session.open);
        self.bytes(&*session.seal);
        self.long(session.sent);
        let (words, next) = &session.window;
        self.long(*next);
        self.bytes(&[words.len() as u8]);
        for (place, word) in words {
            self.bytes(&[*place]);
            self.long(*word);
        }
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Torn> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Torn)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Torn> {
        self.take(LEN)?.try_into().map_err(|_| Torn)
    }

    fn number(&mut self) -> Result<u32, Torn> {
        self.array().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Result<u64, Torn> {
        self.array().map(u64::from_le_bytes)
    }

    fn time(&mut self) -> Result<Duration, Torn> {
        self.long().map(Duration::from_nanos)
    }

    fn flag(&mut self) -> Result<bool, Torn> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(Torn),
        }
    }

    fn count(&mut self, most: u32) -> Result<usize, Torn> {
        let count = self.number()?;
        if count > most { Err(Torn) } else { Ok(count as usize) }
    }

    fn maybe<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Torn>) -> Result<Option<T>, Torn> {
        if self.flag()? { read(self).map(Some) } else { Ok(None) }
    }

    /// Grows as it is read, so a count alone takes no memory.
    fn list<T>(
        &mut self,
        most: u32,
        mut read: impl FnMut(&mut Self) -> Result<T, Torn>,
    ) -> Result<Vec<T>, Torn> {
        let (count, mut list) = (self.count(most)?, Vec::new());
        for _ in 0..count {
            list.push(read(self)?);
        }
        Ok(list)
    }

    fn ip(&mut self) -> Result<IpAddr, Torn> {
        match self.array()? {
            [4] => self.array::<4>().map(IpAddr::from),
            [6] => self.array::<16>().map(IpAddr::from),
            _ => Err(Torn),
        }
    }

    fn address(&mut self) -> Result<SocketAddr, Torn> {
        let ip = self.ip()?;
        Ok(SocketAddr::new(ip, u16::from_le_bytes(self.array()?)))
    }

    fn tunnel(&mut self) -> Result<KeptTunnel, Torn> {
        Ok(KeptTunnel {
            key: PublicKey::from_bytes(self.array()?),
            sessions: [self.maybe(Self::session)?, self.maybe(Self::session)?, self.maybe(Self::session)?],
            path: self.maybe(|from| {
                let socket = u16::from_le_bytes(from.array()?);
                Ok(Path { socket, peer: from.address()?, local: from.maybe(Self::ip)? })
            })?,
            shook_at: self.maybe(Self::address)?,
            shook_ms: self.maybe(|from| from.array().map(i64::from_le_bytes))?,
            rx_bytes: self.long()?,
            tx_bytes: self.long()?,
        })
    }

    fn session(&mut self) -> Result<KeptSession, Torn> {
        let (local, remote, age) = (self.number()?, self.number()?, self.time()?);
        let (open, seal) = (Zeroizing::new(self.array()?), Zeroizing::new(self.array()?));
        let (sent, next) = (self.long()?, self.long()?);
        let [count] = self.array()?;
        let mut words = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let [place] = self.array()?;
            if usize::from(place) >= WORDS {
                return Err(Torn);
            }
            words.push((place, self.long()?));
        }
        Ok(KeptSession { local, remote, age, open, seal, sent, window: (words, next) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::window::Window;

    fn kept() -> Kept {
        let mut window = Window::new();
        [0, 1, 700, 8_000].into_iter().for_each(|counter| assert!(window.accept(counter)));
        let session = |local| KeptSession {
            local,
            remote: 8,
            age: Duration::from_secs(70),
            open: Zeroizing::new([1; KEY_LEN]),
            seal: Zeroizing::new([2; KEY_LEN]),
            sent: 99,
            window: window.parts(),
        };
        let peer: SocketAddr = "192.0.2.7:4500".parse().unwrap();
        let tunnel = KeptTunnel {
            key: PublicKey::from_bytes([3; KEY_LEN]),
            sessions: [Some(session(7)), None, Some(session(9))],
            path: Some(Path { socket: 1, peer, local: Some("2001:db8::1".parse().unwrap()) }),
            shook_at: Some(peer),
            shook_ms: Some(-5),
            rx_bytes: 1 << 40,
            tx_bytes: 3,
        };
        let key = KeptKey { key: tunnel.key, stamp: Some([5; 12]), sessions: 255, endpoint: None };
        Kept {
            at: Duration::from_secs(1 << 20),
            receivers: [6; 16],
            interface: "mimamori0".into(),
            tun_offload: true,
            tun_udp_offload: false,
            listen: vec!["0.0.0.0:51820".parse().unwrap(), "[::]:443".parse().unwrap()],
            tunnels: vec![tunnel],
            keys: vec![key],
        }
    }

    #[test]
    fn what_is_left_is_taken_over_whole() {
        let written = kept().write();
        assert!(written.len() <= kept().room(), "no key is left behind in a room that was too small");
        let read = Kept::read(&written).unwrap();
        assert_eq!(read.write()[..], written[..]);
        let (words, next) = &read.tunnels[0].sessions[0].as_ref().unwrap().window;
        let mut window = Window::of_parts(words, *next).unwrap();
        assert!(!window.accept(700) && window.accept(701), "what was seen stays seen");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn attacker_torn_or_foreign_bytes_are_refused_and_never_fall(cut in 0usize..600, place in 0usize..600, byte: u8) {
            let written = kept().write();
            if cut < written.len() {
                prop_assert!(Kept::read(&written[..cut]).is_err());
            }
            let mut longer = written.to_vec();
            longer.push(byte);
            prop_assert!(Kept::read(&longer).is_err());
            let mut changed = written.to_vec();
            let place = place % changed.len();
            changed[place] = byte;
            let _ = Kept::read(&changed);
        }
    }
}
