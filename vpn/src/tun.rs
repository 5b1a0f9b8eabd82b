//! The TUN device: where opened packets enter the kernel. An edge; owns the descriptor, and the interface
//! with its addresses and routes disappears with it.
//!
//! With offload every packet has ten bytes before it (`virtio`), and one read or write may carry many
//! segments of a flow. tun-rs makes the device; reading and writing are plain calls, so that nothing is copied.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use tun_rs::DeviceBuilder;

use crate::address::{AddressPlan, TUNNEL_MTU};
use crate::links::Links;
use crate::virtio::{Offload, VIRTIO_LEN, decode};

/// The longest IPv4 packet, and a byte more, so that a longer one is seen to be longer.
const PACKET_ROOM: usize = VIRTIO_LEN + 65_536;

/// Each gateway address is a host of its own; the networks behind are routes.
const HOST_PREFIX: u8 = 32;

pub struct TunDevice {
    device: OwnedFd,
    /// The kernel puts ten bytes before every packet.
    offload: bool,
    udp_offload: bool,
    buffer: Vec<u8>,
    pieces: Vec<IoSlice<'static>>,
}

impl TunDevice {
    /// Makes the interface, with both gateway addresses and a route for every series.
    pub fn open(name: &str, plan: &AddressPlan) -> io::Result<Self> {
        let tun = match Self::make(DeviceBuilder::new().name(name).mtu(TUNNEL_MTU).enable(true), true) {
            // A kernel without offload for TUN serves all the same, slower.
            Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
                Self::make(DeviceBuilder::new().name(name).mtu(TUNNEL_MTU).enable(true), false)?
            }
            made => made?,
        };
        let (tun, index) = tun;
        let links = Links::open(index)?;
        for address in [plan.gateway(), plan.gateway_open()] {
            links.add_address(address, HOST_PREFIX)?;
        }
        for (network, prefix) in plan.networks() {
            links.add_route(network, prefix)?;
        }
        Ok(tun)
    }

    /// Makes the interface and nothing more: its addresses, MTU and state are the engineer's.
    pub fn bare(name: &str, offload: bool) -> io::Result<Self> {
        Self::make(DeviceBuilder::new().name(name).enable(false), offload).map(|(tun, _)| tun)
    }

    /// A predecessor's device, with its addresses, its routes and whatever waits in it; the flags are what
    /// the predecessor's `offload` and `udp_offload` said.
    pub fn inherit(device: OwnedFd, offload: bool, udp_offload: bool) -> Self {
        Self { device, offload, udp_offload, buffer: vec![0; PACKET_ROOM], pieces: Vec::new() }
    }

    /// The device and the number of its interface.
    fn make(builder: DeviceBuilder, offload: bool) -> io::Result<(Self, u32)> {
        let device = builder.offload(offload).build_sync()?;
        device.set_nonblocking(true)?;
        let udp_offload = offload && device.udp_gso();
        let descriptor = device.as_fd().try_clone_to_owned()?;
        Ok((Self::inherit(descriptor, offload, udp_offload), device.if_index()?))
    }

    /// Does the kernel take and give super-packets of TCP?
    pub fn offload(&self) -> bool {
        self.offload
    }

    /// And of UDP (Linux 6.2)?
    pub fn udp_offload(&self) -> bool {
        self.udp_offload
    }

    /// The next packet; `Ok(None)` when none is waiting.
    pub fn receive(&mut self) -> io::Result<Option<(&mut [u8], Offload)>> {
        loop {
            let len = match rustix::io::read(&self.device, &mut self.buffer[..]) {
                Ok(len) => len,
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            if !self.offload {
                return Ok(Some((&mut self.buffer[..len], Offload::None)));
            }
            let Some(Some(offload)) = self.buffer[..len].first_chunk().map(decode) else { continue };
            return Ok(Some((&mut self.buffer[VIRTIO_LEN..len], offload)));
        }
    }

    /// `false` when the kernel had no room; the packet is lost, as on any network.
    pub fn send<'a>(&mut self, header: &'a [u8; VIRTIO_LEN], packet: impl Iterator<Item = &'a [u8]>) -> bool {
        let mut pieces = reuse(std::mem::take(&mut self.pieces));
        if self.offload {
            pieces.push(IoSlice::new(header));
        }
        pieces.extend(packet.map(IoSlice::new));
        let sent = loop {
            match rustix::io::writev(&self.device, &pieces) {
                Err(Errno::INTR) => {}
                written => break written.is_ok(),
            }
        };
        self.pieces = reuse(pieces);
        sent
    }
}

/// An empty list with the room of another: what it borrowed is no matter.
fn reuse<'a>(mut list: Vec<IoSlice<'_>>) -> Vec<IoSlice<'a>> {
    list.clear();
    list.into_iter().map(|_| IoSlice::new(&[])).collect()
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
