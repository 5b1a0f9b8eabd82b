//! What the HTTP/2 library does not tell: it drops a target's fragment before anybody sees it. So header blocks are looked
//! at on their way to it (RFC 7541): every `:path` that is spelled out, and which entries of the peer's table are
//! called so. Texts are measured, not kept. Changes nothing; what cannot be read ends the connection, as the library
//! would a moment later. Pure. Issue 6, strict HTTP: fragments are refused.

use std::collections::VecDeque;

/// What the protocol gives the table; we announce nothing else.
const TABLE_MAX: usize = 4_096;
/// What an entry costs besides its octets.
const ENTRY: usize = 32;
/// The names of the table that everybody knows, by their lengths.
const KNOWN: [u8; 61] = [
    10, 7, 7, 5, 5, 7, 7, 7, 7, 7, 7, 7, 7, 7, 14, 15, 15, 13, 6, 27, 3, 5, 13, 13, 19, 16, 16, 14, 16, 13,
    12, 6, 4, 4, 6, 7, 4, 4, 8, 17, 13, 8, 19, 13, 4, 8, 12, 18, 19, 5, 7, 7, 11, 6, 10, 25, 17, 10, 4, 3,
    16,
];
/// In it, `:path`.
const PATHS: std::ops::RangeInclusive<usize> = 4..=5;
const PATH: &[u8] = b":path";
/// The same, as Huffman writes it: there is one way.
const PATH_CODED: &[u8] = &[0xb9, 0x58, 0xd3, 0x3f];
/// The code is canonical, so it follows from its lengths: each with the first 32 bits that belong to a longer one.
const CODES: [(u32, u32); 21] = [
    (5, 0x5000_0000),
    (6, 0xb800_0000),
    (7, 0xf800_0000),
    (8, 0xfe00_0000),
    (10, 0xff40_0000),
    (11, 0xffa0_0000),
    (12, 0xffc0_0000),
    (13, 0xfff0_0000),
    (14, 0xfff8_0000),
    (15, 0xfffe_0000),
    (19, 0xfffe_6000),
    (20, 0xfffe_e000),
    (21, 0xffff_4800),
    (22, 0xffff_b000),
    (23, 0xffff_ea00),
    (24, 0xffff_f600),
    (25, 0xffff_f800),
    (26, 0xffff_fbc0),
    (27, 0xffff_fe20),
    (28, 0xffff_fff0),
    (30, 0xffff_fffc),
];
/// `#` in that code.
const SHARP: (u32, u32) = (12, 0xffa);
/// More than any number of a block of ours is: its texts are bounded by the block.
const NUMBER_MAX: usize = 1 << 24;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockFault {
    Unreadable,
    Fragment,
}

/// The frames of a block, put together where they came in pieces.
#[derive(Default)]
pub struct Pieces {
    frame: Vec<u8>,
    block: Vec<u8>,
    blocks: Blocks,
}

/// What a frame's head says of its payload.
#[derive(Clone, Copy)]
pub struct Piece {
    pub length: u32,
    pub padded: bool,
    pub prioritised: bool,
    /// The block ends with it.
    pub last: bool,
}

/// An entry of the peer's table, measured.
#[derive(Clone, Copy)]
struct Entry {
    is_path: bool,
    name: usize,
    value: usize,
}

/// The table of one peer, newest first.
#[derive(Default)]
pub struct Blocks {
    table: VecDeque<Entry>,
    size: usize,
    /// By how much the peer keeps it smaller than it may be.
    forgone: usize,
}

/// A text of a block, as it stands there.
#[derive(Clone, Copy)]
struct Text<'a> {
    octets: &'a [u8],
    coded: bool,
}

impl Pieces {
    /// Some of a frame's payload; blocks that come whole are looked at where they lie.
    pub fn arrive(&mut self, piece: Piece, payload: &[u8]) -> Result<(), BlockFault> {
        let whole = piece.length as usize;
        if payload.len() == whole && piece.last && self.block.is_empty() {
            return self.blocks.pass(piece.strip(payload)?);
        }
        self.frame.extend_from_slice(payload);
        if self.frame.len() < whole {
            return Ok(());
        }
        self.block.extend_from_slice(piece.strip(&self.frame)?);
        self.frame = Vec::new();
        if piece.last {
            // An idle connection holds no buffer.
            self.blocks.pass(&std::mem::take(&mut self.block))?;
        }
        Ok(())
    }
}

impl Piece {
    /// Without padding and priority (RFC 9113, 6.2).
    fn strip(self, payload: &[u8]) -> Result<&[u8], BlockFault> {
        let (padding, rest) = match (self.padded, payload.split_first()) {
            (false, _) => (0, payload),
            (true, Some((padding, rest))) => (usize::from(*padding), rest),
            (true, None) => return Err(BlockFault::Unreadable),
        };
        let front = if self.prioritised { 5 } else { 0 };
        let end = rest.len().checked_sub(padding).ok_or(BlockFault::Unreadable)?;
        rest.get(front..end).ok_or(BlockFault::Unreadable)
    }
}

