//! Split and gathered again: whatever a flow carries comes out whole, in order, and nothing is mixed.

use proptest::prelude::*;

use super::*;
use crate::drops::DropReason;
use crate::packet::tests::{tcp, udp};
use crate::packet::{TCP_FIN, TCP_SYN, put16, transport_sum_holds};
use crate::split::Split;
use crate::virtio::decode;

const A: [u8; 4] = [10, 18, 0, 142];
const B: [u8; 4] = [10, 18, 255, 1];

/// Packets through the coalescer, then through the split that the kernel would do.
fn round_trip(packets: &[Vec<u8>]) -> (usize, Vec<Vec<u8>>) {
    let (mut arena, mut coalescer) = (Vec::new(), Coalescer::default());
    let places: Vec<_> = packets
        .iter()
        .map(|packet| {
            arena.extend([0; 16]);
            let at = arena.len();
            arena.extend(packet);
            at..arena.len()
        })
        .collect();
    for place in places {
        coalescer.add(&arena, place, true);
    }
    coalescer.finish(&mut arena);
    let mut out = Vec::new();
    for index in 0..coalescer.runs() {
        let (header, pieces) = coalescer.run(&arena, index);
        let whole: Vec<u8> = pieces.flatten().copied().collect();
        let split = Split::new(&whole, decode(&header).unwrap()).unwrap();
        for number in 0..split.count() {
            let mut room = vec![0; split.longest()];
            let len = split.write(number, &mut room);
            out.push(room[..len].to_vec());
        }
    }
    (coalescer.runs(), out)
}

/// The kernel numbers the packets of a super-packet itself; nobody minds which numbers.
fn unnumbered(mut packet: Vec<u8>) -> Vec<u8> {
    put16(&mut packet, 4, 0);
    put_header_sum(&mut packet);
    packet
}

fn segments(count: u32, len: usize) -> Vec<Vec<u8>> {
    let segment = |n: u32| tcp(A, B, TCP_ACK, 1000 + n * len as u32, &[], &vec![n as u8; len]);
    (0..count).map(segment).collect()
}

#[test]
fn a_stream_becomes_one_write_and_comes_apart_as_it_was() {
    let mut stream = segments(40, 1160);
    stream.push(tcp(A, B, TCP_ACK | TCP_PUSH, 1000 + 40 * 1160, &[], b"the end"));
    let (runs, out) = round_trip(&stream);
    assert_eq!(runs, 1);
    assert_eq!(out.into_iter().map(unnumbered).collect::<Vec<_>>(), stream);
}

#[test]
fn what_may_not_join_travels_alone_and_in_order() {
    let [first, second, third]: [Vec<u8>; 3] = segments(3, 100).try_into().unwrap();
    let gap = vec![first.clone(), third.clone()];
    let mut broken = second.clone();
    *broken.last_mut().unwrap() ^= 1;
    let fin = tcp(A, B, TCP_ACK | TCP_FIN, 1100, &[], b"x");
    let syn = tcp(A, B, TCP_SYN, 1100, &[], &[]);
    let short = tcp(A, B, TCP_ACK, 1100, &[], &[1; 99]);
    let after_short = tcp(A, B, TCP_ACK, 1199, &[], &[1; 99]);
    let pushed = tcp(A, B, TCP_ACK | TCP_PUSH, 1000, &[], &[0; 100]);
    let options = tcp(A, B, TCP_ACK, 1100, &[1, 1, 1, 1], &[1; 100]);
    let other = tcp(B, A, TCP_ACK, 1100, &[], &[1; 100]);
    let mut class = second.clone();
    class[1] = 0x10;
    put_header_sum(&mut class);
    let mut fragment = second.clone();
    put16(&mut fragment, 6, 0x2000);
    put_header_sum(&mut fragment);
    for (name, packets, runs) in [
        ("a gap", gap, 2),
        ("a broken sum", vec![first.clone(), broken], 2),
        ("the end of the stream", vec![first.clone(), fin, third.clone()], 3),
        ("a beginning", vec![first.clone(), syn], 2),
        ("a short one ends the run", vec![first.clone(), short, after_short], 2),
        ("a pushed one ends the run", vec![pushed, second.clone()], 2),
        ("other options", vec![first.clone(), options], 2),
        ("another flow between", vec![first.clone(), other, second.clone(), third.clone()], 2),
        ("another class of service", vec![first.clone(), class], 2),
        ("a fragment", vec![first.clone(), fragment], 2),
    ] {
        let (counted, out) = round_trip(&packets);
        assert_eq!(counted, runs, "{name}");
        let per_flow = |packets: &[Vec<u8>]| {
            let of = |source| {
                packets.iter().filter(|p| p[12..16] == source).cloned().map(unnumbered).collect::<Vec<_>>()
            };
            (of(A), of(B))
        };
        assert_eq!(per_flow(&out), per_flow(&packets), "{name}");
    }
}

