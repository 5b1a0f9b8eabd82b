//! Opened packets on their way into the TUN, gathered into runs of one flow that the kernel takes as one
//! super-packet. Owns only lists of ranges, reused from turn to turn; pure. The bytes stay where they were
//! opened: a run is written as a header and the payloads behind it, nothing is copied.
//!
//! The order within a flow is kept: whatever cannot join its flow's run ends that run.

use std::ops::Range;

use crate::packet::{
    IPV4_HEADER, PROTOCOL_TCP, PROTOCOL_UDP, TCP_ACK, TCP_PUSH, TCP_SUM_AT, UDP_HEADER, UDP_SUM_AT, be16,
    be32, fold, pseudo, put_header_sum, put16, tcp_headers, transport, transport_sum_holds,
};
use crate::virtio::{Offload, VIRTIO_LEN, encode};

/// Longest IPv4 packet.
const PACKET_MAX: usize = 65_535;

/// Parts of one run: as many as the kernel segments again (UDP_MAX_SEGMENTS; TCP fills 64 KiB before).
const PARTS_MAX: usize = 64;

/// Runs that may still grow; more flows than that in one turn are not worth a longer search.
const OPEN_MAX: usize = 8;

#[derive(Default)]
pub struct Coalescer {
    runs: Vec<Run>,
    /// Payloads behind the first packet of a run, each naming the next.
    parts: Vec<Part>,
    /// Runs that may still grow, oldest first.
    open: Vec<usize>,
}

struct Run {
    first: Range<usize>,
    flow: Option<Flow>,
    headers: usize,
    /// Payload of every packet but the last.
    segment: usize,
    len: usize,
    count: usize,
    next_sequence: u32,
    pushed: bool,
    /// The first packet's own sum has been found right.
    verified: bool,
    head: Option<usize>,
    tail: Option<usize>,
}

struct Part {
    payload: Range<usize>,
    next: Option<usize>,
}

/// Addresses, ports and protocol.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Flow {
    addresses: [u8; 8],
    ports: [u8; 4],
    protocol: u8,
}

/// What a packet could join as.
struct Candidate {
    flow: Flow,
    headers: usize,
    /// `false`: belongs to the flow but must travel alone.
    joins: bool,
}

impl Coalescer {
    /// Forgets the last turn.
    pub fn clear(&mut self) {
        self.runs.clear();
        self.parts.clear();
        self.open.clear();
    }

    /// Takes the packet that lies at `at`. `udp` says whether the kernel takes UDP runs.
    pub fn add(&mut self, arena: &[u8], at: Range<usize>, udp: bool) {
        let packet = &arena[at.clone()];
        let Some(candidate) = candidate(packet, udp) else {
            self.begin(at, None, packet.len());
            return;
        };
        let found = self.open.iter().position(|run| self.runs[*run].flow == Some(candidate.flow));
        if let Some(place) = found {
            let run = self.open[place];
            if candidate.joins && self.joins(arena, run, packet, &candidate) {
                if !self.join(run, packet, &at, &candidate) {
                    self.open.remove(place);
                }
                return;
            }
            self.open.remove(place);
        }
        let joins = candidate.joins && !pushed(packet, &candidate);
        let run = self.begin(at, Some(&candidate), packet.len());
        if joins {
            if self.open.len() == OPEN_MAX {
                self.open.remove(0);
            }
            self.open.push(run);
            self.runs[run].next_sequence = sequence(packet, &candidate);
        }
    }

    /// Takes a packet that is to travel alone.
    pub fn add_alone(&mut self, at: Range<usize>) {
        let len = at.len();
        self.begin(at, None, len);
    }

