//! The proof of what was given up: it is tried, and succeeding is a failure. An edge file; the sockets it
//! makes for that are gone when it returns.

use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::net::UnixStream;

use rustix::net::{AddressFamily, SocketType, ipproto, sockopt};
use rustix::thread::CapabilitySet;

use super::{Jail, JailError};
use crate::process::Family;

/// Where the kernel says from which port on everybody may listen.
const FREE_PORTS: &str = "/proc/sys/net/ipv4/ip_unprivileged_port_start";
/// Below every port that a service would use.
const PORT: u16 = 1;
/// Forcing a buffer past its limit is what CAP_NET_ADMIN allows on any socket.
const FORCED: usize = 1 << 12;

/// While sockets can still be made.
pub fn capabilities(net_admin: bool) -> Result<(), JailError> {
    let wanted = if net_admin { CapabilitySet::NET_ADMIN } else { CapabilitySet::empty() };
    let failed = |error: std::io::Error| JailError::Capabilities(error);
    let now = rustix::thread::capabilities(None).map_err(|error| failed(error.into()))?;
    let rest = (now.effective | now.permitted | now.inheritable) - wanted;
    if !rest.is_empty() {
        let names: Vec<&str> = rest.iter_names().map(|(name, _)| name).collect();
        return Err(JailError::NotGivenUp(names.join(" ")));
    }
    let (socket, _other) = UnixStream::pair().map_err(failed)?;
    if !net_admin && sockopt::set_socket_recv_buffer_size_force(&socket, FORCED).is_ok() {
        return Err(JailError::NotGivenUp("CAP_NET_ADMIN".to_owned()));
    }
    let free = std::fs::read_to_string(FREE_PORTS).ok().and_then(|text| text.trim().parse::<u16>().ok());
    // On a machine that frees all ports, listening there proves nothing.
    let guarded = free.is_none_or(|first| first > PORT);
    if guarded && TcpListener::bind((Ipv4Addr::LOCALHOST, PORT)).is_ok() {
        return Err(JailError::NotGivenUp("CAP_NET_BIND_SERVICE".to_owned()));
    }
    Ok(())
}

/// Inside the filter: the calls answer with a refusal.
pub fn calls(jail: &Jail) -> Result<(), JailError> {
    if rustix::process::pivot_root("/", "/") != Err(rustix::io::Errno::PERM) {
        return Err(JailError::NotGivenUp("pivot_root".to_owned()));
    }
    let internet = jail.sockets.contains(&Family::Internet);
    for (allowed, family) in [
        (internet, AddressFamily::INET),
        (internet, AddressFamily::INET6),
        (jail.sockets.contains(&Family::Netlink), AddressFamily::NETLINK),
        (false, AddressFamily::PACKET),
    ] {
        if !allowed && rustix::net::socket(family, SocketType::DGRAM, None).is_ok() {
            return Err(JailError::NotGivenUp(format!("sockets of family {}", family.as_raw())));
        }
    }
    // Where a kernel lacks one of these, the filter's answer comes before the kernel's.
    for (kind, protocol) in [
        (SocketType::STREAM, Some(ipproto::MPTCP)),
        (SocketType::STREAM, Some(ipproto::SCTP)),
        (SocketType::SEQPACKET, None),
        (SocketType::RAW, Some(ipproto::ICMP)),
    ] {
        let made = rustix::net::socket(AddressFamily::INET, kind, protocol);
        if made.err() != Some(rustix::io::Errno::PERM) {
            return Err(JailError::NotGivenUp(format!(
                "internet sockets of another kind ({kind:?}, {protocol:?})"
            )));
        }
    }
    Ok(())
}
