//! The part of the log's tree that is kept in memory: one root per whole tile of 256 lines, and the
//! lines since. Pure. Old tiles are lent to it for as long as a proof is made.

use std::collections::BTreeMap;

use crate::chain::Hash;
use crate::tlog::{self, Levels, Nodes, TILE, TILE_HEIGHT};

/// A log that grows at its right edge.
#[derive(Clone, Debug, Default)]
pub struct Growing {
    tiles: Levels,
    tail: Levels,
}

/// How long the log is, and its root. Only made here, of lines that were pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeHead {
    size: u64,
    root: Hash,
}

impl TreeHead {
    pub fn size(&self) -> u64 {
        self.size
    }

    pub fn root(&self) -> Hash {
        self.root
    }
}

impl Growing {
    /// From the roots of all whole tiles; the lines since are pushed.
    pub fn of(tiles: impl IntoIterator<Item = Hash>) -> Self {
        Self { tiles: Levels::of(tiles), tail: Levels::default() }
    }

    pub fn size(&self) -> u64 {
        self.whole_tiles() * TILE + self.tail.len()
    }

    pub fn whole_tiles(&self) -> u64 {
        self.tiles.len()
    }

    /// Adds a line's hash; gives the root of the tile that it completed, if it did.
    pub fn push(&mut self, leaf: Hash) -> Option<Hash> {
        self.tail.push(leaf);
        if self.tail.len() < TILE {
            return None;
        }
        let root = self.tail.node(TILE_HEIGHT, 0)?;
        self.tiles.push(root);
        self.tail = Levels::default();
        Some(root)
    }

    pub fn head(&self) -> TreeHead {
        let size = self.size();
        // Every node of the right edge is in memory.
        TreeHead { size, root: tlog::root(self, size).unwrap_or_else(tlog::empty) }
    }

    /// The tiles that must be lent before a proof about these places can be made.
    pub fn needed(&self, places: impl IntoIterator<Item = u64>) -> Vec<u64> {
        let tiles = places.into_iter().map(|place| place / TILE);
        let mut tiles: Vec<u64> = tiles.filter(|tile| *tile < self.whole_tiles()).collect();
        tiles.sort_unstable();
        tiles.dedup();
        tiles
    }

    /// The nodes of one level that a tile of that level holds (C2SP tlog-tiles), for levels above the leaves.
    pub fn tile_roots(&self, from: u64, to: u64) -> Vec<Hash> {
        (from..to).map_while(|place| self.tiles.node(0, place)).collect()
    }

    /// The hashes of the lines since the last whole tile.
    pub fn tail(&self) -> &[Hash] {
        self.tail.leaves()
    }
}

impl Nodes for Growing {
    fn node(&self, level: u32, place: u64) -> Option<Hash> {
        if level >= TILE_HEIGHT {
            return self.tiles.node(level - TILE_HEIGHT, place);
        }
        let first = self.whole_tiles() << (TILE_HEIGHT - level);
        self.tail.node(level, place.checked_sub(first)?)
    }
}

/// A growing log and the tiles that were lent to it.
pub struct Lent<'a> {
    pub growing: &'a Growing,
    pub tiles: BTreeMap<u64, Levels>,
}

impl Nodes for Lent<'_> {
    fn node(&self, level: u32, place: u64) -> Option<Hash> {
        let known = self.growing.node(level, place);
        if known.is_some() || level >= TILE_HEIGHT {
            return known;
        }
        let per_tile = TILE_HEIGHT - level;
        let tile = place >> per_tile;
        self.tiles.get(&tile)?.node(level, place - (tile << per_tile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_and_the_whole_tree_agree_on_roots_and_proofs() {
        let leaf = |n: u64| tlog::leaf(format!("line {n}").as_bytes());
        let (mut growing, mut whole, mut leaves) = (Growing::default(), Levels::default(), Vec::new());
        for n in 0..1_100 {
            let completed = growing.push(leaf(n));
            assert_eq!(completed.is_some(), (n + 1) % TILE == 0);
            whole.push(leaf(n));
            leaves.push(leaf(n));
            let size = n + 1;
            let head = growing.head();
            assert_eq!((head.size(), Some(head.root())), (size, tlog::root(&whole, size)));
            if n % 97 != 0 {
                continue;
            }
            for index in (0..size).step_by(61) {
                let tiles = growing.needed([index]).into_iter();
                let tiles = tiles.map(|tile| {
                    let from = (tile * TILE) as usize;
                    (tile, Levels::of(leaves[from..from + TILE as usize].iter().copied()))
                });
                let lent = Lent { growing: &growing, tiles: tiles.collect() };
                assert_eq!(tlog::inclusion(&lent, index, size), tlog::inclusion(&whole, index, size));
                assert!(tlog::inclusion(&lent, index, size).is_some());
            }
        }
        let again = Growing::of(growing.tile_roots(0, growing.whole_tiles()));
        assert_eq!((again.whole_tiles(), again.size()), (4, 1_024));
    }
}
