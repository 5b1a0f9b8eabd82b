//! How wide a text stands in a terminal: East Asian characters take two columns. Pure.
//! Thin on purpose: the scripts that our tables hold (Japanese, Latin, digits), after UAX #11.

/// Ranges of two columns: Hangul Jamo, CJK, kana, full-width forms, pictographs, the supplementary planes of CJK.
const WIDE: [(u32, u32); 9] = [
    (0x1100, 0x115f),
    (0x2e80, 0x303e),
    (0x3041, 0xa4cf),
    (0xac00, 0xd7a3),
    (0xf900, 0xfaff),
    (0xfe30, 0xfe6f),
    (0xff00, 0xff60),
    (0xffe0, 0xffe6),
    (0x1f300, 0x3fffd),
];
/// Marks that stand on the character before them.
const NONE: [(u32, u32); 5] =
    [(0x0300, 0x036f), (0x200b, 0x200f), (0x3099, 0x309a), (0xfe00, 0xfe0f), (0xe0100, 0xe01ef)];

pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// As much as fits, with `…` where something is missing.
pub fn cut(text: &str, widest: usize) -> String {
    if width(text) <= widest {
        return text.to_owned();
    }
    let mut used = 1;
    let kept = text.chars().take_while(|c| {
        used += columns(*c);
        used <= widest
    });
    kept.chain(['…']).collect()
}

fn columns(c: char) -> usize {
    let code = u32::from(c);
    let among = |ranges: &[(u32, u32)]| ranges.iter().any(|(from, to)| (*from..=*to).contains(&code));
    if c.is_control() || among(&NONE) {
        0
    } else if among(&WIDE) {
        2
    } else {
        1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn japanese_takes_two_columns_and_latin_one() {
        for (text, columns) in [
            ("18-0042", 7),
            ("見守り", 6),
            ("ｶﾅ", 2),
            ("みまもり123", 11),
            ("か\u{3099}", 2),
            ("（株）", 6),
            ("–", 1),
            ("𠮷", 2),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }
}
