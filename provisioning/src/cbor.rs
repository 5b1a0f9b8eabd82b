//! The part of CBOR in which authenticators write (CTAP 2.1, section 8): whole numbers, bytes, text, lists, maps and truth
//! values, each in its one shortest form. Everything else of RFC 8949 is refused, so that nothing can be written in
//! two ways; a general reader would have to be told so. Bounded in depth and in length. Pure.

/// An attestation holds a statement that holds a list of certificates.
const DEPTH_MAX: usize = 4;
/// More entries than any key or statement has.
const ENTRIES_MAX: u64 = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not what an authenticator writes")]
pub struct Broken;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a> {
    Number(i64),
    Bytes(&'a [u8]),
    Text(&'a str),
    List(Vec<Item<'a>>),
    /// No key twice.
    Map(Vec<(Item<'a>, Item<'a>)>),
    Truth(bool),
}

impl<'a> Item<'a> {
    /// The value of a key of a map.
    pub fn get(&self, key: &Item<'_>) -> Option<&Item<'a>> {
        let Item::Map(entries) = self else { return None };
        entries.iter().find(|(held, _)| held == key).map(|(_, value)| value)
    }

    pub fn at(&self, key: i64) -> Option<&Item<'a>> {
        self.get(&Item::Number(key))
    }

    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self {
            Item::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}

/// The first item, and what follows it.
pub fn read(bytes: &[u8]) -> Result<(Item<'_>, &[u8]), Broken> {
    let mut rest = bytes;
    let item = item(&mut rest, DEPTH_MAX)?;
    Ok((item, rest))
}

/// One item and nothing after it.
pub fn read_whole(bytes: &[u8]) -> Result<Item<'_>, Broken> {
    match read(bytes)? {
        (item, []) => Ok(item),
        _ => Err(Broken),
    }
}

fn item<'a>(rest: &mut &'a [u8], depth: usize) -> Result<Item<'a>, Broken> {
    let (kind, value) = head(rest)?;
    match kind {
        0 => Ok(Item::Number(i64::try_from(value).map_err(|_| Broken)?)),
        1 => Ok(Item::Number(-1 - i64::try_from(value).map_err(|_| Broken)?)),
        2 => Ok(Item::Bytes(take(rest, value)?)),
        3 => Ok(Item::Text(std::str::from_utf8(take(rest, value)?).map_err(|_| Broken)?)),
        4 | 5 if depth == 0 || value > ENTRIES_MAX => Err(Broken),
        4 => (0..value).map(|_| item(rest, depth - 1)).collect::<Result<_, _>>().map(Item::List),
        5 => {
            let mut entries = Vec::new();
            for _ in 0..value {
                let key = item(rest, depth - 1)?;
                if entries.iter().any(|(held, _)| *held == key) {
                    return Err(Broken);
                }
                entries.push((key, item(rest, depth - 1)?));
            }
            Ok(Item::Map(entries))
        }
        7 if value == 20 || value == 21 => Ok(Item::Truth(value == 21)),
        _ => Err(Broken),
    }
}

/// Kind and value of an item's head, in the fewest octets that hold it.
fn head(rest: &mut &[u8]) -> Result<(u8, u64), Broken> {
    let first = take(rest, 1)?[0];
    let (kind, short) = (first >> 5, first & 0x1f);
    let (octets, least) = match short {
        0..=23 => return Ok((kind, u64::from(short))),
        24 => (1, 24),
        25 => (2, 1 << 8),
        26 => (4, 1 << 16),
        27 => (8, 1 << 32),
        _ => return Err(Broken),
    };
    let value = take(rest, octets)?.iter().fold(0, |value, octet| value << 8 | u64::from(*octet));
    if value >= least { Ok((kind, value)) } else { Err(Broken) }
}

fn take<'a>(rest: &mut &'a [u8], count: u64) -> Result<&'a [u8], Broken> {
    let count = usize::try_from(count).map_err(|_| Broken)?;
    let (taken, left) = rest.split_at_checked(count).ok_or(Broken)?;
    *rest = left;
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(item: &Item<'_>, out: &mut Vec<u8>) {
        let mut head = |kind: u8, value: u64| match value {
            0..=23 => out.push(kind << 5 | value as u8),
            24..=0xff => out.extend([kind << 5 | 24, value as u8]),
            0x100..=0xffff => {
                out.push(kind << 5 | 25);
                out.extend((value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                out.push(kind << 5 | 26);
                out.extend((value as u32).to_be_bytes());
            }
            _ => {
                out.push(kind << 5 | 27);
                out.extend(value.to_be_bytes());
            }
        };
        match item {
            Item::Number(n) if *n >= 0 => head(0, *n as u64),
            Item::Number(n) => head(1, (-1 - n) as u64),
            Item::Truth(truth) => head(7, 20 + u64::from(*truth)),
            Item::Bytes(bytes) => {
                head(2, bytes.len() as u64);
                out.extend_from_slice(bytes);
            }
            Item::Text(text) => {
                head(3, text.len() as u64);
                out.extend_from_slice(text.as_bytes());
            }
            Item::List(items) => {
                head(4, items.len() as u64);
                items.iter().for_each(|item| write(item, out));
            }
            Item::Map(entries) => {
                head(5, entries.len() as u64);
                for (key, value) in entries {
                    write(key, out);
                    write(value, out);
                }
            }
        }
    }

    #[test]
    fn what_is_not_in_its_shortest_form_is_refused() {
        for broken in [
            &[][..],
            &[0x18, 23],             // 23 in two octets
            &[0x19, 0, 255],         // 255 in three
            &[0x1a, 0, 0, 255, 255], // 65535 in five
            &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255],
            &[0x1b, 255, 255, 255, 255, 255, 255, 255, 255], // larger than any number of ours
            &[0x5f, 0x41, 0, 0xff],                          // bytes in pieces
            &[0xbf, 0xff],                                   // a map without a length
            &[0xa2, 1, 1, 1, 2],                             // a key twice
            &[0xa1, 1],                                      // a value that is missing
            &[0x42, 1],                                      // a byte that is missing
            &[0x61, 0xff],                                   // text that is none
            &[0xc0, 0x60],                                   // a tag
            &[0xf6],                                         // null
            &[0xf9, 0, 0],                                   // a float
            &[0x81, 0x81, 0x81, 0x81, 0x81, 0],              // too deep
            &[0x98, 33],                                     // too long
        ] {
            assert!(read_whole(broken).is_err(), "{broken:02x?}");
        }
        assert!(read_whole(&[0, 0]).is_err(), "something after it");
        assert_eq!(read(&[0x20, 9]), Ok((Item::Number(-1), &[9][..])));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        /// What is read is what was written, octet by octet; and nothing makes it fall over.
        #[test]
        fn what_is_read_is_written_again_in_the_same_octets(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok((item, rest)) = read(&bytes) {
                let mut again = Vec::new();
                write(&item, &mut again);
                prop_assert_eq!(&again[..], &bytes[..bytes.len() - rest.len()]);
            }
        }
    }
}
