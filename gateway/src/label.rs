//! A short text of fixed size: what a record may hold without asking for memory. What does not fit is
//! cut and ends with `…`. Pure.

use std::fmt;

/// At most `N` bytes of UTF-8.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Label<const N: usize> {
    bytes: [u8; N],
    length: u8,
}

const CUT: &str = "…";

impl<const N: usize> Label<N> {
    pub const EMPTY: Self = Self { bytes: [0; N], length: 0 };

    pub fn of(text: impl fmt::Display) -> Self {
        let mut label = Self::EMPTY;
        // A full label refuses the rest; what fitted stays.
        let _ = fmt::Write::write_fmt(&mut label, format_args!("{text}"));
        label
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..usize::from(self.length)]).unwrap_or("")
    }
}

impl<const N: usize> fmt::Write for Label<N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let held = usize::from(self.length);
        let room = N.min(u8::MAX.into()).saturating_sub(CUT.len()).saturating_sub(held);
        let whole = text.len() <= room;
        let end = if whole { text.len() } else { text.floor_char_boundary(room) };
        let kept = &text.as_bytes()[..end];
        self.bytes[held..held + kept.len()].copy_from_slice(kept);
        let mut length = held + kept.len();
        if !whole {
            self.bytes[length..length + CUT.len()].copy_from_slice(CUT.as_bytes());
            length += CUT.len();
        }
        self.length = length as u8;
        if whole { Ok(()) } else { Err(fmt::Error) }
    }
}

impl<const N: usize> fmt::Display for Label<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl<const N: usize> fmt::Debug for Label<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn a_label_is_the_text_or_its_beginning(text in "\\PC{0,40}") {
            let label = Label::<24>::of(&text);
            match label.as_str().strip_suffix(CUT) {
                Some(begun) if text.len() > 21 => prop_assert!(text.starts_with(begun)),
                _ => prop_assert_eq!(label.as_str(), text),
            }
        }
    }
}