    /// Mends the headers of every run of more than one packet.
    pub fn finish(&mut self, arena: &mut [u8]) {
        for run in self.runs.iter().filter(|run| run.count > 1) {
            run.mend(&mut arena[run.first.clone()]);
        }
    }

    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Run number `index` as the kernel takes it: virtio header, then the pieces.
    pub fn run<'a>(
        &'a self,
        arena: &'a [u8],
        index: usize,
    ) -> ([u8; VIRTIO_LEN], impl Iterator<Item = &'a [u8]>) {
        let run = &self.runs[index];
        let mut next = run.head;
        let parts = std::iter::from_fn(move || {
            let part = &self.parts[next?];
            next = part.next;
            Some(&arena[part.payload.clone()])
        });
        (run.virtio(), std::iter::once(&arena[run.first.clone()]).chain(parts))
    }

    fn begin(&mut self, first: Range<usize>, candidate: Option<&Candidate>, len: usize) -> usize {
        let headers = candidate.map_or(0, |candidate| candidate.headers);
        self.runs.push(Run {
            first,
            flow: candidate.map(|candidate| candidate.flow),
            headers,
            segment: len - headers,
            len,
            count: 1,
            next_sequence: 0,
            pushed: false,
            verified: false,
            head: None,
            tail: None,
        });
        self.runs.len() - 1
    }

    fn joins(&mut self, arena: &[u8], run: usize, packet: &[u8], candidate: &Candidate) -> bool {
        let run = &mut self.runs[run];
        let first = &arena[run.first.clone()];
        let payload = packet.len() - candidate.headers;
        let fits = run.headers == candidate.headers
            && payload <= run.segment
            && run.count < PARTS_MAX
            && run.len + payload <= PACKET_MAX
            && same_header(first, packet, candidate);
        let follows =
            candidate.flow.protocol == PROTOCOL_UDP || run.next_sequence == be32(packet, IPV4_HEADER + 4);
        if !fits || !follows {
            return false;
        }
        run.verified = run.verified || transport_sum_holds(first, candidate.flow.protocol);
        run.verified && transport_sum_holds(packet, candidate.flow.protocol)
    }

    /// Answers whether the run may grow further.
    fn join(&mut self, index: usize, packet: &[u8], at: &Range<usize>, candidate: &Candidate) -> bool {
        let part = self.parts.len();
        self.parts.push(Part { payload: at.start + candidate.headers..at.end, next: None });
        let run = &mut self.runs[index];
        match run.tail.replace(part) {
            Some(tail) => self.parts[tail].next = Some(part),
            None => run.head = Some(part),
        }
        let payload = packet.len() - candidate.headers;
        run.len += payload;
        run.count += 1;
        run.next_sequence = run.next_sequence.wrapping_add(payload as u32);
        run.pushed = pushed(packet, candidate);
        payload == run.segment && !run.pushed
    }
}

impl Run {
    fn mend(&self, first: &mut [u8]) {
        put16(first, 2, self.len as u16);
        put_header_sum(first);
        let body = self.len - IPV4_HEADER;
        // The kernel finishes the sum; the place holds the pseudo header's.
        if first[9] == PROTOCOL_TCP {
            if self.pushed {
                first[IPV4_HEADER + 13] |= TCP_PUSH;
            }
            let pseudo = fold(pseudo(first, PROTOCOL_TCP, body));
            put16(first, IPV4_HEADER + TCP_SUM_AT, pseudo);
        } else {
            put16(first, IPV4_HEADER + 4, body as u16);
            let pseudo = fold(pseudo(first, PROTOCOL_UDP, body));
            put16(first, IPV4_HEADER + UDP_SUM_AT, pseudo);
        }
    }

    fn virtio(&self) -> [u8; VIRTIO_LEN] {
        match self.flow {
            Some(flow) if self.count > 1 && flow.protocol == PROTOCOL_TCP => {
                encode(Offload::Tcp { segment: self.segment }, self.headers, IPV4_HEADER, TCP_SUM_AT)
            }
            Some(_) if self.count > 1 => {
                encode(Offload::Udp { segment: self.segment }, self.headers, IPV4_HEADER, UDP_SUM_AT)
            }
            _ => encode(Offload::None, 0, 0, 0),
        }
    }
}

/// `None` for what belongs to no flow that is gathered.
fn candidate(packet: &[u8], udp: bool) -> Option<Candidate> {
    let protocol = transport(packet)?;
    let (headers, joins) = match protocol {
        PROTOCOL_TCP => {
            let headers = tcp_headers(packet)?;
            let flags = packet[IPV4_HEADER + 13];
            (headers, flags & !TCP_PUSH == TCP_ACK && packet.len() > headers)
        }
        PROTOCOL_UDP if udp && packet.len() > IPV4_HEADER + UDP_HEADER => {
            let whole = usize::from(be16(packet, IPV4_HEADER + 4)) == packet.len() - IPV4_HEADER;
            let summed = be16(packet, IPV4_HEADER + UDP_SUM_AT) != 0;
            (IPV4_HEADER + UDP_HEADER, whole && summed)
        }
        _ => return None,
    };
    let addresses = packet[12..20].try_into().ok()?;
    let ports = packet[20..24].try_into().ok()?;
    Some(Candidate { flow: Flow { addresses, ports, protocol }, headers, joins })
}

/// Everything that one header can say for both: type of service, flags, life; for TCP acknowledgement and options.
fn same_header(first: &[u8], packet: &[u8], candidate: &Candidate) -> bool {
    let ip = first[1] == packet[1] && first[6..9] == packet[6..9];
    let tcp = candidate.flow.protocol == PROTOCOL_UDP
        || (first[28..32] == packet[28..32] && first[40..candidate.headers] == packet[40..candidate.headers]);
    ip && tcp
}

/// A pushed segment is the last of its run.
fn pushed(packet: &[u8], candidate: &Candidate) -> bool {
    candidate.flow.protocol == PROTOCOL_TCP && packet[IPV4_HEADER + 13] & TCP_PUSH != 0
}

/// The number that the next segment of the flow must have.
fn sequence(packet: &[u8], candidate: &Candidate) -> u32 {
    match candidate.flow.protocol {
        PROTOCOL_TCP => be32(packet, IPV4_HEADER + 4).wrapping_add((packet.len() - candidate.headers) as u32),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
