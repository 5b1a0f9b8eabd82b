//! The UDP listeners: several, of both families. An edge; owns the sockets, which never block.
//! An IPv4 peer of a dual-stack socket is written as IPv4 everywhere inside, and as mapped IPv6 only here.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};

use crate::batch::{BATCH_MAX, Datagram, Path};
use crate::protocol::DATAGRAM_MAX;

/// Room for one datagram and a byte more, so that a longer one is seen to be longer.
const DATAGRAM_ROOM: usize = DATAGRAM_MAX + 1;

/// What may wait in the kernel: about 100 ms at 100 Mbit/s. More would only make old handshakes answered late.
const KERNEL_BUFFER: usize = 1 << 20;

pub struct UdpListener {
    socket: UdpSocket,
    local: SocketAddr,
    buffer: Vec<[u8; DATAGRAM_ROOM]>,
    taken: Vec<(usize, SocketAddr)>,
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
        let _ = socket.set_recv_buffer_size(KERNEL_BUFFER);
        let _ = socket.set_send_buffer_size(KERNEL_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&local.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self {
            socket,
            local,
            buffer: vec![[0; DATAGRAM_ROOM]; BATCH_MAX],
            taken: Vec::with_capacity(BATCH_MAX),
        })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    /// Takes at most a batch of what is waiting; `index` is this listener's own.
    pub fn receive(&mut self, index: usize) -> Vec<Datagram<'_>> {
        self.taken.clear();
        while let Some(room) = self.buffer.get_mut(self.taken.len()) {
            match self.socket.recv_from(room) {
                Ok((len, peer)) => self.taken.push((len, unmapped(peer))),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Empty, or an error of some earlier datagram that reading has just cleared.
                Err(_) => break,
            }
        }
        let rooms = self.buffer.iter().zip(&self.taken);
        rooms
            .map(|(room, (len, peer))| Datagram {
                from: Path { socket: index, peer: *peer },
                bytes: &room[..*len],
            })
            .collect()
    }

    /// `false` when the kernel did not take it; the datagram is lost, as on any network.
    pub fn send(&self, datagram: &[u8], peer: SocketAddr) -> bool {
        let peer = if self.local.is_ipv6() { mapped(peer) } else { peer };
        self.socket.send_to(datagram, peer).is_ok()
    }
}

impl AsFd for UdpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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
    fn an_ipv4_peer_of_a_dual_stack_socket_is_written_as_ipv4_and_answered() {
        let Ok(mut server) = UdpListener::bind("[::]:0".parse().unwrap(), &[]) else {
            panic!("this machine has no IPv6; the listener needs it")
        };
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.set_read_timeout(Some(std::time::Duration::from_secs(10))).unwrap();
        client.send_to(&[7; 2000], ("127.0.0.1", server.local().port())).unwrap();
        let received = server.receive(3);
        assert_eq!(received.len(), 1, "loopback delivers before send returns");
        let from = received[0].from;
        assert_eq!(from, Path { socket: 3, peer: client.local_addr().unwrap() });
        assert_eq!(received[0].bytes.len(), DATAGRAM_ROOM, "seen to be too long");
        assert!(server.send(b"answer", from.peer));
        let mut answer = [0; 16];
        assert_eq!(client.recv(&mut answer).unwrap(), 6);
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
