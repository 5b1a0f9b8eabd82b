//! The Merkle tree over the ledger's lines (RFC 6962, RFC 9162): hashes, roots, proofs. Pure.
//! A leaf is one line. Nodes are asked for by level and place, so that a caller may keep them in tiles
//! of 256 and never the whole tree. Owns nothing; a proof is checked by functions that know no tree.

use aws_lc_rs::digest;

use crate::chain::Hash;

/// Leaves per tile, and its height (C2SP tlog-tiles).
pub const TILE: u64 = 256;
pub const TILE_HEIGHT: u32 = 8;

/// The hash of one line.
pub fn leaf(line: &[u8]) -> Hash {
    digest(&[&[0], line])
}

pub fn node(left: &Hash, right: &Hash) -> Hash {
    digest(&[&[1], left.as_bytes(), right.as_bytes()])
}

fn digest(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    parts.iter().for_each(|part| context.update(part));
    Hash::finished(context)
}

/// The root of no lines at all.
pub fn empty() -> Hash {
    Hash::of(b"")
}

/// Whoever knows the nodes: `(level, place)`, where level 0 holds the leaves, and only whole subtrees.
pub trait Nodes {
    fn node(&self, level: u32, place: u64) -> Option<Hash>;
}

/// Hashes by level, leaves first: what a tile, or a short log, is made of.
#[derive(Clone, Debug, Default)]
pub struct Levels(Vec<Vec<Hash>>);

impl Levels {
    pub fn of(leaves: impl IntoIterator<Item = Hash>) -> Self {
        let mut levels = Self::default();
        leaves.into_iter().for_each(|leaf| levels.push(leaf));
        levels
    }

