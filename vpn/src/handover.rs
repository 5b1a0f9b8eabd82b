//! A planned restart: what one process lets go of and the next takes up without a device noticing. An edge
//! (descriptors, the monotonic clock); owns them until they are taken. The TUN with its addresses, the
//! sockets with whatever waits in them, and the sessions (`kept`); the seats come from the snapshot.
//!
//! ```text
//! Room::release --> Handover --(the same machine, another process)--> open_from --> Room
//! ```
//! Meanwhile the kernel keeps what arrives: 4 MiB per socket, 500 packets in the TUN.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use zeroize::Zeroizing;

use crate::kept::{Kept, KeptTunnel};
use crate::plane::Plane;
use crate::receiver::Receivers;
use crate::server::{self, Released};
use crate::shaker::Shaker;
use crate::tun::TunDevice;
use crate::udp::UdpListener;

/// What a successor needs.
pub struct Handover {
    /// Session keys: for memory only, never for a disk.
    pub state: Zeroizing<Vec<u8>>,
    pub tun: OwnedFd,
    /// In the order that the state counts them.
    pub sockets: Vec<OwnedFd>,
}

/// A handover that is whole and meant for this configuration.
pub(crate) struct Heirloom {
    pub tun: TunDevice,
    pub sockets: Vec<UdpListener>,
    pub receivers: Receivers,
    kept: Kept,
}

impl Handover {
    pub(crate) fn of(released: &Released, interface: &str) -> std::io::Result<Self> {
        let Released { plane, shaker, tun, sockets } = released;
        let kept = Kept {
            at: monotonic(),
            receivers: plane.receivers().keep(),
            interface: interface.to_owned(),
            tun_offload: tun.offload(),
            tun_udp_offload: tun.udp_offload(),
            listen: sockets.iter().map(UdpListener::local).collect(),
            tunnels: plane.keep(server::now()),
            keys: shaker.keep(),
        };
        Ok(Self {
            state: kept.write(),
            tun: tun.as_fd().try_clone_to_owned()?,
            sockets: sockets.iter().map(|s| s.as_fd().try_clone_to_owned()).collect::<Result<_, _>>()?,
        })
    }

    /// `Err` says why it is of no use; then everything is opened anew, and devices shake hands again.
    pub(crate) fn take(self, listen: &[SocketAddr], interface: &str) -> Result<Heirloom, String> {
        let mut kept = Kept::read(&self.state).map_err(|torn| torn.to_string())?;
        if kept.interface != interface {
            return Err(format!("it is of the interface {}", kept.interface));
        }
        if kept.listen.len() != self.sockets.len() {
            return Err(format!("{} sockets of {}", self.sockets.len(), kept.listen.len()));
        }
        if kept.listen.len() != listen.len() || !listen.iter().all(|local| kept.listen.contains(local)) {
            return Err("it listens elsewhere".to_owned());
        }
        let sockets = self.sockets.into_iter().map(UdpListener::inherit).collect::<Result<Vec<_>, _>>();
        let sockets = sockets.map_err(|error| error.to_string())?;
        if !sockets.iter().map(UdpListener::local).eq(kept.listen.iter().copied()) {
            return Err("its sockets are not those that it names".to_owned());
        }
        // Between the two processes the sessions have grown older.
        let passed = monotonic().saturating_sub(kept.at);
        kept.tunnels.iter_mut().for_each(|tunnel| grow_older(tunnel, passed));
        let tun = TunDevice::inherit(self.tun, kept.tun_offload, kept.tun_udp_offload);
        Ok(Heirloom { tun, sockets, receivers: Receivers::new(kept.receivers), kept })
    }
}

impl Heirloom {
    pub fn tunnels(&self) -> usize {
        self.kept.tunnels.len()
    }

    /// The seats must sit already: sessions go to whoever still has a seat.
    pub fn resume(self, plane: &mut Plane, shaker: &mut Shaker) -> (TunDevice, Vec<UdpListener>) {
        plane.resume(server::now(), self.kept.tunnels);
        plane.poll_changes().into_iter().for_each(|change| shaker.handle_change(change));
        shaker.resume(self.kept.keys);
        (self.tun, self.sockets)
    }
}

fn grow_older(tunnel: &mut KeptTunnel, passed: Duration) {
    tunnel.sessions.iter_mut().flatten().for_each(|session| session.age = session.age.saturating_add(passed));
}

/// The machine's clock that no process sets and every process shares.
fn monotonic() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