#[test]
fn datagrams_of_one_length_join_up_to_what_the_kernel_takes() {
    let mut packets: Vec<_> = (0..70u8).map(|n| udp(A, B, &[n; 64])).collect();
    packets.push(udp(A, B, &[7; 10]));
    let (runs, out) = round_trip(&packets);
    assert_eq!(runs, 2);
    assert_eq!(out.into_iter().map(unnumbered).collect::<Vec<_>>(), packets);
    let mut unsummed = udp(A, B, &[1; 64]);
    put16(&mut unsummed, 26, 0);
    assert_eq!(round_trip(&[packets[0].clone(), unsummed]).0, 2, "without a sum it cannot be checked");
}

#[test]
fn attacker_a_super_packet_that_lies_about_its_parts_is_refused() {
    let packet = tcp(A, B, TCP_ACK, 1, &[], &[0; 5000]);
    let refused =
        |packet: &[u8], offload| Split::new(packet, offload).err() == Some(DropReason::OutMalformed);
    assert!(refused(&packet, Offload::Tcp { segment: 1 }), "5,000 segments");
    assert!(refused(&packet, Offload::Udp { segment: 100 }));
    assert!(refused(&packet, Offload::Sum { start: 5039, at: 6 }));
    assert!(refused(&packet, Offload::Sum { start: 0, at: 6 }));
    assert!(refused(&packet[..30], Offload::Tcp { segment: 100 }));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Several flows, any lengths, losses and pushes: each flow's packets come out as they went in.
    #[test]
    fn no_flow_is_changed_or_reordered(
        steps in prop::collection::vec((0u8..3, 1usize..1200, any::<bool>(), 0u8..10), 1..60),
    ) {
        let mut next = [100u32; 3];
        let packets: Vec<_> = steps.iter().map(|(flow, len, push, luck)| {
            let from = [10, 18, 0, 100 + flow];
            let len = if *luck < 7 { 700 } else { *len };
            if *luck == 9 { next[usize::from(*flow)] += 1; }
            let sequence = next[usize::from(*flow)];
            next[usize::from(*flow)] += len as u32;
            let flags = if *push && *luck > 5 { TCP_ACK | TCP_PUSH } else { TCP_ACK };
            if *luck == 8 { udp(from, B, &vec![*flow; len]) } else { tcp(from, B, flags, sequence, &[], &vec![*flow; len]) }
        }).collect();
        let (_, out) = round_trip(&packets);
        for flow in 0..3u8 {
            for protocol in [PROTOCOL_TCP, PROTOCOL_UDP] {
                let of = |packets: &[Vec<u8>]| packets.iter()
                    .filter(|p| p[15] == 100 + flow && p[9] == protocol).cloned().map(unnumbered).collect::<Vec<_>>();
                prop_assert_eq!(of(&out), of(&packets));
            }
        }
        prop_assert!(out.iter().all(|packet| transport_sum_holds(packet, packet[9])));
    }
}
