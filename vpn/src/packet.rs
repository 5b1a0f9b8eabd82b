//! IPv4, TCP and UDP headers as far as the data plane reads and mends them: lengths, sums, the MSS.
//! Owns no state; pure functions over bytes. IPv4 without options only; everything else passes by untouched.

/// A header without options; options (source routes, record route) have no place in a tunnel.
pub const IPV4_HEADER: usize = 20;
pub const VERSION_AND_LENGTH: u8 = 0x45;
pub const UDP_HEADER: usize = 8;
pub const TCP_HEADER: usize = 20;

pub const PROTOCOL_TCP: u8 = 6;
pub const PROTOCOL_UDP: u8 = 17;

/// Where TCP and UDP keep their sum, from the start of their header.
pub const TCP_SUM_AT: usize = 16;
pub const UDP_SUM_AT: usize = 6;

pub const TCP_FIN: u8 = 0x01;
pub const TCP_SYN: u8 = 0x02;
pub const TCP_PUSH: u8 = 0x08;
pub const TCP_ACK: u8 = 0x10;
pub const TCP_CWR: u8 = 0x80;

const OPTION_END: u8 = 0;
const OPTION_NOP: u8 = 1;
const OPTION_MSS: u8 = 2;
const OPTION_MSS_LEN: usize = 4;

/// MF or an offset: a part of a packet.
const FRAGMENT: u16 = 0x3fff;

/// What protocol a whole, unfragmented IPv4 packet without options carries.
pub fn transport(packet: &[u8]) -> Option<u8> {
    let whole = packet.len() >= IPV4_HEADER
        && packet[0] == VERSION_AND_LENGTH
        && be16(packet, 6) & FRAGMENT == 0
        && usize::from(be16(packet, 2)) == packet.len();
    whole.then(|| packet[9])
}

/// Length of IPv4 and TCP header together; `None` when it is no TCP packet that is all there.
pub fn tcp_headers(packet: &[u8]) -> Option<usize> {
    if transport(packet)? != PROTOCOL_TCP || packet.len() < IPV4_HEADER + TCP_HEADER {
        return None;
    }
    let headers = IPV4_HEADER + usize::from(packet[IPV4_HEADER + 12] >> 4) * 4;
    (headers >= IPV4_HEADER + TCP_HEADER && headers <= packet.len()).then_some(headers)
}