impl Blocks {
    /// A whole header block.
    pub fn pass(&mut self, mut block: &[u8]) -> Result<(), BlockFault> {
        let rest = &mut block;
        while let Some(&first) = rest.first() {
            match first {
                0x80.. => drop(number(rest, 7)?),
                0x40.. => self.literal(rest, 6, true)?,
                0x20.. => {
                    let limit = number(rest, 5)?;
                    self.forgone = TABLE_MAX.checked_sub(limit).ok_or(BlockFault::Unreadable)?;
                    self.shrink_to(limit);
                }
                _ => self.literal(rest, 4, false)?,
            }
        }
        Ok(())
    }

    fn literal(&mut self, rest: &mut &[u8], prefix: u32, kept: bool) -> Result<(), BlockFault> {
        let index = number(rest, prefix)?;
        let (is_path, name) = match index {
            0 => {
                let name = text(rest)?;
                (name.octets == if name.coded { PATH_CODED } else { PATH }, name.measure()?.length)
            }
            _ => match KNOWN.get(index - 1) {
                Some(&length) => (PATHS.contains(&index), usize::from(length)),
                None => {
                    let known = self.table.get(index - 1 - KNOWN.len()).ok_or(BlockFault::Unreadable)?;
                    (known.is_path, known.name)
                }
            },
        };
        let value = text(rest)?;
        if !is_path && !kept {
            return Ok(());
        }
        let Measure { length, sharp } = value.measure()?;
        if is_path && sharp {
            return Err(BlockFault::Fragment);
        }
        if kept {
            self.keep(Entry { is_path, name, value: length });
        }
        Ok(())
    }

    /// The oldest make room; what is larger than the table leaves it empty.
    fn keep(&mut self, entry: Entry) {
        let limit = TABLE_MAX - self.forgone;
        self.shrink_to(limit.saturating_sub(entry.size()));
        if entry.size() <= limit {
            self.size += entry.size();
            self.table.push_front(entry);
        }
    }

    fn shrink_to(&mut self, limit: usize) {
        while self.size > limit {
            let Some(oldest) = self.table.pop_back() else { return };
            self.size -= oldest.size();
        }
    }
}

impl Entry {
    fn size(&self) -> usize {
        self.name + self.value + ENTRY
    }
}

struct Measure {
    /// In octets, as it is meant.
    length: usize,
    sharp: bool,
}

impl Text<'_> {
    fn measure(self) -> Result<Measure, BlockFault> {
        if !self.coded {
            return Ok(Measure { length: self.octets.len(), sharp: self.octets.contains(&b'#') });
        }
        let (mut window, mut filled, mut length, mut sharp) = (0_u64, 0, 0, false);
        let mut octets = self.octets.iter();
        loop {
            while filled <= 32
                && let Some(octet) = octets.next()
            {
                window |= u64::from(*octet) << (56 - filled);
                filled += 8;
            }
            let ahead = (window >> 32) as u32;
            let code = CODES.iter().find(|(_, longer)| ahead < *longer);
            let Some(&(bits, _)) = code.filter(|(bits, _)| *bits <= filled) else {
                // What is left is padding: ones, and less than an octet of them.
                let padded = filled < 8 && window == !(u64::MAX >> filled);
                return if padded { Ok(Measure { length, sharp }) } else { Err(BlockFault::Unreadable) };
            };
            sharp |= (bits, ahead >> (32 - bits)) == SHARP;
            (window, filled, length) = (window << bits, filled - bits, length + 1);
        }
    }
}

/// RFC 7541, 5.1.
fn number(rest: &mut &[u8], prefix: u32) -> Result<usize, BlockFault> {
    let mut next = || {
        let (first, after) = rest.split_first().ok_or(BlockFault::Unreadable)?;
        *rest = after;
        Ok(*first)
    };
    let mask = (1_u8 << prefix) - 1;
    let mut number = usize::from(next()? & mask);
    if number < usize::from(mask) {
        return Ok(number);
    }
    for shift in [0, 7, 14, 21] {
        let octet = next()?;
        number += usize::from(octet & 0x7f) << shift;
        if octet & 0x80 == 0 {
            return if number <= NUMBER_MAX { Ok(number) } else { Err(BlockFault::Unreadable) };
        }
    }
    Err(BlockFault::Unreadable)
}

