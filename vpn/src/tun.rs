//! The TUN device: where opened packets enter the kernel. An edge; owns the descriptor, and the interface
//! with its addresses and routes disappears with it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use tun_rs::{DeviceBuilder, SyncDevice};

use crate::address::{AddressPlan, TUNNEL_MTU};
use crate::batch::BATCH_MAX;
use crate::links::Links;

/// Room for one packet and a byte more, so that a longer one is seen to be longer.
const PACKET_ROOM: usize = TUNNEL_MTU as usize + 1;

/// Each gateway address is a host of its own; the networks behind are routes.
const HOST_PREFIX: u8 = 32;

pub struct TunDevice {
    device: SyncDevice,
    buffer: Vec<[u8; PACKET_ROOM]>,
    lengths: Vec<usize>,
}

impl TunDevice {
    /// Makes the interface, with both gateway addresses and a route for every series.
    pub fn open(name: &str, plan: &AddressPlan) -> io::Result<Self> {
        let device = DeviceBuilder::new().name(name).mtu(TUNNEL_MTU).enable(true).build_sync()?;
        device.set_nonblocking(true)?;
        let links = Links::open(device.if_index()?)?;
        for address in [plan.gateway(), plan.gateway_open()] {
            links.add_address(address, HOST_PREFIX)?;
        }
        for (network, prefix) in plan.networks() {
            links.add_route(network, prefix)?;
        }
        Ok(Self { device, buffer: vec![[0; PACKET_ROOM]; BATCH_MAX], lengths: Vec::with_capacity(BATCH_MAX) })
    }

    /// Takes at most a batch of what is waiting.
    pub fn receive(&mut self) -> io::Result<Vec<&[u8]>> {
        self.lengths.clear();
        while let Some(room) = self.buffer.get_mut(self.lengths.len()) {
            match self.device.recv(room) {
                Ok(len) => self.lengths.push(len),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(self.buffer.iter().zip(&self.lengths).map(|(packet, len)| &packet[..*len]).collect())
    }

    /// `false` when the kernel had no room; the packet is lost, as on any network.
    pub fn send(&self, packet: &[u8]) -> bool {
        self.device.send(packet).is_ok()
    }
}

impl AsFd for TunDevice {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}
