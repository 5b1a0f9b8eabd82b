//! What one turn of the loop carries. Inwards: datagrams in one arena, opened where they lie. Outwards:
//! trains of datagrams, sealed where they will be sent from. Owns those bytes; reused, never grows.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;

use crate::protocol::INITIATION_LEN;

/// Segments of one train: what the kernel takes in one call (UDP_MAX_SEGMENTS).
pub const TRAIN_MAX: usize = 64;

/// Bytes of one train: the longest UDP payload over IPv4, as a bound for both families.
const TRAIN_BYTES: usize = 65_507;

/// What may leave in one turn before the sources are read again: four full trains.
const OUT_BYTES: usize = 4 << 16;

/// How a device is reached: which of our sockets, its address, and which of our addresses it speaks to.
/// IPv4 is always written as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub socket: u16,
    pub peer: SocketAddr,
    pub local: Option<IpAddr>,
}

/// One or more datagrams from one sender, each `stride` long but the last, at `at` of the arena.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: Path,
    pub at: Range<usize>,
    pub stride: usize,
}

/// What came in: opened packets for the TUN, initiations for the handshake thread.
#[derive(Default)]
pub struct Inbound {
    /// Places in the arena.
    pub packets: Vec<Range<usize>>,
    pub initiations: Vec<Arrival>,
}

/// An initiation as it came in; nothing of it is verified.
#[derive(Clone)]
pub struct Arrival {
    pub path: Path,
    pub message: [u8; INITIATION_LEN],
}

/// What leaves for the network.
pub struct Outbound {
    bytes: Vec<u8>,
    used: usize,
    trains: Vec<Train>,
}

/// Datagrams of one length (the last may be shorter), one behind the other, for one device.
#[derive(Clone, Debug)]
pub struct Train {
    pub path: Path,
    pub at: Range<usize>,
    pub segment: usize,
    pub count: usize,
    closed: bool,
}

impl Outbound {
    pub fn new() -> Self {
        Self { bytes: vec![0; OUT_BYTES], used: 0, trains: Vec::new() }
    }

    pub fn clear(&mut self) {
        self.used = 0;
        self.trains.clear();
    }

    /// Is there room for datagrams of `bytes` altogether?
    pub fn has_room(&self, bytes: usize) -> bool {
        self.used + bytes <= self.bytes.len()
    }

    pub fn trains(&self) -> impl ExactSizeIterator<Item = (&Train, &[u8])> + '_ {
        self.trains.iter().map(|train| (train, &self.bytes[train.at.clone()]))
    }

    /// Lets `write` fill the next room with a datagram of at most `longest` bytes; it joins the last train
    /// if that goes the same way and has its length. `None` when there is no room.
    pub fn push<E>(
        &mut self,
        path: Path,
        longest: usize,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Option<Result<usize, E>> {
        let room = self.bytes.get_mut(self.used..self.used + longest)?;
        let len = match write(room) {
            Ok(len) => len,
            Err(error) => return Some(Err(error)),
        };
        let at = self.used..self.used + len;
        self.used = at.end;
        match self.trains.last_mut().filter(|train| train.takes(&path, len)) {
            Some(train) => {
                train.at.end = at.end;
                train.count += 1;
                train.closed = len < train.segment;
            }
            None => self.trains.push(Train { path, at, segment: len, count: 1, closed: false }),
        }
        Some(Ok(len))
    }
}

impl Default for Outbound {
    fn default() -> Self {
        Self::new()
    }
}

impl Train {
    fn takes(&self, path: &Path, len: usize) -> bool {
        !self.closed
            && len <= self.segment
            && self.count < TRAIN_MAX
            && self.at.len() + len <= TRAIN_BYTES
            && self.path == *path
    }
}
