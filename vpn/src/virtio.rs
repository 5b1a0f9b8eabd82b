//! The ten bytes before every packet of a TUN with offload: what the kernel left to us, or we leave to it.
//! Owns nothing; pure.

/// `struct virtio_net_hdr`.
pub const VIRTIO_LEN: usize = 10;

const FLAG_NEEDS_SUM: u8 = 1;
const GSO_NONE: u8 = 0;
const GSO_TCP4: u8 = 1;
const GSO_UDP: u8 = 5;
/// The flow speaks ECN: the mark belongs to its first segment alone, which our split does anyway.
const GSO_ECN: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offload {
    /// A packet as it travels.
    None,
    /// The transport's sum is missing: from `start` to the end, to be put at `start + at`.
    Sum {
        start: usize,
        at: usize,
    },
    /// Many segments of one flow under one header; sums are missing.
    Tcp {
        segment: usize,
    },
    Udp {
        segment: usize,
    },
}

/// What the kernel says of the packet behind; `None` is nothing that we asked for.
pub fn decode(header: &[u8; VIRTIO_LEN]) -> Option<Offload> {
    let field = |at: usize| usize::from(u16::from_ne_bytes([header[at], header[at + 1]]));
    let (segment, start, at) = (field(4), field(6), field(8));
    match header[1] & !GSO_ECN {
        GSO_NONE if header[0] & FLAG_NEEDS_SUM != 0 => Some(Offload::Sum { start, at }),
        GSO_NONE => Some(Offload::None),
        GSO_TCP4 if segment > 0 => Some(Offload::Tcp { segment }),
        GSO_UDP if segment > 0 => Some(Offload::Udp { segment }),
        _ => None,
    }
}

/// What we tell the kernel; `headers` is the length of all headers, `start` where the transport's begins.
pub fn encode(offload: Offload, headers: usize, start: usize, sum_at: usize) -> [u8; VIRTIO_LEN] {
    let (kind, segment) = match offload {
        Offload::None => return [0; VIRTIO_LEN],
        Offload::Sum { .. } => (GSO_NONE, 0),
        Offload::Tcp { segment } => (GSO_TCP4, segment),
        Offload::Udp { segment } => (GSO_UDP, segment),
    };
    let mut header = [0; VIRTIO_LEN];
    header[0] = FLAG_NEEDS_SUM;
    header[1] = kind;
    for (at, value) in [(2, headers), (4, segment), (6, start), (8, sum_at)] {
        header[at..at + 2].copy_from_slice(&(value as u16).to_ne_bytes());
    }
    header
}
