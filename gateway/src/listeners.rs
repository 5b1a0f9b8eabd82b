//! The three listening sockets: taken from whoever kept them while no gateway ran, or bound here, even
//! before the tunnel's address exists. What is kept is not closed between two processes, so that nobody who
//! connects meanwhile is refused: the kernel holds them until the next gateway comes. They end with the room.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

use socket2::{Domain, Protocol, Socket, Type};
use vpn::address::AddressPlan;

use crate::server::Port;

const HTTPS: u16 = 443;
const HTTP: u16 = 80;
/// Connections that wait to be accepted: every device of a realm coming back after a power cut, or all that
/// come while one process follows another.
const BACKLOG: i32 = 1024;

/// Where the three listeners stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    pub mutual: SocketAddr,
    pub open_tls: SocketAddr,
    pub open_http: SocketAddr,
}

impl Listen {
    /// The gateway's two addresses of the plan, on the ports that everybody knows.
    pub fn of(plan: &AddressPlan) -> Self {
        Self {
            mutual: (plan.gateway(), HTTPS).into(),
            open_tls: (plan.gateway_open(), HTTPS).into(),
            open_http: (plan.gateway_open(), HTTP).into(),
        }
    }
}

/// Sockets that somebody kept, by the names that `Port::name` gives them.
#[derive(Debug, Default)]
pub struct Kept(Vec<(Port, TcpListener)>);

impl Kept {
    /// Asks `find` for each of the three names.
    pub fn find<E>(mut find: impl FnMut(&'static str) -> Result<Option<TcpListener>, E>) -> Result<Self, E> {
        let mut kept = Vec::new();
        for port in Port::ALL {
            if let Some(listener) = find(port.name())? {
                kept.push((port, listener));
            }
        }
        Ok(Self(kept))
    }

    /// The one for this port; what stands elsewhere than the configuration says now is closed.
    fn take(&mut self, port: Port, address: SocketAddr) -> Option<TcpListener> {
        let at = self.0.iter().position(|(known, _)| *known == port)?;
        let (_, listener) = self.0.swap_remove(at);
        match listener.local_addr() {
            Ok(stands) if stands == address => Some(listener),
            other => {
                log::info!("the kept listener {} is not on {address} but on {other:?}; closed", port.name());
                None
            }
        }
    }
}

/// The sockets of one room, before it listens.
pub struct Listeners(Vec<One>);

struct One {
    port: Port,
    socket: TcpListener,
    was_kept: bool,
}

/// An address that cannot be listened on.
#[derive(Debug)]
pub struct NotBound {
    pub address: SocketAddr,
    pub error: io::Error,
}

impl Listeners {
    pub fn open(listen: &Listen, mut kept: Kept) -> Result<Self, NotBound> {
        let mut all = Vec::new();
        for (port, address) in
            [(Port::Mutual, listen.mutual), (Port::Claim, listen.open_tls), (Port::Plain, listen.open_http)]
        {
            let one = match kept.take(port, address) {
                Some(socket) => socket.set_nonblocking(true).map(|()| One { port, socket, was_kept: true }),
                None => bind(address).map(|socket| One { port, socket, was_kept: false }),
            };
            all.push(one.map_err(|error| NotBound { address, error })?);
        }
        Ok(Self(all))
    }

    /// Each socket under its name, and whether it was kept already.
    pub fn names(&self) -> impl Iterator<Item = (&'static str, BorrowedFd<'_>, bool)> {
        self.0.iter().map(|one| (one.port.name(), one.socket.as_fd(), one.was_kept))
    }

    pub fn into_sockets(self) -> impl Iterator<Item = (Port, TcpListener)> {
        self.0.into_iter().map(|one| (one.port, one.socket))
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if address.is_ipv4() {
        socket.set_freebind_v4(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn listen(port: u16) -> Listen {
        let at = |last| SocketAddr::from(([127, 0, 0, last], port));
        Listen { mutual: at(1), open_tls: at(2), open_http: at(3) }
    }

    fn copies(of: &Listeners) -> Kept {
        Kept(of.0.iter().map(|one| (one.port, one.socket.try_clone().unwrap())).collect())
    }

    #[test]
    fn a_kept_socket_is_taken_where_it_stands_right_and_bound_anew_where_not() {
        let first = Listeners::open(&listen(0), Kept::default()).unwrap();
        assert!(first.names().all(|(_, _, was_kept)| !was_kept));
        let names: Vec<_> = first.names().map(|(name, ..)| name).collect();
        assert_eq!(names, ["gateway-mutual", "gateway-claim", "gateway-plain"]);
        let stands = |n: usize| first.0[n].socket.local_addr().unwrap();
        let there = Listen { mutual: stands(0), open_tls: stands(1), open_http: listen(0).open_http };
        let second = Listeners::open(&there, copies(&first)).unwrap();
        let kept: Vec<_> = second.names().map(|(_, _, was_kept)| was_kept).collect();
        assert_eq!(kept, [true, true, false], "the third stands on another port");
        // Nobody else may stand where one is kept.
        assert!(Listeners::open(&there, Kept::default()).is_err());
    }

    #[test]
    fn each_name_is_asked_for_once() {
        let mut asked = Vec::new();
        let kept = Kept::find(|name| {
            asked.push(name);
            Ok::<_, Infallible>(None)
        });
        assert!(kept.unwrap().0.is_empty());
        assert_eq!(asked, ["gateway-mutual", "gateway-claim", "gateway-plain"]);
    }
}
