//! The UDP listeners: several, of both families. An edge; owns the sockets, which never block.
//! An IPv4 peer of a dual-stack socket is written as IPv4 everywhere inside, and as mapped IPv6 only here.
//! One call brings or takes many datagrams (GRO, GSO); a kernel or card that refuses is believed at once.

use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use quinn_udp::{RecvMeta, Transmit, UdpSocketState};
use rustix::io::Errno;
use rustix::net::sockopt;
use socket2::{Domain, Protocol, Socket, Type};

use crate::batch::{Path, Received};

/// Buffers of one call, each for the longest train that the kernel gathers.
const BUFFERS: usize = quinn_udp::BATCH_SIZE;
const BUFFER: usize = 1 << 16;

/// What may wait in the kernel: a burst of 5,000 handshakes, or 30 ms at 1 Gbit/s. Handshakes have a
/// deadline of their own behind it, so this much cannot make answers late.
const KERNEL_BUFFER: usize = 4 << 20;

/// One socket; clones share it, so that the handshake thread can send cookies by itself.
#[derive(Clone)]
pub struct UdpListener {
    shared: Arc<Shared>,
}

struct Shared {
    socket: UdpSocket,
    state: UdpSocketState,
    local: SocketAddr,
    /// Trains in one call; turned off for good by the first refusal.
    trains: AtomicBool,
}

/// The bytes of one call.
pub struct Arena {
    pub bytes: Vec<u8>,
    pub received: Vec<Received>,
    metas: Vec<RecvMeta>,
}

impl Arena {
    pub fn new() -> Self {
        Self {
            bytes: vec![0; BUFFERS * BUFFER],
            received: Vec::with_capacity(BUFFERS),
            metas: vec![RecvMeta::default(); BUFFERS],
        }
    }
}

impl Default for Arena {
    fn default() -> Self {
        Self::new()
    }
}

impl UdpListener {
    /// `others` are all addresses of the configuration: an IPv6 wildcard takes IPv4 along unless
    /// IPv4 has a listener of its own on that port.
    pub fn bind(local: SocketAddr, others: &[SocketAddr]) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(local), Type::DGRAM, Some(Protocol::UDP))?;
        if local.is_ipv6() {
            socket.set_only_v6(others.iter().any(|other| other.is_ipv4() && other.port() == local.port()))?;
        }
        // The kernel may grant less; that is no reason not to serve.
        if sockopt::set_socket_recv_buffer_size_force(&socket, KERNEL_BUFFER).is_err() {
            let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        }
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.bind(&local.into())?;
        Self::of(UdpSocket::from(socket))
    }

    /// A predecessor's socket, with whatever waits in it.
    pub fn inherit(descriptor: OwnedFd) -> io::Result<Self> {
        Self::of(UdpSocket::from(descriptor))
    }

    fn of(socket: UdpSocket) -> io::Result<Self> {
        let state = UdpSocketState::new((&socket).into())?;
        let local = socket.local_addr()?;
        let trains = AtomicBool::new(state.max_gso_segments() > 1);
        Ok(Self { shared: Arc::new(Shared { socket, state, local, trains }) })
    }

    pub fn local(&self) -> SocketAddr {
        self.shared.local
    }

    /// From now on one datagram a call.
    pub fn refuse_trains(&self) {
        self.shared.trains.store(false, Ordering::Relaxed);
    }

    /// Takes what one call brings into the arena; answers whether more may be waiting.
    pub fn receive(&self, index: u16, arena: &mut Arena) -> bool {
        arena.received.clear();
        let mut rooms = arena.bytes.chunks_mut(BUFFER);
        let mut buffers: [IoSliceMut<'_>; BUFFERS] =
            std::array::from_fn(|_| IoSliceMut::new(rooms.next().unwrap_or_default()));
        let got = loop {
            match self.shared.state.recv((&self.shared.socket).into(), &mut buffers, &mut arena.metas) {
                Ok(got) => break got,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Empty, or an error of some earlier datagram that reading has just cleared.
                Err(_) => break 0,
            }
        };
        for (n, meta) in arena.metas[..got].iter().enumerate() {
            let local = meta.dst_ip.map(|ip| ip.to_canonical());
            let path = Path { socket: index, peer: unmapped(meta.addr), local };
            arena.received.push(Received {
                path,
                at: n * BUFFER..n * BUFFER + meta.len,
                stride: meta.stride,
            });
        }
        got == BUFFERS
    }

    /// Sends datagrams of `segment` bytes (the last may be shorter); answers how many the kernel did not take.
    /// Those are lost, as on any network.
    pub fn send(&self, path: &Path, bytes: &[u8], segment: usize) -> usize {
        let one = segment >= bytes.len();
        if one || self.shared.trains.load(Ordering::Relaxed) {
            match self.try_send(path, bytes, (!one).then_some(segment), path.local) {
                Ok(()) => return 0,
                Err(error) if refuses(&error) => {
                    if !one {
                        self.refuse_trains();
                    }
                }
                Err(_) => return bytes.len().div_ceil(segment.max(1)),
            }
        }
        // Our address may have gone since the device spoke to it: let the kernel choose one.
        let lost = |datagram: &&[u8]| {
            self.try_send(path, datagram, None, path.local).is_err()
                && self.try_send(path, datagram, None, None).is_err()
        };
        bytes.chunks(segment.max(1)).filter(lost).count()
    }

    fn try_send(
        &self,
        path: &Path,
        contents: &[u8],
        segment_size: Option<usize>,
        src_ip: Option<IpAddr>,
    ) -> io::Result<()> {
        let destination = if self.shared.local.is_ipv6() { mapped(path.peer) } else { path.peer };
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip };
        self.shared.state.try_send((&self.shared.socket).into(), &transmit)
    }
}