    pub fn len(&self) -> u64 {
        self.0.first().map_or(0, |leaves| leaves.len() as u64)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a leaf, and every subtree that it completes.
    pub fn push(&mut self, leaf: Hash) {
        let mut hash = leaf;
        for level in 0.. {
            if self.0.len() == level {
                self.0.push(Vec::new());
            }
            self.0[level].push(hash);
            match self.0[level].as_slice() {
                [.., left, right] if self.0[level].len().is_multiple_of(2) => hash = node(left, right),
                _ => return,
            }
        }
    }

    pub fn leaves(&self) -> &[Hash] {
        self.0.first().map_or(&[], Vec::as_slice)
    }
}

impl Nodes for Levels {
    fn node(&self, level: u32, place: u64) -> Option<Hash> {
        self.0.get(level as usize)?.get(usize::try_from(place).ok()?).copied()
    }
}

/// The root of the first `size` leaves.
pub fn root(nodes: &impl Nodes, size: u64) -> Option<Hash> {
    if size == 0 { Some(empty()) } else { subtree(nodes, 0, size) }
}

/// The hash over leaves `[from, to)`; `from` is a multiple of the largest power of two below the width.
fn subtree(nodes: &impl Nodes, from: u64, to: u64) -> Option<Hash> {
    let width = to - from;
    if width.is_power_of_two() {
        let level = width.trailing_zeros();
        return nodes.node(level, from >> level);
    }
    let split = from + split(width);
    Some(node(&subtree(nodes, from, split)?, &subtree(nodes, split, to)?))
}

/// The largest power of two smaller than `width`, for a width of at least two.
fn split(width: u64) -> u64 {
    1 << (63 - (width - 1).leading_zeros())
}

/// What proves that leaf `index` stands in the first `size` leaves (RFC 9162 2.1.3.1).
pub fn inclusion(nodes: &impl Nodes, index: u64, size: u64) -> Option<Vec<Hash>> {
    if index >= size {
        return None;
    }
    let (mut from, mut to, mut path) = (0, size, Vec::new());
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(subtree(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(nodes, from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Some(path)
}

/// What proves that the first `old` leaves are the beginning of the first `size` (RFC 9162 2.1.4.1).
pub fn consistency(nodes: &impl Nodes, old: u64, size: u64) -> Option<Vec<Hash>> {
    if old == 0 || old > size {
        return None;
    }
    let mut path = Vec::new();
    let (mut from, mut to, mut whole) = (0, size, true);
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            path.push(subtree(nodes, middle, to)?);
            to = middle;
        } else {
            path.push(subtree(nodes, from, middle)?);
            from = middle;
            whole = false;
        }
    }
    if !whole {
        path.push(subtree(nodes, from, to)?);
    }
    path.reverse();
    Some(path)
}

/// Whether `path` leads from a leaf's hash to the root (RFC 9162 2.1.3.2).
pub fn included(leaf: Hash, index: u64, size: u64, path: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut place, mut last, mut hash) = (index, size - 1, leaf);
    for step in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            hash = node(step, &hash);
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && hash == *root
}

/// Whether the tree of `size` begins with the tree of `old` (RFC 9162 2.1.4.2).
pub fn consistent(old: u64, old_root: &Hash, size: u64, new_root: &Hash, path: &[Hash]) -> bool {
    if old == size {
        return path.is_empty() && old_root == new_root;
    }
    if old == 0 || old > size {
        return false;
    }
    let mut path = path.iter();
    let first = if old.is_power_of_two() { Some(old_root) } else { path.next() };
    let Some(first) = first else { return false };
    let (mut place, mut last) = (old - 1, size - 1);
    while place & 1 == 1 {
        (place, last) = (place >> 1, last >> 1);
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in path {
        if last == 0 {
            return false;
        }
        if place & 1 == 1 || place == last {
            (old_hash, new_hash) = (node(step, &old_hash), node(step, &new_hash));
            while place & 1 == 0 && place != 0 {
                (place, last) = (place >> 1, last >> 1);
            }
        } else {
            new_hash = node(&new_hash, step);
        }
        (place, last) = (place >> 1, last >> 1);
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The tree of RFC 6962 2.1, as it is written there: slow, and without any of the code above.
    fn defined(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => Hash::of(b""),
            [one] => *one,
            many => {
                let mut k = 1;
                while k * 2 < many.len() {
                    k *= 2;
                }
                let (left, right) = many.split_at(k);
                let bytes = [&[1], defined(left).as_bytes().as_slice(), defined(right).as_bytes()].concat();
                Hash::of(&bytes)
            }
        }
    }

    fn lines(count: u64) -> Levels {
        Levels::of((0..count).map(|n| leaf(format!("line {n}").as_bytes())))
    }

    /// The well-known trees of Certificate Transparency's own test data.
    #[test]
    fn known_roots_of_certificate_transparency() {
        let inputs = [
            "",
            "00",
            "10",
            "2021",
            "3031",
            "40414243",
            "5051525354555657",
            "606162636465666768696a6b6c6d6e6f",
        ];
        let roots = [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves = inputs.map(|hex| leaf(&data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap()));
        let levels = Levels::of(leaves);
        for (size, known) in (1..).zip(roots) {
            assert_eq!(root(&levels, size).unwrap().to_string(), known, "{size}");
        }
        assert_eq!(root(&levels, 0), Some(empty()));
    }

    #[test]
    fn every_proof_of_every_small_tree_holds_and_nothing_else_does() {
        let levels = lines(40);
        for size in 1..=40 {
            let whole = root(&levels, size).unwrap();
            assert_eq!(whole, defined(&levels.leaves()[..size as usize]));
            for index in 0..size {
                let path = inclusion(&levels, index, size).unwrap();
                let own = levels.leaves()[index as usize];
                assert!(included(own, index, size, &path, &whole));
                let other = levels.leaves()[((index + 1) % 40) as usize];
                assert!(!included(other, index, size, &path, &whole), "another leaf");
                assert!(!included(own, index + 1, size, &path, &whole), "another place");
                let longer = [path.as_slice(), &[whole]].concat();
                assert!(!included(own, index, size, &longer, &whole), "a longer path");
                assert!(path.is_empty() || !included(own, index, size, &path[1..], &whole), "a shorter path");
            }
            for old in 1..=size {
                let path = consistency(&levels, old, size).unwrap();
                let before = root(&levels, old).unwrap();
                assert!(consistent(old, &before, size, &whole, &path), "{old} {size}");
                assert!(!consistent(old, &leaf(b"x"), size, &whole, &path));
                assert!(!consistent(old, &before, size, &leaf(b"x"), &path));
                assert!(old == size || !consistent(old + 1, &before, size, &whole, &path) || old + 1 > size);
            }
        }
        assert_eq!(inclusion(&levels, 40, 40), None);
        assert_eq!(consistency(&levels, 0, 40), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
        #[test]
        fn a_changed_proof_never_holds(size in 2u64..2_000, at in any::<u64>(), step in any::<u64>(), bit in 0usize..256) {
            let levels = lines(size);
            let (index, whole) = (at % size, root(&levels, size).unwrap());
            let mut path = inclusion(&levels, index, size).unwrap();
            let own = levels.leaves()[index as usize];
            prop_assert!(included(own, index, size, &path, &whole));
            let step = (step % path.len() as u64) as usize;
            let mut bytes = *path[step].as_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            path[step] = Hash::from_bytes(bytes);
            prop_assert!(!included(own, index, size, &path, &whole));
        }
    }
}