pub fn be16(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

pub fn put16(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

pub fn put32(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
}

/// The ones' complement sum of `bytes`, not yet folded. Four words a step: the sum does not mind in which
/// order and at which width it is taken.
pub fn sum(bytes: &[u8]) -> u64 {
    let (chunks, rest) = bytes.as_chunks::<16>();
    let mut lanes = [0u64; 4];
    for chunk in chunks {
        for (lane, word) in lanes.iter_mut().zip(chunk.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut total: u64 = lanes.iter().sum();
    let (words, odd) = rest.as_chunks::<2>();
    total += words.iter().map(|word| u64::from(u16::from_ne_bytes(*word))).sum::<u64>();
    total + odd.first().map_or(0, |byte| u64::from(u16::from_ne_bytes([*byte, 0])))
}

/// Folds a sum to 16 bits, in network order as `put16` writes it.
pub fn fold(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::from_be(sum as u16)
}

/// A value in network order, as a part of a sum.
pub fn part(value: u16) -> u64 {
    u64::from(value.to_be())
}

/// Source, destination, protocol and length, as TCP and UDP sum them.
pub fn pseudo(packet: &[u8], protocol: u8, len: usize) -> u64 {
    sum(&packet[12..20]) + part(u16::from(protocol)) + part(len as u16)
}

/// Is the transport's sum right? A UDP sum of zero means that there is none.
pub fn transport_sum_holds(packet: &[u8], protocol: u8) -> bool {
    let body = &packet[IPV4_HEADER..];
    fold(pseudo(packet, protocol, body.len()) + sum(body)) == 0xffff
}

/// Writes the sum of the IPv4 header.
pub fn put_header_sum(packet: &mut [u8]) {
    put16(packet, 10, 0);
    let sum = !fold(sum(&packet[..IPV4_HEADER]));
    put16(packet, 10, sum);
}

/// Lowers the MSS that a SYN announces. `summed` says that the packet carries a whole TCP sum, which is
/// then kept right; a packet whose sum the kernel left to us is summed later.
pub fn clamp_mss(packet: &mut [u8], mss: u16, summed: bool) {
    let Some(headers) = tcp_headers(packet) else { return };
    if packet[IPV4_HEADER + 13] & TCP_SYN == 0 {
        return;
    }
    let mut at = IPV4_HEADER + TCP_HEADER;
    while at < headers {
        let len = match packet[at] {
            OPTION_END => return,
            OPTION_NOP => 1,
            _ => match packet.get(at + 1) {
                Some(len) if *len >= 2 && at + usize::from(*len) <= headers => usize::from(*len),
                _ => return,
            },
        };
        if packet[at] == OPTION_MSS && len == OPTION_MSS_LEN && be16(packet, at + 2) > mss {
            put_summed(packet, at + 2, mss, summed.then_some(IPV4_HEADER + TCP_SUM_AT));
        }
        at += len;
    }
}

/// Changes two bytes and the sum over them (RFC 1624). An odd place turns the bytes' weight round.
fn put_summed(packet: &mut [u8], at: usize, value: u16, sum_at: Option<usize>) {
    let old = be16(packet, at);
    put16(packet, at, value);
    if let Some(sum_at) = sum_at {
        let turn = |value: u16| if at.is_multiple_of(2) { value } else { value.swap_bytes() };
        let held = !be16(packet, sum_at);
        put16(packet, sum_at, !fold(part(held) + part(!turn(old)) + part(turn(value))));
    }
}

#[cfg(test)]
pub mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A TCP segment with right sums; `options` are padded to words.
    pub fn tcp(
        from: [u8; 4],
        to: [u8; 4],
        flags: u8,
        sequence: u32,
        options: &[u8],
        payload: &[u8],
    ) -> Vec<u8> {
        let words = options.len().div_ceil(4);
        let headers = IPV4_HEADER + TCP_HEADER + words * 4;
        let mut packet = vec![0; headers + payload.len()];
        ip(&mut packet, PROTOCOL_TCP, from, to);
        let body = &mut packet[IPV4_HEADER..];
        put16(body, 0, 40_000);
        put16(body, 2, 443);
        put32(body, 4, sequence);
        put32(body, 8, 77);
        body[12] = ((5 + words) << 4) as u8;
        body[13] = flags;
        put16(body, 14, 500);
        body[TCP_HEADER..TCP_HEADER + options.len()].copy_from_slice(options);
        packet[headers..].copy_from_slice(payload);
        put_transport_sum(&mut packet, PROTOCOL_TCP, TCP_SUM_AT);
        packet
    }

    pub fn udp(from: [u8; 4], to: [u8; 4], payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV4_HEADER + UDP_HEADER + payload.len()];
        ip(&mut packet, PROTOCOL_UDP, from, to);
        let len = (UDP_HEADER + payload.len()) as u16;
        put16(&mut packet, 20, 5_000);
        put16(&mut packet, 22, 53);
        put16(&mut packet, 24, len);
        packet[28..].copy_from_slice(payload);
        put_transport_sum(&mut packet, PROTOCOL_UDP, UDP_SUM_AT);
        packet
    }

    fn ip(packet: &mut [u8], protocol: u8, from: [u8; 4], to: [u8; 4]) {
        packet[0] = VERSION_AND_LENGTH;
        put16(packet, 2, packet.len() as u16);
        put16(packet, 6, 0x4000);
        packet[8] = 64;
        packet[9] = protocol;
        packet[12..16].copy_from_slice(&from);
        packet[16..20].copy_from_slice(&to);
        put_header_sum(packet);
    }

    fn put_transport_sum(packet: &mut [u8], protocol: u8, at: usize) {
        let sum = pseudo(packet, protocol, packet.len() - IPV4_HEADER) + sum(&packet[IPV4_HEADER..]);
        put16(packet, IPV4_HEADER + at, !fold(sum));
    }

    #[test]
    fn a_syn_announces_at_most_our_mss_and_its_sum_stays_right() {
        let table: [(&[u8], &[u8]); 5] = [
            (&[2, 4, 0x05, 0xb4], &[2, 4, 0x04, 0x88]),
            (&[2, 4, 0x02, 0x00], &[2, 4, 0x02, 0x00]),
            (&[1, 2, 4, 0x05, 0xb4, 0, 0, 0], &[1, 2, 4, 0x04, 0x88, 0, 0, 0]),
            (&[0, 0, 0, 0, 2, 4, 0x05, 0xb4], &[0, 0, 0, 0, 2, 4, 0x05, 0xb4]),
            (&[3, 0, 2, 4, 0x05, 0xb4, 0, 0], &[3, 0, 2, 4, 0x05, 0xb4, 0, 0]),
        ];
        for (announced, expected) in table {
            let mut packet = tcp([10, 0, 0, 1], [10, 0, 0, 2], TCP_SYN, 1, announced, &[]);
            clamp_mss(&mut packet, 1160, true);
            assert_eq!(&packet[40..40 + expected.len()], expected);
            assert!(transport_sum_holds(&packet, PROTOCOL_TCP), "{announced:?}");
        }
        let mut data = tcp([10, 0, 0, 1], [10, 0, 0, 2], TCP_ACK, 1, &[2, 4, 5, 0xb4], b"x");
        let before = data.clone();
        clamp_mss(&mut data, 1160, true);
        assert_eq!(data, before, "only a SYN announces");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_wide_sum_is_the_sum_of_the_words(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let slow: u64 = bytes.chunks(2).map(|c| u64::from(c[0]) << 8 | u64::from(*c.get(1).unwrap_or(&0))).sum();
            let mut folded = slow;
            while folded >> 16 != 0 { folded = (folded & 0xffff) + (folded >> 16); }
            prop_assert_eq!(fold(sum(&bytes)), folded as u16);
        }

        #[test]
        fn attacker_no_bytes_make_the_clamp_fall(bytes in prop::collection::vec(any::<u8>(), 0..120), plausible in any::<bool>()) {
            let mut bytes = bytes;
            if plausible && bytes.len() > 40 {
                let len = bytes.len() as u16;
                bytes[0] = VERSION_AND_LENGTH;
                put16(&mut bytes, 2, len);
                put16(&mut bytes, 6, 0);
                bytes[9] = PROTOCOL_TCP;
                bytes[33] = TCP_SYN;
            }
            clamp_mss(&mut bytes, 1160, true);
        }
    }
}
