//! The inner packet: which IPv4 packets may pass a tunnel, and in which direction.
//! Owns no state; pure.

use std::net::Ipv4Addr;

use crate::addressing::{Addressing, Reach};
use crate::drops::DropReason;
use crate::packet::{IPV4_HEADER, VERSION_AND_LENGTH};

/// From a device: its own address to the gateway, nothing else. Answers the packet's own length.
pub fn check_inbound(
    addressing: &Addressing,
    packet: &[u8],
    own: Ipv4Addr,
    reach: Reach,
) -> Result<usize, DropReason> {
    let (source, destination, len) = header(packet).ok_or(DropReason::InnerMalformed)?;
    if len > addressing.packet_max() {
        return Err(DropReason::InnerOversize);
    }
    if source != own {
        return Err(DropReason::InnerSource);
    }
    if reach.contains(destination) {
        return Ok(len);
    }
    match addressing.seat_of(destination) {
        Some(_) => Err(DropReason::DeviceToDevice),
        None => Err(DropReason::InnerDestination),
    }
}

/// From the gateway: to whom? `longest` is the longest packet that will travel, of a super-packet its segments'.
pub fn outbound_destination(
    addressing: &Addressing,
    packet: &[u8],
    longest: usize,
) -> Result<Ipv4Addr, DropReason> {
    let (_, destination, len) = header(packet).ok_or(DropReason::OutMalformed)?;
    if longest > addressing.packet_max() || len != packet.len() {
        return Err(DropReason::OutOversize);
    }
    Ok(destination)
}

/// From the gateway: may this source speak to such a seat?
pub fn check_outbound(packet: &[u8], reach: Reach) -> Result<(), DropReason> {
    match header(packet) {
        Some((source, _, _)) if reach.contains(source) => Ok(()),
        _ => Err(DropReason::OutSource),
    }
}

/// Source, destination and total length of an IPv4 packet without options that is all there.
fn header(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr, usize)> {
    let header: &[u8; IPV4_HEADER] = packet.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let whole = header[0] == VERSION_AND_LENGTH && len >= IPV4_HEADER && len <= packet.len();
    let address = |at: usize| Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]);
    whole.then(|| (address(12), address(16), len))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::address::AddressPlan;
    use crate::slot::{SeatClass, Series};

    fn plan() -> Addressing {
        Addressing::Realm(AddressPlan::new(10, vec![(Series::parse("18").unwrap(), 18)]).unwrap())
    }

    fn packet(from: &str, to: &str, len: usize) -> Vec<u8> {
        let mut packet = vec![0; len];
        packet[0] = VERSION_AND_LENGTH;
        packet[2..4].copy_from_slice(&(len as u16).to_be_bytes());
        packet[12..16].copy_from_slice(&from.parse::<Ipv4Addr>().unwrap().octets());
        packet[16..20].copy_from_slice(&to.parse::<Ipv4Addr>().unwrap().octets());
        packet
    }

    #[test]
    fn what_each_class_reaches_from_its_own_address() {
        use DropReason::{DeviceToDevice, InnerDestination, InnerSource};
        use SeatClass::{Active, ActiveMeetings, Enrolling, Leaving};
        let table = [
            (Active, "10.18.0.142", "10.18.255.1", None),
            (Active, "10.18.0.142", "10.18.255.2", None),
            (ActiveMeetings, "10.18.0.142", "10.18.255.1", None),
            (Enrolling, "10.18.0.142", "10.18.255.2", None),
            (Enrolling, "10.18.0.142", "10.18.255.1", Some(InnerDestination)),
            (Leaving, "10.18.0.142", "10.18.255.2", None),
            (Leaving, "10.18.0.142", "10.18.255.1", Some(InnerDestination)),
            (Active, "10.18.0.143", "10.18.255.1", Some(InnerSource)),
            (Active, "10.18.100.142", "10.18.255.1", Some(InnerSource)),
            (Active, "10.18.255.1", "10.18.255.1", Some(InnerSource)),
            (Active, "10.18.0.142", "10.18.0.143", Some(DeviceToDevice)),
            (Active, "10.18.0.142", "10.18.100.143", Some(DeviceToDevice)),
            (Active, "10.18.0.142", "10.18.255.3", Some(InnerDestination)),
            (Active, "10.18.0.142", "192.0.2.1", Some(InnerDestination)),
            (Active, "10.18.0.142", "255.255.255.255", Some(InnerDestination)),
        ];
        for (class, from, to, refused) in table {
            let reach = plan().reach(class);
            let own = "10.18.0.142".parse().unwrap();
            let verdict = check_inbound(&plan(), &packet(from, to, 40), own, reach);
            assert_eq!(verdict.err(), refused, "{class} {from} -> {to}");
        }
    }

    #[test]
    fn the_gateway_answers_only_from_what_the_class_may_reach() {
        let reach = plan().reach(SeatClass::Enrolling);
        assert!(check_outbound(&packet("10.18.255.2", "10.18.100.142", 40), reach).is_ok());
        let mtls = packet("10.18.255.1", "10.18.100.142", 40);
        assert_eq!(check_outbound(&mtls, reach), Err(DropReason::OutSource));
        let long = packet("10.18.255.2", "10.18.100.142", 1281);
        assert_eq!(outbound_destination(&plan(), &long, 1281), Err(DropReason::OutOversize));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn attacker_whatever_bytes_arrive_only_own_address_to_gateway_passes(
            mut bytes in prop::collection::vec(any::<u8>(), 0..64), plausible in any::<bool>(),
        ) {
            if plausible && bytes.len() >= IPV4_HEADER {
                let template = packet("10.18.0.142", "10.18.255.2", bytes.len());
                bytes[..IPV4_HEADER].copy_from_slice(&template[..IPV4_HEADER]);
            }
            let own = "10.18.0.142".parse().unwrap();
            if let Ok(len) = check_inbound(&plan(), &bytes, own, plan().reach(SeatClass::Enrolling)) {
                prop_assert!(len <= bytes.len());
                prop_assert_eq!(&bytes[12..16], &own.octets());
                prop_assert_eq!(&bytes[16..20], &plan().plan().gateway_open().octets());
            }
        }
    }
}
