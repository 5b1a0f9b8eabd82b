//! Bech32 (BIP 173), as age writes its keys: letters that are read aloud and copied from paper without harm,
//! with a checksum that finds up to four wrong ones. Pure.

const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
const GENERATORS: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
const CHECKSUM: usize = 6;

/// `prefix`, in lower case, `1`, the bytes, the checksum.
pub fn encode(prefix: &str, bytes: &[u8]) -> String {
    let mut values = regroup(bytes, 8, 5, true).unwrap_or_default();
    let zeros = [0; CHECKSUM];
    let sum = polymod(expanded(prefix).chain(values.iter().copied()).chain(zeros)) ^ 1;
    values.extend((0..CHECKSUM).map(|at| u8::try_from((sum >> (5 * (CHECKSUM - 1 - at))) & 31).unwrap_or(0)));
    let letters = values.into_iter().map(|value| char::from(LETTERS[usize::from(value)]));
    prefix.chars().chain(['1']).chain(letters).collect()
}

/// The bytes, if the prefix and the checksum are right; capitals and small letters are never mixed.
pub fn decode(prefix: &str, text: &str) -> Option<Vec<u8>> {
    let mixed = text.bytes().any(|b| b.is_ascii_lowercase()) && text.bytes().any(|b| b.is_ascii_uppercase());
    if mixed {
        return None;
    }
    let text = text.to_ascii_lowercase();
    let letters = text.strip_prefix(prefix)?.strip_prefix('1')?;
    let value = |letter: u8| LETTERS.iter().position(|known| *known == letter);
    let values: Option<Vec<u8>> =
        letters.bytes().map(|letter| value(letter).and_then(|at| u8::try_from(at).ok())).collect();
    let values = values?;
    if values.len() < CHECKSUM || polymod(expanded(prefix).chain(values.iter().copied())) != 1 {
        return None;
    }
    regroup(&values[..values.len() - CHECKSUM], 5, 8, false)
}

fn expanded(prefix: &str) -> impl Iterator<Item = u8> {
    prefix.bytes().map(|b| b >> 5).chain([0]).chain(prefix.bytes().map(|b| b & 31))
}

fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    values.fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let moved = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        (0..).zip(GENERATORS).fold(
            moved,
            |sum, (bit, generator)| {
                if (top >> bit) & 1 == 1 { sum ^ generator } else { sum }
            },
        )
    })
}

/// Groups of `from` bits become groups of `to`; what is left over is filled up, or must be nothing.
fn regroup(values: &[u8], from: u32, to: u32, fill: bool) -> Option<Vec<u8>> {
    let (mut held, mut bits, mut out) = (0u32, 0, Vec::new());
    let mask = (1 << to) - 1;
    for value in values {
        held = ((held << from) | u32::from(*value)) & 0xffff;
        bits += from;
        while bits >= to {
            bits -= to;
            out.push(u8::try_from((held >> bits) & mask).ok()?);
        }
    }
    if fill && bits > 0 {
        out.push(u8::try_from((held << (to - bits)) & mask).ok()?);
    }
    let left = held & ((1 << bits) - 1);
    (fill || (bits < from && left == 0)).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From BIP 173's own list of valid strings.
    #[test]
    fn the_standards_own_examples_hold() {
        assert_eq!(decode("a", "A12UEL5L"), Some(vec![]));
        let bytes = decode("abcdef", "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw").unwrap();
        assert_eq!(encode("abcdef", &bytes), "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw");
        assert_eq!(decode("split", "split1cheo2y9e2w"), None, "a letter that is none");
        assert_eq!(decode("a", "A12UEL5l"), None, "capitals and small letters mixed");
    }

    #[test]
    fn one_wrong_letter_is_found() {
        let text = encode("age", &[7; 32]);
        assert_eq!(decode("age", &text).unwrap(), [7; 32]);
        for at in 4..text.len() {
            let mut wrong = text.clone().into_bytes();
            wrong[at] = if wrong[at] == b'q' { b'p' } else { b'q' };
            assert_eq!(decode("age", &String::from_utf8(wrong).unwrap()), None, "letter {at}");
        }
    }
}
