//! The seam for batching: slices of packets go into the data plane, one batch comes out.
//! Owns the bytes of everything that leaves in one turn of the loop; reused, never shrinks below one turn.

use std::net::SocketAddr;
use std::ops::Range;

use crate::protocol::DATAGRAM_MAX;

/// Packets taken from one source per turn, so that no source starves the others.
pub const BATCH_MAX: usize = 64;

/// How a device is reached: which of our sockets, and its address. IPv4 is always written as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub socket: usize,
    pub peer: SocketAddr,
}

/// One datagram as it came in.
#[derive(Clone, Copy)]
pub struct Datagram<'a> {
    pub from: Path,
    pub bytes: &'a [u8],
}

/// What leaves: sealed datagrams for the network, opened packets for the TUN.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    to_network: Vec<(Path, Range<usize>)>,
    to_tunnel: Vec<Range<usize>>,
}

impl Batch {
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.to_network.clear();
        self.to_tunnel.clear();
    }

    pub fn to_network(&self) -> impl ExactSizeIterator<Item = (Path, &[u8])> + '_ {
        self.to_network.iter().map(|(path, range)| (*path, &self.bytes[range.clone()]))
    }

    pub fn to_tunnel(&self) -> impl ExactSizeIterator<Item = &[u8]> + '_ {
        self.to_tunnel.iter().map(|range| &self.bytes[range.clone()])
    }

    /// Lets `write` fill the next room; whatever length it answers is sent along `path`.
    pub fn network<E>(
        &mut self,
        path: Path,
        write: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<usize, E> {
        let range = self.fill(write)?;
        let len = range.len();
        self.to_network.push((path, range));
        Ok(len)
    }

    /// The same for the TUN; a length of 0 sends nothing.
    pub fn tunnel<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<usize, E> {
        let range = self.fill(write)?;
        let len = range.len();
        if len > 0 {
            self.to_tunnel.push(range);
        }
        Ok(len)
    }

    fn fill<E>(&mut self, write: impl FnOnce(&mut [u8]) -> Result<usize, E>) -> Result<Range<usize>, E> {
        let start = self.bytes.len();
        self.bytes.resize(start + DATAGRAM_MAX, 0);
        let written = write(&mut self.bytes[start..]);
        let len = written.as_ref().map_or(0, |len| (*len).min(DATAGRAM_MAX));
        self.bytes.truncate(start + len);
        written.map(|_| start..start + len)
    }
}
