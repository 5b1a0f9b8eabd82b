//! A packet from the TUN as the packets that travel: one, or the segments of a super-packet, each written
//! straight into the room where it will be sealed. Pure; borrows the packet for one turn.

use crate::drops::DropReason;
use crate::packet::{
    IPV4_HEADER, PROTOCOL_TCP, PROTOCOL_UDP, TCP_CWR, TCP_FIN, TCP_PUSH, TCP_SUM_AT, UDP_HEADER, UDP_SUM_AT,
    be16, be32, fold, pseudo, put_header_sum, put16, put32, sum, tcp_headers, transport,
};
use crate::virtio::Offload;

/// The kernel's own bound on the segments of one super-packet; what claims more is not from the kernel.
const SEGMENTS_MAX: usize = 1024;

pub struct Split<'a> {
    packet: &'a [u8],
    offload: Offload,
    /// Length of all headers, which every segment repeats.
    headers: usize,
    segment: usize,
}

impl<'a> Split<'a> {
    /// `packet` is an IPv4 packet that has been found whole.
    pub fn new(packet: &'a [u8], offload: Offload) -> Result<Self, DropReason> {
        let (headers, segment) = match offload {
            Offload::None => (packet.len(), 0),
            Offload::Sum { start, at } if start + at + 2 <= packet.len() && start >= IPV4_HEADER => {
                (packet.len(), 0)
            }
            Offload::Sum { .. } => return Err(DropReason::OutMalformed),
            Offload::Tcp { segment } => (tcp_headers(packet).ok_or(DropReason::OutMalformed)?, segment),
            Offload::Udp { segment } if transport(packet) == Some(PROTOCOL_UDP) => {
                (IPV4_HEADER + UDP_HEADER, segment)
            }
            Offload::Udp { .. } => return Err(DropReason::OutMalformed),
        };
        let split = Self { packet, offload, headers, segment };
        if headers > packet.len() || split.count() > SEGMENTS_MAX {
            return Err(DropReason::OutMalformed);
        }
        Ok(split)
    }

    pub fn count(&self) -> usize {
        match self.segment {
            0 => 1,
            segment => (self.packet.len() - self.headers).div_ceil(segment).max(1),
        }
    }

    /// Length of the longest packet that comes out.
    pub fn longest(&self) -> usize {
        match self.segment {
            0 => self.packet.len(),
            segment => (self.headers + segment).min(self.packet.len()),
        }
    }

    /// Writes packet number `index`, whole and summed; `room` holds at least `longest`.
    pub fn write(&self, index: usize, room: &mut [u8]) -> usize {
        match self.offload {
            Offload::None => {
                room[..self.packet.len()].copy_from_slice(self.packet);
                self.packet.len()
            }
            Offload::Sum { start, at } => {
                let packet = &mut room[..self.packet.len()];
                packet.copy_from_slice(self.packet);
                // The place of the sum holds the pseudo header's.
                let whole = !fold(sum(&packet[start..]));
                let udp = packet[9] == PROTOCOL_UDP;
                put16(packet, start + at, if udp && whole == 0 { 0xffff } else { whole });
                packet.len()
            }
            Offload::Tcp { .. } => self.write_tcp(index, room),
            Offload::Udp { .. } => self.write_udp(index, room),
        }
    }

    fn write_tcp(&self, index: usize, room: &mut [u8]) -> usize {
        let (packet, offset) = self.copy(index, room);
        let last = index + 1 == self.count();
        let tcp = &mut packet[IPV4_HEADER..];
        put32(tcp, 4, be32(self.packet, IPV4_HEADER + 4).wrapping_add(offset as u32));
        if !last {
            tcp[13] &= !(TCP_FIN | TCP_PUSH);
        }
        if index > 0 {
            tcp[13] &= !TCP_CWR;
        }
        put_sum(packet, PROTOCOL_TCP, TCP_SUM_AT);
        packet.len()
    }

    fn write_udp(&self, index: usize, room: &mut [u8]) -> usize {
        let (packet, _) = self.copy(index, room);
        let len = (packet.len() - IPV4_HEADER) as u16;
        put16(packet, IPV4_HEADER + 4, len);
        put_sum(packet, PROTOCOL_UDP, UDP_SUM_AT);
        packet.len()
    }

    /// Headers and the segment's share; the IPv4 header is right afterwards.
    fn copy<'r>(&self, index: usize, room: &'r mut [u8]) -> (&'r mut [u8], usize) {
        let offset = index * self.segment;
        let from = self.headers + offset;
        let share = &self.packet[from..(from + self.segment).min(self.packet.len())];
        let packet = &mut room[..self.headers + share.len()];
        packet[..self.headers].copy_from_slice(&self.packet[..self.headers]);
        packet[self.headers..].copy_from_slice(share);
        put16(packet, 2, packet.len() as u16);
        put16(packet, 4, be16(self.packet, 4).wrapping_add(index as u16));
        put_header_sum(packet);
        (packet, offset)
    }
}

fn put_sum(packet: &mut [u8], protocol: u8, at: usize) {
    put16(packet, IPV4_HEADER + at, 0);
    let body = &packet[IPV4_HEADER..];
    let whole = !fold(pseudo(packet, protocol, body.len()) + sum(body));
    put16(packet, IPV4_HEADER + at, if protocol == PROTOCOL_UDP && whole == 0 { 0xffff } else { whole });
}
