//! The bytes of a text file become text, whatever Excel saved them as: UTF-8 with or without BOM,
//! UTF-16 ("Unicode テキスト"), or CP932 with NEC's and IBM's characters. Pure.

use encoding_rs::{Encoding, SHIFT_JIS, UTF_16BE, UTF_16LE};

use crate::messages::Message;

const UTF8_BOM: &[u8] = b"\xef\xbb\xbf";

/// Reads bytes as the first of these that they are without a single error.
pub fn decode(bytes: &[u8]) -> Result<String, Message> {
    let text = match Encoding::for_bom(bytes) {
        Some((encoding, length)) if encoding == UTF_16LE || encoding == UTF_16BE => {
            let (text, wrong) = encoding.decode_without_bom_handling(&bytes[length..]);
            if wrong {
                return Err(Message::FileText { row: row_of(&text, '\u{fffd}') });
            }
            text.into_owned()
        }
        _ => {
            let bytes = bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes);
            match std::str::from_utf8(bytes) {
                Ok(text) => text.to_owned(),
                Err(_) => cp932(bytes)?,
            }
        }
    };
    // Neither Excel nor an editor writes these into a table: the bytes are something else.
    match text.chars().find(|c| matches!(c, '\0' | '\u{1b}')) {
        Some(odd) => Err(Message::FileText { row: row_of(&text, odd) }),
        None => Ok(text),
    }
}

/// Microsoft's code page 932. Characters that a user drew (外字) come out in the private area and are named
/// where they stand.
fn cp932(bytes: &[u8]) -> Result<String, Message> {
    let (text, wrong) = SHIFT_JIS.decode_without_bom_handling(bytes);
    if wrong { Err(Message::FileText { row: row_of(&text, '\u{fffd}') }) } else { Ok(text.into_owned()) }
}

/// The line in which a character first stands.
fn row_of(text: &str, wanted: char) -> u32 {
    let before = text.split(wanted).next().unwrap_or("");
    1 + before.matches('\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str, big: bool) -> Vec<u8> {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(|unit: u16| if big { unit.to_be_bytes() } else { unit.to_le_bytes() }).collect()
    }

    #[test]
    fn e_01_every_encoding_that_excel_saves_reads_as_the_same_text() {
        let text = "㈱髙﨑①\tｻｸﾗ医院\r\n№１～２";
        let (sjis, _, unmappable) = SHIFT_JIS.encode(text);
        assert!(!unmappable);
        let with_bom = [UTF8_BOM, text.as_bytes()].concat();
        for (name, bytes) in [
            ("UTF-8", text.as_bytes().to_vec()),
            ("UTF-8 with BOM", with_bom),
            ("CP932", sjis.into_owned()),
            ("UTF-16LE", utf16(text, false)),
            ("UTF-16BE", utf16(text, true)),
        ] {
            assert_eq!(decode(&bytes).unwrap(), text, "{name}");
        }
    }

    /// The bytes themselves, not a round trip: NEC row 13, IBM's extensions in both places, wave dash,
    /// full-width minus, and 0x5C inside a character (表, ソ), which breaks what splits bytes.
    #[test]
    fn cp932_bytes_read_as_windows_reads_them() {
        for (bytes, text) in [
            (&b"\x87\x40\x87\x8a\x87\x82"[..], "①㈱№"),
            (b"\xfb\xfc\xfa\xb1", "髙﨑"),
            (b"\xee\xe0\xed\x95", "髙﨑"),
            (b"\x81\x60\x81\x7c\x81\x61", "～－∥"),
            (b"\x95\x5c\x83\x5c\x94\x5c", "表ソ能"),
            (b"\xbb\xb8\xd7", "ｻｸﾗ"),
        ] {
            assert_eq!(decode(bytes).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_row() {
        for (bytes, row) in [
            (&b"a,b\nc,\xfd\xff\n"[..], 2),
            (b"a\n\n\x81", 3),
            (b"a\nb\0c", 2),
            (b"\xff\xfea\0\n\0\x00\xd8", 2),
            (b"\x1b$B;vL3=j\x1b(B", 1),
            (b"a\0b\0", 1),
        ] {
            assert_eq!(decode(bytes), Err(Message::FileText { row }), "{bytes:?}");
        }
    }
}
