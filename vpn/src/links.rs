//! Addresses and routes of the TUN, asked of the kernel over rtnetlink: two messages, no program to run.
//! The rendering is pure; `Links` is the edge and owns one netlink socket while it works.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// NETLINK_ROUTE is protocol 0, the default.
const ROUTE: Option<rustix::net::Protocol> = None;

const RTM_NEWADDR: u16 = 20;
const RTM_NEWROUTE: u16 = 24;
const NLMSG_ERROR: u16 = 2;

/// REQUEST | ACK | REPLACE | CREATE: asking twice is not an error.
const FLAGS: u16 = 0x1 | 0x4 | 0x100 | 0x400;

const AF_INET: u8 = 2;
const HEADER_LEN: usize = 16;

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;

const TABLE_MAIN: u8 = 254;
const PROTOCOL_STATIC: u8 = 4;
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const TYPE_UNICAST: u8 = 1;

/// The kernel's configuration of one interface.
pub struct Links {
    socket: OwnedFd,
    interface: u32,
}

impl Links {
    pub fn open(interface: u32) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, ROUTE)?;
        Ok(Self { socket, interface })
    }

    pub fn add_address(&self, address: Ipv4Addr, prefix: u8) -> io::Result<()> {
        self.ask(&address_message(self.interface, address, prefix))
    }

    pub fn add_route(&self, network: Ipv4Addr, prefix: u8) -> io::Result<()> {
        self.ask(&route_message(self.interface, network, prefix))
    }

    fn ask(&self, message: &[u8]) -> io::Result<()> {
        send(&self.socket, message, SendFlags::empty())?;
        let mut answer = [0; 1024];
        let (len, _) = recv(&self.socket, &mut answer[..], RecvFlags::empty())?;
        acknowledged(&answer[..len])
    }
}

/// `ip address replace ADDRESS/PREFIX dev INTERFACE`
fn address_message(interface: u32, address: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut body = vec![AF_INET, prefix, 0, SCOPE_UNIVERSE];
    body.extend(interface.to_ne_bytes());
    attribute(&mut body, IFA_LOCAL, address.octets());
    attribute(&mut body, IFA_ADDRESS, address.octets());
    message(RTM_NEWADDR, &body)
}

/// `ip route replace NETWORK/PREFIX dev INTERFACE scope link`
fn route_message(interface: u32, network: Ipv4Addr, prefix: u8) -> Vec<u8> {
    let mut body =
        vec![AF_INET, prefix, 0, 0, TABLE_MAIN, PROTOCOL_STATIC, SCOPE_LINK, TYPE_UNICAST, 0, 0, 0, 0];
    attribute(&mut body, RTA_DST, network.octets());
    attribute(&mut body, RTA_OIF, interface.to_ne_bytes());
    message(RTM_NEWROUTE, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut message = Vec::with_capacity(HEADER_LEN + body.len());
    message.extend(((HEADER_LEN + body.len()) as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(FLAGS.to_ne_bytes());
    message.extend(1u32.to_ne_bytes()); // sequence: one question at a time
    message.extend(0u32.to_ne_bytes()); // from us, whoever we are
    message.extend(body);
    message
}

/// All our attributes carry four bytes, so nothing needs padding.
fn attribute(body: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    body.extend(8u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

/// The kernel answers every question with an error message, whose number is 0 when all is well.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer
        .get(HEADER_LEN..HEADER_LEN + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(io::Error::from_raw_os_error(-error)),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer is no acknowledgement")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_say_their_own_length_and_carry_the_address() {
        let address = Ipv4Addr::new(10, 18, 255, 1);
        for (message, len) in [(address_message(7, address, 32), 40), (route_message(7, address, 16), 44)] {
            assert_eq!(message.len(), len);
            assert_eq!(message[..4], (len as u32).to_ne_bytes());
            assert!(message.windows(4).any(|window| window == address.octets()));
        }
    }

    #[test]
    fn the_kernels_refusal_is_an_error_with_its_number() {
        let answer = |error: i32| {
            let mut answer = message(NLMSG_ERROR, &error.to_ne_bytes());
            answer.extend([0; 16]);
            answer
        };
        assert!(acknowledged(&answer(0)).is_ok());
        assert_eq!(acknowledged(&answer(-1)).unwrap_err().raw_os_error(), Some(1));
        assert!(acknowledged(&[]).is_err());
    }
}