/// The kernel or the card cannot do what was asked, as opposed to: not now.
fn refuses(error: &io::Error) -> bool {
    [Errno::INVAL, Errno::IO].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

impl AsFd for UdpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.socket.as_fd()
    }
}

fn unmapped(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::from((v4, peer.port())),
        IpAddr::V6(_) => peer,
    }
}

fn mapped(peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V4(v4) => SocketAddr::from((v4.to_ipv6_mapped(), peer.port())),
        IpAddr::V6(_) => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_of_a_dual_stack_socket_is_written_as_ipv4_and_answered_in_trains() {
        let Ok(server) = UdpListener::bind("[::]:0".parse().unwrap(), &[]) else {
            panic!("this machine has no IPv6; the listener needs it")
        };
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(&[7; 2000], ("127.0.0.1", server.local().port())).unwrap();
        client.send_to(&[], ("127.0.0.1", server.local().port())).unwrap();
        let mut arena = Arena::new();
        assert!(!server.receive(3, &mut arena), "loopback delivers before send returns");
        assert_eq!(arena.received.len(), 2);
        let Received { path, at, stride } = arena.received[0].clone();
        let local = Some("127.0.0.1".parse().unwrap());
        assert_eq!(path, Path { socket: 3, peer: client.local_addr().unwrap(), local });
        assert_eq!((at.len(), stride), (2000, 2000));
        assert!(arena.received[1].at.is_empty());
        for trains in [true, false] {
            if !trains {
                server.refuse_trains();
            }
            assert_eq!(server.send(&path, b"onetwothr", 3), 0);
            for expected in [b"one", b"two", b"thr"] {
                let mut answer = [0; 16];
                assert_eq!(client.recv(&mut answer).unwrap(), 3);
                assert_eq!(&answer[..3], expected);
            }
        }
    }

    #[test]
    fn both_families_share_a_port() {
        let v4 = UdpListener::bind("127.0.0.1:0".parse().unwrap(), &[]).unwrap();
        let both = [
            SocketAddr::from(([0, 0, 0, 0], v4.local().port())),
            format!("[::]:{}", v4.local().port()).parse().unwrap(),
        ];
        drop(v4);
        let listeners: Vec<_> = both.iter().map(|local| UdpListener::bind(*local, &both).unwrap()).collect();
        assert_eq!(listeners.len(), 2);
    }
}