/// RFC 7541, 5.2.
fn text<'a>(rest: &mut &'a [u8]) -> Result<Text<'a>, BlockFault> {
    let coded = rest.first().is_some_and(|first| first & 0x80 != 0);
    let length = number(rest, 7)?;
    let (octets, after) = rest.split_at_checked(length).ok_or(BlockFault::Unreadable)?;
    *rest = after;
    Ok(Text { octets, coded })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(block: &[&[u8]]) -> Result<(), BlockFault> {
        Blocks::default().pass(&block.concat())
    }

    /// `/a#b`, in every way that RFC 7541 has of saying `:path`.
    #[test]
    fn a_fragment_is_seen_in_every_spelling() {
        // `/a#b` by the code: 011000 00011 111111111010 100011, and ones.
        let coded: &[u8] = &[0x84, 0x60, 0x7f, 0xf5, 0x1f];
        let plain: &[u8] = b"\x04/a#b";
        for value in [coded, plain] {
            for name in [
                &b"\x44"[..],
                b"\x45",
                b"\x04",
                b"\x05",
                b"\x14",
                b"\x40\x05:path",
                b"\x00\x05:path",
                b"\x10\x05:path",
                b"\x40\x84\xb9\x58\xd3\x3f",
            ] {
                assert_eq!(
                    pass(&[b"\x82\x87", name, value]),
                    Err(BlockFault::Fragment),
                    "{name:02x?} {value:02x?}"
                );
            }
            // An entry that was kept under that name, and another one before it.
            let table: &[u8] = b"\x40\x05:path\x01/\x40\x01a\x01b";
            assert_eq!(pass(&[table, b"\x7f\x00", value]), Err(BlockFault::Fragment), "by the table");
            assert_eq!(pass(&[table, b"\x7e", value]), Ok(()), "the entry beside it is called otherwise");
            assert_eq!(pass(&[b"\x60", value]), Ok(()), "a cookie may hold one");
        }
        assert_eq!(pass(&[b"\x82\x87\x44\x02/a\x41\x10sns.m.example.jp"]), Ok(()));
    }

    #[test]
    fn a_block_is_put_together_from_what_came() {
        let block: &[u8] = b"\x82\x87\x44\x04/a#b\x41\x01s";
        let (padded, prioritised) = (true, true);
        let payload = [&[2, 0, 0, 0, 0, 9], block, &[0; 2]].concat();
        for cut in 0..payload.len() {
            let mut pieces = Pieces::default();
            let piece = Piece { length: payload.len() as u32, padded, prioritised, last: true };
            let first = if cut > 0 { pieces.arrive(piece, &payload[..cut]) } else { Ok(()) };
            assert_eq!(first, Ok(()), "{cut}");
            assert_eq!(pieces.arrive(piece, &payload[cut..]), Err(BlockFault::Fragment), "{cut}");
        }
        for cut in 0..=block.len() {
            let mut pieces = Pieces::default();
            let (padded, prioritised) = (false, false);
            let piece = |part: &[u8], last| Piece { length: part.len() as u32, padded, prioritised, last };
            assert_eq!(pieces.arrive(piece(&block[..cut], false), &block[..cut]), Ok(()));
            let rest = pieces.arrive(piece(&block[cut..], true), &block[cut..]);
            assert_eq!(rest, Err(BlockFault::Fragment), "{cut}");
        }
        let mut pieces = Pieces::default();
        let piece = Piece { length: 2, padded, prioritised: false, last: true };
        assert_eq!(pieces.arrive(piece, &[2, 0]), Err(BlockFault::Unreadable), "more padding than frame");
    }

    #[test]
    fn what_falls_out_of_the_table_is_forgotten() {
        let mut blocks = Blocks::default();
        let filler = [&b"\x40\x01a\x7f\xe1\x05"[..], &[b'x'; 864]].concat();
        blocks.pass(b"\x40\x05:path\x01/").unwrap();
        for _ in 0..4 {
            blocks.pass(&filler).unwrap();
        }
        assert_eq!((blocks.table.len(), blocks.size), (5, 38 + 4 * 897));
        // The fifth pushes it out; what is the oldest now is no path.
        blocks.pass(&filler).unwrap();
        assert_eq!(blocks.pass(b"\x7f\x02\x04/a#b"), Ok(()));
        assert_eq!(blocks.pass(b"\x7f\x09\x04/a#b"), Err(BlockFault::Unreadable));
        assert!(blocks.table.iter().all(|entry| !entry.is_path));
        blocks.pass(b"\x20").unwrap();
        assert_eq!((blocks.table.len(), blocks.size), (0, 0));
        blocks.pass(b"\x40\x01a\x01b").unwrap();
        assert!(blocks.table.is_empty(), "a table of nothing holds nothing");
        assert_eq!(blocks.pass(b"\x3f\xe2\x1f"), Err(BlockFault::Unreadable), "more than it was given");
    }

    #[test]
    fn what_cannot_be_read_is_not_passed() {
        for broken in [
            &b"\x44"[..],
            b"\x44\x05/a",
            b"\xff\xff\xff\xff\xff\xff",
            b"\x7f\x00\x01/",
            b"\x44\x81\x18",
            b"\x44\x82\x1f\xff",
            b"\x44\x84\xff\xff\xff\xff",
        ] {
            assert_eq!(pass(&[broken]), Err(BlockFault::Unreadable), "{broken:02x?}");
        }
    }
}
